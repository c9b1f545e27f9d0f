package worddiff

import (
	"unicode"
	"unicode/utf8"
)

// tokens cuts s into words, runs of white space, and single other characters with the marks that
// belong to them. Together the tokens are s, invalid UTF-8 included.
func tokens(s string) []string {
	var out []string
	for len(s) > 0 {
		n := tokenLen(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

func tokenLen(s string) int {
	c, size := utf8.DecodeRuneInString(s)
	switch {
	case c == utf8.RuneError && size == 1:
		return 1
	case unicode.IsSpace(c):
		return runLen(s, unicode.IsSpace)
	case isWord(c):
		return wordLen(s)
	}
	return clusterLen(s)
}

func runLen(s string, in func(rune) bool) int {
	for i, c := range s {
		if !in(c) {
			return i
		}
	}
	return len(s)
}

// isWord leaves out the scripts that write without spaces: there every character stands alone,
// or a sentence would be one word.
func isWord(c rune) bool {
	if unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana) {
		return false
	}
	return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_'
}

// wordLen measures a word. An apostrophe between letters and a point or comma between digits
// belong to it (don't, 1,234.50), as Unicode's word boundaries have it.
func wordLen(s string) int {
	var before rune
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case isWord(c):
			before = c
		case attaches(c):
		case joins(before, c, s[i+size:]):
		default:
			return i
		}
		i += size
	}
	return len(s)
}

func joins(before, c rune, rest string) bool {
	after, _ := utf8.DecodeRuneInString(rest)
	switch c {
	case '\'', '\u2019':
		return unicode.IsLetter(before) && unicode.IsLetter(after) && isWord(after)
	case '.', ',':
		return unicode.IsDigit(before) && unicode.IsDigit(after)
	}
	return false
}

const zeroWidthJoiner = '\u200d'

// attaches tells whether c changes the character before it: accents, variation selectors, skin
// tones, joiners.
func attaches(c rune) bool {
	return unicode.Is(unicode.M, c) || c == zeroWidthJoiner || (c >= 0x1F3FB && c <= 0x1F3FF)
}

// clusterLen measures what is drawn as one character: with its marks, joined emoji, flags.
func clusterLen(s string) int {
	c, n := utf8.DecodeRuneInString(s)
	if next, size := utf8.DecodeRuneInString(s[n:]); isRegional(c) && isRegional(next) {
		n += size
	}
	joined := false
	for n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		if !attaches(next) && !(joined && unicode.Is(unicode.So, next)) {
			break
		}
		joined = next == zeroWidthJoiner
		n += size
	}
	return n
}

func isRegional(c rune) bool { return c >= 0x1F1E6 && c <= 0x1F1FF }

// lines cuts s behind every line feed.
func lines(s string) []string {
	var out []string
	from := 0
	for i := range len(s) {
		if s[i] == '\n' {
			out = append(out, s[from:i+1])
			from = i + 1
		}
	}
	if from < len(s) {
		out = append(out, s[from:])
	}
	return out
}
