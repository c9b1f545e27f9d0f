package chaos

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// apiValue gives a canonical value as the API takes it.
func apiValue(v string) any {
	switch {
	case v == "null":
		return nil
	case strings.HasPrefix(v, `"`), strings.HasPrefix(v, "~"):
		return plain(v)
	}
	if r, ok := new(big.Rat).SetString(v); ok && !r.IsInt() {
		return json.Number(r.FloatString(2))
	}
	return json.Number(v)
}

// done is an answered act: what it means for the model, in the order of batches.
type done struct {
	batch int64
	what  string // for people
	apply func()
}

func batchOf(answer object) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(text(answer, "batch"), "bat_"), 10, 64)
	return n
}

// acts are what people do to a table. Each makes a request and, once that is answered, says what it did to the model.
func (w *world) acts() []func(c *client, t remoteTable) func() []done {
	return []func(c *client, t remoteTable) func() []done{w.editSome, w.editSome, w.editSome, w.createSome, w.createCircle, w.deleteSome, w.suggestSome, w.acceptSome, w.acceptSome, w.rejectSome, w.undoOne, w.undoOne}
}

// cellsOf chooses cells of records that can be edited, without those that have an open suggestion where free, and gives them
// new values.
func (w *world) cellsOf(t remoteTable, n int, free bool) (out []suggestion, changes []object) {
	list := w.model.of(t.name, "existing", "created")
	taken := map[string]bool{}
	for range n {
		if len(list) == 0 {
			return nil, nil
		}
		r, c := pick(w.rand, list), pick(w.rand, t.columns)
		key := fmt.Sprint(r.id, c.name)
		if taken[key] || free && len(w.model.suggested([]int64{r.id})) > 0 {
			continue
		}
		taken[key] = true
		s := suggestion{table: t.name, record: r.id, col: c.name, before: r.cells[c.name], after: w.value(c)}
		if !free && c.name == "title" && w.rand.IntN(25) == 0 {
			s.after = fmt.Sprintf(`"forbidden %d"`, w.serial)
		}
		out = append(out, s)
		changes = append(changes, object{"op": "set", "record": s.record, "values": object{s.col: apiValue(s.after)}})
	}
	return out, changes
}

func (w *world) changes(c *client, t remoteTable, as string, changes []object) object {
	status, answer := c.ask(w.ctx, http.MethodPost, w.table(t.name)+"/changes", object{"as": as, "changes": changes})
	if status != http.StatusOK {
		c.note("changes of %s answer %d: %v", t.name, status, answer)
		return nil
	}
	return answer
}

// refused compares how many changes were refused with how many records were not there to be changed: somebody had just deleted
// them.
func (w *world) refused(c *client, answer object, want int) {
	if list, _ := field(answer, "refused").([]any); len(list) != want {
		c.note("%d changes were refused, want %d: %v", len(list), want, list)
	}
}

// alive gives the cells whose record can be changed.
func (w *world) alive(cells []suggestion) []suggestion {
	return slices.DeleteFunc(slices.Clone(cells), func(s suggestion) bool {
		r := w.model.records[s.record]
		return r.state != "existing" && r.state != "created"
	})
}

func (w *world) editSome(c *client, t remoteTable) func() []done {
	cells, changes := w.cellsOf(t, 1+w.rand.IntN(12), false)
	return func() []done {
		if len(cells) == 0 {
			return nil
		}
		answer := w.changes(c, t, "edit", changes)
		return []done{{batchOf(answer), fmt.Sprint("edit ", cells), func() {
			a := &act{batch: text(answer, "batch"), table: t.name, cells: w.alive(cells)}
			w.refused(c, answer, len(cells)-len(a.cells))
			w.model.edit(a)
		}}}
	}
}

func (w *world) createSome(c *client, t remoteTable) func() []done {
	var changes []object
	var made []*record
	for range 1 + w.rand.IntN(3) {
		r := &record{table: t.name, state: "created", cells: row{}, base: row{}}
		for _, k := range t.key {
			r.cells[k] = "null"
		}
		for _, col := range t.columns {
			r.cells[col.name] = w.value(col)
		}
		switch t.name {
		case "authors":
			r.cells["mentor"] = "null"
		case "books":
			r.cells["author"] = w.someAuthor()
		case "codes":
			w.serial++
			r.cells["code"] = fmt.Sprintf(`"N-%s-%d"`, w.round, w.serial)
		case "pairs":
			w.serial++
			r.cells["a"], r.cells["b"] = strconv.Itoa(1000000+w.serial), strconv.Itoa(w.serial)
		}
		values := object{}
		for col, v := range r.cells {
			if v != "null" {
				values[col] = apiValue(v)
				if isReference(col) {
					values[col] = plain(v)
				}
			}
		}
		made = append(made, r)
		changes = append(changes, object{"op": "create", "values": values})
	}
	return func() []done {
		answer := w.changes(c, t, "edit", changes)
		ids, _ := field(answer, "created").([]any)
		if len(ids) != len(made) {
			c.note("%d records were asked for and %d made: %v", len(made), len(ids), answer)
			return nil
		}
		return []done{w.created(answer, ids, made)}
	}
}

// created is what an answered create means.
func (w *world) created(answer object, ids []any, made []*record) done {
	return done{batchOf(answer), fmt.Sprint("create ", ids), func() {
		a := &act{batch: text(answer, "batch"), table: made[0].table}
		for i, r := range made {
			r.id, _ = ids[i].(json.Number).Int64()
			w.model.records[r.id] = r
			a.created = append(a.created, r.id)
		}
		w.model.acts = append(w.model.acts, a)
	}}
}

// createCircle makes authors of whom each is the next one's mentor, and sometimes one who is their own.
func (w *world) createCircle(c *client, _ remoteTable) func() []done {
	t := remoteTables[0]
	var creates []object
	var made []*record
	for range 1 + w.rand.IntN(3) {
		r := &record{table: t.name, state: "created", cells: row{"id": "null", "mentor": "null"}, base: row{}}
		values := object{}
		for _, col := range t.columns {
			r.cells[col.name] = w.value(col)
			values[col.name] = apiValue(r.cells[col.name])
		}
		made, creates = append(made, r), append(creates, object{"op": "create", "values": values})
	}
	return func() []done {
		answer := w.changes(c, t, "edit", creates)
		ids, _ := field(answer, "created").([]any)
		if len(ids) != len(made) {
			c.note("%d authors were asked for and %d made: %v", len(made), len(ids), answer)
			return nil
		}
		var sets []object
		var cells []suggestion
		for i := range made {
			id, _ := ids[i].(json.Number).Int64()
			next, _ := ids[(i+1)%len(ids)].(json.Number).Int64()
			cells = append(cells, suggestion{table: t.name, record: id, col: "mentor", before: "null", after: "~" + idOf(next)})
			sets = append(sets, object{"op": "set", "record": id, "values": object{"mentor": "~" + idOf(next)}})
		}
		second := w.changes(c, t, "edit", sets)
		return []done{w.created(answer, ids, made), {batchOf(second), fmt.Sprint("mentors ", cells), func() {
			w.report.did("circles of new records")
			w.model.edit(&act{batch: text(second, "batch"), table: t.name, cells: w.alive(cells)})
		}}}
	}
}

// someAuthor is the id of an author: one at the service, or one that is still to be created.
func (w *world) someAuthor() string {
	if list := w.model.of("authors", "created"); len(list) > 0 && w.rand.IntN(2) == 0 {
		return "~" + idOf(pick(w.rand, list).id)
	}
	if list := w.model.of("authors", "existing"); len(list) > 0 {
		return pick(w.rand, list).remote
	}
	return "null"
}

func (w *world) deleteSome(c *client, t remoteTable) func() []done {
	var changes []object
	a := &act{table: t.name}
	list := w.model.of(t.name, "existing")
	for range 1 + w.rand.IntN(3) {
		if len(list) == 0 || t.name == "authors" { // books refer to them
			return func() []done { return nil }
		}
		r := pick(w.rand, list)
		if slices.Contains(a.deleted, r.id) || len(w.model.suggested([]int64{r.id})) > 0 {
			continue
		}
		a.deleted = append(a.deleted, r.id)
		changes = append(changes, object{"op": "delete", "record": r.id})
	}
	return func() []done {
		if len(changes) == 0 {
			return nil
		}
		answer := w.changes(c, t, "edit", changes)
		a.batch = text(answer, "batch")
		return []done{{batchOf(answer), fmt.Sprint("delete ", a.deleted), func() {
			wanted := len(a.deleted)
			a.deleted = slices.DeleteFunc(a.deleted, func(id int64) bool { return w.model.records[id].state != "existing" })
			w.refused(c, answer, wanted-len(a.deleted))
			for _, id := range a.deleted {
				w.model.records[id].state = "deleted"
			}
			w.model.acts = append(w.model.acts, a)
		}}}
	}
}

func (w *world) suggestSome(c *client, t remoteTable) func() []done {
	cells, changes := w.cellsOf(t, 1+w.rand.IntN(15), true)
	return func() []done {
		if len(cells) == 0 {
			return nil
		}
		answer := w.changes(c, t, "suggestion", changes)
		return []done{{batchOf(answer), fmt.Sprint("suggest ", cells), func() {
			wanted := len(cells)
			cells := w.alive(cells)
			w.refused(c, answer, wanted-len(cells))
			for i, s := range cells {
				cells[i].before = w.model.records[s.record].cells[s.col]
			}
			w.model.propose(cells)
			w.model.acts = append(w.model.acts, &act{batch: text(answer, "batch"), table: t.name, made: cells})
		}}}
	}
}

// someSuggested chooses records that have open suggestions.
func (w *world) someSuggested(t remoteTable) []int64 {
	var ids []int64
	for _, s := range w.model.open {
		if s.table == t.name && !slices.Contains(ids, s.record) && w.rand.IntN(3) > 0 {
			ids = append(ids, s.record)
		}
	}
	return ids
}

func (w *world) acceptSome(c *client, t remoteTable) func() []done {
	ids := w.someSuggested(t)
	return func() []done {
		if len(ids) == 0 {
			return nil
		}
		status, answer := w.command(c, w.table(t.name)+"/suggestions/accept", object{"where": object{"records": ids}})
		if status != http.StatusOK {
			c.note("accept answers %d: %v", status, answer)
		}
		return []done{{batchOf(answer), fmt.Sprint("accept ", ids), func() {
			w.model.accept(&act{batch: text(answer, "batch"), table: t.name}, w.model.suggested(ids))
		}}}
	}
}

func (w *world) rejectSome(c *client, t remoteTable) func() []done {
	ids := w.someSuggested(t)
	return func() []done {
		if len(ids) == 0 {
			return nil
		}
		status, answer := w.command(c, w.table(t.name)+"/suggestions/reject", object{"where": object{"records": ids}})
		if status != http.StatusOK {
			c.note("reject answers %d: %v", status, answer)
		}
		return []done{{batchOf(answer), fmt.Sprint("reject ", ids), func() {
			a := &act{batch: text(answer, "batch"), table: t.name, accepts: w.model.suggested(ids)}
			for _, s := range a.accepts {
				w.model.close(s)
			}
			w.model.acts = append(w.model.acts, a)
		}}}
	}
}

func (w *world) undoOne(c *client, t remoteTable) func() []done {
	var list []*act
	for _, a := range w.model.acts {
		if a.table == t.name && !a.undone && a.batch != "" {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return func() []done { return nil }
	}
	a := pick(w.rand, list)
	return func() []done { return w.undo(c, a) }
}

func (w *world) undo(c *client, a *act) []done {
	status, answer := w.command(c, w.snapshot+"/batches/"+a.batch+"/undo", object{})
	switch {
	case status == http.StatusConflict: // somebody else was first
		w.log("undo of %s: %s", a.batch, text(answer, "detail"))
		return nil
	case status != http.StatusOK:
		c.note("undo answers %d: %v", status, answer)
	}
	return []done{{batchOf(answer), "undo " + a.batch, func() { w.model.undo(a) }}}
}

// people act one after the other, or two at the same moment on one table. The model follows in the order of the batches.
func (w *world) people(n int) {
	for range n {
		t := pick(w.rand, remoteTables)
		if w.rand.IntN(6) == 0 { // alone: what it finds depends on everything else
			f := pick(w.rand, []func(*client, remoteTable) func() []done{w.transformSome, w.importSome})
			w.both([]func() []done{f(w.api[0], t)})
			continue
		}
		var together []func() []done
		for i := range 1 + w.rand.IntN(2) {
			f := pick(w.rand, w.acts())
			together = append(together, f(w.api[i], t))
		}
		w.both(together)
	}
}

func (w *world) both(together []func() []done) {
	answers := make([][]done, len(together))
	var wg sync.WaitGroup
	for i, f := range together {
		wg.Go(func() { answers[i] = f() })
	}
	wg.Wait()
	var all []done
	for _, list := range answers {
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b done) int { return int(a.batch - b.batch) })
	for _, d := range all {
		if d.batch != 0 {
			d.apply()
			w.report.did("batches")
		}
		w.log("batch %d: %s", d.batch, d.what)
	}
}
