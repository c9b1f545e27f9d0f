package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// window makes a window's model of the records read for it, with titles and pictures of the records that its references hold.
func (s *Server) window(c echo.Context, t store.Table, cols []int, rows []store.Row, at *placed) (views.GridRows, error) {
	w := windowOf(t, cols, rows, at, zoneOf(c))
	held := map[string][]string{} // by target table
	eachReference(w, func(cell *views.GridCell) {
		held[cell.Column.Target] = append(held[cell.Column.Target], referencesOf(cell.Value)...)
	})
	titles, err := s.titlesOf(c, t.Snapshot, held)
	if err != nil {
		return w, err
	}
	names := map[string]map[string]views.RecordName{}
	for target, found := range titles {
		names[target] = map[string]views.RecordName{}
		for id, r := range found {
			names[target][id] = views.RecordName{Title: r.Title, Picture: r.Picture}
		}
	}
	eachReference(w, func(cell *views.GridCell) { cell.Names = names[cell.Column.Target] })
	return w, nil
}

// titlesOf gives the titles of records of a snapshot, by table and reference. A table that is not there any more has none.
func (s *Server) titlesOf(c echo.Context, snapshot string, references map[string][]string) (map[string]map[string]store.RecordTitle, error) {
	titles := map[string]map[string]store.RecordTitle{}
	for table, list := range references {
		found, err := s.store.Titles(ctxOf(c), actor(c), store.TableRef{Snapshot: snapshot, Table: table}, list)
		if err != nil && core.CodeOf(err) != core.NotFound {
			return nil, err
		}
		titles[table] = found
	}
	return titles, nil
}

// eachReference calls fn with the cells that hold references to a table of the snapshot.
func eachReference(w views.GridRows, fn func(cell *views.GridCell)) {
	for _, r := range w.Rows {
		for i := range r.Cells {
			if c := &r.Cells[i]; c.Column.Target != "" && !c.Value.IsNull() {
				fn(c)
			}
		}
	}
}

func referencesOf(v core.Value) []string {
	if v.List != nil {
		return v.List
	}
	return []string{v.Text}
}

// referencesFound is how many records the editor of a reference offers.
const referencesFound = 50

// findReferences answers the editor of a reference column with records of the table that it points to.
func (s *Server) findReferences(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	n, err := numberParam(c, "column")
	if err != nil {
		return err
	}
	col, ok := t.Column(int(n))
	if !ok || col.Options.TargetTable == "" {
		return core.FieldErrorf("/column", "This column does not point to a table of the snapshot.")
	}
	list, err := s.store.SearchTitles(ctxOf(c), actor(c), store.TableRef{Snapshot: t.Snapshot, Table: col.Options.TargetTable}, c.QueryParam("search"), referencesFound)
	if err != nil {
		return err
	}
	type item struct {
		ID      string `json:"id"`
		Title   string `json:"title"`
		Picture string `json:"picture,omitempty"`
	}
	out := make([]item, len(list))
	for i, r := range list {
		out[i] = item{r.Reference, r.Title, r.Picture}
	}
	return c.JSON(http.StatusOK, map[string]any{"items": out})
}
