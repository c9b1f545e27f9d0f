package handlers

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
)

var tokenShown = regexp.MustCompile(`value="(sp_[^"]+)"`)

// mustToken makes a token by the page and gives what is shown.
func (v *visitor) mustToken(t *testing.T, name, scope string) string {
	t.Helper()
	a := v.post(t, "/tokens", "name", name, "scope", scope, "days", "7")
	m := tokenShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no token is shown: %d %s", a.status, a.body)
	}
	return m[1]
}

func TestATokenIsShownOnceAndDoesWhatItsScopeSays(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	shop := h.mustShop(t, h.actorOf(t, "ana@example.org"), "Boats", 3)
	read, edit := ana.mustToken(t, "Reader", "read"), ana.mustToken(t, "Writer", "edit")
	page := ana.get(t, "/tokens")
	page.is(t, 200, "Reader", "never used")
	page.lacks(t, read, edit)
	h.with(t, read, "GET", "/snapshots", "").is(t, 200, shop.snapshot.ID)
	ana.get(t, "/tokens").is(t, 200, "used ")
	change := `{"changes": [{"op": "set", "record": 1, "values": {"title": "Otter"}}]}`
	h.with(t, read, "POST", shop.path+"/changes", change).is(t, 403, "scope suggest")
	h.with(t, edit, "POST", shop.path+"/changes", change).is(t, 200)
	h.with(t, edit, "GET", "/snapshots/"+shop.snapshot.ID+"/history", "").is(t, 200, "Writer")
	h.with(t, edit, "POST", "/snapshots/"+shop.snapshot.ID+"/plans/pln_x/publish", "{}").is(t, 403, "scope publish")
	h.with(t, edit, "GET", "/tokens", "").is(t, 403, "a token cannot")
	h.with(t, edit, "POST", "/tokens", `{"name": "More", "scopes": ["edit"]}`).is(t, 403)
	h.with(t, edit+"x", "GET", "/snapshots", "").is(t, 401, "not known here")
	h.with(t, "sp_", "GET", "/snapshots", "").is(t, 401)
	if a := ana.get(t, "/api/v1/snapshots", "Authorization", "Bearer wrong", "Accept", "application/json"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong token with a good cookie is answered %d", a.status)
	}
}

// with asks the API with a token.
func (h *house) with(t *testing.T, token, method, path, body string, header ...string) answer {
	t.Helper()
	return h.api(t, "", method, path, body, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

// actorOf gives the person of an address as who they are.
func (h *house) actorOf(t *testing.T, email string) core.Actor {
	t.Helper()
	by := core.Actor{Org: core.LocalOrg, Person: personOf(t, h, email), Name: email, Kind: core.KindPerson, Role: core.Admin}
	return by
}

func TestATokenEndsWithItsPersonItsTimeAndAtOnce(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben := ana.mustJoin(t, "ben@example.org", "publisher")
	id := personOf(t, h, "ben@example.org")
	token := ben.mustToken(t, "Bens", "publish")
	h.with(t, token, "POST", "/connections/con_x/test", "{}").is(t, 404)
	ana.post(t, "/members/"+id+"/role", "role", "viewer")
	h.with(t, token, "POST", "/connections/con_x/test", "{}").is(t, 403)
	h.with(t, token, "GET", "/jobs", "").is(t, 200)
	ben.post(t, "/tokens", "name", "More", "scope", "edit", "days", "7").is(t, 422, "further than your role")
	ana.get(t, "/tokens").is(t, 200, "Bens", "of New publisher")
	cleo := ana.mustJoin(t, "cleo@example.org", "editor")
	cleo.get(t, "/tokens").lacks(t, "Bens")
	revoke := regexp.MustCompile(`action="(/tokens/tok_[^"]+/revoke)"`).FindStringSubmatch(ana.get(t, "/tokens").body)[1]
	if a := cleo.post(t, revoke); a.status != http.StatusNotFound {
		t.Errorf("somebody else revokes it: %d", a.status)
	}
	ana.post(t, revoke)
	h.with(t, token, "GET", "/jobs", "").is(t, 401)
	another := ben.mustToken(t, "Another", "read")
	if _, err := h.store.Pool().Exec(t.Context(), `update api_tokens set expires_at = now() where org_id = $1`, core.LocalOrg); err != nil {
		t.Fatal(err)
	}
	h.with(t, another, "GET", "/jobs", "").is(t, 401)
	ben.get(t, "/tokens").is(t, 200, "expired")
	last := ben.mustToken(t, "Last", "read")
	ana.post(t, "/members/"+id+"/remove")
	h.with(t, last, "GET", "/jobs", "").is(t, 401)
}

func TestATokenOfTheLocalPersonWorksBesideThem(t *testing.T) {
	t.Parallel()
	s := mustSiteWith(t, func(_ *site, d *Deps) { d.Identify = nil })
	a := s.api(t, "", "POST", "/tokens", `{"name": "Script", "scopes": ["read"]}`, "Idempotency-Key", "once")
	token, _ := a.object(t)["token"].(string)
	if a.status != http.StatusCreated || !strings.HasPrefix(token, auth.TokenPrefix) {
		t.Fatalf("making a token answers %d %s", a.status, a.body)
	}
	var kept int
	if err := s.store.Pool().QueryRow(t.Context(), `select count(*) from idempotency_keys where org_id = $1`, core.LocalOrg).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d answers with a token are kept, %v", kept, err)
	}
	bearer := []string{"Authorization", "Bearer " + token}
	s.api(t, "", "GET", "/jobs", "", bearer...).is(t, 200)
	s.api(t, "", "POST", "/imports", "{}", bearer...).is(t, 403)
	s.api(t, "", "GET", "/jobs", "", "Authorization", "Bearer wrong").is(t, 401)
	s.api(t, "", "GET", "/jobs", "").is(t, 200)
	for _, body := range []string{`{"name": "x"}`, `{"name": "x", "scopes": ["everything"]}`, `{"scopes": ["read"]}`, `{"name": "x", "scopes": ["read"], "expires": "2001-01-01T00:00:00Z"}`,
		`{"name": "x", "scopes": ["read"], "expires": "2999-01-01T00:00:00Z"}`} {
		s.api(t, "", "POST", "/tokens", body).is(t, 422)
	}
	s.get(t, "/tokens").is(t, 200, "Script")
}

func TestAnAgentIsLetInAsLongAsWhoLetItIn(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	by := h.actorOf(t, "ana@example.org")
	shop, other := h.mustShop(t, by, "Boats", 3), h.mustShop(t, by, "Kites", 3)
	token := ana.mustToken(t, "Writer", "edit")
	let := func(body string) string {
		a := h.with(t, token, "POST", "/snapshots/"+shop.snapshot.ID+"/agents", body)
		if a.status != http.StatusCreated {
			t.Fatalf("letting an agent in answers %d %s", a.status, a.body)
		}
		return a.object(t)["token"].(string)
	}
	agent := let(`{"name": "Helper"}`)
	suggestion := `{"as": "suggestion", "changes": [{"op": "set", "record": 1, "values": {"title": "Otter"}}]}`
	h.with(t, agent, "POST", shop.path+"/changes", suggestion).is(t, 200)
	h.with(t, agent, "GET", "/snapshots/"+shop.snapshot.ID+"/history", "").is(t, 200, "Helper")
	h.with(t, agent, "POST", other.path+"/changes", suggestion).is(t, 404)
	h.with(t, agent, "POST", "/snapshots/"+shop.snapshot.ID+"/agents", `{"name": "More"}`).is(t, 403)
	h.with(t, agent, "GET", "/connections", "").is(t, 404)
	if a := h.visitor(t).get(t, "/snapshots/"+shop.snapshot.ID+"/history", "Authorization", "Bearer "+agent); a.status != http.StatusOK {
		t.Errorf("its own snapshot's page answers %d", a.status)
	}
	// another key signs from now on, and this one is taken as long as it lasts
	if _, err := h.store.RotateSigningKey(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	h.with(t, agent, "GET", shop.path, "").is(t, 200)
	if a := ana.get(t, "/account"); a.status != http.StatusOK {
		t.Errorf("the rotation signed somebody out: %d", a.status)
	}
	for _, body := range []string{`{}`, `{"name": "x", "minutes": 61}`, `{"name": "x", "minutes": -1}`} {
		h.with(t, token, "POST", "/snapshots/"+shop.snapshot.ID+"/agents", body).is(t, 422)
	}
	h.with(t, token, "POST", "/snapshots/snp_nowhere/agents", `{"name": "x"}`).is(t, 404)
	revoke := regexp.MustCompile(`action="(/tokens/tok_[^"]+/revoke)"`).FindStringSubmatch(ana.get(t, "/tokens").body)[1]
	ana.post(t, revoke)
	h.with(t, agent, "GET", shop.path, "").is(t, 401)
}

func TestKeysAreMadeOnceForAllProcessesAndRetired(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	ctx := t.Context()
	first, err := s.store.SigningKeys(ctx, time.Hour)
	if err != nil || len(first) != 1 || len(first[0].Secret) != 32 {
		t.Fatalf("the first keys are %d, %v", len(first), err)
	}
	if again, err := s.store.SigningKeys(ctx, time.Hour); err != nil || again[0].ID != first[0].ID {
		t.Errorf("asked again they are %v, %v", again, err)
	}
	next, err := s.store.RotateSigningKey(ctx, 0)
	if err != nil || len(next) != 2 || next[0].ID == first[0].ID || next[1].ID != first[0].ID {
		t.Fatalf("after a rotation they are %v, %v", next, err)
	}
	if same, err := s.store.RotateSigningKey(ctx, time.Hour); err != nil || same[0].ID != next[0].ID {
		t.Errorf("a process that comes late makes another: %v, %v", same, err)
	}
	if _, err := s.store.Pool().Exec(ctx, `update signing_keys set retired_at = retired_at - interval '3 hours'`); err != nil {
		t.Fatal(err)
	}
	if left, err := s.store.SigningKeys(ctx, time.Hour); err != nil || len(left) != 1 {
		t.Errorf("the retired one is taken still: %v, %v", left, err)
	}
}
