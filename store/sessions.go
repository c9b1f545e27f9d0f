package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Session is one browser in which a person has signed in.
type Session struct {
	ID, Org, Address, Browser    string
	CreatedAt, SeenAt, ExpiresAt time.Time
}

// NewSession is what is kept of a sign-in.
type NewSession struct {
	Hash             []byte // of what the cookie holds
	Address, Browser string
	Lifetime         time.Duration
	Org              string // organization to begin in; "" is the one that the person has been in longest
	Instead          []byte // hash of the session that the browser had before, which ends; nil is none
	How              string // password, invitation, …, for the log
}

// keptSession is how long Redis keeps a session before Postgres is asked again.
const keptSession = time.Minute

// askAgain stands in Redis in place of a session that was changed: whoever reads the old row just now does not put it back.
const askAgain = "ask"

// sessionRow is what Redis keeps.
type sessionRow struct {
	Org, Person, Name, Session string
	Role                       core.Role
	Review                     *reviewRow // by a link that is open in it; else nil
	NeedsFactor                bool       // their organization asks for a second factor that they have not
}

func (r sessionRow) actor() core.Actor {
	by := r.member()
	if r.Review != nil {
		return r.Review.reviewer(by)
	}
	return by
}

func (r sessionRow) member() core.Actor {
	return core.Actor{Org: r.Org, Person: r.Person, Name: r.Name, Kind: core.KindPerson, Role: r.Role, Session: r.Session, NeedsFactor: r.NeedsFactor}
}

// needsFactor says whether organization o asks member m for a second factor that they have not. Who signs in at a provider only has theirs there.
const needsFactor = `((o.second_factor = 'everybody' or o.second_factor = 'publishers' and m.role in ('publisher', 'admin'))
	and exists (select from accounts a where a.person_id = m.person_id)
	and not exists (select from second_factors f where f.person_id = m.person_id and f.confirmed_at is not null))`

func sessionKey(hash []byte) string { return "session:" + hex.EncodeToString(hash) }

// SessionActor gives who has signed in with a session. Redis answers for up to a minute; Postgres holds the session, so an emptied Redis
// signs nobody out. Codes: Unauthorized.
func (s *Store) SessionActor(ctx context.Context, hash []byte) (core.Actor, error) {
	row, keep := sessionRow{}, false
	if s.sessions != nil {
		kept, err := s.sessions.Get(ctx, sessionKey(hash)).Bytes()
		if err == nil && string(kept) != askAgain && json.Unmarshal(kept, &row) == nil {
			return row.actor(), nil
		}
		keep = string(kept) != askAgain
	}
	var role string
	var left time.Duration
	err := s.pool.QueryRow(ctx, `/* every organization: the session says whose it is */
		update sessions s set seen_at = now() from members m, people p, organizations o
		where s.hash = $1 and s.expires_at > now() and s.seen_at > now() - $2::interval
			and m.org_id = s.org_id and m.person_id = s.person_id and p.id = s.person_id and o.id = s.org_id
		returning s.id, s.org_id, s.person_id, p.name, m.role, least(s.expires_at - now(), $2::interval), `+needsFactor+`, `+openShare, hash, s.sessionIdle).
		Scan(&row.Session, &row.Org, &row.Person, &row.Name, &role, &left, &row.NeedsFactor, &row.Review)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Actor{}, core.Errorf(core.Unauthorized, "Sign in first.")
	}
	if err != nil {
		return core.Actor{}, mapError(fmt.Errorf("session: %w", err))
	}
	row.Role = core.RoleNamed(role)
	if row.Review != nil {
		left = min(left, time.Duration(row.Review.Left*float64(time.Second)))
	}
	if raw, err := json.Marshal(row); err == nil && keep {
		_ = s.sessions.SetNX(ctx, sessionKey(hash), raw, min(left, keptSession)).Err() // without it Postgres is asked again
	}
	return row.actor(), nil
}

// sessionsChanged lets every process ask Postgres for these sessions again, after the commit.
func (s *Store) sessionsChanged(ctx context.Context, hashes [][]byte) {
	if s.sessions == nil || len(hashes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	pipe := s.sessions.Pipeline()
	for _, h := range hashes {
		pipe.Set(ctx, sessionKey(h), askAgain, keptSession)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		s.log.WarnContext(ctx, "sessions not taken out of Redis; they end there within a minute", "error", err)
	}
}

// StartSession signs a person in and gives the actor. The session that the browser had ends. Codes: Forbidden (a member of no organization).
func (s *Store) StartSession(ctx context.Context, person string, n NewSession) (core.Actor, error) {
	var by core.Actor
	var ended [][]byte
	err := s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) (err error) {
		by, err = memberTx(ctx, tx, person, n.Org)
		if err != nil {
			return err
		}
		by.Address, by.Session = n.Address, core.NewID("ses")
		if ended, err = endSessionsTx(ctx, tx, `person_id = $1 and (hash = $2 or expires_at < now())`, person, orNoBytes(n.Instead)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into sessions (id, hash, org_id, person_id, address, browser, expires_at) values ($1, $2, $3, $4, $5, $6, now() + $7::interval)`,
			by.Session, n.Hash, by.Org, person, n.Address, cut(n.Browser, 200), n.Lifetime); err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		return auditTx(ctx, tx, by, "signed in", person, map[string]string{"how": n.How})
	})
	if err == nil {
		s.sessionsChanged(ctx, ended)
	}
	return by, err
}

func orNoBytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// memberTx gives a person as a member of an organization, or of the one that they have been in longest.
func memberTx(ctx context.Context, q querier, person, org string) (core.Actor, error) {
	by := core.Actor{Person: person, Kind: core.KindPerson}
	rows, err := q.Query(ctx, `/* every organization: those that a person is in */
		select m.org_id, p.name, m.role from members m join people p on p.id = m.person_id
		where m.person_id = $1 and ($2 = '' or m.org_id = $2) order by m.created_at, m.org_id limit 1`, person, org)
	if err != nil {
		return by, fmt.Errorf("member: %w", err)
	}
	var role string
	found := false
	if _, err := pgx.ForEachRow(rows, []any{&by.Org, &by.Name, &role}, func() error { found = true; return nil }); err != nil {
		return by, fmt.Errorf("member: %w", err)
	}
	if !found {
		return by, core.Errorf(core.Forbidden, "This account is a member of no organization (any more). Ask an admin for an invitation.")
	}
	by.Role = core.RoleNamed(role)
	return by, nil
}

// endSessionsTx ends sessions and gives their hashes, for sessionsChanged after the commit.
func endSessionsTx(ctx context.Context, tx pgx.Tx, where string, args ...any) ([][]byte, error) {
	rows, err := tx.Query(ctx, `/* every organization: a person's sessions, in whichever they are */ delete from sessions where `+where+` returning hash`, args...)
	if err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	return hashes, nil
}

// Sessions lists a person's own sessions, the last used first.
func (s *Store) Sessions(ctx context.Context, by core.Actor) ([]Session, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: a person's sessions, in whichever they are */
		select id, org_id, address, browser, created_at, seen_at, expires_at from sessions
		where person_id = $1 and expires_at > now() and seen_at > now() - $2::interval order by seen_at desc, id`, by.Person, s.sessionIdle)
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Session, error) {
		var x Session
		err := row.Scan(&x.ID, &x.Org, &x.Address, &x.Browser, &x.CreatedAt, &x.SeenAt, &x.ExpiresAt)
		return x, err
	})
}

// EndSession signs the actor out of one of their own sessions. Codes: NotFound.
func (s *Store) EndSession(ctx context.Context, by core.Actor, id string) error {
	return s.endSessions(ctx, by, "signed out", func(ctx context.Context, tx pgx.Tx) ([][]byte, error) {
		hashes, err := endSessionsTx(ctx, tx, `person_id = $1 and id = $2`, by.Person, id)
		if err == nil && len(hashes) == 0 {
			err = core.Errorf(core.NotFound, "This session has ended already.")
		}
		return hashes, err
	})
}

// EndSessions signs the actor out everywhere, but for the session at hand when keep says so.
func (s *Store) EndSessions(ctx context.Context, by core.Actor, keep bool) error {
	return s.endSessions(ctx, by, "signed out everywhere", func(ctx context.Context, tx pgx.Tx) ([][]byte, error) {
		return endSessionsTx(ctx, tx, `person_id = $1 and not ($2 and id = $3)`, by.Person, keep, by.Session)
	})
}

func (s *Store) endSessions(ctx context.Context, by core.Actor, act string, end func(ctx context.Context, tx pgx.Tx) ([][]byte, error)) error {
	var ended [][]byte
	err := s.tx(ctx, by, func(tx pgx.Tx) (err error) {
		if ended, err = end(ctx, tx); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, act, by.Person, nil)
	})
	if err == nil {
		s.sessionsChanged(ctx, ended)
	}
	return err
}

// EnterOrganization lets the session at hand act in another organization of its person. Codes: Forbidden.
func (s *Store) EnterOrganization(ctx context.Context, by core.Actor, org string) error {
	var changed [][]byte
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := memberTx(ctx, tx, by.Person, org); err != nil || org == "" {
			return core.Errorf(core.NotFound, "You are not a member of that organization.")
		}
		rows, err := tx.Query(ctx, `update sessions set org_id = $1, share_id = null where org_id = $2 and id = $3 and person_id = $4 returning hash`, org, by.Org, by.Session, by.Person)
		if err != nil {
			return fmt.Errorf("enter organization: %w", err)
		}
		changed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}
