package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// routes lists every address. Those of the grid, of publishing and of the JSON API stand in lists of their own.
func (s *Server) routes(e *echo.Echo) {
	e.GET("/static/:version/*", s.assets.serve)
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", s.showMetrics)
	e.GET("/events", s.streamEvents)

	e.GET("/", s.showHome)
	e.GET("/home/snapshots", s.showHomeSnapshots)
	e.POST("/sample", s.startSample)
	e.GET("/palette", s.showPalette)

	e.GET("/connections", s.showConnections)
	e.GET("/connections/new", s.showGallery)
	e.GET("/connections/new/:connector", s.newConnection)
	e.POST("/connections", s.createConnection)
	e.GET(authorizedPath, s.finishAuthorize)
	e.GET("/connections/:connection", s.showConnection)
	e.GET("/connections/:connection/edit", s.editConnection)
	e.POST("/connections/:connection", s.updateConnection)
	e.POST("/connections/:connection/test", s.testConnection)
	e.POST("/connections/:connection/delete", s.deleteConnection)

	e.GET("/snapshots/new", s.newSnapshot)
	e.POST("/snapshots", s.createSnapshot)
	e.GET("/snapshots/:snapshot", s.showSnapshot)
	e.POST("/snapshots/:snapshot/refresh", s.refreshSnapshot)
	e.POST("/snapshots/:snapshot/rename", s.renameSnapshot)
	e.POST("/snapshots/:snapshot/schedule", s.setSchedule)
	e.POST("/snapshots/:snapshot/delete", s.deleteSnapshot)
	e.GET("/snapshots/:snapshot/settings", s.showSnapshotSettings)
	e.GET("/snapshots/:snapshot/history", s.showHistory)
	e.GET("/snapshots/:snapshot/people", s.showPeople)
	e.POST("/snapshots/:snapshot/here", s.tellPlace)
	e.GET(grid+"/schema", s.showSchema)
	e.POST(grid+"/schema", s.applySchema)
	e.POST("/snapshots/:snapshot/batches/:batch/undo", s.undoBatch)

	e.GET("/jobs", s.showJobs)
	e.GET("/jobs/list", s.showJobsList)
	e.GET("/jobs/now", s.showJobsNow)
	e.GET("/jobs/:job", s.showJob)
	e.GET("/jobs/:job/panel", s.showJobPanel)
	e.POST("/jobs/:job/cancel", s.cancelJob)
	e.POST("/jobs/:job/continue", s.continueJob)

	e.GET("/imports/new", s.newImport)
	e.POST("/imports", s.uploadImport)
	e.GET("/imports/:upload", s.previewImport)
	e.POST("/imports/:upload", s.startImport)

	e.GET("/settings", s.showSettings)
	e.POST("/settings/theme", s.setTheme)
	if s.config.Dev {
		e.GET("/gallery", s.showComponents)
		e.GET("/dev/run", s.devRun)
	}

	s.signInRoutes(e)
	s.factorRoutes(e)
	s.tokenRoutes(e)
	s.webhookRoutes(e)
	s.operateRoutes(e)
	s.gridRoutes(e)
	s.publishRoutes(e)
	s.approvalRoutes(e)
	s.shareRoutes(e)
	s.oidcRoutes(e)
	s.apiRoutes(e)
}

// devRun names this run of the program, so that a page notices that it has been built and started anew.
func (s *Server) devRun(c echo.Context) error { return c.String(http.StatusOK, runID) }
