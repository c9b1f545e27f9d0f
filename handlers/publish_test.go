package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAPlanSaysWhatIsNotInItAndItsResultWhatWasNotPublished(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.mustWork(t)
	con := s.mustConnect(t)
	made := s.call(t, "POST", "/snapshots", `{"name": "Kettles", "tables": [{"connection": "`+con+`", "remote_table": "public.kettles"}]}`, 201)
	s.ended(t, time.Minute, "/jobs/"+field(made, "job", "id").(string))
	snapshot := "/snapshots/" + field(made, "snapshot", "id").(string)
	table := snapshot + "/tables/" + field(s.call(t, "GET", snapshot+"/tables", "", 200), "items", 0, "id").(string)
	var changes []string
	for i, r := range s.call(t, "GET", table+"/records", "", 200)["items"].([]any) {
		value := fmt.Sprintf(`"title": "Pot %d"`, i)
		switch i {
		case 0:
			value = `"title": null` // the service refuses that
		case 1, 2:
			value = `"title": "Jug"`
		case 3:
			value = `"price": 5000`
		}
		changes = append(changes, fmt.Sprintf(`{"op": "set", "record": %v, "values": {%s}}`, field(r, "id"), value))
	}
	s.call(t, "POST", table+"/changes", `{"changes": [`+strings.Join(changes, ",")+`]}`, 200)
	s.call(t, "PATCH", table, `{"columns": [{"id": "price", "locks": ["never_publish"]}]}`, 200)
	plan := snapshot + "/plans/" + s.call(t, "POST", snapshot+"/plans", `{}`, 201)["id"].(string)
	page := s.get(t, plan)
	page.is(t, 200, "Not in this plan, since these columns are locked against publishing: 1 edit of price.", "No two records change alike: they stand one by one below.")
	if strings.Contains(page.body, `id="group-`) {
		t.Error("changes of one record each are shown as groups")
	}
	if strings.Index(page.body, `id="publish-form"`) < strings.LastIndex(page.body, `data-item=`) {
		t.Error("the button to publish stands before the records, out of sight of who reads them")
	}
	s.post(t, plan+"/publish", url.Values{})
	s.ended(t, time.Minute, "/jobs/"+s.call(t, "GET", plan, "", 200)["job"].(string))
	s.get(t, plan).is(t, 200, "Published 18 of 19 to Shop", "1 refused by the service. What was not published stays an edit here.")
	s.get(t, snapshot+"/history").is(t, 200, `href="`+plan+`"`, "Receipts")
	s.get(t, "/jobs").is(t, 200, "text-conflict", "1 failed")
}

func TestASnapshotOfAFileHasNothingToPublishTo(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	if a := s.get(t, s.path); a.status != 200 || strings.Contains(a.body, "/plans\"") {
		t.Errorf("the grid of a file offers to publish: %d", a.status)
	}
}
