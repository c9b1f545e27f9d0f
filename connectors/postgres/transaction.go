package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
)

// prelude begins a transaction in which values look the same whatever the role's, the database's and a pooler's
// defaults are, and in which nothing waits for long. Deferred constraints are looked at right away, so that each refusal
// lands on its record and not on the commit.
const prelude = `;
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex';
set local lc_monetary = 'C';
set local search_path = '';
set local statement_timeout = '25s';
set local lock_timeout = '5s';
set local idle_in_transaction_session_timeout = '10s'`

const (
	beginReading = `begin isolation level read committed read only` + prelude
	beginWriting = `begin isolation level read committed read write` + prelude + `; set constraints all immediate`
)

// transaction is an open transaction on a connection of its own.
type transaction struct {
	conn *pgxpool.Conn
}

// savepoint runs f and takes back what it did when it fails. The transaction goes on in either case, unless the
// connection is lost.
func (t *transaction) savepoint(ctx context.Context, f func() error) error {
	if _, err := t.conn.Exec(ctx, `savepoint part`); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = t.conn.Exec(ctx, `release savepoint part`)
		return err
	}
	if _, undo := t.conn.Exec(ctx, `rollback to savepoint part; release savepoint part`); undo != nil {
		return errors.Join(undo, err)
	}
	return err
}

// reading runs f in a transaction that cannot write. Errors come out as Faults.
func (s *session) reading(ctx context.Context, f func(context.Context, *transaction) error) error {
	return s.transact(ctx, beginReading, f)
}

// writing runs f in a transaction and commits it. Errors come out as Faults: those before the commit with Unsent, a lost
// answer to the commit as Unavailable.
func (s *session) writing(ctx context.Context, f func(context.Context, *transaction) error) error {
	return s.transact(ctx, beginWriting, func(ctx context.Context, tx *transaction) error {
		if err := s.late(); err != nil {
			return err
		}
		return f(ctx, tx)
	})
}

func (s *session) transact(ctx context.Context, begin string, f func(context.Context, *transaction) error) error {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.fault(err, true)
	}
	defer conn.Release() // a connection that is not idle is closed by the pool
	if _, err := conn.Exec(ctx, begin); err != nil {
		return s.fault(err, true)
	}
	if err := f(ctx, &transaction{conn}); err != nil {
		s.rollback(ctx, conn)
		return s.fault(err, true)
	}
	return s.commit(ctx, conn, begin)
}

func (s *session) commit(ctx context.Context, conn *pgxpool.Conn, begin string) error {
	writes := begin == beginWriting
	if err := s.late(); writes && err != nil {
		s.rollback(ctx, conn)
		return err
	}
	tag, err := conn.Exec(ctx, `commit`)
	if err != nil {
		return s.fault(err, !writes)
	}
	if tag.String() != "COMMIT" {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "The server took the transaction back.", Unsent: true}
	}
	return nil
}

// rollback ends a failed transaction; where that does not work either, the connection goes with it.
func (s *session) rollback(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, `rollback`)
}

// limited bounds a call by callLimit and by the moment after which nothing may be written.
func (s *session) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(callLimit)
	if d := s.deadline(); !d.IsZero() && d.Before(until) {
		until = d
	}
	return context.WithDeadline(ctx, until)
}

func (s *session) deadline() time.Time {
	if s.env.Deadline == nil {
		return time.Time{}
	}
	return s.env.Deadline()
}

func (s *session) late() error {
	if d := s.deadline(); !d.IsZero() && !time.Now().Before(d) {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "The time for writing was over; nothing was sent.", Unsent: true}
	}
	return nil
}
