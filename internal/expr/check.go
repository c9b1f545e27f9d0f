package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// checker turns a syntax tree into operands that fit each other.
type checker struct {
	*source
	columns map[string]core.Column // by slug
	used    map[string]bool        // slugs
	deleted bool
	schema  bool
}

func newChecker(s *source, columns []core.Column) *checker {
	c := &checker{source: s, columns: make(map[string]core.Column, len(columns)), used: map[string]bool{}}
	for _, col := range columns {
		c.columns[col.Slug] = col
	}
	return c
}

func (c *checker) usedColumns(all []core.Column) []core.Column {
	var list []core.Column
	for _, col := range all {
		if c.used[col.Slug] {
			list = append(list, col)
		}
	}
	return list
}

// condition checks what has to be true or false; null counts as false.
func (c *checker) condition(e ast.Expr) (emitter, error) {
	o, err := c.operand(e)
	switch {
	case err != nil:
		return nil, err
	case o.kind != boolKind:
		return nil, c.refuse(o.at, "Expected was something that is true or false, and this is %s; compare it, as in price > 10.", o.kind.word())
	case o.total:
		return o.emit, nil
	}
	return fill("coalesce(%s, false)", o), nil
}

// operand checks a part of the tree.
func (c *checker) operand(e ast.Expr) (operand, error) {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.column(e)
	case ast.CallKind:
		return c.call(e)
	case ast.ListKind:
		return c.list(e)
	case ast.SelectKind:
		sel := e.AsSelect()
		return operand{}, c.refuse(c.place(e), "“.%s” needs brackets if it is a function; values have no parts.", cut(sel.FieldName()))
	}
	return operand{}, c.refuse(c.place(e), "Filters do not know this kind of value.")
}

func (c *checker) literal(e ast.Expr) (operand, error) {
	at := c.place(e)
	switch v := e.AsLiteral().(type) {
	case types.String:
		if s := string(v); strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return operand{}, c.refuse(at, "A text cannot hold the NUL character or half a character.")
		}
		return constantOf(textKind, at, string(v)), nil
	case types.Int:
		return c.number(at, e, v < 0)
	case types.Double:
		return c.number(at, e, v < 0)
	case types.Bool:
		o := condition(at, fixed(strconv.FormatBool(bool(v))))
		o.constant, o.text = true, strconv.FormatBool(bool(v))
		return o, nil
	case types.Null:
		return operand{kind: nullKind, at: at, emit: fixed("null")}, nil
	case types.Uint:
		return operand{}, c.refuse(at, "Write the number without u.")
	}
	return operand{}, c.refuse(at, "Filters do not know this kind of value; a text goes between quotes without letters before them.")
}

// number reads a number from the text as it was written, since the tree holds 64 bits of it.
func (c *checker) number(at int, e ast.Expr, negative bool) (operand, error) {
	plain := strings.TrimLeft(c.source.number(e), "0")
	if plain == "" || !isDigit(rune(plain[0])) {
		plain = "0" + plain // 007 is 7, .5 and 0.5 are the same
	}
	if negative {
		plain = "-" + plain
	}
	return c.numberFrom(at, plain)
}

func (c *checker) numberFrom(at int, text string) (operand, error) {
	v, err := core.CheckValue(core.Column{Type: core.Number, Title: "An expression"}, core.TextValue(text))
	if err != nil {
		return operand{}, c.refuse(at, "“%s” is no number that filters can hold; write one such as 12.50 or 1e3, of at most %d digits.", cut(text), core.MaxNumberDigits)
	}
	o := constantOf(numberKind, at, v.Text)
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(v.Text, "-"), ".")
	o.size = digits{len(whole), len(fraction)}
	return o, nil
}

// list checks a list literal. Its elements need not be of one kind until it is compared with something.
func (c *checker) list(e ast.Expr) (operand, error) {
	o := operand{kind: mixedKind, at: c.place(e), total: true}
	for _, el := range e.AsList().Elements() {
		x, err := c.operand(el)
		if err != nil {
			return operand{}, err
		}
		if x.kind == mixedKind || x.kind == listKind {
			return operand{}, c.refuse(x.at, "A list cannot hold a list.")
		}
		o.elements = append(o.elements, x)
	}
	return o, nil
}

func (c *checker) column(e ast.Expr) (operand, error) {
	col, err := c.columnNamed(e)
	if err != nil {
		return operand{}, err
	}
	sql := "r." + pgx.Identifier{col.Physical}.Sanitize()
	return operand{kind: kindOf(col.Type), at: c.place(e), emit: fixed(sql), size: columnDigits}, nil
}

// columnNamed finds the column that a part of the tree names.
func (c *checker) columnNamed(e ast.Expr) (core.Column, error) {
	slug := strings.TrimPrefix(e.AsIdent(), ".")
	col, ok := c.columns[slug]
	if !ok {
		return core.Column{}, c.refuse(c.place(e), "There is no column “%s”%s", cut(slug), c.guess(slug))
	}
	c.used[slug] = true
	return col, nil
}

// guess ends a sentence about an unknown name with the column that was probably meant.
func (c *checker) guess(slug string) string {
	names := make(map[string]string, len(c.columns))
	for s, col := range c.columns {
		names[s] = s
		if title := strings.ToLower(col.Title); names[title] == "" {
			names[title] = s
		}
	}
	if best := nearest(strings.ToLower(slug), names); best != "" {
		return "; did you mean “" + best + "”?"
	}
	if strings.EqualFold(slug, "none") || strings.EqualFold(slug, "nil") || strings.EqualFold(slug, "null") {
		return "; did you mean “null”?"
	}
	return "; a text goes between quotes."
}
