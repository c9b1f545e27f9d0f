package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// mustWorld is a table with everything that a command can meet: edits, open, refused and competing suggestions, created,
// deleted and proposed records, and conflicts. It is the same each time.
func mustWorld(t *testing.T) kettles {
	t.Helper()
	return worldIn(t, mustStore(t))
}

func worldIn(t *testing.T, s *Store) kettles {
	t.Helper()
	k := kettlesIn(t, s, 60)
	ctx, ref := t.Context(), k.t.Ref()
	title, price := k.col("title"), k.col("price")
	must := func(_ BatchResult, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(k.SuggestReplace(ctx, k.by, ref, Where{Filter: "true"}, Replace{Columns: []int{title}, Find: "Kettle 1", With: "Pot 1"}))
	must(k.SuggestReplace(ctx, k.by, ref, Where{Filter: "true"}, Replace{Columns: []int{title}, Find: "Kettle 1", With: "Pan 1"}))
	must(k.SuggestReplace(ctx, k.by, ref, Where{Filter: "true"}, Replace{Columns: []int{title}, Find: "Kettle 2", With: "Kettle Two"}))
	must(k.RejectSuggestions(ctx, k.by, ref, Where{Records: []int64{24, 25}}))
	must(k.ApplyChanges(ctx, k.by, ref, Changes{Creates: []NewRecord{{Values: map[int]core.Value{title: core.TextValue("Proposed")}}}, Deletes: []RecordOp{{Record: 40}, {Record: 41}},
		Sets: []CellEdit{{Record: 5, Column: price, Value: core.TextValue("0")}, {Record: 6, Column: k.col("extra"), Value: core.NullValue}}}, ChangeOptions{Suggest: true}))
	k.set(t, 12, "title", core.TextValue("Stale")) // its suggestions do not fit any more
	k.set(t, 13, "price", core.TextValue("7"))
	k.set(t, 30, "title", core.TextValue("Mine"))
	k.set(t, 31, "title", core.TextValue("Mine too"))
	must(k.ApplyChanges(ctx, k.by, ref, Changes{Creates: []NewRecord{{Values: map[int]core.Value{title: core.TextValue("Kettle 1 new")}}}, Deletes: []RecordOp{{Record: 50}, {Record: 32}}}, ChangeOptions{}))
	_, err := k.MergePage(ctx, k.job, PageMerge{Table: k.t, Columns: k.t.Columns, Checkpoint: map[string]int{},
		Records: []RemoteRecord{k.record(29, "Theirs", "2"), k.record(30, "Theirs too", "2"), k.record(31, "Changed there", "2")}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// dump gives everything that a command may change: rows, changes, suggestions, counts and plans, without what is another
// each time.
func (k kettles) dump(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, sql := range []string{
		`select to_jsonb(r)::text from ` + dataTable(k.t) + ` r order by _id`,
		`select (to_jsonb(c))::text from ` + companion(k.t, "_changes") + ` c order by c.batch, c.row, c.col`,
		`select (to_jsonb(s) - 'id')::text from ` + companion(k.t, "_suggestions") + ` s order by s.batch, s.row, s.col, s.after, s.decided`,
		`select (to_jsonb(b) - 'at' - 'table_id' - 'plan')::text from ` + companion(k.t, "_batches") + ` b order by b.id`,
		`select (to_jsonb(i) - 'plan' - 'table_id' - 'token' - 'sent_at')::text from ` + companion(k.t, "_publish_items") + ` i order by i.id`,
		`select concat_ws(' ', version, records, edits, created, deleted, suggestions, conflicts, problems) from tables where org_id = 'org_local' and id = '` + k.t.ID + `'`,
	} {
		rows, err := k.Pool().Query(t.Context(), sql, pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range list {
			out = append(out, strings.ReplaceAll(line, k.t.ID, "table"))
		}
	}
	return out
}

// asJob takes up the job of a command and does it.
func (k kettles) asJob(t *testing.T, j Job) BulkResult {
	t.Helper()
	taken := k.take(t, j)
	res, err := k.RunBulk(t.Context(), taken, func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.EndSlice(t.Context(), taken, JobEnd{State: "done", Result: raw}); err != nil {
		t.Fatal(err)
	}
	ended, err := k.JobByID(t.Context(), k.by, j.ID)
	if err != nil {
		t.Fatal(err)
	}
	kept, ok := ended.BulkResult()
	if !ok {
		t.Fatalf("the job keeps no result: %s", ended.Result)
	}
	return kept
}

func (k kettles) take(t *testing.T, j Job) *Job {
	t.Helper()
	taken, _, err := k.TakeJob(t.Context(), j.ID, "bulk", time.Hour)
	if err != nil || taken == nil {
		t.Fatalf("the command's job is not to be had: %v", err)
	}
	return taken
}

// group gives the key of the largest group of open suggestions.
func (k kettles) group(t *testing.T) string {
	t.Helper()
	groups, _, err := k.SuggestionGroups(t.Context(), k.by, k.t.Ref(), Where{}, First(1))
	if err != nil || len(groups) == 0 {
		t.Fatalf("no groups: %v", err)
	}
	return groups[0].Key
}

// TestALargeCommandDoesExactlyWhatASmallOneDoes runs each command once for somebody who waits and once as a job, over every
// way to choose, and compares everything that is in the snapshot afterwards, and the answers.
func TestALargeCommandDoesExactlyWhatASmallOneDoes(t *testing.T) {
	t.Parallel()
	all := Where{Filter: "true"}
	values := func(k kettles) (b Bulk) {
		b.SetValues(k.t, map[int]core.Value{k.col("price"): core.TextValue("5"), k.col("title"): core.NullValue})
		return b
	}
	cases := map[string]func(t *testing.T, k kettles) Bulk{
		"accept all": func(*testing.T, kettles) Bulk { return Bulk{Kind: "accept", Where: all} },
		"accept by filter": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "accept", Where: Where{Filter: `title.contains("1")`}}
		},
		"accept by find": func(*testing.T, kettles) Bulk { return Bulk{Kind: "accept", Where: Where{Find: "kettle 2"}} },
		"accept a column": func(_ *testing.T, k kettles) Bulk {
			return Bulk{Kind: "accept", Where: Where{Columns: []int{k.col("title")}}}
		},
		"accept a group": func(t *testing.T, k kettles) Bulk { return Bulk{Kind: "accept", Where: Where{Group: k.group(t)}} },
		"accept a batch": func(*testing.T, kettles) Bulk { return Bulk{Kind: "accept", Where: Where{Batch: 2}} },
		"accept by ids": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "accept", Where: Where{IDs: []int64{1, 2, 3, 4, 20}}}
		},
		"accept of records": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "accept", Where: Where{Records: []int64{2, 11, 12, 41}}}
		},
		"accept a selection": selected("accept", Bulk{}),
		"reject a selection": selected("reject", Bulk{}),
		"reject by filter": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "reject", Where: Where{Filter: `title.contains("1")`}}
		},
		"reject all": func(*testing.T, kettles) Bulk { return Bulk{Kind: "reject", Where: all} },
		"replace": func(_ *testing.T, k kettles) Bulk {
			return Bulk{Kind: "transform", Where: all, Replace: Replace{Find: "e", With: "É"}}
		},
		"replace by filter": func(_ *testing.T, k kettles) Bulk {
			return Bulk{Kind: "transform", Where: Where{Filter: "edited()"}, Replace: Replace{Find: "I", With: ""}}
		},
		"replace a selection": selected("transform", Bulk{Replace: Replace{Find: "kettle", With: "Pot"}}),
		"fill all":            func(_ *testing.T, k kettles) Bulk { b := values(k); b.Kind, b.Where = "set", all; return b },
		"fill by filter": func(_ *testing.T, k kettles) Bulk {
			b := values(k)
			b.Kind, b.Where = "set", Where{Filter: `price > 20`}
			return b
		},
		"fill a selection": func(t *testing.T, k kettles) Bulk { return selected("set", values(k))(t, k) },
		"suggest a fill": func(_ *testing.T, k kettles) Bulk {
			b := values(k)
			b.Kind, b.Where, b.Options = "set", all, ChangeOptions{Suggest: true, Reason: "why"}
			return b
		},
		"suggest deletes": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "delete", Where: Where{Filter: `title.contains("3")`}, Options: ChangeOptions{Suggest: true}}
		},
		"delete by filter": func(*testing.T, kettles) Bulk {
			return Bulk{Kind: "delete", Where: Where{Filter: `title.contains("3")`}}
		},
		"delete a selection": selected("delete", Bulk{}),
		"keep mine":          func(*testing.T, kettles) Bulk { return Bulk{Kind: "settle", Where: all, As: "mine"} },
		"take theirs":        func(*testing.T, kettles) Bulk { return Bulk{Kind: "settle", Where: all, As: "theirs"} },
		"undo an accept":     undone(Bulk{Kind: "accept", Where: all}, false),
		"redo an accept":     undone(Bulk{Kind: "accept", Where: all}, true),
		"undo a replace":     func(*testing.T, kettles) Bulk { return Bulk{Kind: "undo", Batch: 2} },
		"undo a delete":      undone(Bulk{Kind: "delete", Where: all}, false),
		"undo a settle":      undone(Bulk{Kind: "settle", Where: all, As: "theirs"}, false),
		"revert":             published,
	}
	s := mustStore(t)
	for name, command := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			small := worldIn(t, s)
			large := worldIn(t, New(Options{Pool: s.Pool(), Sealer: openBox{}, BulkCells: -1}))
			b := command(t, small)
			b.Table = small.t.ID
			want, j, err := small.Do(t.Context(), small.by, small.snapshot.ID, b)
			if err != nil || j != nil {
				t.Fatalf("small: %v %v", j, err)
			}
			b = command(t, large)
			b.Table = large.t.ID
			_, j, err = large.Do(t.Context(), large.by, large.snapshot.ID, b)
			if err != nil || j == nil {
				t.Fatalf("large: %v %v", j, err)
			}
			large.forgetOrders()
			got := large.asJob(t, *j)
			if want.Cells == 0 {
				t.Error("the command changes nothing: this tests nothing")
			}
			for i := range got.Refused {
				got.Refused[i].Column = want.Refused[i].Column // a job keeps the slug
			}
			for i := range got.Left {
				got.Left[i].Column = want.Left[i].Column
			}
			want.Added = 0 // it is for the limit of records, within the transaction: a job does not keep it
			got.Table, want.Table, got.Plan, want.Plan = "", "", nil, nil
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("the answers differ (-small +large):\n%s", d)
			}
			if d := cmp.Diff(small.dump(t), large.dump(t)); d != "" {
				t.Errorf("the snapshots differ (-small +large):\n%s", d)
			}
		})
	}
}

// forgetOrders takes all orders away, as a restart of the program does.
func (k kettles) forgetOrders() {
	k.orders.mu.Lock()
	defer k.orders.mu.Unlock()
	k.orders.byID, k.orders.latest, k.orders.recent = map[string]*Order{}, map[string]string{}, nil
}

// selected chooses what is highlighted in a sorted order.
func selected(kind string, b Bulk) func(t *testing.T, k kettles) Bulk {
	return func(t *testing.T, k kettles) Bulk {
		t.Helper()
		o, err := k.Order(t.Context(), k.by, k.t.Ref(), View{Sort: []SortKey{{Column: k.col("title"), Descending: true}}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.Kind, b.Where = kind, Where{Order: o.ID, Ranges: [][2]int{{3, 9}, {20, 50}}}
		return b
	}
}

// undone does a command and gives the undo of it, or the redo.
func undone(b Bulk, redo bool) func(t *testing.T, k kettles) Bulk {
	return func(t *testing.T, k kettles) Bulk {
		t.Helper()
		b.Table = k.t.ID
		res, err := k.run(t.Context(), k.by, k.snapshot.ID, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if redo {
			if res.BatchResult, err = k.UndoBatch(t.Context(), k.by, k.snapshot.ID, res.Batch); err != nil {
				t.Fatal(err)
			}
		}
		since := []CellEdit{{Record: 14, Column: k.col("title"), Value: core.TextValue("Changed since")}}
		if _, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: since}, ChangeOptions{}); err != nil {
			t.Fatal(err)
		}
		return Bulk{Kind: "undo", Batch: res.Batch}
	}
}

// published publishes everything and gives the revert of it.
func published(t *testing.T, k kettles) Bulk {
	t.Helper()
	ctx := t.Context()
	p, err := k.MakePlan(ctx, k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	job, err := k.StartPublish(ctx, k.by, k.snapshot.ID, p.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.EndSlice(ctx, k.job, JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	j := k.take(t, job)
	for _, op := range []string{"create", "update", "delete"} {
		items, err := k.ClaimItems(ctx, j, k.t, p.ID, Claim{Op: op, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var out []ItemOutcome
		for _, it := range items {
			sent, before := map[string]json.RawMessage{}, map[string]json.RawMessage{}
			for n, f := range it.Fields {
				sent[fmt.Sprint(n)], before[fmt.Sprint(n)] = f.Value, f.Base
			}
			s, _ := json.Marshal(sent)
			bf, _ := json.Marshal(before)
			out = append(out, ItemOutcome{Item: it.ID, State: "published", RemoteID: orText(it.RemoteID, fmt.Sprint("new", it.Record)), Sent: s, Stored: s, Before: bf})
		}
		if err := errors.Join(k.SaveOutcomes(ctx, k.t, out), k.MergeOutcomes(ctx, k.by, k.t, p.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(k.EndPlan(ctx, j, k.snapshot, p.ID), k.EndSlice(ctx, j, JobEnd{State: "done"})); err != nil {
		t.Fatal(err)
	}
	return Bulk{Kind: "revert", Plan: p.ID}
}

// accepting makes a job that accepts everything.
func (k *kettles) accepting(t *testing.T) Job {
	t.Helper()
	k.bulkCells = 1
	_, j, err := k.Do(t.Context(), k.by, k.snapshot.ID, Bulk{Kind: "accept", Table: k.t.ID, Where: Where{Filter: "true"}})
	if err != nil || j == nil {
		t.Fatalf("no job: %v", err)
	}
	return *j
}

func TestACommandIsCountedBeforeItIsDone(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 20)
	k.bulkCells = 15
	fill := Bulk{Kind: "set", Table: k.t.ID, Where: Where{Filter: `price == 29`}}
	fill.SetValues(k.t, map[int]core.Value{k.col("title"): core.TextValue("x")})
	if _, j, err := k.Do(t.Context(), k.by, k.snapshot.ID, fill); err != nil || j == nil || j.Kind != "set" || j.Label != "Fill in Kettles" {
		t.Fatalf("20 cells are over 15: %+v %v", j, err)
	}
	fill.Where = Where{Filter: `price == 29`, Records: []int64{1, 2, 3}}
	if res, j, err := k.Do(t.Context(), k.by, k.snapshot.ID, fill); err != nil || j != nil || res.Cells != 3 {
		t.Fatalf("3 cells are not: %+v %+v %v", res, j, err)
	}
	fill.Where = Where{Filter: "true", Records: []int64{}}
	if res, j, err := k.Do(t.Context(), k.by, k.snapshot.ID, fill); err != nil || j != nil || res.Cells != 0 {
		t.Fatalf("an empty list chooses nothing: %+v %+v %v", res, j, err)
	}
	fill.Where = Where{}
	if _, _, err := k.Do(t.Context(), k.by, k.snapshot.ID, fill); core.CodeOf(err) != core.Invalid {
		t.Fatalf("an empty where is refused, got %v", err)
	}
}

func TestACommandThatLostItsJobChangesNothing(t *testing.T) {
	t.Parallel()
	k := mustWorld(t)
	j := k.accepting(t)
	before := k.dump(t)
	mine := k.take(t, j)
	_, err := k.RunBulk(t.Context(), mine, func(point string, _, _ int64) {
		if point == "applied" { // everything is written; now another worker takes the job over
			_, err := k.Pool().Exec(t.Context(), `update jobs set owner = 'other' where org_id = $1 and id = $2`, j.Org, j.ID)
			if err != nil {
				t.Error(err)
			}
		}
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("a lost job committed: %v", err)
	}
	if d := cmp.Diff(before, k.dump(t)); d != "" {
		t.Errorf("something was changed:\n%s", d)
	}
}

func TestACommandWhoseLeaseRanOutChangesNothing(t *testing.T) {
	t.Parallel()
	k := mustWorld(t)
	j := k.accepting(t)
	before := k.dump(t)
	mine, _, err := k.TakeJob(t.Context(), j.ID, "slow", 50*time.Millisecond)
	if err != nil || mine == nil {
		t.Fatal(err)
	}
	_, err = k.RunBulk(t.Context(), mine, func(point string, _, _ int64) {
		for point == "applied" && time.Now().Before(mine.LeaseUntil.Add(20*time.Millisecond)) {
			time.Sleep(time.Millisecond) // until the lease has run out
		}
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("it committed after its lease: %v", err)
	}
	if d := cmp.Diff(before, k.dump(t)); d != "" {
		t.Errorf("something was changed:\n%s", d)
	}
}

func TestACommandIsDoneOnceHoweverOftenItsJobIsTakenUp(t *testing.T) {
	t.Parallel()
	k := mustWorld(t)
	j := k.accepting(t)
	first := k.take(t, j)
	res, err := k.RunBulk(t.Context(), first, func(string, int64, int64) {})
	if err != nil || res.Cells == 0 {
		t.Fatalf("accept: %+v %v", res, err)
	}
	after := k.dump(t)
	if _, err := k.Pool().Exec(t.Context(), `update jobs set lease_until = now() - interval '1 s' where org_id = $1 and id = $2`, j.Org, j.ID); err != nil {
		t.Fatal(err)
	}
	again, previous, err := k.TakeJob(t.Context(), j.ID, "next", time.Hour)
	if err != nil || again == nil || previous != "bulk" {
		t.Fatalf("not taken over: %v", err)
	}
	res2, err := k.RunBulk(t.Context(), again, func(string, int64, int64) { t.Error("it is done again") })
	if err != nil || res2.Batch != res.Batch || res2.Cells != res.Cells {
		t.Fatalf("the second answer is %+v %v, the first was %+v", res2, err, res)
	}
	if d := cmp.Diff(after, k.dump(t)); d != "" {
		t.Errorf("it was done again:\n%s", d)
	}
}

func TestABusyTableNamesWhoHoldsIt(t *testing.T) {
	t.Parallel()
	k := mustWorld(t)
	mine := k.take(t, k.accepting(t))
	_, err := k.RunBulk(t.Context(), mine, func(point string, _, _ int64) {
		if point != "applied" {
			return
		}
		_, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 1, Column: k.col("title"), Value: core.TextValue("x")}}}, ChangeOptions{})
		var busy *core.Error
		if !errors.As(err, &busy) || busy.Code != core.Busy || busy.RetryAfter == 0 || !strings.Contains(busy.Sentence, "Accept suggestions in Kettles") || !strings.Contains(busy.Sentence, "You") {
			t.Errorf("an edit meanwhile is answered: %v", err)
		}
		if _, err := k.UndoNext(t.Context(), k.by, k.snapshot.ID); core.CodeOf(err) != core.Busy {
			t.Errorf("an undo meanwhile would undo something else: %v", err)
		}
		if j, ok, err := k.TableJob(t.Context(), k.by, k.t.Ref()); err != nil || !ok || j.ID != mine.ID {
			t.Errorf("the table's job is %+v %v", j, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNotEveryRefusalOfALargeCommandIsNamed(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, maxNamed+20)
	ctx := t.Context()
	all := Where{Filter: "true"}
	if _, err := k.SuggestReplace(ctx, k.by, k.t.Ref(), all, Replace{Find: "Kettle", With: "Pot"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.FillWhere(ctx, k.by, k.t.Ref(), all, map[int]core.Value{k.col("title"): core.TextValue("x")}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	res, err := k.AcceptSuggestions(ctx, k.by, k.t.Ref(), all)
	if err != nil || len(res.Refused) != maxNamed || res.MoreRefused != 20 {
		t.Fatalf("%d named and %d counted: %v", len(res.Refused), res.MoreRefused, err)
	}
}

// TestWalkingThroughManySuggestionsGoesAsThroughFew walks both ways, from everywhere, through a sorted order, once with all
// suggested cells at hand and once in blocks.
func TestWalkingThroughManySuggestionsGoesAsThroughFew(t *testing.T) {
	t.Parallel()
	k := mustWorld(t)
	ctx := t.Context()
	for _, v := range []View{{}, {Sort: []SortKey{{Column: k.col("title"), Descending: true}}}, {Filter: `title.contains("1")`}, {Filter: `title == "nothing"`}} {
		o, err := k.Order(ctx, k.by, k.t.Ref(), v, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []int{1, -1} {
			for pos := -1; pos < o.Len(); pos++ {
				for _, slug := range []string{"id", "title", "extra"} {
					few, err := k.SuggestionAt(ctx, k.by, k.t.Ref(), o, pos, k.col(slug), dir)
					many, err2 := k.walkOrder(ctx, k.t, newPlaceWalk(k.t, o, pos, k.col(slug), dir))
					if core.CodeOf(err) != core.CodeOf(err2) || few.Record != many.Record || few.Column != many.Column || few.Position != many.Position {
						t.Fatalf("view %+v, from %d %s, direction %d: %+v %v, in blocks %+v %v", v, pos, slug, dir, few, err, many, err2)
					}
				}
			}
		}
	}
}

func TestAnOrderKnowsWhereItsRecordsStand(t *testing.T) {
	t.Parallel()
	for _, ids := range [][]uint32{nil, {1, 2, 5}, {9, 2, 7, 4}} {
		o := &Order{ids: ids}
		for i, id := range ids {
			if at, ok := o.Position(int64(id)); !ok || at != i {
				t.Errorf("%d of %v stands at %d %t", id, ids, at, ok)
			}
		}
		for _, id := range []int64{-1, 0, 3, 1 << 40} {
			if at, ok := o.Position(id); ok {
				t.Errorf("%d of %v stands at %d", id, ids, at)
			}
		}
	}
}
