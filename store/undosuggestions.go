package store

import (
	"context"
	"fmt"
)

// undoSuggestions opens again what the batch accepted, refused or closed as stale, and withdraws what it suggested.
func (b *batchTxn) undoSuggestions(ctx context.Context, old Batch, was shape) error {
	if old.Kind == "undo" {
		return b.redoSuggestions(ctx, old)
	}
	again, err := b.undoneBefore(ctx, old.ID)
	if err != nil {
		return err
	}
	sg, changes := companion(b.t, "_suggestions"), companion(b.t, "_changes")
	here := b.cellHere("s")
	switch {
	case was.records:
		here = b.recordHere("s")
	case was.taken: // to look at the whole table again, just written, would take longer than the rest of this
		here = "true"
	}
	accepted := `insert into ` + sg + ` (table_id, batch, row, col, before, after, reason, kind, edit)
		select $3, s.source, s.row, s.col, case when s.col = 0 then 'null' else s.before end, s.after, coalesce(s.reason, ''), coalesce(s.kind, 'text'), coalesce(s.edit, '')
		from ` + changes + ` s where s.batch = $1 and s.source is not null and $2::bigint > 0 and ` + here + `
			and not exists (select 1 from ` + sg + ` o where o.decided = $1 and o.batch = s.source and o.row = s.row and o.col = s.col)`
	decided := `insert into ` + sg + ` (table_id, batch, row, col, before, after, reason, kind, edit)
		select $3, s.batch, s.row, s.col, s.before, s.after, s.reason, s.kind, s.edit
		from ` + sg + ` s where s.decided = $1 and $2::bigint > 0 and ` + b.recordHere("s")
	if again {
		accepted += " and " + b.notClosedElsewhere("s.source")
		decided += " and " + b.notClosedElsewhere("s.batch")
	}
	withdrawn := `update ` + sg + ` set decided = $2 where batch = $1 and decided is null and $3::text is not null`
	var n [3]int64
	for i, sql := range []string{decided, withdrawn, accepted} { // what was accepted last: it may be a million that the others would look through
		tag, err := b.tx.Exec(ctx, sql, dynamic, old.ID, b.id, b.t.ID)
		if err != nil {
			return fmt.Errorf("undo suggestions: %w", err)
		}
		n[i] = tag.RowsAffected()
		b.aboutSuggestions(n[i])
	}
	b.delta.Suggestions += n[0] - n[1] + n[2]
	if !was.records && n[0]+n[1] == 0 { // they are all of cells
		return nil
	}
	return b.keepProposedOf(ctx, old.ID)
}

// keepProposedOf is keepProposed where the undo of a batch opened, closed or withdrew suggestions of whole records. ids are the batches that
// it is about, the one that may have accepted some last; what an undo or a redo changed itself has no suggestion as its source.
func (b *batchTxn) keepProposedOf(ctx context.Context, ids ...int64) error {
	var any bool
	err := b.tx.QueryRow(ctx, `select exists (select 1 from `+companion(b.t, "_suggestions")+` where col = 0 and (batch = any($1) or decided = any($1)))
		or exists (select 1 from `+companion(b.t, "_batches")+` where id = $2 and records > 0)
			and exists (select 1 from `+companion(b.t, "_changes")+` where batch = $2 and col = 0 and source is not null)`, dynamic, append(ids, b.id), ids[len(ids)-1]).Scan(&any)
	if err != nil || !any {
		return err
	}
	return b.keepProposed(ctx, ids...)
}

// aboutSuggestions counts suggestions that an undo opened or closed, where they are all that it is about.
func (b *batchTxn) aboutSuggestions(n int64) {
	if b.cells == 0 && b.rows == 0 {
		b.made += n
	}
}

// undoneBefore says whether a batch was undone and redone before: only then somebody else can have decided meanwhile what it
// had closed.
func (b *batchTxn) undoneBefore(ctx context.Context, id int64) (bool, error) {
	var n int
	err := b.tx.QueryRow(ctx, `select count(*) from `+companion(b.t, "_batches")+` where undoes = $1 and id <> $2`, dynamic, id, b.id).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look at undos: %w", err)
	}
	return n > 0, nil
}

// recordHere is a condition on a suggestion, closed by the batch $1: its record is in the table, or comes back with it.
func (b *batchTxn) recordHere(alias string) string {
	return `(` + alias + `.col = 0 and ` + alias + `.after <> 'null' or ` + b.cellHere(alias) + ` or exists (select 1 from ` + companion(b.t, "_suggestions") + ` c
		where c.row = ` + alias + `.row and c.col = 0 and c.after <> 'null' and (c.decided is null or c.decided = $1)))`
}

// cellHere is a condition on a suggestion for a cell: its record is in the table.
func (b *batchTxn) cellHere(alias string) string {
	return `exists (select 1 from ` + dataTable(b.t) + ` here where here._id = ` + alias + `.row)`
}

// notClosedElsewhere is a condition on s, closed by the batch $1: it is not open, and no later batch that is not undone has
// decided it. The row that a batch closed stays as its memory when undo opens the suggestion again as another row.
func (b *batchTxn) notClosedElsewhere(batch string) string {
	batches := companion(b.t, "_batches")
	return `not exists (select 1 from ` + companion(b.t, "_suggestions") + ` o left join ` + batches + ` d on d.id = o.decided
			where o.batch = ` + batch + ` and o.row = s.row and o.col = s.col and (d.id is null or d.id > $1 and not ` + undoneSQL(b.t.Schema, "d") + `))
		and not exists (select 1 from ` + companion(b.t, "_changes") + ` o join ` + batches + ` d on d.id = o.batch
			where o.source = ` + batch + ` and o.row = s.row and o.col = s.col and d.id > $1 and not ` + undoneSQL(b.t.Schema, "d") + `)`
}

// redoSuggestions closes again what an undo opened, and opens what it withdrew.
func (b *batchTxn) redoSuggestions(ctx context.Context, undo Batch) error {
	sg, changes := companion(b.t, "_suggestions"), companion(b.t, "_changes")
	opened, err := b.tx.Exec(ctx, `update `+sg+` s set decided = null where decided = $1 and `+b.recordHere("s"), dynamic, undo.ID)
	if err != nil {
		return fmt.Errorf("suggest again: %w", err)
	}
	closed, err := b.tx.Exec(ctx, `delete from `+sg+` s using (select source as batch, row, col from `+changes+` where batch = $1 and source is not null
			union all select batch, row, col from `+sg+` where decided = $1) d
		where s.batch = d.batch and s.row = d.row and s.col = d.col and s.decided is null`, dynamic, undo.Undoes)
	if err != nil {
		return fmt.Errorf("decide again: %w", err)
	}
	b.delta.Suggestions += opened.RowsAffected() - closed.RowsAffected()
	b.aboutSuggestions(opened.RowsAffected() + closed.RowsAffected())
	return b.keepProposedOf(ctx, undo.ID, undo.Undoes)
}
