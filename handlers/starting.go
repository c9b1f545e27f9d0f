package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/views"
)

// Starting answers while the app is not up: every page says why, /readyz is 503. sentence may change while it waits.
func Starting(sentence func() string) http.Handler {
	a := newAssets(nil)
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			setHeaders(c.Response().Header(), contentPolicy)
			return next(c)
		}
	})
	e.GET("/static/:version/*", a.serve)
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.Any("/*", func(c echo.Context) error {
		c.Response().Header().Set("Retry-After", "2")
		if !wantsPage(c) {
			return problem(c, core.Errorf(core.Unavailable, "%s", sentence()))
		}
		c.Response().Status = http.StatusServiceUnavailable
		p := views.Page{Title: "Scratchpaper is starting", Theme: themeOf(c), Assets: a.base(), Refresh: 2}
		c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
		c.Response().WriteHeader(http.StatusServiceUnavailable)
		return views.StartingPage(p, sentence()).Render(c.Request().Context(), c.Response())
	})
	return e
}
