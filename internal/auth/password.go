package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"scratchpaper/internal/core"
)

// Passwords hashes passwords by argon2id and compares them. At most as many as there are processors are worked on at once, since each
// takes Memory.
type Passwords struct {
	memory uint32 // KiB
	rounds uint32
	places chan struct{}
	nobody string // a hash that no password has
}

// NewPasswords hashes with so many KiB of memory and so many rounds (OWASP asks for 19,456 and 2 at least).
func NewPasswords(memory, rounds uint32) *Passwords {
	p := &Passwords{memory: memory, rounds: rounds, places: make(chan struct{}, runtime.GOMAXPROCS(0))}
	secret, _ := NewSecret("")
	p.nobody = p.Hash(secret)
	return p
}

const (
	saltSize = 16
	keySize  = 32
	// minPassword and maxPassword are in characters (ASVS 2.1.1, 2.1.2); of several spaces together one counts.
	minPassword = 12
	maxPassword = 128
	// guessable is how many characters beside a word that everybody knows are too few.
	guessable = 8
)

// Hash gives what is kept of a password: "$argon2id$v=19$m=…,t=…,p=1$salt$key".
func (p *Passwords) Hash(password string) string {
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:]) // it never fails
	key := p.key(password, salt[:], p.memory, p.rounds, keySize)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, p.memory, p.rounds, enc(salt[:]), enc(key))
}

func (p *Passwords) key(password string, salt []byte, memory, rounds, size uint32) []byte {
	p.places <- struct{}{}
	defer func() { <-p.places }()
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, rounds, memory, 1, size)
}

// Fits compares a password with what is kept of it. An empty hash, of an account that there is not, takes as long and never fits. stale
// says that it fits and was made with other parameters, so that it is to be kept anew.
func (p *Passwords) Fits(hash, password string) (fits, stale bool) {
	there := hash != ""
	if !there {
		hash = p.nobody
	}
	parts := strings.Split(hash, "$")
	var version int
	var memory, rounds uint32
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, false
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=1", &version, &memory, &rounds); err != nil || version != argon2.Version {
		return false, false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < 16 || len(want) > 64 {
		return false, false
	}
	got := p.key(password, salt, memory, rounds, uint32(len(want))) // #nosec G115 -- it has 16 to 64 bytes
	fits = subtle.ConstantTimeCompare(got, want) == 1 && there
	return fits, fits && (memory != p.memory || rounds != p.rounds)
}

// CheckNewPassword refuses a password that is too short or easily guessed. about are words that others know of the person. Codes: Invalid.
func CheckNewPassword(password string, about ...string) error {
	whole := norm.NFC.String(password)
	n := utf8.RuneCountInString(whole)
	switch {
	case n-spare(whole) < minPassword:
		return core.FieldErrorf("/password", "A password has at least %d characters. A few words that belong together only for you are good.", minPassword)
	case n > maxPassword:
		return core.FieldErrorf("/password", "A password has at most %d characters.", maxPassword)
	}
	low := strings.ToLower(password)
	for _, word := range append(about, "scratchpaper", "password", "passwort", "qwertyuiop", "qwerty123", "letmein", "iloveyou", "123456789", "abcdefgh", "changeme", "administrator") {
		word = strings.ToLower(strings.TrimSpace(word))
		if len(word) >= 4 && strings.Contains(low, word) && utf8.RuneCountInString(strings.ReplaceAll(low, word, "")) < guessable {
			return core.FieldErrorf("/password", "This password is easily guessed: little is left of it without “%s”.", word)
		}
	}
	if Common(whole) {
		return core.FieldErrorf("/password", "This password is easily guessed: it, or most of it, is in lists of stolen passwords that are tried first.")
	}
	different := map[rune]bool{}
	for _, r := range low {
		different[r] = true
	}
	if len(different) < 5 {
		return core.FieldErrorf("/password", "This password is easily guessed: it has only %d different characters.", len(different))
	}
	return nil
}

// spare counts the spaces that follow another.
func spare(password string) int {
	n, before := 0, rune(0)
	for _, r := range password {
		if r == ' ' && before == ' ' {
			n++
		}
		before = r
	}
	return n
}
