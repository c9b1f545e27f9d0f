package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/core"
)

// behindAll knows whoever comes so far.
type behindAll struct{}

func (behindAll) Authenticate(*http.Request) (core.Actor, bool, error) {
	return core.Actor{Person: "per_behind"}, true, nil
}

// onlyOf gives the actor of one secret.
func onlyOf(secret, person string) func(context.Context, []byte) (core.Actor, error) {
	return func(_ context.Context, hash []byte) (core.Actor, error) {
		if string(hash) != string(HashOf(secret)) {
			return core.Actor{}, core.Errorf(core.Unauthorized, "unknown")
		}
		return core.Actor{Person: person}, nil
	}
}

// FuzzAuthorization shows anything in the header: only the one token lets its person in, and nothing that is shown is passed over for
// whoever comes behind.
func FuzzAuthorization(f *testing.F) {
	secret, _ := NewSecret(TokenPrefix)
	for _, h := range []string{"", "Bearer", "Bearer ", "bearer sp_x", "Bearer " + secret, "Bearer  " + secret, "BEARER " + secret, "Basic " + secret, "Bearer\t" + secret, secret,
		"Bearer a.b.c", "Bearer " + secret + ", Bearer sp_x", "Bearer " + secret[:len(secret)-1], "Bearer " + strings.ToUpper(secret), "Bearer ..", "Bearer sp_\x00"} {
		f.Add(h)
	}
	nobody := Agent{Keys: fixedKeys(testKeys...), Actor: func(context.Context, AgentClaims) (core.Actor, error) { return core.Actor{Person: "per_agent"}, nil }}
	chain := Chain{Token{Find: onlyOf(secret, "per_token")}, nobody, UnknownToken{}, behindAll{}}
	f.Fuzz(func(t *testing.T, header string) {
		r := request("127.0.0.1:1")
		r.Header["Authorization"] = []string{header}
		by, err := chain.Identify(r)
		switch {
		case err != nil && core.CodeOf(err) != core.Unauthorized:
			t.Errorf("%q gives %v", header, err)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("the error quotes the token: %v", err)
		case err == nil && header == "" && by.Person == "per_behind":
		case err == nil && (by.Person != "per_token" || !strings.Contains(header, secret)):
			t.Errorf("%q lets in %s", header, by.Person)
		}
	})
}

// FuzzAgentToken shows anything that may be a token: header and claims, signed by the right key, by a wrong one or as they are.
func FuzzAgentToken(f *testing.F) {
	now := time.Now()
	good := func(change func(map[string]any)) []byte {
		c := map[string]any{"iss": agentIssuer, "aud": agentAudience, "sub": "agt_one", "org": "org_a", "snp": "snp_a", "by": "per_a", "iat": now.Unix(), "exp": now.Add(30 * time.Minute).Unix()}
		change(c)
		raw, _ := json.Marshal(c)
		return raw
	}
	const head = `{"alg":"HS256","typ":"JWT","kid":"key_new"}`
	f.Add([]byte(head), good(func(map[string]any) {}), byte(0))
	f.Add([]byte(head), good(func(map[string]any) {}), byte(1))
	f.Add([]byte(head), good(func(map[string]any) {}), byte(2))
	f.Add([]byte(`{"alg":"none"}`), good(func(map[string]any) {}), byte(2))
	f.Add([]byte(`{"alg":"HS256","kid":["key_new"]}`), good(func(map[string]any) {}), byte(0))
	f.Add([]byte(`{"alg":"HS256","kid":"key_new","crit":["x"],"zip":"DEF"}`), good(func(c map[string]any) { c["exp"] = 1e300 }), byte(0))
	f.Add([]byte(head), good(func(c map[string]any) { c["aud"] = []string{agentAudience, "elsewhere"} }), byte(0))
	f.Add([]byte(head), good(func(c map[string]any) { c["iat"], c["exp"] = -1e18, "never" }), byte(0))
	f.Fuzz(func(t *testing.T, header, claims []byte, signed byte) {
		enc := base64.RawURLEncoding.EncodeToString
		text := enc(header) + "." + enc(claims)
		var signature []byte
		if signed < 2 {
			mac := hmac.New(sha256.New, testKeys[signed].Secret)
			mac.Write([]byte(text))
			signature = mac.Sum(nil)
		}
		c, err := readAgent(t.Context(), text+"."+enc(signature), fixedKeys(testKeys...))
		if err != nil {
			return
		}
		var h struct{ Alg, Kid string }
		_ = json.Unmarshal(header, &h)
		if signed > 1 || h.Alg != jwt.SigningMethodHS256.Alg() || h.Kid != testKeys[signed].ID {
			t.Fatalf("%s is taken, signed by %d", header, signed)
		}
		life := c.ExpiresAt.Sub(c.IssuedAt.Time)
		if c.Org == "" || c.Snapshot == "" || c.By == "" || !strings.HasPrefix(c.Subject, "agt_") || life > AgentLife || time.Until(c.ExpiresAt.Time) > AgentLife+clockSkew || time.Since(c.ExpiresAt.Time) > 2*clockSkew {
			t.Fatalf("%s is taken", claims)
		}
	})
}

// FuzzSessionCookie shows any Cookie header, to an app with TLS and to one without.
func FuzzSessionCookie(f *testing.F) {
	secret, _ := NewSecret("")
	for _, h := range []string{"", "scratchpaper=" + secret, "__Host-scratchpaper=" + secret, "scratchpaper=x; scratchpaper=" + secret, `scratchpaper="` + secret + `"`, "scratchpaper=" + secret + "x",
		"scratchpaper=; ;;=", "SCRATCHPAPER=" + secret, "scratchpaper=" + strings.Repeat("a", 5000), "scratchpaper=\x00" + secret, "__Host-scratchpaper = " + secret} {
		f.Add(h, true)
		f.Add(h, false)
	}
	f.Fuzz(func(t *testing.T, header string, secure bool) {
		s := Session{Cookie: SessionCookie{Secure: secure}, Find: onlyOf(secret, "per_ana")}
		r := request("127.0.0.1:1")
		r.Header["Cookie"] = []string{header}
		by, known, err := s.Authenticate(r)
		if err != nil || known != (by.Person != "") {
			t.Fatalf("%q gives %v, %v, %v", header, by, known, err)
		}
		if known && (by.Person != "per_ana" || !strings.Contains(header, secret) || secure && !strings.Contains(header, "__Host-scratchpaper")) {
			t.Errorf("%q lets in %s", header, by.Person)
		}
		if len(s.Cookie.Of(r)) > 100 {
			t.Errorf("a cookie of %d bytes is looked up", len(s.Cookie.Of(r)))
		}
	})
}

// FuzzLinkCode types anything as the code of a link (a review, an invitation, a new password), as the forms take it.
func FuzzLinkCode(f *testing.F) {
	secret, hash := NewSecret("")
	for _, code := range []string{"", secret, secret + " ", secret[1:], strings.ToLower(secret), secret + "\x00", string(hash)} {
		f.Add(code)
	}
	find := onlyOf(secret, "per_share")
	f.Fuzz(func(t *testing.T, code string) {
		if _, err := find(t.Context(), HashOf(code)); (err == nil) != (code == secret) {
			t.Errorf("%q gives %v", code, err)
		}
	})
}

// FuzzPending gives anything back as the cookie of a sign-in at a provider that waits.
func FuzzPending(f *testing.F) {
	f.Add(Pending{State: "s", Nonce: "n", Verifier: "v", Back: "/jobs"}.String())
	f.Add("")
	f.Add("e30")
	f.Add("bnVsbA")
	f.Fuzz(func(t *testing.T, held string) {
		p, ok := PendingOf(held)
		if !ok {
			return
		}
		if again, same := PendingOf(p.String()); !same || again != p || p.State == "" || p.Nonce == "" || p.Verifier == "" {
			t.Errorf("%q is %v, and then %v", held, p, again)
		}
	})
}

// FuzzCommon asks of any password whether it may be chosen: it is answered, and what is refused is not quoted.
func FuzzCommon(f *testing.F) {
	for _, password := range []string{"", "qwerty123456", "four wooden kettles", "\xff\xfe", "ﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀ", strings.Repeat("a\u0300", 200)} {
		f.Add(password)
	}
	f.Fuzz(func(t *testing.T, password string) {
		if err := CheckNewPassword(password); err == nil && (len(password) < minPassword || len([]rune(password)) > 4*maxPassword || Common(password)) {
			t.Errorf("%q is taken", password)
		}
	})
}
