package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/core"
)

var reviewShown = regexp.MustCompile(`value="[^"]*/review#([^"]+)"`)

// mustShare makes a review link by the page and gives its code.
func (v *visitor) mustShare(t *testing.T, snapshot, name string, decides bool) string {
	t.Helper()
	pairs := []string{"name", name, "days", "7"}
	if decides {
		pairs = append(pairs, "decides", "true")
	}
	a := v.post(t, "/snapshots/"+snapshot+"/shares", pairs...)
	m := reviewShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no link is shown: %d %s", a.status, a.body)
	}
	return m[1]
}

// mustElsewhere gives somebody who has signed in and belongs to another organization only.
func (h *house) mustElsewhere(t *testing.T, ana *visitor) *visitor {
	t.Helper()
	dora := ana.mustJoin(t, "dora@example.org", "editor")
	id := personOf(t, h, "dora@example.org")
	for _, sql := range []string{`insert into organizations (id, name) values ('org_dora', 'Doras')`, `insert into members (org_id, person_id, role) values ('org_dora', '` + id + `', 'admin')`} {
		if _, err := h.store.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.store.RemoveMember(t.Context(), h.actorOf(t, "ana@example.org"), id); err != nil {
		t.Fatal(err)
	}
	dora.post(t, "/sign-in", "email", "dora@example.org", "password", goodPassword)
	return dora
}

// mustSuggest makes suggestions for every record's title.
func (sh shop) mustSuggest(t *testing.T, by *visitor) {
	t.Helper()
	by.json(t, "POST", sh.path+"/changes", `{"as": "suggestion", "op": "set", "where": {"filter": "true"}, "values": {"title": "Otter"}}`).is(t, 200)
}

func TestAReviewLinkShowsOneSnapshotAndNothingElse(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	by := h.actorOf(t, "ana@example.org")
	boats, cars := h.mustShop(t, by, "Boats", 3), h.mustShop(t, by, "Cars", 3)
	boats.mustSuggest(t, ana)
	dora := h.mustElsewhere(t, ana)
	if a := dora.get(t, boats.path); a.status != http.StatusNotFound {
		t.Fatalf("before the link the grid answers %d", a.status)
	}
	code := ana.mustShare(t, boats.snapshot.ID, "Dora", false)
	page := ana.get(t, "/snapshots/"+boats.snapshot.ID+"/settings")
	page.is(t, 200, "Dora", "never opened")
	page.lacks(t, code)
	h.visitor(t).get(t, "/review").is(t, 200, "Sign in")
	if a := h.visitor(t).post(t, "/review", "code", code); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/sign-in") {
		t.Errorf("nobody opens it: %d %s", a.status, a.header.Get("Location"))
	}
	dora.post(t, "/review", "code", code+"x").is(t, 422, "not known here")
	if a := dora.post(t, "/review", "code", code); a.status != http.StatusSeeOther || a.header.Get("Location") != "/snapshots/"+boats.snapshot.ID {
		t.Fatalf("opening answers %d: %s", a.status, a.body)
	}
	grid := dora.get(t, boats.path)
	grid.is(t, 200, "Boats 1", "Otter", "review only", `"canEdit":false`, `"canDecide":false`)
	grid.lacks(t, "/export", "/history", `href="/connections"`, "Cars", "/refresh")
	dora.get(t, boats.path+"/records/1").is(t, 200, "Otter")
	for _, path := range []string{cars.path, "/connections", "/jobs", "/settings", "/tokens", "/members", "/account", boats.path + "/export", "/snapshots/" + boats.snapshot.ID + "/history",
		"/snapshots/" + boats.snapshot.ID + "/settings", "/palette", "/audit", "/api/v1/snapshots", "/api/v1" + boats.path + "/records", "/api/v1/tokens"} {
		if a := dora.get(t, path); a.status != http.StatusNotFound && a.status != http.StatusForbidden {
			t.Errorf("%s answers %d by a review link", path, a.status)
		}
	}
	accept := func(v *visitor) answer { return v.sendJSON(t, boats.path+"/suggestions/accept", `{"all": true}`) }
	if a := accept(dora); a.status != http.StatusForbidden {
		t.Errorf("accepting answers %d: %s", a.status, a.body)
	}
	if a := dora.sendJSON(t, boats.path+"/edits", `{"edits": [{"record": 1, "column": 1, "value": "x"}]}`); a.status != http.StatusForbidden && a.status != http.StatusNotFound {
		t.Errorf("editing answers %d: %s", a.status, a.body)
	}

	if a := dora.post(t, "/review/leave"); a.status != http.StatusSeeOther {
		t.Errorf("leaving answers %d", a.status)
	}
	dora.get(t, "/").is(t, 200, "Doras")
	if a := dora.get(t, boats.path); a.status != http.StatusNotFound {
		t.Errorf("after leaving the grid answers %d", a.status)
	}

	deciding := ana.mustShare(t, boats.snapshot.ID, "Dora decides", true)
	dora.post(t, "/review", "code", deciding)
	dora.get(t, boats.path).is(t, 200, `"canDecide":true`)
	accept(dora).is(t, 200)
	ana.get(t, "/snapshots/"+boats.snapshot.ID+"/history").is(t, 200, "New editor")
	if a := dora.sendJSON(t, cars.path+"/suggestions/accept", `{"all": true}`); a.status != http.StatusNotFound {
		t.Errorf("accepting in another snapshot answers %d", a.status)
	}
	revoke := regexp.MustCompile(`action="(/snapshots/[^"]+/revoke)"`).FindStringSubmatch(ana.get(t, "/snapshots/"+boats.snapshot.ID+"/settings").body)[1]
	ana.post(t, revoke)
	if a := dora.get(t, boats.path); a.status != http.StatusNotFound {
		t.Errorf("a revoked link still shows the grid: %d", a.status)
	}
	dora.post(t, "/review", "code", deciding).is(t, 422)
	ana.get(t, "/audit.jsonl").is(t, 200, "review link made", "review link opened", "review link revoked")

	dora.post(t, "/review", "code", code)
	dora.get(t, boats.path).is(t, 200)
	if _, err := h.store.Pool().Exec(t.Context(), `/* every organization: the test has one link */ update shares set expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	h.rdb.FlushAll(t.Context()) // what Redis keeps lasts no longer than the link; the test has cut that short
	if a := dora.get(t, boats.path); a.status != http.StatusNotFound {
		t.Errorf("an expired link still shows the grid: %d", a.status)
	}
	cleo := ana.mustJoin(t, "cleo@example.org", "editor")
	cleo.post(t, "/review", "code", ana.mustShare(t, boats.snapshot.ID, "Cleo", false))
	cleo.get(t, boats.path).is(t, 200, `"canEdit":true`)
	cleo.post(t, "/snapshots/"+boats.snapshot.ID+"/shares", "name", "x", "days", "7").is(t, 403)
}

// sendJSON posts JSON as the pages' scripts do.
func (v *visitor) sendJSON(t *testing.T, path, body string) answer {
	t.Helper()
	req := v.request(t, http.MethodPost, path, url.Values{}, "Content-Type", "application/json", "Accept", "application/json")
	other, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	other.Header = req.Header
	return sendBy(t, v.client, other)
}

// TestAReviewerWalksIntoWalls asks for every address by a review link: those that are not listed for it are refused and change nothing, and
// those that are answer in its snapshot and in no other.
func TestAReviewerWalksIntoWalls(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.members()
	for _, named := range reviewAddresses {
		method, path, _ := strings.Cut(named, " ")
		if act, known := e.app.acts[method+" "+path]; !known || act != core.Open && (core.Actor{Org: "o", Kind: core.KindReviewer, Role: core.Viewer, Decides: true}).May(act) != nil {
			t.Errorf("%s is listed for reviewers and is %q", named, act)
		}
	}
	before := e.dump(t, e.by.Org)
	for _, r := range e.routes() {
		listed, open := slices.Contains(reviewAddresses, r.method+" "+r.path), e.app.acts[r.method+" "+r.path] == core.Open
		for _, at := range e.attempts(r.method) {
			if a := e.ask(t, "reviewer", r, e.at(t, r.path), at); !listed && !open && a.status != http.StatusForbidden && a.status != http.StatusNotFound {
				t.Errorf("%s %s answers a reviewer with %d: %s", r.method, r.path, a.status, a.body)
			}
			a := e.ask(t, "reviewer elsewhere", r, e.at(t, r.path), at)
			e.silent(t, r.method+" "+r.path, a)
			if owned(r.path) && a.status < 400 {
				t.Errorf("%s %s answers a reviewer of another snapshot with %d: %s", r.method, r.path, a.status, a.body)
			}
		}
	}
	unchanged(t, "a reviewer's walk", before, e.dump(t, e.by.Org))
}

func TestAReviewOnAPhone(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	boats := h.mustShop(t, h.actorOf(t, "ana@example.org"), "Boats", 3)
	boats.mustSuggest(t, ana)
	h.mustElsewhere(t, ana)
	code := ana.mustShare(t, boats.snapshot.ID, "Dora", true)
	b := mustBrowser(t, h.site, 390)
	b.signsIn("dora@example.org")
	b.open("/review#" + code)
	b.until("the grid", `location.pathname.includes('/tables/') && location.hash === '' && document.querySelector('#review') && !document.querySelector('#review').hidden`)
	b.shot("/review-grid", "light", 390)
	b.looksAt(boats.path, boats.path+"?record=1")
	b.must(chromedp.EmulateViewport(390, 900))
	b.open(boats.path)
	b.until("the bar", `document.querySelector('#review') && !document.querySelector('#review').hidden`)
	b.must(browsertest.Click("#review [data-do=accept]"))
	b.until("one fewer", `document.querySelector('[data-shows=suggestions]')?.textContent.trim() === '2' || document.querySelector('#review-where')?.textContent.includes('of 2')`)
	b.must(browsertest.Click("form[action='/review/leave'] button"))
	b.until("home", `location.pathname === '/'`)
}
