package jobs

import "time"

// aheads notes since when leases that end too far ahead have stood as they are. Only the sweeper's goroutine uses it.
type aheads map[string]ahead

type ahead struct {
	until time.Time // by the clock of Postgres
	seen  time.Time // first, by our own, which cannot be set
}

// endLeasesAhead ends the leases of dead workers that a clock set back would keep for as long as it was set back. A worker
// that lives renews its lease, so one that stands for a whole lease, by our own time, is nobody's.
func (r *Runner) endLeasesAhead(noted aheads) {
	now, err := r.o.Store.LeasesAhead(r.ctx, r.o.Timings.Lease)
	if err != nil {
		return // the sweep has said it
	}
	for id, a := range noted {
		if until, ok := now[id]; !ok || !until.Equal(a.until) {
			delete(noted, id)
		}
	}
	for id, until := range now {
		if _, ok := noted[id]; !ok {
			noted[id] = ahead{until, time.Now()}
		}
		if time.Since(noted[id].seen) <= r.o.Timings.Lease {
			continue
		}
		if err := r.o.Store.EndLease(r.ctx, id, until); err != nil {
			r.o.Log.Warn("lease not ended", "job", id, "error", err)
		}
	}
}
