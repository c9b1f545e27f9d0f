package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scratchpaper/connectors"
)

// cascadeDepth bounds how far deletes that delete further rows are followed.
const cascadeDepth = 5

// DeleteEffects counts the rows that deleting these records deletes or empties too, over several steps, and names the
// triggers that run.
func (s *session) DeleteEffects(ctx context.Context, table connectors.Table, ids []string) ([]string, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	var effects []string
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		args, _ := r.keyArrays(ids)
		where := fmt.Sprintf("(%s) in (select %s from (%s) w)", strings.Join(identifiers("", r.key), ", "), keyNames(len(r.key)), r.unnestKeys(1))
		effects, err = s.follow(ctx, tx, r, where, args, []int64{r.oid})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, t := range r.triggers {
		if t.Type&triggerDelete != 0 {
			effects = append(effects, fmt.Sprintf("The trigger %s of the database runs with each delete.", t.Name))
		}
	}
	return effects, nil
}

func keyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("w.k%d", i+1)
	}
	return strings.Join(names, ", ")
}

// follow counts what refers to the rows of r that fulfil where, and goes on with what is deleted with them.
func (s *session) follow(ctx context.Context, tx *transaction, r *relation, where string, args []any, path []int64) ([]string, error) {
	var effects []string
	for _, f := range r.referrers {
		condition := fmt.Sprintf("(%s) in (select %s from %s where %s)",
			strings.Join(identifiers("", f.Columns), ", "), strings.Join(identifiers("", f.Targets), ", "), r.sql(), where)
		count, known, err := tx.count(ctx, pgx.Identifier{f.Schema, f.Name}.Sanitize(), condition, args)
		if err != nil {
			return nil, err
		}
		if known && count == 0 {
			continue
		}
		effects = append(effects, f.sentence(count, known))
		if f.OnDelete != "c" || !known || len(path) >= cascadeDepth {
			continue
		}
		further, err := s.followFurther(ctx, tx, f, condition, args, path)
		if err != nil {
			return nil, err
		}
		effects = append(effects, further...)
	}
	return effects, nil
}

func (s *session) followFurther(ctx context.Context, tx *transaction, f referrer, condition string, args []any, path []int64) ([]string, error) {
	c, err := readCatalog(ctx, tx, &f.Schema, &f.Name)
	if err != nil || len(c.relations) == 0 || slices.Contains(path, c.relations[0].OID) {
		return nil, err
	}
	child := &relation{oid: c.relations[0].OID, schema: f.Schema, name: f.Name, referrers: c.referrers[c.relations[0].OID]}
	return s.follow(ctx, tx, child, condition, args, append(slices.Clone(path), child.oid))
}

// count counts rows; known is false where this login may not.
func (t *transaction) count(ctx context.Context, table, condition string, args []any) (n int64, known bool, err error) {
	err = t.savepoint(ctx, func() error {
		return t.conn.QueryRow(ctx, "select count(*) from "+table+" where "+condition, args...).Scan(&n)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return 0, false, nil
	}
	return n, err == nil, err
}

// sentence says what happens to the rows that refer.
func (f referrer) sentence(n int64, known bool) string {
	table := idOf(f.Schema, f.Name)
	rows := fmt.Sprintf("%d rows of %s", n, table)
	one := known && n == 1
	switch {
	case !known:
		rows = fmt.Sprintf("An unknown number of rows of %s (this login may not count them)", table)
	case one:
		rows = "1 row of " + table
	}
	verb := func(singular, plural string) string {
		if one {
			return singular
		}
		return plural
	}
	switch f.OnDelete {
	case "c":
		return rows + verb(" is", " are") + " deleted with them."
	case "n", "d":
		return fmt.Sprintf("%s %s %s %s.", rows, verb("has", "have"), strings.Join(f.Columns, ", "), emptied(f.OnDelete))
	}
	return rows + verb(" refers", " refer") + " to them; the database refuses to delete what is referred to."
}
