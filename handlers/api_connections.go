package handlers

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type connectionJSON struct {
	ID         string            `json:"id"`
	Connector  string            `json:"connector"`
	Name       string            `json:"name"`
	Settings   map[string]string `json:"settings"` // never a secret
	Sample     bool              `json:"sample"`
	Health     string            `json:"health"`
	Words      string            `json:"health_words,omitempty"`
	CheckedAt  *time.Time        `json:"checked_at"`
	LastUsedAt *time.Time        `json:"last_used_at"`
	Snapshots  []string          `json:"snapshots"`
}

func connectionOut(c store.Connection) connectionJSON {
	return connectionJSON{ID: c.ID, Connector: c.Connector, Name: c.Name, Settings: c.Settings, Sample: c.Sample, Health: c.Health, Words: c.HealthWords,
		CheckedAt: c.CheckedAt, LastUsedAt: c.LastUsedAt, Snapshots: c.Snapshots}
}

type connectorJSON struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Summary   string     `json:"summary"`
	Abilities []string   `json:"abilities"`
	Limits    limitsJSON `json:"limits"`
	Gap       string     `json:"gap"`      // what can come between look and write
	Settings  schema     `json:"settings"` // JSON Schema
}

// limitsJSON are a service's limits; 0 is none.
type limitsJSON struct {
	RequestsPerSecond float64 `json:"requests_per_second"`
	RequestsPerDay    int     `json:"requests_per_day"`
	ReadPage          int     `json:"read_page"`
	LookupBatch       int     `json:"lookup_batch"`
	CreateBatch       int     `json:"create_batch"`
	UpdateBatch       int     `json:"update_batch"`
	UpdateParts       int     `json:"update_parts"`
	DeleteBatch       int     `json:"delete_batch"`
	RequestsPerRecord float64 `json:"requests_per_record"` // 0: a batch is one request
}

// abilityNames are the API's words for abilities whose names on the page are longer.
var abilityNames = map[string]string{"fetch only what changed": "versions", "refuse a write on an old version": "guarded_writes",
	"find a new record whose answer was lost": "recognised_creates", "bring back what was deleted": "restore"}

func connectorOut(k connectors.Connector) connectorJSON {
	in := k.Info()
	out := connectorJSON{ID: in.ID, Name: in.Name, Summary: in.Summary, Abilities: []string{}, Limits: limitsJSON(in.Limits), Gap: in.Gap}
	for _, a := range abilitiesOf(k) {
		name, long := abilityNames[a.Name]
		if !long {
			name = a.Name
		}
		if a.Can {
			out.Abilities = append(out.Abilities, name)
		}
	}
	props, required := schema{}, []string{}
	for _, st := range in.Settings {
		props[st.Key] = settingSchema(st)
		if st.Required {
			required = append(required, st.Key)
		}
	}
	out.Settings = schema{"type": "object", "properties": props, "required": required, "additionalProperties": false}
	return out
}

func settingSchema(st connectors.Setting) schema {
	p := schema{"type": "string", "title": st.Label, "description": st.Help, "writeOnly": st.Secret}
	if st.Choices != nil {
		p["enum"] = st.Choices
	}
	if st.Default != "" {
		p["default"] = st.Default
	}
	return p
}

func (s *Server) listConnectors(c echo.Context) error {
	return answerPage(c, slices.Clone(s.connectors), func(k connectors.Connector) string { return byName(k.Info().Name, k.Info().ID) }, connectorOut)
}

func (s *Server) listConnections(c echo.Context) error {
	cons, err := s.store.Connections(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	return answerPage(c, cons, func(con store.Connection) string { return byName(con.Name, con.ID) }, connectionOut)
}

type connectionBody struct {
	Connector string            `json:"connector"`
	Name      string            `json:"name"`
	Settings  map[string]string `json:"settings"`
}

type connectionPatchBody struct {
	Name     string            `json:"name"`
	Settings map[string]string `json:"settings"`
}

// checkedConnection checks settings against the connector's literals and parts the secrets from the rest.
func (s *Server) checkedConnection(body connectionBody) (store.NewConnection, error) {
	k, err := s.connector(body.Connector)
	if err != nil {
		return store.NewConnection{}, core.FieldErrorf("/connector", "There is no connector %s.", body.Connector)
	}
	n := store.NewConnection{Connector: body.Connector, Name: body.Name, Settings: map[string]string{}, Secrets: map[string]string{}}
	known := map[string]bool{}
	bad := core.Errorf(core.Invalid, "Some settings do not fit.")
	for _, st := range k.Info().Settings {
		known[st.Key] = true
		v := body.Settings[st.Key]
		if v == "" {
			v = st.Default
		}
		if v == "" && st.Required {
			bad.Fields = append(bad.Fields, core.FieldError{Pointer: "/settings/" + st.Key, Detail: st.Label + " is needed."})
		}
		if v != "" && st.Check != nil {
			if err := st.Check(v); err != nil {
				bad.Fields = append(bad.Fields, core.FieldError{Pointer: "/settings/" + st.Key, Detail: core.SentenceOf(err)})
			}
		}
		if st.Secret {
			n.Secrets[st.Key] = v
		} else {
			n.Settings[st.Key] = v
		}
	}
	for key := range body.Settings {
		if !known[key] {
			bad.Fields = append(bad.Fields, core.FieldError{Pointer: "/settings/" + key, Detail: "There is no such setting."})
		}
	}
	if len(bad.Fields) > 0 {
		bad.Sentence = bad.Fields[0].Detail
		return n, bad
	}
	return n, nil
}

func (s *Server) postConnection(c echo.Context) error {
	var body connectionBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	n, err := s.checkedConnection(body)
	if err != nil {
		return err
	}
	con, err := s.store.CreateConnection(ctxOf(c), actor(c), n)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, connectionOut(con))
}

func (s *Server) getConnection(c echo.Context) error {
	con, err := s.store.ConnectionByID(ctxOf(c), actor(c), c.Param("connection"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, connectionOut(con))
}

func (s *Server) patchConnection(c echo.Context) error {
	var body connectionPatchBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	ctx, by, id := ctxOf(c), actor(c), c.Param("connection")
	old, err := s.store.ConnectionByID(ctx, by, id)
	if err != nil {
		return err
	}
	n := store.NewConnection{Name: body.Name}
	if body.Settings != nil {
		full, err := s.store.ConnectionSettings(ctx, by, id)
		if err != nil {
			return err
		}
		for k, v := range body.Settings {
			full[k] = v
		}
		if n, err = s.checkedConnection(connectionBody{Connector: old.Connector, Name: body.Name, Settings: full}); err != nil {
			return err
		}
	}
	con, err := s.store.UpdateConnection(ctx, by, id, n)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, connectionOut(con))
}

func (s *Server) apiDeleteConnection(c echo.Context) error {
	if err := s.store.DeleteConnection(ctxOf(c), actor(c), c.Param("connection")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) postConnectionTest(c echo.Context) error {
	ctx, by, id := ctxOf(c), actor(c), c.Param("connection")
	k, settings, err := s.settings(ctx, by, id)
	if err != nil {
		return err
	}
	err = s.trySettings(ctx, id, k, settings)
	s.mark(ctx, by, id, err, false)
	if err != nil {
		return err
	}
	return s.getConnection(c)
}

func (s *Server) listRemoteTables(c echo.Context) error {
	tables, _, err := s.remoteTables(ctxOf(c), actor(c), c.Param("connection"), countWait)
	if err != nil {
		return err
	}
	return answerPage(c, tables, func(t connectors.Table) string { return byName(t.Name, t.ID) }, remoteTableOut)
}

type remoteTableJSON struct {
	ID       string             `json:"id"`
	Name     string             `json:"name"`
	Columns  []remoteColumnJSON `json:"columns"`
	Readable bool               `json:"readable"`
	Writable bool               `json:"writable"`
	WhyNot   string             `json:"why_not"`
	Estimate int64              `json:"estimate"` // records, about; -1 is not known
}

type remoteColumnJSON struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Type     core.ColumnType `json:"type"`
	Writable bool            `json:"writable"`
	WhyNot   string          `json:"why_not"`
}

func remoteTableOut(t connectors.Table) remoteTableJSON {
	out := remoteTableJSON{ID: t.ID, Name: t.Name, Columns: []remoteColumnJSON{}, Readable: t.Readable, Writable: t.Writable, WhyNot: t.WhyNot, Estimate: t.Estimate}
	for _, f := range t.Columns {
		out.Columns = append(out.Columns, remoteColumnJSON{ID: f.ID, Name: f.Name, Type: f.Type, Writable: f.Writable, WhyNot: f.WhyNot})
	}
	return out
}
