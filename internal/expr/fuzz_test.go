package expr_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// Whatever is written, reading it ends soon, with a filter or a sentence. A filter's statement holds none of what was
// written, has brackets and quotes in pairs, and names each parameter.
func FuzzCompileFilter(f *testing.F) {
	for _, s := range []string{
		"price > 10", `title == "'; drop table x; --" && "a" in tags`, `base(title) in ["a", null] || !suggested(price)`, "price / stock - -1e3 == .5",
		`day < date("2026-11-24") ? done : sold == "infinity"`, `title.lower().trim().containsIgnoreCase('x')`, `r"\" == '''a"b'''`, "[[[[", "((((", "!!!!--1",
		`title == "\u0000"`, "price == 0x1F", `opens == timestamp("0044-03-15 12:00 BC")`, "a.b.c(1)[2]{x: 3}", "// only words", "`x`", "1.5.6e", "\"\\ud800\"", "tags == []",
	} {
		f.Add(s)
	}
	cols := columns()
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		compiled, err := expr.CompileFilter(src, cols)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("%q took %v", src, took)
		}
		if err != nil {
			if core.CodeOf(err) != core.Invalid || !strings.HasSuffix(strings.TrimSuffix(core.SentenceOf(err), ")"), ".") {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		b := &expr.Builder{Schema: "s"}
		sql, err := compiled.SQL(b)
		if err != nil {
			t.Fatal(err)
		}
		checkStatement(t, src, sql, len(b.Args))
		conditions, any, ok := expr.ToConditions(src)
		if _, err := expr.CompileFilter(expr.FromConditions(conditions, any), cols); ok && err != nil {
			t.Fatalf("%q is shown as conditions that do not compile: %v", src, err)
		}
	})
}

var placeholder = regexp.MustCompile(`\$[0-9]+`)

func checkStatement(t *testing.T, src, sql string, args int) {
	t.Helper()
	bare := sql
	for _, c := range columns() {
		bare = strings.ReplaceAll(bare, quoted(c.Physical), "column")
	}
	if got := len(placeholder.FindAllString(bare, -1)); got != args {
		t.Fatalf("%q: %d placeholders for %d parameters in %s", src, got, args, sql)
	}
	if strings.Count(bare, "(") != strings.Count(bare, ")") || strings.Count(bare, "'")%2 != 0 || strings.Count(bare, `"`)%2 != 0 || strings.Contains(bare, ";") || strings.Contains(bare, "--") {
		t.Fatalf("%q: %s", src, sql)
	}
}
