package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// large says whether a command changes more cells than somebody waits for. It counts no further than that. Codes: those of
// the command.
func (s *Store) large(ctx context.Context, by core.Actor, snapshot string, b *Bulk) (bool, error) {
	if err := mayChange(by, b.Kind, b.leastRole()); err != nil {
		return false, err
	}
	switch b.Kind {
	case "undo", "redo":
		old, err := s.BatchByID(ctx, by, snapshot, b.Batch)
		return old.Cells+old.Records+old.Suggested > s.bulkCells, err
	case "revert":
		return s.largeRevert(ctx, by, snapshot, b.Plan)
	}
	var n int64
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, TableRef{snapshot, b.Table})
		if err != nil || s.surelySmall(t, *b) {
			return err
		}
		n, err = s.countBulk(ctx, tx, by, t, *b)
		return err
	})
	return n > s.bulkCells, err
}

// surelySmall says that a command is small without asking the database.
func (s *Store) surelySmall(t Table, b Bulk) bool {
	most := int64(-1)
	least := func(n int) {
		if most < 0 || int64(n) < most {
			most = int64(n)
		}
	}
	columns := max(1, len(t.Columns))
	if b.Where.IDs != nil {
		least(len(b.Where.IDs))
	}
	if b.Where.Records != nil {
		least(len(b.Where.Records) * columns)
	}
	if b.Where.Ranges != nil {
		n := 0
		for _, r := range b.Where.Ranges {
			n += max(0, r[1]-r[0])
		}
		least(n * columns)
	}
	return most >= 0 && most <= s.bulkCells
}

// countBulk counts the cells of a command, no further than one more than a waiting person's may have.
func (s *Store) countBulk(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, b Bulk) (int64, error) {
	var args []any
	switch b.Kind {
	case "accept", "reject":
		cond, err := s.suggestionsSQL(ctx, tx, by, t, b.Where, &args)
		if err != nil {
			return 0, err
		}
		return s.countLimited(ctx, tx, companion(t, "_suggestions")+" s where "+cond, 1, args)
	case "transform":
		return s.countReplace(ctx, tx, by, t, b)
	case "settle":
		cond, err := s.recordsSQL(ctx, tx, by, t, withDeleted(b.Where), &args)
		if err != nil {
			return 0, err
		}
		return s.countLimited(ctx, tx, dataTable(t)+" r where r._conflict is not null and "+cond, 1, args)
	}
	cond, err := s.recordsSQL(ctx, tx, by, t, b.Where, &args)
	if err != nil {
		return 0, err
	}
	return s.countLimited(ctx, tx, dataTable(t)+" r where r._state in (0, 1) and "+cond, max(1, len(b.Values)), args)
}

func (s *Store) countReplace(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, b Bulk) (int64, error) {
	cols, err := b.Replace.check(t)
	if err != nil {
		return 0, err
	}
	var args []any
	cond, err := s.recordsSQL(ctx, tx, by, t, b.Where, &args)
	if err != nil {
		return 0, err
	}
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = "select 1 from " + dataTable(t) + " r where r._state in (0, 1) and " + cond + " and " + b.Replace.matchSQL(c, &args)
	}
	return s.countLimited(ctx, tx, "("+strings.Join(parts, " union all ")+") m", 1, args)
}

// countLimited counts the rows of a from-clause, each as some cells, no further than it has to.
func (s *Store) countLimited(ctx context.Context, q querier, from string, cells int, args []any) (int64, error) {
	args = append(args, s.bulkCells/int64(cells)+1)
	var n int64
	err := q.QueryRow(ctx, "select count(*) from (select 1 from "+from+" limit $"+strconv.Itoa(len(args))+") x", append([]any{dynamic}, args...)...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count cells: %w", err)
	}
	return n * int64(cells), nil
}

func (s *Store) largeRevert(ctx context.Context, by core.Actor, snapshot, plan string) (bool, error) {
	snap, _, err := s.revertible(ctx, by, snapshot, plan)
	if err != nil {
		return false, err
	}
	n, err := s.countLimited(ctx, s.pool, ident(snap.Schema, "_publish_items")+` i left join lateral jsonb_object_keys(case when i.op = 'update' then i.fields end) k on true
		where i.plan = $1 and i.state = 'published'`, 1, []any{plan})
	return n > s.bulkCells, mapError(err)
}
