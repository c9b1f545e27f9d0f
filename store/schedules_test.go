package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

func TestTheNextTimeOfADayIsThatOfItsZone(t *testing.T) {
	t.Parallel()
	brussels, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, after, at, want string }{
		{"later today", "2026-11-26T00:10:00Z", "02:30", "2026-11-26T01:30:00Z"},
		{"tomorrow", "2026-11-26T01:30:00Z", "02:30", "2026-11-27T01:30:00Z"},
		{"over a new year", "2026-12-31T23:30:00Z", "00:15", "2027-01-01T23:15:00Z"},
		{"the clocks go forward: the day has no such time", "2026-03-28T12:00:00Z", "02:30", "2026-03-29T01:30:00Z"},
		{"the day after that", "2026-03-29T01:30:00Z", "02:30", "2026-03-30T00:30:00Z"},
		{"the clocks go back: one of two", "2026-10-24T12:00:00Z", "02:30", "2026-10-25T01:30:00Z"},
		{"and not the other", "2026-10-25T01:30:00Z", "02:30", "2026-10-26T01:30:00Z"},
	} {
		after, _ := time.Parse(time.RFC3339, c.after)
		clock, _ := time.Parse("15:04", c.at)
		if got := next(after, clock.Hour()*60+clock.Minute(), brussels).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// due makes a snapshot's schedule one whose time came so long ago.
func due(t *testing.T, k kettles, ago time.Duration) {
	t.Helper()
	if err := k.SetSchedule(t.Context(), k.by, k.t.Snapshot, "02:30", "Europe/Brussels"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.pool.Exec(t.Context(), `update schedules set next_at = now() - $3::interval where org_id = $1 and snapshot_id = $2`, k.by.Org, k.t.Snapshot, ago); err != nil {
		t.Fatal(err)
	}
}

func TestADueScheduleMakesOneJobWhoeverLooks(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	due(t, k, 5*24*time.Hour) // five nights were missed
	var started atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			n, err := k.StartDue(t.Context())
			if err != nil {
				t.Error(err)
			}
			started.Add(int64(n))
		})
	}
	all.Wait()
	if started.Load() != 1 {
		t.Errorf("%d jobs were started, want 1", started.Load())
	}
	jobs, err := k.Jobs(t.Context(), k.by, JobsFilter{Snapshot: k.t.Snapshot})
	if err != nil {
		t.Fatal(err)
	}
	var refreshes []Job
	for _, j := range jobs {
		if j.Kind == "refresh" {
			refreshes = append(refreshes, j)
		}
	}
	if len(refreshes) != 1 || refreshes[0].Queue != "scheduled" || refreshes[0].PersonName != "Every night, as You set it" {
		t.Fatalf("the refreshes are %+v", refreshes)
	}
	s, ok, err := k.ScheduleOf(t.Context(), k.by, k.t.Snapshot)
	if err != nil || !ok || s.Job != refreshes[0].ID || !s.NextAt.After(time.Now()) || s.NextAt.After(time.Now().Add(25*time.Hour)) || s.At() != "02:30" {
		t.Errorf("the schedule is %+v, %v, %v", s, ok, err)
	}
}

func TestAScheduleThatCannotBeStartedKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	broken := mustKettles(t, 1)
	whole := kettlesIn(t, broken.Store, 1)
	due(t, broken, 2*time.Hour)
	due(t, whole, time.Hour)
	if _, err := broken.pool.Exec(t.Context(), `update columns set options = '"broken"' where org_id = $1 and snapshot_id = $2`, broken.by.Org, broken.t.Snapshot); err != nil {
		t.Fatal(err)
	}
	if n, err := broken.StartDue(t.Context()); n != 1 || err == nil {
		t.Errorf("%d jobs were started: %v", n, err)
	}
	if n, err := broken.StartDue(t.Context()); n != 0 || err != nil {
		t.Errorf("a moment later %d jobs were started: %v", n, err)
	}
	var later bool
	var words string
	err := broken.pool.QueryRow(t.Context(), `select next_at > clock_timestamp(), words from schedules where org_id = $1 and snapshot_id = $2`, broken.by.Org, broken.t.Snapshot).Scan(&later, &words)
	if err != nil || !later || words == "" {
		t.Errorf("the broken one waits: %v, %q: %v", later, words, err)
	}
}

func TestAScheduleIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	for _, c := range []struct{ at, zone, field string }{{"25:00", "UTC", "/at"}, {"soon", "UTC", "/at"}, {"02:30", "Mars/Base", "/zone"}, {"02:30", "Local", "/zone"}, {"02:30", "../etc/passwd", "/zone"}} {
		if err := k.SetSchedule(t.Context(), k.by, k.t.Snapshot, c.at, c.zone); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s in %s gives %v", c.at, c.zone, err)
		}
	}
	viewer := k.by
	viewer.Role = core.Viewer
	if err := k.SetSchedule(t.Context(), viewer, k.t.Snapshot, "02:30", "UTC"); core.CodeOf(err) != core.Forbidden {
		t.Errorf("a viewer gets %v", err)
	}
	other := k.by
	other.Org = "org_other"
	if err := k.SetSchedule(t.Context(), other, k.t.Snapshot, "02:30", "UTC"); core.CodeOf(err) != core.NotFound {
		t.Errorf("another organization gets %v", err)
	}
	due(t, k, time.Hour)
	if err := k.SetSchedule(t.Context(), k.by, k.t.Snapshot, "", ""); err != nil {
		t.Fatal(err)
	}
	if n, err := k.StartDue(t.Context()); n != 0 || err != nil {
		t.Errorf("a schedule that was taken back starts %d, %v", n, err)
	}
}
