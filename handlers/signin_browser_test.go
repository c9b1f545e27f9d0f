package handlers

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"scratchpaper/internal/browsertest"

	"scratchpaper/internal/auth"
)

// TestPeopleSetUpInviteAndSignInWithABrowser goes through the doors as people do: the code of a link never leaves the browser in an
// address, and axe finds nothing on any of the pages.
func TestPeopleSetUpInviteAndSignInWithABrowser(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	secret, hash := auth.NewSecret("")
	if err := h.store.SetUpCode(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	b := mustBrowser(t, h.site, 1440)
	b.open("/setup#" + secret)
	b.until("the form without the code", `location.hash === '' && document.querySelector('[data-field=code]').hidden && document.querySelector('input[name=code]').value.length > 40`)
	b.must(browsertest.Type("#field-organization", "Kettles Ltd"), browsertest.Type("#field-name", "Ana Bo"),
		browsertest.Type("#field-email", "ana@example.org"), browsertest.Type("#field-password", "short\r"))
	b.until("the refusal", `document.querySelector('#field-password-error')?.textContent.includes('at least 12') && document.querySelector('[data-field=code]').hidden`)
	b.must(browsertest.Type("#field-password", goodPassword+"\r"))
	b.until("the home page", `location.pathname === '/' && document.querySelector('#account summary')`)

	b.open("/members")
	b.must(browsertest.Type("#field-email", "ben@example.org\r"))
	b.until("the link", `document.querySelector('#once-link')?.value.includes('/invitation#')`)
	link, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector('#once-link').value`))
	if err != nil {
		t.Fatal(err)
	}
	if found := b.violations(); found != "" {
		t.Errorf("the link that is shown once: %s", found)
	}
	b.open("/account")
	b.must(browsertest.Click("#account summary"), browsertest.Click("form[action='/sign-out'] button"))
	b.until("the sign-in", `location.pathname === '/sign-in' && document.body.innerText.includes('You have signed out')`)

	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	b.open("/invitation#" + u.Fragment)
	b.until("the invitation", `document.body.innerText.includes('Join Kettles Ltd') && location.hash === ''`)
	b.must(browsertest.Type("#field-name", "Ben"), browsertest.Type("#field-password", goodPassword+"\r"))
	b.until("the home page of ben", `location.pathname === '/' && document.querySelector('#account summary').title === 'Ben'`)
}

func TestThePagesOfGettingInCanBeReadByEverybody(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ana.mustInvite(t, "ben@example.org", "publisher")
	ana.mustJoin(t, "cleo.with.a.long.name@departments.example.org", "viewer")
	b := mustBrowser(t, h.site, 1440)
	b.looksAt("/sign-in", "/forgot", "/reset", "/invitation")
	b.signsIn("ana@example.org")
	b.open("/tokens")
	b.must(browsertest.Type("#field-name", "Nightly import\r"))
	b.until("the token", `document.querySelector('#once-token')?.value.startsWith('sp_')`)
	if found := b.violations(); found != "" {
		t.Errorf("the token that is shown once: %s", found)
	}
	b.shot("/token-once", "light", 1440)
	b.looksAt("/account", "/members", "/tokens", "/audit")
	b.must(chromedp.EmulateViewport(390, 900), browsertest.Click("#account summary"))
	if found := b.violations(); found != "" {
		t.Errorf("the open menu: %s", found)
	}
	b.shot("/menu", "dark", 390)
}

// looksAt lets axe look at pages in each rendering.
func (b *browser) looksAt(pages ...string) {
	b.t.Helper()
	for _, r := range browsertest.Renderings() {
		b.must(chromedp.EmulateViewport(r.Width, 900))
		b.open("/forgot")
		if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.cookie = 'theme="+r.Theme+"; path=/'")); err != nil {
			b.t.Fatal(err)
		}
		for _, path := range pages {
			b.open(path)
			if found := b.violations(); found != "" {
				b.t.Errorf("%s at %d, %s: %s", path, r.Width, r.Theme, found)
			}
			b.shot(path, r.Theme, r.Width)
		}
	}
}

// signsIn signs somebody in and leads to their account.
func (b *browser) signsIn(email string) {
	b.t.Helper()
	b.open("/sign-in?back=/account")
	b.must(browsertest.Type("#field-email", email), browsertest.Type("#field-password", goodPassword+"\r"))
	b.until("the account", `location.pathname === '/account' && document.readyState === 'complete'`)
}

// TestWhatIsTypedCanBeShownAndItsStrengthIsSaid does both by keyboard, and looks that nothing of it stays or is sent twice.
func TestWhatIsTypedCanBeShownAndItsStrengthIsSaid(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	b := mustBrowser(t, h.site, 390)
	b.open("/reset#code")
	b.until("the form", `document.querySelector('#field-password') && !document.querySelector('[data-shows]').hidden`)
	b.must(browsertest.Type("#field-password", "short"))
	b.until("why it is refused", `document.querySelector('#field-password-strength').innerText.includes('at least 12') && document.querySelector('meter').value === 1`)
	b.must(browsertest.Type("#field-password", "er than my kettle is high\t "))
	b.until("what is typed", `document.activeElement.getAttribute('aria-pressed') === 'true' && document.querySelector('#field-password').type === 'text'`)
	b.until("its strength", `document.querySelector('#field-password-strength').innerText.includes('Strong')`)
	if found := b.violations(); found != "" {
		t.Error(found)
	}
	b.shot("/reset-shown", "light", 390)
	b.must(chromedp.KeyEvent(" "))
	b.until("dots", `document.activeElement.getAttribute('aria-pressed') === 'false' && document.querySelector('#field-password').type === 'password'`)
	b.must(chromedp.KeyEvent(" "))
	b.until("a form that is sent nowhere", `(document.querySelector('form').addEventListener('submit', e => { e.preventDefault(); document.title = document.querySelector('#field-password').type }), document.querySelector('form').requestSubmit(), true)`)
	b.until("a password that is sent as one", `document.title === 'password'`)
	b.signsIn("ana@example.org")
	b.must(browsertest.Type("#field-password", "kettles of Ana"))
	b.until("the strength beside the account", `document.querySelector('#field-password-strength meter')`)
}

// TestASecondFactorIsSetUpInABrowser goes the whole way by keyboard, and looks at each page in light and dark, wide and narrow.
func TestASecondFactorIsSetUpInABrowser(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ana.mustJoin(t, "ben.with.a.long.name@departments.example.org", "publisher")
	b := mustBrowser(t, h.site, 1440)
	clean := func(what string) {
		t.Helper()
		for _, r := range browsertest.Renderings() {
			b.must(chromedp.EmulateViewport(r.Width, 900))
			b.until(what, `(document.documentElement.dataset.theme = "`+r.Theme+`")`)
			if found := b.violations(); found != "" {
				t.Errorf("%s at %d, %s: %s", what, r.Width, r.Theme, found)
			}
			b.shot(what, r.Theme, r.Width)
		}
	}
	b.signsIn("ana@example.org")
	b.looksAt(factorPath, "/account")
	b.open(factorPath)
	b.must(browsertest.Type("#field-current", goodPassword+"\r"))
	b.until("the QR code", `document.readyState === 'complete' && document.querySelector('svg[role=img] path')`)
	clean("factor-pending")
	p := &phone{ana, h.secretOf(t)}
	b.must(browsertest.Type("#field-code", "000000\r"))
	b.until("the refusal", `document.readyState === 'complete' && document.querySelector('#field-code-error')`)
	b.must(browsertest.Type("#field-code", p.code(t)+"\r"))
	b.until("the recovery codes", `document.querySelectorAll('[aria-label="Recovery codes"] li').length === 10`)
	clean("factor-codes")
	recovery, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector('[aria-label="Recovery codes"] li').textContent`))
	if err != nil {
		t.Fatal(err)
	}
	b.open(factorPath)
	clean("factor-on")
	b.looksAt("/account", "/members", "/settings")
	b.must(chromedp.EmulateViewport(1440, 900))
	b.open("/settings")
	b.must(browsertest.Set("#second-factor", "everybody"), browsertest.Click("form[action='/organization/settings'] button"))
	b.until("the setting", `document.querySelector('#second-factor').value === 'everybody' && document.body.innerText.includes('Saved.')`)
	b.looksAt("/members")
	b.must(chromedp.EmulateViewport(1440, 900), browsertest.Click("#account summary"), browsertest.Click("form[action='/sign-out'] button"))
	b.until("the sign-in", `document.readyState === 'complete' && location.pathname === '/sign-in'`)
	b.must(browsertest.Type("#field-email", "ana@example.org"), browsertest.Type("#field-password", goodPassword+"\r"))
	b.until("the question for a code", `document.readyState === 'complete' && location.pathname === '/sign-in/code' && document.activeElement.id === 'field-code'`)
	clean("factor-asked")
	b.must(browsertest.Type("#field-code", recovery+"\r"))
	b.until("the home page", `document.readyState === 'complete' && location.pathname === '/' && document.body.innerText.includes('9 are left')`)
	// Ben is asked to set one up, and gets nowhere else.
	b.must(browsertest.Click("#account summary"), browsertest.Click("form[action='/sign-out'] button"))
	b.until("the sign-in of ben", `document.readyState === 'complete' && location.pathname === '/sign-in'`)
	b.must(browsertest.Type("#field-email", "ben.with.a.long.name@departments.example.org"), browsertest.Type("#field-password", goodPassword+"\r"))
	b.until("what his organization asks for", `document.readyState === 'complete' && location.pathname === '/account/second-factor' && document.body.innerText.includes('Your organization asks for one')`)
	clean("factor-needed")
	b.must(browsertest.Type("#field-current", goodPassword+"\r"))
	b.until("his QR code", `document.querySelector('svg[role=img] path')`)
	clean("factor-needed-pending")
}

// secretOf is the secret of the phone that was set up last; the test's box seals nothing.
func (h *house) secretOf(t *testing.T) (kept []byte) {
	t.Helper()
	if err := h.store.Pool().QueryRow(t.Context(), `select secret from second_factors order by created_at desc limit 1`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	return kept
}
