package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// auditTx notes in the organization's log what somebody did, in the transaction that does it. details hold no secret.
func auditTx(ctx context.Context, tx pgx.Tx, by core.Actor, act, target string, details map[string]string) error {
	raw, err := json.Marshal(details)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if details == nil {
		raw = []byte("{}")
	}
	if _, err := tx.Exec(ctx, `insert into audit_log (org_id, person_id, who, kind, act, target, details, address) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		by.Org, by.Person, by.Name, by.Kind, act, target, string(raw), by.Address); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// AuditEntry is one line of an organization's log.
type AuditEntry struct {
	ID                int64
	At                time.Time
	Person, Who, Kind string // who did it; Kind is person, token, agent or system
	Act, Target       string
	Details           map[string]string
	Address           string // network address; "" is unknown
}

// AuditFilter narrows the log; empty fields do not.
type AuditFilter struct {
	Act    string
	Person string
	Before int64 // id: those older than this one
	Limit  int   // 0 is 100
}

// AuditLog gives the organization's log, newest first. Codes: Forbidden.
func (s *Store) AuditLog(ctx context.Context, by core.Actor, f AuditFilter) ([]AuditEntry, error) {
	if err := by.May(core.Manage); err != nil {
		return nil, err
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.pool.Query(ctx, `select id, at, person_id, who, kind, act, target, details, address from audit_log
		where org_id = $1 and ($2 = '' or act = $2) and ($3 = '' or person_id = $3) and ($4::bigint = 0 or id < $4) order by id desc limit $5`, by.Org, f.Act, f.Person, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditEntry, error) {
		var e AuditEntry
		err := row.Scan(&e.ID, &e.At, &e.Person, &e.Who, &e.Kind, &e.Act, &e.Target, &e.Details, &e.Address)
		return e, err
	})
}

// AuditActs gives the acts that the organization's log holds, by name. Codes: Forbidden.
func (s *Store) AuditActs(ctx context.Context, by core.Actor) ([]string, error) {
	if err := by.May(core.Manage); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select distinct act from audit_log where org_id = $1 order by act`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("audit acts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// NoteExport puts into the log that a table was taken out as a file.
func (s *Store) NoteExport(ctx context.Context, by core.Actor, t Table, format string) error {
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		return auditTx(ctx, tx, by, "table exported", t.ID, map[string]string{"table": t.Title, "snapshot": t.Snapshot, "format": format})
	})
}

// defaultAuditKept is how long the log is kept unless something else is configured.
const defaultAuditKept = 400 * 24 * time.Hour

// DropOldAudit takes away what is older than the log is kept: the only way in which it loses a line.
func (s *Store) DropOldAudit(ctx context.Context) error {
	return s.tx(ctx, core.System(""), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local scratchpaper.audit_sweep = 'on'`); err != nil {
			return fmt.Errorf("drop old audit: %w", err)
		}
		_, err := tx.Exec(ctx, `/* every organization: the log is kept as long in each */ delete from audit_log where at < now() - $1::interval`, s.auditKept)
		return err
	})
}
