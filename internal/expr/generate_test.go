package expr_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// part is a generated piece of an expression: its text, and what it means.
type part struct {
	src  string
	mean meaning
}

// kinds are the slugs of the columns by kind.
var kinds = map[string][]string{
	"text": {"title", "body", "status"}, "number": {"price", "stock"}, "bool": {"done"}, "date": {"day"}, "instant": {"sold"},
	"local": {"opens"}, "list": {"tags", "authors"}, "json": {"data"},
}

func kindOf(slug string) string {
	for kind, slugs := range kinds {
		if slices.Contains(slugs, slug) {
			return kind
		}
	}
	panic(slug)
}

func pick[T any](t *rapid.T, list ...T) T { return rapid.SampledFrom(list).Draw(t, "pick") }

// letters have full and special case mappings, marks, white space, signs of SQL and patterns, and characters beyond 16 bits.
var letters = []rune("aAbB zZ09eé\u0301ßıİiIΣσςĐđñæǆﬁ\u00a0\u3000\t\n'\"\\%_$?😀日")

func someText(t *rapid.T) string {
	return rapid.StringOfN(rapid.SampledFrom(letters), 0, 4, -1).Draw(t, "text")
}

func someNumber(t *rapid.T) string {
	switch rapid.IntRange(0, 5).Draw(t, "size") {
	case 0:
		return pick(t, "0", "1", "-1", "2", "10", "0.00", "100.0", "9999", "10000", "0.0001")
	case 1:
		return rapid.StringMatching(`-?[1-9][0-9]{20,40}(\.[0-9]{1,30})?`).Draw(t, "number")
	case 2:
		return rapid.StringMatching(`-?0\.0{0,20}[0-9]{1,12}`).Draw(t, "number")
	}
	return rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?`).Draw(t, "number")
}

func someDay(t *rapid.T) moment {
	return moment{at: time.Date(rapid.IntRange(-4600, 12000).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 31).Draw(t, "day"), 0, 0, 0, 0, time.UTC)}
}

func someMoment(t *rapid.T, kind string) moment {
	if n := rapid.IntRange(-5, 5).Draw(t, "infinite"); n == -5 || n == 5 {
		return moment{infinite: n / 5}
	}
	m := moment{at: time.Date(2026, 11, rapid.IntRange(23, 25).Draw(t, "day"), 0, 0, 0, 0, time.UTC)}
	if rapid.Bool().Draw(t, "far") {
		m = someDay(t)
	}
	if kind != "date" && rapid.Bool().Draw(t, "time") {
		m.at = m.at.Add(time.Duration(rapid.Int64Range(0, 86_399_999_999).Draw(t, "µs")) * time.Microsecond)
	}
	return m
}

// written gives a moment as ISO and Postgres write it.
func (m moment) written(kind string) string {
	if m.infinite != 0 {
		return map[int]string{-1: "-infinity", 1: "infinity"}[m.infinite]
	}
	year, era := m.at.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	layout := map[string]string{"date": "-01-02", "local": "-01-02 15:04:05.999999", "instant": "-01-02T15:04:05.999999+00:00"}[kind]
	return fmt.Sprintf("%04d", year) + m.at.Format(layout) + era
}

func someValue(t *rapid.T, kind string) value {
	if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return nothing
	}
	switch kind {
	case "text":
		return value{text: someText(t)}
	case "number":
		if rapid.IntRange(0, 9).Draw(t, "special") == 0 {
			return value{number: decimalFrom(pick(t, "NaN", "Infinity", "-Infinity"))}
		}
		return value{number: decimalFrom(someNumber(t))}
	case "bool":
		return truth(rapid.Bool().Draw(t, "truth"))
	case "list":
		return value{list: rapid.SliceOfN(rapid.Custom(someText), 0, 3).Draw(t, "list")}
	case "json":
		return value{text: pick(t, "null", "[]", `{"a": 1}`)}
	}
	return value{when: someMoment(t, kind)}
}

// literal writes a value that is not null as an expression.
func literal(t *rapid.T, kind string) part {
	switch kind {
	case "text":
		s := someText(t)
		return part{expr.Quote(s), func(*row) value { return value{text: s} }}
	case "number":
		s := someNumber(t)
		return part{s, func(*row) value { return value{number: decimalFrom(s)} }}
	case "bool":
		b := rapid.Bool().Draw(t, "truth")
		return part{fmt.Sprint(b), func(*row) value { return truth(b) }}
	}
	m := someMoment(t, kind)
	src := map[string]string{"date": "date", "local": "timestamp", "instant": "timestamp"}[kind] + "(" + expr.Quote(m.written(kind)) + ")"
	return part{src, func(*row) value { return value{when: m} }}
}

// operandOf generates a value of a kind.
func operandOf(t *rapid.T, kind string, depth int) part {
	slug := pick(t, kinds[kind]...)
	choice := rapid.IntRange(0, 7).Draw(t, "operand")
	switch {
	case kind == "bool" && depth > 0 && choice > 4:
		return boolean(t, depth-1)
	case choice == 0:
		return part{"base(" + slug + ")", baseOf(slug)}
	case choice == 1 && kind != "list":
		return literal(t, kind)
	case depth == 0 || choice < 4:
		return part{slug, cell(slug)}
	case choice == 4 && kind != "local": // a literal inside does not say that it has no zone
		c, a, b := boolean(t, depth-1), operandOf(t, kind, depth-1), operandOf(t, kind, depth-1)
		return part{"(" + c.src + " ? " + a.src + " : " + b.src + ")", chosen(c.mean, a.mean, b.mean)}
	case kind == "text":
		a := operandOf(t, "text", depth-1)
		name := pick(t, "lower", "upper", "trim")
		return part{name + "(" + a.src + ")", mapped(map[string]func(string) string{"lower": lower, "upper": upper, "trim": trim}[name], a.mean)}
	case kind == "number":
		return numeric(t, depth)
	}
	return part{slug, cell(slug)}
}

func numeric(t *rapid.T, depth int) part {
	switch rapid.IntRange(0, 5).Draw(t, "numeric") {
	case 0:
		a := operandOf(t, "text", depth-1)
		return part{"size(" + a.src + ")", sized(a.mean, false)}
	case 1:
		a := operandOf(t, "list", depth-1)
		return part{"size(" + a.src + ")", sized(a.mean, true)}
	case 2:
		a := operandOf(t, "number", depth-1)
		return part{"-(" + a.src + ")", func(r *row) value {
			v := a.mean(r)
			if !v.null {
				v.number = v.number.negated()
			}
			return v
		}}
	}
	a, b, op := operandOf(t, "number", depth-1), operandOf(t, "number", depth-1), pick(t, "+", "-", "*", "/")
	return part{"(" + a.src + " " + op + " " + b.src + ")", calculated(op, a.mean, b.mean)}
}

// boolean generates something that is true or false.
func boolean(t *rapid.T, depth int) part {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "joined") == 0 {
		a, b := boolean(t, depth-1), boolean(t, depth-1)
		switch pick(t, "&&", "||", "!") {
		case "&&":
			return part{"(" + a.src + " && " + b.src + ")", func(r *row) value { return truth(holds(a.mean(r)) && holds(b.mean(r))) }}
		case "||":
			return part{"(" + a.src + " || " + b.src + ")", func(r *row) value { return truth(holds(a.mean(r)) || holds(b.mean(r))) }}
		}
		return part{"!(" + a.src + ")", func(r *row) value { return truth(!holds(a.mean(r))) }}
	}
	return []func(*rapid.T, int) part{comparison, comparison, comparison, equality, presence, textTest, membership, question, bare}[rapid.IntRange(0, 8).Draw(t, "boolean")](t, max(depth-1, 0))
}

func comparison(t *rapid.T, depth int) part {
	kind, op := pick(t, "text", "number", "number", "date", "instant", "local"), pick(t, "==", "!=", "<", "<=", ">", ">=")
	a, b := operandOf(t, kind, depth), operandOf(t, kind, depth)
	if (kind == "instant" || kind == "local") && strings.HasPrefix(a.src, "timestamp(") {
		a = part{kinds[kind][0], cell(kinds[kind][0])} // two literals do not say whether they have a zone
	}
	return part{"(" + a.src + " " + op + " " + b.src + ")", compared(op, kind, a.mean, b.mean)}
}

func equality(t *rapid.T, depth int) part {
	kind, op := pick(t, "bool", "list", "json", "text", "number", "date"), pick(t, "==", "!=")
	a := operandOf(t, kind, 0)
	if kind != "json" && kind != "list" {
		a = operandOf(t, kind, depth)
	}
	b := part{"null", func(*row) value { return nothing }}
	switch {
	case kind == "list" && rapid.Bool().Draw(t, "literal"):
		b = listLiteral(t)
	case kind != "json" && rapid.Bool().Draw(t, "other"):
		b = operandOf(t, kind, depth)
	}
	return part{"(" + a.src + " " + op + " " + b.src + ")", compared(op, kind, a.mean, b.mean)}
}

func listLiteral(t *rapid.T) part {
	list := rapid.SliceOfN(rapid.Custom(someText), 0, 2).Draw(t, "list")
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = expr.Quote(s)
	}
	return part{"[" + strings.Join(quoted, ", ") + "]", func(*row) value { return value{list: list} }}
}

// bare is a value that is true, false or null, where a condition is wanted.
func bare(t *rapid.T, depth int) part {
	return operandOf(t, "bool", depth)
}

func presence(t *rapid.T, _ int) part {
	kind := pick(t, "text", "number", "bool", "date", "instant", "local", "list", "json")
	slug := pick(t, kinds[kind]...)
	if rapid.Bool().Draw(t, "has") {
		return part{"has(" + slug + ")", func(r *row) value { return truth(!r.values[slug].null) }}
	}
	return part{"empty(" + slug + ")", isEmpty(kind, cell(slug))}
}

func textTest(t *rapid.T, depth int) part {
	a, b := operandOf(t, "text", depth), operandOf(t, "text", depth)
	name := pick(t, "contains", "startsWith", "endsWith", "containsIgnoreCase")
	test := map[string]func(a, b string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "containsIgnoreCase": containsAnyCase}[name]
	return part{a.src + "." + name + "(" + b.src + ")", ofText(test, a.mean, b.mean)}
}

func membership(t *rapid.T, depth int) part {
	if rapid.Bool().Draw(t, "column") {
		a, l := operandOf(t, "text", depth), operandOf(t, "list", 0)
		return part{"(" + a.src + " in " + l.src + ")", isIn(a.mean, l.mean)}
	}
	kind := pick(t, "text", "number", "date", "bool")
	a := operandOf(t, kind, depth)
	var srcs []string
	var means []meaning
	for range rapid.IntRange(0, 4).Draw(t, "elements") {
		e := part{"null", func(*row) value { return nothing }}
		if rapid.IntRange(0, 4).Draw(t, "null") > 0 {
			e = operandOf(t, kind, 0)
		}
		srcs, means = append(srcs, e.src), append(means, e.mean)
	}
	return part{"(" + a.src + " in [" + strings.Join(srcs, ", ") + "])", oneOf(kind, a.mean, means)}
}

func question(t *rapid.T, _ int) part {
	name := pick(t, "edited", "suggested", "conflict", "problem", "created", "deleted")
	slug := ""
	if name != "created" && name != "deleted" && rapid.Bool().Draw(t, "of a cell") {
		slug = pick(t, columns()...).Slug
	}
	return part{name + "(" + slug + ")", asked(name, slug)}
}

func someRow(t *rapid.T) *row {
	r := &row{values: map[string]value{}, base: map[string]value{}, conflict: map[string]bool{}, suggested: map[string]bool{}, problems: map[string]bool{}}
	for _, c := range columns() {
		kind := kindOf(c.Slug)
		r.values[c.Slug] = someValue(t, kind)
		if rapid.IntRange(0, 3).Draw(t, "edited") == 0 {
			r.base[c.Slug] = someValue(t, kind)
		}
		for _, set := range []map[string]bool{r.conflict, r.suggested, r.problems} {
			if rapid.IntRange(0, 9).Draw(t, "marked") == 0 {
				set[c.Slug] = true
			}
		}
	}
	if rapid.IntRange(0, 1).Draw(t, "clean") == 0 {
		r.base = map[string]value{}
	}
	r.state = int(pick(t, core.Existing, core.Existing, core.Created, core.Deleted, core.Proposed))
	return r
}
