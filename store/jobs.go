package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Job is background work with live progress. The jobs table is the truth; a queue only says "look at job X".
type Job struct {
	ID          string
	Org         string
	Snapshot    string
	Connection  string
	Kind        string
	Queue       string
	State       string // queued, running, waiting, done, failed, cancelled
	Label       string
	Person      string
	PersonName  string
	Args        json.RawMessage
	Checkpoint  json.RawMessage
	Progress    Progress
	Result      json.RawMessage
	Error       *JobError
	WaitingFor  string // person, time, connection
	NotBefore   *time.Time
	Owner       string
	LeaseUntil  *time.Time
	Failures    int // slices in a row that ended in a crash or a passing error without getting further
	CancelAsked bool
	TraceParent string // of the request that made it, where traces are told of; "" is none
	CreatedAt   time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time
}

// Ended says whether nothing more will happen to the job by itself.
func (j Job) Ended() bool { return j.State == "done" || j.State == "failed" || j.State == "cancelled" }

// Actor is who the job works for: its person's organization and name, as the system.
func (j *Job) Actor() core.Actor {
	a := core.System(j.Org)
	a.Person, a.Name = j.Person, j.PersonName
	return a
}

// JobError is why a job failed, for people.
type JobError struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}

// Progress is how far a job is. Total is nil while it is unknown.
type Progress struct {
	Done   int64           `json:"done"`
	Total  *int64          `json:"total"`
	Rate   float64         `json:"rate"` // per second
	Failed int64           `json:"failed,omitempty"`
	Tables []TableProgress `json:"tables,omitempty"`
}

// TableProgress is one table of a download.
type TableProgress struct {
	ID    string  `json:"id"`
	Title string  `json:"title"`
	Done  int64   `json:"done"`
	Total *int64  `json:"total"`
	Rate  float64 `json:"rate"`
	State string  `json:"state"` // waiting, running, done
}

// NewJob is what a job is made of.
type NewJob struct {
	Kind       string
	Queue      string // "" is bulk
	Snapshot   string
	Connection string
	Label      string
	Args       json.RawMessage
	Upload     string // the file that it reads, which stays while the job is open
}

const jobColumns = `id, org_id, coalesce(snapshot_id, ''), coalesce(connection_id, ''), kind, queue, state, label, person_id, person_name, args, checkpoint,
	progress, result, error, waiting_for, not_before, owner, lease_until, failures, cancel_asked, traceparent, created_at, started_at, finished_at`

func scanJob(row pgx.CollectableRow) (Job, error) {
	var j Job
	err := row.Scan(&j.ID, &j.Org, &j.Snapshot, &j.Connection, &j.Kind, &j.Queue, &j.State, &j.Label, &j.Person, &j.PersonName, (*[]byte)(&j.Args),
		(*[]byte)(&j.Checkpoint), &j.Progress, (*[]byte)(&j.Result), &j.Error, &j.WaitingFor, &j.NotBefore, &j.Owner, &j.LeaseUntil, &j.Failures,
		&j.CancelAsked, &j.TraceParent, &j.CreatedAt, &j.StartedAt, &j.FinishedAt)
	return j, err
}

func (s *Store) oneJob(ctx context.Context, q querier, sql string, args ...any) (Job, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Job{}, fmt.Errorf("job: %w", err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, scanJob)
	return j, mapError(err)
}

// EnqueueTx makes a job in the transaction of what it is about. Call Wake after the commit.
func (s *Store) EnqueueTx(ctx context.Context, tx pgx.Tx, by core.Actor, n NewJob) (Job, error) {
	return s.enqueueAs(ctx, tx, by, core.NewID("job"), n)
}

func (s *Store) enqueueAs(ctx context.Context, tx pgx.Tx, by core.Actor, id string, n NewJob) (Job, error) {
	if err := s.jobsRoomTx(ctx, tx, by); err != nil {
		return Job{}, err
	}
	if n.Args == nil {
		n.Args = json.RawMessage("{}")
	}
	if n.Upload != "" {
		if err := holdUpload(ctx, tx, by, n.Upload); err != nil {
			return Job{}, err
		}
	}
	null := func(v string) *string {
		if v == "" {
			return nil
		}
		return &v
	}
	return s.oneJob(ctx, tx, `
		insert into jobs (id, org_id, snapshot_id, connection_id, kind, queue, label, person_id, person_name, args, traceparent)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning `+jobColumns,
		id, by.Org, null(n.Snapshot), null(n.Connection), n.Kind, orText(n.Queue, "bulk"), n.Label, by.Person, by.Name, n.Args, s.traceParent(ctx))
}

// Enqueue makes a job and wakes a worker. Codes: Forbidden.
func (s *Store) Enqueue(ctx context.Context, by core.Actor, n NewJob) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	var j Job
	err := s.tx(atPoint(ctx, "job.new"), by, func(tx pgx.Tx) (err error) {
		j, err = s.EnqueueTx(ctx, tx, by, n)
		return err
	})
	if err == nil {
		s.Wake(ctx, j.ID)
		s.hintJob(ctx, j)
	}
	return j, err
}

// Waker says to the queue that a job is there. It may fail: the sweeper finds what was missed.
type Waker func(ctx context.Context, jobs ...string)

// SetWaker sets who is told of new jobs; before that only the sweeper finds them.
func (s *Store) SetWaker(w Waker) { s.waker.Store(&w) }

// Wake tells the queue of jobs, after the commit.
func (s *Store) Wake(ctx context.Context, jobs ...string) {
	if w := s.waker.Load(); w != nil {
		(*w)(ctx, jobs...)
	}
}

func (s *Store) hintJob(ctx context.Context, j Job) {
	data, _ := json.Marshal(map[string]any{"state": j.State, "kind": j.Kind, "done": j.Progress.Done, "total": j.Progress.Total})
	s.notify.Notify(ctx, core.Hint{Org: j.Org, Snapshot: j.Snapshot, Job: j.ID, Kind: "job", Data: data})
}

// JobsFilter narrows Jobs; empty fields do not.
type JobsFilter struct {
	Snapshot string
	Open     bool   // queued, running or waiting
	After    string // id: those older than this one
	Limit    int    // 0 is 100
}

// Jobs lists the organization's jobs, newest first.
func (s *Store) Jobs(ctx context.Context, by core.Actor, f JobsFilter) ([]Job, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.pool.Query(ctx, `select `+jobColumns+` from jobs where org_id = $1 and ($2 = '' or snapshot_id = $2)
		and (not $3 or state in ('queued', 'running', 'waiting'))
		and ($4 = '' or (created_at, id) < (select o.created_at, o.id from jobs o where o.org_id = $1 and o.id = $4))
		and ($6 = '' or snapshot_id = $6)
		order by created_at desc, id desc limit $5`, by.Org, f.Snapshot, f.Open, f.After, f.Limit, by.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return pgx.CollectRows(rows, scanJob)
}

// JobByID gives one job. Codes: NotFound.
func (s *Store) JobByID(ctx context.Context, by core.Actor, id string) (Job, error) {
	return s.oneJob(ctx, s.pool, `select `+jobColumns+` from jobs where org_id = $1 and id = $2 and ($3 = '' or snapshot_id = $3)`, by.Org, id, by.Snapshot)
}

// CancelJob asks a job to stop at its next step; one that waits or is queued stops now. What it did stays. Codes: NotFound,
// Forbidden, Conflict (it has ended).
func (s *Store) CancelJob(ctx context.Context, by core.Actor, id string) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	var j Job
	tell := false
	err := s.tx(atPoint(ctx, "job.cancel"), by, func(tx pgx.Tx) (err error) {
		j, err = s.oneJob(ctx, tx, `update jobs set cancel_asked = true,
				state = case when state in ('queued', 'waiting') then 'cancelled' else state end,
				finished_at = case when state in ('queued', 'waiting') then now() end
			where org_id = $1 and id = $2 and state in ('queued', 'running', 'waiting') returning `+jobColumns, by.Org, id)
		if err != nil || j.State != "cancelled" {
			return err
		}
		if tell, err = s.tellEndTx(ctx, tx, j); err != nil || j.Kind != "publish" {
			return err
		}
		return endPlanOf(ctx, tx, j)
	})
	if core.CodeOf(err) == core.NotFound {
		if _, err := s.JobByID(ctx, by, id); err != nil {
			return Job{}, err
		}
		return Job{}, core.Errorf(core.Conflict, "This job has ended already.")
	}
	if err == nil {
		s.hintJob(ctx, j)
		if tell {
			s.WakeDeliveries()
		}
	}
	return j, err
}

// endPlanOf closes the plan of a publish that nobody is running. What it left in `sending` may have arrived or not.
func endPlanOf(ctx context.Context, tx pgx.Tx, j Job) error {
	rows, err := tx.Query(ctx, `update `+ident(j.Snapshot, "_plans")+` set state = 'done' where job_id = $1 returning id`, dynamic, j.ID)
	if err != nil {
		return fmt.Errorf("end plan: %w", err)
	}
	plans, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("end plan: %w", err)
	}
	for _, p := range plans {
		if err := sendingBecomesUnknown(ctx, tx, j.Snapshot, p); err != nil {
			return err
		}
	}
	return nil
}

// ContinueJob lets a job go on that waits for a person. Codes: NotFound, Forbidden, Conflict.
func (s *Store) ContinueJob(ctx context.Context, by core.Actor, id string) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	if job, err := s.JobByID(ctx, by, id); err != nil {
		return Job{}, err
	} else if job.Kind == "publish" {
		if err := by.Require(core.Publisher); err != nil { // it goes on to send
			return Job{}, err
		}
	}
	j, err := s.oneJob(ctx, s.pool, `update jobs set state = 'queued', waiting_for = '', not_before = null, enqueued_at = null,
			checkpoint = checkpoint || '{"continued": true}'
		where org_id = $1 and id = $2 and state = 'waiting' and waiting_for = 'person' returning `+jobColumns, by.Org, id)
	if core.CodeOf(err) == core.NotFound {
		return Job{}, core.Errorf(core.Conflict, "This job does not wait for anybody.")
	}
	if err == nil {
		s.Wake(ctx, id)
		s.hintJob(ctx, j)
	}
	return j, err
}

// EndedJobs gives the person's own jobs that ended since they last looked, newest first, at most 100.
func (s *Store) EndedJobs(ctx context.Context, by core.Actor) ([]Job, error) {
	rows, err := s.pool.Query(ctx, `select `+jobColumns+` from jobs where org_id = $1 and person_id = $2 and seen_at is null
		and state in ('done', 'failed', 'cancelled') order by finished_at desc, id desc limit 100`, by.Org, by.Person)
	if err != nil {
		return nil, fmt.Errorf("ended jobs: %w", err)
	}
	return pgx.CollectRows(rows, scanJob)
}

// SeeJobs notes that the person has seen how these of their jobs ended; none means all that have ended.
func (s *Store) SeeJobs(ctx context.Context, by core.Actor, ids ...string) error {
	_, err := s.pool.Exec(ctx, `update jobs set seen_at = now() where org_id = $1 and person_id = $2 and seen_at is null
		and state in ('done', 'failed', 'cancelled') and (cardinality($3::text[]) = 0 or id = any($3))`, by.Org, by.Person, append([]string{}, ids...))
	return mapError(err)
}

// ErrLeaseLost says that somebody else holds the job now: stop before the next effect.
var ErrLeaseLost = core.Errorf(core.Conflict, "This job was taken over by another worker.")

// TakeJob gives a job's lease to a worker. It is refused (nil job) when the job has ended, waits, or is held by a worker
// whose lease has not run out. previous is the owner whose lease ran out, "" when it was handed back; a take-over counts as
// a failure until the job gets further.
func (s *Store) TakeJob(ctx context.Context, id, owner string, lease time.Duration) (job *Job, previous string, err error) {
	err = s.tx(atPoint(ctx, "job.take"), core.System(""), func(tx pgx.Tx) error {
		job, previous = nil, ""
		var org string
		err := tx.QueryRow(ctx, `/* every organization: the id is random and comes from the program's own queue */
			select org_id, owner from jobs where id = $1 and (`+dueJob+`) for update skip locked`, id).Scan(&org, &previous)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at job: %w", err)
		}
		j, err := s.oneJob(ctx, tx, `update jobs set state = 'running', owner = $2, lease_until = clock_timestamp() + $3::interval, slices = slices + 1,
			failures = failures + case when state = 'running' then 1 else 0 end, waiting_for = '', not_before = null, started_at = coalesce(started_at, now())
			where org_id = $4 and id = $1 returning `+jobColumns, id, owner, lease, org)
		job = &j
		return err
	})
	if isUnique(err) { // jobs_one_per_connection
		return nil, "", s.waitForConnection(ctx, id)
	}
	if err != nil {
		return nil, "", err
	}
	if job != nil {
		s.hintJob(ctx, *job)
	}
	return job, previous, nil
}

// dueJob says in SQL that a worker may take a job up. A job waits seconds at a time for its connection or its table: what is
// further away was written before the clock was set back.
const dueJob = `state = 'queued' and (not_before is null or not_before < clock_timestamp())
	or state = 'waiting' and waiting_for in ('time', 'connection', 'table') and (not_before is null or not_before < clock_timestamp())
	or state = 'waiting' and waiting_for in ('connection', 'table') and not_before > clock_timestamp() + interval '1 minute'
	or state = 'running' and lease_until < clock_timestamp()`

// waitForConnection sends a job to wait while another job holds its connection. The sweeper tries it again.
func (s *Store) waitForConnection(ctx context.Context, id string) error {
	j, err := s.oneJob(ctx, s.pool, `/* every organization: the id is random and comes from the program's own queue */
		update jobs set state = 'waiting', waiting_for = 'connection', not_before = clock_timestamp() + interval '1 second', enqueued_at = null
		where id = $1 and state in ('queued', 'waiting') returning `+jobColumns, id)
	if core.CodeOf(err) == core.NotFound {
		return nil
	}
	if err == nil {
		s.hintJob(ctx, j)
	}
	return err
}

// Renew makes the lease longer and says whether the job is to stop. Codes: Conflict (ErrLeaseLost).
func (s *Store) Renew(ctx context.Context, j *Job, lease time.Duration) (cancelled bool, err error) {
	err = s.pool.QueryRow(ctx, `update jobs set lease_until = clock_timestamp() + $4::interval
		where org_id = $1 and id = $2 and owner = $3 and state = 'running' and lease_until > clock_timestamp() returning cancel_asked`,
		j.Org, j.ID, j.Owner, lease).Scan(&cancelled)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, ErrLeaseLost
	}
	return cancelled, mapError(err)
}

// Checkpointed keeps how far a job is, where that is all there is to keep. Codes: Conflict (ErrLeaseLost).
func (s *Store) Checkpointed(ctx context.Context, j *Job, checkpoint any) error {
	return s.tx(atPoint(ctx, "job.checkpoint"), j.Actor(), func(tx pgx.Tx) error { return s.CheckpointTx(ctx, tx, j, checkpoint) })
}

// CheckpointTx keeps how far a job is, in the transaction of what it did. Codes: Conflict (ErrLeaseLost): roll back.
func (s *Store) CheckpointTx(ctx context.Context, tx pgx.Tx, j *Job, checkpoint any) error {
	raw, err := json.Marshal(checkpoint)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	tag, err := tx.Exec(ctx, `update jobs set checkpoint = $4, failures = 0
		where org_id = $1 and id = $2 and owner = $3 and state = 'running' and lease_until > clock_timestamp()`, j.Org, j.ID, j.Owner, raw)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrLeaseLost
	}
	j.Checkpoint, j.Failures = raw, 0
	return nil
}

// SaveProgress keeps a job's numbers and tells browsers; call it at most four times a second. A job that got further has
// no failures in a row. Codes: Conflict (ErrLeaseLost).
func (s *Store) SaveProgress(ctx context.Context, j *Job) error {
	err := s.pool.QueryRow(ctx, `update jobs set progress = $4, failures = case when coalesce((progress ->> 'done')::bigint, 0) < $5 then 0 else failures end
		where org_id = $1 and id = $2 and owner = $3 and state = 'running' returning failures`, j.Org, j.ID, j.Owner, j.Progress, j.Progress.Done).Scan(&j.Failures)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrLeaseLost
	}
	if err == nil {
		s.hintJob(ctx, *j)
	}
	return mapError(err)
}

// EndSlice gives the job back in a state: queued (go on later), waiting, done, failed, cancelled.
func (s *Store) EndSlice(ctx context.Context, j *Job, end JobEnd) error {
	var until *time.Time
	if !end.NotBefore.IsZero() {
		until = &end.NotBefore
	}
	got, tell := Job{}, false
	give := func(q querier) (err error) {
		got, err = s.oneJob(ctx, q, `update jobs set state = $4, waiting_for = $5, not_before = $6, result = coalesce($7, result), error = $8, failures = $9,
			progress = $10, owner = '', lease_until = null, enqueued_at = null,
			finished_at = case when $4 in ('done', 'failed', 'cancelled') then now() end
		where org_id = $1 and id = $2 and owner = $3 and state = 'running' returning `+jobColumns,
			j.Org, j.ID, j.Owner, end.State, end.WaitingFor, until, end.Result, end.Error, end.Failures, j.Progress)
		return err
	}
	var err error
	if (Job{State: end.State}).Ended() {
		err = s.tx(atPoint(ctx, "job.end"), j.Actor(), func(tx pgx.Tx) (err error) {
			if err := give(tx); err != nil {
				return err
			}
			tell, err = s.tellEndTx(ctx, tx, got)
			return err
		})
	} else {
		err = give(s.pool)
	}
	if core.CodeOf(err) == core.NotFound {
		return ErrLeaseLost
	}
	if err == nil {
		*j = got
		s.hintJob(ctx, got)
	}
	if tell {
		s.WakeDeliveries()
	}
	return err
}

// JobEnd is how a slice of a job ended.
type JobEnd struct {
	State      string
	WaitingFor string
	NotBefore  time.Time
	Result     json.RawMessage
	Error      *JobError
	Failures   int
}

// DueJobs gives the jobs that a worker should look at: queued, waiting whose time has come, running whose lease ran out.
// Each is given at most once in again, whoever asks; a moment of giving that lies ahead was noted before the clock was set
// back, and does not count.
func (s *Store) DueJobs(ctx context.Context, again time.Duration) ([]Job, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the sweeper is the program's own */
		update jobs set enqueued_at = clock_timestamp() where id in (
			select id from jobs where (`+dueJob+`)
				and (enqueued_at is null or enqueued_at not between clock_timestamp() - $1::interval and clock_timestamp() + $1::interval)
			order by created_at limit 1000 for update skip locked)
		returning `+jobColumns, again)
	if err != nil {
		return nil, fmt.Errorf("due jobs: %w", err)
	}
	return pgx.CollectRows(rows, scanJob)
}

// NoteEnqueued says that jobs are being enqueued now, so that the sweeper does not do it once more, and gives the queue of
// each that is not ended.
func (s *Store) NoteEnqueued(ctx context.Context, ids ...string) (map[string]string, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the ids come from the program itself, for its own queue */
		update jobs set enqueued_at = clock_timestamp() where id = any($1)
		and state in ('queued', 'running', 'waiting') returning id, queue`, ids)
	if err != nil {
		return nil, fmt.Errorf("note enqueued: %w", err)
	}
	queues := map[string]string{}
	var id, queue string
	_, err = pgx.ForEachRow(rows, []any{&id, &queue}, func() error { queues[id] = queue; return nil })
	return queues, err
}

// EndLeases ends the leases of all workers. Only a process that has the database to itself may do so, at its start.
func (s *Store) EndLeases(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `/* every organization: the leases are those of this program's last run */
		update jobs set lease_until = clock_timestamp() - interval '1 millisecond', enqueued_at = null where state = 'running'`)
	return err
}

// LeasesAhead gives the ends of leases, by job, that no worker can have set by the clock of now: the clock was set back.
func (s *Store) LeasesAhead(ctx context.Context, lease time.Duration) (map[string]time.Time, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the sweeper is the program's own */
		select id, lease_until from jobs where state = 'running' and lease_until > clock_timestamp() + $1::interval`, lease)
	if err != nil {
		return nil, fmt.Errorf("leases ahead: %w", err)
	}
	ahead := map[string]time.Time{}
	var id string
	var until time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &until}, func() error { ahead[id] = until; return nil })
	return ahead, err
}

// EndLease ends a job's lease, if it still ends when it did.
func (s *Store) EndLease(ctx context.Context, id string, until time.Time) error {
	_, err := s.pool.Exec(ctx, `/* every organization: the sweeper is the program's own */
		update jobs set lease_until = clock_timestamp() - interval '1 millisecond', enqueued_at = null
		where id = $1 and state = 'running' and lease_until = $2`, id, until)
	return mapError(err)
}

// OpenJobs counts the jobs that have not ended.
func (s *Store) OpenJobs(ctx context.Context) ([]core.JobCount, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: they are the operator's figures */
		select kind, state, count(*) from jobs where state in ('queued', 'running', 'waiting') group by 1, 2 order by 1, 2`)
	if err != nil {
		return nil, mapError(fmt.Errorf("open jobs: %w", err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[core.JobCount])
}

// CancelAsked says whether somebody asked the job to stop.
func (s *Store) CancelAsked(ctx context.Context, j *Job) (bool, error) {
	var asked bool
	err := s.pool.QueryRow(ctx, `select cancel_asked from jobs where org_id = $1 and id = $2`, j.Org, j.ID).Scan(&asked)
	return asked, err
}
