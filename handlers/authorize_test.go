package handlers

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"scratchpaper/connectors/wordpress"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/secrets"
	"scratchpaper/store"
)

// caller is a browser that keeps cookies, and follows no redirect by itself.
type caller struct {
	t      *testing.T
	client *http.Client
	header []string
}

func newCaller(t *testing.T, header ...string) *caller {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, header}
}

// ask opens an address, or posts a form to it.
func (b *caller) ask(address string, form url.Values, header ...string) answer {
	b.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	header = append(header, b.header...)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// signInAt signs in at a WordPress site by its own form.
func (b *caller) signInAt(site *wordpresstest.Site) {
	b.t.Helper()
	b.ask(site.URL+"/wp-login.php", nil) // gives the cookie that it tests
	a := b.ask(site.URL+"/wp-login.php", url.Values{"log": {site.User}, "pwd": {"its-own-login-word"}, "wp-submit": {"Log In"}, "testcookie": {"1"}})
	if a.status != http.StatusFound {
		b.t.Fatalf("not signed in at the site: %d %.500s", a.status, a.body)
	}
}

var appName = regexp.MustCompile(`name="app_name" value="([^"]*)"`)

var hiddenInput = regexp.MustCompile(`<input type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)

// decides opens the page that asks whether the app may come in, and presses a button of its form. It gives where the browser is sent.
func (b *caller) decides(page, button string) string {
	b.t.Helper()
	a := b.ask(page, nil)
	_, form, ok := strings.Cut(a.body, `class="form-wrap"`)
	if a.status != http.StatusOK || !ok {
		b.t.Fatalf("the site does not ask: %d %.800s", a.status, a.body)
	}
	values := url.Values{button: {"1"}}
	if m := appName.FindStringSubmatch(form); m != nil {
		values.Set("app_name", html.UnescapeString(m[1]))
	}
	for _, m := range hiddenInput.FindAllStringSubmatch(form, -1) {
		values.Set(m[1], html.UnescapeString(m[2]))
	}
	action, _, _ := strings.Cut(page, "?")
	a = b.ask(action, values)
	if a.status != http.StatusFound {
		b.t.Fatalf("the site sends nobody back: %d %.500s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// mustAuthorizing is a site that connects to WordPress, seals what it keeps, and logs everything.
func mustAuthorizing(t *testing.T) (*site, *lines) {
	t.Helper()
	box, err := secrets.FromText("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	s := mustSiteWith(t, func(s *site, d *Deps) {
		d.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d.Connectors = append(d.Connectors, wordpress.New())
		s.store = store.New(store.Options{Pool: s.store.Pool(), Notifier: d.Hub, Sealer: box, Log: d.Log, Sessions: s.rdb})
		d.Store = s.store
	})
	return s, log
}

// begins posts the form of a new connection with the button that goes to the site, and gives where the browser is sent.
func (s *site) begins(b *caller, at *wordpresstest.Site) string {
	b.t.Helper()
	a := b.ask(s.URL+"/connections", url.Values{"connector": {"wordpress"}, "name": {"Blog"}, "site": {at.URL}, "action": {"authorize"}}, "HX-Request", "true", "HX-Request-Type", "partial")
	to := a.header.Get("HX-Redirect")
	if a.status != http.StatusOK || !strings.HasPrefix(to, at.URL+"/wp-admin/authorize-application.php?") {
		b.t.Fatalf("%d, to %q: %.800s", a.status, to, a.body)
	}
	return to
}

// TestASiteHandsItsPasswordOverToWhoAskedForIt goes the whole way at a real WordPress, as a browser does, with others trying to come in between.
func TestASiteHandsItsPasswordOverToWhoAskedForIt(t *testing.T) {
	t.Parallel()
	s, log := mustAuthorizing(t)
	s.mustOrganization(t, "other")
	wp := wordpresstest.New(t)
	b, stranger := newCaller(t), newCaller(t)
	b.signInAt(wp)
	wp.PHP(t, `WP_Application_Passwords::create_new_application_password(1, ['name' => 'Scratchpaper']);`) // of an earlier time
	came := b.decides(s.begins(b, wp), "approve")
	u, err := url.Parse(came)
	if err != nil || !strings.HasPrefix(came, s.URL+"/connections/authorized?state=") || len(u.Query().Get("password")) != 24 {
		t.Fatalf("the site sends back to %s", came)
	}
	password := u.Query().Get("password")
	silent := func(what string, a answer) {
		t.Helper()
		if strings.Contains(a.body, password) || strings.Contains(a.header.Get("Location"), password) || strings.Contains(strings.Join(a.header.Values("Set-Cookie"), " "), password) {
			t.Errorf("%s shows the password: %v", what, a)
		}
	}
	refused := func(what string, a answer) {
		t.Helper()
		silent(what, a)
		if a.status != http.StatusSeeOther || a.header.Get("Location") != "/connections/new" {
			t.Errorf("%s: %d, to %s", what, a.status, a.header.Get("Location"))
		}
	}
	refused("another browser", stranger.ask(came, nil))
	wrong := *u
	q := wrong.Query()
	q.Set("state", strings.Repeat("x", len(q.Get("state"))))
	wrong.RawQuery = q.Encode()
	refused("another state", b.ask(wrong.String(), nil))
	silent("a query that cannot be read", b.ask(came+"&%zz", nil))

	taken := b.ask(came, nil)
	silent("the answer", taken)
	if taken.status != http.StatusSeeOther || taken.header.Get("Location") != "/connections/new/wordpress?draft=1" || taken.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("what came is answered with %d, to %s", taken.status, taken.header.Get("Location"))
	}
	refused("the same once more", b.ask(came, nil))

	form := b.ask(s.URL+"/connections/new/wordpress?draft=1", nil)
	silent("the form", form)
	if !strings.Contains(form.body, `name="user" value="admin"`) || !strings.Contains(form.body, "The service handed it over") || !strings.Contains(form.body, `value="`+wp.URL+`"`) {
		t.Errorf("the form is not filled in: %s", form.body)
	}
	save := url.Values{"connector": {"wordpress"}, "name": {"Blog"}, "site": {wp.URL}, "user": {"admin"}, "draft": {"1"}, "action": {"save"}}
	if a := b.ask(s.URL+"/connections/new/wordpress?draft=1", nil, "X-As", "other"); strings.Contains(a.body, "handed it over") {
		t.Error("another organization sees what came")
	}
	if a := b.ask(s.URL+"/connections", save, "X-As", "other"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("another organization saves it: %d", a.status)
	}
	if a := stranger.ask(s.URL+"/connections", save); a.status != http.StatusUnprocessableEntity {
		t.Errorf("another browser saves it: %d", a.status)
	}
	a := b.ask(s.URL+"/connections", save)
	silent("the saved connection", a)
	id, ok := strings.CutPrefix(a.header.Get("Location"), "/snapshots/new?connection=")
	if !ok {
		t.Fatalf("not saved: %d %s", a.status, a.body)
	}
	settings, err := s.store.ConnectionSettings(t.Context(), s.by, id)
	if err != nil || settings["password"] != password || settings["user"] != "admin" {
		t.Errorf("kept are %v (%v)", settings["user"], err)
	}
	if strings.Contains(log.String(), password) {
		t.Error("the log shows the password")
	}
}

// TestASiteThatIsToldNoIsSaid tells what WordPress itself says of a no, and of an app that is open over plain HTTP.
func TestASiteThatIsToldNoIsSaid(t *testing.T) {
	t.Parallel()
	s, _ := mustAuthorizing(t)
	wp := wordpresstest.New(t)
	b := newCaller(t)
	b.signInAt(wp)
	page := s.begins(b, wp)
	if a := b.ask(page, nil, "X-Wordpresstest-Environment", "production"); !strings.Contains(a.body, "must be served over a secure connection") {
		t.Errorf("a site in production takes an address over plain HTTP: %.800s", a.body)
	}
	if a := b.ask(b.decides(page, "reject"), nil); a.header.Get("Location") != "/connections/new/wordpress?draft=1" {
		t.Fatalf("a no leads to %s", a.header.Get("Location"))
	}
	form := b.ask(s.URL+"/connections/new/wordpress?draft=1", nil)
	if !strings.Contains(form.body, "You said no at the site") || !strings.Contains(form.body, `value="`+wp.URL+`"`) || strings.Contains(form.body, "handed it over") {
		t.Errorf("after a no the form is %s", form.body)
	}
	plain := b.ask(s.URL+"/connections", url.Values{"connector": {"wordpress"}, "name": {"Blog"}, "site": {wp.URL}, "action": {"authorize"}})
	if plain.status != http.StatusOK || !strings.Contains(plain.body, "Go on at WordPress") || !strings.Contains(plain.body, html.EscapeString(wp.URL+"/wp-admin/authorize-application.php")) {
		t.Errorf("without a script: %d %s", plain.status, plain.body)
	}
	off := wordpresstest.New(t)
	off.Set(t, "wt_no_passwords", "1")
	none := b.ask(s.URL+"/connections", url.Values{"connector": {"wordpress"}, "name": {"Blog"}, "site": {off.URL}, "action": {"authorize"}})
	if !strings.Contains(none.body, "switched off at this site") {
		t.Errorf("a site without application passwords: %d %s", none.status, none.body)
	}
}
