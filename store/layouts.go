package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/migrations"
)

// BringForward brings the snapshots whose layout is older than the program's to the newest, each in a transaction of its own,
// and says how many. It may be done again at any time.
func (s *Store) BringForward(ctx context.Context) (int, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the layouts are the program's own */
		select org_id, id from snapshots where layout < $1 order by created_at, id`, migrations.Layout)
	if err != nil {
		return 0, mapError(fmt.Errorf("old layouts: %w", err))
	}
	type old struct{ Org, ID string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[old])
	if err != nil {
		return 0, mapError(fmt.Errorf("old layouts: %w", err))
	}
	for i, o := range list {
		if err := s.bringForward(ctx, o.Org, o.ID); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// openLayout brings a snapshot forward that a program before this one made a moment ago. Codes: Conflict (a newer one made it).
func (s *Store) openLayout(ctx context.Context, org, snapshot string, layout int) error {
	if layout > migrations.Layout {
		return core.Errorf(core.Conflict, "This snapshot was made by a newer version of the app. Update this one, and nothing is lost.")
	}
	if layout == migrations.Layout {
		return nil
	}
	return s.bringForward(ctx, org, snapshot)
}

func (s *Store) bringForward(ctx context.Context, org, snapshot string) error {
	return s.tx(atPoint(ctx, "layout"), core.System(org), func(tx pgx.Tx) error {
		var layout int
		err := tx.QueryRow(ctx, `select layout from snapshots where org_id = $1 and id = $2 for update`, org, snapshot).Scan(&layout)
		if err == pgx.ErrNoRows || err == nil && layout >= migrations.Layout {
			return nil // it is gone, or somebody else was faster
		}
		if err != nil {
			return fmt.Errorf("layout: %w", err)
		}
		if err := migrations.BringForward(ctx, tx, snapshot, layout); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update snapshots set layout = $3 where org_id = $1 and id = $2`, org, snapshot, migrations.Layout)
		return err
	})
}
