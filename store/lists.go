package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// listBytes is how many bytes of values a part of a list holds at most, as the database sends them: a cell may hold megabytes, and who asks for
// 1,000 of them is given as many as fit and the rest with the next part.
const listBytes = 16 << 20

// collectPart reads what a query for one row more than limit finds, until what was read holds more than so many bytes; one is read however large it
// is. more says that others follow.
func collectPart[T any](rows pgx.Rows, limit, bytes int, scan pgx.RowToFunc[T]) (list []T, more bool, err error) {
	defer rows.Close()
	for size := 0; rows.Next(); {
		for _, raw := range rows.RawValues() {
			size += len(raw)
		}
		if len(list) == limit || len(list) > 0 && size > bytes {
			rows.Close()
			return list, true, rows.Err()
		}
		one, err := scan(rows)
		if err != nil {
			return nil, false, err
		}
		list = append(list, one)
	}
	return list, false, rows.Err()
}

// RowsThatFit is Rows of the first of ids whose values fit into a part of a list, at least one. taken is how many of ids these are, with those
// that are gone. Codes: NotFound.
func (s *Store) RowsThatFit(ctx context.Context, by core.Actor, ref TableRef, ids []int64, opts RowOptions) (rows []Row, taken int, err error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, 0, err
	}
	size := weight(chosenColumns(t, opts.Columns), "r") + " + coalesce(octet_length(r._base::text), 0) + coalesce(octet_length(r._conflict::text), 0)"
	if n := t.Counts.Suggestions; n == nil || *n > 0 {
		size += ` + (select coalesce(sum(octet_length(s.before::text) + octet_length(s.after::text)), 0) from ` + companion(t, "_suggestions") + ` s where s.row = r._id and s.decided is null)`
	}
	err = s.pool.QueryRow(ctx, `select coalesce(min(n) - 1, cardinality($1)) from (
			select n, sum(size) over (order by n rows between unbounded preceding and 1 preceding) as ahead
			from (select i.n, `+size+` as size from unnest($1::bigint[]) with ordinality i(id, n) join `+dataTable(t)+` r on r._id = i.id) r) r
		where ahead >= $2`, dynamic, ids, s.listBytes).Scan(&taken)
	if err != nil {
		return nil, 0, fmt.Errorf("records that fit: %w", err)
	}
	rows, err = s.RowsIn(ctx, t, ids[:taken], opts)
	return rows, taken, err
}

// weight gives the SQL of the bytes that columns of a record hold. Texts tell their length without being read.
func weight(cols []core.Column, row string) string {
	parts := []string{"0"}
	for _, c := range cols {
		cell := row + "." + ident(c.Physical)
		switch physicalType(c.Type) {
		case "text":
			parts = append(parts, "coalesce(octet_length("+cell+"), 0)")
		case "jsonb", "text[]":
			parts = append(parts, "coalesce(octet_length("+cell+"::text), 0)")
		}
	}
	return strings.Join(parts, " + ")
}
