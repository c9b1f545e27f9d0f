package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// findKey finds the columns that tell records apart: the primary key in its own order, else a unique index that is
// neither partial nor on expressions and whose columns are not null, else what a view takes over from its only table.
// The sentence says why there is none.
func (c *catalog) findKey(ctx context.Context, tx *transaction, r *relation) (string, error) {
	for _, i := range c.indexes[r.oid] {
		names := c.names(r, i.Columns[:i.KeyColumns])
		if len(names) != i.KeyColumns || r.kind != "m" && !i.Primary && !c.notNull(r, names) {
			continue
		}
		if missing := r.unreadableOf(names); missing != "" {
			return fmt.Sprintf("This login may not read the key column %s.", missing), nil
		}
		if r.kind == "m" {
			return c.verifiedKey(ctx, tx, r, names)
		}
		r.key, r.keyUnique = names, i.Immediate
		return "", nil
	}
	if r.kind == "v" || r.kind == "m" {
		return c.viewKey(ctx, tx, r)
	}
	return "It has no primary key, and no unique index on columns that are not null, so its records cannot be told apart.", nil
}

func (c *catalog) notNull(r *relation, names []string) bool {
	for _, cc := range c.columns[r.oid] {
		if slices.Contains(names, cc.Name) && !cc.NotNull && !c.typeOf(cc.Type, cc.Modifier).notNull {
			return false
		}
	}
	return true
}

func (r *relation) unreadableOf(names []string) string {
	for _, n := range names {
		if r.column(n) == nil {
			return n
		}
	}
	return ""
}

// viewKey takes the key of the one table that a view reads from, when the view shows it under the same names.
func (c *catalog) viewKey(ctx context.Context, tx *transaction, r *relation) (string, error) {
	bases := c.bases[r.oid]
	if len(bases) != 1 || !bases[0].IsTable || len(bases[0].Key) == 0 || r.unreadableOf(bases[0].Key) != "" {
		return "It is a view that does not show the key of one single table, so its records cannot be told apart.", nil
	}
	key := bases[0].Key
	if r.kind == "v" && r.events&canUpdate != 0 && !r.instead() {
		r.key = key // an updatable view has one row per row of its table
		return "", nil
	}
	return c.verifiedKey(ctx, tx, r, key)
}

// verifiedKey takes a key when the data, as it is now, bears it out. It takes three seconds at most.
func (c *catalog) verifiedKey(ctx context.Context, tx *transaction, r *relation, key []string) (string, error) {
	var broken bool
	columns := identifiers("", key)
	sql := fmt.Sprintf(`select exists (select from %[1]s where %[2]s) or exists (select from %[1]s group by %[3]s having count(*) > 1)`,
		r.sql(), strings.Join(columns, " is null or ")+" is null", strings.Join(columns, ", "))
	err := tx.savepoint(ctx, func() error {
		if _, err := tx.conn.Exec(ctx, `set local statement_timeout = '3s'`); err != nil {
			return err
		}
		if err := tx.conn.QueryRow(ctx, sql).Scan(&broken); err != nil {
			return err
		}
		_, err := tx.conn.Exec(ctx, `set local statement_timeout = '25s'`)
		return err
	})
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "57014":
		return "It is a view that is too slow: whether " + strings.Join(key, ", ") + " tells its records apart could not be checked in 3 seconds.", nil
	case errors.As(err, &pg):
		return "It is a view that cannot be read: " + pg.Message, nil
	case err != nil:
		return "", err
	case broken:
		return "It is a view in which " + strings.Join(key, ", ") + " does not tell records apart.", nil
	}
	r.key = key
	return "", nil
}

// identifiers quotes names, behind an alias when there is one.
func identifiers(alias string, names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = pgx.Identifier{n}.Sanitize()
		if alias != "" {
			quoted[i] = alias + "." + quoted[i]
		}
	}
	return quoted
}
