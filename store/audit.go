package store

import (
	"context"
	"encoding/json"
	"fmt"

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
