package handlers

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/views"
)

const noticeCookie = "notice"

// leaveNotice puts a sentence on top of the next page: what has just been done.
func (s *Server) leaveNotice(c echo.Context, n views.Notice) {
	raw, err := json.Marshal(n)
	if err != nil || len(raw) > 2000 {
		return
	}
	c.SetCookie(&http.Cookie{ // #nosec G124 -- Secure wherever people open the app by https
		Name: noticeCookie, Value: base64.RawURLEncoding.EncodeToString(raw), Path: "/", MaxAge: 30,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.config.Secure,
	})
}

// takeNotice gives the sentence once. It comes from the browser and is shown as text only; a link in it stays here.
func (s *Server) takeNotice(c echo.Context) *views.Notice {
	cookie, err := c.Cookie(noticeCookie)
	if err != nil {
		return nil
	}
	c.SetCookie(&http.Cookie{Name: noticeCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.config.Secure}) // #nosec G124 -- Secure wherever people open the app by https
	raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	var n views.Notice
	if err != nil || json.Unmarshal(raw, &n) != nil || n.Text == "" {
		return nil
	}
	if !ownAddress(n.Link.Address) {
		n.Link = views.Link{}
	}
	return &n
}
