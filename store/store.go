// Package store is Postgres through pgx: the verbs of the product, each one transaction. It knows nothing of HTTP.
// Every method takes the caller's organization, in an Actor, and sees nothing of any other.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
)

// Sealer encrypts what must not be readable in the database, bound to the row that it stands in.
type Sealer interface {
	Seal(plain []byte, org, table, id string) ([]byte, error)
	Unseal(sealed []byte, org, table, id string) ([]byte, error)
}

// Options are what a Store is made of.
type Options struct {
	Pool     *pgxpool.Pool
	Redis    redis.UniversalClient // shares orders between processes; nil keeps them in this one
	Notifier core.Notifier
	Sealer   Sealer
	Log      *slog.Logger
	Fault    func(point string)    // tests end the process at named points; nil does nothing
	Sessions redis.UniversalClient // keeps sessions for a minute, over all processes; nil asks Postgres each time
	// SessionIdle is how long a session lasts without use; 0 is 14 days.
	SessionIdle time.Duration
	// Patience is how long a statement over a whole table may take while somebody waits for what it reads; 0 is 60 s. One that
	// changes something may take four times as long. Tests take less.
	Patience time.Duration
	// BulkCells is how many cells a command changes while somebody waits; 0 is 50,000. Tests take fewer.
	BulkCells int64
	Limits    Limits // of each organization
	// AuditKept is how long the log is kept; 0 is 400 days.
	AuditKept time.Duration
	// TraceParent gives what a job keeps of the request that makes it, so that its trace goes on; nil is nothing.
	TraceParent func(ctx context.Context) string
	// Base is where people open the app, for links that leave it; "" gives none.
	Base string
}

// Store holds everything that must last.
type Store struct {
	pool    *pgxpool.Pool
	rdb     redis.UniversalClient
	notify  core.Notifier
	box     Sealer
	log     *slog.Logger
	orders  *orderCache
	columns columnCache
	waker   atomic.Pointer[Waker]
	base    string

	traceParent func(ctx context.Context) string

	deliveries atomic.Pointer[func()] // wakes the sender of webhooks
	fault      func(point string)

	sessions    redis.UniversalClient
	sessionIdle time.Duration

	patience  time.Duration
	bulkCells int64
	listBytes int
	limits    Limits
	auditKept time.Duration
	places    chan struct{} // of commands that take a second connection
}

// New makes a store. It does not connect.
func New(o Options) *Store {
	if o.Notifier == nil {
		o.Notifier = core.NoNotifier{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Fault == nil {
		o.Fault = func(string) {}
	}
	if o.BulkCells == 0 {
		o.BulkCells = defaultBulkCells
	}
	if o.SessionIdle == 0 {
		o.SessionIdle = 14 * 24 * time.Hour
	}
	if o.AuditKept == 0 {
		o.AuditKept = defaultAuditKept
	}
	if o.TraceParent == nil {
		o.TraceParent = func(context.Context) string { return "" }
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	return &Store{base: o.Base, traceParent: o.TraceParent, limits: o.Limits, auditKept: o.AuditKept, patience: o.Patience, sessions: o.Sessions, sessionIdle: o.SessionIdle, fault: o.Fault, pool: o.Pool, rdb: o.Redis, notify: o.Notifier, box: o.Sealer, log: o.Log, orders: newOrderCache(), bulkCells: o.BulkCells, listBytes: listBytes,
		places: make(chan struct{}, max(1, o.Pool.Config().MaxConns/4))}
}

// Pool gives the pool, for health checks and tests.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// sessionSettings make the text of values the same whatever the server's defaults are.
var sessionSettings = map[string]string{
	"timezone":                            "UTC",
	"datestyle":                           "ISO, YMD",
	"intervalstyle":                       "iso_8601",
	"extra_float_digits":                  "1",
	"bytea_output":                        "hex",
	"jit":                                 "off",
	"idle_in_transaction_session_timeout": "10s",
	"tcp_keepalives_idle":                 "10",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "3",
	"application_name":                    "scratchpaper",
}

// Connect opens a pool on the app's own database and checks that it answers. Codes: Unavailable, Invalid.
func Connect(ctx context.Context, url string, maxConns int32, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "DATABASE_URL is not a Postgres address.") // the cause may hold the password
	}
	for k, v := range sessionSettings {
		if _, given := cfg.ConnConfig.RuntimeParams[k]; !given {
			cfg.ConnConfig.RuntimeParams[k] = v
		}
	}
	cfg.ConnConfig.Tracer = tracer
	cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	cfg.MaxConns = maxConns
	cfg.ConnConfig.StatementCacheCapacity = maxPrepared
	cfg.AfterConnect = inUTC
	cfg.PingTimeout = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The database cannot be opened.")
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, core.Wrap(err, core.Unavailable, "The database does not answer.")
	}
	return pool, nil
}

// inUTC lets instants be read as times in UTC, whatever the machine's zone is: so they are shown and sent.
func inUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
	return nil
}

// personLockTimeout is how long a person's request waits for a table that somebody else is changing; jobs wait longer.
const personLockTimeout = "1s"

// tx runs fn in a transaction and maps Postgres' errors. A deadlock or a serialization failure runs fn again, at most
// three times in all, so fn must not change what outlives it before it succeeds.
func (s *Store) tx(ctx context.Context, by core.Actor, fn func(tx pgx.Tx) error) error {
	var err error
	for range 3 {
		if err = s.txOnce(ctx, by, fn); !isRetryable(err) {
			break
		}
	}
	return mapError(err)
}

func (s *Store) txOnce(ctx context.Context, by core.Actor, fn func(tx pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(clean) // after a commit this does nothing
	}()
	if by.Kind != "system" {
		if _, err := tx.Exec(ctx, fmt.Sprintf("set local lock_timeout = '%s'; set local statement_timeout = %d", personLockTimeout, 4*s.patience.Milliseconds())); err != nil {
			return fmt.Errorf("time-outs: %w", err)
		}
	}
	if err := fn(tx); err != nil {
		return err
	}
	s.fault(pointOf(ctx) + ".commit")
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("%w: %w", errCommit, err)
	}
	s.fault(pointOf(ctx) + ".committed")
	return nil
}

type pointKey struct{}

// atPoint names the fault points around the commits of what follows: name.commit and name.committed.
func atPoint(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, pointKey{}, name)
}

func pointOf(ctx context.Context) string {
	if name, ok := ctx.Value(pointKey{}).(string); ok {
		return name
	}
	return "control"
}

func isUnique(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

func isRetryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// mapError gives Postgres' failures a code and a sentence. What is ours already, and nil, stays.
func mapError(err error) error {
	var ours *core.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Wrap(err, core.NotFound, "That is not here (any more).")
	}
	var pg *pgconn.PgError
	switch {
	case tooLong(err):
		return core.Wrap(err, core.Invalid, "This took longer than one filter, search, sort or change may take over this table. Nothing was changed. Choose fewer records, or compare less in the expression.")
	case Interrupted(err):
		return interrupted(err)
	case !errors.As(err, &pg):
		return err
	case pg.Code == "55P03":
		return &core.Error{Code: core.Busy, RetryAfter: 1, Cause: err,
			Sentence: "Somebody else is changing this table right now. Nothing was changed; try again in a moment."}
	case pg.Code == "22003":
		return core.Wrap(err, core.Invalid, "A calculation over these records gives a number that is too large. Nothing was changed. Leave the records with the largest numbers out.")
	case pg.Code == "53100" || pg.Code == "53200":
		return core.Wrap(err, core.Unavailable, "The database has no room left. Nothing was changed; free some disk space and try again.")
	}
	return err
}

// Failure gives a failure of the database its code and sentence; what is ours already stays.
func Failure(err error) error { return mapError(err) }

// defaultPatience bounds statements over a whole table that a person waits for.
const defaultPatience = 60 * time.Second

// patient bounds what reads a whole table while a person waits.
func (s *Store) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.patience)
}

// tooLong says whether a statement was ended by its time-out.
func tooLong(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57014"
	}
	return errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errCommit)
}

// Interrupted says whether err means that the database cannot be reached, restarts, or was lost in the middle.
func Interrupted(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code[:2] == "57" || pg.Code[:2] == "08" || pg.Code == "53300"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || pgconn.SafeToRetry(err) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// interrupted is what people are told of it. Where a commit was under way nobody can say whether it was done.
func interrupted(err error) error {
	e := &core.Error{Code: core.Unavailable, Sentence: "The database was interrupted. Nothing was changed; try again in a moment.", Cause: err, RetryAfter: 1}
	if errors.Is(err, errCommit) {
		e.Sentence = "The database was interrupted while this was being saved, so it may be done or not. Look before you do it again."
	}
	return e
}

// errCommit marks the error of a commit.
var errCommit = errors.New("commit")

// ident quotes one identifier or a qualified name.
func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// dynamic is given first with every statement over a snapshot's own tables: their columns differ from table to table, so
// a connection's cache of prepared statements would only fill up with them.
const dynamic = pgx.QueryExecModeDescribeExec

// described is dynamic for statements that are asked again and again: the client remembers what they take and give, which saves a
// round trip, and the server still keeps nothing.
const described = pgx.QueryExecModeCacheDescribe

// prepared is for the one statement over a snapshot's tables that scrolling asks again and again, and whose plan is always the same: planning
// it anew took a third of its time.
const prepared = pgx.QueryExecModeCacheStatement

// A connection keeps at most maxPrepared statements, the latest, and none of more than maxPreparedColumns columns: one of 12 columns takes
// 59 kB of the server's memory, of 48 115 kB, of 300 736 kB.
const (
	maxPrepared        = 128
	maxPreparedColumns = 48
	leastPrepared      = 1000 // records of a table: below that Postgres may well read all of it
)
