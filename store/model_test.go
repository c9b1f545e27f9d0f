package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"scratchpaper/internal/core"
)

// model is the change model in memory, without Postgres: plain maps and loops, written from docs/architecture.md. The
// property test does the same to it and to a store, and compares.
type model struct {
	tables  []*modelTable
	batches []*modelBatch // in order
	plans   []*modelPlan
	remote  map[int64]string // the remote id of a record, as long as it is here: what "~" and its id become
	reborn  map[int64]bool   // records that were proposed, refused and are proposed again: as they were suggested, whatever was edited
}

type modelTable struct {
	Table
	rows        map[int64]*modelRow
	suggestions []*modelSuggestion // every one ever made, in order
}

// modelRow is a record. Values are canonical JSON by column number; an absent base or conflict is not in its map.
type modelRow struct {
	id      int64
	remote  string
	version string
	state   core.RecordState
	cells   map[int]string
	base    map[int]string
	theirs  map[int]string // conflicts
	gone    bool           // deleted there while it is edited here
	newer   string         // deleted here: the version that the service's change has
}

// modelChange is a cell that a batch changed, or at column 0 a whole record.
type modelChange struct {
	row           int64
	col           int
	before, after string
	base          [2]string // before and after; "" is none
	theirs        [2]string
	standing      [2]string // column 0: the remote id before and after, where a settled conflict made it a new record
	version       string    // with standing
}

type modelBatch struct {
	id       int64
	table    *modelTable
	person   string
	kind     string
	undoes   *modelBatch
	changes  []*modelChange
	made     []*modelSuggestion
	closed   []*modelSuggestion // accepted, refused or stale by it
	accepted map[int64]bool     // records whose creation it accepted
}

type modelSuggestion struct {
	batch         *modelBatch
	row           int64
	col           int
	before, after string
	open          bool
	by            *modelBatch // who closed it
}

func newModel(tables []Table) *model {
	m := &model{remote: map[int64]string{}, reborn: map[int64]bool{}}
	for _, t := range tables {
		m.tables = append(m.tables, &modelTable{Table: t, rows: map[int64]*modelRow{}})
	}
	return m
}

// begin opens a batch. end keeps it when it changed anything.
func (m *model) begin(t *modelTable, person, kind string) *modelBatch {
	return &modelBatch{table: t, person: person, kind: kind, accepted: map[int64]bool{}}
}

func (b *modelBatch) empty() bool {
	return len(b.changes) == 0 && len(b.made) == 0 && len(b.closed) == 0
}

// row gives a record by id, whatever its table.
func (m *model) row(id int64) *modelRow {
	for _, t := range m.tables {
		if r := t.rows[id]; r != nil {
			return r
		}
	}
	return nil
}

func (t *modelTable) sorted() []*modelRow {
	out := make([]*modelRow, 0, len(t.rows))
	for _, id := range slices.Sorted(maps.Keys(t.rows)) {
		out = append(out, t.rows[id])
	}
	return out
}

func (r *modelRow) alive() bool { return r.state == core.Existing || r.state == core.Created }

func (r *modelRow) inConflict() bool { return len(r.theirs) > 0 || r.gone }

// same compares canonical values as jsonb does: numbers by value, the keys of objects in any order.
func same(a, b string) bool {
	return a == b || a != "" && b != "" && core.SameJSON(trimZeros(a), trimZeros(b))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") && !strings.ContainsAny(s, `"[{e`) {
		return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// unless gives v, or nothing where it is w.
func unless(v, w string) string {
	if same(v, w) {
		return ""
	}
	return v
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// write sets a cell with its base and conflict, and notes it.
func (b *modelBatch) write(r *modelRow, col int, after, base, theirs string) {
	c := &modelChange{row: r.id, col: col, before: r.cells[col], after: after, base: [2]string{r.base[col], base}, theirs: [2]string{r.theirs[col], theirs}}
	b.changes = append(b.changes, c)
	r.cells[col] = after
	put(r.base, col, base)
	put(r.theirs, col, theirs)
}

func put(m map[int]string, col int, v string) {
	delete(m, col)
	if v != "" {
		m[col] = v
	}
}

// translate gives a reference as a cell holds it: the remote id where the record that "~" names has one.
func (m *model) translate(c core.Column, value string) string {
	if c.Type != core.Reference && c.Type != core.References || !strings.Contains(value, `"~`) {
		return value
	}
	var list []string
	one := json.Unmarshal([]byte(value), &list) != nil
	if one {
		list = []string{strings.Trim(value, `"`)}
	}
	for i, ref := range list {
		for id, remote := range m.remote {
			if row := m.row(id); ref == "~"+itoa(id) && row != nil {
				list[i] = remote
			}
		}
	}
	if one {
		return string(core.TextValue(list[0]).Canonical(core.Text))
	}
	return string(core.ListValue(list).Canonical(core.Choices))
}

// edit sets a cell by the rules of edits and says whether anything changed. A person's own edit of one cell settles its
// conflict, any other act does not; an act that would leave a conflicted cell clean gives it the service's value.
func (m *model) edit(b *modelBatch, r *modelRow, c core.Column, want string, personal bool) bool {
	want = m.translate(c, want)
	col := c.Number
	now, theirs := r.cells[col], r.theirs[col]
	held := or(r.base[col], now)
	switch {
	case !r.alive() || c.InsertOnly && r.state != core.Created:
		return false
	case theirs != "" && personal:
		b.write(r, col, want, unless(theirs, want), "")
	case same(want, now):
		return false
	case r.state == core.Created:
		b.write(r, col, want, "", "")
	case theirs != "" && (same(want, held) || same(want, theirs)):
		b.write(r, col, theirs, "", "")
	case same(want, held):
		b.write(r, col, want, "", "")
	default:
		b.write(r, col, want, held, theirs)
	}
	return true
}

func (m *model) create(b *modelBatch, t *modelTable, id int64, values map[int]string, state core.RecordState) *modelRow {
	r := &modelRow{id: id, state: state, cells: map[int]string{}, base: map[int]string{}, theirs: map[int]string{}}
	for _, c := range t.Columns {
		r.cells[c.Number] = m.translate(c, or(values[c.Number], "null"))
	}
	t.rows[id] = r
	if state == core.Created {
		b.changes = append(b.changes, &modelChange{row: id, before: "null", after: "{}"})
	}
	return r
}

// delete marks a record deleted. That it is gone at the service is no conflict then.
func (m *model) delete(b *modelBatch, r *modelRow) {
	b.changes = append(b.changes, &modelChange{row: r.id, before: "{}", after: "null"})
	r.state, r.gone = core.Deleted, false
}

// undelete brings a record back. What the service changed meanwhile is taken where the cell is clean.
func (m *model) undelete(b *modelBatch, r *modelRow) {
	b.changes = append(b.changes, &modelChange{row: r.id, before: "null", after: "{}"})
	r.state = core.Existing
	if r.remote == "" {
		r.state = core.Created
	}
	for _, col := range slices.Sorted(maps.Keys(r.theirs)) {
		if theirs := r.theirs[col]; r.base[col] == "" || same(theirs, r.cells[col]) {
			b.write(r, col, theirs, "", "")
		}
	}
	r.version, r.newer = or(r.newer, r.version), ""
}

// remove takes a record out of its table, with the suggestions for it.
func (m *model) remove(b *modelBatch, t *modelTable, r *modelRow) {
	b.changes = append(b.changes, &modelChange{row: r.id, before: object(r.cells), after: "null"})
	m.drop(b, t, r)
}

func (m *model) drop(b *modelBatch, t *modelTable, r *modelRow) {
	delete(t.rows, r.id)
	delete(m.remote, r.id)
	m.endCreates(r.id)
	for _, s := range t.suggestions {
		if s.row == r.id && s.open {
			b.close(s)
		}
	}
}

// close ends a suggestion.
func (b *modelBatch) close(s *modelSuggestion) {
	s.open, s.by = false, b
	if !slices.Contains(b.closed, s) {
		b.closed = append(b.closed, s)
	}
}

func object(cells map[int]string) string {
	parts := map[string]json.RawMessage{}
	for n, v := range cells {
		parts[itoa(int64(n))] = json.RawMessage(v)
	}
	raw, _ := json.Marshal(parts)
	return string(raw)
}

// suggest proposes a value for a cell, unless the cell holds it, or it is proposed already, or it was refused while the
// cell held the same.
func (m *model) suggest(b *modelBatch, t *modelTable, r *modelRow, c core.Column, want string) {
	want = m.translate(c, want)
	now := r.cells[c.Number]
	if !r.alive() || c.InsertOnly && r.state != core.Created || same(now, want) {
		return
	}
	m.propose(b, t, r.id, c.Number, now, want)
}

func (m *model) propose(b *modelBatch, t *modelTable, row int64, col int, before, after string) {
	for _, s := range t.suggestions {
		refused := slices.ContainsFunc(m.batches, func(b *modelBatch) bool {
			return b.kind == "reject" && slices.Contains(b.closed, s) && m.undoneBy(b) == nil
		})
		if s.row == row && s.col == col && same(s.before, before) && same(s.after, after) && (s.open || refused) {
			return
		}
	}
	s := &modelSuggestion{batch: b, row: row, col: col, before: before, after: after, open: true}
	t.suggestions = append(t.suggestions, s)
	b.made = append(b.made, s)
}
