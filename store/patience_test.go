package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

// TestAnExpressionThatCostsTheWorldEndsWithASentence evaluates one that would work for minutes, wherever an expression can stand:
// each ends soon, as something that can be changed, leaves everything as it was and no statement behind.
func TestAnExpressionThatCostsTheWorldEndsWithASentence(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 100)
	if _, err := k.Pool().Exec(t.Context(), `update `+dataTable(k.t)+` set `+ident(k.t.Columns[1].Physical)+` = repeat('ÄÖÜ ', 10000)`); err != nil {
		t.Fatal(err)
	}
	patient := k.patience
	costly := strings.Repeat(`title`+strings.Repeat(`.lower()`, 25)+` == "x" || `, 8) + `price < 0` // as long and as deep as expressions may be
	ctx, by, ref, all := t.Context(), k.by, k.t.Ref(), Where{Filter: costly}
	acts := map[string]func(ctx context.Context) error{
		"the first window": func(ctx context.Context) error {
			_, err := k.FirstRows(ctx, by, ref, View{Filter: costly}, 30, RowOptions{})
			return err
		},
		"an order": func(ctx context.Context) error { _, err := k.Order(ctx, by, ref, View{Filter: costly}, 0); return err },
		"facets": func(ctx context.Context) error {
			_, _, err := k.Facets(ctx, by, ref, View{Filter: costly}, 2, "", First(5))
			return err
		},
		"sums": func(ctx context.Context) error {
			_, err := k.Aggregate(ctx, by, ref, all, nil, []Function{Sum})
			return err
		},
		"a preview": func(ctx context.Context) error {
			_, err := k.PreviewReplace(ctx, by, ref, all, Replace{Find: "Ö", With: "y"})
			return err
		},
		"an edit": func(ctx context.Context) error {
			_, _, err := k.Do(ctx, by, k.snapshot.ID, Bulk{Kind: "delete", Table: k.t.ID, Where: all})
			return err
		},
	}
	if _, err := k.ApplyChanges(ctx, by, ref, Changes{Sets: []CellEdit{{Record: 1, Column: 3, Value: core.TextValue("5")}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	before := k.standing(t)
	k.patience = 100 * time.Millisecond
	for name, act := range acts {
		began := time.Now()
		err := act(ctx)
		if core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), "took longer") || !strings.Contains(core.SentenceOf(err), "Nothing was changed") {
			t.Errorf("%s gives %v", name, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %v", name, took)
		}
	}
	k.patience = patient
	if after := k.standing(t); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // asks until the last one has been told to stop
		var n int
		if err := k.Pool().QueryRow(ctx, `select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and datname = current_database() and query like '%lower(%'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d statements go on", n)
		}
	}
	if _, err := k.FirstRows(ctx, by, ref, View{Filter: `price > 1`}, 30, RowOptions{}); err != nil {
		t.Errorf("a cheap one afterwards: %v", err)
	}
}

// standing gives what the table's counts and records say, the long texts as hashes, and how many batches there are.
func (k kettles) standing(t *testing.T) (out string) {
	t.Helper()
	err := k.Pool().QueryRow(t.Context(), `select (select string_agg(md5(r::text), ' ' order by _id) from `+dataTable(k.t)+` r) || ' ' || (select count(*) from `+companion(k.t, "_batches")+`) || ' ' ||
		(select x::text from tables x where org_id = $1 and id = $2)`, k.by.Org, k.t.ID).Scan(&out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestACalculationBeyondAllNumbersIsRefused multiplies what Postgres cannot hold any more.
func TestACalculationBeyondAllNumbersIsRefused(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 2)
	if _, err := k.Pool().Exec(t.Context(), `update `+dataTable(k.t)+` set `+ident(k.t.Columns[2].Physical)+` = 1e100000`); err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{`price * price > 1`, `price * price * price == 0`} {
		_, err := k.FirstRows(t.Context(), k.by, k.t.Ref(), View{Filter: filter}, 30, RowOptions{})
		if core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), "too large") {
			t.Errorf("%s gives %v", filter, err)
		}
	}
}

// A statement may run out of time before its first record, as where the table is held by another.
func TestDistinctValuesThatNeverBeginEndWithASentence(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	other, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := other.Exec(t.Context(), "lock table "+dataTable(k.t)+" in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	k.patience = 200 * time.Millisecond
	if _, _, err := k.Facets(t.Context(), k.by, k.t.Ref(), View{}, 2, "", First(5)); core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), "took longer") {
		t.Errorf("facets of a table that is held give %v", err)
	}
}
