package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
	"scratchpaper/connectors/connectortest"
	"scratchpaper/connectors/postgres"
	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
)

func TestPostgresIsAConnector(t *testing.T) {
	t.Parallel()
	address := testdb.URL(t)
	pool := testdb.Pool(t, address)
	var made atomic.Int64
	connectortest.Run(t, connectortest.Harness{
		Connector:  postgres.New(),
		Settings:   settingsOf(t, address),
		Credential: "password",
		Decisive:   func(sent []byte) bool { return bytes.Contains(sent, []byte("commit\x00")) },
		Revocable:  func(t *testing.T) (connectors.Settings, func()) { return revocable(t, pool, settingsOf(t, address)) },
		NewTable: func(t *testing.T, records int) connectortest.Fixture {
			return newThings(t, pool, fmt.Sprintf("things_%d", made.Add(1)), records)
		},
	})
}

// revocable makes a role that may read everything, and what shuts it out in the middle of its work.
func revocable(t *testing.T, pool *pgxpool.Pool, settings connectors.Settings) (connectors.Settings, func()) {
	t.Helper()
	role := settings["database"] + "_revocable" // roles are the whole server's
	mustExec(t, pool, `create role `+role+` login password 'its-own-word' in role pg_read_all_data`)
	t.Cleanup(func() { mustExec(t, pool, `drop role `+role) })
	settings["user"], settings["password"] = role, "its-own-word"
	return settings, func() {
		mustExec(t, pool, `alter role `+role+` nologin`)
		mustExec(t, pool, `select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1`, role)
	}
}

// settingsOf turns an address of testdb into a connection's settings.
func settingsOf(t testing.TB, address string) connectors.Settings {
	t.Helper()
	u, err := url.Parse(testdb.TCP(t, address))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return connectors.Settings{
		"host": u.Hostname(), "port": u.Port(), "database": u.Path[1:], "user": u.User.Username(), "password": password, "sslmode": "disable",
	}
}

// things is a table with a column of every kind that can be written.
type things struct {
	pool *pgxpool.Pool
	name string
}

func newThings(t *testing.T, pool *pgxpool.Pool, name string, records int) connectortest.Fixture {
	t.Helper()
	th := &things{pool, name}
	mustExec(t, pool, fmt.Sprintf(`create table %s (
		id bigint generated always as identity primary key,
		title text not null default '', other text not null default '', price numeric(10, 2) check (price >= 0),
		amount numeric, big bigint, ratio double precision, active boolean, day date, at timestamptz, local timestamp,
		doc jsonb, tags text[], numbers int[], span interval, token uuid, code varchar(5), "odd "" name" text)`, name))
	f := connectortest.Fixture{
		Table: "public." + name, Text: "title", Other: "other",
		Edges: edges(), RefusedField: "price", RefusedValue: core.TextValue("-1"), RefusedWords: "check constraint",
		Normalised: []connectortest.Normalised{{Field: "price", Sent: core.TextValue("1.005"), Stored: core.TextValue("1.01")},
			{Field: "amount", Sent: core.TextValue("1e3"), Stored: core.TextValue("1000")}},
		New: func(n int) map[string]core.Value {
			return map[string]core.Value{"title": core.TextValue(fmt.Sprint("created ", n)), "price": core.TextValue("1.005"), "tags": core.ListValue([]string{"a"})}
		},
		Service: th,
	}
	for i := range records {
		f.IDs = append(f.IDs, th.Add(t, fmt.Sprint("thing ", i)))
	}
	return f
}

func edges() map[string][]core.Value {
	texts := func(values ...string) []core.Value {
		list := []core.Value{core.NullValue}
		for _, v := range values {
			list = append(list, core.TextValue(v))
		}
		return list
	}
	return map[string][]core.Value{
		"other":      {core.TextValue(""), core.TextValue("  spaces \t\r\n"), core.TextValue(`\N`), core.TextValue("NULL"), core.TextValue("'; drop table x; --"), core.TextValue("é\u0301 🙂 \u202e")},
		`odd " name`: texts("", "x"),
		"price":      texts("0.00", "29.00", "12345678.90"),
		"amount":     texts("0", "-1.50", "123456789012345678901234567890.123456789", "NaN"),
		"big":        texts("9007199254740993", "-9223372036854775808"),
		"ratio":      texts("0.1", "0.30000000000000004", "100000000000000000000", "0.00000123", "Infinity", "NaN"),
		"active":     texts("true", "false"),
		"day":        texts("2026-11-24", "0044-03-15 BC", "infinity", "12026-01-01"),
		"at":         texts("2026-11-24T08:00:00+00:00", "2026-11-24T08:00:00.1+00:00", "1970-01-01T00:00:00.000001+00:00", "-infinity", "0044-03-15T10:00:00+00:00 BC"),
		"local":      texts("2026-03-29T02:30:00", "2026-11-24T08:00:00.123456", "infinity"),
		"doc":        texts("null", `{"a": [1, 2.50, "x"]}`, `"text"`),
		"tags":       {core.NullValue, core.ListValue(nil), core.ListValue([]string{""}), core.ListValue([]string{"a b", `q"uo\te`, "c,d", "{e}", "NULL", " f "}), core.ListValue([]string{"a", "\u2400", "\u2400\u2400", "\u2400 b"})},
		"numbers":    texts("[]", "[1,2,null]", "[[1,2],[3,4]]"),
		"span":       texts("1 mon 2 days 03:00:00"),
		"token":      texts("0b9a3c1e-8f2d-4e57-9a61-5c1f4e2d7b80"),
		"code":       texts("", "abcde"),
	}
}

func mustExec(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(context.WithoutCancel(t.Context()), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (th *things) Add(t *testing.T, text string) string {
	t.Helper()
	var id string
	if err := th.pool.QueryRow(t.Context(), `insert into `+th.name+` (title) values ($1) returning id::text`, text).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func (th *things) Set(t *testing.T, id, field, value string) {
	t.Helper()
	mustExec(t, th.pool, `update `+th.name+` set `+field+` = $2 where id = $1::text::bigint`, id, value)
}

func (th *things) Remove(t *testing.T, id string) {
	t.Helper()
	mustExec(t, th.pool, `delete from `+th.name+` where id = $1::text::bigint`, id)
}

func (th *things) Get(t *testing.T, id, field string) (string, bool) {
	t.Helper()
	var values []string
	if err := th.pool.QueryRow(t.Context(), `select array(select `+field+`::text from `+th.name+` where id = $1::text::bigint)`, id).Scan(&values); err != nil {
		t.Fatal(err)
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func (th *things) Count(t *testing.T) int {
	t.Helper()
	var n int
	if err := th.pool.QueryRow(t.Context(), `select count(*) from `+th.name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
