package auth

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/auth/clerktest"
	"scratchpaper/internal/core"
)

const clerkParty = "https://app.example.org"

func mustClerk(t *testing.T, s *clerktest.Server) *Clerk {
	t.Helper()
	k, err := NewClerk(ClerkConfig{Publishable: clerktest.Publishable, Secret: clerktest.Secret, API: s.API, Frontend: s.URL, Parties: []string{clerkParty},
		Mirror: func(_ context.Context, c ClerkSession) (core.Actor, error) {
			return core.Actor{Person: c.User, Org: c.Org, Role: c.Role}, nil
		},
		Ended: func(_ context.Context, id string) bool { return id == "sess_gone" }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// by gives who a session token lets in; the zero Actor is nobody.
func (c *Clerk) by(t *testing.T, token string) core.Actor {
	t.Helper()
	by, known, err := c.Authenticate(request("192.0.2.1:1", "Cookie", "__session="+token))
	if err != nil || known != (by.Person != "") {
		t.Errorf("known is %v with %v", known, err)
	}
	return by
}

func TestASessionOfClerkLetsIn(t *testing.T) {
	t.Parallel()
	s := clerktest.Start(t)
	k := mustClerk(t, s)
	for role, want := range map[string]core.Role{"admin": core.Admin, "publisher": core.Publisher, "editor": core.Editor, "member": core.Editor, "viewer": core.Viewer, "accountant": core.Viewer} {
		if by := k.by(t, s.Sign(t, s.Claims("user_ana", "org_kettles", role, clerkParty))); by.Person != "user_ana" || by.Org != "org_kettles" || by.Role != want || by.Session != "sess_ana" {
			t.Errorf("%s is %+v", role, by)
		}
	}
	if by := k.by(t, s.Sign(t, s.Claims("user_ana", "", "", clerkParty))); by.Org != "" || by.Role != core.Admin {
		t.Errorf("without an organization it is %+v", by)
	}
	acted := func(c jwt.MapClaims) { c["act"] = map[string]any{"sub": "user_support"} }
	if by := k.by(t, s.Sign(t, s.Claims("user_ana", "org_kettles", "admin", clerkParty, acted))); by.Role != core.Viewer {
		t.Errorf("whoever acts as somebody is %+v", by)
	}
	if n := s.Asked("/v1/jwks"); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
	r := request("192.0.2.1:1", "Cookie", "__session=old; __session_"+"x=y")
	if _, known, err := k.Authenticate(r); known || err != nil {
		t.Errorf("a broken cookie gives %v, %v", known, err)
	}
}

func TestTokensThatAreNotASessionsLetNobodyIn(t *testing.T) {
	t.Parallel()
	s := clerktest.Start(t)
	k := mustClerk(t, s)
	now := time.Now()
	set := func(name string, value any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = value } }
	drop := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	with := func(change ...func(jwt.MapClaims)) string {
		return s.Sign(t, s.Claims("user_ana", "org_kettles", "admin", clerkParty, change...))
	}
	if k.by(t, with()).Person == "" {
		t.Fatal("a right token lets nobody in")
	}
	id, key := s.Key()
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustDER(t, &key.PublicKey)})
	forged := func(m jwt.SigningMethod, by any, kid string) string {
		token := jwt.NewWithClaims(m, s.Claims("user_ana", "org_kettles", "admin", clerkParty))
		token.Header["kid"] = kid
		signed, err := token.SignedString(by)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	other := clerktest.Start(t)
	_, strange := other.Key()
	for what, token := range map[string]string{
		"no signature":               forged(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, id),
		"HS256 by the public key":    forged(jwt.SigningMethodHS256, public, id),
		"HS256 by the key's bytes":   forged(jwt.SigningMethodHS256, key.N.Bytes(), id),
		"RS512":                      forged(jwt.SigningMethodRS512, key, id),
		"another application's key":  forged(jwt.SigningMethodRS256, strange, id),
		"a key that nobody knows":    forged(jwt.SigningMethodRS256, strange, "ins_other"),
		"no key":                     forged(jwt.SigningMethodRS256, key, ""),
		"another issuer":             with(set("iss", "https://clerk.evil.example")),
		"an issuer of Clerk's":       with(set("iss", "https://x.clerk.accounts.dev")),
		"another party":              with(set("azp", "https://evil.example")),
		"no party":                   with(drop("azp")),
		"an empty party":             with(set("azp", "")),
		"over":                       with(set("exp", now.Add(-time.Minute).Unix())),
		"not yet":                    with(set("nbf", now.Add(time.Minute).Unix())),
		"made in the future":         with(set("iat", now.Add(time.Minute).Unix())),
		"no end":                     with(drop("exp")),
		"no beginning":               with(drop("iat")),
		"longer than a session's":    with(set("exp", now.Add(24*time.Hour).Unix())),
		"a machine's":                with(set("sub", "mch_1")),
		"no session":                 with(drop("sid")),
		"a session that was revoked": with(set("sid", "sess_gone")),
		"changed":                    with()[:60] + "x" + with()[61:],
		"nonsense":                   "a.b.c",
	} {
		if by := k.by(t, token); by.Person != "" {
			t.Errorf("%s lets in %+v", what, by)
		}
	}
	// a clock that is a few seconds off
	if by := k.by(t, with(set("nbf", now.Add(3*time.Second).Unix()), set("iat", now.Add(3*time.Second).Unix()))); by.Person == "" {
		t.Error("three seconds of another clock let nobody in")
	}
}

func mustDER(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeysOfClerkAreFollowedWithoutAskingForEachToken(t *testing.T) {
	t.Parallel()
	s := clerktest.Start(t)
	k := mustClerk(t, s)
	claims := func() jwt.MapClaims { return s.Claims("user_ana", "org_kettles", "admin", clerkParty) }
	old := s.Sign(t, claims())
	k.by(t, old)
	s.Rotate(t, "ins_2")
	fresh := s.Sign(t, claims())
	for range 50 {
		if k.by(t, fresh).Person != "" {
			t.Fatal("a key is known before it was asked for")
		}
	}
	if n := s.Asked("/v1/jwks"); n != 1 {
		t.Errorf("made-up keys let Clerk be asked %d times", n)
	}
	k.keys.got = k.keys.got.Add(-clerkKeysAgain) // a minute later
	if k.by(t, fresh).Person == "" || k.by(t, old).Person == "" {
		t.Error("after a rotation a key is not known")
	}
	s.Forget("ins_1")
	k.keys.got = k.keys.got.Add(-clerkKeysKept) // an hour later
	if k.by(t, old).Person != "" {
		t.Error("a key that was taken back is taken still")
	}
	s.SetDown(true)
	if k.by(t, fresh).Person == "" {
		t.Error("while Clerk does not answer nobody gets in")
	}
	k.keys.got = k.keys.got.Add(-clerkKeysKept)
	if _, _, err := k.Authenticate(request("192.0.2.1:1", "Cookie", "__session="+fresh)); core.CodeOf(err) != core.Unavailable {
		t.Errorf("without keys it is %v", err)
	}
}

func TestTheHandshakeSetsOnlyWhatClerkSigned(t *testing.T) {
	t.Parallel()
	s := clerktest.Start(t)
	k := mustClerk(t, s)
	give := func(token string) []string {
		r := request("192.0.2.1:1")
		r.URL.RawQuery = "x=1&__clerk_handshake=" + token
		set, was := k.Handshaken(r)
		if !was {
			t.Error("it is not taken for a handshake")
		}
		var names []string
		for _, c := range set {
			if c.MaxAge >= 0 {
				names = append(names, c.Name+"="+c.Value)
			}
		}
		if to := WithoutHandshake(r.URL); to != "/?x=1" {
			t.Errorf("it goes on to %s", to)
		}
		return names
	}
	lines := []string{"__session=abc; Path=/", "__client_uat=5; Path=/", "scratchpaper=planted; Path=/"}
	if got := give(s.Sign(t, jwt.MapClaims{"handshake": lines})); len(got) != 2 || got[0] != "__session=abc" {
		t.Errorf("it sets %v", got)
	}
	other := clerktest.Start(t)
	if got := give(other.Sign(t, jwt.MapClaims{"handshake": lines})); len(got) != 0 {
		t.Errorf("what another signed sets %v", got)
	}
	if _, was := k.Handshaken(request("192.0.2.1:1")); was {
		t.Error("a plain request is taken for a handshake")
	}
	for _, c := range []struct {
		cookies string
		ok      bool
	}{{"", false}, {"__client_uat=0", false}, {"__client_uat=5", true}, {"__client_uat=5; __clerk_redirect_count=3", false}} {
		if _, _, ok := k.Handshake(request("192.0.2.1:1", "Cookie", c.cookies), clerkParty+"/"); ok != c.ok {
			t.Errorf("with %q it is %v", c.cookies, ok)
		}
	}
}

func TestWebhooksAreTakenFromClerkOnly(t *testing.T) {
	t.Parallel()
	now := time.Now()
	body := `{"type": "user.updated", "data": {"id": "user_ana", "first_name": "Ana", "last_name": "Bo", "updated_at": 1700000000000}}`
	e, err := CheckHook(clerktest.WebhookSecret, clerktest.Hook("msg_1", now, body), []byte(body), now)
	if err != nil || e.User != "user_ana" || e.Name != "Ana Bo" || e.Message != "msg_1" || e.At.UnixMilli() != 1700000000000 {
		t.Errorf("a right one is %+v, %v", e, err)
	}
	for what, h := range map[string]http.Header{
		"none": {}, "too old": clerktest.Hook("msg_1", now.Add(-6*time.Minute), body), "of the future": clerktest.Hook("msg_1", now.Add(6*time.Minute), body),
		"another body": clerktest.Hook("msg_1", now, body+" "), "another id": changedHeader(clerktest.Hook("msg_1", now, body), "svix-id", "msg_2"),
		"another time": changedHeader(clerktest.Hook("msg_1", now, body), "svix-timestamp", "1"), "no signature": changedHeader(clerktest.Hook("msg_1", now, body), "svix-signature", "v1,"),
		"another version": changedHeader(clerktest.Hook("msg_1", now, body), "svix-signature", "v2,AAAA"),
	} {
		if _, err := CheckHook(clerktest.WebhookSecret, h, []byte(body), now); core.CodeOf(err) != core.Unauthorized {
			t.Errorf("%s gives %v", what, err)
		}
	}
	for _, secret := range []string{"", "whsec_", "whsec_!"} {
		if _, err := CheckHook(secret, clerktest.Hook("msg_1", now, body), []byte(body), now); core.CodeOf(err) != core.Unauthorized {
			t.Errorf("the secret %q gives %v", secret, err)
		}
	}
	if _, err := CheckHook(clerktest.WebhookSecret, clerktest.Hook("msg_1", now, "{"), []byte("{"), now); core.CodeOf(err) != core.Malformed {
		t.Errorf("half a document gives %v", err)
	}
}

func changedHeader(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Set(name, value)
	return h
}

func TestKeysOfAnApplicationAreRead(t *testing.T) {
	t.Parallel()
	if host, err := frontendHost(clerktest.Publishable); err != nil || host != "clerk.example.org" {
		t.Errorf("the host is %q, %v", host, err)
	}
	for _, wrong := range []string{"", "pk_test_", "sk_test_Y2xlcmsuZXhhbXBsZS5vcmck", "pk_live_Y2xlcmsuZXhhbXBsZS5vcmc", "pk_test_ZXZpbC5leGFtcGxlL3gk", "pk_test_%%%"} {
		if _, err := frontendHost(wrong); core.CodeOf(err) != core.Invalid {
			t.Errorf("%q gives %v", wrong, err)
		}
	}
	if _, err := NewClerk(ClerkConfig{Publishable: clerktest.Publishable, Secret: "pk_x"}); !errors.As(err, new(*core.Error)) {
		t.Errorf("a wrong secret gives %v", err)
	}
}

func TestAnAddressCountsOnceClerkHasSeenThatItIsTheirs(t *testing.T) {
	t.Parallel()
	primary := "idn_1"
	for status, want := range map[string]string{"verified": "ada@example.org", "unverified": "", "expired": "", "": ""} {
		e := &clerk.EmailAddress{ID: primary, EmailAddress: "ada@example.org"}
		if status != "" {
			e.Verification = &clerk.Verification{Status: status}
		}
		name, email := clerkUser{PrimaryEmailAddressID: &primary, EmailAddresses: []*clerk.EmailAddress{e}}.named()
		if email != want || name != "ada@example.org" {
			t.Errorf("%q: %q is called %q", status, email, name)
		}
	}
}
