package handlers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scratchpaper/internal/browsertest"
	"scratchpaper/store"
)

// browser is a real Chromium on a page of the site.
type browser struct {
	*site
	t   *testing.T
	ctx context.Context
}

func mustBrowser(t *testing.T, s *site, width int64) *browser {
	t.Helper()
	ctx, stop := context.WithTimeout(browsertest.Page(t, width, 900), 4*time.Minute)
	t.Cleanup(stop)
	return &browser{s, t, ctx}
}

func (b *browser) must(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.must(chromedp.Navigate(b.URL + path))
}

// until waits for a condition in the page.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if err == nil && ok {
			return
		}
		time.Sleep(30 * time.Millisecond) // between two looks at the condition
	}
	html, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.querySelector('main').innerText.slice(0, 2000)"))
	b.t.Fatalf("%s did not come; the page says:\n%s", what, html)
}

// violations asks axe, and whether the page is wider than the window.
func (b *browser) violations() string {
	b.t.Helper()
	return browsertest.Violations(b.ctx, b.t)
}

// shot keeps a picture of the page in the folder that SHOTS names, if any.
func (b *browser) shot(path, theme string, width int64) {
	b.t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%s-%d.png", strings.ReplaceAll(strings.Trim(path, "/"), "/", "-"), theme, width)
	if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestPagesCanBeReadByEverybody(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	j, err := s.store.Enqueue(t.Context(), s.by, store.NewJob{Kind: "refresh", Label: "Refresh Spring"})
	if err != nil {
		t.Fatal(err)
	}
	file := s.upload(t, "prices.csv", "name;price\nBlue;29,00\n").header.Get("Location")
	b := mustBrowser(t, s, 1440)
	pages := []string{"/", "/connections", "/connections/new", "/connections/new/postgres", "/connections/" + con, "/snapshots/new?connection=" + con,
		"/jobs", "/jobs/" + j.ID, file, "/settings", "/gallery", "/nope"}
	b.looksAt(pages...)
}

func TestTheFormStaysWithWhatWasWrong(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	b := mustBrowser(t, s, 1440)
	b.open("/connections/new/postgres")
	b.must(browsertest.Type("#field-host", "db.example.org"), browsertest.Set("#field-port", "99999"),
		browsertest.Click("button[value=save]"))
	b.until("the message at the port", "document.querySelector('#field-port-error')?.textContent.includes('1 to 65535') && document.querySelector('#field-name-error')")
	b.until("what was typed", "document.querySelector('#field-host').value === 'db.example.org'")
	b.until("no message in the corner", "document.querySelectorAll('#toasts > *').length === 0")
}

func TestTheFormConnectsAndLeadsOn(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	b := mustBrowser(t, s, 1440)
	b.open("/connections/new/postgres")
	for name, v := range s.connection() {
		if name == "name" || name == "host" || name == "port" || name == "database" || name == "user" || name == "password" || name == "sslmode" {
			b.must(browsertest.Set("#field-"+name, v[0]))
		}
	}
	b.must(browsertest.Click("button[value=test]"))
	b.until("the service's yes", "document.querySelector('#connection-form [role=status]')?.textContent.includes('It works')")
	password, _ := s.service.User.Password()
	b.must(browsertest.Set("#field-password", password), browsertest.Click("button[value=save]"))
	b.until("the tables", "location.pathname === '/snapshots/new' && document.body.innerText.includes('kettles')")
	b.must(browsertest.Click("form[data-choose] button:not([type=button])"))
	b.until("the snapshot", "location.pathname.startsWith('/snapshots/snp_')")
}

func TestTheKeyboardReachesEverything(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	b := mustBrowser(t, s, 1440)
	b.open("/")
	b.until("the scripts", "document.querySelector('[data-needs-script]') && !document.querySelector('[data-needs-script]').hidden")
	b.must(ctrl("k"))
	b.until("the palette", "document.querySelector('#palette').open && document.querySelectorAll('#palette-list li').length > 5")
	b.must(browsertest.Type("#palette input", "setti\r"))
	b.until("the settings", "location.pathname === '/settings' && document.readyState === 'complete'")
	b.until("the person's zone", "document.querySelector('[data-browser=zone]').textContent === Intl.DateTimeFormat().resolvedOptions().timeZone")
	b.must(browsertest.Click("section button[value=dark]"))
	b.until("the dark", "document.documentElement.dataset.theme === 'dark' && document.cookie.includes('theme=dark')")
	b.must(ctrl("/"))
	b.until("the keys", "document.querySelector('#keys').open")
}

// ctrl presses a key with Ctrl held.
func ctrl(key string) chromedp.Action[chromedp.Void] {
	return chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.ModifierCtrl))
}

func TestAJobMovesWhileItIsLookedAt(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	ctx := t.Context()
	j, err := s.store.Enqueue(ctx, s.by, store.NewJob{Kind: "refresh", Label: "Refresh Spring"})
	if err != nil {
		t.Fatal(err)
	}
	b := mustBrowser(t, s, 1440)
	b.open("/jobs/" + j.ID)
	b.until("the queued job", "document.querySelector('#job').dataset.state === 'queued'")
	taken, _, err := s.store.TakeJob(ctx, j.ID, "worker", time.Minute)
	if err != nil || taken == nil {
		t.Fatalf("the job was not taken: %v", err)
	}
	total := int64(400)
	taken.Progress = store.Progress{Done: 100, Total: &total, Rate: 50}
	if err := s.store.SaveProgress(ctx, taken); err != nil {
		t.Fatal(err)
	}
	b.until("the progress", "document.querySelector('#job progress').value === 25 && document.querySelector('#jobs-now').innerText.includes('1 job')")
	b.until("the tab's title", "document.title.startsWith('25 %')")
	taken.Progress.Done = 400
	if err := s.store.EndSlice(ctx, taken, store.JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	b.until("the end", "document.querySelector('#job').dataset.state === 'done' && document.title.startsWith('done')")
}

func TestAnErrorIsSaidInTheCornerAndNothingIsReplaced(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	b := mustBrowser(t, s, 1440)
	b.open("/connections/" + con)
	if err := s.store.DeleteConnection(t.Context(), s.by, con); err != nil {
		t.Fatal(err)
	}
	b.must(browsertest.Click("#health button"))
	b.until("the sentence", "document.querySelector('#toasts [role=alert]')?.textContent.includes('not here')")
	b.until("the page as it was", "document.querySelector('#health button').textContent.trim() === 'Test'")
	if found := b.violations(); found != "" {
		t.Error(found)
	}
}

func TestAFileIsReadAnewWhenAChoiceChanges(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	at := s.upload(t, "prices.csv", "name;price\nBlue, the kettle;29,00\n").header.Get("Location")
	b := mustBrowser(t, s, 1440)
	b.open(at)
	b.until("two columns", "document.querySelectorAll('#import thead th').length === 2")
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`(() => {
		const s = document.querySelector('select[name=header]');
		s.value = 'no';
		return s.dispatchEvent(new Event('change', {bubbles: true}));
	})()`)); err != nil {
		t.Fatal(err)
	}
	b.until("the titles as a record", "document.querySelectorAll('#import tbody tr').length === 2 && location.search.includes('header=no')")
	b.must(browsertest.Click("#import button[type=submit]:not([formmethod])"))
	b.until("the snapshot", "location.pathname.startsWith('/snapshots/snp_')")
}
