package handlers

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
)

// showMetrics gives the process's metrics to who has their token; without one they are for this machine only, and for nobody where
// people sign in.
func (s *Server) showMetrics(c echo.Context) error {
	if s.metrics == nil || !s.maySeeMetrics(c.Request()) {
		return core.Errorf(core.NotFound, "There is nothing here.")
	}
	s.metrics.Handler().ServeHTTP(c.Response(), c.Request())
	return nil
}

func (s *Server) maySeeMetrics(r *http.Request) bool {
	if want := s.config.MetricsToken; want != "" {
		return hasToken(r, want)
	}
	if s.signIn != nil || s.clerk != nil {
		return false // others reach the app, perhaps through a proxy on this machine that does not say so
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	// What a proxy on this machine hands on comes from elsewhere.
	return err == nil && ip != nil && ip.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

// hasToken says whether a request carries a token.
func hasToken(r *http.Request, want string) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
}
