package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// The window's measures. A cell is cut at cellCut characters; editor, copy and diff fetch the whole.
const (
	cellCut       = 300
	firstRows     = 40
	mostRows      = 500 // of one window
	orderMaxAge   = 60 * time.Second
	mostCopyCells = 200_000
)

// gridRoutes lists the addresses of the grid, of its records and of its suggestions.
func (s *Server) gridRoutes(e *echo.Echo) {
	e.POST("/snapshots/:snapshot/undo", s.once(s.undoLast))
	e.POST("/snapshots/:snapshot/redo", s.once(s.redoLast))
	g := e.Group("/snapshots/:snapshot/tables/:table")
	g.GET("", s.showGrid)
	g.GET("/columns.css", s.showColumnWidths)
	g.GET("/order", s.showOrder)
	g.GET("/rows", s.showRows)
	g.GET("/cell", s.showCell)
	g.GET("/references", s.findReferences)
	g.GET("/copy", s.copyCells)
	g.GET("/export", s.exportTable)
	g.GET("/counts", s.showCounts)
	g.GET("/aggregate", s.showAggregate)
	g.GET("/find", s.findNext)
	g.GET("/filter", s.composeFilter)
	g.GET("/tools", s.showTools)
	g.GET("/facets", s.showFacets)
	g.POST("/edits", s.once(s.editCells))
	g.POST("/paste", s.once(s.pasteCells))
	g.POST("/fill", s.once(s.fillCells))
	g.POST("/spread", s.once(s.spreadCells))
	g.POST("/delete", s.once(s.deleteRecords))
	g.POST("/undelete", s.once(s.undeleteRecords))
	g.POST("/records", s.once(s.createRecords))
	g.GET("/records/:record", s.showRecord)
	g.GET("/records/:record/changed", s.showChanged)
	g.POST("/records/:record", s.once(s.changeRecord))
	g.POST("/suggestions/accept", s.once(s.acceptSuggestions))
	g.POST("/suggestions/reject", s.once(s.rejectSuggestions))
	g.GET("/suggestions/next", s.nextSuggestion)
	g.GET("/suggestions/groups", s.showSuggestionGroups)
	g.GET("/replace", s.previewReplace)
	g.POST("/replace", s.once(s.suggestReplace))
}

// showGrid answers with the page of a table: its frame, its first records, and what its script needs to go on.
func (s *Server) showGrid(c echo.Context) error {
	p, t, err := s.gridPage(c)
	if err != nil {
		return err
	}
	if id, err := strconv.ParseInt(c.QueryParam("record"), 10, 64); err == nil {
		if p.Record, err = s.recordPanel(c, t, id); err != nil && core.CodeOf(err) != core.NotFound {
			return err
		}
	}
	return s.render(c, http.StatusOK, views.Grid(p))
}

// gridPage makes the model of a grid's page. A filter that does not compile is shown with its fault over all records.
func (s *Server) gridPage(c echo.Context) (views.GridPage, store.Table, error) {
	ctx, by := ctxOf(c), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return views.GridPage{}, store.Table{}, err
	}
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return views.GridPage{}, t, err
	}
	frame, err := s.snapshotPage(c, t.Title+" · "+sn.Name, "snapshots", sn)
	if err != nil {
		return views.GridPage{}, t, err
	}
	frame.Scripts = []string{"js/grid/main.js"}
	p := gridModel(frame, sn, t, by)
	widths := p.ColumnWidths()
	p.Page.Styles = []string{p.Base() + "/columns.css?of=" + widthsOf(widths)}
	p.Filter, p.Sort, p.Find, p.Cell = c.QueryParam("filter"), c.QueryParam("sort"), c.QueryParam("find"), c.QueryParam("cell")
	p.Chips = chipsOf(p, t)
	if err := s.firstWindow(c, t, &p); err != nil {
		return p, t, err
	}
	p.Downloading, err = s.downloading(c, sn.ID)
	return p, t, err
}

// firstWindow fills the page's first records by a LIMIT query: the order is asked for by the page's script.
func (s *Server) firstWindow(c echo.Context, t store.Table, p *views.GridPage) error {
	v, err := viewOf(c, t)
	if err == nil {
		p.Rows, err = s.firstRecords(c, t, v, firstRows, nil)
	}
	if core.CodeOf(err) != core.Invalid {
		return err
	}
	p.FilterError = core.SentenceOf(err)
	v.Filter = ""
	p.Rows, err = s.firstRecords(c, t, v, firstRows, nil)
	return err
}

func (s *Server) firstRecords(c echo.Context, t store.Table, v store.View, limit int, cols []int) (views.GridRows, error) {
	rows, err := s.store.FirstRows(ctxOf(c), actor(c), t.Ref(), v, limit, store.RowOptions{Columns: cols, CutAt: cellCut})
	if err != nil {
		return views.GridRows{}, err
	}
	return s.window(c, t, cols, rows, nil)
}

func (s *Server) downloading(c echo.Context, snapshot string) (bool, error) {
	open, err := s.store.Jobs(ctxOf(c), actor(c), store.JobsFilter{Snapshot: snapshot, Open: true, Limit: 10})
	for _, j := range open {
		if j.Kind == "download" {
			return true, err
		}
	}
	return false, err
}

// showOrder answers with the order of a view. fresh=1 takes a new one; keep=<record> says where that record stands in it.
func (s *Server) showOrder(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	maxAge := orderMaxAge
	if c.QueryParam("fresh") == "1" {
		maxAge = 0
	}
	var o *store.Order
	if id := c.QueryParam("order"); id != "" {
		o, err = s.store.OrderByID(ctx, by, t.Ref(), id)
	} else {
		o, err = s.store.Order(ctx, by, t.Ref(), v, maxAge)
	}
	if err != nil {
		return err
	}
	out := views.GridOrder{ID: o.ID, Rows: o.Len(), Version: o.Version, MadeAt: o.MadeAt, Position: -1}
	if keep, err := strconv.ParseInt(c.QueryParam("keep"), 10, 64); err == nil {
		if at, ok := o.Position(keep); ok {
			out.Position = at
		}
	}
	return c.JSON(http.StatusOK, out)
}

// showRows answers with a window of records as HTML: by positions in an order, by ids, or the first ones of a view.
func (s *Server) showRows(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	cols, err := numbersOf(c.QueryParam("cols"))
	if err != nil {
		return err
	}
	var w views.GridRows
	switch {
	case c.QueryParam("ids") != "":
		w, err = s.rowsByID(c, t, cols)
	case c.QueryParam("first") != "":
		var v store.View
		if v, err = viewOf(c, t); err == nil {
			w, err = s.firstRecords(c, t, v, firstRows, cols)
		}
	default:
		w, err = s.rowsByPosition(c, t, cols)
	}
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.GridWindow(w))
}

func (s *Server) rowsByID(c echo.Context, t store.Table, cols []int) (views.GridRows, error) {
	ids, err := idsOf(c.QueryParam("ids"))
	if err != nil {
		return views.GridRows{}, err
	}
	if len(ids) > mostRows {
		return views.GridRows{}, core.FieldErrorf("/ids", "A window has at most %d records.", mostRows)
	}
	rows, err := s.store.RowsIn(ctxOf(c), t, ids, store.RowOptions{Columns: cols, CutAt: cellCut})
	if err != nil {
		return views.GridRows{}, err
	}
	return s.window(c, t, cols, rows, nil)
}

func (s *Server) rowsByPosition(c echo.Context, t store.Table, cols []int) (views.GridRows, error) {
	o, err := s.store.OrderByID(ctxOf(c), actor(c), t.Ref(), c.QueryParam("order"))
	if err != nil {
		return views.GridRows{}, err
	}
	from, err := numberParam(c, "from")
	if err != nil {
		return views.GridRows{}, err
	}
	to, err := numberParam(c, "to")
	if err != nil {
		return views.GridRows{}, err
	}
	from, to = min(from, int64(o.Len())), min(to, int64(o.Len()))
	if to-from > mostRows {
		return views.GridRows{}, core.FieldErrorf("/to", "A window has at most %d records.", mostRows)
	}
	ids := o.IDs(int(from), int(to))
	rows, err := s.store.RowsIn(ctxOf(c), t, ids, store.RowOptions{Columns: cols, CutAt: cellCut})
	if err != nil {
		return views.GridRows{}, err
	}
	return s.window(c, t, cols, rows, &placed{ids, int(from)})
}

// countsAnswer is what the status bar, the tabs and the undo button show.
type countsAnswer struct {
	core.Counts
	Version     int64                  `json:"version"`
	Undo        string                 `json:"undo"` // what Ctrl+Z would undo, "" for nothing
	Redo        string                 `json:"redo"`
	Downloading bool                   `json:"downloading"`
	Tables      map[string]core.Counts `json:"tables"` // of all tabs
	Busy        *busyLine              `json:"busy"`   // what is being done to the table as a job
}

func (s *Server) showCounts(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	t, ok := tableIn(sn, []string{c.Param("table")})
	if !ok {
		return core.Errorf(core.NotFound, "This table is not here (any more).")
	}
	out := countsAnswer{Counts: t.Counts, Version: t.Version, Tables: map[string]core.Counts{}}
	for _, tab := range sn.Tables {
		out.Tables[tab.ID] = tab.Counts
	}
	if out.Undo, err = nextLabel(s.store.NextUndo(ctx, by, t.Snapshot)); err != nil {
		return err
	}
	if out.Redo, err = nextLabel(s.store.NextRedo(ctx, by, t.Snapshot)); err != nil {
		return err
	}
	if out.Downloading, err = s.downloading(c, t.Snapshot); err != nil {
		return err
	}
	if out.Busy, err = s.busyWith(c, t.Ref()); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}

// nextLabel names the batch that undo or redo would take, with how much it changed.
func nextLabel(b store.Batch, err error) (string, error) {
	if core.CodeOf(err) == core.Conflict {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	label := b.Label
	switch {
	case b.Cells > 0:
		label += ", " + views.Counted(b.Cells, "cell", "cells")
	case b.Records > 0:
		label += ", " + views.Counted(b.Records, "record", "records")
	case b.Suggested > 0:
		label += ", " + views.Counted(b.Suggested, "suggestion", "suggestions")
	}
	return label, nil
}

// numbersOf reads "3,1,7"; "" is nil.
func numbersOf(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var out []int
	for _, part := range strings.Split(list, ",") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, core.Errorf(core.Malformed, "“%s” is not a list of numbers.", cutName(list))
		}
		out = append(out, n)
	}
	return out, nil
}

func idsOf(list string) ([]int64, error) {
	numbers, err := numbersOf(list)
	out := make([]int64, len(numbers))
	for i, n := range numbers {
		out[i] = int64(n)
	}
	return out, err
}

// rangesOf reads "0-10,20-25": positions from and to (excluded).
func rangesOf(list string) ([][2]int, error) {
	var out [][2]int
	for _, part := range strings.Split(list, ",") {
		a, b, ok := strings.Cut(part, "-")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if !ok || err1 != nil || err2 != nil || from < 0 || to < from {
			return nil, core.Errorf(core.Malformed, "“%s” is not a list of positions.", cutName(list))
		}
		out = append(out, [2]int{from, to})
	}
	return out, nil
}

// zoneOf gives the zone that the browser named, in which instants are shown; nil is UTC.
func zoneOf(c echo.Context) *time.Location {
	cookie, err := c.Cookie("zone")
	if err != nil {
		return nil
	}
	name := strings.ReplaceAll(cookie.Value, "%2F", "/")
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

// showTools answers with the bar over the grid, as it is for a view.
func (s *Server) showTools(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	p := gridModel(s.framePage(c, t.Title), store.Snapshot{ID: t.Snapshot}, t, actor(c))
	p.Filter, p.Sort, p.Find = c.QueryParam("filter"), c.QueryParam("sort"), c.QueryParam("find")
	p.Chips = chipsOf(p, t)
	return s.render(c, http.StatusOK, views.GridTools(p))
}
