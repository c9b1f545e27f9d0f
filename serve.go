package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"scratchpaper/handlers"
	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

const (
	// drainLimit is how long a stop waits for requests that are being answered.
	drainLimit = 10 * time.Second
	// databaseLimit is how long the built-in database may take to shut down; after that it recovers at the next start.
	databaseLimit = 20 * time.Second
)

// front answers with what is there: while the app starts, a page that says so.
type front struct {
	current atomic.Pointer[http.Handler]
	leaving atomic.Bool // no more requests are wanted on a connection that is open
}

func (f *front) show(h http.Handler) { f.current.Store(&h) }

// ServeHTTP answers one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.leaving.Load() {
		w.Header().Set("Connection", "close")
	}
	(*f.current.Load()).ServeHTTP(w, r)
}

// serve runs the web app until it is told to stop.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	f := &front{}
	f.show(handlers.Starting(func() string { return "The database is starting. This page opens by itself." }))
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, Handler: f}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	defer web.Close()

	a := newApp(cfg, log)
	defer a.close()
	if err := a.open(ctx); err != nil {
		return err
	}
	if err := a.startAll(ctx); err != nil {
		return err
	}
	pages, err := a.pages()
	if err != nil {
		return err
	}
	a.later(pages.Wait)
	f.show(pages)
	web.RegisterOnShutdown(a.hub.StopStreams)
	fmt.Fprintf(os.Stderr, "Scratchpaper is at http://%s\n", listener.Addr())
	if err := a.printSetUp(ctx); err != nil {
		return err
	}
	select {
	case err = <-failed:
	case <-a.databaseGone():
		err = a.local.Err()
	case <-ctx.Done():
		log.Info("Stopping. Requests are answered and jobs handed back.")
	}
	f.leaving.Store(true)
	a.drain(web)
	return err
}

// listen takes the port, and says what to do when that is not to be had.
func listen(cfg config.Config) (net.Listener, error) {
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, core.Wrap(err, core.Conflict, "The port %d is taken. End what uses it, or start with another one: PORT=%d.", cfg.Port, cfg.Port%65535+1)
	case errors.Is(err, syscall.EACCES):
		return nil, core.Wrap(err, core.Conflict, "The port %d is for root only. Start with one above 1023: PORT=3010.", cfg.Port)
	case err != nil:
		return nil, core.Wrap(err, core.Conflict, "The app cannot listen at %s: %v.", address, err)
	}
	return l, nil
}

// pages is the web app.
func (a *app) pages() (*handlers.Server, error) {
	d := handlers.Deps{Store: a.store, Hub: a.hub, Connectors: a.list, Dial: a.guard.Dial, Settings: a.settings, Lend: a.turns.Lend,
		Ready: a.ready, Log: a.log, Metrics: a.metrics, Queues: a.runner.Queues, Traces: a.traces, Analytics: a.counts,
		Config: handlers.Config{Dev: a.cfg.Dev, Admins: a.cfg.Admins, LocalDatabase: a.local != nil, Secure: strings.HasPrefix(a.cfg.Base(), "https:"), Places: a.places(), MetricsToken: a.cfg.MetricsToken, MaxUpload: a.cfg.MaxUpload}}
	if a.local != nil || a.cfg.SampleDatabaseURL != "" {
		d.Sample = a.sampleConnection
	}
	if err := a.letIn(&d); err != nil {
		return nil, err
	}
	return handlers.New(d), nil
}

// ready says what is missing beside the database.
func (a *app) ready(ctx context.Context) error {
	if a.leaving.Load() {
		return core.Errorf(core.Unavailable, "This process is stopping.")
	}
	if err := a.redis.Ping(ctx).Err(); err != nil {
		return core.Wrap(err, core.Unavailable, "Redis does not answer.")
	}
	return nil
}

// drain says that it is not ready any more and waits until a load balancer has noticed; then it answers the requests at hand and takes no
// new ones. It hands the jobs back meanwhile.
func (a *app) drain(web *http.Server) {
	a.leaving.Store(true)
	handedBack := make(chan struct{})
	go func() {
		defer close(handedBack)
		a.runner.Stop()
	}()
	time.Sleep(a.cfg.StopDelay) // nothing tells when the balancer has noticed
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		a.log.Warn("Requests that took too long were cut off.", "error", err)
	}
	<-handedBack
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
	a := newApp(cfg, log)
	defer a.close()
	if err := a.open(ctx); err != nil {
		return err
	}
	if err := a.startAll(ctx); err != nil {
		return err
	}
	watched, err := a.letWatch()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "The worker takes up jobs.")
	select {
	case err = <-watched:
	case <-ctx.Done():
		a.leaving.Store(true)
		log.Info("Stopping. Jobs are handed back.")
	}
	return err
}

// letWatch answers what an operator asks of a worker at WATCH_ADDRESS, where that is set: whether it is well, and its metrics. The channel
// tells when that ended by itself.
func (a *app) letWatch() (<-chan error, error) {
	if a.cfg.WatchAddress == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", a.cfg.WatchAddress)
	if err != nil {
		return nil, core.Wrap(err, core.Conflict, "The worker cannot listen at WATCH_ADDRESS %s: %v.", a.cfg.WatchAddress, err)
	}
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		Handler: handlers.Watch(a.store, a.ready, a.metrics, a.cfg.MetricsToken)}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	a.later(func() { _ = web.Close() })
	fmt.Fprintf(os.Stderr, "The worker is watched at http://%s\n", listener.Addr())
	return failed, nil
}

// migrate brings the database up to date.
func migrate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	a := newApp(cfg, log)
	defer a.close()
	databaseURL, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, databaseURL, 1, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := a.bringForward(ctx, store.New(store.Options{Pool: pool, Log: log})); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "The database is up to date.")
	return nil
}

// makeSample makes the sample database.
func makeSample(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	a := newApp(cfg, log)
	defer a.close()
	if _, err := a.openDatabase(ctx); err != nil {
		return err
	}
	if _, err := a.sampleConnection(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "The sample database is ready.")
	return nil
}

// healthLimit is how long a look at a process's health may take.
const healthLimit = 5 * time.Second

// health asks the process of the same settings whether it is well, for supervisors that run a command.
func health(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port))
	if cfg.WatchAddress != "" {
		address = cfg.WatchAddress
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return core.Wrap(err, core.Unavailable, "Nothing answers at %s.", address)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return core.Errorf(core.Unavailable, "The process at %s answers %s.", address, resp.Status)
	}
	return nil
}
