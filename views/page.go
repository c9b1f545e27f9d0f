// Package views holds the pages and their parts as templ components, and the models they are given. It knows the words of
// internal/core and nothing of the store or of HTTP.
package views

import (
	"context"
	"strconv"
	"strings"
	"time"

	"scratchpaper/internal/core"
)

// Page is what the frame around every page needs. Handlers get one filled in from Server.page and set Title, Nav and Snapshot.
type Page struct {
	Title     string         // of the document; the product's name is added
	Theme     string         // system, light or dark
	Nav       string         // where one is: snapshots, connections, jobs, history, settings; "" is none
	Snapshot  *SnapshotLink  // the snapshot that one is in, if any
	Snapshots []SnapshotLink // for the switcher, newest first
	Jobs      JobsNow        // what is running
	Org       string         // organization id
	OrgName   string         // its name; "" where nobody signs in
	Clerk     *ClerkView     // where people sign in at Clerk; else nil
	Account   *AccountMenu   // who has signed in; nil where nobody does
	Review    *ReviewFrame   // who looks does so by a review link; else nil
	Person    string         // person id
	Name      string         // person, as shown
	Session   string         // names person, organization and version of the program for the tabs of one browser
	Assets    string         // address that every asset begins with, "/static/<version>"
	Path      string         // address of this page with its query, to come back to
	Scripts   []string       // modules of this page beside app.js, as in "js/grid/main.js"
	Styles    []string       // addresses of style sheets of this page beside app.css
	Refresh   int            // seconds after which a browser without scripts loads the page again; 0 is never
	Decisions []DecisionLine // what others decided of what one asked for, not told yet
	Notice    *Notice        // one sentence on top of the page: what has just been done
	Dev       bool           // the gallery can be reached, and the page loads anew when the program does
}

// Asset gives the address of a file under static/.
func (p Page) Asset(path string) string { return p.Assets + "/" + path }

// Full is the document's title.
func (p Page) Full() string {
	if p.Title == "" {
		return "Scratchpaper"
	}
	return p.Title + " · Scratchpaper"
}

// Here is what the switcher shows: the snapshot, or the place.
func (p Page) Here() string {
	if p.Snapshot != nil {
		return p.Snapshot.Name
	}
	for _, pl := range p.Places() {
		if pl.Nav == p.Nav {
			return pl.Name
		}
	}
	if p.Nav != "" && p.Title != "" {
		return p.Title
	}
	return "Snapshots"
}

// Place is one entry of the switcher.
type Place struct{ Nav, Name, Address, Icon string }

// Places are where the switcher leads, beside snapshots.
func (p Page) Places() []Place {
	if p.Review != nil {
		return nil
	}
	places := []Place{
		{"snapshots", "Snapshots", "/", "layers"},
		{"connections", "Connections", "/connections", "plug"},
		{"jobs", "Jobs", "/jobs", "activity"},
	}
	if p.Snapshot != nil {
		places = append(places, Place{"history", "History", p.Snapshot.Address() + "/history", "history"})
	}
	return append(places, Place{"settings", "Settings", "/settings", "settings"})
}

// SnapshotLink names a snapshot where it is only linked to.
type SnapshotLink struct {
	ID, Name string
	Tables   []TableLink
}

// Address of the snapshot's page.
func (s SnapshotLink) Address() string { return "/snapshots/" + s.ID }

// TableLink names a table where it is only linked to.
type TableLink struct{ ID, Title string }

// JobsNow is what the top bar shows of the jobs that are open.
type JobsNow struct {
	Count int
	Part  int // of 100, over all that say how much there is; -1 is unknown
}

// Words is the indicator's text.
func (j JobsNow) Words() string { return Counted(int64(j.Count), "job", "jobs") }

// Notice is a sentence to the person, with what it means.
type Notice struct {
	Kind string // info, ok, warn, error
	Text string
	Link Link
}

// Link is an address with its text; the zero Link is none.
type Link struct{ Text, Address string }

// Number writes a whole number with thousands apart: 3,201.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, parts...), ",")
}

// Counted writes a number with its word: 1 edit, 2 edits.
func Counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Known writes a count that may not be known yet; "…" is unknown and arrives by event.
func Known(n *int64) string {
	if n == nil {
		return "…"
	}
	return Number(*n)
}

// leastRate is the slowest speed that is worth a word, per second: "0.0 a second" says nothing.
const leastRate = 0.05

// Rate writes records per second, with a digit where it matters; "" is too slow, or not known yet.
func Rate(perSecond float64) string {
	if perSecond < leastRate {
		return ""
	}
	if perSecond < 10 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return Number(int64(perSecond + 0.5))
}

// Left writes how long something still takes.
func Left(done int64, total *int64, rate float64) string {
	if total == nil || rate <= 0 || done >= *total {
		return ""
	}
	return Span(time.Duration(float64(*total-done)/rate*float64(time.Second))) + " left"
}

// Span writes a duration as a person would say it: 41 s, 3 min, 2 h 5 min.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + " min"
	}
	h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
	if m == 0 {
		return strconv.Itoa(h) + " h"
	}
	return strconv.Itoa(h) + " h " + strconv.Itoa(m) + " min"
}

// Bytes writes a size.
func Bytes(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " bytes"
	case n < 1000*1000:
		return strconv.FormatInt((n+500)/1000, 10) + " kB"
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
}

// Percent gives 0 to 100, and -1 when the total is unknown.
func Percent(done int64, total *int64) int {
	switch {
	case total == nil:
		return -1
	case *total <= 0 || done >= *total:
		return 100
	}
	return int(done * 100 / *total)
}

// Initials gives at most two letters of a name, for avatars.
func Initials(name string) string {
	out := ""
	for _, word := range strings.Fields(name) {
		out += strings.ToUpper(string([]rune(word)[0]))
		if len([]rune(out)) == 2 {
			break
		}
	}
	return out
}

// TypeIcon names the icon of a column type.
func TypeIcon(t core.ColumnType) string {
	switch t {
	case core.Number:
		return "hash"
	case core.Checkbox:
		return "square-check"
	case core.Choice:
		return "list"
	case core.Choices:
		return "list-checks"
	case core.Date:
		return "calendar"
	case core.DateTime, core.LocalTime:
		return "calendar-clock"
	case core.URL:
		return "globe"
	case core.Email:
		return "mail"
	case core.Images:
		return "image"
	case core.JSON:
		return "braces"
	case core.Reference, core.References:
		return "link"
	case core.LongText, core.Markdown:
		return "align-left"
	}
	return "type"
}

// TypeName says a column type in words.
func TypeName(t core.ColumnType) string {
	switch t {
	case core.LongText:
		return "long text"
	case core.Choices:
		return "multiple choice"
	case core.DateTime:
		return "date and time"
	case core.LocalTime:
		return "date and time, no zone"
	case core.URL:
		return "address"
	case core.Email:
		return "e-mail"
	case core.JSON:
		return "JSON"
	case core.Markdown:
		return "Markdown"
	}
	return string(t)
}

// assetsOf is for components without a Page: it is set for the whole rendering by Layout's caller.
type pageKey struct{}

// WithPage gives a context from which parts of a page find it.
func WithPage(ctx context.Context, p Page) context.Context {
	return context.WithValue(ctx, pageKey{}, p)
}

// PageOf gives the page of WithPage, or an empty one.
func PageOf(ctx context.Context) Page {
	p, _ := ctx.Value(pageKey{}).(Page)
	return p
}

// Moment is a time that may not be known.
type Moment struct{ time.Time }

// MomentOf makes a moment of a time that may be nil.
func MomentOf(t *time.Time) Moment {
	if t == nil {
		return Moment{}
	}
	return Moment{*t}
}
