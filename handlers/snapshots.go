package handlers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// newSnapshot lists a connection's tables to choose from.
func (s *Server) newSnapshot(c echo.Context) error {
	ctx, by := c.Request().Context(), actor(c)
	con, err := s.store.ConnectionByID(ctx, by, c.QueryParam("connection"))
	if err != nil {
		return err
	}
	v, err := s.newSnapshotView(ctx, by, con, c.QueryParam("into"))
	if err != nil {
		return err
	}
	status := http.StatusOK
	tables, uncounted, err := s.remoteTables(ctx, by, con.ID, countWait)
	if err != nil {
		e := ours(err)
		if e.Code == core.Internal {
			return err
		}
		status, v.Error, v.Retry = statusOf(e.Code), e.Sentence, c.Request().URL.RequestURI()
	}
	v.Tables = withoutThere(tableChoices(tables, nil), v.There)
	for i := range v.Tables {
		v.Tables[i].Uncounted = uncounted[v.Tables[i].ID]
	}
	return s.answerNewSnapshot(c, status, v)
}

// newSnapshotView makes the page of a connection's tables; into is the snapshot that they are added to, "" makes a new one.
func (s *Server) newSnapshotView(ctx context.Context, by core.Actor, con store.Connection, into string) (views.NewSnapshotView, error) {
	v := views.NewSnapshotView{
		ID: con.ID, Connection: views.Link{Text: con.Name, Address: "/connections/" + con.ID},
		Name: views.Field{Name: "name", Label: "Name of the snapshot", Value: con.Name, Required: true},
	}
	if into == "" {
		return v, nil
	}
	sn, err := s.store.SnapshotByID(ctx, by, into)
	if err != nil {
		return v, err
	}
	v.Into, v.IntoID, v.There = views.Link{Text: sn.Name, Address: "/snapshots/" + sn.ID}, sn.ID, map[string]map[string]bool{}
	for _, t := range sn.Tables {
		if t.Connection != con.ID {
			continue
		}
		fields := map[string]bool{}
		for _, c := range t.Columns {
			fields[c.RemoteID] = true
		}
		v.There[t.RemoteID] = fields
	}
	return v, nil
}

// withoutThere marks what is in the snapshot already: it cannot be chosen again.
func withoutThere(list []views.TableChoice, there map[string]map[string]bool) []views.TableChoice {
	for i := range list {
		t := &list[i]
		fields, ok := there[t.ID]
		if !ok {
			continue
		}
		t.There, t.Chosen = true, false
		for j := range t.Columns {
			c := &t.Columns[j]
			c.There = fields[c.ID]
			t.More = t.More || !c.There
		}
	}
	return list
}

func (s *Server) answerNewSnapshot(c echo.Context, status int, v views.NewSnapshotView) error {
	p, err := s.page(c, v.Title(), "snapshots")
	if err != nil {
		return err
	}
	return s.render(c, status, views.NewSnapshot(p, v))
}

// choice is what the form says: which tables, and of each which columns.
type choice struct {
	tables  map[string]bool
	columns map[string]map[string]bool // by table id
}

// tableChoices makes the list to choose from. chosen nil is the first visit: nothing is chosen, and all columns.
func tableChoices(tables []connectors.Table, chosen *choice) []views.TableChoice {
	out := make([]views.TableChoice, len(tables))
	readable := 0
	for i, t := range tables {
		out[i] = tableChoice(i, t, chosen)
		if t.Readable {
			readable++
		}
	}
	if chosen == nil && readable <= 3 { // few tables are wanted all
		for i := range out {
			out[i].Chosen = out[i].Readable
		}
	}
	return out
}

func tableChoice(i int, t connectors.Table, chosen *choice) views.TableChoice {
	ch := views.TableChoice{ID: t.ID, Index: i, Name: shortTitle(t.Name), Records: t.Estimate, Readable: t.Readable, Notes: tableNotes(t)}
	ch.Chosen = chosen != nil && chosen.tables[t.ID]
	key := map[string]bool{}
	for _, k := range t.Key {
		key[k] = true
	}
	for _, f := range t.Columns {
		col := views.ColumnChoice{ID: f.ID, Name: f.Name, Type: f.Type, Writable: f.Writable, Why: f.WhyNot, Key: key[f.ID]}
		col.Chosen = chosen == nil || !chosen.tables[t.ID] || chosen.columns[t.ID][f.ID]
		ch.Columns = append(ch.Columns, col)
	}
	return ch
}

// tableNotes says what cannot be done with a table, once each.
func tableNotes(t connectors.Table) []string {
	var notes []string
	for _, n := range []string{t.WhyNot, t.WhyNoNew, t.WhyNoDel} {
		seen := n == ""
		for _, have := range notes {
			seen = seen || have == n
		}
		if !seen {
			notes = append(notes, n)
		}
	}
	return notes
}

// createSnapshot takes the chosen tables and begins the download.
func (s *Server) createSnapshot(c echo.Context) error {
	if err := form(c, "table", "column-"); err != nil {
		return err
	}
	ctx, by := c.Request().Context(), actor(c)
	con, err := s.store.ConnectionByID(ctx, by, c.FormValue("connection"))
	if err != nil {
		return err
	}
	tables, _, err := s.remoteTables(ctx, by, con.ID, 0)
	if err != nil {
		return err
	}
	v, err := s.newSnapshotView(ctx, by, con, c.FormValue("into"))
	if err != nil {
		return err
	}
	chosen := chosenIn(c, tables)
	address, err := s.takeTables(ctx, by, con.ID, v.IntoID, c.FormValue("name"), tables, chosen)
	if err == nil {
		return see(c, address)
	}
	e := ours(err)
	if e.Code != core.Invalid {
		return err
	}
	v.Name.Value, v.Tables, v.Error = c.FormValue("name"), withoutThere(tableChoices(tables, &chosen), v.There), e.Sentence
	if len(e.Fields) > 0 && e.Fields[0].Pointer == "/name" {
		v.Name.Error, v.Error = e.Sentence, ""
	}
	return s.answerNewSnapshot(c, http.StatusUnprocessableEntity, v)
}

// chosenIn reads the form. Columns are posted under the table's place in the list, so the list is read again first.
func chosenIn(c echo.Context, tables []connectors.Table) choice {
	ch := choice{tables: map[string]bool{}, columns: map[string]map[string]bool{}}
	values := c.Request().PostForm
	for _, id := range values["table"] {
		ch.tables[id] = true
	}
	for i, t := range tables {
		set := map[string]bool{}
		for _, id := range values["column-"+strconv.Itoa(i)] {
			set[id] = true
		}
		ch.columns[t.ID] = set
	}
	return ch
}

// takeTables takes the chosen tables into a new snapshot, or into one that is there, and says where to look.
func (s *Server) takeTables(ctx context.Context, by core.Actor, connection, into, name string, tables []connectors.Table, ch choice) (string, error) {
	var chosen []chosenTable
	for _, t := range tables {
		if !ch.tables[t.ID] {
			continue
		}
		fields := ch.columns[t.ID]
		if len(fields) == 0 { // only the key: an empty set would mean all
			fields = map[string]bool{"": true}
		}
		chosen = append(chosen, chosenTable{Connection: connection, Remote: t, Fields: fields})
	}
	if len(chosen) == 0 {
		return "", core.FieldErrorf("/tables", "Choose at least one table.")
	}
	n, err := snapshotOf(name, chosen)
	if err != nil {
		return "", err
	}
	if into != "" {
		job, err := s.store.AddTables(ctx, by, into, n.Tables)
		return "/jobs/" + job.ID, err
	}
	sn, _, err := s.store.CreateSnapshot(ctx, by, n)
	return "/snapshots/" + sn.ID, err
}

// showSnapshot goes to the snapshot's first table.
func (s *Server) showSnapshot(c echo.Context) error {
	sn, err := s.store.SnapshotByID(c.Request().Context(), actor(c), c.Param("snapshot"))
	if err != nil {
		return err
	}
	if len(sn.Tables) == 0 {
		return see(c, "/snapshots/"+sn.ID+"/settings")
	}
	return see(c, "/snapshots/"+sn.ID+"/tables/"+sn.Tables[0].ID)
}

// refreshSnapshot begins a refresh and shows its job.
func (s *Server) refreshSnapshot(c echo.Context) error {
	j, err := s.store.RefreshSnapshot(c.Request().Context(), actor(c), c.Param("snapshot"), nil)
	if err != nil {
		return err
	}
	return see(c, "/jobs/"+j.ID)
}

// showSnapshotSettings is the page where a snapshot is renamed, refreshed and deleted.
func (s *Server) showSnapshotSettings(c echo.Context) error {
	return s.answerSnapshotSettings(c, http.StatusOK, nil)
}

func (s *Server) answerSnapshotSettings(c echo.Context, status int, wrong *views.Field) error {
	return s.answerSharing(c, status, wrong, views.SharesView{})
}

// answerSharing is the settings page of a snapshot, with what was said in the form of its review links.
func (s *Server) answerSharing(c echo.Context, status int, wrong *views.Field, shares views.SharesView) error {
	ctx, by := c.Request().Context(), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	cons, err := s.store.Connections(ctx, by)
	if err != nil {
		return err
	}
	p, err := s.snapshotPage(c, "Settings of "+sn.Name, "settings", sn)
	if err != nil {
		return err
	}
	v := snapshotSettings(sn, cons)
	if v.Schedule, err = s.scheduleView(c, sn.ID); err != nil {
		return err
	}
	if wrong != nil {
		switch wrong.Name {
		case "at":
			v.Schedule.At = *wrong
		case "zone":
			v.Schedule.Zone = *wrong
		default:
			v.Name = *wrong
		}
	}
	v.MayEdit, v.MayDelete = by.May(core.Edit) == nil, by.May(core.Publish) == nil
	if v.Shares, err = s.sharesView(c, sn.ID, shares); err != nil {
		return err
	}
	return s.render(c, status, views.SnapshotSettingsPage(p, v))
}

func snapshotSettings(sn store.Snapshot, cons []store.Connection) views.SnapshotSettings {
	names := map[string]string{}
	for _, con := range cons {
		names[con.ID] = con.Name
	}
	v := views.SnapshotSettings{ID: sn.ID, Name: nameField(sn.Name), Created: views.MomentOf(&sn.CreatedAt)}
	for _, t := range sn.Tables {
		from := names[t.Connection]
		if t.Connection == "" {
			from = "from a file"
		} else {
			v.Remote = true
		}
		v.Edits += value(t.Counts.Edits) + value(t.Counts.Created) + value(t.Counts.Deleted)
		v.Tables = append(v.Tables, views.TableInfo{
			Title: t.Title, Address: "/snapshots/" + sn.ID + "/tables/" + t.ID, Counts: t.Counts, From: from, WhyNot: t.WhyNot,
			Loaded: views.MomentOf(t.DownloadedAt),
		})
	}
	return v
}

func nameField(name string) views.Field {
	return views.Field{Name: "name", Label: "Name", Value: name, Required: true}
}

func (s *Server) renameSnapshot(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	err := s.store.RenameSnapshot(c.Request().Context(), actor(c), c.Param("snapshot"), c.FormValue("name"))
	if core.CodeOf(err) == core.Invalid {
		f := nameField(c.FormValue("name"))
		f.Error = core.SentenceOf(err)
		return s.answerSnapshotSettings(c, http.StatusUnprocessableEntity, &f)
	}
	if err != nil {
		return err
	}
	return see(c, "/snapshots/"+c.Param("snapshot")+"/settings")
}

func (s *Server) deleteSnapshot(c echo.Context) error {
	if err := s.store.DeleteSnapshot(c.Request().Context(), actor(c), c.Param("snapshot")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The snapshot is gone. Nothing happened at the service."})
	return see(c, "/")
}
