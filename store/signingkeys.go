package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SigningKey signs agents' tokens, or did so until lately.
type SigningKey struct {
	ID        string
	Secret    []byte
	CreatedAt time.Time
}

// newKey gives 256 random bits.
func newKey() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return b[:]
}

// retiredFor is how long a key is still taken after another took its place: longer than any token that it signed lasts.
const retiredFor = 2 * time.Hour

// SigningKeys gives the keys whose tokens are taken, the one that signs first. Where there is none, or the newest is older than age, one is made.
// Codes: Unavailable (a key cannot be read).
func (s *Store) SigningKeys(ctx context.Context, age time.Duration) ([]SigningKey, error) {
	keys, err := s.signingKeys(ctx, s.pool)
	if err != nil || len(keys) > 0 && time.Since(keys[0].CreatedAt) < age {
		return keys, err
	}
	return s.RotateSigningKey(ctx, age)
}

func (s *Store) signingKeys(ctx context.Context, q querier) ([]SigningKey, error) {
	rows, err := q.Query(ctx, `select id, secret, created_at from signing_keys where retired_at is null or retired_at > now() - $1::interval order by created_at desc, id`, retiredFor)
	if err != nil {
		return nil, mapError(fmt.Errorf("signing keys: %w", err))
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (SigningKey, error) {
		var k SigningKey
		err := row.Scan(&k.ID, &k.Secret, &k.CreatedAt)
		return k, err
	})
	if err != nil {
		return nil, mapError(fmt.Errorf("signing keys: %w", err))
	}
	for i, k := range keys {
		if keys[i].Secret, err = s.box.Unseal(k.Secret, "", "signing_keys", k.ID); err != nil {
			return nil, core.Wrap(err, core.Unavailable, "The key %s of agents' tokens cannot be read with the key of this program.", k.ID)
		}
	}
	return keys, nil
}

// RotateSigningKey makes a key that signs from now on, unless another process made one less than age ago. Tokens of the former are taken as
// long as they last.
func (s *Store) RotateSigningKey(ctx context.Context, age time.Duration) ([]SigningKey, error) {
	var keys []SigningKey
	err := s.tx(ctx, core.System(""), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `lock table signing_keys in share row exclusive mode`); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		var err error
		if keys, err = s.signingKeys(ctx, tx); err != nil || len(keys) > 0 && time.Since(keys[0].CreatedAt) < age {
			return err
		}
		id := core.NewID("key")
		secret := newKey()
		sealed, err := s.box.Seal(secret, "", "signing_keys", id)
		if err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		if _, err := tx.Exec(ctx, `update signing_keys set retired_at = now() where retired_at is null`); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		if _, err := tx.Exec(ctx, `delete from signing_keys where retired_at < now() - $1::interval`, retiredFor); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		if _, err := tx.Exec(ctx, `insert into signing_keys (id, secret, created_at) values ($1, $2, clock_timestamp())`, id, sealed); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		keys, err = s.signingKeys(ctx, tx)
		return err
	})
	return keys, err
}
