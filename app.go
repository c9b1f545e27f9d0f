package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/connectors/example"
	"scratchpaper/connectors/list"
	"scratchpaper/connectors/turns"
	"scratchpaper/internal/analytics"
	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/internal/httpx"
	"scratchpaper/internal/localdb"
	"scratchpaper/internal/metrics"
	"scratchpaper/internal/sample"
	"scratchpaper/internal/secrets"
	"scratchpaper/internal/traces"
	"scratchpaper/internal/webhook"
	"scratchpaper/jobs"
	"scratchpaper/migrations"
	"scratchpaper/static"
	"scratchpaper/store"
)

// app is everything that runs, in the order in which it was started.
type app struct {
	cfg     config.Config
	log     *slog.Logger
	local   *localdb.Server // nil with DATABASE_URL
	store   *store.Store
	redis   redis.UniversalClient
	hub     *events.Hub
	runner  *jobs.Runner
	metrics *metrics.Metrics
	turns   *turns.Turns
	traces  *traces.Traces       // nil without a collector
	counts  *analytics.Analytics // nil without a project that is told
	guard   httpx.Guard
	list    []connectors.Connector
	closers []func()
	leaving atomic.Bool        // a stop was asked for
	fault   func(point string) // nil outside of tests
}

// close stops everything in reverse.
func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

func (a *app) later(f func()) { a.closers = append(a.closers, f) }

// newApp has nothing running yet. Call close in any case.
func newApp(cfg config.Config, log *slog.Logger) *app {
	return &app{cfg: cfg, log: log, list: offered(cfg), guard: guardOf(cfg), fault: faultPoint(cfg.Fault)}
}

// offered are the connectors that can be connected here.
func offered(cfg config.Config) []connectors.Connector {
	all := list.All()
	if cfg.ExampleFolder != "" {
		all = append(all, example.New(cfg.ExampleFolder))
	}
	return all
}

// open starts database, Redis and store.
func (a *app) open(ctx context.Context) error {
	databaseURL, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	return a.openStore(ctx, databaseURL)
}

// openDatabase finds the database and brings it up to date.
func (a *app) openDatabase(ctx context.Context) (databaseURL string, err error) {
	if databaseURL, err = a.findDatabase(ctx); err != nil {
		return "", err
	}
	pg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return "", err
	}
	_, err = migrations.Up(ctx, pg)
	return databaseURL, err
}

// findDatabase starts the built-in database, where none is configured, and looks whether one that is will do.
func (a *app) findDatabase(ctx context.Context) (databaseURL string, err error) {
	if err := checkAddresses(a.cfg); err != nil {
		return "", err
	}
	databaseURL = a.cfg.DatabaseURL
	if databaseURL == "" {
		if err := a.startDatabase(ctx); err != nil {
			return "", err
		}
		databaseURL = a.local.URL()
	}
	pg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return "", err
	}
	if a.local == nil {
		a.refuse(pg.Host, int(pg.Port))
		if err := checkServer(ctx, pg); err != nil {
			return "", err
		}
	}
	return databaseURL, nil
}

// bringForward brings the layouts of snapshots up to date.
func (a *app) bringForward(ctx context.Context, s *store.Store) error {
	n, err := s.BringForward(ctx)
	if n > 0 {
		a.log.Info("Snapshots were brought to the layout of this version.", "snapshots", n)
	}
	return err
}

// oldestServer is the oldest version of PostgreSQL that the app's statements are for.
const oldestServer = 150000

// checkServer says what is wrong with a database that the app is told to use.
func checkServer(ctx context.Context, pg *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, pg)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return core.Wrap(err, core.Unavailable, "The database at DATABASE_URL refuses the connection: %s.", refusal.Message)
	}
	if err != nil {
		return core.Wrap(err, core.Unavailable, "The database at DATABASE_URL cannot be reached: nothing answers at %s port %d.", pg.Host, pg.Port)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var number int
	var version, encoding string
	err = conn.QueryRow(ctx, `select current_setting('server_version_num')::int, current_setting('server_version'), current_setting('server_encoding')`).
		Scan(&number, &version, &encoding)
	switch {
	case err != nil:
		return core.Wrap(err, core.Unavailable, "The database at DATABASE_URL does not answer.")
	case number < oldestServer:
		return core.Errorf(core.Conflict, "The database at DATABASE_URL is PostgreSQL %s, and this app needs 15 or newer.", version)
	case encoding != "UTF8":
		return core.Errorf(core.Conflict, "The database at DATABASE_URL has the encoding %s, and this app needs UTF8.", encoding)
	}
	return nil
}

func (a *app) startDatabase(ctx context.Context) error {
	local, err := localdb.Start(ctx, localdb.Options{DataDir: a.cfg.DataDir, Binaries: a.cfg.PostgresBinaries, Log: a.log})
	if err != nil {
		return err
	}
	a.local = local
	a.letInSample()
	a.later(func() {
		stop, cancel := context.WithTimeout(context.Background(), databaseLimit)
		defer cancel()
		_ = local.Stop(stop)
	})
	return nil
}

// checkAddresses finds settings that are no addresses before anything is started. The addresses hold passwords, so no error
// quotes them.
func checkAddresses(cfg config.Config) error {
	for name, address := range map[string]string{"DATABASE_URL": cfg.DatabaseURL, "SAMPLE_DATABASE_URL": cfg.SampleDatabaseURL} {
		if _, err := pgx.ParseConfig(address); address != "" && err != nil {
			return core.Errorf(core.Invalid, "%s is not the address of a Postgres database (postgres://user:password@host:5432/database).", name)
		}
	}
	if _, err := redis.ParseURL(cfg.RedisURL); cfg.RedisURL != "" && err != nil {
		return core.Errorf(core.Invalid, "REDIS_URL is not the address of a Redis (redis://:password@host:6379/0).")
	}
	return nil
}

// refuse keeps users' connections away from the app's own servers.
func (a *app) refuse(host string, port int) {
	ips, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return // a socket, or a name that nobody can dial
	}
	for _, ip := range ips {
		a.guard.Refuse = append(a.guard.Refuse, netip.AddrPortFrom(ip, uint16(port))) // #nosec G115 -- the port of an address that was parsed
	}
}

// openBox opens the operator's key; sealed says that there is something already that it has to open.
func (a *app) openBox(ctx context.Context, sealed bool) (*secrets.Box, error) {
	box, err := a.operatorsKey(ctx, sealed)
	if err != nil || a.cfg.SecretsKeyBefore == "" {
		return box, err
	}
	before, err := keyBefore(ctx, a.cfg.SecretsKeyBefore)
	if err != nil {
		return nil, err
	}
	return box.Before(before), nil
}

func (a *app) operatorsKey(ctx context.Context, sealed bool) (*secrets.Box, error) {
	switch {
	case a.cfg.SecretsKey != "":
		return secrets.FromText(a.cfg.SecretsKey)
	case a.cfg.SecretsKeyKMS != "":
		return secrets.FromKMS(ctx, a.cfg.SecretsKeyKMS)
	}
	path, err := a.keyPath()
	if err != nil {
		return nil, err
	}
	_, missing := os.Stat(path)
	box, err := secrets.Open(path, sealed && a.cfg.SecretsKeyBefore == "")
	if err == nil && errors.Is(missing, fs.ErrNotExist) {
		a.log.Info("A key for the credentials of connections was made. Every process needs this one; keep a copy of it apart from backups.", "file", path)
	}
	return box, err
}

// keyBefore opens the key that another takes the place of: the key itself, a file's path, or an address.
func keyBefore(ctx context.Context, key string) (*secrets.Box, error) {
	switch {
	case filepath.IsAbs(key):
		return secrets.Open(key, true)
	case secrets.IsAddress(key):
		return secrets.FromKMS(ctx, key)
	}
	return secrets.FromText(key)
}

// keyPath is where the key of the credentials is.
func (a *app) keyPath() (string, error) {
	if a.cfg.SecretsKeyFile != "" {
		return a.cfg.SecretsKeyFile, nil
	}
	dir := a.cfg.DataDir
	if dir == "" {
		var err error
		if dir, err = localdb.DefaultDataDir(os.Getenv); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "secrets-key.json"), nil
}

// openKeys gives the operator's key and what seals credentials with the keys that it opens.
func (a *app) openKeys(ctx context.Context, pool *pgxpool.Pool) (*secrets.Box, *secrets.Ring, error) {
	sealed, err := store.AnySecrets(ctx, pool)
	if err != nil {
		return nil, nil, err
	}
	box, err := a.openBox(ctx, sealed)
	if err != nil {
		return nil, nil, err
	}
	keys, err := store.OpenKeys(ctx, pool, box)
	if err != nil {
		return nil, nil, err
	}
	return box, keys, store.CheckKey(ctx, pool, keys)
}

func (a *app) openStore(ctx context.Context, databaseURL string) error {
	told, err := traces.New(ctx, a.cfg.Collector, core.NewID("run"))
	if err != nil {
		return core.Wrap(err, core.Invalid, "OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: %v.", err)
	}
	a.traces = told
	a.later(told.Stop)
	if a.counts, err = analytics.New(a.cfg.PostHogKey, a.cfg.PostHogHost, a.log); err != nil {
		return core.Wrap(err, core.Invalid, "POSTHOG_HOST cannot be used: %v.", err)
	}
	a.later(a.counts.Stop)
	pool, err := store.Connect(ctx, databaseURL, a.cfg.DatabaseConnections, told.Database())
	if err != nil {
		return err
	}
	a.later(pool.Close)
	_, keys, err := a.openKeys(ctx, pool)
	if err != nil {
		return err
	}
	if err := a.openRedis(ctx); err != nil {
		return err
	}
	version, err := static.Version(static.Files())
	if err != nil {
		return fmt.Errorf("static files: %w", err)
	}
	a.turns = turns.New(a.redis, a.log)
	a.hub = events.New(a.redis, a.log, events.Version(version))
	options := store.Options{Pool: pool, Notifier: a.hub, Sealer: keys, Log: a.log, Fault: a.fault, BulkCells: a.cfg.BulkCells,
		Sessions: a.redis, SessionIdle: a.cfg.SessionIdle, AuditKept: a.cfg.AuditKept, Base: a.cfg.Base(), TraceParent: a.traces.Parent, Limits: store.Limits{Jobs: a.cfg.MaxJobs, Records: a.cfg.MaxRecords, Files: a.cfg.MaxFiles, FileBytes: a.cfg.MaxFileBytes}}
	if a.cfg.RedisURL != "" {
		options.Redis = a.redis
	}
	a.store = store.New(options)
	if err := a.bringForward(ctx, a.store); err != nil {
		return err
	}
	a.metrics = metrics.New(metrics.Sources{Pool: pool, Streams: a.hub.Streams, Jobs: a.store.OpenJobs})
	return nil
}

func (a *app) openRedis(ctx context.Context) error {
	if a.cfg.RedisURL == "" {
		return a.localRedis()
	}
	opts, err := redis.ParseURL(a.cfg.RedisURL)
	if err != nil {
		return err // it was checked at the start
	}
	a.redis = redis.NewClient(opts)
	a.later(func() { _ = a.redis.Close() })
	if host, port, err := net.SplitHostPort(opts.Addr); err == nil {
		n, _ := strconv.Atoi(port) // go-redis has parsed it
		a.refuse(host, n)
	}
	if err := a.redis.Ping(ctx).Err(); err != nil {
		return noRedis(err, opts.Addr)
	}
	return nil
}

// noRedis says why the Redis at REDIS_URL is not to be had. The address holds a password, so host and port alone are quoted.
func noRedis(err error, address string) error {
	var refusal redis.Error
	if errors.As(err, &refusal) {
		return core.Wrap(err, core.Unavailable, "Redis at REDIS_URL refuses the connection: %s.", strings.TrimSuffix(refusal.Error(), "."))
	}
	return core.Wrap(err, core.Unavailable, "Redis cannot be reached at REDIS_URL: nothing answers at %s.", address)
}

// redisLog puts what the Redis client says into the log, where it is read with the rest: on its own it writes lines of another form.
type redisLog struct{ *slog.Logger }

// Printf takes one line. It is told again and again while Redis is away, which /readyz and the app's own warnings say too.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.DebugContext(ctx, "redis", "words", fmt.Sprintf(format, v...))
}

// localRedis runs one in process, behind a random password, with its clock ticking.
func (a *app) localRedis() error {
	m := miniredis.NewMiniRedis()
	password := core.NewID("pw")
	m.RequireAuth(password)
	m.ClockTTL(true)
	if err := m.Start(); err != nil {
		return core.Wrap(err, core.Unavailable, "The built-in Redis could not be started.")
	}
	a.later(m.Close)
	a.log.Info("No REDIS_URL: using the built-in Redis.")
	a.redis = redis.NewClient(&redis.Options{Addr: m.Addr(), Password: password})
	a.later(func() { _ = a.redis.Close() })
	if host, port, err := net.SplitHostPort(m.Addr()); err == nil {
		n, _ := strconv.Atoi(port)
		a.refuse(host, n)
	}
	return nil
}

// settings gives a connection's connector and settings. The sample's address is filled in at use: its port is another at
// each start.
func (a *app) settings(ctx context.Context, by core.Actor, id string) (connectors.Connector, connectors.Settings, error) {
	con, err := a.store.ConnectionByID(ctx, by, id)
	if err != nil {
		return nil, nil, err
	}
	all, err := a.store.ConnectionSettings(ctx, by, id)
	if err != nil {
		return nil, nil, err
	}
	if con.Sample && a.local != nil {
		host, port := a.local.SampleAddr()
		all["host"], all["port"] = host, strconv.Itoa(port)
	}
	for _, c := range a.list {
		if c.Info().ID == con.Connector {
			return c, all, nil
		}
	}
	return nil, nil, core.Errorf(core.NotFound, "This program has no connector %s.", con.Connector)
}

// sampleConnection makes the sample database ready and says what connection opens it.
func (a *app) sampleConnection(ctx context.Context) (store.NewConnection, error) {
	address, settings, secret, err := a.sampleAddress(ctx)
	if err != nil {
		return store.NewConnection{}, err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return store.NewConnection{}, core.Wrap(err, core.Unavailable, "The sample database cannot be reached.")
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := sample.Load(ctx, conn); err != nil {
		return store.NewConnection{}, err
	}
	return store.NewConnection{Connector: "postgres", Name: "Sample database", Settings: settings, Secrets: map[string]string{"password": secret}, Sample: true}, nil
}

func (a *app) sampleAddress(ctx context.Context) (address string, settings map[string]string, password string, err error) {
	if a.local == nil {
		if a.cfg.SampleDatabaseURL == "" {
			return "", nil, "", core.Errorf(core.Conflict, "There is no sample here: the app runs on a database of yours. Set SAMPLE_DATABASE_URL to have one.")
		}
		cfg, err := pgx.ParseConfig(a.cfg.SampleDatabaseURL)
		if err != nil {
			return "", nil, "", err // it was checked at the start
		}
		return a.cfg.SampleDatabaseURL, map[string]string{"host": cfg.Host, "port": strconv.Itoa(int(cfg.Port)), "database": cfg.Database, "user": cfg.User, "sslmode": "disable"}, cfg.Password, nil
	}
	role, err := a.local.EnsureSample(ctx)
	if err != nil {
		return "", nil, "", err
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role.User, role.Password), Host: net.JoinHostPort(role.Host, strconv.Itoa(role.Port)), Path: role.Database, RawQuery: "sslmode=disable"}
	return u.String(), map[string]string{"host": role.Host, "port": "5432", "database": role.Database, "user": role.User, "sslmode": "disable"}, role.Password, nil
}

// slice tells those who count of a slice of a job.
func (a *app) slice(org, kind, state string, took time.Duration) {
	a.metrics.Slice(kind, state, took)
	if (store.Job{State: state}).Ended() {
		a.counts.JobEnded(org, kind, state, took)
	}
}

// startJobs begins to take up jobs. A process that has the database to itself ends its predecessor's leases at once.
func (a *app) startJobs(ctx context.Context) error {
	if a.local != nil {
		if err := errors.Join(a.store.EndLeases(ctx), a.store.EndTries(ctx)); err != nil {
			return err
		}
	}
	t := jobs.DefaultTimings().Scaled(a.cfg.Lease)
	poster := webhook.New(a.guard.Dial)
	a.later(poster.Close)
	a.runner = jobs.New(jobs.Options{Store: a.store, Redis: a.redis, Dial: a.guard.Dial, Settings: a.settings, Lend: a.turns.Lend, Timings: t, Workers: a.cfg.Workers, Log: a.log,
		Fault: a.fault, Slice: a.slice, Post: poster.Post, Traces: a.traces})
	a.store.SetWaker(a.runner.Wake)
	a.later(a.runner.Stop)
	return a.runner.Start()
}
