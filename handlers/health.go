package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/metrics"
	"scratchpaper/store"
)

// readyLimit is how long a look at whether everything is up may take.
const readyLimit = 2 * time.Second

func (s *Server) healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// readyz answers 200 only when the database answers and nothing else is missing.
func (s *Server) readyz(c echo.Context) error {
	if err := isReady(c.Request().Context(), s.store, s.ready); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ok\n")
}

// isReady says in a sentence what is not up. Codes: Unavailable.
func isReady(ctx context.Context, s *store.Store, more func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := s.Pool().Ping(ctx); err != nil {
		return core.Wrap(err, core.Unavailable, "The database does not answer.")
	}
	if more == nil {
		return nil
	}
	if err := more(ctx); err != nil {
		return core.Wrap(err, core.Unavailable, "%s", core.SentenceOf(err))
	}
	return nil
}

// Watch answers what an operator asks of a process that serves no pages: /healthz, /readyz and /metrics. Where there is a token the
// metrics want it; otherwise whoever reaches the address may read them.
func Watch(s *store.Store, ready func(ctx context.Context) error, m *metrics.Metrics, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { sayPlain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := isReady(r.Context(), s, ready); err != nil {
			sayPlain(w, http.StatusServiceUnavailable, core.SentenceOf(err))
			return
		}
		sayPlain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if token != "" && !hasToken(r, token) {
			sayPlain(w, http.StatusNotFound, "There is nothing here.")
			return
		}
		m.Handler().ServeHTTP(w, r)
	})
	return mux
}

func sayPlain(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(words + "\n")) // whoever asked may have gone
}
