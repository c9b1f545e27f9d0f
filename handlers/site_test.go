package handlers

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/metrics"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/internal/redistest"
	"scratchpaper/jobs"
	"scratchpaper/store"
)

// site is the app's pages over a real database, and a service to connect to.
type site struct {
	*httptest.Server
	store   *store.Store
	by      core.Actor
	service *url.URL
	app     *Server
	people  *people
	rdb     redis.UniversalClient
}

// people are who requests can come from beside the local person: the one that the header X-As names.
type people struct {
	mu    sync.Mutex
	known map[string]core.Actor
}

// identify is what an identity provider does: it looks at the request and knows somebody, or does not.
func (p *people) identify(r *http.Request) (core.Actor, error) {
	name := r.Header.Get("X-As")
	if name == "" {
		return core.Local(), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.known[name]; ok {
		return a, nil
	}
	return core.Actor{}, core.Errorf(core.Unauthorized, "Sign in first.")
}

func (p *people) set(name string, a core.Actor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[name] = a
}

func (p *people) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}

// mustOrganization makes another organization with one person, who may do everything there and is known by its name in X-As.
func (s *site) mustOrganization(t *testing.T, name string) core.Actor {
	t.Helper()
	by := core.Actor{Org: "org_" + name, Person: "per_" + name, Name: "Person of " + name, Kind: "person", Role: core.Admin}
	for _, sql := range []string{`insert into organizations (id, name) values ('org_' || $1, $1)`, `insert into people (id, name) values ('per_' || $1, 'Person of ' || $1)`,
		`insert into members (org_id, person_id, role) values ('org_' || $1, 'per_' || $1, 'admin')`} {
		if _, err := s.store.Pool().Exec(t.Context(), sql, name); err != nil {
			t.Fatal(err)
		}
	}
	s.people.set(name, by)
	return by
}

type plainBox struct{}

func (plainBox) Seal(p []byte, _, _, _ string) ([]byte, error)   { return p, nil }
func (plainBox) Unseal(p []byte, _, _, _ string) ([]byte, error) { return p, nil }

const serviceTables = `create table kettles (id int primary key, title text not null, price numeric(6,2));
	insert into kettles select n, 'Kettle ' || n, n from generate_series(1, 20) n; analyze kettles;
	create table log (line text)`

func mustSite(t *testing.T) *site {
	t.Helper()
	return mustSiteWith(t, nil)
}

// mustSiteWith is mustSite with other parts; change is nil or gets those that it would be made of.
func mustSiteWith(t *testing.T, change func(s *site, d *Deps)) *site {
	t.Helper()
	ctx := t.Context()
	address := testdb.Migrated(t)
	pool, err := store.Connect(ctx, address, 8, orgcheck.Tracer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	service := mustService(t, serviceTables)
	quiet := slog.New(slog.DiscardHandler)
	rdb := redis.NewClient(&redis.Options{Addr: redistest.InProcess(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	hub := events.New(rdb, quiet, events.SessionEvery(50*time.Millisecond))
	go func() { _ = hub.Run(context.WithoutCancel(ctx)) }()
	t.Cleanup(hub.Stop)
	s := &site{by: core.Local(), service: service, store: store.New(store.Options{Pool: pool, Notifier: hub, Sealer: plainBox{}, Log: quiet, Sessions: rdb}),
		people: &people{known: map[string]core.Actor{}}, rdb: rdb}
	d := Deps{Store: s.store, Hub: hub, Connectors: []connectors.Connector{postgres.New()},
		Dial: (&net.Dialer{}).DialContext, Identify: s.people.identify, Sample: s.sample(t), Log: quiet, Config: Config{Dev: true},
		Metrics: metrics.New(metrics.Sources{Pool: pool, Streams: hub.Streams, Jobs: s.store.OpenJobs})}
	if change != nil {
		change(s, &d)
	}
	s.app = New(d)
	t.Cleanup(s.app.Wait)
	s.Server = httptest.NewServer(s.app)
	t.Cleanup(func() { hub.StopStreams(); s.Close() })
	s.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// mustService makes a database that the app connects to as a service.
func mustService(t *testing.T, sql string) *url.URL {
	t.Helper()
	address := testdb.URL(t)
	if _, err := testdb.Pool(t, address).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	service, err := url.Parse(testdb.TCP(t, address))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// sample makes the sample's database when it is asked for.
func (s *site) sample(t *testing.T) func(ctx context.Context) (store.NewConnection, error) {
	return func(context.Context) (store.NewConnection, error) {
		v := settingsOf(mustService(t, `create table places (id int primary key, name text not null); insert into places values (1, 'Paris'), (2, 'Oslo')`))
		secret := v["password"]
		delete(v, "password")
		return store.NewConnection{Connector: "postgres", Name: "Sample database", Settings: v, Secrets: map[string]string{"password": secret}}, nil
	}
}

// settingsOf are the settings of a connection to a service.
func settingsOf(service *url.URL) map[string]string {
	password, _ := service.User.Password()
	return map[string]string{"host": service.Hostname(), "port": service.Port(), "database": strings.TrimPrefix(service.Path, "/"), "user": service.User.Username(),
		"password": password, "sslmode": "disable"}
}

// mustWork starts workers; they stop with the test, or when they are told to.
func (s *site) mustWork(t *testing.T) *jobs.Runner {
	t.Helper()
	return s.mustWorkAt(t, 4*time.Second)
}

// mustWorkAt is mustWork with another lease: what a request carries must get through in a part of it.
func (s *site) mustWorkAt(t *testing.T, lease time.Duration) *jobs.Runner {
	t.Helper()
	r := jobs.New(jobs.Options{Store: s.store, Redis: s.rdb, Dial: (&net.Dialer{}).DialContext, Settings: s.app.storedSettings, Timings: jobs.DefaultTimings().Scaled(lease),
		Workers: 2, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	s.store.SetWaker(r.Wake)
	t.Cleanup(r.Stop)
	return r
}

// ended waits until a job is done, which stands in the API's answer under a path at some place.
func (s *site) ended(t *testing.T, limit time.Duration, path string, at ...any) {
	t.Helper()
	for until := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) { // asks until it has ended
		j := field(s.call(t, "GET", path, "", 200), at...)
		switch {
		case field(j, "state") == "done":
			return
		case field(j, "state") == "failed" || time.Now().After(until):
			t.Fatalf("the job is %v", j)
		}
	}
}

// answer is what a browser got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) do(t *testing.T, method, path string, form url.Values, header ...string) answer {
	t.Helper()
	return s.send(t, s.request(t, method, path, form, header...))
}

func (s *site) request(t *testing.T, method, path string, form url.Values, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return req
}

func (s *site) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	return sendBy(t, s.Client(), req)
}

func sendBy(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (s *site) get(t *testing.T, path string, header ...string) answer {
	t.Helper()
	return s.do(t, http.MethodGet, path, nil, header...)
}

func (s *site) post(t *testing.T, path string, form url.Values, header ...string) answer {
	t.Helper()
	return s.do(t, http.MethodPost, path, form, header...)
}

// connection is the form's values for the service, with changes as pairs.
func (s *site) connection(changes ...string) url.Values {
	password, _ := s.service.User.Password()
	v := url.Values{"connector": {"postgres"}, "name": {"Shop"}, "host": {s.service.Hostname()}, "port": {s.service.Port()},
		"database": {strings.TrimPrefix(s.service.Path, "/")}, "user": {s.service.User.Username()}, "password": {password}, "sslmode": {"disable"}, "action": {"save"}}
	for i := 0; i+1 < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
	}
	return v
}

// mustConnect connects the service by the form and gives the connection's id.
func (s *site) mustConnect(t *testing.T) string {
	t.Helper()
	a := s.post(t, "/connections", s.connection())
	id, ok := strings.CutPrefix(a.header.Get("Location"), "/snapshots/new?connection=")
	if a.status != http.StatusSeeOther || !ok {
		t.Fatalf("the form answered %d %q\n%s", a.status, a.header.Get("Location"), a.body)
	}
	return id
}

func (a answer) is(t *testing.T, status int, parts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status is %d, want %d\n%s", a.status, status, a.body)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			t.Errorf("there is no %q in\n%s", p, a.body)
		}
	}
}

func (a answer) lacks(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(a.body, p) {
			t.Errorf("there is %q in\n%s", p, a.body)
		}
	}
}
