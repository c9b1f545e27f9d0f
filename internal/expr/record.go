package expr

import (
	"strconv"

	"cel.dev/cel-go/common/ast"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// What is known of a record beside its values: its state, and by column number what the service held (_base) and what it
// holds now where that is in conflict (_conflict).

func (c *checker) edited(at int, args []ast.Expr) (operand, error) {
	if len(args) == 0 {
		return condition(at, fixed("(r._base is not null and r._state = "+state(core.Existing)+")")), nil
	}
	return c.keyed(at, "_base", args[0])
}

func (c *checker) conflict(at int, args []ast.Expr) (operand, error) {
	if len(args) == 0 {
		return condition(at, fixed("(r._conflict is not null)")), nil
	}
	return c.keyed(at, "_conflict", args[0])
}

// keyed asks whether a jsonb column of the record has an entry for a column.
func (c *checker) keyed(at int, column string, arg ast.Expr) (operand, error) {
	col, err := c.named(arg)
	if err != nil {
		return operand{}, err
	}
	return condition(at, fixed("coalesce(r."+column+" ? '"+strconv.Itoa(col.Number)+"', false)")), nil
}

func (c *checker) suggested(at int, args []ast.Expr) (operand, error) {
	return c.companion(at, "_suggestions", " and s.decided is null", args)
}

func (c *checker) problem(at int, args []ast.Expr) (operand, error) {
	return c.companion(at, "_problems", "", args)
}

// companion asks whether one of the snapshot's companions has a row for the record, or for one of its cells.
func (c *checker) companion(at int, table, more string, args []ast.Expr) (operand, error) {
	c.schema = true
	if len(args) == 1 {
		col, err := c.named(args[0])
		if err != nil {
			return operand{}, err
		}
		more += " and s.col = " + strconv.Itoa(col.Number)
	}
	return condition(at, func(b *Builder) string {
		return "exists (select 1 from " + b.companion(table) + " s where s.row = r._id" + more + ")"
	}), nil
}

func (c *checker) created(at int, _ []ast.Expr) (operand, error) {
	return condition(at, fixed("(r._state = "+state(core.Created)+")")), nil
}

func (c *checker) isDeleted(at int, _ []ast.Expr) (operand, error) {
	c.deleted = true
	return condition(at, fixed("(r._state = "+state(core.Deleted)+")")), nil
}

func state(s core.RecordState) string { return strconv.Itoa(int(s)) }

// base gives what the service held in a cell: the base value of an edited one, the value of a clean one.
func (c *checker) base(at int, args []ast.Expr) (operand, error) {
	col, err := c.named(args[0])
	if err != nil {
		return operand{}, err
	}
	k, number := kindOf(col.Type), strconv.Itoa(col.Number)
	cell := "r." + pgx.Identifier{col.Physical}.Sanitize()
	sql := "(case when r._base ? '" + number + "' then " + fromCanonical(k, "r._base", number) + " else " + cell + " end)"
	return operand{kind: k, at: at, emit: fixed(sql), size: columnDigits}, nil
}

// fromCanonical gives the SQL of the value that a jsonb column holds in its canonical form under a key.
func fromCanonical(k kind, column, key string) string {
	entry := "(" + column + " -> '" + key + "')"
	switch k {
	case textKind:
		return "(" + column + " ->> '" + key + "')"
	case jsonKind:
		return "(case when jsonb_typeof" + entry + " = 'array' then " + entry + " -> 0 end)"
	case listKind:
		return "(case when jsonb_typeof" + entry + " = 'array' then array(select jsonb_array_elements_text" + entry + ") end)"
	}
	return "(" + column + " ->> '" + key + "')::" + k.sql()
}

// named finds the column that a function is asked about.
func (c *checker) named(arg ast.Expr) (core.Column, error) {
	if arg.Kind() != ast.IdentKind {
		return core.Column{}, c.refuse(c.place(arg), "Expected was the name of a column.")
	}
	return c.columnNamed(arg)
}
