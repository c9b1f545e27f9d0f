package store

import (
	"maps"
	"slices"

	"scratchpaper/internal/core"
)

// modelItem is a record of a plan.
type modelItem struct {
	id      int64 // the store's
	plan    *modelPlan
	table   *modelTable
	record  int64
	remote  string
	op      string
	state   string
	reason  string
	fields  map[int][2]string // base and value
	version string
	before  map[int]string // receipt
	stored  map[int]string
	read    *remoteRecord // of one in conflict
	merged  bool
	ended   bool
}

type modelPlan struct {
	id    string
	state string
	items []*modelItem
}

// plan freezes what a publish would send. Of a revert, only what its batches changed.
func (m *model) plan(id string, of []*modelBatch, chosen func(*modelRow) bool) *modelPlan {
	p := &modelPlan{id: id, state: "draft"}
	for _, t := range m.tables {
		for _, op := range []string{"create", "update", "delete"} {
			for _, r := range t.sorted() {
				if it := t.item(op, r, of); it != nil && chosen(r) {
					it.plan = p
					p.items = append(p.items, it)
				}
			}
		}
	}
	m.plans = append(m.plans, p)
	return p
}

func (t *modelTable) item(op string, r *modelRow, of []*modelBatch) *modelItem {
	it := &modelItem{table: t, record: r.id, remote: r.remote, op: op, state: "planned", version: r.version, fields: map[int][2]string{}}
	switch {
	case op == "create" && r.state == core.Created && changedIn(of, r.id, core.RecordColumn):
		for _, c := range t.Columns {
			if v := r.cells[c.Number]; v != "null" && (c.Writable || c.InsertOnly) {
				it.fields[c.Number] = [2]string{"null", v}
			}
		}
	case op == "update" && r.state == core.Existing && r.remote != "":
		for col, base := range r.base {
			if changedIn(of, r.id, col) {
				it.fields[col] = [2]string{base, r.cells[col]}
			}
		}
		if len(it.fields) == 0 {
			return nil
		}
	case op == "delete" && r.state == core.Deleted && r.remote != "" && changedIn(of, r.id, core.RecordColumn):
	default:
		return nil
	}
	if r.inConflict() {
		it.state, it.reason = "left_out", "conflict"
	}
	return it
}

func changedIn(of []*modelBatch, row int64, col int) bool {
	for _, b := range of {
		for _, c := range b.changes {
			if c.row == row && c.col == col {
				return true
			}
		}
	}
	return of == nil
}

// start leaves out what no longer is what the plan shows, and says whether anything is left to send.
func (m *model) start(p *modelPlan) bool {
	left := false
	for _, it := range p.items {
		if it.state == "planned" {
			m.lookAgain(it)
		}
		left = left || it.state == "planned"
	}
	return left
}

func (m *model) lookAgain(it *modelItem) {
	r := it.table.rows[it.record]
	want := map[string]core.RecordState{"create": core.Created, "update": core.Existing, "delete": core.Deleted}[it.op]
	switch {
	case r == nil:
		it.leaveOut("gone")
	case r.inConflict():
		it.leaveOut("conflict")
	case r.state != want || it.op == "create" && r.remote != "":
		it.leaveOut("changed")
	default:
		m.translateItem(it)
		for col, f := range it.fields {
			if !same(r.cells[col], f[1]) || it.op == "update" && !same(r.base[col], f[0]) {
				it.leaveOut("changed")
			}
		}
		if now := it.table.item(it.op, r, nil); it.op == "create" && len(now.fields) != len(it.fields) {
			it.leaveOut("changed")
		}
	}
}

func (it *modelItem) leaveOut(reason string) { it.state, it.reason = "left_out", reason }

func (m *model) translateItem(it *modelItem) {
	for col, f := range it.fields {
		it.fields[col] = [2]string{f[0], m.translate(it.table.column(col), f[1])}
	}
}

// claim gives the next items of an operation and table, as sending. What waits for a record that is not created yet is
// looked at only when nothing else is left.
func (m *model) claim(p *modelPlan, t *modelTable, op string, limit int) []*modelItem {
	out := m.claimNext(p, t, op, limit)
	if out != nil || op == "delete" {
		return out
	}
	for _, it := range p.items {
		if it.table == t && it.op == op && it.state == "planned" {
			m.translateItem(it)
		}
	}
	return m.claimNext(p, t, op, limit)
}

func (m *model) claimNext(p *modelPlan, t *modelTable, op string, limit int) []*modelItem {
	var out []*modelItem
	for _, it := range p.items {
		if it.table != t || it.op != op || it.state != "planned" || m.waits(it) || len(out) == limit {
			continue
		}
		if why := it.unfit(t.rows[it.record]); why != "" {
			it.leaveOut(why)
			continue
		}
		it.state, it.reason = "sending", ""
		it.version = or(t.rows[it.record].version, it.version)
		out = append(out, it)
	}
	return out
}

// unfit says why an item must not be sent any more.
func (it *modelItem) unfit(r *modelRow) string {
	switch {
	case r == nil:
		return "gone"
	case it.op == "create" && r.remote != "":
		return "created already"
	case it.op == "create" && r.state != core.Created:
		return "gone"
	case it.op == "delete" && r.state != core.Deleted:
		return "changed"
	case r.inConflict():
		return "conflict"
	}
	return ""
}

// waits says whether an item refers to a record that is not created yet, or is a create that another plan has in flight.
func (m *model) waits(it *modelItem) bool {
	return it.refersToNew() || it.op == "create" && m.createInFlight(it)
}

func (it *modelItem) refersToNew() bool {
	for col, f := range it.fields {
		if len(unpublished(it.table.column(col), f[1])) > 0 {
			return true
		}
	}
	return false
}

// end says why what was not sent still waits.
func (p *modelPlan) end() {
	p.state = "done"
	for _, it := range p.items {
		if it.state == "planned" && it.refersToNew() {
			it.reason = StillWaits
		}
	}
}

func (m *model) createInFlight(it *modelItem) bool {
	for _, o := range m.itemsOf(it.record) {
		if o != it && o.op == "create" && !o.ended && (o.state == "sending" || o.state == "published" || o.state == "unknown") {
			return true
		}
	}
	return false
}

func (m *model) itemsOf(record int64) []*modelItem {
	var out []*modelItem
	for _, p := range m.plans {
		for _, it := range p.items {
			if it.record == record {
				out = append(out, it)
			}
		}
	}
	return out
}

// endCreates lets a record be created once more.
func (m *model) endCreates(record int64) {
	for _, it := range m.itemsOf(record) {
		if it.op == "create" {
			it.ended = true
		}
	}
}

// merge takes over what was published: what the service stored becomes the base, and the value where nobody edited it
// meanwhile. What was read of records in conflict is merged as a refresh would.
func (m *model) merge(b *modelBatch, p *modelPlan, t *modelTable) {
	var done []*modelItem
	for _, it := range p.items {
		if it.table == t && it.state == "conflict" && !it.merged {
			m.mergeRead(b, t, it)
			it.merged = true
		}
	}
	for _, it := range p.items {
		if it.table == t && it.state == "published" && !it.merged {
			done = append(done, it)
		}
	}
	for _, it := range done {
		if r := t.rows[it.record]; r != nil && it.op != "delete" {
			m.mergeRecord(b, t, it, r)
		}
		it.merged = true
	}
	m.translateAll()
	for _, it := range done {
		if r := t.rows[it.record]; r != nil && it.op == "delete" {
			m.mergeDelete(b, t, r)
		}
	}
}

func (m *model) mergeRead(b *modelBatch, t *modelTable, it *modelItem) {
	r := t.byRemote(it.remote)
	switch {
	case r == nil:
	case it.read == nil:
		m.vanish(b, t, r)
	case r.state == core.Deleted:
		r.changedThere(it.read)
	default:
		m.mergeRemote(b, r, it.read)
	}
}

func (m *model) mergeRecord(b *modelBatch, t *modelTable, it *modelItem, r *modelRow) {
	r.remote, r.version = or(it.remote, r.remote), or(it.version, r.version)
	if it.op == "create" {
		m.remote[r.id] = r.remote
		if r.state == core.Created {
			r.state = core.Existing
		}
	}
	for _, col := range slices.Sorted(maps.Keys(it.stored)) {
		stored := it.stored[col]
		f, sent := it.fields[col]
		now, base := r.cells[col], r.base[col]
		if it.op == "update" && !sent && base != "" {
			continue // another field's edit: not what this publish was about
		}
		after := stored
		if it.op == "create" && !sent {
			f[1] = "null"
		}
		if c := t.column(col); !c.InsertOnly && (sent || it.op == "create") && !same(m.translate(c, now), f[1]) {
			after = now // edited since
		}
		if !same(after, now) || !same(base, unless(stored, after)) || r.theirs[col] != "" {
			b.write(r, col, after, unless(stored, after), "")
		}
	}
}

// translateAll puts the new remote ids into the cells that hold "~" and a record's id.
func (m *model) translateAll() {
	for _, t := range m.tables {
		for _, r := range t.rows {
			for _, c := range t.Columns {
				r.cells[c.Number] = m.translate(c, r.cells[c.Number])
			}
		}
	}
}

// mergeDelete takes a record out of its table; one that was brought back meanwhile becomes a new record, if it is none yet.
func (m *model) mergeDelete(b *modelBatch, t *modelTable, r *modelRow) {
	switch r.state {
	case core.Deleted:
		m.remove(b, t, r)
	case core.Created:
	default:
		m.createInstead(b, r)
	}
}

// revert brings the cells of published items back to what the service held before, and counts what has changed since.
func (m *model) revert(b *modelBatch, p *modelPlan, t *modelTable) (left int) {
	for _, op := range []string{"update", "create", "delete"} {
		for _, it := range p.items {
			if it.table == t && it.op == op && it.state == "published" {
				left += m.revertItem(b, t, it)
			}
		}
	}
	return left
}

func (m *model) revertItem(b *modelBatch, t *modelTable, it *modelItem) (left int) {
	r := t.rows[it.record]
	switch {
	case it.op == "update":
		for _, col := range slices.Sorted(maps.Keys(it.fields)) {
			left += m.revertCell(b, r, it, col)
		}
	case it.op == "create" && r != nil && r.alive():
		there, here := m.changedSince(r, it)
		if len(r.base) > 0 || here {
			return 1
		}
		m.delete(b, r)
		for _, col := range there {
			r.theirs[col] = r.cells[col]
		}
	case it.op == "create": // deleted here, or gone
	case it.op == "delete" && it.before == nil: // it was gone already
	case it.op == "delete" && r == nil:
		m.create(b, t, it.record, it.before, core.Created)
	case it.op == "delete":
		left++
	}
	return left
}

func (m *model) revertCell(b *modelBatch, r *modelRow, it *modelItem, col int) (left int) {
	prev, held := or(it.before[col], it.fields[col][0]), or(it.stored[col], it.fields[col][1])
	switch {
	case same(prev, held):
		return 0
	case r == nil || r.state != core.Existing || r.base[col] != "":
		return 1
	}
	now := r.cells[col]
	switch {
	case same(now, prev):
	case same(now, held):
		b.write(r, col, prev, held, "")
	case m.changedBy(r.id, col) == "refresh":
		b.write(r, col, prev, held, now)
	default:
		return 1
	}
	return 0
}

// changedSince gives the cells of a created record that the service changed since, and says whether others were changed here.
func (m *model) changedSince(r *modelRow, it *modelItem) (there []int, here bool) {
	for _, col := range slices.Sorted(maps.Keys(it.stored)) {
		switch {
		case same(r.cells[col], it.stored[col]):
		case m.changedBy(r.id, col) == "refresh":
			there = append(there, col)
		default:
			here = true
		}
	}
	return there, here
}

// changedBy gives the kind of the batch that changed a cell last.
func (m *model) changedBy(row int64, col int) string {
	for _, b := range slices.Backward(m.batches) {
		for _, c := range b.changes {
			if c.row == row && c.col == col {
				return b.kind
			}
		}
	}
	return ""
}
