package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Limits are what one organization may take up; 0 does not limit.
type Limits struct {
	Jobs    int   // that are queued, running or waiting
	Records int64 // of all its snapshots together
}

// jobsRetry is after how many seconds somebody may ask again who has too many jobs.
const jobsRetry = 30

// jobsRoomTx gives an error when people of an organization have as many jobs open as it may have. What the program makes by itself is not
// held up. Two that come at the same moment may both find room. Codes: TooMany.
func (s *Store) jobsRoomTx(ctx context.Context, tx pgx.Tx, by core.Actor) error {
	if s.limits.Jobs == 0 || by.Kind == core.KindSystem {
		return nil
	}
	var open int
	if err := tx.QueryRow(ctx, `select count(*) from jobs where org_id = $1 and state in ('queued', 'running', 'waiting')`, by.Org).Scan(&open); err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	if open < s.limits.Jobs {
		return nil
	}
	return &core.Error{Code: core.TooMany, RetryAfter: jobsRetry, Sentence: fmt.Sprintf("Your organization has %d jobs open, as many as it may have at once. Wait until one ends, or cancel one under Jobs.", open)}
}

// roomTx gives an error when records that came make more than an organization may have; the batch is taken back. Codes: Conflict.
func (s *Store) roomTx(ctx context.Context, tx pgx.Tx, by core.Actor, added int64) error {
	if s.limits.Records == 0 || added <= 0 {
		return nil
	}
	var records int64
	if err := tx.QueryRow(ctx, `select coalesce(sum(records), 0) from tables where org_id = $1`, by.Org).Scan(&records); err != nil {
		return fmt.Errorf("records of an organization: %w", err)
	}
	if records <= s.limits.Records {
		return nil
	}
	return core.Errorf(core.Conflict, "Your organization may have %d records in its snapshots, and this would make them %d. Delete a snapshot that is not needed any more, or ask whoever runs this app for more room. What was there before is kept.", s.limits.Records, records)
}
