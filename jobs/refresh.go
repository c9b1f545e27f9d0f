package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

const (
	versionPage = 10000 // ids and versions that one page asks for
	goneChunk   = 1000  // records that are looked for and removed at a time
)

// digestRecords is how many records a table may have here for its digest to be asked for: the service sums up some millions a
// second, and what does not end in time was in vain.
const digestRecords = 20_000_000

// compareDigests ends the reading before its first page when the service's records and ours sum up to the same.
func (rt *remoteReading) compareDigests() error {
	digester, ok := rt.session.(connectors.Digester)
	if !ok || !rt.byVersion() || rt.st.Phase != "" || rt.st.Page > 0 || rt.tooLarge() {
		return nil
	}
	if err := rt.Step(); err != nil {
		return err
	}
	ctx, cancel := rt.Request()
	defer cancel()
	began := time.Now()
	var there connectors.Digest
	theirs, answered := errors.New("no answer"), make(chan struct{})
	rt.aside(func() {
		defer close(answered)
		there, theirs = digester.Digest(ctx, rt.remote)
	})
	records, sum, err := rt.o.Store.Digest(ctx, rt.table)
	<-answered
	switch {
	case context.Cause(rt.ctx) != nil:
		return context.Cause(rt.ctx)
	case err != nil, theirs != nil: // what it hides will be seen in reading
		rt.o.Log.DebugContext(rt.ctx, "refresh without a digest", "here", err, "there", theirs)
		return nil
	}
	rt.note(func(p *store.Progress) {
		p.Tables[rt.index].Total = &there.Records
		sumTotals(p)
	})
	if there != (connectors.Digest{Records: records, Sum: sum}) {
		return nil
	}
	rt.st.Done[rt.table.ID], rt.st.Phase = records, same
	rt.pageDone(int(records), time.Since(began))
	return nil
}

func (rt *remoteReading) tooLarge() bool {
	n := rt.table.Counts.Records
	return n != nil && *n > digestRecords
}

// versionsPage reads a page of ids and versions, and of those that differ from what is here the records themselves.
func (rt *remoteReading) versionsPage(vr connectors.VersionReader, br connectors.BatchReader) error {
	began := time.Now()
	page, err := rt.versions(vr)
	if err != nil {
		return err
	}
	rt.noteTotal(page)
	rt.o.Fault("refresh.versions")
	ids, versions := make([]string, len(page.Records)), make([]string, len(page.Records))
	for i, r := range page.Records {
		ids[i], versions[i] = r.ID, r.Version
	}
	want, err := rt.o.Store.Differing(rt.ctx, rt.table, ids, versions)
	if err != nil {
		return err
	}
	next := rt.after(page)
	for {
		n := min(len(want), rt.lookupSize())
		records, err := rt.current(br, rt.fields(), want[:n])
		if err != nil {
			return err
		}
		ids = without(ids, want[:n], records)
		want = want[n:]
		m := store.PageMerge{Table: rt.table, Columns: rt.cols, Records: remoteRecords(records, rt.cols), Seen: []string{}, Page: rt.st.Page}
		if len(want) == 0 {
			m.Seen = ids
			return rt.merge(m, next, len(page.Records), began)
		}
		if err := rt.Step(); err != nil {
			return err // the page is read again: what is merged does not differ any more
		}
		if err := rt.merge(m, rt.st, 0, began); err != nil {
			return err
		}
		next.Sums, next.Batches = rt.st.clone().Sums, slices.Clone(rt.st.Batches)
	}
}

func (rt *remoteReading) versions(vr connectors.VersionReader) (connectors.Page, error) {
	ctx, cancel := rt.Request()
	defer cancel()
	rt.o.Fault("refresh.ask")
	return vr.Versions(ctx, connectors.ReadRequest{Table: rt.remote, Checkpoint: rt.st.At, Limit: versionPage, KeysOnly: true})
}

func (rt *remoteReading) current(br connectors.BatchReader, fields, ids []string) ([]connectors.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := rt.Request()
	defer cancel()
	rt.o.Fault("refresh.look")
	records, err := br.Current(ctx, rt.remote, fields, ids)
	rt.o.Fault("refresh.looked")
	return records, err
}

// lookupSize is how many records one Current asks for.
func (rt *remoteReading) lookupSize() int {
	if n := rt.limits[rt.table.Connection].LookupBatch; n > 0 {
		return min(n, rt.size)
	}
	return rt.size
}

// without drops from ids those that were asked for and not found: they went since the page was read.
func without(ids, asked []string, found []connectors.Record) []string {
	if len(asked) == len(found) {
		return ids
	}
	gone := map[string]bool{}
	for _, id := range asked {
		gone[id] = true
	}
	for _, r := range found {
		delete(gone, r.ID)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return gone[id] })
}

// removeUnseen takes away what a complete refresh did not see, once a second look has confirmed it, with the credential
// checked before and after. Many removals wait for a person.
func (rt *remoteReading) removeUnseen() error {
	unseen, total, err := rt.o.Store.CountUnseen(rt.ctx, rt.Job, rt.table)
	if err != nil || unseen == 0 {
		return err
	}
	if err := rt.testCredential(); err != nil {
		return err
	}
	br, ok := rt.session.(connectors.BatchReader)
	if !ok {
		if err := rt.sweep(); err != nil {
			return err
		}
		if unseen, total, err = rt.o.Store.CountUnseen(rt.ctx, rt.Job, rt.table); err != nil {
			return err
		}
	}
	if tooMany(unseen, total) && !rt.st.Continued {
		gone, err := rt.eachGone(br, func([]string) error { return nil })
		if err != nil {
			return err
		}
		if tooMany(gone, total) {
			return waitFor{what: "person", question: question(rt.table, gone, total)}
		}
	}
	_, err = rt.eachGone(br, func(gone []string) error {
		next := rt.st.clone()
		m := func(c store.MergeCounts) any { return next.with(rt.table, c) }
		counts, err := rt.o.Store.RemoveGone(rt.ctx, rt.Job, rt.table, gone, m)
		if err == nil {
			rt.st = next.with(rt.table, counts)
			rt.o.Fault("refresh.removed")
		}
		return err
	})
	return err
}

// tooMany says whether a person has to look before so many records leave a table.
func tooMany(gone, total int64) bool { return gone > 20 && gone*10 > total }

func question(t store.Table, gone, total int64) string {
	return core.Errorf(core.Conflict, "%d of the %d records of %s are not at the service any more. Look at the service; then let the refresh remove them here, or cancel it.",
		gone, total, t.Title).Sentence
}

// eachGone looks once more for the records that were not seen and hands those that are surely gone to fn, some at a time. It
// counts them.
func (rt *remoteReading) eachGone(br connectors.BatchReader, fn func(gone []string) error) (count int64, err error) {
	after := ""
	for {
		if err := rt.Step(); err != nil {
			return count, err
		}
		ids, err := rt.o.Store.Unseen(rt.ctx, rt.Job, rt.table, after, goneChunk)
		if err != nil || len(ids) == 0 {
			return count, err
		}
		after = ids[len(ids)-1]
		gone, err := rt.confirmGone(br, ids)
		if err != nil {
			return count, err
		}
		if count += int64(len(gone)); len(gone) > 0 {
			if err := fn(gone); err != nil {
				return count, err
			}
		}
	}
}

// confirmGone gives of some ids those that the service does not find, asked by a credential that is valid after the asking
// too: some services answer a dead one with fewer records. Without br a sweep has looked already.
func (rt *remoteReading) confirmGone(br connectors.BatchReader, ids []string) ([]string, error) {
	gone := ids
	if br != nil {
		gone = nil
		for chunk := range slices.Chunk(ids, max(1, rt.lookupSize())) {
			found, err := rt.current(br, rt.remote.Key, chunk)
			if err != nil {
				return nil, err
			}
			there := map[string]bool{}
			for _, r := range found {
				there[r.ID] = true
			}
			for _, id := range chunk {
				if !there[id] {
					gone = append(gone, id)
				}
			}
		}
	}
	return gone, rt.testCredential()
}

// sweep reads all ids once more, for services that cannot be asked for chosen records. What it sees counts as seen.
func (rt *remoteReading) sweep() error {
	if rt.st.Phase != sweeping {
		rt.st.Phase, rt.st.At = sweeping, nil
	}
	for rt.st.Phase == sweeping {
		if err := rt.Step(); err != nil {
			return err
		}
		if err := rt.sweepPage(); err != nil {
			return err
		}
	}
	return nil
}

func (rt *remoteReading) sweepPage() error {
	ctx, cancel := rt.Request()
	defer cancel()
	rt.o.Fault("refresh.sweep")
	page, err := rt.session.Read(ctx, connectors.ReadRequest{Table: rt.remote, Checkpoint: rt.st.At, Limit: versionPage, KeysOnly: true})
	rt.o.Fault("refresh.swept")
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Records))
	for i, r := range page.Records {
		ids[i] = r.ID
	}
	next := rt.st.clone()
	next.At, next.Page = page.Checkpoint, rt.st.Page+1
	if page.Last {
		next.Phase, next.At = removing, nil
	}
	if err := rt.o.Store.SeenAgain(rt.ctx, rt.Job, rt.table, rt.st.Page, ids, next); err != nil {
		return err
	}
	rt.st = next
	return nil
}

func (rt *remoteReading) testCredential() error { return rt.Run.testCredential(rt.session) }

func (run *Run) testCredential(session connectors.Session) error {
	ctx, cancel := run.Request()
	defer cancel()
	return session.Test(ctx)
}
