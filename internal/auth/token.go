package auth

import (
	"context"
	"net/http"
	"strings"

	"scratchpaper/internal/core"
)

// TokenPrefix begins every API token, so that one that lies about is known for what it is.
const TokenPrefix = "sp_"

// Token knows who asks by an API token in the Authorization header.
type Token struct {
	// Find gives the actor of a token by its hash. Codes: Unauthorized, Unavailable.
	Find func(ctx context.Context, hash []byte) (core.Actor, error)
}

// Authenticate knows requests with an API token.
func (t Token) Authenticate(r *http.Request) (core.Actor, bool, error) {
	secret, shown := bearer(r)
	if !shown || !strings.HasPrefix(secret, TokenPrefix) {
		return core.Actor{}, false, nil
	}
	by, err := t.Find(r.Context(), HashOf(secret))
	if core.CodeOf(err) == core.Unauthorized {
		return core.Actor{}, false, unknownToken()
	}
	return by, err == nil, err
}
