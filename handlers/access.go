package handlers

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
)

// pageAccess lists the pages' addresses by what their requests do; core.Access says who may do it. Those of the JSON API stand in
// their operations. An address that is in none of them stops the start.
var pageAccess = map[core.Act][]string{
	core.Open: {
		"GET /static/:version/*", "GET /healthz", "GET /readyz", "GET /metrics", "GET /dev/run", "GET /sign-in", "POST /sign-in", "GET /sign-up", "POST /webhooks/clerk", "GET /setup", "POST /setup", "GET /invitation",
		"POST /invitation", "POST /invitation/join", "GET /forgot", "POST /forgot", "GET /reset", "POST /reset", "POST /password/strength", "GET /sign-in/code", "POST /sign-in/code",
		"GET /review", "GET /sign-in/oidc", "GET /sign-in/oidc/callback", "GET " + authorizedPath,
	},
	core.Look: {
		"GET /events", "GET /", "GET /home/snapshots", "GET /palette", "GET /connections",
		"GET /connections/:connection", "GET /snapshots/:snapshot", "GET /snapshots/:snapshot/settings", "GET /snapshots/:snapshot/history",
		"GET /snapshots/:snapshot/people", "POST /snapshots/:snapshot/here",
		"GET /approvals/decisions", "GET /jobs", "GET /jobs/list", "GET /jobs/now", "GET /jobs/:job", "GET /jobs/:job/panel", "GET /settings", "POST /settings/theme", "GET /gallery",
		"GET " + grid, "GET " + grid + "/columns.css", "GET " + grid + "/order", "GET " + grid + "/rows", "GET " + grid + "/cell", "GET " + grid + "/references",
		"GET " + grid + "/copy", "GET " + grid + "/export", "GET " + grid + "/counts", "GET " + grid + "/aggregate", "GET " + grid + "/find", "GET " + grid + "/filter",
		"GET " + grid + "/tools", "GET " + grid + "/facets", "GET " + grid + "/records/:record", "GET " + grid + "/records/:record/changed", "GET " + grid + "/suggestions/next",
		"GET " + grid + "/suggestions/groups", "GET " + grid + "/schema", "GET " + plan, "GET " + plan + "/effects",
	},
	core.Suggest: {"GET " + grid + "/replace", "POST " + grid + "/replace"},
	core.Decide:  {"POST " + grid + "/suggestions/accept", "POST " + grid + "/suggestions/reject"},
	core.Edit: {
		"GET /snapshots/new", "POST /snapshots", "POST /snapshots/:snapshot/refresh", "POST /snapshots/:snapshot/rename", "POST /snapshots/:snapshot/schedule", "POST /snapshots/:snapshot/batches/:batch/undo",
		"POST /jobs/:job/cancel", "POST /jobs/:job/continue", "GET /imports/new", "POST /imports", "GET /imports/:upload", "POST /imports/:upload",
		"POST /snapshots/:snapshot/undo", "POST /snapshots/:snapshot/redo", "POST " + grid + "/edits", "POST " + grid + "/paste", "POST " + grid + "/fill",
		"POST " + grid + "/spread", "POST " + grid + "/delete", "POST " + grid + "/undelete", "POST " + grid + "/records", "POST " + grid + "/records/:record",
		"POST " + grid + "/schema", "POST /snapshots/:snapshot/plans", "POST " + plan + "/items",
		"POST " + plan + "/approval", "POST " + plan + "/approval/withdraw",
		"POST /connections/:connection/test",
	},
	core.Account: {
		"POST /sign-out", "POST /approvals/told", "GET /account", "POST /account/name", "POST /account/password", "POST /account/sessions/:session/end", "POST /account/sessions/end",
		"GET " + factorPath, "POST " + factorPath, "POST " + factorPath + "/confirm", "POST " + factorPath + "/codes", "POST " + factorPath + "/remove",
		"POST /account/organization", "POST /review", "POST /review/leave", "GET /tokens", "POST /tokens", "POST /tokens/:token/revoke",
	},
	core.Manage: {
		"GET /audit", "GET /audit.jsonl", "GET /members", "POST /members/invitations", "POST /members/invitations/:invitation/withdraw", "POST /members/:member/role", "POST /members/:member/remove",
		"POST /members/:member/reset", "POST /members/:member/second-factor/remove", "POST /organization/name", "POST /organization/settings", "POST /organizations",
		"GET /settings/webhooks", "POST /settings/webhooks", "GET /settings/webhooks/:webhook", "POST /settings/webhooks/:webhook", "GET /settings/webhooks/:webhook/deliveries",
		"POST /settings/webhooks/:webhook/test", "POST /settings/webhooks/:webhook/secret", "POST /settings/webhooks/:webhook/delete", "POST /settings/webhooks/:webhook/deliveries/:delivery/redeliver",
	},
	core.Operate: {"GET /operate", "GET /operate/sizes", "GET /operate/queries", "GET /operate/switches", "POST /operate/switches/:organization"},
	core.Approve: {"POST " + plan + "/approval/approve", "POST " + plan + "/approval/return"},
	core.Publish: {
		"POST /sample", "GET /connections/new", "GET /connections/new/:connector", "POST /connections", "GET /connections/:connection/edit", "POST /connections/:connection", "POST /connections/:connection/delete",
		"POST /snapshots/:snapshot/delete", "POST /snapshots/:snapshot/shares", "POST /snapshots/:snapshot/shares/:share/revoke", "POST " + plan + "/publish", "POST " + plan + "/retry", "POST " + plan + "/revert", "POST " + plan + "/items/:item/settle",
	},
}

const (
	grid = "/snapshots/:snapshot/tables/:table"
	plan = "/snapshots/:snapshot/plans/:plan"
)

// access gives what each address does, by method and path. It panics when one is named twice.
func (s *Server) access() map[string]core.Act {
	all := map[string]core.Act{}
	add := func(route string, act core.Act) {
		if was, known := all[route]; known {
			panic(fmt.Sprintf("handlers: %s is listed as %s and as %s", route, was, act))
		}
		all[route] = act
	}
	for act, routes := range pageAccess {
		for _, r := range routes {
			add(r, act)
		}
	}
	for _, o := range s.operations() {
		add(o.method+" /api/v1"+o.path, o.act())
	}
	return all
}

// mustKnow panics when an address is routed that no list says the access of: it would be nobody's.
func (s *Server) mustKnow(e *echo.Echo) {
	for _, r := range e.Routes() {
		if _, known := s.acts[r.Method+" "+r.Path]; !known {
			panic(fmt.Sprintf("handlers: nothing says who may %s %s: add it to pageAccess", r.Method, r.Path))
		}
	}
}

// actOf gives what a request does; routed is false where nothing is at its address, which its caller is told after they are known.
func (s *Server) actOf(c echo.Context) (act core.Act, routed bool) {
	act, routed = s.acts[c.Request().Method+" "+c.Path()]
	return act, routed
}

// act is what an operation of the API does: reading looks, everything else edits, unless it says otherwise.
func (o operation) act() core.Act {
	switch {
	case o.does != "":
		return o.does
	case o.method == http.MethodGet:
		return core.Look
	}
	return core.Edit
}

// agentAddresses are those outside of a snapshot that an agent gets to; what they answer is narrowed to its snapshot by the store.
var agentAddresses = []string{"/api/v1/openapi.json", "/api/v1/snapshots", "/api/v1/jobs", "/api/v1/jobs/:job", "/api/v1/events"}

// reviewAddresses are those that somebody gets to by a review link: the grid of its snapshot with what it shows, and the way out.
var reviewAddresses = []string{
	"GET /", "GET /review", "POST /review", "POST /review/leave", "POST /sign-out", "POST /settings/theme", "GET /events", "GET /jobs/:job", "GET /snapshots/:snapshot", "GET " + grid,
	"GET " + grid + "/columns.css", "GET " + grid + "/order", "GET " + grid + "/rows", "GET " + grid + "/cell", "GET " + grid + "/references", "GET " + grid + "/copy",
	"GET " + grid + "/counts", "GET " + grid + "/aggregate", "GET " + grid + "/find", "GET " + grid + "/filter", "GET " + grid + "/tools", "GET " + grid + "/facets",
	"GET " + grid + "/records/:record", "GET " + grid + "/records/:record/changed", "GET " + grid + "/suggestions/next", "GET " + grid + "/suggestions/groups",
	"POST " + grid + "/suggestions/accept", "POST " + grid + "/suggestions/reject",
}

// withinSnapshot keeps an actor with a single snapshot to its addresses: an agent to those of the API, a reviewer to the grid. Codes: NotFound.
func withinSnapshot(c echo.Context, by core.Actor) error {
	if by.Kind == core.KindReviewer {
		if !slices.Contains(reviewAddresses, c.Request().Method+" "+c.Path()) {
			return core.Errorf(core.NotFound, "You look at one snapshot by a review link, and this is not in it. Leave the review to go elsewhere.")
		}
		if c.Param("snapshot") == "" {
			return nil
		}
		return by.Within(c.Param("snapshot"))
	}
	if by.Snapshot == "" || slices.Contains(agentAddresses, c.Path()) {
		return nil
	}
	return by.Within(c.Param("snapshot"))
}
