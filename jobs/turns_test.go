package jobs

import (
	"strconv"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/turns"
	"scratchpaper/internal/core"
)

// limited gives a shop's app turns that all its processes share.
func (c *counter) limited(l connectors.Limits) *turns.Turns {
	c.shop.limits = l
	t := turns.New(c.options.Redis, c.options.Log)
	c.options.Lend = t.Lend
	return t
}

func TestAPublishKeepsToTheServicesLimit(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	c.limited(connectors.Limits{RequestsPerSecond: 20})
	for i := range 9 {
		c.set(c.books, c.must(c.books, strconv.Itoa(i+1)).ID, "title", core.TextValue("Limited"))
	}
	c.start(t)
	began := time.Now()
	p := c.published()
	if p.Counts.Published != 9 {
		t.Fatalf("published: %+v", p.Counts)
	}
	// Three batches, each with two looks (three records at a time) and a write, but for the last, of one record: 8 requests.
	if took := time.Since(began); took < 7*50*time.Millisecond {
		t.Errorf("8 requests at 20 a second took %s", took)
	}
	rate, err := c.PublishRate(t.Context(), c.by, c.con.ID)
	if err != nil || rate <= 0 || rate > 100 {
		t.Errorf("the publish is said to have written %g records a second: %v", rate, err)
	}
	if rate, err := c.PublishRate(t.Context(), core.System("org_other"), c.con.ID); err != nil || rate != 0 {
		t.Errorf("another organization sees the rate %g: %v", rate, err)
	}
}

func TestWhatOneJobIsRefusedForAllJobsWait(t *testing.T) {
	t.Parallel()
	c := mustCounter(t)
	tu := c.limited(connectors.Limits{})
	env := tu.Lend(c.con.ID, connectors.Info{Name: "Shop"}, connectors.Environment{})
	refused := 0
	c.shop.before = func(string, []connectors.Write) error {
		if refused++; refused == 1 {
			return &connectors.Fault{Kind: connectors.Limited, Words: "Slow down.", Until: time.Now().Add(700 * time.Millisecond)}
		}
		return nil
	}
	c.set(c.books, c.must(c.books, "1").ID, "title", core.TextValue("Later"))
	c.start(t)
	began := time.Now()
	j := c.publish(c.plan())
	c.wait(t, "the refusal", func() bool { return c.job(t, j.ID).State == "waiting" || c.job(t, j.ID).State == "done" })
	if err := env.Take(t.Context()); err != nil || time.Since(began) < 600*time.Millisecond {
		t.Errorf("another session went on after %s: %v", time.Since(began), err)
	}
	c.ends(t, j.ID, "done")
	c.wantShop("books", "1", "title", "Later")
}
