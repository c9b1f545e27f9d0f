package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
	"scratchpaper/store"
)

// maxBody is how large a JSON body may be: 10,000 edits of long texts fit.
const maxBody = 32 << 20

func itoa(n int) string { return strconv.Itoa(n) }

// problemDocument is an error as RFC 9457 has it.
type problemDocument struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail"`
	Errors []core.FieldError `json:"errors,omitempty"`
}

func problem(c echo.Context, e *core.Error) error {
	status := statusOf(e.Code)
	raw, err := json.Marshal(problemDocument{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Sentence, Errors: e.Fields})
	if err != nil {
		return err
	}
	return c.Blob(status, "application/problem+json", raw)
}

func numberParam(c echo.Context, name string) (int64, error) {
	v := c.QueryParam(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, core.FieldErrorf("/"+name, "%s takes a number.", name)
	}
	return n, nil
}

// tableOf gives the table that the address names. Codes: NotFound.
func (s *Server) tableOf(c echo.Context) (store.Table, error) {
	return s.store.TableByID(ctxOf(c), actor(c), refOf(c))
}

func refOf(c echo.Context) store.TableRef {
	return store.TableRef{Snapshot: c.Param("snapshot"), Table: c.Param("table")}
}

// batchID reads "bat_12".
func batchID(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "bat_"), 10, 64)
	if err != nil || n < 1 {
		return 0, core.Errorf(core.NotFound, "There is no such batch.")
	}
	return n, nil
}

// batchName is a batch's id; none is nil.
func batchName(n int64) *string {
	if n == 0 {
		return nil
	}
	name := "bat_" + strconv.FormatInt(n, 10)
	return &name
}

func itemID(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "itm_"), 10, 64)
	if err != nil || n < 1 {
		return 0, core.Errorf(core.NotFound, "There is no such item.")
	}
	return n, nil
}

// whereBody is `where` as the API has it.
type whereBody struct {
	Filter  string         `json:"filter"`
	Records []int64        `json:"records"`
	Columns []string       `json:"columns"`
	Batch   string         `json:"batch"`
	Group   string         `json:"group"`
	IDs     []suggestionID `json:"ids"`
}

func (w *whereBody) where(t store.Table) (store.Where, error) {
	if w == nil {
		return store.Where{}, nil
	}
	if f := strings.TrimSpace(w.Filter); f != "" && f != "true" && t.ID != "" {
		if _, err := expr.CompileFilter(f, t.Columns); err != nil {
			return store.Where{}, core.FieldErrorf("/where/filter", "%s", core.SentenceOf(err))
		}
	}
	// An empty list chooses nothing; one that is not given does not narrow.
	out := store.Where{Filter: w.Filter, Records: w.Records, Group: w.Group}
	if w.IDs != nil {
		out.IDs = []int64{}
	}
	if w.Columns != nil {
		out.Columns = []int{}
	}
	for _, id := range w.IDs {
		out.IDs = append(out.IDs, int64(id))
	}
	for i, slug := range w.Columns {
		if slug == recordSlug {
			out.Columns = append(out.Columns, core.RecordColumn)
			continue
		}
		c, ok := t.ColumnBySlug(slug)
		if !ok {
			return out, core.FieldErrorf("/where/columns/"+itoa(i), "There is no column %s.", slug)
		}
		out.Columns = append(out.Columns, c.Number)
	}
	if w.Batch != "" {
		n, err := batchID(w.Batch)
		if err != nil {
			return out, core.FieldErrorf("/where/batch", "There is no such batch.")
		}
		out.Batch = n
	}
	return out, nil
}

// records reads a where that chooses records: columns choose cells, and would change nothing.
func (w *whereBody) records(t store.Table) (store.Where, error) {
	if w != nil && w.Columns != nil {
		return store.Where{}, core.FieldErrorf("/where/columns", "Columns choose cells, and this is about records. Leave them out.")
	}
	return w.where(t)
}

// sortOf reads "title,-price".
func sortOf(t store.Table, s string) ([]store.SortKey, error) {
	var out []store.SortKey
	for _, part := range strings.Split(s, ",") {
		slug := strings.TrimPrefix(strings.TrimSpace(part), "-")
		if slug == "" {
			continue
		}
		c, ok := t.ColumnBySlug(slug)
		if !ok {
			return nil, core.FieldErrorf("/sort", "There is no column %s to sort by.", slug)
		}
		out = append(out, store.SortKey{Column: c.Number, Descending: strings.HasPrefix(strings.TrimSpace(part), "-")})
	}
	return out, nil
}

// viewOf reads a view from the query.
func viewOf(c echo.Context, t store.Table) (store.View, error) {
	keys, err := sortOf(t, c.QueryParam("sort"))
	return store.View{Filter: c.QueryParam("filter"), Find: c.QueryParam("find"), Sort: keys}, err
}
