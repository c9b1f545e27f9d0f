package handlers

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/views"
)

// behindTLS is a house that people open by https, as a proxy in front has it.
func behindTLS(s *site, d *Deps) {
	in := cheapSignIn(s)
	in.Cookie = auth.SessionCookie{Secure: true}
	d.SignIn, d.Config.Secure = in, true
}

// TestEveryAnswerTellsBrowsersWhatTheyMayDo walks through every address and some that there are not, by every method.
func TestEveryAnswerTellsBrowsersWhatTheyMayDo(t *testing.T) {
	t.Parallel()
	s := mustSiteWith(t, behindTLS)
	walk := []*echo.Route{{Method: "GET", Path: "/nothing/here"}, {Method: "TRACE", Path: "/"}, {Method: "OPTIONS", Path: "/api/v1/snapshots"}, {Method: "MADEUP", Path: "/"}}
	for _, r := range append(walk, s.app.echo.Routes()...) {
		if strings.Contains(r.Path, "/events") {
			continue // a stream does not end; TestAStreamTellsBrowsersWhatTheyMayDo
		}
		checkHeaders(t, s, r.Method, r.Path, s.do(t, r.Method, r.Path, url.Values{}))
	}
	a := s.get(t, "/jobs", "X-As", "nobody")
	checkHeaders(t, s, "GET as nobody", "/jobs", a)
}

func checkHeaders(t *testing.T, s *site, method, path string, a answer) {
	t.Helper()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000", "Content-Security-Policy": contentPolicy, "Access-Control-Allow-Origin": ""} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s %s answers %d with %s: %q, want %q", method, path, a.status, name, got, want)
		}
	}
	if got := a.header.Get("Referrer-Policy"); got != "same-origin" && got != "no-referrer" {
		t.Errorf("%s %s answers %d with the Referrer-Policy %q", method, path, a.status, got)
	}
	kept, typ := a.header.Get("Cache-Control"), a.header.Get("Content-Type")
	if !strings.HasPrefix(path, "/static/") && !strings.HasSuffix(path, "/columns.css") && kept != "no-store" && !strings.HasPrefix(typ, "text/event-stream") {
		t.Errorf("%s %s answers %d, to be kept as %q", method, path, a.status, kept)
	}
	switch {
	case a.body != "" && (typ == "" || strings.HasPrefix(typ, "text/") && typ != "text/event-stream" && !strings.Contains(strings.ToLower(typ), "charset=utf-8")): // events are always UTF-8
		t.Errorf("%s %s answers %d with the type %q", method, path, a.status, typ)
	case strings.HasPrefix(path, "/api/") && typ == "application/json" && !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment"):
		t.Errorf("%s %s answers a document that a browser would show", method, path)
	}
	for _, c := range a.header.Values("Set-Cookie") {
		if !strings.Contains(c, "; Secure") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "HttpOnly") && !strings.HasPrefix(c, "theme=") {
			t.Errorf("%s %s sets the cookie %s", method, path, c)
		}
	}
}

// TestAStreamTellsBrowsersWhatTheyMayDo looks at the beginning of a stream.
func TestAStreamTellsBrowsersWhatTheyMayDo(t *testing.T) {
	t.Parallel()
	s := mustSiteWith(t, behindTLS)
	res, err := s.Client().Do(s.request(t, "GET", "/events?topics=jobs", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	checkHeaders(t, s, "GET", "/events", answer{status: res.StatusCode, header: res.Header, body: "a stream"})
}

func TestCookiesThatAreSetOverTLSStayThere(t *testing.T) {
	t.Parallel()
	s := mustSiteWith(t, behindTLS)
	for path, form := range map[string]url.Values{"/settings/theme": {"theme": {"dark"}}, "/account/name": {"name": {"Ana"}}, "/sign-out": nil, "/account/sessions/end": nil} {
		a := s.post(t, path, form)
		if len(a.header.Values("Set-Cookie")) == 0 {
			t.Errorf("%s answers %d and sets no cookie", path, a.status)
		}
		checkHeaders(t, s, "POST", path, a)
	}
}

func TestFoldersOfStaticFilesAreNotListed(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	for _, path := range []string{"", "js/", "js//", "js/./", "js/grid/", "icons/", "../", "js/%2e%2e/"} {
		if a := s.get(t, "/static/x/"+path); a.status == http.StatusOK {
			t.Errorf("/static/x/%s shows %.300s", path, a.body)
		}
	}
	for _, path := range []string{"static.go", ".git/config", "js/app.js.bak", "../handlers/server.go", "%2e%2e/go.mod", "..%2fgo.mod"} {
		if a := s.get(t, "/static/x/"+path); a.status == http.StatusOK {
			t.Errorf("/static/x/%s is served", path)
		}
	}
}

// TestANoticeLeadsNowhereElse gives a page a notice as somebody could who sets cookies for the host.
func TestANoticeLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	for _, address := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/jobs"} {
		e := echo.New()
		rec := &headerOnly{header: http.Header{}}
		s.app.leaveNotice(e.NewContext(nil, rec), views.Notice{Kind: "ok", Text: "<b>Done</b>", Link: views.Link{Text: "Look there", Address: address}})
		a := s.get(t, "/jobs", "Cookie", strings.SplitN(rec.header.Get("Set-Cookie"), ";", 2)[0])
		a.is(t, 200, "&lt;b&gt;Done&lt;/b&gt;")
		if strings.Contains(a.body, "Look there") != (address == "/jobs") {
			t.Errorf("the link to %s is shown: %v", address, address != "/jobs")
		}
	}
}

// headerOnly is an answer of which nobody reads more.
type headerOnly struct{ header http.Header }

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(int)             {}

// lines is a log that several write to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) all() []string { return strings.Split(strings.TrimSpace(l.String()), "\n") }

// TestNothingThatIsSentMakesALineOfTheLog sends line ends wherever a request carries text that is logged.
func TestNothingThatIsSentMakesALineOfTheLog(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(l *lines) slog.Handler{
		"text": func(l *lines) slog.Handler {
			return slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"json": func(l *lines) slog.Handler {
			return slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &lines{}
			s := mustSiteWith(t, func(s *site, d *Deps) { d.SignIn, d.Log = cheapSignIn(s), slog.New(handler(l)) })
			const forged = "\nlevel=INFO msg=\"forged\"\r\n{\"msg\":\"forged\"}\u2028forged\x1b[2J"
			s.get(t, "/"+url.PathEscape("jobs"+forged)+"?x="+url.QueryEscape(forged))
			s.post(t, "/sign-in", url.Values{"email": {"ana" + forged + "@example.org"}, "password": {forged}})
			s.post(t, "/connections", s.connection("name", forged, "host", "x"+forged))
			s.post(t, "/jobs/"+url.PathEscape(forged)+"/cancel", nil)
			for _, line := range l.all() {
				if strings.HasPrefix(line, "level=INFO msg=\"forged") || strings.HasPrefix(line, `{"msg":"forged`) || strings.ContainsAny(line, "\r\x1b") {
					t.Errorf("a line is %q", line)
				}
			}
		})
	}
}

// TestTheLogNamesWhoIsRefused looks for refusals of what only reads, at the level that a log has unless something else is said.
func TestTheLogNamesWhoIsRefused(t *testing.T) {
	t.Parallel()
	l := &lines{}
	s := mustSiteWith(t, func(s *site, d *Deps) {
		d.SignIn, d.Log = cheapSignIn(s), slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	viewer := s.mustOrganization(t, "zebra")
	viewer.Role = 1
	s.people.set("viewer", viewer)
	s.get(t, "/members", "X-As", "viewer").is(t, 403)
	s.get(t, "/jobs", "X-As", "nobody")
	s.get(t, "/jobs").is(t, 200)
	log := strings.Join(l.all(), "\n")
	for _, want := range []string{"path=/members status=403", "path=/jobs status=303"} {
		if !strings.Contains(log, want) {
			t.Errorf("no line has %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, "path=/jobs status=200") {
		t.Errorf("what is read is logged too:\n%s", log)
	}
}

// TestAPanicTakesDownItsRequestOnly has an address that panics.
func TestAPanicTakesDownItsRequestOnly(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.app.echo.GET("/panics", func(echo.Context) error { panic("the secret inside") })
	for _, accept := range []string{"text/html", "application/json"} {
		a := s.get(t, "/panics", "Accept", accept)
		a.is(t, 500)
		a.lacks(t, "the secret inside", "goroutine", ".go:")
	}
	s.get(t, "/jobs").is(t, 200)
}

func TestFewerThanAHundredGuessesAnHourGoToAnAccount(t *testing.T) {
	t.Parallel()
	begun := int(time.Hour / signInOfPerson.Within) // and one that began before the hour
	if most := signInOfPerson.Tries * (begun + 1); most > 100 {
		t.Errorf("%d in an hour", most)
	}
}

// TestAPasswordThatOthersTryLetsNobodyIn has an account from before such passwords were refused.
func TestAPasswordThatOthersTryLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ana.post(t, "/account/password", "current", goodPassword, "password", "1qaz2wsx3edc").is(t, 422, "lists of stolen passwords")
	ctx := t.Context()
	a, err := h.store.AccountByEmail(ctx, "ana@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.RenewPasswordHash(ctx, a, h.in.Passwords.Hash("1qaz2wsx3edc")); err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t)
	asked := v.post(t, "/sign-in", "email", "ana@example.org", "password", "1qaz2wsx3edc")
	asked.is(t, 200, "lists of stolen passwords", "Choose a new password")
	if v.session() != "" {
		t.Error("there is a session")
	}
	_, rest, _ := strings.Cut(asked.body, `name="code" value="`)
	code, _, _ := strings.Cut(rest, `"`)
	v.post(t, "/reset", "code", code, "password", "1qaz2wsx3edc").is(t, 422, "lists of stolen passwords")
	if got := v.post(t, "/reset", "code", code, "password", "five wooden kettles"); got.status != http.StatusSeeOther || v.session() == "" {
		t.Errorf("another one answers %d: %s", got.status, got.body)
	}
}

func TestWhoeverHasTheAddressLearnsOfANewPassword(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.withMail()
	ana := h.mustSetUp(t)
	ana.post(t, "/account/password", "current", goodPassword, "password", "five wooden kettles")
	ana.post(t, "/forgot", "email", "ana@example.org")
	h.app.Wait()
	changed, link := <-h.mail, <-h.mail
	if strings.Contains(changed.Text, "/reset#") {
		changed, link = link, changed
	}
	if changed.To != "Ana@example.org" || !strings.Contains(changed.Text, "If it was not you") || strings.Contains(fmt.Sprint(changed), "kettles") {
		t.Errorf("the message is %v", changed)
	}
	_, code, _ := strings.Cut(strings.Split(link.Text, "\n")[2], "/reset#")
	ana.post(t, "/reset", "code", code, "password", "six wooden kettles")
	h.app.Wait()
	if len(h.mail) != 1 {
		t.Errorf("%d messages tell of the reset", len(h.mail))
	}
}
