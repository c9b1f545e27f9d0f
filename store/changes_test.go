package store

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
)

// kettles is a snapshot with a table of n records as a download would leave it, and a job that holds its lease.
type kettles struct {
	*Store
	by       core.Actor
	snapshot Snapshot
	t        Table
	job      *Job
}

// col gives the number of a column by its slug.
func (k kettles) col(slug string) int {
	c, _ := k.t.ColumnBySlug(slug)
	return c.Number
}

// mustStore makes a store; ended is told of each of its statements that is through.
func mustStore(t *testing.T, ended ...func(pgx.TraceQueryEndData)) *Store {
	t.Helper()
	ctx := t.Context()
	url := testdb.Migrated(t)
	pool, err := Connect(ctx, url, 8, orgcheck.Tracer(t, ended...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return New(Options{Pool: pool, Sealer: openBox{}, Log: slog.New(slog.DiscardHandler)})
}

func mustConnection(t testing.TB, s *Store) Connection {
	t.Helper()
	con, err := s.CreateConnection(t.Context(), core.Local(), NewConnection{Connector: "postgres", Name: "Shop", Settings: map[string]string{"host": "x"}, Secrets: map[string]string{"password": "pw-7f3"}})
	if err != nil {
		t.Fatal(err)
	}
	return con
}

// openBox stands in for the AEAD in tests that are not about it.
type openBox struct{}

func (openBox) Seal(p []byte, org, table, id string) ([]byte, error) { return p, nil }

func (openBox) Unseal(p []byte, org, table, id string) ([]byte, error) { return p, nil }

func mustKettles(t *testing.T, n int) kettles {
	t.Helper()
	return kettlesIn(t, mustStore(t), n)
}

// kettlesIn makes another snapshot in a store.
func kettlesIn(t *testing.T, s *Store, n int) kettles {
	t.Helper()
	ctx := t.Context()
	k := kettles{Store: s, by: core.Local()}
	con := mustConnection(t, k.Store)
	col := func(title string, typ core.ColumnType) NewColumn {
		return NewColumn{RemoteID: title, Title: title, Type: typ, Writable: true}
	}
	cols := []NewColumn{{RemoteID: "id", Title: "id", Type: core.Number, WhyNot: "The service makes it.", InsertOnly: true, Options: core.ColumnOptions{Key: true}},
		col("title", core.Text), col("price", core.Number), col("sold out", core.Checkbox), col("tags", core.Choices), col("made", core.Date),
		col("seen", core.DateTime), col("extra", core.JSON)}
	sn, job, err := k.CreateSnapshot(ctx, k.by, NewSnapshot{Name: "Spring", Tables: []NewTable{{Connection: con.ID, RemoteID: "public.kettles", Title: "Kettles",
		Source: core.Remote, Writable: true, Creatable: true, Deletable: true, Versioned: true, Columns: cols}}})
	if err != nil {
		t.Fatal(err)
	}
	k.snapshot = sn
	k.t = sn.Tables[0]
	taken, _, err := k.TakeJob(ctx, job.ID, "worker", time.Hour)
	if err != nil || taken == nil {
		t.Fatalf("job not taken: %v", err)
	}
	k.job = taken
	var recs []RemoteRecord
	for i := range n {
		recs = append(recs, k.record(i, fmt.Sprintf("Kettle %d", i), "1"))
	}
	if _, err := k.MergePage(ctx, k.job, PageMerge{Table: k.t, Columns: k.t.Columns, Records: recs, First: true, Checkpoint: map[string]int{"page": 1}}); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k kettles) record(i int, title, version string) RemoteRecord {
	return RemoteRecord{ID: fmt.Sprint(i), Version: version, Values: []core.Value{core.TextValue(fmt.Sprint(i)), core.TextValue(title), core.TextValue("29.00"),
		core.TextValue("false"), core.ListValue([]string{"a", "b"}), core.TextValue("2026-01-02"), core.TextValue("2026-01-02T03:04:05+00:00"), core.TextValue(`{"a": null}`)}}
}

func (k kettles) row(t *testing.T, id int64) Row {
	t.Helper()
	rows, err := k.Rows(t.Context(), k.by, k.t.Ref(), []int64{id}, RowOptions{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("record %d: %v, %d rows", id, err, len(rows))
	}
	return rows[0]
}

func (k kettles) value(t *testing.T, id int64, slug string) core.Value {
	t.Helper()
	r := k.row(t, id)
	for i, c := range k.t.Columns {
		if c.Slug == slug {
			return r.Values[i]
		}
	}
	t.Fatalf("no column %s", slug)
	return core.NullValue
}

func (k kettles) counts(t *testing.T) core.Counts {
	t.Helper()
	tb, err := k.TableByID(t.Context(), k.by, k.t.Ref())
	if err != nil {
		t.Fatal(err)
	}
	return tb.Counts
}

func (k kettles) set(t *testing.T, id int64, slug string, v core.Value) BatchResult {
	t.Helper()
	res, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: id, Column: k.col(slug), Value: v}}}, ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Refused) > 0 {
		t.Fatalf("refused: %+v", res.Refused)
	}
	return res
}

func wantText(t *testing.T, what string, got core.Value, want string) {
	t.Helper()
	if got.Plain() != want {
		t.Errorf("%s is %q, want %q", what, got.Plain(), want)
	}
}

func wantCount(t *testing.T, what string, got *int64, want int64) {
	t.Helper()
	if got == nil || *got != want {
		t.Errorf("%s counts %v, want %d", what, show(got), want)
	}
}

func show(n *int64) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

func TestAnEditKeepsTheBaseAndSettingItBackMakesTheCellClean(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	wantCount(t, "records", k.counts(t).Records, 3)
	k.set(t, 1, "title", core.TextValue("Red kettle"))
	k.set(t, 1, "title", core.TextValue("Blue kettle"))
	wantText(t, "title", k.value(t, 1, "title"), "Blue kettle")
	wantText(t, "base", k.row(t, 1).Base[k.col("title")], "Kettle 0")
	wantCount(t, "edits", k.counts(t).Edits, 1)
	k.set(t, 1, "title", core.TextValue("Kettle 0"))
	if len(k.row(t, 1).Base) != 0 {
		t.Error("a cell set back to its base still has a base")
	}
	wantCount(t, "edits", k.counts(t).Edits, 0)
}

func TestEveryTypeComesBackAsItWentIn(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	for slug, v := range map[string]core.Value{"title": core.TextValue(""), "price": core.TextValue("12345678901234567890.50"), "sold_out": core.TextValue("true"),
		"tags": core.ListValue([]string{"", "x,y"}), "made": core.TextValue("infinity"), "seen": core.TextValue("2026-11-24T10:00:00.5+00:00"), "extra": core.TextValue("null")} {
		k.set(t, 1, slug, v)
		if got := k.value(t, 1, slug); !got.Equal(v) {
			t.Errorf("%s: got %+v, want %+v", slug, got, v)
		}
		k.set(t, 1, slug, core.NullValue)
		if got := k.value(t, 1, slug); !got.IsNull() {
			t.Errorf("%s: got %+v, want null", slug, got)
		}
	}
}

func TestUndoGoesBackStepByStepAndRedoForth(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	ctx := t.Context()
	k.set(t, 1, "title", core.TextValue("one"))
	k.set(t, 1, "title", core.TextValue("two"))
	del, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Deletes: []RecordOp{{Record: 2}}}, ChangeOptions{})
	if err != nil || del.Cells != 1 {
		t.Fatalf("delete: %+v %v", del, err)
	}
	if _, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Creates: []NewRecord{{Values: map[int]core.Value{k.col("title"): core.TextValue("new")}}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	c := k.counts(t)
	wantCount(t, "records", c.Records, 3)
	wantCount(t, "created", c.Created, 1)
	wantCount(t, "deleted", c.Deleted, 1)
	for range 3 {
		if _, err := k.UndoNext(ctx, k.by, k.snapshot.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, "title", k.value(t, 1, "title"), "one")
	if _, err := k.UndoNext(ctx, k.by, k.snapshot.ID); err != nil {
		t.Fatal(err)
	}
	wantText(t, "title", k.value(t, 1, "title"), "Kettle 0")
	c = k.counts(t)
	wantCount(t, "records", c.Records, 3)
	wantCount(t, "edits", c.Edits, 0)
	wantCount(t, "created", c.Created, 0)
	wantCount(t, "deleted", c.Deleted, 0)
	if _, err := k.UndoNext(ctx, k.by, k.snapshot.ID); core.CodeOf(err) != core.Conflict {
		t.Fatalf("nothing is left to undo, got %v", err)
	}
	for range 4 {
		if _, err := k.RedoNext(ctx, k.by, k.snapshot.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, "title", k.value(t, 1, "title"), "two")
	wantCount(t, "created", k.counts(t).Created, 1)
	wantCount(t, "deleted", k.counts(t).Deleted, 1)
	if _, err := k.RedoNext(ctx, k.by, k.snapshot.ID); core.CodeOf(err) != core.Conflict {
		t.Fatalf("nothing is left to redo, got %v", err)
	}
}

func TestSuggestionsOfEmptyZeroFalseAndNullAreSeenAcceptedAndOpenedAgain(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 4)
	ctx := t.Context()
	sets := []CellEdit{{Record: 1, Column: k.col("title"), Value: core.TextValue("")}, {Record: 2, Column: k.col("price"), Value: core.TextValue("0")},
		{Record: 3, Column: k.col("title"), Value: core.NullValue}, {Record: 4, Column: k.col("sold_out"), Value: core.TextValue("true")}}
	res, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Sets: sets}, ChangeOptions{Suggest: true, Reason: "why"})
	if err != nil || res.Cells != 4 {
		t.Fatalf("suggest: %+v %v", res, err)
	}
	wantCount(t, "suggestions", k.counts(t).Suggestions, 4)
	if sg := k.row(t, 1).Suggestions[k.col("title")]; len(sg) != 1 || string(sg[0].After) != `""` {
		t.Errorf("the suggestion of an empty text is not seen: %+v", sg)
	}
	acc, err := k.AcceptSuggestions(ctx, k.by, k.t.Ref(), Where{Filter: "true"})
	if err != nil || acc.Cells != 4 || len(acc.Refused) != 0 {
		t.Fatalf("accept: %+v %v", acc, err)
	}
	wantText(t, "price", k.value(t, 2, "price"), "0")
	if !k.value(t, 3, "title").IsNull() || k.value(t, 1, "title").IsNull() {
		t.Error("null and the empty text were mixed up")
	}
	wantCount(t, "suggestions", k.counts(t).Suggestions, 0)
	wantCount(t, "edits", k.counts(t).Edits, 4)
	if _, err := k.UndoBatch(ctx, k.by, k.snapshot.ID, acc.Batch); err != nil {
		t.Fatal(err)
	}
	wantCount(t, "suggestions", k.counts(t).Suggestions, 4)
	wantCount(t, "edits", k.counts(t).Edits, 0)
	if _, err := k.RedoNext(ctx, k.by, k.snapshot.ID); err != nil {
		t.Fatal(err)
	}
	wantCount(t, "suggestions", k.counts(t).Suggestions, 0)
	wantCount(t, "edits", k.counts(t).Edits, 4)
}

func TestReplaceTakesNoTextAsAPattern(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 12)
	ctx := t.Context()
	r := Replace{Columns: []int{k.col("title")}, Find: "kettle 1", With: `\1$&${x}%`}
	p, err := k.PreviewReplace(ctx, k.by, k.t.Ref(), Where{Filter: "true"}, r)
	if err != nil || p.Count != 3 || len(p.Items) != 3 {
		t.Fatalf("preview: %+v %v", p, err)
	}
	res, err := k.SuggestReplace(ctx, k.by, k.t.Ref(), Where{Filter: `title != "Kettle 1"`}, r)
	if err != nil || res.Cells != 2 {
		t.Fatalf("suggest: %+v %v", res, err)
	}
	groups, _, err := k.SuggestionGroups(ctx, k.by, k.t.Ref(), Where{}, First(10))
	if err != nil || len(groups) == 0 {
		t.Fatalf("groups: %+v %v", groups, err)
	}
	if _, err := k.AcceptSuggestions(ctx, k.by, k.t.Ref(), Where{Columns: []int{k.col("title")}}); err != nil {
		t.Fatal(err)
	}
	wantText(t, "title", k.value(t, 11, "title"), `\1$&${x}%0`)
}

func TestARejectedValueIsNotProposedAgain(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 2)
	ctx := t.Context()
	suggest := func() int64 {
		res, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 1, Column: k.col("title"), Value: core.TextValue("X")}}}, ChangeOptions{Suggest: true})
		if err != nil {
			t.Fatal(err)
		}
		return res.Cells
	}
	if suggest() != 1 {
		t.Fatal("the first suggestion was not made")
	}
	if _, err := k.RejectSuggestions(ctx, k.by, k.t.Ref(), Where{Records: []int64{1}}); err != nil {
		t.Fatal(err)
	}
	if suggest() != 0 {
		t.Error("a refused value was proposed again")
	}
	k.set(t, 1, "title", core.TextValue("Y"))
	if suggest() != 1 {
		t.Error("the cell has changed since, so the value may be proposed again")
	}
}

func TestRefreshMergesThreeWays(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 5)
	ctx := t.Context()
	k.set(t, 1, "title", core.TextValue("mine"))  // changed there too: conflict
	k.set(t, 2, "title", core.TextValue("equal")) // changed there to the same: clean
	k.set(t, 3, "title", core.TextValue("mine"))  // not changed there: stays
	recs := []RemoteRecord{k.record(0, "theirs", "2"), k.record(1, "equal", "2"), k.record(2, "Kettle 2", "1"), k.record(3, "taken", "2"), k.record(9, "new", "1")}
	c, err := k.MergePage(ctx, k.job, PageMerge{Table: k.t, Columns: k.t.Columns, Records: recs, Checkpoint: map[string]int{"page": 2}})
	if err != nil {
		t.Fatal(err)
	}
	if c.New != 1 || c.Conflicts != 1 || c.Changed != 1 {
		t.Errorf("merged %+v", c)
	}
	wantText(t, "conflicted cell", k.value(t, 1, "title"), "mine")
	wantText(t, "theirs", k.row(t, 1).Conflicts[k.col("title")], "theirs")
	if len(k.row(t, 2).Base) != 0 {
		t.Error("an edit that the service has too is still an edit")
	}
	wantText(t, "edit", k.value(t, 3, "title"), "mine")
	wantText(t, "clean cell", k.value(t, 4, "title"), "taken")
	wantCount(t, "conflicts", k.counts(t).Conflicts, 1)
	unseen, err := k.Unseen(ctx, k.job, k.t, "", 10)
	if err != nil || len(unseen) != 1 || unseen[0] != "4" {
		t.Fatalf("unseen %v: %v", unseen, err)
	}
	if n, total, err := k.CountUnseen(ctx, k.job, k.t); err != nil || n != 1 || total != 6 {
		t.Fatalf("%d of %d unseen: %v", n, total, err)
	}
	if gone, err := k.RemoveGone(ctx, k.job, k.t, unseen, map[string]int{}); err != nil || gone.Deleted != 1 {
		t.Fatalf("remove: %+v %v", gone, err)
	}
	wantCount(t, "records", k.counts(t).Records, 5)
	settled, err := k.SettleConflicts(ctx, k.by, k.t.Ref(), Where{Filter: "true"}, "mine")
	if err != nil || settled.Cells != 1 {
		t.Fatalf("settle: %+v %v", settled, err)
	}
	wantText(t, "base after keep mine", k.row(t, 1).Base[k.col("title")], "theirs")
	wantCount(t, "conflicts", k.counts(t).Conflicts, 0)
	if _, err := k.UndoBatch(ctx, k.by, k.snapshot.ID, settled.Batch); err != nil {
		t.Fatal(err)
	}
	wantText(t, "conflict after undo", k.row(t, 1).Conflicts[k.col("title")], "theirs")
	if _, err := k.SettleConflicts(ctx, k.by, k.t.Ref(), Where{Records: []int64{1}}, "theirs"); err != nil {
		t.Fatal(err)
	}
	wantText(t, "taken", k.value(t, 1, "title"), "theirs")
	if len(k.row(t, 1).Base) != 0 {
		t.Error("a cell that took theirs is still edited")
	}
}

func TestAnOrderStaysWhileRecordsChange(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 30)
	ctx := t.Context()
	v := View{Filter: `title.contains("Kettle 1")`, Sort: []SortKey{{Column: k.col("title"), Descending: true}}}
	o, err := k.Order(ctx, k.by, k.t.Ref(), v, 0)
	if err != nil || o.Len() != 11 {
		t.Fatalf("order of %d: %v", o.Len(), err)
	}
	rows, err := k.Rows(ctx, k.by, k.t.Ref(), o.IDs(0, 2), RowOptions{Columns: []int{k.col("title")}, CutAt: 5})
	if err != nil || len(rows) != 2 || rows[0].Values[0].Text != "Kettl" || !rows[0].Cut[0] {
		t.Fatalf("window: %+v %v", rows, err)
	}
	res, err := k.FillWhere(ctx, k.by, k.t.Ref(), Where{Order: o.ID, Ranges: [][2]int{{0, 3}}}, map[int]core.Value{k.col("price"): core.TextValue("1")}, ChangeOptions{})
	if err != nil || res.Cells != 3 {
		t.Fatalf("fill: %+v %v", res, err)
	}
	again, err := k.OrderByID(ctx, k.by, k.t.Ref(), o.ID)
	if err != nil || again.Len() != 11 {
		t.Fatalf("the order is gone: %v", err)
	}
	other := k.by
	other.Org = "org_other"
	if _, err := k.OrderByID(ctx, other, k.t.Ref(), o.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("another organization reads the order: %v", err)
	}
}

func TestAPlanIsExactAndAPublishIsTakenOver(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 4)
	ctx := t.Context()
	k.set(t, 1, "title", core.TextValue("Published"))
	k.set(t, 2, "price", core.TextValue("31.00"))
	if _, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Creates: []NewRecord{{Values: map[int]core.Value{k.col("title"): core.TextValue("new")}}},
		Deletes: []RecordOp{{Record: 3}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	p, err := k.MakePlan(ctx, k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Counts.Creates != 1 || p.Counts.Updates != 2 || p.Counts.Deletes != 1 {
		t.Fatalf("plan: %+v", p.Counts)
	}
	if groups, _, err := k.PlanGroups(ctx, k.by, k.snapshot.ID, p.ID, 50); err != nil || len(groups) != 4 {
		t.Fatalf("groups: %+v %v", groups, err)
	}
	k.set(t, 2, "price", core.TextValue("32.00")) // changed since the plan: left out
	job, err := k.StartPublish(ctx, k.by, k.snapshot.ID, p.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.StartPublish(ctx, k.by, k.snapshot.ID, p.ID, true, 0); err != nil || again.ID != job.ID {
		t.Fatalf("a second press made another job: %v %v", again.ID, err)
	}
	if err := k.EndSlice(ctx, k.job, JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	j, _, err := k.TakeJob(ctx, job.ID, "worker", time.Hour)
	if err != nil || j == nil {
		t.Fatalf("publish not taken: %v", err)
	}
	for _, op := range []string{"create", "update", "delete"} {
		items, err := k.ClaimItems(ctx, j, k.t, p.ID, Claim{Op: op, Limit: 10})
		if err != nil || len(items) != 1 {
			t.Fatalf("claimed %d %ss: %v", len(items), op, err)
		}
		if op == "update" {
			k.set(t, 1, "title", core.TextValue("Edited meanwhile"))
		}
		fields := map[string]json.RawMessage{}
		for n, f := range items[0].Fields {
			fields[fmt.Sprint(n)] = f.Value
		}
		sent, _ := json.Marshal(fields)
		if err := k.SaveOutcomes(ctx, k.t, []ItemOutcome{{Item: items[0].ID, State: "published", RemoteID: items[0].RemoteID + "77"[:2*b2i(op == "create")], Version: "9", Sent: sent, Stored: sent,
			Before: json.RawMessage(fmt.Sprintf(`{"%d": "Kettle"}`, k.col("title")))}}); err != nil {
			t.Fatal(err)
		}
		if err := k.MergeOutcomes(ctx, k.by, k.t, p.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, "an edit made meanwhile", k.value(t, 1, "title"), "Edited meanwhile")
	wantText(t, "its base", k.row(t, 1).Base[k.col("title")], "Published")
	if r := k.row(t, 5); r.RemoteID != "77" || r.State != core.Existing {
		t.Errorf("the created record is %+v", r)
	}
	c := k.counts(t)
	wantCount(t, "records", c.Records, 4)
	wantCount(t, "created", c.Created, 0)
	wantCount(t, "deleted", c.Deleted, 0)
	wantCount(t, "edits", c.Edits, 2)
	if err := k.EndPlan(ctx, j, k.snapshot, p.ID); err != nil {
		t.Fatal(err)
	}
	rev, err := k.Revert(ctx, k.by, k.snapshot.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if rev.Plan.Counts.Deletes != 1 || rev.Plan.Counts.Creates != 1 || rev.Plan.Counts.Updates != 0 || len(rev.Left) != 1 {
		t.Errorf("revert: %+v, left %+v", rev.Plan.Counts, rev.Left)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
