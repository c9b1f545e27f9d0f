package handlers

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type viewJSON struct {
	ID        string           `json:"id"`
	Table     string           `json:"table"`
	Name      string           `json:"name"`
	Filter    string           `json:"filter"`
	Find      string           `json:"find"`
	Sort      string           `json:"sort"`                    // as a list of records takes it
	Columns   []viewColumnJSON `json:"columns" nullable:"true"` // null: all, as the table has them
	Frozen    int              `json:"frozen"`
	CreatedBy string           `json:"created_by"`
	CreatedAt time.Time        `json:"created_at"`
}

type viewColumnJSON struct {
	ID    string `json:"id"`
	Width int    `json:"width"`
}

func viewOut(t store.Table, v store.SavedView) viewJSON {
	d := v.View
	out := viewJSON{ID: v.ID, Table: t.ID, Name: v.Name, Filter: d.Filter, Find: d.Find, Frozen: d.Frozen, CreatedBy: v.CreatedBy, CreatedAt: v.CreatedAt.UTC()}
	var keys []string
	for _, k := range d.Sort {
		sign := ""
		if k.Descending {
			sign = "-"
		}
		keys = append(keys, sign+slugOf(t, k.Column))
	}
	out.Sort = strings.Join(keys, ",")
	if d.Columns != nil {
		out.Columns = []viewColumnJSON{}
	}
	for _, col := range d.Columns {
		out.Columns = append(out.Columns, viewColumnJSON{ID: slugOf(t, col.Column), Width: col.Width})
	}
	return out
}

// viewBody is a view to be saved; in a PATCH what is left out stays, and columns null is all of them.
type viewBody struct {
	Name    *string                 `json:"name"`
	Filter  *string                 `json:"filter"`
	Find    *string                 `json:"find"`
	Sort    *string                 `json:"sort"`
	Columns given[[]viewColumnJSON] `json:"columns"`
	Frozen  *int                    `json:"frozen"`
}

// over gives a definition with what the body changes of it.
func (b viewBody) over(t store.Table, d store.ViewDefinition) (store.ViewDefinition, error) {
	if b.Filter != nil {
		d.Filter = *b.Filter
	}
	if b.Find != nil {
		d.Find = *b.Find
	}
	if b.Frozen != nil {
		d.Frozen = *b.Frozen
	}
	if b.Sort != nil {
		var err error
		if d.Sort, err = sortOf(t, *b.Sort); err != nil {
			return d, err
		}
	}
	if !b.Columns.Is {
		return d, nil
	}
	if d.Columns = nil; b.Columns.Value != nil {
		d.Columns = []store.ViewColumn{}
	}
	for i, want := range b.Columns.Value {
		col, ok := t.ColumnBySlug(want.ID)
		if !ok {
			return d, core.FieldErrorf("/columns/"+itoa(i)+"/id", "There is no column %s.", want.ID)
		}
		d.Columns = append(d.Columns, store.ViewColumn{Column: col.Number, Width: want.Width})
	}
	return d, nil
}

func (s *Server) listViews(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	views, err := s.store.Views(ctxOf(c), actor(c), t.Ref())
	if err != nil {
		return err
	}
	return answerPage(c, views, func(v store.SavedView) string { return oldestFirst(v.CreatedAt, v.ID) }, func(v store.SavedView) viewJSON { return viewOut(t, v) })
}

func (s *Server) postView(c echo.Context) error {
	var body viewBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	d, err := body.over(t, store.ViewDefinition{})
	if err != nil {
		return err
	}
	name := ""
	if body.Name != nil {
		name = *body.Name
	}
	v, err := s.store.CreateView(ctxOf(c), actor(c), t.Ref(), name, d)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, viewOut(t, v))
}

func (s *Server) getView(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	v, err := s.store.ViewByID(ctxOf(c), actor(c), t.Ref(), c.Param("view"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewOut(t, v))
}

func (s *Server) patchView(c echo.Context) error {
	var body viewBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	v, err := s.store.ViewByID(ctx, by, t.Ref(), c.Param("view"))
	if err != nil {
		return err
	}
	d, err := body.over(t, v.View)
	if err != nil {
		return err
	}
	if v, err = s.store.EditView(ctx, by, t.Ref(), v.ID, store.ViewEdit{Name: body.Name, View: &d}); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewOut(t, v))
}

func (s *Server) apiDeleteView(c echo.Context) error {
	if err := s.store.DeleteView(ctxOf(c), actor(c), refOf(c), c.Param("view")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
