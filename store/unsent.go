package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// UnsentColumn is a column that is locked against publishing, and how many of its cells are edited all the same.
type UnsentColumn struct {
	Column core.Column
	Edits  int64
}

// LackingColumn is a column that the service requires, and how many planned creates of its table come without a value of it.
type LackingColumn struct {
	Table   string
	Column  core.Column
	Records int64
}

// LackingCreates counts the creates of a plan that the service will refuse, by the column that they lack.
func (s *Store) LackingCreates(ctx context.Context, by core.Actor, sn Snapshot, plan string) ([]LackingColumn, error) {
	if err := by.Require(core.Viewer); err != nil {
		return nil, err
	}
	var out []LackingColumn
	for _, t := range sn.Tables {
		var required []string
		for _, c := range t.Columns {
			if c.MustGive() {
				required = append(required, strconv.Itoa(c.Number))
			}
		}
		if required == nil {
			continue
		}
		rows, err := s.pool.Query(ctx, `select c.number::int, count(*) from `+companion(t, "_publish_items")+` i cross join unnest($3::text[]) c(number)
			where i.plan = $1 and i.table_id = $2 and i.op = 'create' and i.state = 'planned' and not i.fields ? c.number group by 1 order by 1`, dynamic, plan, t.ID, required)
		if err != nil {
			return nil, mapError(fmt.Errorf("creates that lack a value: %w", err))
		}
		var number int
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&number, &n}, func() error {
			c, _ := t.Column(number)
			out = append(out, LackingColumn{t.ID, c, n})
			return nil
		})
		if err != nil {
			return nil, mapError(fmt.Errorf("creates that lack a value: %w", err))
		}
	}
	return out, nil
}

// UnsentEdits counts the edits of tables of a snapshot that no plan takes, since their columns are locked against publishing.
func (s *Store) UnsentEdits(ctx context.Context, by core.Actor, sn Snapshot, tables []string) ([]UnsentColumn, error) {
	var out []UnsentColumn
	for _, t := range sn.Tables {
		var locked []int32
		for _, c := range t.Columns {
			if c.Source == core.Remote && (c.Gone || slices.Contains(c.Locks, core.NeverPublish)) {
				locked = append(locked, int32(c.Number)) // #nosec G115 -- Postgres has at most 1,600 columns in a table
			}
		}
		if locked == nil || !slices.Contains(tables, t.ID) { // nothing to look for: the table is not read
			continue
		}
		rows, err := s.pool.Query(ctx, `select e.key::int, count(*) from `+dataTable(t)+` r cross join lateral jsonb_object_keys(r._base) e(key)
			where r._base is not null and r._state = 0 and e.key::int = any($1) group by 1 order by 1`, dynamic, locked)
		if err != nil {
			return nil, mapError(fmt.Errorf("edits that are not sent: %w", err))
		}
		var number int
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&number, &n}, func() error {
			c, _ := t.Column(number)
			out = append(out, UnsentColumn{c, n})
			return nil
		})
		if err != nil {
			return nil, mapError(fmt.Errorf("edits that are not sent: %w", err))
		}
	}
	return out, nil
}
