package secrets

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Wrapped is a key of the ring as it is kept: encrypted with the operator's key, bound to its id.
type Wrapped struct {
	ID     uint32 `json:"id"` // what it seals begins with it: see KeyOf
	Sealed []byte `json:"sealed"`
	Seals  bool   `json:"-"` // it is the one that seals; the others only read
}

// prefixed is the first byte of what a key of the ring seals (tink's output prefix); the four bytes of its id follow.
const prefixed = 1

// prefixBytes is how many bytes stand before what a key of the ring has encrypted.
const prefixBytes = 5

// Prefix gives the bytes that everything begins with that a key of the ring seals.
func Prefix(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixed}, id)
}

// KeyOf gives the id of the key that sealed something, where it says one: the operator's own key may say one too, or none.
func KeyOf(sealed []byte) (id uint32, ok bool) {
	if len(sealed) < prefixBytes || sealed[0] != prefixed {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}

const wrappedIn = "secret_keys" // the table that wrapped keys are bound to

func keyName(id uint32) []byte { return bound("", wrappedIn, strconv.FormatUint(uint64(id), 10)) }

// NewKey makes a key for the ring (AES-256-GCM) and wraps it. Codes: none of the product; it fails where a key management service does.
func (b *Box) NewKey() (Wrapped, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return Wrapped{}, fmt.Errorf("new key: %w", err)
	}
	return b.wrap(h)
}

func (b *Box) wrap(h *keyset.Handle) (Wrapped, error) {
	id := h.KeysetInfo().GetPrimaryKeyId()
	var out bytes.Buffer
	if err := h.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), b.aead, keyName(id)); err != nil {
		return Wrapped{}, fmt.Errorf("wrap key %d: %w", id, err)
	}
	return Wrapped{ID: id, Sealed: out.Bytes()}, nil
}

// unwrap gives a key of the ring, and whether the key before the operator's key was needed for it.
func (b *Box) unwrap(w Wrapped) (h *keyset.Handle, before bool, err error) {
	h, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(w.Sealed)), b.aead, keyName(w.ID))
	if err != nil && b.before != nil {
		if old, _, none := b.before.unwrap(w); none == nil {
			return old, true, nil
		}
	}
	return h, false, err
}

// Opens says whether the operator's key, or the one before it, opens a key of the ring.
func (b *Box) Opens(w Wrapped) error {
	_, _, err := b.unwrap(w)
	return err
}

// Rewrap wraps a key with the operator's key that the one before it had wrapped. changed is false where nothing is to be done.
func (b *Box) Rewrap(w Wrapped) (again Wrapped, changed bool, err error) {
	h, before, err := b.unwrap(w)
	if err != nil || !before {
		return w, false, err
	}
	again, err = b.wrap(h)
	return again, err == nil, err
}

const (
	// freshFor is how old what a ring knows of its keys may be when it seals: a key that stopped sealing that long ago seals nothing more.
	freshFor = 30 * time.Second
	// missingFor is how long an id that no key has is not looked for again: the operator's own key may have one.
	missingFor = time.Minute
	// loadLimit bounds looking for the keys.
	loadLimit = 10 * time.Second
)

// Ring seals with one of the keys that are kept and reads with each of them. A key that another process has made since is found when the
// first thing comes that it sealed. Where no key is kept the operator's own seals, and what that sealed is always read.
type Ring struct {
	box  *Box
	load func(ctx context.Context) ([]Wrapped, error)

	mu      sync.Mutex
	keys    map[uint32]tink.AEAD
	sealing uint32 // 0 is none
	at      time.Time
	missing map[uint32]time.Time // ids that no key had, and when they were looked for
}

// NewRing makes a ring of the keys that load gives. load is called by whatever seals and unseals, so it has to get along without a
// connection that those might hold.
func NewRing(box *Box, load func(ctx context.Context) ([]Wrapped, error)) *Ring {
	return &Ring{box: box, load: load, keys: map[uint32]tink.AEAD{}, missing: map[uint32]time.Time{}}
}

// Look brings what the ring knows up to date. A key that the operator's key does not open is left out, and is an error when it has to seal.
func (r *Ring) Look(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.look(ctx)
}

func (r *Ring) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	all, err := r.load(ctx)
	if err != nil {
		return fmt.Errorf("load keys: %w", err)
	}
	keys, sealing := map[uint32]tink.AEAD{}, uint32(0)
	for _, w := range all {
		a, known := r.keys[w.ID]
		if !known {
			h, _, err := r.box.unwrap(w)
			if err == nil {
				a, err = aead.New(h)
			}
			if err != nil && !w.Seals {
				continue
			}
			if err != nil {
				return fmt.Errorf("key %d: %w", w.ID, err)
			}
		}
		keys[w.ID] = a
		if w.Seals {
			sealing = w.ID
		}
	}
	r.keys, r.sealing, r.at = keys, sealing, time.Now()
	return nil
}

// Seal encrypts plain for one row.
func (r *Ring) Seal(plain []byte, org, table, id string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) > freshFor {
		if err := r.look(context.Background()); err != nil {
			return nil, err
		}
	}
	if r.sealing == 0 {
		return r.box.Seal(plain, org, table, id)
	}
	return r.keys[r.sealing].Encrypt(plain, bound(org, table, id))
}

// Unseal decrypts what Seal made for the same row.
func (r *Ring) Unseal(sealed []byte, org, table, id string) ([]byte, error) {
	key, err := r.keyFor(sealed)
	if err != nil {
		return nil, err
	}
	if key != nil {
		if plain, err := key.Decrypt(sealed, bound(org, table, id)); err == nil {
			return plain, nil
		}
	}
	plain, err := r.box.Unseal(sealed, org, table, id)
	if err != nil {
		if id, ok := KeyOf(sealed); ok {
			return nil, fmt.Errorf("sealed with key %d: %w", id, err)
		}
	}
	return plain, err
}

// keyFor gives the key that sealed something; nil is the operator's own, or one that is not there.
func (r *Ring) keyFor(sealed []byte) (tink.AEAD, error) {
	id, ok := KeyOf(sealed)
	if !ok {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.keys[id]; !known && time.Since(r.missing[id]) > missingFor {
		if err := r.look(context.Background()); err != nil {
			return nil, err
		}
		if _, known := r.keys[id]; !known {
			r.missing[id] = time.Now()
		}
	}
	return r.keys[id], nil
}
