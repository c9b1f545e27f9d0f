package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/store"
)

// estate is what the local organization owns, under words that nothing else holds.
type estate struct {
	*document
	words []string // none of them may be read by anybody else
}

// mustEstate gives the local organization one of everything: connection, snapshots of a service and of a file, view, batches,
// suggestions, plan, jobs, an upload and an idempotency key.
func mustEstate(t *testing.T) *estate {
	t.Helper()
	s := mustSiteWith(t, func(s *site, d *Deps) { d.SignIn = cheapSignIn(s) })
	work := s.mustWork(t)
	e := &estate{document: mustDocument(t, s), words: []string{"Zephyrine", "Quokka", "Axolotl", "Marmoset", "Narwhal", "Pangolin", "Ocelot", "Meerkat", "Numbat", "Quoll", "wombat"}}
	const (
		sn = "/snapshots/{snapshot}"
		tb = sn + "/tables/{table}"
	)
	a := s.post(t, "/connections", s.connection("name", "Zephyrine"))
	id, ok := strings.CutPrefix(a.header.Get("Location"), "/snapshots/new?connection=")
	if !ok {
		t.Fatalf("not connected: %d %s", a.status, a.body)
	}
	e.ids["connection"] = id
	for _, st := range []step{
		{method: "GET", path: "/connections/{connection}/tables", status: 200, keep: map[string][]any{"remote": {"items", 0, "id"}}},
		{method: "POST", path: "/snapshots", body: `{"name": "Quokka", "tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`, status: 201, wait: "done",
			keep: map[string][]any{"snapshot": {"snapshot", "id"}, "table": {"snapshot", "tables", 0, "id"}}},
		{method: "PATCH", path: tb, body: `{"name": "Axolotl"}`, status: 200},
		{method: "GET", path: tb + "/records", query: "?limit=1", status: 200, keep: map[string][]any{"record": {"items", 0, "id"}, "after": {"next"}}},
		{method: "POST", path: tb + "/changes", body: `{"label": "Pangolin", "changes": [{"op": "set", "record": {record}, "values": {"title": "Marmoset"}}]}`, status: 200,
			keep: map[string][]any{"batch": {"batch"}}},
		{method: "POST", path: tb + "/changes", body: `{"as": "suggestion", "reason": "Pangolin", "changes": [{"op": "set", "record": {record}, "values": {"title": "Marmoset too"}}]}`, status: 200},
		{method: "POST", path: tb + "/views", body: `{"name": "Narwhal"}`, status: 201, keep: map[string][]any{"view": {"id"}}},
		{method: "POST", path: sn + "/plans", status: 201, keep: map[string][]any{"plan": {"id"}}},
		{method: "GET", path: sn + "/plans/{plan}/items", status: 200, keep: map[string][]any{"item": {"items", 0, "id"}}},
	} {
		e.run(t, st)
	}
	work.Stop()
	u, err := s.store.SaveUpload(t.Context(), s.by, "Ocelot.csv", strings.NewReader("name\nOcelot\n"), 0)
	if err != nil {
		t.Fatal(err)
	}
	e.ids["upload"], e.ids["connector"], e.ids["version"] = u.ID, "postgres", "x"
	signedIn, err := s.store.StartSession(t.Context(), s.by.Person, store.NewSession{Hash: []byte("Meerkat"), Lifetime: time.Hour, Browser: "Meerkat"})
	if err != nil {
		t.Fatal(err)
	}
	invited, err := s.store.Invite(t.Context(), s.by, "Numbat@example.org", core.Editor, []byte("Numbat"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.store.CreateToken(t.Context(), s.by, "Quoll", core.Scopes[:1], time.Time{}, []byte("Quoll"))
	if err != nil {
		t.Fatal(err)
	}
	e.ids["token"] = token.ID
	share, err := s.store.MakeShare(t.Context(), s.by, e.ids["snapshot"], "Quoll", false, 7, []byte("Quoll"))
	if err != nil {
		t.Fatal(err)
	}
	e.ids["share"] = share.ID
	hook, _, err := s.store.CreateWebhook(t.Context(), s.by, store.WebhookChange{Address: "https://wombat.example.org/hook", Events: core.WebhookEvents, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.TestWebhook(t.Context(), s.by, hook.ID); err != nil {
		t.Fatal(err)
	}
	told, err := s.store.Deliveries(t.Context(), s.by, hook.ID, 1)
	if err != nil || len(told) != 1 {
		t.Fatalf("%d deliveries, %v", len(told), err)
	}
	e.ids["organization"] = s.by.Org
	e.ids["webhook"], e.ids["delivery"] = hook.ID, told[0].ID
	e.ids["session"], e.ids["invitation"], e.ids["member"] = signedIn.Session, invited.ID, s.by.Person
	kept := s.api(t, "", "POST", e.address(tb+"/views"), `{"name": "Narwhal"}`, "Idempotency-Key", "Pangolin")
	if kept.status != http.StatusCreated {
		t.Fatalf("the kept answer is %d %s", kept.status, kept.body)
	}
	return e
}

// dump gives the rows of the control tables and of the snapshots of an organization, by table.
func (e *estate) dump(t *testing.T, org string) map[string]string {
	t.Helper()
	out := map[string]string{}
	read := func(name, sql string, args ...any) {
		var rows *string
		if err := e.store.Pool().QueryRow(t.Context(), sql, args...).Scan(&rows); err != nil {
			t.Fatalf("dump of %s: %v", name, err)
		}
		if rows != nil {
			out[name] = *rows
		}
	}
	for _, table := range orgcheck.Tables {
		read(table, `select string_agg(x::text, e'\n' order by x::text) from `+table+` x where x.org_id = $1`, org)
	}
	rows, err := e.store.Pool().Query(t.Context(), `select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		join snapshots s on s.id = n.nspname where s.org_id = $1 and c.relkind = 'r' order by 1`, org)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		read(name, `select string_agg(x::text, e'\n' order by x::text) from `+name+` x`)
	}
	return out
}

// unchanged compares two dumps.
func unchanged(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for name, rows := range before {
		if after[name] != rows {
			t.Errorf("%s changed %s:\n%s\nnow\n%s", what, name, rows, after[name])
		}
	}
	for name := range after {
		if _, was := before[name]; !was {
			t.Errorf("%s made rows of %s", what, name)
		}
	}
}

// silent checks that an answer holds no word of the estate.
func (e *estate) silent(t *testing.T, what string, a answer) {
	t.Helper()
	for _, word := range e.words {
		if strings.Contains(a.body, word) || strings.Contains(fmt.Sprint(a.header), word) {
			t.Errorf("%s gives %q away: %d %s", what, word, a.status, a.body)
		}
	}
}

// route is an address of the router.
type route struct{ method, path string }

var routeParam = regexp.MustCompile(`:([a-z]+)`)

// routes lists every address, those of the grid, of publishing and of the API among them. Streams are left out: they go on for ever,
// and have tests of their own.
func (e *estate) routes() (all []route) {
	for _, r := range e.app.echo.Routes() {
		if !strings.HasSuffix(r.Path, "/events") && slices.Contains([]string{"GET", "POST", "PATCH", "PUT", "DELETE"}, r.Method) {
			all = append(all, route{r.Method, r.Path})
		}
	}
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// owned says whether an address names something that belongs to an organization.
func owned(path string) bool {
	for _, m := range routeParam.FindAllStringSubmatch(path, -1) {
		if m[1] != "connector" && m[1] != "version" {
			return true
		}
	}
	return false
}

// at fills an address in with the estate's ids.
func (e *estate) at(t *testing.T, path string) string {
	t.Helper()
	return routeParam.ReplaceAllStringFunc(strings.TrimSuffix(path, "*"), func(m string) string {
		id, ok := e.ids[m[1:]]
		if !ok {
			t.Fatalf("there is no example of %s in %s: give mustEstate one", m, path)
		}
		return id
	})
}

// attempt is one way to ask: a query, a body and its type, and how the answer is wanted.
type attempt struct{ query, body, contentType, accept string }

// attempts are ways to ask that name the estate's ids wherever an address could take them, in the query and in bodies of every kind.
func (e *estate) attempts(method string) []attempt {
	query := "?" + url.Values{"snapshot": {e.ids["snapshot"]}, "connection": {e.ids["connection"]}, "table": {e.ids["table"]}, "column": {"title"}, "record": {e.ids["record"]},
		"col": {"2"}, "q": {"Mar"}, "order": {strings.Split(e.ids["after"], ":")[0]}, "from": {"0"}, "to": {"5"}, "find": {"Kettle"}, "replace": {"x"}}.Encode()
	if method == http.MethodGet {
		return []attempt{{query: "", accept: "text/html"}, {query: query, accept: "text/html"}, {query: query, accept: "application/json"}}
	}
	form := url.Values{"name": {"Mine"}, "connection": {e.ids["connection"]}, "table": {e.ids["table"]}, "item": {e.ids["item"]}, "as": {"not_sent"}, "included": {"false"},
		"deletes": {"true"}, "record": {e.ids["record"]}, "connector": {"postgres"}, "action": {"save"}, "find": {"Kettle"}, "replace": {"x"}, "theme": {"dark"},
		"organization": {e.by.Org}, "scope": {"read"}, "days": {"7"}, "role": {"viewer"}, "email": {"eve@example.org"}, "address": {"https://eve.example.org/"}, "events": {"job.done"}}
	list := []attempt{{body: form.Encode(), contentType: "application/x-www-form-urlencoded", accept: "text/html"}}
	form["table"] = []string{e.ids["table"], e.ids["remote"]} // where tables are chosen
	list = append(list, attempt{body: form.Encode(), contentType: "application/x-www-form-urlencoded", accept: "text/html"})
	for _, body := range []string{`{}`,
		`{"name": "Mine"}`,
		`{"name": "Mine", "scopes": ["read"]}`,
		`{"where": {"filter": "true"}, "as": "theirs"}`,
		`{"where": {"filter": "true"}}`,
		`{"where": {"filter": "true"}, "included": false}`,
		`{"as": "not_sent"}`,
		`{"op": "delete", "where": {"filter": "true"}}`,
		`{"changes": [{"op": "delete", "record": {record}}]}`,
		`{"transform": "replace", "where": {"filter": "true"}, "options": {"find": "Kettle", "replace": "x"}}`,
		`{"tables": ["{table}"]}`,
		`{"name": "Mine", "tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`,
		`{"tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`,
		`{"deletes": true}`,
		`{"what": "Kettle", "with": "x"}`,
		`{"edits": [{"record": {record}, "column": 2, "value": "x"}]}`,
		`{"records": [{record}]}`,
		`{"ids": [{record}]}`,
	} {
		list = append(list, attempt{body: e.address(body), contentType: "application/json", accept: "application/json"})
	}
	return list
}

func (e *estate) ask(t *testing.T, as string, r route, path string, at attempt) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, e.URL+path+at.query, strings.NewReader(at.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-As", as)
	req.Header.Set("Accept", at.accept)
	if at.contentType != "" {
		req.Header.Set("Content-Type", at.contentType)
	}
	return e.send(t, req)
}

// TestNobodyElseGetsAnywhere walks through every address of the router as a person of another organization who knows the ids of the
// first: nothing is found, nothing changes, and nothing of the first is said. An address that is new is in it by itself.
func TestNobodyElseGetsAnywhere(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.mustOrganization(t, "other")
	before := e.dump(t, e.by.Org)
	if len(before) < 15 || !strings.Contains(before["views"], "Narwhal") {
		t.Fatalf("the estate has only %d tables with rows", len(before))
	}
	routes := e.routes()
	if len(routes) < 90 {
		t.Fatalf("the router names %d addresses", len(routes))
	}
	for _, r := range routes {
		path, refused := e.at(t, r.path), false
		for _, at := range e.attempts(r.method) {
			a := e.ask(t, "other", r, path, at)
			what := r.method + " " + r.path + " " + at.body
			e.silent(t, what, a)
			if a.status >= 500 && a.status != http.StatusServiceUnavailable {
				t.Errorf("%s answers %d: %s", what, a.status, a.body)
			}
			refused = refused || a.status == http.StatusNotFound || a.status == http.StatusForbidden
			if owned(r.path) && a.status < 400 {
				t.Errorf("%s answers %d: %s", what, a.status, a.body)
			}
		}
		if owned(r.path) && !refused {
			t.Errorf("%s %s never says that it is not there", r.method, r.path)
		}
		if r.method != http.MethodGet {
			unchanged(t, r.method+" "+r.path, before, e.dump(t, e.by.Org))
		}
	}
	unchanged(t, "the walk", before, e.dump(t, e.by.Org))
}

// TestTheOwnerGetsEverywhere asks for the same addresses with the same ids as their owner: what is refused to others is there.
func TestTheOwnerGetsEverywhere(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	for _, r := range e.routes() {
		if r.method != http.MethodGet || !owned(r.path) {
			continue
		}
		found := false
		for _, at := range e.attempts(r.method) {
			a := e.ask(t, "", r, e.at(t, r.path), at)
			found = found || a.status != http.StatusNotFound && a.status < 500
		}
		if !found {
			t.Errorf("%s is not there for its owner: the walk of others proves nothing", r.path)
		}
	}
}

// TestIdsOfOthersDoNotWorkInsideOnesOwn names the ids of the first organization in requests about things of one's own.
func TestIdsOfOthersDoNotWorkInsideOnesOwn(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	other := e.mustOrganization(t, "other")
	mine := e.mustShop(t, other, "Boats", 3)
	before := e.dump(t, e.by.Org)
	own := "/snapshots/" + mine.snapshot.ID
	for _, c := range []struct {
		method, path, body string
		status             []int
	}{
		{"POST", "/snapshots", `{"name": "Mine", "tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`, []int{404}},
		{"POST", own + "/tables", `{"tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`, []int{404}},
		{"POST", own + "/refresh", `{"tables": ["{table}"]}`, []int{404}},
		{"POST", own + "/plans", `{"tables": ["{table}"]}`, []int{404}},
		{"GET", own + "/tables/{table}", ``, []int{404}},
		{"PATCH", own + "/tables/{table}", `{"name": "Mine"}`, []int{404}},
		{"GET", own + "/tables/{table}/records", ``, []int{404}},
		{"GET", own + "/tables/{table}/views/{view}", ``, []int{404}},
		{"DELETE", own + "/tables/" + mine.table.ID + "/views/{view}", ``, []int{404}},
		{"PATCH", own + "/tables/" + mine.table.ID + "/views/{view}", `{"name": "Mine"}`, []int{404}},
		{"GET", own + "/plans/{plan}", ``, []int{404}},
		{"GET", own + "/plans/{plan}/items", ``, []int{404}},
		{"POST", own + "/plans/{plan}/publish", `{}`, []int{403, 404}},
		{"GET", own + "/tables/" + mine.table.ID + "/records?after={after}", ``, []int{409}},
		{"GET", "/snapshots/{snapshot}/tables/" + mine.table.ID, ``, []int{404}},
		{"GET", "/jobs?snapshot={snapshot}", ``, []int{200}},
		{"GET", "/jobs?after={job}", ``, []int{200}},
		{"POST", "/jobs/{job}/cancel", ``, []int{404}},
	} {
		a := e.api(t, "other", c.method, e.address(c.path), e.address(c.body))
		if !slices.Contains(c.status, a.status) {
			t.Errorf("%s %s answers %d, want %v: %s", c.method, c.path, a.status, c.status, a.body)
		}
		e.silent(t, c.method+" "+c.path, a)
		if strings.HasPrefix(c.path, "/jobs?") && strings.Contains(a.body, e.ids["job"]) {
			t.Errorf("%s lists the job: %s", c.path, a.body)
		}
	}
	unchanged(t, "the requests", before, e.dump(t, e.by.Org))
}

// TestListsHoldOnesOwnOnly looks at every list as two organizations.
func TestListsHoldOnesOwnOnly(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.mustOrganization(t, "other")
	for _, path := range []string{"/connections", "/snapshots", "/jobs"} {
		if o := e.api(t, "other", "GET", path, ""); strings.Contains(o.body, "_") || !strings.Contains(o.body, `"items":[]`) {
			t.Errorf("%s lists %s to somebody else", path, o.body)
		}
		if o := e.api(t, "", "GET", path, ""); strings.Contains(o.body, `"items":[]`) {
			t.Errorf("%s lists nothing to its owner", path)
		}
	}
}

// TestAnIdempotencyKeyIsAnOrganizationsOwn sends what the first organization has sent, under its key and as the same person in another
// organization: the kept answer is not given out.
func TestAnIdempotencyKeyIsAnOrganizationsOwn(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.mustOrganization(t, "other")
	both := core.Local()
	both.Org = "org_other"
	e.people.set("both", both)
	before := e.dump(t, e.by.Org)
	path := e.address("/snapshots/{snapshot}/tables/{table}/views")
	for _, as := range []string{"other", "both"} {
		a := e.api(t, as, "POST", path, `{"name": "Narwhal"}`, "Idempotency-Key", "Pangolin")
		if a.status != http.StatusNotFound {
			t.Errorf("%s is answered %d %s", as, a.status, a.body)
		}
		e.silent(t, "the key", a)
	}
	unchanged(t, "the key", before, e.dump(t, e.by.Org))
	mine := e.mustShop(t, both, "Boats", 1)
	if a := e.api(t, "both", "POST", mine.path+"/views", `{"name": "Narwhal"}`, "Idempotency-Key", "Pangolin"); a.status != http.StatusCreated {
		t.Errorf("the same key for something of one's own is answered %d %s", a.status, a.body)
	}
}

// TestAViewerChangesNothing walks through every address that changes something as a person of the organization who may only look.
func TestAViewerChangesNothing(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	viewer := e.by
	viewer.Person, viewer.Role, viewer.Operator = "per_viewer", core.Viewer, false
	e.people.set("viewer", viewer)
	before := e.dump(t, e.by.Org)
	delete(before, "connections") // a test of a connection notes how it went
	for _, r := range e.routes() {
		if r.method == http.MethodGet || !owned(r.path) {
			continue
		}
		for _, at := range e.attempts(r.method) {
			a := e.ask(t, "viewer", r, e.at(t, r.path), at)
			if a.status >= 500 {
				t.Errorf("%s %s %s answers %d: %s", r.method, r.path, at.body, a.status, a.body)
			}
		}
		after := e.dump(t, e.by.Org)
		delete(after, "connections")
		unchanged(t, r.method+" "+r.path, before, after)
	}
}

// asked lets one actor ask for every address in every way, and gives what was answered by route.
func (e *estate) asked(t *testing.T, as string, routes []route) map[route][]answer {
	t.Helper()
	all := map[route][]answer{}
	for _, r := range routes {
		for _, at := range e.attempts(r.method) {
			a := e.ask(t, as, r, e.at(t, r.path), at)
			if a.status >= 500 && a.status != http.StatusServiceUnavailable {
				t.Errorf("%s %s %s answers %s with %d: %s", r.method, r.path, at.body, as, a.status, a.body)
			}
			all[r] = append(all[r], a)
		}
	}
	return all
}

// TestNobodyGetsNowhere walks through every address without having signed in: only what is open to everybody answers.
func TestNobodyGetsNowhere(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	before := e.dump(t, e.by.Org)
	for r, answers := range e.asked(t, "nobody", e.routes()) {
		for _, a := range answers {
			e.silent(t, r.method+" "+r.path, a)
			refused := a.status == http.StatusUnauthorized || a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/sign-in")
			if open := e.app.acts[r.method+" "+r.path] == core.Open; !open && !refused {
				t.Errorf("%s %s answers nobody with %d: %s", r.method, r.path, a.status, a.body)
			} else if open && a.status == http.StatusUnauthorized {
				t.Errorf("%s %s is open and answers %d", r.method, r.path, a.status)
			}
		}
	}
	unchanged(t, "the walk", before, e.dump(t, e.by.Org))
	if a := e.get(t, "/nowhere", "X-As", "nobody"); a.status != http.StatusSeeOther {
		t.Errorf("an address that there is not answers nobody with %d", a.status)
	}
}

// members are one actor of the organization for each role, each scope of a token, and agents.
func (e *estate) members() map[string]core.Actor {
	all := map[string]core.Actor{}
	for _, role := range core.Roles {
		all[role.String()] = core.Actor{Org: e.by.Org, Person: "per_" + role.String(), Name: "A member", Kind: core.KindPerson, Role: role}
	}
	for _, scope := range core.Scopes {
		all["token "+string(scope)] = core.Actor{Org: e.by.Org, Person: "tok_" + string(scope), Name: "A token", Kind: core.KindToken, Role: scope.Rank()}
	}
	all["agent"] = core.Actor{Org: e.by.Org, Person: "agt_one", Name: "An agent", Kind: core.KindAgent, Role: core.Suggester, Snapshot: e.ids["snapshot"]}
	all["agent elsewhere"] = core.Actor{Org: e.by.Org, Person: "agt_two", Name: "An agent", Kind: core.KindAgent, Role: core.Suggester, Snapshot: "snp_elsewhere"}
	all["reviewer"] = core.Actor{Org: e.by.Org, Person: "per_guest", Name: "A guest", Kind: core.KindReviewer, Role: core.Viewer, Snapshot: e.ids["snapshot"]}
	all["reviewer elsewhere"] = core.Actor{Org: e.by.Org, Person: "per_guest", Name: "A guest", Kind: core.KindReviewer, Role: core.Viewer, Snapshot: "snp_elsewhere", Decides: true}
	for name, by := range all {
		e.people.set(name, by)
	}
	return all
}

// TestEachRoleGetsAsFarAsTheTableSays walks through every address that an actor may not use by the table in core: each answers 403 or
// 404 in every way, and nothing changes. What they may look at is there.
func TestEachRoleGetsAsFarAsTheTableSays(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	for name, by := range e.members() {
		var refused, seen []route
		for _, r := range e.routes() {
			switch act := e.app.acts[r.method+" "+r.path]; {
			case by.May(act) != nil:
				refused = append(refused, r)
			case r.method == http.MethodGet && act != core.Open && by.Snapshot == "":
				seen = append(seen, r)
			}
		}
		if by.Role < core.Publisher && len(refused) < 10 {
			t.Errorf("only %d addresses are refused to %s", len(refused), name)
		}
		before := e.dump(t, e.by.Org)
		for r, answers := range e.asked(t, name, refused) {
			for _, a := range answers {
				if a.status != http.StatusForbidden && a.status != http.StatusNotFound {
					t.Errorf("%s %s answers %s with %d: %s", r.method, r.path, name, a.status, a.body)
				}
			}
		}
		unchanged(t, "what "+name+" tried", before, e.dump(t, e.by.Org))
		for _, r := range seen {
			if a := e.ask(t, name, r, e.at(t, r.path), attempt{accept: "application/json"}); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
				t.Errorf("%s %s answers %s with %d: %s", r.method, r.path, name, a.status, a.body)
			}
		}
	}
}

// TestTheLeastRoleIsEnough asks for every address that changes something as somebody whose role is just enough.
func TestTheLeastRoleIsEnough(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.members()
	for _, r := range e.routes() {
		for _, rule := range core.Access {
			if rule.Act != e.app.acts[r.method+" "+r.path] || rule.Role == 0 || rule.Operator || r.method == http.MethodGet {
				continue
			}
			who := []string{rule.Role.String()}
			if rule.Scope != "" && strings.HasPrefix(r.path, "/api/") {
				who = append(who, "token "+string(rule.Scope))
			}
			for _, as := range who {
				a := e.ask(t, as, r, e.at(t, r.path), attempt{body: "{}", contentType: "application/json", accept: "application/json"})
				if a.status == http.StatusForbidden && !strings.Contains(a.body, "editor") || a.status == http.StatusUnauthorized {
					t.Errorf("%s %s answers %s with %d: %s", r.method, r.path, as, a.status, a.body)
				}
			}
		}
	}
}

// TestAnAgentStaysInItsSnapshotAndSuggests looks at what an agent's token is good for.
func TestAnAgentStaysInItsSnapshotAndSuggests(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.members()
	mine := e.mustShop(t, e.by, "Boats", 3)
	const change = `{"as": "%s", "changes": [{"op": "set", "record": {record}, "values": {"title": "Otter"}}]}`
	tb := "/snapshots/{snapshot}/tables/{table}"
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", tb + "/records", ``, 200},
		{"GET", "/snapshots", ``, 200},
		{"POST", tb + "/changes", fmt.Sprintf(change, "suggestion"), 200},
		{"POST", tb + "/changes", fmt.Sprintf(change, "edit"), 403},
		{"POST", tb + "/changes", `{"op": "delete", "where": {"filter": "true"}}`, 403},
		{"POST", tb + "/suggestions/accept", `{"where": {"filter": "true"}}`, 403},
		{"GET", "/snapshots/" + mine.snapshot.ID, ``, 404},
		{"GET", "/snapshots/" + mine.snapshot.ID + "/tables/" + mine.table.ID + "/records", ``, 404},
		{"GET", "/connections", ``, 404},
	} {
		if a := e.api(t, "agent", c.method, e.address(c.path), e.address(c.body)); a.status != c.status {
			t.Errorf("%s %s %s answers %d, want %d: %s", c.method, c.path, c.body, a.status, c.status, a.body)
		}
	}
	if a := e.api(t, "agent", "GET", "/snapshots", ""); !strings.Contains(a.body, e.ids["snapshot"]) || strings.Contains(a.body, mine.snapshot.ID) {
		t.Errorf("an agent's snapshots are %s", a.body)
	}
	if a := e.api(t, "agent elsewhere", "GET", "/jobs", ""); !strings.Contains(a.body, `"items":[]`) {
		t.Errorf("an agent of another snapshot sees the jobs %s", a.body)
	}
}
