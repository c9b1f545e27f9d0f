package handlers

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
)

// operation is one address of the JSON API: how it is routed and how the OpenAPI document describes it.
type operation struct {
	method  string
	path    string // below /api/v1, with :names
	summary string
	answer  echo.HandlerFunc
	takes   any      // what is read: a struct of JSON, or form of one; nil is nothing
	query   []string // names of its query parameters
	status  int      // of success; 0 is 200
	gives   any      // what success answers: a struct of JSON, or a file; nil is nothing
	job     bool     // it answers 202 with a job when more than 50,000 cells change
	also    any      // with status 202: what it answers with 200 when it only looks
	secret  bool     // its answer holds what lets somebody in, so it is not kept to be answered again
	does    core.Act // what it does, where that is not to look (GET) or to edit (everything else)
}

// form is a multipart form whose fields are those of a struct.
type multipartForm struct{ fields any }

// file is an answer of another type than JSON.
type file []string

const (
	post, patch = http.MethodPost, http.MethodPatch
	sn          = "/snapshots/:snapshot"
	tb          = sn + "/tables/:table"
	pl          = sn + "/plans/:plan"
)

var paged = []string{"limit", "after"}

// operations lists the addresses of the JSON API. They are fixed: nothing here is renamed or removed.
func (s *Server) operations() []operation {
	var all []operation
	for _, list := range [][]operation{s.serviceOperations(), s.snapshotOperations(), s.tableOperations(), s.recordOperations(), s.suggestionOperations(),
		s.planOperations(), s.jobOperations(), s.tokenOperations(), s.approvalOperations(), s.shareOperations()} {
		all = append(all, list...)
	}
	return all
}

func get(path, summary string, answer echo.HandlerFunc, gives any, query ...string) operation {
	return operation{method: http.MethodGet, path: path, summary: summary, answer: answer, gives: gives, query: query}
}

func remove(path, summary string, answer echo.HandlerFunc, does core.Act) operation {
	return operation{method: http.MethodDelete, path: path, summary: summary, answer: answer, status: http.StatusNoContent, does: does}
}

func (s *Server) serviceOperations() []operation {
	const con = "/connections/:connection"
	return []operation{
		get("/openapi.json", "This document", s.getOpenAPI, schema{}),
		{method: post, path: "/sample", summary: "Take the sample: connection, snapshot and the job that downloads it", answer: s.postSample,
			status: http.StatusCreated, gives: sampleMadeJSON{}, does: core.Publish},
		get("/connectors", "The kinds of services, what they can do and the settings they ask for", s.listConnectors, listOf[connectorJSON]{}, paged...),
		get("/connections", "The connections, by name", s.listConnections, listOf[connectionJSON]{}, paged...),
		{method: post, path: "/connections", summary: "Make a connection; secrets are write-only", answer: s.postConnection, takes: connectionBody{},
			status: http.StatusCreated, gives: connectionJSON{}, does: core.Publish},
		get(con, "One connection", s.getConnection, connectionJSON{}),
		{method: patch, path: con, summary: "Change name or settings; what is not given stays", answer: s.patchConnection, takes: connectionPatchBody{}, gives: connectionJSON{},
			does: core.Publish},
		remove(con, "Delete a connection that nothing depends on", s.apiDeleteConnection, core.Publish),
		{method: post, path: con + "/test", summary: "Try a connection", answer: s.postConnectionTest, gives: connectionJSON{}},
		get(con+"/tables", "Its remote tables, by name", s.listRemoteTables, listOf[remoteTableJSON]{}, paged...),
	}
}

func (s *Server) snapshotOperations() []operation {
	return []operation{
		get("/snapshots", "The snapshots, newest first", s.listSnapshots, listOf[snapshotJSON]{}, paged...),
		{method: post, path: "/snapshots", summary: "Take a snapshot of tables; its download starts", answer: s.postSnapshot, takes: newSnapshotBody{},
			status: http.StatusCreated, gives: snapshotMadeJSON{}},
		get(sn, "One snapshot with its tables", s.getSnapshot, snapshotJSON{}),
		{method: patch, path: sn, summary: "Rename a snapshot", answer: s.patchSnapshot, takes: patchSnapshotBody{}, gives: snapshotJSON{}},
		remove(sn, "Delete a snapshot here; nothing happens at the service", s.apiDeleteSnapshot, core.Publish),
		{method: post, path: sn + "/tables", summary: "Take more tables into a snapshot, or more columns of those in it; their download starts", answer: s.postTables,
			takes: moreTablesBody{}, status: http.StatusAccepted, gives: jobMadeJSON{}},
		get(sn+"/schedule", "When the snapshot is refreshed by itself; without a time it is not", s.getSchedule, scheduleJSON{}),
		{method: patch, path: sn + "/schedule", summary: "Refresh the snapshot each day at a time in a zone; an empty time takes that back", answer: s.patchSchedule, takes: scheduleBody{}, gives: scheduleJSON{}},
		{method: post, path: sn + "/refresh", summary: "Merge what changed at the service", answer: s.postRefresh, takes: tablesBody{}, status: http.StatusAccepted, gives: jobMadeJSON{}},
		get(sn+"/history", "The batches, newest first", s.listHistory, listOf[batchJSON]{}, paged...),
		{method: post, path: sn + "/batches/:batch/undo", summary: "Undo a batch", answer: s.postUndo, gives: resultJSON{}, job: true},
		{method: post, path: sn + "/batches/:batch/redo", summary: "Take back the undo of a batch", answer: s.postRedo, gives: resultJSON{}, job: true},
		{method: post, path: "/imports", summary: "A file into a new snapshot; preview=true only looks", answer: s.postImport, takes: multipartForm{importForm{}},
			query: []string{"preview"}, status: http.StatusCreated, gives: snapshotMadeJSON{}, also: importPreviewJSON{}},
	}
}

func (s *Server) tableOperations() []operation {
	return []operation{
		get(sn+"/tables", "The tables with columns and counts", s.listTables, listOf[tableJSON]{}, paged...),
		get(tb, "One table", s.getTable, tableJSON{}),
		{method: patch, path: tb, summary: "Change the table's name and description, and of columns titles, descriptions, locks and widths", answer: s.patchTable,
			takes: patchTableBody{}, gives: tableJSON{}},
		get(tb+"/facets", "The distinct values of a column with counts, the most frequent first", s.getFacets, listOf[facetJSON]{}, "column", "filter", "search", "limit", "after", "numbers"),
		{method: post, path: tb + "/aggregate", summary: "Count, sum, average, min and max of columns under a where", answer: s.postAggregate, takes: aggregateBody{},
			query: []string{"numbers"}, gives: aggregateJSON{}, does: core.Look},
		get(tb+"/views", "The saved views, oldest first", s.listViews, listOf[viewJSON]{}, paged...),
		{method: post, path: tb + "/views", summary: "Save a view", answer: s.postView, takes: viewBody{}, status: http.StatusCreated, gives: viewJSON{}},
		get(tb+"/views/:view", "One saved view", s.getView, viewJSON{}),
		{method: patch, path: tb + "/views/:view", summary: "Change a saved view; what is not given stays", answer: s.patchView, takes: viewBody{}, gives: viewJSON{}},
		remove(tb+"/views/:view", "Forget a saved view", s.apiDeleteView, core.Edit),
		{method: post, path: tb + "/imports", summary: "A file into a table as suggestions, matched by a key column; preview=true only looks", answer: s.postImportInto,
			takes: multipartForm{importIntoForm{}}, query: []string{"preview"}, status: http.StatusAccepted, gives: jobMadeJSON{}, also: importIntoPreviewJSON{}},
		get(tb+"/export", "A view as a file; it changes nothing", s.exportTable, file{"text/csv", "text/tab-separated-values"}, "format", "filter", "find", "sort", "columns", "plain"),
	}
}

func (s *Server) recordOperations() []operation {
	return []operation{
		get(tb+"/records", "Records of a view", s.listRecords, recordsJSON{}, "filter", "find", "sort", "columns", "limit", "after", "offset", "count", "numbers"),
		get(tb+"/records/:record", "One record", s.getRecord, recordJSON{}, "numbers"),
		get(tb+"/records/:record/history", "Who changed what of a record, newest first", s.getRecordHistory, listOf[recordChangeJSON]{}, "limit", "after", "numbers"),
		{method: post, path: tb + "/changes", summary: "Edit, create, delete records, or suggest it", answer: s.postChanges, takes: changesBody{}, gives: resultJSON{}, job: true,
			does: core.Suggest},
		{method: post, path: tb + "/transforms", summary: "Make suggestions by a transform, or preview them", answer: s.postTransform, takes: transformBody{},
			query: []string{"numbers"}, status: http.StatusAccepted, gives: jobMadeJSON{}, also: transformPreviewJSON{}, does: core.Suggest},
		{method: post, path: tb + "/conflicts/settle", summary: "Settle conflicts: mine or theirs", answer: s.postSettle, takes: settleBody{}, gives: resultJSON{}, job: true},
	}
}

func (s *Server) suggestionOperations() []operation {
	return []operation{
		get(tb+"/suggestions", "The open suggestions", s.listSuggestions, listOf[suggestionJSON]{}, "filter", "limit", "after", "numbers"),
		get(tb+"/suggestions/groups", "Equal suggestions together, the largest first", s.listSuggestionGroups, listOf[groupJSON]{}, "filter", "limit", "after", "numbers"),
		{method: post, path: tb + "/suggestions/accept", summary: "Accept suggestions", answer: s.postAccept, takes: decideBody{}, gives: resultJSON{}, job: true, does: core.Decide},
		{method: post, path: tb + "/suggestions/reject", summary: "Reject suggestions", answer: s.postReject, takes: decideBody{}, gives: resultJSON{}, job: true, does: core.Decide},
	}
}

func (s *Server) planOperations() []operation {
	return []operation{
		{method: post, path: sn + "/plans", summary: "Freeze what a publish would do", answer: s.postPlan, takes: planBody{}, status: http.StatusCreated, gives: planJSON{}},
		get(pl, "One plan with its counts", s.getPlan, planJSON{}),
		get(pl+"/items", "Its records, with receipts", s.listItems, listOf[itemJSON]{}, "op", "state", "table", "group", "limit", "after", "numbers"),
		{method: patch, path: pl + "/items", summary: "Take records in or leave them out, before it runs", answer: s.patchItems, takes: itemsBody{}, gives: planJSON{}},
		{method: post, path: pl + "/publish", summary: "Publish; again: the same job", answer: s.postPublish, takes: publishBody{}, status: http.StatusAccepted, gives: jobMadeJSON{},
			does: core.Publish},
		{method: post, path: pl + "/retry", summary: "Send planned and failed records again", answer: s.postRetry, status: http.StatusAccepted, gives: jobMadeJSON{}, does: core.Publish},
		{method: post, path: pl + "/revert", summary: "Make the inverse plan, of all or of some records and columns", answer: s.postRevert, takes: revertBody{}, status: http.StatusCreated, gives: revertedJSON{}, job: true,
			does: core.Publish},
		{method: post, path: pl + "/items/:item/settle", summary: "Say what became of an unknown record", answer: s.postSettleItem, takes: settleItemBody{}, gives: planJSON{}, does: core.Publish},
	}
}

func (s *Server) jobOperations() []operation {
	return []operation{
		get("/jobs", "The jobs, newest first", s.listJobs, listOf[jobJSON]{}, "snapshot", "open", "limit", "after"),
		get("/jobs/:job", "One job with its progress", s.getJob, jobJSON{}),
		{method: post, path: "/jobs/:job/cancel", summary: "Stop a job at its next step; what it did stays", answer: s.postCancel, gives: jobJSON{}},
		{method: post, path: "/jobs/:job/continue", summary: "Answer a job that waits for a person", answer: s.postContinue, gives: jobJSON{}},
		get("/events", "Server-sent events: hints, never data that must not be lost", s.streamEvents, file{"text/event-stream"}, "topic"),
	}
}

func (s *Server) apiRoutes(e *echo.Echo) {
	g := e.Group("/api/v1")
	for _, o := range s.operations() {
		_, uploads := o.takes.(multipartForm)
		switch {
		case o.method != http.MethodPost || uploads || o.secret: // an upload is not held in memory to be compared
			g.Add(o.method, o.path, o.answer)
		case o.takes == nil:
			g.Add(o.method, o.path, o.answer, s.once, withNothing)
		default:
			g.Add(o.method, o.path, o.answer, s.once)
		}
	}
}

// withNothing refuses a body where nothing is read: what somebody meant by it would be passed over.
func withNothing(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := readJSON(c, &struct{}{}); err != nil {
			return err
		}
		return next(c)
	}
}

func ctxOf(c echo.Context) context.Context { return c.Request().Context() }
