package handlers

import (
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
)

// RequestLimits is how many requests one person, token or agent, and one network address, may make in a minute. They are generous: they keep a
// script that has run wild from taking the app away from the others.
type RequestLimits struct {
	limits         *auth.Limits
	person, source auth.Limit
}

// NewRequestLimits counts in limits; 0 does not limit.
func NewRequestLimits(limits *auth.Limits, perPerson, perAddress int) *RequestLimits {
	return &RequestLimits{limits: limits,
		person: auth.Limit{Name: "requests person", Tries: perPerson, Within: time.Minute, Words: "These are more requests than one person or token may make in a minute."},
		source: auth.Limit{Name: "requests address", Tries: perAddress, Within: time.Minute, Words: "These are more requests than may come from one address in a minute."}}
}

// uncounted are addresses of what watches over the app, and of files that browsers keep.
var uncounted = []string{"/healthz", "/readyz", "/metrics", "/static/:version/*"}

// ofAddress counts a request of its network address. Codes: TooMany.
func (l *RequestLimits) ofAddress(c echo.Context) error {
	if l == nil || l.source.Tries == 0 || slices.Contains(uncounted, c.Path()) {
		return nil
	}
	return l.limits.Take(c.Request().Context(), l.source, networkOf(c.RealIP()))
}

// networkOf gives what counts as one address: of IPv6 the /64, which is one connection's.
func networkOf(address string) string {
	if parts := strings.Split(address, ":"); len(parts) > 4 && !strings.Contains(strings.Join(parts[:4], ":"), "::") {
		return strings.Join(parts[:4], ":")
	}
	return address
}

// ofPerson counts a request of who makes it. Codes: TooMany.
func (l *RequestLimits) ofPerson(c echo.Context, by core.Actor) error {
	if l == nil || l.person.Tries == 0 {
		return nil
	}
	return l.limits.Take(c.Request().Context(), l.person, by.Org+" "+by.Person)
}
