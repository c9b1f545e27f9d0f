package expr

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// reserved are words that the expression language gives a meaning; a slug is never one of them.
var reserved = map[string]bool{
	"as": true, "break": true, "const": true, "continue": true, "else": true, "false": true, "for": true, "function": true, "if": true,
	"import": true, "in": true, "let": true, "loop": true, "namespace": true, "null": true, "package": true, "return": true, "true": true,
	"var": true, "void": true, "while": true, "has": true, "size": true, "date": true, "timestamp": true, "edited": true, "suggested": true,
	"conflict": true, "problem": true, "created": true, "deleted": true, "base": true, "empty": true, "int": true, "double": true,
	"string": true, "bool": true, "bytes": true, "list": true, "map": true, "type": true, "duration": true, "dyn": true, "uint": true,
}

// letters that do not come apart into a base letter and marks.
var letters = strings.NewReplacer("ß", "ss", "ẞ", "ss", "æ", "ae", "Æ", "ae", "ø", "o", "Ø", "o", "œ", "oe", "Œ", "oe", "ł", "l", "Ł", "l", "đ", "d", "Đ", "d", "ð", "d", "Ð", "d", "þ", "th", "Þ", "th",
	"ı", "i", "ħ", "h", "Ħ", "h", "ŧ", "t", "Ŧ", "t", "ŋ", "ng", "Ŋ", "ng", "ĸ", "k", "ə", "e", "Ə", "e")

// maxSlug is the longest slug, in bytes.
const maxSlug = 40

// Slug gives a column's or table's name in the API and in expressions: [a-z][a-z0-9_]{0,39}, transliterated from a title,
// never a reserved word, and none of taken.
func Slug(title string, taken map[string]bool) string {
	base := plainName(title)
	if base == "" || base[0] < 'a' || base[0] > 'z' {
		base = strings.TrimRight("column_"+base, "_")
	}
	if len(base) > maxSlug {
		base = strings.TrimRight(base[:maxSlug], "_")
	}
	if reserved[base] {
		base += "_"
	}
	slug := base
	for n := 2; taken[slug]; n++ {
		suffix := "_" + strconv.Itoa(n)
		slug = strings.TrimRight(base[:min(len(base), maxSlug-len(suffix))], "_") + suffix
	}
	return slug
}

func plainName(title string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(letters.Replace(title)) {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.TrimRight(b.String(), "_")
}
