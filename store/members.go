package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Member is a person in an organization.
type Member struct {
	Person, Name, Email string
	Role                core.Role
	Since               time.Time
	LastSeen            *time.Time // of their sessions here; nil is none
	HasPassword         bool       // else they sign in at a provider only
	HasFactor           bool       // the password alone does not let them in
	NeedsFactor         bool       // the organization asks for a second factor, and they have none
}

// Organization is one that a person belongs to.
type Organization struct {
	ID, Name string
	Role     core.Role
}

// Invitation lets somebody become a member.
type Invitation struct {
	ID, Org, OrgName, Email, InvitedBy string
	Role                               core.Role
	CreatedAt, ExpiresAt               time.Time
}

// Organizations lists those that the actor belongs to, by name.
func (s *Store) Organizations(ctx context.Context, by core.Actor) ([]Organization, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: those that a person is in */
		select o.id, o.name, m.role from members m join organizations o on o.id = m.org_id where m.person_id = $1 order by lower(o.name), o.id`, by.Person)
	if err != nil {
		return nil, fmt.Errorf("organizations: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Organization, error) {
		var o Organization
		var role string
		err := row.Scan(&o.ID, &o.Name, &role)
		o.Role = core.RoleNamed(role)
		return o, err
	})
}

// Members lists the members of the organization, by name. Codes: Forbidden.
func (s *Store) Members(ctx context.Context, by core.Actor) ([]Member, error) {
	if err := by.Require(core.Admin); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select p.id, p.name, coalesce(p.email, ''), m.role, m.created_at,
			(select max(s.seen_at) from sessions s where s.org_id = $1 and s.person_id = m.person_id),
			exists (select from accounts a where a.person_id = m.person_id), exists (select from second_factors f where f.person_id = m.person_id and f.confirmed_at is not null), `+needsFactor+`
		from members m join people p on p.id = m.person_id join organizations o on o.id = m.org_id where m.org_id = $1 order by lower(p.name), p.id`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Member, error) {
		var m Member
		var role string
		err := row.Scan(&m.Person, &m.Name, &m.Email, &role, &m.Since, &m.LastSeen, &m.HasPassword, &m.HasFactor, &m.NeedsFactor)
		m.Role = core.RoleNamed(role)
		return m, err
	})
}

// ChangeRole gives a member another role; what they have open follows at once. Codes: NotFound, Forbidden, Invalid, Conflict (the last admin).
func (s *Store) ChangeRole(ctx context.Context, by core.Actor, person string, role core.Role) error {
	if role != core.RoleNamed(role.String()) || role == 0 {
		return core.FieldErrorf("/role", "The roles are viewer, editor, publisher and admin.")
	}
	return s.changeMember(ctx, by, person, role < core.Admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update members set role = $3 where org_id = $1 and person_id = $2`, by.Org, person, role.String()); err != nil {
			return fmt.Errorf("change role: %w", err)
		}
		return auditTx(ctx, tx, by, "role changed", person, map[string]string{"role": role.String()})
	})
}

// RemoveMember takes a person out of the organization and ends their sessions in it. What they did stays. Codes: NotFound, Forbidden,
// Conflict (the last admin).
func (s *Store) RemoveMember(ctx context.Context, by core.Actor, person string) error {
	return s.changeMember(ctx, by, person, true, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from members where org_id = $1 and person_id = $2`, by.Org, person); err != nil {
			return fmt.Errorf("remove member: %w", err)
		}
		return auditTx(ctx, tx, by, "member removed", person, nil)
	})
}

// changeMember runs fn while nobody else changes the organization's members. Afterwards there is an admin. Codes: NotFound, Forbidden, Conflict.
func (s *Store) changeMember(ctx context.Context, by core.Actor, person string, lessens bool, fn func(tx pgx.Tx) error) error {
	if err := by.Require(core.Admin); err != nil {
		return err
	}
	var changed [][]byte
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select from organizations where id = $1 for update`, by.Org); err != nil {
			return fmt.Errorf("members: %w", err)
		}
		var there, others bool
		if err := tx.QueryRow(ctx, `select coalesce(bool_or(person_id = $2), false), coalesce(bool_or(person_id <> $2 and role = 'admin'), false) from members where org_id = $1`,
			by.Org, person).Scan(&there, &others); err != nil {
			return fmt.Errorf("members: %w", err)
		}
		if !there {
			return core.Errorf(core.NotFound, "This member is not here (any more).")
		}
		if lessens && !others {
			return core.Errorf(core.Conflict, "An organization keeps at least one admin. Make somebody else an admin first.")
		}
		var err error
		if changed, err = sessionsOfTx(ctx, tx, person); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}

// CreateOrganization makes another organization with the actor as its admin. Codes: Forbidden, Invalid.
func (s *Store) CreateOrganization(ctx context.Context, by core.Actor, name string) (string, error) {
	if err := by.Require(core.Admin); err != nil {
		return "", err
	}
	name, err := cleanName(name, "/name", "The organization's name")
	if err != nil {
		return "", err
	}
	id := core.NewID("org")
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into organizations (id, name) values ($1, $2)`, id, name); err != nil {
			return fmt.Errorf("new organization: %w", err)
		}
		if _, err := tx.Exec(ctx, `insert into members (org_id, person_id, role) values ($1, $2, 'admin')`, id, by.Person); err != nil {
			return fmt.Errorf("new organization: %w", err)
		}
		at := by
		at.Org = id
		return auditTx(ctx, tx, at, "organization made", id, nil)
	})
	return id, err
}

// RenameOrganization changes the organization's name. Codes: Forbidden, Invalid.
func (s *Store) RenameOrganization(ctx context.Context, by core.Actor, name string) error {
	if err := by.Require(core.Admin); err != nil {
		return err
	}
	name, err := cleanName(name, "/name", "The organization's name")
	if err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update organizations set name = $2 where id = $1`, by.Org, name); err != nil {
			return fmt.Errorf("rename organization: %w", err)
		}
		return auditTx(ctx, tx, by, "organization renamed", by.Org, map[string]string{"name": name})
	})
}

// Invitations lists the open ones, newest first. Codes: Forbidden.
func (s *Store) Invitations(ctx context.Context, by core.Actor) ([]Invitation, error) {
	if err := by.Require(core.Admin); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, selectInvitation+`where i.org_id = $1 and i.expires_at > now() order by i.created_at desc, i.id`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	return pgx.CollectRows(rows, scanInvitation)
}

const selectInvitation = `select i.id, i.org_id, o.name, i.email, i.invited_by, i.role, i.created_at, i.expires_at
	from invitations i join organizations o on o.id = i.org_id `

func scanInvitation(row pgx.CollectableRow) (Invitation, error) {
	var i Invitation
	var role string
	err := row.Scan(&i.ID, &i.Org, &i.OrgName, &i.Email, &i.InvitedBy, &role, &i.CreatedAt, &i.ExpiresAt)
	i.Role = core.RoleNamed(role)
	return i, err
}

// Invite lets somebody become a member with a code whose hash is kept; an earlier invitation of the address ends. Codes: Forbidden,
// Invalid, Conflict (a member already).
func (s *Store) Invite(ctx context.Context, by core.Actor, email string, role core.Role, hash []byte) (Invitation, error) {
	if err := by.Require(core.Admin); err != nil {
		return Invitation{}, err
	}
	email, err := CleanEmail(email)
	if err != nil {
		return Invitation{}, err
	}
	if role == 0 || role != core.RoleNamed(role.String()) {
		return Invitation{}, core.FieldErrorf("/role", "The roles are viewer, editor, publisher and admin.")
	}
	i := Invitation{ID: core.NewID("inv"), Org: by.Org, Email: email, Role: role, InvitedBy: by.Name}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		var member bool
		if err := tx.QueryRow(ctx, `select exists (select from members m join people p on p.id = m.person_id where m.org_id = $1 and lower(p.email) = lower($2))`, by.Org, email).Scan(&member); err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		if member {
			return core.FieldErrorf("/email", "%s is a member already.", email)
		}
		if _, err := tx.Exec(ctx, `delete from invitations where org_id = $1 and (lower(email) = lower($2) or expires_at < now())`, by.Org, email); err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		if err := tx.QueryRow(ctx, `insert into invitations (id, org_id, email, role, hash, invited_by, expires_at) values ($1, $2, $3, $4, $5, $6, now() + $7::interval) returning created_at, expires_at`,
			i.ID, by.Org, email, role.String(), hash, by.Name, invitationLife).Scan(&i.CreatedAt, &i.ExpiresAt); err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		if err := tx.QueryRow(ctx, `select name from organizations where id = $1`, by.Org).Scan(&i.OrgName); err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		return auditTx(ctx, tx, by, "member invited", email, map[string]string{"role": role.String()})
	})
	return i, err
}

// WithdrawInvitation ends an open invitation. Codes: NotFound, Forbidden.
func (s *Store) WithdrawInvitation(ctx context.Context, by core.Actor, id string) error {
	if err := by.Require(core.Admin); err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `delete from invitations where org_id = $1 and id = $2 returning email`, by.Org, id).Scan(&email); err != nil {
			return err
		}
		return auditTx(ctx, tx, by, "invitation withdrawn", email, nil)
	})
}

// InvitationByCode gives an open invitation. Codes: Invalid.
func (s *Store) InvitationByCode(ctx context.Context, hash []byte) (Invitation, error) {
	return invitationTx(ctx, s.pool, hash, "")
}

func invitationTx(ctx context.Context, q querier, hash []byte, lock string) (Invitation, error) {
	rows, err := q.Query(ctx, `/* every organization: the code says whose it is */ `+selectInvitation+`where i.hash = $1 and i.expires_at > now() `+lock, hash)
	if err != nil {
		return Invitation{}, mapError(fmt.Errorf("invitation: %w", err))
	}
	i, err := pgx.CollectExactlyOneRow(rows, scanInvitation)
	if errors.Is(err, pgx.ErrNoRows) {
		return i, unknownCode()
	}
	return i, mapError(err)
}

// AcceptInvitation makes a member of whoever holds the code: of the account that the address has, or of a new one with a name and a
// password's hash. With an account the caller has checked its password; has is its person. Codes: Invalid, Conflict.
func (s *Store) AcceptInvitation(ctx context.Context, code []byte, has, name, password string) (person, org string, err error) {
	if has == "" {
		if name, err = cleanName(name, "/name", "Your name"); err != nil {
			return "", "", err
		}
	}
	var changed [][]byte
	err = s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) error {
		i, err := invitationTx(ctx, tx, code, "for update of i")
		if err != nil {
			return err
		}
		by := core.Actor{Org: i.Org, Person: has, Kind: core.KindPerson}
		if has == "" {
			by.Person = core.NewID("per")
			if _, err := tx.Exec(ctx, `insert into people (id, name, email) values ($1, $2, $3)`, by.Person, name, i.Email); isUnique(err) {
				return core.Errorf(core.Conflict, "There is an account for %s by now. Open the link once more.", i.Email)
			} else if err != nil {
				return fmt.Errorf("new person: %w", err)
			}
			if err := keepPassword(ctx, tx, by.Person, password); err != nil {
				return err
			}
		}
		if err := joinTx(ctx, tx, i, by.Person); err != nil {
			return err
		}
		person, org = by.Person, i.Org
		changed, err = sessionsOfTx(ctx, tx, by.Person)
		return err
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return person, org, err
}
