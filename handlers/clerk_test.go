package handlers

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/auth/clerktest"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

const clerkBase = "http://scratchpaper.localhost"

// gate is an app whose people sign in at a stand-in for Clerk.
type gate struct {
	*site
	clerk *clerktest.Server
}

func mustGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{clerk: clerktest.Start(t)}
	g.site = mustSiteWith(t, func(s *site, d *Deps) {
		k, err := NewClerk(s.store, auth.ClerkConfig{Publishable: clerktest.Publishable, Secret: clerktest.Secret, API: g.clerk.API, Frontend: g.clerk.URL, Parties: []string{clerkBase}})
		if err != nil {
			t.Fatal(err)
		}
		d.Clerk, d.AgentKeys = &ClerkSignIn{Clerk: k, WebhookSecret: clerktest.WebhookSecret, Base: clerkBase}, AgentKeys(s.store)
		d.Identify = append(Programs(s.store, d.AgentKeys), k).Identify
	})
	return g
}

// token is a session token of a user in an organization.
func (g *gate) token(t *testing.T, user, org, role string, change ...func(jwt.MapClaims)) string {
	t.Helper()
	return g.clerk.Sign(t, g.clerk.Claims(user, org, role, clerkBase, change...))
}

// as asks with a session token.
func (g *gate) as(t *testing.T, token, method, path string, header ...string) answer {
	t.Helper()
	return g.do(t, method, path, nil, append([]string{"Cookie", "__session=" + token}, header...)...)
}

// hook sends a webhook.
func (g *gate) hook(t *testing.T, id, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/webhooks/clerk", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = clerktest.Hook(id, time.Now(), body)
	return g.send(t, req)
}

func TestPeopleOfClerkAreMirroredOnFirstSight(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	ana := g.token(t, "user_ana", "org_kettles", "admin")
	g.as(t, ana, "GET", "/").is(t, 200, "Kettles Ltd", `title="Ana"`, `content="`+clerktest.Publishable+`"`)
	g.as(t, ana, "GET", "/settings").is(t, 200, "kept at Clerk")
	if n := g.clerk.Asked("/v1/users/user_ana"); n != 1 {
		t.Errorf("the person was asked for %d times", n)
	}
	a := g.as(t, ana, "POST", "/api/v1/imports", "Accept", "application/json")
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		t.Errorf("an admin is answered %d", a.status)
	}
	ben := g.token(t, "user_ben", "org_kettles", "viewer")
	if a := g.as(t, ben, "GET", "/imports/new"); a.status != http.StatusForbidden {
		t.Errorf("a viewer is answered %d", a.status)
	}
	// another organization of hers, and her own, are others
	g.as(t, g.token(t, "user_ana", "org_pots", "viewer"), "GET", "/").is(t, 200, "Pots Ltd")
	g.as(t, g.token(t, "user_ana", "", ""), "GET", "/imports/new").is(t, 200)
	var orgs, people int
	if err := g.store.Pool().QueryRow(t.Context(), `select (select count(*) from organizations where clerk_id is not null), (select count(*) from people where clerk_id is not null)`).Scan(&orgs, &people); err != nil || orgs != 3 || people != 2 {
		t.Errorf("there are %d organizations and %d people, %v", orgs, people, err)
	}
	for _, path := range []string{"/account", "/members"} {
		if a := g.as(t, ana, "GET", path); a.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
}

func TestABrowserWithoutAFreshTokenGoesThroughTheHandshake(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	old := g.token(t, "user_ana", "org_kettles", "admin", func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() })
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	here, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(here, []*http.Cookie{{Name: "__session", Value: old, Path: "/"}, {Name: "__client_uat", Value: "1700000000", Path: "/"}})
	client := &http.Client{Jar: jar, CheckRedirect: g.Client().CheckRedirect}
	ask := func(path string, header ...string) answer {
		return sendBy(t, client, g.request(t, "GET", path, nil, header...))
	}

	a := ask("/jobs?open=true", "Sec-Fetch-Dest", "document")
	to := a.header.Get("Location")
	if a.status != http.StatusTemporaryRedirect || !strings.HasPrefix(to, g.clerk.URL+"/v1/client/handshake?") || !strings.Contains(to, url.QueryEscape(clerkBase+"/jobs?open=true")) {
		t.Fatalf("a page answers %d to %s", a.status, to)
	}
	if a := ask("/jobs/list", "Sec-Fetch-Dest", "empty"); a.status != http.StatusUnauthorized {
		t.Errorf("a script is answered %d to %s", a.status, a.header.Get("Location"))
	}
	if a := ask("/jobs/now", "HX-Request", "true", "HX-Current-URL", clerkBase+"/jobs"); a.status != http.StatusUnauthorized || a.header.Get("HX-Redirect") != "/jobs" {
		t.Errorf("a fragment is answered %d to %s", a.status, a.header.Get("HX-Redirect"))
	}
	g.clerk.SignedIn = func() []string {
		return []string{"__session=" + g.token(t, "user_ana", "org_kettles", "admin") + "; Path=/; SameSite=Lax", "__client_uat=1700000001; Path=/"}
	}
	back := sendBy(t, client, mustGet(t, to)).header.Get("Location")
	a = ask(strings.TrimPrefix(back, clerkBase))
	if a.status != http.StatusTemporaryRedirect || a.header.Get("Location") != "/jobs?open=true" {
		t.Fatalf("coming back answers %d to %s", a.status, a.header.Get("Location"))
	}
	if a := ask("/jobs?open=true"); a.status != http.StatusOK {
		t.Errorf("afterwards the page answers %d to %s", a.status, a.header.Get("Location"))
	}
}

func mustGet(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestABrowserThatIsSignedOutIsShownClerksSignIn(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	if a := g.get(t, "/jobs"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?back=%2Fjobs" {
		t.Errorf("a page answers %d to %s", a.status, a.header.Get("Location"))
	}
	a := g.get(t, "/sign-in?back=/jobs")
	a.is(t, 200, `data-mount="sign-in"`, `data-back="/jobs"`)
	g.get(t, "/sign-in?back=//evil.example").is(t, 200, `data-back="/"`)
	g.get(t, "/sign-up").is(t, 200, `data-mount="sign-up"`)
	door, page := a.header.Get("Content-Security-Policy"), g.as(t, g.token(t, "user_ana", "org_kettles", "admin"), "GET", "/").header.Get("Content-Security-Policy")
	if !strings.Contains(door, "script-src 'self' "+g.clerk.URL+" https://challenges.cloudflare.com;") || !strings.Contains(door, "'unsafe-inline'") {
		t.Errorf("the policy of the sign-in is %s", door)
	}
	if !strings.Contains(page, "script-src 'self' "+g.clerk.URL+";") || strings.Contains(page, "unsafe") || strings.Contains(page, "cloudflare") {
		t.Errorf("the policy of a page is %s", page)
	}
	if p := mustSite(t).get(t, "/").header.Get("Content-Security-Policy"); p != contentPolicy {
		t.Errorf("without Clerk the policy is %s", p)
	}
}

func TestSigningOutAtClerkEndsTheSession(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	token := g.token(t, "user_ana", "org_kettles", "admin")
	g.as(t, token, "GET", "/").is(t, 200)
	if a := g.as(t, token, "POST", "/sign-out"); a.status != http.StatusSeeOther {
		t.Fatalf("signing out answers %d: %s", a.status, a.body)
	}
	if ended := g.clerk.Ended(); len(ended) != 1 || ended[0] != "sess_ana" {
		t.Errorf("at Clerk these ended: %v", ended)
	}
	if a := g.as(t, token, "GET", "/"); a.status != http.StatusSeeOther {
		t.Errorf("the token is taken still: %d", a.status)
	}
	ben := g.token(t, "user_ben", "org_kettles", "viewer")
	g.as(t, ben, "GET", "/").is(t, 200)
	if a := g.hook(t, "msg_1", `{"type": "session.revoked", "data": {"id": "sess_ben"}}`); a.status != http.StatusNoContent {
		t.Errorf("the webhook is answered %d: %s", a.status, a.body)
	}
	if a := g.as(t, ben, "GET", "/"); a.status != http.StatusSeeOther {
		t.Errorf("a revoked session is taken still: %d", a.status)
	}
}

func TestWebhooksChangeWhatIsMirroredOnceAndInAnyOrder(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	now := time.Now()
	ana := g.token(t, "user_ana", "org_kettles", "editor", func(c jwt.MapClaims) { c["iat"] = now.Add(-30 * time.Second).Unix() })
	g.as(t, ana, "GET", "/").is(t, 200, `title="Ana"`)
	user := func(name string, at time.Time) string {
		return `{"type": "user.updated", "data": {"id": "user_ana", "first_name": "` + name + `", "updated_at": ` + itoa(int(at.UnixMilli())) + `}}`
	}
	g.hook(t, "msg_2", user("Anna", now)).is(t, 204)
	g.hook(t, "msg_1", user("Annie", now.Add(-time.Hour))).is(t, 204) // it was sent before
	g.as(t, ana, "GET", "/").is(t, 200, `title="Anna"`)
	g.hook(t, "msg_3", `{"type": "organization.updated", "data": {"id": "org_kettles", "name": "Kettles & Pots", "updated_at": `+itoa(int(now.UnixMilli()))+`}}`).is(t, 204)
	g.as(t, ana, "GET", "/").is(t, 200, "Kettles &amp; Pots")

	// the same webhook again does nothing
	if _, err := g.store.Pool().Exec(t.Context(), `update people set name = 'Changed', clerk_at = null where clerk_id = 'user_ana'`); err != nil {
		t.Fatal(err)
	}
	g.hook(t, "msg_2", user("Anna", now)).is(t, 204)
	g.as(t, ana, "GET", "/").is(t, 200, `title="Changed"`)

	membership := `"data": {"role": "org:viewer", "updated_at": ` + itoa(int(now.UnixMilli())) + `, "organization": {"id": "org_kettles"}, "public_user_data": {"user_id": "user_ana"}}}`
	g.hook(t, "msg_4", `{"type": "organizationMembership.updated", `+membership).is(t, 204)
	if a := g.as(t, ana, "GET", "/imports/new"); a.status != http.StatusForbidden {
		t.Errorf("a token from before the new role is answered %d", a.status)
	}
	token := g.madeToken(t, ana)
	g.hook(t, "msg_5", `{"type": "organizationMembership.deleted", `+membership).is(t, 204)
	if a := g.as(t, ana, "GET", "/"); a.status != http.StatusSeeOther {
		t.Errorf("who left is answered %d", a.status)
	}
	g.api(t, "", "GET", "/jobs", "", "Authorization", "Bearer "+token).is(t, 401)
	again := g.token(t, "user_ana", "org_kettles", "editor", func(c jwt.MapClaims) { c["iat"] = now.Add(4 * time.Second).Unix() })
	g.as(t, again, "GET", "/imports/new").is(t, 200)
	g.hook(t, "msg_6", `{"type": "user.deleted", "data": {"id": "user_ana", "deleted": true}}`).is(t, 204)
	if a := g.as(t, ana, "GET", "/"); a.status != http.StatusSeeOther {
		t.Errorf("who was deleted is answered %d", a.status)
	}
	if a := g.post(t, "/webhooks/clerk", url.Values{}); a.status != http.StatusUnauthorized {
		t.Errorf("an unsigned webhook is answered %d", a.status)
	}
	mustSite(t).post(t, "/webhooks/clerk", url.Values{}).is(t, 404)
}

// madeToken makes an API token of whoever has signed in.
func (g *gate) madeToken(t *testing.T, session string) string {
	t.Helper()
	req := g.request(t, "POST", "/api/v1/tokens", nil, "Cookie", "__session="+session, "Content-Type", "application/json")
	req.Body = http.NoBody
	secret, hash := auth.NewSecret(auth.TokenPrefix)
	by, err := g.app.identify(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.store.CreateToken(t.Context(), by, "Mine", core.Scopes[:1], time.Time{}, hash); err != nil {
		t.Fatal(err)
	}
	g.api(t, "", "GET", "/jobs", "", "Authorization", "Bearer "+secret).is(t, 200)
	return secret
}

func TestOrganizationsOfClerkSeeTheirOwnOnly(t *testing.T) {
	t.Parallel()
	g := mustGate(t)
	ana, ben := g.token(t, "user_ana", "org_kettles", "admin"), g.token(t, "user_ben", "org_pots", "admin")
	g.as(t, ana, "GET", "/").is(t, 200)
	g.as(t, ben, "GET", "/").is(t, 200)
	req := g.request(t, "GET", "/", nil, "Cookie", "__session="+ana)
	by, err := g.app.identify(req)
	if err != nil {
		t.Fatal(err)
	}
	con, err := g.store.CreateConnection(t.Context(), by, store.NewConnection{Connector: "postgres", Name: "Shop", Settings: map[string]string{"host": "db.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	g.as(t, ana, "GET", "/connections/"+con.ID).is(t, 200, "Shop")
	g.as(t, ben, "GET", "/connections/"+con.ID).is(t, 404)
	g.as(t, g.token(t, "user_ana", "org_pots", "admin"), "GET", "/connections/"+con.ID).is(t, 404)
}
