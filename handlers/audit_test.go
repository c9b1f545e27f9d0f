package handlers

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

func TestTheLogSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	h.visitor(t).post(t, "/sign-in", "email", "ana@example.org", "password", "not this one")
	ben := ana.mustJoin(t, "ben@example.org", "editor")
	shop := h.mustShop(t, h.actorOf(t, "ana@example.org"), "Boats", 3)
	token := ana.mustToken(t, "Nightly", "read")
	ana.get(t, shop.path+"/export")
	h.app.Wait() // a sign-in that was refused is noted behind its answer
	var acts []string
	var lines []auditJSON
	a := ana.get(t, "/audit.jsonl")
	a.lacks(t, token, goodPassword, "not this one")
	for _, line := range strings.Split(strings.TrimSpace(a.body), "\n") {
		var e auditJSON
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		acts, lines = append(acts, e.Act), append(lines, e)
	}
	got := strings.Join(acts, ", ")
	for _, want := range []string{"set up", "signed in", "sign-in refused", "member invited", "member joined", "token made", "table exported"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log has no %q: %s", want, got)
		}
	}
	if last := lines[len(lines)-1]; last.Act != "set up" || last.Who != "Ana Bo" || last.Kind != core.KindPerson || time.Since(last.At) > time.Hour {
		t.Errorf("the first line is %+v", last)
	}
	ana.get(t, "/audit?act=sign-in+refused").is(t, 200, "sign-in refused", "from 127.0.0.1")
	ana.get(t, "/audit?act=sign-in+refused").lacks(t, "member joined</span>")
	if a := ben.get(t, "/audit"); a.status != http.StatusForbidden {
		t.Errorf("an editor reads it: %d", a.status)
	}
}

func TestTheLogIsKeptForItsTime(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.mustSetUp(t)
	if _, err := h.store.Pool().Exec(t.Context(), `insert into audit_log (org_id, act, at) values ($1, 'old', now() - interval '401 days'), ($1, 'not so old', now() - interval '399 days')`, core.LocalOrg); err != nil {
		t.Fatal(err)
	}
	if err := h.store.DropOldAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	acts, err := h.store.AuditActs(t.Context(), h.actorOf(t, "ana@example.org"))
	if err != nil || strings.Join(acts, ", ") != "not so old, set up, signed in" {
		t.Errorf("the log holds %v, %v", acts, err)
	}
}
