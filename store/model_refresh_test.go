package store

import (
	"maps"
	"slices"

	"scratchpaper/internal/core"
)

// remoteRecord is a record as the service holds it.
type remoteRecord struct {
	version string
	cells   map[int]string
}

// refresh merges everything a service holds: clean cells take its values, edits stay, and what changed on both sides
// becomes a conflict. fresh is told of records that are new here and gives their ids.
func (m *model) refresh(b *modelBatch, t *modelTable, there map[string]*remoteRecord, fresh func(remote string) int64) {
	here := map[string]*modelRow{}
	for _, r := range t.rows {
		if r.remote != "" {
			here[r.remote] = r
		}
	}
	for _, remote := range slices.Sorted(maps.Keys(there)) {
		switch r := here[remote]; {
		case r == nil && !m.coming(remote):
			m.arrive(t, remote, there[remote], fresh(remote))
		case r == nil:
		case r.state == core.Deleted:
			r.changedThere(there[remote])
		default:
			m.mergeRemote(b, r, there[remote])
		}
	}
	for _, remote := range slices.Sorted(maps.Keys(here)) {
		if there[remote] == nil {
			m.vanish(b, t, here[remote])
		}
	}
}

// coming says whether a remote id is that of a create that was sent and is not taken over yet.
func (m *model) coming(remote string) bool {
	for _, p := range m.plans {
		for _, it := range p.items {
			if it.op == "create" && it.remote == remote && !it.ended && !it.merged && (it.state == "sending" || it.state == "published" || it.state == "unknown") {
				return true
			}
		}
	}
	return false
}

func (m *model) arrive(t *modelTable, remote string, there *remoteRecord, id int64) {
	r := &modelRow{id: id, remote: remote, version: there.version, cells: maps.Clone(there.cells), base: map[int]string{}, theirs: map[int]string{}}
	t.rows[id] = r
	m.remote[id] = remote
}

func (m *model) mergeRemote(b *modelBatch, r *modelRow, there *remoteRecord) {
	r.gone = false
	for _, col := range slices.Sorted(maps.Keys(there.cells)) {
		m.mergeCell(b, r, col, there.cells[col])
	}
	r.version = there.version
}

func (m *model) mergeCell(b *modelBatch, r *modelRow, col int, theirs string) {
	now, base := r.cells[col], r.base[col]
	switch {
	case base == "" && !same(now, theirs):
		b.write(r, col, theirs, "", "")
	case base == "":
	case same(theirs, now):
		b.write(r, col, now, "", "")
	case same(theirs, base) && r.theirs[col] != "":
		b.write(r, col, now, base, "")
	case !same(theirs, base) && !same(r.theirs[col], theirs):
		b.write(r, col, now, base, theirs)
	}
}

// changedThere notes what the service changed in a record that is deleted here, unless a person has seen that version.
func (r *modelRow) changedThere(there *remoteRecord) {
	if there.version != "" && there.version == r.version {
		return
	}
	r.theirs, r.newer = map[int]string{}, ""
	for col, v := range there.cells {
		if !same(v, or(r.base[col], r.cells[col])) {
			r.theirs[col], r.newer = v, there.version
		}
	}
}

// vanish is what becomes of a record that is gone at the service.
func (m *model) vanish(b *modelBatch, t *modelTable, r *modelRow) {
	if r.state == core.Existing && len(r.base) > 0 || r.gone {
		r.gone = true
		return
	}
	m.remove(b, t, r)
}
