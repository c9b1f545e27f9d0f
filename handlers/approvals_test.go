package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/core"
)

// json asks the API with the visitor's session.
func (v *visitor) json(t *testing.T, method, path, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.URL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return sendBy(t, v.client, req)
}

// office is a house with a connected service, where ana is admin, ben publisher and cleo editor, and two people publish.
type office struct {
	*house
	ana, ben, cleo  *visitor
	snapshot, table string // addresses
}

func mustOffice(t *testing.T) *office {
	t.Helper()
	h := mustHouse(t)
	h.mustWork(t)
	o := &office{house: h, ana: h.mustSetUp(t)}
	o.ben, o.cleo = o.ana.mustJoin(t, "ben@example.org", "publisher"), o.ana.mustJoin(t, "cleo@example.org", "editor")
	a := o.ana.send(t, "POST", "/connections", h.connection())
	con := strings.TrimPrefix(a.header.Get("Location"), "/snapshots/new?connection=")
	made := o.ana.json(t, "POST", "/snapshots", `{"name": "Kettles", "tables": [{"connection": "`+con+`", "remote_table": "public.kettles"}]}`)
	made.is(t, 201)
	o.snapshot = "/snapshots/" + field(made.object(t), "snapshot", "id").(string)
	o.waitFor(t, field(made.object(t), "job", "id").(string))
	o.table = o.snapshot + "/tables/" + field(o.ana.json(t, "GET", o.snapshot+"/tables", "").object(t), "items", 0, "id").(string)
	o.ana.json(t, "PATCH", "/organization", `{"second_person": true}`).is(t, 200, `"second_person":true`)
	return o
}

func (o *office) waitFor(t *testing.T, job string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // asks again until the job has ended
		a := o.ana.json(t, "GET", "/jobs/"+job, "").object(t)
		if a["state"] == "done" {
			return
		}
		if time.Now().After(deadline) || a["state"] == "failed" {
			t.Fatalf("the job is %v", a)
		}
	}
}

// edits lets somebody set the title of the n-th record, over the API.
func (o *office) edits(t *testing.T, v *visitor, n int, title string) {
	t.Helper()
	v.json(t, "POST", o.table+"/changes", fmt.Sprintf(`{"changes": [{"op": "set", "record": %d, "values": {"title": %q}}]}`, n, title)).is(t, 200, `"refused":[]`)
}

// plans lets somebody make a plan and gives its address.
func (o *office) plans(t *testing.T, v *visitor) string {
	t.Helper()
	return o.snapshot + "/plans/" + v.json(t, "POST", o.snapshot+"/plans", `{}`).object(t)["id"].(string)
}

// held counts the records of the service whose title is as said.
func (o *office) held(t *testing.T, title string) (n int) {
	t.Helper()
	a := o.ana.json(t, "GET", o.table+"/records?limit=50", "").object(t)
	for _, r := range a["items"].([]any) {
		if edited := field(r, "edits", "title"); edited == nil && field(r, "values", "title") == title {
			n++
		}
	}
	return n
}

// TestNothingIsPublishedThatASecondPersonHasNotApproved goes the whole way: asked, refused to the author, sent back, asked again, approved,
// published, reverted.
func TestNothingIsPublishedThatASecondPersonHasNotApproved(t *testing.T) {
	t.Parallel()
	o := mustOffice(t)
	o.edits(t, o.ben, 1, "Jug")
	plan := o.plans(t, o.ben)
	o.ben.get(t, plan).is(t, 200, "Ask for approval of 1 change", "publishes what a second person has approved")
	o.ben.json(t, "POST", plan+"/publish", `{}`).is(t, 409, "Ask for the approval")
	o.ben.post(t, plan+"/publish").is(t, 409, "Ask for the approval")
	o.ana.post(t, plan+"/publish").is(t, 409, "Ask for the approval")

	if a := o.ben.post(t, plan+"/approval"); a.status != http.StatusSeeOther {
		t.Fatalf("asking answers %d: %s", a.status, a.body)
	}
	o.ben.json(t, "POST", plan+"/publish", `{}`).is(t, 409, "waits for the approval")
	o.ben.json(t, "POST", plan+"/approval/approve", ``).is(t, 403, "edited last")
	o.cleo.json(t, "POST", plan+"/approval/approve", ``).is(t, 403, "publisher")
	o.ben.json(t, "PATCH", plan+"/items", `{"where": {"filter": "true"}, "included": false}`).is(t, 409, "Take the request back")
	o.ben.get(t, plan).lacks(t, `id="approve"`)
	o.ben.get(t, "/jobs").is(t, 200, "Waiting for approval", "New publisher asked")
	o.ana.get(t, "/jobs").is(t, 200, "you can approve it", `href="`+plan+`"`)
	o.ana.json(t, "GET", "/approvals", ``).is(t, 200, strings.TrimPrefix(plan, o.snapshot+"/plans/"))
	o.ana.get(t, plan).is(t, 200, `id="approve"`, "Waits for approval.", "New publisher made and edited it")

	o.ana.post(t, plan+"/approval/return", "note", "Jar, please <b>")
	o.ben.get(t, plan).is(t, 200, "Sent back", "Jar, please &lt;b&gt;", "Ask for approval of 1 change")
	o.ben.json(t, "POST", plan+"/publish", `{}`).is(t, 409, "Ask for the approval")
	o.ben.json(t, "POST", plan+"/approval", `{}`).is(t, 200, `"state":"asked"`)
	o.ana.post(t, plan+"/approval/approve")
	o.ana.get(t, plan).is(t, 200, "Approved", "by Ana Bo", "Publish 1 change")
	o.ben.json(t, "PATCH", plan+"/items", `{"where": {"filter": "true"}, "included": false}`).is(t, 409, "Take the request back")
	sent := o.ben.json(t, "POST", plan+"/publish", `{}`)
	sent.is(t, 202)
	o.waitFor(t, field(sent.object(t), "job", "id").(string))
	if n := o.held(t, "Jug"); n != 1 {
		t.Fatalf("the service holds %d jugs", n)
	}

	back := o.ben.json(t, "POST", plan+"/revert", `{}`)
	back.is(t, 201)
	inverse := o.snapshot + "/plans/" + field(back.object(t), "plan", "id").(string)
	o.ben.json(t, "POST", inverse+"/publish", `{}`).is(t, 409, "Ask for the approval")
	o.ben.json(t, "POST", inverse+"/approval", `{}`).is(t, 200)
	o.ben.json(t, "POST", inverse+"/approval/approve", ``).is(t, 403)
	o.ana.json(t, "POST", inverse+"/approval/approve", ``).is(t, 200, `"state":"approved"`)
	o.ben.json(t, "POST", inverse+"/publish", `{}`).is(t, 202)
	log := o.ana.get(t, "/audit.jsonl").body
	for _, act := range []string{"setting changed", "approval asked for", "plan sent back", "plan approved", `"approved by":"Ana Bo"`} {
		if !strings.Contains(log, act) {
			t.Errorf("the log has no %q", act)
		}
	}
}

// TestNobodyGetsAroundTheSecondPerson tries the ways around: another's plan of one's own edits, a token that edits for its person, also
// after it was revoked, tokens and agents that approve, deletes that nobody was asked about, what was changed after the approval, and
// turning the setting off.
func TestNobodyGetsAroundTheSecondPerson(t *testing.T) {
	t.Parallel()
	o := mustOffice(t)
	token := o.ben.mustToken(t, "Bens", "publish")
	o.with(t, token, "POST", o.table+"/changes", `{"changes": [{"op": "set", "record": 1, "values": {"title": "Jug"}}, {"op": "delete", "record": 2}]}`).is(t, 200, `"refused":[]`)
	id := field(o.ben.json(t, "GET", "/tokens", "").object(t), "items", 0, "id").(string)
	plan := o.plans(t, o.cleo)
	o.with(t, token, "POST", plan+"/publish", `{"deletes": true}`).is(t, 409, "Ask for the approval")
	o.with(t, token, "POST", plan+"/approval", `{}`).is(t, 200)
	for _, path := range []string{"/approval/approve", "/approval/return"} {
		o.with(t, token, "POST", plan+path, ``).is(t, 403, "a token cannot")
	}
	agent := o.ben.json(t, "POST", o.snapshot+"/agents", `{"name": "Helper"}`).object(t)["token"].(string)
	o.with(t, agent, "POST", plan+"/approval/approve", ``).is(t, 403, "for people")
	o.with(t, agent, "POST", plan+"/approval", `{}`).is(t, 403)
	o.ben.json(t, "DELETE", "/tokens/"+id, ``).is(t, 204)
	o.ben.json(t, "POST", plan+"/approval/approve", ``).is(t, 403, "edited last")
	o.cleo.json(t, "POST", plan+"/approval/approve", ``).is(t, 403)
	other := o.mustOrganization(t, "other")
	o.api(t, "other", "POST", plan+"/approval/approve", ``).is(t, 401) // X-As means nothing here
	if _, err := o.store.Approve(t.Context(), other, strings.TrimPrefix(o.snapshot, "/snapshots/"), plan[strings.LastIndex(plan, "/")+1:]); core.CodeOf(err) != core.NotFound {
		t.Errorf("another organization approves: %v", err)
	}

	o.ana.json(t, "POST", plan+"/approval/approve", ``).is(t, 200, `"deletes":false`)
	o.ben.json(t, "POST", plan+"/publish", `{"deletes": true}`).is(t, 409, "deletes of this plan were not asked about")
	o.edits(t, o.ben, 1, "Jar") // after the approval: it is left out, and nothing else is left
	o.ben.json(t, "POST", plan+"/publish", `{}`).is(t, 409, "Nothing of this plan is left to send")
	o.ben.json(t, "DELETE", plan+"/approval", ``).is(t, 204)
	o.ben.json(t, "POST", plan+"/publish", `{}`).is(t, 409)

	// Who edited last counts, and whoever made the plan.
	o.edits(t, o.ana, 3, "Pan")
	o.edits(t, o.ben, 3, "Pot")
	o.ben.json(t, "POST", o.table+"/changes", `{"changes": [{"op": "undelete", "record": 2}, {"op": "set", "record": 1, "values": {"title": "Kettle 1"}}]}`).is(t, 200, `"refused":[]`)
	last := o.plans(t, o.cleo)
	o.cleo.json(t, "POST", last+"/approval", `{}`).is(t, 200)
	o.ben.json(t, "POST", last+"/approval/approve", ``).is(t, 403)
	if a := o.cleo.json(t, "PATCH", "/organization", `{"second_person": false}`); a.status != http.StatusForbidden {
		t.Errorf("an editor turns it off: %d", a.status)
	}
	if a := o.ben.send(t, "POST", "/organization/settings", url.Values{}); a.status != http.StatusForbidden {
		t.Errorf("a publisher turns it off: %d", a.status)
	}
	if a := o.ana.send(t, "POST", "/organization/settings", url.Values{}); a.status != http.StatusSeeOther {
		t.Errorf("an admin turns it off: %d %s", a.status, a.body)
	}
	if log := o.ana.get(t, "/audit.jsonl?act=setting+changed").body; !strings.Contains(log, `"second person before publishing":"off"`) {
		t.Errorf("that it was turned off is not in the log: %s", log)
	}
	o.ben.json(t, "POST", last+"/publish", `{}`).is(t, 202)
}

func TestTwoPeopleAreNeededToAskForTwo(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ana.json(t, "PATCH", "/organization", `{"second_person": true}`).is(t, 409, "at least two members")
	ana.mustJoin(t, "ben@example.org", "editor")
	ana.json(t, "PATCH", "/organization", `{"second_person": true}`).is(t, 409)
	ana.get(t, "/settings").is(t, 200, "Two people publish")
}

// TestASecondPersonApprovesInTheBrowser presses the buttons, and axe finds nothing on the pages.
func TestASecondPersonApprovesInTheBrowser(t *testing.T) {
	t.Parallel()
	o := mustOffice(t)
	o.edits(t, o.ben, 1, "Jug")
	o.ben.json(t, "POST", o.table+"/changes", `{"changes": [{"op": "delete", "record": 2}]}`).is(t, 200)
	plan := o.plans(t, o.ben)
	o.ben.json(t, "POST", plan+"/approval", `{"deletes": true}`).is(t, 200)
	b := mustBrowser(t, o.site, 1440)
	b.signsIn("ana@example.org")
	b.looksAt(plan, "/jobs", "/settings")
	b.open(plan)
	b.must(browsertest.Click("#approve"))
	b.until("the approval", `document.querySelector('#approval')?.dataset.approval === 'approved' && document.querySelector('#publish-words') && document.readyState === 'complete' && !document.querySelector('#delete-effects [hx-get]')`)
	b.must(browsertest.Click("#deletes"), browsertest.Click("#publish"))
	b.until("the publish", `document.body.innerText.includes('Published to Shop')`)
}

// TestWhoAskedIsToldOfTheDecisionWhereverTheyAre lets ben be on another page while ana decides, with and without scripts, and closes and
// follows the notice.
func TestWhoAskedIsToldOfTheDecisionWhereverTheyAre(t *testing.T) {
	t.Parallel()
	o := mustOffice(t)
	asked := func(n int, title string) string {
		t.Helper()
		o.edits(t, o.ben, n, title)
		plan := o.plans(t, o.ben)
		o.ben.json(t, "POST", plan+"/approval", `{}`).is(t, 200)
		return plan
	}
	first := asked(1, "Jug")
	b := mustBrowser(t, o.site, 1440)
	b.signsIn("ben@example.org")
	b.open("/connections")
	b.until("nothing is told yet", `document.querySelector('#decisions') && !document.querySelector('#decisions section')`)
	o.ana.json(t, "POST", first+"/approval/return", `{"note": "Jar, please"}`).is(t, 200)
	b.until("he is told", `/Ana Bo sent back what you asked for/.test(document.querySelector('#decisions')?.innerText) && /Jar, please/.test(document.querySelector('#decisions').innerText)`)
	b.looksAt("/connections")
	o.ana.get(t, "/jobs").lacks(t, "what you asked for")
	o.cleo.get(t, "/jobs").lacks(t, "what you asked for")
	b.must(browsertest.Click("#decisions button"))
	b.until("he has closed it", `!document.querySelector('#decisions section')`)
	o.ben.get(t, "/jobs").lacks(t, "what you asked for")

	second := asked(2, "Pot")
	o.ana.json(t, "POST", second+"/approval/approve", ``).is(t, 200)
	o.ben.get(t, "/jobs").is(t, 200, "Ana Bo approved what you asked for", `href="`+second+`"`)
	b.until("he is told of the second", `document.querySelector('#decisions a')`)
	b.must(browsertest.Click("#decisions a"))
	b.until("the link leads to the plan", `location.pathname === '`+second+`' && document.querySelector('#approval')?.dataset.approval === 'approved' && !document.querySelector('#decisions section')`)
	o.ben.get(t, "/jobs").lacks(t, "what you asked for")

	third := asked(3, "Pan")
	o.ana.json(t, "POST", third+"/approval/approve", ``).is(t, 200)
	if a := o.cleo.post(t, "/approvals/told", "plan", third[strings.LastIndex(third, "/")+1:], "back", "/jobs"); a.status != http.StatusSeeOther {
		t.Errorf("closing answers %d", a.status)
	}
	o.ben.get(t, "/jobs").is(t, 200, "Ana Bo approved what you asked for") // cleo cannot close it for him
	o.ben.post(t, "/approvals/told", "plan", third[strings.LastIndex(third, "/")+1:], "back", "/jobs")
	o.ben.get(t, "/jobs").lacks(t, "what you asked for")
}
