package store

import (
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// TestMoreThanTenThousandAreAcceptedUnderAFilterAndCountedWithoutBeingRead has no record or suggestion come into the program: neither
// for what is accepted, nor for what is counted.
func TestMoreThanTenThousandAreAcceptedUnderAFilterAndCountedWithoutBeingRead(t *testing.T) {
	t.Parallel()
	var most atomic.Int64 // rows that a statement gave the program
	k := kettlesIn(t, mustStore(t, func(data pgx.TraceQueryEndData) {
		if n := data.CommandTag.RowsAffected(); data.CommandTag.Select() && n > most.Load() {
			most.Store(n)
		}
	}), 12_000)
	ctx := t.Context()
	b := Bulk{Kind: "set", Table: k.t.ID, Where: Where{Filter: "true"}, Options: ChangeOptions{Suggest: true}}
	b.SetValues(k.t, map[int]core.Value{k.col("price"): core.TextValue("0")})
	if _, j, err := k.Do(ctx, k.by, k.snapshot.ID, b); err != nil || j != nil {
		t.Fatalf("suggest: %v %v", j, err)
	}
	most.Store(0)
	res, err := k.AcceptSuggestions(ctx, k.by, k.t.Ref(), Where{Filter: `!title.endsWith("1")`})
	if err != nil || res.Cells != 10_800 {
		t.Fatalf("accept: %+v %v", res.Cells, err)
	}
	counts := k.counts(t)
	if _, err := k.SnapshotByID(ctx, k.by, k.snapshot.ID); err != nil {
		t.Fatal(err)
	}
	if *counts.Edits != 10_800 || *counts.Suggestions != 1200 || *counts.Records != 12_000 {
		t.Errorf("the counts are %d edits, %d suggestions, %d records", *counts.Edits, *counts.Suggestions, *counts.Records)
	}
	if n := most.Load(); n > 1000 {
		t.Errorf("a statement gave the program %d rows", n)
	}
	var wrong int
	title := "r." + ident(k.t.Columns[1].Physical)
	err = k.Pool().QueryRow(ctx, `select count(*) from `+dataTable(k.t)+` r where (`+title+` like '%1') <> exists (select 1 from `+companion(k.t, "_suggestions")+` s where s.row = r._id and s.decided is null)`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d suggestions were decided that should not be, or the other way: %v", wrong, err)
	}
}
