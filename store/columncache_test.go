package store

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// A table's columns are remembered, and yet always those that are there: whoever changed them, and however often.
func TestColumnsAreAlwaysThoseThatAreThere(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	title := func() string {
		t.Helper()
		tb, err := k.TableByID(t.Context(), k.by, k.t.Ref())
		if err != nil {
			t.Fatal(err)
		}
		whole, err := k.SnapshotByID(t.Context(), k.by, k.snapshot.ID) // reads them anew
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.Tables[0], tb); diff != "" {
			t.Errorf("the table is not as it is (-is +given):\n%s", diff)
		}
		c, _ := tb.ColumnBySlug("title")
		return c.Title
	}
	const set = `update columns set title = $2 where org_id = $1 and table_id = $3 and slug = 'title'`
	for i := range 3 {
		title()
		for n := range 2 { // in one transaction too: the second has the same id
			name := fmt.Sprintf("Name %d.%d", i, n)
			err := pgx.BeginFunc(t.Context(), k.pool, func(tx pgx.Tx) error {
				for _, v := range []string{"before", name} {
					if _, err := tx.Exec(t.Context(), set, k.by.Org, v, k.t.ID); err != nil {
						return err
					}
				}
				return nil
			})
			if got := title(); err != nil || got != name {
				t.Errorf("the column is %q, want %q: %v", got, name, err)
			}
		}
	}
	for _, sql := range []string{`insert into columns (org_id, snapshot_id, table_id, number, slug, title, physical, type, source, position)
			select org_id, snapshot_id, table_id, 99, 'more', 'More', 'c99', 'text', 'local', 0 from columns where org_id = $1 and table_id = $2 limit 1`,
		`delete from columns where org_id = $1 and table_id = $2 and number = 99`} {
		if _, err := k.pool.Exec(t.Context(), sql, k.by.Org, k.t.ID); err != nil {
			t.Fatal(err)
		}
		title()
	}
	if n := len(k.columns.byTable); n != 1 {
		t.Errorf("the columns of %d tables are remembered", n)
	}
}
