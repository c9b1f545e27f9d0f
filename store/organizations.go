package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// OrganizationSettings are what an organization's admins decide for everybody in it.
type OrganizationSettings struct {
	ID, Name     string
	SecondPerson bool // a publish needs the approval of somebody who neither made its plan nor edited last what is in it
}

// OrganizationChange changes settings; nil leaves one as it is.
type OrganizationChange struct {
	SecondPerson *bool
}

// OrganizationSettings gives those of the actor's organization.
func (s *Store) OrganizationSettings(ctx context.Context, by core.Actor) (OrganizationSettings, error) {
	o, err := organizationSettings(ctx, s.pool, by.Org)
	return o, mapError(err)
}

func organizationSettings(ctx context.Context, q querier, org string) (OrganizationSettings, error) {
	o := OrganizationSettings{ID: org}
	err := q.QueryRow(ctx, `select name, second_person from organizations where id = $1`, org).Scan(&o.Name, &o.SecondPerson)
	if err != nil {
		return o, fmt.Errorf("organization: %w", err)
	}
	return o, nil
}

// ChangeOrganization changes settings of the organization; each that changes is a line of its log. Codes: Forbidden, Conflict (nobody is
// there to be the second person).
func (s *Store) ChangeOrganization(ctx context.Context, by core.Actor, ch OrganizationChange) (OrganizationSettings, error) {
	if err := by.May(core.Manage); err != nil {
		return OrganizationSettings{}, err
	}
	var o OrganizationSettings
	err := s.tx(ctx, by, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, `select from organizations where id = $1 for update`, by.Org); err != nil {
			return fmt.Errorf("organization: %w", err)
		}
		if o, err = organizationSettings(ctx, tx, by.Org); err != nil {
			return err
		}
		if ch.SecondPerson == nil || *ch.SecondPerson == o.SecondPerson {
			return nil
		}
		o.SecondPerson = *ch.SecondPerson
		return setSecondPerson(ctx, tx, by, o.SecondPerson)
	})
	return o, err
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
