package store

import (
	"slices"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

// someone draws who acts.
func (w *world) someone() core.Actor { return w.people[w.pick("who", 0, 1)] }

// pick draws one of some numbers.
func (w *world) pick(what string, of ...int) int { return rapid.SampledFrom(of).Draw(w.T, what) }

func (w *world) someTable() *modelTable {
	return w.model.tables[w.pick("table", 0, 0, 0, 1)]
}

// someRows draws records, with one that was never there now and then.
func (w *world) someRows(t *modelTable, most int) []int64 {
	ids := []int64{987654}
	for _, r := range t.sorted() {
		ids = append(ids, r.id)
	}
	if len(ids) > 1 && rapid.IntRange(0, 19).Draw(w.T, "a stranger") > 0 {
		ids = ids[1:]
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, min(most, len(ids)), rapid.ID).Draw(w.T, "records")
}

func (w *world) someColumn(t *modelTable) core.Column {
	return t.Columns[rapid.IntRange(0, len(t.Columns)-1).Draw(w.T, "column")]
}

// finish gives the model's batch the store's id and compares.
func (w *world) finish(what string, b *modelBatch, res BatchResult, err error) {
	w.Helper()
	w.check(err)
	b.id = res.Batch
	w.note(what, b)
	if b.empty() && b.undoes == nil {
		if res.Batch != 0 {
			w.Fatalf("%s changes nothing, but makes batch %d of %d cells", what, res.Batch, res.Cells)
		}
	} else {
		if res.Batch == 0 {
			w.Fatalf("%s changes %d cells, but makes no batch", what, len(b.changes))
		}
		w.model.batches = append(w.model.batches, b)
	}
	w.agree(what)
}

// edit sets cells of some records, alone or in bulk, and makes or deletes records in the same act.
func (w *world) edit(suggest bool) {
	t, by, ch := w.someTable(), w.someone(), Changes{}
	for _, id := range w.someRows(t, 3) {
		c := w.someColumn(t)
		ch.Sets = append(ch.Sets, CellEdit{Record: id, Column: c.Number, Value: w.real(c, w.value(c))})
	}
	if rapid.IntRange(0, 3).Draw(w.T, "more") == 0 {
		ch.Sets = append(ch.Sets, ch.Sets[0])
	}
	if rapid.IntRange(0, 3).Draw(w.T, "creates") == 0 {
		for range rapid.IntRange(1, 2).Draw(w.T, "new") {
			ch.Creates = append(ch.Creates, NewRecord{Values: w.someValues(t)})
		}
	}
	if rapid.IntRange(0, 5).Draw(w.T, "deletes") == 0 {
		ch.Deletes = records(w.someRows(t, 2))
	}
	w.change(t, by, ch, suggest)
}

func records(ids []int64) []RecordOp {
	out := make([]RecordOp, len(ids))
	for i, id := range ids {
		out[i].Record = id
	}
	return out
}

func (w *world) someValues(t *modelTable) map[int]core.Value {
	out := map[int]core.Value{}
	for _, c := range t.Columns {
		if rapid.Bool().Draw(w.T, "given") {
			out[c.Number] = w.real(c, w.value(c))
		}
	}
	return out
}

func (w *world) change(t *modelTable, by core.Actor, ch Changes, suggest bool) {
	w.Helper()
	res, err := w.ApplyChanges(w.test.Context(), by, t.Ref(), ch, ChangeOptions{Suggest: suggest})
	w.check(err)
	b := w.model.begin(t, by.Person, "edit")
	w.sets(b, t, ch, suggest)
	for i, n := range ch.Creates {
		values := map[int]string{}
		for col, v := range n.Values {
			values[col] = string(v.Canonical(t.column(col).Type))
		}
		if suggest {
			w.model.create(b, t, res.Created[i], values, core.Proposed)
			w.model.propose(b, t, res.Created[i], core.RecordColumn, "null", object(values))
		} else {
			w.model.create(b, t, res.Created[i], values, core.Created)
		}
	}
	for _, op := range ch.Deletes {
		if r := t.rows[op.Record]; r != nil && r.alive() {
			if suggest {
				w.model.propose(b, t, r.id, core.RecordColumn, "null", "null")
			} else {
				w.model.delete(b, r)
			}
		}
	}
	for _, op := range ch.Undeletes {
		if r := t.rows[op.Record]; r != nil && r.state == core.Deleted && !suggest {
			w.model.undelete(b, r)
		}
	}
	w.finish("change", b, res, err)
}

func (w *world) sets(b *modelBatch, t *modelTable, ch Changes, suggest bool) {
	type cell struct {
		row int64
		col int
	}
	cells, last := []cell{}, map[cell]string{}
	for _, s := range ch.Sets {
		k := cell{s.Record, s.Column}
		if !slices.Contains(cells, k) {
			cells = append(cells, k)
		}
		last[k] = string(s.Value.Canonical(t.column(s.Column).Type))
	}
	for _, k := range cells {
		r := t.rows[k.row]
		switch {
		case r == nil:
		case suggest:
			w.model.suggest(b, t, r, t.column(k.col), last[k])
		default:
			w.model.edit(b, r, t.column(k.col), last[k], len(cells) == 1)
		}
	}
}

func (w *world) undelete() {
	t := w.someTable()
	w.change(t, w.someone(), Changes{Undeletes: records(w.someRows(t, 3))}, false)
}

// filters are what bulk acts choose by, with what they mean.
var filters = []struct {
	expression string
	means      func(r *modelRow) bool
}{
	{"true", func(r *modelRow) bool { return r.state != core.Deleted }},
	{"edited()", func(r *modelRow) bool { return r.state == core.Existing && len(r.base) > 0 }},
	{"deleted()", func(r *modelRow) bool { return r.state == core.Deleted }},
	{"created()", func(r *modelRow) bool { return r.state == core.Created }},
	{"conflict()", func(r *modelRow) bool { return r.state != core.Deleted && r.inConflict() }},
}

// chosen draws a Where and the records that it means.
func (w *world) chosen(t *modelTable) (Where, func(*modelRow) bool) {
	if rapid.Bool().Draw(w.T, "by id") {
		ids := w.someRows(t, 4)
		return Where{Records: ids}, func(r *modelRow) bool { return r.state != core.Deleted && slices.Contains(ids, r.id) }
	}
	f := filters[rapid.IntRange(0, len(filters)-1).Draw(w.T, "filter")]
	return Where{Filter: f.expression}, f.means
}

// fill sets one value in all chosen records.
func (w *world) fill() {
	t, by := w.someTable(), w.someone()
	where, means := w.chosen(t)
	c := w.someColumn(t)
	value := w.value(c)
	res, err := w.FillWhere(w.test.Context(), by, t.Ref(), where, map[int]core.Value{c.Number: w.real(c, value)}, ChangeOptions{})
	b := w.model.begin(t, by.Person, "fill")
	for _, r := range t.sorted() {
		if means(r) {
			w.model.edit(b, r, c, value, false)
		}
	}
	w.finish("fill", b, res, err)
}

func (w *world) deleteChosen() {
	t, by := w.someTable(), w.someone()
	where, means := w.chosen(t)
	res, err := w.DeleteWhere(w.test.Context(), by, t.Ref(), where, ChangeOptions{})
	b := w.model.begin(t, by.Person, "delete")
	for _, r := range t.sorted() {
		if means(r) && r.alive() {
			w.model.delete(b, r)
		}
	}
	w.finish("delete chosen", b, res, err)
}

// proposals draws open suggestions: one, a column's, a group, those of some records, all.
func (w *world) proposals(t *modelTable) (Where, []*modelSuggestion) {
	list, _, err := w.Suggestions(w.test.Context(), w.ana(), t.Ref(), Where{}, 0, 1000)
	w.check(err)
	where := Where{Filter: "true"}
	if len(list) > 0 {
		one := list[rapid.IntRange(0, len(list)-1).Draw(w.T, "suggestion")]
		switch rapid.SampledFrom([]string{"one", "column", "group", "batch", "records", "all"}).Draw(w.T, "which") {
		case "one":
			where = Where{IDs: []int64{one.ID}}
		case "column":
			where = Where{Columns: []int{one.Column}}
		case "group":
			where = Where{Group: itoa(int64(one.Column)) + ":" + one.Kind + ":" + one.Edit}
		case "batch":
			where = Where{Batch: one.Batch}
		case "records":
			where = Where{Records: []int64{one.Record}}
		}
	}
	var out []*modelSuggestion
	for _, s := range list {
		in := len(where.IDs) == 0 || where.IDs[0] == s.ID
		in = in && (len(where.Columns) == 0 || where.Columns[0] == s.Column) && (where.Batch == 0 || where.Batch == s.Batch)
		in = in && (where.Group == "" || where.Group == itoa(int64(s.Column))+":"+s.Kind+":"+s.Edit)
		if len(where.Records) > 0 {
			r := t.rows[s.Record]
			in = in && where.Records[0] == s.Record && r != nil && r.state != core.Deleted
		}
		if in {
			out = append(out, t.suggestion(s))
		}
	}
	return where, out
}

// suggestion finds the model's twin of an open suggestion.
func (t *modelTable) suggestion(s Suggestion) *modelSuggestion {
	for _, m := range t.suggestions {
		if m.open && m.batch.id == s.Batch && m.row == s.Record && m.col == s.Column {
			return m
		}
	}
	return nil
}

func (w *world) accept() {
	t, by := w.someTable(), w.someone()
	where, chosen := w.proposals(t)
	res, err := w.AcceptSuggestions(w.test.Context(), by, t.Ref(), where)
	b := w.model.begin(t, by.Person, "accept")
	w.model.accept(b, t, chosen)
	w.finish("accept", b, res, err)
}

func (w *world) reject() {
	t, by := w.someTable(), w.someone()
	where, chosen := w.proposals(t)
	res, err := w.RejectSuggestions(w.test.Context(), by, t.Ref(), where)
	b := w.model.begin(t, by.Person, "reject")
	w.model.reject(b, t, chosen)
	w.finish("reject", b, res, err)
}

// undoNewest is Ctrl+Z, redoNewest its opposite.
func (w *world) undoNewest() {
	by := w.someone()
	old := w.model.nextUndo(by.Person)
	res, err := w.UndoNext(w.test.Context(), by, w.snapshot.ID)
	w.undone("undo", by, old, res, err)
}

func (w *world) redoNewest() {
	by := w.someone()
	old := w.model.nextRedo(by.Person)
	res, err := w.RedoNext(w.test.Context(), by, w.snapshot.ID)
	w.undone("redo", by, old, res, err)
}

// undoOld undoes a batch from the history, whoever made it.
func (w *world) undoOld() {
	list := w.model.undoable()
	if len(list) == 0 {
		return
	}
	by, old := w.someone(), list[rapid.IntRange(0, len(list)-1).Draw(w.T, "batch")]
	w.undo(by, old)
}

func (w *world) undo(by core.Actor, old *modelBatch) {
	kind := "undo"
	if old.kind == "undo" {
		kind = "redo"
	}
	res, err := w.UndoBatch(w.test.Context(), by, w.snapshot.ID, old.id)
	w.undone(kind, by, old, res, err)
}

func (w *world) undone(kind string, by core.Actor, old *modelBatch, res BatchResult, err error) {
	if old == nil {
		if core.CodeOf(err) != core.Conflict {
			w.Fatalf("%s with nothing to %s gives %v", kind, kind, err)
		}
		return
	}
	w.clean = w.clean && old.untouched()
	b := w.model.begin(old.table, by.Person, kind)
	left := w.model.undo(b, old)
	if w.finish(kind+" of "+old.line(), b, res, err); left != len(res.Left) {
		w.Fatalf("%s of %s leaves %d cells, the store says %+v", kind, old.line(), left, res.Left)
	}
	w.clean = w.clean && left == 0
}

// untouched says whether nobody decided what a batch suggested, or brought back or deleted its records, since.
func (b *modelBatch) untouched() bool {
	for _, s := range b.made {
		if !s.open {
			return false
		}
	}
	for _, c := range b.changes {
		r := b.table.rows[c.row]
		if c.col == core.RecordColumn && (c.before == "null" && (r == nil || !r.alive()) || c.after == "null" && r != nil && r.alive()) {
			return false
		}
	}
	return true
}
