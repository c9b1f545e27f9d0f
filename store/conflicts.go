package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SettleConflicts decides the chosen conflicts: "mine" keeps our value and takes the service's as its base, "theirs" takes
// the service's value. w.Columns narrows it to columns. Codes: NotFound, Forbidden, Invalid, Busy.
func (s *Store) SettleConflicts(ctx context.Context, by core.Actor, ref TableRef, w Where, as string) (BatchResult, error) {
	return s.settleConflicts(ctx, by, ref, w, as, nil)
}

func (s *Store) settleConflicts(ctx context.Context, by core.Actor, ref TableRef, w Where, as string, h *hold) (BatchResult, error) {
	if as != "mine" && as != "theirs" {
		return BatchResult{}, core.FieldErrorf("/as", "Say “mine” or “theirs”.")
	}
	return s.inBatch(ctx, by, ref, newBatch{Kind: "settle", Label: settleLabel(as), Hold: h}, func(b *batchTxn) error {
		ids, err := b.conflictsIn(ctx, s, by, w)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := b.settleRecords(ctx, ids, w.Columns, as); err != nil {
			return err
		}
		return b.settleCells(ctx, ids, w.Columns, as)
	})
}

func settleLabel(as string) string {
	if as == "theirs" {
		return "Take theirs"
	}
	return "Keep mine"
}

// withDeleted makes a choice of everything one of the deleted records too: they can be in conflict.
func withDeleted(w Where) Where {
	if w.Filter = orTrue(w.Filter); w.Filter == "true" {
		w.Filter = "deleted() || !deleted()"
	}
	return w
}

func (b *batchTxn) conflictsIn(ctx context.Context, s *Store, by core.Actor, w Where) ([]int64, error) {
	var args []any
	cond, err := s.recordsSQL(ctx, b.tx, by, b.t, withDeleted(w), &args)
	if err != nil {
		return nil, err
	}
	rows, err := b.tx.Query(ctx, "select r._id from "+dataTable(b.t)+" r where r._conflict is not null and "+cond, append([]any{dynamic}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("conflicts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// conflictsOf gives the from-items of the conflicted cells of r: c has the column as a key and the service's value, e the
// column, x what the cell holds.
func conflictsOf(cols []core.Column) string {
	return `cross join lateral jsonb_each(r._conflict) c(key, value)
		join lateral (select case when c.key ~ '^[0-9]+$' then c.key::int end as col) e on e.col is not null
		cross join lateral (select ` + cellOf(cols, "r", "e.col") + ` as now) x`
}

// seenTheirs sets in r that a person has seen what the service changed in a record that is deleted here.
const seenTheirs = `_remote_version = coalesce(nullif(r._conflict -> '_record' ->> 'version', ''), r._remote_version), _conflict = nullif(r._conflict - '_record', '{}')`

func (b *batchTxn) settleCells(ctx context.Context, ids []int64, columns []int, as string) error {
	var cols []core.Column
	for _, c := range b.t.Columns {
		if columns == nil || contains(columns, c.Number) {
			cols = append(cols, c)
		}
	}
	if len(cols) == 0 {
		return nil
	}
	n, err := b.recordSettled(ctx, cols, ids, "r._state in (0, 1)", as)
	if err != nil || n == 0 {
		return err
	}
	return b.writeRecorded(ctx, cols, n)
}

// recordSettled puts into _changes what deciding the conflicts of some columns does to the cells of records: mine keeps an
// edit and moves its base, theirs (and mine of a clean cell) takes the service's value.
func (b *batchTxn) recordSettled(ctx context.Context, cols []core.Column, ids []int64, cond, as string) (int64, error) {
	after, base := "case when r._base ? c.key then x.now else c.value end", "case when r._base ? c.key then nullif(c.value, x.now) end"
	if as == "theirs" {
		after, base = "c.value", "null::jsonb"
	}
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, e.col, x.now, `+after+`, r._base -> c.key, `+base+`, c.value, null
		from `+dataTable(b.t)+` r `+conflictsOf(cols)+`
		where r._id = any($2) and `+cond+` and e.col = any($3)`, dynamic, b.id, ids, numbers(cols))
	if err != nil {
		return 0, fmt.Errorf("settle cells: %w", err)
	}
	return tag.RowsAffected(), nil
}

func numbers(cols []core.Column) []int32 {
	out := make([]int32, len(cols))
	for i, c := range cols {
		out[i] = int32(c.Number) // #nosec G115 -- Postgres has at most 1,600 columns in a table
	}
	return out
}

// settleRecords decides conflicts of whole records: deleted there and edited here, or deleted here and changed there.
func (b *batchTxn) settleRecords(ctx context.Context, ids []int64, columns []int, as string) error {
	if columns != nil && !contains(columns, core.RecordColumn) {
		return nil
	}
	rows, err := b.tx.Query(ctx, `select r._id, r._state from `+dataTable(b.t)+` r where r._id = any($1) and (r._state = 2 or r._conflict ? '_record')`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("record conflicts: %w", err)
	}
	byState := map[core.RecordState][]int64{}
	var id int64
	var state core.RecordState
	if _, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error { byState[state] = append(byState[state], id); return nil }); err != nil {
		return fmt.Errorf("record conflicts: %w", err)
	}
	gone, deleted := byState[core.Existing], byState[core.Deleted]
	if as == "mine" {
		if err := b.createInstead(ctx, gone); err != nil {
			return err
		}
		return b.deleteStill(ctx, deleted)
	}
	if _, err := b.removeRecords(ctx, "r._id = any($1)", gone); err != nil {
		return err
	}
	return b.undelete(ctx, deleted)
}

// deleteStill keeps deletes of records that the service has changed since, now against what it holds.
func (b *batchTxn) deleteStill(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	n, err := b.recordSettled(ctx, b.t.Columns, ids, "r._state = 2", "mine")
	if err != nil {
		return err
	}
	if n > 0 {
		if err := b.writeCells(ctx, b.t.Columns, n, ""); err != nil {
			return err
		}
	}
	var settled int64
	err = b.tx.QueryRow(ctx, `with done as (update `+dataTable(b.t)+` r set `+seenTheirs+` where r._id = any($1) and r._conflict ? '_record' returning r._conflict)
		select count(*) filter (where _conflict is null) from done`, dynamic, ids).Scan(&settled)
	if err != nil {
		return fmt.Errorf("keep deletes: %w", err)
	}
	b.delta.Conflicts -= settled
	return nil
}

// createInstead makes records that are gone at the service new ones: the next publish creates them. What they were stands in
// the change of column 0, as its base, so that undo can bring that back.
func (b *batchTxn) createInstead(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	changes, data := companion(b.t, "_changes"), dataTable(b.t)
	for _, sql := range []string{
		`insert into ` + changes + ` (batch, row, col, before, after, base_before) select $1, r._id, 0, '` + wasThere + `', '` + wasThere + `', ` + standing + `
			from ` + data + ` r where r._id = any($2)`,
		`insert into ` + changes + ` (batch, row, col, before, after, base_before, conflict_before)
			select $1, r._id, e.col, x.now, x.now, c.value, r._conflict -> c.key from ` + data + ` r cross join lateral jsonb_each(r._base) c(key, value)
			cross join lateral (select c.key::int as col) e cross join lateral (select ` + cellOf(b.t.Columns, "r", "e.col") + ` as now) x where r._id = any($2)`,
		`update ` + companion(b.t, "_publish_items") + ` set ended = true where $1::bigint > 0 and record = any($2) and op = 'create'`,
	} {
		if _, err := b.tx.Exec(ctx, sql, dynamic, b.id, ids); err != nil {
			return fmt.Errorf("create instead: %w", err)
		}
	}
	var n, edits, fights int64
	err := b.tx.QueryRow(ctx, `with old as (select r._id, r._conflict, (select count(*) from jsonb_object_keys(r._base)) as edits from `+data+` r where r._id = any($1)),
		done as (update `+data+` r set _state = 1, _remote_id = null, _remote_version = null, _base = null, _conflict = null from old where r._id = old._id returning 1)
		select count(*), coalesce(sum(edits), 0), count(_conflict) from old`, dynamic, ids).Scan(&n, &edits, &fights)
	if err != nil {
		return fmt.Errorf("create instead: %w", err)
	}
	b.rows += n
	b.delta.Created += n
	b.delta.Edits -= edits
	b.delta.Conflicts -= fights
	return b.countEdits(ctx)
}

// standing gives the SQL of what the service knows a record r as.
const standing = `jsonb_build_object('remote_id', r._remote_id, 'version', r._remote_version)`

// uncountDeleted takes back what writeRecorded counted as edits of deleted records: they count as deletes only.
func (b *batchTxn) uncountDeleted(ctx context.Context) error {
	var n int64
	err := b.tx.QueryRow(ctx, `select count(ch.base_after) - count(ch.base_before) from `+companion(b.t, "_changes")+` ch join `+dataTable(b.t)+` r on r._id = ch.row
		where ch.batch = $1 and ch.col <> 0 and r._state = 2`, dynamic, b.id).Scan(&n)
	if err != nil {
		return fmt.Errorf("count edits of deleted records: %w", err)
	}
	b.delta.Edits -= n
	return nil
}
