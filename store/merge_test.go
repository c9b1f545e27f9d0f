package store

import (
	"encoding/json"
	"fmt"
	"testing"

	"scratchpaper/internal/core"
)

// Outcomes are written down without the table's lock, also while others are being taken over into the rows: these wait for the next time.
func TestAnOutcomeThatComesWhileOthersAreTakenOverIsTakenOverLater(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	ctx := t.Context()
	k.set(t, 1, "title", core.TextValue("First"))
	k.set(t, 2, "title", core.TextValue("Second"))
	p, err := k.MakePlan(ctx, k.by, k.snapshot.ID, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	job, err := k.StartPublish(ctx, k.by, k.snapshot.ID, p.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.EndSlice(ctx, k.job, JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	items, err := k.ClaimItems(ctx, k.take(t, job), k.t, p.ID, Claim{Op: "update", Limit: 10})
	if err != nil || len(items) != 2 {
		t.Fatalf("claimed %d: %v", len(items), err)
	}
	published := func(it Item) {
		t.Helper()
		stored, _ := json.Marshal(map[string]json.RawMessage{fmt.Sprint(k.col("title")): it.Fields[k.col("title")].Value})
		if err := k.SaveOutcomes(ctx, k.t, []ItemOutcome{{Item: it.ID, State: "published", Version: "9", Sent: stored, Stored: stored}}); err != nil {
			t.Fatal(err)
		}
	}
	published(items[0])
	other, err := k.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(ctx) }() // or the pool waits for it
	if _, err := other.Exec(ctx, "select 1 from "+dataTable(k.t)+" where _id = $1 for update", items[0].Record); err != nil {
		t.Fatal(err)
	}
	merged := make(chan error, 1)
	go func() { merged <- k.MergeOutcomes(ctx, k.by, k.t, p.ID) }()
	waitForLock(t, k.pool) // it is in the middle
	published(items[1])
	if err := other.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-merged; err != nil {
		t.Fatal(err)
	}
	if err := k.MergeOutcomes(ctx, k.by, k.t, p.ID); err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		var version string
		if err := k.pool.QueryRow(ctx, "select coalesce(_remote_version, '') from "+dataTable(k.t)+" where _id = $1", it.Record).Scan(&version); err != nil || version != "9" {
			t.Errorf("record %d has the version %q after its publish: %v", it.Record, version, err)
		}
		if r := k.row(t, it.Record); len(r.Base) != 0 {
			t.Errorf("record %d is still edited after its publish: %v", it.Record, r.Base)
		}
	}
}
