package handlers

import (
	"net/http"
	"sort"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// showHome is the first page: ways to begin, and the snapshots.
func (s *Server) showHome(c echo.Context) error {
	if by := actor(c); by.Kind == core.KindReviewer {
		return c.Redirect(http.StatusSeeOther, "/snapshots/"+by.Snapshot)
	}
	v, err := s.homeView(c)
	if err != nil {
		return err
	}
	if v.StoppedWebhooks, err = s.store.StoppedWebhooks(ctxOf(c), actor(c)); err != nil {
		return err
	}
	p, err := s.page(c, "", "snapshots")
	if err != nil {
		return err
	}
	if p.Jobs.Count > 0 {
		p.Refresh = 3
	}
	return s.render(c, http.StatusOK, views.Home(p, v))
}

// showHomeSnapshots is the part of the first page that changes by itself.
func (s *Server) showHomeSnapshots(c echo.Context) error {
	v, err := s.homeView(c)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.HomeSnapshots(v))
}

// services names the kinds of services that there are connectors for.
func (s *Server) services() []string {
	names := make([]string, len(s.connectors))
	for i, c := range s.connectors {
		names[i] = c.Info().Name
	}
	return names
}

func (s *Server) homeView(c echo.Context) (views.HomeView, error) {
	ctx, by := c.Request().Context(), actor(c)
	v := views.HomeView{CanSample: s.sample != nil, Services: s.services()}
	snapshots, err := s.store.Snapshots(ctx, by)
	if err != nil {
		return v, err
	}
	cons, err := s.store.Connections(ctx, by)
	if err != nil {
		return v, err
	}
	open, err := s.store.Jobs(ctx, by, store.JobsFilter{Open: true})
	if err != nil {
		return v, err
	}
	names := map[string]store.Connection{}
	for _, con := range cons {
		names[con.ID] = con
	}
	for _, sn := range snapshots {
		line := snapshotLine(sn, names, open)
		v.Snapshots = append(v.Snapshots, line)
		if isSample(sn, names) && v.Sample == "" {
			v.Sample = "/snapshots/" + sn.ID
		}
	}
	return v, nil
}

func isSample(sn store.Snapshot, cons map[string]store.Connection) bool {
	for _, t := range sn.Tables {
		if cons[t.Connection].Sample {
			return true
		}
	}
	return false
}

func snapshotLine(sn store.Snapshot, cons map[string]store.Connection, open []store.Job) views.SnapshotLine {
	line := views.SnapshotLine{ID: sn.ID, Name: sn.Name, Tables: len(sn.Tables)}
	from := map[string]bool{}
	var records int64
	known := true
	for _, t := range sn.Tables {
		if t.Connection == "" {
			from["a file"] = true
		} else if con := cons[t.Connection]; con.Name != "" {
			from[con.Name] = true
		}
		records, known = records+value(t.Counts.Records), known && t.Counts.Records != nil
		line.Edits += value(t.Counts.Edits) + value(t.Counts.Created) + value(t.Counts.Deleted)
		line.Suggestions += value(t.Counts.Suggestions)
		line.Conflicts += value(t.Counts.Conflicts)
		if t.DownloadedAt != nil && (line.Refreshed == nil || t.DownloadedAt.After(*line.Refreshed)) {
			line.Refreshed = t.DownloadedAt
		}
	}
	if known {
		line.Records = &records
	}
	line.From = joined(from)
	for _, j := range open {
		if j.Snapshot == sn.ID {
			job := jobLine(j)
			line.Job = &job
			break
		}
	}
	return line
}

func joined(set map[string]bool) string {
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// startSample is one click: sample database, connection, snapshot, and its download.
func (s *Server) startSample(c echo.Context) error {
	_, sn, _, err := s.takeSample(c.Request().Context(), actor(c))
	if err != nil {
		return err
	}
	return see(c, "/snapshots/"+sn.ID)
}

// paletteEntry is one line of the command palette.
type paletteEntry struct {
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
	Icon    string `json:"icon"`
	Address string `json:"address,omitempty"` // a link
	Post    string `json:"post,omitempty"`    // a form without fields
	Does    string `json:"does,omitempty"`    // something that the page does itself: keys, theme-light …
}

// showPalette lists what Ctrl+K reaches: snapshots, tables, connections, places, actions.
func (s *Server) showPalette(c echo.Context) error {
	ctx, by := c.Request().Context(), actor(c)
	snapshots, err := s.store.Snapshots(ctx, by)
	if err != nil {
		return err
	}
	cons, err := s.store.Connections(ctx, by)
	if err != nil {
		return err
	}
	entries := paletteOf(snapshots, c.QueryParam("snapshot"))
	for _, con := range cons {
		entries = append(entries, paletteEntry{Text: con.Name, Hint: "connection", Icon: "plug", Address: "/connections/" + con.ID})
	}
	entries = append(entries,
		paletteEntry{Text: "Snapshots", Hint: "place", Icon: "layers", Address: "/"},
		paletteEntry{Text: "Connections", Hint: "place", Icon: "plug", Address: "/connections"},
		paletteEntry{Text: "Jobs", Hint: "place", Icon: "activity", Address: "/jobs"},
		paletteEntry{Text: "Settings", Hint: "place", Icon: "settings", Address: "/settings"},
		paletteEntry{Text: "Keys", Hint: "help", Icon: "keyboard", Does: "keys"},
		paletteEntry{Text: "Light", Hint: "theme", Icon: "sun", Does: "theme-light"},
		paletteEntry{Text: "Dark", Hint: "theme", Icon: "moon", Does: "theme-dark"},
		paletteEntry{Text: "Light or dark as the system", Hint: "theme", Icon: "monitor", Does: "theme-system"},
	)
	entries = append(entries, paletteEntry{Text: "API tokens", Hint: "place", Icon: "key-round", Address: "/tokens"})
	if by.May(core.Publish) == nil {
		entries = append(entries, paletteEntry{Text: "Connect a service", Hint: "action", Icon: "plus", Address: "/connections/new"})
	}
	if by.May(core.Edit) == nil {
		entries = append(entries, paletteEntry{Text: "Import a file", Hint: "action", Icon: "file-plus", Address: "/imports/new"})
	}
	if by.May(core.Manage) == nil {
		entries = append(entries, paletteEntry{Text: "Audit log", Hint: "place", Icon: "shield-check", Address: "/audit"})
	}
	if s.signIn != nil {
		entries = append(entries, paletteEntry{Text: "Your account", Hint: "place", Icon: "user", Address: "/account"})
		if by.May(core.Manage) == nil {
			entries = append(entries, paletteEntry{Text: "Members", Hint: "place", Icon: "users", Address: "/members"})
		}
	}
	return c.JSON(http.StatusOK, map[string]any{"entries": entries})
}

// paletteOf lists snapshots and their tables; what belongs to the one that the person is in comes first, with its actions.
func paletteOf(snapshots []store.Snapshot, here string) []paletteEntry {
	var first, rest []paletteEntry
	for _, sn := range snapshots {
		address := "/snapshots/" + sn.ID
		entries := []paletteEntry{{Text: sn.Name, Hint: "snapshot", Icon: "layers", Address: address}}
		for _, t := range sn.Tables {
			entries = append(entries, paletteEntry{Text: t.Title, Hint: "table in " + sn.Name, Icon: "table-2", Address: address + "/tables/" + t.ID})
		}
		if sn.ID != here {
			rest = append(rest, entries...)
			continue
		}
		first = append(entries[1:],
			paletteEntry{Text: "Review and publish", Hint: "action", Icon: "upload", Post: address + "/plans"},
			paletteEntry{Text: "Refresh from the service", Hint: "action", Icon: "refresh-cw", Post: address + "/refresh"},
			paletteEntry{Text: "History", Hint: "place", Icon: "history", Address: address + "/history"},
			paletteEntry{Text: "Settings of " + sn.Name, Hint: "place", Icon: "sliders-horizontal", Address: address + "/settings"})
		rest = append(rest, entries[0])
	}
	out := append(first, rest...)
	if out == nil {
		out = []paletteEntry{}
	}
	return out
}
