// Package auth says who asks: authenticators look at a request one after the other, and the first that knows it gives the actor.
// Each has a file of its own. What an actor may do is the table in internal/core.
package auth

import (
	"net/http"
	"strings"

	"scratchpaper/internal/core"
)

// Authenticator knows one way in which a request says who asks.
type Authenticator interface {
	// Authenticate gives the actor. known is false when the request shows nothing of this way, and the next is asked; an error ends
	// the search, since what the request shows is not valid (any more). Codes: Unauthorized, Unavailable.
	Authenticate(r *http.Request) (by core.Actor, known bool, err error)
}

// Chain asks authenticators in order.
type Chain []Authenticator

// Identify says who asks. Codes: Unauthorized, Unavailable.
func (c Chain) Identify(r *http.Request) (core.Actor, error) {
	for _, a := range c {
		by, known, err := a.Authenticate(r)
		if err != nil {
			return core.Actor{}, err
		}
		if known {
			return by, nil
		}
	}
	return core.Actor{}, core.Errorf(core.Unauthorized, "Sign in first.")
}

// bearer gives what the Authorization header shows; shown is false when there is none. One of another kind shows something that nobody
// knows, so that it is refused and not passed over.
func bearer(r *http.Request) (token string, shown bool) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return "", false
	}
	scheme, token, _ := strings.Cut(h, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// unknownToken is said of every token that does not let in, whatever is wrong with it.
func unknownToken() error {
	return core.Errorf(core.Unauthorized, "This token is not known here, or it has expired or was revoked.")
}
