package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// readState is the checkpoint of a download or refresh.
type readState struct {
	Finished  []string             `json:"finished,omitempty"` // tables that are complete
	Table     string               `json:"table,omitempty"`    // the one that is being read
	Columns   []int                `json:"columns,omitempty"`  // of the table that are read, since its first page
	Phase     string               `json:"phase,omitempty"`    // of the table: "" reads it, then see the phases
	At        json.RawMessage      `json:"at,omitempty"`       // the connector's checkpoint within the phase
	Page      int                  `json:"page,omitempty"`     // pages of the table so far
	Batch     int64                `json:"batch,omitempty"`    // download: the table's batch in the history
	Batches   []int64              `json:"batches,omitempty"`  // refresh: those of its pages
	Done      map[string]int64     `json:"done,omitempty"`     // records by table
	Sums      map[string]*tableSum `json:"sums,omitempty"`
	Continued bool                 `json:"continued,omitempty"` // a person said that removing many records is right
}

// The phases of a table after it has been read.
const (
	sweeping = "sweep"  // a second look at all ids, where the service cannot be asked for some
	removing = "remove" // what is surely gone leaves
	same     = "same"   // nothing has changed: there is nothing to read
)

// tableSum is what a job did to a table.
type tableSum struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Schema int    `json:"schema,omitempty"` // changes of its columns that wait for somebody to take them over
	store.MergeCounts
}

// clone gives a copy that shares nothing, so that a page that fails leaves no trace.
func (st readState) clone() readState {
	st.Finished, st.Batches, st.Done = slices.Clone(st.Finished), slices.Clone(st.Batches), maps.Clone(st.Done)
	sums := make(map[string]*tableSum, len(st.Sums))
	for id, s := range st.Sums {
		c := *s
		sums[id] = &c
	}
	st.Sums = sums
	return st
}

// with gives the state after a page that did c.
func (st readState) with(t store.Table, c store.MergeCounts) readState {
	next := st.clone()
	s := next.Sums[t.ID]
	if s == nil {
		s = &tableSum{ID: t.ID, Title: t.Title}
		next.Sums[t.ID] = s
	}
	s.New += c.New
	s.Changed += c.Changed
	s.Deleted += c.Deleted
	s.Conflicts += c.Conflicts
	if c.Batch != 0 && c.Batch != next.Batch {
		next.Batch, next.Batches = c.Batch, append(next.Batches, c.Batch)
	}
	return next
}

// finished gives the state after a table is complete.
func (st readState) finished(id string) readState {
	next := st.clone()
	next.Finished = append(next.Finished, id)
	next.Table, next.Columns, next.Phase, next.At, next.Page, next.Batch, next.Batches, next.Continued = "", nil, "", nil, 0, 0, nil, false
	return next
}

type readArgs struct {
	Tables []string `json:"tables"`
}

// reading is one slice of a download or refresh.
type reading struct {
	*Run
	first  bool // a download: there is nothing to merge with
	st     readState
	tables []store.Table
	size   int // records that the next page asks for
}

func download(run *Run) (any, error) { return readTables(run, true) }

func refresh(run *Run) (any, error) { return readTables(run, false) }

// readTables reads the job's tables one after the other, parents first, page by page. Each page is one transaction with its
// checkpoint, so that after a crash it goes on exactly where it was.
func readTables(run *Run, first bool) (any, error) {
	var args readArgs
	if err := json.Unmarshal(run.Job.Args, &args); err != nil {
		return nil, fmt.Errorf("job args: %w", err)
	}
	r := &reading{Run: run, first: first, size: firstPage, tables: store.ParentsFirst(run.tablesOf(args.Tables))}
	if err := json.Unmarshal(run.Job.Checkpoint, &r.st); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if r.st.Done == nil {
		r.st.Done = map[string]int64{}
	}
	r.beginProgress()
	for i, t := range r.tables {
		if slices.Contains(r.st.Finished, t.ID) {
			continue
		}
		if err := r.readTable(i, t); err != nil {
			return r.result(err), err
		}
	}
	run.Progress(true)
	return r.result(nil), nil
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

// result sums up by table; a job that waits for a person asks its question.
func (r *reading) result(err error) any {
	out := struct {
		Question string      `json:"question,omitempty"`
		Tables   []*tableSum `json:"tables"`
	}{Tables: []*tableSum{}}
	for _, t := range r.tables {
		if s := r.st.Sums[t.ID]; s != nil {
			out.Tables = append(out.Tables, s)
		}
	}
	var w waitFor
	if errors.As(err, &w) {
		out.Question = w.question
	}
	return out
}

func (r *reading) beginProgress() {
	r.note(func(p *store.Progress) {
		old := p.Tables
		p.Tables, p.Done = make([]store.TableProgress, len(r.tables)), 0
		for i, t := range r.tables {
			tp := &p.Tables[i]
			if k := slices.IndexFunc(old, func(o store.TableProgress) bool { return o.ID == t.ID }); k >= 0 {
				*tp = old[k]
			}
			tp.ID, tp.Title, tp.Done, tp.State = t.ID, t.Title, r.st.Done[t.ID], "waiting"
			if slices.Contains(r.st.Finished, t.ID) {
				tp.State = "done"
			}
			p.Done += tp.Done
		}
	})
}

func (r *reading) readTable(i int, t store.Table) error {
	r.begin(t)
	session, err := r.Session(t.Connection)
	if err != nil {
		return err
	}
	remote, cols, err := r.remoteTable(session, t, r.st.Columns)
	if err != nil {
		if core.CodeOf(err) == core.Conflict {
			return errors.Join(err, r.noteSchema(t, remote))
		}
		return err
	}
	if r.st.Page == 0 && r.st.Phase == "" {
		if err := r.noteSchema(t, remote); err != nil {
			return err
		}
	}
	rt := &remoteReading{reading: r, session: session, table: t, remote: remote, cols: cols, index: i}
	if !r.first { // else what a publish has changed there looks as if somebody else had
		if err := r.o.Store.MergeOutcomes(r.ctx, r.By, t, ""); err != nil {
			return err
		}
		if err := rt.compareDigests(); err != nil {
			return err
		}
	}
	r.note(func(p *store.Progress) { p.Tables[i].State = "running" })
	for r.st.Phase == "" {
		if err := r.Step(); err != nil {
			return err
		}
		if err := rt.nextPage(); err != nil {
			return err
		}
	}
	if !r.first && r.st.Phase != same {
		if err := rt.removeUnseen(); err != nil {
			return err
		}
	}
	next := r.st.finished(t.ID)
	batches := r.st.Batches
	if r.filling(t) {
		batches = nil // its pages went into one
	}
	if err := r.o.Store.EndDownload(r.ctx, r.Job, t, r.st.Columns, batches, next); err != nil {
		return err
	}
	r.o.Fault("download.ended")
	r.st = next
	r.note(func(p *store.Progress) {
		done := p.Tables[i].Done
		p.Tables[i].State, p.Tables[i].Total, p.Tables[i].Rate = "done", &done, 0
		sumTotals(p)
	})
	r.Progress(true)
	return nil
}

// begin notes which columns of a table are read from its first page on: one that is added meanwhile waits for the next reading.
func (r *reading) begin(t store.Table) {
	if r.st.Table == t.ID && r.st.Columns != nil {
		return
	}
	r.st.Table, r.st.Columns = t.ID, []int{}
	for _, c := range t.Columns {
		r.st.Columns = append(r.st.Columns, c.Number)
	}
}

// filling says whether the table is being downloaded for the first time: there is nothing to merge with.
func (r *reading) filling(t store.Table) bool { return r.first && t.DownloadedAt == nil }

// remoteTable gives the table as the service describes it now, and of some columns those that are read.
func (run *Run) remoteTable(session connectors.Session, t store.Table, numbers []int) (connectors.Table, []core.Column, error) {
	ctx, cancel := run.Request()
	defer cancel()
	remote, err := session.Table(ctx, t.RemoteID)
	if err != nil {
		return remote, nil, err
	}
	there := map[string]core.ColumnType{}
	for _, f := range remote.Columns {
		there[f.ID] = f.Type
	}
	var cols []core.Column
	for _, c := range t.Columns {
		now, ok := there[c.RemoteID]
		if c.Source != core.Remote || !ok || !slices.Contains(numbers, c.Number) {
			continue
		}
		if store.HoldsType(c.Type, now) { // else its change waits for somebody to take it over
			cols = append(cols, c)
		}
	}
	if len(cols) == 0 {
		return remote, nil, core.Errorf(core.Conflict, "None of the columns of %s is at the service any more as it was. Open the table to see what changed.", t.Title)
	}
	return remote, cols, nil
}

// noteTotal notes how many records the table has: as a page says, else the service is asked once, beside the reading; without an answer
// it stays unknown.
func (rt *remoteReading) noteTotal(page connectors.Page) {
	known := page.Total >= 0
	rt.note(func(p *store.Progress) {
		tp := &p.Tables[rt.index]
		if known = known || tp.Total != nil; page.Total >= 0 {
			tp.Total = &page.Total
			sumTotals(p)
		}
	})
	counter, ok := rt.session.(connectors.Counter)
	if !ok || known || rt.counted || page.Last {
		return
	}
	rt.counted = true
	rt.aside(func() {
		ctx, cancel := rt.Request()
		defer cancel()
		n, err := counter.Count(ctx, rt.remote)
		if err != nil {
			return
		}
		rt.note(func(p *store.Progress) {
			if p.Tables[rt.index].State == "running" {
				p.Tables[rt.index].Total = &n
				sumTotals(p)
			}
		})
	})
}

// sumTotals keeps the job's total: known when all tables' are.
func sumTotals(p *store.Progress) {
	var sum int64
	for _, t := range p.Tables {
		if t.Total == nil {
			p.Total = nil
			return
		}
		sum += *t.Total
	}
	p.Total = &sum
}

// remoteReading is the reading of one table.
type remoteReading struct {
	*reading
	session connectors.Session
	table   store.Table
	remote  connectors.Table
	cols    []core.Column
	index   int  // of the table's numbers in the progress
	repeats bool // a page held records that were here already
	counted bool // the service was asked how many there are
}

// A page is as large as its merge holds the table's lock for pageHold at most: people's edits wait for no longer.
const (
	firstPage = 500
	smallPage = 100
	largePage = 10000
	pageHold  = 50 * time.Millisecond
)

// byVersion says whether versions tell what differs from what is here.
func (rt *remoteReading) byVersion() bool {
	return !rt.first && rt.remote.Versioned && rt.table.Versioned && allFilled(rt.cols)
}

func (rt *remoteReading) nextPage() error {
	if vr, ok := rt.session.(connectors.VersionReader); ok && rt.byVersion() {
		if br, ok := rt.session.(connectors.BatchReader); ok {
			return rt.versionsPage(vr, br)
		}
	}
	began := time.Now()
	ctx, cancel := rt.Request()
	defer cancel()
	rt.o.Fault("download.ask")
	page, err := rt.session.Read(ctx, connectors.ReadRequest{Table: rt.remote, Fields: rt.fields(), Checkpoint: rt.st.At, Limit: rt.size})
	if err != nil {
		return err
	}
	rt.noteTotal(page)
	rt.o.Fault("download.read")
	m := store.PageMerge{Table: rt.table, Columns: rt.cols, Records: remoteRecords(page.Records, rt.cols), First: rt.filling(rt.table), Repeats: rt.repeats, Into: rt.st.Batch, Page: rt.st.Page}
	if rt.first && !m.First {
		m.Label = "Download of more columns"
	}
	return rt.merge(m, rt.after(page), len(page.Records), began)
}

// allFilled says whether versions can tell what is missing: a column that was added later is, whatever the versions.
func allFilled(cols []core.Column) bool {
	return !slices.ContainsFunc(cols, func(c core.Column) bool { return !c.Filled })
}

func (rt *remoteReading) fields() []string {
	fields := make([]string, len(rt.cols))
	for i, c := range rt.cols {
		fields[i] = c.RemoteID
	}
	return fields
}

func remoteRecords(list []connectors.Record, cols []core.Column) []store.RemoteRecord {
	var references []int // places among the columns; most tables have few
	for k, c := range cols {
		if c.Type == core.Reference || c.Type == core.References {
			references = append(references, k)
		}
	}
	records := make([]store.RemoteRecord, len(list))
	for i, r := range list {
		for _, k := range references {
			r.Values[k] = fromService(cols[k], r.Values[k])
		}
		records[i] = store.RemoteRecord(r)
	}
	return records
}

// after gives the state after a page of the service.
func (rt *remoteReading) after(page connectors.Page) readState {
	next := rt.st.clone()
	next.Table, next.At, next.Page = rt.table.ID, page.Checkpoint, rt.st.Page+1
	next.Done[rt.table.ID] += int64(len(page.Records))
	if page.Last {
		next.Phase, next.At = removing, nil
	}
	return next
}

// merge brings a page in and takes over the state after it.
func (rt *remoteReading) merge(m store.PageMerge, next readState, read int, began time.Time) error {
	m.Checkpoint = func(c store.MergeCounts) any { return next.with(rt.table, c) }
	counts, err := rt.o.Store.MergePage(rt.ctx, rt.Job, m)
	if err != nil {
		return err
	}
	rt.o.Fault("download.merged")
	rt.st = next.with(rt.table, counts)
	rt.size, rt.repeats = fitted(rt.size, len(m.Records), counts.Held), rt.repeats || counts.Repeats
	rt.pageDone(read, time.Since(began))
	return nil
}

// fitted gives the size of the next page after one of some records held the table's lock for a while: what would hold it for
// pageHold, by at most half or double a page.
func fitted(size, records int, held time.Duration) int {
	if records == 0 || held <= 0 {
		return size
	}
	by := min(2, max(0.5, float64(pageHold)/float64(held)))
	if by > 1 && records < size {
		return size // a page that was not full says nothing about larger ones
	}
	return min(largePage, max(smallPage, int(float64(size)*by)))
}

func (rt *remoteReading) pageDone(n int, took time.Duration) {
	rt.note(func(p *store.Progress) {
		tp := &p.Tables[rt.index]
		tp.Done = rt.st.Done[rt.table.ID]
		tp.Rate = smooth(tp.Rate, float64(n)/max(took.Seconds(), 0.001))
		p.Rate, p.Done = tp.Rate, 0
		for _, x := range p.Tables {
			p.Done += x.Done
		}
	})
	rt.Progress(false)
}

// smooth lets a rate follow what was measured last without jumping.
func smooth(old, now float64) float64 {
	if old == 0 {
		return now
	}
	return 0.7*old + 0.3*now
}
