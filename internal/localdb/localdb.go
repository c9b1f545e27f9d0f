// Package localdb runs PostgreSQL as a child of this program, for people who have no server of their own.
//
// The app reaches it over a private unix socket with a random password. Over TCP, on 127.0.0.1 only, it takes the
// sample's role in the sample's database and nothing else. It ends with the program, also after kill -9.
package localdb

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	appRole     = "scratchpaper"
	appDatabase = "scratchpaper"
	loopback    = "127.0.0.1"

	// startLimit bounds a start whose context has no deadline. Recovery after a crash replays at most max_wal_size.
	startLimit = 10 * time.Minute
)

// Options say where the data lies and how the child runs.
type Options struct {
	// DataDir is the data folder. Empty means DefaultDataDir.
	DataDir string
	// Binaries is a folder with bin/postgres and bin/initdb, or those two themselves. Empty means that they are searched for.
	Binaries string
	// User is who the child runs as when this program runs as root. Empty means "nobody".
	User string
	// Log takes the child's own words and the start line. Nil means slog.Default().
	Log *slog.Logger
	// Fast gives up durability. For tests only.
	Fast bool
	// OpenTCP lets every role in over 127.0.0.1 by password, not only the sample's. For tests only.
	OpenTCP bool
}

// Server is a running child, or one that an earlier process left behind and that was adopted. When it ends by itself it is
// started again, at the same address.
type Server struct {
	// Adopted says that the server was already running when Start was called.
	Adopted bool
	// DataDir is the folder that holds the data: Options.DataDir, or one below /var/lib when that is closed to the child's user.
	DataDir string

	o        Options
	log      *slog.Logger
	lock     *dirLock
	place    place
	bin      string
	password string
	port     int

	sample   sync.Mutex // who makes the sample ready; Postgres lets no two change a role at once
	mu       sync.Mutex
	process  process
	stopping bool
	failure  error              // why it is not running any more
	over     chan struct{}      // closed when it has ended for good
	giveUp   context.CancelFunc // ends a restart
	stopOnce sync.Once
	stopErr  error
}

// Start runs the database and returns when it takes connections. It waits for a server that is still ending, adopts
// one that goes on running, makes a new cluster in an empty folder and recovers after a crash. A deadline of ten
// minutes holds when ctx has none. Codes: Busy when another process uses the folder, Unavailable otherwise.
func Start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p, err := findPlace(o)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(p.base)
	if err != nil {
		return nil, err
	}
	s, err := startLocked(ctx, o, p)
	if err != nil {
		lock.release()
		return nil, err
	}
	s.lock = lock
	s.announce()
	s.supervise()
	return s, nil
}

func startLocked(ctx context.Context, o Options, p place) (*Server, error) {
	if err := p.checkVersion(); err != nil {
		return nil, err
	}
	bin, err := findBinaries(ctx, o, p)
	if err != nil {
		return nil, err
	}
	s := &Server{DataDir: p.base, o: o, log: o.Log, place: p, bin: bin, over: make(chan struct{})}
	if s.password, err = readOrMakePassword(p.path("postgres-password"), p.hasCluster()); err != nil {
		return nil, err
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	if err := s.ensureDatabase(ctx, appDatabase, appRole); err != nil {
		s.process.kill()
		return nil, unavailable(err, "The database started but its own database could not be made.")
	}
	return s, nil
}

func (s *Server) run(ctx context.Context) error {
	prev, err := previous(ctx, s.place, s.password)
	if err != nil {
		return err
	}
	if prev != nil {
		s.Adopted, s.process, s.port, s.place.socketDir = true, prev.process, prev.port, prev.socketDir
		return nil
	}
	if err := ensureCluster(ctx, s.place, s.bin, s.password, s.o); err != nil {
		return err
	}
	if err := writeSettings(s.place, s.o, s.bin); err != nil {
		return unavailable(err, "The settings of the database in %s could not be written.", s.place.cluster())
	}
	if s.place.socketDir, err = s.place.makeSocketDir(); err != nil {
		return err
	}
	if s.process, err = s.launch(ctx, freePort); err != nil {
		return err
	}
	s.place.dropOtherTrees(s.bin)
	return nil
}

func (s *Server) announce() {
	how := "started"
	if s.Adopted {
		how = "adopted"
	}
	args := []any{"how", how, "data", s.place.cluster(), "sample_port", s.port}
	if s.place.moved {
		args = append(args, "because", fmt.Sprintf("%s is closed to the user %s, who runs the database", s.place.asked, s.place.owner.name))
	}
	s.log.Info("No DATABASE_URL: using the built-in PostgreSQL.", args...)
}

// URL is the app's own connection: its role, its database, over the private socket.
func (s *Server) URL() string { return s.AdminURL(appDatabase) }

// AdminURL is a connection of the app's role to any database of this server.
func (s *Server) AdminURL(db string) string { return s.userURL(appRole, s.password, db) }

func (s *Server) userURL(user, password, db string) string {
	q := url.Values{
		"host": {s.place.socketDir}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"},
		// Said here, so that PGOPTIONS, PGTZ and PGTARGETSESSIONATTRS of this program's environment do not count.
		"options": {""}, "timezone": {"UTC"}, "target_session_attrs": {"any"},
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + db, RawQuery: q.Encode()}
	return u.String()
}

// SampleAddr is where the sample's role may connect. The port changes with every start; never store it.
func (s *Server) SampleAddr() (host string, port int) { return loopback, s.port }

// DefaultDataDir is $XDG_DATA_HOME/scratchpaper, or ~/.local/share/scratchpaper.
func DefaultDataDir(env func(string) string) (string, error) {
	if dir := env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "scratchpaper"), nil
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "scratchpaper"), nil
	}
	return "", unavailable(nil, "There is no home folder to keep data in. Set DATA_DIR.")
}
