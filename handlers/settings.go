package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/sample"
	"scratchpaper/views"
)

func (s *Server) showSettings(c echo.Context) error {
	p, err := s.page(c, "Settings", "settings")
	if err != nil {
		return err
	}
	v := views.SettingsView{Version: s.config.Version}
	for _, place := range s.config.Places {
		v.Places = append(v.Places, views.Pair{Name: place.Name, Value: place.Where})
	}
	if s.sample != nil {
		v.Credits = sample.Credits
	}
	if v.Operator, err = s.operates(ctxOf(c), actor(c)); err != nil {
		return err
	}
	if v.StoppedWebhooks, err = s.store.StoppedWebhooks(ctxOf(c), actor(c)); err != nil {
		return err
	}
	if p.Account != nil {
		o, err := s.store.OrganizationSettings(ctxOf(c), actor(c))
		if err != nil {
			return err
		}
		v.Organization = &views.OrganizationView{Name: o.Name, SecondPerson: o.SecondPerson, May: actor(c).May(core.Manage) == nil}
		if s.signIn != nil {
			v.Organization.SecondFactor = o.SecondFactor
		}
	}
	return s.render(c, http.StatusOK, views.Settings(p, v))
}

// themeYears is how long a browser keeps the theme, in seconds.
const themeYears = 2 * 365 * 24 * 3600

// setTheme keeps light, dark or system in a cookie. Scripts read it too, so it is not HttpOnly; it says nothing secret.
func (s *Server) setTheme(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	cookie := &http.Cookie{Name: "theme", Value: c.FormValue("theme"), Path: "/", MaxAge: themeYears, SameSite: http.SameSiteLaxMode, Secure: s.config.Secure} // #nosec G124 -- scripts read it too, and it says nothing secret
	switch cookie.Value {
	case "light", "dark":
	case "system":
		cookie.MaxAge, cookie.Value = -1, ""
	default:
		return core.FieldErrorf("/theme", "The theme is light, dark or system.")
	}
	c.SetCookie(cookie)
	if c.Request().Header.Get("X-Requested-With") == "fetch" {
		return c.NoContent(http.StatusNoContent)
	}
	return see(c, c.FormValue("back"))
}
