package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Schedule is when a snapshot is refreshed by itself, once a day.
type Schedule struct {
	Minute    int    // of the day, in the zone
	Zone      string // as in Europe/Brussels
	NextAt    time.Time
	Who       string
	StartedAt *time.Time // the last time
	Job       string     // that the last time made
	Words     string     // why it made none
}

// At is the time of day, as in 02:30.
func (s Schedule) At() string { return fmt.Sprintf("%02d:%02d", s.Minute/60, s.Minute%60) }

// next gives the first moment after another at which it is a minute of the day in a zone. A time that a day does not have, since the
// clocks go forward, is an hour later; one that it has twice counts once, as time.Date chooses.
func next(after time.Time, minute int, zone *time.Location) time.Time {
	here := after.In(zone)
	for day := 0; ; day++ {
		at := time.Date(here.Year(), here.Month(), here.Day()+day, minute/60, minute%60, 0, 0, zone)
		if at.After(after) {
			return at
		}
	}
}

// ScheduleOf gives a snapshot's schedule. ok is false where it has none. Codes: NotFound (the snapshot).
func (s *Store) ScheduleOf(ctx context.Context, by core.Actor, snapshot string) (sc Schedule, ok bool, err error) {
	if err := s.HasSnapshot(ctx, by, snapshot); err != nil {
		return sc, false, err
	}
	err = s.pool.QueryRow(ctx, `select minute, zone, next_at, who, started_at, coalesce(job_id, ''), words from schedules where org_id = $1 and snapshot_id = $2`, by.Org, snapshot).
		Scan(&sc.Minute, &sc.Zone, &sc.NextAt, &sc.Who, &sc.StartedAt, &sc.Job, &sc.Words)
	if errors.Is(err, pgx.ErrNoRows) {
		return sc, false, nil
	}
	return sc, err == nil, mapError(err)
}

// SetSchedule refreshes a snapshot each day at a time such as 02:30 in a zone such as Europe/Brussels; "" is never. Codes: Invalid,
// Forbidden, NotFound, Conflict (its tables come from files).
func (s *Store) SetSchedule(ctx context.Context, by core.Actor, snapshot, at, zone string) error {
	if err := by.Require(core.Editor); err != nil {
		return err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return err
	}
	if at = strings.TrimSpace(at); at == "" {
		_, err := s.pool.Exec(ctx, `delete from schedules where org_id = $1 and snapshot_id = $2`, by.Org, snapshot)
		return mapError(err)
	}
	clock, err := time.Parse("15:04", at)
	if err != nil {
		return core.FieldErrorf("/at", "The time is hours and minutes, as in 02:30.")
	}
	zone = orText(strings.TrimSpace(zone), "UTC")
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" || len(zone) > 64 {
		return core.FieldErrorf("/zone", "There is no zone of this name. Write one as in Europe/Brussels, or UTC.")
	}
	if _, _, err := refreshable(snap, nil); err != nil {
		return err
	}
	minute := clock.Hour()*60 + clock.Minute()
	_, err = s.pool.Exec(ctx, `insert into schedules (org_id, snapshot_id, minute, zone, next_at, person_id, who) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (org_id, snapshot_id) do update set minute = excluded.minute, zone = excluded.zone, next_at = excluded.next_at, person_id = excluded.person_id,
			who = excluded.who, words = ''`, by.Org, snapshot, minute, zone, next(time.Now(), minute, place), by.Person, by.Name)
	return mapError(err)
}

// mostDue is how many schedules one look starts.
const mostDue = 50

// dueAgain is after how long a schedule that could not be started is looked at again.
const dueAgain = 5 * time.Minute

// StartDue makes the jobs of the schedules whose time has come, each once whoever else looks at the same moment, and says how many.
// One that cannot be started keeps no other back: it is tried again some minutes later, and its error is among those given.
func (s *Store) StartDue(ctx context.Context) (int, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the sweeper is the program's own */
		select s.org_id, s.snapshot_id from schedules s where s.next_at <= clock_timestamp()
			and not exists (select from switches x where x.org_id = s.org_id and x.name = $2) order by s.next_at limit $1`, mostDue, string(core.SwitchSchedules))
	if err != nil {
		return 0, mapError(fmt.Errorf("due schedules: %w", err))
	}
	type due struct{ Org, Snapshot string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return 0, mapError(fmt.Errorf("due schedules: %w", err))
	}
	started := 0
	var failed []error
	for _, d := range list {
		n, err := s.startDue(ctx, d.Org, d.Snapshot)
		started += n
		if err == nil || core.CodeOf(err) == core.NotFound { // it was deleted a moment ago
			continue
		}
		failed = append(failed, fmt.Errorf("schedule of %s: %w", d.Snapshot, err), s.dueLater(ctx, d.Org, d.Snapshot, err))
	}
	return started, errors.Join(failed...)
}

// dueLater lets a schedule that could not be started wait, and notes why for the people of its snapshot.
func (s *Store) dueLater(ctx context.Context, org, snapshot string, why error) error {
	_, err := s.pool.Exec(ctx, `update schedules set next_at = clock_timestamp() + $3::interval, words = $4 where org_id = $1 and snapshot_id = $2 and next_at <= clock_timestamp()`,
		org, snapshot, dueAgain, core.SentenceOf(why))
	return mapError(err)
}

func (s *Store) startDue(ctx context.Context, org, snapshot string) (started int, err error) {
	by := core.System(org)
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return 0, err
	}
	byConnection, order, refusal := refreshable(snap, nil)
	var made []Job
	err = s.tx(atPoint(ctx, "schedule"), by, func(tx pgx.Tx) error {
		made = nil
		var minute int
		var zone, who string
		err := tx.QueryRow(ctx, `select minute, zone, person_id, who from schedules where org_id = $1 and snapshot_id = $2 and next_at <= clock_timestamp() for update skip locked`, org, snapshot).
			Scan(&minute, &zone, &by.Person, &who)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // somebody else was faster
		}
		if err != nil {
			return fmt.Errorf("due schedule: %w", err)
		}
		by.Name = "Every night, as " + orText(who, "somebody") + " set it"
		for _, connection := range order {
			j, err := s.refreshJobTx(ctx, tx, by, snap, connection, byConnection[connection])
			if err != nil {
				return err
			}
			made = append(made, j)
		}
		return moveOn(ctx, tx, by, snapshot, minute, zone, made, refusal)
	})
	for _, j := range made {
		s.Wake(ctx, j.ID)
		s.hintJob(ctx, j)
	}
	return len(made), err
}

// moveOn notes what a schedule did and when its next time is.
func moveOn(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot string, minute int, zone string, made []Job, refusal error) error {
	place, err := time.LoadLocation(zone)
	if err != nil {
		place = time.UTC // a machine that knows fewer zones than the one before
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return fmt.Errorf("now: %w", err)
	}
	job, words := "", ""
	if len(made) > 0 {
		job = made[0].ID
	}
	if refusal != nil {
		words = core.SentenceOf(refusal)
	}
	_, err = tx.Exec(ctx, `update schedules set next_at = $3, started_at = $4, job_id = nullif($5, ''), words = $6 where org_id = $1 and snapshot_id = $2`,
		by.Org, snapshot, next(now, minute, place), now, job, words)
	if err != nil {
		return fmt.Errorf("move schedule on: %w", err)
	}
	return nil
}
