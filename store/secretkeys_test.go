package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/archive/archivetest"
	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
)

func mustKey(t *testing.T, letter string) *secrets.Box {
	t.Helper()
	b, err := secrets.FromText(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32))))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustVault is a store whose credentials are sealed for real, with some connections and a signing key.
func mustVault(t *testing.T, box *secrets.Box, connections int) *Store {
	t.Helper()
	s := mustStore(t)
	s = mustProcess(t, s, box)
	for n := range connections {
		_, err := s.CreateConnection(t.Context(), core.Local(), NewConnection{Connector: "postgres", Name: fmt.Sprintf("Shop %03d", n), Secrets: map[string]string{"password": fmt.Sprint("pw-", n)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SigningKeys(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	return s
}

// mustProcess is another process on the same database.
func mustProcess(t *testing.T, s *Store, box *secrets.Box) *Store {
	t.Helper()
	ring, err := OpenKeys(t.Context(), s.pool, box)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Pool: s.pool, Sealer: ring, Log: slog.New(slog.DiscardHandler)})
}

// readsAll gives an error unless a process reads the credentials of all connections.
func readsAll(ctx context.Context, s *Store) error {
	all, err := s.Connections(ctx, core.Local())
	if err != nil {
		return err
	}
	for _, c := range all {
		settings, err := s.ConnectionSettings(ctx, core.Local(), c.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if !strings.HasPrefix(settings["password"], "pw-") {
			return fmt.Errorf("%s holds %q", c.Name, settings["password"])
		}
	}
	_, err = s.SigningKeys(ctx, time.Hour)
	return err
}

func mustRotate(t *testing.T, s *Store, box *secrets.Box) Rotation {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // until the server has noticed that one was cut short
		done, err := RotateKeys(t.Context(), s.pool, box, func(string) {})
		if core.CodeOf(err) == core.Conflict && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
}

// notSealed are columns of bytes that nothing secret is in.
var notSealed = []string{"upload_chunks.data", "idempotency_keys.body", "secret_keys.sealed", "recovery_codes.salt"}

// TestEveryColumnOfBytesIsThoughtOf fails when a control table gets a column of bytes: say in SealedColumns that the key of the credentials
// opens it, or in notSealed that it does not. Hashes of what people and programs get in by are called hash.
func TestEveryColumnOfBytesIsThoughtOf(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	rows, err := s.pool.Query(t.Context(), `select table_name || '.' || column_name from information_schema.columns where table_schema = 'public' and data_type = 'bytea' order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range SealedColumns {
		if !slices.Contains(columns, c.Table+"."+c.Column) {
			t.Errorf("there is no column %s.%s", c.Table, c.Column)
		}
	}
	for _, name := range notSealed {
		if !slices.Contains(columns, name) {
			t.Errorf("there is no column %s", name)
		}
	}
	for _, name := range columns {
		sealed := slices.ContainsFunc(SealedColumns, func(c SealedColumn) bool { return c.Table+"."+c.Column == name })
		if !sealed && !strings.HasSuffix(name, ".hash") && !slices.Contains(notSealed, name) {
			t.Errorf("%s is neither in SealedColumns nor in notSealed", name)
		}
	}
}

// TestARotationIsSeenByNobody lets two processes read and write all the time while the keys change twice.
func TestARotationIsSeenByNobody(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustVault(t, box, 2*sealedAtOnce+10)
	ctx, stop := context.WithCancel(t.Context())
	var people sync.WaitGroup
	for range 2 {
		p := mustProcess(t, s, box)
		people.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := readsAll(ctx, p); err != nil && ctx.Err() == nil {
					t.Errorf("while the keys change: %v", err)
					return
				}
				all, err := p.Connections(ctx, core.Local())
				if err != nil {
					continue // it has ended
				}
				c := all[n%len(all)]
				if _, err := p.UpdateConnection(ctx, core.Local(), c.ID, NewConnection{Secrets: map[string]string{"password": fmt.Sprint("pw-again-", n)}}); err != nil && ctx.Err() == nil {
					t.Errorf("while the keys change: %v", err)
					return
				}
			}
		})
	}
	first := mustRotate(t, s, box)
	second := mustRotate(t, s, box)
	stop()
	people.Wait()
	if !first.Made || first.Sealed < 2*sealedAtOnce {
		t.Errorf("the first rotation says %+v", first)
	}
	// A process may have sealed with the key before: the second one may have had to bring the first to its end.
	for n := 0; !second.Made && n < 3; n++ {
		second = mustRotate(t, s, box)
	}
	if !second.Made || second.Key == first.Key || len(second.Unreadable) > 0 {
		t.Errorf("the second rotation says %+v", second)
	}
	if err := readsAll(t.Context(), mustProcess(t, s, box)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestARotationThatWasCutShortIsBroughtToItsEnd ends it at each of its points, and goes on.
func TestARotationThatWasCutShortIsBroughtToItsEnd(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustVault(t, box, 2*sealedAtOnce+10)
	for at, points := 1, 1; points >= at; at++ {
		ctx, cut := context.WithCancel(t.Context())
		points = 0
		_, err := RotateKeys(ctx, s.pool, box, func(string) {
			if points++; points == at {
				cut()
			}
		})
		cut()
		if points < at && err != nil {
			t.Fatal(err)
		}
		if err := readsAll(t.Context(), mustProcess(t, s, box)); err != nil {
			t.Fatalf("cut short at point %d: %v", at, err)
		}
		left := leftWithOthers(t, s)
		if done := mustRotate(t, s, box); done.Made != (left == 0) || left > 0 && int64(done.Sealed) != left {
			t.Errorf("cut short at point %d, with %d left, going on says %+v", at, left, done)
		}
		if left := leftWithOthers(t, s); left > 0 {
			t.Errorf("%d are left that the key that seals did not seal", left)
		}
	}
}

// leftWithOthers counts what is not sealed with the key that seals.
func leftWithOthers(t *testing.T, s *Store) int64 {
	t.Helper()
	keys, left, err := SecretKeys(t.Context(), s.pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.ReplacedAt != nil {
			left += k.Uses
		}
	}
	return left
}

func TestOneRotationAtATime(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustVault(t, box, 3)
	var second error
	var once sync.Once
	if _, err := RotateKeys(t.Context(), s.pool, box, func(string) {
		once.Do(func() { _, second = RotateKeys(t.Context(), s.pool, box, func(string) {}) })
	}); err != nil {
		t.Fatal(err)
	}
	if core.CodeOf(second) != core.Conflict {
		t.Errorf("a second one at the same time gives %v", second)
	}
	if keys, _, err := SecretKeys(t.Context(), s.pool); err != nil || len(keys) != 1 {
		t.Errorf("there are %d keys, %v", len(keys), err)
	}
}

func TestAnotherOperatorsKeyRotatesNothing(t *testing.T) {
	t.Parallel()
	s := mustVault(t, mustKey(t, "a"), 3)
	mustRotate(t, s, mustKey(t, "a"))
	before := content(t, s.pool)
	wrong := mustKey(t, "b")
	if _, err := OpenKeys(t.Context(), s.pool, wrong); core.CodeOf(err) != core.Unavailable {
		t.Errorf("a start gives %v", err)
	}
	if _, err := RotateKeys(t.Context(), s.pool, wrong, func(string) {}); core.CodeOf(err) != core.Unavailable {
		t.Errorf("a rotation gives %v", err)
	}
	mustSame(t, before, content(t, s.pool))
}

func TestAKeyIsDroppedWhenNothingUsesIt(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustVault(t, box, 3)
	first := mustRotate(t, s, box)
	late := mustProcess(t, s, box) // it knows the first key, and will not know the second for a while
	second := mustRotate(t, s, box)
	if _, err := late.CreateConnection(t.Context(), core.Local(), NewConnection{Connector: "postgres", Name: "Late", Secrets: map[string]string{"password": "pw-late"}}); err != nil {
		t.Fatal(err)
	}
	retire := func(settled time.Duration, want int) {
		t.Helper()
		dropped, kept, err := RetireKeys(t.Context(), s.pool, settled)
		if err != nil || len(dropped) != want || len(dropped)+len(kept) != 1 {
			t.Errorf("dropped %v, kept %v, %v, want %d dropped", dropped, kept, err, want)
		}
	}
	retire(0, 0) // the late process has used it
	if again := mustRotate(t, s, box); again.Made || again.Sealed != 1 || again.Key != second.Key {
		t.Errorf("the next rotation says %+v", again)
	}
	retire(time.Hour, 0)
	retire(0, 1)
	keys, others, err := SecretKeys(t.Context(), s.pool)
	if err != nil || others != 0 || len(keys) != 1 || keys[0].ID != second.Key || keys[0].Uses != 5 || keys[0].ReplacedAt != nil {
		t.Errorf("left are %+v and %d others, %v; the first was %d", keys, others, err, first.Key)
	}
	if err := readsAll(t.Context(), late); err != nil {
		t.Error(err)
	}
}

// TestWhatNoKeyOpensIsNamedAndLeft spoils one credential; the others are sealed anew.
func TestWhatNoKeyOpensIsNamedAndLeft(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustVault(t, box, 3)
	spoilt := []byte("not sealed by any key")
	if _, err := s.pool.Exec(t.Context(), `update connections set secrets = $2 where org_id = $1 and name = 'Shop 001'`, core.LocalOrg, spoilt); err != nil {
		t.Fatal(err)
	}
	done := mustRotate(t, s, box)
	if !slices.Equal(done.Unreadable, []string{"Shop 001"}) || done.Sealed != 3 {
		t.Errorf("the rotation says %+v", done)
	}
	var held []byte
	if err := s.pool.QueryRow(t.Context(), `select secrets from connections where org_id = $1 and name = 'Shop 001'`, core.LocalOrg).Scan(&held); err != nil || string(held) != string(spoilt) {
		t.Errorf("it holds %q, %v", held, err)
	}
}

func TestTheOperatorsKeyIsChanged(t *testing.T) {
	t.Parallel()
	old := mustKey(t, "a")
	s := mustVault(t, old, 3)
	mustRotate(t, s, old)
	both := mustKey(t, "b").Before(old)
	if err := readsAll(t.Context(), mustProcess(t, s, both)); err != nil {
		t.Errorf("with both keys: %v", err)
	}
	if done := mustRotate(t, s, both); done.Rewrapped != 1 || !done.Made {
		t.Errorf("the rotation says %+v", done)
	}
	if err := readsAll(t.Context(), mustProcess(t, s, mustKey(t, "b"))); err != nil {
		t.Errorf("with the new one alone: %v", err)
	}
	if _, err := OpenKeys(t.Context(), s.pool, old); core.CodeOf(err) != core.Unavailable {
		t.Errorf("the old one gives %v", err)
	}
}

// TestABackupBringsItsKeys restores everything, and one snapshot beside others, after the keys have changed.
func TestABackupBringsItsKeys(t *testing.T) {
	t.Parallel()
	box := mustKey(t, "a")
	s := mustProcess(t, mustStore(t), box)
	k := kettlesIn(t, s, 3)
	mustRotate(t, s, box)
	all, one := mustBackUp(t, s, ""), mustBackUp(t, s, k.t.Snapshot)
	for name, file := range map[string][]byte{"everything": all, "a snapshot": one} {
		about, err := ReadBackupHeader(strings.NewReader(string(file)))
		if err != nil || len(about.Keys) != 1 {
			t.Fatalf("%s has %d keys, %v", name, len(about.Keys), err)
		}
		if plain := archivetest.Unpacked(t, file); !bytes.Contains(plain, []byte("Shop")) || bytes.Contains(plain, []byte("pw-7f3")) {
			t.Errorf("%s does not name the connection, or says its password", name)
		}
		pool := mustEmpty(t)
		if _, err := pool.Exec(t.Context(), `insert into organizations (id, name) values ($1, 'Here') on conflict do nothing`, core.LocalOrg); err != nil {
			t.Fatal(err)
		}
		wrong := mustKey(t, "b")
		if _, err := Restore(t.Context(), pool, strings.NewReader(string(file)), RestoreOptions{Box: RestoreKeys(pool, wrong, about), Opens: wrong.Opens}); core.CodeOf(err) != core.Unavailable {
			t.Errorf("%s with another operator's key: %v", name, err)
		}
		if _, err := Restore(t.Context(), pool, strings.NewReader(string(file)), RestoreOptions{Box: RestoreKeys(pool, box, about), Opens: box.Opens}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ring, err := OpenKeys(t.Context(), pool, box)
		if err != nil {
			t.Fatal(err)
		}
		again := New(Options{Pool: pool, Sealer: ring, Log: slog.New(slog.DiscardHandler)})
		cons, err := again.Connections(t.Context(), core.Local())
		if err != nil || len(cons) != 1 {
			t.Fatalf("%s has %d connections, %v", name, len(cons), err)
		}
		if settings, err := again.ConnectionSettings(t.Context(), core.Local(), cons[0].ID); err != nil || settings["password"] != "pw-7f3" {
			t.Errorf("%s: the credentials are %v, %v", name, settings, err)
		}
	}
	wrong, pool := mustKey(t, "b"), mustEmpty(t)
	about, err := ReadBackupHeader(strings.NewReader(string(all)))
	if err != nil {
		t.Fatal(err)
	}
	done, err := Restore(t.Context(), pool, strings.NewReader(string(all)), RestoreOptions{Box: RestoreKeys(pool, wrong, about), Opens: wrong.Opens, WithoutCredentials: true})
	if err = errors.Join(err, func() error { _, err := OpenKeys(t.Context(), pool, wrong); return err }()); err != nil || len(done.Unreadable) == 0 {
		t.Errorf("without credentials: %+v, %v", done, err)
	}
}
