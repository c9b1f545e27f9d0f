package expr

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"scratchpaper/internal/core"
)

// reader recognises the shapes that FromConditions writes.
type reader struct{ *source }

// terms gives what && or || join, and whether it is ||.
func (r reader) terms(e ast.Expr) (list []ast.Expr, any bool) {
	if isCall(e, operators.LogicalOr) {
		return flatten(e, operators.LogicalOr), true
	}
	return flatten(e, operators.LogicalAnd), false
}

func flatten(e ast.Expr, op string) []ast.Expr {
	if !isCall(e, op) {
		return []ast.Expr{e}
	}
	args := e.AsCall().Args()
	return append(flatten(args[0], op), flatten(args[1], op)...)
}

func isCall(e ast.Expr, name string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == name
}

func (r reader) condition(e ast.Expr) (Condition, bool) {
	if e.Kind() != ast.CallKind {
		return Condition{}, false
	}
	call := e.AsCall()
	switch name := call.FunctionName(); {
	case name == operators.LogicalNot:
		c, ok := r.condition(call.Args()[0])
		opposite := map[Op]Op{IsEmpty: IsNotEmpty, Contains: DoesNotContain, ContainsAnyCase: LacksAnyCase}[c.Op]
		c.Op = opposite
		return c, ok && opposite != ""
	case name == operators.In:
		return r.in(call.Args())
	case call.IsMemberFunction():
		return r.method(call)
	case len(call.Args()) == 2:
		return r.comparison(call)
	}
	return r.question(call)
}

// in reads “status in ["a", "b"]” and “"a" in tags”.
func (r reader) in(args []ast.Expr) (Condition, bool) {
	if slug, ok := columnOf(args[0]); ok && args[1].Kind() == ast.ListKind {
		values, t, ok := r.list(args[1])
		return Condition{Column: slug, Type: t, Op: IsOneOf, Values: values}, ok
	}
	slug, ok := columnOf(args[1])
	value, t, isLiteral := r.literal(args[0])
	return Condition{Column: slug, Type: core.Choices, Op: Contains, Value: value}, ok && isLiteral && t == core.Text
}

func (r reader) method(call ast.CallExpr) (Condition, bool) {
	slug, ok := columnOf(call.Target())
	op := inverse(methods, call.FunctionName())
	if !ok || op == "" || len(call.Args()) != 1 {
		return Condition{}, false
	}
	value, t, ok := r.literal(call.Args()[0])
	return Condition{Column: slug, Type: t, Op: op, Value: value}, ok && t == core.Text
}

func (r reader) comparison(call ast.CallExpr) (Condition, bool) {
	op := inverse(comparisons, strings.Trim(call.FunctionName(), "_"))
	slug, ok := columnOf(call.Args()[0])
	if !ok || op == "" {
		return Condition{}, false
	}
	if value := call.Args()[1]; value.Kind() == ast.ListKind {
		values, t, ok := r.list(value)
		return Condition{Column: slug, Type: core.Choices, Op: op, Values: values}, ok && t == core.Text && (op == Is || op == IsNot)
	}
	value, t, ok := r.literal(call.Args()[1])
	return Condition{Column: slug, Type: t, Op: forType(op, t), Value: value}, ok
}

// forType chooses between “before” and “<”, which are written alike.
func forType(op Op, t core.ColumnType) Op {
	isTime := t == core.Date || t == core.DateTime
	switch op {
	case Before, Less:
		return map[bool]Op{true: Before, false: Less}[isTime]
	case After, Greater:
		return map[bool]Op{true: After, false: Greater}[isTime]
	}
	return op
}

// question reads “empty(title)”, “edited()” and the like.
func (r reader) question(call ast.CallExpr) (Condition, bool) {
	slug := ""
	switch args := call.Args(); len(args) {
	case 0:
	case 1:
		var ok bool
		if slug, ok = columnOf(args[0]); !ok {
			return Condition{}, false
		}
	default:
		return Condition{}, false
	}
	switch op := Op(call.FunctionName()); op {
	case "empty":
		return Condition{Column: slug, Op: IsEmpty}, slug != ""
	case IsEdited, IsSuggested, IsInConflict, HasProblem:
		return Condition{Column: slug, Op: op}, true
	case RecordWasCreated, RecordWasDeleted:
		return Condition{Op: op}, slug == ""
	}
	return Condition{}, false
}

func columnOf(e ast.Expr) (slug string, ok bool) {
	if e.Kind() != ast.IdentKind {
		return "", false
	}
	return e.AsIdent(), true
}

// list reads literals of one type.
func (r reader) list(e ast.Expr) (values []string, t core.ColumnType, ok bool) {
	t = core.Text
	for i, el := range e.AsList().Elements() {
		v, vt, ok := r.literal(el)
		if !ok || i > 0 && vt != t {
			return nil, "", false
		}
		values, t = append(values, v), vt
	}
	return values, t, true
}

func (r reader) literal(e ast.Expr) (value string, t core.ColumnType, ok bool) {
	if e.Kind() == ast.CallKind {
		return r.timeLiteral(e.AsCall())
	}
	if e.Kind() != ast.LiteralKind {
		return "", "", false
	}
	switch v := e.AsLiteral().(type) {
	case types.String:
		return string(v), core.Text, true
	case types.Bool:
		return strconv.FormatBool(bool(v)), core.Checkbox, true
	case types.Int, types.Double:
		o, err := newChecker(r.source, nil).literal(e)
		return o.text, core.Number, err == nil
	}
	return "", "", false
}

func (r reader) timeLiteral(call ast.CallExpr) (value string, t core.ColumnType, ok bool) {
	t = map[string]core.ColumnType{"date": core.Date, "timestamp": core.DateTime}[call.FunctionName()]
	if t == "" || call.IsMemberFunction() || len(call.Args()) != 1 || call.Args()[0].Kind() != ast.LiteralKind {
		return "", "", false
	}
	s, ok := call.Args()[0].AsLiteral().(types.String)
	return string(s), t, ok
}
