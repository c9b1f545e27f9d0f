package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// EachExported hands the cells of a view's existing and created records, of some columns, to each, record by record in the view's
// order, all as they are at one moment: it is one statement. The slice is good until each returns. That must not wait for anybody:
// until the last record the statement keeps what it sees from being cleared away, and the table from being removed. Codes: Invalid
// (the filter).
func (s *Store) EachExported(ctx context.Context, t Table, v View, columns []core.Column, each func(cells []core.Value) error) error {
	var args []any
	where, order, err := viewSQL(t, v, &args)
	if err != nil {
		return err
	}
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = sentExpr(c, "r")
	}
	rows, err := s.pool.Query(ctx, "select "+strings.Join(cells, ", ")+" from "+dataTable(t)+" r where ("+where+") and r._state in (0, 1) order by "+order,
		append([]any{dynamic, pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)...)
	if err != nil {
		return mapError(fmt.Errorf("export: %w", err))
	}
	defer rows.Close()
	texts := make([]core.Value, len(columns))
	var sent cellTexts
	for rows.Next() {
		sent.take(rows.RawValues())
		for i := range texts {
			text, null := sent.next()
			if texts[i] = core.NullValue; null {
				continue
			}
			if texts[i], err = valueFromSent(&columns[i], text); err != nil {
				return fmt.Errorf("cell of column %d: %w", columns[i].Number, err)
			}
		}
		if err := each(texts); err != nil {
			return err
		}
	}
	return mapError(rows.Err())
}
