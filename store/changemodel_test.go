package store

import (
	"context"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

// shop is a snapshot of kettles and makers with references between them, as the property test's world has it.
type shop struct {
	kettles
	makers Table
}

func mustShop(t *testing.T) shop {
	t.Helper()
	ctx := t.Context()
	k := kettles{Store: mustStore(t), by: core.Local()}
	sn, job, err := k.CreateSnapshot(ctx, k.by, NewSnapshot{Name: "Spring", Tables: shopTables(mustConnection(t, k.Store).ID, true)})
	if err != nil {
		t.Fatal(err)
	}
	k.snapshot, k.t = sn, sn.Tables[0]
	if k.job, _, err = k.TakeJob(ctx, job.ID, "worker", time.Hour); err != nil || k.job == nil {
		t.Fatalf("job not taken: %v", err)
	}
	s := shop{kettles: k, makers: sn.Tables[1]}
	s.page(t, true, s.remote("1", "v1", "Kettle 1"), s.remote("2", "v1", "Kettle 2"), s.remote("3", "v1", "Kettle 3"))
	return s
}

// remote is a kettle as the service holds it.
func (s shop) remote(id, version, title string) RemoteRecord {
	return RemoteRecord{ID: id, Version: version, Values: []core.Value{core.TextValue(title), core.TextValue("1"), core.NullValue, core.NullValue, core.NullValue, core.TextValue("c" + id)}}
}

// page merges a page of kettles; first is the download.
func (s shop) page(t *testing.T, first bool, records ...RemoteRecord) MergeCounts {
	t.Helper()
	c, err := s.MergePage(t.Context(), s.job, PageMerge{Table: s.t, Columns: s.t.Columns, Records: records, First: first, Checkpoint: map[string]int{}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s shop) change(t *testing.T, ch Changes, suggest bool) BatchResult {
	t.Helper()
	res, err := s.ApplyChanges(t.Context(), s.by, s.t.Ref(), ch, ChangeOptions{Suggest: suggest})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s shop) sets(record int64, slug, value string) Changes {
	return Changes{Sets: []CellEdit{{Record: record, Column: s.col(slug), Value: core.TextValue(value)}}}
}

func (s shop) acceptAll(t *testing.T) BatchResult { return s.all(t, s.AcceptSuggestions) }

func (s shop) rejectAll(t *testing.T) BatchResult { return s.all(t, s.RejectSuggestions) }

// all decides every open suggestion.
func (s shop) all(t *testing.T, decide func(context.Context, core.Actor, TableRef, Where) (BatchResult, error)) BatchResult {
	t.Helper()
	res, err := decide(t.Context(), s.by, s.t.Ref(), Where{Filter: "true"})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s shop) settle(t *testing.T, as string) BatchResult {
	t.Helper()
	res, err := s.SettleConflicts(t.Context(), s.by, s.t.Ref(), Where{Filter: "true"}, as)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s shop) undo(t *testing.T, batch int64) BatchResult {
	t.Helper()
	res, err := s.UndoBatch(t.Context(), s.by, s.snapshot.ID, batch)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s shop) wantOpen(t *testing.T, when string, want int) {
	t.Helper()
	list, _, err := s.Suggestions(t.Context(), s.by, s.t.Ref(), Where{}, 0, 100)
	if err != nil || len(list) != want {
		t.Errorf("%s %d suggestions are open, want %d: %v", when, len(list), want, err)
	}
	wantCount(t, when+" suggestions", s.counts(t).Suggestions, int64(want))
}

func (s shop) state(t *testing.T, record int64) core.RecordState {
	t.Helper()
	return s.row(t, record).State
}

func (s shop) created(title string) Changes {
	return Changes{Creates: []NewRecord{{Values: map[int]core.Value{s.col("title"): core.TextValue(title)}}}}
}

func TestRedoOfARejectRefusesAgain(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "X"), true)
	s.change(t, s.created("new"), true)
	rej := s.rejectAll(t)
	s.wantOpen(t, "after the reject", 0)
	s.undo(t, rej.Batch)
	s.wantOpen(t, "after its undo", 2)
	if _, err := s.RedoNext(t.Context(), s.by, s.snapshot.ID); err != nil {
		t.Fatal(err)
	}
	s.wantOpen(t, "after the redo", 0)
	if res := s.change(t, s.sets(1, "title", "X"), true); res.Batch != 0 {
		t.Error("a value that was refused again is proposed again")
	}
	s.undo(t, rej.Batch)
	s.wantOpen(t, "after the second undo", 2)
}

func TestUndoOfARedoUndoesWhatWasDoneFirst(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	edit := s.change(t, s.sets(1, "title", "X"), false)
	undo := s.undo(t, edit.Batch)
	redo := s.undo(t, undo.Batch)
	wantText(t, "redone", s.value(t, 1, "title"), "X")
	s.undo(t, redo.Batch)
	wantText(t, "undone", s.value(t, 1, "title"), "Kettle 1")
	if _, err := s.UndoNext(t.Context(), s.by, s.snapshot.ID); core.CodeOf(err) != core.Conflict {
		t.Errorf("the edit is offered to undo although it is undone: %v", err)
	}
}

func TestAnUndoThatCanTakeNothingBackIsPassedByNextTime(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "stock", "5"), false)
	s.change(t, s.sets(1, "title", "mine"), false)
	bo := s.by
	bo.Person = "per_bo"
	if _, err := s.ApplyChanges(t.Context(), bo, s.t.Ref(), s.sets(1, "title", "his"), ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	res, err := s.UndoNext(t.Context(), s.by, s.snapshot.ID)
	if err != nil || len(res.Left) != 1 {
		t.Fatalf("left %+v: %v", res.Left, err)
	}
	if _, err := s.UndoNext(t.Context(), s.by, s.snapshot.ID); err != nil {
		t.Fatal(err)
	}
	wantText(t, "stock", s.value(t, 1, "stock"), "1")
}

func TestUndoOfAnAcceptedCreateProposesTheRecordAgain(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	id := s.change(t, s.created("new"), true).Created[0]
	acc := s.acceptAll(t)
	undo := s.undo(t, acc.Batch)
	if got := s.state(t, id); got != core.Proposed {
		t.Errorf("the record is %s after the undo", got)
	}
	s.wantOpen(t, "after the undo", 1)
	wantCount(t, "records", s.counts(t).Records, 3)
	s.undo(t, undo.Batch)
	if got := s.state(t, id); got != core.Created {
		t.Errorf("the record is %s after the redo", got)
	}
	s.wantOpen(t, "after the redo", 0)
	wantCount(t, "created", s.counts(t).Created, 1)
}

func TestUndoOfAnEditWithItsDeleteTakesTheEditBackToo(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	ch := s.sets(1, "title", "X")
	ch.Deletes = []RecordOp{{Record: 1}}
	res := s.change(t, ch, false)
	if undo := s.undo(t, res.Batch); len(undo.Left) != 0 {
		t.Errorf("left %+v", undo.Left)
	}
	wantText(t, "title", s.value(t, 1, "title"), "Kettle 1")
	wantCount(t, "edits", s.counts(t).Edits, 0)
}

func TestABulkEditToWhatTheServiceHoldsEndsTheConflict(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	s.page(t, false, s.remote("1", "v2", "theirs"))
	res, err := s.FillWhere(t.Context(), s.by, s.t.Ref(), Where{Records: []int64{1}}, map[int]core.Value{s.col("title"): core.TextValue("theirs")}, ChangeOptions{})
	if err != nil || res.Cells != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	if r := s.row(t, 1); len(r.Base) > 0 || len(r.Conflicts) > 0 {
		t.Errorf("the cell holds what the service does, and is an edit (%v) in conflict (%v)", r.Base, r.Conflicts)
	}
}

func TestARecordThatComesBackTakesWhatTheServiceChanged(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "stock", "7"), false)
	del := s.change(t, Changes{Deletes: []RecordOp{{Record: 1}}}, false)
	s.page(t, false, s.remote("1", "v2", "theirs"))
	wantCount(t, "conflicts", s.counts(t).Conflicts, 1)
	undo := s.undo(t, del.Batch)
	wantText(t, "title", s.value(t, 1, "title"), "theirs")
	wantText(t, "the edit", s.value(t, 1, "stock"), "7")
	if r := s.row(t, 1); len(r.Conflicts) > 0 || r.RecordConflict != "" {
		t.Errorf("a clean cell is in conflict: %v %s", r.Conflicts, r.RecordConflict)
	}
	wantCount(t, "conflicts", s.counts(t).Conflicts, 0)
	wantCount(t, "edits", s.counts(t).Edits, 1)
	s.undo(t, undo.Batch)
	if r := s.row(t, 1); r.State != core.Deleted || r.RecordConflict != "changed_there" {
		t.Errorf("after the redo the record is %s, in conflict %q", r.State, r.RecordConflict)
	}
}

func TestADecidedConflictOfARecordCanBeUndone(t *testing.T) {
	t.Parallel()
	gone := func(t *testing.T) shop {
		s := mustShop(t)
		s.change(t, s.sets(1, "title", "mine"), false)
		if _, err := s.RemoveGone(t.Context(), s.job, s.t, []string{"1"}, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	changed := func(t *testing.T) shop {
		s := mustShop(t)
		s.change(t, Changes{Deletes: []RecordOp{{Record: 1}}}, false)
		s.page(t, false, s.remote("1", "v2", "theirs"))
		return s
	}
	for name, c := range map[string]struct {
		in   func(t *testing.T) shop
		as   string
		kind string
		want core.RecordState
	}{
		"gone there, mine":      {gone, "mine", "deleted_there", core.Created},
		"changed there, mine":   {changed, "mine", "changed_there", core.Deleted},
		"changed there, theirs": {changed, "theirs", "changed_there", core.Existing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.in(t)
			before, counts := s.row(t, 1), s.counts(t)
			settled := s.settle(t, c.as)
			if r := s.row(t, 1); r.State != c.want || r.RecordConflict != "" {
				t.Fatalf("settled as %s it is %s, in conflict %q", c.as, r.State, r.RecordConflict)
			}
			wantCount(t, "conflicts", s.counts(t).Conflicts, 0)
			undo := s.undo(t, settled.Batch)
			after := s.row(t, 1)
			if after.State != before.State || after.RecordConflict != c.kind || after.RemoteID != "1" || len(after.Base) != len(before.Base) {
				t.Errorf("before %+v, after the undo %+v", before, after)
			}
			sameCounts(t, counts, s.counts(t))
			s.undo(t, undo.Batch)
			if r := s.row(t, 1); r.State != c.want || r.RecordConflict != "" {
				t.Errorf("after the redo it is %s, in conflict %q", r.State, r.RecordConflict)
			}
		})
	}
}

func sameCounts(t *testing.T, a, b core.Counts) {
	t.Helper()
	if *a.Records != *b.Records || *a.Edits != *b.Edits || *a.Created != *b.Created || *a.Deleted != *b.Deleted || *a.Conflicts != *b.Conflicts || *a.Suggestions != *b.Suggestions {
		t.Errorf("the counts were %v %v %v %v %v %v, and are %v %v %v %v %v %v", *a.Records, *a.Edits, *a.Created, *a.Deleted, *a.Conflicts, *a.Suggestions,
			*b.Records, *b.Edits, *b.Created, *b.Deleted, *b.Conflicts, *b.Suggestions)
	}
}

func TestARecordThatIsGoneThereCanBeDeletedHere(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	if _, err := s.RemoveGone(t.Context(), s.job, s.t, []string{"1"}, nil); err != nil {
		t.Fatal(err)
	}
	s.change(t, Changes{Deletes: []RecordOp{{Record: 1}}}, false)
	wantCount(t, "conflicts", s.counts(t).Conflicts, 0)
	if _, err := s.RemoveGone(t.Context(), s.job, s.t, []string{"1"}, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Rows(t.Context(), s.by, s.t.Ref(), []int64{1}, RowOptions{})
	if err != nil || len(rows) != 0 {
		t.Errorf("deleted on both sides, and still here: %+v %v", rows, err)
	}
	wantCount(t, "deleted", s.counts(t).Deleted, 0)
}

func TestTheirsOfARecordThatIsGoneTakesItsSuggestionsAlong(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	s.change(t, s.sets(1, "title", "mine"), false)
	s.change(t, s.sets(1, "stock", "9"), true)
	if _, err := s.RemoveGone(t.Context(), s.job, s.t, []string{"1"}, nil); err != nil {
		t.Fatal(err)
	}
	s.settle(t, "theirs")
	s.wantOpen(t, "of a record that is not here", 0)
	wantCount(t, "edits", s.counts(t).Edits, 0)
	wantCount(t, "conflicts", s.counts(t).Conflicts, 0)
}

func TestARecordThatIsNotProposedAnyMoreTakesItsSuggestionsAlong(t *testing.T) {
	t.Parallel()
	s := mustShop(t)
	made := s.change(t, s.created("new"), true)
	acc := s.acceptAll(t)
	s.change(t, Changes{Deletes: []RecordOp{{Record: made.Created[0]}}}, true)
	s.undo(t, acc.Batch)
	s.wantOpen(t, "after the undo", 2)
	undo := s.undo(t, made.Batch)
	s.wantOpen(t, "of a record that is not proposed any more", 0)
	rows, err := s.Rows(t.Context(), s.by, s.t.Ref(), made.Created, RowOptions{})
	if err != nil || len(rows) != 0 {
		t.Errorf("the record is still there: %+v %v", rows, err)
	}
	s.undo(t, undo.Batch)
	s.wantOpen(t, "after the redo", 2)
}
