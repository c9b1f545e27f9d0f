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
	rows, err := s.pool.Query(ctx, batchSelect(snap.Schema)+` where b.person_id = $1 and `+cond+`
		and not `+undoneSQL(snap.Schema, "b")+`
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

// undoneSQL is a condition on a batch: one that names it is not taken back itself. What took an undo back is not undone; what
// was done first is, once more.
func undoneSQL(schema, alias string) string {
	batches := ident(schema, "_batches")
	return `exists (select 1 from ` + batches + ` u where u.undoes = ` + alias + `.id and not exists (select 1 from ` + batches + ` v where v.undoes = u.id))`
}

// UndoBatch makes a batch that undoes another, as far as the cells still hold what that one left, and says what it left.
// Undoing an undo is a redo; undoing a redo undoes what was done first. Codes: NotFound, Forbidden, Conflict (undone already, or not ours to undo), Busy.
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
	for old.Kind == "redo" {
		if old, err = s.BatchByID(ctx, by, snapshot, old.Undoes); err != nil {
			return BatchResult{}, err
		}
		if old, err = s.BatchByID(ctx, by, snapshot, old.Undoes); err != nil {
			return BatchResult{}, err
		}
		id = old.ID
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

// undo brings records back first, so that their cells can be taken back too, and takes records away last.
func (b *batchTxn) undo(ctx context.Context, old Batch) error {
	was, err := b.shapeOf(ctx, old.ID)
	if err != nil {
		return err
	}
	if was.records {
		if err := b.bringBack(ctx, old); err != nil {
			return err
		}
	}
	taken, err := b.undoCells(ctx, old.ID, was)
	if err != nil {
		return err
	}
	was.taken = taken == was.cells && !was.others
	if was.records {
		if err := b.takeAway(ctx, old); err != nil {
			return err
		}
	}
	return b.undoSuggestions(ctx, old, was)
}

// shape is what a batch changed.
type shape struct {
	cols    []core.Column
	cells   int64 // of these columns
	others  bool  // cells of columns that are gone too
	records bool  // whole records too
	taken   bool  // all of the cells were taken back, so that their records are there
}

func (b *batchTxn) shapeOf(ctx context.Context, id int64) (shape, error) {
	rows, err := b.tx.Query(ctx, `select col, count(*) from `+companion(b.t, "_changes")+` where batch = $1 group by col`, dynamic, id)
	if err != nil {
		return shape{}, fmt.Errorf("columns of a batch: %w", err)
	}
	var was shape
	var number int
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&number, &n}, func() error {
		c, ok := b.t.Column(number)
		switch {
		case number == core.RecordColumn:
			was.records = true
		case ok:
			was.cols, was.cells = append(was.cols, c), was.cells+n
		default:
			was.others = true
		}
		return nil
	})
	if err != nil {
		return shape{}, fmt.Errorf("columns of a batch: %w", err)
	}
	return was, b.inBulk(ctx, was.cells, "")
}

// undoLeft names the cells that have changed since, which undo leaves alone.
func (b *batchTxn) undoLeft(ctx context.Context, id int64, cols []core.Column) error {
	rows, err := b.tx.Query(ctx, `select ch.row, ch.col from `+companion(b.t, "_changes")+` ch
		left join `+dataTable(b.t)+` r on r._id = ch.row
		where ch.batch = $1 and ch.col <> 0 and (r._id is null or not (`+b.holds(cols)+`))
			and not exists (select 1 from `+companion(b.t, "_changes")+` mine where mine.batch = $2 and mine.row = ch.row and mine.col = ch.col) limit $3`,
		dynamic, id, b.id, maxNamed)
	if err != nil {
		return fmt.Errorf("what undo leaves: %w", err)
	}
	cells, err := b.refusals(rows, "Changed since.")
	b.left = append(b.left, cells...)
	return err
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

// holds is a condition on a change ch and its record r: the cell still holds what the change left, and may be changed. The
// conflict that a change settled can come back to a deleted record too.
func (b *batchTxn) holds(cols []core.Column) string {
	return b.holdsNow(cellOf(cols, "r", "ch.col"), cols)
}

// holdsNow is holds where the SQL of what the cell holds now is known.
func (b *batchTxn) holdsNow(now string, cols []core.Column) string {
	return now + ` = ` + translated(b.t, cols, "ch.col", "ch.after") + ` and (r._state in (0, 1) and ` + strings.ReplaceAll(writableSQL(cols), "e.col", "ch.col") +
		` or r._state in (0, 1, 2) and ` + settledSQL + `)`
}

// settledSQL is a condition on a change ch and its record r: the change settled a conflict, or brought one back, and nothing
// came since.
const settledSQL = `(ch.conflict_before is distinct from ch.conflict_after and r._conflict -> ch.col::text is not distinct from ch.conflict_after
	and r._base -> ch.col::text is not distinct from ch.base_after)`

// undoCells takes back the cells that still hold what the batch left:
//   - a settled conflict comes back as it was, or goes again;
//   - an edit of a cell that was clean gets today's base (or what the service holds, where that is a conflict);
//   - anything else gets the value before, as an edit against today's base (or against what was published since).
//
// It says how many cells that were.
func (b *batchTxn) undoCells(ctx context.Context, id int64, was shape) (int64, error) {
	if len(was.cols) == 0 {
		return 0, nil
	}
	n, err := b.recordUndone(ctx, was.cols, id, "r._state in (0, 1)")
	if err == nil && n > 0 {
		err = b.writeRecorded(ctx, was.cols, n)
	}
	if err != nil || n == was.cells { // none of them is of a record that is deleted or gone
		return n, err
	}
	deleted, err := b.undoInDeleted(ctx, id, was)
	if err == nil && n+deleted < was.cells {
		err = b.undoLeft(ctx, id, was.cols)
	}
	return n + deleted, err
}

// undoInDeleted takes back cells of records that are deleted now.
func (b *batchTxn) undoInDeleted(ctx context.Context, id int64, was shape) (int64, error) {
	if was.cells >= manyRows { // a look at the table is cheaper than a join with it
		var any bool
		err := b.tx.QueryRow(ctx, `select exists (select 1 from `+dataTable(b.t)+` where _state = 2)`, dynamic).Scan(&any)
		if err != nil || !any {
			return 0, err
		}
	}
	n, err := b.recordUndone(ctx, was.cols, id, "r._state = 2")
	if err != nil || n == 0 {
		return 0, err
	}
	return n, b.writeCells(ctx, was.cols, n, "r._state = 2")
}

// recordUndone puts into _changes what taking back the cells of a batch does to the records that meet a condition. The two laterals
// are fenced by their offset, which the planner does not see through: each is computed once a cell instead of wherever it is named,
// and what compares with it does not make the planner take a whole table for a few records.
func (b *batchTxn) recordUndone(ctx context.Context, cols []core.Column, id int64, cond string) (int64, error) {
	changes := companion(b.t, "_changes")
	const wasClean = `(x.base is not null and ch.base_before is null)`
	tag, err := b.tx.Exec(ctx, `
		insert into `+changes+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, ch.row, ch.col, x.now, w.after, x.base,
			case when w.settled then ch.base_before
				when not (`+strings.ReplaceAll(basedSQL(cols), "e.col", "ch.col")+`) or r._state <> 0 or w.after = w.baseline or w.after = x.conflict then null
				else w.baseline end,
			x.conflict,
			case when w.settled then ch.conflict_before when w.after = w.baseline or w.after = x.conflict then null else x.conflict end
		from `+changes+` ch
		join `+dataTable(b.t)+` r on r._id = ch.row and `+cond+`
		cross join lateral (select `+cellOf(cols, "r", "ch.col")+` as now, r._base -> ch.col::text as base, r._conflict -> ch.col::text as conflict,
			`+translated(b.t, cols, "ch.col", "ch.before")+` as before offset 0) x
		cross join lateral (select `+settledSQL+` as settled,
			case when `+settledSQL+` then x.before when `+wasClean+` then coalesce(x.conflict, x.base) else x.before end as after,
			coalesce(x.base, x.now) as baseline offset 0) w
		where ch.batch = $2 and ch.col <> 0 and `+b.holdsNow("x.now", cols)+` and (w.after <> x.now or w.settled or x.base is not null and w.after = w.baseline)
			and not exists (select 1 from `+changes+` mine where mine.batch = $1 and mine.row = ch.row and mine.col = ch.col)`, dynamic, b.id, id)
	if err != nil {
		return 0, fmt.Errorf("undo cells: %w", err)
	}
	return tag.RowsAffected(), nil
}
