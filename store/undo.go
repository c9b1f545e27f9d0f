package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// UndoNext undoes the actor's newest batch in a snapshot that is not undone. Codes: Conflict ("Nothing to undo."), Busy.
func (s *Store) UndoNext(ctx context.Context, by core.Actor, snapshot string) (BatchResult, error) {
	b, err := s.LastAct(ctx, by, snapshot, false)
	if err != nil {
		return BatchResult{}, err
	}
	return s.UndoBatch(ctx, by, snapshot, b.ID)
}

// LastAct gives the batch that undo (or redo) takes next, once nothing of the person's own is under way any more: what they
// did last is not in the history before it has ended. Codes: NotFound, Conflict ("Nothing to undo."), Busy.
func (s *Store) LastAct(ctx context.Context, by core.Actor, snapshot string, redo bool) (Batch, error) {
	if TriedBefore(ctx) {
		return Batch{}, nil // it is undone already; the command gives what that came to
	}
	j, ok, err := s.bulkJob(ctx, `snapshot_id = $3 and person_id = $4`, by.Org, bulkKinds, snapshot, by.Person)
	if err != nil {
		return Batch{}, err
	}
	if ok {
		return Batch{}, &core.Error{Code: core.Busy, RetryAfter: 2, Sentence: fmt.Sprintf("“%s” is still being done. Try again when it has ended, or cancel it.", j.Label)}
	}
	if redo {
		return s.NextRedo(ctx, by, snapshot)
	}
	return s.NextUndo(ctx, by, snapshot)
}

// NextUndo gives the batch that UndoNext would undo. Codes: NotFound, Conflict ("Nothing to undo.").
func (s *Store) NextUndo(ctx context.Context, by core.Actor, snapshot string) (Batch, error) {
	return s.nextOwn(ctx, by, snapshot, `b.undoes is null and b.kind not in ('download', 'refresh', 'publish')`, "Nothing to undo.")
}

// NextRedo gives the undo that RedoNext would take back: the person's newest act must be an undo. Codes: as NextUndo.
func (s *Store) NextRedo(ctx context.Context, by core.Actor, snapshot string) (Batch, error) {
	return s.nextOwn(ctx, by, snapshot, `b.kind = 'undo' and not exists (select 1 from `+ident(snapshot, "_batches")+` n
		where n.person_id = $1 and n.id > b.id and n.undoes is null and n.kind not in ('download', 'refresh', 'publish'))`, "Nothing to redo.")
}

// RedoNext takes back the actor's newest undo. Codes: Conflict ("Nothing to redo."), Busy.
func (s *Store) RedoNext(ctx context.Context, by core.Actor, snapshot string) (BatchResult, error) {
	b, err := s.LastAct(ctx, by, snapshot, true)
	if err != nil {
		return BatchResult{}, err
	}
	return s.UndoBatch(ctx, by, snapshot, b.ID)
}

func (s *Store) nextOwn(ctx context.Context, by core.Actor, snapshot, cond, none string) (Batch, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Batch{}, err
	}
	batches := ident(snap.Schema, "_batches")
	rows, err := s.pool.Query(ctx, batchSelect(snap.Schema)+` where b.person_id = $1 and `+cond+`
		and not exists (select 1 from `+batches+` u where u.undoes = b.id and not exists (select 1 from `+batches+` v where v.undoes = u.id))
		order by b.id desc limit 1`, dynamic, by.Person)
	if err != nil {
		return Batch{}, fmt.Errorf("next undo: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return Batch{}, fmt.Errorf("next undo: %w", err)
	}
	if len(list) == 0 {
		return Batch{}, core.Errorf(core.Conflict, "%s", none)
	}
	return list[0], nil
}

// UndoBatch makes a batch that undoes another, as far as the cells still hold what that one left, and says what it left.
// Undoing an undo is a redo. Codes: NotFound, Forbidden, Conflict (undone already, or not ours to undo), Busy.
func (s *Store) UndoBatch(ctx context.Context, by core.Actor, snapshot string, id int64) (BatchResult, error) {
	return s.undoBatch(ctx, by, snapshot, id, nil)
}

func (s *Store) undoBatch(ctx context.Context, by core.Actor, snapshot string, id int64, h *hold) (BatchResult, error) {
	if res, _, done, err := s.didBefore(ctx, by); err != nil || done {
		return res.BatchResult, err
	}
	old, err := s.BatchByID(ctx, by, snapshot, id)
	if err != nil {
		return BatchResult{}, err
	}
	if !old.Undoable {
		return BatchResult{}, core.Errorf(core.Conflict, "“%s” is undone already, or was done by the service: a publish is reverted from its page.", old.Label)
	}
	kind, label := undoNames(old)
	return s.inBatch(ctx, by, TableRef{snapshot, old.Table}, newBatch{Kind: kind, Label: label, Undoes: id, Hold: h}, func(b *batchTxn) error {
		if err := b.firstToUndo(ctx, old); err != nil {
			return err
		}
		return b.undo(ctx, old)
	})
}

// undoNames says what the undo of a batch is and is called.
func undoNames(old Batch) (kind, label string) {
	if old.Kind == "undo" {
		return "redo", "Redo" + strings.TrimPrefix(old.Label, "Undo")
	}
	return "undo", "Undo: " + old.Label
}

// firstToUndo fails when somebody else undid the batch since it was looked at.
func (b *batchTxn) firstToUndo(ctx context.Context, old Batch) error {
	batches := companion(b.t, "_batches")
	var others int
	err := b.tx.QueryRow(ctx, `select count(*) from `+batches+` u where u.undoes = $1 and u.id <> $2
		and not exists (select 1 from `+batches+` v where v.undoes = u.id)`, dynamic, old.ID, b.id).Scan(&others)
	if err != nil {
		return fmt.Errorf("look at undos: %w", err)
	}
	if others > 0 {
		return core.Errorf(core.Conflict, "“%s” was undone just now by somebody else.", old.Label)
	}
	return nil
}

func (b *batchTxn) undo(ctx context.Context, old Batch) error {
	if err := b.undoLeft(ctx, old.ID); err != nil {
		return err
	}
	if err := b.undoCells(ctx, old.ID); err != nil {
		return err
	}
	if err := b.undoRecords(ctx, old.ID); err != nil {
		return err
	}
	return b.undoSuggestions(ctx, old)
}

// undoLeft names the cells that have changed since, which undo leaves alone.
func (b *batchTxn) undoLeft(ctx context.Context, id int64) error {
	cols, err := b.columnsOf(ctx, id)
	if err != nil || len(cols) == 0 {
		return err
	}
	rows, err := b.tx.Query(ctx, `select ch.row, ch.col from `+companion(b.t, "_changes")+` ch
		left join `+dataTable(b.t)+` r on r._id = ch.row and r._state in (0, 1)
		where ch.batch = $1 and ch.col <> 0 and (r._id is null or `+cellOf(cols, "r", "ch.col")+` <> ch.after) limit $2`, dynamic, id, maxNamed)
	if err != nil {
		return fmt.Errorf("what undo leaves: %w", err)
	}
	b.left, err = b.refusals(rows, "Changed since.")
	return err
}

func (b *batchTxn) columnsOf(ctx context.Context, id int64) ([]core.Column, error) {
	rows, err := b.tx.Query(ctx, `select distinct col from `+companion(b.t, "_changes")+` where batch = $1 and col <> 0`, dynamic, id)
	if err != nil {
		return nil, fmt.Errorf("columns of a batch: %w", err)
	}
	return b.columnsIn(rows)
}

// columnsIn gives the columns whose numbers a query gave.
func (b *batchTxn) columnsIn(rows pgx.Rows) ([]core.Column, error) {
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	var cols []core.Column
	for _, n := range numbers {
		if c, ok := b.t.Column(n); ok {
			cols = append(cols, c)
		}
	}
	return cols, err
}

// undoCells takes back the cells that still hold what the batch left:
//   - a settled conflict comes back as it was;
//   - an edit of a cell that was clean gets today's base (or what the service holds, where that is a conflict);
//   - anything else gets the value before, as an edit against today's base (or against what was published since).
func (b *batchTxn) undoCells(ctx context.Context, id int64) error {
	cols, err := b.columnsOf(ctx, id)
	if err != nil || len(cols) == 0 {
		return err
	}
	changes := companion(b.t, "_changes")
	settled := `(ch.conflict_before is not null and x.conflict is null and x.base is not distinct from ch.base_after)`
	wasClean := `(x.base is not null and ch.base_before is null)`
	tag, err := b.tx.Exec(ctx, `
		insert into `+changes+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, ch.row, ch.col, x.now, w.after, x.base,
			case when `+settled+` then ch.base_before
				when not `+basedSQL(renamed(cols))+` or r._state <> 0 or w.after = w.baseline or w.after = x.conflict then null
				else w.baseline end,
			x.conflict,
			case when `+settled+` then ch.conflict_before when w.after = w.baseline or w.after = x.conflict then null else x.conflict end
		from (select c.*, c.row as erow from `+changes+` c where c.batch = $2 and c.col <> 0) ch
		join `+dataTable(b.t)+` r on r._id = ch.row and r._state in (0, 1)
		cross join lateral (select ch.col) e
		cross join lateral (select `+cellOf(cols, "r", "ch.col")+` as now, r._base -> ch.col::text as base, r._conflict -> ch.col::text as conflict) x
		cross join lateral (select case when `+settled+` then ch.before
				when `+wasClean+` then coalesce(x.conflict, x.base) else ch.before end as after,
			coalesce(x.base, x.now) as baseline) w
		where x.now = ch.after and (w.after <> x.now or `+settled+` or x.base is not null and w.after = w.baseline)`, dynamic, b.id, id)
	if err != nil {
		return fmt.Errorf("undo cells: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, cols, tag.RowsAffected())
}

// renamed is there for reading: basedSQL speaks of e.col, which undoCells provides.
func renamed(cols []core.Column) []core.Column { return cols }

// undoRecords deletes what the batch created, brings back what it deleted, and creates anew what is gone since.
func (b *batchTxn) undoRecords(ctx context.Context, id int64) error {
	changes, data := companion(b.t, "_changes"), dataTable(b.t)
	_, err := b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after)
		select $1, ch.row, 0, '`+wasThere+`', 'null' from `+changes+` ch join `+data+` r on r._id = ch.row
		where ch.batch = $2 and ch.col = 0 and ch.before = 'null' and r._state in (0, 1)`, dynamic, b.id, id)
	if err != nil {
		return fmt.Errorf("undo creates: %w", err)
	}
	if err := b.markDeleted(ctx); err != nil {
		return err
	}
	_, err = b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after)
		select $1, ch.row, 0, 'null', '`+wasThere+`' from `+changes+` ch join `+data+` r on r._id = ch.row
		where ch.batch = $2 and ch.col = 0 and ch.after = 'null' and r._state = 2`, dynamic, b.id, id)
	if err != nil {
		return fmt.Errorf("undo deletes: %w", err)
	}
	if err := b.markUndeleted(ctx); err != nil {
		return err
	}
	return b.createAnew(ctx, id)
}

// createAnew makes records again that the batch deleted and that have left the table since: their last values stand in
// the change that removed the row.
func (b *batchTxn) createAnew(ctx context.Context, id int64) error {
	changes := companion(b.t, "_changes")
	rows, err := b.tx.Query(ctx, `select ch.row, (select g.before::text from `+changes+` g
			where g.row = ch.row and g.col = 0 and g.after = 'null' and g.before <> '`+wasThere+`' order by g.batch desc limit 1)
		from `+changes+` ch where ch.batch = $1 and ch.col = 0 and ch.after = 'null'
			and not exists (select 1 from `+dataTable(b.t)+` r where r._id = ch.row)`, dynamic, id)
	if err != nil {
		return fmt.Errorf("gone records: %w", err)
	}
	var ids []int64
	var objects []string
	var row int64
	var object *string
	_, err = pgx.ForEachRow(rows, []any{&row, &object}, func() error {
		if object != nil {
			ids, objects = append(ids, row), append(objects, *object)
		}
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

// undoSuggestions opens again what the batch accepted or decided, and withdraws what it suggested.
func (b *batchTxn) undoSuggestions(ctx context.Context, old Batch) error {
	sg, changes := companion(b.t, "_suggestions"), companion(b.t, "_changes")
	steps := []struct {
		sql  string
		sign int64
	}{
		{`insert into ` + sg + ` (table_id, batch, row, col, before, after, reason, kind, edit)
			select '` + b.t.ID + `', ch.source, ch.row, ch.col, ch.before, ch.after, coalesce(ch.reason, ''), coalesce(ch.kind, 'text'), coalesce(ch.edit, '')
			from ` + changes + ` ch where ch.batch = $1 and ch.source is not null and $2 > 0`, 1},
		{`update ` + sg + ` set decided = null where decided = $1 and $2 > 0`, 1},
		{`update ` + sg + ` set decided = $2 where batch = $1 and decided is null`, -1},
	}
	if old.Kind == "undo" && old.Undoes != 0 { // a redo: what the undo opened again is accepted again
		steps = append(steps, struct {
			sql  string
			sign int64
		}{`delete from ` + sg + ` s using ` + changes + ` ch where ch.batch = (select undoes from ` + companion(b.t, "_batches") + ` where id = $1)
			and ch.source = s.batch and ch.row = s.row and ch.col = s.col and s.decided is null and $2 > 0`, -1})
	}
	for _, st := range steps {
		tag, err := b.tx.Exec(ctx, st.sql, dynamic, old.ID, b.id)
		if err != nil {
			return fmt.Errorf("undo suggestions: %w", err)
		}
		b.delta.Suggestions += st.sign * tag.RowsAffected()
		if b.cells == 0 && b.rows == 0 { // suggestions are all that the batch is about
			b.made += tag.RowsAffected()
		}
	}
	return b.keepProposed(ctx)
}
