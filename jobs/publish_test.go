package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

func TestWhatAStopCutsOffIsWrittenDownAndNotSentTwice(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Ours"))
	made := c.create(c.books, "title", "New", "author", "2")
	dead, wake := c.startFrozen(t, "publish.acted", 1) // it stops when the service has created the record
	p := c.plan()
	j := c.publish(p)
	<-dead
	wake() // stops the process while the request's answer is not written down: what it knows is kept
	c.start(t)
	c.ends(t, j.ID, "done")
	c.wantState(p, book, "published")
	c.wantState(p, made, "published")
	c.wantShop("books", "1", "title", "Ours")
	if n := c.shop.count("books"); n != 10 {
		t.Errorf("the service has %d books, want 10", n)
	}
	if it := c.items(p)[made]; it.Attempts != 1 {
		t.Errorf("it was sent %d times", it.Attempts)
	}
}

func TestAnOutcomeThatCannotBeWrittenDownIsUnknownAndJudged(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Ours"))
	made := c.create(c.books, "title", "New", "author", "2")
	receipts := pgx.Identifier{c.sn.Schema, "_receipts"}.Sanitize()
	c.shop.after = func(string, []connectors.Write) error {
		_, err := c.Pool().Exec(t.Context(), "alter table "+receipts+" rename to hidden")
		return err
	}
	c.start(t)
	p := c.plan()
	c.ends(t, c.publish(p).ID, "failed")
	c.shop.after = nil
	if _, err := c.Pool().Exec(t.Context(), "alter table "+pgx.Identifier{c.sn.Schema, "hidden"}.Sanitize()+" rename to _receipts"); err != nil {
		t.Fatal(err)
	}
	c.wantState(p, made, "unknown")
	j, err := c.RetryPlan(t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	c.wantState(p, made, "published")
	c.wantState(p, book, "published")
	if n := c.shop.count("books"); n != 10 {
		t.Errorf("the service has %d books, want 10", n)
	}
}

func TestACancelledPublishLeavesNothingInSending(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	made := c.create(c.books, "title", "New")
	p := c.plan()
	j := c.publish(p)
	taken, _, err := c.TakeJob(t.Context(), j.ID, "worker", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if items, err := c.ClaimItems(t.Context(), taken, c.at(c.books), p.ID, store.Claim{Op: "create", Limit: 10}); err != nil || len(items) != 1 {
		t.Fatalf("claimed %d: %v", len(items), err)
	}
	if err := c.EndSlice(t.Context(), taken, store.JobEnd{State: "queued"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CancelJob(t.Context(), c.by, j.ID); err != nil {
		t.Fatal(err)
	}
	c.wantState(p, made, "unknown")
	if p = c.again(p); p.State != "done" {
		t.Errorf("the plan is %s", p.State)
	}
}

func TestAnOutcomeOfAnEarlierSendingChangesNothing(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Ours"))
	p := c.plan()
	j := c.publish(p)
	taken, _, err := c.TakeJob(t.Context(), j.ID, "worker", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	tb := c.at(c.books)
	first, err := c.ClaimItems(t.Context(), taken, tb, p.ID, store.Claim{Op: "update", Limit: 10})
	if err != nil || len(first) != 1 {
		t.Fatalf("claimed %d: %v", len(first), err)
	}
	if err := c.SaveOutcomes(t.Context(), tb, []store.ItemOutcome{{Item: first[0].ID, Attempt: 1, State: "planned"}}); err != nil {
		t.Fatal(err)
	}
	if again, err := c.ClaimItems(t.Context(), taken, tb, p.ID, store.Claim{Op: "update", Limit: 10}); err != nil || len(again) != 1 || again[0].Attempts != 2 {
		t.Fatalf("claimed %+v: %v", again, err)
	}
	if err := c.SaveOutcomes(t.Context(), tb, []store.ItemOutcome{{Item: first[0].ID, Attempt: 1, State: "failed", Reason: "late"}}); err != nil {
		t.Fatal(err)
	}
	if it := c.items(p)[book]; it.State != "sending" || it.Receipt != nil {
		t.Errorf("the outcome of the first sending made it %s: %+v", it.State, it.Receipt)
	}
}

func TestACreateThatAnotherPlanIsSendingStaysPlanned(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	made, other := c.create(c.books, "title", "New"), c.create(c.books, "title", "Another")
	one, two := c.plan(), c.plan()
	c.publish(one)
	j := c.publish(two)
	taken, _, err := c.TakeJob(t.Context(), j.ID, "worker", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	// The first plan's claim is not committed yet when the second one's begins.
	tx, err := c.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	items := pgx.Identifier{c.sn.Schema, "_publish_items"}.Sanitize()
	if _, err := tx.Exec(t.Context(), "update "+items+" set state = 'sending', sent_at = now() where plan = $1 and record = $2", one.ID, made); err != nil {
		t.Fatal(err)
	}
	type claim struct {
		items []store.Item
		err   error
	}
	claimed := make(chan claim, 1)
	go func() {
		list, err := c.ClaimItems(t.Context(), taken, c.at(c.books), two.ID, store.Claim{Op: "create", Limit: 1})
		claimed <- claim{list, err}
	}()
	c.wait(t, "the second claim waits for the first", func() bool {
		var n int
		err := c.Pool().QueryRow(t.Context(), "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").Scan(&n)
		return err == nil && n > 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := <-claimed
	if got.err != nil || len(got.items) != 1 || got.items[0].Record != other {
		t.Fatalf("claimed %+v: %v", got.items, got.err)
	}
	c.wantState(two, made, "planned")
}

func TestATextThatLooksLikeAReferenceIsSent(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("~12 books"))
	c.start(t)
	c.wantState(c.published(), book, "published")
	c.wantShop("books", "1", "title", "~12 books")
}

func TestReferencesToNewRecordsBecomeTheirIDs(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	author, second := c.create(c.authors, "name", "New author"), c.create(c.authors, "name", "Second author")
	ref, more := fmt.Sprintf("~%d", author), fmt.Sprintf("~%d", second)
	first := c.create(c.books, "title", "First", "author", ref)
	sequel := c.create(c.books, "title", "Sequel", "before", fmt.Sprintf("~%d", first))
	edited := c.must(c.books, "1").ID
	c.set(c.books, edited, "author", core.TextValue(ref))
	c.set(c.books, edited, "editors", core.ListValue([]string{more, "3", ref}))
	c.start(t)
	p := c.published()
	for _, record := range []int64{author, second, first, sequel, edited} {
		c.wantState(p, record, "published")
	}
	items := c.items(p)
	a, s := items[author].RemoteID, items[second].RemoteID
	c.wantShop("books", items[first].RemoteID, "author", a)
	c.wantShop("books", items[sequel].RemoteID, "before", items[first].RemoteID)
	c.wantShop("books", "1", "author", a)
	c.wantShop("books", "1", "editors", s+", 3, "+a)
	r := c.must(c.books, "1")
	if got := c.text(c.books, r, "editors"); got != s+", 3, "+a || len(r.Base) != 0 {
		t.Errorf("the list of references is %q here, with the bases %v", got, r.Base)
	}
}

func TestAReferenceThatIsEditedWhileItWaitsIsSentAsItWasShown(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	author := c.create(c.authors, "name", "New author")
	book := c.create(c.books, "title", "New", "author", fmt.Sprintf("~%d", author))
	c.shop.after = func(op string, writes []connectors.Write) error {
		if op == "create" && writes[0].Values["name"].Text != "" {
			c.set(c.books, book, "author", core.TextValue("3")) // after the plan was made
		}
		return nil
	}
	c.start(t)
	p := c.published()
	items := c.items(p)
	c.wantShop("books", items[book].RemoteID, "author", items[author].RemoteID)
	r := c.must(c.books, items[book].RemoteID)
	if c.text(c.books, r, "author") != "3" || len(r.Base) != 1 {
		t.Errorf("the later edit is %q with the bases %v", c.text(c.books, r, "author"), r.Base)
	}
}

func TestAChangeBetweenLookAndWriteIsAConflictOfItsFieldOnly(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	same, other := c.must(c.books, "1").ID, c.must(c.books, "2").ID
	c.set(c.books, same, "title", core.TextValue("Ours 1"))
	c.set(c.books, other, "title", core.TextValue("Ours 2"))
	var once atomic.Bool
	c.shop.before = func(string, []connectors.Write) error {
		if once.CompareAndSwap(false, true) {
			c.shop.put("books", "1", "title", "Theirs")
			c.shop.put("books", "2", "author", "3")
		}
		return nil
	}
	c.start(t)
	p := c.published()
	c.wantState(p, same, "conflict")
	c.wantState(p, other, "published")
	c.wantShop("books", "1", "title", "Theirs")
	c.wantShop("books", "2", "title", "Ours 2")
	c.wantShop("books", "2", "author", "3")
	title, _ := c.at(c.books).ColumnBySlug("title")
	if r := c.must(c.books, "1"); r.Conflicts[title.Number].Text != "Theirs" {
		t.Errorf("the conflict is not shown in the record: %+v", r)
	}
	if r := c.must(c.books, "2"); c.text(c.books, r, "author") != "3" || len(r.Base) != 0 {
		t.Errorf("what the service changed beside ours is not here: %+v", r)
	}
}

func TestADeleteThatFindsNothingIsDoneWhenTheCredentialIsAlive(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.deleteRecord(c.books, book)
	c.shop.onLook = func([]string) []string { return nil } // as a dead token is answered
	c.shop.onTest = func() error { return &connectors.Fault{Kind: connectors.SignedOut, Words: "Who are you?"} }
	c.start(t)
	p := c.plan()
	c.ends(t, c.publish(p).ID, "failed")
	c.wantState(p, book, "planned")
	if c.record(c.books, "1") == nil {
		t.Error("the record has left the snapshot")
	}
	c.shop.onLook, c.shop.onTest = nil, nil
	c.shop.remove("books", "1")
	j, err := c.RetryPlan(t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	c.wantState(p, book, "published")
	if c.record(c.books, "1") != nil {
		t.Error("the record is still in the snapshot")
	}
}

func TestARefusedBatchIsSplitToFindTheRecordAtFault(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	ids := map[string]int64{}
	for _, remote := range []string{"1", "2", "3", "4"} {
		ids[remote] = c.must(c.books, remote).ID
		c.set(c.books, ids[remote], "title", core.TextValue("Ours "+remote))
	}
	c.shop.before = func(_ string, writes []connectors.Write) error {
		for _, w := range writes {
			if w.ID == "3" {
				return &connectors.Fault{Kind: connectors.RefusedRecord, Words: "I do not like it."}
			}
		}
		return nil
	}
	c.start(t)
	p := c.published()
	for remote, id := range ids {
		want := "published"
		if remote == "3" {
			want = "failed"
		}
		c.wantState(p, id, want)
	}
	if it := c.items(p)[ids["3"]]; !strings.Contains(it.Reason, "I do not like it.") {
		t.Errorf("it failed with %q", it.Reason)
	}
	if got, want := c.shop.requests(), []string{"update books 1,2,3,4", "update books 1,2", "update books 3,4", "update books 3", "update books 4"}; !slices.Equal(got, want) {
		t.Errorf("the requests were %q, want %q", got, want)
	}
}

func TestAHalfThatBreaksOffGivesTheOtherBack(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	var ids []int64
	for _, remote := range []string{"1", "2", "3", "4"} {
		ids = append(ids, c.must(c.books, remote).ID)
		c.set(c.books, ids[len(ids)-1], "title", core.TextValue("Ours "+remote))
	}
	refused := errors.New("cut")
	var n atomic.Int64
	c.shop.before = func(string, []connectors.Write) error {
		switch n.Add(1) {
		case 1:
			return &connectors.Fault{Kind: connectors.RefusedRecord, Words: "One of them."}
		case 2:
			return &connectors.Fault{Kind: connectors.Unavailable, Words: "Cut.", Cause: refused}
		}
		return nil
	}
	c.start(t)
	p := c.published()
	for i, id := range ids {
		c.wantState(p, id, "published")
		if it := c.items(p)[id]; i >= 2 && it.Attempts != 2 {
			t.Errorf("record %d was sent %d times, want 2: it was given back", id, it.Attempts)
		}
	}
}

func TestCreatesWhoseAnswersWereLostCountOfAreNotSentAgain(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	var made []int64
	for i := range 3 {
		made = append(made, c.create(c.books, "title", fmt.Sprintf("New %d", i)))
	}
	c.shop.answers = func(op string, out []connectors.Outcome) []connectors.Outcome { return out[:len(out)-1] }
	c.start(t)
	p := c.published()
	for _, id := range made {
		c.wantState(p, id, "published")
	}
	if n := c.shop.count("books"); n != 12 {
		t.Errorf("the service has %d books, want 12", n)
	}
}

func TestADeleteWhoseAnswerWasLostCanBeReverted(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "2").ID
	c.deleteRecord(c.books, book)
	c.shop.after = func(string, []connectors.Write) error {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "Cut."}
	}
	c.start(t)
	p := c.published()
	c.wantState(p, book, "published")
	c.shop.after = nil
	rev, err := c.Revert(t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil || rev.Plan.Counts.Creates != 1 {
		t.Fatalf("reverted: %+v %v", rev.Plan.Counts, err)
	}
	c.ends(t, c.publish(rev.Plan).ID, "done")
	it := c.items(rev.Plan)[book]
	c.wantShop("books", it.RemoteID, "title", "Book 2")
	c.wantShop("books", it.RemoteID, "author", "1")
}

func TestARecordBroughtBackWhileItsDeleteIsSent(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	before, while := c.must(c.books, "1").ID, c.must(c.books, "9").ID
	for _, remote := range []string{"1", "2", "3", "4", "9"} {
		c.deleteRecord(c.books, c.must(c.books, remote).ID)
	}
	undelete := func(id int64) { c.apply(c.books, store.Changes{Undeletes: []store.RecordOp{{Record: id}}}) }
	c.shop.after = func(_ string, writes []connectors.Write) error {
		if writes[0].ID == "1" { // the first batch is gone; the second is not sent yet
			undelete(before)
			undelete(while)
		}
		return nil
	}
	c.start(t)
	p := c.published()
	c.wantState(p, before, "published")
	c.wantState(p, while, "left_out")
	c.wantShop("books", "9", "title", "Book 9")
	rows, err := c.Rows(t.Context(), c.by, c.books, []int64{before}, store.RowOptions{})
	if err != nil || len(rows) != 1 || rows[0].State != core.Created || rows[0].RemoteID != "" {
		t.Fatalf("the record that was brought back is %+v: %v", rows, err)
	}
	wantCount(t, "records", c.at(c.books).Counts.Records, 6)
	wantCount(t, "created", c.at(c.books).Counts.Created, 1)
	wantCount(t, "deleted", c.at(c.books).Counts.Deleted, 0)
	c.shop.after = nil
	c.wantState(c.published(), before, "published")
}

func TestARecordThatIsGoneThereIsCreatedAnewAlsoWhenWeHadCreatedIt(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	made := c.create(c.books, "title", "New")
	c.start(t)
	first := c.items(c.published())[made].RemoteID
	c.set(c.books, made, "title", core.TextValue("Newer"))
	c.shop.remove("books", first)
	j, err := c.RefreshSnapshot(t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	if _, err := c.SettleConflicts(t.Context(), c.by, c.books, store.Where{Records: []int64{made}}, "mine"); err != nil {
		t.Fatal(err)
	}
	p := c.published()
	c.wantState(p, made, "published")
	c.wantShop("books", c.items(p)[made].RemoteID, "title", "Newer")
}

func TestARefreshBetweenTwoSlicesOfAPublishLeavesItsConflictsOut(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	author, book := c.must(c.authors, "1").ID, c.must(c.books, "1").ID
	c.set(c.authors, author, "name", core.TextValue("Ours"))
	c.set(c.books, book, "title", core.TextValue("Ours"))
	p := c.plan()
	j, err := c.StartPublish(t.Context(), c.by, c.sn.ID, p.ID, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.waitsFor(t, j.ID, "person")
	c.shop.put("books", "1", "title", "Theirs")
	r, err := c.RefreshSnapshot(t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, r.ID, "done")
	editor := c.by
	editor.Role = core.Editor
	if _, err := c.ContinueJob(t.Context(), editor, j.ID); core.CodeOf(err) != core.Forbidden {
		t.Errorf("an editor lets a publish go on: %v", err)
	}
	if _, err := c.ContinueJob(t.Context(), c.by, j.ID); err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	if it := c.items(p)[book]; it.State != "left_out" || it.Reason != "conflict" {
		t.Errorf("the item is %s (%s)", it.State, it.Reason)
	}
	c.wantShop("books", "1", "title", "Theirs")
}

func TestThePublishOfAFewEndsWhenThereAreNoMore(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.set(c.books, c.must(c.books, "1").ID, "title", core.TextValue("Ours"))
	j, err := c.StartPublish(t.Context(), c.by, c.sn.ID, c.plan().ID, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.ends(t, j.ID, "done")
}

func TestARetryLeavesOutWhatWasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	undone, kept, made := c.must(c.books, "1").ID, c.must(c.books, "2").ID, c.create(c.books, "title", "New")
	c.set(c.books, undone, "title", core.TextValue("Ours 1"))
	c.set(c.books, kept, "title", core.TextValue("Ours 2"))
	c.shop.before = func(string, []connectors.Write) error {
		return &connectors.Fault{Kind: connectors.NotAllowed, Words: "Not today."}
	}
	c.start(t)
	p := c.published()
	c.wantState(p, undone, "failed")
	c.shop.before = nil
	c.set(c.books, undone, "title", core.TextValue("Book 1"))
	c.set(c.books, made, "author", core.TextValue("3"))
	j, err := c.RetryPlan(t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	c.wantState(p, kept, "published")
	for _, id := range []int64{undone, made} {
		if it := c.items(p)[id]; it.State != "left_out" || it.Reason != "changed" {
			t.Errorf("record %d is %s (%s)", id, it.State, it.Reason)
		}
	}
	c.wantShop("books", "1", "title", "Book 1")
	if n := c.shop.count("books"); n != 9 {
		t.Errorf("the service has %d books, want 9", n)
	}
}

func TestAPlanWhoseReferencesWereCreatedByAnotherIsSent(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	author := c.create(c.authors, "name", "New author")
	book := c.create(c.books, "title", "New", "author", fmt.Sprintf("~%d", author))
	authors, err := c.MakePlan(t.Context(), c.by, c.sn.ID, []string{c.authors.Table}, store.Where{})
	if err != nil {
		t.Fatal(err)
	}
	books, err := c.MakePlan(t.Context(), c.by, c.sn.ID, []string{c.books.Table}, store.Where{})
	if err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.ends(t, c.publish(authors).ID, "done")
	c.ends(t, c.publish(books).ID, "done")
	c.wantState(books, book, "published")
	c.wantShop("books", c.items(books)[book].RemoteID, "author", c.items(authors)[author].RemoteID)
}

func TestAPlanWhoseBaseHasMovedLeavesTheRecordOut(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Ours"))
	p := c.plan()
	c.shop.put("books", "1", "title", "Theirs")
	c.start(t)
	j, err := c.RefreshSnapshot(t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	if _, err := c.SettleConflicts(t.Context(), c.by, c.books, store.Where{Records: []int64{book}}, "mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.StartPublish(t.Context(), c.by, c.sn.ID, p.ID, false, 0); core.CodeOf(err) != core.Conflict {
		t.Errorf("the plan shows another change than would be made: %v", err)
	}
	c.wantState(c.published(), book, "published")
	c.wantShop("books", "1", "title", "Ours")
}

func TestAPlanOfOneTableHasItsChangesOnly(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	author, book := c.create(c.authors, "name", "New author"), c.create(c.books, "title", "New")
	for table, want := range map[string]int64{c.authors.Table: author, c.books.Table: book} {
		p, err := c.MakePlan(t.Context(), c.by, c.sn.ID, []string{table}, store.Where{})
		if err != nil {
			t.Fatal(err)
		}
		if items := c.items(p); len(items) != 1 || items[want].Op != "create" {
			t.Errorf("the plan of one table has %+v", items)
		}
	}
}

func TestARestoredRecordWhoseWorkerDiedBeforeItWasSentIsSent(t *testing.T) {
	t.Parallel()
	o := mustOffice(t, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `create table tools (id int generated by default as identity primary key, name text); insert into tools (name) values ('hammer'), ('saw')`)
		return err
	})
	sn := o.snapshotOf(t, "public.tools")
	before := o.dump(t, "public.tools", "id")
	if _, err := o.ApplyChanges(t.Context(), o.by, sn.Tables[0].Ref(), store.Changes{Deletes: []store.RecordOp{{Record: o.records(t, sn.Tables[0])[0]}}}, store.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	p := o.publishAll(t, sn)
	rev, err := o.Revert(t.Context(), o.by, sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	o.runner.Stop()
	j, err := o.StartPublish(t.Context(), o.by, sn.ID, rev.Plan.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken, _, err := o.TakeJob(t.Context(), j.ID, "dead", 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if items, err := o.ClaimItems(t.Context(), taken, sn.Tables[0], rev.Plan.ID, store.Claim{Op: "create", Limit: 10}); err != nil || len(items) != 1 {
		t.Fatalf("claimed %d: %v", len(items), err)
	}
	o.start(t)
	o.wait(t, j.ID, "done")
	if d := different(before, o.dump(t, "public.tools", "id")); len(d) != 0 {
		t.Errorf("after the revert the service differs: %v", d)
	}
}

func (c *counter) revert(p store.Plan, part store.Where) store.Reverted {
	c.t.Helper()
	rev, err := c.RevertPart(c.t.Context(), c.by, c.sn.ID, p.ID, part)
	if err != nil {
		c.t.Fatal(err)
	}
	return rev
}

func TestAPartOfAPublishIsReverted(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	one, two, made := c.must(c.books, "1").ID, c.must(c.books, "2").ID, c.create(c.books, "title", "New")
	title, _ := c.at(c.books).ColumnBySlug("title")
	for _, id := range []int64{one, two} {
		c.set(c.books, id, "title", core.TextValue("Ours"))
		c.set(c.books, id, "author", core.TextValue("3"))
	}
	c.start(t)
	p := c.published()
	rev := c.revert(p, store.Where{Records: []int64{one, made}, Columns: []int{title.Number}})
	items := c.items(rev.Plan)
	if it := items[one]; len(items) != 1 || len(it.Fields) != 1 || string(it.Fields[title.Number].Value) != `"Book 1"` {
		t.Fatalf("the inverse of one column of a record is %+v", items)
	}
	c.ends(t, c.publish(rev.Plan).ID, "done")
	c.wantShop("books", "1", "title", "Book 1")
	c.wantShop("books", "1", "author", "3")
	c.wantShop("books", "2", "title", "Ours")
	rev = c.revert(p, store.Where{Records: []int64{made}})
	c.ends(t, c.publish(rev.Plan).ID, "done")
	if n := c.shop.count("books"); n != 9 {
		t.Errorf("the service has %d books, want 9", n)
	}
	c.wantShop("books", "2", "title", "Ours")
}

func TestARevertNamesWhatChangedHereAndFightsForWhatChangedThere(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	here, there, unseen := c.must(c.books, "1").ID, c.must(c.books, "2").ID, c.must(c.books, "3").ID
	for _, id := range []int64{here, there, unseen} {
		c.set(c.books, id, "title", core.TextValue("Ours"))
	}
	madeHere, madeThere := c.create(c.books, "title", "New here"), c.create(c.books, "title", "New there")
	c.start(t)
	p := c.published()
	items := c.items(p)
	c.set(c.books, here, "title", core.TextValue("Later"))
	c.set(c.books, madeHere, "title", core.TextValue("Later"))
	c.shop.put("books", "2", "title", "Theirs")
	c.shop.put("books", items[madeThere].RemoteID, "title", "Theirs")
	j, err := c.RefreshSnapshot(t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	c.shop.put("books", "3", "title", "Theirs") // nobody has seen that yet
	rev := c.revert(p, store.Where{})
	left := map[int64]string{}
	for _, l := range rev.Left {
		left[l.Record] = l.Reason
	}
	if len(left) != 2 || left[here] != "Changed here since." || left[madeHere] != "Changed here since." {
		t.Errorf("it leaves %v", left)
	}
	for _, id := range []int64{there, madeThere} {
		if it := c.items(rev.Plan)[id]; it.State != "left_out" || it.Reason != "conflict" {
			t.Errorf("record %d is %s (%s) in the inverse plan", id, it.State, it.Reason)
		}
	}
	c.ends(t, c.publish(rev.Plan).ID, "done")
	c.wantState(rev.Plan, unseen, "conflict")
	c.wantShop("books", "1", "title", "Ours")
	c.wantShop("books", "2", "title", "Theirs")
	c.wantShop("books", "3", "title", "Theirs")
	c.wantShop("books", items[madeThere].RemoteID, "title", "Theirs")
	// Whoever decides for the revert gets it.
	if _, err := c.SettleConflicts(t.Context(), c.by, c.books, store.Where{Records: []int64{there, madeThere, unseen}}, "mine"); err != nil {
		t.Fatal(err)
	}
	again := c.published()
	for _, id := range []int64{there, madeThere, unseen} {
		c.wantState(again, id, "published")
	}
	c.wantShop("books", "2", "title", "Book 2")
	c.wantShop("books", items[madeThere].RemoteID, "title", "(no record)")
}

func TestARevertNamesWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.shop.reserves = false // ids come with the answer: a lost one cannot be told
	book, made := c.must(c.books, "1").ID, c.create(c.books, "title", "New")
	c.set(c.books, book, "title", core.TextValue("Ours"))
	c.shop.after = func(op string, _ []connectors.Write) error {
		if op == "create" {
			return &connectors.Fault{Kind: connectors.Unavailable, Words: "Cut."}
		}
		return nil
	}
	c.start(t)
	p := c.published()
	c.wantState(p, made, "unknown")
	rev := c.revert(p, store.Where{})
	if len(rev.Left) != 1 || rev.Left[0].Record != made || !strings.Contains(rev.Left[0].Reason, "Settle it first") {
		t.Errorf("it leaves %+v", rev.Left)
	}
	if items := c.items(rev.Plan); len(items) != 1 || items[book].Op != "update" {
		t.Errorf("the inverse plan has %+v", items)
	}
}

func TestARecordThatARefreshBroughtInMeanwhileIsTheOneThatWasCreated(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.shop.reserves = false // its ids come with the answer, which is lost
	made := c.create(c.books, "title", "New")
	c.shop.after = func(string, []connectors.Write) error {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "Cut."}
	}
	c.start(t)
	p := c.published()
	c.wantState(p, made, "unknown")
	c.refreshed()
	var came store.Row
	for id := range c.shop.rows["books"] {
		if len(id) > 1 {
			came = c.must(c.books, id)
		}
	}
	c.set(c.books, came.ID, "author", core.TextValue("3"))
	if err := c.SettleItem(t.Context(), c.by, c.sn.ID, p.ID, c.items(p)[made].ID, "published", came.RemoteID); err != nil {
		t.Fatal(err)
	}
	r := c.must(c.books, came.RemoteID)
	if r.ID != made || r.State != core.Existing || c.text(c.books, r, "author") != "3" || len(r.Base) != 1 {
		t.Errorf("the record is %+v, want %d with the edit", r, made)
	}
	n := c.at(c.books).Counts
	wantCount(t, "records", n.Records, 10)
	wantCount(t, "edits", n.Edits, 1)
	wantCount(t, "created", n.Created, 0)
}

// refreshed refreshes to the end.
func (c *counter) refreshed() {
	c.t.Helper()
	j, err := c.RefreshSnapshot(c.t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ends(c.t, j.ID, "done")
}

func TestARefreshTakesWhatWasPublishedOverFirst(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Ours"))
	p := c.plan()
	j := c.publish(p)
	taken, _, err := c.TakeJob(t.Context(), j.ID, "worker", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	items, err := c.ClaimItems(t.Context(), taken, c.at(c.books), p.ID, store.Claim{Op: "update", Limit: 10})
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d: %v", len(items), err)
	}
	title, _ := c.at(c.books).ColumnBySlug("title")
	stored := []byte(fmt.Sprintf(`{"%d": "Ours"}`, title.Number))
	if err := c.SaveOutcomes(t.Context(), c.at(c.books), []store.ItemOutcome{{Item: items[0].ID, Attempt: 1, State: "published", RemoteID: "1", Sent: stored, Stored: stored}}); err != nil {
		t.Fatal(err)
	}
	// The worker ends before it takes that over; then somebody else changes the record.
	if err := c.EndSlice(t.Context(), taken, store.JobEnd{State: "failed"}); err != nil {
		t.Fatal(err)
	}
	c.shop.put("books", "1", "title", "Theirs")
	c.start(t)
	c.refreshed()
	if r := c.must(c.books, "1"); c.text(c.books, r, "title") != "Theirs" || len(r.Base)+len(r.Conflicts) != 0 {
		t.Errorf("the record is %+v, want theirs and clean", r)
	}
}
