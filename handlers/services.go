package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// serviceTimeout is the longest that a page waits for a service.
const serviceTimeout = 20 * time.Second

// connector finds a connector by id. Codes: NotFound.
func (s *Server) connector(id string) (connectors.Connector, error) {
	for _, c := range s.connectors {
		if c.Info().ID == id {
			return c, nil
		}
	}
	return nil, core.Errorf(core.NotFound, "There is no connector %q in this program.", id)
}

// storedSettings gives a connection's settings as they are stored.
func (s *Server) storedSettings(ctx context.Context, by core.Actor, id string) (connectors.Connector, connectors.Settings, error) {
	con, err := s.store.ConnectionByID(ctx, by, id)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.connector(con.Connector)
	if err != nil {
		return nil, nil, err
	}
	settings, err := s.store.ConnectionSettings(ctx, by, id)
	return c, settings, err
}

// openSession opens a stored connection. Close the session. Codes: NotFound, Invalid, Unavailable.
func (s *Server) openSession(ctx context.Context, by core.Actor, id string) (connectors.Session, error) {
	c, settings, err := s.settings(ctx, by, id)
	if err != nil {
		return nil, err
	}
	session, err := c.Open(ctx, settings, s.environment(id, c))
	return session, serviceError(err)
}

// environment is what sessions of a connection are lent; one that is not stored yet has no turns.
func (s *Server) environment(connection string, c connectors.Connector) connectors.Environment {
	env := connectors.Environment{Dial: s.dial}
	if s.lend == nil || connection == "" {
		return env
	}
	return s.lend(connection, c.Info(), env)
}

// trySettings opens a session with settings of a connection, "" for a new one, and tests it. The error has the service's own words.
func (s *Server) trySettings(ctx context.Context, connection string, c connectors.Connector, settings connectors.Settings) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	session, err := c.Open(ctx, settings, s.environment(connection, c))
	if err != nil {
		return serviceError(err)
	}
	defer session.Close()
	return serviceError(session.Test(ctx))
}

// serviceError gives a service's fault a code, in the service's own words.
func serviceError(err error) error {
	var f *connectors.Fault
	if err == nil || !errors.As(err, &f) {
		return err
	}
	words := strings.TrimSpace(f.Words)
	if words == "" {
		words = "The service gave no reason."
	}
	if own := (*core.Error)(nil); errors.As(f.Cause, &own) && own.Code == core.Forbidden {
		return core.Wrap(err, core.Invalid, "%s", words) // this app's guard, and no service, has refused
	}
	switch f.Kind {
	case connectors.RefusedValue:
		if f.Field != "" {
			return &core.Error{Code: core.Invalid, Sentence: words, Cause: err, Fields: []core.FieldError{{Pointer: "/settings/" + f.Field, Detail: words}}}
		}
		return core.Wrap(err, core.Invalid, "%s", words)
	case connectors.RefusedRecord, connectors.NotAllowed, connectors.SignedOut:
		return core.Wrap(err, core.Invalid, "The service says: %s", words)
	case connectors.Gone:
		return core.Wrap(err, core.NotFound, "The service says: %s", words)
	case connectors.ConflictFault:
		return core.Wrap(err, core.Conflict, "The service says: %s", words)
	}
	return core.Wrap(err, core.Unavailable, "%s", words) // as often the connector's words as the service's
}

// remoteTables lists a connection's tables and notes how that went. Those that do not say how many records they have are counted for at most
// wait, 0 for not at all; uncounted gives by id why one is not.
func (s *Server) remoteTables(ctx context.Context, by core.Actor, id string, wait time.Duration) (tables []connectors.Table, uncounted map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	session, err := s.openSession(ctx, by, id)
	if err != nil {
		s.mark(ctx, by, id, err, false)
		return nil, nil, err
	}
	defer session.Close()
	tables, err = session.Tables(ctx)
	s.mark(ctx, by, id, err, err == nil)
	if err == nil && wait > 0 {
		uncounted = countTables(ctx, session, tables, wait)
	}
	return tables, uncounted, serviceError(err)
}

// mark keeps how a use of a connection went. It is a convenience: a failure is only logged.
func (s *Server) mark(ctx context.Context, by core.Actor, id string, err error, used bool) {
	words := ""
	if err != nil {
		words = core.SentenceOf(serviceError(err))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.store.MarkConnection(ctx, by, id, words, used); err != nil {
		s.log.WarnContext(ctx, "connection not marked", "connection", id, "error", err)
	}
}

// chosenTable is one remote table that is wanted in a snapshot, with the ids of its fields; no fields are all of them.
type chosenTable struct {
	Connection string
	Remote     connectors.Table
	Fields     map[string]bool
}

// snapshotOf makes what the store wants from remote tables, in their order: the first is the one that a snapshot opens on. The key's fields
// are always taken.
func snapshotOf(name string, chosen []chosenTable) (store.NewSnapshot, error) {
	n := store.NewSnapshot{Name: name}
	for _, ch := range chosen {
		if !ch.Remote.Readable {
			return n, core.FieldErrorf("/tables", "%s cannot be taken: %s", ch.Remote.Name, ch.Remote.WhyNot)
		}
		t, err := newTable(ch)
		if err != nil {
			return n, err
		}
		n.Tables = append(n.Tables, t)
	}
	return n, nil
}

func newTable(ch chosenTable) (store.NewTable, error) {
	r := ch.Remote
	raw, err := json.Marshal(r)
	if err != nil {
		return store.NewTable{}, fmt.Errorf("describe table: %w", err)
	}
	t := store.NewTable{
		Connection: ch.Connection, RemoteID: r.ID, Title: shortTitle(r.Name), Source: core.Remote, Writable: r.Writable, Creatable: r.Creatable,
		Deletable: r.Deletable, WhyNot: r.WhyNot, WhyNoNew: r.WhyNoNew, WhyNoDel: r.WhyNoDel, Versioned: r.Versioned, Remote: raw,
	}
	key := map[string]bool{}
	for _, k := range r.Key {
		key[k] = true
	}
	for _, f := range r.Columns {
		if len(ch.Fields) > 0 && !ch.Fields[f.ID] && !key[f.ID] {
			continue
		}
		t.Columns = append(t.Columns, store.NewColumn{
			RemoteID: f.ID, Anchor: f.Anchor, Title: f.Name, Type: f.Type, Options: f.Options, Writable: f.Writable, InsertOnly: f.InsertOnly, WhyNot: f.WhyNot,
		})
	}
	return t, nil
}

// shortTitle leaves out the schema that nearly all tables are in.
func shortTitle(name string) string { return strings.TrimPrefix(name, "public.") }

// abilitiesOf says what sessions of a connector can do: each ability is an interface of its own.
func abilitiesOf(k connectors.Connector) []views.Ability {
	session := k.Info().Session
	_, creates := session.(connectors.Creator)
	_, deletes := session.(connectors.Deleter)
	_, versions := session.(connectors.VersionReader)
	_, recognises := session.(connectors.Recogniser)
	guard, guards := session.(connectors.GuardedWriter)
	return []views.Ability{
		{Name: "read", Can: true}, {Name: "create", Can: creates}, {Name: "update", Can: true}, {Name: "delete", Can: deletes},
		{Name: "fetch only what changed", Can: versions}, {Name: "refuse a write on an old version", Can: guards && guard.GuardsWrites()},
		{Name: "find a new record whose answer was lost", Can: recognises}, {Name: "bring back what was deleted", Can: k.Info().Restorable && creates && deletes},
	}
}
