package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// NewSecret makes what lets somebody in (a session, a code, a token), with 256 random bits behind a prefix, and the hash that is kept of it.
func NewSecret(prefix string) (secret string, hash []byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails on supported platforms (it crashes the program instead)
	secret = prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, HashOf(secret)
}

// HashOf gives what is kept of a secret. It is random and long, so a plain SHA-256 cannot be searched, and a look-up by it says nothing
// by its time.
func HashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
