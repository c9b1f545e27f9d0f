package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// record is what a record of the snapshot must be, as far as people's acknowledged acts say.
type record struct {
	id     int64
	table  string
	remote string // "" until it is published
	state  string // existing, created, deleted; gone when it has left the snapshot
	cells  row
	base   row // what the service held, of edited cells
}

func (r *record) clone() *record {
	x := *r
	x.cells, x.base = maps.Clone(r.cells), maps.Clone(r.base)
	return &x
}

// set is a person's edit of a cell: the base stays what the service held, and a cell that is back at it is clean.
func (r *record) set(col, value string) {
	was, edited := r.base[col]
	if !edited {
		was = r.cells[col]
	}
	r.cells[col] = value
	delete(r.base, col)
	if r.state == "existing" && value != was {
		r.base[col] = was
	}
}

// published is what the service took of a field: the base of a later edit, or the clean value.
func (r *record) published(col, value, stored string) {
	if r.cells[col] == value {
		r.cells[col] = stored
		delete(r.base, col)
		return
	}
	r.base[col] = stored
	if r.cells[col] == stored {
		delete(r.base, col)
	}
}

// suggestion is a proposed value of a cell.
type suggestion struct {
	table  string
	record int64
	col    string
	before string
	after  string
	made   int // by which it is newer than others of its cell; 0 for what is no suggestion
}

// act is one acknowledged batch, as undo needs it.
type act struct {
	batch   string
	table   string
	cells   []suggestion // before and after
	created []int64
	deleted []int64
	accepts []suggestion // that it took or closed
	made    []suggestion // that it proposed
	undone  bool
}

// model is what the snapshot must hold.
type model struct {
	records map[int64]*record
	open    []suggestion
	acts    []*act
	made    int            // suggestions so far
	stuck   map[int64]bool // records of which an undo could not take something back, since it was changed after
}

func newModel() *model { return &model{records: map[int64]*record{}, stuck: map[int64]bool{}} }

func (m *model) clone() *model {
	x := newModel()
	for id, r := range m.records {
		x.records[id] = r.clone()
	}
	x.open, x.made = slices.Clone(m.open), m.made
	return x
}

// of gives the records of a table in some states, by id.
func (m *model) of(table string, states ...string) []*record {
	var out []*record
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if r := m.records[id]; r.table == table && slices.Contains(states, r.state) {
			out = append(out, r)
		}
	}
	return out
}

// counts gives records, edits, created, deleted and suggestions of a table.
func (m *model) counts(table string) [5]int64 {
	var c [5]int64
	for _, r := range m.records {
		if r.table != table {
			continue
		}
		switch r.state {
		case "existing":
			c[0]++
			c[1] += int64(len(r.base))
		case "created":
			c[0]++
			c[2]++
		case "deleted":
			c[3]++
		}
	}
	for _, s := range m.open {
		if s.table == table {
			c[4]++
		}
	}
	return c
}

// edit applies an acknowledged batch of edits.
func (m *model) edit(a *act) {
	for i, c := range a.cells {
		r := m.records[c.record]
		a.cells[i].before = r.cells[c.col]
		r.set(c.col, c.after)
	}
	m.acts = append(m.acts, a)
}

// propose opens suggestions, each newer than those before it.
func (m *model) propose(list []suggestion) {
	for i := range list {
		m.made++
		list[i].made = m.made
	}
	m.open = append(m.open, list...)
}

// accept applies suggestions whose cell still holds what it held, of each cell the newest, and closes the others.
func (m *model) accept(a *act, chosen []suggestion) {
	slices.SortFunc(chosen, func(x, y suggestion) int { return y.made - x.made })
	for _, s := range chosen {
		if r := m.records[s.record]; r.cells[s.col] == s.before && (r.state == "existing" || r.state == "created") {
			r.set(s.col, s.after)
			a.cells = append(a.cells, s)
		}
		a.accepts = append(a.accepts, s)
		m.close(s)
	}
	m.acts = append(m.acts, a)
}

func (m *model) close(s suggestion) {
	m.open = slices.DeleteFunc(m.open, func(o suggestion) bool { return o == s })
}

// suggested gives the open suggestions of some records, as far as these are not deleted.
func (m *model) suggested(ids []int64) []suggestion {
	var out []suggestion
	for _, s := range m.open {
		if r := m.records[s.record]; slices.Contains(ids, s.record) && (r.state == "existing" || r.state == "created") {
			out = append(out, s)
		}
	}
	return out
}

// undo takes back what still is as the batch left it, and opens its suggestions again.
func (m *model) undo(a *act) {
	for _, c := range a.cells {
		if r := m.records[c.record]; (r.state == "existing" || r.state == "created") && r.cells[c.col] == c.after {
			r.set(c.col, c.before)
		} else {
			m.stuck[c.record] = true
		}
	}
	for _, id := range a.created {
		if r := m.records[id]; r.state == "created" {
			r.state = "unmade" // deleted before it was ever published: in no count
		}
	}
	for _, id := range a.deleted {
		if r := m.records[id]; r.state == "deleted" {
			r.state = "existing"
		}
	}
	m.open = append(m.open, a.accepts...)
	for _, s := range a.made {
		m.close(s)
	}
	a.undone = true
}

// change is one line of a plan: what would be sent.
type change struct {
	op     string
	fields row // column → value
	base   row
}

// plan gives what a publish must show, by record.
func (m *model) plan() map[int64]change {
	out := map[int64]change{}
	for id, r := range m.records {
		switch {
		case r.state == "existing" && len(r.base) > 0:
			c := change{"update", row{}, maps.Clone(r.base)}
			for col := range r.base {
				c.fields[col] = r.cells[col]
			}
			out[id] = c
		case r.state == "created":
			c := change{"create", row{}, row{}}
			for col, v := range r.cells {
				if v != "null" {
					c.fields[col] = v
				}
			}
			out[id] = c
		case r.state == "deleted":
			out[id] = change{"delete", row{}, row{}}
		}
	}
	return out
}

func (c change) String() string { return fmt.Sprintf("%s %v (base %v)", c.op, c.fields, c.base) }

func idOf(n int64) string { return strconv.FormatInt(n, 10) }
