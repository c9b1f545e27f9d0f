// Package jobs runs background work. asynq carries "look at job X"; the jobs table decides.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/internal/traces"
	"scratchpaper/internal/webhook"
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
	Retry   time.Duration // 0 is a part of Lease; the first pause after a passing failure; each further one is twice as long, at most a minute
	Grace   time.Duration // 0 is a part of Lease; how long a stop waits for the step at hand before it is cut off
}

// DefaultTimings are the ones of architecture.
func DefaultTimings() Timings {
	return Timings{Lease: 45 * time.Second, Renew: 10 * time.Second, Margin: 5 * time.Second, Request: 30 * time.Second, Slice: 60 * time.Second,
		Sweep: 2 * time.Second, Again: 30 * time.Second, Settle: 60 * time.Second, Retry: 500 * time.Millisecond, Grace: 5 * time.Second}
}

// Options are what a Runner is made of.
type Options struct {
	Store      *store.Store
	Redis      redis.UniversalClient
	Connectors map[string]connectors.Connector
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	Settings   func(ctx context.Context, by core.Actor, connection string) (connectors.Connector, connectors.Settings, error)
	// Lend gives a session's environment the turns of its connection; nil lets every request through.
	Lend    func(connection string, in connectors.Info, env connectors.Environment) connectors.Environment
	Timings Timings
	Workers int
	Log     *slog.Logger
	Fault   func(point string) // tests kill the process at named points; nil does nothing
	// Slice is told of each slice: its job's organization and kind, the state that it left it in, and how long it took; nil is not.
	Slice func(org, kind, state string, took time.Duration)
	Kinds map[string]Kind // beside the program's own, which they replace; for tests
	// Traces are told of each slice; nil is told nothing.
	Traces *traces.Traces
	// Post tells a webhook something, once, and says how it went; nil tells none.
	Post func(ctx context.Context, address string, m webhook.Message) webhook.Outcome
}

// Kind is what jobs of one kind do.
type Kind struct {
	// Run runs one slice and gives the job's result so far. It looks at Step between steps and returns what that gives.
	Run func(run *Run) (any, error)
	// GiveUp, where there is one, ends what the job began, after it failed.
	GiveUp func(run *Run) error
}

// Runner takes up jobs, one slice at a time.
type Runner struct {
	o      Options
	owner  string
	takes  atomic.Int64
	client *asynq.Client
	server *asynq.Server
	kinds  map[string]Kind
	ctx    context.Context // ends with the program, Grace after stopping
	cancel context.CancelFunc
	halt   chan struct{} // closed when slices are to end at their next step
	done   sync.WaitGroup
	stop   sync.Once
	slots  chan struct{} // one for each job that this process works on at a time
	mu     sync.Mutex    // guards open
	open   bool          // between Start and Stop
	teller *teller
}

const taskName = "job"

// New makes a runner; it does nothing before Start.
func New(o Options) *Runner {
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	if o.Timings.Retry == 0 {
		o.Timings.Retry = o.Timings.Lease / 90
	}
	if o.Timings.Grace == 0 {
		o.Timings.Grace = o.Timings.Lease / 9
	}
	r := &Runner{o: o, owner: core.NewID("wrk"), kinds: kinds(o.Kinds), halt: make(chan struct{}), slots: make(chan struct{}, max(1, o.Workers)), teller: newTeller()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.client = asynq.NewClientFromRedisClient(o.Redis)
	r.server = asynq.NewServerFromRedisClient(o.Redis, asynq.Config{
		Concurrency: o.Workers, Queues: map[string]int{"interactive": 6, "bulk": 2, "scheduled": 1}, StrictPriority: false,
		ShutdownTimeout: o.Timings.Grace + 5*time.Second, TaskCheckInterval: 200 * time.Millisecond, DelayedTaskCheckInterval: 5 * time.Second,
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
		r.done.Add(1)
		defer r.done.Done()
		r.slots <- struct{}{}
		r.inSlot(string(t.Payload()))
		return nil // the jobs table knows how it went
	})
	if err := r.server.Start(mux); err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	r.mu.Lock()
	r.open = true
	r.mu.Unlock()
	r.done.Add(1)
	go r.sweep()
	if r.o.Post != nil {
		r.o.Store.SetDeliveryWaker(r.teller.wake)
		r.done.Add(1)
		go r.tellWebhooks()
	}
	return nil
}

// Stop ends slices at their next step, cuts off after Timings.Grace what takes longer, hands the jobs back, and waits for
// all that. Twice is fine.
func (r *Runner) Stop() {
	r.stop.Do(func() {
		close(r.halt)
		r.mu.Lock()
		r.open = false
		r.mu.Unlock()
		cut := time.AfterFunc(r.o.Timings.Grace, r.cancel)
		defer cut.Stop()
		r.server.Stop()
		r.server.Shutdown()
		r.cancel()
		r.done.Wait()
		_ = r.client.Close() // it shares the Redis client, which is not ours to close, and says so
	})
}

// stopping says whether the program is to end.
func (r *Runner) stopping() bool {
	select {
	case <-r.halt:
		return true
	default:
		return r.ctx.Err() != nil
	}
}

// wakeTimeout is the longest that waking holds up a person's request: Redis may be gone.
const wakeTimeout = time.Second

// lookNow looks at a job at once if this process has a slot free: the queue would do so at its next look, up to 200 ms later.
func (r *Runner) lookNow(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return
	}
	select {
	case r.slots <- struct{}{}:
		r.done.Add(1)
		go func() {
			defer r.done.Done()
			r.inSlot(id)
		}()
	default:
	}
}

// inSlot looks at a job in a slot that it gives back.
func (r *Runner) inSlot(id string) {
	defer func() { <-r.slots }()
	r.look(id)
}

// Wake says to the queue that jobs are there, and looks at them itself. A failure is only logged: the sweeper finds them.
func (r *Runner) Wake(ctx context.Context, ids ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wakeTimeout)
	defer cancel()
	queues, err := r.o.Store.NoteEnqueued(ctx, ids...)
	if err != nil {
		r.o.Log.WarnContext(ctx, "jobs not enqueued; the sweeper will", "jobs", ids, "error", err)
	}
	for id, queue := range queues {
		r.lookNow(id)
		r.enqueue(ctx, queue, id)
	}
}

func (r *Runner) enqueue(ctx context.Context, queue, id string) {
	task := asynq.NewTask(taskName, []byte(id))
	_, err := r.client.EnqueueContext(ctx, task, asynq.Queue(queue), asynq.MaxRetry(0), asynq.Timeout(5*time.Minute))
	if err != nil && !r.stopping() {
		r.o.Log.WarnContext(ctx, "job not enqueued; the sweeper will", "job", id, "error", err)
	}
}

// uploadAge is how long a file that nobody imported is kept.
const uploadAge = 24 * time.Hour

// tryAge is how long a request with an Idempotency-Key is known.
const tryAge = 30 * 24 * time.Hour

func (r *Runner) sweep() {
	defer r.done.Done()
	tick, hour := time.NewTicker(r.o.Timings.Sweep), time.NewTicker(time.Hour)
	defer tick.Stop()
	defer hour.Stop()
	noted := aheads{}
	for {
		r.endLeasesAhead(noted)
		r.startSchedules()
		r.enqueueDue()
		select {
		case <-r.halt:
			return
		case <-tick.C:
		case <-hour.C:
			if err := r.o.Store.DropOldUploads(r.ctx, uploadAge); err != nil {
				r.o.Log.Warn("old uploads not dropped", "error", err)
			}
			if err := r.o.Store.DropOldTries(r.ctx, tryAge); err != nil {
				r.o.Log.Warn("old tries of requests not dropped", "error", err)
			}
			if err := r.o.Store.DropOldAudit(r.ctx); err != nil {
				r.o.Log.Warn("old lines of the audit log not dropped", "error", err)
			}
			if err := r.o.Store.DropEndedLists(r.ctx); err != nil {
				r.o.Log.Warn("lists of ended jobs not dropped", "error", err)
			}
			if err := r.o.Store.DropOldDeliveries(r.ctx); err != nil {
				r.o.Log.Warn("old deliveries of webhooks not dropped", "error", err)
			}
		}
	}
}

// startSchedules makes the jobs whose time of day has come. Every process looks, and one of them makes each.
func (r *Runner) startSchedules() {
	if _, err := r.o.Store.StartDue(r.ctx); err != nil && !r.stopping() {
		r.o.Log.Warn("schedules not looked at", "error", err)
	}
}

func (r *Runner) enqueueDue() {
	due, err := r.o.Store.DueJobs(r.ctx, r.o.Timings.Again)
	if err != nil && !r.stopping() {
		r.o.Log.Warn("sweep failed", "error", err)
	}
	for _, j := range due {
		r.enqueue(r.ctx, j.Queue, j.ID)
	}
}

// look takes a job up for one slice, if it is to be had.
func (r *Runner) look(id string) {
	if r.stopping() {
		return
	}
	ctx := core.WithLogIDs(r.ctx, core.LogIDs{Job: id})
	// An owner for each take: a slice that outlived its lease must not pass for the one that took over, even in this process.
	job, previous, err := r.o.Store.TakeJob(ctx, id, fmt.Sprintf("%s.%d", r.owner, r.takes.Add(1)), r.o.Timings.Lease)
	if err != nil {
		r.o.Log.WarnContext(ctx, "job not taken", "error", err)
	}
	if job == nil {
		return
	}
	ctx, told := r.o.Traces.Slice(ctx, job.TraceParent, job.Kind, job.ID)
	run := newRun(ctx, r, job, previous)
	end := run.slice()
	told(orLost(end.State))
	r.o.Log.InfoContext(run.ctx, "job", "kind", job.Kind, "state", orLost(end.State), "ms", time.Since(run.began).Milliseconds())
	if r.o.Slice != nil {
		r.o.Slice(job.Org, job.Kind, orLost(end.State), time.Since(run.began))
	}
	if end.State == "" {
		return // the lease is lost: somebody else has it
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.o.Store.EndSlice(clean, job, end); err != nil {
		r.o.Log.WarnContext(ctx, "slice not ended", "error", err)
	}
	if end.State == "queued" && !r.stopping() {
		r.Wake(clean, id)
	}
}

// orLost names the end of a slice for the log.
func orLost(state string) string {
	if state == "" {
		return "lost"
	}
	return state
}

// kinds are the kinds of jobs that the program knows, and more.
func kinds(more map[string]Kind) map[string]Kind {
	all := map[string]Kind{
		"download": {Run: download},
		"refresh":  {Run: refresh},
		"publish":  {Run: publish, GiveUp: endPublish},
		"import":   {Run: importFile, GiveUp: endImport},
	}
	for _, kind := range store.BulkKinds() {
		all[kind] = Kind{Run: bulk}
	}
	maps.Copy(all, more)
	return all
}

// Scaled gives the timings for another lease: all that follow from it keep their proportion.
func (t Timings) Scaled(lease time.Duration) Timings {
	f := float64(lease) / float64(t.Lease)
	scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) * f) }
	return Timings{Lease: lease, Renew: scale(t.Renew), Margin: scale(t.Margin), Request: scale(t.Request), Slice: scale(t.Slice),
		Sweep: max(scale(t.Sweep), 50*time.Millisecond), Again: scale(t.Again), Settle: scale(t.Settle),
		Retry: scale(t.Retry), Grace: scale(t.Grace)}
}
