package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/analytics"
)

// features are the acts that analytics are told of, by method and address; those of the API stand below /api/v1.
var features = map[string]analytics.Feature{
	"POST /sample":                                           analytics.Sampled,
	"POST /connections":                                      analytics.Connected,
	"POST /snapshots":                                        analytics.Snapshotted,
	"POST /snapshots/:snapshot/refresh":                      analytics.Refreshed,
	"POST /snapshots/:snapshot/schedule":                     analytics.Scheduled,
	"PATCH /snapshots/:snapshot/schedule":                    analytics.Scheduled,
	"POST /imports":                                          analytics.Imported,
	"POST /imports/:upload":                                  analytics.Imported,
	"POST " + grid + "/imports":                              analytics.Imported,
	"GET " + grid + "/export":                                analytics.Exported,
	"POST " + grid + "/edits":                                analytics.Edited,
	"POST " + grid + "/paste":                                analytics.Edited,
	"POST " + grid + "/fill":                                 analytics.Edited,
	"POST " + grid + "/changes":                              analytics.Edited,
	"POST " + grid + "/replace":                              analytics.Replaced,
	"POST " + grid + "/transforms":                           analytics.Replaced,
	"POST " + grid + "/suggestions/accept":                   analytics.Accepted,
	"POST " + grid + "/suggestions/reject":                   analytics.Rejected,
	"POST " + grid + "/schema":                               analytics.SchemaTaken,
	"POST " + grid + "/views":                                analytics.ViewSaved,
	"POST /snapshots/:snapshot/undo":                         analytics.Undone,
	"POST /snapshots/:snapshot/batches/:batch/undo":          analytics.Undone,
	"POST /snapshots/:snapshot/plans":                        analytics.Planned,
	"POST /snapshots/:snapshot/plans/:plan/publish":          analytics.Published,
	"POST /snapshots/:snapshot/plans/:plan/retry":            analytics.RetryStarted,
	"POST /snapshots/:snapshot/plans/:plan/revert":           analytics.Reverted,
	"POST /snapshots/:snapshot/plans/:plan/approval":         analytics.Asked,
	"POST /snapshots/:snapshot/plans/:plan/approval/approve": analytics.Approved,
	"POST /snapshots/:snapshot/shares":                       analytics.Shared,
	"POST /tokens":                                           analytics.TokenMade,
	"POST /settings/webhooks":                                analytics.WebhookMade,
	"POST /members/invitations":                              analytics.MemberAsked,
}

// tellUse tells analytics that an act of features went well.
func (s *Server) tellUse(c echo.Context) {
	path, api := strings.CutPrefix(c.Path(), "/api/v1")
	f, ok := features[c.Request().Method+" "+path]
	if !ok || c.Response().Status >= http.StatusBadRequest {
		return
	}
	if by := actor(c); by.Person != "" {
		s.analytics.Used(by.Person, f, api)
	}
}
