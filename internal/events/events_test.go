package events

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/r3labs/sse/v2"

	"scratchpaper/internal/core"
	"scratchpaper/internal/redistest"
)

var background = context.Background()

func decode[T any](t *testing.T, data string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return v
}

func TestAHintReachesBrowsersOfEveryProcess(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	one, two := startProcess(t, mr), startProcess(t, mr)
	here, there := one.listen(t, "org_a", "snapshot:s1"), two.listen(t, "org_a", "snapshot:s1")
	sent := core.Hint{Org: "org_a", Snapshot: "s1", Table: "t1", Version: 7, Rows: []int64{3, 4}, Kind: "change", Actor: "p", Client: "tab"}
	one.Notify(background, sent)
	for _, b := range []*browser{here, there} {
		if diff := cmp.Diff(sent, b.nextHint(t)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestHelloNamesVersionAndTopics(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	got := open(t, p.address("org_a", "snapshot:s1", "org-jobs")).next(t)
	want := message{"hello", `{"version":"v1","topics":["snapshot:s1","org-jobs"]}`}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

func TestAnOrganizationHearsNothingOfAnother(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	topics := []string{"snapshot:s1", "job:j1", "org-jobs", ""}
	a, b := p.listen(t, "org_a", topics...), p.listen(t, "org_b", topics...)
	p.Notify(background,
		core.Hint{Org: "org_b", Snapshot: "s1", Kind: "change"},
		core.Hint{Org: "org_b", Job: "j1", Kind: "job"},
		core.Hint{Org: "org_b", Kind: "resync"},
		core.Hint{Org: "org_a", Snapshot: "s1", Kind: "last"},
	)
	if got := a.next(t); !strings.Contains(got.data, `"last"`) {
		t.Errorf("the first event of org_a is %+v", got)
	}
	for _, want := range []string{`"change"`, `"job"`, `"resync"`} {
		if got := b.next(t); !strings.Contains(got.data, want) {
			t.Errorf("org_b got %+v, want %s", got, want)
		}
	}
}

func TestAJobIsHeardByItsTopicAndByAllJobsOnce(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	both, other := p.listen(t, "o", "job:j1", "org-jobs"), p.listen(t, "o", "job:j2")
	p.Notify(background, core.Hint{Org: "o", Job: "j1", Kind: "job"}, core.Hint{Org: "o", Job: "j2", Kind: "last"})
	if one, two := both.nextHint(t), both.nextHint(t); one.Job != "j1" || two.Job != "j2" {
		t.Errorf("got %v, %v", one, two)
	}
	if got := other.nextHint(t); got.Job != "j2" {
		t.Errorf("got %v", got)
	}
}

func TestHintsOfOneSourceBecomeOne(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	b := p.listen(t, "o", "snapshot:s1")
	for i := range int64(200) {
		p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Table: "t", Version: i, Rows: []int64{i % 50}, Kind: "change", Client: "mine"})
	}
	p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Table: "t", Version: 300, Rows: []int64{9}, Kind: "change", Client: "theirs"})
	last, events := map[string]int64{}, 0
	for last["mine"] != 199 || last["theirs"] != 300 {
		hint := b.nextHint(t)
		if hint.Version <= last[hint.Client] && hint.Version != 0 {
			t.Errorf("of %s version %d comes after %d", hint.Client, hint.Version, last[hint.Client])
		}
		last[hint.Client] = hint.Version
		events++
	}
	if events > 20 {
		t.Errorf("%d events for 201 hints", events)
	}
}

func TestLineEndsInTextCannotMakeAnEvent(t *testing.T) {
	t.Parallel()
	for _, lineEnd := range []string{"\n", "\r", "\r\n"} {
		t.Run(fmt.Sprintf("%q", lineEnd), func(t *testing.T) {
			t.Parallel()
			p := startProcess(t, redistest.InProcess(t))
			b := open(t, p.address("o", "snapshot:s1")+"&named")
			b.await(t, "hello")
			evil := lineEnd + lineEnd + "event: evil" + lineEnd + "data: evil" + lineEnd + lineEnd
			text, _ := json.Marshal(evil)
			p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: "change" + evil, Actor: evil, Data: text})
			m := b.next(t)
			if got := decode[core.Hint](t, m.data); m.name != "" || got.Actor != evil || got.Kind != "change"+evil {
				t.Errorf("got %+v", m)
			}
			// Text sent as it is, by whoever will do so one day.
			for _, c := range p.targets([]address{{"o", "snapshot:s1"}}) {
				p.tell(c, &sse.Event{Data: []byte(":x" + evil + "y")})
			}
			p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: "last"})
			if got, want := b.next(t), ":x\n\nevent: evil\ndata: evil\n\ny"; got.name != "" || got.data != want {
				t.Errorf("got %+v", got)
			}
			if got := b.next(t); got.name != "last" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestBrokenOrLargeDataIsLeftOutAndTheHintStillSent(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	b := p.listen(t, "o", "snapshot:s1")
	large, _ := json.Marshal(strings.Repeat("x", maxData))
	for kind, data := range map[string]string{"broken": "{", "large": string(large)} {
		p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: kind, Data: json.RawMessage(data)})
		if got := b.nextHint(t); got.Kind != kind || got.Data != nil {
			t.Errorf("%s: got %+v", kind, got)
		}
	}
}

func TestRedisGoneForASecondMakesBrowsersResync(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	p := startProcess(t, mr)
	b := p.listen(t, "o", "snapshot:s1")
	mr.Close()
	start := time.Now()
	for range 1000 {
		p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: "change"})
	}
	if took := time.Since(start); took > patience/3 {
		t.Errorf("Notify without Redis took %v", took)
	}
	<-time.After(time.Second) // the outage itself
	redistest.Restart(t, mr)
	b.await(t, "resync")
	p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: "after"})
	for b.nextHint(t).Kind != "after" {
	}
}

// Others may have published meanwhile, whom this process did not hear.
func TestAProcessThatLostRedisWithNothingToSayMakesItsBrowsersResync(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	p := startProcess(t, mr)
	b := p.listen(t, "o", "snapshot:s1")
	mr.Close()
	redistest.Restart(t, mr)
	if got := b.next(t); got.name != "resync" {
		t.Errorf("got %+v", got)
	}
}

// A process that only publishes may lose Redis while the others keep it: their browsers must hear of the loss too.
func TestHintsThatCouldNotBePublishedBecomeAResyncForTheirOrganization(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	p := startProcess(t, mr)
	a, b := p.listen(t, "org_a", "snapshot:s1"), p.listen(t, "org_b", "snapshot:s1")
	mr.SetError("LOADING")
	p.Notify(background, core.Hint{Org: "org_a", Snapshot: "s1", Kind: "lost"})
	eventually(t, "the hint is given up", func() bool {
		p.outbox.mu.Lock()
		defer p.outbox.mu.Unlock()
		return len(p.outbox.lost) == 1
	})
	mr.SetError("")
	if got := a.next(t); got.name != "resync" {
		t.Errorf("got %+v", got)
	}
	p.Notify(background, core.Hint{Org: "org_b", Snapshot: "s1", Kind: "other"})
	if got := b.next(t); !strings.Contains(got.data, "other") {
		t.Errorf("org_b got %+v", got)
	}
}

func TestAFullOutboxForgetsHintsButNotThatItDid(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	for i := range maxWaiting + 1 {
		o.put([]core.Hint{{Org: "o", Job: fmt.Sprint(i), Kind: "job"}})
	}
	hints := o.take()
	if len(hints) != maxWaiting+1 || hints[maxWaiting].Kind != kindResync || hints[maxWaiting].Org != "o" {
		t.Errorf("%d hints, the last %+v", len(hints), hints[len(hints)-1])
	}
	if again := o.take(); len(again) != 0 {
		t.Errorf("%d hints left", len(again))
	}
}

func TestHintsGivenBeforeStopAreStillPublished(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	leaving, staying := startProcess(t, mr), startProcess(t, mr)
	b := staying.listen(t, "o", "job:j")
	leaving.StopStreams()
	leaving.Notify(background, core.Hint{Org: "o", Job: "j", Kind: "job"})
	leaving.Stop()
	leaving.Stop()
	if got := b.nextHint(t); got.Job != "j" {
		t.Errorf("got %+v", got)
	}
}

func TestAPersonHasSoManyStreamsAndNoMore(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), StreamsPerPerson(2))
	first := p.listen(t, "o", "org-jobs")
	p.listen(t, "o", "org-jobs")
	answer, err := http.Get(p.address("o", "org-jobs"))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("status %d", answer.StatusCode)
	}
	first.leave()
	eventually(t, "one has left", func() bool { return p.Streams() == 1 })
	p.listen(t, "o", "org-jobs")
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.session = 10 * time.Millisecond })
	var signedIn atomic.Bool
	var asked atomic.Int32
	signedIn.Store(true)
	p.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = p.Stream(w, r, Subscription{Org: "o", Topics: []string{"org-jobs"}, Session: func(context.Context) bool {
			asked.Add(1)
			return signedIn.Load()
		}})
	}, 0)
	b := p.listen(t, "o")
	eventually(t, "the session is looked at twice", func() bool { return asked.Load() > 2 })
	signedIn.Store(false)
	b.awaitEnd(t)
}

func TestAPanicInASessionCheckEndsThatStreamOnly(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.session = 10 * time.Millisecond })
	p.serve(t, func(w http.ResponseWriter, r *http.Request) {
		sub := Subscription{Org: "o", Topics: []string{"org-jobs"}}
		if r.URL.Query().Get("org") == "bad" {
			sub.Session = func(context.Context) bool { panic("no session store") }
		}
		_ = p.Stream(w, r, sub)
	}, 0)
	good, bad := p.listen(t, "good"), p.listen(t, "bad")
	bad.awaitEnd(t)
	p.Notify(background, core.Hint{Org: "o", Job: "j", Kind: "job"})
	if got := good.nextHint(t); got.Job != "j" {
		t.Errorf("got %+v", got)
	}
}

func TestHeartbeatsKeepAQuietStreamBeyondTheServersWriteTimeout(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.heartbeat = 20 * time.Millisecond })
	p.serve(t, p.stream, 200*time.Millisecond)
	b := p.listen(t, "o", "org-jobs")
	for range 30 {
		b.await(t, "beat")
	}
}

func TestTheServerShutsDownWithStreamsOpen(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	b := p.listen(t, "o", "org-jobs")
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	if err := p.server.Config.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	b.awaitEnd(t)
}

func TestAFrozenBrowserIsCutAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	frozen := freeze(t, p)
	defer func() { _ = frozen.Close() }()
	eventually(t, "the frozen browser is greeted", func() bool { return len(p.targets([]address{{"o", "snapshot:s1"}})) == 1 })
	healthy := p.listen(t, "o", "snapshot:s1", "snapshot:s2")
	data, _ := json.Marshal(strings.Repeat("x", maxData-2))
	sent := 0
	eventually(t, "the frozen browser is cut", func() bool {
		sent++
		p.forward([]core.Hint{{Org: "o", Snapshot: "s1", Version: int64(sent), Kind: "change", Data: data}})
		if got := healthy.nextHint(t); got.Version != int64(sent) {
			t.Fatalf("the healthy browser got version %d, not %d", got.Version, sent)
		}
		return p.Streams() == 1
	})
	p.Notify(background, core.Hint{Org: "o", Snapshot: "s2", Kind: "after"})
	if got := healthy.nextHint(t); got.Kind != "after" {
		t.Errorf("got %+v", got)
	}
}

func TestABrowserThatFellBehindIsCutAndNotLeftWithAGap(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.write = patience })
	slow := freeze(t, p)
	defer func() { _ = slow.Close() }()
	eventually(t, "the slow browser is greeted", func() bool { return len(p.targets([]address{{"o", "snapshot:s1"}})) == 1 })
	data, _ := json.Marshal(strings.Repeat("x", maxData-2))
	for range 2000 { // far more than the queue and the network between us hold
		p.forward([]core.Hint{{Org: "o", Snapshot: "s1", Kind: "change", Data: data}})
	}
	_ = slow.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, slow); err != nil {
		t.Errorf("the stream went on with events missing: %v", err)
	}
}

// freeze opens a stream and does not read it.
func freeze(t *testing.T, p *process) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(c, "GET /events?org=o&person=frozen&topic=snapshot:s1 HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// goroutines gives the stacks of the program's goroutines but for those of Redis' connections, of which a slow answer makes more that stay for the next.
func goroutines() []string {
	all := make([]byte, 16<<20)
	all = all[:runtime.Stack(all, true)]
	return slices.DeleteFunc(strings.Split(string(all), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, "/miniredis/") || strings.Contains(stack, "/go-redis/")
	})
}

// This test is not parallel: it counts the goroutines of the whole program, and parallel tests wait until it is done.
func Test200StreamsLeaveNoGoroutines(t *testing.T) {
	p := startProcess(t, redistest.InProcess(t), StreamsPerPerson(1000))
	base := len(goroutines())
	var browsers sync.WaitGroup
	for i := range 200 {
		browsers.Go(func() {
			b := open(t, p.address("o", "snapshot:s1"))
			if i%4 != 0 { // the others leave before they are greeted, or while they are
				b.await(t, "hello")
			}
			p.Notify(background, core.Hint{Org: "o", Snapshot: "s1", Kind: "change", Client: fmt.Sprint(i)})
			b.leave()
		})
	}
	browsers.Wait()
	eventually(t, "all streams have ended", func() bool { return p.Streams() == 0 })
	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("%d goroutines before, these after:\n%s", base, strings.Join(left, "\n\n"))
		}
	}()
	eventually(t, "the goroutines have gone", func() bool { left = goroutines(); return len(left) <= base+2 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.listeners) != 0 || len(p.streams) != 0 {
		t.Errorf("left behind: %d topics, %d persons", len(p.listeners), len(p.streams))
	}
}

// TestWhatComesAloneWaitsForNothing gathers for an hour: what is the first of its source comes at once all the same, and the next one waits.
func TestWhatComesAloneWaitsForNothing(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.coalesce = time.Hour })
	b := p.listen(t, "o", "snapshot:s1", "org-jobs")
	for _, hint := range []core.Hint{{Org: "o", Snapshot: "s1", Version: 1, Kind: "change"}, {Org: "o", Snapshot: "s1", Version: 2, Kind: "change"}, {Org: "o", Job: "j1", Kind: "job"}} {
		p.Notify(background, hint)
	}
	if got := b.next(t); !strings.Contains(got.data, `"version":1`) && !strings.Contains(got.data, `"version":2`) { // the two may be told as one
		t.Errorf("the first event is %+v", got)
	}
	if got := b.next(t); !strings.Contains(got.data, `"job"`) {
		t.Errorf("the second event is %+v: the other change does not wait", got)
	}
}
