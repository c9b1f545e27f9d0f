package auth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/core"
)

// AgentLife is how long an agent's token lasts at most.
const AgentLife = time.Hour

// The names in an agent's token, and how far clocks of processes may be apart.
const (
	agentIssuer   = "scratchpaper"
	agentAudience = "scratchpaper-agent"
	clockSkew     = 5 * time.Second
)

// AgentClaims are what an agent's token says.
type AgentClaims struct {
	jwt.RegisteredClaims        // Subject is the agent's id
	Org                  string `json:"org"`
	Snapshot             string `json:"snp"`
	Name                 string `json:"name"`
	By                   string `json:"by"` // the person or API token that let it in
}

// Key signs agents' tokens, or did so until lately.
type Key struct {
	ID     string
	Secret []byte
}

// Keys gives the keys whose tokens are taken; the first one signs. id is that of a key which is looked for, or "".
type Keys func(ctx context.Context, id string) ([]Key, error)

// SignAgent makes an agent's token that lasts for a while, AgentLife at most.
func SignAgent(ctx context.Context, keys Keys, c AgentClaims, life time.Duration) (string, time.Time, error) {
	all, err := keys(ctx, "")
	if err != nil {
		return "", time.Time{}, err
	}
	now := time.Now().Truncate(time.Second)
	until := now.Add(min(life, AgentLife))
	c.RegisteredClaims = jwt.RegisteredClaims{Issuer: agentIssuer, Audience: jwt.ClaimStrings{agentAudience}, Subject: c.Subject, IssuedAt: jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(until), ID: core.NewID("jti")}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	t.Header["kid"] = all[0].ID
	signed, err := t.SignedString(all[0].Secret)
	return signed, until, err
}

// Agent knows agents by a JWT of ours in the Authorization header.
type Agent struct {
	Keys Keys
	// Actor gives the actor of what a token says, while whoever let the agent in may. Codes: Unauthorized, Unavailable.
	Actor func(ctx context.Context, c AgentClaims) (core.Actor, error)
}

// Authenticate knows requests with an agent's token.
func (a Agent) Authenticate(r *http.Request) (core.Actor, bool, error) {
	raw, shown := bearer(r)
	if !shown || strings.Count(raw, ".") != 2 || len(raw) > 4096 {
		return core.Actor{}, false, nil
	}
	c, err := readAgent(r.Context(), raw, a.Keys)
	if core.CodeOf(err) == core.Unavailable {
		return core.Actor{}, false, err
	}
	if err != nil {
		return core.Actor{}, false, unknownToken()
	}
	by, err := a.Actor(r.Context(), c)
	if core.CodeOf(err) == core.Unauthorized {
		return core.Actor{}, false, unknownToken()
	}
	return by, err == nil, err
}

// readAgent checks signature, algorithm, issuer, audience and times.
func readAgent(ctx context.Context, raw string, keys Keys) (AgentClaims, error) {
	var c AgentClaims
	_, err := jwt.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		all, err := keys(ctx, id)
		if i := slices.IndexFunc(all, func(k Key) bool { return k.ID == id }); err == nil && i >= 0 {
			return all[i].Secret, nil
		}
		return nil, cmp.Or(err, errors.New("a key that is not known"))
	}, jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(agentIssuer), jwt.WithAudience(agentAudience), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew))
	switch {
	case err != nil:
		return c, err
	case c.Org == "" || c.Snapshot == "" || c.By == "" || !strings.HasPrefix(c.Subject, "agt_"):
		return c, errors.New("the token does not say all that it has to")
	case c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > AgentLife:
		return c, errors.New("the token lasts too long")
	}
	return c, nil
}

// The times of CachedKeys.
const (
	keysKept  = time.Minute
	keysAgain = 2 * time.Second
)

// CachedKeys asks for the keys once a minute. For one that is not among them it asks anew, since another process may have made it, but not more
// often than every two seconds: whoever makes tokens up cannot make it ask more.
func CachedKeys(fetch func(ctx context.Context) ([]Key, error)) Keys {
	var mu sync.Mutex
	var kept []Key
	var asked time.Time
	return func(ctx context.Context, id string) ([]Key, error) {
		mu.Lock()
		defer mu.Unlock()
		age := time.Since(asked)
		known := id == "" || slices.ContainsFunc(kept, func(k Key) bool { return k.ID == id })
		if kept != nil && (age < keysAgain || known && age < keysKept) {
			return kept, nil
		}
		fresh, err := fetch(ctx)
		if err != nil {
			return nil, err
		}
		kept, asked = fresh, time.Now()
		return kept, nil
	}
}
