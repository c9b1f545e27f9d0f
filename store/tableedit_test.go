package store

import (
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

func pointer[T any](v T) *T { return &v }

// lock sets a column's locks and takes the table over as it is then.
func (k *kettles) lock(t *testing.T, slug string, locks ...core.Lock) {
	t.Helper()
	var err error
	if k.t, err = k.EditTable(t.Context(), k.by, k.t.Ref(), TableEdit{Columns: []ColumnEdit{{Number: k.col(slug), Locks: &locks}}}); err != nil {
		t.Fatal(err)
	}
}

func TestATablesOwnDescriptionCanBeChanged(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	got, err := k.EditTable(t.Context(), k.by, k.t.Ref(), TableEdit{Title: pointer(" Pots "), Description: pointer("What boils."),
		Columns: []ColumnEdit{{Number: k.col("price"), Title: pointer("Price, net"), Width: pointer(90)}, {Number: k.col("title"), Description: pointer("As on the box.")}}})
	if err != nil {
		t.Fatal(err)
	}
	price, _ := got.ColumnBySlug("price")
	title, _ := got.ColumnBySlug("title")
	if got.Title != "Pots" || got.Description != "What boils." || price.Title != "Price, net" || price.Width != 90 || title.Title != "title" || title.Description != "As on the box." {
		t.Errorf("the table is %q %q, price %q %d, title %q %q", got.Title, got.Description, price.Title, price.Width, title.Title, title.Description)
	}
}

func TestAWrongChangeOfATableNamesItsFieldAndChangesNothing(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	long := strings.Repeat("x", 201)
	for pointerWanted, e := range map[string]TableEdit{
		"/name":            {Title: pointer("  ")},
		"/columns/1/title": {Title: pointer("Pots"), Columns: []ColumnEdit{{Number: k.col("title")}, {Number: k.col("price"), Title: &long}}},
		"/columns/0/id":    {Title: pointer("Pots"), Columns: []ColumnEdit{{Number: 99}}},
		"/columns/0/locks": {Title: pointer("Pots"), Columns: []ColumnEdit{{Number: k.col("price"), Locks: &[]core.Lock{"shut"}}}},
		"/columns/0/width": {Title: pointer("Pots"), Columns: []ColumnEdit{{Number: k.col("price"), Width: pointer(-1)}}},
	} {
		_, err := k.EditTable(t.Context(), k.by, k.t.Ref(), e)
		if e, ok := err.(*core.Error); !ok || len(e.Fields) != 1 || e.Fields[0].Pointer != pointerWanted {
			t.Errorf("%s: %v", pointerWanted, err)
		}
	}
	if got, _ := k.TableByID(t.Context(), k.by, k.t.Ref()); got.Title != "Kettles" {
		t.Errorf("the title is %q", got.Title)
	}
}

func TestALockedColumnIsNotEditedAndWhatWasEditedIsStillPublished(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 2)
	k.set(t, 1, "title", core.TextValue("Red"))
	k.lock(t, "title", core.ReadOnly)
	res, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 2, Column: k.col("title"), Value: core.TextValue("Blue")}}}, ChangeOptions{})
	if err != nil || len(res.Refused) != 1 || !strings.Contains(res.Refused[0].Reason, "locked here") {
		t.Errorf("an edit gives %+v, %v", res.Refused, err)
	}
	if c, _ := k.t.ColumnBySlug("title"); c.Writable || c.WhyNot == "" {
		t.Errorf("the column is %+v", c)
	}
	p, err := k.MakePlan(t.Context(), k.by, k.snapshot.ID, nil, Where{})
	if err != nil || p.Counts.Updates != 1 {
		t.Errorf("the plan has %d updates: %v", p.Counts.Updates, err)
	}
	k.lock(t, "title")
	k.set(t, 2, "title", core.TextValue("Blue"))
}

func TestANewRecordIsPublishedWithItsLockedColumns(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	res, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Creates: []NewRecord{{Values: map[int]core.Value{k.col("title"): core.TextValue("New"),
		k.col("price"): core.TextValue("3")}}}}, ChangeOptions{})
	if err != nil || len(res.Created) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	k.lock(t, "title", core.ReadOnly)
	k.lock(t, "price", core.NeverPublish)
	p, err := k.MakePlan(t.Context(), k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	items, _, err := k.Items(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsFilter{})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if _, has := items[0].Fields[k.col("title")]; !has {
		t.Error("the locked title is not sent")
	}
	if _, has := items[0].Fields[k.col("price")]; has {
		t.Error("the price is sent that is never to be published")
	}
}

func TestAColumnThatIsNeverPublishedKeepsItsEdits(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 2)
	k.lock(t, "price", core.NeverPublish)
	k.set(t, 1, "price", core.TextValue("3"))
	k.set(t, 2, "price", core.TextValue("4"))
	k.set(t, 2, "title", core.TextValue("Blue"))
	p, err := k.MakePlan(t.Context(), k.by, k.snapshot.ID, nil, Where{})
	if err != nil || p.Counts.Updates != 1 {
		t.Fatalf("the plan has %d updates: %v", p.Counts.Updates, err)
	}
	items, _, _ := k.Items(t.Context(), k.by, k.snapshot.ID, p.ID, ItemsFilter{})
	if _, has := items[0].Fields[k.col("price")]; has || items[0].Record != 2 {
		t.Errorf("the plan has %+v", items[0])
	}
	wantCount(t, "edits", k.counts(t).Edits, 3)
	locks := []core.Lock{core.NeverPublish}
	if _, err := k.EditTable(t.Context(), k.by, k.t.Ref(), TableEdit{Columns: []ColumnEdit{{Number: k.col("id"), Locks: &locks}}}); core.CodeOf(err) != core.Invalid {
		t.Errorf("the key can be kept from publishing: %v", err)
	}
}

func TestViewsAreSavedChangedAndForgotten(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	ctx, ref := t.Context(), k.t.Ref()
	made, err := k.CreateView(ctx, k.by, ref, " Cheap ", ViewDefinition{Filter: "price < 30", Sort: []SortKey{{Column: k.col("price"), Descending: true}},
		Columns: []ViewColumn{{Column: k.col("title"), Width: 200}, {Column: k.col("price")}}, Frozen: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.EditView(ctx, k.by, ref, made.ID, ViewEdit{Name: pointer("Dear"), View: &ViewDefinition{Filter: "price > 30"}}); err != nil {
		t.Fatal(err)
	}
	list, err := k.Views(ctx, k.by, ref)
	if err != nil || len(list) != 1 || made.Name != "Cheap" || made.View.Sort[0] != (SortKey{k.col("price"), true}) || len(made.View.Columns) != 2 ||
		list[0].Name != "Dear" || list[0].View.Filter != "price > 30" || list[0].View.Columns != nil {
		t.Errorf("made %+v, then %+v, %v", made, list, err)
	}
	for what, d := range map[string]ViewDefinition{"a bad filter": {Filter: "price <"}, "a column twice": {Columns: []ViewColumn{{Column: 2}, {Column: 2}}},
		"too many frozen": {Columns: []ViewColumn{{Column: 2}}, Frozen: 2}, "a negative width": {Columns: []ViewColumn{{Column: 2, Width: -1}}}} {
		if _, err := k.CreateView(ctx, k.by, ref, "x", d); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := k.DeleteView(ctx, k.by, ref, made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ViewByID(ctx, k.by, ref, made.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAggregatesAreExactAndOfTheChosenRecords(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 4)
	k.set(t, 1, "price", core.TextValue("12345678901234567890.12"))
	k.set(t, 2, "price", core.NullValue)
	if _, err := k.DeleteWhere(t.Context(), k.by, k.t.Ref(), Where{Records: []int64{4}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	cols := []int{k.col("price"), k.col("title"), k.col("made"), k.col("extra")}
	got, err := k.Aggregate(t.Context(), k.by, k.t.Ref(), Where{Filter: "true"}, cols, Functions)
	if err != nil {
		t.Fatal(err)
	}
	price, title, made := got.Values[k.col("price")], got.Values[k.col("title")], got.Values[k.col("made")]
	if got.Records != 3 {
		t.Errorf("there are %d records", got.Records)
	}
	for what, pair := range map[string][2]string{"count": {price[Count].Text, "2"}, "sum": {price[Sum].Text, "12345678901234567919.12"},
		"average": {price[Average].Text, "6172839450617283959.56"}, "min": {price[Min].Text, "29.00"}, "max": {price[Max].Text, "12345678901234567890.12"},
		"max of a text": {title[Max].Text, "Kettle 2"}, "min of a date": {made[Min].Text, "2026-01-02"}} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %s, want %s", what, pair[0], pair[1])
		}
	}
	if _, has := title[Sum]; has || len(got.Values[k.col("extra")]) != 1 {
		t.Errorf("text %v, JSON %v", title, got.Values[k.col("extra")])
	}
	one, err := k.Aggregate(t.Context(), k.by, k.t.Ref(), Where{Records: []int64{2}}, cols[:1], Functions)
	if err != nil || one.Records != 1 || !one.Values[k.col("price")][Sum].IsNull() {
		t.Errorf("of a null: %+v, %v", one, err)
	}
	if _, err := k.Aggregate(t.Context(), k.by, k.t.Ref(), Where{}, cols, Functions); core.CodeOf(err) != core.Invalid {
		t.Errorf("an empty where gives %v", err)
	}
}

func TestARecordsWhereTakesBatchesGroupsAndSuggestions(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 4)
	edit := k.set(t, 2, "title", core.TextValue("Red"))
	suggest, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 3, Column: k.col("title"), Value: core.TextValue("Blue")},
		{Record: 4, Column: k.col("title"), Value: core.TextValue("Green")}}}, ChangeOptions{Suggest: true})
	if err != nil {
		t.Fatal(err)
	}
	open, _, err := k.Suggestions(t.Context(), k.by, k.t.Ref(), Where{}, 0, 10)
	if err != nil || len(open) != 2 {
		t.Fatalf("%d suggestions, %v", len(open), err)
	}
	groups, _, err := k.SuggestionGroups(t.Context(), k.by, k.t.Ref(), Where{}, First(10))
	if err != nil || len(groups) != 2 {
		t.Fatalf("%d groups, %v", len(groups), err)
	}
	for what, c := range map[string]struct {
		w    Where
		want int64
	}{
		"a batch of edits":            {Where{Batch: edit.Batch}, 1},
		"a batch of suggestions":      {Where{Batch: suggest.Batch}, 2},
		"a batch and a record in it":  {Where{Batch: suggest.Batch, Records: []int64{3}}, 1},
		"a batch and another record":  {Where{Batch: edit.Batch, Records: []int64{3}}, 0},
		"a suggestion":                {Where{IDs: []int64{open[0].ID}}, 1},
		"a group":                     {Where{Group: groups[0].Key}, 1},
		"a filter that holds nowhere": {Where{Batch: suggest.Batch, Filter: "price > 100"}, 0},
	} {
		got, err := k.Aggregate(t.Context(), k.by, k.t.Ref(), c.w, nil, nil)
		if err != nil || got.Records != c.want {
			t.Errorf("%s: %d records, want %d, %v", what, got.Records, c.want, err)
		}
	}
}
