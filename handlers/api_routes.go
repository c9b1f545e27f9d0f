package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// operation is one address of the JSON API: how it is routed and how the OpenAPI document describes it.
type operation struct {
	method  string
	path    string // below /api/v1, with :names
	summary string
	answer  echo.HandlerFunc
	body    any      // the struct that is read; nil: none
	query   []string // names of its query parameters
	status  int      // of success; 0 is 200
}

// operations lists the addresses of the JSON API. They are fixed: nothing here is renamed or removed.
func (s *Server) operations() []operation {
	const (
		get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
		sn                    = "/snapshots/:snapshot"
		tb                    = sn + "/tables/:table"
		pl                    = sn + "/plans/:plan"
	)
	paged := []string{"limit", "after"}
	return []operation{
		{get, "/openapi.json", "This document", s.getOpenAPI, nil, nil, 0},
		{post, "/sample", "Take the sample: connection, snapshot and the job that downloads it", s.postSample, nil, nil, http.StatusCreated},
		{get, "/connectors", "The kinds of services, what they can do and the settings they ask for", s.listConnectors, nil, nil, 0},
		{get, "/connections", "The connections", s.listConnections, nil, nil, 0},
		{post, "/connections", "Make a connection; secrets are write-only", s.postConnection, connectionBody{}, nil, http.StatusCreated},
		{get, "/connections/:connection", "One connection", s.getConnection, nil, nil, 0},
		{patch, "/connections/:connection", "Change name or settings; what is not given stays", s.patchConnection, connectionBody{}, nil, 0},
		{del, "/connections/:connection", "Delete a connection that nothing depends on", s.apiDeleteConnection, nil, nil, http.StatusNoContent},
		{post, "/connections/:connection/test", "Try a connection", s.postConnectionTest, nil, nil, 0},
		{get, "/connections/:connection/tables", "Its remote tables", s.listRemoteTables, nil, nil, 0},
		{get, "/snapshots", "The snapshots", s.listSnapshots, nil, nil, 0},
		{post, "/snapshots", "Take a snapshot of tables; its download starts", s.postSnapshot, newSnapshotBody{}, nil, http.StatusCreated},
		{get, sn, "One snapshot with its tables", s.getSnapshot, nil, nil, 0},
		{patch, sn, "Rename a snapshot", s.patchSnapshot, patchSnapshotBody{}, nil, 0},
		{del, sn, "Delete a snapshot here; nothing happens at the service", s.apiDeleteSnapshot, nil, nil, http.StatusNoContent},
		{post, sn + "/tables", "Take more tables into a snapshot, or more columns of those in it; their download starts", s.postTables, moreTablesBody{}, nil, http.StatusAccepted},
		{post, sn + "/refresh", "Merge what changed at the service", s.postRefresh, tablesBody{}, nil, http.StatusAccepted},
		{get, sn + "/history", "The batches, newest first", s.listHistory, nil, paged, 0},
		{post, sn + "/batches/:batch/undo", "Undo a batch", s.postUndo, nil, nil, 0},
		{post, sn + "/batches/:batch/redo", "Take back the undo of a batch", s.postRedo, nil, nil, 0},
		{get, sn + "/tables", "The tables with columns and counts", s.listTables, nil, nil, 0},
		{get, tb, "One table", s.getTable, nil, nil, 0},
		{patch, tb, "Change the table's name and description, and of columns titles, descriptions, locks and widths", s.patchTable, patchTableBody{}, nil, 0},
		{get, tb + "/records", "Records of a view", s.listRecords, nil, []string{"filter", "find", "sort", "columns", "limit", "after", "offset", "count", "numbers"}, 0},
		{get, tb + "/records/:record", "One record", s.getRecord, nil, []string{"numbers"}, 0},
		{get, tb + "/records/:record/history", "Who changed what of a record", s.getRecordHistory, nil, []string{"limit"}, 0},
		{get, tb + "/facets", "The distinct values of a column with counts", s.getFacets, nil, []string{"column", "filter", "search", "limit"}, 0},
		{post, tb + "/aggregate", "Count, sum, average, min and max of columns under a where", s.postAggregate, aggregateBody{}, []string{"numbers"}, 0},
		{get, tb + "/views", "The saved views, oldest first", s.listViews, nil, paged, 0},
		{post, tb + "/views", "Save a view", s.postView, viewBody{}, nil, http.StatusCreated},
		{get, tb + "/views/:view", "One saved view", s.getView, nil, nil, 0},
		{patch, tb + "/views/:view", "Change a saved view; what is not given stays", s.patchView, viewBody{}, nil, 0},
		{del, tb + "/views/:view", "Forget a saved view", s.apiDeleteView, nil, nil, http.StatusNoContent},
		{post, tb + "/imports", "A file into a table as suggestions, matched by a key column; preview=true only looks", s.postImportInto, importIntoForm{}, []string{"preview"}, http.StatusAccepted},
		{get, tb + "/export", "A view as a file; it changes nothing", s.exportTable, nil, []string{"format", "filter", "sort", "columns", "plain"}, 0},
		{post, tb + "/changes", "Edit, create, delete records, or suggest it", s.postChanges, changesBody{}, nil, 0},
		{post, tb + "/transforms", "Make suggestions by a transform, or preview them", s.postTransform, transformBody{}, nil, http.StatusAccepted},
		{get, tb + "/suggestions", "The open suggestions", s.listSuggestions, nil, []string{"filter", "limit", "after"}, 0},
		{get, tb + "/suggestions/groups", "Equal suggestions together", s.listSuggestionGroups, nil, []string{"filter", "limit"}, 0},
		{post, tb + "/suggestions/accept", "Accept suggestions", s.postAccept, decideBody{}, nil, 0},
		{post, tb + "/suggestions/reject", "Reject suggestions", s.postReject, decideBody{}, nil, 0},
		{post, tb + "/conflicts/settle", "Settle conflicts: mine or theirs", s.postSettle, decideBody{}, nil, 0},
		{post, sn + "/plans", "Freeze what a publish would do", s.postPlan, planBody{}, nil, http.StatusCreated},
		{get, pl, "One plan with its counts", s.getPlan, nil, nil, 0},
		{get, pl + "/items", "Its records, with receipts", s.listItems, nil, []string{"op", "state", "table", "limit", "after"}, 0},
		{patch, pl + "/items", "Take records in or leave them out, before it runs", s.patchItems, itemsBody{}, nil, 0},
		{post, pl + "/publish", "Publish; again: the same job", s.postPublish, publishBody{}, nil, http.StatusAccepted},
		{post, pl + "/retry", "Send planned and failed records again", s.postRetry, nil, nil, http.StatusAccepted},
		{post, pl + "/revert", "Make the inverse plan, of all or of some records and columns", s.postRevert, revertBody{}, nil, http.StatusCreated},
		{post, pl + "/items/:item/settle", "Say what became of an unknown record", s.postSettleItem, settleItemBody{}, nil, 0},
		{post, "/imports", "A file into a new snapshot; preview=true only looks", s.postImport, importForm{}, []string{"preview"}, http.StatusCreated},
		{get, "/jobs", "The jobs, newest first", s.listJobs, nil, []string{"snapshot", "open", "limit", "after"}, 0},
		{get, "/jobs/:job", "One job with its progress", s.getJob, nil, nil, 0},
		{post, "/jobs/:job/cancel", "Stop a job at its next step; what it did stays", s.postCancel, nil, nil, 0},
		{post, "/jobs/:job/continue", "Answer a job that waits for a person", s.postContinue, nil, nil, 0},
		{get, "/events", "Server-sent events: hints, never data that must not be lost", s.streamEvents, nil, []string{"topic"}, 0},
	}
}

func (s *Server) apiRoutes(e *echo.Echo) {
	g := e.Group("/api/v1")
	for _, o := range s.operations() {
		if o.method == http.MethodPost && !strings.HasSuffix(o.path, "/imports") { // an upload is not read twice
			g.Add(o.method, o.path, o.answer, s.once)
			continue
		}
		g.Add(o.method, o.path, o.answer)
	}
}

func ctxOf(c echo.Context) context.Context { return c.Request().Context() }
