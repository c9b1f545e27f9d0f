package store

import (
	"testing"
	"time"

	"scratchpaper/internal/core"
)

// A vacuum of Postgres' own gives way after a second; the removal of a snapshot waits for that.
func TestASnapshotIsRemovedWhileItsTableIsBeingVacuumed(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	if err := k.EndSlice(t.Context(), k.job, JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	vacuum, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = vacuum.Rollback(t.Context()) }() // or the pool waits for it
	if _, err := vacuum.Exec(t.Context(), "lock table "+dataTable(k.t)+" in share update exclusive mode"); err != nil {
		t.Fatal(err)
	}
	removed := make(chan error, 1)
	go func() { removed <- k.DeleteSnapshot(t.Context(), k.by, k.snapshot.ID) }()
	for waiting := false; !waiting; time.Sleep(20 * time.Millisecond) { // until it has waited for longer than people do
		err := k.pool.QueryRow(t.Context(), `select exists (select 1 from pg_locks where relation = $1::regclass and not granted and waitstart < clock_timestamp() - interval '1.1 second')`,
			dataTable(k.t)).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-removed:
			t.Fatalf("the removal did not wait: %v", err)
		default:
		}
	}
	if err := vacuum.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
	if _, err := k.SnapshotByID(t.Context(), k.by, k.snapshot.ID); core.CodeOf(err) != core.NotFound {
		t.Errorf("the snapshot is still there: %v", err)
	}
}
