package jobs

import (
	"fmt"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// TestNoTransactionIsOpenWhileAServiceIsAskedAndAnEditMeanwhileIsKept looks at the app's database from within the service, each time
// that the service is asked to write, and lets a person edit there what is just being sent.
func TestNoTransactionIsOpenWhileAServiceIsAskedAndAnEditMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	book := c.must(c.books, "1").ID
	c.set(c.books, book, "title", core.TextValue("Sent"))
	c.create(c.books, "title", "New")
	c.deleteRecord(c.books, c.must(c.books, "9").ID)
	asked := 0
	c.shop.before = func(op string, _ []connectors.Write) error {
		if asked++; op == "update" {
			c.set(c.books, book, "title", core.TextValue("Typed meanwhile"))
		}
		for until := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) { // a renewal of the lease comes and goes
			var open int
			err := c.Pool().QueryRow(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'`).Scan(&open)
			if err != nil {
				return fmt.Errorf("look: %w", err)
			}
			if open == 0 {
				return nil
			}
			if time.Now().After(until) {
				t.Errorf("%d transactions stay open while the service does %s", open, op)
				return nil
			}
		}
	}
	c.start(t)
	p := c.plan()
	j, err := c.StartPublish(t.Context(), c.by, c.sn.ID, p.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.ends(t, j.ID, "done")
	if asked < 3 {
		t.Errorf("the service was asked %d times", asked)
	}
	c.wantShop("books", "1", "title", "Sent")
	r := c.must(c.books, "1")
	col, _ := c.at(c.books).ColumnBySlug("title")
	if got := c.text(c.books, r, "title"); got != "Typed meanwhile" || r.Base[col.Number].Text != "Sent" {
		t.Errorf("the cell holds %q over %q", got, r.Base[col.Number].Text)
	}
}
