// Package clerktest stands in for Clerk in tests: it answers the few addresses of the Backend and the Frontend API that the app asks,
// and signs real tokens and webhooks.
package clerktest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The keys of the application that the stand-in knows.
const (
	Secret        = "sk_test_standin"
	Publishable   = "pk_test_Y2xlcmsuZXhhbXBsZS5vcmck" // clerk.example.org$
	WebhookSecret = "whsec_c3RhbmQtaW4gd2ViaG9vayBzZWNyZXQ="
)

// Server is the stand-in. URL is the Frontend API's, which is also the issuer of its tokens; API is the Backend's.
type Server struct {
	URL, API string

	mu       sync.Mutex
	keys     map[string]*rsa.PrivateKey
	signs    string
	asked    map[string]int    // how often an address was asked
	Users    map[string]string // id → first name
	Orgs     map[string]string // id → name
	Revoked  []string
	Down     bool
	SignedIn func() []string // the cookies that a handshake gives
}

// Start begins to answer; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{keys: map[string]*rsa.PrivateKey{}, asked: map[string]int{}, Users: map[string]string{"user_ana": "Ana", "user_ben": "Ben"}, Orgs: map[string]string{"org_kettles": "Kettles Ltd", "org_pots": "Pots Ltd"}}
	s.Rotate(t, "ins_1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/jwks", s.backend(func(w http.ResponseWriter, _ *http.Request) { s.jwks(w) }))
	mux.HandleFunc("GET /v1/users/{id}", s.backend(func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		answer(w, map[string]any{"object": "user", "id": id, "first_name": s.Users[id], "primary_email_address_id": "idn_1",
			"email_addresses": []any{map[string]any{"id": "idn_1", "email_address": strings.TrimPrefix(id, "user_") + "@example.org", "verification": map[string]any{"status": "verified", "strategy": "email_code"}}}})
	}))
	mux.HandleFunc("GET /v1/organizations/{id}", s.backend(func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"object": "organization", "id": r.PathValue("id"), "name": s.Orgs[r.PathValue("id")]})
	}))
	mux.HandleFunc("POST /v1/sessions/{id}/revoke", s.backend(func(w http.ResponseWriter, r *http.Request) {
		s.Revoked = append(s.Revoked, r.PathValue("id"))
		answer(w, map[string]any{"object": "session", "id": r.PathValue("id")})
	}))
	mux.HandleFunc("GET /v1/client/handshake", func(w http.ResponseWriter, r *http.Request) {
		to, err := url.Parse(r.URL.Query().Get("redirect_url"))
		if err != nil || s.SignedIn == nil {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		q := to.Query()
		q.Set("__clerk_handshake", s.Sign(t, jwt.MapClaims{"handshake": s.SignedIn()}))
		to.RawQuery = q.Encode()
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
	})
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	s.URL, s.API = h.URL, h.URL+"/v1"
	return s
}

func (s *Server) backend(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[r.URL.Path]++
		if s.Down || r.Header.Get("Authorization") != "Bearer "+Secret {
			http.Error(w, `{"errors": []}`, http.StatusServiceUnavailable)
			return
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) jwks(w http.ResponseWriter) {
	var keys []any
	b64 := base64.RawURLEncoding.EncodeToString
	for id, k := range s.keys {
		keys = append(keys, map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())})
	}
	answer(w, map[string]any{"keys": keys})
}

// Asked gives how often an address of the Backend API was asked.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// SetDown lets the Backend API answer nothing, or answer again.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Down = down
}

// Ended gives the sessions that were revoked.
func (s *Server) Ended() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.Revoked...)
}

// Rotate signs with another key from now on; Forget takes a key back.
func (s *Server) Rotate(t testing.TB, id string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id], s.signs = k, id
}

// Forget takes a key back.
func (s *Server) Forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
}

// Key gives the key that signs.
func (s *Server) Key() (id string, key *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signs, s.keys[s.signs]
}

// Claims are those of a session token of a user, in an organization with a role ("" in none), for an app at party. change changes them.
func (s *Server) Claims(user, org, role, party string, change ...func(c jwt.MapClaims)) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{"v": 2, "iss": s.URL, "azp": party, "sub": user, "sid": "sess_" + strings.TrimPrefix(user, "user_"), "iat": now.Unix(), "nbf": now.Add(-10 * time.Second).Unix(),
		"exp": now.Add(time.Minute).Unix(), "fva": []int{0, -1}}
	if org != "" {
		c["o"] = map[string]any{"id": org, "slg": strings.TrimPrefix(org, "org_"), "rol": role}
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// Sign signs claims by the key that signs.
func (s *Server) Sign(t testing.TB, c jwt.MapClaims) string {
	id, key := s.Key()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"] = id
	signed, err := token.SignedString(key)
	if err != nil {
		t.Error(err)
	}
	return signed
}

// Hook signs a webhook as svix does, and gives its headers.
func Hook(id string, at time.Time, body string) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(WebhookSecret, "whsec_"))
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + body))
	h := http.Header{}
	h.Set("svix-id", id)
	h.Set("svix-timestamp", stamp)
	h.Set("svix-signature", "v1,bm9uZQ== v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}
