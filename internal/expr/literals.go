package expr

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"

	"scratchpaper/internal/core"
)

// literalAs reads a literal as the kind that it is compared with, where that is possible: a text as a date or as one of the
// numbers that have no digits, a date as the beginning of its day, a list in brackets as a list of texts.
func (c *checker) literalAs(o operand, k kind) (operand, error) {
	switch {
	case o.kind == mixedKind && k == listKind:
		return c.textList(o)
	case !o.constant || o.kind == k:
		return o, nil
	case o.kind == textKind && k == numberKind && isSpecialNumber(o.text):
		return constantOf(numberKind, o.at, o.text), nil
	case o.kind == textKind && k.isTime():
		return c.timeLiteral(o.at, o.text, k)
	case o.kind == dateKind && k.isTime():
		return c.timeLiteral(o.at, o.written, k)
	case o.kind == instantKind && k == localKind:
		if _, zoned, _ := parseTime(o.written); zoned {
			return o, c.refuse(o.at, "The column has no time zone; write the time without one: timestamp(\"2026-11-24T10:30:00\").")
		}
		return c.timeLiteral(o.at, o.written, k)
	}
	return o, nil
}

// isSpecialNumber says whether a text names a number that Postgres knows and CEL cannot write.
func isSpecialNumber(s string) bool { return s == "NaN" || s == "Infinity" || s == "-Infinity" }

func (c *checker) textList(o operand) (operand, error) {
	list := []string{}
	for _, el := range o.elements {
		if !el.constant || el.kind != textKind {
			return o, c.refuse(el.at, "A list is compared with a list of texts: tags == [\"a\", \"b\"].")
		}
		list = append(list, el.text)
	}
	return operand{kind: listKind, at: o.at, total: true, emit: func(b *Builder) string { return b.arg(list) + "::text[]" }}, nil
}

// timeLiteral reads a text as a kind of time.
func (c *checker) timeLiteral(at int, text string, k kind) (operand, error) {
	plain := map[bool]string{true: text}[isInfinite(text)]
	if plain == "" {
		t, _, ok := parseTime(text)
		if !ok || k == dateKind && len(text) > len("2026-11-24") && !bareDate(text) {
			return operand{}, c.refuse(at, "“%s” is no %s; write %s.", cut(text), timeWords[k].name, timeWords[k].example)
		}
		plain = canonical(t, k)
	}
	o := constantOf(k, at, plain)
	o.written = text
	return o, nil
}

var timeWords = map[kind]struct{ name, example string }{
	dateKind:    {"date", `date("2026-11-24")`},
	instantKind: {"date and time", `timestamp("2026-11-24T10:30:00Z")`},
	localKind:   {"date and time", `timestamp("2026-11-24T10:30:00")`},
}

func isInfinite(s string) bool { return s == "infinity" || s == "-infinity" }

// timePattern takes ISO dates and times, also before Christ and after the year 9999 as Postgres writes them.
var timePattern = regexp.MustCompile(`^([0-9]{4,6})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?( BC)?$`)

func bareDate(s string) bool {
	m := timePattern.FindStringSubmatch(s)
	return m != nil && m[4] == ""
}

// parseTime reads a date and time; without a zone it is taken as UTC. Years are those that Postgres holds in all its types.
func parseTime(s string) (t time.Time, zoned, ok bool) {
	m := timePattern.FindStringSubmatch(s)
	if m == nil {
		return t, false, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	year := n(1)
	if m[9] != "" {
		year = 1 - year
	}
	nanos, _ := strconv.Atoi((m[7] + "000000000")[:9])
	t = time.Date(year, time.Month(n(2)), n(3), n(4), n(5), n(6), nanos, time.UTC)
	same := t.Year() == year && int(t.Month()) == n(2) && t.Day() == n(3) && t.Hour() == n(4) && t.Minute() == n(5) && t.Second() == n(6)
	if !same || n(1) == 0 || year < -4700 || year > 290_000 {
		return t, false, false
	}
	offset, ok := core.ReadOffset(m[8])
	return t.Add(-offset), m[8] != "", ok
}

// canonical writes a time as Postgres reads it whatever its settings, to the microsecond.
func canonical(t time.Time, k kind) string {
	layout := map[kind]string{dateKind: "-01-02", localKind: "-01-02T15:04:05.999999", instantKind: "-01-02T15:04:05.999999+00:00"}[k]
	year, era := t.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	digits := strconv.Itoa(year)
	return strings.Repeat("0", max(0, 4-len(digits))) + digits + t.Truncate(time.Microsecond).Format(layout) + era
}

// timeCall checks date("…") and timestamp("…").
func (c *checker) timeCall(k kind) func(at int, args []ast.Expr) (operand, error) {
	return func(at int, args []ast.Expr) (operand, error) {
		o, err := c.operand(args[0])
		if err == nil && (!o.constant || o.kind != textKind) {
			err = c.refuse(o.at, "Expected was a text in quotes: %s.", timeWords[k].example)
		}
		if err != nil {
			return operand{}, err
		}
		return c.timeLiteral(at, o.text, k)
	}
}
