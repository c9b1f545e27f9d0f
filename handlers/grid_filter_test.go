package handlers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
	"scratchpaper/store"
)

func filterTable() store.Table {
	col := func(n int, slug string, t core.ColumnType) core.Column {
		return core.Column{Number: n, Slug: slug, Title: strings.ToUpper(slug[:1]) + slug[1:], Type: t, Physical: slug, Writable: true}
	}
	return store.Table{Columns: []core.Column{
		col(1, "title", core.Text), col(2, "price", core.Number), col(3, "made", core.Date), col(4, "seen", core.DateTime),
		col(5, "tags", core.Choices), col(6, "sold", core.Checkbox), col(7, "status", core.Choice),
	}}
}

func TestWhatTheBuilderCannotSayIsLeftToTheExpression(t *testing.T) {
	t.Parallel()
	for _, part := range []string{`title.contains("X")`, "edited()", "price == null", `(title == "a" || title == "b")`, `gone == "a"`} {
		if slug, op, value := conditionParts(filterTable(), part); slug+op+value != "" {
			t.Errorf("%s is read as %s %s %q", part, slug, op, value)
		}
	}
}

func TestConditionsOfTheBuilderCompile(t *testing.T) {
	t.Parallel()
	table := filterTable()
	for _, c := range []struct{ slug, op, value, want, words string }{
		{"title", "contains", `a "b" \`, `title.containsIgnoreCase("a \"b\" \\")`, `Title contains a "b" \`},
		{"title", "lacks", "x", `!title.containsIgnoreCase("x")`, "Title does not contain x"},
		{"title", "starts", "x", `title.startsWith("x")`, "Title starts with x"},
		{"title", "is", "", `title == ""`, `Title is ""`},
		{"title", "empty", "", "empty(title)", "Title is empty"},
		{"title", "filled", "", "!empty(title)", "Title is not empty"},
		{"status", "isnot", "draft", `status != "draft"`, "Status is not draft"},
		{"price", "ge", "1,234.50", "price >= 1234.50", "Price ≥ 1234.50"},
		{"price", "is", "-3", "price == -3", "Price is -3"},
		{"made", "gt", "2026-01-02", `made > date("2026-01-02")`, "Made > 2026-01-02"},
		{"tags", "is", "new", `"new" in tags`, "Tags has new"},
		{"tags", "isnot", "new", `!("new" in tags)`, "Tags does not have new"},
		{"sold", "true", "", "sold == true", "Sold is true"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			col, _ := table.ColumnBySlug(c.slug)
			got, err := condition(col, c.op, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %s", got)
			}
			if _, err := expr.CompileFilter(got, table.Columns); err != nil {
				t.Errorf("%s does not compile: %v", got, err)
			}
			if words := conditionWords(table, got); words != c.words {
				t.Errorf("in words: %s, want %s", words, c.words)
			}
			slug, op, value := conditionParts(table, got)
			if again, err := condition(col, op, value); slug != c.slug || again != got {
				t.Errorf("the builder reads it as %s %s %q, which is %s (%v)", slug, op, value, again, err)
			}
		})
	}
}

func TestAValueThatIsNoNumberIsNoCondition(t *testing.T) {
	t.Parallel()
	col, _ := filterTable().ColumnBySlug("price")
	if _, err := condition(col, "gt", "ten"); core.CodeOf(err) != core.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAFilterIsSplitWhereItsConditionsMeet(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string][]string{
		"":                        nil,
		"a == 1":                  {"a == 1"},
		"a == 1 && b == 2":        {"a == 1", "b == 2"},
		`a == "x && y" && (b||c)`: {`a == "x && y"`, "(b||c)"},
		`a == "\"" && b`:          {`a == "\""`, "b"},
		"a || b && c":             {"a || b && c"},
		"a ? b : c":               {"a ? b : c"},
		"f(a && b) && c":          {"f(a && b)", "c"},
	} {
		if diff := cmp.Diff(want, conjuncts(filter)); diff != "" {
			t.Errorf("%s: %s", filter, diff)
		}
	}
}

func TestAConditionAddedToAnOrIsPutBesideItsBrackets(t *testing.T) {
	t.Parallel()
	if got := conjunction(append(conjuncts("a || b"), "c")); got != "(a || b) && c" {
		t.Errorf("got %s", got)
	}
}
