package connectortest

import (
	"context"
	"net/http"
	"sort"
	"sync"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/misbehave"
)

// turns is a limiter such as the app lends: so many requests a second, and none before a time that somebody was told.
type turns struct {
	gap time.Duration // between two requests; 0 is none

	mu    sync.Mutex
	next  time.Time
	rest  time.Time
	taken int
	rests []time.Time
}

func (tu *turns) lend(env connectors.Environment) connectors.Environment {
	env.Turn, env.Rest = tu.turn, tu.restUntil
	return env
}

func (tu *turns) turn(ctx context.Context) error {
	tu.mu.Lock()
	at := time.Now()
	if at.Before(tu.next) {
		at = tu.next
	}
	if at.Before(tu.rest) {
		at = tu.rest
	}
	tu.next, tu.taken = at.Add(tu.gap), tu.taken+1
	tu.mu.Unlock()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "Nobody waits for the turn any more.", Unsent: true, Cause: ctx.Err()}
	}
}

func (tu *turns) restUntil(until time.Time) {
	tu.mu.Lock()
	defer tu.mu.Unlock()
	tu.rests = append(tu.rests, until)
	if until.After(tu.rest) {
		tu.rest = until
	}
}

// takesTurns counts: as many turns are taken as requests reach the service, whatever the session does.
func takesTurns(t *testing.T, h Harness) {
	b := openHTTP(t, h, 5)
	tu := &turns{}
	b.session = b.newSession(tu.lend(b.environment()))
	check := func(what string) {
		t.Helper()
		if n := len(b.proxy.Requests()); n != tu.taken {
			t.Errorf("with %s there were %d requests and %d turns", what, n, tu.taken)
			tu.taken = n
		}
	}
	b.proxy.Forget()
	if err := b.session.Test(t.Context()); err != nil {
		t.Fatal(b.seen(err))
	}
	check("a test")
	b.table = must(b, func(ctx context.Context) (connectors.Table, error) { return b.session.Table(ctx, b.Table) })
	must(b, b.session.Tables)
	check("descriptions")
	b.pages(2, false)
	check("reading")
	if _, ok := b.session.(connectors.BatchReader); ok {
		b.current(nil, b.IDs...)
		check("a look")
	}
	b.updated(b.text(b.IDs[0], "in turn"), b.text(b.IDs[1], "in turn"))
	check("an update")
	if _, ok := b.session.(connectors.Creator); ok && b.table.Creatable {
		c, writes := b.creating(2)
		b.created(c, writes)
		check("a create")
	}
	if d, ok := b.session.(connectors.Deleter); ok && b.table.Deletable {
		must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
			return d.Delete(ctx, b.table, []connectors.Write{{ID: b.IDs[0]}})
		})
		check("a delete")
	}
}

// tenWorkers has ten sessions, as ten workers have, that share the turns of their connection.
func tenWorkers(t *testing.T, h Harness) {
	const workers, gap, span = 10, 20 * time.Millisecond, 500 * time.Millisecond
	b := openHTTP(t, h, 20)
	tu := &turns{gap: gap}
	b.proxy.Forget()
	var all sync.WaitGroup
	for i := range workers {
		session := b.newSession(tu.lend(b.environment()))
		all.Go(func() {
			req := connectors.ReadRequest{Table: b.table, Fields: []string{b.Text}, Limit: 10}
			if _, err := session.Read(t.Context(), req); err != nil {
				t.Errorf("worker %d: %v", i, err)
			}
			for k := range 2 {
				if _, err := session.Update(t.Context(), b.table, []connectors.Write{b.text(b.IDs[2*i+k], "by a worker")}); err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	requests := b.proxy.Requests()
	sort.Slice(requests, func(i, k int) bool { return requests[i].At.Before(requests[k].At) })
	// A turn is taken a moment before its request arrives: a window may hold some that were on their way at its beginning.
	most, worst := int(span/gap)+workers, 0
	for i := range requests {
		n := sort.Search(len(requests), func(k int) bool { return requests[k].At.Sub(requests[i].At) >= span }) - i
		worst = max(worst, n)
	}
	if worst > most {
		t.Errorf("%d requests within %s, the limit is one each %s", worst, span, gap)
	}
	if len(requests) < 3*workers || tu.taken != len(requests) {
		t.Errorf("%d requests and %d turns of %d workers with at least three each", len(requests), tu.taken, workers)
	}
	for _, id := range b.IDs {
		b.holds(id, b.Text, "by a worker")
	}
}

// restsAsAsked checks what is made of Retry-After: the fault says until when, all other sessions are told, and nothing is sent before.
func restsAsAsked(t *testing.T, h Harness) {
	const wait = 2 * time.Second
	for _, date := range []bool{false, true} {
		for name, when := range map[string]bool{"a read": false, "a write": true} {
			if date {
				name += ", with a date"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := openHTTP(t, h, 2)
				tu := &turns{}
				session := b.newSession(tu.lend(b.environment()))
				b.proxy.Forget()
				b.proxy.Do(misbehave.Fault{Act: misbehave.TooMany, Wait: wait, Date: date,
					When: func(r *http.Request) bool { return h.Writing(r) == when }})
				f := b.refusedFor(session, when)
				at := b.limitedAt()
				if f == nil || f.Kind != connectors.Limited {
					t.Fatalf("the fault is %v, want limited", f)
				}
				for what, until := range map[string]time.Time{"the fault": f.Until, "what all are told": tu.rest} {
					if got := until.Sub(at); got < wait-50*time.Millisecond || got > wait+3*time.Second {
						t.Errorf("%s: until %s after the refusal, asked for were %s", what, got, wait)
					}
				}
				if when {
					for _, id := range b.IDs {
						if now, _ := b.Service.Get(t, id, b.Text); now == "after a rest" {
							t.Error("what was refused is written")
						}
					}
				}
				b.eachAfter(session, when, at.Add(wait))
			})
		}
	}
}

// refusedFor reads or writes once and gives the failure.
func (b *bench) refusedFor(session connectors.Session, write bool) *connectors.Fault {
	b.t.Helper()
	if write {
		return firstFault(try(b, func(ctx context.Context) ([]connectors.Outcome, error) {
			return session.Update(ctx, b.table, []connectors.Write{b.text(b.IDs[0], "after a rest")})
		}))
	}
	_, err := try(b, func(ctx context.Context) (connectors.Page, error) {
		return session.Read(ctx, connectors.ReadRequest{Table: b.table, Fields: []string{b.Text}})
	})
	return firstFault(nil, err)
}

// limitedAt gives when the proxy refused a request.
func (b *bench) limitedAt() time.Time {
	b.t.Helper()
	for _, r := range b.proxy.Requests() {
		if r.Did == misbehave.TooMany {
			return r.At
		}
	}
	b.t.Fatal("nothing was refused")
	return time.Time{}
}

// eachAfter does again what was refused, and checks that it reached the service after the rest only.
func (b *bench) eachAfter(session connectors.Session, write bool, rested time.Time) {
	b.t.Helper()
	b.proxy.Forget()
	if f := b.refusedFor(session, write); f != nil {
		b.t.Errorf("after the rest: %v", f)
	}
	for _, r := range b.proxy.Requests() {
		if r.At.Before(rested.Add(-50 * time.Millisecond)) {
			b.t.Errorf("%s %s came %s before the rest was over", r.Method, r.Path, rested.Sub(r.At))
		}
	}
}
