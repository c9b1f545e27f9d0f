// Package postgres is the connector for PostgreSQL databases, from version 12 on.
//
// Every act is one short transaction that begins by setting what the outcome depends on (time zone, date style, an empty
// search path, time limits), so that neither a role's defaults nor a pooler between us can change what values look like.
// Values travel as text in both directions and are cast by the server.
package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
)

const (
	readPage   = 10_000 // records
	keysPage   = 50_000 // records, when only keys and versions are asked for
	firstPage  = 1_000  // records of a first page, before it is known how large they are
	pageBytes  = 24 << 20
	writeBatch = 1_000

	maxConns     = 5
	callLimit    = 30 * time.Second // no call to the service lasts longer
	describedFor = time.Minute      // how long a table's description is believed
)

// Connector connects to PostgreSQL.
type Connector struct{}

// New makes the connector.
func New() *Connector { return &Connector{} }

// Info describes the connector.
func (*Connector) Info() connectors.Info {
	return connectors.Info{
		Session: (*session)(nil),
		ID:      "postgres",
		Name:    "PostgreSQL",
		Summary: "Tables and views of a PostgreSQL database.",
		Icon:    "database",
		SetUp: []string{
			"Make a role of its own for this app: create role scratchpaper login password '…'.",
			"Grant it what it may read, and what it may change: grant usage on schema public, select, insert, update, delete on tables, usage on sequences.",
			"Let it in from this server: pg_hba.conf, or the network settings of your provider.",
		},
		Settings: settings(),
		Limits: connectors.Limits{
			ReadPage:    readPage,
			LookupBatch: writeBatch,
			CreateBatch: writeBatch,
			UpdateBatch: writeBatch,
			DeleteBatch: writeBatch,
		},
		Restorable: true,
	}
}

// Open checks the settings; it connects when the session is first used. A setting that does not fit is a Fault with
// RefusedValue and the setting's key as its field.
func (*Connector) Open(_ context.Context, given connectors.Settings, env connectors.Environment) (connectors.Session, error) {
	config, err := poolConfig(given, env)
	if err != nil {
		return nil, err
	}
	// The pool outlives the call that opens it, so it does not take its context.
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: "The connection could not be set up.", Cause: err}
	}
	return &session{
		pool:      pool,
		env:       env,
		secret:    given["password"],
		described: map[string]described{},
		rowBytes:  map[string]int{},
	}, nil
}

// session is one login at one database.
type session struct {
	pool   *pgxpool.Pool
	env    connectors.Environment
	secret string // never to be seen in words

	mu        sync.Mutex
	described map[string]described
	rowBytes  map[string]int // mean size of a record, by what was read
}

type described struct {
	relation *relation
	until    time.Time
}

var (
	_ connectors.Session       = (*session)(nil)
	_ connectors.Creator       = (*session)(nil)
	_ connectors.Deleter       = (*session)(nil)
	_ connectors.BatchReader   = (*session)(nil)
	_ connectors.VersionReader = (*session)(nil)
	_ connectors.GuardedWriter = (*session)(nil)
	_ connectors.Recogniser    = (*session)(nil)
	_ connectors.Counter       = (*session)(nil)
	_ connectors.Digester      = (*session)(nil)
	_ connectors.EffectsReader = (*session)(nil)
)

// GuardsWrites is true: rows are locked, compared and written in one transaction.
func (s *session) GuardsWrites() bool { return true }

// Close ends the connections.
func (s *session) Close() { s.pool.Close() }

// Test signs in and asks something harmless.
func (s *session) Test(ctx context.Context) error {
	return s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		var one int
		return tx.conn.QueryRow(ctx, `select 1`).Scan(&one)
	})
}

// Tables lists all tables and views that are not the system's or an extension's.
func (s *session) Tables(ctx context.Context) ([]connectors.Table, error) {
	relations, err := s.describeAll(ctx)
	if err != nil {
		return nil, err
	}
	tables := make([]connectors.Table, 0, len(relations))
	for _, r := range relations {
		tables = append(tables, r.table())
	}
	return tables, nil
}

// Table describes one table or view as it is now.
func (s *session) Table(ctx context.Context, id string) (connectors.Table, error) {
	s.forget(id)
	r, err := s.relation(ctx, id)
	if err != nil {
		return connectors.Table{}, err
	}
	return r.table(), nil
}
