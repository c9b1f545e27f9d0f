package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// suggestionID is the id of a suggestion: "sug_12". A plain number is taken too.
type suggestionID int64

const suggestionPrefix = "sug_"

// MarshalJSON writes the id with its prefix.
func (id suggestionID) MarshalJSON() ([]byte, error) {
	return []byte(`"` + suggestionPrefix + strconv.FormatInt(int64(id), 10) + `"`), nil
}

// UnmarshalJSON reads an id.
func (id *suggestionID) UnmarshalJSON(raw []byte) error {
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.Trim(string(raw), `"`), suggestionPrefix), 10, 64)
	if err != nil || n < 1 {
		return core.FieldErrorf("/where/ids", "There is no suggestion %s.", raw)
	}
	*id = suggestionID(n)
	return nil
}

// suggestionJSON is an open suggestion. In a record its record and column are not repeated.
type suggestionJSON struct {
	ID     suggestionID    `json:"id"`
	Record int64           `json:"record,omitempty"`
	Column string          `json:"column,omitempty"`
	Before json.RawMessage `json:"before,omitempty"`
	Value  json.RawMessage `json:"value"` // of a whole record: its values, or null for a delete
	Batch  *string         `json:"batch"`
	Reason string          `json:"reason"`
	Kind   string          `json:"kind"`
	Who    string          `json:"who,omitempty"`
}

type editJSON struct {
	Base json.RawMessage `json:"base"`
}

// conflictJSON is what the service holds now; of a whole record it is a word: deleted_there or changed_there.
type conflictJSON struct {
	Theirs json.RawMessage `json:"theirs"`
}

// recordJSON is a record. What concerns it as a whole is under _record.
type recordJSON struct {
	ID          int64                       `json:"id"`
	RemoteID    *string                     `json:"remote_id"`
	State       string                      `json:"state" enum:"existing,created,deleted,proposed"`
	Values      map[string]json.RawMessage  `json:"values"`
	Edits       map[string]editJSON         `json:"edits"`
	Suggestions map[string][]suggestionJSON `json:"suggestions"`
	Conflicts   map[string]conflictJSON     `json:"conflicts"`
	Problems    map[string]string           `json:"problems"`
}

type recordsJSON struct {
	Items []recordJSON `json:"items"`
	Next  *string      `json:"next"`
	Total *int64       `json:"total,omitempty"` // asked for with count=true
}

// recordOut writes a record whose values are those of cols.
func (f valueForm) recordOut(t store.Table, cols []core.Column, r store.Row) recordJSON {
	out := recordJSON{ID: r.ID, State: r.State.String(), Values: map[string]json.RawMessage{}, Edits: map[string]editJSON{}, Suggestions: map[string][]suggestionJSON{},
		Conflicts: map[string]conflictJSON{}, Problems: map[string]string{}}
	if r.RemoteID != "" {
		out.RemoteID = &r.RemoteID
	}
	shown := map[int]bool{core.RecordColumn: true}
	for i, c := range cols {
		shown[c.Number] = true
		out.Values[c.Slug] = f.value(c, r.Values[i])
		if v, ok := r.Base[c.Number]; ok {
			out.Edits[c.Slug] = editJSON{f.value(c, v)}
		}
		if v, ok := r.Conflicts[c.Number]; ok {
			out.Conflicts[c.Slug] = conflictJSON{f.value(c, v)}
		}
	}
	if r.RecordConflict != "" {
		word, _ := json.Marshal(r.RecordConflict) // a text
		out.Conflicts[recordSlug] = conflictJSON{word}
	}
	for n, list := range r.Suggestions {
		for _, sg := range list {
			if shown[n] {
				one := f.suggestionOut(t, sg)
				one.Record, one.Column, one.Before = 0, "", nil
				out.Suggestions[slugOf(t, n)] = append(out.Suggestions[slugOf(t, n)], one)
			}
		}
	}
	for n, words := range r.Problems {
		if shown[n] {
			out.Problems[slugOf(t, n)] = words
		}
	}
	return out
}

func (f valueForm) suggestionOut(t store.Table, sg store.Suggestion) suggestionJSON {
	return suggestionJSON{ID: suggestionID(sg.ID), Record: sg.Record, Column: slugOf(t, sg.Column), Before: f.change(t, sg.Column, sg.Before),
		Value: f.change(t, sg.Column, sg.After), Batch: batchName(sg.Batch), Reason: sg.Reason, Kind: sg.Kind, Who: sg.Who}
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

// listRecords pages through a view's order: `after` is "order:position", so that pages fit together whatever happens. Of records that hold much
// there are fewer on a page than limit says.
func (s *Server) listRecords(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	f, err := formOf(c)
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
	rows, taken, err := s.store.RowsThatFit(ctx, by, t.Ref(), o.IDs(from, from+limit), store.RowOptions{Columns: numbers})
	if err != nil {
		return err
	}
	out := recordsJSON{Items: []recordJSON{}}
	for _, r := range rows {
		out.Items = append(out.Items, f.recordOut(t, cols, r))
	}
	if from+taken < o.Len() {
		next := o.ID + ":" + itoa(from+taken)
		out.Next = &next
	}
	if total := int64(o.Len()); c.QueryParam("count") == "true" {
		out.Total = &total
	}
	return c.JSON(http.StatusOK, out)
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
	f, err := formOf(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, f.recordOut(t, t.Columns, rows[0]))
}

// recordChangeJSON is one line of a record's history.
type recordChangeJSON struct {
	Batch  *string         `json:"batch"`
	Who    string          `json:"who"`
	At     time.Time       `json:"at"`
	Kind   string          `json:"kind"`
	Label  string          `json:"label"`
	Column string          `json:"column"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	Reason string          `json:"reason"`
}

func (s *Server) getRecordHistory(c echo.Context) error {
	t, err := s.tableOf(c)
	if err != nil {
		return err
	}
	id, err := recordParam(c)
	if err != nil {
		return err
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	part, err := spanOf(c)
	if err != nil {
		return err
	}
	changes, more, err := s.store.RecordHistory(ctxOf(c), actor(c), t.Ref(), id, -1, part)
	if err != nil {
		return err
	}
	if len(changes) == 0 && part.Offset == 0 { // one that was removed has a history all the same
		if err := s.recordThere(c, id); err != nil {
			return err
		}
	}
	return answerSpan(c, changes, more, part, func(ch store.Change) recordChangeJSON {
		return recordChangeJSON{Batch: batchName(ch.Batch.ID), Who: ch.Batch.Who, At: ch.Batch.When, Kind: ch.Batch.Kind, Label: ch.Batch.Label,
			Column: slugOf(t, ch.Column), Before: f.change(t, ch.Column, ch.Before), After: f.change(t, ch.Column, ch.After), Reason: ch.Reason}
	})
}

type facetJSON struct {
	Value json.RawMessage `json:"value"`
	Count int64           `json:"count"`
}

func (s *Server) getFacets(c echo.Context) error {
	t, err := s.tableOf(c)
	if err != nil {
		return err
	}
	col, ok := t.ColumnBySlug(c.QueryParam("column"))
	if !ok {
		return core.FieldErrorf("/column", "Say which column.")
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	part, err := spanOf(c)
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	facets, more, err := s.store.Facets(ctxOf(c), actor(c), t.Ref(), v, col.Number, c.QueryParam("search"), part)
	if err != nil {
		return err
	}
	return answerSpan(c, facets, more, part, func(x store.Facet) facetJSON { return facetJSON{f.value(col, x.Value), x.Count} })
}
