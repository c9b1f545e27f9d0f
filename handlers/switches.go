package handlers

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// switched lists the doors of what the operator can switch off, by method and path. Ending something stays possible.
var switched = map[core.Switch][]string{
	core.SwitchAgents:    {"POST /api/v1/snapshots/:snapshot/agents"},
	core.SwitchReviews:   {"POST /snapshots/:snapshot/shares", "POST /api/v1/snapshots/:snapshot/shares", "POST /review"},
	core.SwitchSchedules: {"POST /snapshots/:snapshot/schedule", "PATCH /api/v1/snapshots/:snapshot/schedule"},
	core.SwitchWebhooks: {"GET /settings/webhooks", "POST /settings/webhooks", "GET /settings/webhooks/:webhook", "POST /settings/webhooks/:webhook", "GET /settings/webhooks/:webhook/deliveries",
		"POST /settings/webhooks/:webhook/test", "POST /settings/webhooks/:webhook/deliveries/:delivery/redeliver"},
	core.SwitchExports: {"GET " + grid + "/export", "GET /api/v1" + grid + "/export"},
}

// switchOf gives the switch that a request is behind; "" is none. Agents and reviewers are behind theirs wherever they go, but for the way out.
func switchOf(c echo.Context, by core.Actor) core.Switch {
	route := c.Request().Method + " " + c.Path()
	switch {
	case by.Kind == core.KindAgent:
		return core.SwitchAgents
	case by.Kind == core.KindReviewer && !slices.Contains([]string{"POST /review/leave", "POST /sign-out", "POST /settings/theme"}, route):
		return core.SwitchReviews
	}
	for sw, routes := range switched {
		if slices.Contains(routes, route) {
			return sw
		}
	}
	return ""
}

// switchedOn refuses a request to what is switched off. Codes: Forbidden.
func (s *Server) switchedOn(c echo.Context, by core.Actor) error {
	sw := switchOf(c, by)
	if sw == "" {
		return nil
	}
	return s.store.SwitchedOn(ctxOf(c), by, sw)
}

// switchesFor is how long pages go by what was switched off lately. Doors are asked each time.
const switchesFor = 5 * time.Second

// switches remembers what is switched off, so that pages do not ask for each of their parts.
type switches struct {
	store *store.Store
	mu    sync.Mutex
	known map[string]knownSwitches // by organization
}

type knownSwitches struct {
	off   []core.Switch
	until time.Time
}

// off gives what is hidden on the pages of somebody's organization. Where the database does not answer nothing is hidden.
func (w *switches) off(ctx context.Context, by core.Actor) []core.Switch {
	w.mu.Lock()
	k, known := w.known[by.Org]
	w.mu.Unlock()
	if known && time.Now().Before(k.until) {
		return k.off
	}
	off, err := w.store.SwitchesOff(ctx, by)
	if err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.known) > 10_000 { // organizations that nobody has asked for lately
		clear(w.known)
	}
	w.known[by.Org] = knownSwitches{off, time.Now().Add(switchesFor)}
	return off
}

func (w *switches) forget(org string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.known, org)
}
