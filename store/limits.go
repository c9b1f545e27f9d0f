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
	// Files and FileBytes are how many uploaded files, and bytes of them, one person may have that were not imported yet.
	Files     int
	FileBytes int64
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

// fileRoomTx gives how many bytes a person may still send, of limit that one file may have; 0 does not limit. Their files are counted one at a
// time until the transaction ends. own is the file that is counted already, of which those that began later and are still coming take no room: of
// several that come at once not all are refused for each other. "" is none. Codes: Conflict.
func (s *Store) fileRoomTx(ctx context.Context, tx pgx.Tx, by core.Actor, own string, limit int64) (int64, error) {
	if s.limits.Files == 0 && s.limits.FileBytes == 0 {
		return limit, nil
	}
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('files ' || $1 || ' ' || $2, 0))`, by.Org, by.Person); err != nil {
		return 0, fmt.Errorf("files of a person: %w", err)
	}
	var files int
	var bytes int64
	if err := tx.QueryRow(ctx, `select count(*), coalesce(sum(case when u.complete then u.bytes
			else (select count(*) * $4::bigint from upload_chunks c where c.org_id = u.org_id and c.upload_id = u.id) end), 0)
		from uploads u where u.org_id = $1 and u.person_id = $2 and u.id <> $3 and ($3 = '' or u.complete
			or (u.created_at, u.id) < (select o.created_at, o.id from uploads o where o.org_id = $1 and o.id = $3))`, by.Org, by.Person, own, chunkSize).Scan(&files, &bytes); err != nil {
		return 0, fmt.Errorf("files of a person: %w", err)
	}
	if s.limits.Files > 0 && files >= s.limits.Files {
		return 0, core.Errorf(core.Conflict, "You have %d files here that were not imported, as many as one person may have. Import them, or wait: each goes a day after it came.", files)
	}
	if s.limits.FileBytes == 0 {
		return limit, nil
	}
	left := s.limits.FileBytes - bytes
	if left <= 0 {
		return 0, fullOfFiles(s.limits.FileBytes)
	}
	if limit == 0 || left < limit {
		return left, nil
	}
	return limit, nil
}

func fullOfFiles(limit int64) error {
	return core.Errorf(core.Conflict, "Your files here that were not imported, with this one, have more than the %d MB that one person may have. Import them, or wait: each goes a day after it came.", limit>>20)
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
