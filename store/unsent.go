package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// UnsentColumn is a column that is locked against publishing, and how many of its cells are edited all the same.
type UnsentColumn struct {
	Column core.Column
	Edits  int64
}

// UnsentEdits counts the edits of tables of a snapshot that no plan takes, since their columns are locked against publishing.
func (s *Store) UnsentEdits(ctx context.Context, by core.Actor, sn Snapshot, tables []string) ([]UnsentColumn, error) {
	var out []UnsentColumn
	for _, t := range sn.Tables {
		var locked []int32
		for _, c := range t.Columns {
			if c.Source == core.Remote && slices.Contains(c.Locks, core.NeverPublish) {
				locked = append(locked, int32(c.Number))
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
