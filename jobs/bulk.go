package jobs

import (
	"context"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// tablePause is after how long a command that found its table busy tries again, as a part of the lease.
const tablePause = 45

// bulk does a command over many cells: one transaction, which commits only while the job is held. A stop or a cancel rolls
// it back; after a stop it begins again.
func bulk(run *Run) (any, error) {
	kind := run.Job.Kind
	run.o.Fault(kind + ".begun")
	var res store.BulkResult
	err := run.interruptible(func(ctx context.Context) (err error) {
		res, err = run.o.Store.RunBulk(ctx, run.Job, func(point string, done, total int64) {
			run.note(func(p *store.Progress) {
				if p.Done = done; total > 0 {
					p.Total = &total
				}
			})
			run.Progress(false)
			run.o.Fault(kind + "." + point)
		})
		return err
	})
	if err != nil {
		res, err = run.outcome(err)
	}
	if core.CodeOf(err) == core.Busy {
		return nil, waitFor{what: "table", until: time.Now().Add(run.o.Timings.Lease / tablePause)}
	}
	if err != nil {
		return nil, err
	}
	run.o.Fault(kind + ".committed")
	run.note(func(p *store.Progress) { p.Done, p.Total = res.Cells, &res.Cells })
	return res, nil
}

// outcome tells, after a transaction broke off, whether it was committed all the same: its last answer may have been lost.
func (run *Run) outcome(cause error) (store.BulkResult, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run.ctx), run.o.Timings.Grace)
	defer cancel()
	if res, done, err := run.o.Store.BulkOutcome(ctx, run.Job); err == nil && done {
		return res, nil
	}
	return store.BulkResult{}, cause
}

// interruptible runs what has no steps of its own, until the job is cancelled or the program stops.
func (run *Run) interruptible(fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(run.ctx)
	defer cancel(nil)
	run.aside(func() {
		tick := time.NewTicker(run.o.Timings.Renew / 20)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-run.halt:
				cancel(errSlice)
				return
			case <-tick.C:
			}
			if asked, err := run.o.Store.CancelAsked(ctx, run.Job); err == nil && asked {
				cancel(errCancelled)
				return
			}
		}
	})
	err := fn(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}
