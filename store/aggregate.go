package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Function is what an aggregate computes of a column.
type Function string

// The functions. Count counts the values that are not null.
const (
	Count   Function = "count"
	Sum     Function = "sum"
	Average Function = "average"
	Min     Function = "min"
	Max     Function = "max"
)

// Functions lists every function.
var Functions = []Function{Count, Sum, Average, Min, Max}

// Fits says whether a function can be computed of values of a type.
func (f Function) Fits(t core.ColumnType) bool {
	switch f {
	case Sum, Average:
		return t == core.Number
	case Min, Max:
		return t == core.Number || t == core.Date || t == core.DateTime || t == core.LocalTime || t.IsText()
	}
	return true
}

// sql gives the function over a column of alias r, as the text that valueFromText reads.
func (f Function) sql(c core.Column) string {
	cell := "r." + ident(c.Physical)
	if c.Type.IsText() {
		cell += " collate natural_sort"
	}
	value := string(f) + "(" + cell + ")"
	switch {
	case f == Average:
		value = "trim_scale(avg(" + cell + "))"
	case c.Type == core.Date, c.Type == core.DateTime, c.Type == core.LocalTime:
		value = "(to_jsonb(" + value + ") #>> '{}')"
	}
	return value + "::text"
}

// Aggregates are what was computed of the chosen records: their number, and by column and function a value (null where there
// is none to compute it of).
type Aggregates struct {
	Records int64
	Values  map[int]map[Function]core.Value
}

// Aggregate computes functions of columns over the records that w chooses, in one statement. A function that does not fit a
// column's type is left out. Codes: NotFound, Invalid, Conflict.
func (s *Store) Aggregate(ctx context.Context, by core.Actor, ref TableRef, w Where, columns []int, functions []Function) (Aggregates, error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	var out Aggregates
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		var args []any
		cond, err := s.recordsSQL(ctx, tx, by, t, w, &args)
		if err != nil {
			return err
		}
		out, err = aggregate(ctx, tx, t, chosenColumns(t, columns), functions, cond, args)
		return err
	})
	return out, err
}

// maxAggregates keeps below the 1,664 columns that a result of Postgres takes.
const maxAggregates = 1600

func aggregate(ctx context.Context, tx pgx.Tx, t Table, cols []core.Column, functions []Function, cond string, args []any) (Aggregates, error) {
	out := Aggregates{Values: map[int]map[Function]core.Value{}}
	exprs, found, dest := []string{"count(*)"}, []*string{}, []any{&out.Records}
	each := func(fn func(c core.Column, f Function)) {
		for _, c := range cols {
			for _, f := range functions {
				if f.Fits(c.Type) {
					fn(c, f)
				}
			}
		}
	}
	each(func(c core.Column, f Function) {
		exprs, found = append(exprs, f.sql(c)), append(found, nil)
	})
	if len(exprs) > maxAggregates {
		return out, core.FieldErrorf("/columns", "One request computes at most %d values; this asks for %d. Name fewer columns or functions.", maxAggregates, len(exprs))
	}
	for i := range found {
		dest = append(dest, &found[i])
	}
	err := tx.QueryRow(ctx, "select "+strings.Join(exprs, ", ")+" from "+dataTable(t)+" r where r._state in (0, 1) and "+cond,
		append([]any{dynamic}, args...)...).Scan(dest...)
	if err != nil {
		return out, fmt.Errorf("aggregate: %w", err)
	}
	i := 0
	each(func(c core.Column, f Function) {
		if out.Values[c.Number] == nil {
			out.Values[c.Number] = map[Function]core.Value{}
		}
		v := core.NullValue
		if found[i] != nil {
			v = core.TextValue(*found[i])
		}
		out.Values[c.Number][f] = v
		i++
	})
	return out, nil
}

// ParseFunctions reads names of functions; none are all. Codes: Invalid.
func ParseFunctions(names []string) ([]Function, error) {
	if len(names) == 0 {
		return Functions, nil
	}
	var out []Function
	for i, n := range names {
		if !slices.Contains(Functions, Function(n)) {
			return nil, core.FieldErrorf(fmt.Sprintf("/functions/%d", i), "There is no function “%s”; there are count, sum, average, min and max.", cut(n, 40))
		}
		if !slices.Contains(out, Function(n)) {
			out = append(out, Function(n))
		}
	}
	return out, nil
}
