package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Identity is who a person is at an OpenID Connect provider.
type Identity struct {
	Issuer, Subject string
	Email, Name     string
	Verified        bool // the provider says that the address is theirs
}

// SignInByIdentity gives the person of an identity. One that is new is recognised by its verified e-mail address only: as the person here who
// has it, else as somebody who is invited to it. A verified address also accepts the invitations that wait for it; org is the organization
// of one, or "". Codes: Forbidden.
func (s *Store) SignInByIdentity(ctx context.Context, id Identity) (person, org string, err error) {
	var changed [][]byte
	err = s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) (err error) {
		person, org, changed = "", "", nil
		// One at a time, so that an address that is new here makes one person.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('identity ' || lower($1), 0))`, id.Email); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		if err := tx.QueryRow(ctx, `select coalesce((select person_id from identities where issuer = $1 and subject = $2), '')`, id.Issuer, id.Subject).Scan(&person); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		invited, err := invitationsOfTx(ctx, tx, id)
		if err != nil {
			return err
		}
		fresh := person == ""
		if fresh {
			if person, err = recogniseTx(ctx, tx, id, len(invited) > 0); err != nil {
				return err
			}
		}
		for _, i := range invited {
			if err := joinTx(ctx, tx, i, person); err != nil {
				return err
			}
			org = i.Org
		}
		if changed, err = sessionsOfTx(ctx, tx, person); err != nil || !fresh {
			return err
		}
		_, err = tx.Exec(ctx, `/* every organization: those that a person is in */ insert into audit_log (org_id, person_id, who, kind, act, target, details)
			select m.org_id, p.id, p.name, 'person', 'identity linked', p.id, jsonb_build_object('issuer', $2::text)
			from members m join people p on p.id = m.person_id where m.person_id = $1`, person, id.Issuer)
		return err
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return person, org, err
}

// invitationsOfTx gives the open invitations of a verified address, the newest last.
func invitationsOfTx(ctx context.Context, tx pgx.Tx, id Identity) ([]Invitation, error) {
	if !id.Verified || id.Email == "" {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `/* every organization: those that invite an address */ `+selectInvitation+`where lower(i.email) = lower($1) and i.expires_at > now() order by i.created_at, i.id for update of i`, id.Email)
	if err != nil {
		return nil, fmt.Errorf("invitations of an address: %w", err)
	}
	return pgx.CollectRows(rows, scanInvitation)
}

// recogniseTx gives the person that a new identity belongs to, and keeps that it does.
func recogniseTx(ctx context.Context, tx pgx.Tx, id Identity, invited bool) (person string, err error) {
	if !id.Verified || id.Email == "" {
		return "", core.Errorf(core.Forbidden, "The provider does not say that your e-mail address is yours, so you cannot be recognised by it. Ask an admin of your organization.")
	}
	email, err := CleanEmail(id.Email)
	if err != nil {
		return "", core.Errorf(core.Forbidden, "The provider gives %q as your e-mail address, which is none.", cut(id.Email, 100))
	}
	err = tx.QueryRow(ctx, `/* every organization: a person is in it or is not */ select p.id from people p where lower(p.email) = lower($1) and exists (select from members m where m.person_id = p.id)`, email).Scan(&person)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && !invited:
		return "", core.Errorf(core.Forbidden, "Nobody here has the address %s, and no invitation waits for it. Ask an admin to invite you to it.", email)
	case errors.Is(err, pgx.ErrNoRows):
		if person, err = personOfTx(ctx, tx, id.Name, email); err != nil {
			return "", err
		}
	case err != nil:
		return "", fmt.Errorf("recognise: %w", err)
	}
	if _, err := tx.Exec(ctx, `insert into identities (issuer, subject, person_id, email) values ($1, $2, $3, $4)`, id.Issuer, id.Subject, person, email); err != nil {
		return "", fmt.Errorf("keep identity: %w", err)
	}
	return person, nil
}

// personOfTx makes a person with an address, or gives the one who has it and is in no organization any more.
func personOfTx(ctx context.Context, tx pgx.Tx, name, email string) (person string, err error) {
	if name, err = cleanName(name, "/name", "Your name"); err != nil {
		name = email
	}
	err = tx.QueryRow(ctx, `insert into people (id, name, email) values ($1, $2, $3) on conflict (lower(email)) where email is not null do update set name = people.name returning id`,
		core.NewID("per"), name, email).Scan(&person)
	if err != nil {
		return "", fmt.Errorf("new person: %w", err)
	}
	return person, nil
}

// joinTx makes a person a member by an invitation, which ends.
func joinTx(ctx context.Context, tx pgx.Tx, i Invitation, person string) error {
	if _, err := tx.Exec(ctx, `insert into members (org_id, person_id, role) values ($1, $2, $3) on conflict do nothing`, i.Org, person, i.Role.String()); err != nil {
		return fmt.Errorf("new member: %w", err)
	}
	if _, err := tx.Exec(ctx, `delete from invitations where org_id = $1 and id = $2`, i.Org, i.ID); err != nil {
		return fmt.Errorf("new member: %w", err)
	}
	by, err := memberTx(ctx, tx, person, i.Org)
	if err != nil {
		return err
	}
	return auditTx(ctx, tx, by, "member joined", person, map[string]string{"role": i.Role.String()})
}
