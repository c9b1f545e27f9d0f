package connectortest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/misbehave"
)

// way is a way for a request to fail, with the kinds of Fault that tell the truth about it.
type way struct {
	name  string
	fault misbehave.Fault
	kinds []connectors.FaultKind
}

var (
	passing = []connectors.FaultKind{connectors.Unavailable, connectors.Broken}
	limited = []connectors.FaultKind{connectors.Limited, connectors.Unavailable}
)

func ways() []way {
	list := []way{
		{"429", misbehave.Fault{Act: misbehave.TooMany}, limited},
		{"half an answer", misbehave.Fault{Act: misbehave.Truncate}, passing},
		{"notices before the answer", misbehave.Fault{Act: misbehave.Notices}, passing},
		{"a stripped login", misbehave.Fault{Act: misbehave.WithoutLogin}, aboutCredential},
	}
	for _, act := range []misbehave.Act{misbehave.ServerError, misbehave.BadGateway, misbehave.PageInstead, misbehave.Hold, misbehave.Cut} {
		for _, after := range []bool{false, true} {
			when := "before"
			if after {
				when = "after"
			}
			list = append(list, way{string(act) + " " + when + " the service acted", misbehave.Fault{Act: act, After: after}, passing})
		}
	}
	return list
}

// mostRequests bounds how many of an act's requests are made to fail.
const mostRequests = 12

// eachFailure makes each request of an act fail in each way. act runs under the failure; it is told the way and how to end it. What act
// needs again and again it makes itself. The requests of an act are counted with one that nothing happens to.
func (b *bench) eachFailure(act func(w way, behave func())) {
	b.t.Helper()
	b.proxy.Forget()
	act(way{name: "nothing"}, func() {})
	n := len(b.proxy.Requests())
	if n == 0 {
		b.t.Fatal("the act makes no request: does the connector dial by Environment.Dial?")
	}
	n = min(n, mostRequests)
	thin := b.h.Thin && os.Getenv("SUITE") != "full"
	for nth := range n {
		for i, w := range ways() {
			if thin && i%n != nth {
				continue
			}
			if w.fault.Act == misbehave.WithoutLogin && b.h.Credential == "" {
				continue
			}
			w.fault.Nth = nth + 1
			w.name = fmt.Sprintf("%s at request %d", w.name, nth+1)
			b.proxy.Behave()
			b.proxy.Do(w.fault)
			act(w, func() {
				b.proxy.Behave()
				b.proxy.Settle()
			})
			b.proxy.Behave()
		}
	}
}

// impatient makes a call that is not waited for when the service holds a request.
func impatient[T any](b *bench, w way, call func(context.Context) (T, error)) (T, error) {
	b.t.Helper()
	wait := b.h.Wait
	if w.fault.Act == misbehave.Hold {
		wait = b.h.Patience
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), wait)
	defer cancel()
	v, err := call(ctx)
	b.shown(v)
	return v, b.seen(err)
}

// tells checks that an error is a Fault of a kind that tells the truth about the way, and gives it; nil for no error.
func (b *bench) tells(w way, err error) *connectors.Fault {
	b.t.Helper()
	if err == nil {
		return nil
	}
	f := b.fault(err)
	if !slices.Contains(w.kinds, f.Kind) {
		b.t.Errorf("%s: the fault is %s (%s), want one of %v", w.name, f.Kind, f.Words, w.kinds)
	}
	return f
}

func looksUnderFaults(t *testing.T, h Harness) {
	b := openHTTP(t, h, 3)
	looks := []struct {
		name string
		look func(ctx context.Context) (wrong string, err error)
	}{
		{"a test of the connection", func(ctx context.Context) (string, error) { return "", b.session.Test(ctx) }},
		{"the list of tables", func(ctx context.Context) (string, error) {
			tables, err := b.session.Tables(ctx)
			if !slices.ContainsFunc(tables, func(x connectors.Table) bool { return x.ID == b.Table }) {
				return "the table is not listed", err
			}
			return "", err
		}},
		{"a table's description", func(ctx context.Context) (string, error) {
			table, err := b.session.Table(ctx, b.Table)
			if len(table.Columns) != len(b.table.Columns) {
				return fmt.Sprintf("it has %d columns", len(table.Columns)), err
			}
			return "", err
		}},
	}
	if reader, ok := b.session.(connectors.BatchReader); ok {
		ids := b.IDs[:min(len(b.IDs), max(1, b.limits().LookupBatch))]
		looks = append(looks, struct {
			name string
			look func(ctx context.Context) (wrong string, err error)
		}{"current values", func(ctx context.Context) (string, error) {
			records, err := reader.Current(ctx, b.table, []string{b.Text}, ids)
			if len(records) != len(ids) {
				return fmt.Sprintf("%d records, want %d", len(records), len(ids)), err
			}
			return "", err
		}})
	}
	for _, l := range looks {
		b.proxy.Behave()
		b.eachFailure(func(w way, behave func()) {
			wrong, err := impatient(b, w, l.look)
			if b.tells(w, err) == nil && wrong != "" {
				t.Errorf("%s, %s: %s and no error", l.name, w.name, wrong)
			}
			if strings.HasPrefix(w.name, "a stripped login at request 1") && err == nil && l.name == "a test of the connection" {
				t.Errorf("%s, %s: no error", l.name, w.name)
			}
			behave()
		})
	}
}

// readsUnderFaults reads a table in pages; each page that fails is asked for again from the same checkpoint.
func readsUnderFaults(t *testing.T, h Harness) {
	b := openHTTP(t, h, 10)
	b.eachFailure(func(w way, behave func()) {
		seen := map[string]string{}
		req := connectors.ReadRequest{Table: b.table, Fields: []string{b.Text}, Limit: 3}
		for tries := 0; ; tries++ {
			page, err := impatient(b, w, func(ctx context.Context) (connectors.Page, error) { return b.session.Read(ctx, req) })
			if b.tells(w, err) != nil {
				behave()
				if tries > 50 {
					t.Fatalf("%s: it does not end: %v", w.name, err)
				}
				continue
			}
			for _, r := range page.Records {
				seen[r.ID] = r.Values[0].Text
			}
			if page.Last {
				break
			}
			req.Checkpoint = page.Checkpoint
		}
		if len(seen) != len(b.IDs) {
			t.Errorf("%s: %d records were read, want %d", w.name, len(seen), len(b.IDs))
		}
	})
}

// done says of a write what its outcome, or its batch's error, says: true, false, or that nobody knows.
func (b *bench) done(w way, outcomes []connectors.Outcome, at int, err error) (done, known bool) {
	b.t.Helper()
	if err == nil && at >= len(outcomes) {
		b.t.Fatalf("%s: %d outcomes and no error", w.name, len(outcomes))
	}
	if at < len(outcomes) {
		if err = nil; outcomes[at].Err != nil {
			err = outcomes[at].Err
		}
	}
	if w.fault.Act == misbehave.Passed && err != nil {
		b.t.Fatalf("without any failure: %v", err)
	}
	f := b.tells(w, err)
	return f == nil, f == nil || f.Kind != connectors.Unavailable || f.Unsent
}

func updatesUnderFaults(t *testing.T, h Harness) {
	b := openHTTP(t, h, 2)
	round := 0
	b.eachFailure(func(w way, behave func()) {
		round++
		writes := []connectors.Write{b.text(b.IDs[0], fmt.Sprint("round ", round)), b.text(b.IDs[1], fmt.Sprint("round ", round))}
		outcomes, err := inBatches(writes, b.limits().UpdateBatch, func(part []connectors.Write) ([]connectors.Outcome, error) {
			return impatient(b, w, func(ctx context.Context) ([]connectors.Outcome, error) { return b.session.Update(ctx, b.table, part) })
		})
		behave()
		var again []connectors.Write
		for i, write := range writes {
			done, known := b.done(w, outcomes, i, err)
			now, there := b.Service.Get(t, write.ID, b.Text)
			switch arrived := now == write.Values[b.Text].Text; {
			case !there:
				t.Errorf("%s: record %d is not there any more", w.name, i)
			case known && arrived != done:
				t.Errorf("%s: record %d is said to be written: %v, and the service holds %q", w.name, i, done, now)
			case !arrived:
				again = append(again, write)
			}
		}
		for i, o := range b.updated(again...) {
			if o.Err != nil {
				t.Errorf("%s: afterwards: %v", w.name, o.Err)
			}
			b.holds(again[i].ID, b.Text, again[i].Values[b.Text].Text)
		}
	})
}

func createsUnderFaults(t *testing.T, h Harness) {
	b := openHTTP(t, h, 0)
	creator, made := ability[connectors.Creator](b), 0
	if !b.table.Creatable {
		t.Skip("records of this table cannot be created: " + b.table.WhyNoNew)
	}
	b.eachFailure(func(w way, behave func()) {
		ids, err := impatient(b, w, func(ctx context.Context) ([]string, error) { return creator.Reserve(ctx, b.table, 2) })
		if b.tells(w, err) != nil {
			behave()
			return
		}
		writes := make([]connectors.Write, 2)
		for i := range writes {
			writes[i] = connectors.Write{Values: b.New(made), Token: fmt.Sprint(t.Name(), made)}
			if made++; ids != nil {
				writes[i].ID = ids[i]
			}
		}
		before := b.Service.Count(t)
		outcomes, err := inBatches(writes, b.limits().CreateBatch, func(part []connectors.Write) ([]connectors.Outcome, error) {
			return impatient(b, w, func(ctx context.Context) ([]connectors.Outcome, error) { return creator.Create(ctx, b.table, part) })
		})
		outcomes, _ = b.finish(creator, writes, outcomes, func(second []connectors.Write) ([]connectors.Outcome, error) {
			return impatient(b, w, func(ctx context.Context) ([]connectors.Outcome, error) {
				return creator.(connectors.Finisher).Finish(ctx, b.table, second)
			})
		})
		behave()
		b.createsEnd(w, creator, writes, outcomes, err, before)
	})
}

// createsEnd settles creates as the app does: what is not known is looked for, and what is surely not there is created again.
func (b *bench) createsEnd(w way, creator connectors.Creator, writes []connectors.Write, outcomes []connectors.Outcome, err error, before int) {
	b.t.Helper()
	var again, lost []connectors.Write
	there := 0
	for i, write := range writes {
		done, known := b.done(w, outcomes, i, err)
		write.Repeat = true
		switch {
		case done:
			there++
			b.holds(outcomes[i].ID, b.Text, write.Values[b.Text].Text)
		case known:
			again = append(again, write)
		default:
			lost = append(lost, write)
		}
	}
	now := b.Service.Count(b.t) - before
	if now < there || now > there+len(lost) {
		b.t.Errorf("%s: %d records are there; %d are said to be, and of %d nobody knows", w.name, now, there, len(lost))
	}
	if recogniser, ok := b.session.(connectors.Recogniser); ok && len(lost) > 0 {
		missing := b.recognised(w, recogniser, lost)
		if found := len(lost) - len(missing); now != there+found {
			b.t.Errorf("%s: %d creates without an answer are found, and the service holds %d of them", w.name, found, now-there)
		}
		lost, there = nil, now
		again = append(again, missing...)
	}
	for _, o := range b.created(creator, append(again, lost...)) {
		if o.Err != nil {
			b.t.Errorf("%s: afterwards: %v", w.name, o.Err)
		}
	}
	if n := b.Service.Count(b.t) - before; n != len(writes) {
		b.t.Errorf("%s: in the end %d records were created, want %d", w.name, n, len(writes))
	}
}

// recognised gives of some creates those that surely did not arrive.
func (b *bench) recognised(w way, r connectors.Recogniser, lost []connectors.Write) (missing []connectors.Write) {
	b.t.Helper()
	found := must(b, func(ctx context.Context) ([]connectors.Outcome, error) { return r.Recognise(ctx, b.table, lost) })
	for i, o := range b.outcomes(found, len(lost)) {
		switch {
		case o.Err == nil:
			b.holds(o.ID, b.Text, lost[i].Values[b.Text].Text)
		case o.Err.Kind == connectors.Gone:
			missing = append(missing, lost[i])
		default:
			b.t.Errorf("%s: a create whose answer was lost cannot be told: %v", w.name, o.Err)
		}
	}
	return missing
}

func deletesUnderFaults(t *testing.T, h Harness) {
	b := openHTTP(t, h, 1)
	deleter := b.deleter()
	b.eachFailure(func(w way, behave func()) {
		writes := []connectors.Write{{ID: b.Service.Add(t, "to go")}, {ID: b.Service.Add(t, "to go too")}}
		outcomes, err := inBatches(writes, b.limits().DeleteBatch, func(part []connectors.Write) ([]connectors.Outcome, error) {
			return impatient(b, w, func(ctx context.Context) ([]connectors.Outcome, error) { return deleter.Delete(ctx, b.table, part) })
		})
		behave()
		for i, write := range writes {
			done, known := b.done(w, outcomes, i, err)
			_, there := b.Service.Get(t, write.ID, b.Text)
			if known && there == done {
				t.Errorf("%s: record %d is said to be deleted: %v, and it is there: %v", w.name, i, done, there)
			}
			if !there {
				continue
			}
			o := b.outcomes(must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
				return deleter.Delete(ctx, b.table, []connectors.Write{write})
			}), 1)[0]
			if o.Err != nil {
				t.Errorf("%s: afterwards: %v", w.name, o.Err)
			}
		}
		if n := b.Service.Count(t); n != 1 {
			t.Errorf("%s: %d records are left, want 1", w.name, n)
		}
	})
}

func waitsForSlowAnswers(t *testing.T, h Harness) {
	b := openHTTP(t, h, 3)
	b.proxy.Do(misbehave.Fault{Act: misbehave.Slow, Wait: 300 * time.Millisecond, Times: misbehave.Always})
	if found := b.pages(0, false); len(found) != 3 {
		t.Errorf("%d records, want 3", len(found))
	}
	if o := b.updated(b.text(b.IDs[0], "slowly"))[0]; o.Err != nil {
		t.Error(o.Err)
	}
	b.holds(b.IDs[0], b.Text, "slowly")
}

// withoutCredential goes through the ways for a credential to end in the middle.
func withoutCredential(t *testing.T, h Harness, test func(t *testing.T, b *bench, end func())) {
	if h.Credential == "" {
		t.Skip("the service has no credential")
	}
	for _, act := range []misbehave.Act{misbehave.Revoked, misbehave.WithoutLogin} {
		t.Run(string(act), func(t *testing.T) {
			b := openHTTP(t, h, 10)
			test(t, b, func() { b.proxy.Do(misbehave.Fault{Act: act, Times: misbehave.Always}) })
		})
	}
}

func revokedWhileReading(t *testing.T, h Harness) {
	withoutCredential(t, h, func(_ *testing.T, b *bench, end func()) { b.endsWhileReading(end) })
}

func revokedAtService(t *testing.T, h Harness) {
	if h.Revocable == nil {
		t.Skip("the harness makes no credential that can be revoked")
	}
	b := open(t, h, 10)
	settings, revoke := h.Revocable(t)
	b.h.Settings = settings
	b.session = b.newSession(b.environment())
	b.endsWhileReading(revoke)
}

// endsWhileReading holds a connector to what the app's proof of deletions rests on: a reading with a credential that ends in the
// middle fails, or else the test of the connection after it does.
func (b *bench) endsWhileReading(end func()) {
	b.t.Helper()
	req := connectors.ReadRequest{Table: b.table, Fields: []string{b.Text}, Limit: 4}
	page := must(b, func(ctx context.Context) (connectors.Page, error) { return b.session.Read(ctx, req) })
	end()
	seen, err := len(page.Records), error(nil)
	for !page.Last && err == nil {
		req.Checkpoint = page.Checkpoint
		page, err = try(b, func(ctx context.Context) (connectors.Page, error) { return b.session.Read(ctx, req) })
		seen += len(page.Records)
	}
	if err != nil && b.kindOf(err) != connectors.Unavailable { // a service may cut the connection of whom it shuts out
		b.isSignedOut("reading", err)
	}
	b.isSignedOut(fmt.Sprintf("a test after a reading of %d records (%v)", seen, err), b.tested())
	if reader, ok := b.session.(connectors.BatchReader); ok {
		ids := b.IDs[:min(len(b.IDs), max(1, b.limits().LookupBatch))]
		if _, err := try(b, func(ctx context.Context) ([]connectors.Record, error) { return reader.Current(ctx, b.table, nil, ids) }); err != nil {
			b.isSignedOut("a look", err)
		}
	}
	if counter, ok := b.session.(connectors.Counter); ok {
		if n, err := try(b, func(ctx context.Context) (int64, error) { return counter.Count(ctx, b.table) }); err == nil && n != int64(len(b.IDs)) {
			b.t.Errorf("%d records are counted and no error", n)
		}
	}
}

// tested tests the connection, anew where that met a connection that had been cut.
func (b *bench) tested() (err error) {
	b.t.Helper()
	for range 10 {
		if err = b.session.Test(b.t.Context()); err == nil || b.kindOf(err) != connectors.Unavailable {
			break
		}
	}
	return err
}

func revokedWhileWriting(t *testing.T, h Harness) {
	withoutCredential(t, h, func(t *testing.T, b *bench, end func()) {
		was, _ := b.Service.Get(t, b.IDs[0], b.Text)
		end()
		refused := func(what string, outcomes []connectors.Outcome, err error) {
			t.Helper()
			if err == nil && len(outcomes) == 1 && outcomes[0].Err != nil {
				err = outcomes[0].Err
			}
			b.isSignedOut(what, err)
		}
		outcomes, err := b.update(b.text(b.IDs[0], "by nobody"))
		refused("an update", outcomes, err)
		if d, ok := b.session.(connectors.Deleter); ok && b.table.Deletable {
			outcomes, err := try(b, func(ctx context.Context) ([]connectors.Outcome, error) {
				return d.Delete(ctx, b.table, []connectors.Write{{ID: b.IDs[0]}})
			})
			refused("a delete", outcomes, err)
		}
		if c, ok := b.session.(connectors.Creator); ok && b.table.Creatable {
			outcomes, err := try(b, func(ctx context.Context) ([]connectors.Outcome, error) {
				ids, err := c.Reserve(ctx, b.table, 1)
				w := connectors.Write{Values: b.New(0), Token: t.Name()}
				if err != nil {
					return nil, err
				}
				if ids != nil {
					w.ID = ids[0]
				}
				return c.Create(ctx, b.table, []connectors.Write{w})
			})
			refused("a create", outcomes, err)
		}
		b.holds(b.IDs[0], b.Text, was)
		if n := b.Service.Count(t); n != 10 {
			t.Errorf("%d records, want 10", n)
		}
	})
}

// firstFault gives the failure of a call, be it the batch's or a record's.
func firstFault(outcomes []connectors.Outcome, err error) *connectors.Fault {
	var f *connectors.Fault
	if errors.As(err, &f) {
		return f
	}
	for _, o := range outcomes {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}
