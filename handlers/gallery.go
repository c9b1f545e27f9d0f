package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/views"
)

// showComponents is the gallery of components, in development only.
func (s *Server) showComponents(c echo.Context) error {
	p, err := s.page(c, "Components", "")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Gallery(p, views.GalleryExamples(time.Now())))
}
