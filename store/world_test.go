package store

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

// world is a snapshot of two tables, the model of it, a service, and two people.
type world struct {
	*Store
	*rapid.T
	test      *testing.T
	model     *model
	snapshot  Snapshot
	people    []core.Actor
	service   []map[string]*remoteRecord // by table
	versioned bool
	tick      int // of versions and remote ids
	reading   *Job
	running   *modelPlan
	sending   *Job
	done      []string                    // what was done, for reading a failure
	clean     bool                        // nothing was left by an undo
	merged    bool                        // something was published, or done at the service too
	seen      []map[string]map[int]string // what the last refresh saw, by table
}

func newWorld(test *testing.T, s *Store, rt *rapid.T) *world {
	w := &world{Store: s, T: rt, test: test, clean: true}
	bo := core.Local()
	bo.Person, bo.Name = "per_bo", "Bo"
	w.people = []core.Actor{core.Local(), bo}
	con := mustConnection(test, s)
	w.versioned = rapid.Bool().Draw(rt, "versioned")
	sn, job, err := s.CreateSnapshot(test.Context(), w.ana(), NewSnapshot{Name: "Spring", Tables: shopTables(con.ID, w.versioned)})
	w.check(err)
	w.snapshot, w.model = sn, newModel(sn.Tables)
	w.reading = w.take(job.ID)
	w.service, w.seen = []map[string]*remoteRecord{{}, {}}, make([]map[string]map[int]string, 2)
	for i := range w.service {
		for range rapid.IntRange(1, 4).Draw(rt, "downloaded") {
			w.appear(i)
		}
		w.download(i, true)
	}
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%v", err)
	}
}

func (w *world) ana() core.Actor { return w.people[0] }

func shopTables(connection string, versioned bool) []NewTable {
	col := func(title string, typ core.ColumnType) NewColumn {
		return NewColumn{RemoteID: title, Title: title, Type: typ, Writable: true}
	}
	maker, twin := col("maker", core.Reference), col("twins", core.References)
	maker.Options.Target, twin.Options.Target = "makers", "kettles"
	code := NewColumn{RemoteID: "code", Title: "code", Type: core.Text, InsertOnly: true, WhyNot: "It is part of the key."}
	tables := []NewTable{
		{RemoteID: "kettles", Title: "Kettles", Columns: []NewColumn{col("title", core.Text), col("stock", core.Number), col("extra", core.JSON), maker, twin, code}},
		{RemoteID: "makers", Title: "Makers", Columns: []NewColumn{col("name", core.Text), col("open", core.Checkbox)}},
	}
	for i := range tables {
		t := &tables[i]
		t.Connection, t.Source, t.Writable, t.Creatable, t.Deletable, t.Versioned = connection, core.Remote, true, true, true, versioned
	}
	return tables
}

func (w *world) take(id string) *Job {
	j, _, err := w.TakeJob(w.test.Context(), id, "worker", time.Hour)
	w.check(err)
	if j == nil {
		w.Fatalf("job %s was not taken", id)
	}
	return j
}

// value draws a canonical value for a column: few of them, so that they meet again.
func (w *world) value(c core.Column) string {
	pick := func(list ...string) string { return rapid.SampledFrom(list).Draw(w.T, c.Slug) }
	switch c.Type {
	case core.Number:
		return pick("0", "1", "2.5", "2.50", "null")
	case core.Checkbox:
		return pick("true", "false", "null")
	case core.JSON:
		return pick("null", "[null]", `[{"a": 1}]`, `[""]`)
	case core.Reference:
		return w.reference(1)
	case core.References:
		if n := w.reference(0); n != "null" {
			return pick("["+n+"]", `["x", `+n+`]`)
		}
		return pick("null", "[]")
	}
	return pick(`""`, `"a"`, `"b"`, `"~1"`, `"null"`, "null")
}

// reference draws a reference to a record of a table: by remote id, or "~" and its id.
func (w *world) reference(table int) string {
	rows := w.model.tables[table].sorted()
	if len(rows) == 0 || rapid.IntRange(0, 4).Draw(w.T, "no reference") == 0 {
		return "null"
	}
	r := rows[rapid.IntRange(0, len(rows)-1).Draw(w.T, "referred")]
	if r.remote != "" && rapid.Bool().Draw(w.T, "by remote id") {
		return `"` + r.remote + `"`
	}
	return `"~` + itoa(r.id) + `"`
}

func (w *world) real(c core.Column, canonical string) core.Value {
	v, err := core.FromCanonical(c.Type, json.RawMessage(canonical))
	w.check(err)
	return v
}

// note keeps what an act came to in the model.
func (w *world) note(what string, b *modelBatch) {
	line := what + ": batch " + b.line() + " of " + b.table.Slug
	for _, c := range b.changes {
		line += fmt.Sprintf("; row %d col %d %s → %s (base %s → %s, theirs %s → %s)", c.row, c.col, c.before, c.after, c.base[0], c.base[1], c.theirs[0], c.theirs[1])
	}
	for _, s := range b.made {
		line += fmt.Sprintf("; suggests row %d col %d %s → %s", s.row, s.col, s.before, s.after)
	}
	for _, s := range b.closed {
		line += fmt.Sprintf("; closes row %d col %d of batch %d", s.row, s.col, s.batch.id)
	}
	w.done = append(w.done, line)
}

// agree compares everything that is kept with the model.
func (w *world) agree(what string) {
	w.Helper()
	for _, t := range w.model.tables {
		w.same(what+": records of "+t.Slug, w.modelRows(t), w.storedRows(t))
		w.same(what+": open suggestions of "+t.Slug, modelOpen(t), w.storedOpen(t))
		w.same(what+": counts of "+t.Slug, w.modelCounts(t), w.storedCounts(t))
		w.chained(what, t)
	}
	w.same(what+": references", w.modelRefs(), w.storedRefs())
	w.same(what+": history", w.modelHistory(), w.storedHistory())
	for _, p := range w.model.plans {
		w.same(what+": items of a plan", w.model.items(p), w.storedItems(p))
	}
}

func (w *world) same(what string, want, got any) {
	w.Helper()
	if d := cmp.Diff(want, got); d != "" {
		w.Fatalf("%s (- model, + store):\n%s", what, d)
	}
}
