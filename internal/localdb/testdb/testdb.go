// Package testdb gives tests a real PostgreSQL: one server for each test binary, a fresh database for each call.
//
// The data folders are kept below os.TempDir() and used again by later runs, so a start takes a fraction of a
// second. A server ends with the test binary that started it, also when that is killed.
package testdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb"
	"scratchpaper/migrations"
)

const (
	// maxServers bounds how many test binaries run at once.
	maxServers = 64
	limit      = 2 * time.Minute
)

// server is shared by the tests of one binary, since starting one for each test would take most of their time.
var server = sync.OnceValues(start)

var (
	// administration makes and drops the databases; it is kept open, since a connection takes as long as a database.
	administration = sync.OnceValues(func() (*pgxpool.Pool, error) {
		s, err := server()
		if err != nil {
			return nil, err
		}
		return pgxpool.New(context.Background(), s.AdminURL("postgres"))
	})

	lastDatabase atomic.Int64
	templates    sync.Map // name → *template
)

// New gives a pool on a fresh, empty database. Both go away with the test.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Pool(t, URL(t))
}

// Pool opens a pool of up to eight connections and closes it with the test.
func Pool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatalf("the test database's address: %v", err)
	}
	conf.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), conf)
	if err != nil {
		t.Fatalf("the test database's pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL gives the address of a fresh, empty database, as superuser over a unix socket. It is dropped with the test.
func URL(t testing.TB) string {
	t.Helper()
	return clone(t, "template0")
}

// Prepared gives a fresh copy of a database that prepare has filled once for this binary, for example by running the
// migrations. The name tells preparations apart. prepare must close its connections.
func Prepared(t testing.TB, name string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	v, _ := templates.LoadOrStore(name, &template{})
	db, err := v.(*template).ready(prepare)
	if err != nil {
		t.Fatalf("preparing the test database %s: %v", name, err)
	}
	return clone(t, db)
}

// Migrated gives a fresh database with the app's control tables, empty.
func Migrated(t testing.TB) string {
	t.Helper()
	return Prepared(t, "migrated", func(ctx context.Context, url string) error {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		_, err = migrations.Up(ctx, config)
		return err
	})
}

// TCP rewrites an address of this package to one over 127.0.0.1, for code that takes no sockets.
func TCP(t testing.TB, socketURL string) string {
	t.Helper()
	u, err := url.Parse(socketURL)
	if err != nil {
		t.Fatal(err)
	}
	host, port := Server(t).SampleAddr()
	u.Host, u.RawQuery = fmt.Sprintf("%s:%d", host, port), "sslmode=disable"
	return u.String()
}

// Server gives the binary's own server, for tests that need roles or settings. Do not stop it.
func Server(t testing.TB) *localdb.Server {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatalf("the test server: %v", err)
	}
	return s
}

type template struct {
	once sync.Once
	db   string
	err  error
}

func (tp *template) ready(prepare func(ctx context.Context, url string) error) (string, error) {
	tp.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s, err := server()
		if err != nil {
			tp.err = err
			return
		}
		tp.db = freshName()
		if tp.err = exec(ctx, createDatabase(tp.db, "template0")); tp.err == nil {
			tp.err = prepare(ctx, s.AdminURL(tp.db))
		}
	})
	return tp.db, tp.err
}

func clone(t testing.TB, from string) string {
	t.Helper()
	s := Server(t)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	db := freshName()
	if err := exec(ctx, createDatabase(db, from)); err != nil {
		t.Fatalf("a test database: %v", err)
	}
	t.Cleanup(func() { drop(t, db) })
	return s.AdminURL(db)
}

func freshName() string { return fmt.Sprintf("t_%d", lastDatabase.Add(1)) }

// createDatabase copies the template's files: without fsync that is faster than writing each page into the log.
func createDatabase(db, from string) string {
	return "create database " + pgx.Identifier{db}.Sanitize() + " template " + pgx.Identifier{from}.Sanitize() + " strategy file_copy"
}

func drop(t testing.TB, db string) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := exec(ctx, "drop database "+pgx.Identifier{db}.Sanitize()+" with (force)"); err != nil {
		t.Errorf("dropping the test database: %v", err)
	}
}

func exec(ctx context.Context, sql string) error {
	pool, err := administration()
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, sql)
	return err
}

// start takes the first data folder that no other test binary uses.
func start() (*localdb.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	root := filepath.Join(os.TempDir(), fmt.Sprintf("scratchpaper-test-%d-pg%s", os.Geteuid(), localdb.Major()))
	for n := range maxServers {
		dir := filepath.Join(root, fmt.Sprint(n))
		s, err := startIn(ctx, dir)
		if core.CodeOf(err) == core.Busy {
			continue
		}
		return s, err
	}
	return nil, errors.New("all data folders below " + root + " are in use")
}

func startIn(ctx context.Context, dir string) (*localdb.Server, error) {
	s, err := localdb.Start(ctx, localdb.Options{DataDir: dir, Fast: true, OpenTCP: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := dropLeftovers(ctx, s); err != nil {
		return nil, errors.Join(err, s.Stop(ctx))
	}
	return s, nil
}

// dropLeftovers removes what tests that were killed left in the folder.
func dropLeftovers(ctx context.Context, s *localdb.Server) error {
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select datname from pg_database where datname like 't\_%'`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "drop database "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
			return err
		}
	}
	return nil
}
