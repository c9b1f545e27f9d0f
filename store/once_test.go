package store

import (
	"context"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

// try begins a request with a key, as after a crash of the process that began it before.
func (k kettles) try(t *testing.T, key string) (context.Context, Once) {
	t.Helper()
	if err := k.EndTries(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := k.BeginOnce(t.Context(), k.by, key, "POST /x", []byte("hash"))
	if err != nil || o.Done {
		t.Fatalf("the request does not begin: %+v %v", o, err)
	}
	return o.Context(t.Context()), o
}

func TestARequestWhoseAnswerWasLostDoesNothingTwice(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	create := Changes{Creates: []NewRecord{{Values: map[int]core.Value{k.col("title"): core.TextValue("new")}}}}
	ctx, _ := k.try(t, "create")
	first, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), create, ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, o := k.try(t, "create")
	again, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), create, ChangeOptions{})
	if err != nil || again.Batch != first.Batch || again.Cells != first.Cells || len(again.Created) != 1 || again.Created[0] != first.Created[0] {
		t.Errorf("it answers %+v, want %+v: %v", again, first, err)
	}
	wantCount(t, "created", k.counts(t).Created, 1)
	if err := k.EndOnce(t.Context(), k.by, o, 200, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if known, err := k.BeginOnce(t.Context(), k.by, "create", "POST /x", []byte("hash")); err != nil || !known.Done || known.Status != 200 {
		t.Errorf("the answer is %+v: %v", known, err)
	}

	if err := k.DropOldTries(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if known, err := k.BeginOnce(t.Context(), k.by, "create", "POST /x", []byte("hash")); err != nil || !known.Done {
		t.Errorf("a young one is forgotten: %+v %v", known, err)
	}
	if err := k.DropOldTries(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if known, err := k.BeginOnce(t.Context(), k.by, "create", "POST /x", []byte("hash")); err != nil || known.Done {
		t.Errorf("an old one is still known: %+v %v", known, err)
	}

	undone := map[string]BatchResult{}
	for range 2 {
		ctx, _ := k.try(t, "undo")
		res, err := k.UndoNext(ctx, k.by, k.snapshot.ID)
		if err != nil {
			t.Fatal(err)
		}
		if old, ok := undone["undo"]; ok && old.Batch != res.Batch {
			t.Errorf("it undid batch %d and batch %d", old.Batch, res.Batch)
		}
		undone["undo"] = res
	}
	wantCount(t, "created", k.counts(t).Created, 0)

	k.set(t, 1, "title", core.TextValue("edited"))
	plans := map[string]bool{}
	for range 2 {
		ctx, _ := k.try(t, "plan")
		p, err := k.MakePlan(ctx, k.by, k.snapshot.ID, nil, Where{})
		if err != nil {
			t.Fatal(err)
		}
		plans[p.ID] = true
	}
	if len(plans) != 1 {
		t.Errorf("one request made the plans %v", plans)
	}
}

func TestATryThatWasGivenUpCannotCommit(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	old, _ := k.try(t, "edit")
	edit := Changes{Sets: []CellEdit{{Record: 1, Column: k.col("title"), Value: core.TextValue("late")}}}
	ctx, _ := k.try(t, "edit")
	if _, err := k.ApplyChanges(old, k.by, k.t.Ref(), edit, ChangeOptions{}); core.CodeOf(err) != core.Busy {
		t.Errorf("the earlier try came to %v", err)
	}
	wantCount(t, "edits", k.counts(t).Edits, 0)
	if _, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), edit, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	wantCount(t, "edits", k.counts(t).Edits, 1)
	if _, err := k.BeginOnce(t.Context(), k.by, "edit", "POST /x", []byte("hash")); core.CodeOf(err) != core.Busy {
		t.Errorf("while it runs the same request is answered %v", err)
	}
}

func TestAFailedTryCanBeMadeAgainAtOnceUnlessItDidSomething(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	_, o := k.try(t, "edit")
	if err := k.DropOnce(t.Context(), k.by, o); err != nil {
		t.Fatal(err)
	}
	again, err := k.BeginOnce(t.Context(), k.by, "edit", "POST /x", []byte("hash"))
	if err != nil {
		t.Fatal(err)
	}
	edit := Changes{Sets: []CellEdit{{Record: 1, Column: k.col("title"), Value: core.TextValue("new")}}}
	res, err := k.ApplyChanges(again.Context(t.Context()), k.by, k.t.Ref(), edit, ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The answer to the commit is lost: the handler thinks that it failed.
	if err := k.DropOnce(t.Context(), k.by, again); err != nil {
		t.Fatal(err)
	}
	third, err := k.BeginOnce(t.Context(), k.by, "edit", "POST /x", []byte("hash"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := k.ApplyChanges(third.Context(t.Context()), k.by, k.t.Ref(), edit, ChangeOptions{})
	if err != nil || known.Batch != res.Batch {
		t.Errorf("it made batch %d and then %d: %v", res.Batch, known.Batch, err)
	}
}
