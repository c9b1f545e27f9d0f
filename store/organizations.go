package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// OrganizationSettings are what an organization's admins decide for everybody in it.
type OrganizationSettings struct {
	ID, Name     string
	SecondPerson bool   // a publish needs the approval of somebody who neither made its plan nor edited last what is in it
	SecondFactor string // who needs a second factor, of those who sign in with a password: nobody, publishers (and admins), everybody
}

// AskedForFactor are the words of whom an organization asks for a second factor.
var AskedForFactor = []string{"nobody", "publishers", "everybody"}

// OrganizationChange changes settings; nil leaves one as it is.
type OrganizationChange struct {
	SecondPerson *bool
	SecondFactor *string
}

// OrganizationSettings gives those of the actor's organization.
func (s *Store) OrganizationSettings(ctx context.Context, by core.Actor) (OrganizationSettings, error) {
	o, err := organizationSettings(ctx, s.pool, by.Org)
	return o, mapError(err)
}

func organizationSettings(ctx context.Context, q querier, org string) (OrganizationSettings, error) {
	o := OrganizationSettings{ID: org}
	err := q.QueryRow(ctx, `select name, second_person, second_factor from organizations where id = $1`, org).Scan(&o.Name, &o.SecondPerson, &o.SecondFactor)
	if err != nil {
		return o, fmt.Errorf("organization: %w", err)
	}
	return o, nil
}

// ChangeOrganization changes settings of the organization; each that changes is a line of its log. Whom it asks for a second factor from now on
// sets it up before anything else. Codes: Forbidden, Invalid, Conflict (nobody is there to be the second person).
func (s *Store) ChangeOrganization(ctx context.Context, by core.Actor, ch OrganizationChange) (OrganizationSettings, error) {
	if err := by.May(core.Manage); err != nil {
		return OrganizationSettings{}, err
	}
	if ch.SecondFactor != nil && !slices.Contains(AskedForFactor, *ch.SecondFactor) {
		return OrganizationSettings{}, core.FieldErrorf("/second_factor", "A second factor is asked of nobody, publishers or everybody.")
	}
	var o OrganizationSettings
	var changed [][]byte
	err := s.tx(ctx, by, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, `select from organizations where id = $1 for update`, by.Org); err != nil {
			return fmt.Errorf("organization: %w", err)
		}
		if o, err = organizationSettings(ctx, tx, by.Org); err != nil {
			return err
		}
		if ch.SecondPerson != nil && *ch.SecondPerson != o.SecondPerson {
			o.SecondPerson = *ch.SecondPerson
			if err := setSecondPerson(ctx, tx, by, o.SecondPerson); err != nil {
				return err
			}
		}
		if ch.SecondFactor != nil && *ch.SecondFactor != o.SecondFactor {
			o.SecondFactor = *ch.SecondFactor
			changed, err = setSecondFactor(ctx, tx, by, o.SecondFactor)
		}
		return err
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return o, err
}

// setSecondFactor gives the sessions in the organization, which are looked up anew.
func setSecondFactor(ctx context.Context, tx pgx.Tx, by core.Actor, of string) ([][]byte, error) {
	if _, err := tx.Exec(ctx, `update organizations set second_factor = $2 where id = $1`, by.Org, of); err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	rows, err := tx.Query(ctx, `select hash from sessions where org_id = $1`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("sessions of an organization: %w", err)
	}
	changed, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("sessions of an organization: %w", err)
	}
	return changed, auditTx(ctx, tx, by, "setting changed", by.Org, map[string]string{"a second factor is asked of": of})
}

func setSecondPerson(ctx context.Context, tx pgx.Tx, by core.Actor, on bool) error {
	var publishers int
	if err := tx.QueryRow(ctx, `select count(*) from members where org_id = $1 and role in ('publisher', 'admin')`, by.Org).Scan(&publishers); err != nil {
		return fmt.Errorf("second person: %w", err)
	}
	if on && publishers < 2 {
		return core.Errorf(core.Conflict, "Nobody could approve what you publish: the organization needs at least two members with the role publisher or admin.")
	}
	if _, err := tx.Exec(ctx, `update organizations set second_person = $2 where id = $1`, by.Org, on); err != nil {
		return fmt.Errorf("second person: %w", err)
	}
	return auditTx(ctx, tx, by, "setting changed", by.Org, map[string]string{"second person before publishing": onOff(on)})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
