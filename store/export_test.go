package store

import (
	"slices"
	"testing"

	"scratchpaper/internal/core"
)

// What is exported is what is shown, of every type and in the view's order, without records that are deleted or only proposed.
func TestAnExportHasTheValuesOfTheRecords(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	odd := func(id string, values ...core.Value) RemoteRecord {
		return RemoteRecord{ID: id, Version: "1", Values: append([]core.Value{core.TextValue(id)}, values...)}
	}
	text, null := core.TextValue, core.NullValue
	recs := []RemoteRecord{
		odd("10", null, null, null, null, null, null, null),
		odd("11", text(""), text("0"), text("true"), core.ListValue([]string{}), text("infinity"), text("-infinity"), text(`[]`)),
		odd("12", text("a \"b\"\nü"), text("123456789012345678901234567890.000"), text("false"), core.ListValue([]string{`x,"y"`, "<z>"}), text("0044-03-15 BC"),
			text("0044-03-15T12:00:00.120+00:00 BC"), text(`{"b": "<", "a": [1, 2.50]}`)),
		odd("13", text("x"), text("-0.10"), text("true"), core.ListValue([]string{"a"}), text("9999-12-31"), text("2026-07-01T23:59:59.999999+00:00"), text(`"t"`)),
	}
	if _, err := k.MergePage(t.Context(), k.job, PageMerge{Table: k.t, Columns: k.t.Columns, Records: recs, First: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Deletes: []RecordOp{{Record: 2}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Creates: []NewRecord{{Values: map[int]core.Value{k.col("title"): text("proposed")}}}}, ChangeOptions{Suggest: true}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []View{{}, {Sort: []SortKey{{Column: k.col("title"), Descending: true}}}, {Filter: "price < 1"}, {Filter: "deleted()"}} {
		want, err := k.FirstRows(t.Context(), k.by, k.t.Ref(), v, 100, RowOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want = slices.DeleteFunc(want, func(r Row) bool { return r.State == core.Deleted || r.State == core.Proposed })
		n := 0
		err = k.EachExported(t.Context(), k.t, v, k.t.Columns, func(cells []core.Value) error {
			for i, c := range k.t.Columns {
				if n >= len(want) || !cells[i].Equal(want[n].Values[i]) {
					t.Errorf("%+v: %s of record %d is exported as %+v", v, c.Slug, n, cells[i])
				}
			}
			n++
			return nil
		})
		if err != nil || n != len(want) {
			t.Errorf("%+v: %d records were exported, want %d: %v", v, n, len(want), err)
		}
	}
}
