package expr

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// call compiles a function: over values, over the record's state, and comparisons that stand where a value is wanted.
func (c *compiler) call(call ast.CallExpr) (operand, error) {
	if sql, ok, err := c.logic(call); ok || err != nil {
		return operand{condKind, sql}, err
	}
	name, args := call.FunctionName(), call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	switch name {
	case "edited", "suggested", "conflict", "problem", "created", "deleted":
		sql, err := c.state(name, args)
		return operand{condKind, sql}, err
	case "contains", "startsWith", "endsWith", "containsIgnoreCase":
		sql, err := c.textTest(name, args)
		return operand{condKind, sql}, err
	case "lower", "upper", "trim":
		return c.textFunction(name, args)
	case "size":
		return c.size(args)
	case "has", "empty":
		sql, err := c.presence(name, args)
		return operand{condKind, sql}, err
	case "date", "timestamp":
		return c.dateLiteral(name, args)
	case "_+_", "_-_", "_*_", "_/_", "-_":
		return c.arithmetic(name, args)
	}
	return operand{}, refuse("Filters do not know the function “%s”.", strings.Trim(name, "_@"))
}

func (c *compiler) one(name string, args []ast.Expr, n int) error {
	if len(args) != n {
		return refuse("“%s” takes %d values here.", name, n)
	}
	return nil
}

func (c *compiler) textTest(name string, args []ast.Expr) (string, error) {
	if err := c.one(name, args, 2); err != nil {
		return "", err
	}
	l, err := c.value(args[0])
	if err != nil {
		return "", err
	}
	r, err := c.value(args[1])
	if err != nil {
		return "", err
	}
	if family(l.kind) != "text" || family(r.kind) != "text" {
		return "", refuse("“%s” looks into a text.", name)
	}
	switch name {
	case "startsWith":
		return "coalesce(starts_with(" + l.sql + ", " + r.sql + "), false)", nil
	case "endsWith":
		return "coalesce(right(" + l.sql + ", length(" + r.sql + ")) = " + r.sql + ", false)", nil
	case "containsIgnoreCase":
		return `coalesce(position(lower((` + r.sql + `) collate "und-x-icu") in lower((` + l.sql + `) collate "und-x-icu")) > 0, false)`, nil
	}
	return "coalesce(position(" + r.sql + " in " + l.sql + ") > 0, false)", nil
}

func (c *compiler) textFunction(name string, args []ast.Expr) (operand, error) {
	if err := c.one(name, args, 1); err != nil {
		return operand{}, err
	}
	x, err := c.value(args[0])
	if err != nil {
		return operand{}, err
	}
	if family(x.kind) != "text" {
		return operand{}, refuse("“%s” takes a text.", name)
	}
	if name == "trim" {
		return operand{core.Text, `regexp_replace(` + x.sql + `, '^\s+|\s+$', '', 'g')`}, nil
	}
	return operand{core.Text, name + `((` + x.sql + `) collate "und-x-icu")`}, nil
}

func (c *compiler) size(args []ast.Expr) (operand, error) {
	if err := c.one("size", args, 1); err != nil {
		return operand{}, err
	}
	x, err := c.value(args[0])
	switch {
	case err != nil:
		return operand{}, err
	case x.kind.IsList():
		return operand{core.Number, "cardinality(" + x.sql + ")::numeric"}, nil
	case family(x.kind) == "text":
		return operand{core.Number, "length(" + x.sql + ")::numeric"}, nil
	}
	return operand{}, refuse("“size” takes a text or a list.")
}

func (c *compiler) presence(name string, args []ast.Expr) (string, error) {
	if err := c.one(name, args, 1); err != nil {
		return "", err
	}
	x, err := c.value(args[0])
	if err != nil {
		return "", err
	}
	if x.kind == "" || x.kind == condKind {
		return "", refuse("“%s” takes a column.", name)
	}
	if name == "has" {
		return "(" + x.sql + " is not null)", nil
	}
	switch {
	case x.kind.IsList():
		return "(coalesce(cardinality(" + x.sql + "), 0) = 0)", nil
	case family(x.kind) == "text":
		return "(coalesce(" + x.sql + ", '') = '')", nil
	}
	return "(" + x.sql + " is null)", nil
}

func (c *compiler) dateLiteral(name string, args []ast.Expr) (operand, error) {
	kind := map[string]core.ColumnType{"date": core.Date, "timestamp": core.DateTime}[name]
	if len(args) == 1 {
		if o, ok := c.dated(args[0], kind); ok {
			return o, nil
		}
	}
	return operand{}, refuse("“%s” takes a text such as \"2026-11-24\".", name)
}

func (c *compiler) arithmetic(name string, args []ast.Expr) (operand, error) {
	var sql []string
	for _, a := range args {
		x, err := c.value(a)
		if err != nil {
			return operand{}, err
		}
		if x.kind != core.Number {
			return operand{}, refuse("Only numbers can be reckoned with.")
		}
		sql = append(sql, x.sql)
	}
	switch {
	case name == "-_" && len(sql) == 1:
		return operand{core.Number, "(- " + sql[0] + ")"}, nil
	case name == "_/_":
		return operand{core.Number, "(" + sql[0] + " / nullif(" + sql[1] + ", 0))"}, nil
	}
	return operand{core.Number, "(" + strings.Join(sql, " "+strings.Trim(name, "_")+" ") + ")"}, nil
}

// state compiles what is known of a record, or of one of its cells.
func (c *compiler) state(name string, args []ast.Expr) (string, error) {
	number, err := c.cell(name, args)
	if err != nil {
		return "", err
	}
	companion := func(table, more string) string {
		cond := ""
		if number != "" {
			cond = " and s.col = " + number
		}
		return "exists (select 1 from " + pgx.Identifier{c.b.Schema, table}.Sanitize() + " s where s.row = r._id" + more + cond + ")"
	}
	switch name {
	case "created":
		return "(r._state = 1)", nil
	case "deleted":
		c.f.deleted = true
		return "(r._state = 2)", nil
	case "suggested":
		return companion("_suggestions", " and s.decided is null"), nil
	case "problem":
		return companion("_problems", ""), nil
	}
	column := map[string]string{"edited": "r._base", "conflict": "r._conflict"}[name]
	if number == "" {
		return "(" + column + " is not null)", nil
	}
	return "coalesce(" + column + " ? '" + number + "', false)", nil
}

func (c *compiler) cell(name string, args []ast.Expr) (string, error) {
	switch {
	case len(args) == 0:
		return "", nil
	case len(args) > 1 || args[0].Kind() != ast.IdentKind || name == "created" || name == "deleted":
		return "", refuse("“%s” takes at most the name of a column.", name)
	}
	col, ok := c.f.columns[args[0].AsIdent()]
	if !ok {
		_, err := c.column(args[0].AsIdent())
		return "", err
	}
	return strconv.Itoa(col.Number), nil
}
