package jobs

import (
	"encoding/json"
	"fmt"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// downloadState is the checkpoint of a download or refresh: tables before Table are done.
type downloadState struct {
	Table     int                  `json:"table"`
	Page      int                  `json:"page"`
	At        json.RawMessage      `json:"at,omitempty"` // the connector's checkpoint within the table
	Read      bool                 `json:"read"`         // all pages of the table are in
	Done      map[string]int64     `json:"done"`         // records by table
	Sums      map[string]*tableSum `json:"sums,omitempty"`
	Continued bool                 `json:"continued,omitempty"` // a person said that removing many records is right
}

// tableSum is what a refresh did to a table.
type tableSum struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	store.MergeCounts
}

type downloadArgs struct {
	Snapshot string   `json:"snapshot"`
	Tables   []string `json:"tables"`
}

// downloadPage is how many records one page holds: its merge keeps the table's lock for a moment only.
const downloadPage = 2000

func download(run *Run) (any, error) { return readTables(run, true) }

func refresh(run *Run) (any, error) { return readTables(run, false) }

// readTables reads the job's tables page by page. Each page is one transaction with its checkpoint, so a crash goes on
// where it was.
func readTables(run *Run, first bool) (any, error) {
	var args downloadArgs
	if err := json.Unmarshal(run.Job.Args, &args); err != nil {
		return nil, fmt.Errorf("job args: %w", err)
	}
	st := downloadState{}
	if err := json.Unmarshal(run.Job.Checkpoint, &st); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if st.Done == nil {
		st.Done, st.Sums = map[string]int64{}, map[string]*tableSum{}
	}
	tables := run.tablesOf(args.Tables)
	run.beginProgress(tables, st)
	for st.Table < len(tables) {
		if err := readTable(run, tables[st.Table], &st, first); err != nil {
			return summary(tables, st), err
		}
	}
	run.Progress(true)
	return summary(tables, st), nil
}

func (run *Run) tablesOf(ids []string) []store.Table {
	var out []store.Table
	for _, id := range ids {
		for _, t := range run.Snapshot.Tables {
			if t.ID == id {
				out = append(out, t)
			}
		}
	}
	return out
}

func summary(tables []store.Table, st downloadState) any {
	out := []*tableSum{}
	for _, t := range tables {
		if s := st.Sums[t.ID]; s != nil {
			out = append(out, s)
		}
	}
	return map[string]any{"tables": out}
}

func (run *Run) beginProgress(tables []store.Table, st downloadState) {
	p := &run.Job.Progress
	if len(p.Tables) != len(tables) {
		p.Tables = make([]store.TableProgress, len(tables))
	}
	p.Done = 0
	for i, t := range tables {
		tp := &p.Tables[i]
		tp.ID, tp.Title, tp.Done, tp.State = t.ID, t.Title, st.Done[t.ID], "waiting"
		if i < st.Table {
			tp.State = "done"
		}
		p.Done += tp.Done
	}
}

func readTable(run *Run, t store.Table, st *downloadState, first bool) error {
	session, err := run.Session(t.Connection)
	if err != nil {
		return err
	}
	remote, cols, err := run.remoteTable(session, t)
	if err != nil {
		return err
	}
	run.countTotal(session, remote, st)
	for !st.Read {
		if err := run.Step(); err != nil {
			return err
		}
		if err := run.readPage(session, t, remote, cols, st, first); err != nil {
			return err
		}
	}
	if !first {
		if err := run.removeUnseen(session, t, remote, st); err != nil {
			return err
		}
	}
	if err := run.o.Store.EndDownload(run.ctx, run.Job, t); err != nil {
		return err
	}
	run.Job.Progress.Tables[st.Table].State = "done"
	st.Table, st.Page, st.At, st.Read = st.Table+1, 0, nil, false
	run.Progress(true)
	return nil
}

// remoteTable gives the table as the service describes it now, and the columns that are read.
func (run *Run) remoteTable(session connectors.Session, t store.Table) (connectors.Table, []core.Column, error) {
	ctx, cancel := run.Request()
	defer cancel()
	remote, err := session.Table(ctx, t.RemoteID)
	if err != nil {
		return remote, nil, err
	}
	there := map[string]bool{}
	for _, f := range remote.Columns {
		there[f.ID] = true
	}
	var cols []core.Column
	for _, c := range t.Columns {
		if c.Source == core.Remote && there[c.RemoteID] {
			cols = append(cols, c)
		}
	}
	if len(cols) == 0 {
		return remote, nil, core.Errorf(core.Conflict, "None of the columns of %s is at the service any more.", t.Title)
	}
	return remote, cols, nil
}

// countTotal asks for the table's size where that is cheap; without an answer the total stays unknown.
func (run *Run) countTotal(session connectors.Session, remote connectors.Table, st *downloadState) {
	tp := &run.Job.Progress.Tables[st.Table]
	tp.State = "running"
	counter, ok := session.(connectors.Counter)
	if !ok || tp.Total != nil {
		return
	}
	ctx, cancel := run.Request()
	defer cancel()
	if n, err := counter.Count(ctx, remote); err == nil {
		tp.Total = &n
	}
	run.sumTotals()
	run.Progress(true)
}

func (run *Run) sumTotals() {
	var sum int64
	for _, tp := range run.Job.Progress.Tables {
		if tp.Total == nil {
			run.Job.Progress.Total = nil
			return
		}
		sum += *tp.Total
	}
	run.Job.Progress.Total = &sum
}

func (run *Run) readPage(session connectors.Session, t store.Table, remote connectors.Table, cols []core.Column, st *downloadState, first bool) error {
	began := time.Now()
	fields := make([]string, len(cols))
	for i, c := range cols {
		fields[i] = c.RemoteID
	}
	ctx, cancel := run.Request()
	defer cancel()
	page, err := session.Read(ctx, connectors.ReadRequest{Table: remote, Fields: fields, Checkpoint: st.At, Limit: downloadPage})
	if err != nil {
		return err
	}
	run.o.Fault("download.read")
	next := *st
	next.At, next.Read, next.Page = page.Checkpoint, page.Last, st.Page+1
	next.Done = map[string]int64{}
	for k, v := range st.Done {
		next.Done[k] = v
	}
	next.Done[t.ID] += int64(len(page.Records))
	records := make([]store.RemoteRecord, len(page.Records))
	for i, r := range page.Records {
		records[i] = store.RemoteRecord(r)
	}
	counts, err := run.o.Store.MergePage(run.ctx, run.Job, store.PageMerge{Table: t, Columns: cols, Records: records,
		First: first && t.DownloadedAt == nil, Page: st.Page, Checkpoint: next})
	if err != nil {
		return err
	}
	run.o.Fault("download.merged")
	*st = next
	st.add(t, counts)
	run.pageDone(st, t, len(records), time.Since(began))
	return nil
}

// add sums what was done; the sums of a page that a crash follows at once are counted again from its checkpoint.
func (st *downloadState) add(t store.Table, c store.MergeCounts) {
	s := st.Sums[t.ID]
	if s == nil {
		s = &tableSum{ID: t.ID, Title: t.Title}
		st.Sums[t.ID] = s
	}
	s.New += c.New
	s.Changed += c.Changed
	s.Deleted += c.Deleted
	s.Conflicts += c.Conflicts
}

func (run *Run) pageDone(st *downloadState, t store.Table, n int, took time.Duration) {
	p := &run.Job.Progress
	tp := &p.Tables[st.Table]
	tp.Done = st.Done[t.ID]
	tp.Rate = smooth(tp.Rate, float64(n)/took.Seconds())
	p.Rate = tp.Rate
	p.Done = 0
	for _, x := range p.Tables {
		p.Done += x.Done
	}
	run.Progress(false)
}

// smooth lets a rate follow what was measured last without jumping.
func smooth(old, now float64) float64 {
	if old == 0 {
		return now
	}
	return 0.7*old + 0.3*now
}

// removeUnseen takes away what a complete refresh did not see, once a second look by id has confirmed it, with the
// credential checked before and after. Many removals wait for a person.
func (run *Run) removeUnseen(session connectors.Session, t store.Table, remote connectors.Table, st *downloadState) error {
	unseen, total, err := run.o.Store.Unseen(run.ctx, run.Job, t)
	if err != nil || len(unseen) == 0 {
		return err
	}
	gone, err := run.confirmGone(session, remote, unseen)
	if err != nil || len(gone) == 0 {
		return err
	}
	if len(gone) > 20 && int64(len(gone))*10 > total && !st.Continued {
		return waitFor{what: "person"}
	}
	counts, err := run.o.Store.RemoveGone(run.ctx, run.Job, t, gone, *st)
	if err != nil {
		return err
	}
	st.add(t, counts)
	return nil
}

func (run *Run) confirmGone(session connectors.Session, remote connectors.Table, ids []string) ([]string, error) {
	reader, ok := session.(connectors.BatchReader)
	if !ok {
		return nil, nil // nothing proves that they are gone, so nothing is removed
	}
	if err := run.testCredential(session); err != nil {
		return nil, err
	}
	var gone []string
	for len(ids) > 0 {
		n := min(1000, len(ids))
		ctx, cancel := run.Request()
		there, err := reader.Current(ctx, remote, remote.Key, ids[:n])
		cancel()
		if err != nil {
			return nil, err
		}
		found := map[string]bool{}
		for _, r := range there {
			found[r.ID] = true
		}
		for _, id := range ids[:n] {
			if !found[id] {
				gone = append(gone, id)
			}
		}
		ids = ids[n:]
	}
	return gone, run.testCredential(session)
}

func (run *Run) testCredential(session connectors.Session) error {
	ctx, cancel := run.Request()
	defer cancel()
	return session.Test(ctx)
}
