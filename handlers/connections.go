package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

func (s *Server) showConnections(c echo.Context) error {
	cons, err := s.store.Connections(c.Request().Context(), actor(c))
	if err != nil {
		return err
	}
	p, err := s.page(c, "Connections", "connections")
	if err != nil {
		return err
	}
	lines := make([]views.ConnectionLine, len(cons))
	for i, con := range cons {
		lines[i] = s.connectionLine(con)
	}
	return s.render(c, http.StatusOK, views.Connections(p, lines))
}

func (s *Server) connectionLine(con store.Connection) views.ConnectionLine {
	line := views.ConnectionLine{
		ID: con.ID, Name: con.Name, Connector: con.Connector, Icon: "plug", Health: con.Health, Words: con.HealthWords,
		LastUsed: con.LastUsedAt, Snapshots: len(con.Snapshots), Sample: con.Sample,
	}
	if k, err := s.connector(con.Connector); err == nil {
		line.Connector, line.Icon = k.Info().Name, iconOf(k.Info())
	}
	return line
}

func iconOf(in connectors.Info) string {
	if in.Icon == "" {
		return "plug"
	}
	return in.Icon
}

// showGallery shows the kinds of service; with one kind only it goes straight to its form.
func (s *Server) showGallery(c echo.Context) error {
	p, err := s.page(c, "Connect a service", "connections")
	if err != nil {
		return err
	}
	cards := make([]views.ConnectorCard, len(s.connectors))
	for i, k := range s.connectors {
		cards[i] = connectorCard(k)
	}
	return s.render(c, http.StatusOK, views.ConnectorGallery(p, cards))
}

// newConnection shows the form of one kind of service.
func (s *Server) newConnection(c echo.Context) error {
	k, err := s.connector(c.Param("connector"))
	if err != nil {
		return err
	}
	p, err := s.page(c, "Connect "+k.Info().Name, "connections")
	if err != nil {
		return err
	}
	f := connectionForm(k, store.Connection{}, nil)
	if d, ok := s.draftFor(c, k.Info().ID, ""); ok && c.QueryParam("draft") != "" {
		f = withDraft(f, d)
	}
	return s.render(c, http.StatusOK, views.ConnectionEdit(p, f))
}

// createConnection tests a new connection, and saves it when that was asked for and the service said yes.
func (s *Server) createConnection(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	k, err := s.connector(c.FormValue("connector"))
	if err != nil {
		return err
	}
	given := givenSettings(c, k.Info())
	f := connectionForm(k, store.Connection{Name: c.FormValue("name")}, given)
	if c.FormValue("action") == "authorize" {
		return s.authorize(c, k, store.Connection{}, given, "Connect "+k.Info().Name, f)
	}
	f, given = s.drafted(c, f, k, "", given)
	n, err := s.tried(c, k, given)
	if err != nil || c.FormValue("action") == "test" {
		return s.answerForm(c, "Connect "+k.Info().Name, f, err)
	}
	con, err := s.store.CreateConnection(c.Request().Context(), actor(c), n)
	if err != nil {
		return s.answerForm(c, "Connect "+k.Info().Name, f, err)
	}
	s.mark(c.Request().Context(), actor(c), con.ID, nil, false)
	s.forgetDraft(c)
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Connected. Now choose what to copy."})
	return see(c, "/snapshots/new?connection="+con.ID)
}

// tried checks the form's settings and asks the service. The name is asked for only when it is to be saved.
func (s *Server) tried(c echo.Context, k connectors.Connector, given map[string]string) (store.NewConnection, error) {
	name := strings.TrimSpace(c.FormValue("name"))
	n, err := s.checkedConnection(connectionBody{Connector: k.Info().ID, Name: name, Settings: given})
	if name == "" && c.FormValue("action") != "test" {
		err = withField(err, core.FieldError{Pointer: "/name", Detail: "Give the connection a name."})
	}
	if err != nil {
		return n, err
	}
	all := connectors.Settings{}
	for key, v := range n.Settings {
		all[key] = v
	}
	for key, v := range n.Secrets {
		all[key] = v
	}
	return n, s.trySettings(c.Request().Context(), c.Param("connection"), k, all)
}

// withField adds a refused field to an error about others, or makes one.
func withField(err error, f core.FieldError) error {
	if err == nil {
		return &core.Error{Code: core.Invalid, Sentence: f.Detail, Fields: []core.FieldError{f}}
	}
	e := ours(err)
	e.Fields = append(e.Fields, f)
	return e
}

func givenSettings(c echo.Context, in connectors.Info) map[string]string {
	given := map[string]string{}
	for _, st := range in.Settings {
		v := c.FormValue(st.Key)
		if st.Kind == "longtext" {
			v = strings.ReplaceAll(v, "\r\n", "\n")
		} else if !st.Secret {
			v = strings.TrimSpace(v)
		}
		given[st.Key] = v
	}
	return given
}

// answerForm shows the form again: with what was wrong (422), or that it works (200).
func (s *Server) answerForm(c echo.Context, title string, f views.ConnectionForm, err error) error {
	status := http.StatusOK
	if err != nil {
		e := ours(err)
		if status = statusOf(e.Code); e.Code == core.Internal || e.Code == core.Forbidden {
			return err
		}
		placeErrors(&f, e)
	} else {
		f.Works = true
	}
	return s.showForm(c, status, title, f)
}

// showForm shows a connection's form again.
func (s *Server) showForm(c echo.Context, status int, title string, f views.ConnectionForm) error {
	if partial(c) {
		return s.render(c, status, views.ConnectionFormPart(f))
	}
	p, err := s.page(c, title, "connections")
	if err != nil {
		return err
	}
	return s.render(c, status, views.ConnectionEdit(p, f))
}

// placeErrors puts each refusal at its field; what belongs to none stands on top.
func placeErrors(f *views.ConnectionForm, e *core.Error) {
	placed := false
	for _, bad := range e.Fields {
		if bad.Pointer == "/name" {
			f.Name.Error, placed = bad.Detail, true
		}
		for i := range f.Fields {
			if bad.Pointer == "/settings/"+f.Fields[i].Name {
				f.Fields[i].Error, placed = bad.Detail, true
			}
		}
	}
	if !placed {
		f.Error = e.Sentence
	}
}

// connectionForm makes the form from the connector's settings. given are values typed before; nil takes the stored ones.
func connectionForm(k connectors.Connector, con store.Connection, given map[string]string) views.ConnectionForm {
	in := k.Info()
	f := views.ConnectionForm{Connector: connectorCard(k), ID: con.ID, Sample: con.Sample}
	if _, ok := k.(connectors.Authorizer); ok {
		f.AuthorizeAfter, f.AuthorizeHelp = in.Authorizing.After, in.Authorizing.Help
	}
	f.Name = views.Field{Name: "name", Label: "Name", Value: con.Name, Help: "As it is shown here, such as Shop.", Required: true, Autofocus: given == nil && con.ID == ""}
	for _, st := range in.Settings {
		field := views.Field{Name: st.Key, Label: st.Label, Kind: st.Kind, Help: st.Help, Required: st.Required, Secret: st.Secret,
			Kept: st.Secret && con.ID != "" && con.HasSecrets, Choices: views.PlainChoices(st.Choices)}
		switch {
		case given != nil:
			field.Value = given[st.Key]
		case st.Secret:
		case con.ID != "":
			field.Value = con.Settings[st.Key]
		default:
			field.Value = st.Default
		}
		f.Fields = append(f.Fields, field)
	}
	return f
}

// connectorCard says what a kind of service can do.
func connectorCard(k connectors.Connector) views.ConnectorCard {
	in := k.Info()
	card := views.ConnectorCard{ID: in.ID, Name: in.Name, Summary: in.Summary, Icon: iconOf(in), Gap: in.Gap, SetUp: in.SetUp}
	card.Abilities, card.Limits = abilitiesOf(k), limitWords(in.Limits)
	return card
}

// limitWords says in sentences what a service takes.
func limitWords(l connectors.Limits) []string {
	var out []string
	switch {
	case l.RequestsPerSecond > 0 && l.RequestsPerDay > 0:
		out = append(out, "It takes "+views.Rate(l.RequestsPerSecond)+" requests a second and "+views.Number(int64(l.RequestsPerDay))+" a day; all jobs share them.")
	case l.RequestsPerSecond > 0:
		out = append(out, "It takes "+views.Rate(l.RequestsPerSecond)+" requests a second; all jobs share them.")
	case l.RequestsPerDay > 0:
		out = append(out, "It takes "+views.Number(int64(l.RequestsPerDay))+" requests a day; all jobs share them.")
	}
	if l.ReadPage > 0 {
		out = append(out, "It is read in pages of up to "+views.Number(int64(l.ReadPage))+" records.")
	}
	switch {
	case l.RequestsPerRecord > 0 || l.UpdateBatch == 1:
		out = append(out, "It is written record by record.")
	case l.UpdateBatch > 1:
		out = append(out, "It is written in batches of up to "+views.Number(int64(l.UpdateBatch))+" records.")
	}
	return out
}

// showConnection is the page of one connection.
func (s *Server) showConnection(c echo.Context) error {
	v, err := s.connectionView(c)
	if err != nil {
		return err
	}
	p, err := s.page(c, v.Line.Name, "connections")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Connection(p, v))
}

func (s *Server) connectionView(c echo.Context) (views.ConnectionView, error) {
	con, err := s.store.ConnectionByID(c.Request().Context(), actor(c), c.Param("connection"))
	if err != nil {
		return views.ConnectionView{}, err
	}
	v := views.ConnectionView{Line: s.connectionLine(con), Secrets: con.HasSecrets, Created: con.CreatedAt, Checked: con.CheckedAt}
	if k, err := s.connector(con.Connector); err == nil {
		v.Card = connectorCard(k)
		for _, st := range k.Info().Settings {
			if value := con.Settings[st.Key]; value != "" && !st.Secret {
				v.Settings = append(v.Settings, views.Pair{Name: st.Label, Value: value})
			}
		}
	}
	v.Snapshots, err = s.dependents(c, con.ID)
	return v, err
}

// dependents lists the snapshots that have a table of the connection.
func (s *Server) dependents(c echo.Context, connection string) ([]views.Link, error) {
	snapshots, err := s.store.Snapshots(c.Request().Context(), actor(c))
	if err != nil {
		return nil, err
	}
	var out []views.Link
	for _, sn := range snapshots {
		for _, t := range sn.Tables {
			if t.Connection == connection {
				out = append(out, views.Link{Text: sn.Name, Address: "/snapshots/" + sn.ID})
				break
			}
		}
	}
	return out, nil
}

// editConnection shows the form of a stored connection, without its secrets.
func (s *Server) editConnection(c echo.Context) error {
	con, k, err := s.changeable(c)
	if err != nil {
		return err
	}
	p, err := s.page(c, "Change "+con.Name, "connections")
	if err != nil {
		return err
	}
	f := connectionForm(k, con, nil)
	if d, ok := s.draftFor(c, k.Info().ID, con.ID); ok && c.QueryParam("draft") != "" {
		f = withDraft(f, d)
	}
	return s.render(c, http.StatusOK, views.ConnectionEdit(p, f))
}

func (s *Server) changeable(c echo.Context) (store.Connection, connectors.Connector, error) {
	con, err := s.store.ConnectionByID(c.Request().Context(), actor(c), c.Param("connection"))
	if err != nil {
		return con, nil, err
	}
	if con.Sample {
		return con, nil, core.Errorf(core.Conflict, "The sample's connection is kept by the app itself and cannot be changed.")
	}
	k, err := s.connector(con.Connector)
	return con, k, err
}

// updateConnection tests changed settings, and saves them when that was asked for. An empty secret keeps what is stored.
func (s *Server) updateConnection(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	con, k, err := s.changeable(c)
	if err != nil {
		return err
	}
	ctx, by := c.Request().Context(), actor(c)
	stored, err := s.store.ConnectionSettings(ctx, by, con.ID)
	if err != nil && core.CodeOf(err) != core.Unavailable { // secrets that cannot be read any more are typed again
		return err
	}
	given := givenSettings(c, k.Info())
	con.Name = c.FormValue("name")
	f := connectionForm(k, con, given)
	if c.FormValue("action") == "authorize" {
		return s.authorize(c, k, con, given, "Change "+con.Name, f)
	}
	f, given = s.drafted(c, f, k, con.ID, given)
	for _, st := range k.Info().Settings {
		if st.Secret && given[st.Key] == "" {
			given[st.Key] = stored[st.Key]
		}
	}
	n, err := s.tried(c, k, given)
	if err != nil || c.FormValue("action") == "test" {
		return s.answerForm(c, "Change "+con.Name, f, err)
	}
	if _, err := s.store.UpdateConnection(ctx, by, con.ID, n); err != nil {
		return s.answerForm(c, "Change "+con.Name, f, err)
	}
	s.mark(ctx, by, con.ID, nil, false)
	s.forgetDraft(c)
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved. The service let us in with the new settings."})
	return see(c, "/connections/"+con.ID)
}

// testConnection tries a stored connection and keeps how it went.
func (s *Server) testConnection(c echo.Context) error {
	ctx, by, id := c.Request().Context(), actor(c), c.Param("connection")
	k, settings, err := s.settings(ctx, by, id)
	if err != nil {
		return err
	}
	err = s.trySettings(ctx, id, k, settings)
	if code := core.CodeOf(err); code == core.Internal {
		return err
	}
	s.mark(ctx, by, id, err, false)
	if !partial(c) {
		return see(c, "/connections/"+id)
	}
	v, err := s.connectionView(c)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.ConnectionHealth(v))
}

// deleteConnection forgets a connection that nothing depends on.
func (s *Server) deleteConnection(c echo.Context) error {
	if err := s.store.DeleteConnection(c.Request().Context(), actor(c), c.Param("connection")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The connection and its credentials are gone."})
	return see(c, "/connections")
}
