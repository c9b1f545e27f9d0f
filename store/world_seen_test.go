package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"scratchpaper/internal/core"
)

// seenRow is a record as both sides tell it.
type seenRow struct {
	Remote, Version, State, Whole string
	Cells, Base, Theirs           map[string]string
}

func (w *world) modelRows(t *modelTable) map[int64]seenRow {
	out := map[int64]seenRow{}
	for id, r := range t.rows {
		row := seenRow{Remote: r.remote, Version: r.version, State: r.state.String(), Cells: t.shown(r.cells), Base: t.shown(r.base), Theirs: t.shown(r.theirs)}
		switch {
		case r.gone:
			row.Whole = "deleted_there"
		case r.state == core.Deleted && len(r.theirs) > 0:
			row.Whole = "changed_there"
		}
		out[id] = row
	}
	return out
}

func (t *modelTable) shown(cells map[int]string) map[string]string {
	out := map[string]string{}
	for n, v := range cells {
		c := t.column(n)
		value, _ := core.FromCanonical(c.Type, json.RawMessage(v))
		out[c.Slug] = shownValue(c, value)
	}
	return out
}

// shownValue tells null from the empty text, and numbers and documents by what they mean.
func shownValue(c core.Column, v core.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case c.Type.IsList():
		return fmt.Sprintf("%q", v.List)
	case c.Type == core.Number:
		return trimZeros(v.Text)
	case c.Type == core.JSON:
		var x any
		_ = json.Unmarshal([]byte(v.Text), &x)
		raw, _ := json.Marshal(x)
		return "json " + string(raw)
	}
	return fmt.Sprintf("%q", v.Text)
}

func (w *world) storedRows(t *modelTable) map[int64]seenRow {
	ctx := w.test.Context()
	ids, err := collect[int64](ctx, w.pool, "select _id from "+dataTable(t.Table))
	w.check(err)
	rows, err := w.Rows(ctx, w.ana(), t.Ref(), ids, RowOptions{})
	w.check(err)
	out := map[int64]seenRow{}
	for _, r := range rows {
		row := seenRow{Remote: r.RemoteID, State: r.State.String(), Whole: r.RecordConflict, Cells: map[string]string{}, Base: seenValues(t, r.Base), Theirs: seenValues(t, r.Conflicts)}
		for i, c := range t.Columns {
			row.Cells[c.Slug] = shownValue(c, r.Values[i])
		}
		out[r.ID] = row
	}
	versions, err := pairs[int64, string](ctx, w.pool, "select _id, coalesce(_remote_version, '') from "+dataTable(t.Table))
	w.check(err)
	for id, v := range versions {
		row := out[id]
		row.Version = v
		out[id] = row
	}
	return out
}

func seenValues(t *modelTable, m map[int]core.Value) map[string]string {
	out := map[string]string{}
	for n, v := range m {
		c := t.column(n)
		out[c.Slug] = shownValue(c, v)
	}
	return out
}

func modelOpen(t *modelTable) []string {
	out := []string{}
	for _, s := range t.suggestions {
		if s.open {
			out = append(out, t.shownSuggestion(s.batch.id, s.row, s.col, s.before, s.after))
		}
	}
	slices.Sort(out)
	return out
}

func (t *modelTable) shownSuggestion(batch, row int64, col int, before, after string) string {
	if col == core.RecordColumn && after != "null" {
		after = "create"
	}
	if c := t.column(col); col != core.RecordColumn {
		b, _ := core.FromCanonical(c.Type, json.RawMessage(before))
		a, _ := core.FromCanonical(c.Type, json.RawMessage(after))
		before, after = shownValue(c, b), shownValue(c, a)
	}
	return fmt.Sprintf("batch %d row %d col %d: %s → %s", batch, row, col, before, after)
}

func (w *world) storedOpen(t *modelTable) []string {
	list, _, err := w.Suggestions(w.test.Context(), w.ana(), t.Ref(), Where{}, 0, 10000)
	w.check(err)
	out := []string{}
	for _, s := range list {
		out = append(out, t.shownSuggestion(s.Batch, s.Record, s.Column, string(s.Before), string(s.After)))
	}
	slices.Sort(out)
	return out
}

func (w *world) modelCounts(t *modelTable) map[string]int64 {
	out := map[string]int64{"records": 0, "edits": 0, "created": 0, "deleted": 0, "suggestions": 0, "conflicts": 0}
	for _, r := range t.rows {
		if r.alive() {
			out["records"]++
			out["edits"] += int64(len(r.base))
		}
		if r.state == core.Created {
			out["created"]++
		}
		if r.state == core.Deleted && r.remote != "" {
			out["deleted"]++
		}
		if r.inConflict() {
			out["conflicts"]++
		}
	}
	out["suggestions"] = int64(len(modelOpen(t)))
	return out
}

func (w *world) storedCounts(t *modelTable) map[string]int64 {
	tb, err := w.TableByID(w.test.Context(), w.ana(), t.Ref())
	w.check(err)
	c := tb.Counts
	return map[string]int64{"records": *c.Records, "edits": *c.Edits, "created": *c.Created, "deleted": *c.Deleted, "suggestions": *c.Suggestions, "conflicts": *c.Conflicts}
}

func (w *world) modelHistory() []string {
	out := []string{}
	for _, b := range w.model.batches {
		if b.byPerson() {
			out = append(out, b.line())
		}
	}
	return out
}

func (b *modelBatch) line() string {
	var undoes int64
	if b.undoes != nil {
		undoes = b.undoes.id
	}
	return fmt.Sprintf("%d %s %s undoes %d", b.id, b.person, b.kind, undoes)
}

func (w *world) storedHistory() []string {
	list, err := collect[string](w.test.Context(), w.pool, `select format('%s %s %s undoes %s', id, person_id, kind, coalesce(undoes, 0)) from `+
		ident(w.snapshot.Schema, "_batches")+` where kind not in ('download', 'refresh', 'publish') order by id`)
	w.check(err)
	return append([]string{}, list...)
}

func (w *world) modelRefs() []string {
	out := []string{}
	for _, t := range w.model.tables {
		for _, r := range t.rows {
			for _, c := range t.Columns {
				for _, id := range unpublished(c, r.cells[c.Number]) {
					out = append(out, fmt.Sprintf("row %d col %d → %s", r.id, c.Number, id))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func unpublished(c core.Column, cell string) []string {
	v, _ := core.FromCanonical(c.Type, json.RawMessage(cell))
	var out []string
	if c.Type == core.Reference || c.Type == core.References {
		for _, s := range append(v.List, v.Text) {
			if len(s) > 1 && s[0] == '~' {
				out = append(out, s)
			}
		}
	}
	return out
}

func (w *world) storedRefs() []string {
	list, err := collect[string](w.test.Context(), w.pool, `select format('row %s col %s → ~%s', row, col, target) from `+ident(w.snapshot.Schema, "_refs"))
	w.check(err)
	list = append([]string{}, list...)
	slices.Sort(list)
	return list
}

func (m *model) items(p *modelPlan) []string {
	out := []string{p.state}
	for _, it := range p.items {
		fields := []string{}
		for _, n := range slices.Sorted(maps.Keys(it.fields)) {
			c := it.table.column(n)
			fields = append(fields, c.Slug+" "+shownCanonical(c, it.fields[n][0])+" → "+shownCanonical(c, m.translate(c, it.fields[n][1])))
		}
		out = append(out, fmt.Sprintf("%s %d %s (%s) merged %v ended %v %v", it.op, it.record, it.state, it.reason, it.merged, it.ended, fields))
	}
	slices.Sort(out)
	return out
}

func shownCanonical(c core.Column, raw string) string {
	v, _ := core.FromCanonical(c.Type, json.RawMessage(raw))
	return shownValue(c, v)
}

func (w *world) storedItems(p *modelPlan) []string {
	ctx := w.test.Context()
	plan, err := w.PlanByID(ctx, w.ana(), w.snapshot.ID, p.id)
	w.check(err)
	ended, err := pairs[int64, bool](ctx, w.pool, "select id, ended from "+ident(w.snapshot.Schema, "_publish_items")+" where plan = '"+p.id+"'")
	w.check(err)
	items, _, err := w.Items(ctx, w.ana(), w.snapshot.ID, p.id, ItemsFilter{Limit: 10000})
	w.check(err)
	out := []string{plan.State}
	for _, it := range items {
		t := w.table(it.Table)
		fields := []string{}
		for _, n := range slices.Sorted(maps.Keys(it.Fields)) {
			c := t.column(n)
			fields = append(fields, c.Slug+" "+shownCanonical(c, string(it.Fields[n].Base))+" → "+shownCanonical(c, w.model.translate(c, string(it.Fields[n].Value))))
		}
		out = append(out, fmt.Sprintf("%s %d %s (%s) merged %v ended %v %v", it.Op, it.Record, it.State, it.Reason, it.Merged, ended[it.ID], fields))
	}
	slices.Sort(out)
	return out
}

func (w *world) table(id string) *modelTable {
	for _, t := range w.model.tables {
		if t.ID == id {
			return t
		}
	}
	w.Fatalf("no table %s", id)
	return nil
}
