package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/store"
	"scratchpaper/views"
)

// widthsOf names a style sheet of widths, so that a browser may keep it until they change.
func widthsOf(css string) string {
	sum := sha256.Sum256([]byte(css))
	return hex.EncodeToString(sum[:8])
}

// showColumnWidths answers with the widths of a table's columns as a style sheet: the first paint has them before any script
// runs, and the content policy takes no styles inside the page. What a person has dragged comes from the page's script.
func (s *Server) showColumnWidths(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	css := gridModel(views.Page{}, store.Snapshot{ID: t.Snapshot}, t, actor(c)).ColumnWidths()
	if c.QueryParam("of") == widthsOf(css) {
		c.Response().Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", []byte(css))
}
