package auth

import (
	"strings"
	"testing"
)

func TestStrengthFollowsTheRulesAndThenTheLength(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]int{
		"":                                       0,
		"short":                                  1,
		"password1234":                           1,
		"dragon1234567":                          1,
		"Ana Bo 12345":                           1,
		"kvtzm rqwpsl":                           2,
		"xkcd 1234567 8":                         2, // figures in their order are no surprise
		"sunshine dragon 7":                      2, // two words that everybody tries first
		"four wooden kettles":                    3,
		"my aunt's red kettle sings":             4,
		"sunshine dragon monkey princess shadow": 4, // each a guess among 50,000
	} {
		if got := StrengthOf(password, "Ana Bo", "ana@example.org"); got.Level != want {
			t.Errorf("%q is %d (%s), want %d", password, got.Level, got.Words, want)
		}
	}
	if got := StrengthOf("short"); !strings.Contains(got.Words, "at least 12") {
		t.Errorf("it says %q", got.Words)
	}
	// What is refused is never measured, and what is taken always: the meter and the form say the same.
	for _, password := range []string{"aaaaaaaaaaaab", strings.Repeat("x1!", 50), "four wooden kettles", "correct horse battery"} {
		if refused := CheckNewPassword(password) != nil; refused != (StrengthOf(password).Level == 1) {
			t.Errorf("%q is refused: %v, and its level is %d", password, refused, StrengthOf(password).Level)
		}
	}
}
