package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// page fetches a page or fragment as a browser would.
func (a *app) page(path string) string {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.url+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		a.t.Fatalf("GET %s answers %d (%v): %s", path, resp.StatusCode, err, raw)
	}
	return string(raw)
}

// TestReferencesAreShownByTheRecordsTheyNameAndDeletesByWhatTheyTakeAlong looks at what a person sees of links between tables:
// in the grid, in the editor's list, and in a plan that deletes what others refer to.
func TestReferencesAreShownByTheRecordsTheyNameAndDeletesByWhatTheyTakeAlong(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	table := a.call("GET", places, nil, 200)
	column := ""
	for i, c := range field(table, "columns").([]any) {
		if text(c, "id") == "country_code" {
			column = text(field(table, "columns", i), "target")
		}
	}
	if column == "" {
		t.Fatal("country_code points to no table")
	}
	if rows := a.page(places + "/rows?first=1"); !strings.Contains(rows, `Iran<small class="ref-id">IR</small>`) {
		t.Errorf("the rows do not call IR Iran: %.2000s", rows)
	}

	countries := snapshot + "/tables/" + column
	found := a.call("GET", countries+"/records?limit=1&filter=name%20%3D%3D%20%22Iran%22", nil, 200)
	record := number(found, "items", 0, "id")
	a.call("POST", countries+"/changes", object{"changes": []object{{"op": "delete", "record": record}}}, 200)
	plan := text(a.call("POST", snapshot+"/plans", object{}, 201), "id")
	if said := a.page(snapshot + "/plans/" + plan + "/effects"); !strings.Contains(said, "refer") || !strings.Contains(said, "public.") {
		t.Errorf("the plan does not say what refers to the deleted country: %s", said)
	}
	if page := a.page(snapshot + "/plans/" + plan); !strings.Contains(page, `name="deletes"`) || strings.Contains(page, `name="deletes" value="true" checked`) {
		t.Error("the deletes have no tick of their own, or are ticked already")
	}
}

// TestAPublishBeginsWithAFewAndGoesOnWhenSomebodyLooked sends the first records, waits, and goes on from the page of the plan;
// deletes that were not ticked are left out and stay where they are.
func TestAPublishBeginsWithAFewAndGoesOnWhenSomebodyLooked(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	b := mustTab(t, 1440, 900)
	before := a.places()
	plan := a.changedPlaces(snapshot, places)
	b.open(a.url + plan)
	b.click("[name=first]")
	b.keys("3")
	b.click("#publish")
	b.until("it waits for a person", `document.querySelector('#job[data-state="waiting"]') && document.body.innerText.includes('Look at them at the service')`)
	if d := different(before, a.places()); len(d) != 3 {
		t.Errorf("%d places differ after the first few, want 3", len(d))
	}
	b.click(`#publish-live form[action$="/continue"] button`)
	b.until("the publish is done, on the page of its plan", `location.pathname.endsWith('`+plan+`') && document.querySelector('#revert')`)
	if d := different(before, a.places()); len(d) != 35 {
		t.Errorf("%d places differ, want the 30 updates and 5 creates", len(d))
	}
	p := a.call("GET", plan, nil, 200)
	if number(p, "counts", "left_out") != 3 || number(p, "counts", "planned") != 0 {
		t.Errorf("the deletes that were not ticked: %v", p)
	}
	if b.says(`[...document.querySelectorAll('button')].some(b => b.innerText.includes('Retry'))`) {
		t.Error("a retry is offered though nothing failed")
	}
}
