package handlers

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/browsertest"
)

// mustProvider starts the real OpenID Connect provider of e2e/oidcop, with a client that is sent back to the site.
func mustProvider(t *testing.T, s *site) *OIDCSignIn {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oidcop")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir, build.Env = "../e2e/oidcop", append(os.Environ(), "CGO_ENABLED=0") // as the rest: nothing is compiled twice
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the provider does not build: %v\n%s", err, out)
	}
	back := s.URL + "/sign-in/oidc/callback"
	run := exec.CommandContext(t.Context(), program, back)
	run.Stderr = os.Stderr
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	issuer, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &OIDCSignIn{Name: "Example", OIDC: auth.NewOIDC(auth.OIDCConfig{Issuer: strings.TrimSpace(issuer), ClientID: "web", ClientSecret: "secret", Redirect: back, After: s.URL + "/sign-in"})}
}

// TestPeopleSignInAtAProviderWithABrowser goes to a real provider: refused without an invitation, let in with one, known again, signed out.
func TestPeopleSignInAtAProviderWithABrowser(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.in.OIDC = mustProvider(t, h.site)
	b := mustBrowser(t, h.site, 1440)
	atProvider := func() {
		t.Helper()
		b.open("/sign-in?back=/tokens")
		b.must(browsertest.Click("a[href^='/sign-in/oidc']"))
		b.until("the provider or home", `document.querySelector('input[name=username]') || document.querySelector('main')`)
		if there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`location.pathname.startsWith('/login')`)); err == nil && there {
			b.must(browsertest.Type("input[name=username]", "test-user@localhost"), browsertest.Type("input[name=password]", "verysecure\r"))
		}
	}
	atProvider()
	b.until("the refusal while nobody has an account", `location.pathname === '/sign-in/oidc/callback' && document.body.innerText.includes('Nobody here has the address test-user@zitadel.ch')`)

	ana := h.mustSetUp(t)
	ana.mustInvite(t, "Test-User@zitadel.ch", "editor")
	atProvider()
	b.until("the page that was asked for", `location.pathname === '/tokens'`)
	ana.get(t, "/members").is(t, 200, "Test User", "test-user@zitadel.ch")
	ana.get(t, "/audit.jsonl").is(t, 200, "member joined", "identity linked", `"how":"provider"`)
	if n := strings.Count(ana.get(t, "/members").body, "No invitation"); n > 1 {
		t.Error("the invitation still waits")
	}
	b.open("/account")
	b.until("an account without a password", `!document.querySelector('form[action="/account/password"]')`)
	if found := b.violations(); found != "" {
		t.Errorf("the account: %s", found)
	}
	b.must(browsertest.Click("#account summary"), browsertest.Click("form[action='/sign-out'] button"))
	b.until("the way to sign out there too", `[...document.querySelectorAll('a')].some((a) => a.textContent.includes('Sign out at Example too') && a.href.includes('end_session'))`)
	b.shot("/oidc-sign-in", "light", 1440)
	if found := b.violations(); found != "" {
		t.Errorf("the sign-in page: %s", found)
	}
	var person string
	if err := h.store.Pool().QueryRow(t.Context(), `select id from people where lower(email) = 'test-user@zitadel.ch'`).Scan(&person); err != nil {
		t.Fatal(err)
	}
	if err := h.store.RemoveMember(t.Context(), h.actorOf(t, "ana@example.org"), person); err != nil {
		t.Fatal(err)
	}
	atProvider()
	b.until("the refusal after the removal", `document.body.innerText.includes('a member of no organization')`)
}

// TestASignInAtAProviderBelongsToTheBrowserThatBeganIt sends back what others began, twice, or nothing.
func TestASignInAtAProviderBelongsToTheBrowserThatBeganIt(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	v := h.visitor(t)
	v.get(t, "/sign-in/oidc").is(t, 404, "OIDC_ISSUER")
	h.in.OIDC = mustProvider(t, h.site)
	v.get(t, "/sign-in").is(t, 200, "Continue with Example")
	a := v.get(t, "/sign-in/oidc?back=//evil.example.org")
	if a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Location"), "code_challenge_method=S256") || !strings.Contains(a.header.Get("Set-Cookie"), "HttpOnly") {
		t.Fatalf("it begins with %d %v", a.status, a.header)
	}
	h.visitor(t).get(t, "/sign-in/oidc/callback?state=x&code=y").is(t, 422, "not begun in this browser")
	v.get(t, "/sign-in/oidc/callback?state=x&code=y").is(t, 422, "not begun in this browser")
	v.get(t, "/sign-in/oidc/callback?state=x&code=y").is(t, 422, "not begun in this browser")
	h.in.OIDC = &OIDCSignIn{Name: "Gone", OIDC: auth.NewOIDC(auth.OIDCConfig{Issuer: "http://127.0.0.1:1/", ClientID: "web"})}
	began := time.Now()
	v.get(t, "/sign-in/oidc").is(t, 503, "does not answer as it should", "Continue with Gone")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a provider that is gone holds the page for %s", took)
	}
	if v.session() != "" {
		t.Error("somebody got in")
	}
}
