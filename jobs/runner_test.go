package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hibiken/asynq"
	"scratchpaper/connectors"

	"scratchpaper/internal/core"
	"scratchpaper/internal/redistest"
	"scratchpaper/store"
)

func TestAJobWhoseWorkerDiedIsTakenOverAndEnds(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	var previous atomic.Value
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) { previous.Store(run.Previous); return "done", nil }}
	j := l.enqueue(t, "work")
	if taken, _, err := l.TakeJob(t.Context(), j.ID, "dead", 300*time.Millisecond); err != nil || taken == nil {
		t.Fatalf("not taken: %v", err)
	}
	l.start(t)
	end := l.ends(t, j.ID, "done")
	if previous.Load() != "dead" {
		t.Errorf("the worker before was %v", previous.Load())
	}
	if string(end.Result) != `"done"` || end.FinishedAt == nil {
		t.Errorf("ended as %+v", end)
	}
}

// A job does not wait for the queue's next look when the process that made it has a worker free, and takes no more than it has.
func TestAJobBeginsAtOnceWhereAWorkerIsFree(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Workers = 2
	queues := asynq.NewInspectorFromRedisClient(l.options.Redis)
	for _, q := range []string{"interactive", "bulk", "scheduled"} {
		if err := queues.PauseQueue(q); err != nil {
			t.Fatal(err)
		}
	}
	begun, goOn := make(chan string, 3), make(chan struct{})
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		begun <- run.Job.ID
		<-goOn
		return nil, nil
	}}
	l.start(t)
	one, two := l.enqueue(t, "work"), l.enqueue(t, "work")
	<-begun
	<-begun
	third := l.enqueue(t, "work")
	close(goOn)
	l.ends(t, one.ID, "done")
	l.ends(t, two.ID, "done")
	if j := l.job(t, third.ID); j.State != "queued" {
		t.Errorf("with two workers a third job is %s", j.State)
	}
	for _, q := range []string{"interactive", "bulk", "scheduled"} {
		if err := queues.UnpauseQueue(q); err != nil {
			t.Fatal(err)
		}
	}
	l.ends(t, third.ID, "done")
}

func TestAJobIsRunByOneWorkerHoweverOftenItIsDelivered(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	var runs, at, most atomic.Int64
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		runs.Add(1)
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer at.Add(-1)
		select {
		case <-run.ctx.Done():
		case <-time.After(50 * time.Millisecond): // long enough for a second worker to come by
		}
		return nil, nil
	}}
	one, two := l.start(t), l.start(t)
	j := l.enqueue(t, "work")
	for range 20 {
		one.enqueue(t.Context(), "bulk", j.ID)
		two.enqueue(t.Context(), "interactive", j.ID)
	}
	l.ends(t, j.ID, "done")
	last := l.enqueue(t, "work")
	l.ends(t, last.ID, "done")
	if runs.Load() != 2 || most.Load() > 2 {
		t.Errorf("two jobs ran %d times", runs.Load())
	}
}

func TestAWorkerThatLostItsLeaseKeepsNothingAndStops(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	stopped := make(chan error, 1)
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		_, err := run.o.Store.Pool().Exec(run.ctx, `update jobs set owner = 'other', lease_until = now() + interval '1 hour' where org_id = $1 and id = $2`, run.Job.Org, run.Job.ID)
		if err != nil {
			return nil, err
		}
		if err := run.o.Store.Checkpointed(run.ctx, run.Job, map[string]int{"page": 1}); !errors.Is(err, store.ErrLeaseLost) {
			return nil, fmt.Errorf("the checkpoint of a lost job: %w", err)
		}
		<-run.ctx.Done()
		stopped <- context.Cause(run.ctx)
		return "mine", nil
	}}
	l.start(t)
	j := l.enqueue(t, "work")
	select {
	case err := <-stopped:
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("stopped by %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it goes on with the job: %+v", l.job(t, j.ID))
	}
	if got := l.job(t, j.ID); got.Owner != "other" || got.State != "running" || string(got.Checkpoint) != "{}" || got.Result != nil {
		t.Errorf("the other worker's job is %+v", got)
	}
}

func TestCancelStopsAJobBetweenItsSteps(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	began := make(chan struct{}, 1)
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		for n := 0; ; n++ {
			if err := run.Step(); err != nil {
				return n, err
			}
			select {
			case began <- struct{}{}:
			default:
			}
			time.Sleep(time.Millisecond) // the work of a step
		}
	}}
	l.start(t)
	j := l.enqueue(t, "work")
	<-began
	if _, err := l.CancelJob(t.Context(), l.by, j.ID); err != nil {
		t.Fatal(err)
	}
	if end := l.ends(t, j.ID, "cancelled"); end.Result == nil {
		t.Error("what was done until then is not told")
	}
	if _, err := l.CancelJob(t.Context(), l.by, j.ID); core.CodeOf(err) != core.Conflict {
		t.Errorf("cancelling what has ended: %v", err)
	}
	other := l.by
	other.Org = "org_other"
	if _, err := l.CancelJob(t.Context(), other, j.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("somebody else's job: %v", err)
	}
}

func TestAPanicFailsItsOwnJobOnly(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	var gaveUp atomic.Bool
	l.options.Kinds["broken"] = Kind{Run: func(*Run) (any, error) { panic("oh") }, GiveUp: func(*Run) error { gaveUp.Store(true); return nil }}
	l.options.Kinds["fine"] = Kind{Run: func(*Run) (any, error) { return nil, nil }}
	l.start(t)
	broken, fine := l.enqueue(t, "broken"), l.enqueue(t, "fine")
	l.ends(t, fine.ID, "done")
	if end := l.ends(t, broken.ID, "failed"); end.Error == nil || contains(end.Error.Sentence, "oh") || !gaveUp.Load() {
		t.Errorf("ended with %+v, given up: %t", end.Error, gaveUp.Load())
	}
}

func TestFailuresOfTheService(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []error // one for each slice; then it works
		state  string
		says   string
		slices int
	}{
		"a passing failure is tried again":       {[]error{&connectors.Fault{Kind: connectors.Unavailable, Words: "502"}, &connectors.Fault{Kind: connectors.Unavailable, Words: "502"}}, "done", "", 3},
		"a limit is waited for":                  {[]error{&connectors.Fault{Kind: connectors.Limited, Words: "slow down", Until: time.Now().Add(time.Second)}}, "done", "", 2},
		"a limit without an end is waited for":   {[]error{&connectors.Fault{Kind: connectors.QuotaUsed}}, "done", "", 2},
		"a signed out credential ends the job":   {[]error{&connectors.Fault{Kind: connectors.SignedOut, Words: "token revoked"}}, "failed", "token revoked", 1},
		"a refusal ends the job with its reason": {[]error{core.Errorf(core.Conflict, "No.")}, "failed", "No.", 1},
		"a fault of ours shows nothing of it":    {[]error{errors.New("secret")}, "failed", "went wrong", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustLibrary(t, nil)
			var slices atomic.Int64
			l.options.Kinds["work"] = Kind{Run: func(*Run) (any, error) {
				if n := int(slices.Add(1)); n <= len(c.faults) {
					return nil, c.faults[n-1]
				}
				return nil, nil
			}}
			l.start(t)
			j := l.ends(t, l.enqueue(t, "work").ID, c.state)
			if int(slices.Load()) != c.slices {
				t.Errorf("ran %d slices, want %d", slices.Load(), c.slices)
			}
			if c.says != "" && (j.Error == nil || !contains(j.Error.Sentence, c.says)) || c.says == "" && j.Error != nil {
				t.Errorf("it says %+v, want %q", j.Error, c.says)
			}
		})
	}
}

func TestPassingFailuresInARowEndAJobUnlessItGetsFurther(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	var slices atomic.Int64
	away := &connectors.Fault{Kind: connectors.Unavailable, Words: "nobody home"}
	l.options.Kinds["stuck"] = Kind{Run: func(*Run) (any, error) { slices.Add(1); return nil, away }}
	l.options.Kinds["slow"] = Kind{Run: func(run *Run) (any, error) {
		var page int
		_ = json.Unmarshal(run.Job.Checkpoint, &page) // {} at first
		if page++; page > 2*maxFailures {
			return page, nil
		}
		if err := run.o.Store.Checkpointed(run.ctx, run.Job, page); err != nil {
			return nil, err
		}
		return nil, away
	}}
	l.start(t)
	stuck, slow := l.enqueue(t, "stuck"), l.enqueue(t, "slow")
	if j := l.ends(t, stuck.ID, "failed"); slices.Load() != maxFailures || !contains(j.Error.Sentence, "nobody home") {
		t.Errorf("%d slices, then %+v", slices.Load(), j.Error)
	}
	l.ends(t, slow.ID, "done")
}

func TestAJobThatKillsItsWorkersEnds(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Kinds["deadly"] = Kind{Run: func(*Run) (any, error) { return nil, errors.New("was run once more") }}
	j := l.enqueue(t, "deadly")
	for n := range maxFailures {
		taken, _, err := l.TakeJob(t.Context(), j.ID, fmt.Sprint("dead ", n), time.Microsecond)
		if err != nil || taken == nil || taken.Failures != n {
			t.Fatalf("take %d: %+v %v", n, taken, err)
		}
	}
	l.start(t)
	if end := l.ends(t, j.ID, "failed"); !contains(end.Error.Sentence, "interrupted") {
		t.Errorf("it says %+v", end.Error)
	}
}

func TestJobsOfOneConnectionRunOneAtATime(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	var at, most atomic.Int64
	release := make(chan struct{})
	hold := func(run *Run) (any, error) {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer at.Add(-1)
		<-release
		return nil, nil
	}
	l.options.Kinds["download"], l.options.Kinds["refresh"] = Kind{Run: hold}, Kind{Run: hold}
	l.options.Kinds["other"] = Kind{Run: func(*Run) (any, error) { return nil, nil }}
	l.start(t)
	l.start(t)
	ids := map[string]string{}
	for _, kind := range []string{"download", "refresh"} {
		j, err := l.Enqueue(t.Context(), l.by, store.NewJob{Kind: kind, Label: kind, Connection: l.con.ID})
		if err != nil {
			t.Fatal(err)
		}
		ids[kind] = j.ID
	}
	waiting := ""
	l.wait(t, "one of them to wait for the connection", func() bool {
		for _, id := range ids {
			if l.job(t, id).WaitingFor == "connection" {
				waiting = id
			}
		}
		return waiting != ""
	})
	l.ends(t, l.enqueue(t, "other").ID, "done")
	close(release)
	for _, id := range ids {
		l.ends(t, id, "done")
	}
	if most.Load() != 1 {
		t.Errorf("%d jobs of one connection ran at once", most.Load())
	}
}

func TestALongJobGoesOnInItsNextSlice(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Timings.Slice = 20 * time.Millisecond
	var slices atomic.Int64
	l.options.Kinds["long"] = Kind{Run: func(run *Run) (any, error) {
		slices.Add(1)
		var step int
		_ = json.Unmarshal(run.Job.Checkpoint, &step) // {} at first
		for ; step < 30; step++ {
			if err := run.Step(); err != nil {
				return nil, err
			}
			time.Sleep(3 * time.Millisecond) // the work of a step
			if err := run.o.Store.Checkpointed(run.ctx, run.Job, step+1); err != nil {
				return nil, err
			}
		}
		return step, nil
	}}
	l.start(t)
	if j := l.ends(t, l.enqueue(t, "long").ID, "done"); string(j.Result) != "30" || slices.Load() < 3 {
		t.Errorf("%s steps in %d slices", j.Result, slices.Load())
	}
}

func TestAStopHandsTheJobBackAndAnotherGoesOn(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	began := make(chan string, 10)
	finish := make(chan struct{})
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		began <- run.Previous
		for {
			if err := run.Step(); err != nil {
				return nil, err
			}
			select {
			case <-finish:
				return nil, nil
			case <-run.ctx.Done():
			case <-time.After(5 * time.Millisecond): // a step
			}
		}
	}}
	first := l.start(t)
	j := l.enqueue(t, "work")
	<-began
	first.Stop()
	first.Stop()
	if got := l.job(t, j.ID); got.State != "queued" || got.Owner != "" || got.Failures != 0 {
		t.Fatalf("after the stop the job is %+v", got)
	}
	close(finish)
	l.start(t)
	l.ends(t, j.ID, "done")
	if previous := <-began; previous != "" {
		t.Errorf("a job that was handed back counts as lost by %s", previous)
	}
}

func TestAStopCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	began := make(chan struct{}, 1)
	l.options.Kinds["deaf"] = Kind{Run: func(run *Run) (any, error) {
		began <- struct{}{}
		<-run.ctx.Done()
		return nil, run.ctx.Err()
	}}
	r := l.start(t)
	j := l.enqueue(t, "deaf")
	<-began
	r.Stop()
	if got := l.job(t, j.ID); got.State != "queued" {
		t.Errorf("the job is %s", got.State)
	}
}

func TestAJobWaitsForAPersonAndGoesOn(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Kinds["ask"] = Kind{Run: func(run *Run) (any, error) {
		var st struct{ Continued bool }
		if err := json.Unmarshal(run.Job.Checkpoint, &st); err != nil || st.Continued {
			return nil, err
		}
		return map[string]string{"question": "Really?"}, waitFor{what: "person"}
	}}
	l.start(t)
	j := l.waitsFor(t, l.enqueue(t, "ask").ID, "person")
	if !contains(string(j.Result), "Really?") {
		t.Errorf("it asks %s", j.Result)
	}
	other := l.by
	other.Org = "org_other"
	if _, err := l.ContinueJob(t.Context(), other, j.ID); err == nil {
		t.Error("another organization let it go on")
	}
	if _, err := l.ContinueJob(t.Context(), l.by, j.ID); err != nil {
		t.Fatal(err)
	}
	l.ends(t, j.ID, "done")
	if _, err := l.ContinueJob(t.Context(), l.by, j.ID); core.CodeOf(err) != core.Conflict {
		t.Errorf("a job that has ended goes on: %v", err)
	}
}

func TestAPersonLearnsOnceWhatEnded(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Kinds["work"] = Kind{Run: func(*Run) (any, error) { return nil, nil }}
	l.start(t)
	j := l.enqueue(t, "work")
	l.ends(t, j.ID, "done")
	colleague := l.by
	colleague.Person = "per_other"
	if list, err := l.EndedJobs(t.Context(), colleague); err != nil || len(list) != 0 {
		t.Errorf("a colleague is told of %d: %v", len(list), err)
	}
	list, err := l.EndedJobs(t.Context(), l.by)
	if err != nil || len(list) != 1 || list[0].ID != j.ID {
		t.Fatalf("told of %+v: %v", list, err)
	}
	if err := l.SeeJobs(t.Context(), l.by, j.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := l.EndedJobs(t.Context(), l.by); err != nil || len(list) != 0 {
		t.Errorf("told again of %d: %v", len(list), err)
	}
}

func TestLosingRedisLosesNoJob(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Address(), MaxRetries: -1, DialTimeout: 500 * time.Millisecond})
	t.Cleanup(func() { client.Close() })
	l.options.Redis = client
	began, release := make(chan struct{}, 100), make(chan struct{})
	l.options.Kinds["work"] = Kind{Run: func(*Run) (any, error) { began <- struct{}{}; <-release; return nil, nil }}
	l.options.Workers = 1
	l.start(t)
	var jobs []store.Job
	for range 10 {
		jobs = append(jobs, l.enqueue(t, "work"))
	}
	<-began // one runs, nine are in Redis
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	close(release)
	for _, j := range jobs {
		l.ends(t, j.ID, "done")
	}
	server.Kill()
	late := l.enqueue(t, "work")
	server.Start()
	l.ends(t, late.ID, "done")
}

func TestTheJobsOfAnOrganizationAreItsOwn(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	_, err := l.Pool().Exec(t.Context(), `insert into organizations (id, name) values ('org_other', 'Other')`)
	if err != nil {
		t.Fatal(err)
	}
	mine := l.enqueue(t, "work")
	other := core.System("org_other")
	theirs, err := l.Enqueue(t.Context(), other, store.NewJob{Kind: "work", Label: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.JobByID(t.Context(), l.by, theirs.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("their job is seen: %v", err)
	}
	list, err := l.Jobs(t.Context(), l.by, store.JobsFilter{})
	if err != nil || len(list) != 1 || list[0].ID != mine.ID {
		t.Errorf("the list has %d: %v", len(list), err)
	}
}

func TestTheSweeperGivesEachJobOnceInAWhileWhoeverAsks(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	for range 30 {
		l.enqueue(t, "work")
	}
	seen := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			due, err := l.DueJobs(t.Context(), time.Minute)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, j := range due {
				seen[j.ID]++
			}
		})
	}
	wg.Wait()
	// Rows that another sweeper held are passed over, and come with the next look.
	due, err := l.DueJobs(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range due {
		seen[j.ID]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %s was given %d times", id, n)
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d of 30 jobs were given", len(seen))
	}
	if _, err := l.Pool().Exec(t.Context(), `update jobs set enqueued_at = now() - interval '2 minutes' where org_id = $1`, l.by.Org); err != nil {
		t.Fatal(err)
	}
	if due, err := l.DueJobs(t.Context(), time.Minute); err != nil || len(due) != 30 {
		t.Errorf("a minute later %d are given: %v", len(due), err)
	}
}

func TestALeaseOfTheProcessBeforeCanBeEnded(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	j := l.enqueue(t, "work")
	if taken, _, err := l.TakeJob(t.Context(), j.ID, "before", time.Hour); err != nil || taken == nil {
		t.Fatal(err)
	}
	if again, _, err := l.TakeJob(t.Context(), j.ID, "after", time.Hour); err != nil || again != nil {
		t.Fatalf("a held job was taken: %v", err)
	}
	if err := l.EndLeases(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, previous, err := l.TakeJob(t.Context(), j.ID, "after", time.Hour)
	if err != nil || again == nil || previous != "before" {
		t.Fatalf("not taken over from %q: %v", previous, err)
	}
}
