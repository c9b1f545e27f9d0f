package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

var operatePages = []string{"/operate", "/operate/sizes", "/operate/sizes?by=organizations", "/operate/queries", "/operate/switches"}

func TestAnOperatorSeesTheAppOverAllOrganizations(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	other := s.mustOrganization(t, "other")
	shop := s.mustShop(t, other, "Boats", 30)
	s.app.queues = s.mustWork(t).Queues
	j, err := s.store.Enqueue(t.Context(), other, store.NewJob{Kind: "nonsense", Label: "Narwhal"})
	if err != nil {
		t.Fatal(err)
	}
	s.until(t, "the end", func() bool { j, err := s.store.JobByID(t.Context(), other, j.ID); return err == nil && j.Ended() })
	s.until(t, "a worker's word", func() bool { return strings.Contains(s.get(t, "/operate").body, "1 process takes up jobs") })
	page := s.get(t, "/operate")
	page.is(t, 200, "PostgreSQL", "interactive", "of 2 busy", j.ID, "other", "internal", "nonsense")
	page.lacks(t, "Narwhal", "late:")
	s.get(t, "/operate/sizes").is(t, 200, shop.snapshot.Name, "The database has")
	s.get(t, "/operate/sizes?by=organizations").is(t, 200, "1 snapshot")
	s.get(t, "/operate/queries").is(t, 200, "pg_stat_statements")
	s.get(t, "/settings").is(t, 200, `href="/operate"`)
	b := mustBrowser(t, s, 1440)
	b.looksAt(operatePages...)
}

func TestAnAdminOfAnOrganizationIsNoOperator(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ask := func(status int) {
		t.Helper()
		for _, path := range operatePages {
			ana.get(t, path).is(t, status)
		}
		if a := ana.get(t, "/settings"); strings.Contains(a.body, `href="/operate"`) != (status == 200) {
			t.Errorf("the settings lead to /operate, which answers %d", status)
		}
	}
	ask(403)
	h.site.app.config.Admins = []string{"ops@example.org"}
	ask(403)
	ana.post(t, "/members/invitations", "email", "Ops@example.org", "role", "viewer").is(t, 422, "only an operator")
	h.site.app.config.Admins = []string{"ops@example.org", "ANA@example.org"}
	ask(200)
	ana.post(t, "/operate/switches/"+core.LocalOrg, "on", "exports").is(t, http.StatusSeeOther)
	ana.get(t, "/audit").is(t, 200, "switch set", "agents off")
	if invited := ana.post(t, "/members/invitations", "email", "ops@example.org", "role", "viewer"); invited.status == 422 {
		t.Errorf("an operator cannot invite another: %s", invited.body)
	}
	ana.mustJoin(t, "ben@example.org", "admin").get(t, "/operate").is(t, 403)
}

func TestWhatIsSwitchedOffIsClosedAtEveryDoor(t *testing.T) {
	t.Parallel()
	e := mustEstate(t)
	e.members()
	page := e.address("/snapshots/{snapshot}/tables/{table}")
	e.get(t, page).is(t, 200, "Export as CSV")
	e.get(t, "/settings").is(t, 200, "/settings/webhooks")
	e.post(t, "/operate/switches/"+e.by.Org, url.Values{}).is(t, http.StatusSeeOther)
	known := map[string]route{}
	for _, r := range e.routes() {
		known[r.method+" "+r.path] = r
	}
	for _, rule := range core.Switches {
		for _, name := range switched[rule.Switch] {
			r, ok := known[name]
			if !ok {
				t.Errorf("%s is behind %s, and there is no such address", name, rule.Switch)
				continue
			}
			for _, at := range e.attempts(r.method) {
				if a := e.ask(t, "", r, e.at(t, r.path), at); a.status != http.StatusForbidden || !strings.Contains(a.body, rule.Off) {
					t.Errorf("%s answers %d: %s", name, a.status, a.body)
				}
			}
		}
	}
	e.api(t, "agent", "GET", e.address("/snapshots/{snapshot}/tables"), "").is(t, 403, "Agents are switched off")
	e.get(t, page, "X-As", "reviewer").is(t, 403, "Review links are switched off")
	e.get(t, page).lacks(t, "Export as CSV")
	e.get(t, "/settings").lacks(t, "/settings/webhooks")
	e.get(t, e.address("/snapshots/{snapshot}/settings")).lacks(t, "Every night", "Review links")
	var all []string
	for _, rule := range core.Switches {
		all = append(all, string(rule.Switch))
	}
	e.post(t, "/operate/switches/"+e.by.Org, url.Values{"on": all}).is(t, http.StatusSeeOther)
	e.get(t, page).is(t, 200, "Export as CSV")
	e.get(t, "/settings/webhooks").is(t, 200)
	e.api(t, "agent", "GET", e.address("/snapshots/{snapshot}/tables"), "").is(t, 200)
	e.post(t, "/operate/switches/"+e.by.Org, url.Values{"on": {"everything"}}).is(t, 422)
	e.post(t, "/operate/switches/org_none", url.Values{}).is(t, 404)
}

func TestTheDocumentShowsTheSwitches(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range core.Switches {
		if row := fmt.Sprintf("| %s | %s |\n", r.Switch, r.Means); !strings.Contains(string(raw), row) {
			t.Errorf("docs/operating.md lacks %s", row)
		}
		if len(switched[r.Switch]) == 0 {
			t.Errorf("nothing is behind the switch %s", r.Switch)
		}
	}
	if rows := strings.Count(string(raw), "\n| ") - 2; rows != len(core.Switches) {
		t.Errorf("docs/operating.md shows %d switches", rows)
	}
}
