package handlers

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// render renders into a buffer before the status goes out, so that an answer is whole or an error.
func (s *Server) render(c echo.Context, status int, v templ.Component) error {
	var b bytes.Buffer
	// A browser that has gone does not stop a render half-way; it is short.
	ctx := context.WithoutCancel(c.Request().Context())
	if by := actor(c); by.Org != "" {
		ctx = views.WithSwitches(views.WithActor(ctx, by), s.switches.off(ctx, by))
	}
	if err := v.Render(ctx, &b); err != nil {
		return err
	}
	c.Response().Header().Add("Vary", "HX-Request, HX-Request-Type")
	return c.HTMLBlob(status, b.Bytes())
}

// partial says whether htmx asks for a part of a page. Going back in the history asks for the whole page.
func partial(c echo.Context) bool {
	h := c.Request().Header
	return h.Get("HX-Request") == "true" && h.Get("HX-Request-Type") == "partial"
}

// byHTMX says whether htmx asks, which puts the answer, or a part of it, into the page that is there.
func byHTMX(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// see sends the browser to another page of ours after a write: 303 for plain forms, a header for htmx.
func see(c echo.Context, address string) error {
	if !ownAddress(address) {
		address = "/"
	}
	if byHTMX(c) {
		c.Response().Header().Set("HX-Redirect", address)
		return c.NoContent(http.StatusOK)
	}
	return c.Redirect(http.StatusSeeOther, address)
}

// ownAddress says whether an address stays here. Browsers take a backslash for a slash and leave out tabs and line ends, so an address with
// any of them leads elsewhere.
func ownAddress(address string) bool {
	return strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") &&
		!strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f })
}

// page gives the frame of a page: who, where one can go, what is running.
func (s *Server) page(c echo.Context, title, nav string) (views.Page, error) {
	p := s.framePage(c, title)
	p.Nav = nav
	by := actor(c)
	snapshots, err := s.store.Snapshots(c.Request().Context(), by)
	if err != nil {
		return p, err
	}
	p.Snapshots = snapshotLinks(snapshots)
	open, err := s.store.Jobs(c.Request().Context(), by, store.JobsFilter{Open: true, Limit: 100})
	if err != nil {
		return p, err
	}
	p.Jobs = jobsNow(open)
	p.Notice = s.takeNotice(c)
	return p, s.accountPart(c, &p)
}

// accountPart says who has signed in, and where else they can go.
func (s *Server) accountPart(c echo.Context, p *views.Page) error {
	if s.signIn == nil && s.clerk == nil {
		return nil
	}
	by := actor(c)
	orgs, err := s.store.Organizations(ctxOf(c), by)
	if err != nil {
		return err
	}
	if by.Kind == core.KindReviewer {
		o, err := s.store.OrganizationSettings(ctxOf(c), by)
		p.Review = &views.ReviewFrame{Organization: o.Name, Decides: by.Decides}
		return err
	}
	p.Account = &views.AccountMenu{Name: by.Name, Admin: by.Role >= core.Admin, Elsewhere: s.clerk != nil}
	for _, o := range orgs {
		if o.ID == by.Org {
			p.OrgName = o.Name
			continue
		}
		if s.clerk != nil {
			continue // which one they are in is chosen at Clerk
		}
		p.Account.Organizations = append(p.Account.Organizations, views.Choice{Value: o.ID, Text: o.Name})
	}
	p.Decisions, err = s.decisionLines(c)
	return err
}

// snapshotPage is page for a place inside a snapshot.
func (s *Server) snapshotPage(c echo.Context, title, nav string, sn store.Snapshot) (views.Page, error) {
	p, err := s.page(c, title, nav)
	p.Snapshot = &views.SnapshotLink{ID: sn.ID, Name: sn.Name}
	return p, err
}

// framePage is what can be said without asking the database: enough for an error page.
func (s *Server) framePage(c echo.Context, title string) views.Page {
	by := actor(c)
	return views.Page{
		Title: title, Theme: themeOf(c), Org: by.Org, Person: by.Person, Name: by.Name,
		Session: by.Person + ":" + by.Org + ":" + s.assets.version, Assets: s.assets.base(), Path: shownAddress(c),
		Dev: s.config.Dev, Clerk: s.clerkView(""),
	}
}

// shownAddress is the address of a page as the page may hold it: without a query that a service has put a credential into.
func shownAddress(c echo.Context) string {
	if c.Path() == authorizedPath {
		return "/connections/new"
	}
	return c.Request().URL.RequestURI()
}

func snapshotLinks(list []store.Snapshot) []views.SnapshotLink {
	out := make([]views.SnapshotLink, len(list))
	for i, sn := range list {
		out[i] = views.SnapshotLink{ID: sn.ID, Name: sn.Name}
		for _, t := range sn.Tables {
			out[i].Tables = append(out[i].Tables, views.TableLink{ID: t.ID, Title: t.Title})
		}
	}
	return out
}

// jobsNow sums up what is running, over all jobs that know how much there is.
func jobsNow(open []store.Job) views.JobsNow {
	now := views.JobsNow{Count: len(open), Part: -1}
	var done, total int64
	for _, j := range open {
		if j.Progress.Total != nil && *j.Progress.Total > 0 {
			done, total = done+min(j.Progress.Done, *j.Progress.Total), total+*j.Progress.Total
		}
	}
	if total > 0 {
		now.Part = views.Percent(done, &total)
	}
	return now
}

func themeOf(c echo.Context) string {
	if cookie, err := c.Cookie("theme"); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return "system"
}
