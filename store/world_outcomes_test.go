package store

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

// outcomes sends claimed items to the service, as the publish job does: what changed there is a conflict and is not
// written, the rest succeeds, is refused, or gets lost.
func (w *world) outcomes(table int, mine []*modelItem, items []Item) {
	t := w.model.tables[table]
	var out []ItemOutcome
	var leaving []Leaving
	for _, it := range mine {
		it.id = itemID(items, it.record)
		there := w.service[table][it.remote]
		it.before, it.stored, it.merged = maps.Clone(cellsOf(there)), nil, false
		if it.op == "create" || !w.settledBefore(table, it, there) {
			leaving = append(leaving, Leaving{Item: it.id, Before: raw(it.before)})
		}
	}
	if leaving != nil {
		w.check(w.ItemsLeave(w.test.Context(), w.sending, t.Table, leaving))
	}
	for _, it := range mine {
		out = append(out, w.outcome(table, it))
	}
	w.check(w.SaveOutcomes(w.test.Context(), t.Table, out))
	w.agree("outcomes")
	if rapid.Bool().Draw(w.T, "take over now") {
		w.takeOver(table, w.running)
	}
	w.settleUnknown(table, mine)
}

func itemID(items []Item, record int64) int64 {
	i := slices.IndexFunc(items, func(it Item) bool { return it.Record == record })
	return items[i].ID
}

func (w *world) outcome(table int, it *modelItem) ItemOutcome {
	if it.state == "sending" {
		it.state, it.reason = rapid.SampledFrom([]string{"published", "published", "published", "failed", "unknown", "planned"}).Draw(w.T, "outcome"), ""
		if it.state == "failed" {
			it.reason = "refused"
		}
		if it.state == "published" || it.state == "unknown" && rapid.Bool().Draw(w.T, "arrived") {
			w.act(table, it)
		}
	}
	o := ItemOutcome{Item: it.id, State: it.state, Reason: it.reason, Before: raw(it.before)}
	switch {
	case it.state == "published":
		o.RemoteID, o.Version, o.Stored, o.Sent = it.remote, it.version, raw(it.stored), raw(it.stored)
	case it.read != nil:
		o.Version = it.read.version
	}
	return o
}

func cellsOf(r *remoteRecord) map[int]string {
	if r == nil {
		return nil
	}
	return r.cells
}

// settledBefore looks at the record just before a write: it is a conflict, or done already.
func (w *world) settledBefore(table int, it *modelItem, there *remoteRecord) bool {
	it.read = nil
	switch {
	case there == nil && it.op == "delete":
		it.state, it.reason = "published", "It was gone already."
	case there == nil:
		it.state, it.reason = "conflict", DeletedThere
	case w.fights(table, it, there):
		it.state, it.reason = "conflict", "changed there"
		it.read = &remoteRecord{version: there.version, cells: maps.Clone(there.cells)}
	case it.op == "update" && it.asWanted(there):
		it.state, it.reason, it.version, it.stored = "published", "The service held this already.", there.version, maps.Clone(there.cells)
	default:
		return false
	}
	return true
}

// fights says whether the service holds neither what is expected nor what is wanted; of a delete, whether anything changed.
func (w *world) fights(table int, it *modelItem, there *remoteRecord) bool {
	r := w.model.tables[table].rows[it.record]
	for col, now := range there.cells {
		f, edited := it.fields[col]
		if edited && !same(f[0], now) && !same(f[1], now) || it.op == "delete" && r != nil && !same(or(r.base[col], r.cells[col]), now) {
			return true
		}
	}
	return false
}

func (it *modelItem) asWanted(there *remoteRecord) bool {
	for col, f := range it.fields {
		if !same(f[1], there.cells[col]) {
			return false
		}
	}
	return true
}

// act writes an item at the service, which makes titles upper case now and then.
func (w *world) act(table int, it *modelItem) {
	it.version = w.version()
	if it.op == "delete" {
		delete(w.service[table], it.remote)
		return
	}
	if it.op == "create" {
		it.remote = itoa(int64(w.tick + 1000))
		w.service[table][it.remote] = &remoteRecord{cells: map[int]string{}}
		for _, c := range w.model.tables[table].Columns {
			w.service[table][it.remote].cells[c.Number] = "null"
		}
	}
	r := w.service[table][it.remote]
	r.version = it.version
	shout := rapid.IntRange(0, 3).Draw(w.T, "normalised") == 0
	for col, f := range it.fields {
		r.cells[col] = f[1]
		if w.model.tables[table].column(col).Type == core.Text && shout && f[1] != "null" {
			r.cells[col] = strings.ToUpper(f[1])
		}
	}
	it.stored = maps.Clone(r.cells)
}

// settleUnknown lets a person say what became of what was lost, once they have looked.
func (w *world) settleUnknown(table int, mine []*modelItem) {
	for _, it := range mine {
		if it.state != "unknown" {
			continue
		}
		as, remote := "not_sent", ""
		if it.stored != nil || it.op == "delete" && w.service[table][it.remote] == nil {
			as, remote = "published", it.remote
		}
		w.check(w.SettleItem(w.test.Context(), w.ana(), w.snapshot.ID, w.running.id, it.id, as, remote))
		it.reason = "Settled by " + w.ana().Name
		if it.state = "planned"; as == "published" {
			it.state, it.version = "published", ""
			it.stored = map[int]string{}
			for col, f := range it.fields {
				it.stored[col] = f[1]
			}
		}
		w.takeOver(table, w.running)
	}
}
