package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// bringBack undoes the deletes of a batch: deleted records come back, what has left the table is created anew, and what the
// undo of an accept only proposed again is accepted again. Records that a settled conflict made new ones are what they were.
func (b *batchTxn) bringBack(ctx context.Context, old Batch) error {
	rows, err := b.tx.Query(ctx, `select ch.row from `+companion(b.t, "_changes")+` ch where ch.batch = $1 and ch.col = 0 and ch.after = 'null'`, dynamic, old.ID)
	if err != nil {
		return fmt.Errorf("deleted records: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("deleted records: %w", err)
	}
	if len(ids) > 0 {
		if err := b.undelete(ctx, ids); err != nil {
			return err
		}
		if err := b.acceptAgain(ctx, old, ids); err != nil {
			return err
		}
		if err := b.createAnew(ctx, ids); err != nil {
			return err
		}
	}
	return b.restanding(ctx, old.ID)
}

// acceptAgain makes records that the undo of an accept proposed again part of the table again.
func (b *batchTxn) acceptAgain(ctx context.Context, old Batch, ids []int64) error {
	if old.Kind != "undo" {
		return nil
	}
	tag, err := b.tx.Exec(ctx, `with done as (update `+dataTable(b.t)+` r set _state = 1 where r._id = any($2) and r._state = 3 returning r._id)
		insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after) select $1, _id, 0, 'null', '`+wasThere+`' from done`, dynamic, b.id, ids)
	if err != nil {
		return fmt.Errorf("accept again: %w", err)
	}
	n := tag.RowsAffected()
	b.rows += n
	b.delta.Records += n
	b.delta.Created += n
	return nil
}

// createAnew makes records again that have left the table: their last values stand in the change that removed the row.
func (b *batchTxn) createAnew(ctx context.Context, deleted []int64) error {
	changes := companion(b.t, "_changes")
	rows, err := b.tx.Query(ctx, `select d.row, g.before::text from unnest($1::bigint[]) d(row)
		cross join lateral (select g.before from `+changes+` g where g.row = d.row and g.col = 0 and g.after = 'null' and g.before <> '`+wasThere+`' order by g.batch desc limit 1) g
		where not exists (select 1 from `+dataTable(b.t)+` r where r._id = d.row)`, dynamic, deleted)
	if err != nil {
		return fmt.Errorf("gone records: %w", err)
	}
	var ids []int64
	var objects []string
	var row int64
	var object string
	_, err = pgx.ForEachRow(rows, []any{&row, &object}, func() error {
		ids, objects = append(ids, row), append(objects, object)
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := b.insertRecords(ctx, ids, objects, core.Created); err != nil {
		return err
	}
	return b.recordCreated(ctx, ids, objects)
}

// takeAway undoes the creates of a batch: the records are deleted. One that an accept made, and that is not at the service
// yet, is only proposed again.
func (b *batchTxn) takeAway(ctx context.Context, old Batch) error {
	changes, data := companion(b.t, "_changes"), dataTable(b.t)
	tag, err := b.tx.Exec(ctx, `with done as (update `+data+` r set _state = 3 from `+changes+` ch
			where ch.batch = $2 and ch.col = 0 and ch.before = 'null' and ch.source is not null and ch.row = r._id and r._state = 1 and r._remote_id is null returning r._id)
		insert into `+changes+` (batch, row, col, before, after) select $1, _id, 0, '`+wasThere+`', 'null' from done`, dynamic, b.id, old.ID)
	if err != nil {
		return fmt.Errorf("propose again: %w", err)
	}
	n := tag.RowsAffected()
	b.rows += n
	b.delta.Records -= n
	b.delta.Created -= n
	_, err = b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after)
		select $1, ch.row, 0, '`+wasThere+`', 'null' from `+changes+` ch join `+data+` r on r._id = ch.row
		where ch.batch = $2 and ch.col = 0 and ch.before = 'null' and r._state in (0, 1)`, dynamic, b.id, old.ID)
	if err != nil {
		return fmt.Errorf("undo creates: %w", err)
	}
	return b.markDeleted(ctx)
}

// restanding gives records that a settled conflict made new ones back what they were; of an undo that did so, it makes them
// new ones again. It leaves and names those that have changed since.
func (b *batchTxn) restanding(ctx context.Context, id int64) error {
	rows, err := b.tx.Query(ctx, `select ch.row, ch.base_after is null,
			case when ch.base_after is null then r._state = 1 and r._remote_id is null
				and not exists (select 1 from `+dataTable(b.t)+` o where o._remote_id = ch.base_before ->> 'remote_id')
				and not exists (select 1 from `+companion(b.t, "_changes")+` later where later.row = ch.row and later.col <> 0 and later.batch > ch.batch and later.batch <> $2)
			else coalesce(r._conflict ? '_record', false) and r._state = 0 and r._remote_id = ch.base_after ->> 'remote_id' end
		from `+companion(b.t, "_changes")+` ch left join `+dataTable(b.t)+` r on r._id = ch.row
		where ch.batch = $1 and ch.col = 0 and ch.before = '`+wasThere+`' and ch.after = '`+wasThere+`'`, dynamic, id, b.id)
	if err != nil {
		return fmt.Errorf("settled records: %w", err)
	}
	var back, anew []int64
	var row int64
	var madeNew bool
	var untouched *bool
	_, err = pgx.ForEachRow(rows, []any{&row, &madeNew, &untouched}, func() error {
		switch {
		case untouched == nil || !*untouched:
			b.left = append(b.left, Refusal{Record: row, Reason: "Changed since."})
		case madeNew:
			back = append(back, row)
		default:
			anew = append(anew, row)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settled records: %w", err)
	}
	if err := b.createInstead(ctx, anew); err != nil {
		return err
	}
	return b.goneAgain(ctx, id, back)
}

// goneAgain takes back that records are new ones: they are at the service by name, gone there, and edited here.
func (b *batchTxn) goneAgain(ctx context.Context, id int64, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	changes, data := companion(b.t, "_changes"), dataTable(b.t)
	_, err := b.tx.Exec(ctx, `with old as (select ch.row, ch.base_before as standing from `+changes+` ch where ch.batch = $2 and ch.col = 0 and ch.row = any($3)),
			done as (update `+data+` r set _state = 0, _remote_id = old.standing ->> 'remote_id', _remote_version = old.standing ->> 'version',
				_conflict = '{"_record": {"kind": "deleted_there"}}' from old where r._id = old.row)
		insert into `+changes+` (batch, row, col, before, after, base_after) select $1, row, 0, '`+wasThere+`', '`+wasThere+`', standing from old`, dynamic, b.id, id, ids)
	if err != nil {
		return fmt.Errorf("gone again: %w", err)
	}
	n := int64(len(ids))
	b.rows += n
	b.delta.Created -= n
	b.delta.Conflicts += n
	was, err := b.shapeOf(ctx, id)
	cols := was.cols
	if err != nil || len(cols) == 0 {
		return err
	}
	tag, err := b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after, base_after, conflict_after)
		select $1, ch.row, ch.col, x.now, x.now, ch.base_before, ch.conflict_before from `+changes+` ch join `+data+` r on r._id = ch.row
		cross join lateral (select `+cellOf(cols, "r", "ch.col")+` as now) x
		where ch.batch = $2 and ch.col <> 0 and ch.row = any($3) and ch.base_before is not null`, dynamic, b.id, id, ids)
	if err != nil {
		return fmt.Errorf("edited again: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, cols, tag.RowsAffected())
}
