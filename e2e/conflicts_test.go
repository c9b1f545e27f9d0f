package e2e

import (
	"fmt"
	"maps"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
)

// met is a place as this test meets it: its record here and its row there.
type met struct {
	record int64
	remote string
	name   string
}

// meetPlaces gives the first n places of the list.
func (a *app) meetPlaces(places string, n int) []met {
	a.t.Helper()
	var out []met
	for _, r := range field(a.call("GET", places+"/records?limit="+strconv.Itoa(n), nil, 200), "items").([]any) {
		out = append(out, met{number(r, "id"), text(r, "remote_id"), text(r, "values", "name")})
	}
	return out
}

// elsewhere changes the service as another client does.
func (a *app) elsewhere(conn *pgx.Conn, sql string, args ...any) {
	a.t.Helper()
	if _, err := conn.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
}

// change makes changes here, none of which may be refused.
func (a *app) change(places string, changes ...object) object {
	a.t.Helper()
	res := a.call("POST", places+"/changes", object{"changes": changes}, 200)
	if refused := field(res, "refused").([]any); len(refused) > 0 {
		a.t.Fatalf("refused: %v", refused)
	}
	return res
}

func set(m met, values object) object {
	return object{"op": "set", "record": m.record, "values": values}
}

func remove(m met) object { return object{"op": "delete", "record": m.record} }

// planned makes a plan of all changes and gives its address and its items by record.
func (a *app) planned(snapshot string) (plan string, items map[int64]object) {
	a.t.Helper()
	plan = snapshot + "/plans/" + text(a.call("POST", snapshot+"/plans", object{}, 201), "id")
	return plan, a.items(plan)
}

func (a *app) items(plan string) map[int64]object {
	a.t.Helper()
	out := map[int64]object{}
	for _, it := range field(a.call("GET", plan+"/items?limit=1000", nil, 200), "items").([]any) {
		out[number(it, "record")] = it.(object)
	}
	return out
}

// publish sends a plan, deletes included, and waits for its end.
func (a *app) publish(plan string) object {
	a.t.Helper()
	job := a.call("POST", plan+"/publish", object{"deletes": true}, 202)
	a.waitJob(text(job, "job", "id"), "done")
	return a.call("GET", plan, nil, 200)
}

func (a *app) refresh(snapshot string) object {
	a.t.Helper()
	job := a.call("POST", snapshot+"/refresh", object{}, 202)
	return a.waitJob(text(job, "job", "id"), "done")
}

func (a *app) wantState(items map[int64]object, m met, state string) {
	a.t.Helper()
	if got := text(items[m.record], "state"); got != state {
		a.t.Errorf("the item of %s is %s, want %s: %v", m.name, got, state, items[m.record])
	}
}

// wantCounts compares counts of the places.
func (a *app) wantCounts(when, places string, edits, created, deleted, conflicts int64) {
	a.t.Helper()
	c := field(a.call("GET", places, nil, 200), "counts")
	got := [4]int64{number(c, "edits"), number(c, "created"), number(c, "deleted"), number(c, "conflicts")}
	if want := [4]int64{edits, created, deleted, conflicts}; got != want {
		a.t.Errorf("%s: edits, created, deleted, conflicts are %v, want %v", when, got, want)
	}
}

// wantService compares the service's rows with what they were, changed as told.
func (a *app) wantService(when string, before map[string]string, change func(rows map[string]string)) {
	a.t.Helper()
	want := maps.Clone(before)
	change(want)
	got := a.places()
	for _, id := range different(want, got) {
		a.t.Errorf("%s: the service's row %s is\n%s\nwant\n%s", when, id, got[id], want[id])
	}
}

// with gives a row of the service with some columns changed.
func (a *app) with(conn *pgx.Conn, row, values string) string {
	a.t.Helper()
	var out string
	if err := conn.QueryRow(a.t.Context(), "select ($1::jsonb || $2::jsonb)::text", row, values).Scan(&out); err != nil {
		a.t.Fatal(err)
	}
	return out
}

// TestConflictsWithAnotherClientOfTheService changes the sample database by another client between download and publish: at
// the same and at other cells, with records deleted and added. What is shown, what is sent and what stays is compared; then
// the conflicts are settled in each way and published, and the service and the snapshot hold the same.
func TestConflictsWithAnotherClientOfTheService(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	conn := a.service()
	m := a.meetPlaces(places, 20)
	sameCell, otherCell, goneThere, bothCells, untouched, sameValue := m[0:3], m[3], m[4:6], m[6:8], m[8], m[9]
	deletedChanged, deletedBoth, deleted := m[10:12], m[12], m[13]

	var changes []object
	for _, list := range [][]met{sameCell, {otherCell}, goneThere, {untouched}} {
		for _, p := range list {
			changes = append(changes, set(p, object{"name": "Ours " + p.remote}))
		}
	}
	for _, p := range bothCells {
		changes = append(changes, set(p, object{"name": "Ours " + p.remote, "population": 11}))
	}
	changes = append(changes, set(sameValue, object{"name": "Agreed"}), remove(deletedChanged[0]), remove(deletedChanged[1]), remove(deletedBoth), remove(deleted),
		object{"op": "create", "values": object{"name": "Ours new", "country_code": "FR", "kind": "locality", "latitude": 1.5, "longitude": 2.5}})
	created := number(a.change(places, changes...), "created", 0)
	a.wantCounts("edited", places, 12, 1, 4, 0)

	for _, p := range sameCell {
		a.elsewhere(conn, "update places set name = 'Theirs ' || id where id = $1", p.remote)
	}
	a.elsewhere(conn, "update places set population = 4242 where id = $1", otherCell.remote)
	for _, p := range bothCells {
		a.elsewhere(conn, "update places set population = 4242 where id = $1", p.remote)
	}
	a.elsewhere(conn, "update places set name = 'Agreed' where id = $1", sameValue.remote)
	for _, p := range deletedChanged {
		a.elsewhere(conn, "update places set population = 4242 where id = $1", p.remote)
	}
	a.elsewhere(conn, "delete from places where id = any($1::int[])", []string{goneThere[0].remote, goneThere[1].remote, deletedBoth.remote})
	a.elsewhere(conn, "insert into places (id, name, country_code, kind, latitude, longitude) values (19999999, 'Theirs new', 'DE', 'locality', 3, 4)")
	before := a.places()

	plan, items := a.planned(snapshot)
	if len(items) != 15 {
		t.Errorf("the plan has %d records, want 15", len(items))
	}
	for record, it := range items {
		if text(it, "state") != "planned" {
			t.Errorf("record %d is %v before anybody has looked at the service", record, it)
		}
	}
	p := a.publish(plan)
	if got, want := fmt.Sprint(number(p, "counts", "published"), number(p, "counts", "conflict"), number(p, "counts", "failed"), number(p, "counts", "unknown"), number(p, "counts", "planned")), "6 9 0 0 0"; got != want {
		t.Errorf("published, conflict, failed, unknown, planned are %s, want %s", got, want)
	}
	items = a.items(plan)
	for _, list := range [][]met{sameCell, goneThere, bothCells, deletedChanged} {
		for _, p := range list {
			a.wantState(items, p, "conflict")
		}
	}
	for _, p := range []met{otherCell, untouched, sameValue, deletedBoth, deleted, {record: created, name: "the new one"}} {
		a.wantState(items, p, "published")
	}
	newID := text(items[created], "remote_id")
	sent := func(rows map[string]string) {
		for _, p := range []met{otherCell, untouched} {
			rows[p.remote] = a.with(conn, rows[p.remote], `{"name": "Ours `+p.remote+`"}`)
		}
		delete(rows, deleted.remote)
		rows[newID] = a.places()[newID]
	}
	a.wantService("after the publish", before, sent)

	a.wantCounts("after the publish", places, 9, 0, 2, 9)
	shown := func(p met) any {
		return field(a.call("GET", fmt.Sprintf("%s/records/%d", places, p.record), nil, 200), "conflicts")
	}
	if c := shown(sameCell[0]); text(c, "name", "theirs") != "Theirs "+sameCell[0].remote {
		t.Errorf("a conflict of a cell is shown as %v", c)
	}
	if c := shown(bothCells[0]); number(c, "population", "theirs") != 4242 || field(c, "name") != nil {
		t.Errorf("a conflict of one of two cells is shown as %v", c)
	}
	if c := shown(goneThere[0]); text(c, "_record", "theirs") != "deleted_there" {
		t.Errorf("a record deleted there and edited here is shown as %v", c)
	}
	if c := shown(deletedChanged[0]); text(c, "_record", "theirs") != "changed_there" || number(c, "population", "theirs") != 4242 {
		t.Errorf("a record deleted here and changed there is shown as %v", c)
	}
	if r := a.call("GET", fmt.Sprintf("%s/records/%d", places, otherCell.record), nil, 200); number(r, "values", "population") != 4242 || len(field(r, "edits").(object)) != 0 {
		t.Errorf("after a publish beside another client's change the record is %v", r)
	}

	tab := mustTab(t, 1440, 900)
	tab.open(a.url + plan + "?state=conflict")
	tab.until("the page says what was in conflict and why", `document.body.innerText.includes("The service changed this record since the download.") && document.body.innerText.includes("The record was deleted at the service.")`)
	tab.open(a.url + places + "?filter=conflict()")
	tab.until("the grid marks the cells in conflict", `document.querySelectorAll('#grid .c.is-conflict').length >= 5 && document.querySelectorAll('#grid .r.has-conflict').length >= 2`)

	// Records in conflict are in a plan only as left out.
	plan, items = a.planned(snapshot)
	tab.open(a.url + plan)
	tab.until("the plan says that nine are in conflict", `document.body.innerText.includes("9 conflicts")`)
	for record, it := range items {
		if text(it, "state") != "left_out" || text(it, "reason") != "conflict" {
			t.Errorf("record %d is in the plan as %v", record, it)
		}
	}
	if len(items) != 9 {
		t.Errorf("%d records are left out in conflict, want 9", len(items))
	}
	a.call("POST", plan+"/publish", object{"deletes": true}, 409)

	// A refresh finds the same, and what was added there.
	a.refresh(snapshot)
	a.wantCounts("after the refresh", places, 9, 0, 2, 9)
	if found := field(a.call("GET", places+"/records?filter=name=='Theirs%20new'", nil, 200), "items").([]any); len(found) != 1 {
		t.Errorf("the record added there is here %d times", len(found))
	}

	settle := func(as string, list ...met) {
		ids := []int64{}
		for _, p := range list {
			ids = append(ids, p.record)
		}
		a.call("POST", places+"/conflicts/settle", object{"where": object{"records": ids}, "as": as}, 200)
	}
	settle("mine", sameCell[0], goneThere[0], bothCells[0], deletedChanged[0])
	settle("theirs", sameCell[1], goneThere[1], bothCells[1], deletedChanged[1])
	a.change(places, set(sameCell[2], object{"name": "Decided"}))
	a.wantCounts("settled", places, 5, 1, 1, 0)

	before = a.places()
	plan, items = a.planned(snapshot)
	for _, p := range []met{sameCell[0], sameCell[2], goneThere[0], bothCells[0], bothCells[1], deletedChanged[0]} {
		a.wantState(items, p, "planned")
	}
	if len(items) != 6 {
		t.Errorf("the plan after settling has %d records, want 6", len(items))
	}
	if p = a.publish(plan); number(p, "counts", "published") != 6 {
		t.Errorf("after settling the publish came to %v", p["counts"])
	}
	again := text(a.items(plan)[goneThere[0].record], "remote_id")
	a.wantService("after settling", before, func(rows map[string]string) {
		rows[sameCell[0].remote] = a.with(conn, rows[sameCell[0].remote], `{"name": "Ours `+sameCell[0].remote+`"}`)
		rows[sameCell[2].remote] = a.with(conn, rows[sameCell[2].remote], `{"name": "Decided"}`)
		rows[bothCells[0].remote] = a.with(conn, rows[bothCells[0].remote], `{"name": "Ours `+bothCells[0].remote+`", "population": 11}`)
		rows[bothCells[1].remote] = a.with(conn, rows[bothCells[1].remote], `{"name": "Ours `+bothCells[1].remote+`"}`)
		rows[again] = a.places()[again]
		delete(rows, deletedChanged[0].remote)
	})
	a.wantCounts("at the end", places, 0, 0, 0, 0)
	a.refresh(snapshot)
	a.wantCounts("after a last refresh", places, 0, 0, 0, 0)
	a.wantSame(places)
}

// wantSame compares every place here with the service's.
func (a *app) wantSame(places string) {
	a.t.Helper()
	here := map[string]string{}
	for next := places + "/records?limit=1000&columns=name,population,country_code"; next != ""; {
		page := a.call("GET", next, nil, 200)
		for _, r := range field(page, "items").([]any) {
			v := field(r, "values")
			here[text(r, "remote_id")] = fmt.Sprint(field(v, "name"), "|", number(v, "population"), "|", field(v, "country_code"))
		}
		if next = text(page, "next"); next != "" {
			next = places + "/records?limit=1000&columns=name,population,country_code&after=" + next
		}
	}
	there := map[string]string{}
	rows, err := a.service().Query(a.t.Context(), "select id::text, name || '|' || coalesce(population, 0) || '|' || country_code from places")
	if err != nil {
		a.t.Fatal(err)
	}
	var id, row string
	if _, err := pgx.ForEachRow(rows, []any{&id, &row}, func() error { there[id] = row; return nil }); err != nil {
		a.t.Fatal(err)
	}
	for _, id := range different(here, there) {
		a.t.Errorf("place %s is %q here and %q at the service", id, here[id], there[id])
	}
}
