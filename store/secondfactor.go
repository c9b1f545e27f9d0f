package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/totp"
)

// SecondFactor is what a person's account asks for beside the password. The zero SecondFactor is none.
type SecondFactor struct {
	On      bool
	Since   time.Time // it is on
	Codes   int       // recovery codes that are left
	Pending []byte    // secret of a phone that is being set up; nil where none is
}

// RecoveryCode is what is kept of one.
type RecoveryCode struct{ Salt, Hash []byte }

// HalfSignIn is somebody who has shown the password and not yet the second factor.
type HalfSignIn struct {
	Person string
	Org    string // to begin in; "" is the one that they have been in longest
	How    string // what they have shown, for the log
}

// pendingLife is how long a phone can be set up after its secret was made.
const pendingLife = time.Hour

// HalfLife is how long somebody may take for the second factor after the password.
const HalfLife = 10 * time.Minute

// SecondFactor gives the actor's own. Codes: Unavailable (the secret of one that is being set up cannot be read).
func (s *Store) SecondFactor(ctx context.Context, by core.Actor) (SecondFactor, error) {
	f, err := factorOf(ctx, s.pool, by.Person, "")
	if err != nil || f.ID == "" {
		return SecondFactor{}, err
	}
	if f.Confirmed != nil {
		return SecondFactor{On: true, Since: *f.Confirmed, Codes: f.Codes}, nil
	}
	if !f.Open {
		return SecondFactor{}, nil
	}
	secret, err := s.openFactor(f)
	return SecondFactor{Pending: secret}, err
}

// HasSecondFactor says whether a person's account asks for one.
func (s *Store) HasSecondFactor(ctx context.Context, person string) (bool, error) {
	f, err := factorOf(ctx, s.pool, person, "")
	return f.Confirmed != nil, err
}

type factorRow struct {
	ID, Name  string // Name is the person's
	Secret    []byte
	Confirmed *time.Time
	Open      bool // else it was begun too long ago to be confirmed
	Last      int64
	Codes     int
}

// factorOf gives what is kept of a person's second factor; the zero row is none.
func factorOf(ctx context.Context, q querier, person, lock string) (factorRow, error) {
	rows, err := q.Query(ctx, `select f.id, p.name, f.secret, f.confirmed_at, f.created_at > now() - $2::interval, f.last_step, (select count(*) from recovery_codes c where c.factor_id = f.id and c.used_at is null)
		from second_factors f join people p on p.id = f.person_id where f.person_id = $1 `+lock, person, pendingLife)
	if err != nil {
		return factorRow{}, mapError(fmt.Errorf("second factor: %w", err))
	}
	f, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[factorRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return factorRow{}, nil
	}
	return f, mapError(err)
}

const ofFactor = "for update of f"

// openFactor gives the secret of a phone; nil where a restore had no key for it.
func (s *Store) openFactor(f factorRow) ([]byte, error) {
	if f.Secret == nil {
		return nil, nil
	}
	secret, err := s.box.Unseal(f.Secret, "", "second_factors", f.ID)
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The second factor cannot be read with the key of this program. A recovery code lets you in.")
	}
	return secret, nil
}

// BeginSecondFactor makes the secret of a phone, which counts when a code of it was shown. Codes: Conflict (there is a second factor).
func (s *Store) BeginSecondFactor(ctx context.Context, by core.Actor) error {
	id, secret := core.NewID("fac"), totp.NewSecret()
	sealed, err := s.box.Seal(secret, "", "second_factors", id)
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	tag, err := s.pool.Exec(ctx, `insert into second_factors (id, person_id, secret) values ($1, $2, $3)
		on conflict (person_id) do update set id = excluded.id, secret = excluded.secret, created_at = now() where second_factors.confirmed_at is null`, id, by.Person, sealed)
	if err == nil && tag.RowsAffected() == 0 {
		return core.Errorf(core.Conflict, "You have a second factor. Turn it off first, to set another phone up.")
	}
	return mapError(err)
}

// ConfirmSecondFactor turns the phone on that is being set up, when code is one of it, keeps what lets its person in without it, and ends their
// other sessions, which began without. Codes: Invalid, Conflict (there is nothing to confirm).
func (s *Store) ConfirmSecondFactor(ctx context.Context, by core.Actor, code string, codes []RecoveryCode) error {
	return s.endSessions(ctx, by, "second factor on", func(ctx context.Context, tx pgx.Tx) ([][]byte, error) {
		f, err := factorOf(ctx, tx, by.Person, ofFactor)
		if err != nil {
			return nil, err
		}
		if f.ID == "" || f.Confirmed != nil || !f.Open {
			return nil, core.Errorf(core.Conflict, "No second factor is being set up (any more).")
		}
		secret, err := s.openFactor(f)
		if err != nil {
			return nil, err
		}
		step, fits := totp.Fits(secret, code, time.Now())
		if !fits || secret == nil {
			return nil, core.FieldErrorf("/code", "This is not the code that the phone shows now. Is its clock right?")
		}
		if _, err := tx.Exec(ctx, `update second_factors set confirmed_at = now(), last_step = $2 where id = $1`, f.ID, step); err != nil {
			return nil, fmt.Errorf("confirm second factor: %w", err)
		}
		if err := keepRecoveryCodes(ctx, tx, f.ID, codes); err != nil {
			return nil, err
		}
		return endOtherSessions(ctx, tx, by)
	})
}

// endOtherSessions ends all sessions of a person but that at hand, and gives the hashes of all: what that one may do is looked up anew.
func endOtherSessions(ctx context.Context, tx pgx.Tx, by core.Actor) ([][]byte, error) {
	all, err := sessionsOfTx(ctx, tx, by.Person)
	if err == nil {
		_, err = endSessionsTx(ctx, tx, `person_id = $1 and id <> $2`, by.Person, by.Session)
	}
	return all, err
}

func keepRecoveryCodes(ctx context.Context, tx pgx.Tx, factor string, codes []RecoveryCode) error {
	if _, err := tx.Exec(ctx, `delete from recovery_codes where factor_id = $1`, factor); err != nil {
		return fmt.Errorf("recovery codes: %w", err)
	}
	for _, c := range codes {
		if _, err := tx.Exec(ctx, `insert into recovery_codes (factor_id, salt, hash) values ($1, $2, $3)`, factor, c.Salt, c.Hash); err != nil {
			return fmt.Errorf("recovery codes: %w", err)
		}
	}
	return nil
}

// UseSecondFactor takes a code of a person's phone, or one of their recovery codes, each once, and gives how many of these are left when it was
// one. What is refused stands in the log of their organizations. Codes: Invalid.
func (s *Store) UseSecondFactor(ctx context.Context, person, code, address string) (left int, recovery bool, err error) {
	by := core.Actor{Kind: core.KindPerson, Person: person, Address: address}
	err = s.withFactor(ctx, by, code, func(tx pgx.Tx, f factorRow) error {
		left = f.Codes - 1
		return nil
	})
	return left, totp.IsRecovery(code), err
}

// RemoveSecondFactor turns the actor's own off, when code is one of it. Codes: Invalid.
func (s *Store) RemoveSecondFactor(ctx context.Context, by core.Actor, code string) error {
	var changed [][]byte
	err := s.withFactor(ctx, by, code, func(tx pgx.Tx, f factorRow) (err error) {
		if changed, err = dropFactor(ctx, tx, by.Person); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "second factor off", by.Person, nil)
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}

// dropFactor takes a person's second factor away, and gives the hashes of their sessions.
func dropFactor(ctx context.Context, tx pgx.Tx, person string) ([][]byte, error) {
	for _, sql := range []string{`delete from second_factors where person_id = $1`, `delete from half_sign_ins where person_id = $1`} {
		if _, err := tx.Exec(ctx, sql, person); err != nil {
			return nil, fmt.Errorf("drop second factor: %w", err)
		}
	}
	return sessionsOfTx(ctx, tx, person)
}

// RenewRecoveryCodes keeps others in place of the actor's own, when code is one of their second factor. Codes: Invalid.
func (s *Store) RenewRecoveryCodes(ctx context.Context, by core.Actor, code string, codes []RecoveryCode) error {
	return s.withFactor(ctx, by, code, func(tx pgx.Tx, f factorRow) error {
		if err := keepRecoveryCodes(ctx, tx, f.ID, codes); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "recovery codes renewed", by.Person, nil)
	})
}

// withFactor runs fn in the transaction that takes a code of the actor's second factor. A refusal is noted, and nothing else happens.
func (s *Store) withFactor(ctx context.Context, by core.Actor, code string, fn func(tx pgx.Tx, f factorRow) error) error {
	why := ""
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		f, err := factorOf(ctx, tx, by.Person, ofFactor)
		if err != nil {
			return err
		}
		if f.Confirmed == nil {
			return core.Errorf(core.Invalid, "There is no second factor (any more). Sign in again.")
		}
		by.Name = f.Name
		if totp.IsRecovery(code) {
			why, err = takeRecoveryCode(ctx, tx, by, f, code)
		} else {
			why, err = s.takeCode(ctx, tx, f, code)
		}
		if err != nil {
			return err
		}
		if why != "" {
			return auditEverywhere(ctx, tx, by, "second factor refused", map[string]string{"why": why})
		}
		return fn(tx, f)
	})
	if err == nil && why != "" {
		return core.FieldErrorf("/code", "This code lets nobody in: it is a wrong one, or was used before. Take the one that the phone shows now, or a recovery code that is left.")
	}
	return err
}

// takeCode uses a phone's code up, with those before it; why says what was wrong with it.
func (s *Store) takeCode(ctx context.Context, tx pgx.Tx, f factorRow, code string) (why string, err error) {
	secret, err := s.openFactor(f)
	if err != nil || secret == nil {
		return "no secret", err
	}
	step, fits := totp.Fits(secret, code, time.Now())
	switch {
	case !fits:
		return "wrong code", nil
	case step <= f.Last:
		return "code used before", nil
	}
	if _, err := tx.Exec(ctx, `update second_factors set last_step = $2 where id = $1`, f.ID, step); err != nil {
		return "", fmt.Errorf("use code: %w", err)
	}
	return "", nil
}

// takeRecoveryCode uses a recovery code up; why says what was wrong with it.
func takeRecoveryCode(ctx context.Context, tx pgx.Tx, by core.Actor, f factorRow, code string) (why string, err error) {
	rows, err := tx.Query(ctx, `select salt, hash, used_at is not null from recovery_codes where factor_id = $1`, f.ID)
	if err != nil {
		return "", fmt.Errorf("recovery codes: %w", err)
	}
	var salt, hash, found []byte
	var used, wasUsed bool
	_, err = pgx.ForEachRow(rows, []any{&salt, &hash, &used}, func() error {
		if subtle.ConstantTimeCompare(totp.RecoveryHash(salt, code), hash) == 1 {
			found, wasUsed = salt, used
		}
		return nil
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("recovery codes: %w", err)
	case found == nil:
		return "wrong recovery code", nil
	case wasUsed:
		return "recovery code used before", nil
	}
	if _, err := tx.Exec(ctx, `update recovery_codes set used_at = now() where factor_id = $1 and salt = $2`, f.ID, found); err != nil {
		return "", fmt.Errorf("use recovery code: %w", err)
	}
	return "", auditEverywhere(ctx, tx, by, "recovery code used", map[string]string{"left": strconv.Itoa(f.Codes - 1)})
}

// auditEverywhere notes what concerns a person's account in the logs of their organizations. by.Person is theirs.
func auditEverywhere(ctx context.Context, tx pgx.Tx, by core.Actor, act string, details map[string]string) error {
	rows, err := tx.Query(ctx, `/* every organization: those that a person is in */ select org_id from members where person_id = $1`, by.Person)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, org := range orgs {
		by.Org = org
		if err := auditTx(ctx, tx, by, act, by.Person, details); err != nil {
			return err
		}
	}
	return nil
}

// TakeOffSecondFactor takes somebody's second factor off who has lost the phone, and ends their sessions. by is an admin of their only
// organization, or the program for the operator. Codes: NotFound, Forbidden, Conflict (they are in other organizations too, or it is one's own).
func (s *Store) TakeOffSecondFactor(ctx context.Context, by core.Actor, person string) (Account, error) {
	if err := by.May(core.Manage); err != nil && by.Kind != core.KindSystem {
		return Account{}, err
	}
	if by.Person == person {
		return Account{}, core.Errorf(core.Conflict, "Turn your own second factor off under Your account: it asks for a code.")
	}
	a, err := s.account(ctx, `p.id = $1`, person)
	if err != nil {
		return a, err
	}
	var ended [][]byte
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := actsFor(ctx, tx, by, a, "no admin takes their second factor off: the operator of the app does, by scratchpaper second-factor."); err != nil {
			return err
		}
		if f, err := factorOf(ctx, tx, person, ofFactor); err != nil || f.ID == "" {
			return errors.Join(err, core.Errorf(core.NotFound, "%s has no second factor.", a.Name))
		}
		if _, err := dropFactor(ctx, tx, person); err != nil {
			return err
		}
		if ended, err = endSessionsTx(ctx, tx, `person_id = $1`, person); err != nil {
			return err
		}
		if by.Kind == core.KindSystem {
			return auditEverywhere(ctx, tx, core.Actor{Kind: core.KindSystem, Name: by.Name, Person: person}, "second factor taken off", nil)
		}
		return auditTx(ctx, tx, by, "second factor taken off", person, nil)
	})
	if err == nil {
		s.sessionsChanged(ctx, ended)
	}
	return a, err
}

// BeginHalf keeps the hash of the code with which a browser comes back that has shown the password.
func (s *Store) BeginHalf(ctx context.Context, hash []byte, h HalfSignIn) error {
	if _, err := s.pool.Exec(ctx, `delete from half_sign_ins where expires_at < now()`); err != nil {
		return mapError(fmt.Errorf("half sign-in: %w", err))
	}
	_, err := s.pool.Exec(ctx, `insert into half_sign_ins (hash, person_id, begins_in, how, expires_at) values ($1, $2, $3, $4, now() + $5::interval)`, hash, h.Person, h.Org, h.How, HalfLife)
	return mapError(err)
}

// Half gives who comes back with a code of BeginHalf. Codes: Unauthorized.
func (s *Store) Half(ctx context.Context, hash []byte) (HalfSignIn, error) {
	var h HalfSignIn
	err := s.pool.QueryRow(ctx, `select person_id, begins_in, how from half_sign_ins where hash = $1 and expires_at > now()`, hash).Scan(&h.Person, &h.Org, &h.How)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, core.Errorf(core.Unauthorized, "Sign in again: this took longer than ten minutes, or was not begun in this browser.")
	}
	return h, mapError(err)
}

// EndHalf forgets a code of BeginHalf.
func (s *Store) EndHalf(ctx context.Context, hash []byte) error {
	_, err := s.pool.Exec(ctx, `delete from half_sign_ins where hash = $1`, hash)
	return mapError(err)
}
