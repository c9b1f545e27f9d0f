package expr

import (
	"strings"

	"cel.dev/cel-go/common"

	"scratchpaper/internal/core"
)

// hints are for what people write who know other languages, by the token at which the parser stopped.
var hints = map[string]string{
	"=":   "To compare, write ==.",
	"&":   "For “and”, write &&.",
	"and": "For “and”, write &&.",
	"AND": "For “and”, write &&.",
	"|":   "For “or”, write ||.",
	"or":  "For “or”, write ||.",
	"OR":  "For “or”, write ||.",
	"not": "For “not”, write !.",
	"NOT": "For “not”, write !.",
	"is":  "To compare, write ==.",
	"IS":  "To compare, write ==.",
	"<>":  "For “is not”, write !=.",
	"“":   "A text goes between straight quotes: \"…\".",
	"”":   "A text goes between straight quotes: \"…\".",
	"‘":   "A text goes between straight quotes: \"…\".",
	"’":   "A text goes between straight quotes: \"…\".",
	"„":   "A text goes between straight quotes: \"…\".",
	"\\":  "A \\ is only possible inside of a text.",
	"%":   "Filters cannot reckon remainders.",
}

// syntaxError turns the parser's first complaint into a sentence.
func (s *source) syntaxError(list []*common.Error) *core.Error {
	first := list[0]
	for _, e := range list {
		if strings.Contains(e.Message, "recursion") {
			return invalid("The expression is nested too deeply: at most %d operations can be inside each other.", maxNesting)
		}
		if before(e.Location, first.Location) {
			first = e
		}
	}
	at := s.offset(first.Location)
	switch msg := first.Message; {
	case strings.Contains(msg, "unterminated"):
		return s.refuse(at, "A text begins here and has no closing quote.")
	case strings.Contains(msg, "unescape"):
		return s.refuse(at, "A text holds a \\ that means nothing; write \\\\ for the sign itself.")
	case strings.Contains(msg, "reserved identifier"):
		return s.refuse(at, "“%s” is a word of the language itself and no column.", s.word(at))
	}
	return s.unexpected(at)
}

// unexpected makes the error about a token that fits nowhere. It may be the one behind a word of another language: the
// parser takes “not” for a column and stumbles over what follows.
func (s *source) unexpected(at int) *core.Error {
	word := s.word(at)
	for _, start := range []int{at, s.wordBefore(at)} {
		if hint, ok := hints[s.word(start)]; ok {
			return s.refuse(start, "%s", hint)
		}
	}
	if word == "" {
		return s.refuse(at, "The expression ends too early; a value, a quote or a closing bracket is missing.")
	}
	return s.refuse(at, "“%s” does not fit here; expected was a comparison such as price > 10, joined by && or ||.", cut(word))
}

// wordBefore gives the place of the token before one.
func (s *source) wordBefore(at int) int {
	last := at
	for i := 0; i < at && i < len(s.text); {
		if !isBlank(s.text[i]) {
			last = i
		}
		i, _ = s.token(i)
	}
	return last
}

func isBlank(r rune) bool { return strings.ContainsRune(" \t\r\n\f", r) }

// word gives the token at a place, "" at the end.
func (s *source) word(at int) string {
	for at < len(s.text) && isBlank(s.text[at]) {
		at++
	}
	if at >= len(s.text) {
		return ""
	}
	if s.text[at] == '<' && s.at(at+1) == '>' {
		return "<>"
	}
	end, _ := s.token(at)
	return string(s.text[at:end])
}

// offset gives a place of the parser in characters from the start.
func (s *source) offset(l common.Location) int {
	line, at := 1, 0
	for at < len(s.text) && line < l.Line() {
		if s.text[at] == '\n' {
			line++
		}
		at++
	}
	return at + max(l.Column(), 0)
}

func before(a, b common.Location) bool {
	return a.Line() < b.Line() || a.Line() == b.Line() && a.Column() < b.Column()
}

// cut shortens what a sentence quotes.
func cut(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
