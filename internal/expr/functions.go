package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
)

// function is what an expression can call. Those of values can also be called on the value: title.size() is size(title).
type function struct {
	least, most int  // arguments, the value included
	ofRecord    bool // asks for the record and cannot be called on a value
	check       func(at int, args []ast.Expr) (operand, error)
}

// functions gives everything that filters can call, by name.
func (c *checker) functions() map[string]function {
	text := func(check func(at int, args []operand) operand, n int) function {
		return function{least: n, most: n, check: c.ofTexts(check)}
	}
	record := func(least, most int, check func(at int, args []ast.Expr) (operand, error)) function {
		return function{least: least, most: most, ofRecord: true, check: check}
	}
	return map[string]function{
		"contains":           text(textTest("coalesce(position(%[2]s in %[1]s) > 0, false)"), 2),
		"containsIgnoreCase": text(containsIgnoreCase, 2),
		"startsWith":         text(textTest("coalesce(starts_with(%s, %s), false)"), 2),
		"endsWith":           text(textTest("coalesce(starts_with(reverse(%s), reverse(%s)), false)"), 2),
		"lower":              text(textResult(`lower(%s collate "und-x-icu")`), 1),
		"upper":              text(textResult(`upper(%s collate "und-x-icu")`), 1),
		"trim":               text(textResult("btrim(%s, "+blanks+")"), 1),
		"size":               {least: 1, most: 1, check: c.sizeOf},
		"has":                {least: 1, most: 1, check: c.has},
		"empty":              {least: 1, most: 1, check: c.empty},
		"date":               record(1, 1, c.timeCall(dateKind)),
		"timestamp":          record(1, 1, c.timeCall(instantKind)),
		"edited":             record(0, 1, c.edited),
		"suggested":          record(0, 1, c.suggested),
		"conflict":           record(0, 1, c.conflict),
		"problem":            record(0, 1, c.problem),
		"created":            record(0, 0, c.created),
		"deleted":            record(0, 0, c.isDeleted),
		"base":               record(1, 1, c.base),
	}
}

// blanks are the characters that Unicode calls white space, as an SQL literal.
const blanks = `E'\t\n\u000B\u000C\r \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'`

func (c *checker) function(e ast.Expr) (operand, error) {
	call, at := e.AsCall(), c.place(e)
	name, args := call.FunctionName(), slices.Clone(call.Args())
	f, ok := c.functions()[name]
	switch {
	case !ok:
		return operand{}, c.unknown(at, name)
	case call.IsMemberFunction() && f.ofRecord:
		return operand{}, c.refuse(at, "“%s” stands on its own: %s.", name, example(name, f))
	case call.IsMemberFunction():
		args = append([]ast.Expr{call.Target()}, args...)
	}
	if len(args) < f.least || len(args) > f.most {
		return operand{}, c.refuse(at, "“%s” is written like this: %s.", name, example(name, f))
	}
	o, err := f.check(at, args)
	if err == nil && !call.IsMemberFunction() {
		o.at = min(o.at, at)
	}
	return o, err
}

// example shows how a function is written.
func example(name string, f function) string {
	switch {
	case name == "date" || name == "timestamp":
		return name + `("2026-11-24")`
	case f.most == 0:
		return name + "()"
	case f.least == 0:
		return name + "() or " + name + "(title)"
	case f.most == 2:
		return "title." + name + `("x")`
	}
	return name + "(title)"
}

// later are functions of CEL that people look for, and what to write in their place.
var later = map[string]string{
	"matches":    "Filters cannot use regular expressions yet; write contains, startsWith or endsWith.",
	"lowerAscii": "Write lower(title).",
	"upperAscii": "Write upper(title).",
	"int":        "Numbers need no conversion: write price > 10.",
	"double":     "Numbers need no conversion: write price > 10.",
	"string":     "Filters do not turn values into texts.",
	"duration":   "Filters do not know lengths of time; compare with a date.",
	"exists":     "Filters cannot go through a list; write \"x\" in tags.",
	"all":        "Filters cannot go through a list; write \"x\" in tags.",
}

func (c *checker) unknown(at int, name string) error {
	if sentence, ok := later[name]; ok {
		return c.refuse(at, "%s", sentence)
	}
	known := map[string]string{}
	for n := range c.functions() {
		known[strings.ToLower(n)] = n
	}
	name = strings.TrimPrefix(name, ".")
	if best := nearest(strings.ToLower(name), known); best != "" {
		return c.refuse(at, "There is no function “%s”; did you mean “%s”?", cut(name), best)
	}
	names := make([]string, 0, len(known))
	for _, n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	return c.refuse(at, "There is no function “%s”; there are %s.", cut(name), strings.Join(names, ", "))
}

// ofTexts checks that every argument is a text.
func (c *checker) ofTexts(check func(at int, args []operand) operand) func(int, []ast.Expr) (operand, error) {
	return func(at int, args []ast.Expr) (operand, error) {
		var list []operand
		for _, a := range args {
			o, err := c.operand(a)
			if err != nil {
				return operand{}, err
			}
			if o.kind != textKind {
				return operand{}, c.refuse(o.at, "Expected was a text, and this is %s%s", o.kind.word(), listAdvice(o.kind))
			}
			list = append(list, o)
		}
		return check(at, list), nil
	}
}

func listAdvice(k kind) string {
	if k == listKind || k == mixedKind {
		return "; write \"x\" in tags."
	}
	return "."
}

func textTest(format string) func(at int, args []operand) operand {
	return func(at int, args []operand) operand { return condition(at, fill(format, args...)) }
}

// containsIgnoreCase compares capitals, since those of ß and of the two small sigmas are the same wherever they stand.
func containsIgnoreCase(at int, args []operand) operand {
	return condition(at, fill(`coalesce(position(upper(%[2]s collate "und-x-icu") in upper(%[1]s collate "und-x-icu")) > 0, false)`, args...))
}

func textResult(format string) func(at int, args []operand) operand {
	return func(at int, args []operand) operand {
		return operand{kind: textKind, at: at, total: args[0].total, emit: fill(format, args...)}
	}
}

func (c *checker) sizeOf(at int, args []ast.Expr) (operand, error) {
	x, err := c.operand(args[0])
	if err != nil {
		return operand{}, err
	}
	o := operand{kind: numberKind, at: at, total: x.total, size: digits{whole: 10}}
	switch x.kind {
	case textKind:
		o.emit = fill("length(%s)::numeric", x)
	case listKind:
		o.emit = fill("cardinality(%s)::numeric", x)
	default:
		return operand{}, c.refuse(x.at, "“size” counts the characters of a text or the values of a list, and this is %s.", x.kind.word())
	}
	return o, nil
}

func (c *checker) has(at int, args []ast.Expr) (operand, error) {
	x, err := c.present(args[0])
	return condition(at, fill("(%s is not null)", x)), err
}

func (c *checker) empty(at int, args []ast.Expr) (operand, error) {
	x, err := c.present(args[0])
	switch x.kind {
	case textKind:
		return condition(at, fill("(coalesce(%s, '') = '')", x)), err
	case listKind:
		return condition(at, fill("(coalesce(cardinality(%s), 0) = 0)", x)), err
	}
	return condition(at, fill("(%s is null)", x)), err
}

// present checks what can be asked whether it is there.
func (c *checker) present(arg ast.Expr) (operand, error) {
	x, err := c.operand(arg)
	if err == nil && (x.kind == nullKind || x.kind == mixedKind || x.constant) {
		err = c.refuse(x.at, "Expected was a column.")
	}
	return x, err
}
