package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// circle makes two books that come before each other.
func (c *counter) circle() (one, two int64) {
	c.t.Helper()
	one = c.create(c.books, "title", "One")
	two = c.create(c.books, "title", "Two", "before", fmt.Sprintf("~%d", one))
	c.set(c.books, one, "before", core.TextValue(fmt.Sprintf("~%d", two)))
	return one, two
}

// ids gives the remote ids of created records.
func (c *counter) ids(p store.Plan, records ...int64) []string {
	c.t.Helper()
	items, _, err := c.Items(c.t.Context(), c.by, c.sn.ID, p.ID, store.ItemsFilter{Op: "create"})
	if err != nil {
		c.t.Fatal(err)
	}
	out := make([]string, len(records))
	for _, it := range items {
		if at := slices.Index(records, it.Record); at >= 0 {
			out[at] = it.RemoteID
		}
	}
	return out
}

func (c *counter) wantClean(remote string) {
	c.t.Helper()
	if r := c.must(c.books, remote); len(r.Base) > 0 {
		c.t.Errorf("book %s still has edits: %v", remote, r.Base)
	}
}

func TestRecordsThatReferToEachOtherAreCreatedAndThenCompleted(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(string, []connectors.Outcome) []connectors.Outcome{
		"answered with the record": nil,
		"answered with its id": func(_ string, list []connectors.Outcome) []connectors.Outcome {
			for i := range list {
				list[i].Stored = nil
			}
			return list
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustCounter(t)
			c.shop.answers = answers
			one, two := c.circle()
			self := c.create(c.books, "title", "Self")
			c.set(c.books, self, "before", core.TextValue(fmt.Sprintf("~%d", self)))
			after := c.create(c.books, "title", "After", "before", fmt.Sprintf("~%d", one))
			c.start(t)
			p := c.published()
			if n := p.Counts; n.Creates != 4 || n.Updates != 2 || n.Published != 6 {
				t.Errorf("the plan ends with %+v", n)
			}
			id := c.ids(p, one, two, self, after)
			c.wantShop("books", id[0], "before", id[1])
			c.wantShop("books", id[1], "before", id[0])
			c.wantShop("books", id[2], "before", id[2])
			c.wantShop("books", id[3], "before", id[0])
			for _, remote := range id {
				c.wantClean(remote)
			}
			rev := c.revert(p, store.Where{})
			if len(rev.Left) > 0 {
				t.Errorf("the revert leaves %+v", rev.Left)
			}
			c.ends(t, c.publish(rev.Plan).ID, "done")
			if n := c.shop.count("books"); n != 9 {
				t.Errorf("the service has %d books after the revert, want 9", n)
			}
		})
	}
}

func TestACircleWhoseCreateFailsIsCompletedByTheRetry(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	one, two := c.circle()
	refuse := true
	c.shop.answers = func(op string, list []connectors.Outcome) []connectors.Outcome {
		if op == "create" && refuse {
			list[0] = connectors.Outcome{ID: list[0].ID, Err: &connectors.Fault{Kind: connectors.RefusedRecord, Words: "Not today."}}
		}
		return list
	}
	c.start(t)
	p := c.published()
	if n := p.Counts; n.Failed != 1 || n.Planned != 2 {
		t.Fatalf("the plan ends with %+v", n)
	}
	if it := c.items(p)[two]; it.State != "planned" || it.Reason != store.StillWaits {
		t.Errorf("what waits is %s (%q)", it.State, it.Reason)
	}
	for _, id := range c.ids(p, one) {
		c.shop.remove("books", id) // it was refused
	}
	refuse = false
	j, err := c.RetryPlan(t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	id := c.ids(p, one, two)
	c.wantShop("books", id[0], "before", id[1])
	c.wantShop("books", id[1], "before", id[0])
	c.wantClean(id[0])
	c.wantClean(id[1])
}

func TestWhatRefersToARecordIsDeletedBeforeIt(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	for _, pair := range [][2]string{{"1", "4"}, {"4", "3"}, {"3", "8"}, {"5", "6"}, {"6", "5"}} {
		c.set(c.books, c.must(c.books, pair[0]).ID, "before", core.TextValue(pair[1]))
	}
	c.start(t)
	c.published()
	asked := len(c.shop.requests())
	for _, id := range []string{"8", "3", "1", "4", "5", "6", "7"} {
		c.deleteRecord(c.books, c.must(c.books, id).ID)
	}
	c.published()
	want := []string{"delete books 1,7", "delete books 5,6", "delete books 4", "delete books 3", "delete books 8"}
	if got := c.shop.requests()[asked:]; !slices.Equal(got, want) {
		t.Errorf("the deletes were\n%q, want\n%q", got, want)
	}
}

func TestTheFirstFewOfAPublishDoNotTearACircleOfDeletesApart(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	for _, pair := range [][2]string{{"1", "2"}, {"2", "3"}, {"3", "1"}} {
		c.set(c.books, c.must(c.books, pair[0]).ID, "before", core.TextValue(pair[1]))
	}
	c.start(t)
	c.published()
	asked := len(c.shop.requests())
	for _, id := range []string{"1", "2", "3", "9"} {
		c.deleteRecord(c.books, c.must(c.books, id).ID)
	}
	j, err := c.StartPublish(t.Context(), c.by, c.sn.ID, c.plan().ID, true, 2)
	if err != nil {
		t.Fatal(err)
	}
	c.waitsFor(t, j.ID, "person")
	if got, want := c.shop.requests()[asked:], []string{"delete books 9"}; !slices.Equal(got, want) {
		t.Fatalf("the first two are %q, want %q", got, want)
	}
	if _, err := c.ContinueJob(t.Context(), c.by, j.ID); err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	if got, want := c.shop.requests()[asked:], []string{"delete books 9", "delete books 1,2,3"}; !slices.Equal(got, want) {
		t.Errorf("the deletes were %q, want %q", got, want)
	}
}

// What is in a record counts, also what is not sent: it is read at the service and written down.
func TestLargeRecordsAreSentFewAtATimeButACircleOfDeletesIsOneRequest(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	large := core.TextValue(strings.Repeat("Kettle ", 160_000)) // of two such records the second begins below two megabytes, a third does not
	for _, id := range []string{"1", "2", "3", "4"} {
		c.set(c.books, c.must(c.books, id).ID, "title", large)
	}
	c.start(t)
	sent := func(what string, want ...string) {
		t.Helper()
		asked := len(c.shop.requests())
		c.published()
		if got := c.shop.requests()[asked:]; !slices.Equal(got, want) {
			t.Errorf("%s: the requests were %q, want %q", what, got, want)
		}
	}
	sent("large values", "update books 1,2", "update books 3,4")
	for _, pair := range [][2]string{{"1", "2"}, {"2", "3"}, {"3", "1"}} {
		c.set(c.books, c.must(c.books, pair[0]).ID, "before", core.TextValue(pair[1]))
	}
	sent("small values of large records", "update books 1,2", "update books 3")
	for _, id := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		c.deleteRecord(c.books, c.must(c.books, id).ID)
	}
	sent("deletes", "delete books 4,5,6,7", "delete books 1,2,3")
	if n := c.shop.count("books"); n != 2 {
		t.Errorf("the service has %d books, want 2", n)
	}
}

// silent lets the first request of an operation be without an answer: the service did what it asked for, or did not.
func (c *counter) silent(op string, acted bool) {
	once := func(asked string, _ []connectors.Write) error {
		if asked != op || op == "" {
			return nil
		}
		op = ""
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "Cut."}
	}
	if acted {
		c.shop.after = once
	} else {
		c.shop.before = once
	}
}

func TestWhatIsReferredToIsDeletedWhenItIsKnownWhatBecameOfTheReference(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"deleted", "changed"} {
		c := mustCounter(t)
		c.set(c.books, c.must(c.books, "1").ID, "before", core.TextValue("4"))
		c.start(t)
		c.published()
		asked := len(c.shop.requests())
		want := []string{"delete books 1", "delete books 1", "delete books 4"}
		if how == "deleted" {
			c.deleteRecord(c.books, c.must(c.books, "1").ID)
			c.silent("delete", false)
		} else {
			c.set(c.books, c.must(c.books, "1").ID, "before", core.Value{})
			c.silent("update", false)
			want = []string{"update books 1", "update books 1", "delete books 4"}
		}
		c.deleteRecord(c.books, c.must(c.books, "4").ID)
		c.published()
		if got := c.shop.requests()[asked:]; !slices.Equal(got, want) {
			t.Errorf("%s: the requests were\n%q, want\n%q", how, got, want)
		}
	}
}

func TestWhatRefersToANewRecordIsSentWhenItIsKnownThatItIsThere(t *testing.T) {
	t.Parallel()
	for _, acted := range []bool{true, false} {
		c := mustCounter(t)
		author := c.create(c.authors, "name", "New author")
		book := c.create(c.books, "title", "New", "author", fmt.Sprintf("~%d", author))
		edited := c.must(c.books, "1").ID
		c.set(c.books, edited, "author", core.TextValue(fmt.Sprintf("~%d", author)))
		c.silent("create", acted)
		c.start(t)
		p := c.published()
		for _, record := range []int64{author, book, edited} {
			c.wantState(p, record, "published")
		}
		c.wantShop("books", "1", "author", c.items(p)[author].RemoteID)
	}
}

func TestWhatNobodyCanTellIsAskedOnceHoweverManyLevelsOfDeletesFollow(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.shop.reserves = false
	for _, pair := range [][2]string{{"1", "2"}, {"2", "3"}, {"3", "4"}} {
		c.set(c.books, c.must(c.books, pair[0]).ID, "before", core.TextValue(pair[1]))
	}
	c.start(t)
	c.published()
	created := c.create(c.books, "title", "New")
	for _, id := range []string{"1", "2", "3", "4"} {
		c.deleteRecord(c.books, c.must(c.books, id).ID)
	}
	c.silent("create", true)
	asked := len(c.shop.requests())
	p := c.published()
	c.wantState(p, created, "unknown")
	if got, want := len(c.shop.requests())-asked, 5; got != want { // the create, and four levels
		t.Errorf("%d requests wrote, want %d", got, want)
	}
	if got := c.shop.recognised; got < 1 || got > 2 { // twice where a slice ended in between
		t.Errorf("the service was asked %d times what became of the new record, want once a slice", got)
	}
}

func TestTheServicesOwnIDsThatBeginWithATildeAreKept(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.shop.put("authors", "~7", "name", "Tilde")
	c.shop.put("books", "1", "author", "~7")
	j, err := c.RefreshSnapshot(t.Context(), c.by, c.sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.ends(t, j.ID, "done")
	titles, err := c.Titles(t.Context(), c.by, c.authors, []string{c.text(c.books, c.must(c.books, "1"), "author")})
	if err != nil || titles["~~7"].Title != "Tilde" {
		t.Errorf("the reference names %v (%v)", titles, err)
	}
	c.set(c.books, c.must(c.books, "2").ID, "author", core.TextValue("~~7"))
	c.set(c.books, c.must(c.books, "1").ID, "title", core.TextValue("Edited"))
	c.set(c.books, c.must(c.books, "3").ID, "editors", core.ListValue([]string{"~~7", "2"}))
	created := c.create(c.books, "title", "New", "author", "~~7")
	p := c.published()
	c.wantShop("books", "2", "author", "~7")
	c.wantShop("books", "1", "author", "~7")
	c.wantShop("books", "3", "editors", "~7, 2")
	c.wantShop("books", c.ids(p, created)[0], "author", "~7")
	for _, id := range append(c.ids(p, created), "1", "2", "3") {
		c.wantClean(id)
	}
	rev := c.revert(p, store.Where{})
	c.ends(t, c.publish(rev.Plan).ID, "done")
	c.wantShop("books", "2", "author", "1")
}
