package core

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// NoFault is what EscapeFault gives when there is none.
const NoFault rune = -1

// EscapeFault gives the first escape between the quotes of a JSON text, or anywhere in a document, that Postgres cannot store: half a
// character, or 0 for NUL. encoding/json would change the one without a word.
func EscapeFault(raw []byte) rune {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		r := escapeAt(raw[i-1:])
		switch {
		case r == 0:
			return 0
		case !utf16.IsSurrogate(r):
		case i+5 > len(raw) || utf16.DecodeRune(r, escapeAt(raw[i+5:])) == utf8.RuneError:
			return r
		default:
			i += 10
		}
	}
	return NoFault
}

// escapeAt reads an escape of the form \u0000.
func escapeAt(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return NoFault
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	if err != nil {
		return NoFault
	}
	return rune(n) // #nosec G115 -- four hexadecimal digits
}

// MaxNesting is how deep a JSON document may nest.
const MaxNesting = 500

// checkJSON refuses what is no JSON document, and what jsonb cannot hold.
func checkJSON(c Column, s string) (Value, error) {
	if !json.Valid([]byte(s)) {
		return NullValue, Errorf(Invalid, "%s takes a JSON document.", c.Title)
	}
	switch r := EscapeFault([]byte(s)); {
	case r == 0:
		return NullValue, Errorf(Invalid, "%s: a JSON text cannot hold the NUL character.", c.Title)
	case r != NoFault:
		return NullValue, Errorf(Invalid, "%s: a JSON text holds half a character (\\u%04x).", c.Title, r)
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	for depth := 0; ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return TextValue(s), nil
		}
		if err != nil {
			return NullValue, Errorf(Invalid, "%s takes a JSON document.", c.Title)
		}
		switch x := tok.(type) {
		case json.Delim:
			if depth++; x == '}' || x == ']' {
				depth -= 2
			}
			if depth > MaxNesting {
				return NullValue, Errorf(Invalid, "%s: the JSON document nests more than %d deep.", c.Title, MaxNesting)
			}
		case json.Number:
			if _, err := checkNumber(c, string(x)); err != nil {
				return NullValue, Errorf(Invalid, "%s: a number in the JSON document has more than %d digits.", c.Title, MaxNumberDigits)
			}
		}
	}
}
