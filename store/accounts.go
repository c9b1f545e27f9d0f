package store

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Account is how a person signs in with a password.
type Account struct {
	Person, Name, Email string
	Password            string // its argon2id hash
}

// lifetimes of what is sent or printed once
const (
	setUpLife      = 24 * time.Hour
	resetLife      = time.Hour
	invitationLife = 7 * 24 * time.Hour
)

// CleanEmail gives an address as it is kept. Codes: Invalid.
func CleanEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || a.Name != "" || len(email) > 254 || !strings.Contains(email[strings.LastIndex(email, "@")+1:], ".") && !strings.HasSuffix(email, "@localhost") {
		return "", core.FieldErrorf("/email", "This is not an e-mail address.")
	}
	return email, nil
}

func cleanName(name, field, what string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || len(name) > 100 {
		return "", core.FieldErrorf(field, "%s has 1 to 100 characters.", what)
	}
	return name, nil
}

// AnyAccount says whether anybody can sign in yet.
func (s *Store) AnyAccount(ctx context.Context) (bool, error) {
	var any bool
	err := s.pool.QueryRow(ctx, `select exists (select from accounts)`).Scan(&any)
	return any, mapError(err)
}

// AccountByEmail gives the account of an address, in whatever case it is written. An account that there is not is the zero Account.
func (s *Store) AccountByEmail(ctx context.Context, email string) (Account, error) {
	return s.account(ctx, `lower(p.email) = lower($1)`, email)
}

// OwnAccount gives the account of the person who asks. One that there is not is the zero Account.
func (s *Store) OwnAccount(ctx context.Context, by core.Actor) (Account, error) {
	return s.account(ctx, `p.id = $1`, by.Person)
}

func (s *Store) account(ctx context.Context, where, arg string) (Account, error) {
	var a Account
	err := s.pool.QueryRow(ctx, `select p.id, p.name, coalesce(p.email, ''), a.password from people p join accounts a on a.person_id = p.id where `+where, arg).
		Scan(&a.Person, &a.Name, &a.Email, &a.Password)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, nil
	}
	return a, mapError(err)
}

// EmailOf gives a person's e-mail address, "" for none.
func (s *Store) EmailOf(ctx context.Context, person string) (string, error) {
	var email string
	err := s.pool.QueryRow(ctx, `select coalesce(email, '') from people where id = $1`, person).Scan(&email)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return email, mapError(err)
}

// SetUpCode keeps the hash of the code that makes the first account, unless there is an account. Codes: Conflict (there is one).
func (s *Store) SetUpCode(ctx context.Context, hash []byte) error {
	return s.tx(ctx, core.System(core.LocalOrg), func(tx pgx.Tx) error {
		if err := noAccountYet(ctx, tx); err != nil {
			return err
		}
		return keepCode(ctx, tx, hash, core.LocalOrg, core.LocalPerson, "setup", setUpLife)
	})
}

// noAccountYet holds the first organization until the end of the transaction, so that there is one first account.
func noAccountYet(ctx context.Context, tx pgx.Tx) error {
	var any bool
	if _, err := tx.Exec(ctx, `select from organizations where id = $1 for update`, core.LocalOrg); err != nil {
		return fmt.Errorf("first account: %w", err)
	}
	if err := tx.QueryRow(ctx, `select exists (select from accounts)`).Scan(&any); err != nil {
		return fmt.Errorf("first account: %w", err)
	}
	if any {
		return core.Errorf(core.Conflict, "Somebody has set this app up already. Sign in, or ask an admin for an invitation.")
	}
	return nil
}

func keepCode(ctx context.Context, tx pgx.Tx, hash []byte, org, person, purpose string, life time.Duration) error {
	if _, err := tx.Exec(ctx, `insert into codes (hash, org_id, person_id, purpose, expires_at) values ($1, $2, $3, $4, now() + $5::interval)`,
		hash, org, person, purpose, life); err != nil {
		return fmt.Errorf("keep code: %w", err)
	}
	return nil
}

// useCode takes a code and those of the same person and purpose away, and gives whom it is for. Codes: Invalid.
func useCode(ctx context.Context, tx pgx.Tx, hash []byte, purpose string) (core.Actor, error) {
	by := core.Actor{Kind: core.KindPerson}
	err := tx.QueryRow(ctx, `/* every organization: the code says whose it is */ delete from codes where hash = $1 and purpose = $2 and expires_at > now() returning org_id, person_id`,
		hash, purpose).Scan(&by.Org, &by.Person)
	if errors.Is(err, pgx.ErrNoRows) {
		return by, unknownCode()
	}
	if err != nil {
		return by, fmt.Errorf("use code: %w", err)
	}
	_, err = tx.Exec(ctx, `delete from codes where org_id = $1 and (person_id = $2 and purpose = $3 or expires_at < now())`, by.Org, by.Person, purpose)
	return by, err
}

func unknownCode() error {
	return core.FieldErrorf("/code", "This link is not known here: it has been used, or its time is over. Ask for a new one.")
}

// FirstAccount is what the first person says of themselves and of the organization.
type FirstAccount struct{ Name, Email, Organization, Password string }

// SetUp makes the first account: what was done here without a sign-in goes on as theirs. password is a hash. Codes: Invalid, Conflict.
func (s *Store) SetUp(ctx context.Context, code []byte, f FirstAccount) (person string, err error) {
	if f.Name, err = cleanName(f.Name, "/name", "Your name"); err != nil {
		return "", err
	}
	if f.Organization, err = cleanName(f.Organization, "/organization", "The organization's name"); err != nil {
		return "", err
	}
	if f.Email, err = CleanEmail(f.Email); err != nil {
		return "", err
	}
	err = s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) error {
		if err := noAccountYet(ctx, tx); err != nil {
			return err
		}
		by, err := useCode(ctx, tx, code, "setup")
		if err != nil {
			return err
		}
		by.Name, person = f.Name, by.Person
		if _, err := tx.Exec(ctx, `update people set name = $2, email = $3 where id = $1`, by.Person, f.Name, f.Email); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		if _, err := tx.Exec(ctx, `update organizations set name = $2 where id = $1`, by.Org, f.Organization); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		if _, err := tx.Exec(ctx, `insert into members (org_id, person_id, role) values ($1, $2, 'admin') on conflict (org_id, person_id) do update set role = 'admin'`, by.Org, by.Person); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		if err := keepPassword(ctx, tx, by.Person, f.Password); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "set up", by.Person, nil)
	})
	return person, err
}

func keepPassword(ctx context.Context, tx pgx.Tx, person, hash string) error {
	if _, err := tx.Exec(ctx, `insert into accounts (person_id, password) values ($1, $2)
		on conflict (person_id) do update set password = excluded.password, changed_at = now()`, person, hash); err != nil {
		return fmt.Errorf("keep password: %w", err)
	}
	if _, err := tx.Exec(ctx, `delete from half_sign_ins where person_id = $1`, person); err != nil { // they have shown another password
		return fmt.Errorf("keep password: %w", err)
	}
	return nil
}

// RenewPasswordHash keeps a password's hash with today's parameters, unless the password was changed meanwhile.
func (s *Store) RenewPasswordHash(ctx context.Context, a Account, hash string) error {
	_, err := s.pool.Exec(ctx, `update accounts set password = $3 where person_id = $1 and password = $2`, a.Person, a.Password, hash)
	return mapError(err)
}

// ChangePassword keeps a person's own new password and ends their other sessions. hash is of the password.
func (s *Store) ChangePassword(ctx context.Context, by core.Actor, hash string) error {
	return s.endSessions(ctx, by, "password changed", func(ctx context.Context, tx pgx.Tx) ([][]byte, error) {
		if err := keepPassword(ctx, tx, by.Person, hash); err != nil {
			return nil, err
		}
		return endSessionsTx(ctx, tx, `person_id = $1 and id <> $2`, by.Person, by.Session)
	})
}

// RenamePerson changes how a person is called. Codes: Invalid.
func (s *Store) RenamePerson(ctx context.Context, by core.Actor, name string) error {
	name, err := cleanName(name, "/name", "Your name")
	if err != nil {
		return err
	}
	var changed [][]byte
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update people set name = $2 where id = $1`, by.Person, name); err != nil {
			return fmt.Errorf("rename person: %w", err)
		}
		changed, err = sessionsOfTx(ctx, tx, by.Person)
		return err
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}

func sessionsOfTx(ctx context.Context, tx pgx.Tx, person string) ([][]byte, error) {
	rows, err := tx.Query(ctx, `/* every organization: a person's sessions, in whichever they are */ select hash from sessions where person_id = $1`, person)
	if err != nil {
		return nil, fmt.Errorf("sessions of a person: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

// ResetCode keeps the hash of a code with which the account's person chooses a new password. by asks for it: an admin of the person's only
// organization, or the program for the person, who is sent it. Codes: NotFound, Forbidden, Conflict (they are in other organizations too).
func (s *Store) ResetCode(ctx context.Context, by core.Actor, person string, hash []byte) (Account, error) {
	if by.Kind != core.KindSystem {
		if err := by.Require(core.Admin); err != nil {
			return Account{}, err
		}
	}
	a, err := s.account(ctx, `p.id = $1`, person)
	if err != nil {
		return a, err
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		if by.Org, err = actsFor(ctx, tx, by, a, "only they can choose a new password: by “I have forgotten my password” on the sign-in page."); err != nil {
			return err
		}
		if err := keepCode(ctx, tx, hash, by.Org, person, "reset", resetLife); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "password reset asked for", person, nil)
	})
	return a, err
}

// actsFor gives the organization in whose name something is done to somebody's account: an admin's, when it is the only one that they are in; for
// the program their first. elsewhere says who does it otherwise. Codes: NotFound, Conflict (they are in other organizations too).
func actsFor(ctx context.Context, tx pgx.Tx, by core.Actor, a Account, elsewhere string) (string, error) {
	var orgs []string
	if err := tx.QueryRow(ctx, `/* every organization: those that a person is in */ select coalesce(array_agg(org_id order by created_at, org_id), '{}') from members where person_id = $1`, a.Person).Scan(&orgs); err != nil {
		return "", fmt.Errorf("organizations of a person: %w", err)
	}
	switch {
	case a.Person == "" || len(orgs) == 0:
		return "", core.Errorf(core.NotFound, "This member is not here (any more), or signs in without a password.")
	case by.Kind == core.KindSystem:
		return orgs[0], nil
	case !slices.Contains(orgs, by.Org):
		return "", core.Errorf(core.NotFound, "This member is not here (any more).")
	case len(orgs) > 1:
		return "", core.Errorf(core.Conflict, "%s belongs to another organization too, so %s", a.Name, elsewhere)
	}
	return by.Org, nil
}

// ResetPassword keeps the password that somebody chose with a code, and ends all their sessions. hash is of the password. Codes: Invalid.
func (s *Store) ResetPassword(ctx context.Context, code []byte, hash string) (person string, err error) {
	var ended [][]byte
	err = s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) error {
		by, err := useCode(ctx, tx, code, "reset")
		if err != nil {
			return err
		}
		if by, err = memberTx(ctx, tx, by.Person, ""); err != nil {
			return err
		}
		person = by.Person
		if err := keepPassword(ctx, tx, person, hash); err != nil {
			return err
		}
		if ended, err = endSessionsTx(ctx, tx, `person_id = $1`, person); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "password reset", person, nil)
	})
	if err == nil {
		s.sessionsChanged(ctx, ended)
	}
	return person, err
}

// NoteFailedSignIn puts a wrong password into the logs of the account's organizations. An account that there is not leaves nothing.
func (s *Store) NoteFailedSignIn(ctx context.Context, a Account, address string) error {
	_, err := s.pool.Exec(ctx, `/* every organization: those that a person is in */
		insert into audit_log (org_id, person_id, who, kind, act, target, address)
		select org_id, $1, $2, 'person', 'sign-in refused', $1, $3 from members where person_id = $1`, a.Person, a.Name, address)
	return mapError(err)
}
