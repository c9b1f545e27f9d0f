package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
)

// OpenKeys gives what seals and unseals in this database: the keys that are kept in it, which the operator's key opens. Where none is kept
// and each use of the operator's key would be a request, one is made. Codes: Unavailable.
func OpenKeys(ctx context.Context, pool *pgxpool.Pool, box *secrets.Box) (*secrets.Ring, error) {
	if box.Remote() && !box.Changing() {
		if err := firstSecretKey(ctx, pool, box); err != nil {
			return nil, err
		}
	}
	ring := secrets.NewRing(box, keysOf(pool))
	if err := ring.Look(ctx); err != nil {
		return nil, notOpened(box, err)
	}
	return ring, nil
}

// RestoreKeys gives what opens a backup, and seals where it is brought in.
func RestoreKeys(pool *pgxpool.Pool, box *secrets.Box, about BackupHeader) *secrets.Ring {
	return secrets.NewRing(box, func(ctx context.Context) ([]secrets.Wrapped, error) {
		if about.Everything() {
			return about.Keys, nil
		}
		here, err := keysOf(pool)(ctx)
		return append(here, about.Keys...), err
	})
}

// notOpened is the error where the operator's key opens none of the keys in the database.
func notOpened(box *secrets.Box, err error) error {
	if box.Remote() {
		return core.Wrap(err, core.Unavailable, "The key management service does not open the key of this database's credentials: it cannot be reached, or SECRETS_KEY_KMS names another key, or this program may not use it (%v).", err)
	}
	return core.Wrap(err, core.Unavailable, "The key of the credentials is another one than this database's. Every process needs the same key: SECRETS_KEY_FILE, SECRETS_KEY, or secrets-key.json in DATA_DIR.")
}

// keysOf reads the keys over a connection of its own: who seals something may hold the pool's last one.
func keysOf(pool *pgxpool.Pool) func(ctx context.Context) ([]secrets.Wrapped, error) {
	return func(ctx context.Context) ([]secrets.Wrapped, error) {
		conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
		if err != nil {
			return nil, mapError(fmt.Errorf("connect: %w", err))
		}
		defer conn.Close(context.WithoutCancel(ctx))
		return wrappedKeys(ctx, conn)
	}
}

func wrappedKeys(ctx context.Context, q querier) ([]secrets.Wrapped, error) {
	rows, err := q.Query(ctx, `select id, sealed, replaced_at is null from secret_keys order by made_at, id`)
	if err != nil {
		return nil, mapError(fmt.Errorf("secret keys: %w", err))
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[secrets.Wrapped])
}

// firstSecretKey makes a key where there is none. Of processes that do it at the same moment one succeeds, and all have its key.
func firstSecretKey(ctx context.Context, pool *pgxpool.Pool, box *secrets.Box) error {
	kept, err := wrappedKeys(ctx, pool)
	if err != nil || len(kept) > 0 {
		return err
	}
	w, err := box.NewKey()
	if err != nil {
		return notOpened(box, err)
	}
	_, err = pool.Exec(ctx, `insert into secret_keys (id, sealed) select $1, $2 where not exists (select 1 from secret_keys) on conflict do nothing`, w.ID, w.Sealed)
	if err != nil {
		return mapError(fmt.Errorf("first key: %w", err))
	}
	return nil
}

// Rotation is what a rotation of the keys did.
type Rotation struct {
	Key        uint32 // seals from now on
	Made       bool   // it is new; else a rotation that was cut short was brought to its end
	Sealed     int    // credentials and signing keys that were sealed anew
	Rewrapped  int    // keys that the operator's key opens from now on, and not the one before it
	Unreadable []string
}

// RotateKeys makes a key that seals from now on, and seals everything anew with it, a batch at a time, while others read and write. Where
// that was cut short before, it is brought to its end, and no other key is made. What no key opens stays as it is and is named.
// fault is called after each commit. Codes: Conflict (somebody is at it), Unavailable (the operator's key).
func RotateKeys(ctx context.Context, pool *pgxpool.Pool, box *secrets.Box, fault func(point string)) (done Rotation, err error) {
	err = withKeys(ctx, pool, func(conn *pgxpool.Conn) error {
		r := rotation{ctx: ctx, conn: conn, box: box, fault: fault}
		defer func() { done = r.done }()
		return r.run(pool)
	})
	return done, err
}

// keysLock is the advisory lock of who changes the keys; the number means nothing.
const keysLock = 0x5ec7_e7_ce15

// withKeys runs fn while nobody else changes the keys. The lock goes with the connection, also when the program is killed. Codes: Conflict.
func withKeys(ctx context.Context, pool *pgxpool.Pool, fn func(conn *pgxpool.Conn) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return mapError(fmt.Errorf("connect: %w", err))
	}
	defer conn.Release()
	var free bool
	if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, int64(keysLock)).Scan(&free); err != nil {
		return mapError(fmt.Errorf("lock: %w", err))
	}
	if !free {
		return core.Errorf(core.Conflict, "The keys are being changed by another process at the moment. Nothing was done here; try again when it has ended.")
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock($1)`, int64(keysLock)) }()
	return fn(conn)
}

// rotation is one under way.
type rotation struct {
	ctx   context.Context
	conn  *pgxpool.Conn
	box   *secrets.Box
	ring  *secrets.Ring
	fault func(point string)
	done  Rotation
}

func (r *rotation) run(pool *pgxpool.Pool) error {
	if err := r.rewrap(); err != nil {
		return err
	}
	r.ring = secrets.NewRing(r.box, keysOf(pool))
	kept, err := wrappedKeys(r.ctx, r.conn)
	if err != nil {
		return err
	}
	for _, w := range kept {
		if !w.Seals {
			continue
		}
		if err := r.sealAnew(w.ID); err != nil || r.done.Sealed > 0 {
			return err
		}
	}
	key, err := r.makeKey()
	if err != nil {
		return err
	}
	return r.sealAnew(key)
}

// rewrap lets the operator's key open what the one before it had wrapped.
func (r *rotation) rewrap() error {
	kept, err := wrappedKeys(r.ctx, r.conn)
	if err != nil {
		return err
	}
	for _, w := range kept {
		again, changed, err := r.box.Rewrap(w)
		if err != nil {
			return notOpened(r.box, err)
		}
		if !changed {
			continue
		}
		if _, err := r.conn.Exec(r.ctx, `update secret_keys set sealed = $2 where id = $1`, w.ID, again.Sealed); err != nil {
			return mapError(fmt.Errorf("rewrap: %w", err))
		}
		r.done.Rewrapped++
		r.fault("keys.wrapped")
	}
	return nil
}

// makeKey makes the key that seals from now on. The ids of keys are random, and one that there is already is not taken.
func (r *rotation) makeKey() (uint32, error) {
	w, err := r.box.NewKey()
	if err != nil {
		return 0, notOpened(r.box, err)
	}
	err = pgx.BeginFunc(r.ctx, r.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(r.ctx, `update secret_keys set replaced_at = now() where replaced_at is null`); err != nil {
			return fmt.Errorf("replace key: %w", err)
		}
		if _, err := tx.Exec(r.ctx, `insert into secret_keys (id, sealed) values ($1, $2)`, w.ID, w.Sealed); err != nil {
			return fmt.Errorf("new key: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, mapError(err)
	}
	r.done.Made = true
	r.fault("keys.made")
	return w.ID, nil
}

// sealAnew seals with a key what another one sealed.
func (r *rotation) sealAnew(key uint32) error {
	r.done.Key, r.done.Unreadable = key, nil
	if err := r.ring.Look(r.ctx); err != nil {
		return notOpened(r.box, err)
	}
	for _, c := range SealedColumns {
		for after, more := "", true; more; {
			err := pgx.BeginFunc(r.ctx, r.conn, func(tx pgx.Tx) (err error) {
				after, more, err = r.batch(tx, c, key, after)
				return err
			})
			if err != nil {
				return mapError(err)
			}
			r.fault("keys.batch")
		}
	}
	return nil
}

// sealedAtOnce is how many rows are locked and sealed in one transaction: some milliseconds of work.
const sealedAtOnce = 50

// batch seals the next rows of a column anew. It gives the last of them, and whether there may be more.
func (r *rotation) batch(tx pgx.Tx, c SealedColumn, key uint32, after string) (last string, more bool, err error) {
	rows, err := tx.Query(r.ctx, `/* every organization: the key is the program's, not theirs */
		select id, `+c.Org+`, `+c.Name+`, `+ident(c.Column)+` from `+ident(c.Table)+`
		where substring(`+ident(c.Column)+` from 1 for 5) <> $1 and id > $2 order by id limit $3 for no key update`, secrets.Prefix(key), after, sealedAtOnce)
	if err != nil {
		return "", false, fmt.Errorf("sealed: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
	if err != nil || len(list) == 0 {
		return "", false, err
	}
	var ids []string
	var sealed [][]byte
	for _, row := range list {
		plain, err := r.ring.Unseal(row.Sealed, row.Org, c.Table, row.ID)
		if err != nil {
			r.done.Unreadable = append(r.done.Unreadable, row.Name)
			continue
		}
		again, err := r.ring.Seal(plain, row.Org, c.Table, row.ID)
		if err != nil {
			return "", false, fmt.Errorf("seal: %w", err)
		}
		ids, sealed = append(ids, row.ID), append(sealed, again)
	}
	_, err = tx.Exec(r.ctx, `/* every organization: the key is the program's, not theirs */
		update `+ident(c.Table)+` t set `+ident(c.Column)+` = n.sealed from unnest($1::text[], $2::bytea[]) n(id, sealed) where t.id = n.id`, ids, sealed)
	if err != nil {
		return "", false, fmt.Errorf("seal anew: %w", err)
	}
	r.done.Sealed += len(ids)
	return list[len(list)-1].ID, len(list) == sealedAtOnce, nil
}

// SecretKey is a key of the database, and how much is sealed with it.
type SecretKey struct {
	ID         uint32
	MadeAt     time.Time
	ReplacedAt *time.Time // nil: it seals
	Uses       int64      // credentials and signing keys
}

// SecretKeys lists the keys, the oldest first, and gives how much is sealed with no key of the database but with the operator's own.
func SecretKeys(ctx context.Context, q querier) (keys []SecretKey, others int64, err error) {
	uses := map[uint32]int64{}
	for _, c := range SealedColumns {
		rows, err := q.Query(ctx, `/* every organization: the key is the program's, not theirs */
			select substring(`+ident(c.Column)+` from 1 for 5), count(*) from `+ident(c.Table)+` where `+ident(c.Column)+` is not null group by 1`)
		if err != nil {
			return nil, 0, mapError(fmt.Errorf("uses: %w", err))
		}
		var prefix []byte
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&prefix, &n}, func() error {
			id, _ := secrets.KeyOf(prefix) // 0 is no key's
			uses[id] += n
			others += n
			return nil
		})
		if err != nil {
			return nil, 0, mapError(fmt.Errorf("uses: %w", err))
		}
	}
	rows, err := q.Query(ctx, `select id, made_at, replaced_at, 0 from secret_keys order by made_at, id`)
	if err != nil {
		return nil, 0, mapError(fmt.Errorf("secret keys: %w", err))
	}
	if keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SecretKey]); err != nil {
		return nil, 0, mapError(fmt.Errorf("secret keys: %w", err))
	}
	for i, k := range keys {
		keys[i].Uses = uses[k.ID]
		others -= uses[k.ID]
	}
	return keys, others, nil
}

// RetireKeys drops the keys that seal no more, once that is settled ago and nothing is sealed with them, and gives those that it dropped and
// those that it kept. Nothing more can come that they sealed: a process knows within half a minute which key seals.
// Codes: Conflict (somebody is at it).
func RetireKeys(ctx context.Context, pool *pgxpool.Pool, settled time.Duration) (dropped, kept []SecretKey, err error) {
	err = withKeys(ctx, pool, func(conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			keys, _, err := SecretKeys(ctx, tx)
			if err != nil {
				return err
			}
			for _, k := range keys {
				if k.ReplacedAt == nil {
					continue
				}
				tag, err := tx.Exec(ctx, `delete from secret_keys where id = $1 and $2 and replaced_at < now() - $3::interval`, k.ID, k.Uses == 0, settled)
				if err != nil {
					return mapError(fmt.Errorf("retire: %w", err))
				}
				if tag.RowsAffected() == 1 {
					dropped = append(dropped, k)
				} else {
					kept = append(kept, k)
				}
			}
			return nil
		})
	})
	return dropped, kept, err
}
