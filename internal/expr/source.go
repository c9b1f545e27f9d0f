package expr

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"

	"scratchpaper/internal/core"
)

// What an expression may be: deep or long ones cost more to read than they are worth.
const (
	maxNesting = 30   // operations and brackets inside each other
	maxSize    = 2000 // characters
)

// source is an expression's text, for what the tree does not keep: places and the digits of numbers.
type source struct {
	text    []rune
	numbers []numberToken
	info    *ast.SourceInfo
}

// numberToken is a number as it was written.
type numberToken struct {
	at   int // in characters
	text string
}

// parse reads an expression's syntax. The error is Invalid.
func parse(src string) (*source, ast.Expr, error) {
	if !utf8.ValidString(src) {
		return nil, nil, invalid("The expression is not valid UTF-8.")
	}
	s := &source{text: []rune(src)}
	switch {
	case len(s.text) > maxSize:
		return nil, nil, invalid("An expression has at most %d characters; this has %d.", maxSize, len(s.text))
	case strings.TrimSpace(src) == "":
		return nil, nil, invalid("The expression is empty; write something such as price > 10.")
	}
	// The Pratt parser takes time in proportion to the text; the other one takes 1 s for 240 nested brackets.
	p, err := parser.NewParser(parser.MaxRecursionDepth(maxNesting), parser.ExpressionSizeCodePointLimit(maxSize), parser.EnablePrattParser(true))
	if err != nil {
		return nil, nil, fmt.Errorf("expression parser: %w", err)
	}
	tree, errs := p.Parse(common.NewTextSource(s.maskNumbers()))
	if list := errs.GetErrors(); len(list) > 0 {
		return nil, nil, s.syntaxError(list)
	}
	s.info = tree.SourceInfo()
	return s, tree.Expr(), nil
}

// maskNumbers notes the numbers of the text and gives the text with short ones of the same length in their place: the
// parser knows 64 bits only, and ours are exact. Numbers of one or two characters stand as they are.
func (s *source) maskNumbers() string {
	masked := slices.Clone(s.text)
	for i := 0; i < len(s.text); {
		end, isNumber := s.token(i)
		if isNumber {
			s.numbers = append(s.numbers, numberToken{i, string(s.text[i:end])})
			maskNumber(masked[i:end])
		}
		i = end
	}
	return string(masked)
}

func maskNumber(digits []rune) {
	if last := digits[len(digits)-1]; len(digits) < 3 || last < '0' || last > '9' || digits[1] == 'x' || digits[1] == 'X' {
		return // too short to matter, or a hexadecimal or unsigned number, which is refused later
	}
	for i := range digits {
		digits[i] = '1'
	}
	digits[1] = '.'
}

// token gives the end of the token that begins at i, as CEL has tokens, and whether it is a number.
func (s *source) token(i int) (end int, isNumber bool) {
	switch r := s.text[i]; {
	case r == '/' && s.at(i+1) == '/':
		return s.until(i, '\n'), false
	case isDigit(r), r == '.' && isDigit(s.at(i+1)):
		return s.numberEnd(i), true
	case isLetter(r):
		j := i
		for isLetter(s.at(j)) || isDigit(s.at(j)) {
			j++
		}
		word := strings.ToLower(string(s.text[i:j]))
		if isQuote(s.at(j)) && (word == "r" || word == "b" || word == "rb" || word == "br") {
			return s.textEnd(j, strings.Contains(word, "r")), false
		}
		return j, false
	case isQuote(r):
		return s.textEnd(i, false), false
	case r == '`':
		return s.until(i+1, '`'), false
	}
	return i + 1, false
}

func (s *source) numberEnd(i int) int {
	if s.text[i] == '0' && (s.at(i+1) == 'x' || s.at(i+1) == 'X') {
		i += 2
		for isDigit(s.at(i)) || s.at(i)|0x20 >= 'a' && s.at(i)|0x20 <= 'f' {
			i++
		}
		return s.unsignedEnd(i)
	}
	whole := s.digits(i)
	i = whole
	if s.at(i) == '.' && isDigit(s.at(i+1)) {
		i = s.digits(i + 1)
	}
	if s.at(i)|0x20 == 'e' {
		j := i + 1
		if s.at(j) == '+' || s.at(j) == '-' {
			j++
		}
		return s.digits(j)
	}
	if i == whole {
		return s.unsignedEnd(i)
	}
	return i
}

func (s *source) unsignedEnd(i int) int {
	if s.at(i)|0x20 == 'u' {
		return i + 1
	}
	return i
}

func (s *source) digits(i int) int {
	for isDigit(s.at(i)) {
		i++
	}
	return i
}

// textEnd gives the end of the text literal whose opening quote is at i.
func (s *source) textEnd(i int, raw bool) int {
	quote, triple := s.text[i], s.at(i+1) == s.text[i] && s.at(i+2) == s.text[i]
	if i++; triple {
		i += 2
	}
	for ; i < len(s.text); i++ {
		switch r := s.text[i]; {
		case r == '\\' && !raw:
			i++
		case !triple && (r == '\n' || r == '\r'):
			return i
		case r == quote && !triple:
			return i + 1
		case r == quote && s.at(i+1) == quote && s.at(i+2) == quote:
			return i + 3
		}
	}
	return len(s.text)
}

func (s *source) until(i int, stop rune) int {
	for i < len(s.text) && s.text[i] != stop {
		i++
	}
	return min(i+1, len(s.text))
}

// at gives the character at i, and 0 behind the end.
func (s *source) at(i int) rune {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

func isDigit(r rune) bool  { return r >= '0' && r <= '9' }
func isLetter(r rune) bool { return r == '_' || r|0x20 >= 'a' && r|0x20 <= 'z' }
func isQuote(r rune) bool  { return r == '"' || r == '\'' }

// place gives the offset of a part of the tree, in characters.
func (s *source) place(e ast.Expr) int {
	r, _ := s.info.GetOffsetRange(e.ID())
	return int(r.Start)
}

// number gives the digits of a number of the tree, which may begin with its sign.
func (s *source) number(e ast.Expr) string {
	at := s.place(e)
	for _, n := range s.numbers {
		if n.at >= at {
			return n.text
		}
	}
	return ""
}

// refuse makes an error about the place at, in characters.
func (s *source) refuse(at int, format string, args ...any) *core.Error {
	return invalid("%s (At %s.)", fmt.Sprintf(format, args...), s.where(at))
}

// where says a place in words.
func (s *source) where(at int) string {
	at = min(max(at, 0), len(s.text))
	before := string(s.text[:at])
	if lines := strings.Count(before, "\n"); lines > 0 {
		return fmt.Sprintf("line %d, character %d", lines+1, utf8.RuneCountInString(before[strings.LastIndex(before, "\n"):]))
	}
	if at == len(s.text) {
		return "the end"
	}
	return fmt.Sprintf("character %d", at+1)
}

func invalid(format string, args ...any) *core.Error {
	return core.FieldErrorf("/filter", format, args...)
}
