package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

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

func (s *Server) listConnectors(c echo.Context) error {
	out := []map[string]any{}
	for _, k := range s.connectors {
		in := k.Info()
		props, required := map[string]any{}, []string{}
		for _, st := range in.Settings {
			p := map[string]any{"type": "string", "title": st.Label, "description": st.Help, "writeOnly": st.Secret}
			if st.Choices != nil {
				p["enum"] = st.Choices
			}
			props[st.Key] = p
			if st.Required {
				required = append(required, st.Key)
			}
		}
		out = append(out, map[string]any{"id": in.ID, "name": in.Name, "summary": in.Summary, "limits": in.Limits, "gap": in.Gap,
			"settings": map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}})
	}
	return c.JSON(http.StatusOK, list{Items: out})
}

func (s *Server) listConnections(c echo.Context) error {
	cons, err := s.store.Connections(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	out := []connectionJSON{}
	for _, con := range cons {
		out = append(out, connectionOut(con))
	}
	return c.JSON(http.StatusOK, list{Items: out})
}

type connectionBody struct {
	Connector string            `json:"connector"`
	Name      string            `json:"name"`
	Settings  map[string]string `json:"settings"`
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
	var body connectionBody
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
	err = s.trySettings(ctx, k, settings)
	s.mark(ctx, by, id, err, false)
	if err != nil {
		return err
	}
	return s.getConnection(c)
}

func (s *Server) listRemoteTables(c echo.Context) error {
	tables, err := s.remoteTables(ctxOf(c), actor(c), c.Param("connection"))
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, t := range tables {
		cols := []map[string]any{}
		for _, f := range t.Columns {
			cols = append(cols, map[string]any{"id": f.ID, "name": f.Name, "type": f.Type, "writable": f.Writable, "why_not": f.WhyNot})
		}
		out = append(out, map[string]any{"id": t.ID, "name": t.Name, "columns": cols, "writable": t.Writable, "readable": t.Readable, "why_not": t.WhyNot, "estimate": t.Estimate})
	}
	return c.JSON(http.StatusOK, list{Items: out})
}
