package expr_test

import (
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

func TestWhatIsWrongIsSaidInASentenceWithItsPlace(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"":                            "The expression is empty",
		"prize > 10":                  "There is no column “prize”; did you mean “price”? (At character 1.)",
		"done && Price > 10":          "There is no column “Price”; did you mean “price”? (At character 9.)",
		"price > 10 &&\n  zzzzz":      "There is no column “zzzzz”; a text goes between quotes. (At line 2, character 3.)",
		"status == draft":             "a text goes between quotes. (At character 11.)",
		"price > ":                    "The expression ends too early; a value, a quote or a closing bracket is missing. (At the end.)",
		"(price > 10":                 "The expression ends too early",
		"price = 10":                  "To compare, write ==. (At character 7.)",
		"price <> 10":                 "For “is not”, write !=. (At character 7.)",
		"done and done":               "For “and”, write &&. (At character 6.)",
		"done & done":                 "For “and”, write &&. (At character 6.)",
		"done or done":                "For “or”, write ||.",
		"not done":                    "For “not”, write !. (At character 1.)",
		"status is \"x\"":             "To compare, write ==. (At character 8.)",
		"status == “draft”":           "A text goes between straight quotes: \"…\". (At character 11.)",
		"status == \"draft":           "A text begins here and has no closing quote. (At character 11.)",
		`status == "a\q"`:             "A text holds a \\ that means nothing",
		"price > 10 )":                "“)” does not fit here",
		"if > 3":                      "“if” is a word of the language itself",
		"price":                       "Expected was something that is true or false, and this is a number; compare it, as in price > 10. (At character 1.)",
		"done && title":               "this is a text; compare it, as in price > 10. (At character 9.)",
		"null":                        "and this is null",
		"price > \"10\"":              "A number cannot be compared with a text; write the number without quotes.",
		"title == 10":                 "A text cannot be compared with a number; write the text with quotes.",
		"day > 10":                    "A date cannot be compared with a number; write a date as date(\"2026-11-24\")",
		"day == sold":                 "A date cannot be compared with a date and time",
		"day > \"2026-13-01\"":        "“2026-13-01” is no date; write date(\"2026-11-24\"). (At character 7.)",
		"day > \"2026-02-30\"":        "“2026-02-30” is no date",
		"sold > timestamp(\"later\")": "“later” is no date and time; write timestamp(\"2026-11-24T10:30:00Z\").",
		"day == date(title)":          "Expected was a text in quotes: date(\"2026-11-24\"). (At character 13.)",
		"opens > timestamp(\"2026-11-24T10:30:00Z\")": "The column has no time zone",
		"day > timestamp(\"2026-11-24T10:30:00Z\")":   "A date cannot be compared with a date and time",
		"done > true":                "True or false is not before or after anything; write == or !=.",
		"done == 1":                  "write == true or == false",
		"tags == \"x\"":              "write \"x\" in tags.",
		"tags > tags":                "A list is not before or after anything",
		"tags == [price]":            "A list is compared with a list of texts",
		"tags.contains(\"x\")":       "Expected was a text, and this is a list; write \"x\" in tags. (At character 1.)",
		"1 in tags":                  "The list holds texts, and this is a number.",
		"\"a\" in title":             "Behind “in” goes a list, and this is a text. (At character 8.)",
		"title == [\"a\"]":           "A list in square brackets goes with “in”",
		"title in [[\"a\"]]":         "A list cannot hold a list.",
		"title in [1]":               "A text cannot be compared with a number",
		"data == \"x\"":              "A JSON document cannot be compared with a text",
		"data == data":               "A JSON document can only be compared with null.",
		"size(data) > 1":             "“size” counts the characters of a text or the values of a list, and this is a JSON document.",
		"title + \"x\" == \"y\"":     "Only numbers can be reckoned with, and this is a text. (At character 1.)",
		"price % 2 == 1":             "Filters cannot reckon remainders.",
		"price > 0x1F":               "“0x1F” is no number that filters can hold",
		"price > 5u":                 "Write the number without u.",
		"price > 1e1001":             "of at most 1000 digits",
		"title == b\"x\"":            "a text goes between quotes without letters before them",
		"title == \"\\u0000\"":       "A text cannot hold the NUL character",
		"title.matches(\"^a\")":      "Filters cannot use regular expressions yet; write contains, startsWith or endsWith.",
		"title.contain(\"a\")":       "There is no function “contain”; did you mean “contains”?",
		"wobble(title)":              "There is no function “wobble”; there are base, conflict,",
		"tags.exists(x, x == \"a\")": "Filters cannot go through a list",
		"title.contains()":           "“contains” is written like this: title.contains(\"x\").",
		"created(title)":             "“created” is written like this: created().",
		"title.edited()":             "“edited” stands on its own: edited() or edited(title).",
		"edited(\"title\")":          "Expected was the name of a column. (At character 8.)",
		"edited(titel)":              "did you mean “title”?",
		"empty(null)":                "Expected was a column.",
		"title.size == 3":            "“.size” needs brackets if it is a function",
		"tags[0] == \"a\"":           "Filters cannot take a value out of a list",
		"{1: 2} == null":             "Filters do not know this kind of value.",
		"\xff":                       "The expression is not valid UTF-8.",
		strings.Repeat("(", 40) + "done" + strings.Repeat(")", 40): "nested too deeply: at most 30",
		strings.Repeat("x", 2001):                                  "at most 2000 characters; this has 2001",
	} {
		_, err := expr.CompileFilter(src, columns())
		if core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), want) {
			t.Errorf("%q: %v\nwant the sentence %q", cut(src), err, want)
		}
	}
}

func cut(s string) string { return s[:min(len(s), 60)] }

// The texts are the ones that cost CEL's parsers most; the limit is a hundred times what they take here.
func TestReadingTheWorstExpressionTakesNoTime(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		strings.Repeat("[", 2000), strings.Repeat("[", 1000) + strings.Repeat("]", 1000), strings.Repeat("{1:", 660), strings.Repeat("f(", 1000),
		strings.Repeat("-", 1999) + "1", strings.Repeat("!", 1996) + "done", strings.Repeat("done||", 330) + "done",
		strings.Repeat("done?done:", 199) + "done", strings.Repeat("9", 1999), strings.Repeat("1 in [", 330), strings.Repeat("z && ", 399) + "z",
		"title" + strings.Repeat(".lower()", 240), "price in [" + strings.Repeat("1,", 990) + "1]", strings.Repeat("\"", 2000), strings.Repeat("😀", 2000),
	} {
		start := time.Now()
		_, _ = expr.CompileFilter(src, columns())
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s… took %v", cut(src), took)
		}
	}
}
