package auth

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"scratchpaper/internal/core"
)

// Strength is how well a password stands up to guessing.
type Strength struct {
	Level int    // 0 nothing is typed, 1 it is refused, 2 it will do, 3 good, 4 strong
	Words string // a sentence; of one that is refused, why
}

// StrengthLevels is the highest level.
const StrengthLevels = 4

// What a guesser has to find out, in bits. Nobody knows how a password was chosen, so these are low: a common password is one of 50,000, and
// a letter of something that makes sense holds about three.
const (
	bitsOfListed = 15
	bitsOfRune   = 3
	goodBits     = 45
	strongBits   = 60
)

// StrengthOf measures a password by the rules of CheckNewPassword, and by its length where these take it. about are words that others know
// of the person.
func StrengthOf(password string, about ...string) Strength {
	if password == "" {
		return Strength{}
	}
	if err := CheckNewPassword(password, about...); err != nil {
		return Strength{1, core.SentenceOf(err)}
	}
	switch bits := bitsOf(password); {
	case bits >= strongBits:
		return Strength{4, "Strong."}
	case bits >= goodBits:
		return Strength{3, "Good."}
	}
	return Strength{2, "It will do. A longer one is better."}
}

// bitsOf estimates what has to be guessed of a password: its words, and what else goes on neither from the same nor in steps, as in “aaa”, “abc”.
func bitsOf(password string) (bits int) {
	low := strings.ToLower(norm.NFC.String(password))
	for _, word := range strings.FieldsFunc(low, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if n := surprises(word) * bitsOfRune; len(word) >= 4 && listed(word) {
			bits += min(n, bitsOfListed)
		} else {
			bits += n
		}
	}
	others := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || r == ' ' {
			return -1
		}
		return r
	}, low)
	return bits + surprises(others)*bitsOfRune
}

// surprises counts the characters that cannot be told from the two before them.
func surprises(text string) (n int) {
	runes := []rune(text)
	for i, r := range runes {
		if i >= 2 && r-runes[i-1] == runes[i-1]-runes[i-2] && r-runes[i-1] >= -1 && r-runes[i-1] <= 1 {
			continue
		}
		n++
	}
	return n
}
