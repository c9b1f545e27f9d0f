// Package totp makes and checks one-time codes by time (RFC 6238), as authenticator apps on phones make them, and codes for who has lost the phone.
package totp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- authenticator apps know no other, and HMAC does not need it to be free of collisions
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What all authenticator apps agree on.
const (
	Digits = 6
	Period = 30 * time.Second
	// skew is how many periods a phone's clock may be off, either way.
	skew = 1
	// secretBytes is what RFC 4226 recommends.
	secretBytes = 20
)

// NewSecret makes the secret of a phone.
func NewSecret() []byte {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails
	return b
}

// Step gives which period a moment is in.
func Step(at time.Time) int64 { return at.Unix() / int64(Period/time.Second) }

// Code gives the code of a step.
func Code(secret []byte, step int64, digits int) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash takes everything
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n, modulus := binary.BigEndian.Uint32(sum[at:at+4])&0x7fff_ffff, uint32(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%modulus)
}

// Fits gives the step whose code this is, of those that a phone may be in, and whether there is one.
func Fits(secret []byte, code string, at time.Time) (step int64, fits bool) {
	code = Digest(code)
	for n := Step(at) - skew; n <= Step(at)+skew; n++ {
		if subtle.ConstantTimeCompare([]byte(Code(secret, n, Digits)), []byte(code)) == 1 {
			step, fits = n, true
		}
	}
	return step, fits
}

// Digest takes away what people type for reading only, as in “123 456”.
func Digest(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, strings.ToLower(code))
}

// Text gives a secret as people type it, in groups of four.
func Text(secret []byte) string {
	return grouped(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret), " ")
}

func grouped(text, between string) string {
	var b strings.Builder
	for i, r := range text {
		if i > 0 && i%4 == 0 {
			b.WriteString(between)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Address gives what a QR code says to a phone: where the codes are for, whose they are, and the secret.
func Address(where, who string, secret []byte) string {
	q := url.Values{"secret": {strings.ReplaceAll(Text(secret), " ", "")}, "issuer": {where}} // SHA-1, six digits and 30 s are what phones take without a word
	label := strings.ReplaceAll(where, ":", " ") + ":" + who
	return "otpauth://totp/" + url.PathEscape(label) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// RecoveryCodes is how many there are of a phone.
const RecoveryCodes = 10

// alphabet is Crockford's: without letters that look like figures, and u.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// recoveryLength is 80 random bits in characters of the alphabet.
const recoveryLength = 16

// NewRecoveryCode makes a code that lets somebody in once, and what is kept of it: a salt and a hash.
func NewRecoveryCode() (code string, salt, hash []byte) {
	var b [recoveryLength]byte
	_, _ = rand.Read(b[:]) // it never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)] // 256 is a multiple of 32, so each is as likely
	}
	salt = make([]byte, 16)
	_, _ = rand.Read(salt)
	return grouped(string(b[:]), "-"), salt, RecoveryHash(salt, string(b[:]))
}

// RecoveryHash gives what is kept of a recovery code. It has 80 random bits, so one plain SHA-256 cannot be searched.
func RecoveryHash(salt []byte, code string) []byte {
	code = strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(Digest(code))
	sum := sha256.Sum256(append(append([]byte{}, salt...), code...))
	return sum[:]
}

// IsRecovery says whether what somebody typed can be a recovery code rather than one of a phone.
func IsRecovery(code string) bool { return len(Digest(code)) > Digits }
