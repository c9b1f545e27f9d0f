package worddiff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// show writes deletions as [-x-] and insertions as {+x+}.
func show(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(map[Op]string{Same: p.Text, Deleted: "[-" + p.Text + "-]", Inserted: "{+" + p.Text + "+}"}[p.Op])
	}
	return b.String()
}

func TestDiffShowsWords(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ a, b, want string }{
		"nothing":                {"", "", ""},
		"equal":                  {"a b", "a b", "a b"},
		"a word":                 {"Red ketle big", "Red kettle big", "Red [-ketle-]{+kettle+} big"},
		"a word more":            {"Red big", "Red hot big", "Red {+hot +}big"},
		"all":                    {"", "new", "{+new+}"},
		"none":                   {"old", "", "[-old-]"},
		"replaced words whole":   {"the red pan is", "the blue pot is", "the [-red pan-]{+blue pot+} is"},
		"words apart":            {"red a pan", "blue a pot", "[-red-]{+blue+} a [-pan-]{+pot+}"},
		"only replacements join": {"(x pan)", "(x! pot)", "(x{+!+} [-pan-]{+pot+})"},
		"white space only":       {"a b", "a  b", "a[- -]{+  +}b"},
		"a trailing space":       {"a ", "a", "a[- -]"},
		"a line end":             {"a\r\nb", "a\nb", "a[-\r\n-]{+\n+}b"},
		"punctuation":            {"Hello, world", "Hello world!", "Hello[-,-] world{+!+}"},
		"a number":               {"costs 1,234.50 now", "costs 1,234.60 now", "costs [-1,234.50-]{+1,234.60+} now"},
		"an apostrophe":          {"don't go", "didn't go", "[-don't-]{+didn't+} go"},
		"case":                   {"us", "US", "[-us-]{+US+}"},
		"without spaces":         {"東京は大きい", "東京は小さい", "東京は[-大き-]{+小さ+}い"},
		"accents stay on":        {"cafe\u0301 x", "cafe x", "[-cafe\u0301-]{+cafe+} x"},
		"families stay whole":    {"👩‍👩‍👧!", "👩‍👩‍👦!", "[-👩‍👩‍👧-]{+👩‍👩‍👦+}!"},
		"flags stay whole":       {"🇩🇪🇫🇷", "🇩🇰🇫🇷", "[-🇩🇪-]{+🇩🇰+}🇫🇷"},
		"invalid UTF-8 as it is": {"a\xffb", "a\xfeb", "a[-\xff-]{+\xfe+}b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, show(Diff(tt.a, tt.b, 0))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// lcs is the length of a longest common sequence, the slow and sure way.
func lcs(a, b []string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j], above)
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func check(t interface{ Fatalf(string, ...any) }, a, b string, parts []Part) {
	var old, new strings.Builder
	for i, p := range parts {
		if p.Text == "" || (i > 0 && parts[i-1].Op == p.Op) || (i > 0 && parts[i-1].Op == Inserted && p.Op == Deleted) {
			t.Fatalf("part %d of %q: empty, not merged, or out of order", i, parts)
		}
		if p.Op != Inserted {
			old.WriteString(p.Text)
		}
		if p.Op != Deleted {
			new.WriteString(p.Text)
		}
	}
	if old.String() != a || new.String() != b {
		t.Fatalf("%q and %q became %q", a, b, parts)
	}
}

func texts() *rapid.Generator[string] {
	words := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", " ", "  ", "\n", ",", "it's", "é", "東", "🙂", "\xff"}))
	return rapid.OneOf(rapid.Map(words, func(w []string) string { return strings.Join(w, "") }), rapid.String())
}

func TestDiffGivesBothTextsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a, b := texts().Draw(rt, "a"), texts().Draw(rt, "b")
		check(rt, a, b, Diff(a, b, 0))
		check(rt, a, b, Diff(a, b, time.Nanosecond))
		check(rt, a, b, diffEnds(a, b))
	})
}

func TestDiffKeepsAsMuchAsCanBeKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a, b := tokens(texts().Draw(rt, "a")), tokens(texts().Draw(rt, "b"))
		na, nb := number(a, b)
		d := newDiffer(na, nb, newBudget(wordSteps, 0))
		if !d.compare(0, len(a), 0, len(b)) {
			rt.Fatalf("gave up")
		}
		kept := 0
		for _, gone := range d.gone {
			if !gone {
				kept++
			}
		}
		if want := lcs(a, b); kept != want {
			rt.Fatalf("kept %d of %q, %q; could keep %d", kept, a, b, want)
		}
	})
}

func TestRemainderIsWhatEqualEndsLeave(t *testing.T) {
	t.Parallel()
	tests := []struct{ a, b, from, to string }{
		{"Red ketle big", "Red kettle big", "ketle", "kettle"},
		{"A ketle", "A kettle", "ketle", "kettle"},
		{"US", "United States", "US", "United States"},
		{"same", "same", "", ""},
		{"a a", "a a a", "", " a"},
		{"", "x", "", "x"},
		{"x  y", "x y", "  ", " "},
	}
	for _, tt := range tests {
		if from, to := Remainder(tt.a, tt.b); from != tt.from || to != tt.to {
			t.Errorf("%q, %q: got %q, %q", tt.a, tt.b, from, to)
		}
	}
}

func TestRemainderTogetherWithTheEndsIsTheText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a, b := texts().Draw(rt, "a"), texts().Draw(rt, "b")
		from, to := Remainder(a, b)
		ends := len(a) - len(from)
		if ends != len(b)-len(to) || !strings.Contains(a, from) || !strings.Contains(b, to) || ((from == "" && to == "") != (a == b)) {
			rt.Fatalf("%q, %q: %q, %q", a, b, from, to)
		}
	})
}

func TestDiffOfTheEndsTakesWholeLinesOnceOnly(t *testing.T) {
	t.Parallel()
	tests := []struct{ a, b, want string }{
		{"a\n", "a\na\n", "a\n{+a\n+}"},
		{"a\nbx\nc", "a\nyx\nc", "a\n[-bx\n-]{+yx\n+}c"},
		{"a\na\n", "a\na\na\n", "a\na\n{+a\n+}"},
		{"x", "yx", "[-x-]{+yx+}"},
		{"ab\n", "ac\n", "[-ab\n-]{+ac\n+}"},
	}
	for _, tt := range tests {
		if got := show(diffEnds(tt.a, tt.b)); got != tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

// unlike returns two long texts of the same words in different order, the worst case.
func unlike(words, perLine int) (string, string) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for i := range words {
			fmt.Fprintf(&b, "w%d", random.IntN(1000))
			b.WriteByte(" \n"[min(1, (i+1)%perLine/(perLine-1))])
		}
		return b.String()
	}
	return text(), text()
}

func TestDiffFallsBackToLinesWhenWordsCostTooMuch(t *testing.T) {
	t.Parallel()
	a, b := unlike(60_000, 10)
	equal := "this line is equal\n"
	a, b = a+equal+"x"+a, b+equal+"y"+b
	parts := Diff(a, b, 0)
	check(t, a, b, parts)
	for _, p := range parts {
		if p.Op == Same && !strings.HasSuffix(p.Text, "\n") {
			t.Fatalf("not whole lines: %.60q", p.Text)
		}
	}
}

func TestDiffFallsBackToTheWholeValue(t *testing.T) {
	t.Parallel()
	a, b := unlike(200_000, 2)
	a, b = "head\n"+a+"\ntail\n", "head\n"+b+"\ntail\n"
	parts := Diff(a, b, 0)
	check(t, a, b, parts)
	if len(parts) != 4 || !strings.HasPrefix(parts[0].Text, "head\n") || !strings.HasSuffix(parts[3].Text, "tail\n") {
		t.Errorf("%d parts", len(parts))
	}
}

func TestDiffGivesUpWordsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	a, b := unlike(2_000, 10)
	unhurried, hurried := Diff(a, b, 0), Diff(a, b, time.Nanosecond)
	check(t, a, b, unhurried)
	check(t, a, b, hurried)
	if len(hurried) >= len(unhurried) {
		t.Errorf("%d parts in no time, %d in any", len(hurried), len(unhurried))
	}
}

func TestABudgetLooksAtTheClockOftenEnough(t *testing.T) {
	t.Parallel()
	b := &budget{steps: wordSteps, deadline: time.Now().Add(-time.Second)}
	spent := 0
	for b.spend(1) {
		spent++
	}
	if spent > timeEvery || b.spend(1) {
		t.Errorf("%d steps after the deadline", spent)
	}
}

func FuzzDiff(f *testing.F) {
	f.Add("Red ketle big", "Red kettle big")
	f.Add("a\xffb 👩‍👩‍👧 e\u0301", "東京 don't 1,2.3")
	f.Fuzz(func(t *testing.T, a, b string) {
		check(t, a, b, Diff(a, b, 0))
		if strings.Join(tokens(a), "") != a || strings.Join(lines(a), "") != a {
			t.Fatalf("%q is not the sum of its units", a)
		}
		Remainder(a, b)
	})
}

func BenchmarkDiff(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, twice. ", 40)
	changed := strings.Replace(strings.Replace(text, "quick", "slow", 3), "lazy", "eager", 1)
	b.ReportAllocs()
	for b.Loop() {
		Diff(text, changed, 0)
	}
}
