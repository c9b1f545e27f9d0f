package e2e

import (
	"strings"
	"testing"
	"time"
)

// transform makes suggestions by find and replace and gives what its job says it did.
func (a *app) transform(places, find, with string, columns ...string) object {
	a.t.Helper()
	res := a.call("POST", places+"/transforms", object{"transform": "replace", "columns": columns, "where": object{"filter": "true"}, "options": object{"find": find, "replace": with}}, 202)
	return field(a.waitJob(text(res, "job", "id"), "done"), "result").(object)
}

// suggestMany leaves more than 50,000 suggestions open, several of which compete for some cells.
func (a *app) suggestMany(places string) (n int64) {
	a.t.Helper()
	for _, letter := range []string{"a", "e", "0", "1", "2"} {
		n += number(a.transform(places, letter, "x"+letter), "cells")
	}
	if n <= 50_000 {
		a.t.Fatalf("%d suggestions are too few for this test", n)
	}
	return n
}

// batches counts the batches of a kind in the history.
func (a *app) batches(snapshot, kind string) (n int) {
	a.t.Helper()
	for _, b := range field(a.call("GET", snapshot+"/history?limit=1000", nil, 200), "items").([]any) {
		if text(b, "kind") == kind {
			n++
		}
	}
	return n
}

// killedAt starts the app again so that it dies at a fault point of a command, asks for that, waits for its death, and
// starts it once more. The job may be so fast that the app dies before it has answered: then the command is asked for again, with
// the same Idempotency-Key, as a page does.
func (a *app) killedAt(point, path string, body object, status int) (answer object) {
	a.t.Helper()
	a.stop()
	a.start("FAULT=" + point)
	key := "killed at " + point
	answer, err := a.tryCall("POST", path, body, status, key)
	a.diesWithin(90 * time.Second)
	a.start()
	if err != nil {
		if answer, err = a.tryCall("POST", path, body, status, key); err != nil {
			a.t.Fatalf("the command is not answered after the restart: %v", err)
		}
	}
	if text(answer, "job", "id") == "" {
		a.t.Fatal("the command did not become a job")
	}
	return answer
}

// TestKilledInTheMiddleOfATransform ends the app with SIGKILL before and after the commit of a transform. After the restart
// its suggestions are there, once.
func TestKilledInTheMiddleOfATransform(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"transform.applied", "transform.committed"} {
		t.Run(strings.ReplaceAll(point, ".", " "), func(t *testing.T) {
			a, snapshot, places := mustSample(t)
			job := a.killedAt(point, places+"/transforms", object{"transform": "replace", "where": object{"filter": "true"}, "options": object{"find": "a", "replace": "ä"}}, 202)
			made := a.waitJob(text(job, "job", "id"), "done")
			counts := a.call("GET", places, nil, 200)
			if n := number(counts, "counts", "suggestions"); n < 20_000 || n != number(made, "result", "cells") {
				t.Errorf("%d suggestions are there, the job made %v", n, field(made, "result", "cells"))
			}
			if n := a.batches(snapshot, "transform"); n != 1 {
				t.Errorf("%d transforms are in the history", n)
			}
		})
	}
}

// TestKilledInTheMiddleOfALargeAccept ends the app with SIGKILL before and after the commit of an accept that is a job.
// After the restart every chosen suggestion is accepted, once.
func TestKilledInTheMiddleOfALargeAccept(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"accept.applied", "accept.committed"} {
		t.Run(strings.ReplaceAll(point, ".", " "), func(t *testing.T) {
			a, snapshot, places := mustSample(t)
			open := a.suggestMany(places)
			job := a.killedAt(point, places+"/suggestions/accept", object{"where": object{"filter": "true"}}, 202)
			done := a.waitJob(text(job, "job", "id"), "done")
			cells, counts := number(done, "result", "cells"), a.call("GET", places, nil, 200)
			if cells == 0 || number(counts, "counts", "edits") != cells || number(counts, "counts", "suggestions") != 0 {
				t.Errorf("of %d suggestions %d were accepted; now %v", open, cells, field(counts, "counts"))
			}
			if n := a.batches(snapshot, "accept"); n != 1 {
				t.Errorf("%d accepts are in the history", n)
			}
			// Undoing it is a job too, and gives back what was there.
			undo := a.call("POST", snapshot+"/batches/"+text(done, "result", "batch")+"/undo", nil, 202)
			if n := number(a.waitJob(text(undo, "job", "id"), "done"), "result", "cells"); n != cells {
				t.Errorf("%d cells were undone, want %d", n, cells)
			}
			counts = a.call("GET", places, nil, 200)
			if number(counts, "counts", "edits") != 0 || number(counts, "counts", "suggestions") != open {
				t.Errorf("after the undo %v, want %d suggestions", field(counts, "counts"), open)
			}
		})
	}
}

// TestAStopInTheMiddleOfALargeAcceptRollsBackAndTheNextStartDoesIt stops the app as a person would.
func TestAStopInTheMiddleOfALargeAcceptRollsBackAndTheNextStartDoesIt(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	a.suggestMany(places)
	job := text(a.call("POST", places+"/suggestions/accept", object{"where": object{"filter": "true"}}, 202), "job", "id")
	a.eventually("the accept is running", 30*time.Second, func() bool { return text(a.call("GET", "/jobs/"+job, nil, 200), "state") != "queued" })
	a.stop()
	a.start()
	cells := number(a.waitJob(job, "done"), "result", "cells")
	if n := number(a.call("GET", places, nil, 200), "counts", "edits"); n != cells || cells == 0 {
		t.Errorf("%d edits after the restart, want %d", n, cells)
	}
	if n := a.batches(snapshot, "accept"); n != 1 {
		t.Errorf("%d accepts are in the history", n)
	}
}
