package auth

import (
	"context"
	"crypto/sha1" // #nosec G505 -- as Clerk names its cookies; not for security
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"github.com/clerk/clerk-sdk-go/v2/jwt"
	"github.com/clerk/clerk-sdk-go/v2/organization"
	"github.com/clerk/clerk-sdk-go/v2/session"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"scratchpaper/internal/core"
)

// ClerkConfig is what an application at Clerk is known by.
type ClerkConfig struct {
	Publishable string   // key that begins with pk_
	Secret      string   // key that begins with sk_
	API         string   // address of the Backend API; "" is Clerk's
	Frontend    string   // address of the Frontend API; "" is what the publishable key says
	Parties     []string // origins whose tokens are taken: where people open the app
	// Mirror gives the actor of a session, of a person and an organization that are kept here from the first sight on. Codes: Unauthorized.
	Mirror func(ctx context.Context, s ClerkSession) (core.Actor, error)
	// Ended says whether a session was ended, as Clerk told by a webhook.
	Ended func(ctx context.Context, session string) bool
}

// ClerkSession is what a session token says.
type ClerkSession struct {
	ID, User, Org, OrgSlug string // ids at Clerk; Org "" is the person's own
	Role                   core.Role
	IssuedAt               time.Time
	Acting                 bool // somebody of the operator's acts as the user
}

// Clerk knows who has signed in at Clerk by the session token in its cookie, which is verified without asking Clerk.
type Clerk struct {
	ClerkConfig
	keys          *clerkKeys
	users         *user.Client
	organizations *organization.Client
	sessions      *session.Client
}

// clerkTokenLife is how long a session token of Clerk's lasts at most: they last a minute. What lasts longer is another kind of token.
const clerkTokenLife = 10 * time.Minute

// NewClerk reads the settings. It asks Clerk nothing yet. Codes: Invalid.
func NewClerk(c ClerkConfig) (*Clerk, error) {
	if c.Frontend == "" {
		host, err := frontendHost(c.Publishable)
		if err != nil {
			return nil, err
		}
		c.Frontend = "https://" + host
	}
	if !strings.HasPrefix(c.Secret, "sk_") {
		return nil, core.Errorf(core.Invalid, "CLERK_SECRET_KEY takes the key that begins with sk_.")
	}
	config := &clerk.ClientConfig{}
	config.Key = &c.Secret
	config.HTTPClient = &http.Client{Timeout: 5 * time.Second}
	if c.API != "" {
		config.URL = &c.API
	}
	return &Clerk{ClerkConfig: c, keys: &clerkKeys{fetch: jwks.NewClient(config)}, users: user.NewClient(config), organizations: organization.NewClient(config),
		sessions: session.NewClient(config)}, nil
}

// frontendHost reads the host out of a publishable key: pk_test_ or pk_live_, and the host with a $ in base64.
func frontendHost(key string) (string, error) {
	wrong := core.Errorf(core.Invalid, "CLERK_PUBLISHABLE_KEY takes the key that begins with pk_test_ or pk_live_.")
	encoded, test := strings.CutPrefix(key, "pk_test_")
	if !test {
		var live bool
		if encoded, live = strings.CutPrefix(key, "pk_live_"); !live {
			return "", wrong
		}
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	host, ends := strings.CutSuffix(string(raw), "$")
	u, parseErr := url.Parse("https://" + host)
	if err != nil || !ends || host == "" || parseErr != nil || u.Host != host {
		return "", wrong
	}
	return host, nil
}

// cookieOf gives a cookie of Clerk's: the one that is named after this application's key, or the plain one.
func (c *Clerk) cookieOf(r *http.Request, name string) string {
	sum := sha1.Sum([]byte(c.Publishable)) // #nosec G401 -- as Clerk names its cookies; not for security
	suffix := base64.URLEncoding.EncodeToString(sum[:])[:8]
	for _, n := range []string{name + "_" + suffix, name} {
		if cookie, err := r.Cookie(n); err == nil && cookie.Value != "" {
			return cookie.Value
		}
	}
	return ""
}

// Authenticate knows requests with a session token. One that is not valid (any more) is as good as none: the browser gets another by the
// handshake.
func (c *Clerk) Authenticate(r *http.Request) (core.Actor, bool, error) {
	raw := c.cookieOf(r, "__session")
	if raw == "" {
		return core.Actor{}, false, nil
	}
	s, err := c.session(r.Context(), raw)
	if core.CodeOf(err) == core.Unavailable {
		return core.Actor{}, false, err
	}
	if err != nil || c.Ended(r.Context(), s.ID) {
		return core.Actor{}, false, nil
	}
	by, err := c.Mirror(r.Context(), s)
	if core.CodeOf(err) == core.Unauthorized {
		return core.Actor{}, false, nil
	}
	by.Session = s.ID
	if s.Acting {
		by.Role, by.Name = min(by.Role, core.Viewer), by.Name+" (acted for)"
	}
	return by, err == nil, err
}

// session checks a session token: signature by one of this application's keys, algorithm, times, issuer, party, and that it is a session's.
func (c *Clerk) session(ctx context.Context, raw string) (ClerkSession, error) {
	claims, err := c.verified(ctx, raw)
	if err != nil {
		return ClerkSession{}, err
	}
	switch {
	case !strings.HasPrefix(claims.SessionID, "sess_") || !strings.HasPrefix(claims.Subject, "user_"):
		return ClerkSession{}, errors.New("not a session's token")
	case claims.Expiry == nil || claims.IssuedAt == nil || *claims.Expiry-*claims.IssuedAt > int64(clerkTokenLife/time.Second):
		return ClerkSession{}, errors.New("not a session token's times")
	}
	s := ClerkSession{ID: claims.SessionID, User: claims.Subject, Org: claims.ActiveOrganizationID, OrgSlug: claims.ActiveOrganizationSlug,
		Role: clerkRole(claims.ActiveOrganizationRole), IssuedAt: time.Unix(*claims.IssuedAt, 0)}
	if s.Org == "" {
		s.Role = core.Admin // of what is theirs alone
	}
	if len(claims.Actor) > 0 && string(claims.Actor) != "null" {
		s.Acting = true
	}
	return s, nil
}

// verified checks what every token of the application's keys has to show.
func (c *Clerk) verified(ctx context.Context, raw string) (*clerk.SessionClaims, error) {
	if len(raw) > 8192 {
		return nil, errors.New("too long")
	}
	head, err := jwt.Decode(ctx, &jwt.DecodeParams{Token: raw})
	if err != nil {
		return nil, err
	}
	key, err := c.keys.find(ctx, head.KeyID)
	if err != nil {
		return nil, err
	}
	return jwt.Verify(ctx, &jwt.VerifyParams{Token: raw, JWK: key, Leeway: clockSkew, ProxyURL: &c.Frontend, AuthorizedPartyHandler: c.isParty})
}

// isParty says whether a token was made for where people open the app. One that names no party is not taken.
func (c *Clerk) isParty(azp string) bool {
	for _, p := range c.Parties {
		if azp == p && azp != "" {
			return true
		}
	}
	return false
}

// clerkRole gives the role here for one at Clerk: org:admin, org:publisher, org:editor and org:viewer by their names, and Clerk's own
// org:member as an editor. Any other looks.
func clerkRole(role string) core.Role {
	name := strings.TrimPrefix(role, "org:")
	if name == "member" {
		return core.Editor
	}
	return max(core.RoleNamed(name), core.Viewer)
}

// UserNamed asks Clerk how a person is called.
func (c *Clerk) UserNamed(ctx context.Context, id string) (name, email string, err error) {
	u, err := c.users.Get(ctx, id)
	if err != nil {
		return "", "", unsaidByClerk(err)
	}
	name, email = clerkUser{FirstName: u.FirstName, LastName: u.LastName, PrimaryEmailAddressID: u.PrimaryEmailAddressID, EmailAddresses: u.EmailAddresses}.named()
	return name, email, nil
}

// OrganizationNamed asks Clerk how an organization is called.
func (c *Clerk) OrganizationNamed(ctx context.Context, id string) (string, error) {
	o, err := c.organizations.Get(ctx, id)
	if err != nil {
		return "", unsaidByClerk(err)
	}
	return o.Name, nil
}

// EndSession ends a session at Clerk.
func (c *Clerk) EndSession(ctx context.Context, id string) error {
	_, err := c.sessions.Revoke(ctx, &session.RevokeParams{ID: id})
	return unsaidByClerk(err)
}

// clerkUser is what is mirrored of a user.
type clerkUser struct {
	ID                    string                `json:"id"`
	FirstName             *string               `json:"first_name"`
	LastName              *string               `json:"last_name"`
	PrimaryEmailAddressID *string               `json:"primary_email_address_id"`
	EmailAddresses        []*clerk.EmailAddress `json:"email_addresses"`
	UpdatedAt             int64                 `json:"updated_at"` // ms
}

// named gives how a user is called, and their primary address where Clerk has seen that it is theirs: anybody may enter another's, and an address in
// ADMINS operates the app.
func (u clerkUser) named() (name, email string) {
	var entered string
	for _, e := range u.EmailAddresses {
		if e == nil || u.PrimaryEmailAddressID == nil || e.ID != *u.PrimaryEmailAddressID {
			continue
		}
		entered = e.EmailAddress
		if e.Verification != nil && e.Verification.Status == "verified" {
			email = e.EmailAddress
		}
	}
	var parts []string
	for _, p := range []*string{u.FirstName, u.LastName} {
		if p != nil && *p != "" {
			parts = append(parts, *p)
		}
	}
	if name = strings.Join(parts, " "); name == "" {
		name = entered
	}
	return name, email
}
