// Package handlers is HTTP: routes in one file, one file per resource; pages, fragments, events, uploads. It calls the
// verbs of the store and renders views; it never speaks SQL.
package handlers

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/analytics"
	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/internal/metrics"
	"scratchpaper/internal/traces"
	"scratchpaper/static"
	"scratchpaper/store"
)

// runID is another one in each process.
var runID = core.NewID("run")

// Config is what the pages and their protection need to know of how the app was started.
type Config struct {
	Hosts         []string // host names, without port, that requests may name beside loopback ones
	Version       string   // of the program, as shown
	Dev           bool     // the gallery of components is served, and pages load anew when the program does
	Secure        bool     // people open the app by https, and by nothing else
	Admins        []string // e-mail addresses of the app's operators, where people sign in
	LocalDatabase bool     // the database is the built-in one
	MaxUpload     int64    // bytes of one uploaded file; 0 is 4 GB
	// MetricsToken opens the metrics; without one they are for this machine only.
	MetricsToken string
	Places       []Place // where data lies, for the settings page
	// Proxies are the networks whose X-Forwarded-For says where a request comes from; none is believed without.
	Proxies []netip.Prefix
}

// Place is one place where data lies, for the settings page. It never holds a password.
type Place struct{ Name, Where string }

// Deps are what a Server is made of.
type Deps struct {
	Store      *store.Store
	Hub        *events.Hub
	Connectors []connectors.Connector
	// Dial opens connections to services; it refuses addresses that are not allowed.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Settings gives a connection's connector and all its settings, secrets included; jobs are given the same.
	Settings func(ctx context.Context, by core.Actor, connection string) (connectors.Connector, connectors.Settings, error)
	// Lend gives a session's environment the turns of its connection; nil lets every request through.
	Lend func(connection string, in connectors.Info, env connectors.Environment) connectors.Environment
	// Sample makes the sample database ready and says what connection opens it; nil when there can be none.
	Sample func(ctx context.Context) (store.NewConnection, error)
	// Identify says who asks; nil is one person at this machine. Codes: Unauthorized.
	Identify func(r *http.Request) (core.Actor, error)
	// SignIn is how people get in by accounts that are kept here; nil where there are none.
	SignIn *SignIn
	// Clerk is how people get in at Clerk; nil where they do not.
	Clerk *ClerkSignIn
	// AgentKeys are those of agents' tokens; nil takes them from the store.
	AgentKeys auth.Keys
	// Ready says in a sentence what is not up, beside the database; nil is nothing.
	Ready  func(ctx context.Context) error
	Assets fs.FS // the static files; nil takes the embedded ones
	Log    *slog.Logger
	Config Config
	// Requests limits how many requests people and addresses make; nil does not.
	Requests *RequestLimits
	// Metrics counts requests, and is served; nil does neither.
	Metrics *metrics.Metrics
	// Analytics are told which parts are used; nil is told nothing.
	Analytics *analytics.Analytics
	// Traces are told of each request; nil is told nothing.
	Traces *traces.Traces
	// Queues says how the queues of jobs are; nil does not. Codes: Unavailable.
	Queues func(ctx context.Context) (core.Queues, error)
}

// Server answers every request.
type Server struct {
	store      *store.Store
	hub        *events.Hub
	connectors []connectors.Connector
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	settings   func(ctx context.Context, by core.Actor, connection string) (connectors.Connector, connectors.Settings, error)
	lend       func(connection string, in connectors.Info, env connectors.Environment) connectors.Environment
	sample     func(ctx context.Context) (store.NewConnection, error)
	identify   func(r *http.Request) (core.Actor, error)
	signIn     *SignIn
	clerk      *ClerkSignIn
	agentKeys  auth.Keys
	requests   *RequestLimits
	aside      sync.WaitGroup // what goes on behind a request
	ready      func(ctx context.Context) error
	assets     *assets
	log        *slog.Logger
	metrics    *metrics.Metrics
	queues     func(ctx context.Context) (core.Queues, error)
	switches   *switches
	analytics  *analytics.Analytics
	traces     *traces.Traces
	config     Config
	acts       map[string]core.Act // what each address does, by method and path
	echo       *echo.Echo
}

// New makes a server. It panics when the embedded files cannot be read, which a build decides.
func New(d Deps) *Server {
	s := &Server{
		store: d.Store, hub: d.Hub, connectors: d.Connectors, dial: d.Dial, settings: d.Settings, lend: d.Lend, sample: d.Sample, identify: d.Identify, ready: d.Ready, signIn: d.SignIn,
		clerk: d.Clerk, requests: d.Requests, agentKeys: d.AgentKeys, log: d.Log, metrics: d.Metrics, queues: d.Queues, traces: d.Traces, analytics: d.Analytics, switches: &switches{store: d.Store, known: map[string]knownSwitches{}}, config: d.Config, assets: newAssets(d.Assets),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.agentKeys == nil {
		s.agentKeys = AgentKeys(s.store)
	}
	if s.identify == nil {
		s.identify = append(Programs(s.store, s.agentKeys), auth.Local{}).Identify
	}
	if s.config.MaxUpload == 0 {
		s.config.MaxUpload = 4 << 30
	}
	if s.dial == nil {
		s.dial = (&net.Dialer{}).DialContext
	}
	if s.settings == nil {
		s.settings = s.storedSettings
	}
	s.echo = s.newEcho()
	return s
}

func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = addressOf(s.config.Proxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.answerError(c, err) }
	e.Use(s.logged, s.protected, s.readable, s.identified)
	s.acts = s.access()
	s.routes(e)
	s.mustKnow(e)
	return e
}

// addressOf gives where a request comes from: its connection, or, behind proxies of ours, what the last of them says.
func addressOf(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		if _, network, err := net.ParseCIDR(p.Masked().String()); err == nil { // it was parsed before
			options = append(options, echo.TrustIPRange(network))
		}
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// Wait waits for what goes on behind requests.
func (s *Server) Wait() { s.aside.Wait() }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// actor says who asks.
func actor(c echo.Context) core.Actor {
	by, _ := c.Get(actorKey).(core.Actor)
	return by
}

const actorKey = "actor"

// assets serves the static files under an address that names their content.
type assets struct {
	version string
	files   http.Handler
}

func newAssets(files fs.FS) *assets {
	if files == nil {
		files = static.Files()
	}
	version, err := static.Version(files)
	if err != nil {
		panic(err)
	}
	return &assets{version: version, files: http.FileServerFS(files)}
}

func (a *assets) base() string { return "/static/" + a.version }

// serve answers GET /static/<version>/<path>. Another version gets today's files, which it may not keep.
func (a *assets) serve(c echo.Context) error {
	if name := c.Param("*"); name == "" || strings.HasSuffix(name, "/") {
		return core.Errorf(core.NotFound, "There is nothing at this address.") // the file server would list the folder
	}
	h := c.Response().Header()
	if c.Param("version") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	http.StripPrefix("/static/"+c.Param("version"), a.files).ServeHTTP(c.Response(), c.Request())
	return nil
}
