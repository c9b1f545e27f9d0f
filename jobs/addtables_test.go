package jobs

import (
	"context"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// narrow takes a snapshot of the books' titles only and downloads it.
func (l *library) narrow(t *testing.T) store.Snapshot {
	t.Helper()
	n := l.books("title")
	sn, j, err := l.CreateSnapshot(t.Context(), l.by, store.NewSnapshot{Name: "Books", Tables: []store.NewTable{n}})
	if err != nil {
		t.Fatal(err)
	}
	l.ends(t, j.ID, "done")
	return sn
}

// books describes the shelf's table with some columns.
func (l *library) books(columns ...string) store.NewTable {
	n := store.NewTable{Connection: l.con.ID, RemoteID: "books", Title: "Books", Source: core.Remote, Writable: true, Versioned: true}
	for _, c := range columns {
		typ := core.Text
		if c == "price" {
			typ = core.Number
		}
		n.Columns = append(n.Columns, store.NewColumn{RemoteID: c, Title: c, Type: typ, Writable: true})
	}
	return n
}

func (l *library) addTables(t *testing.T, sn store.Snapshot, list ...store.NewTable) store.Job {
	t.Helper()
	j, err := l.AddTables(t.Context(), l.by, sn.ID, list)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// wantPrices checks that every record that is here has a price.
func (l *library) wantPrices(t *testing.T, sn store.Snapshot, records int) {
	t.Helper()
	price, ok := l.table(t, sn).ColumnBySlug("price")
	if !ok || !price.Filled {
		t.Fatalf("the column is %+v", price)
	}
	rows, err := l.FirstRows(t.Context(), l.by, sn.Tables[0].Ref(), store.View{Filter: "price == 10"}, 1000, store.RowOptions{})
	if err != nil || len(rows) != records {
		t.Errorf("%d records have the price, want %d: %v", len(rows), records, err)
	}
}

func TestAColumnThatIsAddedLaterIsFilledAndEditsStay(t *testing.T) {
	t.Parallel()
	for _, abilities := range []string{"plain", "lookup", "versions"} {
		t.Run(abilities, func(t *testing.T) {
			t.Parallel()
			s := newShelf(20)
			s.abilities, s.page = abilities, 6
			l := mustLibrary(t, s)
			l.start(t)
			sn := l.narrow(t)
			l.setTitle(t, sn, 1, "mine")
			s.put(2, "theirs", "10")
			s.remove(3)
			l.ends(t, l.addTables(t, sn, l.books("title", "price")).ID, "done")
			l.wantPrices(t, sn, 19)
			if got := l.mustRow(t, sn, 1); got.Values[0].Text != "mine" || len(got.Conflicts) != 0 {
				t.Errorf("the edited record is %+v", got)
			}
			if got := l.mustRow(t, sn, 2); got.Values[0].Text != "theirs" {
				t.Errorf("the record that was changed there is %+v", got)
			}
			if l.row(t, sn, 3) == nil {
				t.Error("a record was removed that only a refresh may remove")
			}
			if n, _ := l.batches(t, sn, "refresh"); n != 1 {
				t.Errorf("it is %d lines of the history", n)
			}
			if left := l.seenRows(t, sn); left != 0 {
				t.Errorf("%d pages of seen ids are left behind", left)
			}
		})
	}
}

func TestAddingAColumnGoesOnWhereItsWorkerDied(t *testing.T) {
	t.Parallel()
	s := newShelf(30)
	s.page, s.abilities = 6, "versions"
	l := mustLibrary(t, s)
	r := l.start(t)
	sn := l.narrow(t)
	r.Stop()
	dead, wake := l.startFrozen(t, "download.merged", 3)
	j := l.addTables(t, sn, l.books("price"))
	<-dead
	if price, _ := l.table(t, sn).ColumnBySlug("price"); price.Filled {
		t.Error("half a column counts as filled")
	}
	l.start(t)
	l.ends(t, j.ID, "done")
	wake()
	l.wantPrices(t, sn, 30)
	if n, _ := l.batches(t, sn, "refresh"); n != 1 {
		t.Errorf("it is %d lines of the history", n)
	}
}

// TestAColumnThatIsAddedDuringARefreshIsNotTakenForFilled adds a column between two pages, and cancels its own download: the
// next refresh reads it, though no record has another version.
func TestAColumnThatIsAddedDuringARefreshIsNotTakenForFilled(t *testing.T) {
	t.Parallel()
	s := newShelf(20)
	s.page, s.abilities = 6, "versions"
	l := mustLibrary(t, s)
	l.start(t)
	sn := l.narrow(t)
	added := make(chan store.Job, 1)
	s.mu.Lock()
	before := s.reads
	s.onRead = func(_ context.Context, n int) error {
		if n != before+2 {
			return nil
		}
		j, err := l.AddTables(context.Background(), l.by, sn.ID, []store.NewTable{l.books("price")})
		if err == nil {
			_, err = l.CancelJob(context.Background(), l.by, j.ID)
		}
		added <- j
		return err
	}
	s.mu.Unlock()
	l.ends(t, l.refresh(t, sn).ID, "done")
	l.ends(t, (<-added).ID, "cancelled")
	if price, _ := l.table(t, sn).ColumnBySlug("price"); price.Filled {
		t.Fatal("the column counts as filled")
	}
	l.ends(t, l.refresh(t, sn).ID, "done")
	l.wantPrices(t, sn, 20)
}

func TestATableThatIsAddedLaterIsDownloaded(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, newShelf(5))
	l.start(t)
	sn := l.narrow(t)
	journals := l.books("title", "price")
	journals.RemoteID, journals.Title = "journals", "Journals"
	l.ends(t, l.addTables(t, sn, journals, l.books("price")).ID, "done")
	l.wantPrices(t, sn, 5)
	got, err := l.SnapshotByID(t.Context(), l.by, sn.ID)
	if err != nil || len(got.Tables) != 2 || got.Tables[1].Title != "Journals" || got.Tables[1].Slug != "journals" || got.Tables[1].DownloadedAt == nil {
		t.Fatalf("the tables are %+v, %v", got.Tables, err)
	}
	wantCount(t, "records of the new table", got.Tables[1].Counts.Records, 5)
}
