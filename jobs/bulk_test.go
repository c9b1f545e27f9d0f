package jobs

import (
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// mustShelved is a library with a downloaded snapshot of n books.
func mustShelved(t *testing.T, n int) (*library, store.Snapshot) {
	t.Helper()
	l := mustLibrary(t, newShelf(n))
	sn, j := l.snapshot(t)
	r := New(l.options)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	l.ends(t, j.ID, "done")
	r.Stop()
	return l, sn
}

// replacing makes the job of a find and replace in all titles.
func (l *library) replacing(t *testing.T, sn store.Snapshot, with string) store.Job {
	t.Helper()
	j, err := l.DoLater(t.Context(), l.by, sn.ID, store.Bulk{Kind: "transform", Table: sn.Tables[0].ID, Where: store.Where{Filter: "true"}, Replace: store.Replace{Find: "Book", With: with}})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// suggested checks how many suggestions are open, and that as many batches of transforms are in the history.
func (l *library) suggested(t *testing.T, sn store.Snapshot, batches int, suggestions int64) {
	t.Helper()
	wantCount(t, "suggestions", l.table(t, sn).Counts.Suggestions, suggestions)
	if n, _ := l.batches(t, sn, "transform"); n != batches {
		t.Errorf("%d transforms are in the history, want %d", n, batches)
	}
}

func TestACommandIsDoneByAWorkerAndKeepsWhatItDid(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 30)
	l.start(t)
	end := l.ends(t, l.replacing(t, sn, "Tome").ID, "done")
	res, ok := end.BulkResult()
	if !ok || res.Cells != 30 || res.Batch == 0 || end.Progress.Done != 30 {
		t.Errorf("the job keeps %+v, progress %+v", res, end.Progress)
	}
	l.suggested(t, sn, 1, 30)
}

func TestAStopRollsACommandBackAndTheNextStartDoesIt(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 30)
	at, stopped := make(chan struct{}), make(chan struct{})
	o := l.options
	o.Fault = func(point string) {
		if point == "transform.applied" {
			close(at)
			<-stopped
		}
	}
	r := New(o)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	j := l.replacing(t, sn, "Tome")
	<-at
	go func() {
		<-r.halt // the stop has begun
		time.Sleep(500 * time.Millisecond)
		close(stopped)
	}()
	r.Stop()
	if got := l.job(t, j.ID); got.State != "queued" || got.Error != nil {
		t.Errorf("after the stop the job is %s %+v, want queued", got.State, got.Error)
	}
	l.suggested(t, sn, 0, 0)
	l.start(t)
	l.ends(t, j.ID, "done")
	l.suggested(t, sn, 1, 30)
}

func TestACancelledCommandChangesNothing(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 30)
	at, asked := make(chan struct{}), make(chan struct{})
	l.options.Fault = func(point string) {
		if point == "transform.applied" {
			close(at)
			<-asked
			time.Sleep(l.options.Timings.Renew) // many looks of the job at its row
		}
	}
	l.start(t)
	j := l.replacing(t, sn, "Tome")
	<-at
	if _, err := l.CancelJob(t.Context(), l.by, j.ID); err != nil {
		t.Fatal(err)
	}
	close(asked)
	l.ends(t, j.ID, "cancelled")
	l.suggested(t, sn, 0, 0)
}

func TestACommandWaitsForItsTableWithoutAWorker(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 30)
	tb := l.table(t, sn)
	held, err := l.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec(t.Context(), `select 1 from tables where org_id = $1 and id = $2 for no key update`, tb.Org, tb.ID); err != nil {
		t.Fatal(err)
	}
	l.start(t)
	j := l.replacing(t, sn, "Tome")
	l.waitsFor(t, j.ID, "table")
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.ends(t, j.ID, "done")
	l.suggested(t, sn, 1, 30)
}

// TestAStoppedProcessDoesNotDoItsCommandASecondTime freezes a process between its last statement and its commit, until another
// has taken the job over.
func TestAStoppedProcessDoesNotDoItsCommandASecondTime(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 30)
	frozen, wake := l.startFrozen(t, "transform.applied", 1)
	j := l.replacing(t, sn, "Tome")
	<-frozen
	l.start(t)
	end := l.ends(t, j.ID, "done")
	wake()
	if got := l.job(t, j.ID); got.State != "done" || string(got.Result) != string(end.Result) {
		t.Errorf("the stopped process changed the job: %+v", got)
	}
	l.suggested(t, sn, 1, 30)
}

func TestACommandOfSomebodyElsesOrganizationIsNotTaken(t *testing.T) {
	t.Parallel()
	l, sn := mustShelved(t, 3)
	other := l.by
	other.Org = "org_other"
	_, err := l.DoLater(t.Context(), other, sn.ID, store.Bulk{Kind: "accept", Table: sn.Tables[0].ID, Where: store.Where{Filter: "true"}})
	if core.CodeOf(err) != core.NotFound {
		t.Errorf("got %v", err)
	}
}
