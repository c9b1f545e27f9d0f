package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SettleItem lets a person say what became of an unknown item. Codes: NotFound, Forbidden, Invalid, Conflict (it is not unknown).
func (s *Store) SettleItem(ctx context.Context, by core.Actor, snapshot, plan string, item int64, as, remoteID string) error {
	if err := by.Require(core.Publisher); err != nil {
		return err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return err
	}
	state := map[string]string{"published": "published", "not_sent": "planned"}[as]
	if state == "" {
		return core.FieldErrorf("/as", "Say “published” or “not_sent”.")
	}
	rows, err := s.pool.Query(ctx, "select "+itemColumns+itemsFrom(snap.Schema)+"where i.plan = $1 and i.id = $2", dynamic, plan, item)
	if err != nil {
		return fmt.Errorf("item: %w", err)
	}
	it, err := pgx.CollectExactlyOneRow(rows, scanItem)
	if err != nil {
		return mapError(err)
	}
	if it.State != "unknown" {
		return core.Errorf(core.Conflict, "This record is not unknown (any more).")
	}
	if it.Op == "create" && as == "published" && remoteID == "" && it.RemoteID == "" {
		return core.FieldErrorf("/remote_id", "Say which id the service gave the record.")
	}
	t, err := s.TableByID(ctx, by, TableRef{snapshot, it.Table})
	if err != nil {
		return err
	}
	sent := map[string]json.RawMessage{}
	for n, f := range it.Fields {
		sent[strconv.Itoa(n)] = f.Value
	}
	raw, err := json.Marshal(sent)
	if err != nil {
		return fmt.Errorf("sent: %w", err)
	}
	if err := s.SaveOutcomes(ctx, t, []ItemOutcome{{Item: item, State: state, Reason: "Settled by " + by.Name, RemoteID: orText(remoteID, it.RemoteID), Sent: raw, Stored: raw}}); err != nil {
		return err
	}
	return s.MergeOutcomes(ctx, by, t, plan)
}
