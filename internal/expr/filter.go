// Package expr is the one expression language: CEL. A filter compiles to parameterised SQL; nothing that a person writes is
// ever spliced into a statement.
package expr

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Limits on what a filter may be: deep or long expressions cost more to read than they are worth.
const (
	maxNesting = 30
	maxSize    = 2000
)

// Filter is a checked expression over the columns of a table.
type Filter struct {
	root    ast.Expr
	columns map[string]core.Column
	deleted bool
}

// Builder collects the parameters of a statement; the first placeholder that a filter adds is behind those in Args.
type Builder struct {
	Schema string // of the snapshot, for its companions
	Args   []any
}

func (b *Builder) arg(v any) string {
	b.Args = append(b.Args, v)
	return "$" + strconv.Itoa(len(b.Args))
}

// UsesDeleted says whether the filter asks for deleted records.
func (f *Filter) UsesDeleted() bool { return f.deleted }

// CompileFilter reads an expression that is true or false for a record. The error is Invalid, with a sentence.
func CompileFilter(src string, columns []core.Column) (*Filter, error) {
	if len(src) > maxSize {
		return nil, core.FieldErrorf("/filter", "The filter takes at most %d characters.", maxSize)
	}
	env, err := cel.NewEnv(cel.ParserRecursionLimit(maxNesting), cel.ParserExpressionSizeLimit(maxSize), cel.ClearMacros())
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	parsed, issues := env.Parse(src)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, core.FieldErrorf("/filter", "The filter cannot be read at character %d: %s", first.Location.Column()+1, firstLine(first.Message))
	}
	f := &Filter{root: parsed.NativeRep().Expr(), columns: map[string]core.Column{}}
	for _, c := range columns {
		f.columns[c.Slug] = c
	}
	_, err = f.SQL(&Builder{})
	return f, err
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// SQL gives the filter as a condition over alias r that is never null.
func (f *Filter) SQL(b *Builder) (string, error) {
	c := &compiler{f: f, b: b}
	return c.condition(f.root)
}

type compiler struct {
	f     *Filter
	b     *Builder
	depth int
}

func refuse(format string, args ...any) error { return core.FieldErrorf("/filter", format, args...) }

// operand is a value in SQL: its type ("" for null) and its text.
type operand struct {
	kind core.ColumnType // "" is the null literal; "record" is a condition
	sql  string
}

const condKind = core.ColumnType("condition")

// condition compiles what must be true or false.
func (c *compiler) condition(e ast.Expr) (string, error) {
	if c.depth++; c.depth > maxNesting*4 {
		return "", refuse("The filter is nested too deeply.")
	}
	defer func() { c.depth-- }()
	if e.Kind() == ast.CallKind {
		if sql, ok, err := c.logic(e.AsCall()); ok || err != nil {
			return sql, err
		}
	}
	o, err := c.value(e)
	if err != nil {
		return "", err
	}
	switch o.kind {
	case condKind:
		return o.sql, nil
	case core.Checkbox:
		return "coalesce(" + o.sql + ", false)", nil
	}
	return "", refuse("A filter has to be true or false; compare the value with something, as in price > 10.")
}

func (c *compiler) logic(call ast.CallExpr) (string, bool, error) {
	args := call.Args()
	switch call.FunctionName() {
	case "_&&_", "_||_":
		op := map[string]string{"_&&_": " and ", "_||_": " or "}[call.FunctionName()]
		l, err := c.condition(args[0])
		if err != nil {
			return "", true, err
		}
		r, err := c.condition(args[1])
		return "(" + l + op + r + ")", true, err
	case "!_":
		x, err := c.condition(args[0])
		return "(not " + x + ")", true, err
	case "_==_", "_!=_":
		sql, err := c.equal(args[0], args[1])
		if call.FunctionName() == "_!=_" {
			sql = "(not " + sql + ")"
		}
		return sql, true, err
	case "_<_", "_<=_", "_>_", "_>=_":
		sql, err := c.compare(strings.Trim(call.FunctionName(), "_"), args[0], args[1])
		return sql, true, err
	case "@in":
		sql, err := c.in(args[0], args[1])
		return sql, true, err
	}
	return "", false, nil
}

// pair compiles two operands and brings literals to the other's type.
func (c *compiler) pair(a, b ast.Expr) (l, r operand, err error) {
	if l, err = c.value(a); err != nil {
		return
	}
	if r, err = c.value(b); err != nil {
		return
	}
	if l.kind == "" || r.kind == "" || family(l.kind) == family(r.kind) {
		return
	}
	if fixed, ok := c.dated(a, r.kind); ok {
		l = fixed
	} else if fixed, ok := c.dated(b, l.kind); ok {
		r = fixed
	} else {
		err = refuse("A %s cannot be compared with a %s.", l.kind.Word(), r.kind.Word())
	}
	return
}

// dated reads a text literal as a date or time where the other side is one.
func (c *compiler) dated(e ast.Expr, kind core.ColumnType) (operand, bool) {
	if e.Kind() != ast.LiteralKind || kind != core.Date && kind != core.DateTime && kind != core.LocalTime {
		return operand{}, false
	}
	s, ok := e.AsLiteral().(types.String)
	if !ok {
		return operand{}, false
	}
	v, err := core.CheckValue(core.Column{Type: kind, Title: "The filter"}, core.TextValue(string(s)))
	if err != nil {
		return operand{}, false
	}
	return operand{kind, c.b.arg(v.Text) + "::text::" + sqlType(kind)}, true
}

func sqlType(k core.ColumnType) string {
	switch k {
	case core.Date:
		return "date"
	case core.DateTime:
		return "timestamptz"
	}
	return "timestamp"
}

// family puts types together that compare with each other.
func family(k core.ColumnType) string {
	switch {
	case k.IsText():
		return "text"
	case k.IsList():
		return "list"
	}
	return string(k)
}

func (c *compiler) equal(a, b ast.Expr) (string, error) {
	l, r, err := c.pair(a, b)
	if err != nil {
		return "", err
	}
	switch {
	case l.kind == "" && r.kind == "":
		return "true", nil
	case l.kind == "":
		return "(" + r.sql + " is null)", nil
	case r.kind == "":
		return "(" + l.sql + " is null)", nil
	case l.kind == core.JSON || r.kind == core.JSON:
		return "", refuse("A JSON document can only be compared with null.")
	}
	return "(" + l.sql + " is not distinct from " + r.sql + ")", nil
}

func (c *compiler) compare(op string, a, b ast.Expr) (string, error) {
	l, r, err := c.pair(a, b)
	if err != nil {
		return "", err
	}
	if l.kind == "" || r.kind == "" {
		return "false", nil
	}
	switch family(l.kind) {
	case "list", string(core.JSON), string(core.Checkbox), string(condKind):
		return "", refuse("A %s has no order; use == or !=.", l.kind.Word())
	case "text":
		return `coalesce((` + l.sql + `) collate "und-x-icu" ` + op + ` (` + r.sql + `), false)`, nil
	}
	return "coalesce((" + l.sql + ") " + op + " (" + r.sql + "), false)", nil
}

func (c *compiler) in(a, b ast.Expr) (string, error) {
	if b.Kind() == ast.ListKind {
		var any []string
		for _, el := range b.AsList().Elements() {
			sql, err := c.equal(a, el)
			if err != nil {
				return "", err
			}
			any = append(any, sql)
		}
		if any == nil {
			return "false", nil
		}
		return "(" + strings.Join(any, " or ") + ")", nil
	}
	l, err := c.value(a)
	if err != nil {
		return "", err
	}
	r, err := c.value(b)
	if err != nil {
		return "", err
	}
	if !r.kind.IsList() || l.kind != core.Text {
		return "", refuse("“in” looks for a text in a list, as in \"red\" in colours.")
	}
	return "coalesce(" + l.sql + " = any(" + r.sql + "), false)", nil
}

// value compiles an operand.
func (c *compiler) value(e ast.Expr) (operand, error) {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.column(e.AsIdent())
	case ast.CallKind:
		return c.call(e.AsCall())
	}
	return operand{}, refuse("The filter holds something that filters do not know.")
}

var plainNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)

func (c *compiler) literal(e ast.Expr) (operand, error) {
	switch v := e.AsLiteral().(type) {
	case types.String:
		if strings.ContainsRune(string(v), 0) {
			return operand{}, refuse("A text cannot hold the NUL character.")
		}
		return operand{core.Text, c.b.arg(string(v)) + "::text"}, nil
	case types.Int:
		return operand{core.Number, c.b.arg(strconv.FormatInt(int64(v), 10)) + "::text::numeric"}, nil
	case types.Double:
		s := strconv.FormatFloat(float64(v), 'g', -1, 64)
		if !plainNumber.MatchString(s) {
			return operand{}, refuse("That number cannot be read.")
		}
		return operand{core.Number, c.b.arg(s) + "::text::numeric"}, nil
	case types.Bool:
		return operand{core.Checkbox, strconv.FormatBool(bool(v))}, nil
	case types.Null:
		return operand{}, nil
	}
	return operand{}, refuse("The filter holds a kind of value that filters do not know.")
}

func (c *compiler) column(slug string) (operand, error) {
	col, ok := c.f.columns[slug]
	if !ok {
		return operand{}, refuse("There is no column “%s”%s.", slug, c.suggestion(slug))
	}
	return operand{col.Type, "r." + pgx.Identifier{col.Physical}.Sanitize()}, nil
}

func (c *compiler) suggestion(slug string) string {
	best, at := "", 3 // more than two changed letters is another word
	for s := range c.f.columns {
		if d := distance(s, slug); d < at || d == at && best != "" && s < best {
			best, at = s, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean “" + best + "”"
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost = min(diag, row[j], row[j-1]) + 1
			}
			diag, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
