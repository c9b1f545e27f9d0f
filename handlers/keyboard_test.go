package handlers

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/browsertest"
)

// types goes to an element by the Tab key and presses keys there.
func (b *browser) types(selector, keys string) {
	b.t.Helper()
	b.must(browsertest.Reach(selector, kb.Tab), chromedp.KeyEvent(keys))
}

// lands waits until the page that a form leads to is complete.
func (b *browser) lands(what, condition string) {
	b.t.Helper()
	b.until(what, `document.readyState === 'complete' && (`+condition+`)`)
}

func TestAWebhookIsMadeTestedRenewedAndDeletedByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	to := mustReceiver(t)
	b := mustBrowser(t, s, 1440)
	b.open("/settings/webhooks")
	b.types("#field-address", to.URL+"/hook")
	b.types("[name=events][value='publish.done']", " ")
	b.types("main form button", kb.Enter)
	b.lands("its secret", `document.querySelector('#once-secret')?.value.startsWith('whsec_')`)
	b.types("#once-secret", "")
	b.until("the secret is selected for copying", `document.activeElement.selectionEnd - document.activeElement.selectionStart === document.activeElement.value.length`)
	first, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector('#once-secret').value`))
	if err != nil {
		t.Fatal(err)
	}

	b.must(browsertest.Reach("form[action$='/test'] button", kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)), chromedp.KeyEvent(kb.Enter))
	b.lands("the test", `document.querySelector('#deliveries')?.innerText.includes('about to be sent')`)
	s.mustTell(t)
	to.hears(t, 1, nil)
	b.until("the delivery", `document.querySelector('#deliveries').innerText.includes('It answers 200')`)

	b.types("[name=keep]", "") // what it stands on is kept
	b.types("form[action$='/secret'] button", kb.Enter)
	b.lands("the new secret", fmt.Sprintf(`document.querySelector('#once-secret') && document.querySelector('#once-secret').value !== %q`, first))

	b.types("[name=active]", " ")
	b.types("form[data-once]:has([name=active]) button", kb.Enter)
	b.lands("it is off", `document.querySelector('[name=active]') && !document.querySelector('[name=active]').checked && !document.querySelector("form[action$='/test']")`)

	b.types("details[data-menu]:has(form[action$='/delete']) summary", kb.Enter)
	b.types("form[action$='/delete'] [data-closes-menu]", kb.Enter)
	b.until("it is kept, and the focus where it was", `!document.querySelector("details:has(form[action$='/delete'])").open && document.activeElement.matches('summary')`)
	b.must(chromedp.KeyEvent(kb.Enter))
	b.types("form[action$='/delete'] button:not([type=button])", kb.Enter)
	b.lands("no webhook is left", `location.pathname === '/settings/webhooks' && document.querySelector('main').innerText.includes('No webhooks yet')`)
}

func TestARefreshOfEveryNightIsSetChangedAndTakenBackByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.mustWork(t)
	snapshot, _ := s.mustTake(t, "public.kettles")
	b := mustBrowser(t, s, 1440)
	b.open(snapshot + "/settings")
	b.types("#field-at", "25:00")
	b.types("#schedule form button", kb.Enter)
	b.lands("the refusal", `document.querySelector('#field-at-error')`)
	for _, at := range []string{"03:15", "04:45"} {
		b.must(browsertest.Reach("#field-at", kb.Tab), chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(at))
		b.types("#field-zone", "")
		b.types("#schedule form button", kb.Enter)
		b.lands("it is set", `document.querySelector('#schedule').innerText.includes('Refreshed each day at `+at+`')`)
	}
	b.types("#schedule form + form button", kb.Enter)
	b.lands("it is taken back", `document.querySelector('#schedule').innerText.includes('It can be refreshed once a day')`)
}

func TestASwitchIsSetByAnOperatorByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.mustOrganization(t, "other")
	b := mustBrowser(t, s, 1440)
	b.open("/settings")
	for _, page := range []string{"/operate", "/operate/sizes", "/operate/queries", "/operate/switches"} {
		b.types("main a[href='"+page+"']", kb.Enter)
		b.lands(page, `location.pathname === '`+page+`'`)
	}
	form := "form[action='/operate/switches/org_other']"
	b.types(form+" [value=webhooks]", " ")
	b.types(form+" button", kb.Enter)
	s.until(t, "the switch", func() bool {
		var off int
		err := s.store.Pool().QueryRow(t.Context(), `select count(*) from switches where org_id = 'org_other' and name = 'webhooks'`).Scan(&off)
		return err == nil && off == 1
	})
	b.lands("it is off there", `!document.querySelector("`+form+` [value=webhooks]").checked`)
}
