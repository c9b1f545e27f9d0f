package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// Run is one slice of a job.
type Run struct {
	*Runner
	Job      *store.Job
	By       core.Actor
	Previous string // whose lease ran out, "" when the job was handed back
	Snapshot store.Snapshot
	ctx      context.Context
	cancel   context.CancelCauseFunc
	began    time.Time
	working  time.Time  // since then, as Step sees it
	mu       sync.Mutex // guards until
	until    time.Time
	numbers  sync.Mutex // guards Job.Progress and saved
	saved    time.Time
	sessions map[string]connectors.Session
	limits   map[string]connectors.Limits // by connection
	pause    func(until time.Time)        // keeps everybody from the connection that was opened last
	beside   sync.WaitGroup               // what goes on beside the job's steps, as counting
}

var errCancelled = errors.New("cancelled")

func newRun(ctx context.Context, r *Runner, j *store.Job, previous string) *Run {
	run := &Run{Runner: r, Job: j, By: j.Actor(), Previous: previous, began: time.Now(), working: time.Now(), until: time.Now().Add(r.o.Timings.Lease),
		sessions: map[string]connectors.Session{}, limits: map[string]connectors.Limits{}}
	ctx = core.WithLogIDs(ctx, core.LogIDs{Job: j.ID, Snapshot: j.Snapshot, Person: j.Person})
	run.ctx, run.cancel = context.WithCancelCause(ctx)
	return run
}

// slice runs the job's kind and says how the slice ended; State "" is a lost lease.
func (run *Run) slice() (end store.JobEnd) {
	stop, held := make(chan struct{}), *run.Job
	run.done.Add(1)
	go run.renew(stop, &held) // a copy: the last renewal may still be on its way when the slice's end is written into the job
	defer close(stop)
	defer run.close()
	kind, ok := run.kinds[run.Job.Kind]
	if !ok {
		return failed(core.Errorf(core.Internal, "This program does not know jobs of the kind %s.", run.Job.Kind))
	}
	end = run.guarded(func() store.JobEnd { return run.work(kind) })
	if end.State == "failed" && kind.GiveUp != nil {
		return run.guarded(func() store.JobEnd {
			if err := kind.GiveUp(run); err != nil {
				run.o.Log.ErrorContext(run.ctx, "failed job left something open", "error", err)
			}
			return end
		})
	}
	return end
}

// guarded makes a panic the end of this job only.
func (run *Run) guarded(fn func() store.JobEnd) (end store.JobEnd) {
	defer func() {
		if p := recover(); p != nil {
			run.o.Log.ErrorContext(run.ctx, "job panicked", "panic", p, "stack", string(debug.Stack()))
			end = failed(core.Errorf(core.Internal, "This job hit a fault of the program. What it did until then is kept."))
		}
	}()
	return fn()
}

func (run *Run) work(kind Kind) store.JobEnd {
	if run.Job.Snapshot != "" {
		var err error
		if run.Snapshot, err = run.o.Store.SnapshotByID(run.ctx, run.By, run.Job.Snapshot); err != nil {
			return run.ended(nil, err)
		}
	}
	if run.Previous != "" && run.Job.Failures >= maxFailures {
		return failed(core.Errorf(core.Internal, "This job was interrupted %d times at the same place. What it did until then is kept.", run.Job.Failures))
	}
	result, err := kind.Run(run)
	run.markConnections(err)
	return run.ended(result, err)
}

// close ends what goes on beside, then the sessions that it uses.
func (run *Run) close() {
	run.cancel(nil)
	run.beside.Wait()
	for _, s := range run.sessions {
		s.Close()
	}
}

// markConnections keeps with the connections how their use went; the service's words go along.
func (run *Run) markConnections(err error) {
	words := ""
	var fault *connectors.Fault
	if errors.As(err, &fault) {
		switch fault.Kind {
		case connectors.SignedOut, connectors.NotAllowed, connectors.Unavailable, connectors.Broken:
			words = fault.Words
		case connectors.Limited, connectors.QuotaUsed:
			if len(run.sessions) == 1 && !fault.Unsent && !fault.Until.IsZero() {
				run.pause(fault.Until) // others need not find it out by being refused
			}
		}
	}
	for id := range run.sessions {
		if e := run.o.Store.MarkConnection(run.ctx, run.By, id, words, true); e != nil && run.ctx.Err() == nil {
			run.o.Log.WarnContext(run.ctx, "use of the connection not noted", "error", e)
		}
	}
}

func (run *Run) renew(stop chan struct{}, held *store.Job) {
	defer run.done.Done()
	tick := time.NewTicker(run.o.Timings.Renew)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if err := run.renewOnce(held); errors.Is(err, store.ErrLeaseLost) {
			run.cancel(store.ErrLeaseLost)
			return
		}
		if time.Now().After(run.Deadline().Add(run.o.Timings.Margin)) {
			run.cancel(store.ErrLeaseLost) // Postgres did not answer for a whole lease
			return
		}
		if err := context.Cause(run.ctx); err != nil {
			return
		}
	}
}

func (run *Run) renewOnce(held *store.Job) error {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run.ctx), run.o.Timings.Renew)
	defer cancel()
	_, err := run.o.Store.Renew(ctx, held, run.o.Timings.Lease)
	if err == nil {
		run.mu.Lock()
		run.until = asked.Add(run.o.Timings.Lease)
		run.mu.Unlock()
	}
	return err
}

// Deadline is the moment after which nothing may be sent.
func (run *Run) Deadline() time.Time {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.until.Add(-run.o.Timings.Margin)
}

// errSlice says that the slice is over and the job goes on in the next one.
var errSlice = errors.New("slice is over")

// Step is called between steps: it gives the reason to stop, nil to go on.
func (run *Run) Step() error {
	if err := context.Cause(run.ctx); err != nil {
		if run.stopping() {
			return errSlice
		}
		return err
	}
	if run.stopping() {
		return errSlice
	}
	if asked, err := run.o.Store.CancelAsked(run.ctx, run.Job); err == nil && asked {
		return errCancelled
	}
	if time.Since(run.working) > run.o.Timings.Slice {
		return errSlice
	}
	return nil
}

// inPlace begins the slice anew for Step: what went before led only to the place where the slice before ended, and takes the longer the farther
// that is, so a job could come to do nothing else.
func (run *Run) inPlace() { run.working = time.Now() }

// Request gives a context for one request to the service: it ends before the lease does.
func (run *Run) Request() (context.Context, context.CancelFunc) {
	until := time.Now().Add(run.o.Timings.Request)
	if d := run.Deadline(); d.Before(until) {
		until = d
	}
	return context.WithDeadline(run.ctx, until)
}

// note changes the job's numbers; it is safe beside the job's steps.
func (run *Run) note(change func(p *store.Progress)) {
	run.numbers.Lock()
	defer run.numbers.Unlock()
	change(&run.Job.Progress)
}

// aside runs fn beside the job's steps until the slice ends. A panic ends only fn.
func (run *Run) aside(fn func()) {
	run.beside.Add(1)
	go func() {
		defer run.beside.Done()
		defer func() {
			if p := recover(); p != nil {
				run.o.Log.ErrorContext(run.ctx, "panic beside a job", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		fn()
	}()
}

// progressPause is how often a job's numbers are saved at most.
const progressPause = 250 * time.Millisecond

// Progress saves the job's numbers, at most four times a second unless now.
func (run *Run) Progress(now bool) {
	run.numbers.Lock()
	defer run.numbers.Unlock()
	if !now && time.Since(run.saved) < progressPause {
		return
	}
	run.saved = time.Now()
	if err := run.o.Store.SaveProgress(run.ctx, run.Job); err != nil {
		run.o.Log.WarnContext(run.ctx, "progress not saved", "error", err)
	}
}

// Session opens a connection of the organization, once a slice.
func (run *Run) Session(connection string) (connectors.Session, error) {
	if s := run.sessions[connection]; s != nil {
		return s, nil
	}
	c, settings, err := run.o.Settings(run.ctx, run.By, connection)
	if err != nil {
		return nil, err
	}
	env := connectors.Environment{Dial: run.dial, Deadline: run.Deadline, Watch: run.o.Traces.Service}
	if run.o.Lend != nil {
		env = run.o.Lend(connection, c.Info(), env)
	}
	s, err := c.Open(run.ctx, settings, env)
	if err != nil {
		return nil, err
	}
	run.sessions[connection], run.limits[connection], run.pause = s, c.Info().Limits, env.Pause
	return s, nil
}

// maxFailures is how often in a row a job meets a passing failure before it gives up.
const maxFailures = 10

// ended maps what a kind returned to the end of the slice.
func (run *Run) ended(result any, err error) store.JobEnd {
	raw, jerr := json.Marshal(result)
	if jerr != nil || result == nil {
		raw = nil
	}
	var fault *connectors.Fault
	var waits waitFor
	switch {
	case err == nil:
		return store.JobEnd{State: "done", Result: raw}
	case errors.Is(err, store.ErrLeaseLost):
		return store.JobEnd{}
	case errors.Is(err, errCancelled):
		return store.JobEnd{State: "cancelled", Result: raw}
	case errors.Is(err, errSlice), run.stopping() && run.ctx.Err() != nil:
		return store.JobEnd{State: "queued", Failures: run.Job.Failures}
	case errors.Is(context.Cause(run.ctx), store.ErrLeaseLost):
		return store.JobEnd{}
	case errors.As(err, &waits):
		return store.JobEnd{State: "waiting", WaitingFor: waits.what, NotBefore: waits.until, Result: raw}
	case errors.As(err, &fault):
		return run.faulted(fault)
	case core.CodeOf(err) == core.Unavailable, core.CodeOf(err) == core.Busy:
		return run.tryAgain(core.SentenceOf(err))
	case store.Interrupted(err):
		return run.tryAgain("The database was interrupted.")
	}
	run.o.Log.ErrorContext(run.ctx, "job failed", "job", run.Job.ID, "error", err)
	return failed(err)
}

// waitFor makes a job wait for a person, or until a time.
type waitFor struct {
	what     string
	until    time.Time
	question string // for the person
}

func (w waitFor) Error() string { return "waits for " + w.what }

func (run *Run) faulted(f *connectors.Fault) store.JobEnd {
	switch f.Kind {
	case connectors.Limited, connectors.QuotaUsed:
		return store.JobEnd{State: "waiting", WaitingFor: "time", NotBefore: run.notBefore(f.Until), Failures: run.Job.Failures}
	case connectors.Unavailable:
		return run.tryAgain("The service does not answer: " + f.Words)
	}
	return failed(core.Wrap(f, core.Unavailable, "The service said: %s", f.Words))
}

func (run *Run) tryAgain(words string) store.JobEnd {
	n := run.Job.Failures + 1
	if n >= maxFailures {
		return failed(core.Errorf(core.Unavailable, "%s Tried %d times. What was done until then is kept.", words, n))
	}
	pause := min(time.Minute, run.o.Timings.Retry<<(n-1))
	pause += rand.N(pause/2 + 1) // #nosec G404 -- it spreads tries; nobody gains by guessing it
	return store.JobEnd{State: "waiting", WaitingFor: "time", NotBefore: time.Now().Add(pause), Failures: n,
		Error: &store.JobError{Code: string(core.Unavailable), Sentence: words + " Trying again."}}
}

func failed(err error) store.JobEnd {
	return store.JobEnd{State: "failed", Error: &store.JobError{Code: string(core.CodeOf(err)), Sentence: core.SentenceOf(err)}}
}

// notBefore gives the moment to go on after a limit: a little after the service said, and never at once.
func (run *Run) notBefore(until time.Time) time.Time {
	if soonest := time.Now().Add(run.o.Timings.Retry); until.Before(soonest) {
		until = soonest
	}
	return until.Add(rand.N(run.o.Timings.Retry + 1)) // #nosec G404 -- it spreads tries; nobody gains by guessing it
}
