package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type patchTableBody struct {
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Columns     []patchColumnBody `json:"columns"`
}

type patchColumnBody struct {
	ID          string       `json:"id"`
	Title       *string      `json:"title"`
	Description *string      `json:"description"`
	Locks       *[]core.Lock `json:"locks"`
	Width       *int         `json:"width"`
}

// patchTable changes what is given of the table and of the columns that are named; the rest stays.
func (s *Server) patchTable(c echo.Context) error {
	var body patchTableBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	edit := store.TableEdit{Title: body.Name, Description: body.Description}
	for i, b := range body.Columns {
		col, ok := t.ColumnBySlug(b.ID)
		if !ok {
			return core.FieldErrorf("/columns/"+itoa(i)+"/id", "There is no column %s.", b.ID)
		}
		edit.Columns = append(edit.Columns, store.ColumnEdit{Number: col.Number, Title: b.Title, Description: b.Description, Locks: b.Locks, Width: b.Width})
	}
	if t, err = s.store.EditTable(ctx, by, t.Ref(), edit); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tableOut(t))
}

type aggregateBody struct {
	Where     *whereBody `json:"where"`
	Columns   []string   `json:"columns"`
	Functions []string   `json:"functions"`
}

type aggregateJSON struct {
	Count   int64                                          `json:"count"`
	Columns map[string]map[store.Function]*json.RawMessage `json:"columns"`
}

// postAggregate computes functions of columns, all that they fit unless some are named, over the chosen records.
func (s *Server) postAggregate(c echo.Context) error {
	var body aggregateBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	w, err := body.Where.records(t)
	if err != nil {
		return err
	}
	columns, functions, err := body.wanted(t)
	if err != nil {
		return err
	}
	found, err := s.store.Aggregate(ctx, by, t.Ref(), w, columns, functions)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, aggregateOut(f, t, found))
}

// wanted gives the columns and functions; a function that is named with a column that it does not fit is refused. Without
// columns they are those with numbers or times.
func (b aggregateBody) wanted(t store.Table) ([]int, []store.Function, error) {
	functions, err := store.ParseFunctions(b.Functions)
	if err != nil {
		return nil, nil, err
	}
	columns := []int{}
	for i, slug := range b.Columns {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			return nil, nil, core.FieldErrorf("/columns/"+itoa(i), "There is no column %s.", slug)
		}
		for k, name := range b.Functions {
			if !store.Function(name).Fits(col.Type) {
				return nil, nil, core.FieldErrorf("/functions/"+itoa(k), "There is no %s of %s: it is a %s.", name, col.Title, col.Type.Word())
			}
		}
		columns = append(columns, col.Number)
	}
	for _, col := range t.Columns {
		if b.Columns == nil && store.Max.Fits(col.Type) && !col.Type.IsText() {
			columns = append(columns, col.Number)
		}
	}
	return columns, functions, nil
}

func aggregateOut(f valueForm, t store.Table, found store.Aggregates) aggregateJSON {
	out := aggregateJSON{Count: found.Records, Columns: map[string]map[store.Function]*json.RawMessage{}}
	for number, values := range found.Values {
		col, _ := t.Column(number)
		byName := map[store.Function]*json.RawMessage{}
		for fn, v := range values {
			as := col
			if fn == store.Count {
				as = core.Column{Type: core.Number}
			}
			raw := f.value(as, v)
			if fn == store.Count {
				raw = v.API(core.Number) // never too large for a client
			}
			byName[fn] = &raw
		}
		out.Columns[col.Slug] = byName
	}
	return out
}
