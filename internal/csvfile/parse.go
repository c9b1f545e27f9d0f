package csvfile

import (
	"net/url"
	"strings"
	"time"
	"unicode"

	"scratchpaper/internal/core"
)

// DateOrder says how 03/04/2026 is read.
type DateOrder string

// The orders of numeric dates. Dates that begin with the year, have a named month or have dots
// (day first) are read alike in both.
const (
	DayFirst   DateOrder = "dmy"
	MonthFirst DateOrder = "mdy"
)

// ValueOptions say how a column's values are written.
type ValueOptions struct {
	Decimal byte           `json:"decimal"` // '.' or ','; 0 means '.'
	Order   DateOrder      `json:"order"`   // empty refuses dates that read two ways
	Zone    *time.Location `json:"-"`       // of date-times that name none; nil is UTC
}

// Parse reads one value as a type and returns it in the type's canonical form: a plain decimal
// with all its digits, true or false, 2026-11-24, 2026-11-24T08:00:00+00:00 (UTC, microseconds).
// For types other than text a blank field is null, which is the empty string here; for text
// and longtext the field stands as it is, and Field.Null tells null from empty.
// A value that does not fit is an Invalid error with a sentence. The text must be as a Reader
// hands it over: valid UTF-8 without NUL.
func Parse(t core.ColumnType, f Field, o ValueOptions) (string, error) {
	if t == core.Text || t == core.LongText {
		return f.Text, nil
	}
	s := trimBlank(f.Text)
	if s == "" {
		return "", nil
	}
	v, ok := parseAs(t, s, o)
	if !ok {
		return "", misfit(t, s)
	}
	return v, nil
}

func parseAs(t core.ColumnType, s string, o ValueOptions) (string, bool) {
	switch t {
	case core.Number:
		return parseNumber(s, o)
	case core.Checkbox:
		return parseCheckbox(s)
	case core.Date:
		return parseDate(s, o)
	case core.DateTime:
		return parseDateTime(s, o)
	case core.URL:
		return s, isURL(s)
	case core.Email:
		return s, isEmail(s)
	}
	return "", false
}

func misfit(t core.ColumnType, s string) error {
	s = shorten(s)
	switch t {
	case core.Number:
		return invalid("“%s” is not a number.", s)
	case core.Checkbox:
		return invalid("“%s” is neither true nor false.", s)
	case core.Date:
		return invalid("“%s” is not a date, or reads two ways.", s)
	case core.DateTime:
		return invalid("“%s” is not a date and time, or reads two ways.", s)
	case core.URL:
		return invalid("“%s” is not an address that begins with http:// or https://.", s)
	case core.Email:
		return invalid("“%s” is not an e-mail address.", s)
	}
	return invalid("A file's column cannot be of the type %q.", t)
}

// shownRunes is how much of a value a sentence or an example shows.
const shownRunes = 60

func shorten(s string) string {
	n := 0
	for i := range s {
		if n == shownRunes {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// trimBlank takes spaces off both ends, the unbreakable ones of spreadsheets too.
func trimBlank(s string) string { return strings.TrimSpace(s) }

func parseCheckbox(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "true", "t", "yes", "y", "1", "on":
		return "true", true
	case "false", "f", "no", "n", "0", "off":
		return "false", true
	}
	return "", false
}

func isURL(s string) bool {
	lower := strings.ToLower(s[:min(len(s), 8)])
	if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
		return false
	}
	if hasBlank(s) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != ""
}

func hasBlank(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
}

// longestEmail is the limit of RFC 5321, in bytes.
const longestEmail = 254

func isEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(s) > longestEmail || hasBlank(s) || strings.ContainsAny(s, ",;<>()\"") {
		return false
	}
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || strings.Contains(l, "@") {
			return false
		}
	}
	return len(labels) > 1
}

// parseNumber reads a decimal with or without groups of three, by the column's decimal sign.
func parseNumber(s string, o ValueOptions) (string, bool) {
	sign := ""
	for _, minus := range []string{"-", "\u2212"} {
		if rest, ok := strings.CutPrefix(s, minus); ok {
			sign, s = "-", rest
			break
		}
	}
	if sign == "" {
		s = strings.TrimPrefix(s, "+")
	}
	s, exponent := cutExponent(s)
	whole, fraction, point := strings.Cut(s, decimalOf(o))
	whole, ok := ungroup(whole, o)
	if !ok || (point && !allDigits(fraction)) || (whole == "" && !point) {
		return "", false
	}
	if point {
		fraction = "." + fraction
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	v, err := core.CheckValue(core.Column{Type: core.Number}, core.TextValue(sign+whole+fraction+exponent))
	return unsignZero(v.Text), err == nil
}

func decimalOf(o ValueOptions) string {
	if o.Decimal == ',' {
		return ","
	}
	return "."
}

// cutExponent splits 1.5E+3 into 1.5 and E+3.
func cutExponent(s string) (string, string) {
	i := strings.IndexAny(s, "eE")
	if i < 0 || !allDigits(strings.TrimLeft(s[i+1:], "+-")) {
		return s, ""
	}
	return s[:i], s[i:]
}

// unsignZero makes -0 and -0.00 the number that they are.
func unsignZero(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok && strings.Trim(rest, "0.") == "" {
		return rest
	}
	return s
}

// ungroup takes the group signs out of the digits before the point: one kind only, and groups
// of three behind a first of one to three that does not begin with 0.
func ungroup(s string, o ValueOptions) (string, bool) {
	if s == "" || allDigits(s) {
		return s, true
	}
	signs := []string{",", " ", "'", "\u2019", "\u00a0", "\u202f"}
	if o.Decimal == ',' {
		signs[0] = "."
	}
	for _, sign := range signs {
		groups := strings.Split(s, sign)
		if len(groups) > 1 {
			return strings.Join(groups, ""), areGroups(groups)
		}
	}
	return "", false
}

func areGroups(groups []string) bool {
	for i, g := range groups {
		if !allDigits(g) || (i > 0 && len(g) != 3) {
			return false
		}
	}
	return len(groups[0]) <= 3 && groups[0][0] != '0'
}
