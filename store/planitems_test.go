package store

import (
	"testing"

	"scratchpaper/internal/core"
)

func TestPlanItemsAreChosenByGroupRecordAndFilter(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 4)
	for id, price := range map[int64]string{1: "5", 2: "5", 3: "6"} {
		k.set(t, id, "price", core.TextValue(price))
	}
	if _, err := k.DeleteWhere(t.Context(), k.by, k.t.Ref(), Where{Records: []int64{4}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	p, err := k.MakePlan(t.Context(), k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	items, _, err := k.Items(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsFilter{})
	if err != nil || len(items) != 4 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	price := k.col("price")
	five, six := items[0].Groups[price], items[2].Groups[price]
	if five == "" || five != items[1].Groups[price] || five == six || items[3].Op != "delete" || items[3].Groups != nil {
		t.Fatalf("the groups are %v %v %v %v", items[0].Groups, items[1].Groups, items[2].Groups, items[3].Groups)
	}
	if list, _, err := k.Items(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsFilter{Group: five}); err != nil || len(list) != 2 {
		t.Errorf("the group has %d items: %v", len(list), err)
	}
	for _, c := range []struct {
		what string
		w    ItemsWhere
		left int64
	}{
		{"a group", ItemsWhere{Group: five}, 2},
		{"no record", ItemsWhere{Records: []int64{}}, 0},
		{"no item", ItemsWhere{Items: []int64{}}, 0},
		{"a record", ItemsWhere{Records: []int64{3}}, 1},
		{"a filter", ItemsWhere{Filter: "price == 5"}, 2},
		{"a filter on deleted records", ItemsWhere{Filter: "deleted()"}, 1},
		{"a group and a record of another", ItemsWhere{Group: five, Records: []int64{3}}, 0},
		{"everything", ItemsWhere{Filter: "true"}, 4},
	} {
		out, err := k.TickItems(t.Context(), k.by, k.snapshot.ID, p.ID, c.w, false)
		if err != nil || out.Counts.LeftOut != c.left {
			t.Errorf("%s leaves out %d, want %d: %v", c.what, out.Counts.LeftOut, c.left, err)
		}
		if back, err := k.TickItems(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsWhere{Filter: "true"}, true); err != nil || back.Counts.LeftOut != 0 {
			t.Fatalf("%d stay left out: %v", back.Counts.LeftOut, err)
		}
	}
	if _, err := k.TickItems(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsWhere{Filter: "nope"}, false); core.CodeOf(err) != core.Invalid {
		t.Errorf("a bad filter gives %v", err)
	}
}
