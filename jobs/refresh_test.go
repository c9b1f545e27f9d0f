package jobs

import (
	"context"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// downloaded gives a library whose snapshot holds what the shelf does.
func downloaded(t *testing.T, s *shelf) (*library, store.Snapshot) {
	t.Helper()
	l := mustLibrary(t, s)
	l.start(t)
	sn, j := l.snapshot(t)
	l.ends(t, j.ID, "done")
	return l, sn
}

func TestADownloadTakesEverythingAndTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	s := newShelf(2345)
	l, sn := downloaded(t, s)
	tb := l.table(t, sn)
	wantCount(t, "records", tb.Counts.Records, 2345)
	if tb.DownloadedAt == nil {
		t.Error("the table does not say when it was downloaded")
	}
	list, err := l.Jobs(t.Context(), l.by, store.JobsFilter{})
	if err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	p := list[0].Progress
	if p.Done != 2345 || p.Total == nil || *p.Total != 2345 || len(p.Tables) != 1 || p.Tables[0].State != "done" || p.Tables[0].Done != 2345 {
		t.Errorf("progress is %+v", p)
	}
	if n, records := l.batches(t, sn, "download"); n != 1 || records != 2345 {
		t.Errorf("the history has %d downloads of %d records", n, records)
	}
	if _, err := l.UndoNext(t.Context(), l.by, sn.ID); core.CodeOf(err) != core.Conflict {
		t.Errorf("a download can be undone: %v", err)
	}
	if n := l.hints.count(func(h core.Hint) bool { return h.Kind == "change" && h.Table == tb.ID && h.Many }); n < 3 {
		t.Errorf("browsers were told %d times that records came", n)
	}
	if s.open != 0 {
		t.Errorf("%d sessions were left open", s.open)
	}
}

func TestADownloadGoesOnExactlyWhereItsWorkerDied(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"download.read", "download.merged", "download.ended"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newShelf(1000)
			s.page = 100
			l := mustLibrary(t, s)
			nth := 4
			if point == "download.ended" {
				nth = 1
			}
			dead, wake := l.startFrozen(t, point, nth)
			sn, j := l.snapshot(t)
			<-dead
			l.start(t)
			l.ends(t, j.ID, "done")
			wake()
			tb := l.table(t, sn)
			wantCount(t, "records", tb.Counts.Records, 1000)
			rows, err := l.FirstRows(t.Context(), l.by, tb.Ref(), store.View{}, 2000, store.RowOptions{})
			if err != nil || len(rows) != 1000 {
				t.Fatalf("%d rows: %v", len(rows), err)
			}
			if got := l.job(t, j.ID); got.Progress.Done != 1000 || got.State != "done" {
				t.Errorf("the job is %s at %d", got.State, got.Progress.Done)
			}
			if reads := s.reads; reads > 12 {
				t.Errorf("10 pages took %d reads: it did not go on where it was", reads)
			}
			if batches, records := l.batches(t, sn, "download"); batches != 1 || records != 1000 {
				t.Errorf("the history has %d downloads of %d records", batches, records)
			}
		})
	}
}

func TestACancelledDownloadKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	s := newShelf(500)
	s.page = 50
	l := mustLibrary(t, s)
	reached, goOn := make(chan struct{}), make(chan struct{})
	s.onRead = func(_ context.Context, n int) error {
		if n == 4 {
			close(reached)
			<-goOn
		}
		return nil
	}
	l.options.Timings.Lease = 20 * time.Second
	l.start(t)
	sn, j := l.snapshot(t)
	<-reached
	if _, err := l.CancelJob(t.Context(), l.by, j.ID); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	l.ends(t, j.ID, "cancelled")
	wantCount(t, "records", l.table(t, sn).Counts.Records, 200)
	s.onRead = nil
	if sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done")); sum.New != 300 {
		t.Errorf("a refresh then brought %+v", sum)
	}
	wantCount(t, "records", l.table(t, sn).Counts.Records, 500)
}

// A refresh meets every combination of what happened here and there, whatever the service can tell.
func TestARefreshMergesThreeWays(t *testing.T) {
	t.Parallel()
	type after struct {
		title, base, conflict string
		state                 core.RecordState
		record                string // conflict of the whole record
		gone                  bool
	}
	type step struct {
		here  func(l *library, t *testing.T, sn store.Snapshot)
		there func(s *shelf)
		want  after
		sum   store.MergeCounts
		c     [4]int64 // records, edits, deleted, conflicts
	}
	edit := func(title string) func(l *library, t *testing.T, sn store.Snapshot) {
		return func(l *library, t *testing.T, sn store.Snapshot) { l.setTitle(t, sn, 1, title) }
	}
	deleted := func(l *library, t *testing.T, sn store.Snapshot) { l.deleteHere(t, sn, 1) }
	nothing := func(*library, *testing.T, store.Snapshot) {}
	put := func(title string) func(s *shelf) { return func(s *shelf) { s.put(1, title, "10") } }
	remove := func(s *shelf) { s.remove(1) }
	same := func(*shelf) {}
	shared := mustLibrary(t, nil)
	shared.start(t)
	for name, steps := range map[string][]step{
		"nothing happened":          {{nothing, same, after{title: "Book 1"}, store.MergeCounts{}, [4]int64{3, 0, 0, 0}}},
		"edited here":               {{edit("mine"), same, after{title: "mine", base: "Book 1"}, store.MergeCounts{}, [4]int64{3, 1, 0, 0}}},
		"changed there":             {{nothing, put("theirs"), after{title: "theirs"}, store.MergeCounts{Changed: 1}, [4]int64{3, 0, 0, 0}}},
		"another field there":       {{edit("mine"), func(s *shelf) { s.put(1, "Book 1", "12") }, after{title: "mine", base: "Book 1"}, store.MergeCounts{Changed: 1}, [4]int64{3, 1, 0, 0}}},
		"changed to the same":       {{edit("equal"), put("equal"), after{title: "equal"}, store.MergeCounts{}, [4]int64{3, 0, 0, 0}}},
		"changed on both sides":     {{edit("mine"), put("theirs"), after{title: "mine", base: "Book 1", conflict: "theirs"}, store.MergeCounts{Conflicts: 1}, [4]int64{3, 1, 0, 1}}},
		"deleted there, clean here": {{nothing, remove, after{gone: true}, store.MergeCounts{Deleted: 1}, [4]int64{2, 0, 0, 0}}},
		"deleted on both sides":     {{deleted, remove, after{gone: true}, store.MergeCounts{Deleted: 1}, [4]int64{2, 0, 0, 0}}},
		"deleted here":              {{deleted, same, after{title: "Book 1", state: core.Deleted}, store.MergeCounts{}, [4]int64{2, 0, 1, 0}}},
		"deleted here, changed there": {{deleted, put("theirs"), after{title: "Book 1", state: core.Deleted, conflict: "theirs", record: "changed_there"}, store.MergeCounts{Conflicts: 1}, [4]int64{2, 0, 1, 1}},
			{nothing, same, after{title: "Book 1", state: core.Deleted, conflict: "theirs", record: "changed_there"}, store.MergeCounts{}, [4]int64{2, 0, 1, 1}},
			{nothing, put("Book 1"), after{title: "Book 1", state: core.Deleted}, store.MergeCounts{}, [4]int64{2, 0, 1, 0}}},
		"deleted there, edited here": {{edit("mine"), remove, after{title: "mine", base: "Book 1", record: "deleted_there"}, store.MergeCounts{Conflicts: 1}, [4]int64{3, 1, 0, 1}},
			{nothing, same, after{title: "mine", base: "Book 1", record: "deleted_there"}, store.MergeCounts{}, [4]int64{3, 1, 0, 1}},
			{nothing, put("Book 1"), after{title: "mine", base: "Book 1"}, store.MergeCounts{}, [4]int64{3, 1, 0, 0}}},
		"a conflict moves on, then goes": {{edit("mine"), put("theirs"), after{title: "mine", base: "Book 1", conflict: "theirs"}, store.MergeCounts{Conflicts: 1}, [4]int64{3, 1, 0, 1}},
			{nothing, same, after{title: "mine", base: "Book 1", conflict: "theirs"}, store.MergeCounts{}, [4]int64{3, 1, 0, 1}},
			{nothing, put("theirs 2"), after{title: "mine", base: "Book 1", conflict: "theirs 2"}, store.MergeCounts{Conflicts: 1}, [4]int64{3, 1, 0, 1}},
			{nothing, put("Book 1"), after{title: "mine", base: "Book 1"}, store.MergeCounts{}, [4]int64{3, 1, 0, 0}}},
		"a conflict ends when the service takes mine": {{edit("mine"), put("theirs"), after{title: "mine", base: "Book 1", conflict: "theirs"}, store.MergeCounts{Conflicts: 1}, [4]int64{3, 1, 0, 1}},
			{nothing, put("mine"), after{title: "mine"}, store.MergeCounts{}, [4]int64{3, 0, 0, 0}}},
		"new there": {{nothing, func(s *shelf) { s.put(77, "new", "1") }, after{title: "Book 1"}, store.MergeCounts{New: 1}, [4]int64{4, 0, 0, 0}}},
	} {
		for _, abilities := range []string{"plain", "lookup", "versions"} {
			t.Run(name+"/"+abilities, func(t *testing.T) {
				t.Parallel()
				s := newShelf(3)
				s.abilities = abilities
				l := shared.with(t, s)
				sn, j := l.snapshot(t)
				l.ends(t, j.ID, "done")
				for i, st := range steps {
					st.here(l, t, sn)
					st.there(s)
					sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done"))
					sum.Batch, sum.Held = 0, 0
					if sum.MergeCounts != st.sum {
						t.Errorf("step %d: the summary is %+v, want %+v", i, sum.MergeCounts, st.sum)
					}
					got := after{gone: true}
					if r := l.row(t, sn, 1); r != nil {
						title := l.table(t, sn).Columns[0].Number
						got = after{title: r.Values[0].Text, base: r.Base[title].Text, conflict: r.Conflicts[title].Text, state: r.State, record: r.RecordConflict}
					}
					if got != st.want {
						t.Errorf("step %d: the record is %+v, want %+v", i, got, st.want)
					}
					c := l.table(t, sn).Counts
					if counts := [4]int64{*c.Records, *c.Edits, *c.Deleted, *c.Conflicts}; counts != st.c {
						t.Errorf("step %d: records, edits, deleted, conflicts are %v, want %v", i, counts, st.c)
					}
				}
			})
		}
	}
}

func TestARefreshLeavesRecordsAloneThatWaitToBeCreated(t *testing.T) {
	t.Parallel()
	s := newShelf(3)
	l, sn := downloaded(t, s)
	tb := l.table(t, sn)
	res, err := l.ApplyChanges(t.Context(), l.by, tb.Ref(), store.Changes{Creates: []store.NewRecord{{Values: map[int]core.Value{tb.Columns[0].Number: core.TextValue("mine")}}}}, store.ChangeOptions{})
	if err != nil || len(res.Created) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	l.ends(t, l.refresh(t, sn).ID, "done")
	rows, err := l.Rows(t.Context(), l.by, tb.Ref(), res.Created, store.RowOptions{})
	if err != nil || len(rows) != 1 || rows[0].State != core.Created || rows[0].Values[0].Text != "mine" {
		t.Errorf("the created record is %+v: %v", rows, err)
	}
}

func TestARefreshAsksOnlyForWhatDiffers(t *testing.T) {
	t.Parallel()
	s := newShelf(200)
	s.abilities = "versions"
	l, sn := downloaded(t, s)
	s.mu.Lock()
	s.read = 0
	s.mu.Unlock()
	for _, i := range []int{3, 50, 51, 52, 53, 54, 55, 56, 57, 58} {
		s.put(i, "changed", "11")
	}
	if sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done")); sum.Changed != 10 {
		t.Errorf("the summary is %+v", sum)
	}
	if s.read != 10 {
		t.Errorf("%d records were read for 10 that differ", s.read)
	}
	if n, _ := l.batches(t, sn, "refresh"); n != 1 {
		t.Errorf("one refresh is %d lines of the history", n)
	}
	if sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done")); sum.MergeCounts != (store.MergeCounts{}) || s.read != 10 {
		t.Errorf("a second refresh read %d records and did %+v", s.read-10, sum)
	}
}

// A refresh of what nobody changed asks for one sum; whatever differs, here or there, is found by reading.
func TestARefreshOfWhatNobodyChangedReadsNothing(t *testing.T) {
	t.Parallel()
	s := newShelf(200)
	s.abilities = "digest"
	l, sn := downloaded(t, s)
	l.setTitle(t, sn, 7, "mine")
	refreshed := func(reads int, want store.MergeCounts) {
		t.Helper()
		before, digests := s.reads, s.digests
		j := l.ends(t, l.refresh(t, sn).ID, "done")
		if sum := sums(t, j); sum.MergeCounts != want {
			t.Errorf("the summary is %+v, want %+v", sum.MergeCounts, want)
		}
		if n := int64(len(s.books)); j.Progress.Done != n || j.Progress.Total == nil || *j.Progress.Total != n || j.Progress.Tables[0].State != "done" {
			t.Errorf("the progress is %+v", j.Progress)
		}
		if s.reads-before != reads || s.digests-digests != 1 {
			t.Errorf("%d pages and %d digests were asked for, want %d and 1", s.reads-before, s.digests-digests, reads)
		}
		if n := l.seenRows(t, sn); n != 0 {
			t.Errorf("%d pages of ids are left", n)
		}
	}
	refreshed(0, store.MergeCounts{})
	s.put(3, "changed", "11")
	refreshed(1, store.MergeCounts{Changed: 1})
	refreshed(0, store.MergeCounts{})
	s.put(500, "new", "1")
	s.remove(4)
	refreshed(1, store.MergeCounts{New: 1, Deleted: 1})
	s.remove(7) // edited here: its conflict waits for a person, and is no difference any more
	refreshed(1, store.MergeCounts{Conflicts: 1})
	refreshed(0, store.MergeCounts{})
	s.put(7, "back", "10")
	refreshed(1, store.MergeCounts{Conflicts: 1})
	refreshed(0, store.MergeCounts{})
	s.reckoner = "postgres://127.0.0.1:1/nobody" // no digest: it is read as if there were none
	refreshed(1, store.MergeCounts{})
}

func TestManyRemovalsWaitForAPerson(t *testing.T) {
	t.Parallel()
	for _, abilities := range []string{"plain", "lookup", "versions"} {
		t.Run(abilities, func(t *testing.T) {
			t.Parallel()
			s := newShelf(100)
			s.abilities = abilities
			l, sn := downloaded(t, s)
			for i := range 30 {
				s.remove(i)
			}
			j := l.waitsFor(t, l.refresh(t, sn).ID, "person")
			wantCount(t, "records", l.table(t, sn).Counts.Records, 100)
			if !contains(string(j.Result), "30 of the 100 records") {
				t.Errorf("it asks %s", j.Result)
			}
			if again := l.refresh(t, sn); again.ID != j.ID {
				t.Error("a second refresh was made while one waits")
			}
			if _, err := l.ContinueJob(t.Context(), l.by, j.ID); err != nil {
				t.Fatal(err)
			}
			if sum := sums(t, l.ends(t, j.ID, "done")); sum.Deleted != 30 {
				t.Errorf("the summary is %+v", sum)
			}
			wantCount(t, "records", l.table(t, sn).Counts.Records, 70)
		})
	}
}

func TestTwentyRemovalsAreMadeWithoutAsking(t *testing.T) {
	t.Parallel()
	s := newShelf(40)
	l, sn := downloaded(t, s)
	for i := range 20 {
		s.remove(i)
	}
	if sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done")); sum.Deleted != 20 {
		t.Errorf("the summary is %+v", sum)
	}
}

// A service that shows less than everything never looks like deletions.
func TestAShortAnswerDeletesNothing(t *testing.T) {
	t.Parallel()
	revoked := &connectors.Fault{Kind: connectors.SignedOut, Words: "token revoked"}
	for name, c := range map[string]struct {
		abilities string
		spoil     func(s *shelf)
		state     string
	}{
		"a listing that leaves records out": {"lookup", func(s *shelf) { s.answer = func(ids []string) []string { return ids[:1] } }, "done"},
		"an empty listing":                  {"versions", func(s *shelf) { s.answer = func([]string) []string { return nil } }, "done"},
		"a revoked token that lists nothing": {"plain", func(s *shelf) {
			s.answer = func([]string) []string { return nil }
			s.onTest = func() error { return revoked }
		}, "failed"},
		"a token revoked between listing and end": {"plain", func(s *shelf) {
			n := 0
			s.answer = func([]string) []string { return nil }
			s.onTest = func() error {
				if n++; n > 1 {
					return revoked
				}
				return nil
			}
		}, "failed"},
		"a page that fails in the middle": {"lookup", func(s *shelf) {
			s.page = 2
			s.onRead = func(_ context.Context, n int) error {
				if n > 4 {
					return revoked
				}
				return nil
			}
		}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(9)
			s.abilities = c.abilities
			l, sn := downloaded(t, s)
			s.reads = 0
			c.spoil(s)
			j := l.ends(t, l.refresh(t, sn).ID, c.state)
			wantCount(t, "records", l.table(t, sn).Counts.Records, 9)
			con, err := l.ConnectionByID(t.Context(), l.by, l.con.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.state == "failed" && (!contains(j.Error.Sentence, "token revoked") || con.Health != "failing") {
				t.Errorf("it says %+v; the connection is %s", j.Error, con.Health)
			}
		})
	}
}

func TestARefreshGoesOnWhereItsWorkerDied(t *testing.T) {
	t.Parallel()
	for _, abilities := range []string{"plain", "versions"} {
		for point, nth := range map[string]int{"download.merged": 3, "refresh.removed": 1, "download.ended": 1} {
			t.Run(abilities+"/"+point, func(t *testing.T) {
				t.Parallel()
				s := newShelf(60)
				s.page, s.abilities = 10, abilities
				l := mustLibrary(t, s)
				r := l.start(t)
				sn, download := l.snapshot(t)
				l.ends(t, download.ID, "done")
				r.Stop()
				s.remove(5)
				s.put(1, "theirs", "10")
				l.setTitle(t, sn, 1, "mine")
				s.put(40, "changed", "10")
				dead, wake := l.startFrozen(t, point, nth)
				j := l.refresh(t, sn)
				<-dead
				l.start(t)
				sum := sums(t, l.ends(t, j.ID, "done"))
				wake()
				if sum.MergeCounts != (store.MergeCounts{Changed: 1, Deleted: 1, Conflicts: 1}) {
					t.Errorf("the summary is %+v", sum.MergeCounts)
				}
				c := l.table(t, sn).Counts
				wantCount(t, "records", c.Records, 59)
				wantCount(t, "conflicts", c.Conflicts, 1)
				if r := l.mustRow(t, sn, 1); r.Values[0].Text != "mine" || len(r.Conflicts) != 1 {
					t.Errorf("the edited record is %+v", r)
				}
				if n, _ := l.batches(t, sn, "refresh"); n != 1 {
					t.Errorf("one refresh is %d lines of the history", n)
				}
				if left := l.seenRows(t, sn); left != 0 {
					t.Errorf("%d pages of seen ids are left behind", left)
				}
			})
		}
	}
}

func TestAColumnWhoseTypeChangedThereWaitsAndTheOthersAreRefreshed(t *testing.T) {
	t.Parallel()
	s := newShelf(3)
	l, sn := downloaded(t, s)
	s.mu.Lock()
	s.priceType = core.Text
	s.mu.Unlock()
	s.put(1, "changed", "ten")
	if sum := sums(t, l.ends(t, l.refresh(t, sn).ID, "done")); sum.Schema != 1 || sum.Changed != 1 {
		t.Errorf("the summary is %+v", sum)
	}
	if r := l.mustRow(t, sn, 1); r.Values[0].Text != "changed" || r.Values[1].Text == "ten" {
		t.Errorf("the record is %+v", r.Values)
	}
}

func TestAValueThatDoesNotFitIsNotTaken(t *testing.T) {
	t.Parallel()
	s := newShelf(3)
	l, sn := downloaded(t, s)
	s.put(1, "changed", "ten")
	if j := l.ends(t, l.refresh(t, sn).ID, "failed"); !contains(j.Error.Sentence, "Books does not fit") {
		t.Errorf("it says %+v", j.Error)
	}
	if got := l.mustRow(t, sn, 1).Values[0].Text; got != "Book 1" {
		t.Errorf("half a page was taken: %s", got)
	}
}

func TestWhatPostgresCannotStoreIsReplaced(t *testing.T) {
	t.Parallel()
	s := newShelf(1)
	s.put(0, "a\x00b\xffc", "1")
	l, sn := downloaded(t, s)
	if got := l.mustRow(t, sn, 0).Values[0].Text; got != "a\ufffdb\ufffdc" {
		t.Errorf("it became %q", got)
	}
}

func TestSuggestionsOfRemovedRecordsAreClosed(t *testing.T) {
	t.Parallel()
	s := newShelf(3)
	l, sn := downloaded(t, s)
	tb := l.table(t, sn)
	_, err := l.ApplyChanges(t.Context(), l.by, tb.Ref(), store.Changes{Sets: []store.CellEdit{{Record: l.mustRow(t, sn, 1).ID, Column: tb.Columns[0].Number, Value: core.TextValue("better")}}},
		store.ChangeOptions{Suggest: true})
	if err != nil {
		t.Fatal(err)
	}
	wantCount(t, "suggestions", l.table(t, sn).Counts.Suggestions, 1)
	s.remove(1)
	l.ends(t, l.refresh(t, sn).ID, "done")
	wantCount(t, "suggestions", l.table(t, sn).Counts.Suggestions, 0)
	if list, _, err := l.Suggestions(t.Context(), l.by, tb.Ref(), store.Where{}, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("%d suggestions are left: %v", len(list), err)
	}
}

func TestAPageIsAsLargeAsItsMergeIsQuick(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size, records int
		held          time.Duration
		want          int
	}{
		{500, 500, pageHold / 2, 1000}, {500, 500, pageHold / 20, 1000}, {500, 500, pageHold, 500}, {1000, 1000, 2 * pageHold, 500}, {1000, 1000, 20 * pageHold, 500},
		{1000, 300, pageHold / 4, 1000}, {100, 100, time.Second, smallPage}, {largePage, largePage, time.Millisecond, largePage}, {500, 0, 0, 500},
	} {
		if got := fitted(c.size, c.records, c.held); got != c.want {
			t.Errorf("after %d of %d records in %s the next page has %d, want %d", c.records, c.size, c.held, got, c.want)
		}
	}
}
