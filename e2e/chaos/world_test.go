package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// world is an app, a service, and a snapshot of it that people work on.
type world struct {
	t         *testing.T
	ctx       context.Context
	house     *house
	service   *service
	api       []*client // people, each at a process
	con       string
	snapshot  string            // address
	tables    map[string]string // remote name → id
	names     map[string]string // id → remote name
	model     *model
	held      rows // what the service must hold
	rand      *rand.Rand
	report    *report
	round     string
	serial    int            // makes values that are like no other
	deleted   map[int64]row  // rows that this round's publish deleted, by record
	meanwhile map[int64]bool // records that were edited while the publish ran
	retries   int            // requests sent again since the last round
	trace     []string       // what happened in this round
}

func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func newWorld(t *testing.T, shared bool, seed uint64, rep *report) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), service: mustService(t), rand: rand.New(rand.NewPCG(seed, seed)), report: rep}
	bulk := 50_000
	if w.rand.IntN(2) == 0 {
		bulk = 3
	}
	w.house = mustHouse(t, shared, bulk)
	for i := range 2 {
		w.api = append(w.api, &client{house: w.house, n: i, prefix: fmt.Sprintf("c%d-%d", seed, i)})
	}
	w.con = text(w.api[0].must(w.ctx, "POST", "/connections", object{"connector": "postgres", "name": "Service", "settings": w.service.settings()}), "id")
	return w
}

// differ notes a difference: this round is not as promised.
func (w *world) differ(format string, args ...any) {
	w.report.differ(w.round, fmt.Sprintf(format, args...))
}

// compare notes what two states of the service differ in, the first few.
func (w *world) compare(when string, want rows) {
	got, err := w.service.all(w.ctx)
	if err != nil {
		w.differ("%s: the service cannot be read: %v", when, err)
		return
	}
	n := 0
	for _, t := range remoteTables {
		n += len(want[t.name])
	}
	w.report.compared("rows of the service", n)
	w.several("%s, the service: %s", when, got.differing(want))
}

func (w *world) several(format, when string, list []string) {
	for i, d := range list {
		if i == 8 {
			w.differ(format, when, fmt.Sprintf("… and %d more", len(list)-i))
			return
		}
		w.differ(format, when, d)
	}
}

// take makes a new snapshot of all tables and downloads it, whatever happens meanwhile.
func (w *world) take() {
	var tables []object
	for _, t := range remoteTables {
		tables = append(tables, object{"connection": w.con, "remote_table": "public." + t.name})
	}
	before := len(items(w.api[0].must(w.ctx, "GET", "/snapshots", nil)))
	made := w.api[0].must(w.ctx, "POST", "/snapshots", object{"name": "Round " + w.round, "tables": tables})
	if after := len(items(w.api[0].must(w.ctx, "GET", "/snapshots", nil))); after != before+1 {
		w.differ("one request made %d snapshots", after-before)
	}
	w.snapshot = "/snapshots/" + text(made, "snapshot", "id")
	w.tables, w.names = map[string]string{}, map[string]string{}
	for _, t := range items(w.api[0].must(w.ctx, "GET", w.snapshot+"/tables", nil)) {
		name := strings.TrimPrefix(text(t, "remote_table"), "public.")
		w.tables[name], w.names[text(t, "id")] = text(t, "id"), name
	}
	w.ended(text(made, "job", "id"), "done")
}

// ended waits until a job has ended and says how. A job that asks a person is answered.
func (w *world) ended(id string, want ...string) object { return w.endedAt(w.api[0], id, want...) }

func (w *world) endedAt(c *client, id string, want ...string) object {
	deadline := time.Now().Add(patience)
	for {
		j := c.must(w.ctx, "GET", "/jobs/"+id, nil)
		state := text(j, "state")
		switch {
		case state == "done" || state == "failed" || state == "cancelled":
			if len(want) > 0 && !slices.Contains(want, state) {
				w.differ("the job %s %s is %s, want %v: %v", text(j, "kind"), id, state, want, j["error"])
			}
			return j
		case state == "waiting" && text(j, "waiting_for") == "person":
			c.ask(w.ctx, "POST", "/jobs/"+id+"/continue", object{})
		case time.Now().After(deadline):
			w.differ("the job %s %s is stuck: %v", text(j, "kind"), id, j)
			return j
		}
		time.Sleep(50 * time.Millisecond) // asks again until it has ended
	}
}

// noOpenJobs checks that nothing is left running.
func (w *world) noOpenJobs() {
	for _, j := range items(w.api[0].must(w.ctx, "GET", "/jobs?open=true", nil)) {
		w.ended(text(j, "id"))
	}
}

func (w *world) table(name string) string { return w.snapshot + "/tables/" + w.tables[name] }

// shown is a record as the app shows it.
type shown struct {
	id          int64
	remote      string
	state       string
	cells       row
	base        row
	theirs      row
	conflict    string // of the record
	suggestions int
}

// look reads every record of a table through the API, deleted ones too.
func (w *world) look(name string) map[int64]shown {
	out := map[int64]shown{}
	for _, filter := range []string{"", "&filter=deleted()"} {
		for _, it := range w.api[0].records(w.ctx, w.table(name), filter) {
			s := shownOf(it)
			out[s.id] = s
		}
	}
	return out
}

func shownOf(it any) shown {
	s := shown{id: number(it, "id"), remote: text(it, "remote_id"), state: text(it, "state"), cells: row{}, base: row{}, theirs: row{}}
	for col, v := range field(it, "values").(object) {
		switch col {
		case "touched":
		case "author", "mentor":
			s.cells[col] = plain(canonical(v))
		default:
			s.cells[col] = canonical(v)
		}
	}
	for col, v := range field(it, "edits").(object) {
		s.base[col] = canonical(field(v, "base"))
		if isReference(col) {
			s.base[col] = plain(s.base[col])
		}
	}
	for col, v := range field(it, "conflicts").(object) {
		if col == "_record" {
			s.conflict = text(v, "theirs")
			continue
		}
		s.theirs[col] = canonical(field(v, "theirs"))
	}
	for _, list := range field(it, "suggestions").(object) {
		s.suggestions += len(list.([]any))
	}
	return s
}

// clean makes the model what the service holds, after checking that the snapshot is just that, without an edit.
func (w *world) clean(when string) {
	held, err := w.service.all(w.ctx)
	if err != nil {
		w.differ("%s: the service cannot be read: %v", when, err)
		return
	}
	w.held = held
	w.model = newModel()
	for _, t := range remoteTables {
		seen := map[string]bool{}
		var wrong []string
		for _, s := range w.look(t.name) {
			there := held[t.name][s.remote]
			switch {
			case s.state == "deleted" && s.remote == "": // made and deleted before it was ever published
				continue
			case s.state != "existing" || len(s.base)+len(s.theirs) > 0 || s.conflict != "":
				wrong = append(wrong, fmt.Sprintf("%s %d is not clean: %+v", t.name, s.id, s))
			case there == nil:
				wrong = append(wrong, fmt.Sprintf("%s %d (%s) is here and not at the service", t.name, s.id, s.remote))
			case !maps.Equal(s.cells, there):
				wrong = append(wrong, fmt.Sprintf("%s %d is %v here and %v at the service", t.name, s.id, s.cells, there))
			case seen[s.remote]:
				wrong = append(wrong, fmt.Sprintf("%s %s is here twice", t.name, s.remote))
			}
			seen[s.remote] = true
			w.model.records[s.id] = &record{id: s.id, table: t.name, remote: s.remote, state: "existing", cells: s.cells, base: row{}}
		}
		if len(seen) != len(held[t.name]) {
			wrong = append(wrong, fmt.Sprintf("%d %s are here, %d at the service", len(seen), t.name, len(held[t.name])))
		}
		w.report.compared("records that must be clean", len(seen))
		w.several("%s: %s", when, wrong)
	}
	w.countsAgree(when)
}

// agrees compares every record with the model.
func (w *world) agrees(when string) {
	for _, t := range remoteTables {
		got := w.look(t.name)
		var wrong []string
		n := 0
		for _, r := range w.model.of(t.name, "existing", "created", "deleted", "unmade") {
			n++
			s, ok := got[r.id]
			state := r.state
			if state == "unmade" {
				state = "deleted"
			}
			switch {
			case !ok:
				wrong = append(wrong, fmt.Sprintf("%s %d is not here, want %+v", t.name, r.id, r))
			case s.state != state || s.remote != r.remote || !maps.Equal(s.cells, r.cells) || !maps.Equal(s.base, r.base):
				wrong = append(wrong, fmt.Sprintf("%s %d is %+v, want %+v", t.name, r.id, s, *r))
			}
			delete(got, r.id)
		}
		for id, s := range got {
			if s.state == "deleted" && s.remote == "" {
				continue // of an earlier round: made and deleted before it was ever published
			}
			wrong = append(wrong, fmt.Sprintf("%s %d is here, and should not be: %+v", t.name, id, s))
		}
		sort.Strings(wrong)
		w.report.compared("records of the snapshot", n)
		w.several("%s: %s", when, wrong)
	}
	w.countsAgree(when)
}

func (w *world) countsAgree(when string) {
	for _, t := range remoteTables {
		c := field(w.api[0].must(w.ctx, "GET", w.table(t.name), nil), "counts")
		got := [5]int64{number(c, "records"), number(c, "edits"), number(c, "created"), number(c, "deleted"), number(c, "suggestions")}
		if want := w.model.counts(t.name); got != want {
			w.differ("%s: records, edits, created, deleted, suggestions of %s are counted as %v, want %v", when, t.name, got, want)
		}
	}
	w.report.compared("counts", len(remoteTables))
}

func (w *world) value(c column) string {
	w.serial++
	if c.number {
		return fmt.Sprint(100000 + w.serial)
	}
	return fmt.Sprintf("%q", fmt.Sprintf("%s v%d", w.round, w.serial))
}

// pick gives a random element.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
