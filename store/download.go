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

// RemoteRecord is a record as the service gave it; values are in the order of the asked columns.
type RemoteRecord struct {
	ID      string
	Version string
	Values  []core.Value
}

// PageMerge is one page of a download or refresh.
type PageMerge struct {
	Table      Table
	Columns    []core.Column // of Values, in order
	Records    []RemoteRecord
	First      bool // nothing of the table has been downloaded yet: there is nothing to merge with
	Page       int  // number of the page in this job and table
	Checkpoint any  // of the job, kept in the same transaction
}

// MergeCounts say what a page did, by records.
type MergeCounts struct {
	New       int64 `json:"new"`
	Changed   int64 `json:"changed"`
	Deleted   int64 `json:"deleted"`
	Conflicts int64 `json:"conflicts"`
}

// MergePage brings a page into the table by a three-way merge, with the job's checkpoint, in one transaction: clean cells
// take the service's value, edits stay, a field changed on both sides becomes a conflict. Codes: Conflict (ErrLeaseLost).
func (s *Store) MergePage(ctx context.Context, j *Job, m PageMerge) (MergeCounts, error) {
	var c MergeCounts
	kind, label := "refresh", "Refresh"
	if m.First {
		kind, label = "download", "Download"
	}
	_, err := s.inBatch(ctx, j.Actor(), m.Table.Ref(), newBatch{Kind: kind, Label: label}, func(b *batchTxn) error {
		c = MergeCounts{}
		if err := s.CheckpointTx(ctx, b.tx, j, m.Checkpoint); err != nil {
			return err
		}
		if len(m.Records) == 0 {
			return nil
		}
		if err := b.stagePage(ctx, m); err != nil {
			return err
		}
		if !m.First {
			if err := b.mergePage(ctx, m, &c); err != nil {
				return err
			}
			if err := b.noteSeen(ctx, j, m); err != nil {
				return err
			}
		}
		return b.insertPage(ctx, m, &c)
	})
	return c, err
}

func (b *batchTxn) stagePage(ctx context.Context, m PageMerge) error {
	names := []string{"_n", "_remote_id", "_version"}
	var ddl strings.Builder
	ddl.WriteString("create temporary table page (_n int, _remote_id text, _version text")
	for _, c := range m.Columns {
		typ := "text"
		if c.Type.IsList() {
			typ = "text[]"
		}
		ddl.WriteString(", " + ident(c.Physical) + " " + typ)
		names = append(names, c.Physical)
	}
	ddl.WriteString(") on commit drop")
	if _, err := b.tx.Exec(ctx, ddl.String()); err != nil {
		return fmt.Errorf("stage page: %w", err)
	}
	row := make([]any, len(names))
	_, err := b.tx.CopyFrom(ctx, pgx.Identifier{"page"}, names, pgx.CopyFromSlice(len(m.Records), func(i int) ([]any, error) {
		r := m.Records[i]
		row[0], row[1], row[2] = int32(i), r.ID, nil
		if r.Version != "" {
			row[2] = r.Version
		}
		for k, v := range r.Values {
			row[k+3] = copyValue(m.Columns[k], v)
		}
		return row, nil
	}))
	if err != nil {
		return fmt.Errorf("copy page: %w", err)
	}
	_, err = b.tx.Exec(ctx, "analyze page")
	return err
}

func copyValue(c core.Column, v core.Value) any {
	switch {
	case v.IsNull():
		return nil
	case c.Type.IsList():
		return v.List
	}
	return v.Text
}

// stagedExpr gives the SQL of a staged value in the column's physical type.
func stagedExpr(c core.Column) string {
	if c.Type.IsText() || c.Type.IsList() {
		return "p." + ident(c.Physical)
	}
	return "p." + ident(c.Physical) + "::" + physicalType(c.Type)
}

func stagedCanonical(c core.Column) string {
	if c.Type == core.JSON {
		return "(case when p." + ident(c.Physical) + " is null then 'null'::jsonb else jsonb_build_array(p." + ident(c.Physical) + "::jsonb) end)"
	}
	return "coalesce(to_jsonb(" + stagedExpr(c) + "), 'null'::jsonb)"
}

func (b *batchTxn) insertPage(ctx context.Context, m PageMerge, c *MergeCounts) error {
	names, exprs := []string{"_remote_id", "_remote_version"}, []string{"p._remote_id", "p._version"}
	for _, col := range m.Columns {
		names, exprs = append(names, ident(col.Physical)), append(exprs, stagedExpr(col))
	}
	tag, err := b.tx.Exec(ctx, `insert into `+dataTable(b.t)+` (`+strings.Join(names, ", ")+`) select `+strings.Join(exprs, ", ")+` from page p
		where not exists (select 1 from `+dataTable(b.t)+` r where r._remote_id = p._remote_id) order by p._n on conflict (_remote_id) do nothing`, dynamic)
	if err != nil {
		return fmt.Errorf("insert page: %w", err)
	}
	c.New = tag.RowsAffected()
	b.rows += c.New
	b.delta.Records += c.New
	return nil
}

func (b *batchTxn) mergePage(ctx context.Context, m PageMerge, c *MergeCounts) error {
	var values []string
	for _, col := range m.Columns {
		values = append(values, "("+strconv.Itoa(col.Number)+", "+canonicalExpr(col, "r")+", "+stagedCanonical(col)+")")
	}
	joined := ` from page p join ` + dataTable(b.t) + ` r on r._remote_id = p._remote_id
		cross join lateral (values ` + strings.Join(values, ", ") + `) v(col, now, theirs)
		cross join lateral (select r._base -> v.col::text as base, r._conflict -> v.col::text as conflict) x `
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, v.col, v.now, case when x.base is null then v.theirs else v.now end, x.base, case when v.theirs = v.now then null else x.base end, x.conflict,
			case when x.base is not null and v.theirs <> v.now and v.theirs <> x.base then v.theirs end`+joined+`
		where r._state = 0 and (x.base is null and v.now <> v.theirs or x.base is not null and (v.theirs = v.now
			or v.theirs <> x.base and x.conflict is distinct from v.theirs or v.theirs = x.base and x.conflict is not null))`, dynamic, b.id)
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
	if err := b.changedUnderDeletes(ctx, joined, c); err != nil {
		return err
	}
	_, err = b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set _remote_version = p._version from page p
		where r._remote_id = p._remote_id and r._state = 0 and r._remote_version is distinct from p._version`, dynamic)
	return err
}

func (b *batchTxn) countMerged(ctx context.Context, c *MergeCounts) error {
	err := b.tx.QueryRow(ctx, `select count(distinct row) filter (where after <> before), count(distinct row) filter (where conflict_after is not null)
		from `+companion(b.t, "_changes")+` where batch = $1 and col <> 0`, dynamic, b.id).Scan(&c.Changed, &c.Conflicts)
	if err != nil {
		return fmt.Errorf("count merged: %w", err)
	}
	return nil
}

// changedUnderDeletes finds records that are deleted here and were changed there: a person decides.
func (b *batchTxn) changedUnderDeletes(ctx context.Context, joined string, c *MergeCounts) error {
	var fresh, all int64
	err := b.tx.QueryRow(ctx, `with theirs as (
			select r._id as id, p._version as version, jsonb_object_agg(v.col::text, v.theirs) as cells, r._conflict is null as fresh`+joined+`
			where r._state = 2 and v.theirs <> coalesce(x.base, v.now) group by 1, 2, 4),
		done as (update `+dataTable(b.t)+` r set _conflict = t.cells || jsonb_build_object('_record', jsonb_build_object('kind', 'changed_there', 'version', t.version))
			from theirs t where r._id = t.id returning 1)
		select count(*) filter (where fresh), count(*) from theirs`, dynamic).Scan(&fresh, &all)
	if err != nil {
		return fmt.Errorf("changed under deletes: %w", err)
	}
	c.Conflicts += all
	b.delta.Conflicts += fresh
	b.rows += fresh
	return nil
}

func (b *batchTxn) noteSeen(ctx context.Context, j *Job, m PageMerge) error {
	ids := make([]string, len(m.Records))
	for i, r := range m.Records {
		ids[i] = r.ID
	}
	_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_seen")+` (job_id, table_id, page, ids) values ($1, $2, $3, $4)
		on conflict (job_id, table_id, page) do update set ids = excluded.ids`, dynamic, j.ID, b.t.ID, m.Page, ids)
	if err != nil {
		return fmt.Errorf("note seen: %w", err)
	}
	return nil
}

// Unseen gives the remote ids here that a refresh did not see, and how many records with a remote id there are.
func (s *Store) Unseen(ctx context.Context, j *Job, t Table) (ids []string, total int64, err error) {
	rows, err := s.pool.Query(ctx, `select r._remote_id from `+dataTable(t)+` r where r._remote_id is not null and not exists (
			select 1 from (select unnest(ids) as id from `+companion(t, "_seen")+` where job_id = $1 and table_id = $2) s where s.id = r._remote_id)`,
		dynamic, j.ID, t.ID)
	if err != nil {
		return nil, 0, fmt.Errorf("unseen: %w", err)
	}
	if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, 0, fmt.Errorf("unseen: %w", err)
	}
	err = s.pool.QueryRow(ctx, `select count(*) from `+dataTable(t)+` r where r._remote_id is not null`, dynamic).Scan(&total)
	return ids, total, err
}

// RemoveGone takes records away that are surely gone at the service: clean ones, and those deleted here too, leave the
// table; an edited one becomes a conflict.
func (s *Store) RemoveGone(ctx context.Context, j *Job, t Table, remoteIDs []string, checkpoint any) (MergeCounts, error) {
	var c MergeCounts
	_, err := s.inBatch(ctx, j.Actor(), t.Ref(), newBatch{Kind: "refresh", Label: "Refresh"}, func(b *batchTxn) error {
		c = MergeCounts{}
		if err := s.CheckpointTx(ctx, b.tx, j, checkpoint); err != nil {
			return err
		}
		data := dataTable(b.t)
		var fresh int64
		err := b.tx.QueryRow(ctx, `with edited as (select r._id, r._conflict is null as fresh from `+data+` r where r._remote_id = any($1) and r._state = 0 and r._base is not null),
			done as (update `+data+` r set _conflict = coalesce(r._conflict, '{}') || '{"_record": {"kind": "deleted_there"}}' from edited e where r._id = e._id returning 1)
			select count(*), count(*) filter (where fresh) from edited`, dynamic, remoteIDs).Scan(&c.Conflicts, &fresh)
		if err != nil {
			return fmt.Errorf("edited and gone: %w", err)
		}
		const clean = ` r._remote_id = any($1) and not (r._state = 0 and r._base is not null) and r._state in (0, 2)`
		_, err = b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
			select $2, r._id, 0, `+rowObject(b.t, "r")+`, 'null' from `+data+` r where`+clean, dynamic, remoteIDs, b.id)
		if err != nil {
			return fmt.Errorf("record removals: %w", err)
		}
		var alive, deleted, conflicts int64
		err = b.tx.QueryRow(ctx, `with gone as (delete from `+data+` r where`+clean+` returning r._id, r._state, r._conflict),
			ended as (update `+companion(b.t, "_publish_items")+` i set ended = true from gone g where i.record = g._id and i.op = 'create' returning 1)
			select count(*) filter (where _state = 0), count(*) filter (where _state = 2), count(*) filter (where _conflict is not null) from gone`,
			dynamic, remoteIDs).Scan(&alive, &deleted, &conflicts)
		c.Deleted = alive + deleted
		b.rows += c.Deleted + fresh
		b.delta.Records -= alive
		b.delta.Deleted -= deleted
		b.delta.Conflicts += fresh - conflicts
		return err
	})
	return c, err
}

// EndDownload notes that a table is complete, and forgets what a refresh has seen.
func (s *Store) EndDownload(ctx context.Context, j *Job, t Table) error {
	if _, err := s.pool.Exec(ctx, `update tables set downloaded_at = now() where org_id = $1 and id = $2`, t.Org, t.ID); err != nil {
		return fmt.Errorf("end download: %w", err)
	}
	_, err := s.pool.Exec(ctx, `delete from `+companion(t, "_seen")+` where job_id = $1 and table_id = $2`, dynamic, j.ID, t.ID)
	return err
}

// RefreshSnapshot makes the job that refreshes tables (none: all that have a service). Codes: NotFound, Forbidden, Conflict.
func (s *Store) RefreshSnapshot(ctx context.Context, by core.Actor, snapshot string, tables []string) (Job, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Job{}, err
	}
	chosen, err := publishable(snap, tables)
	if err != nil {
		return Job{}, err
	}
	ids := make([]string, len(chosen))
	for i, t := range chosen {
		ids[i] = t.ID
	}
	args, err := json.Marshal(map[string]any{"snapshot": snapshot, "tables": ids})
	if err != nil {
		return Job{}, fmt.Errorf("job args: %w", err)
	}
	return s.Enqueue(ctx, by, NewJob{Kind: "refresh", Snapshot: snapshot, Connection: chosen[0].Connection, Label: "Refresh " + snap.Name, Args: args})
}
