package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// importState is the checkpoint: how much of the file is in, and what did not fit.
type importState struct {
	Records int64           `json:"records,omitempty"` // of the file that are in the table
	Total   *int64          `json:"total,omitempty"`   // records in the file, once they are counted
	Batch   int64           `json:"batch,omitempty"`   // in the history
	Misfits int64           `json:"misfits,omitempty"`
	First   []importNote    `json:"first,omitempty"`
	Report  *csvfile.Report `json:"report,omitempty"` // once everything is in: the file is not needed any more

	Into *store.IntoResult `json:"into,omitempty"` // of an import into a table: its suggestions are made
}

// importNote names a value that was left empty since it does not fit its column.
type importNote struct {
	Line   int64  `json:"line"`
	Column string `json:"column"`
	Reason string `json:"reason"`
}

// importResult is what an import leaves as its result.
type importResult struct {
	Records int64          `json:"records"`
	Misfits int64          `json:"misfits"` // values that were left empty
	First   []importNote   `json:"first,omitempty"`
	Report  csvfile.Report `json:"report"`
}

// firstNotes is how many values that do not fit are named one by one; the rest is counted.
const firstNotes = 100

// importing is one slice of an import.
type importing struct {
	*Run
	args  store.ImportArgs
	zone  *time.Location
	st    importState
	table store.Table
	size  int       // records of the next page
	since time.Time // when the page before was in
}

// importFile reads an upload into its table, a page a transaction. A value that does not fit its column stays null and is
// named in the result. Another slice reads the file again up to where it was, since quoted fields may hold line ends.
func importFile(run *Run) (any, error) {
	im := &importing{Run: run, size: firstPage}
	if err := im.load(); err != nil {
		return nil, err
	}
	if im.args.Into != nil {
		return im.importInto()
	}
	if im.st.Report == nil {
		if report, err := im.read(); err != nil {
			return im.result(report), err
		}
	}
	im.o.Fault("import.ended")
	if err := im.dropFile(); err != nil {
		return nil, err
	}
	return im.result(*im.st.Report), nil
}

// dropFile forgets the file, which is in.
func (im *importing) dropFile() error {
	if err := im.o.Store.DeleteUpload(im.ctx, im.By, im.args.Upload); err != nil && core.CodeOf(err) != core.NotFound {
		return err
	}
	im.o.Fault("import.dropped")
	return nil
}

// read brings the rest of the file in and notes that it is complete.
func (im *importing) read() (report csvfile.Report, err error) {
	if im.st.Total == nil {
		if err := im.count(); err != nil {
			return report, err
		}
	}
	im.progress(true)
	err = im.open(func(r *csvfile.Reader) error {
		err := im.fill(r)
		report = r.Report()
		return err
	})
	if err != nil {
		return report, err
	}
	im.o.Fault("import.complete")
	next := im.st
	next.Report = &report
	if err := im.o.Store.EndDownload(im.ctx, im.Job, im.table, nil, nil, next); err != nil {
		return report, err
	}
	im.st = next
	return report, nil
}

func (im *importing) load() (err error) {
	if err := json.Unmarshal(im.Job.Args, &im.args); err != nil {
		return fmt.Errorf("job args: %w", err)
	}
	if err := json.Unmarshal(im.Job.Checkpoint, &im.st); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	tables := im.tablesOf([]string{im.args.Table})
	if len(tables) == 0 {
		return core.Errorf(core.NotFound, "The table of this import is not here any more.")
	}
	im.table = tables[0]
	im.zone, err = time.LoadLocation(im.args.Zone)
	return err
}

// open hands the file to fn from its start.
func (im *importing) open(fn func(r *csvfile.Reader) error) error {
	f, err := im.o.Store.OpenUpload(im.ctx, im.By, im.args.Upload)
	if err != nil {
		return err
	}
	defer f.Close()
	return fn(csvfile.NewReader(f, im.args.Dialect))
}

// stepRecords is how many records go by between two looks at whether to stop.
const stepRecords = 20000

// count finds out how many records there are, so that the bar is true. Reading alone is fast.
func (im *importing) count() error {
	var n int64
	err := im.open(func(r *csvfile.Reader) error {
		for {
			if _, err := r.Read(); err != nil {
				return err
			}
			if n++; n%stepRecords == 0 {
				if err := im.mayGoOn(); err != nil {
					return err
				}
			}
		}
	})
	if !errors.Is(err, io.EOF) {
		return err
	}
	im.st.Total = &n
	return im.o.Store.Checkpointed(im.ctx, im.Job, im.st)
}

// mayGoOn is Step without the end of the slice, for what has no checkpoint in between and would begin again.
func (im *importing) mayGoOn() error {
	if err := im.Step(); err != nil && (!errors.Is(err, errSlice) || im.stopping()) {
		return err
	}
	return context.Cause(im.ctx)
}

// fill brings the file in page by page. While one is brought in, the next is read.
func (im *importing) fill(r *csvfile.Reader) error {
	if err := im.skip(r); err != nil {
		return err
	}
	im.since = time.Now()
	page := im.page(r, im.st, im.size)
	for {
		if err := im.Step(); err != nil {
			return err
		}
		if page.err != nil {
			return page.err
		}
		next := make(chan importPage, 1)
		if page.more {
			go func(st importState, size int) { next <- im.page(r, st, size) }(page.after, im.size)
		}
		err := im.merge(page)
		if !page.more {
			return err
		}
		page = <-next // also after a failure: the file is closed behind us
		if err != nil {
			return err
		}
	}
}

// skip reads over what earlier slices have brought in.
func (im *importing) skip(r *csvfile.Reader) error {
	for n := range im.st.Records {
		if _, err := r.Read(); err != nil {
			return fmt.Errorf("record %d of the file, which is in already: %w", n, err)
		}
		if n%stepRecords == 0 {
			if err := im.mayGoOn(); err != nil {
				return err
			}
		}
	}
	im.o.Fault("import.skipped")
	im.inPlace()
	return nil
}

// importPage is a part of the file.
type importPage struct {
	records []store.RemoteRecord
	after   importState // with these records in
	more    bool        // the file goes on
	err     error
}

// page reads the next records, at most size, which follow those of st.
func (im *importing) page(r *csvfile.Reader, st importState, size int) (p importPage) {
	defer func() {
		if fault := recover(); fault != nil { // it takes down this job only
			p.err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	p.after, p.more = st, true
	p.after.First = slices.Clone(st.First)
	for len(p.records) < size {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			p.more = false
			break
		}
		if err != nil {
			p.err = err
			return p
		}
		p.records = append(p.records, store.RemoteRecord{Values: im.values(rec, &p.after)})
	}
	p.after.Records += int64(len(p.records))
	return p
}

// values reads a record; what does not fit is noted in st and stays null.
func (im *importing) values(rec csvfile.Record, st *importState) []core.Value {
	out := make([]core.Value, 0, len(im.table.Columns))
	for i, from := range im.args.Columns {
		if from.Skip || len(out) == len(im.table.Columns) {
			continue
		}
		c := im.table.Columns[len(out)]
		v := core.NullValue
		if i < len(rec.Fields) {
			var err error
			if v, err = im.value(c, rec.Fields[i], from.Options); err != nil {
				v = core.NullValue
				if st.Misfits++; len(st.First) < firstNotes {
					st.First = append(st.First, importNote{Line: rec.Line, Column: c.Title, Reason: core.SentenceOf(err)})
				}
			}
		}
		out = append(out, v)
	}
	return out
}

func (im *importing) value(c core.Column, f csvfile.Field, opts csvfile.ValueOptions) (core.Value, error) {
	if f.Null() {
		return core.NullValue, nil
	}
	if c.Type == core.Markdown {
		return core.TextValue(f.Text), nil
	}
	opts.Zone = im.zone
	text, err := csvfile.Parse(c.Type, f, opts)
	if err != nil {
		return core.NullValue, err
	}
	if text == "" && c.Type != core.Text && c.Type != core.LongText {
		return core.NullValue, nil
	}
	return core.CheckValue(c, core.TextValue(text))
}

func (im *importing) merge(p importPage) error {
	if len(p.records) == 0 {
		return nil
	}
	next := p.after
	m := store.PageMerge{Table: im.table, Columns: im.table.Columns, Records: p.records, First: true, Label: "Import of " + im.args.File, Into: im.st.Batch}
	m.Checkpoint = func(c store.MergeCounts) any {
		next.Batch = c.Batch
		return next
	}
	counts, err := im.o.Store.MergePage(im.ctx, im.Job, m)
	if err != nil {
		return err
	}
	im.o.Fault("import.page")
	im.st = next
	im.size = fitted(im.size, len(p.records), counts.Held)
	im.note(func(p *store.Progress) {
		p.Rate = smooth(p.Rate, float64(len(m.Records))/max(time.Since(im.since).Seconds(), 0.001))
	})
	im.since = time.Now()
	im.progress(false)
	return nil
}

func (im *importing) progress(now bool) {
	im.note(func(p *store.Progress) {
		p.Done, p.Total = im.st.Records, im.st.Total
		p.Tables = []store.TableProgress{{ID: im.table.ID, Title: im.table.Title, Done: p.Done, Total: p.Total, Rate: p.Rate, State: "running"}}
		if p.Total != nil && p.Done == *p.Total {
			p.Tables[0].State = "done"
		}
	})
	im.Progress(now)
}

func (im *importing) result(report csvfile.Report) importResult {
	im.progress(true)
	return importResult{Records: im.st.Records, Misfits: im.st.Misfits, First: im.st.First, Report: report}
}
