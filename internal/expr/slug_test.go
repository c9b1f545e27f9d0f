package expr_test

import (
	"regexp"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

func TestASlugIsTheTitleInPlainLetters(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Title": "title", "Meta  Description!": "meta_description", "Größe (cm)": "grosse_cm", "Ærøskøbing": "aeroskobing", "Łódź": "lodz",
		"Ðe Þorn": "de_thorn", "e\u0301te\u0301": "ete", "İstanbul": "istanbul", "ﬁnal №": "final_no", "日本語": "column", "": "column", "  ": "column",
		"2024": "column_2024", "_id": "id", "Цена": "column", "Цена (EUR)": "eur", "size": "size_", "In": "in_", "NULL": "null_", "emoji 😀 here": "emoji_here",
		"a title that is much longer than any slug can be": "a_title_that_is_much_longer_than_any_slu",
	} {
		if got := expr.Slug(title, nil); got != want {
			t.Errorf("the slug of %q is %q, want %q", title, got, want)
		}
	}
}

func TestASlugIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	taken := map[string]bool{"title": true, "title_2": true, "size_": true, "a_title_that_is_much_longer_than_any_slu": true, "column": true}
	for title, want := range map[string]string{
		"Title": "title_3", "Size": "size_2", "日本": "column_2", "a title that is much longer than any slug": "a_title_that_is_much_longer_than_any_s_2",
	} {
		if got := expr.Slug(title, taken); got != want {
			t.Errorf("the slug of %q is %q, want %q", title, got, want)
		}
	}
}

var slugPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// Whatever the title, the slug has the right signs, is new, and names a column in an expression.
func FuzzSlug(f *testing.F) {
	for _, s := range []string{"Title", "for", "日本語", "ß", "\xff", "x\x00y", "________", "İ", "a title that is much longer than any slug can be", "9", "Null"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, title string) {
		taken := map[string]bool{}
		for range 3 {
			slug := expr.Slug(title, taken)
			if !slugPattern.MatchString(slug) || taken[slug] {
				t.Fatalf("the slug of %q is %q", title, slug)
			}
			taken[slug] = true
			if _, err := expr.CompileFilter(slug+" == null && edited("+slug+")", []core.Column{{Slug: slug, Title: title, Type: core.Text}}); err != nil {
				t.Fatalf("%s: %v", slug, err)
			}
		}
	})
}
