package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// changedPlaces edits 30 places, creates 5 and deletes 3, and gives the plan of it.
func (a *app) changedPlaces(snapshot, places string) (plan string) {
	a.t.Helper()
	records := field(a.call("GET", places+"/records?limit=40", nil, 200), "items").([]any)
	changes := []object{}
	for i, r := range records[:30] {
		changes = append(changes, object{"op": "set", "record": number(r, "id"), "values": object{"name": fmt.Sprintf("Renamed %d", i)}})
	}
	for i := range 5 {
		changes = append(changes, object{"op": "create", "values": object{"name": fmt.Sprintf("New place %d", i), "country_code": "FR", "kind": text(records[0], "values", "kind"),
			"latitude": 1.5, "longitude": 2.5, "population": 10}})
	}
	for _, r := range records[30:33] {
		changes = append(changes, object{"op": "delete", "record": number(r, "id")})
	}
	res := a.call("POST", places+"/changes", object{"changes": changes}, 200)
	if refused := field(res, "refused").([]any); len(refused) > 0 {
		a.t.Fatalf("refused: %v", refused)
	}
	return snapshot + "/plans/" + text(a.call("POST", snapshot+"/plans", object{}, 201), "id")
}

// TestKilledInTheMiddleOfAPublish ends the app with SIGKILL at four points of a publish: before and after `sending` is
// committed, after the service acted, and after the outcome is committed. After the restart the service holds exactly the
// plan, whatever our own bookkeeping says.
func TestKilledInTheMiddleOfAPublish(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"publish.claim:1", "publish.sending:1", "publish.acted:1", "publish.outcome:2"} {
		t.Run(strings.NewReplacer(".", " ", ":", " ").Replace(point), func(t *testing.T) {
			a, snapshot, places := mustSample(t)
			before := a.places()
			plan := a.changedPlaces(snapshot, places)
			job := a.killedAt(point, plan+"/publish", object{"deletes": true}, 202)
			a.waitJob(text(job, "job", "id"), "done")
			p := a.call("GET", plan, nil, 200)
			if n := number(p, "counts", "published"); n != 38 {
				t.Fatalf("published %d of 38: %v", n, p)
			}
			after := a.places()
			if d := different(before, after); len(d) != 38 {
				t.Errorf("%d places differ at the service, want 38", len(d))
			}
			if n := len(after) - len(before); n != 2 {
				t.Errorf("the service has %d more places, want 2: five created, three deleted", n)
			}
			named := 0
			for _, row := range after {
				if strings.Contains(row, `"New place `) {
					named++
				}
			}
			if named != 5 {
				t.Errorf("%d new places at the service, want 5", named)
			}
			counts := a.call("GET", places, nil, 200)
			for _, c := range []string{"edits", "created", "deleted"} {
				if n := number(counts, "counts", c); n != 0 {
					t.Errorf("%s counts %d after the publish, want 0", c, n)
				}
			}
		})
	}
}

// TestKilledInTheMiddleOfADownload starts again where the last page was.
func TestKilledInTheMiddleOfADownload(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	made := a.killedAt("download.merged:5", "/sample", object{}, 201)
	a.waitJob(text(made, "job", "id"), "done")
	tables := field(a.call("GET", "/snapshots/"+text(made, "snapshot", "id")+"/tables", nil, 200), "items").([]any)
	there := len(a.places())
	for _, tb := range tables {
		if strings.HasSuffix(text(tb, "remote_table"), "places") && number(tb, "counts", "records") != int64(there) {
			t.Errorf("%d places are here, %d at the service", number(tb, "counts", "records"), there)
		}
	}
}

// TestKilledRightAfterAnAcceptWasAcknowledged keeps every edit.
func TestKilledRightAfterAnAcceptWasAcknowledged(t *testing.T) {
	t.Parallel()
	a, _, places := mustSample(t)
	made := a.transform(places, "Saint", "St", "name")
	accepted := a.call("POST", places+"/suggestions/accept", object{"where": object{"filter": "true"}}, 200)
	if number(made, "cells") == 0 || number(made, "cells") != number(accepted, "cells") {
		t.Fatalf("suggested %v, accepted %v", made["cells"], accepted["cells"])
	}
	a.kill()
	a.start()
	if n := number(a.call("GET", places, nil, 200), "counts", "edits"); n != number(accepted, "cells") {
		t.Errorf("%d edits after the restart, want %d", n, number(accepted, "cells"))
	}
	found := a.call("GET", places+"/records?limit=1000&filter=edited(name)", nil, 200)
	if n := len(field(found, "items").([]any)); int64(n) != number(accepted, "cells") {
		t.Errorf("%d edited records after the restart, want %d", n, number(accepted, "cells"))
	}
}
