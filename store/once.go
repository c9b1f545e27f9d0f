package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Once is what is known of a request that carries an Idempotency-Key. It is to be run, unless it is Done.
type Once struct {
	Done   bool // it was answered: Status and Body are the answer
	Status int
	Body   []byte
	run    *onceRun
}

// onceRun is one try of a request. What earlier tries did is answered from effects and not done again.
type onceRun struct {
	key     string
	attempt int
	effects []effect
}

// effect is what a command did in the transaction that noted it.
type effect struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// onceQuiet is how long a request that began is left alone before the same one may try again. The earlier try cannot commit
// any more then.
const onceQuiet = 10 * time.Second

type onceKey struct{}

// Context gives the context in which the request runs.
func (o Once) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, o.run)
}

// BeginOnce says that a request with a key begins, or what is known of it from before. Codes: Invalid (the key was used for
// another body), Busy (the same request is running).
func (s *Store) BeginOnce(ctx context.Context, by core.Actor, key, route string, hash []byte) (Once, error) {
	tag, err := s.pool.Exec(ctx, `insert into idempotency_keys (org_id, key, route, hash) values ($1, $2, $3, $4) on conflict do nothing`,
		by.Org, key, route, hash)
	if err != nil {
		return Once{}, mapError(fmt.Errorf("begin once: %w", err))
	}
	if tag.RowsAffected() == 1 {
		return Once{run: &onceRun{key: key, attempt: 1}}, nil
	}
	var stored, body []byte
	var was string
	var status *int
	err = s.pool.QueryRow(ctx, `select route, hash, status, body from idempotency_keys where org_id = $1 and key = $2`, by.Org, key).
		Scan(&was, &stored, &status, &body)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it failed meanwhile and may be tried again
		return Once{}, sameRunning()
	case err != nil:
		return Once{}, mapError(fmt.Errorf("known once: %w", err))
	case was != route || !bytes.Equal(stored, hash):
		return Once{}, core.Errorf(core.Invalid, "This Idempotency-Key was used for another request.")
	case status != nil:
		return Once{Done: true, Status: *status, Body: body}, nil
	}
	return s.tryAgain(ctx, by, key)
}

// tryAgain begins a request anew whose earlier try did not end.
func (s *Store) tryAgain(ctx context.Context, by core.Actor, key string) (Once, error) {
	run := &onceRun{key: key}
	err := s.pool.QueryRow(ctx, `update idempotency_keys set attempt = attempt + 1, begun_at = clock_timestamp()
		where org_id = $1 and key = $2 and status is null and begun_at < clock_timestamp() - $3::interval returning attempt, done`, by.Org, key, onceQuiet).
		Scan(&run.attempt, &run.effects)
	if errors.Is(err, pgx.ErrNoRows) {
		return Once{}, sameRunning()
	}
	if err != nil {
		return Once{}, mapError(fmt.Errorf("try once more: %w", err))
	}
	return Once{run: run}, nil
}

func sameRunning() error {
	return &core.Error{Code: core.Busy, Sentence: "The same request is just being answered.", RetryAfter: 1}
}

// EndOnce keeps the answer of a request that BeginOnce let through.
func (s *Store) EndOnce(ctx context.Context, by core.Actor, o Once, status int, body []byte) error {
	_, err := s.pool.Exec(ctx, `update idempotency_keys set status = $4, body = $5 where org_id = $1 and key = $2 and attempt = $3 and status is null`,
		by.Org, o.run.key, o.run.attempt, status, body)
	return mapError(err)
}

// DropOnce ends a try that failed, so that the same request can be tried again at once. What it did all the same, since only
// the answer to its commit was lost, stays known.
func (s *Store) DropOnce(ctx context.Context, by core.Actor, o Once) error {
	_, err := s.pool.Exec(ctx, `delete from idempotency_keys where org_id = $1 and key = $2 and attempt = $3 and status is null and done = '[]'`,
		by.Org, o.run.key, o.run.attempt)
	if err != nil {
		return mapError(err)
	}
	_, err = s.pool.Exec(ctx, `update idempotency_keys set begun_at = '-infinity' where org_id = $1 and key = $2 and attempt = $3 and status is null`,
		by.Org, o.run.key, o.run.attempt)
	return mapError(err)
}

// EndTries lets every request that did not end be tried again at once. Only a process that has the database to itself may do
// so, at its start.
func (s *Store) EndTries(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `/* every organization: the tries are those of this program's last run */
		update idempotency_keys set begun_at = '-infinity' where status is null`)
	return mapError(err)
}

// DropOldTries forgets requests that began longer ago than an age: sent again, they would do what they say again. Those that a
// page keeps while it is offline come back within days.
func (s *Store) DropOldTries(ctx context.Context, age time.Duration) error {
	_, err := s.pool.Exec(ctx, `/* every organization: it is the program's own housekeeping */
		delete from idempotency_keys where greatest(created_at, begun_at) < now() - $1::interval`, age)
	return mapError(err)
}

// doneBefore says whether an earlier try of the request did what comes now, and gives what it came to.
func doneBefore(ctx context.Context, kind string, into any) (bool, error) {
	run, _ := ctx.Value(onceKey{}).(*onceRun)
	if run == nil || len(run.effects) == 0 || run.effects[0].Kind != kind {
		return false, nil
	}
	e := run.effects[0]
	run.effects = run.effects[1:]
	if err := json.Unmarshal(e.Value, into); err != nil {
		return false, fmt.Errorf("what was done before: %w", err)
	}
	return true, nil
}

// beside gives a context for what is done beside the request's own command, and is safe to repeat.
func beside(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, (*onceRun)(nil))
}

// keepDone notes what a command did, in its transaction. A try that was given up fails. Codes: Busy.
func keepDone(ctx context.Context, tx pgx.Tx, by core.Actor, kind string, value any) error {
	run, _ := ctx.Value(onceKey{}).(*onceRun)
	if run == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("what was done: %w", err)
	}
	tag, err := tx.Exec(ctx, `update idempotency_keys set done = done || jsonb_build_array(jsonb_build_object('kind', $4::text, 'value', $5::jsonb))
		where org_id = $1 and key = $2 and attempt = $3 and status is null`, by.Org, run.key, run.attempt, kind, string(raw))
	if err != nil {
		return fmt.Errorf("note what was done: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return sameRunning()
	}
	return nil
}

// TriedBefore says whether an earlier try of the request did something: what the command does now is to answer the same.
func TriedBefore(ctx context.Context) bool {
	run, _ := ctx.Value(onceKey{}).(*onceRun)
	return run != nil && len(run.effects) > 0
}

// doneJob gives the job that an earlier try of the request made.
func (s *Store) doneJob(ctx context.Context, by core.Actor) (Job, bool, error) {
	var id string
	done, err := doneBefore(ctx, "job", &id)
	if err != nil || !done {
		return Job{}, false, err
	}
	j, err := s.JobByID(ctx, by, id)
	return j, true, err
}
