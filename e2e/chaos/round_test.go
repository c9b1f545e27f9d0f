package chaos

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// play is one round: people act, a plan is made, checked, published under fire, settled, reverted, and everything is brought
// back to rest.
func (w *world) play() {
	w.under(0.5, actPoints, func() { w.people(3 + w.rand.IntN(10)) })
	w.agrees("after the acts")
	if w.rand.IntN(10) == 0 {
		w.under(0.7, importPoints, w.takeFile)
	}
	switch w.rand.IntN(5) {
	case 0:
		w.undoEverything()
	default:
		w.publishRound()
	}
	w.rest()
}

// undoEverything undoes every act, the newest first, and so gives the start.
func (w *world) undoEverything() {
	w.report.did("undid everything")
	w.under(0.5, actPoints, func() {
		for _, a := range slices.Backward(w.model.acts) {
			if !a.undone && a.batch != "" {
				w.both([]func() []done{func() []done { return w.undo(w.api[0], a) }})
			}
		}
	})
	w.agrees("after undoing everything")
	for _, r := range w.model.records {
		if !w.model.stuck[r.id] && len(r.base) > 0 || r.state == "created" || r.state == "deleted" {
			w.differ("after undoing everything the record %+v is not as it was", *r)
		}
	}
	w.compare("after undoing everything", w.held)
}

// item is a record of a plan as the API gives it.
type item struct {
	id     string
	record int64
	table  string
	op     string
	state  string
	reason string
	remote string
	change change

	completing string // of a create: the state of the update that completes it, or ""
}

// completed puts a create and the update that completes it together, whichever comes first.
func completed(a, b item) item {
	if a.op == "update" {
		a, b = b, a
	}
	a.completing = b.state
	if b.state == "published" {
		maps.Copy(a.change.fields, b.change.fields)
	}
	return a
}

func (w *world) items(plan string) map[int64]item {
	out := map[int64]item{}
	after := ""
	for {
		page := w.api[0].must(w.ctx, "GET", plan+"/items?limit=1000"+after, nil)
		for _, raw := range items(page) {
			it := item{id: text(raw, "id"), record: number(raw, "record"), table: w.names[text(raw, "table")], op: text(raw, "op"), state: text(raw, "state"),
				reason: text(raw, "reason"), remote: text(raw, "remote_id"), change: change{text(raw, "op"), row{}, row{}}}
			for col, f := range field(raw, "fields").(object) {
				if col == "touched" && it.op == "create" { // of a record that is gone there and kept here; the service's rows are compared without it
					continue
				}
				base, value := canonical(field(f, "base")), canonical(field(f, "value"))
				if isReference(col) {
					base, value = plain(base), plain(value)
				}
				it.change.fields[col] = value
				if it.op == "update" {
					it.change.base[col] = base
				}
			}
			if first, ok := out[it.record]; ok { // a create and the update that completes it
				it = completed(first, it)
			}
			out[it.record] = it
		}
		next := text(page, "next")
		if next == "" {
			return out
		}
		after = "&after=" + next
	}
}

// mend takes references to records away that were made and undone.
func (w *world) mend() {
	w.mendColumn(remoteTables[0], "mentor")
	w.mendColumn(remoteTables[1], "author")
}

func (w *world) mendColumn(t remoteTable, col string) {
	var changes []object
	var cells []suggestion
	for _, r := range w.model.of(t.name, "existing", "created") {
		if a := r.cells[col]; strings.HasPrefix(a, "~") && !w.isCreated(a) {
			cells = append(cells, suggestion{table: t.name, record: r.id, col: col, before: a, after: "null"})
			changes = append(changes, object{"op": "set", "record": r.id, "values": object{col: nil}})
		}
	}
	if len(cells) == 0 {
		return
	}
	w.both([]func() []done{func() []done {
		answer := w.changes(w.api[0], t, "edit", changes)
		return []done{{batchOf(answer), "mend", func() { w.model.edit(&act{batch: text(answer, "batch"), table: t.name, cells: cells}) }}}
	}})
}

func (w *world) isCreated(reference string) bool {
	for _, r := range w.model.of("authors", "created") {
		if reference == "~"+idOf(r.id) {
			return true
		}
	}
	return false
}

// makePlan makes a plan and checks that it shows just what was changed.
func (w *world) makePlan() (plan string, shown map[int64]item) {
	made := w.api[0].must(w.ctx, "POST", w.snapshot+"/plans", object{})
	plan = w.snapshot + "/plans/" + text(made, "id")
	shown = w.items(plan)
	want := w.model.plan()
	var wrong []string
	for id, c := range want {
		it, ok := shown[id]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("record %d is not in the plan, want %v", id, c))
		case it.op != c.op || it.state != "planned" || !maps.Equal(it.change.fields, c.fields) || !maps.Equal(it.change.base, c.base):
			wrong = append(wrong, fmt.Sprintf("record %d is in the plan as %+v, want %v", id, it, c))
		}
	}
	for id, it := range shown {
		if _, ok := want[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("record %d is in the plan, and should not be: %+v", id, it))
		}
	}
	w.report.compared("records of plans", len(want))
	w.several("the plan: %s", "", wrong)
	return plan, shown
}

// theirAct is what another client did at the service.
type theirAct struct {
	table  string
	remote string
	op     string // update, delete, insert
	col    string
	value  string
	row    row
	took   bool // it changed something
}

// elsewhere chooses what another client will do: to records of the plan, and to others.
func (w *world) elsewhere(shown map[int64]item) (acts []*theirAct) {
	for range w.rand.IntN(6) {
		t := pick(w.rand, remoteTables)
		remote := ""
		if list := w.planned(shown, t.name); len(list) > 0 && w.rand.IntN(3) > 0 {
			remote = w.model.records[pick(w.rand, list)].remote
		} else if list := w.model.of(t.name, "existing"); len(list) > 0 {
			remote = pick(w.rand, list).remote
		}
		if remote == "" || slices.ContainsFunc(acts, func(a *theirAct) bool { return a.table == t.name && a.remote == remote }) {
			continue
		}
		a := &theirAct{table: t.name, remote: remote, op: "update", row: w.held[t.name][remote]}
		c := pick(w.rand, t.columns)
		a.col, a.value = c.name, w.value(c)
		if t.name != "authors" && w.rand.IntN(4) == 0 {
			a.op = "delete"
		}
		acts = append(acts, a)
	}
	if w.rand.IntN(3) == 0 {
		w.serial++
		acts = append(acts, &theirAct{table: "codes", op: "insert", remote: fmt.Sprintf("T-%s-%d", w.round, w.serial)})
	}
	return acts
}

// planned gives the records of a table that a plan changes at the service.
func (w *world) planned(shown map[int64]item, table string) []int64 {
	var out []int64
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if it := shown[id]; it.table == table && it.op != "create" {
			out = append(out, id)
		}
	}
	return out
}

// do runs it at the service, around the app.
func (a *theirAct) do(w *world) error {
	t := remoteTables[slices.IndexFunc(remoteTables, func(t remoteTable) bool { return t.name == a.table })]
	var keys []any
	var where []string
	for i, k := range t.key {
		if a.op != "insert" {
			keys = append(keys, sqlValue(a.row[k]))
		}
		where = append(where, fmt.Sprintf("%s::text = $%d::text", k, i+1))
	}
	sql := "delete from " + t.name + " where " + strings.Join(where, " and ")
	switch a.op {
	case "update":
		sql = fmt.Sprintf("update %s set %s = $%d where %s", t.name, a.col, len(keys)+1, strings.Join(where, " and "))
		keys = append(keys, sqlValue(a.value))
	case "insert":
		sql, keys = "insert into codes (code, label) values ($1, 'theirs')", []any{a.remote}
	}
	tag, err := w.service.pool.Exec(w.ctx, sql, keys...)
	a.took = err == nil && tag.RowsAffected() == 1
	return err
}

// publishRound publishes what was changed while the app, its connections and other clients misbehave.
func (w *world) publishRound() {
	w.mend()
	plan, shown := w.makePlan()
	if len(shown) == 0 {
		return
	}
	w.report.did("published plans")
	w.deleted, w.meanwhile = map[int64]row{}, map[int64]bool{}
	unticked := w.untick(plan, shown)
	fights := w.rand.IntN(2) == 0
	var theirs []*theirAct
	if fights {
		theirs = w.elsewhere(shown)
	}
	twice := w.rand.IntN(4) == 0
	second := ""
	if twice {
		second = w.snapshot + "/plans/" + text(w.api[1].must(w.ctx, "POST", w.snapshot+"/plans", object{}), "id")
	}
	deletes := w.rand.IntN(4) > 0
	began := w.model.clone()
	var jobs []string
	w.under(0.7, publishPoints, func() {
		stop := w.others(theirs)
		jobs = append(jobs, w.startPublish(w.api[0], plan, deletes))
		if twice {
			jobs = append(jobs, w.startPublish(w.api[1], second, deletes))
			w.report.did("the same published by two plans at once")
		}
		if w.rand.IntN(4) == 0 {
			jobs = append(jobs, text(w.api[0].must(w.ctx, "POST", w.snapshot+"/refresh", object{}), "job", "id"))
			w.report.did("refreshed in the middle of a publish")
		}
		if w.rand.IntN(3) == 0 && !fights {
			w.editMeanwhile(began)
		}
		if w.rand.IntN(8) == 0 {
			time.Sleep(w.soon(800)) // somewhere in the middle
			w.api[0].ask(w.ctx, "POST", "/jobs/"+jobs[0]+"/cancel", object{})
			w.report.did("cancelled")
		}
		stop()
	})
	for _, j := range jobs {
		if j != "" {
			w.ended(j, "done", "cancelled", "failed")
		}
	}
	got := w.finish(plan, deletes)
	if twice {
		w.take2(got, w.finish(second, deletes))
	}
	w.outcomes(began, shown, got, unticked, theirs, deletes, twice)
	if !fights && !twice && w.rand.IntN(2) == 0 {
		w.revert(plan, got)
		return
	}
	w.settle()
}

// take2 brings together what two plans of the same changes came to: one of them published a record.
func (w *world) take2(got, other map[int64]item) {
	for id, it := range other {
		mine, ok := got[id]
		if !ok || it.state == "published" && mine.state != "published" {
			got[id] = it
		}
		if ok && it.op == "create" && it.state == "published" && mine.state == "published" {
			w.differ("record %d was created by two plans: %s and %s", id, mine.remote, it.remote)
		}
	}
}

func (w *world) untick(plan string, shown map[int64]item) map[int64]bool {
	out := map[int64]bool{}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if it := shown[id]; w.rand.IntN(15) == 0 && !(it.op == "create" && it.table == "authors") {
			out[id] = true
			ids = append(ids, it.id)
		}
	}
	if len(ids) > 0 && len(ids) < len(shown) {
		w.api[0].must(w.ctx, "PATCH", plan+"/items", object{"where": object{"ids": ids}, "included": false})
		return out
	}
	return map[int64]bool{}
}

func (w *world) startPublish(c *client, plan string, deletes bool) string {
	body := object{"deletes": deletes}
	if w.rand.IntN(5) == 0 {
		body["first"] = 1 + w.rand.IntN(3)
	}
	status, answer := c.ask(w.ctx, http.MethodPost, plan+"/publish", body)
	if status != http.StatusAccepted && status != http.StatusConflict { // nothing is left to send
		c.note("publish answers %d: %v", status, answer)
	}
	return text(answer, "job", "id")
}

// others lets another client act in the next seconds; stop waits for its end.
func (w *world) others(theirs []*theirAct) (stop func()) {
	var wg sync.WaitGroup
	for _, a := range theirs {
		w.report.did("acts of another client")
		if w.rand.IntN(2) == 0 { // after the plan was made, and before it is published
			if err := a.do(w); err != nil {
				w.differ("another client: %v", err)
			}
			continue
		}
		wait := w.soon(2500)
		wg.Go(func() {
			time.Sleep(wait) // somewhere in the middle
			if err := a.do(w); err != nil {
				w.differ("another client: %v", err)
			}
		})
	}
	return wg.Wait
}

// editMeanwhile edits cells while the publish runs: they stay edits.
func (w *world) editMeanwhile(began *model) {
	t := pick(w.rand, remoteTables)
	w.report.did("edited during a publish")
	cells, changes := w.cellsOf(t, 1+w.rand.IntN(5), false)
	if len(cells) == 0 || slices.ContainsFunc(cells, func(s suggestion) bool {
		return began.records[s.record].state != "existing" || strings.HasPrefix(s.after, `"forbidden`)
	}) {
		return
	}
	answer := w.changes(w.api[1], t, "edit", changes)
	for _, s := range cells {
		w.meanwhile[s.record] = true
	}
	if answer != nil {
		w.model.edit(&act{batch: text(answer, "batch"), table: t.name, cells: cells})
	}
}

// finish retries a plan until nothing of it is left to send, and gives its items.
func (w *world) finish(plan string, deletes bool) map[int64]item {
	for range 6 {
		got := w.items(plan)
		if !slices.ContainsFunc(slices.Collect(maps.Values(got)), func(it item) bool {
			open := []string{"sending", "unknown", "planned"}
			return slices.Contains(open, it.state) && (it.state != "planned" || it.op != "delete" || deletes) || slices.Contains(open, it.completing)
		}) {
			return got
		}
		if p := w.api[0].must(w.ctx, "GET", plan, nil); text(p, "state") == "draft" {
			return got
		}
		status, answer := w.api[0].ask(w.ctx, http.MethodPost, plan+"/retry", object{})
		if status != http.StatusAccepted {
			return w.items(plan)
		}
		w.report.did("retries of a plan")
		w.ended(text(answer, "job", "id"), "done", "failed")
	}
	return w.items(plan)
}

// outcomes checks what became of each record of a plan, the service's own rows against it, and brings the model along.
func (w *world) outcomes(began *model, shown, got map[int64]item, unticked map[int64]bool, theirs []*theirAct, deletes, twice bool) {
	want := w.held.clone()
	met := map[string]*theirAct{}
	for _, a := range theirs {
		if a.took {
			met[a.table+" "+a.remote] = a
		}
	}
	for id := range shown { // first, since records refer to each other
		if it := got[id]; it.op == "create" && it.state == "published" {
			w.model.records[id].remote = it.remote
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		it, old := got[id], began.records[id]
		if it.id == "" {
			w.differ("the item of record %d is gone from the plan", id)
			continue
		}
		if why := w.unexpected(it, shown[id], met[it.table+" "+old.remote], unticked[id], deletes, twice); why != "" {
			w.differ("record %d (%s): %s: %+v", id, shown[id].change, why, it)
		}
		w.report.did("items " + it.state)
		if it.state == "published" {
			w.published(want, it, w.model.records[id])
		}
	}
	for _, a := range theirs {
		if a.took {
			a.in(want)
		}
	}
	w.held = want
	w.compare("after the publish", want)
}

// unexpected says why a state of an item is not what it may be; "" when it is.
func (w *world) unexpected(it, was item, a *theirAct, unticked, deletes, twice bool) string {
	touched := a != nil && (a.op == "delete" || it.op == "delete" || was.change.fields[a.col] != "")
	switch it.state {
	case "published":
		if it.completing != "" && it.completing != "published" && !twice {
			return "it was created and not completed"
		}
		if unticked && !twice {
			return "it was unticked and is published"
		}
		if it.op == "delete" && !deletes {
			return "a delete was not ticked and is published"
		}
		if it.op == "delete" && a != nil && a.op == "update" {
			return "it was changed by another client, and deleted all the same"
		}
		return ""
	case "left_out":
		if unticked || twice || touched || it.op == "delete" && !deletes || it.reason == "changed" && w.meanwhile[it.record] {
			return ""
		}
	case "conflict":
		if touched {
			return ""
		}
	case "failed":
		if strings.Contains(was.change.fields["title"], "forbidden") {
			return ""
		}
	case "planned":
		if it.op == "delete" && !deletes || twice {
			return ""
		}
	}
	return "it is " + it.state + " (" + it.reason + ")"
}

// published brings what was published into the expected rows of the service and into the model.
func (w *world) published(want rows, it item, r *record) {
	list := want[it.table]
	if r != nil {
		for col, v := range r.cells {
			r.cells[col] = w.resolved(v)
		}
	}
	switch it.op {
	case "delete":
		w.deleted[it.record] = list[it.remote]
		delete(list, it.remote)
		r.state = "gone"
	case "update":
		if list[it.remote] == nil {
			return // another client has deleted it since
		}
		for col, v := range it.change.fields {
			v = w.resolved(v)
			list[it.remote][col] = v
			r.published(col, v, v)
		}
	case "create":
		x := row{}
		for col := range r.cells {
			x[col] = "null"
		}
		for col, v := range it.change.fields {
			x[col] = w.resolved(v)
		}
		if it.table == "authors" || it.table == "books" {
			x["id"] = it.remote
		}
		list[it.remote] = x
		r.state, r.remote = "existing", it.remote
		for col, v := range x {
			if col == "id" {
				r.cells[col] = v
			} else if r.cells[col] != v {
				r.base[col] = v
			}
		}
	}
}

// resolved gives the remote id of a reference to a record that was created.
func (w *world) resolved(v string) string {
	if !strings.HasPrefix(v, "~") {
		return v
	}
	for _, r := range w.model.records {
		if v == "~"+idOf(r.id) && r.remote != "" {
			return r.remote
		}
	}
	return v
}

// in brings what another client did into the expected rows: whatever came first, its write is what the service holds.
func (a *theirAct) in(want rows) {
	switch a.op {
	case "delete":
		delete(want[a.table], a.remote)
	case "update":
		if want[a.table][a.remote] == nil { // the app deleted it before: then it took nothing
			return
		}
		want[a.table][a.remote][a.col] = a.value
	case "insert":
		want[a.table][a.remote] = row{"code": fmt.Sprintf("%q", a.remote), "label": `"theirs"`, "n": "null"}
	}
}

// revert takes a publish back, under fire, and so gives the rows that the service had.
func (w *world) revert(plan string, got map[int64]item) {
	w.report.did("reverted publishes")
	edited := map[int64]bool{} // since: named and left
	for id, r := range w.model.records {
		if it, ok := got[id]; ok && it.state == "published" && len(r.base) > 0 {
			edited[id] = true
		}
	}
	if len(edited) > 0 {
		w.settle()
		return
	}
	before := w.held.clone()
	published := 0
	for id, it := range got {
		if it.state != "published" {
			continue
		}
		published++
		switch it.op {
		case "create":
			delete(before[it.table], it.remote)
		case "update":
			for col, v := range it.change.base {
				before[it.table][it.remote][col] = v
			}
		case "delete":
			before[it.table][it.remote] = w.deleted[id]
		}
	}
	if published == 0 {
		w.settle()
		return
	}
	var inverse string
	w.under(0.4, revertPoints, func() {
		status, answer := w.command(w.api[0], plan+"/revert", object{})
		if status != http.StatusCreated && status != http.StatusOK {
			w.differ("the revert answers %d: %v", status, answer)
			return
		}
		inverse = w.snapshot + "/plans/" + text(answer, "plan", "id")
	})
	if inverse == "" {
		return
	}
	w.under(0.6, publishPoints, func() { w.ended(w.startPublish(w.api[0], inverse, true), "done", "failed") })
	for id, it := range w.finish(inverse, true) {
		if it.state != "published" {
			w.differ("the inverse of record %d is %s (%s): %+v", id, it.state, it.reason, it)
		}
	}
	w.held = before
	w.compare("after the revert", before)
}

// settle refreshes and decides the conflicts, mine and theirs.
func (w *world) settle() {
	w.under(0.4, refreshPoints, func() {
		w.ended(text(w.api[0].must(w.ctx, "POST", w.snapshot+"/refresh", object{}), "job", "id"), "done", "failed")
	})
	w.conflictsAgree()
	for _, t := range remoteTables {
		for _, s := range w.look(t.name) {
			if s.conflict == "" && len(s.theirs) == 0 {
				continue
			}
			as := pick(w.rand, []string{"mine", "theirs"})
			w.report.did("conflicts settled as " + as)
			w.commanded(w.table(t.name)+"/conflicts/settle", object{"where": object{"records": []int64{s.id}}, "as": as})
		}
	}
	made := w.api[0].must(w.ctx, "POST", w.snapshot+"/plans", object{})
	plan := w.snapshot + "/plans/" + text(made, "id")
	shown := w.items(plan)
	for id, it := range shown {
		if it.state != "planned" {
			w.differ("after settling everything record %d is %s (%s)", id, it.state, it.reason)
		}
	}
	if len(shown) == 0 || w.rand.IntN(2) == 0 {
		return
	}
	w.report.did("published what was settled")
	w.ended(w.startPublish(w.api[0], plan, true), "done")
	for _, it := range w.items(plan) {
		forbidden := strings.Contains(it.change.fields["title"], "forbidden")
		switch {
		case it.state == "published":
			w.published(w.held, it, w.model.records[it.record])
		case it.state != "failed" || !forbidden:
			w.differ("after settling everything record %d was published as %s (%s)", it.record, it.state, it.reason)
		}
	}
	w.compare("after what was settled was published", w.held)
}

// conflictsAgree checks after a refresh that each cell holds what its edits and the service say.
func (w *world) conflictsAgree() {
	for _, t := range remoteTables {
		var wrong []string
		n := 0
		got := w.look(t.name)
		for _, r := range w.model.of(t.name, "existing") {
			if r.remote == "" {
				continue
			}
			n++
			s, ok := got[r.id]
			there := w.held[t.name][r.remote]
			switch {
			case there == nil && len(r.base) == 0 && ok:
				wrong = append(wrong, fmt.Sprintf("%s %d is gone at the service and still here: %+v", t.name, r.id, s))
			case there == nil && len(r.base) > 0 && (!ok || s.conflict != "deleted_there"):
				wrong = append(wrong, fmt.Sprintf("%s %d is gone at the service and edited here, and is %+v", t.name, r.id, s))
			case there == nil:
			case !ok:
				wrong = append(wrong, fmt.Sprintf("%s %d is not here: %+v", t.name, r.id, *r))
			default:
				if why := cellsAgree(r, s, there); why != "" {
					wrong = append(wrong, fmt.Sprintf("%s %d: %s: %+v, want %+v, the service holds %v", t.name, r.id, why, s, *r, there))
				}
			}
		}
		w.report.compared("records after a refresh", n)
		w.several("after the refresh: %s%s", "", wrong)
	}
}

func cellsAgree(r *record, s shown, there row) string {
	for col, now := range there {
		base, edited := r.base[col]
		cell, theirs := r.cells[col], s.theirs[col]
		switch {
		case !edited && (s.cells[col] != now || s.base[col] != "" || theirs != ""):
			return "the clean cell " + col
		case edited && cell == now && (s.cells[col] != now || s.base[col] != ""):
			return "the edit that the service holds, " + col
		case edited && cell != now && s.cells[col] != cell:
			return "the edit " + col
		case edited && cell != now && base != now && theirs != now:
			return "the conflict " + col
		case edited && cell != now && base == now && theirs != "":
			return "no conflict " + col
		}
	}
	return ""
}

// rest brings the snapshot back to what the service holds: conflicts to the service's values, edits to their bases.
func (w *world) rest() {
	for _, t := range remoteTables {
		w.commanded(w.table(t.name)+"/conflicts/settle", object{"where": object{"filter": "true"}, "as": "theirs"})
		var back, clean []object
		for _, s := range w.look(t.name) {
			switch {
			case s.state == "created":
				back = append(back, object{"op": "delete", "record": s.id})
				continue
			case s.state == "deleted" && s.remote != "":
				back = append(back, object{"op": "undelete", "record": s.id})
			case s.state != "existing":
				continue
			}
			for col, base := range s.base {
				clean = append(clean, object{"op": "set", "record": s.id, "values": object{col: restValue(col, base)}})
			}
		}
		for _, changes := range [][]object{back, clean} {
			if len(changes) > 0 {
				w.refused(w.api[0], w.changes(w.api[0], t, "edit", changes), 0)
			}
		}
		w.commanded(w.table(t.name)+"/suggestions/reject", object{"where": object{"filter": "true"}})
	}
	w.ended(text(w.api[0].must(w.ctx, "POST", w.snapshot+"/refresh", object{}), "job", "id"), "done")
	w.noOpenJobs()
	w.clean("at rest")
}

func restValue(col, base string) any {
	if isReference(col) && base != "null" {
		return plain(base)
	}
	return apiValue(base)
}
