package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"scratchpaper/internal/browsertest"
)

// accessible looks at a page in each rendering: axe finds nothing, and nothing is wider than the window.
func (b tab) accessible(name, address string) {
	b.t.Helper()
	b.eachRendering(func(r browsertest.Rendering) {
		b.says(`document.cookie = 'theme=` + r.Theme + `; path=/'`)
		b.open(address)
		b.until(name+" is there", `document.readyState === 'complete'`)
		b.looksAt(name, r)
	})
}

// accessibleAsItIs looks in each rendering at a page that no address gives, as a form that is filled in.
func (b tab) accessibleAsItIs(name string) {
	b.t.Helper()
	b.eachRendering(func(r browsertest.Rendering) {
		b.says(`(document.documentElement.dataset.theme = '` + r.Theme + `', true)`)
		b.until("it is laid out anew", fmt.Sprintf("innerWidth === %d", r.Width))
		b.looksAt(name, r)
	})
	b.says(`(document.documentElement.dataset.theme = 'light', true)`)
}

func (b tab) eachRendering(look func(r browsertest.Rendering)) {
	b.t.Helper()
	for _, r := range browsertest.Renderings() {
		b.resize(r.Width)
		look(r)
	}
	b.resize(1440)
}

func (b tab) resize(width int64) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
		b.t.Fatal(err)
	}
}

func (b tab) looksAt(name string, r browsertest.Rendering) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	found := browsertest.Violations(ctx, b.t)
	if found != "" {
		b.t.Errorf("%s at %d, %s: %s", name, r.Width, r.Theme, found)
	}
	b.shot(fmt.Sprintf("%s-%s-%d", name, r.Theme, r.Width))
}

// TestThePagesOfAPublishCanBeReadByEverybody takes a publish with an update, a create and deletes, some of which the service
// refuses, through its pages: the plan, its end with receipts and failures, its job, the history, the conflicts in the grid.
func TestThePagesOfAPublishCanBeReadByEverybody(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	b := mustTab(t, 1440, 900)
	a.changedPlaces(snapshot, places)
	conn := a.service()
	record := a.call("GET", places+"/records?limit=1", nil, 200)
	if _, err := conn.Exec(t.Context(), "update places set name = 'Theirs' where id = $1", number(record, "items", 0, "values", "id")); err != nil {
		t.Fatal(err)
	}
	countries := ""
	for _, tb := range field(a.call("GET", snapshot+"/tables", nil, 200), "items").([]any) {
		if text(tb, "remote_table") == "public.countries" {
			countries = snapshot + "/tables/" + text(tb, "id")
		}
	}
	iran := a.call("GET", countries+"/records?limit=1&filter=name%20%3D%3D%20%22Iran%22", nil, 200)
	a.call("POST", countries+"/changes", object{"changes": []object{{"op": "delete", "record": number(iran, "items", 0, "id")}}}, 200)
	plan := snapshot + "/plans/" + text(a.call("POST", snapshot+"/plans", object{}, 201), "id")

	b.open(a.url)
	b.accessible("plan", a.url+plan)
	job := text(a.call("POST", plan+"/publish", object{"deletes": true}, 202), "job", "id")
	a.waitJob(job, "done")
	p := a.call("GET", plan, nil, 200)
	if number(p, "counts", "failed") != 1 || number(p, "counts", "conflict") != 1 || number(p, "counts", "published") != 37 {
		t.Fatalf("the publish came to %v", p)
	}
	b.accessible("published", a.url+plan)
	if !b.says(`document.body.innerText.includes('violates foreign key constraint')`) {
		t.Error("the failure does not show the service's own words")
	}
	b.accessible("publish-failed", a.url+plan+"?state=failed")
	b.accessible("publish-job", a.url+"/jobs/"+job)
	b.accessible("history", a.url+snapshot+"/history")
	b.accessible("snapshot-settings", a.url+snapshot+"/settings")
	b.accessible("grid-conflict", a.url+places+"?filter=conflict()")
	b.accessible("record-conflict", a.url+places+"?filter=conflict()&record="+fmt.Sprint(number(record, "items", 0, "id")))
	b.accessible("home", a.url+"/")
}
