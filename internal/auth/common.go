package auth

import (
	"crypto/sha256"
	_ "embed"
	"sort"
	"strings"
	"unicode"
)

// commonPasswords are the first five bytes of the SHA-256 of each of 49,233 common passwords, in lower case and sorted, as
// scripts/common-passwords.sh makes them. Of what is not among them one in twenty million is taken for one that is.
//
//go:embed common_passwords.bin
var commonPasswords string

const commonSize = 5

// listed says whether a word, in lower case, is one of the common passwords.
func listed(word string) bool {
	sum := sha256.Sum256([]byte(word))
	want := string(sum[:commonSize])
	at := func(i int) string { return commonPasswords[i*commonSize : (i+1)*commonSize] }
	n := len(commonPasswords) / commonSize
	i := sort.Search(n, func(i int) bool { return at(i) >= want })
	return i < n && at(i) == want
}

// Common says whether a password is one that whoever guesses tries first: a common one, one that is written several times over, or one
// with little around it that is no letter, as in “dragon1234567”.
func Common(password string) bool {
	low := strings.ToLower(strings.Join(strings.Fields(password), " "))
	for _, word := range []string{low, strings.ReplaceAll(low, " ", "")} {
		if listed(word) || repeated(word) {
			return true
		}
	}
	inner := strings.TrimFunc(low, func(r rune) bool { return !unicode.IsLetter(r) })
	return len(inner) >= 4 && len(low)-len(inner) < guessable && (listed(inner) || repeated(inner))
}

// repeated says whether a word is a common password written several times over.
func repeated(word string) bool {
	for size := 4; size <= len(word)/2; size++ {
		if part := word[:size]; len(word)%size == 0 && strings.Count(word, part)*size == len(word) && listed(part) {
			return true
		}
	}
	return false
}
