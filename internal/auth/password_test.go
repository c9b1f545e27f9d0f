package auth

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scratchpaper/internal/core"
)

func TestAPasswordFitsItsHashOnly(t *testing.T) {
	t.Parallel()
	p := NewPasswords(64, 1)
	hash := p.Hash("four wooden kettles")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(hash, "kettles") || hash == p.Hash("four wooden kettles") {
		t.Errorf("the hash is %s", hash)
	}
	for password, want := range map[string]bool{"four wooden kettles": true, "four wooden kettle": false, "": false, "Four wooden kettles": false} {
		if fits, _ := p.Fits(hash, password); fits != want {
			t.Errorf("%q fits: %v", password, fits)
		}
	}
	// the same characters, written in two ways
	if fits, _ := p.Fits(p.Hash("größere Kessel"), "gro\u0308ßere Kessel"); !fits {
		t.Error("a password does not fit as another keyboard writes it")
	}
	for _, broken := range []string{"x", "$argon2id$v=19$m=64,t=1,p=1$x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AA"} {
		if fits, _ := p.Fits(broken, ""); fits {
			t.Errorf("%s fits", broken)
		}
	}
}

func TestAHashOfOtherParametersIsToBeMadeAnew(t *testing.T) {
	t.Parallel()
	old, now := NewPasswords(64, 1), NewPasswords(128, 2)
	hash := old.Hash("four wooden kettles")
	if fits, stale := now.Fits(hash, "four wooden kettles"); !fits || !stale {
		t.Errorf("it fits: %v, it is stale: %v", fits, stale)
	}
	if fits, stale := old.Fits(hash, "four wooden kettles"); !fits || stale {
		t.Errorf("it fits: %v, it is stale: %v", fits, stale)
	}
}

// TestAnAccountThatThereIsNotTakesAsMuchWork holds the only place where passwords are worked on: a comparison with no hash waits for it
// too.
func TestAnAccountThatThereIsNotTakesAsMuchWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(64, 1)
		p.places = make(chan struct{}, 1)
		p.places <- struct{}{}
		done := false
		go func() {
			if fits, _ := p.Fits("", "four wooden kettles"); fits {
				t.Error("a password fits no account")
			}
			done = true
		}()
		synctest.Wait()
		if done {
			t.Error("it is answered without any work")
		}
		<-p.places
		synctest.Wait()
		if !done {
			t.Error("it is not answered")
		}
	})
}

func TestPasswordsThatAreGuessedAreRefused(t *testing.T) {
	t.Parallel()
	for password, good := range map[string]bool{
		"four wooden kettles": true, "größere Kessel kochen": true, "elevenchars": false, "aaaaaaaaaaaaaaaa": false, "abababababab": false, "password1234": false,
		"ana@example.org1": false, "scratchpaper 1": false, strings.Repeat("long words ", 20): false,
		// common ones, as they are and with something around or between
		"qwerty123456": false, "QWERTY123456": false, "1qaz2wsx3edc": false, "dragon1234567": false, "2026!dragon!!": false, "dragondragon": false, "final fantasy": false,
		"dragon of the 7 kettles": true, "x7$Kq!99vRt2": true, "😀 kettles are blue 😀": true, "a     b     c": false, strings.Repeat("x1Yq ", 25) + "zzz": true, strings.Repeat("x1Yq ", 25) + "zzzz": false,
	} {
		if err := CheckNewPassword(password, "Ana Bo", "ana@example.org"); (err == nil) != good || err != nil && core.CodeOf(err) != core.Invalid {
			t.Errorf("%q gives %v", password, err)
		}
		if err := CheckNewPassword(password); err != nil && len(password) > 11 && strings.Contains(err.Error(), password) {
			t.Errorf("the error quotes %q", password)
		}
	}
}

func TestTriesAreCountedHereWhereRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, limit := NewLimits(nil), Limit{Name: "x", Tries: 2, Within: time.Hour, Words: "Too many."}
		ctx := context.Background()
		for range 2 {
			if err := l.Take(ctx, limit, "ana"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Take(ctx, limit, "ana"); core.CodeOf(err) != core.TooMany || core.SentenceOf(err) != "Too many. Try again in 60 min." {
			t.Errorf("the third gives %v", err)
		}
		if err := l.Take(ctx, limit, "ben"); err != nil {
			t.Errorf("another person gets %v", err)
		}
		time.Sleep(59*time.Minute + 30*time.Second) // of the bubble's clock
		if err := l.Take(ctx, limit, "ana"); core.SentenceOf(err) != "Too many. Try again in 30 s." {
			t.Errorf("later it is %v", err)
		}
		time.Sleep(time.Minute) // of the same
		if err := l.Take(ctx, limit, "ana"); err != nil {
			t.Errorf("after the hour it is %v", err)
		}
		l.Forget(ctx, limit, "ana")
		if n, _ := l.count(ctx, key(limit, "ana"), limit.Within); n != 1 {
			t.Errorf("after forgetting it is the %d. try", n)
		}
	})
}
