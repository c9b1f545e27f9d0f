package e2e

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/redis/go-redis/v9"

	"scratchpaper/e2e/program"
	"scratchpaper/internal/archive/archivetest"
	"scratchpaper/internal/auth/clerktest"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/redistest"
	"scratchpaper/internal/totp"
)

// output is something that the app has said to somebody.
type output struct{ where, text string }

// outputs keeps everything that the app says.
type outputs struct {
	mu       sync.Mutex
	all      []*output
	bodies   []*kept
	sessions []string
}

// kept is an answer as it goes by.
type kept struct {
	where string
	head  string
	body  *recording
}

// recording may be written to while it is read.
type recording struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *recording) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *recording) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

var sessionCookie = regexp.MustCompile(`^__Host-scratchpaper=([^;]{20,})`)

// see keeps an answer. A session's cookie is a secret from then on, which stands in the header that sets it and nowhere else.
func (o *outputs) see(r *http.Response) {
	if strings.HasPrefix(r.Request.URL.Path, "/static/") {
		return // they are the same for everybody
	}
	head := r.Header.Clone()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range head.Values("Set-Cookie") {
		if m := sessionCookie.FindStringSubmatch(c); m != nil {
			o.sessions = append(o.sessions, m[1])
			head.Del("Set-Cookie")
		}
	}
	k := &kept{where: r.Request.Method + " " + r.Request.URL.RequestURI(), head: fmt.Sprint(head), body: &recording{}}
	o.bodies = append(o.bodies, k)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, k.body), r.Body}
}

func (o *outputs) add(where, text string) { o.all = append(o.all, &output{where, text}) }

// everything gives what was said so far.
func (o *outputs) everything() []*output {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := slices.Clone(o.all)
	for _, k := range o.bodies {
		out = append(out, &output{k.where, k.head + "\n" + k.body.text()})
	}
	return out
}

// secret is something that nobody may be told, but for who made or typed it, once, by the answer to that.
type secret struct{ name, value, shownBy string }

// written gives a secret in the ways in which it may be said.
func written(s string) map[string]string {
	j, _ := json.Marshal(s) // a text always can be
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	quoted := strconv.Quote(s)
	out := map[string]string{"as it is": s, "in a query": url.QueryEscape(s), "in a path": url.PathEscape(s), "as a user's password": strings.TrimPrefix(url.UserPassword("", s).String(), ":"),
		"in JSON": string(j[1 : len(j)-1]), "in JSON for pages": strings.Trim(strings.TrimSpace(plain.String()), `"`), "in HTML": html.EscapeString(s), "quoted": quoted[1 : len(quoted)-1], "in hex": hex.EncodeToString([]byte(s))}
	for before := range 3 { // wherever it stands in what is encoded
		raw := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + s))
		part := raw[int(math.Ceil(float64(before)*8/6)) : (before+len(s))*8/6]
		out[fmt.Sprintf("in base64, from byte %d", before)] = part
		out[fmt.Sprintf("in base64 of addresses, from byte %d", before)] = strings.NewReplacer("+", "-", "/", "_").Replace(part)
	}
	return out
}

// told looks for secrets in all that was said.
func told(t *testing.T, said []*output, secrets []secret) {
	t.Helper()
	for _, s := range secrets {
		if len(s.value) < 12 {
			t.Fatalf("%s is %q: too short to be looked for", s.name, s.value)
		}
		for how, text := range written(s.value) {
			times := 0
			for _, o := range said {
				switch {
				case !strings.Contains(o.text, text):
				case s.shownBy != "" && o.where == s.shownBy && times == 0:
					times++ // to who made it
				default:
					i := strings.Index(o.text, text)
					t.Errorf("%s is told %s by %s: …%s…", s.name, how, o.where, o.text[max(0, i-80):min(len(o.text), i+len(text)+20)])
				}
			}
		}
	}
}

// echoes is a provider that refuses everybody and says with what they came, as some do.
func echoes(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, word, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(object{"error": "invalid_client", "error_description": fmt.Sprintf("unknown: %s %s:%s %s", r.Header.Get("Authorization"), user, word, body)})
	})
	return s
}

// TestPlantedSecretsAreNowhere lets people work with an app that has secrets everywhere where it can have some, and looks for them in
// everything that it says: answers with their headers, logs, exports, events, metrics, files, Redis, a backup.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	t.Run("with passwords and a provider", plantedByPassword)
	t.Run("with Clerk", plantedByClerk)
}

func plantedByPassword(t *testing.T) {
	t.Parallel()
	secrets := []secret{
		{name: "the service's password", value: `Pl4nted/service+"<&é` + "'1"}, {"a wrong password of the service", `Pl4nted/wrong+"<&é` + "'2", "POST /connections"},
		{name: "Redis' password", value: "Pl4nted/redis+4%"}, {name: "the mail server's password", value: "Pl4nted/mail+5%&"},
		{name: "the key of credentials", value: base64.StdEncoding.EncodeToString([]byte("Pl4nted key of the credentials+6"))}, {name: "the key's bytes", value: "Pl4nted key of the credentials+6"},
		{name: "the metrics' token", value: "Pl4nted-metrics-7"}, {name: "the provider's secret", value: "Pl4nted/client+8%&"}, {name: "a password of a blog", value: "Pl4nted blog word 9"},
		{name: "a person's password", value: program.Password}, {name: "a person's wrong password", value: "correct horse battery stable 10"},
	}
	of := func(name string) string {
		return secrets[slices.IndexFunc(secrets, func(s secret) bool { return s.name == name })].value
	}
	database := testdb.URL(t)
	if own, err := url.Parse(database); err == nil {
		word, _ := own.User.Password()
		secrets = append(secrets, secret{name: "the database's password", value: word})
	}
	said := &outputs{}
	ask, service, fleet, cache := mustPlant(t, database, of, said)
	session := fleet.MustSetUp()
	ana := &planter{session, t}

	con := ana.connect(service, of("the service's password"), nil)
	for _, change := range []object{{"password": of("a wrong password of the service")}, {"port": "1"}, {"host": "169.254.169.254"}, {"sslmode": of("a wrong password of the service")}, {"database": "none"}} {
		ana.connect(service, of("the service's password"), change)
	}
	ana.Ask(t.Context(), "POST", "/connections", object{"connector": "wordpress", "name": "Blog", "settings": object{"site": ask.URL, "user": "ana", "password": of("a password of a blog")}}, "")
	ana.Ask(t.Context(), "POST", "/connections/"+con+"/test", nil, "")
	made := ana.MustAsk("POST", "/snapshots", object{"name": "Things", "tables": []object{{"connection": con, "remote_table": "public.things"}}}, 201)
	ana.ended(text(made, "job", "id"))
	sn := "/snapshots/" + text(made, "snapshot", "id")
	tb := sn + "/tables/" + text(ana.MustAsk("GET", sn+"/tables", nil, 200), "items", 0, "id")

	secrets = append(secrets,
		secret{"an API token", text(ana.MustAsk("POST", "/tokens", object{"name": "Script", "scopes": []string{"read"}}, 201), "token"), "POST /api/v1/tokens"},
		secret{"an agent's token", text(ana.MustAsk("POST", sn+"/agents", object{"name": "Agent", "minutes": 5}, 201), "token"), "POST /api/v1" + sn + "/agents"},
		secret{"a review link's code", after(text(ana.MustAsk("POST", sn+"/shares", object{"name": "Ben", "days": 1}, 201), "link"), "#"), "POST /api/v1" + sn + "/shares"})
	plan := ana.inTheBrowser(fleet, sn, tb)
	ana.byProvider(fleet)
	ana.byForms(fleet, of)
	token := secrets[len(secrets)-3].value
	secrets = append(secrets, ana.byPhone(fleet)...)
	ana.everywhere(sn, tb, plan, con, token, of("the metrics' token"), fleet)

	fleet.Serves[0].Stop()
	file := filepath.Join(t.TempDir(), "all.backup")
	out, err := fleet.Run(nil, "backup", file)
	if err != nil {
		t.Fatalf("the backup: %v: %s", err, out)
	}
	said.add("the backup's words", out)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	said.add("the backup", string(archivetest.Unpacked(t, raw)))
	said.add("the log", fleet.Serves[0].Log())
	said.files(t, fleet.Serves[0].DataDir())
	said.inRedis(t, cache)
	for i, value := range said.sessions {
		secrets = append(secrets, secret{name: fmt.Sprintf("session %d", i+1), value: value})
	}
	all := said.everything()
	told(t, all, secrets)
	seen(t, all, "Thing 7", "password authentication failed", "refused by the service", "planted_service", "scratchpaper_", `"openapi"`, "sign-in refused", "things", "event: ")
	if len(said.sessions) < 2 || len(all) < 60 {
		t.Errorf("%d sessions and %d outputs were looked at", len(said.sessions), len(all))
	}
}

// seen checks that words which have to be said were looked at, so that the search is one.
func seen(t *testing.T, said []*output, words ...string) {
	t.Helper()
	for _, w := range words {
		if !slices.ContainsFunc(said, func(o *output) bool { return strings.Contains(o.text, w) }) {
			t.Errorf("nothing that was looked at says %q", w)
		}
	}
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

// mustPlant starts an app with a secret in each setting that takes one, and a service whose password is one too.
func mustPlant(t *testing.T, database string, of func(string) string, said *outputs) (*httptest.Server, *url.URL, *program.Fleet, *redis.Client) {
	t.Helper()
	address := testdb.URL(t)
	admin := testdb.Pool(t, address)
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	for _, sql := range []string{
		`do $$ begin create role planted_service login; exception when duplicate_object then null; end $$`, `alter role planted_service password ` + quote(of("the service's password")),
		`create table things (id int primary key, name text not null)`, `insert into things select n, 'Thing ' || n from generate_series(1, 50) n`, `grant all on things to planted_service`,
		`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the service'; end $$`, `create trigger refuse before update on things for each row execute function refuse()`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	service, err := url.Parse(testdb.TCP(t, address))
	if err != nil {
		t.Fatal(err)
	}
	service.User = url.UserPassword("planted_service", of("the service's password"))

	ask := echoes(t)
	opts, err := redis.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	cache := redis.NewClient(opts)
	t.Cleanup(func() { _ = cache.Close() })
	if err := cache.ConfigSet(t.Context(), "requirepass", of("Redis' password")).Err(); err != nil {
		t.Fatal(err)
	}
	fleet := program.MustFleet(t, database, 1, 0, "SIGN_IN=passwords", "ALLOWED_ADDRESSES=127.0.0.1", "PASSWORD_MEMORY=64", "PASSWORD_ROUNDS=1", "LEASE=4s", "LOG_LEVEL=debug",
		"REDIS_URL="+(&url.URL{Scheme: "redis", User: url.UserPassword("", of("Redis' password")), Host: opts.Addr}).String(), "SECRETS_KEY_FILE=", "SECRETS_KEY="+of("the key of credentials"),
		"SMTP_URL="+(&url.URL{Scheme: "smtp", User: url.UserPassword("mailer", of("the mail server's password")), Host: "127.0.0.1:1"}).String(), "MAIL_FROM=app@example.org",
		"METRICS_TOKEN="+of("the metrics' token"), "OIDC_ISSUER="+ask.URL, "OIDC_CLIENT_ID=web", "OIDC_CLIENT_SECRET="+of("the provider's secret"))
	fleet.Proxy.Seen = said.see
	fleet.MustStart()
	return ask, service, fleet, cache
}

// planter is a person who works with the app.
type planter struct {
	*program.Person
	t *testing.T
}

// connect asks for a connection to the service, with some settings changed, and gives its id; "" is none.
func (p *planter) connect(service *url.URL, password string, change object) string {
	p.t.Helper()
	settings := object{"host": service.Hostname(), "port": service.Port(), "database": strings.TrimPrefix(service.Path, "/"), "user": service.User.Username(), "password": password, "sslmode": "disable"}
	for k, v := range change {
		settings[k] = v
	}
	status, con, err := p.Ask(p.t.Context(), "POST", "/connections", object{"connector": "postgres", "name": "Things", "settings": settings}, "")
	if err != nil || status >= 500 && status != http.StatusServiceUnavailable || change == nil && status != http.StatusCreated {
		p.t.Fatalf("a connection with %v answers %d %v, %v", change, status, con, err)
	}
	if id := text(con, "id"); id != "" && change != nil {
		_, _, _ = p.Ask(p.t.Context(), "POST", "/connections/"+id+"/test", nil, "")
	}
	return text(con, "id")
}

// ended waits for a job.
func (p *planter) ended(job string) {
	p.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) { // asks again until it has ended
		_, j, err := p.Ask(p.t.Context(), "GET", "/jobs/"+job, nil, "")
		switch state := text(j, "state"); {
		case state == "done" || state == "failed":
			return
		case time.Now().After(deadline):
			p.t.Fatalf("job %s: %v, %v", job, j, err)
		}
	}
}

// inTheBrowser signs in, edits a cell and publishes it, which the service refuses. It gives the plan's address.
func (p *planter) inTheBrowser(fleet *program.Fleet, sn, tb string) string {
	p.t.Helper()
	b := mustTab(p.t, 1440, 900, chromedp.Flag("ignore-certificate-errors", true))
	b.open(fleet.Proxy.URL + "/sign-in?back=" + url.QueryEscape(tb))
	b.click("#field-email")
	b.keys("ana@example.org")
	b.click("#field-password")
	b.keys(program.Password + kb.Enter)
	b.until("the grid", `location.pathname.includes('/tables/') && document.querySelector('#grid')?.dataset.ready && document.querySelector('`+firstRow+`')`)
	name := b.text(`[...document.querySelectorAll('#grid [role="columnheader"][data-c]')].find(h => h.innerText.trim() === 'name').dataset.c`)
	cell := firstRow + ` [data-c="` + name + `"]`
	b.click(cell)
	b.keys("Renamed" + kb.Enter)
	b.until("the edit is counted", `[...document.querySelectorAll('[data-count="edits"]')].some(e => e.textContent.trim() === '1')`)
	b.click(`form[action$="/plans"] button`)
	b.until("the plan", `location.pathname.includes('/plans/') && document.querySelector('#publish')`)
	b.click("#publish")
	b.until("the refusal", `document.body.innerText.includes('refused by the service')`)
	return b.text("location.pathname")
}

// byProvider signs in at a provider that refuses the app and says with which secret it came.
func (p *planter) byProvider(fleet *program.Fleet) {
	p.t.Helper()
	stranger := fleet.Stranger()
	begun, err := stranger.Client.Get(fleet.Proxy.URL + "/sign-in/oidc?back=/jobs")
	if err != nil {
		p.t.Fatal(err)
	}
	begun.Body.Close()
	there, err := begun.Location()
	if err != nil {
		p.t.Fatalf("the way to the provider: %v", err)
	}
	back, err := stranger.Client.Get(fleet.Proxy.URL + "/sign-in/oidc/callback?code=x&state=" + url.QueryEscape(there.Query().Get("state")))
	if err != nil {
		p.t.Fatal(err)
	}
	defer back.Body.Close()
	if body, _ := io.ReadAll(back.Body); back.StatusCode < 400 {
		p.t.Errorf("a provider that refuses the app lets in: %d %.300s", back.StatusCode, body)
	}
}

// byForms sends passwords by the forms that take some, right ones and wrong ones.
func (p *planter) byForms(fleet *program.Fleet, of func(string) string) {
	p.t.Helper()
	stranger := fleet.Stranger()
	for _, f := range []struct {
		client *http.Client
		path   string
		fields url.Values
	}{
		{stranger.Client, "/sign-in", url.Values{"email": {"ana@example.org"}, "password": {of("a person's wrong password")}}},
		{stranger.Client, "/forgot", url.Values{"email": {"ana@example.org"}}},
		{stranger.Client, "/reset", url.Values{"code": {"none"}, "password": {of("a person's wrong password")}}},
		{p.Client, "/account/password", url.Values{"current": {of("a person's wrong password")}, "password": {program.Password}}},
		{p.Client, "/members/invitations", url.Values{"email": {"ben@example.org"}, "role": {"editor"}}},
		{p.Client, "/connections", url.Values{"connector": {"postgres"}, "name": {""}, "host": {"127.0.0.1"}, "port": {"1"}, "database": {"x"}, "user": {"x"}, "password": {of("a wrong password of the service")}, "action": {"test"}}},
	} {
		resp, err := f.client.PostForm(fleet.Proxy.URL+f.path, f.fields)
		if err != nil {
			p.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

var (
	phoneKey     = regexp.MustCompile(`select-all">((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})<`)
	recoveryCode = regexp.MustCompile(`<li>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</li>`)
)

// byPhone sets up a second factor and signs in by it, with wrong codes and right ones. It gives the phone's key and the recovery codes.
func (p *planter) byPhone(fleet *program.Fleet) []secret {
	p.t.Helper()
	const path = "/account/second-factor"
	ask := func(client *http.Client, at string, fields url.Values) string {
		p.t.Helper()
		resp, err := client.PostForm(fleet.Proxy.URL+at, fields)
		if err == nil && resp.StatusCode == http.StatusSeeOther {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			resp, err = client.Get(fleet.Proxy.URL + resp.Header.Get("Location"))
		}
		if err != nil {
			p.t.Fatal(err)
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body) // what is missing is not found
		return string(page)
	}
	shown := phoneKey.FindStringSubmatch(ask(p.Client, path, url.Values{"current": {program.Password}}))
	if shown == nil {
		p.t.Fatal("no key for the phone is shown")
	}
	joined := strings.ReplaceAll(shown[1], " ", "")
	raw, err := base32.StdEncoding.DecodeString(joined)
	if err != nil {
		p.t.Fatal(err)
	}
	code := func() string { return totp.Code(raw, totp.Step(time.Now()), totp.Digits) }
	codes := recoveryCode.FindAllStringSubmatch(ask(p.Client, path+"/confirm", url.Values{"code": {code()}}), -1)
	if len(codes) == 0 {
		p.t.Fatal("no recovery codes are shown")
	}
	stranger := fleet.Stranger().Client
	ask(stranger, "/sign-in", url.Values{"email": {"ana@example.org"}, "password": {program.Password}})
	for _, c := range []string{code(), "abcd-efgh-ijkl-mnop", codes[0][1]} { // used already, wrong, right
		ask(stranger, "/sign-in/code", url.Values{"code": {c}})
	}
	out := []secret{{"the phone's key", shown[1], "GET " + path}, {name: "the phone's key as the address says it", value: joined}, {name: "the phone's key in bytes", value: string(raw)}}
	for i, c := range codes {
		out = append(out, secret{fmt.Sprintf("recovery code %d", i+1), c[1], "POST " + path + "/confirm"}, secret{name: fmt.Sprintf("recovery code %d as it is compared", i+1), value: strings.ReplaceAll(c[1], "-", "")})
	}
	return out
}

// everywhere opens every page and document, as the person, by the token and as nobody.
func (p *planter) everywhere(sn, tb, plan, con, token, metrics string, fleet *program.Fleet) {
	p.t.Helper()
	api := "/api/v1"
	for _, path := range []string{"/", "/connections", "/connections/new", "/connections/new/postgres", "/connections/" + con, "/connections/" + con + "/edit", "/snapshots/new?connection=" + con, sn + "/settings", sn + "/history",
		tb, tb + "/tools", tb + "/facets?column=name", tb + "/export", tb + "/schema", plan, "/jobs", "/settings", "/account", "/account/second-factor", "/tokens", "/members", "/audit", "/audit.jsonl", "/palette", "/nothing", "/sign-in", "/healthz", "/readyz",
		api + "/openapi.json", api + "/connections", api + "/connections/" + con, api + "/connections/" + con + "/tables", api + "/connectors", api + "/snapshots", api + sn, api + tb, api + tb + "/records", api + tb + "/export?format=tsv",
		api + sn + "/history", api + sn + "/shares", api + "/jobs", api + "/tokens", api + "/organization", api + plan, api + plan + "/items", api + "/nothing", "/metrics"} {
		for _, header := range []string{"", "Bearer " + token, "Bearer " + metrics, "Bearer wrong"} {
			req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, fleet.Proxy.URL+path, nil)
			if err != nil {
				p.t.Fatal(err)
			}
			req.Header.Set("Accept", "text/html")
			req.Header.Set("Accept-Encoding", "identity") // it is to be read as it is
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			resp, err := p.Client.Do(req)
			if err != nil {
				p.t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
}

// files adds what stands in a folder.
func (o *outputs) files(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // without a folder there are no files
		if err == nil && d.Type().IsRegular() {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			o.add(path, string(raw))
		}
		return nil
	})
}

// inRedis adds what Redis holds.
func (o *outputs) inRedis(t *testing.T, cache *redis.Client) {
	t.Helper()
	keys := cache.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		raw, _ := cache.Dump(t.Context(), keys.Val()).Result() // it may have gone
		o.add("Redis "+keys.Val(), keys.Val()+"\n"+raw)
	}
	if err := keys.Err(); err != nil {
		t.Error(err)
	}
}

func plantedByClerk(t *testing.T) {
	t.Parallel()
	ask := echoes(t)
	webhook := base64.StdEncoding.EncodeToString([]byte("Pl4nted webhook secret+2"))
	fake := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"ins_x","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"user_x","sid":"sess_x","iss":"`+ask.URL+`"}`)) + "."
	secrets := []secret{{name: "Clerk's secret key", value: "sk_test_Pl4ntedClerk1"}, {name: "the webhooks' secret", value: webhook}, {name: "the metrics' token", value: "Pl4nted-metrics-3"},
		{name: "a session's token", value: base64.RawURLEncoding.EncodeToString([]byte("Pl4nted signature of a session"))}}
	said := &outputs{}
	fleet := program.MustFleet(t, testdb.URL(t), 1, 0, "SIGN_IN=clerk", "LOG_LEVEL=debug", "CLERK_PUBLISHABLE_KEY="+clerktest.Publishable, "CLERK_SECRET_KEY="+secrets[0].value, "CLERK_API_URL="+ask.URL+"/v1",
		"CLERK_FRONTEND_URL="+ask.URL, "CLERK_WEBHOOK_SECRET=whsec_"+webhook, "METRICS_TOKEN="+secrets[2].value)
	fleet.Proxy.Seen = said.see
	fleet.MustStart()
	stranger := fleet.Stranger()
	for _, r := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/sign-in"}, {"GET", "/sign-up"}, {"GET", "/api/v1/openapi.json"}, {"GET", "/metrics"}, {"POST", "/webhooks/clerk"}, {"POST", "/sign-out"}, {"GET", "/events"}, {"GET", "/readyz"}} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, fleet.Proxy.URL+r.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Accept": "text/html", "Sec-Fetch-Dest": "document", "svix-id": "msg_1", "svix-timestamp": strconv.FormatInt(time.Now().Unix(), 10), "svix-signature": "v1,AAAA",
			"Cookie": "__session=" + fake + secrets[3].value + "; __client_uat=1"} {
			req.Header.Set(name, value)
		}
		resp, err := stranger.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	fleet.Serves[0].Stop()
	said.add("the log", fleet.Serves[0].Log())
	all := said.everything()
	told(t, all, secrets)
	seen(t, all, "/webhooks/clerk", clerktest.Publishable)
}
