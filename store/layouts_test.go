package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/migrations"
)

// backTo makes a snapshot what a program of an older layout made of it.
func backTo(t *testing.T, k kettles, layout int) {
	t.Helper()
	undo := map[int]string{
		1: `alter table $_publish_items drop constraint _publish_items_plan_table_id_record_op_key, add unique (plan, table_id, record)`,
		2: `alter table $_batches drop column plan`,
	}
	for at := migrations.Layout - 1; at >= layout; at-- {
		if _, err := k.pool.Exec(t.Context(), strings.ReplaceAll(undo[at], "$", ident(k.t.Schema)+".")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.pool.Exec(t.Context(), `update snapshots set layout = $3 where org_id = $1 and id = $2`, k.t.Org, k.t.Snapshot, layout)
	if err != nil {
		t.Fatal(err)
	}
}

// schemaOf lists the constraints and indexes of a snapshot's schema.
func schemaOf(t *testing.T, k kettles) []string {
	t.Helper()
	rows, err := k.pool.Query(t.Context(), `select replace(x, $1::text, 'schema') from (
			select conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = ($1::text)::regnamespace
			union all select indexdef from pg_indexes where schemaname = $1::text
			union all select table_name || '.' || column_name || ' ' || data_type from information_schema.columns where table_schema = $1::text) s(x)
		where x not like '%' || $2 || '%' order by 1`, k.t.Schema, k.t.Physical)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAnOldLayoutIsBroughtForwardWithWhatIsInIt(t *testing.T) {
	t.Parallel()
	for layout := 1; layout < migrations.Layout; layout++ {
		k := mustKettles(t, 5)
		fresh := kettlesIn(t, k.Store, 1)
		edit := CellEdit{Record: 2, Column: k.col("title"), Value: core.TextValue("Edited")}
		if _, err := k.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{edit}}, ChangeOptions{}); err != nil {
			t.Fatal(err)
		}
		p, err := k.MakePlan(t.Context(), k.by, k.t.Snapshot, nil, Where{})
		if err != nil {
			t.Fatal(err)
		}
		backTo(t, k, layout)
		if _, err := k.SnapshotByID(t.Context(), k.by, k.t.Snapshot); err != nil {
			t.Fatal(err)
		}
		if got, want := schemaOf(t, k), schemaOf(t, fresh); !slices.Equal(got, want) {
			t.Errorf("from layout %d the schema becomes\n%q, and a new one is\n%q", layout, got, want)
		}
		again, err := k.PlanByID(t.Context(), k.by, k.t.Snapshot, p.ID)
		if err != nil || again.Counts != p.Counts {
			t.Errorf("the plan is %+v (%v), and was %+v", again.Counts, err, p.Counts)
		}
		backTo(t, k, layout)
		if n, err := k.BringForward(t.Context()); n != 1 || err != nil {
			t.Errorf("%d snapshots were brought forward (%v), want 1", n, err)
		}
		if n, err := k.BringForward(t.Context()); n != 0 || err != nil {
			t.Errorf("%d snapshots were brought forward once more (%v)", n, err)
		}
	}
}

func TestALayoutOfANewerProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	_, err := k.pool.Exec(t.Context(), `update snapshots set layout = $3 where org_id = $1 and id = $2`, k.t.Org, k.t.Snapshot, migrations.Layout+1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.SnapshotByID(t.Context(), k.by, k.t.Snapshot); core.CodeOf(err) != core.Conflict {
		t.Errorf("a newer layout is opened: %v", err)
	}
}
