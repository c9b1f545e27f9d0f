package postgres_test

import (
	"errors"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
)

// database is a fresh database with a session on it.
type database struct {
	t        testing.TB
	pool     *pgxpool.Pool
	settings connectors.Settings
	session  connectors.Session
}

func newDatabase(t testing.TB, statements ...string) *database {
	t.Helper()
	address := testdb.URL(t)
	d := &database{t: t, pool: testdb.Pool(t, address), settings: settingsOf(t, address)}
	for _, s := range statements {
		mustExec(t, d.pool, s)
	}
	d.session = d.open(d.settings)
	return d
}

func (d *database) open(settings connectors.Settings) connectors.Session {
	d.t.Helper()
	s, err := postgres.New().Open(d.t.Context(), settings, connectors.Environment{Dial: (&net.Dialer{}).DialContext})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(s.Close)
	return s
}

// login makes a role with these grants and gives a session of it.
func (d *database) login(name string, grants ...string) connectors.Session {
	d.t.Helper()
	role := d.settings["database"] + "_" + name // roles are the whole server's
	mustExec(d.t, d.pool, `create role `+role+` login password 'its-own-word'`)
	d.t.Cleanup(func() { mustExec(d.t, d.pool, `drop owned by `+role+`; drop role `+role) })
	for _, g := range grants {
		mustExec(d.t, d.pool, g+` to `+role)
	}
	settings := connectors.Settings{}
	for k, v := range d.settings {
		settings[k] = v
	}
	settings["user"], settings["password"] = role, "its-own-word"
	return d.open(settings)
}

func (d *database) table(id string) connectors.Table {
	d.t.Helper()
	return tableOf(d.t, d.session, id)
}

func tableOf(t testing.TB, s connectors.Session, id string) connectors.Table {
	t.Helper()
	table, err := s.Table(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func field(t testing.TB, table connectors.Table, id string) connectors.Field {
	t.Helper()
	for _, f := range table.Columns {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("%s has no field %s", table.ID, id)
	return connectors.Field{}
}

// read gives all records of a table by id, as the plain text of these fields.
func read(t testing.TB, s connectors.Session, table connectors.Table, fields ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	req := connectors.ReadRequest{Table: table, Fields: fields}
	for last := false; !last; {
		page, err := s.Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			texts := []string{}
			for _, v := range r.Values {
				texts = append(texts, v.Plain())
			}
			found[r.ID] = texts
		}
		req.Checkpoint, last = page.Checkpoint, page.Last
	}
	return found
}

func (d *database) update(table connectors.Table, writes ...connectors.Write) []connectors.Outcome {
	d.t.Helper()
	outcomes, err := d.session.Update(d.t.Context(), table, writes)
	if err != nil {
		d.t.Fatal(err)
	}
	return outcomes
}

func (d *database) create(table connectors.Table, writes ...connectors.Write) []connectors.Outcome {
	d.t.Helper()
	outcomes, err := d.session.(connectors.Creator).Create(d.t.Context(), table, writes)
	if err != nil {
		d.t.Fatal(err)
	}
	return outcomes
}

func (d *database) query(sql string) string {
	d.t.Helper()
	var s string
	if err := d.pool.QueryRow(d.t.Context(), sql).Scan(&s); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// texts makes values out of pairs of field and text.
func texts(pairs ...string) map[string]core.Value {
	values := map[string]core.Value{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = core.TextValue(pairs[i+1])
	}
	return values
}

func faultOf(t testing.TB, err error) *connectors.Fault {
	t.Helper()
	var f *connectors.Fault
	if !errors.As(err, &f) {
		t.Fatalf("%v is not a Fault", err)
	}
	return f
}
