package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/core"
)

// liar is a provider that says whatever a test lets it say.
type liar struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims jwt.MapClaims
	sign   func(claims jwt.MapClaims) string
	info   map[string]any
	asked  url.Values // of the last exchange
}

func mustLiar(t *testing.T) *liar {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{key: key}
	l.sign = func(c jwt.MapClaims) string { return l.signed(jwt.SigningMethodRS256, c, key) }
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": l.URL, "authorization_endpoint": l.URL + "/auth", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys", "userinfo_endpoint": l.URL + "/me",
			"end_session_endpoint": l.URL + "/end", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		l.asked = r.PostForm
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": l.sign(l.claims)})
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.info) })
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	return l
}

func (l *liar) signed(m jwt.SigningMethod, c jwt.MapClaims, key any) string {
	token := jwt.NewWithClaims(m, c)
	token.Header["kid"] = "one"
	s, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return s
}

// TestWhatAProviderSaysIsChecked lets a provider's answer be wrong in each way that counts.
func TestWhatAProviderSaysIsChecked(t *testing.T) {
	t.Parallel()
	l := mustLiar(t)
	o := NewOIDC(OIDCConfig{Issuer: l.URL, ClientID: "us", ClientSecret: "s", Redirect: "https://us.example.org/sign-in/oidc/callback", After: "https://us.example.org/sign-in"})
	address, p, err := o.Begin(t.Context(), "/jobs")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(address)
	if q := u.Query(); q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") != p.Nonce || q.Get("state") != p.State || q.Get("scope") != "openid email profile" {
		t.Errorf("the sign-in goes to %s", address)
	}
	if again, ok := PendingOf(p.String()); !ok || again != p {
		t.Errorf("the cookie gives %v, %v", again, ok)
	}
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": l.URL, "aud": "us", "sub": "one", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": p.Nonce, "email": "ana@example.org", "email_verified": true, "name": "Ana"}
	}
	rs := l.sign
	back := url.Values{"state": {p.State}, "code": {"c"}}
	finish := func() (OIDCPerson, error) { return o.Finish(context.Background(), p, back) }
	l.claims = good()
	who, err := finish()
	if err != nil || who != (OIDCPerson{Issuer: l.URL, Subject: "one", Email: "ana@example.org", Name: "Ana", Verified: true}) || l.asked.Get("code_verifier") != p.Verifier {
		t.Fatalf("a good answer gives %+v, %v after %v", who, err, l.asked)
	}
	for what, change := range map[string]func(c jwt.MapClaims){
		"another issuer":            func(c jwt.MapClaims) { c["iss"] = "https://evil.example.org" },
		"another audience":          func(c jwt.MapClaims) { c["aud"] = "them" },
		"another party":             func(c jwt.MapClaims) { c["azp"] = "them" },
		"several audiences, no azp": func(c jwt.MapClaims) { c["aud"] = []string{"us", "them"} },
		"another nonce":             func(c jwt.MapClaims) { c["nonce"] = "x" },
		"no nonce":                  func(c jwt.MapClaims) { delete(c, "nonce") },
		"no subject":                func(c jwt.MapClaims) { delete(c, "sub") },
		"an old token":              func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() },
		"no end":                    func(c jwt.MapClaims) { delete(c, "exp") },
	} {
		l.claims = good()
		change(l.claims)
		if who, err := finish(); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s is taken: %+v, %v", what, who, err)
		}
	}
	l.claims = good()
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	for what, sign := range map[string]func(c jwt.MapClaims) string{
		"a stranger's key": func(c jwt.MapClaims) string { return l.signed(jwt.SigningMethodRS256, c, stranger) },
		"no signature": func(c jwt.MapClaims) string {
			return l.signed(jwt.SigningMethodNone, c, jwt.UnsafeAllowNoneSignatureType)
		},
		"HS256 with the client's secret": func(c jwt.MapClaims) string { return l.signed(jwt.SigningMethodHS256, c, []byte("s")) },
		"HS256 with the public key":      func(c jwt.MapClaims) string { return l.signed(jwt.SigningMethodHS256, c, l.key.N.Bytes()) },
		"no token":                       func(jwt.MapClaims) string { return "" },
	} {
		l.sign = sign
		if who, err := finish(); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s is taken: %+v, %v", what, who, err)
		}
	}
	l.sign = rs
	for what, q := range map[string]url.Values{"another state": {"state": {"x"}, "code": {"c"}}, "no state": {"code": {"c"}}, "another issuer's answer": {"state": {p.State}, "code": {"c"}, "iss": {"https://evil.example.org"}},
		"a refusal": {"state": {p.State}, "error": {"access_denied"}}} {
		l.asked = nil
		if _, err := o.Finish(t.Context(), p, q); core.CodeOf(err) != core.Invalid || l.asked != nil {
			t.Errorf("%s: %v, asked %v", what, err, l.asked)
		}
	}
	l.claims = good()
	delete(l.claims, "email")
	l.info = map[string]any{"sub": "one", "email": "ana@example.org", "email_verified": "true"}
	if who, err := finish(); err != nil || !who.Verified || who.Email != "ana@example.org" {
		t.Errorf("an address beside the token: %+v, %v", who, err)
	}
	l.info["sub"] = "two"
	if _, err := finish(); core.CodeOf(err) != core.Invalid {
		t.Errorf("another person's address is taken: %v", err)
	}
	if end, _ := url.Parse(o.EndAddress()); end.Path != "/end" || end.Query().Get("post_logout_redirect_uri") != "https://us.example.org/sign-in" {
		t.Errorf("people sign out at %s", end)
	}
	for _, held := range []string{"", "x", Pending{State: "s"}.String(), base64.RawURLEncoding.EncodeToString([]byte("{}"))} {
		if _, ok := PendingOf(held); ok {
			t.Errorf("the cookie %q is taken", held)
		}
	}
}

func TestAProviderThatDoesNotAnswerKeepsNobodyFromStarting(t *testing.T) {
	t.Parallel()
	o := NewOIDC(OIDCConfig{Issuer: "http://127.0.0.1:1/", ClientID: "us"})
	if _, _, err := o.Begin(t.Context(), "/"); core.CodeOf(err) != core.Unavailable {
		t.Errorf("a provider that is not there: %v", err)
	}
	if o.EndAddress() != "" {
		t.Error("it ends somewhere")
	}
}
