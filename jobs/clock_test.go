package jobs

import (
	"testing"
	"time"
)

// TestAClockThatWasSetBackHoldsNoJob puts the times of a job a day ahead, as when the clock was a day ahead and is right now.
func TestAClockThatWasSetBackHoldsNoJob(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]string{
		"queued": `update jobs set enqueued_at = now() + interval '1 day' where org_id = $1 and id = $2`,
		"waiting": `update jobs set state = 'waiting', waiting_for = 'connection', enqueued_at = now() + interval '1 day',
			not_before = now() + interval '1 day' where org_id = $1 and id = $2`,
		"running": `update jobs set state = 'running', owner = 'dead', lease_until = now() + interval '1 day',
			enqueued_at = now() + interval '1 day' where org_id = $1 and id = $2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := mustLibrary(t, nil)
			l.options.Kinds["work"] = Kind{Run: func(*Run) (any, error) { return nil, nil }}
			j := l.enqueue(t, "work")
			if _, err := l.Pool().Exec(t.Context(), ahead, l.by.Org, j.ID); err != nil {
				t.Fatal(err)
			}
			l.start(t)
			l.ends(t, j.ID, "done")
		})
	}
}

// TestAWorkerThatRenewsKeepsItsLeaseWhenTheClockIsSetBack sets the lease ahead once; the worker's next renewal puts it right.
func TestAWorkerThatRenewsKeepsItsLeaseWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	began, end := make(chan string, 10), make(chan struct{})
	l.options.Kinds["work"] = Kind{Run: func(run *Run) (any, error) {
		began <- run.Job.Owner
		select {
		case <-end:
		case <-run.ctx.Done():
			return nil, run.Step()
		}
		return nil, nil
	}}
	l.start(t)
	j := l.enqueue(t, "work")
	owner := <-began
	if _, err := l.Pool().Exec(t.Context(), `update jobs set lease_until = lease_until + interval '1 day' where org_id = $1 and id = $2`, l.by.Org, j.ID); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ahead, err := l.LeasesAhead(t.Context(), l.options.Timings.Lease)
		if err != nil {
			t.Fatal(err)
		}
		if len(ahead) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease is not renewed")
		}
	}
	var held bool
	err := l.Pool().QueryRow(t.Context(), `select owner = $3 and lease_until > clock_timestamp() from jobs where org_id = $1 and id = $2`, l.by.Org, j.ID, owner).Scan(&held)
	if err != nil || !held {
		t.Errorf("the worker does not hold the job any more: %v", err)
	}
	close(end)
	l.ends(t, j.ID, "done")
}
