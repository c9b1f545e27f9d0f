package events

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scratchpaper/internal/core"
)

func TestMergingKeepsRowsVersionAndLatestData(t *testing.T) {
	t.Parallel()
	var p pile
	rows := []int64{5, 1, 5}
	p.add(core.Hint{Org: "o", Kind: "change", Version: 9, Rows: rows, Data: json.RawMessage(`1`)}, 10)
	p.add(core.Hint{Org: "o", Kind: "change", Version: 8, Rows: []int64{3}, Data: json.RawMessage(`2`)}, 10)
	p.add(core.Hint{Org: "o", Kind: "change"}, 10)
	want := []core.Hint{{Org: "o", Kind: "change", Version: 9, Rows: []int64{1, 3, 5}, Data: json.RawMessage(`2`)}}
	if diff := cmp.Diff(want, p.take()); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(rows, []int64{5, 1, 5}) {
		t.Error("the caller's rows were changed")
	}
	if !p.empty() {
		t.Error("a taken pile is not empty")
	}
}

func TestMoreThan500RowsBecomeMany(t *testing.T) {
	t.Parallel()
	var p pile
	for i := range int64(500) {
		p.add(core.Hint{Org: "o", Kind: "change", Rows: []int64{i}}, 10)
	}
	if got := p.hints[p.order[0]]; got.Many || len(got.Rows) != 500 {
		t.Fatalf("500 rows are already %v, %d", got.Many, len(got.Rows))
	}
	p.add(core.Hint{Org: "o", Kind: "change", Rows: []int64{500}}, 10)
	if got := p.take()[0]; !got.Many || got.Rows != nil {
		t.Errorf("501 rows are %v, %d", got.Many, len(got.Rows))
	}
}
