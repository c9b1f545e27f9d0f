package store

import (
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

// TestAPartOfAListHoldsWhatFits walks through every list whose items hold values, with texts of 600 bytes and room for 1,600: of what a limit of 10 asks for
// only some fit, what follows is said, and nothing is left out between two parts.
func TestAPartOfAListHoldsWhatFits(t *testing.T) {
	t.Parallel()
	const n, size = 3, 600
	k := mustKettles(t, n)
	k.listBytes = 1600
	ctx, ref, title := t.Context(), k.t.Ref(), k.col("title")
	text := func(letter string) core.Value { return core.TextValue(strings.Repeat(letter, size)) }
	for i, letter := range []string{"a", "b", "c"} {
		k.set(t, int64(i+1), "title", text(letter))
		if _, err := k.ApplyChanges(ctx, k.by, ref, Changes{Sets: []CellEdit{{Record: int64(i + 1), Column: title, Value: text(strings.ToUpper(letter))}}}, ChangeOptions{Suggest: true}); err != nil {
			t.Fatal(err)
		}
	}
	k.set(t, 1, "title", text("z"))
	k.set(t, 1, "title", text("y"))
	p, err := k.MakePlan(ctx, k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}

	o, err := k.Order(ctx, k.by, ref, View{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	walk := func(what string, wantMost, wantAll int, part func(after int64) (held int, next int64, err error)) {
		t.Helper()
		all, parts := 0, 0
		for after := int64(0); ; parts++ {
			held, next, err := part(after)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if all += held; held == 0 || held > wantMost {
				t.Fatalf("%s: a part holds %d", what, held)
			}
			if after = next; next == 0 {
				break
			}
		}
		if all != wantAll || parts == 0 {
			t.Errorf("%s: %d in all, want %d; further parts: %d", what, all, wantAll, parts)
		}
	}
	walk("records", 1, n, func(after int64) (int, int64, error) { // each holds its value, its base and a suggestion
		rows, taken, err := k.RowsThatFit(ctx, k.by, ref, o.IDs(int(after), int(after)+10), RowOptions{})
		next := after + int64(taken)
		if len(rows) > 0 && rows[0].ID != after+1 {
			t.Errorf("part %d begins with record %d", after, rows[0].ID)
		}
		if next == n {
			next = 0
		}
		return len(rows), next, err
	})
	walk("suggestions", 1, n, func(after int64) (int, int64, error) {
		list, next, err := k.Suggestions(ctx, k.by, ref, Where{}, after, 10)
		return len(list), next, err
	})
	walk("items", 2, n, func(after int64) (int, int64, error) {
		list, next, err := k.Items(ctx, k.by, k.snapshot.ID, p.ID, ItemsFilter{After: after, Limit: 10})
		return len(list), next, err
	})
	spans := func(read func(Span) (int, bool, error)) func(int64) (int, int64, error) {
		return func(after int64) (int, int64, error) {
			held, more, err := read(Span{Offset: int(after), Limit: 10})
			if more {
				return held, after + int64(held), err
			}
			return held, 0, err
		}
	}
	walk("history", 2, 3, spans(func(s Span) (int, bool, error) {
		list, more, err := k.RecordHistory(ctx, k.by, ref, 1, -1, s)
		return len(list), more, err
	}))
	walk("groups of suggestions", 1, n, spans(func(s Span) (int, bool, error) {
		list, more, err := k.SuggestionGroups(ctx, k.by, ref, Where{}, s)
		return len(list), more, err
	}))
	walk("values of a column", 2, n, spans(func(s Span) (int, bool, error) {
		list, more, err := k.Facets(ctx, k.by, ref, View{}, title, "", s)
		return len(list), more, err
	}))
	if groups, more, err := k.PlanGroups(ctx, k.by, k.snapshot.ID, p.ID, 10); err != nil || !more || len(groups) == 0 || len(groups) > 2 {
		t.Errorf("groups of the plan: %d, more: %v, %v", len(groups), more, err)
	}

	rows, taken, err := k.RowsThatFit(ctx, k.by, ref, []int64{3, 99, 2, 1}, RowOptions{Columns: []int{k.col("price")}}) // one of them is gone
	if err != nil || taken != 3 || len(rows) != 2 {
		t.Errorf("without the column %d of the ids are taken, %d records: %v", taken, len(rows), err)
	}
}
