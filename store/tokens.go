package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Token is an API token. What lets in is known to whoever made it, and to nobody else.
type Token struct {
	ID, Name             string
	Person, PersonName   string // who made it
	Scopes               []core.Scope
	CreatedAt, ExpiresAt time.Time
	UsedAt               *time.Time // to the minute; nil is never
}

// The times of API tokens.
const (
	TokenLife    = 90 * 24 * time.Hour  // unless something else is asked for
	MaxTokenLife = 366 * 24 * time.Hour // at most
)

const tokenColumns = `t.id, t.name, t.person_id, p.name, t.scopes, t.created_at, t.expires_at, t.used_at` // #nosec G101 -- names of columns

func scanToken(row pgx.CollectableRow) (Token, error) {
	var t Token
	err := row.Scan(&t.ID, &t.Name, &t.Person, &t.PersonName, &t.Scopes, &t.CreatedAt, &t.ExpiresAt, &t.UsedAt)
	return t, err
}

// Tokens lists the actor's own tokens, or for an admin everybody's in the organization, newest first; expired ones too.
func (s *Store) Tokens(ctx context.Context, by core.Actor) ([]Token, error) {
	rows, err := s.pool.Query(ctx, `select `+tokenColumns+` from api_tokens t join people p on p.id = t.person_id
		where t.org_id = $1 and (t.person_id = $2 or $3) order by t.created_at desc, t.id`, by.Org, by.Person, by.May(core.Manage) == nil)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return pgx.CollectRows(rows, scanToken)
}

// CreateToken keeps the hash of a new token. expires zero is TokenLife from now. Codes: Forbidden, Invalid.
func (s *Store) CreateToken(ctx context.Context, by core.Actor, name string, scopes []core.Scope, expires time.Time, hash []byte) (Token, error) {
	if err := by.May(core.Account); err != nil {
		return Token{}, err
	}
	name, err := cleanName(name, "/name", "The token's name")
	if err != nil {
		return Token{}, err
	}
	if len(scopes) == 0 {
		return Token{}, core.FieldErrorf("/scopes", "A token needs a scope: read, suggest, edit or publish.")
	}
	for _, sc := range scopes {
		if sc.Rank() == 0 {
			return Token{}, core.FieldErrorf("/scopes", "There is no scope %s. The scopes are read, suggest, edit and publish; each includes those before it.", sc)
		}
		if sc.Rank() > by.Role {
			return Token{}, core.FieldErrorf("/scopes", "The scope %s goes further than your role, which is %s.", sc, by.Role)
		}
	}
	if expires.IsZero() {
		expires = time.Now().Add(TokenLife)
	}
	if left := time.Until(expires); left <= 0 || left > MaxTokenLife {
		return Token{}, core.FieldErrorf("/expires", "A token expires in the future, within a year.")
	}
	id := core.NewID("tok")
	var t Token
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `with t as (insert into api_tokens (id, org_id, person_id, name, scopes, hash, expires_at) values ($1, $2, $3, $4, $5, $6, $7)
				returning id, name, person_id, scopes, created_at, expires_at, used_at)
			select `+tokenColumns+` from t join people p on p.id = t.person_id`, id, by.Org, by.Person, name, scopes, hash, expires)
		if err != nil {
			return fmt.Errorf("new token: %w", err)
		}
		if t, err = pgx.CollectExactlyOneRow(rows, scanToken); err != nil {
			return fmt.Errorf("new token: %w", err)
		}
		if _, err := tx.Exec(ctx, `insert into token_people (org_id, token_id, person_id) values ($1, $2, $3)`, by.Org, id, by.Person); err != nil {
			return fmt.Errorf("new token: %w", err)
		}
		return auditTx(ctx, tx, by, "token made", id, map[string]string{"name": name, "scope": string(widest(scopes))})
	})
	return t, err
}

func widest(scopes []core.Scope) core.Scope {
	var w core.Scope
	for _, sc := range scopes {
		if sc.Rank() > w.Rank() {
			w = sc
		}
	}
	return w
}

// RevokeToken ends a token at once, and the agents that it let in. Codes: NotFound.
func (s *Store) RevokeToken(ctx context.Context, by core.Actor, id string) error {
	if err := by.May(core.Account); err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `delete from api_tokens where org_id = $1 and id = $2 and (person_id = $3 or $4) returning name`,
			by.Org, id, by.Person, by.May(core.Manage) == nil).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return core.Errorf(core.NotFound, "This token is not here (any more).")
		}
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		return auditTx(ctx, tx, by, "token revoked", id, map[string]string{"name": name})
	})
}

// TokenActor gives who asks with a token, by its hash. Postgres is asked each time, so a revoked one lets nobody in any more. Codes:
// Unauthorized.
func (s *Store) TokenActor(ctx context.Context, hash []byte) (core.Actor, error) {
	return s.tokenActor(ctx, `/* every organization: the token says whose it is */
		select t.org_id, t.id, t.name, t.scopes, m.role, t.used_at is null or t.used_at < now() - interval '1 minute'
		from api_tokens t join members m on m.org_id = t.org_id and m.person_id = t.person_id where t.hash = $1 and t.expires_at > now()`, hash)
}

func (s *Store) tokenActor(ctx context.Context, sql string, args ...any) (core.Actor, error) {
	by := core.Actor{Kind: core.KindToken}
	var scopes []core.Scope
	var role string
	var note bool
	err := s.pool.QueryRow(ctx, sql, args...).Scan(&by.Org, &by.Person, &by.Name, &scopes, &role, &note)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Actor{}, core.Errorf(core.Unauthorized, "This token is not known here.")
	}
	if err != nil {
		return core.Actor{}, mapError(fmt.Errorf("token: %w", err))
	}
	by.Role = min(core.RoleNamed(role), widest(scopes).Rank())
	if note {
		if _, err := s.pool.Exec(ctx, `update api_tokens set used_at = now() where org_id = $1 and id = $2`, by.Org, by.Person); err != nil {
			s.log.WarnContext(ctx, "use of a token not noted", "error", err)
		}
	}
	return by, nil
}

// Agent is what an agent's token says: who it is, where it may go, and who let it in.
type Agent struct {
	ID, Name, Org, Snapshot string
	By                      string // the person or API token that let it in
}

// AgentActor gives the actor of an agent, while whoever let it in could still do so themselves. Codes: Unauthorized.
func (s *Store) AgentActor(ctx context.Context, a Agent) (core.Actor, error) {
	var role string
	err := s.pool.QueryRow(ctx, `select m.role from members m where m.org_id = $1 and (m.person_id = $2
		or m.person_id = (select t.person_id from api_tokens t where t.org_id = $1 and t.id = $2 and t.expires_at > now()))`, a.Org, a.By).Scan(&role)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && core.RoleNamed(role) < core.Editor {
		return core.Actor{}, core.Errorf(core.Unauthorized, "This agent is not let in any more.")
	}
	if err != nil {
		return core.Actor{}, mapError(fmt.Errorf("agent: %w", err))
	}
	return core.Actor{Org: a.Org, Person: a.ID, Name: a.Name, Kind: core.KindAgent, Role: core.Suggester, Snapshot: a.Snapshot}, nil
}

// NoteAgent puts into the log that an agent was let in. Codes: NotFound (the snapshot), Forbidden.
func (s *Store) NoteAgent(ctx context.Context, by core.Actor, a Agent) error {
	if err := by.Require(core.Editor); err != nil {
		return err
	}
	if err := s.HasSnapshot(ctx, by, a.Snapshot); err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		return auditTx(ctx, tx, by, "agent let in", a.Snapshot, map[string]string{"agent": a.ID, "name": a.Name})
	})
}
