package store

import (
	"testing"

	"scratchpaper/internal/core"
)

func TestAKeptPlanStaysRightWhereATableGrows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	k := mustKettles(t, 1100)
	conn, err := k.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	whole := func() (n int) { // how often the table was read whole
		t.Helper()
		if _, err := conn.Exec(ctx, `select pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(ctx, `select seq_scan from pg_stat_user_tables where schemaname = $1 and relname = $2`, k.t.Schema, k.t.Physical).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var ids []int64 // of a window: of fewer than ten Postgres makes a plan of their own
	for id := int64(30); id > 0; id-- {
		ids = append(ids, id)
	}
	scroll := func() {
		t.Helper()
		now, err := k.TableByID(ctx, k.by, k.t.Ref())
		if err != nil {
			t.Fatal(err)
		}
		for range 8 { // Postgres thinks about keeping a plan from the sixth on
			rows, err := k.rows(ctx, conn, now, ids, RowOptions{})
			if err != nil || len(rows) != len(ids) || rows[0].ID != ids[0] {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
		}
	}
	// None of these waits for the server to look at its tables by itself.
	if _, err := conn.Exec(ctx, "alter table "+dataTable(k.t)+" set (autovacuum_enabled = off)"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "set random_page_cost = 100"); err != nil { // a small table is read whole
		t.Fatal(err)
	}
	at := whole()
	scroll()
	if n := whole() - at; n < 8 {
		t.Fatalf("the small table was read whole %d times, so nothing can be seen here", n)
	}
	if _, err := conn.Exec(ctx, "reset random_page_cost"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "insert into "+dataTable(k.t)+" (_id, _remote_id) select n, 'n' || n from generate_series(5001, 105000) n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `update tables set records = 101100 where org_id = $1 and id = $2`, k.by.Org, k.t.ID); err != nil {
		t.Fatal(err)
	}
	before := whole()
	scroll()
	if n := whole() - before; n > 0 {
		t.Errorf("the large table was read whole %d times for a window", n)
	}
	var kept int
	if err := conn.QueryRow(ctx, `select count(*) from pg_prepared_statements where statement like '%'||$1||'%' and generic_plans > 0`, k.t.Physical).Scan(&kept); err != nil || kept == 0 {
		t.Errorf("%d plans are kept: %v", kept, err)
	}
}

func TestAPlanIsNotKeptWhereItMayTurnWrong(t *testing.T) {
	t.Parallel()
	n := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		records, suggestions *int64
		columns              int
		kept                 bool
	}{
		"as usual":                    {n(leastPrepared), n(0), 12, true},
		"small":                       {n(leastPrepared - 1), n(0), 12, false},
		"with suggestions":            {n(5000), n(1), 12, false},
		"wide":                        {n(5000), n(0), maxPreparedColumns + 1, false},
		"records not counted yet":     {nil, n(0), 12, false},
		"suggestions not counted yet": {n(5000), nil, 12, false},
	} {
		mode, _ := howToAsk(Table{Counts: core.Counts{Records: c.records, Suggestions: c.suggestions}}, c.columns, "select")
		if got := mode == prepared; got != c.kept {
			t.Errorf("%s: kept is %v, want %v", name, got, c.kept)
		}
	}
}
