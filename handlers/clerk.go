package handlers

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// ClerkSignIn is how people get in at Clerk.
type ClerkSignIn struct {
	*auth.Clerk
	WebhookSecret string // begins with whsec_; "" takes no webhooks
	Base          string // where people open the app, without a slash at its end
}

// NewClerk makes the authenticator of sign-ins at Clerk, with people and organizations kept in the store. Codes: Invalid.
func NewClerk(st *store.Store, c auth.ClerkConfig) (*auth.Clerk, error) {
	var k *auth.Clerk
	c.Ended = st.ClerkSessionEnded
	c.Mirror = func(ctx context.Context, s auth.ClerkSession) (core.Actor, error) {
		return st.ClerkActor(ctx, store.ClerkMember{User: s.User, Org: s.Org, Role: s.Role, At: s.IssuedAt, Names: func(ctx context.Context) (person, email, org string) {
			// Where Clerk does not answer they are called something all the same; a webhook says it right.
			person, email, _ = k.UserNamed(ctx, s.User)
			if org = s.OrgSlug; s.Org != "" {
				if name, err := k.OrganizationNamed(ctx, s.Org); err == nil {
					org = name
				}
			}
			return person, email, org
		}})
	}
	var err error
	k, err = auth.NewClerk(c)
	return k, err
}

// clerkPolicy is the content policy of pages where people have signed in at Clerk: its script keeps their session token fresh. On the pages
// where they sign in its components need more.
func clerkPolicy(frontend string, signingIn bool) string {
	scripts, more, styles := "'self' "+frontend, "", "'self'"
	if signingIn {
		const challenges = " https://challenges.cloudflare.com"
		scripts += challenges
		styles += " 'unsafe-inline'"
		more = "worker-src 'self' blob:; frame-src" + challenges + "; "
	}
	return "default-src 'self'; img-src 'self' https: data:; style-src " + styles + "; script-src " + scripts + "; connect-src 'self' " + frontend + "; " + more +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// policyOf gives the content policy of an address.
func (s *Server) policyOf(c echo.Context) string {
	if s.clerk == nil {
		return contentPolicy
	}
	return clerkPolicy(s.clerk.Frontend, c.Path() == "/sign-in" || c.Path() == "/sign-up")
}

// clerkView is what a page needs to load Clerk's script; nil where nobody signs in there.
func (s *Server) clerkView(mount string) *views.ClerkView {
	if s.clerk == nil {
		return nil
	}
	return &views.ClerkView{Key: s.clerk.Publishable, Frontend: s.clerk.Frontend, Mount: mount}
}

// showClerk is the page with Clerk's own component: to sign in, or to sign up.
func (s *Server) showClerk(mount, title string) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := s.framePage(c, title)
		p.Clerk = s.clerkView(mount)
		if back := c.QueryParam("back"); ownAddress(back) {
			p.Clerk.Back = back
		}
		return s.render(c, http.StatusOK, views.ClerkDoor(p))
	}
}

// signInPage is the page of whichever way people sign in.
func (s *Server) signInPage(c echo.Context) error {
	if s.clerk != nil {
		return s.showClerk("sign-in", "Sign in")(c)
	}
	return s.withAccounts(s.showSignIn)(c)
}

func (s *Server) signUpPage(c echo.Context) error {
	if s.clerk != nil {
		return s.showClerk("sign-up", "Sign up")(c)
	}
	return c.Redirect(http.StatusSeeOther, "/sign-in")
}

// leave signs out, here or at Clerk.
func (s *Server) leave(c echo.Context) error {
	if s.clerk == nil {
		return s.withAccounts(s.signOut)(c)
	}
	by, ctx := actor(c), ctxOf(c)
	if by.Session != "" {
		if err := s.store.ClerkSessionEnds(ctx, by.Session); err != nil {
			return err
		}
		if err := s.clerk.EndSession(ctx, by.Session); err != nil {
			return core.Wrap(err, core.Unavailable, "You are signed out here, but the sign-in service did not answer. Sign out there too.")
		}
	}
	c.SetCookie(&http.Cookie{Name: "__session", Path: "/", MaxAge: -1, Secure: s.config.Secure, SameSite: http.SameSiteLaxMode}) // #nosec G124 -- it takes Clerk's cookie away, which scripts have set
	return see(c, "/sign-in")
}

// takeHandshake ends a handshake: it sets what Clerk sent the browser back with and opens the page anew.
func (s *Server) takeHandshake(c echo.Context) bool {
	if s.clerk == nil || c.Request().Method != http.MethodGet {
		return false
	}
	cookies, was := s.clerk.Handshaken(c.Request())
	for _, cookie := range cookies {
		c.SetCookie(cookie)
	}
	return was
}

// askAtClerk sends a browser to where it gets a session token: to Clerk and back when it is signed in there, else to the sign-in page.
func (s *Server) askAtClerk(c echo.Context) (ok bool, err error) {
	back := "/"
	if c.Request().Method == http.MethodGet {
		back = c.Request().URL.RequestURI()
	}
	if byHTMX(c) { // the page is opened anew, and goes through the handshake
		if u, err := url.Parse(c.Request().Header.Get("HX-Current-URL")); err == nil && ownAddress(u.RequestURI()) {
			back = u.RequestURI()
		}
		c.Response().Header().Set("HX-Redirect", back)
		return true, c.NoContent(http.StatusUnauthorized)
	}
	if !wantsDocument(c) {
		return false, nil
	}
	if to, cookie, ok := s.clerk.Handshake(c.Request(), s.clerk.Base+back); ok && c.Request().Method == http.MethodGet {
		c.SetCookie(cookie)
		return true, c.Redirect(http.StatusTemporaryRedirect, to)
	}
	return true, c.Redirect(http.StatusSeeOther, signInAddress(back))
}

// maxHook is how large a webhook may be, in bytes.
const maxHook = 1 << 20

// clerkHook takes over what Clerk tells of. It is answered when it is done, so that Clerk sends it again otherwise.
func (s *Server) clerkHook(c echo.Context) error {
	if s.clerk == nil || s.clerk.WebhookSecret == "" {
		return core.Errorf(core.NotFound, "There is nothing at this address.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxHook))
	if err != nil {
		return err
	}
	e, err := auth.CheckHook(s.clerk.WebhookSecret, c.Request().Header, body, time.Now())
	if err != nil {
		return problem(c, ours(err)) // never the way to a sign-in
	}
	switch e.Type {
	case "session.ended", "session.removed", "session.revoked":
		err = s.store.ClerkSessionEnds(ctxOf(c), e.Session)
	default:
		err = s.store.ApplyClerk(ctxOf(c), store.ClerkChange{Message: e.Message, Type: e.Type, User: e.User, Org: e.Org, Name: e.Name, Email: e.Email, Role: e.Role, At: e.At})
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
