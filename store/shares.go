package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Share is a link by which somebody reviews one snapshot.
type Share struct {
	ID, Snapshot, Name, MadeBy string
	Decides                    bool // suggestions can be accepted and rejected by it
	CreatedAt, ExpiresAt       time.Time
	UsedAt                     *time.Time
}

// ShareDays is how many days a link lasts at most.
const ShareDays = 90

const shareColumns = `id, snapshot_id, name, made_by, decides, created_at, expires_at, used_at`

func scanShare(row pgx.CollectableRow) (Share, error) {
	var s Share
	err := row.Scan(&s.ID, &s.Snapshot, &s.Name, &s.MadeBy, &s.Decides, &s.CreatedAt, &s.ExpiresAt, &s.UsedAt)
	return s, err
}

// Shares lists the links to a snapshot that still open it, newest first. Codes: NotFound, Forbidden.
func (s *Store) Shares(ctx context.Context, by core.Actor, snapshot string) ([]Share, error) {
	if err := s.mayShare(ctx, by, snapshot); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select `+shareColumns+` from shares where org_id = $1 and snapshot_id = $2 and expires_at > now() order by created_at desc, id`, by.Org, snapshot)
	if err != nil {
		return nil, fmt.Errorf("shares: %w", err)
	}
	return pgx.CollectRows(rows, scanShare)
}

func (s *Store) mayShare(ctx context.Context, by core.Actor, snapshot string) error {
	if err := by.May(core.Publish); err != nil {
		return err
	}
	return s.HasSnapshot(ctx, by, snapshot)
}

// MakeShare keeps the hash of a link's code. days is how long it lasts. Codes: NotFound, Forbidden, Invalid.
func (s *Store) MakeShare(ctx context.Context, by core.Actor, snapshot, name string, decides bool, days int, hash []byte) (Share, error) {
	if err := s.mayShare(ctx, by, snapshot); err != nil {
		return Share{}, err
	}
	name, err := cleanName(name, "/name", "Whom the link is for")
	if err != nil {
		return Share{}, err
	}
	if days < 1 || days > ShareDays {
		return Share{}, core.FieldErrorf("/days", "A link lasts for 1 to %d days.", ShareDays)
	}
	var made Share
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `insert into shares (id, org_id, snapshot_id, name, hash, decides, made_by, expires_at) values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(days => $8))
			returning `+shareColumns, core.NewID("shr"), by.Org, snapshot, name, hash, decides, by.Name, days)
		if err != nil {
			return fmt.Errorf("new share: %w", err)
		}
		if made, err = pgx.CollectExactlyOneRow(rows, scanShare); err != nil {
			return fmt.Errorf("new share: %w", err)
		}
		return auditTx(ctx, tx, by, "review link made", snapshot, map[string]string{"link": made.ID, "name": name, "accepts and rejects": onOff(decides)})
	})
	return made, err
}

// RevokeShare ends a link at once, also where it is open. Codes: NotFound, Forbidden.
func (s *Store) RevokeShare(ctx context.Context, by core.Actor, snapshot, id string) error {
	if err := s.mayShare(ctx, by, snapshot); err != nil {
		return err
	}
	var changed [][]byte
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `/* every organization: the sessions in which a link is open, wherever their people belong */
			update sessions set share_id = null where share_id = (select sh.id from shares sh where sh.org_id = $1 and sh.snapshot_id = $2 and sh.id = $3) returning hash`, by.Org, snapshot, id)
		if err != nil {
			return fmt.Errorf("revoke share: %w", err)
		}
		if changed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte]); err != nil {
			return fmt.Errorf("revoke share: %w", err)
		}
		var name string
		err = tx.QueryRow(ctx, `delete from shares where org_id = $1 and snapshot_id = $2 and id = $3 returning name`, by.Org, snapshot, id).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return core.Errorf(core.NotFound, "This link is not here (any more).")
		}
		if err != nil {
			return fmt.Errorf("revoke share: %w", err)
		}
		return auditTx(ctx, tx, by, "review link revoked", snapshot, map[string]string{"link": id, "name": name})
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}

// OpenShare lets the session at hand see a link's snapshot, and nothing else until it leaves it. Whoever may do as much there as a member
// goes there as one. Codes: Invalid (the link is not known), Forbidden (no session).
func (s *Store) OpenShare(ctx context.Context, by core.Actor, hash []byte) (snapshot string, err error) {
	if by.Session == "" {
		return "", core.Errorf(core.Forbidden, "A review link is opened by somebody who has signed in here.")
	}
	var changed [][]byte
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		var org, id, role string
		var decides bool
		err := tx.QueryRow(ctx, `/* every organization: the code says whose it is */
			update shares sh set used_at = now() where hash = $1 and expires_at > now()
			returning org_id, id, snapshot_id, decides, coalesce((select m.role from members m where m.org_id = sh.org_id and m.person_id = $2), '')`, hash, by.Person).
			Scan(&org, &id, &snapshot, &decides, &role)
		if errors.Is(err, pgx.ErrNoRows) {
			return core.FieldErrorf("/code", "This link is not known here: it was revoked, or its time is over. Ask for a new one.")
		}
		if err != nil {
			return fmt.Errorf("open share: %w", err)
		}
		var share any = id
		home := ""
		if r := core.RoleNamed(role); r >= core.Editor || r == core.Viewer && !decides {
			share, home = nil, org
		}
		rows, err := tx.Query(ctx, `/* every organization: the session at hand, in whichever it is */
			update sessions set share_id = $3, org_id = case when $4 = '' then org_id else $4 end where id = $1 and person_id = $2 returning hash`, by.Session, by.Person, share, home)
		if err != nil {
			return fmt.Errorf("open share: %w", err)
		}
		if changed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte]); err != nil {
			return fmt.Errorf("open share: %w", err)
		}
		at := by
		at.Org = org
		return auditTx(ctx, tx, at, "review link opened", snapshot, map[string]string{"link": id})
	})
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return snapshot, err
}

// LeaveShare lets the session at hand go back to the organizations of its person.
func (s *Store) LeaveShare(ctx context.Context, by core.Actor) error {
	rows, err := s.pool.Query(ctx, `/* every organization: the session at hand, in whichever it is */
		update sessions set share_id = null where id = $1 and person_id = $2 returning hash`, by.Session, by.Person)
	if err != nil {
		return fmt.Errorf("leave share: %w", err)
	}
	changed, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err == nil {
		s.sessionsChanged(ctx, changed)
	}
	return err
}

// reviewRow is what a session is narrowed to while a link is open in it.
type reviewRow struct {
	Org, Snapshot string
	Decides       bool
	Left          float64 // seconds until the link ends
}

// openShare is the SQL of a session's reviewRow, or null.
const openShare = `(select jsonb_build_object('Org', sh.org_id, 'Snapshot', sh.snapshot_id, 'Decides', sh.decides, 'Left', extract(epoch from sh.expires_at - now()))
	from shares sh where sh.id = s.share_id and sh.expires_at > now())`

// reviewer gives a person as who reviews by a link.
func (r reviewRow) reviewer(by core.Actor) core.Actor {
	by.Org, by.Snapshot, by.Kind, by.Role, by.Decides, by.NeedsFactor = r.Org, r.Snapshot, core.KindReviewer, core.Viewer, r.Decides, false
	return by
}
