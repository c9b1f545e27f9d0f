package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"scratchpaper/internal/core"
)

// OIDCConfig is a client at an OpenID Connect provider.
type OIDCConfig struct {
	Issuer, ClientID, ClientSecret string
	Redirect                       string // address that the provider sends people back to
	After                          string // address that it sends people to who signed out there
}

// OIDC signs people in at an OpenID Connect provider, by the authorization code flow with PKCE. The provider is asked what it is when it is
// first needed, so that the app starts without it.
type OIDC struct {
	config OIDCConfig
	client *http.Client
	mu     sync.Mutex
	known  *provider
}

// provider is what a provider says of itself.
type provider struct {
	*oidc.Provider
	oauth oauth2.Config
	end   string // where people sign out; "" is nowhere
}

// oidcTimeout bounds each request to the provider.
const oidcTimeout = 10 * time.Second

// NewOIDC makes the way in by a provider.
func NewOIDC(c OIDCConfig) *OIDC {
	return &OIDC{config: c, client: &http.Client{Timeout: oidcTimeout}}
}

func (o *OIDC) context(ctx context.Context) context.Context { return oidc.ClientContext(ctx, o.client) }

// discover gives the provider. What it said once is kept; its keys are asked for again when a token shows another one. Codes: Unavailable.
func (o *OIDC) discover(ctx context.Context) (*provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known != nil {
		return o.known, nil
	}
	p, err := oidc.NewProvider(o.context(ctx), o.config.Issuer)
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The provider that people sign in at does not answer as it should. Try again in a minute.")
	}
	var more struct {
		End string `json:"end_session_endpoint"`
	}
	_ = p.Claims(&more) // what is not said is nowhere
	o.known = &provider{Provider: p, end: more.End, oauth: oauth2.Config{ClientID: o.config.ClientID, ClientSecret: o.config.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: o.config.Redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}}
	return o.known, nil
}

// Pending is a sign-in that waits for the provider; it is kept in a cookie of the browser that began it.
type Pending struct {
	State, Nonce, Verifier, Back string
}

// String gives what a cookie holds of it.
func (p Pending) String() string {
	raw, _ := json.Marshal(p) // four texts always can
	return base64.RawURLEncoding.EncodeToString(raw)
}

// PendingOf reads what a cookie holds; ok is false of anything else.
func PendingOf(held string) (p Pending, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(held)
	if err != nil || json.Unmarshal(raw, &p) != nil {
		return Pending{}, false
	}
	return p, p.State != "" && p.Nonce != "" && p.Verifier != ""
}

// Begin gives the address at the provider that a sign-in goes to, and what is kept of it. Codes: Unavailable.
func (o *OIDC) Begin(ctx context.Context, back string) (address string, p Pending, err error) {
	known, err := o.discover(ctx)
	if err != nil {
		return "", p, err
	}
	state, _ := NewSecret("")
	nonce, _ := NewSecret("")
	p = Pending{State: state, Nonce: nonce, Verifier: oauth2.GenerateVerifier(), Back: back}
	return known.oauth.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), p, nil
}

// OIDCPerson is who somebody is at the provider.
type OIDCPerson struct {
	Issuer, Subject, Email, Name string
	Verified                     bool
}

// oidcClaims are those of an ID token, or of the provider's answer about a person, that count here.
type oidcClaims struct {
	Nonce    string   `json:"nonce"`
	Party    string   `json:"azp"`
	Email    string   `json:"email"`
	Verified verified `json:"email_verified"`
	Name     string   `json:"name"`
}

// verified reads true, and "true" as some providers write it.
type verified bool

func (v *verified) UnmarshalJSON(raw []byte) error {
	*v = string(raw) == "true" || string(raw) == `"true"`
	return nil
}

// Finish gives who came back from the provider, by what the browser brings and what was kept when it began. Codes: Invalid (this sign-in was
// not begun here, or it is over; what the provider says does not hold), Unavailable.
func (o *OIDC) Finish(ctx context.Context, p Pending, query url.Values) (OIDCPerson, error) {
	known, err := o.discover(ctx)
	if err != nil {
		return OIDCPerson{}, err
	}
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(p.State)) != 1 {
		return OIDCPerson{}, notBegun()
	}
	if iss := query.Get("iss"); iss != "" && iss != o.config.Issuer { // RFC 9207: another provider's answer
		return OIDCPerson{}, notBegun()
	}
	if query.Get("error") != "" {
		return OIDCPerson{}, core.Errorf(core.Invalid, "The provider did not sign you in. Try again, or ask an admin.")
	}
	ctx = o.context(ctx)
	token, err := known.oauth.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return OIDCPerson{}, core.Wrap(unsaidByProvider(err), core.Invalid, "The provider did not take the sign-in back: it has been used, or its time is over. Sign in again.")
	}
	return o.read(ctx, known, token, p.Nonce)
}

func notBegun() error {
	return core.Errorf(core.Invalid, "This sign-in was not begun in this browser, or its time is over. Sign in again.")
}

// read checks the ID token: signature, issuer, audience, party, times and nonce. An address that it leaves out is asked for.
func (o *OIDC) read(ctx context.Context, known *provider, token *oauth2.Token, nonce string) (OIDCPerson, error) {
	wrong := func(err error) error {
		return core.Wrap(err, core.Invalid, "What the provider says of you does not hold. Sign in again; if it stays so, tell whoever runs this app.")
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := known.Verifier(&oidc.Config{ClientID: o.config.ClientID, SupportedSigningAlgs: signingAlgs}).Verify(ctx, raw)
	if err != nil {
		return OIDCPerson{}, wrong(err)
	}
	var c oidcClaims
	if err := id.Claims(&c); err != nil {
		return OIDCPerson{}, wrong(err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(nonce)) != 1:
		return OIDCPerson{}, wrong(core.Errorf(core.Invalid, "The nonce is another one."))
	case id.Subject == "":
		return OIDCPerson{}, wrong(core.Errorf(core.Invalid, "The token names nobody."))
	case len(id.Audience) > 1 && !slices.Contains(id.Audience, o.config.ClientID), c.Party != "" && c.Party != o.config.ClientID, len(id.Audience) > 1 && c.Party == "":
		return OIDCPerson{}, wrong(core.Errorf(core.Invalid, "The token is for another party."))
	}
	out := OIDCPerson{Issuer: id.Issuer, Subject: id.Subject, Email: c.Email, Name: c.Name, Verified: bool(c.Verified)}
	if c.Email == "" && known.UserInfoEndpoint() != "" {
		info, err := known.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil || info.Subject != id.Subject || info.Claims(&c) != nil {
			return OIDCPerson{}, wrong(errors.New("it does not say whose token it is")) // its words may say the token back
		}
		out.Email, out.Name, out.Verified = c.Email, c.Name, bool(c.Verified)
	}
	return out, nil
}

// signingAlgs are those of ID tokens that are taken: all with a key that the provider keeps to itself.
var signingAlgs = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// EndAddress gives where somebody signs out at the provider too; "" is nowhere, or not known yet.
func (o *OIDC) EndAddress() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil || o.known.end == "" {
		return ""
	}
	u, err := url.Parse(o.known.end)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", o.config.ClientID)
	q.Set("post_logout_redirect_uri", o.config.After)
	u.RawQuery = q.Encode()
	return u.String()
}
