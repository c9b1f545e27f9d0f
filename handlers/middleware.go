package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
)

// contentPolicy lets nothing run or load that is not the program's own; pictures of services are shown from where they are.
const contentPolicy = "default-src 'self'; img-src 'self' https: data:; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// transportPolicy lets browsers ask by https only, for a year. It says nothing of subdomains, which may be others' and without TLS.
const transportPolicy = "max-age=31536000"

// logged gives each request an id, answers its errors and panics, and writes one line when it is over.
func (s *Server) logged(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		id := core.NewID("req")
		ctx := core.WithLogIDs(c.Request().Context(), core.LogIDs{Request: id, Snapshot: c.Param("snapshot")})
		ctx, told := s.traced(ctx, c)
		c.SetRequest(c.Request().WithContext(ctx))
		c.Response().Header().Set("X-Request-Id", id)
		err := s.recovered(c, next)
		if err != nil {
			s.answerError(c, err)
		}
		s.logRequest(c, err, time.Since(start))
		s.countRequest(c, time.Since(start))
		told(routeOf(c), c.Response().Status)
		s.tellUse(c)
		return nil
	}
}

// recovered turns a panic into an error: it takes down its request only.
func (s *Server) recovered(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return next(c)
}

// streamPaths are answered as long as somebody listens.
var streamPaths = []string{"/events", "/api/v1/events"}

func (s *Server) countRequest(c echo.Context, took time.Duration) {
	route := routeOf(c)
	if slices.Contains(streamPaths, route) {
		return
	}
	s.metrics.Request(methodOf(c), route, c.Response().Status, took)
}

// traced begins to tell of a request. A stream goes on as long as somebody listens, and files are nothing to tell of.
func (s *Server) traced(ctx context.Context, c echo.Context) (context.Context, func(route string, status int)) {
	if slices.Contains(streamPaths, c.Path()) || slices.Contains(uncounted, c.Path()) {
		return ctx, func(string, int) {}
	}
	return s.traces.Request(ctx, methodOf(c))
}

// routeOf gives the pattern of a request's address, of which there are only so many.
func routeOf(c echo.Context) string {
	if c.Path() == "" {
		return "none"
	}
	return c.Path()
}

// methodOf gives a request's method, of which there are only so many.
func methodOf(c echo.Context) string {
	method := c.Request().Method
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
		return "other" // anybody may make one up
	}
	return method
}

func (s *Server) logRequest(c echo.Context, err error, took time.Duration) {
	level := slog.LevelDebug
	status := c.Response().Status
	if c.Request().Method != http.MethodGet || slices.Contains([]core.Code{core.Unauthorized, core.Forbidden, core.TooMany}, core.CodeOf(err)) {
		level = slog.LevelInfo // whoever is refused is looked for there
	}
	if status >= 500 {
		level = slog.LevelError
	}
	if status == http.StatusServiceUnavailable {
		level = slog.LevelWarn // somebody else's trouble, and it passes
	}
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		level = slog.LevelDebug // the browser went away; nobody reads the answer
	}
	args := []any{"method", c.Request().Method, "path", c.Request().URL.Path, "status", status, "ms", took.Milliseconds()}
	if err != nil {
		args = append(args, "error", err)
	}
	s.log.Log(c.Request().Context(), level, "request", args...)
}

// protected refuses what a browser sends from elsewhere, and hosts that are not ours; it bounds bodies and sets the policy.
func (s *Server) protected(next echo.HandlerFunc) echo.HandlerFunc {
	crossOrigin := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		setHeaders(c.Response().Header(), s.policyOf(c))
		if s.config.Secure {
			c.Response().Header().Set("Strict-Transport-Security", transportPolicy)
		}
		if strings.HasPrefix(c.Request().URL.Path, "/api/") {
			c.Response().Before(func() { neverAPage(c.Response().Header()) })
		}
		if !s.watched(c) && !s.knowsHost(c.Request().Host) {
			return core.Errorf(core.Forbidden, "This app does not answer under the name %q.", c.Request().Host)
		}
		if err := crossOrigin.Check(c.Request()); err != nil {
			return core.Wrap(err, core.Forbidden, "This request came from another site and was refused.")
		}
		if !strings.HasSuffix(c.Path(), "/imports") { // uploads are streamed and have a limit of their own
			c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxBody)
		}
		return next(c)
	}
}

// neverAPage makes a file of a JSON document that a browser is led to (ASVS 14.4.2). A refusal stays one that can be read there.
func neverAPage(h http.Header) {
	if strings.HasPrefix(h.Get(echo.HeaderContentType), echo.MIMEApplicationJSON) {
		h.Set(echo.HeaderContentDisposition, `attachment; filename="api.json"`)
	}
}

func setHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
}

// watched says whether a request is one of balancers, supervisors and monitoring, which name a process by an address of its own. What they
// are told is about nobody, or wants the token.
func (s *Server) watched(c echo.Context) bool {
	switch c.Path() {
	case "/healthz", "/readyz":
		return true
	case "/metrics":
		return s.config.MetricsToken != ""
	}
	return false
}

// knowsHost keeps a page elsewhere from reaching us under a name of its own that points to this machine.
func (s *Server) knowsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(strings.TrimSuffix(host, "."), "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(s.config.Hosts, host) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// readable refuses addresses and headers that cannot be read as text, before any of them reaches a statement.
func (s *Server) readable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, v := range c.ParamValues() {
			if strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
				return core.Errorf(core.NotFound, "There is nothing at this address.")
			}
		}
		query, err := url.ParseQuery(c.Request().URL.RawQuery)
		if err != nil {
			return core.Wrap(err, core.Malformed, "The query of this address cannot be read; write %%, & and ; in values as %%25, %%26 and %%3B.")
		}
		if err := checkFields(query); err != nil {
			return err
		}
		for _, name := range []string{idempotencyKey, "X-Client"} {
			if v := c.Request().Header.Get(name); !utf8.ValidString(v) {
				return core.Errorf(core.Malformed, "The header %s is not valid UTF-8.", name)
			}
		}
		return next(c)
	}
}

// identified finds out who asks, and lets them do what their role and kind may do.
func (s *Server) identified(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		act, routed := s.actOf(c)
		if err := s.requests.ofAddress(c); err != nil {
			return err
		}
		if act == core.Open {
			return next(c)
		}
		if s.takeHandshake(c) {
			return c.Redirect(http.StatusTemporaryRedirect, auth.WithoutHandshake(c.Request().URL))
		}
		by, err := s.identify(c.Request())
		if err != nil {
			return err
		}
		if err := s.requests.ofPerson(c, by); err != nil {
			return err
		}
		by.Address = c.RealIP()
		if client := c.Request().Header.Get("X-Client"); len(client) <= 64 {
			by.Client = client
		}
		c.SetRequest(c.Request().WithContext(core.WithLogIDs(c.Request().Context(), core.LogIDs{Person: by.Person})))
		if act == core.Operate {
			if by.Operator, err = s.operates(c.Request().Context(), by); err != nil {
				return err
			}
		}
		c.Set(actorKey, by)
		if routed {
			if err := by.May(act); err != nil {
				return err
			}
			if err := withinSnapshot(c, by); err != nil {
				return err
			}
			if err := s.switchedOn(c, by); err != nil {
				return err
			}
			if answered, err := s.needsFactor(c, by); answered || err != nil {
				return err
			}
		}
		return next(c)
	}
}
