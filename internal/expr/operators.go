package expr

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// call checks an operator or a function.
func (c *checker) call(e ast.Expr) (operand, error) {
	call := e.AsCall()
	if call.IsMemberFunction() {
		return c.function(e)
	}
	at, args := c.place(e), call.Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd:
		return c.joined(at, "(%s and %s)", args...)
	case operators.LogicalOr:
		return c.joined(at, "(%s or %s)", args...)
	case operators.LogicalNot:
		return c.joined(at, "(not %s)", args...)
	case operators.Equals:
		return c.compared(at, args, c.equal)
	case operators.NotEquals:
		o, err := c.compared(at, args, c.equal)
		return condition(at, fill("(not %s)", o)), err
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return c.compared(at, args, c.ordered(strings.Trim(name, "_")))
	case operators.In:
		return c.in(at, args)
	case operators.Conditional:
		return c.choice(at, args)
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		return c.calculated(at, strings.Trim(name, "_"), args)
	case operators.Negate:
		return c.negated(at, args[0])
	case operators.Modulo:
		return operand{}, c.refuse(at, "Filters cannot reckon remainders.")
	case operators.Index:
		return operand{}, c.refuse(at, "Filters cannot take a value out of a list; write \"x\" in tags.")
	}
	return c.function(e)
}

// joined checks conditions and joins them.
func (c *checker) joined(at int, format string, args ...ast.Expr) (operand, error) {
	var parts []emitter
	for _, a := range args {
		p, err := c.condition(a)
		if err != nil {
			return operand{}, err
		}
		parts = append(parts, p)
	}
	return condition(at, fillEmitters(format, parts...)), nil
}

// comparison checks two operands that a comparison at a place joins.
type comparison func(at int, l, r operand) (operand, error)

func (c *checker) compared(at int, args []ast.Expr, join comparison) (operand, error) {
	l, err := c.operand(args[0])
	if err != nil {
		return operand{}, err
	}
	r, err := c.operand(args[1])
	if err != nil {
		return operand{}, err
	}
	return join(at, l, r)
}

func (c *checker) equal(at int, l, r operand) (operand, error) {
	l, r, err := c.matched(at, l, r)
	switch {
	case err != nil:
		return operand{}, err
	case l.kind == nullKind && r.kind == nullKind:
		return condition(at, fixed("true")), nil
	case l.kind == nullKind:
		return condition(at, fill("(%s is null)", r)), nil
	case r.kind == nullKind:
		return condition(at, fill("(%s is null)", l)), nil
	case l.kind == jsonKind:
		return operand{}, c.refuse(at, "A JSON document can only be compared with null.")
	}
	return condition(at, fill("(%s is not distinct from %s)", l, r)), nil
}

func (c *checker) ordered(op string) comparison {
	return func(at int, l, r operand) (operand, error) {
		l, r, err := c.matched(at, l, r)
		switch {
		case err != nil:
			return operand{}, err
		case !hasOrder(l.kind) || !hasOrder(r.kind):
			k := l.kind
			if hasOrder(k) {
				k = r.kind
			}
			return operand{}, c.refuse(at, "%s is not before or after anything; write == or !=.", capital(k.word()))
		case l.kind == nullKind || r.kind == nullKind:
			return condition(at, fixed("false")), nil
		case l.kind == textKind:
			return condition(at, fill(`coalesce(%s collate "und-x-icu" `+op+` %s, false)`, l, r)), nil
		}
		return condition(at, fill("coalesce(%s "+op+" %s, false)", l, r)), nil
	}
}

func hasOrder(k kind) bool {
	return k == nullKind || k == textKind || k == numberKind || k.isTime()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// matched brings literals to the kind of the other side and refuses sides that do not compare.
func (c *checker) matched(at int, l, r operand) (operand, operand, error) {
	if r.constant || r.kind == mixedKind {
		var err error
		if r, err = c.literalAs(r, l.kind); err != nil {
			return l, r, err
		}
	}
	l, err := c.literalAs(l, r.kind)
	if err != nil {
		return l, r, err
	}
	if l.kind == mixedKind || r.kind == mixedKind {
		return l, r, c.refuse(at, "A list in square brackets goes with “in”: status in [\"draft\", \"live\"].")
	}
	if l.kind != r.kind && l.kind != nullKind && r.kind != nullKind {
		return l, r, c.refuse(at, "%s cannot be compared with %s%s", capital(l.kind.word()), r.kind.word(), advice(l, r))
	}
	return l, r, nil
}

// advice ends a sentence about two sides that do not compare.
func advice(l, r operand) string {
	if l.constant && !r.constant {
		l, r = r, l
	}
	switch {
	case l.kind == numberKind && r.constant && r.kind == textKind:
		return "; write the number without quotes."
	case l.kind == textKind && r.constant:
		return "; write the text with quotes."
	case l.kind == boolKind:
		return "; write == true or == false."
	case l.kind == listKind:
		return "; write \"x\" in tags."
	case l.kind.isTime():
		return "; write a date as date(\"2026-11-24\") and a time as timestamp(\"2026-11-24T10:30:00Z\")."
	}
	return "."
}

// in checks “x in [a, b]” and “x in tags”.
func (c *checker) in(at int, args []ast.Expr) (operand, error) {
	return c.compared(at, args, func(at int, x, list operand) (operand, error) {
		switch {
		case list.kind == mixedKind:
			return c.inLiteral(at, x, list.elements)
		case list.kind != listKind:
			return operand{}, c.refuse(list.at, "Behind “in” goes a list, and this is %s.", list.kind.word())
		case x.kind == nullKind:
			return condition(at, fixed("false")), nil
		case x.kind != textKind:
			return operand{}, c.refuse(x.at, "The list holds texts, and this is %s.", x.kind.word())
		}
		return condition(at, fill("coalesce(%s = any(%s), false)", x, list)), nil
	})
}

// inLiteral compares x with each element; constants go as one parameter, however many they are.
func (c *checker) inLiteral(at int, x operand, elements []operand) (operand, error) {
	var constants []string
	var others []emitter
	for _, el := range elements {
		if _, as, err := c.matched(at, x, el); err == nil && as.constant && as.kind == x.kind {
			constants = append(constants, as.text)
			continue
		}
		eq, err := c.equal(at, x, el)
		if err != nil {
			return operand{}, err
		}
		others = append(others, eq.emit)
	}
	if len(constants) > 0 {
		cast := "::text[]::" + x.kind.sql() + "[]"
		array := operand{emit: func(b *Builder) string { return b.arg(constants) + cast }}
		others = append(others, fill("coalesce(%s = any(%s), false)", x, array))
	}
	if len(others) == 0 {
		return condition(at, fixed("false")), nil
	}
	return condition(at, fillEmitters("("+strings.Repeat("%s or ", len(others)-1)+"%s)", others...)), nil
}

// choice checks “condition ? a : b”.
func (c *checker) choice(at int, args []ast.Expr) (operand, error) {
	cond, err := c.condition(args[0])
	if err != nil {
		return operand{}, err
	}
	return c.compared(at, args[1:], func(at int, l, r operand) (operand, error) {
		l, r, err := c.matched(at, l, r)
		if err != nil {
			return operand{}, err
		}
		o := operand{kind: max(l.kind, r.kind), at: at, total: l.total && r.total} // null is the least kind
		o.size = digits{max(l.size.whole, r.size.whole), max(l.size.fraction, r.size.fraction)}
		o.emit = fillEmitters("(case when %s then %s else %s end)", cond, l.emit, r.emit)
		return o, nil
	})
}

// calculated checks + - * and /.
func (c *checker) calculated(at int, op string, args []ast.Expr) (operand, error) {
	return c.compared(at, args, func(at int, l, r operand) (operand, error) {
		for _, x := range []operand{l, r} {
			if err := c.reckons(x); err != nil {
				return operand{}, err
			}
		}
		o := operand{kind: numberKind, at: l.at, emit: fill("(%s "+op+" %s)", l, r)}
		switch op {
		case "*":
			o.size = l.size.times(r.size)
		case "/":
			o.size, o.emit = l.size.over(r.size), fill("(%s / nullif(%s, 0))", l, r)
		default:
			o.size = l.size.plus(r.size)
		}
		if !o.size.fits() {
			return operand{}, c.refuse(at, "This calculation can give numbers that are too long; multiply and divide fewer of them.")
		}
		return o, nil
	})
}

func (c *checker) negated(at int, arg ast.Expr) (operand, error) {
	x, err := c.operand(arg)
	if err == nil {
		err = c.reckons(x)
	}
	if err != nil {
		return operand{}, err
	}
	return operand{kind: numberKind, at: at, total: x.total, size: x.size, emit: fill("(- %s)", x)}, nil
}

func (c *checker) reckons(x operand) error {
	if x.kind != numberKind {
		return c.refuse(x.at, "Only numbers can be reckoned with, and this is %s.", x.kind.word())
	}
	return nil
}
