package store

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// DatabaseHealth is what the operator sees of the app's database.
type DatabaseHealth struct {
	Version         string
	StartedAt       time.Time
	Bytes           int64
	Connections     int // of everybody
	MostConnections int
	Migration       int64
	Took            time.Duration // to answer this
}

// DatabaseHealth asks the database how it is. Codes: Forbidden, Unavailable.
func (s *Store) DatabaseHealth(ctx context.Context, by core.Actor) (DatabaseHealth, error) {
	var h DatabaseHealth
	if err := by.May(core.Operate); err != nil {
		return h, err
	}
	began := time.Now()
	err := s.pool.QueryRow(ctx, `select current_setting('server_version'), pg_postmaster_start_time(), pg_database_size(current_database()),
			(select count(*) from pg_stat_activity where backend_type = 'client backend'), current_setting('max_connections')::int,
			(select max(version_id) from goose_db_version where is_applied)`).
		Scan(&h.Version, &h.StartedAt, &h.Bytes, &h.Connections, &h.MostConnections, &h.Migration)
	h.Took = time.Since(began)
	return h, mapError(err)
}

// JobFigures are those of the jobs of all organizations.
type JobFigures struct {
	Open   []core.JobCount // that have not ended
	Ended  []core.JobCount // in the last 24 hours
	Due    int64           // that a worker may take up now
	Behind time.Duration   // how long the one that has waited longest for that has been due without a word to the queue
	// Missed is how late the schedule is that should have run first, and Untold how late the webhook; 0 is none.
	Missed, Untold time.Duration
	Telling        int64 // deliveries of webhooks that are still to be made
}

// JobFigures counts jobs over all organizations. Codes: Forbidden.
func (s *Store) JobFigures(ctx context.Context, by core.Actor) (f JobFigures, err error) {
	if err := by.May(core.Operate); err != nil {
		return f, err
	}
	if f.Open, err = s.OpenJobs(ctx); err != nil {
		return f, err
	}
	rows, err := s.pool.Query(ctx, `/* every organization: they are the operator's figures */
		select kind, state, count(*) from jobs where state in ('done', 'failed', 'cancelled') and finished_at > now() - interval '24 hours' group by 1, 2 order by 1, 2`)
	if err != nil {
		return f, mapError(fmt.Errorf("ended jobs: %w", err))
	}
	if f.Ended, err = pgx.CollectRows(rows, pgx.RowToStructByPos[core.JobCount]); err != nil {
		return f, mapError(fmt.Errorf("ended jobs: %w", err))
	}
	err = s.pool.QueryRow(ctx, `/* every organization: they are the operator's figures */
		select count(*), coalesce(max(clock_timestamp() - greatest(created_at, not_before, lease_until, enqueued_at)), interval '0'),
			(select greatest(coalesce(clock_timestamp() - min(next_at), interval '0'), interval '0') from schedules),
			(select greatest(coalesce(clock_timestamp() - min(next_at), interval '0'), interval '0') from webhook_deliveries where state = 'waiting'),
			(select count(*) from webhook_deliveries where state = 'waiting')
		from jobs where `+dueJob).Scan(&f.Due, &f.Behind, &f.Missed, &f.Untold, &f.Telling)
	return f, mapError(err)
}

// FailedJob is a job that failed, as far as the operator needs to know.
type FailedJob struct {
	ID, Org, OrgName, Kind, Code string
	At                           time.Time
}

// FailedJobs gives the last that failed, of all organizations, newest first. Codes: Forbidden.
func (s *Store) FailedJobs(ctx context.Context, by core.Actor, limit int) ([]FailedJob, error) {
	if err := by.May(core.Operate); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `/* every organization: they are the operator's figures */
		select j.id, o.id, o.name, j.kind, coalesce(j.error ->> 'code', ''), j.finished_at from jobs j join organizations o on o.id = j.org_id
		where j.state = 'failed' and j.finished_at > now() - interval '7 days' order by j.finished_at desc, j.id limit $1`, limit)
	if err != nil {
		return nil, mapError(fmt.Errorf("failed jobs: %w", err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[FailedJob])
}

// Size is what a snapshot, or all of an organization's together, takes up: tables, indexes and what is kept of changes.
type Size struct {
	ID, Name  string // of the snapshot; "" of an organization
	Org       string
	OrgName   string
	Snapshots int64
	Records   int64
	Bytes     int64
}

// snapshotSizes are those of all snapshots.
const snapshotSizes = `/* every organization: they are the operator's figures */
	with schemas as (
		select n.nspname::text as id, sum(pg_total_relation_size(c.oid))::bigint as bytes
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'r' and n.nspname in (select id from snapshots)
		group by 1),
	held as (select snapshot_id as id, sum(records)::bigint as records from tables group by 1)
	`

// SnapshotSizes gives snapshots of all organizations, largest first. Codes: Forbidden.
func (s *Store) SnapshotSizes(ctx context.Context, by core.Actor, after, limit int) ([]Size, error) {
	return s.sizes(ctx, by, snapshotSizes+`
		select s.id, s.name, o.id, o.name, 1, coalesce(h.records, 0), coalesce(z.bytes, 0)
		from snapshots s join organizations o on o.id = s.org_id left join schemas z on z.id = s.id left join held h on h.id = s.id
		order by 7 desc, s.id offset $1 limit $2`, after, limit)
}

// OrganizationSizes gives what the snapshots of each organization take up together, largest first. Codes: Forbidden.
func (s *Store) OrganizationSizes(ctx context.Context, by core.Actor, after, limit int) ([]Size, error) {
	return s.sizes(ctx, by, snapshotSizes+`
		select '', '', o.id, o.name, count(s.id), coalesce(sum(h.records), 0)::bigint, coalesce(sum(z.bytes), 0)::bigint
		from organizations o left join snapshots s on s.org_id = o.id left join schemas z on z.id = s.id left join held h on h.id = s.id
		group by o.id, o.name order by 7 desc, o.id offset $1 limit $2`, after, limit)
}

func (s *Store) sizes(ctx context.Context, by core.Actor, sql string, after, limit int) ([]Size, error) {
	if err := by.May(core.Operate); err != nil {
		return nil, err
	}
	ctx, cancel := s.patient(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, after, limit)
	if err != nil {
		return nil, mapError(fmt.Errorf("sizes: %w", err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Size])
	return list, mapError(err)
}

// Statement is one kind of statement with how long it took; times are in milliseconds.
type Statement struct {
	Query            string
	Calls            int64
	Mean, Max, Total float64
	Rows             int64
}

// SlowStatements gives those that took longest in all. ok is false where the database does not keep account: it lacks pg_stat_statements.
// Codes: Forbidden.
func (s *Store) SlowStatements(ctx context.Context, by core.Actor, limit int) (list []Statement, ok bool, err error) {
	if err := by.May(core.Operate); err != nil {
		return nil, false, err
	}
	s.keepAccount(ctx)
	var schema string
	err = s.pool.QueryRow(ctx, `select coalesce((select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace
		where e.extname = 'pg_stat_statements' and 'pg_stat_statements' = any(string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ','))), '')`).Scan(&schema)
	if err != nil || schema == "" {
		return nil, false, mapError(err)
	}
	rows, err := s.pool.Query(ctx, `select query, calls, mean_exec_time, max_exec_time, total_exec_time, rows from `+ident(schema, "pg_stat_statements")+`
		where dbid = (select oid from pg_database where datname = current_database()) order by total_exec_time desc limit $1`, limit)
	if err != nil {
		return nil, false, mapError(fmt.Errorf("statements: %w", err))
	}
	if list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Statement]); err != nil {
		return nil, false, mapError(fmt.Errorf("statements: %w", err))
	}
	for i := range list {
		list[i].Query = withoutTexts(list[i].Query)
	}
	return list, true, nil
}

// keepAccount makes the database's account of statements readable, where its module was loaded at the start. Where that is not allowed to
// the app's role, an admin of the database does it by hand.
func (s *Store) keepAccount(ctx context.Context) {
	var loaded bool
	err := s.pool.QueryRow(ctx, `select 'pg_stat_statements' = any(string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ','))
		and not exists (select from pg_extension where extname = 'pg_stat_statements')`).Scan(&loaded)
	if err == nil && loaded {
		_, _ = s.pool.Exec(ctx, `create extension if not exists pg_stat_statements`)
	}
}

// Activity is what one connection to the database does now.
type Activity struct {
	Process int
	State   string
	For     time.Duration // since the statement, or the state, began
	Waits   string        // for what; "" is not at all
	Query   string
}

// Activities gives what is being done at the database now, the longest first. Codes: Forbidden.
func (s *Store) Activities(ctx context.Context, by core.Actor, limit int) ([]Activity, error) {
	if err := by.May(core.Operate); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select pid, coalesce(state, ''), coalesce(clock_timestamp() - case when state = 'active' then query_start else state_change end, interval '0'),
			coalesce(wait_event_type || ': ' || wait_event, ''), coalesce(query, '')
		from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and state <> 'idle'
		order by 3 desc limit $1`, limit)
	if err != nil {
		return nil, mapError(fmt.Errorf("activities: %w", err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Activity])
	for i := range list {
		list[i].Query = withoutTexts(list[i].Query)
	}
	return list, mapError(err)
}

// sqlText is a text in a statement, and sqlSpace what only lays it out.
var (
	sqlText  = regexp.MustCompile(`'(?:[^']|'')*'`)
	sqlSpace = regexp.MustCompile(`\s+`)
)

// queryLimit is how many characters of a statement are shown.
const queryLimit = 600

// withoutTexts takes texts out of a statement: what is somebody's is a parameter, and what is not may have slipped in all the same.
func withoutTexts(query string) string {
	return cut(sqlSpace.ReplaceAllString(sqlText.ReplaceAllString(query, `'…'`), " "), queryLimit)
}
