package auth

import (
	"context"
	"net/http"
	"time"

	"scratchpaper/internal/core"
)

// Session knows who has signed in with a password, by the session's cookie.
type Session struct {
	Cookie SessionCookie
	// Find gives the actor of a session by its hash. Codes: Unauthorized, Unavailable.
	Find func(ctx context.Context, hash []byte) (core.Actor, error)
}

// Authenticate knows requests with the cookie of a session. One that has ended is as good as none: the person is asked to sign in.
func (s Session) Authenticate(r *http.Request) (core.Actor, bool, error) {
	secret := s.Cookie.Of(r)
	if secret == "" {
		return core.Actor{}, false, nil
	}
	by, err := s.Find(r.Context(), HashOf(secret))
	if core.CodeOf(err) == core.Unauthorized {
		return core.Actor{}, false, nil
	}
	return by, err == nil, err
}

// SessionCookie is how a browser keeps its session.
type SessionCookie struct {
	Secure bool // sent over TLS only; false for an app that is reached at a loopback address
}

func (c SessionCookie) name() string {
	if c.Secure {
		return "__Host-scratchpaper" // the browser refuses it from another host, path or without TLS
	}
	return "scratchpaper"
}

// Of gives what a request's cookie holds; "" is none.
func (c SessionCookie) Of(r *http.Request) string {
	cookie, err := r.Cookie(c.name())
	if err != nil || len(cookie.Value) > 100 {
		return ""
	}
	return cookie.Value
}

// Holding makes the cookie of a new session.
func (c SessionCookie) Holding(secret string, lifetime time.Duration) *http.Cookie {
	return &http.Cookie{Name: c.name(), Value: secret, Path: "/", MaxAge: int(lifetime / time.Second), Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode} // #nosec G124 -- Secure wherever people open the app by https
}

// Ended makes the cookie that takes a session's away.
func (c SessionCookie) Ended() *http.Cookie {
	return &http.Cookie{Name: c.name(), Path: "/", MaxAge: -1, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode} // #nosec G124 -- Secure wherever people open the app by https
}
