package expr

import (
	"slices"
	"strings"

	"scratchpaper/internal/core"
)

// Op is what a condition of the filter builder asks of a column.
type Op string

// The operators. Less and its like stand for before and after where the value is a date or a time.
const (
	Is               Op = "is"
	IsNot            Op = "is not"
	Contains         Op = "contains" // a text in a text (with its case) or in a list
	DoesNotContain   Op = "does not contain"
	ContainsAnyCase  Op = "contains, any case"
	LacksAnyCase     Op = "does not contain, any case"
	StartsWith       Op = "starts with"
	EndsWith         Op = "ends with"
	IsEmpty          Op = "is empty"
	IsNotEmpty       Op = "is not empty"
	Greater          Op = ">"
	GreaterOrEqual   Op = ">="
	Less             Op = "<"
	LessOrEqual      Op = "<="
	Before           Op = "before"
	After            Op = "after"
	IsOneOf          Op = "is one of"
	IsEdited         Op = "edited" // these ask for the record when no column is given
	IsSuggested      Op = "suggested"
	IsInConflict     Op = "conflict"
	HasProblem       Op = "problem"
	RecordWasCreated Op = "created" // these take no column
	RecordWasDeleted Op = "deleted"
)

// Condition is one line of the filter builder: a column, an operator, and a value in its canonical text.
type Condition struct {
	Column string          // slug
	Type   core.ColumnType // of the column: it decides how values are written; "" counts as Text
	Op     Op
	Value  string
	Values []string // of IsOneOf, and of Is and IsNot on a list
}

// comparisons are the operators that are written between column and value.
var comparisons = map[Op]string{Is: "==", IsNot: "!=", Greater: ">", GreaterOrEqual: ">=", Less: "<", LessOrEqual: "<=", Before: "<", After: ">"}

// methods are the operators that are functions of the column, and take the value.
var methods = map[Op]string{Contains: "contains", ContainsAnyCase: "containsIgnoreCase", StartsWith: "startsWith", EndsWith: "endsWith"}

// FromConditions writes the expression of which all conditions, or any of them, must hold. No condition is "". Whether
// columns and values fit is for CompileFilter to say.
func FromConditions(list []Condition, any bool) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.expression()
	}
	if any {
		return strings.Join(parts, " || ")
	}
	return strings.Join(parts, " && ")
}

func (c Condition) expression() string {
	switch c.Op {
	case IsEmpty:
		return "empty(" + c.Column + ")"
	case IsNotEmpty:
		return "!empty(" + c.Column + ")"
	case IsOneOf:
		return c.Column + " in " + c.literals()
	case DoesNotContain, LacksAnyCase:
		c.Op = map[Op]Op{DoesNotContain: Contains, LacksAnyCase: ContainsAnyCase}[c.Op]
		if c.Type.IsList() && c.Op == Contains {
			return "!(" + c.expression() + ")"
		}
		return "!" + c.expression()
	case IsEdited, IsSuggested, IsInConflict, HasProblem:
		return string(c.Op) + "(" + c.Column + ")"
	case RecordWasCreated, RecordWasDeleted:
		return string(c.Op) + "()"
	}
	if c.Op == Contains && c.Type.IsList() {
		return Quote(c.Value) + " in " + c.Column
	}
	if name, ok := methods[c.Op]; ok {
		return c.Column + "." + name + "(" + Quote(c.Value) + ")"
	}
	if c.Type.IsList() {
		return c.Column + " " + comparisons[c.Op] + " " + c.literals()
	}
	return c.Column + " " + comparisons[c.Op] + " " + c.literal(c.Value)
}

func (c Condition) literals() string {
	list := make([]string, len(c.Values))
	for i, v := range c.Values {
		list[i] = c.literal(v)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// literal writes a value as the column's type is written; what does not look like one is written as a text, so that the
// checker names it.
func (c Condition) literal(v string) string {
	switch kindOf(c.Type) {
	case numberKind:
		if plain, err := core.CheckValue(core.Column{Type: core.Number}, core.TextValue(v)); err == nil && !isSpecialNumber(v) {
			return plain.Text
		}
	case boolKind:
		if v == "true" || v == "false" {
			return v
		}
	case dateKind:
		return "date(" + Quote(v) + ")"
	case instantKind, localKind:
		return "timestamp(" + Quote(v) + ")"
	}
	return Quote(v)
}

// Quote writes a text as a literal of the expression language. Broken UTF-8 and NUL, which no cell holds, are replaced.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case 0:
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// ToConditions reads an expression that the filter builder can show: conditions joined all by && or all by ||. The types of
// the conditions are those of the literals' kind: Text, Number, Checkbox, Date, DateTime, or Choices for lists. It is not
// ok for anything else, and for what cannot be read. Whether columns exist is for CompileFilter to say.
func ToConditions(src string) (list []Condition, any bool, ok bool) {
	if strings.TrimSpace(src) == "" {
		return nil, false, true
	}
	s, root, err := parse(src)
	if err != nil {
		return nil, false, false
	}
	r := reader{s}
	terms, any := r.terms(root)
	for _, t := range terms {
		c, ok := r.condition(t)
		if !ok {
			return nil, false, false
		}
		list = append(list, c)
	}
	return list, any, true
}

// inverse gives the key of a value in a table of operators; the first in the alphabet of several.
func inverse(table map[Op]string, value string) Op {
	var found []Op
	for op, v := range table {
		if v == value {
			found = append(found, op)
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return found[0]
}
