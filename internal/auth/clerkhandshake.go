package auth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// handshakes is how often a browser is sent to Clerk without coming back signed in: cookies that it does not keep must not send it round
// for ever.
const (
	handshakes     = 3
	handshakeCount = "__clerk_redirect_count"
	handshakeParam = "__clerk_handshake"
)

// Handshake gives where a browser is sent that is signed in at Clerk and has no session token that is valid (they last a minute): Clerk
// sends it back with another. address is the page's, with scheme and host. ok is false for a browser that is signed out, or that has been sent
// too often.
func (c *Clerk) Handshake(r *http.Request, address string) (to string, set *http.Cookie, ok bool) {
	if uat := c.cookieOf(r, "__client_uat"); uat == "" || uat == "0" {
		return "", nil, false
	}
	count := 0
	if cookie, err := r.Cookie(handshakeCount); err == nil {
		count, _ = strconv.Atoi(cookie.Value) // made up: it begins anew
	}
	if count >= handshakes {
		return "", nil, false
	}
	q := url.Values{"redirect_url": {address}, "__clerk_hs_reason": {"session-token-expired"}, "suffixed_cookies": {"true"}}
	if dev, err := r.Cookie("__clerk_db_jwt"); err == nil {
		q.Set("__clerk_db_jwt", dev.Value)
	}
	set = c.cookie(handshakeCount, strconv.Itoa(count+1)) // #nosec G124 -- Secure wherever people open the app by https
	set.MaxAge = 10
	return c.Frontend + "/v1/client/handshake?" + q.Encode(), set, true
}

func (c *Clerk) cookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure()} // #nosec G124 -- Secure wherever people open the app by https
}

// secure says whether people open the app over TLS.
func (c *Clerk) secure() bool {
	return len(c.Parties) > 0 && strings.HasPrefix(c.Parties[0], "https:")
}

// Handshaken gives the cookies that Clerk sent a browser back with, and whether there were any. They are signed by the application's keys;
// anything else sets nothing.
func (c *Clerk) Handshaken(r *http.Request) (set []*http.Cookie, was bool) {
	raw := r.URL.Query().Get(handshakeParam)
	if cookie, err := r.Cookie(handshakeParam); raw == "" && err == nil {
		raw = cookie.Value
	}
	if raw == "" {
		return nil, false
	}
	gone := c.cookie(handshakeParam, "") // #nosec G124 -- Secure wherever people open the app by https
	gone.MaxAge = -1
	var claims struct {
		jwt.RegisteredClaims
		Handshake []string `json:"handshake"`
	}
	_, err := jwt.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		key, err := c.keys.find(r.Context(), id)
		if err != nil {
			return nil, err
		}
		return key.Key, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithLeeway(clockSkew))
	if err != nil {
		return []*http.Cookie{gone}, true
	}
	for _, line := range claims.Handshake {
		cookie, err := http.ParseSetCookie(line)
		if err == nil && (strings.HasPrefix(cookie.Name, "__session") || strings.HasPrefix(cookie.Name, "__client_uat") || cookie.Name == "__clerk_db_jwt" || strings.HasPrefix(cookie.Name, "__refresh")) {
			set = append(set, cookie)
		}
	}
	return append(set, gone), true
}

// WithoutHandshake gives the address of a request without what Clerk added to it.
func WithoutHandshake(u *url.URL) string {
	q := u.Query()
	for name := range q {
		if strings.HasPrefix(name, "__clerk_") {
			q.Del(name)
		}
	}
	out := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: q.Encode()}
	return out.RequestURI()
}
