package handlers

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// suggestionsBody chooses suggestions; those given must all hold. all means everything under the filter.
type suggestionsBody struct {
	IDs     []int64  `json:"ids"`
	Columns []int    `json:"columns"`
	Filter  string   `json:"filter"`
	Find    string   `json:"find"`
	Records []int64  `json:"records"`
	Batch   int64    `json:"batch"`
	Group   string   `json:"group"`
	Order   string   `json:"order"`
	Ranges  [][2]int `json:"ranges"`
	All     bool     `json:"all"`
}

func (b suggestionsBody) where() store.Where {
	w := store.Where{
		IDs: b.IDs, Columns: b.Columns, Filter: b.Filter, Find: b.Find, Records: b.Records, Batch: b.Batch, Group: b.Group,
		Order: b.Order, Ranges: b.Ranges,
	}
	if w.Empty() && b.All {
		w.Filter = "true"
	}
	return w
}

func (s *Server) acceptSuggestions(c echo.Context) error {
	var body suggestionsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	return s.doGrid(c, store.Bulk{Kind: "accept", Table: c.Param("table"), Where: body.where()})
}

func (s *Server) rejectSuggestions(c echo.Context) error {
	var body suggestionsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	return s.doGrid(c, store.Bulk{Kind: "reject", Table: c.Param("table"), Where: body.where()})
}

// nextSuggestion answers with the next or previous suggested cell in the shown order. Its number and the total are null where
// counting them would keep the person waiting.
func (s *Server) nextSuggestion(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	o, err := s.store.OrderByID(ctx, by, refOf(c), c.QueryParam("order"))
	if err != nil {
		return err
	}
	pos, err := strconv.Atoi(c.QueryParam("pos"))
	if err != nil {
		pos = -1
	}
	col, _ := strconv.Atoi(c.QueryParam("col"))
	dir := 1
	if c.QueryParam("dir") == "-1" {
		dir = -1
	}
	at, err := s.store.SuggestionAt(ctx, by, refOf(c), o, pos, col, dir)
	if err != nil {
		return err
	}
	out := map[string]any{"record": at.Record, "column": at.Column, "position": at.Position, "index": nil, "total": nil}
	if at.Index > 0 {
		out["index"] = at.Index
	}
	if at.Total > 0 {
		out["total"] = at.Total
	}
	return c.JSON(http.StatusOK, out)
}

// mostGroups is how many groups of equal changes are shown at once.
const mostGroups = 200

// showSuggestionGroups answers with equal changes together, the largest first: as HTML, or as JSON how many cells they are.
func (s *Server) showSuggestionGroups(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	cols, err := numbersOf(c.QueryParam("columns"))
	if err != nil {
		return err
	}
	w := store.Where{Filter: c.QueryParam("filter"), Find: c.QueryParam("find"), Columns: cols}
	if wantsJSON(c) {
		n, err := s.store.CountSuggestions(ctx, by, t.Ref(), w)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]int64{"count": n})
	}
	groups, more, err := s.store.SuggestionGroups(ctx, by, t.Ref(), w, store.First(mostGroups))
	if err != nil {
		return err
	}
	model := views.SuggestionGroups{More: more, Zone: zoneOf(c)}
	for _, g := range groups {
		col, _ := t.Column(g.Column)
		model.Groups = append(model.Groups, groupLine(col, g))
	}
	return s.render(c, http.StatusOK, views.SuggestionGroupList(model))
}

func groupLine(col core.Column, g store.Group) views.SuggestionGroup {
	line := views.SuggestionGroup{
		Key: g.Key, Column: views.NewGridColumn(col), Kind: g.Kind, Count: g.Count,
		Before: readable(col.Type, g.Before), After: readable(col.Type, g.After),
	}
	if g.Column == core.RecordColumn {
		line.Column.Title = "record"
	}
	return line
}

// replaceOf reads a find and replace, and what it is to run over, from query or form.
func replaceOf(value func(string) string) (store.Where, store.Replace, error) {
	cols, err := numbersOf(value("columns"))
	r := store.Replace{
		Columns: cols, Find: value("what"), With: value("with"),
		MatchCase: value("case") == "1", WholeCell: value("whole") == "1",
	}
	w := store.Where{Filter: value("filter"), Find: value("find")}
	if w.Empty() {
		w.Filter = "true"
	}
	if err == nil && r.Find == "" && !r.WholeCell {
		err = core.FieldErrorf("/what", "Say what to find.")
	}
	return w, r, err
}

// previewReplace answers with the first results of a find and replace and their count. It changes nothing.
func (s *Server) previewReplace(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	w, r, err := replaceOf(c.QueryParam)
	if err != nil {
		return err
	}
	p, err := s.store.PreviewReplace(ctxOf(c), actor(c), t.Ref(), w, r)
	if err != nil {
		return err
	}
	model := views.ReplacePreview{Count: p.Count, Zone: zoneOf(c)}
	for _, sg := range p.Items {
		col, _ := t.Column(sg.Column)
		model.Items = append(model.Items, views.ReplaceLine{
			Column: views.NewGridColumn(col), Before: readable(col.Type, sg.Before), After: readable(col.Type, sg.After),
		})
	}
	return s.render(c, http.StatusOK, views.ReplacePreviewList(model))
}

// suggestReplace makes the suggestions of a find and replace, as one batch.
func (s *Server) suggestReplace(c echo.Context) error {
	var body map[string]string
	if err := readJSON(c, &body); err != nil {
		return err
	}
	w, r, err := replaceOf(func(name string) string { return body[name] })
	if err != nil {
		return err
	}
	return s.doGrid(c, store.Bulk{Kind: "transform", Table: c.Param("table"), Where: w, Replace: r})
}
