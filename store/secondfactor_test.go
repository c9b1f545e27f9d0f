package store

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/totp"
)

// TestARestoreWithoutTheKeyStillAsksForASecondFactor: the phone's secret is lost with the key, and a recovery code lets in; never the password alone.
func TestARestoreWithoutTheKeyStillAsksForASecondFactor(t *testing.T) {
	t.Parallel()
	s, k := mustUsed(t)
	ctx := t.Context()
	if _, err := s.pool.Exec(ctx, `insert into accounts (person_id, password) values ($1, 'x')`, k.by.Person); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginSecondFactor(ctx, k.by); err != nil {
		t.Fatal(err)
	}
	f, err := s.SecondFactor(ctx, k.by)
	if err != nil || f.Pending == nil || f.On {
		t.Fatalf("it is begun as %+v, %v", f, err)
	}
	recovery, salt, hash := totp.NewRecoveryCode()
	code := totp.Code(f.Pending, totp.Step(time.Now()), totp.Digits)
	if err := s.ConfirmSecondFactor(ctx, k.by, code, []RecoveryCode{{salt, hash}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.UseSecondFactor(ctx, k.by.Person, code, ""); core.CodeOf(err) != core.Invalid {
		t.Errorf("the code that confirmed it is taken again: %v", err)
	}
	file := mustBackUp(t, s, "")
	for key, opens := range map[string]bool{"right": true, "wrong": false} {
		pool := mustEmpty(t)
		done, err := Restore(ctx, pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{key}, WithoutCredentials: true})
		if err != nil {
			t.Fatal(err)
		}
		if opens != (len(done.Unreadable) == 0) {
			t.Errorf("with the %s key the restore does not open %v", key, done.Unreadable)
		}
		again := New(Options{Pool: pool, Sealer: keyedBox{key}, Log: slog.New(slog.DiscardHandler)})
		if has, err := again.HasSecondFactor(ctx, k.by.Person); err != nil || !has {
			t.Errorf("with the %s key it is asked for: %v, %v", key, has, err)
		}
		later := totp.Code(f.Pending, totp.Step(time.Now())+1, totp.Digits)
		if _, _, err := again.UseSecondFactor(ctx, k.by.Person, later, ""); opens != (err == nil) {
			t.Errorf("with the %s key the phone's code gives %v", key, err)
		}
		if left, _, err := again.UseSecondFactor(ctx, k.by.Person, recovery, ""); err != nil || left != 0 {
			t.Errorf("with the %s key a recovery code leaves %d, %v", key, left, err)
		}
	}
}
