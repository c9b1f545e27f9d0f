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

func (b *batchTxn) settleCells(ctx context.Context, ids []int64, columns []int, as string) error {
	var cols []core.Column
	for _, c := range b.t.Columns {
		if columns == nil || contains(columns, c.Number) {
			cols = append(cols, c)
		}
	}
	after, base := "x.now", "nullif(c.value, x.now)"
	if as == "theirs" {
		after, base = "c.value", "null::jsonb"
	}
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, e.col, x.now, `+after+`, r._base -> c.key, `+base+`, c.value, null
		from `+dataTable(b.t)+` r cross join lateral jsonb_each(r._conflict) c(key, value)
		cross join lateral (select case when c.key ~ '^[0-9]+$' then c.key::int end as col) e
		cross join lateral (select `+cellOf(cols, "r", "e.col")+` as now) x
		where r._id = any($2) and r._state in (0, 1) and e.col is not null and e.col = any($3)`, dynamic, b.id, ids, numbers(cols))
	if err != nil {
		return fmt.Errorf("settle cells: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, cols, tag.RowsAffected())
}

func numbers(cols []core.Column) []int32 {
	out := make([]int32, len(cols))
	for i, c := range cols {
		out[i] = int32(c.Number)
	}
	return out
}

// settleRecords decides conflicts of whole records: deleted there and edited here, or deleted here and changed there.
func (b *batchTxn) settleRecords(ctx context.Context, ids []int64, columns []int, as string) error {
	if columns != nil && !contains(columns, core.RecordColumn) {
		return nil
	}
	rows, err := b.tx.Query(ctx, `select r._id, r._conflict -> '_record' ->> 'kind' from `+dataTable(b.t)+` r where r._id = any($1) and r._conflict ? '_record'`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("record conflicts: %w", err)
	}
	byKind := map[string][]int64{}
	var id int64
	var kind string
	if _, err := pgx.ForEachRow(rows, []any{&id, &kind}, func() error { byKind[kind] = append(byKind[kind], id); return nil }); err != nil {
		return fmt.Errorf("record conflicts: %w", err)
	}
	for kind, list := range byKind {
		if err := b.settleRecordKind(ctx, kind, list, as); err != nil {
			return err
		}
		b.delta.Conflicts -= int64(len(list))
	}
	return nil
}

func (b *batchTxn) settleRecordKind(ctx context.Context, kind string, ids []int64, as string) error {
	data := dataTable(b.t)
	switch {
	case kind == "deleted_there" && as == "mine": // created anew by the next publish
		var edits int64 // they are part of the new record from now on
		err := b.tx.QueryRow(ctx, `select coalesce(sum((select count(*) from jsonb_object_keys(r._base))), 0) from `+data+` r where r._id = any($1)`,
			dynamic, ids).Scan(&edits)
		if err != nil {
			return fmt.Errorf("count edits: %w", err)
		}
		b.delta.Created += int64(len(ids))
		b.delta.Edits -= edits
		if err := b.endCreates(ctx, ids); err != nil {
			return err
		}
		return b.settleSet(ctx, ids, "_state = 1, _remote_id = null, _remote_version = null, _base = null, _conflict = null")
	case kind == "deleted_there":
		_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
			select $1, r._id, 0, `+rowObject(b.t, "r")+`, 'null' from `+data+` r where r._id = any($2)`, dynamic, b.id, ids)
		if err != nil {
			return fmt.Errorf("record removal: %w", err)
		}
		var edits int64
		err = b.tx.QueryRow(ctx, `with gone as (delete from `+data+` r where r._id = any($1) returning r._base)
			select coalesce(sum((select count(*) from jsonb_object_keys(_base))), 0) from gone`, dynamic, ids).Scan(&edits)
		b.rows += int64(len(ids))
		b.delta.Records -= int64(len(ids))
		b.delta.Edits -= edits
		return err
	case as == "mine": // still to be deleted, now knowing the newer state
		if err := b.knowTheirs(ctx, ids); err != nil {
			return err
		}
		return b.settleSet(ctx, ids, "_remote_version = coalesce(_conflict -> '_record' ->> 'version', _remote_version), _conflict = null")
	}
	return b.undeleteWithTheirs(ctx, ids)
}

// endCreates lets records be created once more: what an earlier publish created is gone at the service.
func (b *batchTxn) endCreates(ctx context.Context, ids []int64) error {
	_, err := b.tx.Exec(ctx, `update `+companion(b.t, "_publish_items")+` set ended = true where record = any($1) and op = 'create'`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("end creates: %w", err)
	}
	return nil
}

// knowTheirs makes what the service holds now of deleted records what we expect it to hold.
func (b *batchTxn) knowTheirs(ctx context.Context, ids []int64) error {
	cols := b.t.Columns
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, e.col, x.now, case when x.base is null then c.value else x.now end, x.base, case when x.base is not null then nullif(c.value, x.now) end, c.value, null
		from `+dataTable(b.t)+` r cross join lateral jsonb_each(r._conflict - '_record') c(key, value)
		cross join lateral (select c.key::int as col) e
		cross join lateral (select `+cellOf(cols, "r", "e.col")+` as now, r._base -> c.key as base) x
		where r._id = any($2) and r._state = 2 and x.now is not null`, dynamic, b.id, ids)
	if err != nil {
		return fmt.Errorf("know theirs: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if err := b.writeRecorded(ctx, cols, tag.RowsAffected()); err != nil {
		return err
	}
	return b.uncountDeleted(ctx)
}

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

func (b *batchTxn) settleSet(ctx context.Context, ids []int64, set string) error {
	_, err := b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set `+set+` where r._id = any($1)`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("settle record: %w", err)
	}
	b.rows += int64(len(ids))
	return nil
}

// undeleteWithTheirs brings deleted records back with what the service holds now.
func (b *batchTxn) undeleteWithTheirs(ctx context.Context, ids []int64) error {
	_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select $1, r._id, 0, 'null', '`+wasThere+`' from `+dataTable(b.t)+` r where r._id = any($2) and r._state = 2`, dynamic, b.id, ids)
	if err != nil {
		return fmt.Errorf("record undeletes: %w", err)
	}
	if err := b.markUndeleted(ctx); err != nil {
		return err
	}
	if err := b.settleCells(ctx, ids, nil, "theirs"); err != nil {
		return err
	}
	_, err = b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set _remote_version = coalesce(_conflict -> '_record' ->> 'version', _remote_version), _conflict = null
		where r._id = any($1)`, dynamic, ids)
	return err
}
