package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type suggestionJSON struct {
	ID     int64           `json:"id"`
	Record int64           `json:"record,omitempty"`
	Column string          `json:"column,omitempty"`
	Before json.RawMessage `json:"before,omitempty"`
	Value  json.RawMessage `json:"value"`
	Batch  any             `json:"batch"`
	Reason string          `json:"reason"`
	Kind   string          `json:"kind"`
}

type recordJSON struct {
	ID          int64                       `json:"id"`
	RemoteID    *string                     `json:"remote_id"`
	State       string                      `json:"state"`
	Values      map[string]json.RawMessage  `json:"values"`
	Edits       map[string]any              `json:"edits"`
	Suggestions map[string][]suggestionJSON `json:"suggestions"`
	Conflicts   map[string]any              `json:"conflicts"`
	Problems    map[string]any              `json:"problems"`
}

// recordOut writes a record whose values are those of cols.
func recordOut(t store.Table, cols []core.Column, r store.Row) recordJSON {
	out := recordJSON{ID: r.ID, State: r.State.String(), Values: map[string]json.RawMessage{}, Edits: map[string]any{}, Suggestions: map[string][]suggestionJSON{},
		Conflicts: map[string]any{}, Problems: map[string]any{}}
	if r.RemoteID != "" {
		out.RemoteID = &r.RemoteID
	}
	shown := map[int]core.Column{}
	for i, c := range cols {
		shown[c.Number] = c
		out.Values[c.Slug] = r.Values[i].API(c.Type)
		if v, ok := r.Base[c.Number]; ok {
			out.Edits[c.Slug] = map[string]any{"base": v.API(c.Type)}
		}
		if v, ok := r.Conflicts[c.Number]; ok {
			out.Conflicts[c.Slug] = map[string]any{"theirs": v.API(c.Type)}
		}
	}
	if r.RecordConflict != "" {
		out.Conflicts["_record"] = map[string]any{"theirs": r.RecordConflict}
	}
	for n, list := range r.Suggestions {
		c, ok := shown[n]
		slug := c.Slug
		if n == core.RecordColumn {
			slug, ok = "_record", true
		}
		if !ok {
			continue
		}
		for _, sg := range list {
			out.Suggestions[slug] = append(out.Suggestions[slug], suggestionJSON{ID: sg.ID, Value: apiValue(c, sg.After), Batch: batchName(sg.Batch), Reason: sg.Reason, Kind: sg.Kind})
		}
	}
	return out
}

func apiValue(c core.Column, raw json.RawMessage) json.RawMessage {
	v, err := core.FromCanonical(c.Type, raw)
	if err != nil || c.Type == "" {
		return raw
	}
	return v.API(c.Type)
}

func columnsOf(t store.Table, slugs string) ([]core.Column, []int, error) {
	if slugs == "" {
		return t.Columns, nil, nil
	}
	var cols []core.Column
	numbers := []int{}
	for _, slug := range strings.Split(slugs, ",") {
		c, ok := t.ColumnBySlug(strings.TrimSpace(slug))
		if !ok {
			return nil, nil, core.FieldErrorf("/columns", "There is no column %s.", slug)
		}
		cols, numbers = append(cols, c), append(numbers, c.Number)
	}
	return cols, numbers, nil
}

// listRecords pages through a view's order: `after` is "order:position", so that pages fit together whatever happens.
func (s *Server) listRecords(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	cols, numbers, err := columnsOf(t, c.QueryParam("columns"))
	if err != nil {
		return err
	}
	o, from, err := s.orderFrom(c, t)
	if err != nil {
		return err
	}
	rows, err := s.store.Rows(ctx, by, t.Ref(), o.IDs(from, from+limit), store.RowOptions{Columns: numbers})
	if err != nil {
		return err
	}
	items := []recordJSON{}
	for _, r := range rows {
		items = append(items, recordOut(t, cols, r))
	}
	out := map[string]any{"items": items, "next": nil}
	if from+limit < o.Len() {
		out["next"] = o.ID + ":" + itoa(from+limit)
	}
	if c.QueryParam("count") == "true" {
		out["total"] = o.Len()
	}
	return answerNumbers(c, http.StatusOK, out)
}

func (s *Server) orderFrom(c echo.Context, t store.Table) (*store.Order, int, error) {
	if id, pos, ok := strings.Cut(c.QueryParam("after"), ":"); ok {
		n, err := strconv.Atoi(pos)
		if err != nil || n < 0 {
			return nil, 0, core.FieldErrorf("/after", "after takes what an earlier page gave as next.")
		}
		o, err := s.store.OrderByID(ctxOf(c), actor(c), t.Ref(), id)
		return o, n, err
	}
	offset, err := numberParam(c, "offset")
	if err != nil {
		return nil, 0, err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return nil, 0, err
	}
	o, err := s.store.Order(ctxOf(c), actor(c), t.Ref(), v, 0)
	if err != nil {
		return nil, 0, err
	}
	return o, int(min(offset, int64(o.Len()))), nil
}

// answerNumbers writes numbers as texts for clients that cannot hold all their digits.
func answerNumbers(c echo.Context, status int, v any) error {
	if c.QueryParam("numbers") != "string" {
		return c.JSON(status, v)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	return c.JSON(status, numbersAsText(tree, false))
}

func numbersAsText(v any, inside bool) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			x[k] = numbersAsText(e, inside || k == "values" || k == "edits" || k == "suggestions" || k == "conflicts")
		}
	case []any:
		for i, e := range x {
			x[i] = numbersAsText(e, inside)
		}
	case json.Number:
		if inside {
			return x.String()
		}
	}
	return v
}

func recordParam(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("record"), 10, 64)
	if err != nil {
		return 0, core.Errorf(core.NotFound, "There is no such record.")
	}
	return id, nil
}

func (s *Server) getRecord(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	id, err := recordParam(c)
	if err != nil {
		return err
	}
	rows, err := s.store.Rows(ctx, by, t.Ref(), []int64{id}, store.RowOptions{})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return core.Errorf(core.NotFound, "This record is not here (any more).")
	}
	return answerNumbers(c, http.StatusOK, recordOut(t, t.Columns, rows[0]))
}

func (s *Server) getRecordHistory(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	id, err := recordParam(c)
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	changes, err := s.store.RecordHistory(ctx, by, t.Ref(), id, -1, limit)
	if err != nil {
		return err
	}
	items := []map[string]any{}
	for _, ch := range changes {
		col, _ := t.Column(ch.Column)
		slug := col.Slug
		if ch.Column == core.RecordColumn {
			slug = "_record"
		}
		items = append(items, map[string]any{"batch": batchName(ch.Batch.ID), "who": ch.Batch.Who, "at": ch.Batch.When, "kind": ch.Batch.Kind, "label": ch.Batch.Label,
			"column": slug, "before": apiValue(col, ch.Before), "after": apiValue(col, ch.After), "reason": ch.Reason})
	}
	return c.JSON(http.StatusOK, list{Items: items})
}

func (s *Server) getFacets(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	col, ok := t.ColumnBySlug(c.QueryParam("column"))
	if !ok {
		return core.FieldErrorf("/column", "Say which column.")
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	facets, more, err := s.store.Facets(ctx, by, t.Ref(), v, col.Number, c.QueryParam("search"), limit)
	if err != nil {
		return err
	}
	items := []map[string]any{}
	for _, f := range facets {
		items = append(items, map[string]any{"value": f.Value.API(col.Type), "count": f.Count})
	}
	return c.JSON(http.StatusOK, map[string]any{"items": items, "next": nil, "more": more})
}
