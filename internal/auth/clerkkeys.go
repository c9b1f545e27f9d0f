package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"golang.org/x/sync/singleflight"

	"scratchpaper/internal/core"
)

// The times of Clerk's keys: a key that Clerk took back is taken for an hour at most, and tokens that are made up, with keys that nobody
// knows, let Clerk be asked once a minute.
const (
	clerkKeysKept  = time.Hour
	clerkKeysAgain = time.Minute
)

// clerkKeys are the public keys of the application, asked for over the Backend API. Whoever shows a key that is known waits for nobody.
type clerkKeys struct {
	fetch  *jwks.Client
	flight singleflight.Group
	mu     sync.Mutex
	kept   map[string]*clerk.JSONWebKey
	got    time.Time // when kept was
	failed time.Time // when Clerk did not answer last
}

var errUnknownKey = errors.New("a key that is not known")

// find gives a key by its id. Codes: Unavailable (Clerk does not answer, and what is kept is too old).
func (k *clerkKeys) find(ctx context.Context, id string) (*clerk.JSONWebKey, error) {
	key, age := k.look(id)
	switch {
	case key != nil && age < clerkKeysKept:
		return key, nil
	case key == nil && age < clerkKeysAgain:
		return nil, errUnknownKey
	}
	_, err, _ := k.flight.Do("keys", func() (any, error) { return nil, k.ask(context.WithoutCancel(ctx)) })
	if key, age = k.look(id); key != nil && age < clerkKeysKept {
		return key, nil
	}
	if err != nil && age >= clerkKeysKept {
		return nil, core.Wrap(err, core.Unavailable, "The sign-in service does not answer. Try again in a moment.")
	}
	return nil, errUnknownKey
}

func (k *clerkKeys) look(id string) (*clerk.JSONWebKey, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[id], time.Since(k.got)
}

// ask gets the keys anew; after a failure not again for two seconds.
func (k *clerkKeys) ask(ctx context.Context) error {
	k.mu.Lock()
	again := time.Since(k.failed) >= keysAgain
	k.mu.Unlock()
	if !again {
		return errors.New("it did not answer just now")
	}
	set, err := k.fetch.Get(ctx, &jwks.GetParams{})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.failed = time.Now()
		return unsaidByClerk(err)
	}
	k.kept, k.got = map[string]*clerk.JSONWebKey{}, time.Now()
	for _, key := range set.Keys {
		if key != nil && key.Algorithm == "RS256" && key.KeyID != "" { // what Clerk signs with
			k.kept[key.KeyID] = key
		}
	}
	return nil
}
