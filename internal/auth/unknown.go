package auth

import (
	"net/http"

	"scratchpaper/internal/core"
)

// UnknownToken refuses each request whose Authorization header nobody before it knew: a wrong token is never passed over for a cookie,
// or for the local person.
type UnknownToken struct{}

// Authenticate refuses what has an Authorization header.
func (UnknownToken) Authenticate(r *http.Request) (core.Actor, bool, error) {
	if _, shown := bearer(r); shown {
		return core.Actor{}, false, unknownToken()
	}
	return core.Actor{}, false, nil
}
