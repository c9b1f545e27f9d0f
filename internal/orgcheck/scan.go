package orgcheck

import "strings"

// token is a word, a sign, or a whole group in parentheses of a statement.
type token struct {
	text  string  // words that are not quoted in lower case
	word  bool    // an identifier or a keyword
	value bool    // a literal or a parameter
	group []token // what stands between parentheses; text is "("
}

// scanner takes a statement apart. It knows enough of SQL to tell words from strings and comments.
type scanner struct {
	sql    string
	at     int
	reason string // of the marker, when there is one
}

// marker begins the comment of a statement that lawfully works over all organizations; its reason stands behind it.
const marker = "every organization:"

func (s *scanner) group() []token {
	var out []token
	for s.at < len(s.sql) {
		c := s.sql[s.at]
		switch {
		case c == '(':
			s.at++
			out = append(out, token{text: "(", group: s.group()})
		case c == ')':
			s.at++
			return out
		case strings.HasPrefix(s.sql[s.at:], "--"):
			s.comment(s.at+2, "\n")
		case strings.HasPrefix(s.sql[s.at:], "/*"):
			s.comment(s.at+2, "*/")
		case c == '\'':
			out = append(out, token{text: s.quoted('\''), value: true})
		case c == '"':
			out = append(out, token{text: s.quoted('"'), word: true})
		case c == '$':
			out = append(out, token{text: s.run(1, isWord), value: true})
		case isWord(c):
			text := strings.ToLower(s.run(0, isWord))
			out = append(out, token{text: text, word: !isDigit(c), value: isDigit(c)})
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			s.at++
		case isOperator(c):
			out = append(out, token{text: s.run(0, isOperator)})
		default:
			out = append(out, token{text: string(c)})
			s.at++
		}
	}
	return out
}

func (s *scanner) comment(from int, end string) {
	text, _, found := strings.Cut(s.sql[from:], end)
	s.at = from + len(text)
	if found {
		s.at += len(end)
	}
	if reason, ok := strings.CutPrefix(strings.TrimSpace(text), marker); ok {
		s.reason = strings.TrimSpace(reason)
	}
}

// quoted gives what stands between two quotes; a doubled quote stands for one.
func (s *scanner) quoted(q byte) string {
	var b strings.Builder
	for s.at++; s.at < len(s.sql); s.at++ {
		if s.sql[s.at] == q {
			if s.at+1 == len(s.sql) || s.sql[s.at+1] != q {
				s.at++
				break
			}
			s.at++
		}
		b.WriteByte(s.sql[s.at])
	}
	return b.String()
}

// run gives the longest text of characters of one kind, its first skip characters whatever they are.
func (s *scanner) run(skip int, is func(byte) bool) string {
	from := s.at
	for s.at += skip; s.at < len(s.sql) && is(s.sql[s.at]); {
		s.at++
	}
	return s.sql[from:s.at]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c >= 0x80
}

func isOperator(c byte) bool { return strings.IndexByte("=<>!~|&#@?+-*/%^:", c) >= 0 }
