package secrets_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"scratchpaper/internal/secrets"
)

// kept stands in for the database: wrapped keys, of which the last seals.
type kept struct {
	mu    sync.Mutex
	keys  []secrets.Wrapped
	asked int
}

func (k *kept) load(context.Context) ([]secrets.Wrapped, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	out := slices.Clone(k.keys)
	for i := range out {
		out[i].Seals = i == len(out)-1
	}
	return out, nil
}

func (k *kept) mustAdd(t *testing.T, b *secrets.Box) secrets.Wrapped {
	t.Helper()
	w, err := b.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, w)
	return w
}

const (
	oneKey     = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	anotherKey = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
)

func mustText(t *testing.T, key string) *secrets.Box {
	t.Helper()
	b, err := secrets.FromText(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealer is a box or a ring.
type sealer interface {
	Seal(plain []byte, org, table, id string) ([]byte, error)
	Unseal(sealed []byte, org, table, id string) ([]byte, error)
}

func mustSealWith(t *testing.T, s sealer, plain string) []byte {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), "org", "connections", "1")
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func reads(t *testing.T, who string, s sealer, sealed []byte, want string) {
	t.Helper()
	if plain, err := s.Unseal(sealed, "org", "connections", "1"); err != nil || string(plain) != want {
		t.Errorf("%s reads %q, %v, want %q", who, plain, err, want)
	}
	if _, err := s.Unseal(sealed, "org", "connections", "2"); err == nil {
		t.Errorf("%s reads it in another row", who)
	}
}

func TestARingReadsWhatEachOfItsKeysSealed(t *testing.T) {
	t.Parallel()
	box, k := mustText(t, oneKey), &kept{}
	here, there := secrets.NewRing(box, k.load), secrets.NewRing(box, k.load)
	own := mustSealWith(t, here, "by the operator's own")
	reads(t, "the operator's key", box, own, "by the operator's own")
	reads(t, "a ring without keys", there, own, "by the operator's own")

	first := k.mustAdd(t, box)
	if err := here.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	byFirst := mustSealWith(t, here, "by the first")
	if id, ok := secrets.KeyOf(byFirst); !ok || id != first.ID {
		t.Errorf("it says that key %d sealed it, and %d did", id, first.ID)
	}
	reads(t, "a process that did not know of the key", there, byFirst, "by the first")
	k.mustAdd(t, box)
	if err := here.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	bySecond := mustSealWith(t, here, "by the second")
	for sealed, want := range map[string]string{string(own): "by the operator's own", string(byFirst): "by the first", string(bySecond): "by the second"} {
		reads(t, "the process that made it", here, []byte(sealed), want)
		reads(t, "another process", there, []byte(sealed), want)
	}
	asked := k.asked
	reads(t, "a process that knows all keys", there, own, "by the operator's own")
	if k.asked != asked {
		t.Error("the keys are looked for again though nothing can have changed")
	}
}

func TestAKeyOfTheRingIsOpenedByTheOperatorsKeyAlone(t *testing.T) {
	t.Parallel()
	k := &kept{}
	w := k.mustAdd(t, mustText(t, oneKey))
	wrong := secrets.NewRing(mustText(t, anotherKey), k.load)
	if err := wrong.Look(t.Context()); err == nil {
		t.Error("another operator's key opens it")
	}
	if _, err := wrong.Seal([]byte("x"), "org", "connections", "1"); err == nil {
		t.Error("something is sealed though the key that seals is not opened")
	}
	moved := w
	moved.ID++
	if err := mustText(t, oneKey).Opens(moved); err == nil {
		t.Error("a key that was given another's id is opened")
	}
	right := secrets.NewRing(mustText(t, oneKey), k.load)
	sealed := mustSealWith(t, right, "hunter2")
	_, err := wrong.Unseal(sealed, "org", "connections", "1")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the wrong key gives %v", err)
	}
}

func TestTheOperatorsKeyIsChangedWhileBothAreKnown(t *testing.T) {
	t.Parallel()
	old, k := mustText(t, oneKey), &kept{}
	byOld := mustSealWith(t, secrets.NewRing(old, k.load), "directly")
	w := k.mustAdd(t, old)
	byRing := mustSealWith(t, secrets.NewRing(old, k.load), "by the ring")

	both := mustText(t, anotherKey).Before(old)
	ring := secrets.NewRing(both, k.load)
	reads(t, "who knows both", ring, byOld, "directly")
	reads(t, "who knows both", ring, byRing, "by the ring")
	reads(t, "who knows the old one", old, mustSealWith(t, both, "meanwhile"), "meanwhile")

	again, changed, err := both.Rewrap(w)
	if err != nil || !changed {
		t.Fatalf("rewrapping: %v, %v", changed, err)
	}
	if err := old.Opens(again); err == nil {
		t.Error("the old key opens it still")
	}
	if _, changed, err := both.Rewrap(again); changed || err != nil {
		t.Errorf("once more: %v, %v", changed, err)
	}
	k.keys[0] = again
	reads(t, "who knows the new one alone", secrets.NewRing(mustText(t, anotherKey), k.load), byRing, "by the ring")
}
