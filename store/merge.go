package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// unmergedOf is a condition on i: it is among some items of a table, published, and its outcome is not in its row yet. Which items is said
// by their ids, since outcomes are written down without the table's lock: each statement of a transaction sees more of them.
func unmergedOf(items, table string) string {
	return "i.id = any(" + items + "::bigint[]) and i.table_id = " + table + " and i.state = 'published' and not i.merged"
}

// unmergedConflict is the same of items in conflict, $1 and $2.
const unmergedConflict = "i.id = any($1::bigint[]) and i.table_id = $2 and i.state = 'conflict' and not i.merged"

// MergeOutcomes takes the outcomes of a plan's items ("" is any plan) over into the rows: repeatable, under the table's lock.
// What the service stored of published ones becomes the base, and the value where nobody edited it meanwhile; a later edit
// stays an edit. What was read of those in conflict is merged as a refresh would.
func (s *Store) MergeOutcomes(ctx context.Context, by core.Actor, t Table, plan string) error {
	ctx = beside(ctx)
	var published, conflicts []int64
	err := s.pool.QueryRow(ctx, `select array_agg(id order by id) filter (where state = 'published'), array_agg(id order by id) filter (where state = 'conflict') from `+companion(t, "_publish_items")+`
		where ($1 = '' or plan = $1) and table_id = $2 and state in ('published', 'conflict') and not merged`, dynamic, plan, t.ID).Scan(&published, &conflicts)
	if err != nil {
		return mapError(fmt.Errorf("unmerged items: %w", err))
	}
	if len(conflicts) > 0 {
		if err := s.mergeConflicts(ctx, by, t, conflicts); err != nil {
			return err
		}
	}
	if len(published) == 0 {
		return nil
	}
	twins, err := s.twins(ctx, s.pool, t, published)
	if err != nil {
		return err
	}
	if len(twins) > 0 {
		return s.mergeTwins(ctx, by, t, plan, published)
	}
	_, err = s.inBatch(ctx, by, t.Ref(), takingOver(plan), func(b *batchTxn) error { return b.mergePublished(ctx, published) })
	return err
}

// takingOver is the batch of what a plan ("" is any) has published.
func takingOver(plan string) newBatch {
	return newBatch{Kind: "publish", Label: "Publish", Plan: plan}
}

func (b *batchTxn) mergePublished(ctx context.Context, items []int64) error {
	for _, merge := range []func(context.Context, []int64) error{b.mergeRecords, b.mergeCells, b.endFights, b.mergeReferences, b.mergeDeletes} {
		if err := merge(ctx, items); err != nil {
			return err
		}
	}
	tag, err := b.tx.Exec(ctx, `update `+companion(b.t, "_publish_items")+` i set merged = true where `+unmergedOf("$1", "$2"), dynamic, items, b.t.ID)
	if err != nil {
		return fmt.Errorf("note what was taken over: %w", err)
	}
	b.rows = tag.RowsAffected() // in the history a publish is as many records as it wrote
	return nil
}

// mergeConflicts takes over what was read of records that the service had changed under their edits, so that a person decides.
func (s *Store) mergeConflicts(ctx context.Context, by core.Actor, t Table, items []int64) error {
	_, err := s.inBatch(ctx, by, t.Ref(), newBatch{Kind: "refresh", Label: "Conflicts found"}, func(b *batchTxn) error {
		var c MergeCounts
		if err := b.mergeGone(ctx, items, &c); err != nil {
			return err
		}
		if err := b.mergeRead(ctx, items, &c); err != nil {
			return err
		}
		_, err := b.tx.Exec(ctx, `update `+companion(b.t, "_publish_items")+` i set merged = true where `+unmergedConflict, dynamic, items, b.t.ID)
		return err
	})
	return err
}

func (b *batchTxn) mergeGone(ctx context.Context, items []int64, c *MergeCounts) error {
	rows, err := b.tx.Query(ctx, `select i.remote_id from `+companion(b.t, "_publish_items")+` i where `+unmergedConflict+`
			and i.reason = $3 and i.remote_id is not null`, dynamic, items, b.t.ID, DeletedThere)
	if err != nil {
		return fmt.Errorf("gone records: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := b.markGone(ctx, ids, c); err != nil {
		return err
	}
	return b.removeClean(ctx, ids, c)
}

// mergeRead merges the records of items in conflict from their receipts. What an earlier look saw of one that is gone by now is
// nothing to merge.
func (b *batchTxn) mergeRead(ctx context.Context, items []int64, c *MergeCounts) error {
	from := ` from ` + companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id
		where ` + unmergedConflict + ` and i.reason <> $3 and rc.before is not null`
	cols, err := b.columnsRead(ctx, items, from)
	if err != nil || len(cols) == 0 {
		return err
	}
	if err := b.createPage(ctx, cols); err != nil {
		return err
	}
	names, values := []string{"_n", "_remote_id", "_version"}, []string{"0", "i.remote_id", "rc.version"}
	for _, col := range cols {
		names, values = append(names, ident(col.Physical)), append(values, stagedFrom(col, "rc.before -> '"+strconv.Itoa(col.Number)+"'"))
	}
	_, err = b.tx.Exec(ctx, "insert into page ("+strings.Join(names, ", ")+") select "+strings.Join(values, ", ")+from, dynamic, items, b.t.ID, DeletedThere)
	if err != nil {
		return fmt.Errorf("stage what was read: %w", err)
	}
	return b.mergePage(ctx, PageMerge{Columns: cols}, c)
}

// columnsRead gives the columns that all of the receipts have.
func (b *batchTxn) columnsRead(ctx context.Context, items []int64, from string) ([]core.Column, error) {
	rows, err := b.tx.Query(ctx, `select key::int from (select rc.before`+from+`) x cross join lateral jsonb_object_keys(before) key
		group by key having count(*) = (select count(*) from (select 1`+from+`) y)`, dynamic, items, b.t.ID, DeletedThere)
	if err != nil {
		return nil, fmt.Errorf("columns read: %w", err)
	}
	return b.columnsIn(rows)
}

// stagedFrom gives the SQL that turns canonical jsonb into what a page holds.
func stagedFrom(c core.Column, j string) string {
	switch {
	case c.Type == core.JSON:
		// A scalar is an array of one to ->, so null itself would become JSON null.
		return "(case when jsonb_typeof(" + j + ") = 'array' then (" + j + " -> 0)::text end)"
	case c.Type.IsList():
		return castExpr(c, "("+j+")")
	}
	return "(" + j + ") #>> '{}'"
}

// unmerged gives the from-item of published items of the table with their receipts and rows; args $2 and $3.
func (b *batchTxn) unmerged(ops string) string {
	return companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id join ` + dataTable(b.t) + ` r on r._id = i.record
		where ` + unmergedOf("$2", "$3") + ` and i.op in (` + ops + `)`
}

// mergeRecords gives created records their remote ids, and all their new versions. One that was deleted here meanwhile
// stays deleted, and has something to delete now.
func (b *batchTxn) mergeRecords(ctx context.Context, items []int64) error {
	var created, deleted int64
	err := b.tx.QueryRow(ctx, `with done as (
			update `+dataTable(b.t)+` u set _remote_id = coalesce(x.remote_id, u._remote_id), _remote_version = coalesce(x.version, u._remote_version),
				_state = case when x.op = 'create' and u._state = 1 then 0 else u._state end
			from (select i.record, i.op, i.remote_id, rc.version, r._state as state from `+b.unmerged("'create', 'update'")+`) x
			where u._id = x.record and $1::bigint > 0 returning x.op, x.state)
		select count(*) filter (where op = 'create' and state = 1), count(*) filter (where op = 'create' and state = 2) from done`,
		dynamic, b.id, items, b.t.ID).Scan(&created, &deleted)
	if err != nil {
		return fmt.Errorf("merge records: %w", err)
	}
	b.delta.Created -= created
	b.delta.Deleted += deleted
	return nil
}

func (b *batchTxn) mergeCells(ctx context.Context, items []int64) error {
	cols := b.t.Columns
	tag, err := b.tx.Exec(ctx, `
		insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, y.record, y.col, y.now, y.after, y.base, nullif(y.stored, y.after), y.conflict, null
		from (select i.record, e.col, x.now, x.base, x.conflict, st.value as stored,
				case when `+columnsCondition(cols, func(c core.Column) bool { return c.InsertOnly })+` or x.now = (case when i.fields ? st.key then i.fields -> st.key -> 1 when i.op = 'create' then 'null' else x.now end) then st.value else x.now end as after
			from `+strings.Replace(b.unmerged("'create', 'update'"), "where", `cross join lateral jsonb_each(rc.stored) st
				cross join lateral (select st.key::int as col) e
				cross join lateral (select `+cellOf(cols, "r", "e.col")+` as now, r._base -> st.key as base, r._conflict -> st.key as conflict) x
				where`, 1)+` and x.now is not null and (i.op = 'create' or i.fields ? st.key or x.base is null)) y
		where y.after <> y.now or y.base is distinct from nullif(y.stored, y.after) or y.conflict is not null`, dynamic, b.id, items, b.t.ID)
	if err != nil {
		return fmt.Errorf("merge cells: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if err := b.writeRecorded(ctx, cols, tag.RowsAffected()); err != nil {
		return err
	}
	return b.uncountDeleted(ctx)
}

// endFights ends the conflict of deleted records whose fields the publish has overwritten: nothing of the service's is left.
func (b *batchTxn) endFights(ctx context.Context, items []int64) error {
	tag, err := b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set _conflict = null from `+companion(b.t, "_publish_items")+` i
		where `+unmergedOf("$1", "$2")+` and i.op = 'update' and i.record = r._id and r._state = 2
			and r._conflict -> '_record' ->> 'kind' = 'changed_there' and r._conflict - '_record' = '{}'`, dynamic, items, b.t.ID)
	if err != nil {
		return fmt.Errorf("end conflicts: %w", err)
	}
	b.delta.Conflicts -= tag.RowsAffected()
	return nil
}

// mergeReferences writes the new remote ids into the cells of the snapshot that referred to records by "~" and their id.
func (b *batchTxn) mergeReferences(ctx context.Context, items []int64) error {
	created := companion(b.t, "_publish_items") + ` i on i.record = f.target and ` + unmergedOf("$1", "$2") + ` and i.op = 'create'`
	rows, err := b.tx.Query(ctx, `select distinct c.table_id, f.col from `+companion(b.t, "_refs")+` f join `+created+`
		join columns c on c.org_id = $3 and c.snapshot_id = $4 and c.number = f.col order by 1, 2`, dynamic, items, b.t.ID, b.t.Org, b.t.Snapshot)
	if err != nil {
		return fmt.Errorf("references: %w", err)
	}
	type cell struct {
		table  string
		column int
	}
	cells, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (cell, error) {
		var c cell
		return c, row.Scan(&c.table, &c.column)
	})
	if err != nil {
		return fmt.Errorf("references: %w", err)
	}
	for _, c := range cells {
		if err := b.rewriteReferences(ctx, items, c.table, c.column); err != nil {
			return err
		}
	}
	if len(cells) == 0 {
		return nil
	}
	_, err = b.tx.Exec(ctx, `delete from `+companion(b.t, "_refs")+` f using `+companion(b.t, "_publish_items")+` i
		where i.record = f.target and `+unmergedOf("$1", "$2")+` and i.op = 'create'`, dynamic, items, b.t.ID)
	return err
}

func (b *batchTxn) rewriteReferences(ctx context.Context, items []int64, table string, column int) error {
	t := b.t
	if table != t.ID {
		var err error
		if t, err = tableTx(ctx, b.tx, b.by, TableRef{b.t.Snapshot, table}); err != nil {
			return err
		}
		if _, err := lockTable(ctx, b.tx, t); err != nil {
			return err
		}
	}
	c, ok := t.Column(column)
	if !ok {
		return nil
	}
	cell := "r." + ident(c.Physical)
	known := `(select ` + referenceOf("i.remote_id") + ` from ` + companion(t, "_publish_items") + ` i where '~' || i.record = v and ` + unmergedOf("$1", "$2") + ` and i.op = 'create')`
	value := "(select coalesce(" + known + ", v) from (select " + cell + " as v) e)"
	if c.Type == core.References {
		value = "array(select coalesce(" + known + ", v) from unnest(" + cell + ") with ordinality e(v, n) order by n)"
	}
	_, err := b.tx.Exec(ctx, `update `+dataTable(t)+` r set `+ident(c.Physical)+` = `+value+`
		where r._id in (select f.row from `+companion(t, "_refs")+` f join `+companion(t, "_publish_items")+` i on i.record = f.target
			where f.col = $3 and `+unmergedOf("$1", "$2")+` and i.op = 'create')`, dynamic, items, b.t.ID, column)
	if err != nil {
		return fmt.Errorf("rewrite references: %w", err)
	}
	if t.ID != b.t.ID {
		_, err = bump(ctx, b.tx, t, countsDelta{})
	}
	return err
}

// mergeDeletes takes deleted records out of the table; their values stay in the history, and their creates are ended. One
// that was brought back here meanwhile is to be created anew.
func (b *batchTxn) mergeDeletes(ctx context.Context, items []int64) error {
	// A refresh may have seen before this that a record is gone, and an undo brought it back as a new one since: it is nothing there to delete.
	rows, err := b.tx.Query(ctx, `select r._id, r._state = 2 from `+dataTable(b.t)+` r join `+companion(b.t, "_publish_items")+` i on i.record = r._id
		where `+unmergedOf("$1", "$2")+` and i.op = 'delete' and not (r._state = 1 and r._remote_id is null)`, dynamic, items, b.t.ID)
	if err != nil {
		return fmt.Errorf("published deletes: %w", err)
	}
	var gone, back []int64
	var id int64
	var deleted bool
	_, err = pgx.ForEachRow(rows, []any{&id, &deleted}, func() error {
		if deleted {
			gone = append(gone, id)
		} else {
			back = append(back, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("published deletes: %w", err)
	}
	if err := b.createInstead(ctx, back); err != nil || len(gone) == 0 {
		return err
	}
	_, err = b.removeRecords(ctx, "r._id = any($1)", gone)
	return err
}
