package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// OIDCSignIn is an OpenID Connect provider that people sign in at, beside their accounts here.
type OIDCSignIn struct {
	*auth.OIDC
	Name string // of the provider, for people
}

// oidcRoutes lists the addresses of signing in at an OpenID Connect provider.
func (s *Server) oidcRoutes(e *echo.Echo) {
	e.GET("/sign-in/oidc", s.withOIDC(s.beginOIDC))
	e.GET("/sign-in/oidc/callback", s.withOIDC(s.finishOIDC))
}

// withOIDC answers only where a provider is configured.
func (s *Server) withOIDC(next echo.HandlerFunc) echo.HandlerFunc {
	return s.withAccounts(func(c echo.Context) error {
		if s.signIn.OIDC == nil {
			return core.Errorf(core.NotFound, "People do not sign in at a provider here. OIDC_ISSUER names one.")
		}
		return next(c)
	})
}

// pendingLife is how long somebody may take at the provider.
const pendingLife = 10 * time.Minute

// pendingCookie keeps a sign-in that waits for the provider, in the browser that began it.
func (s *Server) pendingCookie(value string, life time.Duration) *http.Cookie {
	return heldCookie("scratchpaper-oidc", value, life, s.signIn.Cookie.Secure)
}

// heldCookie keeps a value in a browser for a while, out of reach of scripts; "" ends it. Where people open the app by https it is secure, and
// the browser refuses it from another host, path or without TLS.
func heldCookie(name, value string, life time.Duration, secure bool) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure} // #nosec G124 -- Secure wherever people open the app by https
	if c.Secure {
		c.Name = "__Host-" + c.Name
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// beginOIDC sends the browser to the provider.
func (s *Server) beginOIDC(c echo.Context) error {
	back := c.QueryParam("back")
	err := s.signIn.Limits.Take(ctxOf(c), signInOfAddress, c.RealIP())
	if err != nil {
		return s.door(c, s.signInForm(back, ""), err)
	}
	address, p, err := s.signIn.OIDC.Begin(ctxOf(c), back)
	if err != nil {
		return s.notSignedIn(c, back, err)
	}
	c.SetCookie(s.pendingCookie(p.String(), pendingLife))
	return c.Redirect(http.StatusSeeOther, address)
}

// notSignedIn shows the sign-in page with why the provider's way did not lead in.
func (s *Server) notSignedIn(c echo.Context, back string, err error) error {
	s.log.WarnContext(ctxOf(c), "sign-in at the provider", "error", err)
	return s.door(c, s.signInForm(back, ""), err)
}

// finishOIDC takes back who went to the provider, and signs them in.
func (s *Server) finishOIDC(c echo.Context) error {
	held := ""
	if cookie, err := c.Cookie(s.pendingCookie("", 0).Name); err == nil {
		held = cookie.Value
	}
	c.SetCookie(s.pendingCookie("", 0)) // it is used once
	p, ok := auth.PendingOf(held)
	if !ok {
		return s.notSignedIn(c, "/", core.Errorf(core.Invalid, "This sign-in was not begun in this browser, or its time is over. Sign in again."))
	}
	ctx := ctxOf(c)
	if err := s.signIn.Limits.Take(ctx, signInOfAddress, c.RealIP()); err != nil {
		return s.notSignedIn(c, p.Back, err)
	}
	who, err := s.signIn.OIDC.Finish(ctx, p, c.QueryParams())
	if err != nil {
		return s.notSignedIn(c, p.Back, err)
	}
	person, org, err := s.store.SignInByIdentity(ctx, store.Identity{Issuer: who.Issuer, Subject: who.Subject, Email: who.Email, Name: who.Name, Verified: who.Verified})
	if err == nil {
		err = s.startSession(c, person, org, "provider")
	}
	if err != nil {
		return s.notSignedIn(c, p.Back, err)
	}
	return see(c, p.Back)
}

// providerLinks lead to the provider from a page of getting in; none without one.
func (s *Server) providerLinks(back string) []views.Link {
	if s.signIn.OIDC == nil {
		return nil
	}
	address := "/sign-in/oidc"
	if in := signInAddress(back); in != "/sign-in" {
		address += in[len("/sign-in"):]
	}
	return []views.Link{{Text: "Continue with " + s.signIn.OIDC.Name, Address: address}}
}
