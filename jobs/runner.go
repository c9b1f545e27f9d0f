// Package jobs runs background work. asynq carries "look at job X"; the jobs table decides.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// Timings are how long things last. Tests run them at a twentieth.
type Timings struct {
	Lease   time.Duration // how long a worker holds a job without renewing
	Renew   time.Duration
	Margin  time.Duration // no request to a service ends later than this before the lease
	Request time.Duration // the longest request to a service
	Slice   time.Duration // the longest piece of a job; then it is queued again
	Sweep   time.Duration
	Again   time.Duration // a job is enqueued at most once in this time
	Settle  time.Duration // nothing found in sending is judged earlier than this after it was sent
}

// DefaultTimings are the ones of architecture.
func DefaultTimings() Timings {
	return Timings{Lease: 45 * time.Second, Renew: 10 * time.Second, Margin: 5 * time.Second, Request: 30 * time.Second, Slice: 60 * time.Second,
		Sweep: 2 * time.Second, Again: 30 * time.Second, Settle: 60 * time.Second}
}

// Options are what a Runner is made of.
type Options struct {
	Store      *store.Store
	Redis      redis.UniversalClient
	Connectors map[string]connectors.Connector
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	Settings   func(ctx context.Context, by core.Actor, connection string) (connectors.Connector, connectors.Settings, error)
	Timings    Timings
	Workers    int
	Log        *slog.Logger
	Fault      func(point string) // tests kill the process at named points; nil does nothing
}

// Runner takes up jobs, one slice at a time.
type Runner struct {
	o      Options
	owner  string
	client *asynq.Client
	server *asynq.Server
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	stop   sync.Once
}

const taskName = "job"

// New makes a runner; it does nothing before Start.
func New(o Options) *Runner {
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	r := &Runner{o: o, owner: core.NewID("wrk")}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.client = asynq.NewClientFromRedisClient(o.Redis)
	r.server = asynq.NewServerFromRedisClient(o.Redis, asynq.Config{
		Concurrency: o.Workers, Queues: map[string]int{"interactive": 6, "bulk": 2, "scheduled": 1}, StrictPriority: false,
		ShutdownTimeout: 5 * time.Second, TaskCheckInterval: 200 * time.Millisecond, DelayedTaskCheckInterval: 5 * time.Second,
		Logger: quiet{o.Log}, LogLevel: asynq.ErrorLevel,
	})
	return r
}

// quiet passes asynq's own words on as warnings.
type quiet struct{ log *slog.Logger }

func (q quiet) Debug(...any)      {}
func (q quiet) Info(...any)       {}
func (q quiet) Warn(args ...any)  { q.log.Warn(fmt.Sprint(args...)) }
func (q quiet) Error(args ...any) { q.log.Warn(fmt.Sprint(args...)) }
func (q quiet) Fatal(args ...any) { q.log.Error(fmt.Sprint(args...)) }

// Start begins to take up jobs and to sweep.
func (r *Runner) Start() error {
	mux := asynq.NewServeMux()
	mux.HandleFunc(taskName, func(_ context.Context, t *asynq.Task) error {
		r.look(string(t.Payload()))
		return nil // the jobs table knows how it went
	})
	if err := r.server.Start(mux); err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	r.done.Add(1)
	go r.sweep()
	return nil
}

// Stop ends slices at their next step and waits for them. Twice is fine.
func (r *Runner) Stop() {
	r.stop.Do(func() {
		r.cancel()
		r.server.Stop()
		r.server.Shutdown()
		r.done.Wait()
	})
}

// Wake says to the queue that jobs are there. A failure is only logged: the sweeper finds them.
func (r *Runner) Wake(ctx context.Context, ids ...string) {
	for _, id := range ids {
		r.enqueue(ctx, "interactive", id)
	}
}

func (r *Runner) enqueue(ctx context.Context, queue, id string) {
	task := asynq.NewTask(taskName, []byte(id))
	_, err := r.client.EnqueueContext(context.WithoutCancel(ctx), task, asynq.Queue(queue), asynq.MaxRetry(0), asynq.Timeout(5*time.Minute))
	if err != nil {
		r.o.Log.WarnContext(ctx, "job not enqueued; the sweeper will", "job", id, "error", err)
	}
}

func (r *Runner) sweep() {
	defer r.done.Done()
	tick := time.NewTicker(r.o.Timings.Sweep)
	defer tick.Stop()
	for {
		due, err := r.o.Store.DueJobs(r.ctx, r.o.Timings.Again)
		if err != nil && r.ctx.Err() == nil {
			r.o.Log.Warn("sweep failed", "error", err)
		}
		for _, j := range due {
			r.enqueue(r.ctx, j.Queue, j.ID)
		}
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes a job up for one slice, if it is to be had.
func (r *Runner) look(id string) {
	ctx := core.WithLogIDs(r.ctx, core.LogIDs{Job: id})
	job, previous, err := r.o.Store.TakeJob(ctx, id, r.owner, r.o.Timings.Lease)
	if err != nil {
		r.o.Log.WarnContext(ctx, "job not taken", "job", id, "error", err)
	}
	if job == nil {
		return
	}
	run := newRun(ctx, r, job, previous)
	end := run.slice()
	if end.State == "" {
		return // the lease is lost: somebody else has it
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.o.Store.EndSlice(clean, job, end); err != nil {
		r.o.Log.WarnContext(ctx, "slice not ended", "job", id, "error", err)
	}
	if end.State == "queued" && r.ctx.Err() == nil {
		r.enqueue(ctx, job.Queue, id)
	}
}

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
	mu       sync.Mutex
	until    time.Time
	asked    bool // to cancel
	saved    time.Time
	sessions map[string]connectors.Session
}

var errCancelled = errors.New("cancelled")

func newRun(ctx context.Context, r *Runner, j *store.Job, previous string) *Run {
	run := &Run{Runner: r, Job: j, By: j.Actor(), Previous: previous, began: time.Now(), until: time.Now().Add(r.o.Timings.Lease), sessions: map[string]connectors.Session{}}
	ctx = core.WithLogIDs(ctx, core.LogIDs{Job: j.ID, Snapshot: j.Snapshot, Person: j.Person})
	run.ctx, run.cancel = context.WithCancelCause(ctx)
	return run
}

// slice runs the job's kind and says how the slice ended; State "" is a lost lease.
func (run *Run) slice() (end store.JobEnd) {
	stop := make(chan struct{})
	run.done.Add(1)
	go run.renew(stop)
	defer close(stop)
	defer run.cancel(nil)
	defer run.closeSessions()
	defer func() {
		if p := recover(); p != nil {
			run.o.Log.ErrorContext(run.ctx, "job panicked", "job", run.Job.ID, "panic", p)
			end = failed(core.Errorf(core.Internal, "This job hit a fault of the program. What it did until then is kept."))
		}
	}()
	work, ok := kinds[run.Job.Kind]
	if !ok {
		return failed(core.Errorf(core.Internal, "This program does not know jobs of the kind %s.", run.Job.Kind))
	}
	if run.Job.Snapshot != "" {
		var err error
		if run.Snapshot, err = run.o.Store.SnapshotByID(run.ctx, run.By, run.Job.Snapshot); err != nil {
			return run.ended(nil, err)
		}
	}
	result, err := work(run)
	return run.ended(result, err)
}

func (run *Run) renew(stop chan struct{}) {
	defer run.done.Done()
	tick := time.NewTicker(run.o.Timings.Renew)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		asked := time.Now()
		cancelled, err := run.o.Store.Renew(context.WithoutCancel(run.ctx), run.Job, run.o.Timings.Lease)
		switch {
		case errors.Is(err, store.ErrLeaseLost):
			run.cancel(store.ErrLeaseLost)
			return
		case err == nil:
			run.mu.Lock()
			run.until, run.asked = asked.Add(run.o.Timings.Lease), run.asked || cancelled
			run.mu.Unlock()
		}
	}
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
		if run.Runner.ctx.Err() != nil {
			return errSlice
		}
		return err
	}
	if asked, err := run.o.Store.CancelAsked(run.ctx, run.Job); err == nil && asked {
		return errCancelled
	}
	if time.Since(run.began) > run.o.Timings.Slice {
		return errSlice
	}
	return nil
}

// Request gives a context for one request to the service: it ends before the lease does.
func (run *Run) Request() (context.Context, context.CancelFunc) {
	until := time.Now().Add(run.o.Timings.Request)
	if d := run.Deadline(); d.Before(until) {
		until = d
	}
	return context.WithDeadline(run.ctx, until)
}

// Progress saves the job's numbers, at most four times a second unless now.
func (run *Run) Progress(now bool) {
	if !now && time.Since(run.saved) < 250*time.Millisecond {
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
	s, err := c.Open(run.ctx, settings, connectors.Environment{Dial: run.o.Dial, Deadline: run.Deadline})
	if err != nil {
		return nil, err
	}
	run.sessions[connection] = s
	return s, nil
}

func (run *Run) closeSessions() {
	for _, s := range run.sessions {
		s.Close()
	}
}

// maxFailures is how often in a row a job meets a passing failure before it gives up.
const maxFailures = 8

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
	case errors.Is(err, errSlice), run.Runner.ctx.Err() != nil:
		return store.JobEnd{State: "queued", Failures: run.Job.Failures}
	case errors.As(err, &waits):
		return store.JobEnd{State: "waiting", WaitingFor: waits.what, NotBefore: waits.until, Result: raw}
	case errors.As(err, &fault):
		return run.faulted(fault)
	case core.CodeOf(err) == core.Unavailable, core.CodeOf(err) == core.Busy:
		return run.tryAgain(core.SentenceOf(err))
	}
	run.o.Log.ErrorContext(run.ctx, "job failed", "job", run.Job.ID, "error", err)
	return failed(err)
}

// waitFor makes a job wait for a person, or until a time.
type waitFor struct {
	what  string
	until time.Time
}

func (w waitFor) Error() string { return "waits for " + w.what }

func (run *Run) faulted(f *connectors.Fault) store.JobEnd {
	switch f.Kind {
	case connectors.Limited, connectors.QuotaUsed:
		return store.JobEnd{State: "waiting", WaitingFor: "time", NotBefore: f.Until}
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
	pause := min(time.Minute, time.Duration(1<<n)*250*time.Millisecond)
	pause += rand.N(pause / 2)
	return store.JobEnd{State: "waiting", WaitingFor: "time", NotBefore: time.Now().Add(pause), Failures: n,
		Error: &store.JobError{Code: string(core.Unavailable), Sentence: words + " Trying again."}}
}

func failed(err error) store.JobEnd {
	return store.JobEnd{State: "failed", Error: &store.JobError{Code: string(core.CodeOf(err)), Sentence: core.SentenceOf(err)}}
}

// kinds are the kinds of jobs. Each runs one slice and gives the job's result.
var kinds = map[string]func(run *Run) (any, error){
	"download": download,
	"refresh":  refresh,
	"publish":  publish,
}
