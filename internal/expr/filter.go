// Package expr is the one expression language of filters: CEL's syntax over the columns of a table, with meanings of our
// own. A filter compiles to parameterised SQL; nothing that a person or an agent writes is ever spliced into a statement.
//
// Every column can be null. null equals only null, every other comparison with it is false and never an error, and a
// calculation with it is null. A division by zero is null. Numbers are exact decimals.
package expr

import (
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Filter is a checked expression that is true or false for each record of a table. It does not change once made.
type Filter struct {
	emit    emitter
	columns []core.Column
	deleted bool
	schema  bool // it looks into a companion of the snapshot
}

// Builder collects the parameters of a statement while filters add to it.
type Builder struct {
	Schema string // the snapshot's; its companions are looked up in it
	First  int    // number of the placeholder that stands for Args[0]; 0 counts as 1
	Args   []any  // in the order of their placeholders
}

// arg adds a parameter and gives its placeholder.
func (b *Builder) arg(v any) string {
	b.Args = append(b.Args, v)
	return "$" + strconv.Itoa(max(b.First, 1)+len(b.Args)-1)
}

func (b *Builder) companion(name string) string {
	return pgx.Identifier{b.Schema, name}.Sanitize()
}

// CompileFilter reads an expression that is true or false for a record and checks it against the columns, which it names
// by their slugs. The error is Invalid, with a sentence that says what was expected and where.
func CompileFilter(src string, columns []core.Column) (*Filter, error) {
	s, root, err := parse(src)
	if err != nil {
		return nil, err
	}
	c := newChecker(s, columns)
	cond, err := c.condition(root)
	if err != nil {
		return nil, err
	}
	return &Filter{emit: cond, columns: c.usedColumns(columns), deleted: c.deleted, schema: c.schema}, nil
}

// SQL gives the filter as a condition over alias r that is true or false and never null, and adds its parameters to b.
// It fails only where the filter looks into a companion and b names no schema.
func (f *Filter) SQL(b *Builder) (string, error) {
	if f.schema && b.Schema == "" {
		return "", errors.New("filter: the builder has no schema")
	}
	return f.emit(b), nil
}

// UsesDeleted says whether the filter asks about deleted records, which are left out otherwise.
func (f *Filter) UsesDeleted() bool { return f.deleted }

// Columns gives the columns that the filter names, in the table's order, those whose state alone it asks for included.
func (f *Filter) Columns() []core.Column { return f.columns }
