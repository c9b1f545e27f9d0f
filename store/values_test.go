package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

// What is taken as a value of a column is a value of its type in Postgres too, and written as Postgres writes it: one that is not
// would fail with the whole statement that it is in.
func TestWhatIsTakenAsAValuePostgresTakes(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	taken := map[core.ColumnType]int{}
	for _, c := range []struct {
		typ   core.ColumnType
		sql   string
		texts []string
	}{
		{core.Date, "date", days(1)}, {core.DateTime, "timestamptz", times(2)}, {core.LocalTime, "timestamp", times(3)},
		{core.Number, "numeric", []string{"1e999", "1e1000", "-1e-1000", "1" + strings.Repeat("0", 1000), "0." + strings.Repeat("1", 1000), "NaN", "Infinity", "-0", "-0.0", "0e0", "1e+5"}},
		{core.JSON, "jsonb", []string{`1`, `"\u0000"`, `"\\u0000"`, `"\ud800"`, `"\ud83d\ude00"`, `{"\udc00": 1}`, `1e999`, `[1e99999999]`, `{"a": 1e200000}`, strings.Repeat("[", 500) + strings.Repeat("]", 500),
			strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000), `{"a": 1, "a": 2}`, `"\/\b\u2028"`, "null", `"` + strings.Repeat("x", 1<<20) + `"`}},
		{core.Text, "text", []string{"a\x00", "\xff", "é", "\ufffe", strings.Repeat("é", 1<<20)}},
	} {
		for _, text := range c.texts {
			v, err := core.CheckValue(core.Column{Title: "x", Type: c.typ}, core.TextValue(text))
			if err != nil {
				if core.CodeOf(err) != core.Invalid {
					t.Errorf("%s %q: %v", c.typ, text[:min(60, len(text))], err)
				}
				continue
			}
			taken[c.typ]++
			var got string
			if err := s.Pool().QueryRow(t.Context(), `select to_jsonb($1::text::`+c.sql+`) #>> '{}'`, v.Text).Scan(&got); err != nil && v.Text != "null" {
				t.Errorf("%s: %q was taken as %q, and Postgres says %v", c.typ, text[:min(60, len(text))], v.Text[:min(60, len(v.Text))], err)
			} else if got != v.Text && c.typ != core.JSON && c.typ != core.Number {
				t.Errorf("%s: %q was taken as %q, and Postgres writes %q", c.typ, text[:min(60, len(text))], v.Text[:min(60, len(v.Text))], got[:min(60, len(got))])
			}
		}
	}
	for typ, least := range map[core.ColumnType]int{core.Date: 100, core.DateTime: 100, core.LocalTime: 50, core.Number: 5, core.JSON: 6, core.Text: 2} {
		if taken[typ] < least {
			t.Errorf("of %s only %d values were taken", typ, taken[typ])
		}
	}
}

// days are days around the borders of what Postgres holds, months and leap years, and what only looks like a day.
func days(seed uint64) []string {
	out := []string{"0000-01-01", "0000-01-01 BC", "0001-01-01 BC", "4714-11-24 BC", "4714-11-23 BC", "4713-01-01 BC", "5874897-12-31", "5874898-01-01", "9999999-01-01", "10000-13-45", "10000-02-30", "00044-01-01",
		"0005-02-29 BC", "0004-02-29 BC", "2026-02-29", "infinity", "-infinity", "Infinity", "now", "today", "2026-11-24 10:00", "10000-01-01 10:00", "2026-1-1", "99999-99-99 BC"}
	r := rand.New(rand.NewPCG(seed, 0))
	for range 400 {
		year := []int{0, 1, 4, 99, 1900, 2000, 2026, 4713, 4714, 9999, 10000, 294276, 294277, 5874897, 5874898}[r.IntN(15)]
		out = append(out, fmt.Sprintf("%04d-%02d-%02d%s", year, r.IntN(14), r.IntN(33), []string{"", "", " BC"}[r.IntN(3)]))
	}
	return out
}

func times(seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 0))
	out := []string{"0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-05:00", "0000-05-05T00:00:00Z", "0000-01-01 00:00", "4714-11-24 00:00:00+15:59 BC", "294276-12-31T23:59:59-15:59", "2026-11-24T10:00+16:00", "2026-11-24T10:00+15:60"}
	for _, day := range days(seed) {
		name, era, _ := strings.Cut(day, " ")
		clock := fmt.Sprintf("%s%02d:%02d", []string{"T", " "}[r.IntN(2)], r.IntN(26), r.IntN(62))
		if r.IntN(2) == 0 {
			clock += fmt.Sprintf(":%02d", r.IntN(62))
			if r.IntN(2) == 0 {
				clock += "." + "123456789"[:1+r.IntN(9)]
			}
		}
		clock += []string{"", "", "Z", "+02:00", "-11:30", "+1530", "+16:00"}[r.IntN(7)]
		if era != "" {
			era = " " + era
		}
		out = append(out, name+clock+era)
	}
	return out
}
