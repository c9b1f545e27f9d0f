package handlers

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/internal/mail"
	"scratchpaper/store"
)

// cheapPasswords take next to no time or memory.
var cheapPasswords = sync.OnceValue(func() *auth.Passwords { return auth.NewPasswords(64, 1) })

func cheapSignIn(s *site) *SignIn {
	return &SignIn{Passwords: cheapPasswords(), Lifetime: time.Hour, Limits: auth.NewLimits(s.rdb), Base: "http://scratchpaper.localhost"}
}

// house is an app with accounts, and the mail that it sent.
type house struct {
	*site
	in   *SignIn
	mail chan mail.Message
}

func mustHouse(t *testing.T, change ...func(in *SignIn)) *house {
	t.Helper()
	h := &house{mail: make(chan mail.Message, 100)}
	h.site = mustSiteWith(t, func(s *site, d *Deps) {
		h.in = cheapSignIn(s)
		for _, c := range change {
			c(h.in)
		}
		d.SignIn, d.AgentKeys = h.in, AgentKeys(s.store)
		d.Identify = append(Programs(s.store, d.AgentKeys), auth.Session{Cookie: h.in.Cookie, Find: s.store.SessionActor}).Identify
	})
	return h
}

// withMail lets the house send messages.
func (h *house) withMail() { h.in.Mail = func(m mail.Message) { h.mail <- m } }

// visitor is a browser with cookies of its own.
type visitor struct {
	*house
	client *http.Client
}

func (h *house) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{h, &http.Client{Jar: jar, CheckRedirect: h.Client().CheckRedirect}}
}

func (v *visitor) get(t *testing.T, path string, header ...string) answer {
	t.Helper()
	return v.send(t, "GET", path, nil, header...)
}

func (v *visitor) post(t *testing.T, path string, pairs ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.send(t, "POST", path, form)
}

func (v *visitor) send(t *testing.T, method, path string, form url.Values, header ...string) answer {
	t.Helper()
	return sendBy(t, v.client, v.request(t, method, path, form, header...))
}

func (v *visitor) session() string {
	u, _ := url.Parse(v.URL)
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == "scratchpaper" {
			return c.Value
		}
	}
	return ""
}

const goodPassword = "four wooden kettles"

// mustSetUp makes the first account, ana's, and gives her browser.
func (h *house) mustSetUp(t *testing.T) *visitor {
	t.Helper()
	secret, hash := auth.NewSecret("")
	if err := h.store.SetUpCode(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t)
	a := v.post(t, "/setup", "code", secret, "name", "Ana Bo", "email", "Ana@example.org", "organization", "Kettles Ltd", "password", goodPassword)
	if a.status != http.StatusSeeOther || v.session() == "" {
		t.Fatalf("the set-up answers %d: %s", a.status, a.body)
	}
	return v
}

var linkShown = regexp.MustCompile(`value="[^"]*/(invitation|reset)#([^"]+)"`)

// mustInvite lets an admin invite somebody and gives the code of the link that is shown.
func (v *visitor) mustInvite(t *testing.T, email, role string) string {
	t.Helper()
	a := v.post(t, "/members/invitations", "email", email, "role", role)
	m := linkShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no link is shown: %d %s", a.status, a.body)
	}
	return m[2]
}

// mustJoin is an invitation and its acceptance by somebody new.
func (v *visitor) mustJoin(t *testing.T, email, role string) *visitor {
	t.Helper()
	code := v.mustInvite(t, email, role)
	n := v.visitor(t)
	if a := n.post(t, "/invitation/join", "code", code, "name", "New "+role, "password", goodPassword); a.status != http.StatusSeeOther {
		t.Fatalf("joining answers %d: %s", a.status, a.body)
	}
	return n
}

func TestWhoeverHasNotSignedInIsAskedTo(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	v := h.visitor(t)
	if a := v.get(t, "/jobs?open=true"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?back=%2Fjobs%3Fopen%3Dtrue" {
		t.Errorf("a page answers %d to %s", a.status, a.header.Get("Location"))
	}
	if a := v.get(t, "/jobs/now", "HX-Request", "true", "HX-Current-URL", "http://x.localhost/jobs"); a.status != http.StatusUnauthorized || a.header.Get("HX-Redirect") != "/sign-in?back=%2Fjobs" {
		t.Errorf("a fragment answers %d to %s", a.status, a.header.Get("HX-Redirect"))
	}
	if a := v.get(t, "/jobs/list", "Sec-Fetch-Dest", "empty"); a.status != http.StatusUnauthorized {
		t.Errorf("a script is answered %d", a.status)
	}
	if a := v.get(t, "/api/v1/snapshots", "Accept", "application/json"); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("the API answers %d, %v", a.status, a.header)
	}
	v.get(t, "/sign-in").is(t, 200, "Nobody has an account yet", `autocomplete="current-password"`)
}

func TestTheFirstAccountIsMadeOnceAndKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	con, err := h.store.CreateConnection(t.Context(), h.by, store.NewConnection{Connector: "postgres", Name: "Shop", Settings: map[string]string{"host": "db.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	secret, hash := auth.NewSecret("")
	if err := h.store.SetUpCode(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t)
	v.get(t, "/setup").is(t, 200, "Set up Scratchpaper", "data-code")
	set := func(changes ...string) answer {
		form := map[string]string{"code": secret, "name": "Ana Bo", "email": "ana@example.org", "organization": "Kettles Ltd", "password": goodPassword}
		for i := 0; i+1 < len(changes); i += 2 {
			form[changes[i]] = changes[i+1]
		}
		var pairs []string
		for name, value := range form {
			pairs = append(pairs, name, value)
		}
		return v.post(t, "/setup", pairs...)
	}
	set("code", "wrong").is(t, 422, "not known here")
	set("password", "short").is(t, 422, "at least 12 characters")
	set("password", "kettles ltd 12").is(t, 422, "easily guessed")
	set("email", "nobody").is(t, 422, "not an e-mail address")
	set("name", " ").is(t, 422, "1 to 100 characters")
	if a := set(); a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		t.Fatalf("the set-up answers %d: %s", a.status, a.body)
	}
	v.get(t, "/connections/"+con.ID).is(t, 200, "Shop", "Kettles Ltd")
	v.get(t, "/members").is(t, 200, "Ana Bo", "Kettles Ltd")
	if a := set(); a.status != http.StatusConflict {
		t.Errorf("a second set-up answers %d", a.status)
	}
	if a := v.get(t, "/setup"); a.status != http.StatusSeeOther {
		t.Errorf("the page of the set-up answers %d afterwards", a.status)
	}
	if err := h.store.SetUpCode(t.Context(), []byte("another")); core.CodeOf(err) != core.Conflict {
		t.Errorf("another start makes a code: %v", err)
	}
}

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	v := h.visitor(t)
	a := v.post(t, "/sign-in", "email", " ANA@example.org ", "password", goodPassword, "back", "/jobs")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/jobs" {
		t.Fatalf("signing in answers %d to %s: %s", a.status, a.header.Get("Location"), a.body)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %s lacks %s", cookie, part)
		}
	}
	kept := v.session()
	v.get(t, "/account").is(t, 200, "Ana Bo", "here", "Sign out everywhere")
	if a := v.post(t, "/sign-out"); a.status != http.StatusSeeOther || v.session() != "" {
		t.Errorf("signing out answers %d and leaves the cookie %q", a.status, v.session())
	}
	if a := v.get(t, "/jobs", "Cookie", "scratchpaper="+kept); a.status != http.StatusSeeOther {
		t.Errorf("the old cookie still answers %d", a.status)
	}
}

func TestACookieOverTLSStaysWithTheHost(t *testing.T) {
	t.Parallel()
	h := mustHouse(t, func(in *SignIn) { in.Cookie = auth.SessionCookie{Secure: true} })
	secret, hash := auth.NewSecret("")
	if err := h.store.SetUpCode(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	a := h.visitor(t).post(t, "/setup", "code", secret, "name", "Ana", "email", "ana@example.org", "organization", "Kettles", "password", goodPassword)
	if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-scratchpaper=") || !strings.Contains(c, "; Secure") || strings.Contains(c, "Domain") {
		t.Errorf("the cookie is %s", c)
	}
}

func TestASessionThatWasPlantedIsNeverSignedIn(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	before := ana.session()
	u, _ := url.Parse(h.URL)
	v := h.visitor(t)
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: "scratchpaper", Value: "planted", Path: "/"}})
	v.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword)
	if v.session() == "planted" || v.session() == "" {
		t.Errorf("the session is %q", v.session())
	}
	// signing in once more ends the browser's former session
	ana.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword)
	if ana.session() == before {
		t.Error("the session is the same after another sign-in")
	}
	if a := h.visitor(t).get(t, "/jobs", "Cookie", "scratchpaper="+before); a.status != http.StatusSeeOther {
		t.Errorf("the former session still answers %d", a.status)
	}
}

func TestWrongPasswordsAndUnknownAddressesAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	v := h.visitor(t)
	known := v.post(t, "/sign-in", "email", "ana@example.org", "password", "something else")
	unknown := v.post(t, "/sign-in", "email", "eve@example.org", "password", "something else")
	known.is(t, 422, "do not belong together")
	if strings.ReplaceAll(known.body, "ana@", "eve@") != unknown.body || known.status != unknown.status {
		t.Errorf("they differ:\n%s\n%s", known.body, unknown.body)
	}
	known.lacks(t, "something else")
	if v.session() != "" {
		t.Error("there is a session")
	}
}

func TestTryingManyPasswordsIsSlowedForEverybodyAlike(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	for _, email := range []string{"ana@example.org", "eve@example.org"} {
		v := h.visitor(t)
		for range signInOfPair.Tries {
			v.post(t, "/sign-in", "email", email, "password", "wrong").is(t, 422)
		}
		a := v.post(t, "/sign-in", "email", strings.ToUpper(email), "password", goodPassword)
		a.is(t, 429, "too many attempts", "Try again in 15 min")
		if a.header.Get("Retry-After") == "" || v.session() != "" {
			t.Errorf("%s: Retry-After is %q, the session %q", email, a.header.Get("Retry-After"), v.session())
		}
	}
}

func TestAnInvitationMakesAMemberOnce(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	code := ana.mustInvite(t, "ben@example.org", "editor")
	ana.get(t, "/members").is(t, 200, "ben@example.org", "editor")
	ana.get(t, "/members").lacks(t, code)
	ben := h.visitor(t)
	ben.post(t, "/invitation", "code", code).is(t, 200, "Join Kettles Ltd", "Ana Bo invites you, ben@example.org, as editor")
	ben.post(t, "/invitation/join", "code", code, "name", "Ben", "password", "short").is(t, 422, "at least 12")
	if a := ben.post(t, "/invitation/join", "code", code, "name", "Ben", "password", goodPassword); a.status != http.StatusSeeOther {
		t.Fatalf("joining answers %d: %s", a.status, a.body)
	}
	ben.get(t, "/account").is(t, 200, "Ben", "ben@example.org")
	if a := ben.get(t, "/members"); a.status != http.StatusForbidden {
		t.Errorf("an editor sees the members: %d", a.status)
	}
	h.visitor(t).post(t, "/invitation/join", "code", code, "name", "Eve", "password", goodPassword).is(t, 422, "not known here")
	ana.post(t, "/members/invitations", "email", "BEN@example.org", "role", "admin").is(t, 422, "member already")
}

func TestAnInvitationOfAnAccountAsksForItsPassword(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben := ana.mustJoin(t, "ben@example.org", "editor")
	if a := ana.post(t, "/organizations", "name", "Pots Ltd"); a.status != http.StatusSeeOther {
		t.Fatalf("the new organization: %d %s", a.status, a.body)
	}
	ana.get(t, "/members").is(t, 200, "Pots Ltd", "Kettles Ltd")
	code := ana.mustInvite(t, "ben@example.org", "viewer")
	eve := h.visitor(t)
	eve.post(t, "/invitation", "code", code).is(t, 200, "sign in with its password")
	eve.post(t, "/invitation/join", "code", code, "name", "Eve", "password", "another good password").is(t, 422, "do not belong together")
	if a := eve.post(t, "/invitation/join", "code", code, "password", goodPassword); a.status != http.StatusSeeOther {
		t.Fatalf("joining answers %d: %s", a.status, a.body)
	}
	eve.get(t, "/account").is(t, 200, "Pots Ltd", "Kettles Ltd")
	orgs, err := h.store.Organizations(t.Context(), core.Actor{Person: personOf(t, h, "ben@example.org")})
	if err != nil || len(orgs) != 2 || orgs[0].Role != core.Editor || orgs[1].Role != core.Viewer {
		t.Errorf("ben is in %v, %v", orgs, err)
	}
	// the first browser goes on in the first organization, and may go to the other
	ben.get(t, "/").is(t, 200, "Kettles Ltd")
	if a := ben.post(t, "/account/organization", "organization", orgs[1].ID); a.status != http.StatusSeeOther {
		t.Errorf("going to the other answers %d", a.status)
	}
	ben.get(t, "/imports/new").is(t, 403, "yours is viewer")
	if a := ben.post(t, "/account/organization", "organization", "org_nowhere"); a.status != http.StatusNotFound {
		t.Errorf("going elsewhere answers %d", a.status)
	}
}

func personOf(t *testing.T, h *house, email string) string {
	t.Helper()
	a, err := h.store.AccountByEmail(t.Context(), email)
	if err != nil || a.Person == "" {
		t.Fatalf("no account of %s: %v", email, err)
	}
	return a.Person
}

func TestRolesHoldAtOnceAndOneAdminStays(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben := ana.mustJoin(t, "ben@example.org", "viewer")
	id := personOf(t, h, "ben@example.org")
	if a := ben.get(t, "/imports/new"); a.status != http.StatusForbidden {
		t.Errorf("a viewer imports: %d", a.status)
	}
	ana.post(t, "/members/"+id+"/role", "role", "editor")
	ben.get(t, "/imports/new").is(t, 200)
	ana.post(t, "/members/"+id+"/role", "role", "everything").is(t, 422, "The roles are")
	me := personOf(t, h, "ana@example.org")
	ana.post(t, "/members/"+me+"/role", "role", "editor").is(t, 409, "at least one admin")
	ana.post(t, "/members/"+me+"/remove").is(t, 409, "at least one admin")
	if a := ana.post(t, "/members/"+id+"/remove"); a.status != http.StatusSeeOther {
		t.Errorf("removing answers %d", a.status)
	}
	if a := ben.get(t, "/jobs"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/sign-in") {
		t.Errorf("who was removed still sees %d", a.status)
	}
	h.visitor(t).post(t, "/sign-in", "email", "ben@example.org", "password", goodPassword).is(t, 403, "member of no organization")
}

func TestAPasswordIsChangedAndEverybodyElseIsSignedOut(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	other := h.visitor(t)
	other.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword)
	before := ana.session()
	ana.post(t, "/account/password", "current", "wrong", "password", "five wooden kettles").is(t, 422, "not your current password")
	ana.post(t, "/account/password", "current", goodPassword, "password", "short").is(t, 422, "at least 12")
	if a := ana.post(t, "/account/password", "current", goodPassword, "password", "five wooden kettles"); a.status != http.StatusSeeOther {
		t.Fatalf("changing answers %d: %s", a.status, a.body)
	}
	if ana.session() == before {
		t.Error("the session is the same")
	}
	ana.get(t, "/account").is(t, 200)
	if a := other.get(t, "/account"); a.status != http.StatusSeeOther {
		t.Errorf("the other browser is still signed in: %d", a.status)
	}
	other.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword).is(t, 422)
	if a := other.post(t, "/sign-in", "email", "ana@example.org", "password", "five wooden kettles"); a.status != http.StatusSeeOther {
		t.Errorf("the new password answers %d", a.status)
	}
}

func TestSigningOutElsewhereAndEverywhere(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	other := h.visitor(t)
	other.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword)
	ends := regexp.MustCompile(`action="(/account/sessions/ses_[^"]+/end)"`).FindStringSubmatch(ana.get(t, "/account").body)
	if ends == nil {
		t.Fatal("the other session is not listed")
	}
	ana.post(t, ends[1])
	if a := other.get(t, "/account"); a.status != http.StatusSeeOther {
		t.Errorf("the other browser is still signed in: %d", a.status)
	}
	if a := ana.post(t, ends[1]); a.status != http.StatusNotFound {
		t.Errorf("ending it again answers %d", a.status)
	}
	other.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword)
	ana.post(t, "/account/sessions/end")
	for _, v := range []*visitor{ana, other} {
		if a := v.get(t, "/account"); a.status != http.StatusSeeOther {
			t.Errorf("a browser is still signed in: %d", a.status)
		}
	}
}

func TestAPasswordIsResetByMail(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.withMail()
	ana := h.mustSetUp(t)
	v := h.visitor(t)
	known := v.post(t, "/forgot", "email", "ana@example.org")
	unknown := v.post(t, "/forgot", "email", "eve@example.org")
	known.is(t, 200, "If there is an account")
	if known.body != unknown.body {
		t.Errorf("they differ:\n%s\n%s", known.body, unknown.body)
	}
	h.app.Wait()
	if len(h.mail) != 1 {
		t.Fatalf("%d messages were sent", len(h.mail))
	}
	m := <-h.mail
	_, code, ok := strings.Cut(strings.Split(m.Text, "\n")[2], "/reset#")
	if !ok || m.To != "Ana@example.org" {
		t.Fatalf("the message to %s is %s", m.To, m.Text)
	}
	v.get(t, "/reset").is(t, 200, "Choose a new password")
	v.post(t, "/reset", "code", code, "password", "short").is(t, 422, "at least 12")
	if a := v.post(t, "/reset", "code", code, "password", "five wooden kettles"); a.status != http.StatusSeeOther {
		t.Fatalf("the reset answers %d: %s", a.status, a.body)
	}
	v.get(t, "/account").is(t, 200)
	if a := ana.get(t, "/account"); a.status != http.StatusSeeOther {
		t.Errorf("the browser from before is still signed in: %d", a.status)
	}
	v.post(t, "/reset", "code", code, "password", "six wooden kettles").is(t, 422, "not known here")
}

func TestAnAdminResetsWhoBelongsToThemAlone(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ana.mustJoin(t, "ben@example.org", "editor")
	id := personOf(t, h, "ben@example.org")
	a := ana.post(t, "/members/"+id+"/reset")
	m := linkShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no link is shown: %d %s", a.status, a.body)
	}
	if a := h.visitor(t).post(t, "/reset", "code", m[2], "password", "five wooden kettles"); a.status != http.StatusSeeOther {
		t.Errorf("the reset answers %d: %s", a.status, a.body)
	}
	if _, err := h.store.Pool().Exec(t.Context(), `with o as (insert into organizations (id, name) values ('org_b', 'B') returning id)
		insert into members (org_id, person_id, role) select id, $1, 'admin' from o`, id); err != nil {
		t.Fatal(err)
	}
	ana.post(t, "/members/"+id+"/reset").is(t, 409, "another organization too")
	if a := ana.post(t, "/members/per_nobody/reset"); a.status != http.StatusNotFound {
		t.Errorf("a member that there is not is answered %d", a.status)
	}
}

func TestNothingLeadsElsewhereAfterASignIn(t *testing.T) {
	t.Parallel()
	for address, own := range map[string]bool{"/": true, "/jobs?x=1": true, "//evil.example": false, `/\evil.example`: false, "/\t/evil.example": false, "/\n/evil.example": false,
		"https://evil.example": false, "": false, "jobs": false} {
		if ownAddress(address) != own {
			t.Errorf("%q counts as %v", address, !own)
		}
	}
}

func TestWithoutAccountsNobodyIsAskedToSignIn(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.get(t, "/sign-in").is(t, 404, "SIGN_IN")
	s.get(t, "/").is(t, 200)
	s.get(t, "/").lacks(t, "Sign out")
}

func TestWhoeverChoosesAPasswordIsToldHowStrongItIs(t *testing.T) {
	t.Parallel()
	var log lines
	h := mustHouse(t)
	h.app.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := h.visitor(t)
	v.post(t, "/password/strength", "password", "").lacks(t, "meter")
	v.post(t, "/password/strength", "password", "short").is(t, 200, `value="1"`, "at least 12 characters")
	v.post(t, "/password/strength", "password", "kettles ltd 12", "organization", "Kettles Ltd").is(t, 200, `value="1"`, "easily guessed")
	v.post(t, "/password/strength", "password", goodPassword).is(t, 200, `value="3"`, "Good.")
	a := v.post(t, "/password/strength", "password", strings.Repeat("a long one that nobody knows ", 4))
	a.is(t, 200, `value="4"`, "Strong.")
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it may be kept: %v", a.header)
	}
	if said := log.String(); !strings.Contains(said, "/password/strength") || strings.Contains(said, "kettles") {
		t.Errorf("the log says %s", said)
	}
	for range strengthOfAddress.Tries {
		if err := h.in.Limits.Take(t.Context(), strengthOfAddress, "127.0.0.1"); err != nil {
			break
		}
	}
	v.post(t, "/password/strength", "password", goodPassword).is(t, 429, "too many requests")
}
