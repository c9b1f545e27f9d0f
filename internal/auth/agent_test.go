package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/core"
)

var testKeys = []Key{{"key_new", []byte(strings.Repeat("n", 32))}, {"key_old", []byte(strings.Repeat("o", 32))}}

func fixedKeys(keys ...Key) Keys {
	return func(context.Context, string) ([]Key, error) { return keys, nil }
}

// letIn takes a token and gives who it is of; "" is nobody.
func letIn(t *testing.T, keys Keys, token string) string {
	t.Helper()
	a := Agent{Keys: keys, Actor: func(_ context.Context, c AgentClaims) (core.Actor, error) {
		return core.Actor{Person: c.Subject, Snapshot: c.Snapshot}, nil
	}}
	by, known, err := a.Authenticate(request("127.0.0.1:1", "Authorization", "Bearer "+token))
	if known != (err == nil) || err != nil && core.CodeOf(err) != core.Unauthorized {
		t.Errorf("known is %v with %v", known, err)
	}
	return by.Person
}

func TestAnAgentsTokenLetsInForItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token, until, err := SignAgent(context.Background(), fixedKeys(testKeys...), claims(), 10*time.Minute)
		if err != nil || time.Until(until) > 10*time.Minute {
			t.Fatalf("%v, %v", until, err)
		}
		if who := letIn(t, fixedKeys(testKeys...), token); who != "agt_one" {
			t.Errorf("it lets in %q", who)
		}
		// after a rotation the old key is taken still
		if who := letIn(t, fixedKeys(Key{"key_next", []byte("next")}, testKeys[0]), token); who != "agt_one" {
			t.Errorf("after a rotation it lets in %q", who)
		}
		if who := letIn(t, fixedKeys(testKeys[1]), token); who != "" {
			t.Errorf("without its key it lets in %q", who)
		}
		time.Sleep(10*time.Minute + 2*clockSkew) // of the bubble's clock
		if who := letIn(t, fixedKeys(testKeys...), token); who != "" {
			t.Errorf("after its time it lets in %q", who)
		}
		if _, until, _ := SignAgent(context.Background(), fixedKeys(testKeys...), claims(), 48*time.Hour); time.Until(until) > AgentLife {
			t.Errorf("a token lasts until %v", until)
		}
	})
}

func claims() AgentClaims {
	return AgentClaims{RegisteredClaims: jwt.RegisteredClaims{Subject: "agt_one"}, Org: "org_a", Snapshot: "snp_a", Name: "Agent", By: "per_a"}
}

func TestTokensThatAreMadeUpLetNobodyIn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": agentIssuer, "aud": agentAudience, "sub": "agt_one", "org": "org_a", "snp": "snp_a", "by": "per_a", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	}
	signed := func(m jwt.SigningMethod, key any, kid string, change func(c jwt.MapClaims)) string {
		c := good()
		change(c)
		token := jwt.NewWithClaims(m, c)
		token.Header["kid"] = kid
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same := func(jwt.MapClaims) {}
	set := func(name string, value any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = value } }
	secret := testKeys[0].Secret
	right := signed(jwt.SigningMethodHS256, secret, "key_new", same)
	if who := letIn(t, fixedKeys(testKeys...), right); who != "agt_one" {
		t.Fatalf("a right token lets in %q", who)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"none":             signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "key_new", same),
		"HS384":            signed(jwt.SigningMethodHS384, secret, "key_new", same),
		"EdDSA":            signed(jwt.SigningMethodEdDSA, private, "key_new", same),
		"another secret":   signed(jwt.SigningMethodHS256, testKeys[1].Secret, "key_new", same),
		"an unknown key":   signed(jwt.SigningMethodHS256, secret, "key_other", same),
		"another issuer":   signed(jwt.SigningMethodHS256, secret, "key_new", set("iss", "elsewhere")),
		"another audience": signed(jwt.SigningMethodHS256, secret, "key_new", set("aud", "elsewhere")),
		"no audience":      signed(jwt.SigningMethodHS256, secret, "key_new", func(c jwt.MapClaims) { delete(c, "aud") }),
		"no end":           signed(jwt.SigningMethodHS256, secret, "key_new", func(c jwt.MapClaims) { delete(c, "exp") }),
		"too long":         signed(jwt.SigningMethodHS256, secret, "key_new", set("exp", now.Add(100*time.Hour).Unix())),
		"over":             signed(jwt.SigningMethodHS256, secret, "key_new", set("exp", now.Add(-time.Minute).Unix())),
		"not yet":          signed(jwt.SigningMethodHS256, secret, "key_new", set("nbf", now.Add(time.Hour).Unix())),
		"no snapshot":      signed(jwt.SigningMethodHS256, secret, "key_new", set("snp", "")),
		"no agent":         signed(jwt.SigningMethodHS256, secret, "key_new", set("sub", "per_a")),
		"changed":          right[:len(right)-4] + "AAAA",
		"nonsense":         "a.b.c",
	} {
		if who := letIn(t, fixedKeys(testKeys...), token); who != "" {
			t.Errorf("%s lets in %q", what, who)
		}
	}
}

func TestKeysAreAskedForSeldomAndAgainForOneThatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, keys := 0, testKeys[1:]
		cached := CachedKeys(func(context.Context) ([]Key, error) { asked++; return keys, nil })
		for range 10 {
			if got, err := cached(context.Background(), "key_old"); err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
		}
		keys = testKeys
		for range 100 {
			_, _ = cached(context.Background(), "made up")
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(keysAgain) // of the bubble's clock
		if got, _ := cached(context.Background(), "key_new"); len(got) != 2 || asked != 2 {
			t.Errorf("a new key is not found: %v after %d", got, asked)
		}
		failing := CachedKeys(func(context.Context) ([]Key, error) { asked++; return nil, errors.New("gone") })
		if _, err := failing(context.Background(), ""); err == nil {
			t.Error("a failure is not said")
		}
	})
}
