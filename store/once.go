package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Once is what is known of a request that carries an Idempotency-Key.
type Once struct {
	Done   bool // it was answered: Status and Body are the answer
	Status int
	Body   []byte
	Stale  bool // it began long ago and never ended: whether it was done is not known
}

// onceStale is after how long a request that began and did not end counts as interrupted: longer than any takes.
const onceStale = 2 * time.Minute

// BeginOnce says that a request with a key begins, or what is known of it from before. Codes: Invalid (the key was used for
// another body), Busy (the same request is running).
func (s *Store) BeginOnce(ctx context.Context, by core.Actor, key, route string, hash []byte) (Once, error) {
	tag, err := s.pool.Exec(ctx, `insert into idempotency_keys (org_id, key, route, hash) values ($1, $2, $3, $4) on conflict do nothing`,
		by.Org, key, route, hash)
	if err != nil {
		return Once{}, mapError(fmt.Errorf("begin once: %w", err))
	}
	if tag.RowsAffected() == 1 {
		return Once{}, nil
	}
	var stored, body []byte
	var was string
	var status *int
	var age time.Duration
	err = s.pool.QueryRow(ctx, `select route, hash, status, body, clock_timestamp() - created_at from idempotency_keys where org_id = $1 and key = $2`,
		by.Org, key).Scan(&was, &stored, &status, &body, &age)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it failed meanwhile and may be tried again
		return Once{}, &core.Error{Code: core.Busy, Sentence: "The same request is just being answered.", RetryAfter: 1}
	case err != nil:
		return Once{}, mapError(fmt.Errorf("known once: %w", err))
	case was != route || !bytes.Equal(stored, hash):
		return Once{}, core.Errorf(core.Invalid, "This Idempotency-Key was used for another request.")
	case status != nil:
		return Once{Done: true, Status: *status, Body: body}, nil
	case age > onceStale:
		return Once{Stale: true}, nil
	}
	return Once{}, &core.Error{Code: core.Busy, Sentence: "The same request is just being answered.", RetryAfter: 1}
}

// EndOnce keeps the answer of a request that BeginOnce let through.
func (s *Store) EndOnce(ctx context.Context, by core.Actor, key string, status int, body []byte) error {
	_, err := s.pool.Exec(ctx, `update idempotency_keys set status = $3, body = $4 where org_id = $1 and key = $2`, by.Org, key, status, body)
	return mapError(err)
}

// DropOnce forgets a request that changed nothing, so that it can be tried again under the same key.
func (s *Store) DropOnce(ctx context.Context, by core.Actor, key string) error {
	_, err := s.pool.Exec(ctx, `delete from idempotency_keys where org_id = $1 and key = $2 and status is null`, by.Org, key)
	return mapError(err)
}
