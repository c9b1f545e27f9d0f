package store

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/orgcheck"
)

// TestEveryTableWithAnOrganizationIsLookedAfter keeps the tracer's list of tables complete, and every control table beside
// organizations, people, their accounts and the program's own keys in an organization.
func TestEveryTableWithAnOrganizationIsLookedAfter(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	rows, err := s.pool.Query(t.Context(), `select t.table_name, exists (select 1 from information_schema.columns c
			where c.table_schema = 'public' and c.table_name = t.table_name and c.column_name = 'org_id' and c.is_nullable = 'NO')
		from information_schema.tables t where t.table_schema = 'public' and t.table_name not in ('organizations', 'people', 'accounts', 'identities', 'second_factors', 'recovery_codes', 'half_sign_ins', 'signing_keys', 'secret_keys', 'clerk_events', 'goose_db_version')`)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	var name string
	var owned bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &owned}, func() error {
		there = append(there, name)
		if !owned {
			t.Errorf("rows of %s belong to no organization", name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(there)
	looked := slices.Sorted(slices.Values(orgcheck.Tables))
	if !slices.Equal(there, looked) {
		t.Errorf("the control tables of organizations are\n%v, and internal/orgcheck looks after\n%v", there, looked)
	}
}
