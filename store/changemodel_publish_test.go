package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

func TestWhatCannotBeSuggestedIsRefused(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, Changes{Deletes: []RecordOp{{Record: 2}}}, false)
	res := s.change(t, Changes{Deletes: []RecordOp{{Record: 1}, {Record: 2, Index: 1}, {Record: 987654, Index: 2}}, Undeletes: []RecordOp{{Record: 2, Index: 3}}}, true)
	if len(res.Refused) != 3 || s.state(t, 2) != core.Deleted {
		t.Errorf("refused %+v, the deleted record is %s", res.Refused, s.state(t, 2))
	}
	s.wantOpen(t, "after suggesting deletes", 1)
}

func TestASuggestionForTheKeyOfANewRecordIsAccepted(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	id := s.change(t, s.created("new"), false).Created[0]
	s.change(t, s.sets(id, "code", "K1"), true)
	if res := s.acceptAll(t); res.Cells != 1 || len(res.Refused) != 0 {
		t.Fatalf("%+v", res)
	}
	wantText(t, "code", s.value(t, id, "code"), "K1")
	if res := s.change(t, s.sets(1, "code", "K2"), true); len(res.Refused) != 1 {
		t.Errorf("the key of a record that is there takes a suggestion: %+v", res)
	}
}

func TestOfCompetingSuggestionsTheNewestWinsAlsoAfterUndo(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "older"), true)
	rej := s.rejectAll(t)
	s.change(t, s.sets(1, "title", "newer"), true)
	s.undo(t, rej.Batch) // the older one is open again, in a younger row
	s.acceptAll(t)
	wantText(t, "title", s.value(t, 1, "title"), "newer")
}

// publish sends a plan of n items of an operation and lets the service store what was sent. Created records get the ids
// from 77 on.
func (s shop) publish(t *testing.T, table Table, plan, op string, n int) {
	t.Helper()
	ctx := t.Context()
	j := s.start(t, plan)
	items, err := s.ClaimItems(ctx, j, table, plan, Claim{Op: op, Limit: 10})
	if err != nil || len(items) != n {
		t.Fatalf("claimed %d %ss: %v", len(items), op, err)
	}
	var out []ItemOutcome
	for i, it := range items {
		fields := map[string]json.RawMessage{}
		for n, f := range it.Fields {
			fields[fmt.Sprint(n)] = f.Value
		}
		sent, _ := json.Marshal(fields)
		o := ItemOutcome{Item: it.ID, State: "published", RemoteID: it.RemoteID, Version: "v9", Sent: sent, Stored: sent}
		if op == "create" {
			o.RemoteID = fmt.Sprint(77 + i)
		}
		out = append(out, o)
	}
	s.outcomes(t, table, plan, out...)
	if err := s.EndPlan(ctx, j, s.snapshot, plan); err != nil {
		t.Fatal(err)
	}
	if err := s.EndSlice(ctx, j, JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
}

// start begins the publish of a plan and takes its job.
func (s shop) start(t *testing.T, plan string) *Job {
	t.Helper()
	job, err := s.StartPublish(t.Context(), s.by, s.snapshot.ID, plan, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.EndSlice(t.Context(), s.job, JobEnd{State: "done"}) // the first time; then it has ended
	j, _, err := s.TakeJob(t.Context(), job.ID, "worker", time.Hour)
	if err != nil || j == nil {
		t.Fatalf("publish not taken: %v", err)
	}
	return j
}

func (s shop) outcomes(t *testing.T, table Table, plan string, out ...ItemOutcome) {
	t.Helper()
	if err := s.SaveOutcomes(t.Context(), table, out); err != nil {
		t.Fatal(err)
	}
	if err := s.MergeOutcomes(t.Context(), s.by, table, plan); err != nil {
		t.Fatal(err)
	}
}

func (s shop) plan(t *testing.T, tables ...string) Plan {
	t.Helper()
	p, err := s.MakePlan(t.Context(), s.by, s.snapshot.ID, tables, Where{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAReferenceToANewRecordMeansItForEver(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	name, _ := s.makers.ColumnBySlug("name")
	res, err := s.ApplyChanges(t.Context(), s.by, s.makers.Ref(), Changes{Creates: []NewRecord{{Values: map[int]core.Value{name.Number: core.TextValue("Ada")}}}}, ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	here := fmt.Sprintf("~%d", res.Created[0])
	first := s.change(t, s.sets(1, "maker", here), false)
	second := s.change(t, s.sets(1, "maker", "4"), false)
	s.change(t, s.sets(2, "maker", here), true)
	third := s.change(t, s.sets(3, "maker", here), false)
	s.publish(t, s.makers, s.plan(t, s.makers.ID).ID, "create", 1)
	s.undo(t, second.Batch)
	wantText(t, "the value that undo brings back", s.value(t, 1, "maker"), "77")
	s.acceptAll(t)
	wantText(t, "the accepted value", s.value(t, 2, "maker"), "77")
	wantText(t, "the cell that waited", s.value(t, 3, "maker"), "77")
	for _, b := range []int64{first.Batch, third.Batch} {
		if undo := s.undo(t, b); len(undo.Left) != 0 {
			t.Errorf("nobody changed the cell, but undo leaves %+v", undo.Left)
		}
	}
	if !s.value(t, 3, "maker").IsNull() {
		t.Error("the reference is still there")
	}
}

func TestAPlanMadeBeforeTheReferredRecordWasCreatedIsStillGood(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	res, err := s.ApplyChanges(t.Context(), s.by, s.makers.Ref(), Changes{Creates: []NewRecord{{}}}, ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.change(t, s.sets(1, "maker", fmt.Sprintf("~%d", res.Created[0])), false)
	kettles := s.plan(t, s.t.ID)
	s.publish(t, s.makers, s.plan(t, s.makers.ID).ID, "create", 1)
	s.publish(t, s.t, kettles.ID, "update", 1)
	if r := s.row(t, 1); len(r.Base) != 0 {
		t.Errorf("the edit was not published: base %v", r.Base)
	}
}

// A publish looks only at the tables of which its plan has records: many others would take all of a short slice.
func TestAPublishKnowsWhichTablesItsPlanHasRecordsOf(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	p := s.plan(t)
	if len(p.Tables) < 2 {
		t.Fatalf("the plan is of %v, want several tables", p.Tables)
	}
	if got, err := s.TablesOfItems(t.Context(), s.snapshot, p); err != nil || !slices.Equal(got, []string{s.t.ID}) {
		t.Errorf("records of %v, want of %s only: %v", got, s.t.ID, err)
	}
	if _, err := s.ApplyChanges(t.Context(), s.by, s.makers.Ref(), Changes{Creates: []NewRecord{{}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.TablesOfItems(t.Context(), s.snapshot, s.plan(t)); err != nil || len(got) != 2 {
		t.Errorf("records of %v, want of two tables: %v", got, err)
	}
}

func TestAnEditAgainstAnotherBaseThanThePlanShowsIsLeftOut(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	s.change(t, s.sets(2, "title", "mine"), false)
	p := s.plan(t)
	s.page(t, false, s.remote("1", "v2", "theirs"), s.remote("2", "v1", "Kettle 2"))
	s.settle(t, "mine") // the old value is another one now
	if _, err := s.StartPublish(t.Context(), s.by, s.snapshot.ID, p.ID, true, 0); err != nil {
		t.Fatal(err)
	}
	items, _, err := s.Items(t.Context(), s.by, s.snapshot.ID, p.ID, ItemsFilter{State: "left_out"})
	if err != nil || len(items) != 1 || items[0].Record != 1 || items[0].Reason != "changed" {
		t.Errorf("left out: %+v %v", items, err)
	}
}

func TestAcceptedCreatesKeepTheirReferences(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	first := s.change(t, s.created("first"), false).Created[0]
	ch := s.created("second")
	ch.Creates[0].Values[s.col("twins")] = core.ListValue([]string{fmt.Sprintf("~%d", first)})
	second := s.change(t, ch, true).Created[0]
	p, err := s.MakePlan(t.Context(), s.by, s.snapshot.ID, nil, Where{Records: []int64{first}})
	if err != nil {
		t.Fatal(err)
	}
	s.acceptAll(t)
	s.publish(t, s.t, p.ID, "create", 1)
	wantText(t, "the reference", s.value(t, second, "twins"), "77")
}

func TestRevertNamesTheRecordsThatWereChangedSince(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	id := s.change(t, s.created("new"), false).Created[0]
	s.change(t, s.created("other"), false)
	p := s.plan(t)
	s.publish(t, s.t, p.ID, "create", 2)
	s.change(t, s.sets(id, "title", "edited"), false)
	rev, err := s.Revert(t.Context(), s.by, s.snapshot.ID, p.ID)
	if err != nil || rev.Plan.Counts.Deletes != 1 || len(rev.Left) != 1 || rev.Left[0].Record != id {
		t.Errorf("the revert deletes %d and leaves %+v: %v", rev.Plan.Counts.Deletes, rev.Left, err)
	}
}

func TestAKeyThatTheServiceStoredIsTheKey(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	id := s.change(t, s.created("new"), false).Created[0]
	s.change(t, s.sets(id, "code", "sent"), false)
	p := s.plan(t)
	items, err := s.ClaimItems(t.Context(), s.start(t, p.ID), s.t, p.ID, Claim{Op: "create", Limit: 10})
	if err != nil || len(items) != 1 {
		t.Fatal(err)
	}
	s.change(t, s.sets(id, "code", "too late"), false)
	stored := json.RawMessage(fmt.Sprintf(`{"%d": "new", "%d": "sent"}`, s.col("title"), s.col("code")))
	s.outcomes(t, s.t, p.ID, ItemOutcome{Item: items[0].ID, State: "published", RemoteID: "99", Stored: stored, Sent: stored})
	wantText(t, "code", s.value(t, id, "code"), "sent")
	wantCount(t, "edits", s.counts(t).Edits, 0)
}

func TestAnEmptyDocumentThatWasReadIsNoConflict(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, Changes{Deletes: []RecordOp{{Record: 1}}}, false)
	p := s.plan(t)
	items, err := s.ClaimItems(t.Context(), s.start(t, p.ID), s.t, p.ID, Claim{Op: "delete", Limit: 10})
	if err != nil || len(items) != 1 {
		t.Fatal(err)
	}
	read := json.RawMessage(fmt.Sprintf(`{"%d": "theirs", "%d": null}`, s.col("title"), s.col("extra")))
	s.outcomes(t, s.t, p.ID, ItemOutcome{Item: items[0].ID, State: "conflict", RemoteID: "1", Version: "v2", Before: read})
	if r := s.row(t, 1); len(r.Conflicts) != 1 {
		t.Errorf("in conflict are %v, want the title alone", r.Conflicts)
	}
}

func TestWhatAnEarlierSendingReadDoesNotBringBackWhatIsGone(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	p := s.plan(t)
	j := s.start(t, p.ID)
	claim := func() Item {
		items, err := s.ClaimItems(t.Context(), j, s.t, p.ID, Claim{Op: "update", Limit: 10})
		if err != nil || len(items) != 1 {
			t.Fatalf("%d items: %v", len(items), err)
		}
		return items[0]
	}
	it := claim()
	read := json.RawMessage(fmt.Sprintf(`{"%d": "Kettle 1"}`, s.col("title")))
	if err := s.ItemsLeave(t.Context(), j, s.t, []Leaving{{Item: it.ID, Version: "v1", Before: read}}); err != nil {
		t.Fatal(err)
	}
	s.outcomes(t, s.t, p.ID, ItemOutcome{Item: it.ID, State: "planned"})
	s.outcomes(t, s.t, p.ID, ItemOutcome{Item: claim().ID, State: "conflict", Reason: DeletedThere, RemoteID: "1"})
	if r := s.row(t, 1); r.RecordConflict != "deleted_there" {
		t.Errorf("the record is gone at the service, and the conflict is %q", r.RecordConflict)
	}
}

func TestARecordThatIsNewAgainWhenItsDeleteIsTakenOverIsCountedOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := mustShop(t)
	del := s.change(t, Changes{Deletes: []RecordOp{{Record: 1}}}, false)
	p := s.plan(t)
	j := s.start(t, p.ID)
	items, err := s.ClaimItems(ctx, j, s.t, p.ID, Claim{Op: "delete", Limit: 10})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items: %v", len(items), err)
	}
	if err := s.SaveOutcomes(ctx, s.t, []ItemOutcome{{Item: items[0].ID, State: "published", RemoteID: "1"}}); err != nil {
		t.Fatal(err)
	}
	// Before this is taken over a refresh sees that the record is gone, and somebody takes the delete back.
	if _, err := s.inBatch(ctx, s.by, s.t.Ref(), newBatch{Kind: "refresh", Label: "Refresh"}, func(b *batchTxn) error {
		return b.removeClean(ctx, []string{"1"}, &MergeCounts{})
	}); err != nil {
		t.Fatal(err)
	}
	s.undo(t, del.Batch)
	if got := s.state(t, 1); got != core.Created {
		t.Fatalf("the record that came back is %v", got)
	}
	if err := s.MergeOutcomes(ctx, s.by, s.t, p.ID); err != nil {
		t.Fatal(err)
	}
	now, err := s.TableByID(ctx, s.by, s.t.Ref())
	if err != nil || s.state(t, 1) != core.Created || *now.Counts.Created != 1 {
		t.Errorf("the record is %v, and %d are counted as new: %v", s.state(t, 1), *now.Counts.Created, err)
	}
}
