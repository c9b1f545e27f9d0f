package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// mergePage merges the staged page with the records that are here: first what happens to each cell into _changes, then the
// cells from there.
func (b *batchTxn) mergePage(ctx context.Context, m PageMerge, c *MergeCounts) error {
	if err := b.backAgain(ctx); err != nil {
		return err
	}
	joined := b.joinedCells(m.Columns, `r._state = 0 and (r._base is not null or `+differs(m.Columns)+`)`)
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, v.col, v.now, case when x.base is null then v.theirs else v.now end, x.base, case when v.theirs = v.now then null else x.base end, x.conflict,
			case when x.base is not null and v.theirs <> v.now and v.theirs <> x.base then v.theirs end`+joined+`
		where x.base is null and v.now <> v.theirs or x.base is not null and (v.theirs = v.now
			or v.theirs <> x.base and x.conflict is distinct from v.theirs or v.theirs = x.base and x.conflict is not null)`, dynamic, b.id)
	if err != nil {
		return fmt.Errorf("merge page: %w", err)
	}
	if tag.RowsAffected() > 0 {
		if err := b.countMerged(ctx, c); err != nil {
			return err
		}
		if err := b.writeRecorded(ctx, m.Columns, tag.RowsAffected()); err != nil {
			return err
		}
	}
	if err := b.changedUnderDeletes(ctx, b.joinedCells(m.Columns, `r._state = 2`), c); err != nil {
		return err
	}
	_, err = b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set _remote_version = p._version from page p
		where r._remote_id = p._remote_id and r._state = 0 and r._remote_version is distinct from p._version`, dynamic)
	return err
}

// joinedCells gives a from-clause over the cells of the page's records that are here and meet a condition on r: v has what a
// cell holds now and what the service holds, x its base and conflict.
func (b *batchTxn) joinedCells(cols []core.Column, cond string) string {
	var values []string
	for _, c := range cols {
		values = append(values, "("+strconv.Itoa(c.Number)+", "+canonicalExpr(c, "r")+", "+stagedCanonical(c)+")")
	}
	return ` from page p join ` + dataTable(b.t) + ` r on r._remote_id = p._remote_id and ` + cond + `
		cross join lateral (values ` + strings.Join(values, ", ") + `) v(col, now, theirs)
		cross join lateral (select r._base -> v.col::text as base, r._conflict -> v.col::text as conflict) x `
}

// differs compares a whole record in the types of its columns: most records of a refresh are as they were, and this is far
// cheaper than looking at each cell.
func differs(cols []core.Column) string {
	var here, there []string
	for _, c := range cols {
		here, there = append(here, "r."+ident(c.Physical)), append(there, stagedExpr(c))
	}
	return "row(" + strings.Join(here, ", ") + ") is distinct from row(" + strings.Join(there, ", ") + ")"
}

func (b *batchTxn) countMerged(ctx context.Context, c *MergeCounts) error {
	err := b.tx.QueryRow(ctx, `select count(distinct row) filter (where after <> before), count(distinct row) filter (where conflict_after is not null)
		from `+companion(b.t, "_changes")+` where batch = $1 and col <> 0`, dynamic, b.id).Scan(&c.Changed, &c.Conflicts)
	if err != nil {
		return fmt.Errorf("count merged: %w", err)
	}
	return nil
}

// backAgain ends the conflict of records that were gone at the service and are there again.
func (b *batchTxn) backAgain(ctx context.Context) error {
	var back, settled int64
	err := b.tx.QueryRow(ctx, `with back as (update `+dataTable(b.t)+` r set _conflict = nullif(r._conflict - '_record', '{}') from page p
			where r._remote_id = p._remote_id and r._state = 0 and r._conflict -> '_record' ->> 'kind' = 'deleted_there' returning r._conflict)
		select count(*), count(*) filter (where _conflict is null) from back`, dynamic).Scan(&back, &settled)
	if err != nil {
		return fmt.Errorf("records back again: %w", err)
	}
	b.rows += back
	b.delta.Conflicts -= settled
	b.many = b.many || back > 0
	return nil
}

// changedUnderDeletes finds records that are deleted here and were changed there, so that a person decides; a conflict goes
// when the service is back at what it was. A version that "keep mine" has looked at is no conflict any more.
func (b *batchTxn) changedUnderDeletes(ctx context.Context, joined string, c *MergeCounts) error {
	var fresh, settled, all int64
	err := b.tx.QueryRow(ctx, `with theirs as (
			select r._id as id, p._version as version, r._conflict as old, jsonb_object_agg(v.col::text, v.theirs) filter (where v.theirs <> coalesce(x.base, v.now)) as cells`+joined+`
			where r._state = 2 and (p._version is null or r._remote_version is distinct from p._version) group by 1, 2, 3),
		wanted as (select id, old, cells || jsonb_build_object('_record', jsonb_build_object('kind', 'changed_there', 'version', version)) as conflict from theirs),
		done as (update `+dataTable(b.t)+` r set _conflict = w.conflict from wanted w where r._id = w.id and w.old is distinct from w.conflict returning 1)
		select count(*) filter (where old is null), count(*) filter (where conflict is null), count(*) from wanted where old is distinct from conflict`, dynamic).
		Scan(&fresh, &settled, &all)
	if err != nil {
		return fmt.Errorf("changed under deletes: %w", err)
	}
	c.Conflicts += all - settled
	b.delta.Conflicts += fresh - settled
	b.rows += all
	b.many = b.many || all > 0
	return nil
}

func (b *batchTxn) noteSeen(ctx context.Context, j *Job, m PageMerge) error {
	ids := m.Seen
	if ids == nil {
		ids = make([]string, len(m.Records))
		for i, r := range m.Records {
			ids[i] = r.ID
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_seen")+` (job_id, table_id, page, ids) values ($1, $2, $3, $4)
		on conflict (job_id, table_id, page) do update set ids = excluded.ids`, dynamic, j.ID, b.t.ID, m.Page, ids)
	if err != nil {
		return fmt.Errorf("note seen: %w", err)
	}
	return nil
}

// notSeen is a condition on r: the refresh $1 of the table $2 did not see the record. Edited records that are known to be
// gone already wait for a person.
func notSeen(t Table) string {
	return `r._remote_id is not null and not exists (select 1 from (select unnest(ids) as id from ` + companion(t, "_seen") + `
		where job_id = $1 and table_id = $2) s where s.id = r._remote_id) and r._conflict -> '_record' ->> 'kind' is distinct from 'deleted_there'`
}

// Unseen gives remote ids here that a refresh did not see, in order after one of them ("" is the beginning), at most limit.
func (s *Store) Unseen(ctx context.Context, j *Job, t Table, after string, limit int) ([]string, error) {
	rows, err := s.pool.Query(ctx, `select r._remote_id from `+dataTable(t)+` r where r._remote_id > $3 and `+notSeen(t)+` order by r._remote_id limit $4`,
		dynamic, j.ID, t.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("unseen: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// CountUnseen counts the records that a refresh did not see, and all that have a remote id.
func (s *Store) CountUnseen(ctx context.Context, j *Job, t Table) (unseen, total int64, err error) {
	err = s.pool.QueryRow(ctx, `select count(*) filter (where `+notSeen(t)+`), count(*) from `+dataTable(t)+` r where r._remote_id is not null`,
		dynamic, j.ID, t.ID).Scan(&unseen, &total)
	if err != nil {
		return 0, 0, fmt.Errorf("count unseen: %w", err)
	}
	return unseen, total, nil
}

// SeenAgain notes ids that a second look of a refresh found, with the job's checkpoint. Codes: Conflict (ErrLeaseLost).
func (s *Store) SeenAgain(ctx context.Context, j *Job, t Table, page int, ids []string, checkpoint any) error {
	return s.tx(atPoint(ctx, "refresh.seen"), j.Actor(), func(tx pgx.Tx) error {
		if err := s.CheckpointTx(ctx, tx, j, checkpoint); err != nil {
			return err
		}
		b := &batchTxn{tx: tx, by: j.Actor(), t: t}
		return b.noteSeen(ctx, j, PageMerge{Page: page, Seen: ids})
	})
}

// Digest sums up the remote ids and versions of a table's records as a connectors.Digester sums up the service's; the sum is a
// whole number in decimals. Records that are thought to be gone there do not count.
func (s *Store) Digest(ctx context.Context, t Table) (records int64, sum string, err error) {
	err = s.pool.QueryRow(ctx, `select count(*), coalesce(sum(hashtextextended((r._remote_id || ' ' || coalesce(r._remote_version, '')) collate "C", 0)), 0)::text
		from `+dataTable(t)+` r where r._remote_id is not null and (r._conflict is null or r._conflict -> '_record' ->> 'kind' is distinct from 'deleted_there')`,
		dynamic).Scan(&records, &sum)
	if err != nil {
		return 0, "", mapError(fmt.Errorf("digest: %w", err))
	}
	return records, sum, nil
}

// Differing gives of some remote ids those whose record is not here, has another version, or is thought to be gone.
func (s *Store) Differing(ctx context.Context, t Table, ids, versions []string) ([]string, error) {
	rows, err := s.pool.Query(ctx, `select u.id from unnest($1::text[], $2::text[]) with ordinality as u(id, version, n)
		left join `+dataTable(t)+` r on r._remote_id = u.id
		where r._id is null or r._remote_version is distinct from u.version or r._conflict -> '_record' ->> 'kind' = 'deleted_there' order by u.n`,
		dynamic, append([]string{}, ids...), append([]string{}, versions...))
	if err != nil {
		return nil, fmt.Errorf("differing: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// RemoveGone takes records away that are surely gone at the service: clean ones, and those deleted here too, leave the
// table; an edited one becomes a conflict. The job's checkpoint goes along. Codes: Conflict (ErrLeaseLost).
func (s *Store) RemoveGone(ctx context.Context, j *Job, t Table, remoteIDs []string, checkpoint any) (MergeCounts, error) {
	var c MergeCounts
	_, err := s.inBatch(ctx, j.Actor(), t.Ref(), newBatch{Kind: "refresh", Label: "Refresh"}, func(b *batchTxn) error {
		c = MergeCounts{}
		if err := b.markGone(ctx, remoteIDs, &c); err != nil {
			return err
		}
		if err := b.removeClean(ctx, remoteIDs, &c); err != nil {
			return err
		}
		return s.checkpointAfter(ctx, b, j, checkpoint, &c)
	})
	return c, err
}

// markGone makes conflicts of edited records that are gone at the service.
func (b *batchTxn) markGone(ctx context.Context, remoteIDs []string, c *MergeCounts) error {
	var fresh int64
	err := b.tx.QueryRow(ctx, `with edited as (select r._id, r._conflict is null as fresh from `+dataTable(b.t)+` r where r._remote_id = any($1)
				and r._state = 0 and r._base is not null and r._conflict -> '_record' ->> 'kind' is distinct from 'deleted_there'),
			done as (update `+dataTable(b.t)+` r set _conflict = coalesce(r._conflict, '{}') || '{"_record": {"kind": "deleted_there"}}'
				from edited e where r._id = e._id returning 1)
		select count(*), count(*) filter (where fresh) from edited`, dynamic, remoteIDs).Scan(&c.Conflicts, &fresh)
	if err != nil {
		return fmt.Errorf("edited and gone: %w", err)
	}
	b.rows += c.Conflicts
	b.delta.Conflicts += fresh
	b.many = b.many || c.Conflicts > 0
	return nil
}

// removeClean takes records out of the table that carry no edit.
func (b *batchTxn) removeClean(ctx context.Context, remoteIDs []string, c *MergeCounts) (err error) {
	c.Deleted, err = b.removeRecords(ctx, "r._remote_id = any($1) and (r._state = 0 and r._base is null or r._state = 2)", remoteIDs)
	return err
}

// removeRecords takes the records that meet a condition on r, whose argument is $1, out of the table, with all that hangs on
// them; their values stay in the history.
func (b *batchTxn) removeRecords(ctx context.Context, cond string, arg any) (int64, error) {
	data := dataTable(b.t)
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select $2, r._id, 0, `+rowObject(b.t, "r")+`, 'null' from `+data+` r where `+cond, dynamic, arg, b.id)
	if err != nil {
		return 0, fmt.Errorf("record removals: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return 0, nil
	}
	var alive, deleted, edits, conflicts, suggestions, problems int64
	err = b.tx.QueryRow(ctx, `with gone as (delete from `+data+` r where `+cond+` returning r._id, r._state, r._base, r._conflict, r._remote_id),
		ended as (update `+companion(b.t, "_publish_items")+` i set ended = true from gone g where i.record = g._id and i.op = 'create' returning 1),
		closed as (update `+companion(b.t, "_suggestions")+` s set decided = $2 from gone g where s.row = g._id and s.decided is null returning 1),
		mended as (delete from `+companion(b.t, "_problems")+` x using gone g where x.row = g._id returning 1),
		unkeyed as (delete from `+companion(b.t, "_keys")+` x using gone g where x.row = g._id returning 1),
		unlinked as (delete from `+companion(b.t, "_refs")+` x using gone g where x.row = g._id returning 1)
		select count(*) filter (where _state <> 2), count(*) filter (where _state = 2 and _remote_id is not null),
			coalesce(sum((select count(*) from jsonb_object_keys(_base))) filter (where _state <> 2), 0), count(*) filter (where _conflict is not null),
			(select count(*) from closed), (select count(*) from mended) from gone`, dynamic, arg, b.id).
		Scan(&alive, &deleted, &edits, &conflicts, &suggestions, &problems)
	if err != nil {
		return 0, fmt.Errorf("remove records: %w", err)
	}
	n := tag.RowsAffected()
	b.rows += n
	b.delta.Records -= alive
	b.delta.Deleted -= deleted
	b.delta.Edits -= edits
	b.delta.Conflicts -= conflicts
	b.delta.Suggestions -= suggestions
	b.delta.Problems -= problems
	return n, nil
}

// RefreshSnapshot makes the jobs that refresh tables (none: all that have a service), one for each connection, and gives the
// first. A refresh of these tables that is under way already is given instead. Codes: NotFound, Forbidden, Conflict.
func (s *Store) RefreshSnapshot(ctx context.Context, by core.Actor, snapshot string, tables []string) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Job{}, err
	}
	byConnection, order, err := refreshable(snap, tables)
	if err != nil {
		return Job{}, err
	}
	if j, done, err := s.doneJob(ctx, by); err != nil || done {
		return j, err
	}
	var made []Job
	err = s.tx(atPoint(ctx, "refresh.start"), by, func(tx pgx.Tx) error {
		made = nil
		// Two people pressing Refresh at the same moment make one job.
		if _, err := tx.Exec(ctx, `select 1 from snapshots where org_id = $1 and id = $2 for no key update`, by.Org, snapshot); err != nil {
			return fmt.Errorf("lock snapshot: %w", err)
		}
		for _, connection := range order {
			j, err := s.refreshJobTx(ctx, tx, by, snap, connection, byConnection[connection])
			if err != nil {
				return err
			}
			made = append(made, j)
		}
		return keepDone(ctx, tx, by, "job", made[0].ID)
	})
	if err != nil {
		return Job{}, err
	}
	for _, j := range made {
		s.Wake(ctx, j.ID)
		s.hintJob(ctx, j)
	}
	return made[0], nil
}

// refreshable gives the ids of the wanted tables by connection, and the connections in the order of the tables.
func refreshable(snap Snapshot, tables []string) (byConnection map[string][]string, order []string, err error) {
	want := map[string]bool{}
	for _, id := range tables {
		want[id] = true
	}
	byConnection = map[string][]string{}
	for _, t := range snap.Tables {
		if (len(tables) == 0 || want[t.ID]) && t.Source == core.Remote && t.Connection != "" {
			if byConnection[t.Connection] == nil {
				order = append(order, t.Connection)
			}
			byConnection[t.Connection] = append(byConnection[t.Connection], t.ID)
		}
		delete(want, t.ID)
	}
	for id := range want {
		return nil, nil, core.Errorf(core.NotFound, "There is no table %s in this snapshot.", id)
	}
	if len(order) == 0 {
		return nil, nil, core.Errorf(core.Conflict, "These tables come from a file: there is no service to ask.")
	}
	return byConnection, order, nil
}

func (s *Store) refreshJobTx(ctx context.Context, tx pgx.Tx, by core.Actor, snap Snapshot, connection string, tables []string) (Job, error) {
	args, err := json.Marshal(map[string]any{"snapshot": snap.ID, "tables": tables})
	if err != nil {
		return Job{}, fmt.Errorf("job args: %w", err)
	}
	j, err := s.oneJob(ctx, tx, `select `+jobColumns+` from jobs where org_id = $1 and snapshot_id = $2 and connection_id = $3 and kind = 'refresh'
		and state in ('queued', 'running', 'waiting') and args = $4 and not cancel_asked order by created_at limit 1`, by.Org, snap.ID, connection, args)
	if core.CodeOf(err) != core.NotFound {
		return j, err
	}
	queue := ""
	if by.Kind == core.KindSystem {
		queue = "scheduled" // nobody waits for it
	}
	return s.EnqueueTx(ctx, tx, by, NewJob{Kind: "refresh", Queue: queue, Snapshot: snap.ID, Connection: connection, Label: "Refresh " + snap.Name, Args: args})
}
