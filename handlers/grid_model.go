package handlers

import (
	"slices"

	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

func gridModel(frame views.Page, sn store.Snapshot, t store.Table, by core.Actor) views.GridPage {
	p := views.GridPage{
		Page: frame, Snapshot: sn.ID, SnapshotName: sn.Name, Table: t.ID, TableTitle: t.Title, Counts: t.Counts,
		CanEdit: by.Role >= core.Editor, Reviewing: by.Kind == core.KindReviewer, CanDecide: by.May(core.Decide) == nil, CanPublish: by.Role >= core.Editor && slices.ContainsFunc(sn.Tables, func(t store.Table) bool { return t.Source == core.Remote && t.Connection != "" }),
		Creatable: t.Creatable, WhyNoNew: t.WhyNoNew, Deletable: t.Deletable, WhyNoDel: t.WhyNoDel,
	}
	if t.SchemaFound {
		p.SchemaChanges = "/snapshots/" + sn.ID + "/tables/" + t.ID + "/schema"
	}
	if t.Connection != "" {
		p.AddTables = "/snapshots/new?connection=" + t.Connection + "&into=" + sn.ID
	}
	for _, tab := range sn.Tables {
		p.Tabs = append(p.Tabs, views.GridTab{ID: tab.ID, Title: tab.Title, Counts: tab.Counts, Active: tab.ID == t.ID})
	}
	for _, c := range t.Columns {
		p.Columns = append(p.Columns, views.NewGridColumn(c))
	}
	return p
}

// placed says which records a window should have, and where the first of them stands: those that are gone leave gaps.
type placed struct {
	ids  []int64
	from int
}

func (p *placed) length() int {
	if p == nil {
		return 0
	}
	return len(p.ids)
}

// windowOf makes a window's model of the records read for it.
func windowOf(t store.Table, numbers []int, rows []store.Row, at *placed, zone *time.Location) views.GridRows {
	cols := gridColumns(t, numbers)
	w := views.GridRows{Zone: zone, Rows: make([]views.GridRow, 0, max(len(rows), at.length()))}
	if at == nil {
		for _, r := range rows {
			w.Rows = append(w.Rows, rowOf(&t, cols, &r, -1))
		}
		return w
	}
	next := 0
	for i, id := range at.ids {
		if next < len(rows) && rows[next].ID == id {
			w.Rows = append(w.Rows, rowOf(&t, cols, &rows[next], at.from+i))
			next++
			continue
		}
		w.Rows = append(w.Rows, views.GridRow{ID: id, Position: at.from + i, Gone: true})
	}
	return w
}

func gridColumns(t store.Table, numbers []int) []views.GridColumn {
	var out []views.GridColumn
	if numbers == nil {
		for _, c := range t.Columns {
			out = append(out, views.NewGridColumn(c))
		}
		return out
	}
	for _, n := range numbers {
		if c, ok := t.Column(n); ok {
			out = append(out, views.NewGridColumn(c))
		}
	}
	return out
}

func rowOf(t *store.Table, cols []views.GridColumn, r *store.Row, position int) views.GridRow {
	out := views.GridRow{ID: r.ID, Position: position, State: r.State, Conflict: conflictWords(r.RecordConflict)}
	if list := r.Suggestions[core.RecordColumn]; len(list) > 0 {
		sg := suggestionOf(core.Column{}, list[0])
		sg.Delete = string(list[0].After) == "null"
		out.Whole = &sg
	}
	out.Cells = make([]views.GridCell, 0, len(cols))
	for i := range min(len(cols), len(r.Values)) {
		out.Cells = append(out.Cells, cellModel(t, &cols[i], r, i))
	}
	return out
}

func cellModel(t *store.Table, c *views.GridColumn, r *store.Row, i int) views.GridCell {
	cell := views.GridCell{Column: c, Value: r.Values[i], Problem: r.Problems[c.Number], Locked: c.Insert && r.State == core.Existing}
	if r.State == core.Created && cell.Value.IsNull() && cell.Problem == "" {
		if col, _ := t.Column(c.Number); col.MustGive() {
			cell.Problem = views.LacksWords(c.Title)
		}
	}
	if i < len(r.Cut) {
		cell.Cut = r.Cut[i]
	}
	cell.Base, cell.Edited = r.Base[c.Number]
	cell.Edited = cell.Edited && r.State != core.Created
	cell.Theirs, cell.Conflict = r.Conflicts[c.Number]
	if list := r.Suggestions[c.Number]; len(list) > 0 {
		col, _ := t.Column(c.Number)
		for _, sg := range list {
			cell.Suggestions = append(cell.Suggestions, suggestionOf(col, sg))
		}
	}
	return cell
}

// suggestionOf reads a stored suggestion. A value that cannot be read as the column's type any more is shown as it stands.
func suggestionOf(c core.Column, sg store.Suggestion) views.GridSuggestion {
	return views.GridSuggestion{
		ID: sg.ID, Who: sg.Who, Reason: sg.Reason,
		Before: readable(c.Type, sg.Before), After: readable(c.Type, sg.After),
	}
}

func readable(t core.ColumnType, raw []byte) core.Value {
	v, err := core.FromCanonical(t, raw)
	if err != nil {
		return core.TextValue(string(raw))
	}
	return v
}

// conflictWords says what a conflict of the record as a whole is.
func conflictWords(kind string) string {
	switch kind {
	case "":
		return ""
	case "deleted_there":
		return "The service deleted this record; it has edits here"
	case "changed_there":
		return "The service changed this record; it is deleted here"
	}
	return "This record is in conflict with the service"
}
