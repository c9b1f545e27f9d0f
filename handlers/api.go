package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
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

// readJSON reads a body into a struct of this action. Unknown names and trailing data are refused.
func readJSON(c echo.Context, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return core.Errorf(core.TooLarge, "A request takes at most 32 MB.")
		}
		return core.Wrap(err, core.Malformed, "The request's body could not be read to its end.")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return malformed(err)
	}
	if d.More() {
		return core.Errorf(core.Malformed, "There is something behind the JSON document.")
	}
	return nil
}

func malformed(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		pointer := "/" + strings.ReplaceAll(typ.Field, ".", "/")
		return &core.Error{Code: core.Invalid, Sentence: "A " + typ.Value + " does not fit " + pointer + ".", Fields: []core.FieldError{{Pointer: pointer, Detail: "This takes a " + typ.Type.String() + "."}}}
	}
	return core.Wrap(err, core.Malformed, "The body is not the JSON document that is asked for: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// list is the answer of every list.
type list struct {
	Items any `json:"items"`
	Next  any `json:"next"`
}

// limitOf reads the limit of a list: 100 unless told, at most 1,000.
func limitOf(c echo.Context) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1000 {
		return 0, core.FieldErrorf("/limit", "limit takes a number from 1 to 1000.")
	}
	return n, nil
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

func batchName(n int64) any {
	if n == 0 {
		return nil
	}
	return "bat_" + strconv.FormatInt(n, 10)
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
	Filter  string   `json:"filter"`
	Records []int64  `json:"records"`
	Columns []string `json:"columns"`
	Batch   string   `json:"batch"`
	Group   string   `json:"group"`
	IDs     []int64  `json:"ids"`
}

func (w *whereBody) where(t store.Table) (store.Where, error) {
	if w == nil {
		return store.Where{}, nil
	}
	out := store.Where{Filter: w.Filter, Records: w.Records, Group: w.Group, IDs: w.IDs}
	for i, slug := range w.Columns {
		if slug == "_record" {
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
