package expr_test

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// value is what a part of an expression gives in the reference evaluator, which shares no code with the package.
type value struct {
	null   bool
	text   string
	number decimal
	truth  bool
	when   moment
	list   []string
}

// moment is a time, or before or after all of them.
type moment struct {
	infinite int
	at       time.Time
}

// row is a record of the reference evaluator.
type row struct {
	values, base map[string]value
	conflict     map[string]bool
	state        int
	suggested    map[string]bool // open ones, "" for the record as a whole
	problems     map[string]bool
}

// meaning is what a part of an expression gives for a record.
type meaning func(r *row) value

var nothing = value{null: true}

func truth(b bool) value { return value{truth: b} }

func holds(v value) bool { return !v.null && v.truth }

func same(kind string, a, b value) bool {
	if a.null || b.null {
		return a.null && b.null
	}
	switch kind {
	case "bool":
		return a.truth == b.truth
	case "list":
		return slices.Equal(a.list, b.list)
	}
	return order(kind, a, b) == 0
}

// order compares two values that are not null.
func order(kind string, a, b value) int {
	switch kind {
	case "number":
		return a.number.compare(b.number)
	case "text":
		return orderTexts(a.text, b.text)
	}
	if a.when.infinite != 0 || b.when.infinite != 0 {
		return a.when.infinite - b.when.infinite
	}
	return a.when.at.Compare(b.when.at)
}

// orderTexts is the order of the Unicode Collation Algorithm; what it holds for equal is ordered by its bytes.
func orderTexts(a, b string) int {
	if a == b {
		return 0
	}
	if c := collate.New(language.Und).CompareString(a, b); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

func compared(op string, kind string, a, b meaning) meaning {
	return func(r *row) value {
		x, y := a(r), b(r)
		switch op {
		case "==":
			return truth(same(kind, x, y))
		case "!=":
			return truth(!same(kind, x, y))
		}
		if x.null || y.null {
			return truth(false)
		}
		c := order(kind, x, y)
		return truth(op == "<" && c < 0 || op == "<=" && c <= 0 || op == ">" && c > 0 || op == ">=" && c >= 0)
	}
}

func calculated(op string, a, b meaning) meaning {
	return func(r *row) value {
		x, y := a(r), b(r)
		switch {
		case x.null || y.null || op == "/" && y.number.special == 0 && y.number.sign() == 0:
			return nothing
		case op == "+":
			return value{number: x.number.plus(y.number)}
		case op == "-":
			return value{number: x.number.plus(y.number.negated())}
		case op == "*":
			return value{number: x.number.times(y.number)}
		}
		return value{number: x.number.over(y.number)}
	}
}

// ofText is a test of two texts, false when one is null.
func ofText(test func(a, b string) bool, a, b meaning) meaning {
	return func(r *row) value {
		x, y := a(r), b(r)
		return truth(!x.null && !y.null && test(x.text, y.text))
	}
}

func mapped(f func(string) string, a meaning) meaning {
	return func(r *row) value {
		x := a(r)
		if x.null {
			return nothing
		}
		return value{text: f(x.text)}
	}
}

func lower(s string) string { return cases.Lower(language.Und).String(s) }
func upper(s string) string { return cases.Upper(language.Und).String(s) }
func trim(s string) string  { return strings.TrimFunc(s, unicode.IsSpace) }

func containsAnyCase(a, b string) bool { return strings.Contains(upper(a), upper(b)) }

func sized(a meaning, isList bool) meaning {
	return func(r *row) value {
		x := a(r)
		if x.null {
			return nothing
		}
		n := len([]rune(x.text))
		if isList {
			n = len(x.list)
		}
		return value{number: decimal{digits: pow10(0).SetInt64(int64(n))}}
	}
}

func isIn(x, list meaning) meaning {
	return func(r *row) value {
		a, l := x(r), list(r)
		return truth(!a.null && !l.null && slices.Contains(l.list, a.text))
	}
}

func oneOf(kind string, x meaning, elements []meaning) meaning {
	return func(r *row) value {
		a := x(r)
		return truth(slices.ContainsFunc(elements, func(e meaning) bool { return same(kind, a, e(r)) }))
	}
}

func chosen(cond, a, b meaning) meaning {
	return func(r *row) value {
		if holds(cond(r)) {
			return a(r)
		}
		return b(r)
	}
}

func cell(slug string) meaning { return func(r *row) value { return r.values[slug] } }

func baseOf(slug string) meaning {
	return func(r *row) value {
		if v, ok := r.base[slug]; ok {
			return v
		}
		return r.values[slug]
	}
}

func isEmpty(kind string, a meaning) meaning {
	return func(r *row) value {
		x := a(r)
		return truth(x.null || kind == "text" && x.text == "" || kind == "list" && len(x.list) == 0)
	}
}

// asked is a question about the record (slug "") or one of its cells.
func asked(name, slug string) meaning {
	return func(r *row) value {
		switch name {
		case "edited":
			_, ok := r.base[slug]
			return truth(ok || slug == "" && len(r.base) > 0 && r.state == 0)
		case "conflict":
			return truth(r.conflict[slug] || slug == "" && len(r.conflict) > 0)
		case "suggested":
			return truth(r.suggested[slug] || slug == "" && len(r.suggested) > 0)
		case "problem":
			return truth(r.problems[slug] || slug == "" && len(r.problems) > 0)
		case "created":
			return truth(r.state == 1)
		}
		return truth(r.state == 2)
	}
}
