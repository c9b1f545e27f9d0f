package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SwitchesOff gives what the operator switched off for an actor's organization.
func (s *Store) SwitchesOff(ctx context.Context, by core.Actor) ([]core.Switch, error) {
	rows, err := s.pool.Query(ctx, `select name from switches where org_id = $1 order by name`, by.Org)
	if err != nil {
		return nil, mapError(fmt.Errorf("switches: %w", err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[core.Switch])
	return list, mapError(err)
}

// switchedOn gives an error where something is switched off for an organization. Codes: Forbidden.
func switchedOn(ctx context.Context, q querier, org string, sw core.Switch) error {
	var off bool
	if err := q.QueryRow(ctx, `select exists (select from switches where org_id = $1 and name = $2)`, org, string(sw)).Scan(&off); err != nil {
		return mapError(fmt.Errorf("switch: %w", err))
	}
	if off {
		return core.SwitchedOff(sw)
	}
	return nil
}

// SwitchedOn gives an error where something is switched off for the actor's organization. Codes: Forbidden.
func (s *Store) SwitchedOn(ctx context.Context, by core.Actor, sw core.Switch) error {
	return switchedOn(ctx, s.pool, by.Org, sw)
}

// OrganizationLine is an organization as the operator sees it.
type OrganizationLine struct {
	ID, Name           string
	Members, Snapshots int64
	Off                []core.Switch
}

// AllOrganizations lists them by name, from the one after a number of others. Codes: Forbidden.
func (s *Store) AllOrganizations(ctx context.Context, by core.Actor, after, limit int) ([]OrganizationLine, error) {
	if err := by.May(core.Operate); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `/* every organization: the operator looks at them */
		select o.id, o.name, (select count(*) from members m where m.org_id = o.id), (select count(*) from snapshots s where s.org_id = o.id),
			array(select w.name from switches w where w.org_id = o.id order by w.name)
		from organizations o order by lower(o.name), o.id offset $1 limit $2`, after, limit)
	if err != nil {
		return nil, mapError(fmt.Errorf("organizations: %w", err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[OrganizationLine])
}

// SetSwitches says what is on in an organization; all else is off. Each that changes is a line of its log. Codes: Forbidden, NotFound, Invalid.
func (s *Store) SetSwitches(ctx context.Context, by core.Actor, org string, on []core.Switch) error {
	if err := by.May(core.Operate); err != nil {
		return err
	}
	for _, sw := range on {
		if !slices.ContainsFunc(core.Switches, func(r core.SwitchRule) bool { return r.Switch == sw }) {
			return core.FieldErrorf("/on", "There is no switch %s.", sw)
		}
	}
	at := by
	at.Org = org
	return s.tx(atPoint(ctx, "switches"), by, func(tx pgx.Tx) error {
		var id string
		if err := tx.QueryRow(ctx, `select id from organizations where id = $1 for update`, org).Scan(&id); errors.Is(err, pgx.ErrNoRows) {
			return core.Errorf(core.NotFound, "There is no such organization (any more).")
		} else if err != nil {
			return fmt.Errorf("organization: %w", err)
		}
		for _, r := range core.Switches {
			if err := setSwitch(ctx, tx, at, r.Switch, slices.Contains(on, r.Switch)); err != nil {
				return err
			}
		}
		return nil
	})
}

func setSwitch(ctx context.Context, tx pgx.Tx, at core.Actor, sw core.Switch, on bool) error {
	sql, args := `delete from switches where org_id = $1 and name = $2`, []any{at.Org, string(sw)}
	if !on {
		sql, args = `insert into switches (org_id, name, off_by) values ($1, $2, $3) on conflict (org_id, name) do nothing`, append(args, at.Name)
	}
	tag, err := tx.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("switch: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil // it was so already
	}
	return auditTx(ctx, tx, at, "switch set", at.Org, map[string]string{string(sw): onOff(on)})
}
