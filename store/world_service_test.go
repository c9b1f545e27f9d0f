package store

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

func (w *world) settle() {
	t, by := w.someTable(), w.someone()
	where, means := Where{Filter: "true"}, func(*modelRow) bool { return true }
	if rapid.Bool().Draw(w.T, "by id") {
		ids := w.someRows(t, 4)
		where, means = Where{Records: ids}, func(r *modelRow) bool { return slices.Contains(ids, r.id) }
	}
	as := rapid.SampledFrom([]string{"mine", "theirs"}).Draw(w.T, "as")
	res, err := w.SettleConflicts(w.test.Context(), by, t.Ref(), where, as)
	b := w.model.begin(t, by.Person, "settle")
	var chosen []*modelRow
	for _, r := range t.sorted() {
		if means(r) && r.inConflict() {
			chosen = append(chosen, r)
		}
	}
	w.model.settle(b, t, chosen, as == "theirs")
	w.finish("settle as "+as, b, res, err)
}

// version gives the service's next version, or none where it has none.
func (w *world) version() string {
	if w.tick++; !w.versioned {
		return ""
	}
	return "v" + itoa(int64(w.tick))
}

// appear makes a record at the service.
func (w *world) appear(table int) {
	r := &remoteRecord{version: w.version(), cells: map[int]string{}}
	for _, c := range w.model.tables[table].Columns {
		r.cells[c.Number] = w.theirValue(c)
	}
	w.service[table][itoa(int64(w.tick))] = r
}

// theirValue draws a value as a service holds it: it knows no "~".
func (w *world) theirValue(c core.Column) string {
	switch c.Type {
	case core.Reference:
		return rapid.SampledFrom([]string{"null", `"1"`, `"77"`}).Draw(w.T, "theirs")
	case core.References:
		return rapid.SampledFrom([]string{"null", "[]", `["1", "77"]`}).Draw(w.T, "theirs")
	}
	return w.value(c)
}

// elsewhere is what somebody does at the service: new records, changes, deletes.
func (w *world) elsewhere() {
	for range rapid.IntRange(1, 3).Draw(w.T, "changes there") {
		i := w.pick("table there", 0, 0, 1)
		ids := slices.Sorted(maps.Keys(w.service[i]))
		what := rapid.SampledFrom([]string{"change", "change", "change", "change back", "new", "delete"}).Draw(w.T, "there")
		if what == "new" || len(ids) == 0 {
			w.appear(i)
			continue
		}
		id := rapid.SampledFrom(ids).Draw(w.T, "remote record")
		if what == "delete" {
			delete(w.service[i], id)
			continue
		}
		c := w.someColumn(w.model.tables[i])
		value := w.theirValue(c)
		if r := w.here(i, id); what == "change back" && r != nil {
			value = or(r.base[c.Number], r.cells[c.Number])
		}
		if len(unpublished(c, value)) == 0 {
			w.service[i][id].cells[c.Number], w.service[i][id].version = value, w.version()
		}
	}
}

func (w *world) here(table int, remote string) *modelRow {
	for _, r := range w.model.tables[table].rows {
		if r.remote == remote {
			return r
		}
	}
	return nil
}

func (w *world) refresh() {
	w.elsewhere()
	for i := range w.model.tables {
		w.download(i, false)
	}
}

// download reads a table of the service in pages, as the jobs do.
func (w *world) download(table int, first bool) {
	ctx, t := w.test.Context(), w.model.tables[table]
	ids := slices.Sorted(maps.Keys(w.service[table]))
	if !first {
		w.reading = w.newJob("refresh")
	}
	page, batches := 0, []int64{}
	for part := range slices.Chunk(append(slices.Clone(ids), "")[:max(1, len(ids))], 3) {
		m := PageMerge{Table: t.Table, Columns: t.Columns, First: first, Page: page, Checkpoint: map[string]int{"page": page}}
		for _, id := range part {
			if r := w.service[table][id]; r != nil {
				m.Records = append(m.Records, w.canonicalRecord(t, id, r))
			}
		}
		c, err := w.MergePage(ctx, w.reading, m)
		w.check(err)
		if page++; c.Batch != 0 {
			batches = append(batches, c.Batch)
		}
	}
	if !first {
		unseen, err := w.Unseen(ctx, w.reading, t.Table, "", 100)
		w.check(err)
		c, err := w.RemoveGone(ctx, w.reading, t.Table, unseen, map[string]int{})
		w.check(err)
		if c.Batch != 0 {
			batches = append(batches, c.Batch)
		}
		w.check(w.EndDownload(ctx, w.reading, t.Table, nil, batches, map[string]int{}))
		w.check(w.EndSlice(ctx, w.reading, JobEnd{State: "done"}))
	}
	w.seen[table] = map[string]map[int]string{}
	for id, r := range w.service[table] {
		w.seen[table][id] = maps.Clone(r.cells)
	}
	b := w.model.begin(t, "", "refresh")
	w.model.refresh(b, t, w.service[table], w.idOf(t))
	w.model.batches = append(w.model.batches, b)
	w.note("refresh", b)
	for _, c := range b.changes { // an edit that the service has too is as good as published
		w.merged = w.merged || c.base[0] != "" && c.base[1] == ""
	}
	w.agree("refresh of " + t.Slug)
}

// idOf finds the id that the store gave a record of the service.
func (w *world) idOf(t *modelTable) func(string) int64 {
	ids, err := pairs[string, int64](w.test.Context(), w.pool, "select _remote_id, _id from "+dataTable(t.Table)+" where _remote_id is not null")
	w.check(err)
	return func(remote string) int64 {
		if ids[remote] == 0 {
			w.Fatalf("record %s of the service did not come", remote)
		}
		return ids[remote]
	}
}

// newJob makes a job without a connection, so that it never waits for another, and takes it.
func (w *world) newJob(kind string) *Job {
	j, err := w.Enqueue(w.test.Context(), w.ana(), NewJob{Kind: kind, Snapshot: w.snapshot.ID})
	w.check(err)
	return w.take(j.ID)
}

// draft makes a plan of everything or of a part.
func (w *world) draft() {
	where, means := Where{}, func(*modelRow) bool { return true }
	if rapid.Bool().Draw(w.T, "a part") {
		where, means = w.chosen(w.model.tables[0])
		if where.Filter == "" {
			ids := where.Records
			means = func(r *modelRow) bool { return slices.Contains(ids, r.id) }
		}
	}
	p, err := w.MakePlan(w.test.Context(), w.someone(), w.snapshot.ID, nil, where)
	w.check(err)
	w.model.plan(p.ID, nil, means)
	w.agree("plan")
}

// publish goes one step on with a publish: it starts one, claims a batch and sends it, or takes outcomes over. Between the
// steps anything else can happen.
func (w *world) publish() {
	if w.running == nil {
		w.start()
		return
	}
	w.send()
}

func (w *world) start() {
	var drafts []*modelPlan
	for _, p := range w.model.plans {
		if p.state == "draft" {
			drafts = append(drafts, p)
		}
	}
	if len(drafts) == 0 {
		w.draft()
		return
	}
	p := drafts[rapid.IntRange(0, len(drafts)-1).Draw(w.T, "plan")]
	before := p.clone()
	some := w.model.start(p)
	j, err := w.StartPublish(w.test.Context(), w.ana(), w.snapshot.ID, p.id, true, 0)
	if !some {
		if core.CodeOf(err) != core.Conflict {
			w.Fatalf("a plan with nothing to send starts: %v", err)
		}
		p.items = before.items
		return
	}
	w.check(err)
	p.state, w.running = "publishing", p
	_, err = w.pool.Exec(w.test.Context(), "update jobs set connection_id = null where org_id = $1 and id = $2", core.LocalOrg, j.ID)
	w.check(err)
	w.sending = w.take(j.ID)
	w.agree("start of a publish")
}

func (p *modelPlan) clone() *modelPlan {
	out := &modelPlan{id: p.id, state: p.state}
	for _, it := range p.items {
		c := *it
		c.fields = maps.Clone(it.fields)
		out.items = append(out.items, &c)
	}
	return out
}

// send claims the next batch, in the order of a publish, sends it and notes what became of it; when none is left it ends.
func (w *world) send() {
	limit := rapid.IntRange(1, 3).Draw(w.T, "batch")
	for _, op := range []string{"create", "update", "delete"} {
		for i := range w.model.tables {
			if op != "delete" {
				i = 1 - i // makers before their kettles
			}
			t := w.model.tables[i]
			items, err := w.ClaimItems(w.test.Context(), w.sending, t.Table, w.running.id, Claim{Op: op, Limit: limit})
			w.check(err)
			mine := w.model.claim(w.running, t, op, limit)
			w.agree("claim of " + op + "s")
			if len(items) != len(mine) {
				w.Fatalf("claimed %d %ss, the model %d", len(items), op, len(mine))
			}
			if len(items) > 0 {
				w.meanwhile()
				w.outcomes(i, mine, items)
				return
			}
		}
	}
	w.endPublish()
}

// meanwhile lets somebody do something while a request is on its way.
func (w *world) meanwhile() {
	switch rapid.SampledFrom([]string{"nothing", "nothing", "edit", "undo", "delete", "undelete", "elsewhere"}).Draw(w.T, "meanwhile") {
	case "edit":
		w.edit(false)
	case "undo":
		w.undoNewest()
	case "delete":
		w.deleteChosen()
	case "undelete":
		w.undelete()
	case "elsewhere":
		w.elsewhere()
	}
}

func (w *world) endPublish() {
	w.check(w.EndPlan(w.test.Context(), w.sending, w.snapshot, w.running.id))
	w.check(w.EndSlice(w.test.Context(), w.sending, JobEnd{State: "done"}))
	w.running.end()
	w.running, w.sending = nil, nil
	w.agree("end of a publish")
}

func (w *world) takeOver(table int, p *modelPlan) {
	t := w.model.tables[table]
	w.check(w.MergeOutcomes(w.test.Context(), w.ana(), t.Table, p.id))
	w.merged = true
	b := w.model.begin(t, w.ana().Person, "publish")
	w.model.merge(b, p, t)
	w.model.batches = append(w.model.batches, b)
	w.note("taking over", b)
	w.agree("taking over what was published")
}

// revert makes the inverse of a publish that is through.
func (w *world) revert() {
	var done []*modelPlan
	for _, p := range w.model.plans {
		if p.state == "done" {
			done = append(done, p)
		}
	}
	if len(done) == 0 {
		return
	}
	p := done[rapid.IntRange(0, len(done)-1).Draw(w.T, "plan")]
	for i := range w.model.tables {
		w.takeOver(i, p) // a revert does so first
	}
	res, err := w.Revert(w.test.Context(), w.ana(), w.snapshot.ID, p.id)
	var batches []*modelBatch
	ids := w.revertBatches()
	left := 0
	inOrder := slices.SortedFunc(slices.Values(w.model.tables), func(a, b *modelTable) int { return strings.Compare(a.ID, b.ID) })
	for _, t := range inOrder {
		b := w.model.begin(t, w.ana().Person, "revert")
		left += w.model.revert(b, p, t)
		if !b.empty() {
			if b.id = ids[t.ID]; b.id == 0 {
				w.Fatalf("the revert of %s changes nothing in %s (%v), the model does", p.id, t.Slug, err)
			}
			batches = append(batches, b)
			w.model.batches = append(w.model.batches, b)
		}
	}
	if batches == nil {
		if core.CodeOf(err) != core.Conflict {
			w.Fatalf("a revert of nothing gives %v", err)
		}
		return
	}
	w.check(err)
	if len(res.Left) != left {
		w.Fatalf("the revert leaves %d, the store says %+v", left, res.Left)
	}
	w.model.plan(res.Plan.ID, batches, func(*modelRow) bool { return true })
	w.agree("revert")
}

// revertBatches gives, by table, the store's revert batches that the model does not know yet.
func (w *world) revertBatches() map[string]int64 {
	ids, err := pairs[string, int64](w.test.Context(), w.pool, "select table_id, max(id) from "+ident(w.snapshot.Schema, "_batches")+" where kind = 'revert' group by 1")
	w.check(err)
	maps.DeleteFunc(ids, func(_ string, id int64) bool {
		return slices.ContainsFunc(w.model.batches, func(b *modelBatch) bool { return b.id == id })
	})
	return ids
}
