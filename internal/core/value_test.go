package core

import "testing"

func TestOnlyDaysThatExistAreDates(t *testing.T) {
	t.Parallel()
	c := Column{Title: "made", Type: Date}
	for _, bad := range []string{"2026-13-45", "2026-02-30", "yesterday", "0000-01-01", "2026-1-1"} {
		if v, err := CheckValue(c, TextValue(bad)); CodeOf(err) != Invalid {
			t.Errorf("%q was taken as %+v", bad, v)
		}
	}
	for _, good := range []string{"2026-02-28", "0044-03-15 BC", "12026-01-01", "infinity"} {
		if _, err := CheckValue(c, TextValue(good)); err != nil {
			t.Errorf("%q was refused: %v", good, err)
		}
	}
}

func TestNumbersBecomePlainDecimals(t *testing.T) {
	t.Parallel()
	c := Column{Title: "price", Type: Number}
	for in, want := range map[string]string{"1,234.50": "1234.50", " -.5 ": "-0.5", "1e3": "1000", "007": "7", "12345678901234567890.10": "12345678901234567890.10"} {
		if v, err := FromInput(c, in); err != nil || v.Text != want {
			t.Errorf("%q became %q, %v; want %q", in, v.Text, err, want)
		}
	}
	if _, err := FromInput(c, "12 euros"); CodeOf(err) != Invalid {
		t.Errorf("a text was taken as a number: %v", err)
	}
}
