package jobs

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// intoResult is what an import into a table leaves as its result, by rows of the file.
type intoResult struct {
	Records      int64              `json:"records"`
	Batch        *string            `json:"batch"` // in the history; null when nothing is suggested
	Matched      int64              `json:"matched"`
	Changed      int64              `json:"changed"`
	New          int64              `json:"new"`
	Skipped      int64              `json:"skipped"`
	Cells        int64              `json:"cells"`   // suggestions made, proposed records among them
	Misfits      int64              `json:"misfits"` // values that say nothing since they do not fit their column
	Why          map[string]int64   `json:"why"`     // of the skipped
	FirstSkipped []store.SkippedRow `json:"first_skipped"`
	FirstMisfits []importNote       `json:"first_misfits"`
	Report       csvfile.Report     `json:"report"`
}

func (st importState) intoResult() intoResult {
	r := intoResult{Records: st.Records, Matched: st.Into.Matched, Changed: st.Into.Changed, New: st.Into.New, Skipped: st.Into.Skipped, Cells: st.Into.Cells,
		Misfits: st.Misfits, Why: st.Into.Why, FirstSkipped: append([]store.SkippedRow{}, st.Into.First...), FirstMisfits: append([]importNote{}, st.First...), Report: *st.Report}
	if st.Into.Batch != "" {
		r.Batch = &st.Into.Batch
	}
	return r
}

// importInto reads an upload into a stage, a page a transaction, and makes suggestions of all of it in one.
func (im *importing) importInto() (any, error) {
	if im.st.Into != nil {
		return im.intoDone()
	}
	stage := store.StageOf(im.Job, im.table, im.args.Into.Targets)
	err := im.fillStage(stage)
	if err == nil {
		err = im.suggest(stage)
	}
	if errors.Is(err, errCancelled) {
		im.dropStage(stage)
	}
	if err != nil {
		return nil, err
	}
	im.o.Fault("import.suggested")
	return im.intoDone()
}

func (im *importing) intoDone() (any, error) {
	im.note(func(p *store.Progress) { p.Done = im.st.Records })
	im.Progress(true)
	return im.st.intoResult(), im.dropFile()
}

// endImport forgets the stage of an import that failed.
func endImport(run *Run) error {
	im := &importing{Run: run}
	if err := im.load(); err != nil || im.args.Into == nil {
		return err
	}
	return run.o.Store.DropStage(run.ctx, store.StageOf(run.Job, im.table, im.args.Into.Targets))
}

func (im *importing) dropStage(stage store.Stage) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(im.ctx), im.o.Timings.Grace)
	defer cancel()
	if err := im.o.Store.DropStage(ctx, stage); err != nil {
		im.o.Log.WarnContext(ctx, "stage not dropped", "error", err)
	}
}

func (im *importing) fillStage(stage store.Stage) error {
	if im.st.Report != nil {
		return nil
	}
	if im.st.Total == nil {
		if err := im.count(); err != nil {
			return err
		}
	}
	if err := im.o.Store.OpenStage(im.ctx, stage); err != nil {
		return err
	}
	im.progress(true)
	return im.open(func(r *csvfile.Reader) error {
		if err := im.skip(r); err != nil {
			return err
		}
		for more := true; more; {
			if err := im.Step(); err != nil {
				return err
			}
			var err error
			if more, err = im.stagePage(r, stage); err != nil {
				return err
			}
		}
		return nil
	})
}

// A page of the stage holds so many rows, or so many bytes, at most.
const (
	stagePage  = 5000
	stageBytes = 8 << 20
)

// stagePage brings the next rows in; more is false after the last.
func (im *importing) stagePage(r *csvfile.Reader, stage store.Stage) (more bool, err error) {
	next := im.st
	next.First = slices.Clone(im.st.First)
	var list []store.StagedRow
	began, bytes := time.Now(), 0
	for more = true; len(list) < stagePage && bytes < stageBytes; {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			report := r.Report()
			more, next.Report = false, &report
			break
		}
		if err != nil {
			return false, err
		}
		for _, f := range rec.Fields {
			bytes += len(f.Text)
		}
		list = append(list, im.stagedRow(rec, stage, &next))
		next.Records++
	}
	if err := im.o.Store.StageRows(im.ctx, im.Job, stage, list, next); err != nil {
		return false, err
	}
	im.o.Fault("import.staged")
	im.st = next
	im.note(func(p *store.Progress) {
		p.Rate = smooth(p.Rate, float64(len(list))/max(time.Since(began).Seconds(), 0.001))
	})
	im.progress(false)
	return more, nil
}

// stagedRow reads a row; what does not fit is noted in st and says nothing.
func (im *importing) stagedRow(rec csvfile.Record, stage store.Stage, st *importState) store.StagedRow {
	cols := stage.Columns()
	row := store.StagedRow{N: st.Records, Line: rec.Line, Values: make([]core.Value, len(cols))}
	for i, number := range im.args.Into.Targets {
		at := slices.IndexFunc(cols, func(c core.Column) bool { return c.Number == number })
		if at < 0 {
			continue
		}
		v, err := core.NullValue, error(nil)
		if i < len(rec.Fields) {
			v, err = im.intoValue(cols[at], rec.Fields[i], im.args.Columns[i].Options)
		}
		if err != nil {
			if st.Misfits++; len(st.First) < firstNotes {
				st.First = append(st.First, importNote{Line: rec.Line, Column: cols[at].Title, Reason: core.SentenceOf(err)})
			}
		}
		if err != nil || v.IsNull() && im.args.Into.SkipBlanks {
			row.Misfits = append(row.Misfits, int32(number)) // #nosec G115 -- Postgres has at most 1,600 columns in a table
			continue
		}
		row.Values[at] = v
	}
	return row
}

// intoValue reads a field as a value of a column, also of types that no file's own column has.
func (im *importing) intoValue(c core.Column, f csvfile.Field, opts csvfile.ValueOptions) (core.Value, error) {
	switch {
	case f.Null():
		return core.NullValue, nil
	case c.Type.IsList(), c.Type == core.JSON, c.Type == core.LocalTime, c.Type == core.Choice, c.Type == core.Reference:
		return core.FromInput(c, f.Text)
	}
	return im.value(c, f, opts)
}

// suggest makes suggestions of all that is staged.
func (im *importing) suggest(stage store.Stage) error {
	im.o.Fault("import.matching")
	return im.interruptible(func(ctx context.Context) error {
		next := im.st
		res, err := im.o.Store.SuggestStaged(ctx, im.Job, stage, *im.args.Into, "Import of "+im.args.File, func(res store.IntoResult) any {
			next.Into = &res
			return next
		}, func(rows int64) {
			im.note(func(p *store.Progress) { p.Done = min(rows, im.st.Records) })
			im.Progress(false)
		})
		if err == nil {
			next.Into = &res
			im.st = next
		}
		return err
	})
}
