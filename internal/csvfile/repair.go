package csvfile

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// repair replaces NUL and bytes that are not UTF-8 in every field and returns how many it met.
func repair(fields []Field) int {
	total := 0
	for i, f := range fields {
		text, n := repairText(f.Text)
		fields[i].Text = text
		total += n
	}
	return total
}

func repairText(s string) (string, int) {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s, 0
	}
	var b strings.Builder
	n := 0
	for len(s) > 0 {
		c, size := utf8.DecodeRuneInString(s)
		if c == 0 || (c == utf8.RuneError && size == 1) {
			c = utf8.RuneError
			n++
		}
		b.WriteRune(c)
		s = s[size:]
	}
	return b.String(), n
}

// guarded is what a spreadsheet takes for the beginning of a formula.
const guarded = "=+-@\t\r"

// isGuarded tells whether s, after any number of ', begins like a formula. Texts that already
// begin with ' count too, or taking the guard off would change them.
func isGuarded(s string) bool {
	s = strings.TrimLeft(s, "'")
	return s != "" && strings.IndexByte(guarded, s[0]) >= 0
}

// stripGuard takes off the one ' that Writer put before a text.
func stripGuard(s string) string {
	if len(s) > 1 && s[0] == '\'' && isGuarded(s) {
		return s[1:]
	}
	return s
}

// Titles makes n distinct titles out of a header: trimmed, "Column 3" where there is none,
// "Name 2" where one comes again.
func Titles(header []Field, n int) []string {
	titles := make([]string, n)
	seen := make(map[string]int, n) // how many of a title were given out, for no quadratic search
	for i := range titles {
		title := ""
		if i < len(header) {
			title = strings.TrimSpace(header[i].Text)
		}
		if title == "" {
			title = "Column " + strconv.Itoa(i+1)
		}
		titles[i] = distinct(title, seen)
	}
	return titles
}

func distinct(title string, seen map[string]int) string {
	t := title
	for seen[t] > 0 {
		seen[title]++
		t = title + " " + strconv.Itoa(seen[title])
	}
	seen[t] = 1
	return t
}
