package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// published gives the from-item of a plan's published items of the table with their receipts; args $1 to $4 are the plan, the
// table, the records and the columns that are chosen (null: all). Whole records are chosen by column 0.
func (b *batchTxn) published(op string) string {
	chosen := ` and $4::int[] is not distinct from $4 and not ` + createdIn("i", companion(b.t, "_publish_items"), "c.state = 'published'") // that goes with its create
	if op != "update" {
		chosen = ` and ($4::int[] is null or 0 = any($4))`
	}
	return companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id and i.plan = $1 and i.table_id = $2
		and ($3::bigint[] is null or i.record = any($3))` + chosen + ` and i.op = '` + op + `' and i.state = 'published'`
}

// publishedCells gives the from-item y of the cells that a plan published: what they hold now, what the service held before,
// what it held after, and whether it has changed since (there).
func (b *batchTxn) publishedCells() string {
	return `(select i.record, e.col, r._state as state, x.now, x.base, x.conflict, e.prev, e.held, case when x.now <> e.held then ` + b.lastBy("refresh") + ` else false end as there
		from ` + b.published("update") + ` cross join lateral (select f.key::int as col, f.key, coalesce(rc.before -> f.key, f.value -> 0) as prev,
			coalesce(rc.stored -> f.key, f.value -> 1) as held from jsonb_each(i.fields) f where $4::int[] is null or f.key::int = any($4)) e
		left join ` + dataTable(b.t) + ` r on r._id = i.record
		cross join lateral (select case when r._id is not null then ` + cellOf(b.t.Columns, "r", "e.col") + ` end as now, r._base -> e.key as base, r._conflict -> e.key as conflict) x
		where e.prev <> e.held) y`
}

// lastBy is a condition on i and e: the cell was last changed by a batch of a kind.
func (b *batchTxn) lastBy(kind string) string {
	return `coalesce((select bt.kind from ` + companion(b.t, "_changes") + ` ch join ` + companion(b.t, "_batches") + ` bt on bt.id = ch.batch
		where ch.row = i.record and ch.col = e.col order by ch.batch desc limit 1) = '` + kind + `', false)`
}

// createdSince gives the from-item s of what has changed since in the record r of a published create i: by whom.
func (b *batchTxn) createdSince() string {
	return `lateral (select jsonb_object_agg(e.key, x.now) filter (where x.there) as there, count(*) filter (where not x.there) as here
		from (select st.key, st.value, st.key::int as col from jsonb_each(rc.stored || coalesce((select u.stored from ` + companion(b.t, "_publish_items") + ` c
			join ` + companion(b.t, "_receipts") + ` u on u.item = c.id where c.plan = i.plan and c.table_id = i.table_id and c.record = i.record and c.op = 'update' and c.state = 'published'), '{}')) st) e
		cross join lateral (select v.now, case when v.now <> e.value then ` + b.lastBy("refresh") + ` end as there from (select ` + cellOf(b.t.Columns, "r", "e.col") + ` as now) v) x
		where x.now <> e.value) s`
}

// sends is a condition on y: the column goes to the service.
func (b *batchTxn) sends() string {
	numbers := "0"
	for _, c := range b.t.Columns {
		if c.Sends {
			numbers += ", " + strconv.Itoa(c.Number)
		}
	}
	return "y.col in (" + numbers + ")"
}

// revertLeft names what is left, with the reason.
func (b *batchTxn) revertLeft(ctx context.Context, args []any) error {
	rows, err := b.tx.Query(ctx, `select record, col, why from (
		select y.record, y.col, case when y.state is null then 'The record is gone.' when y.state <> 0 then 'The record was deleted here since.'
			when y.base is not null or y.now <> y.held and y.now <> y.prev and not y.there then 'Changed here since.'
			when not `+b.sends()+` then 'This column is not sent to the service any more.' end as why from `+b.publishedCells()+`
		union all select i.record, 0, case when r._base is not null or s.here > 0 then 'Changed here since.' when $6 <> '' then $6 end
			from `+b.published("create")+` join `+dataTable(b.t)+` r on r._id = i.record and r._state in (0, 1) cross join `+b.createdSince()+`
		union all select i.record, 0, case when r._id is not null then 'The record is here again.' when $7 <> '' then $7 end
			from `+b.published("delete")+` and rc.before is not null left join `+dataTable(b.t)+` r on r._id = i.record
		union all select i.record, 0, 'Nobody knows whether this arrived. Settle it first.' from `+companion(b.t, "_publish_items")+` i
			where i.plan = $1 and i.table_id = $2 and i.state = 'unknown' and ($3::bigint[] is null or i.record = any($3))) l
		where why is not null order by record, col limit $5`, append(append([]any{dynamic}, args...), maxNamed, b.cannot(b.t.Deletable, b.t.WhyNoDel), b.cannot(b.t.Creatable, b.t.WhyNoNew))...)
	if err != nil {
		return fmt.Errorf("what revert leaves: %w", err)
	}
	b.left, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Refusal, error) {
		var r Refusal
		err := row.Scan(&r.Record, &r.Column, &r.Reason)
		c, _ := b.t.Column(r.Column)
		r.Slug = c.Slug
		return r, err
	})
	return err
}

// cannot gives the reason why something cannot be done; "" when it can.
func (b *batchTxn) cannot(can bool, why string) string {
	if can {
		return ""
	}
	return orText(why, "This table does not allow it.")
}

// revertUpdates brings cells back to what the service held before. One that changed there since is in conflict: it was changed
// on both sides then.
func (b *batchTxn) revertUpdates(ctx context.Context, args []any) error {
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $5, y.record, y.col, y.now, y.prev, null, y.held, y.conflict, case when y.there then y.now end
		from `+b.publishedCells()+` where y.state = 0 and y.base is null and y.now <> y.prev and (y.now = y.held or y.there) and `+b.sends(), append(append([]any{dynamic}, args...), b.id)...)
	if err != nil {
		return fmt.Errorf("revert updates: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, b.t.Columns, tag.RowsAffected())
}

// revertCreates deletes created records. One that changed there since is in conflict.
func (b *batchTxn) revertCreates(ctx context.Context, args []any) error {
	rows, err := b.tx.Query(ctx, `select i.record, coalesce(s.there::text, '')
		from `+b.published("create")+` join `+dataTable(b.t)+` r on r._id = i.record and r._state in (0, 1) and r._base is null cross join `+b.createdSince()+`
		where s.here = 0`, append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("created records: %w", err)
	}
	var ids, changed []int64
	var theirs []string
	var id int64
	var object string
	_, err = pgx.ForEachRow(rows, []any{&id, &object}, func() error {
		ids = append(ids, id)
		if object != "" {
			changed, theirs = append(changed, id), append(theirs, object)
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	if _, err := b.deleteWhere(ctx, "r._id = any($1)", []any{ids}); err != nil {
		return err
	}
	return b.changedSince(ctx, changed, theirs)
}

// changedSince marks records that are to be deleted and were changed there.
func (b *batchTxn) changedSince(ctx context.Context, ids []int64, theirs []string) error {
	if len(ids) == 0 {
		return nil
	}
	tag, err := b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set _conflict = u.theirs::jsonb || jsonb_build_object('_record', jsonb_build_object('kind', 'changed_there', 'version', r._remote_version))
		from unnest($1::bigint[], $2::text[]) as u(id, theirs) where r._id = u.id and r._state = 2 and r._remote_id is not null and r._conflict is null`, dynamic, ids, theirs)
	if err != nil {
		return fmt.Errorf("changed there since: %w", err)
	}
	b.delta.Conflicts += tag.RowsAffected()
	return nil
}

// revertDeletes creates deleted records again.
func (b *batchTxn) revertDeletes(ctx context.Context, args []any) error {
	if !b.t.Creatable {
		return nil
	}
	rows, err := b.tx.Query(ctx, `select i.record, rc.before::text from `+b.published("delete")+`
		where rc.before is not null and not exists (select 1 from `+dataTable(b.t)+` r where r._id = i.record)`, append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("deleted records: %w", err)
	}
	var ids []int64
	var objects []string
	var id int64
	var object string
	if _, err := pgx.ForEachRow(rows, []any{&id, &object}, func() error {
		ids, objects = append(ids, id), append(objects, object)
		return nil
	}); err != nil || len(ids) == 0 {
		return err
	}
	if objects, err = b.withoutReadOnly(objects); err != nil {
		return err
	}
	if err := b.insertRecords(ctx, ids, objects, core.Created); err != nil {
		return err
	}
	return b.recordCreated(ctx, ids, objects)
}

// withoutReadOnly drops the values that the service makes itself, but for the key: the record comes back as what it was.
func (b *batchTxn) withoutReadOnly(objects []string) ([]string, error) {
	for i, o := range objects {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(o), &m); err != nil {
			return nil, fmt.Errorf("receipt: %w", err)
		}
		for _, c := range b.t.Columns {
			if !c.SendsNew && !c.Options.Key {
				delete(m, strconv.Itoa(c.Number))
			}
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("receipt: %w", err)
		}
		objects[i] = string(raw)
	}
	return objects, nil
}
