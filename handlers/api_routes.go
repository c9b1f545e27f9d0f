package handlers

import (
	"context"

	"github.com/labstack/echo/v4"
)

// apiRoutes lists the addresses of the JSON API. They are fixed: nothing here is renamed or removed.
func (s *Server) apiRoutes(e *echo.Echo) {
	g := e.Group("/api/v1")
	g.POST("/sample", s.postSample)
	g.GET("/connectors", s.listConnectors)
	g.GET("/connections", s.listConnections)
	g.POST("/connections", s.postConnection)
	g.GET("/connections/:connection", s.getConnection)
	g.PATCH("/connections/:connection", s.patchConnection)
	g.DELETE("/connections/:connection", s.apiDeleteConnection)
	g.POST("/connections/:connection/test", s.postConnectionTest)
	g.GET("/connections/:connection/tables", s.listRemoteTables)
	g.GET("/snapshots", s.listSnapshots)
	g.POST("/snapshots", s.postSnapshot)
	g.GET("/jobs", s.listJobs)
	g.GET("/jobs/:job", s.getJob)
	g.POST("/jobs/:job/cancel", s.postCancel)
	g.POST("/jobs/:job/continue", s.postContinue)
	g.GET("/events", s.streamEvents)

	sn := g.Group("/snapshots/:snapshot")
	sn.GET("", s.getSnapshot)
	sn.PATCH("", s.patchSnapshot)
	sn.DELETE("", s.apiDeleteSnapshot)
	sn.POST("/refresh", s.postRefresh)
	sn.GET("/history", s.listHistory)
	sn.POST("/batches/:batch/undo", s.postUndo)
	sn.POST("/batches/:batch/redo", s.postRedo)
	sn.GET("/tables", s.listTables)
	sn.GET("/tables/:table", s.getTable)
	sn.GET("/tables/:table/records", s.listRecords)
	sn.GET("/tables/:table/records/:record", s.getRecord)
	sn.GET("/tables/:table/records/:record/history", s.getRecordHistory)
	sn.GET("/tables/:table/facets", s.getFacets)
	sn.POST("/tables/:table/changes", s.postChanges)
	sn.POST("/tables/:table/transforms", s.postTransform)
	sn.GET("/tables/:table/suggestions", s.listSuggestions)
	sn.GET("/tables/:table/suggestions/groups", s.listSuggestionGroups)
	sn.POST("/tables/:table/suggestions/accept", s.postAccept)
	sn.POST("/tables/:table/suggestions/reject", s.postReject)
	sn.POST("/tables/:table/conflicts/settle", s.postSettle)
	sn.POST("/plans", s.postPlan)
	sn.GET("/plans/:plan", s.getPlan)
	sn.GET("/plans/:plan/items", s.listItems)
	sn.PATCH("/plans/:plan/items", s.patchItems)
	sn.POST("/plans/:plan/publish", s.postPublish)
	sn.POST("/plans/:plan/retry", s.postRetry)
	sn.POST("/plans/:plan/revert", s.postRevert)
	sn.POST("/plans/:plan/items/:item/settle", s.postSettleItem)
}

func ctxOf(c echo.Context) context.Context { return c.Request().Context() }
