package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"scratchpaper/internal/core"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// column gives a column of a table that surely has it.
func (t *modelTable) column(number int) core.Column {
	c, _ := t.Column(number)
	return c
}

// accept applies the chosen suggestions where the cell still holds what it held; the newest wins. The others, and those
// that compete for the same cells, are closed.
func (m *model) accept(b *modelBatch, t *modelTable, chosen []*modelSuggestion) {
	won := map[[2]int64]*modelSuggestion{}
	for _, s := range chosen {
		key := [2]int64{s.row, int64(s.col)}
		if m.fits(t, s) && (won[key] == nil || won[key].batch.id < s.batch.id) {
			won[key] = s
		}
	}
	for _, records := range []bool{false, true} { // cells before whole records
		for _, s := range chosen {
			if won[[2]int64{s.row, int64(s.col)}] == s && (s.col == core.RecordColumn) == records {
				m.apply(b, t, s)
			}
		}
	}
	for _, s := range t.suggestions {
		if s.open && (slices.Contains(chosen, s) || won[[2]int64{s.row, int64(s.col)}] != nil) {
			b.close(s)
		}
	}
}

func (m *model) fits(t *modelTable, s *modelSuggestion) bool {
	r := t.rows[s.row]
	switch {
	case r == nil:
		return false
	case s.col == core.RecordColumn && s.after != "null":
		return r.state == core.Proposed
	case s.col == core.RecordColumn:
		return r.alive()
	}
	c := t.column(s.col)
	return r.alive() && (c.Writable || c.InsertOnly && r.state == core.Created) && same(r.cells[s.col], m.translate(c, s.before))
}

func (m *model) apply(b *modelBatch, t *modelTable, s *modelSuggestion) {
	r := t.rows[s.row]
	switch {
	case s.col != core.RecordColumn:
		m.edit(b, r, t.column(s.col), s.after, false)
	case s.after == "null":
		m.delete(b, r)
	default:
		r.state = core.Created
		b.accepted[r.id] = true
		b.changes = append(b.changes, &modelChange{row: r.id, before: "null", after: "{}"})
	}
}

// reject refuses suggestions; a record that was only proposed leaves the table.
func (m *model) reject(b *modelBatch, t *modelTable, chosen []*modelSuggestion) {
	for _, s := range chosen {
		b.close(s)
	}
	t.keepProposed(b)
}

// reopen opens a suggestion again whose record is here; a proposed record comes back.
func (m *model) reopen(t *modelTable, s *modelSuggestion) {
	if t.rows[s.row] == nil && (s.col != core.RecordColumn || s.after == "null") {
		return
	}
	s.open, s.by = true, nil
	if s.col == core.RecordColumn && s.after != "null" && t.rows[s.row] == nil {
		m.create(nil, t, s.row, t.fromObject(s.after), core.Proposed)
		m.reborn[s.row] = true
	}
}

// undone says whether a batch is undone: one that names it is not redone.
func (m *model) undoneBy(b *modelBatch) *modelBatch {
	for _, u := range m.batches {
		if u.undoes == b && m.undoneBy(u) == nil {
			return u
		}
	}
	return nil
}

func (b *modelBatch) byPerson() bool {
	return b.kind != "download" && b.kind != "refresh" && b.kind != "publish"
}

// undoable gives the batches that can be undone, newest first: what people did and is not undone, and undos that can be
// taken back.
func (m *model) undoable() []*modelBatch {
	var out []*modelBatch
	for _, b := range slices.Backward(m.batches) {
		if b.byPerson() && b.kind != "redo" && m.undoneBy(b) == nil {
			out = append(out, b)
		}
	}
	return out
}

// nextUndo is what Ctrl+Z of a person undoes: their newest batch that is not an undo and is not undone.
func (m *model) nextUndo(person string) *modelBatch {
	for _, b := range m.undoable() {
		if b.person == person && b.undoes == nil {
			return b
		}
	}
	return nil
}

// nextRedo is what a person's redo takes back: their newest undo, when they did nothing since.
func (m *model) nextRedo(person string) *modelBatch {
	for _, b := range slices.Backward(m.batches) {
		if b.person != person || !b.byPerson() {
			continue
		}
		if b.undoes == nil {
			return nil
		}
		if b.kind == "undo" && m.undoneBy(b) == nil {
			return b
		}
	}
	return nil
}

// undo takes a batch back as far as its cells still hold what it left, and counts the cells that do not. Deleted records
// come back first, so that their cells can; created ones go last.
func (m *model) undo(b *modelBatch, old *modelBatch) (left int) {
	b.undoes = old
	t := b.table
	restored := map[int64]bool{}
	for _, c := range old.changes {
		switch {
		case c.col == core.RecordColumn && c.after == "null":
			m.bringBack(b, t, c, old)
		case c.standing != [2]string{}:
			if restored[c.row] = m.restand(b, t, c, old); !restored[c.row] {
				left++
			}
		}
	}
	for _, c := range old.changes {
		if c.col != core.RecordColumn && !restored[c.row] && !b.wrote(c.row, c.col) && !m.undoCell(b, t, c) {
			left++
		}
	}
	for _, c := range old.changes {
		if c.col == core.RecordColumn && c.before == "null" {
			m.takeAway(b, t, c, old)
		}
	}
	m.undoSuggestions(b, old)
	t.keepProposed(b)
	return left
}

// wrote says whether the batch has changed a cell already: a record that came back took what the service holds.
func (b *modelBatch) wrote(row int64, col int) bool {
	return slices.ContainsFunc(b.changes, func(c *modelChange) bool { return c.row == row && c.col == col })
}

// bringBack undoes a delete: the record is undeleted, created anew when it has left the table, or, after the undo of an
// accepted create, accepted again.
func (m *model) bringBack(b *modelBatch, t *modelTable, c *modelChange, old *modelBatch) {
	r := t.rows[c.row]
	switch {
	case r == nil:
		if values := m.lastValues(t, c.row); values != nil {
			m.create(b, t, c.row, values, core.Created)
		}
	case r.state == core.Deleted:
		m.undelete(b, r)
	case r.state == core.Proposed && old.kind == "undo":
		r.state = core.Created
		b.changes = append(b.changes, &modelChange{row: r.id, before: "null", after: "{}"})
	}
}

// lastValues gives what a record held when it left its table.
func (m *model) lastValues(t *modelTable, id int64) map[int]string {
	for _, b := range slices.Backward(m.batches) {
		for _, c := range slices.Backward(b.changes) {
			if c.row == id && c.col == core.RecordColumn && c.after == "null" && c.before != "{}" {
				return t.fromObject(c.before)
			}
		}
	}
	return nil
}

// restand gives a record that a settled conflict made a new one back what it was, or the other way round. It says whether
// the record was as the batch had left it.
func (m *model) restand(b *modelBatch, t *modelTable, c *modelChange, old *modelBatch) bool {
	r := t.rows[c.row]
	if c.standing[0] == "" {
		if r == nil || !r.gone || r.state != core.Existing || r.remote != c.standing[1] {
			return false
		}
		m.createInstead(b, r)
		return true
	}
	if r == nil || r.state != core.Created || r.remote != "" || m.touchedSince(c.row, old) || t.byRemote(c.standing[0]) != nil {
		return false
	}
	r.state, r.remote, r.version, r.gone = core.Existing, c.standing[0], c.version, true
	m.remote[r.id] = r.remote
	b.changes = append(b.changes, &modelChange{row: r.id, before: "{}", after: "{}", standing: [2]string{"", c.standing[0]}, version: c.version})
	for _, cell := range old.changes {
		if cell.row == r.id && cell.col != core.RecordColumn && cell.base[0] != "" {
			b.write(r, cell.col, r.cells[cell.col], cell.base[0], cell.theirs[0])
		}
	}
	return true
}

func (m *model) touchedSince(row int64, old *modelBatch) bool {
	for _, b := range m.batches {
		for _, c := range b.changes {
			if b.id > old.id && c.row == row && c.col != core.RecordColumn {
				return true
			}
		}
	}
	return false
}

func (t *modelTable) byRemote(remote string) *modelRow {
	for _, r := range t.rows {
		if r.remote == remote {
			return r
		}
	}
	return nil
}

// takeAway undoes a create: the record is deleted; one that was suggested, and is not at the service, is only proposed again.
func (m *model) takeAway(b *modelBatch, t *modelTable, c *modelChange, old *modelBatch) {
	r := t.rows[c.row]
	if r == nil || !r.alive() {
		return
	}
	if r.state == core.Created && old.accepted[c.row] {
		b.changes = append(b.changes, &modelChange{row: r.id, before: "{}", after: "null"})
		r.state = core.Proposed
		return
	}
	m.delete(b, r)
}

// undoCell takes one cell back and says whether it still held what the batch left.
func (m *model) undoCell(b *modelBatch, t *modelTable, c *modelChange) bool {
	r, column := t.rows[c.row], t.column(c.col)
	if r == nil {
		return false
	}
	now, base, theirs := r.cells[c.col], r.base[c.col], r.theirs[c.col]
	holds := same(now, m.translate(column, c.after))
	settled := !same(c.theirs[0], c.theirs[1]) && same(theirs, c.theirs[1]) && same(base, c.base[1])
	if holds && settled && (r.alive() || r.state == core.Deleted) {
		b.write(r, c.col, m.translate(column, c.before), c.base[0], c.theirs[0])
		return true
	}
	if !holds || !r.alive() || column.InsertOnly && r.state != core.Created {
		return false
	}
	after := m.translate(column, c.before)
	if base != "" && c.base[0] == "" {
		after = or(theirs, base)
	}
	held := or(base, now)
	if same(after, held) || same(after, theirs) || r.state != core.Existing {
		held, theirs = "", ""
	}
	if !same(after, now) || base != held {
		b.write(r, c.col, after, held, theirs)
	}
	return true
}

// decidedLater says whether a later batch that is not undone has closed a suggestion too.
func (m *model) decidedLater(s *modelSuggestion, old *modelBatch) bool {
	return slices.ContainsFunc(m.batches, func(b *modelBatch) bool { return b.id > old.id && slices.Contains(b.closed, s) && m.undoneBy(b) == nil })
}

// keepProposed takes proposed records out whose suggestion is not open, with what else is suggested for them.
func (t *modelTable) keepProposed(b *modelBatch) {
	for id, r := range t.rows {
		proposes := func(s *modelSuggestion) bool {
			return s.open && s.row == id && s.col == core.RecordColumn && s.after != "null"
		}
		if r.state != core.Proposed || slices.ContainsFunc(t.suggestions, proposes) {
			continue
		}
		delete(t.rows, id)
		for _, s := range t.suggestions {
			if s.row == id && s.open {
				b.close(s)
			}
		}
	}
}

// undoSuggestions opens what the batch closed and withdraws what it made; a redo does so again.
func (m *model) undoSuggestions(b *modelBatch, old *modelBatch) {
	t := b.table
	if old.kind == "undo" {
		first := old.undoes
		for _, s := range t.suggestions {
			if !s.open && s.by == old {
				m.reopen(t, s)
			}
		}
		for _, s := range first.closed {
			if s.open {
				s.open, s.by = false, first
			}
		}
		return
	}
	for _, s := range old.closed {
		if !s.open && !m.decidedLater(s, old) {
			m.reopen(t, s)
		}
	}
	for _, s := range old.made {
		if s.open {
			b.close(s)
		}
	}
}

// settle decides conflicts of the chosen records: mine keeps our value against the service's, theirs takes the service's.
func (m *model) settle(b *modelBatch, t *modelTable, chosen []*modelRow, theirs bool) {
	for _, r := range chosen {
		switch {
		case r.gone && theirs:
			m.remove(b, t, r)
			continue
		case r.gone:
			m.createInstead(b, r)
			continue
		case r.state == core.Deleted && theirs && len(r.theirs) > 0:
			m.undelete(b, r)
		}
		for _, col := range slices.Sorted(maps.Keys(r.theirs)) {
			there := r.theirs[col]
			if theirs || r.base[col] == "" {
				b.write(r, col, there, "", "")
			} else {
				b.write(r, col, r.cells[col], unless(there, r.cells[col]), "")
			}
		}
		r.version, r.newer = or(r.newer, r.version), ""
	}
}

// createInstead makes a record that is gone at the service a new one.
func (m *model) createInstead(b *modelBatch, r *modelRow) {
	b.changes = append(b.changes, &modelChange{row: r.id, before: "{}", after: "{}", standing: [2]string{r.remote, ""}, version: r.version})
	for _, col := range slices.Sorted(maps.Keys(r.base)) {
		b.write(r, col, r.cells[col], "", "")
	}
	for col := range r.theirs {
		delete(r.theirs, col)
	}
	m.endCreates(r.id)
	delete(m.remote, r.id)
	r.state, r.remote, r.version, r.gone = core.Created, "", "", false
}

// fromObject reads values by column number.
func (t *modelTable) fromObject(object string) map[int]string {
	m := map[string]json.RawMessage{}
	_ = json.Unmarshal([]byte(object), &m)
	out := map[int]string{}
	for _, c := range t.Columns {
		if v, ok := m[itoa(int64(c.Number))]; ok {
			out[c.Number] = string(v)
		}
	}
	return out
}
