package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/connectors/list"
	"scratchpaper/handlers"
	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/internal/httpx"
	"scratchpaper/internal/localdb"
	"scratchpaper/internal/sample"
	"scratchpaper/internal/secrets"
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
	guard   httpx.Guard
	list    []connectors.Connector
	closers []func()
	fault   func(point string) // nil outside of tests
}

// close stops everything in reverse.
func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
}

func (a *app) later(f func()) { a.closers = append(a.closers, f) }

// open starts database, Redis and store. Call close in any case.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (*app, error) {
	a := &app{cfg: cfg, log: log, list: list.All(), guard: httpx.Guard{AllowPrivate: true}, fault: faultPoint(cfg.Fault)}
	databaseURL := cfg.DatabaseURL
	if databaseURL == "" {
		local, err := localdb.Start(ctx, localdb.Options{DataDir: cfg.DataDir, Binaries: cfg.PostgresBinaries, Log: log})
		if err != nil {
			return a, err
		}
		a.local, databaseURL = local, local.URL()
		a.later(func() {
			stop, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_ = local.Stop(stop)
		})
	}
	pg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return a, core.Errorf(core.Invalid, "DATABASE_URL is not a Postgres address.")
	}
	if _, err := migrations.Up(ctx, pg); err != nil {
		return a, err
	}
	if cfg.DatabaseURL != "" {
		a.refuse(pg.Host, int(pg.Port))
	}
	return a, a.openStore(ctx, databaseURL)
}

// refuse keeps users' connections away from the app's own servers.
func (a *app) refuse(host string, port int) {
	ips, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return // a socket, or a name that nobody can dial
	}
	for _, ip := range ips {
		a.guard.Refuse = append(a.guard.Refuse, netip.AddrPortFrom(ip, uint16(port)))
	}
}

func (a *app) openStore(ctx context.Context, databaseURL string) error {
	pool, err := store.Connect(ctx, databaseURL, a.cfg.DatabaseConnections, nil)
	if err != nil {
		return err
	}
	a.later(pool.Close)
	sealed, err := store.AnySecrets(ctx, pool)
	if err != nil {
		return err
	}
	key := a.cfg.SecretsKeyFile
	if key == "" {
		dir := a.cfg.DataDir
		if dir == "" {
			if dir, err = localdb.DefaultDataDir(os.Getenv); err != nil {
				return err
			}
		}
		key = filepath.Join(dir, "secrets-key.json")
	}
	box, err := secrets.Open(key, sealed)
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
	a.hub = events.New(a.redis, a.log, events.Version(version))
	options := store.Options{Pool: pool, Notifier: a.hub, Sealer: box, Log: a.log, Fault: a.fault}
	if a.cfg.RedisURL != "" {
		options.Redis = a.redis
	}
	a.store = store.New(options)
	return nil
}

func (a *app) openRedis(ctx context.Context) error {
	if a.cfg.RedisURL == "" {
		return a.localRedis()
	}
	opts, err := redis.ParseURL(a.cfg.RedisURL)
	if err != nil {
		return core.Errorf(core.Invalid, "REDIS_URL is not a Redis address.")
	}
	a.redis = redis.NewClient(opts)
	a.later(func() { _ = a.redis.Close() })
	if host, port, err := net.SplitHostPort(opts.Addr); err == nil {
		n, _ := strconv.Atoi(port) // go-redis has parsed it
		a.refuse(host, n)
	}
	if err := a.redis.Ping(ctx).Err(); err != nil {
		return core.Wrap(err, core.Unavailable, "Redis does not answer at REDIS_URL.")
	}
	return nil
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
			return "", nil, "", core.Errorf(core.Invalid, "SAMPLE_DATABASE_URL is not a Postgres address.")
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

// startJobs begins to take up jobs. A process that has the database to itself ends its predecessor's leases at once.
func (a *app) startJobs(ctx context.Context) error {
	if a.local != nil {
		if err := errors.Join(a.store.EndLeases(ctx), a.store.EndTries(ctx)); err != nil {
			return err
		}
	}
	t := jobs.DefaultTimings().Scaled(a.cfg.Lease)
	a.runner = jobs.New(jobs.Options{Store: a.store, Redis: a.redis, Dial: a.guard.Dial, Settings: a.settings, Timings: t, Workers: a.cfg.Workers, Log: a.log,
		Fault: a.fault})
	a.store.SetWaker(a.runner.Wake)
	a.later(a.runner.Stop)
	return a.runner.Start()
}

// serve runs the web app until it is told to stop.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return core.Wrap(err, core.Conflict, "The port %d is taken. End what uses it, or start with another: PORT=3011 make run.", cfg.Port)
	}
	var current atomic.Pointer[http.Handler]
	starting := handlers.Starting(func() string { return "The database is starting. This page opens by itself." })
	current.Store(&starting)
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(w, r) })}
	failed := make(chan error, 1)
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	a, err := open(ctx, cfg, log)
	defer a.close()
	if err != nil {
		return err
	}
	if err := a.startAll(ctx); err != nil {
		return err
	}
	var server http.Handler = handlers.New(handlers.Deps{Store: a.store, Hub: a.hub, Connectors: a.list, Dial: a.guard.Dial, Settings: a.settings, Sample: a.sampleConnection,
		Ready: func(ctx context.Context) error { return a.redis.Ping(ctx).Err() }, Log: log, Config: handlers.Config{Dev: cfg.Dev, Places: a.places()}})
	current.Store(&server)
	web.RegisterOnShutdown(a.hub.StopStreams)
	fmt.Fprintf(os.Stderr, "Scratchpaper is at http://%s\n", listener.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
	case <-a.databaseGone():
		err = a.local.Err()
	}
	stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = web.Shutdown(stop)
	return err
}

func (a *app) databaseGone() <-chan struct{} {
	if a.local == nil {
		return nil
	}
	return a.local.Done()
}

func (a *app) places() []handlers.Place {
	if a.local != nil {
		return []handlers.Place{{Name: "Database", Where: a.local.DataDir}}
	}
	return []handlers.Place{{Name: "Database", Where: "DATABASE_URL"}}
}

func (a *app) startAll(ctx context.Context) error {
	hub, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.hub.Run(hub); err != nil {
			a.log.Error("events ended", "error", err)
		}
	}()
	a.later(func() { a.hub.Stop(); stop(); <-done })
	return a.startJobs(ctx)
}

// work runs workers only.
func work(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	if cfg.DatabaseURL == "" || cfg.RedisURL == "" {
		return core.Errorf(core.Invalid, "A worker shares its database with the app: set DATABASE_URL and REDIS_URL. With the built-in database, serve is the only process.")
	}
	a, err := open(ctx, cfg, log)
	defer a.close()
	if err != nil {
		return err
	}
	if err := a.startAll(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// migrate brings the database up to date.
func migrate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	a, err := open(ctx, cfg, log)
	defer a.close()
	if err == nil {
		fmt.Fprintln(os.Stderr, "The database is up to date.")
	}
	return err
}

// makeSample makes the sample database.
func makeSample(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	a, err := open(ctx, cfg, log)
	defer a.close()
	if err != nil {
		return err
	}
	if _, err := a.sampleConnection(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "The sample database is ready.")
	return nil
}
