package events

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"scratchpaper/internal/core"

	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/redistest"
)

// The page of these tests keeps what its callback got. Its policy is as strict as the program's.
const (
	testPage = `<!doctype html><title>test</title><meta name="scratchpaper-session" content="%s">
<script type="module" src="/page.js"></script>`
	testScript = `import * as events from '/static/js/events.js';
const got = [];
let gaps = 0;
events.subscribe(new URLSearchParams(location.search).getAll('topic'), (hint) => got.push(hint));
events.onResync(() => gaps++);
window.test = {
	events, got,
	gaps: () => gaps,
	started: () => got.some((hint) => hint.first),
	resynced: () => got.some((hint) => hint.kind === 'resync' && !hint.first),
	count: (kind) => got.filter((hint) => hint.kind === kind).length,
};`
)

// site is a process whose server also has pages, and can sign everybody out.
type site struct {
	*process
	out atomic.Bool
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{process: startProcess(t, redistest.InProcess(t), func(h *Hub) { h.pace.session = 50 * time.Millisecond })}
	routes := http.NewServeMux()
	routes.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir("../../static"))))
	routes.HandleFunc("/page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, testScript)
	})
	routes.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		_, _ = fmt.Fprintf(w, testPage, r.URL.Query().Get("identity"))
	})
	routes.HandleFunc("/events", s.events)
	s.serve(t, routes.ServeHTTP, 0)
	return s
}

func (s *site) events(w http.ResponseWriter, r *http.Request) {
	if s.out.Load() {
		http.Error(w, "signed out", http.StatusUnauthorized)
		return
	}
	_ = s.Stream(w, r, Subscription{
		Org: "o", Person: "p", Topics: r.URL.Query()["topic"],
		Session: func(context.Context) bool { return !s.out.Load() },
	})
}

// tab is one tab on the test page.
type tab struct {
	ctx   context.Context
	close context.CancelFunc
}

func (s *site) openTab(t *testing.T, browser context.Context, identity string, topics ...string) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	query := url.Values{"identity": {identity}, "topic": topics}
	within, done := context.WithTimeout(ctx, patience)
	defer done()
	if err := chromedp.Do(within, chromedp.Navigate(s.server.URL+"/page?"+query.Encode())); err != nil {
		t.Fatal(err)
	}
	opened := tab{ctx, cancel}
	opened.until(t, "window.test !== undefined")
	return opened
}

// until waits for an expression to hold in the tab.
func (b tab) until(t *testing.T, expression string) {
	t.Helper()
	eventually(t, expression, func() bool { return b.says(expression) })
}

func (b tab) says(expression string) bool {
	within, done := context.WithTimeout(b.ctx, 5*time.Second)
	defer done()
	value, err := chromedp.Run(within, chromedp.Evaluate[bool](expression))
	return err == nil && value
}

func (b tab) do(t *testing.T, script string) {
	t.Helper()
	within, done := context.WithTimeout(b.ctx, patience)
	defer done()
	if err := chromedp.Do(within, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Evaluate[chromedp.Void](script)(ctx, target)
	}); err != nil {
		t.Fatal(err)
	}
}

const holdsStream = "test.events.holdsStream()"

func holders(tabs []tab) (found []int) {
	for i, b := range tabs {
		if b.says(holdsStream) {
			found = append(found, i)
		}
	}
	return found
}

// settled waits until one stream carries exactly these topics.
func (s *site) settled(t *testing.T, topics ...string) {
	t.Helper()
	topics = slices.Sorted(slices.Values(topics))
	eventually(t, "one stream with "+strings.Join(topics, " "), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range maps.Values(s.connections) {
			return len(s.connections) == 1 && slices.Equal(slices.Sorted(slices.Values(c.Topics)), topics)
		}
		return false
	})
}

func (s *site) tell(snapshot, kind string) {
	s.Notify(background, core.Hint{Org: "o", Snapshot: snapshot, Kind: kind})
}

func TestSevenTabsShareOneStreamAndHandItOver(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	var tabs []tab
	var topics []string
	for i := range 7 {
		topics = append(topics, fmt.Sprintf("snapshot:s%d", i))
		tabs = append(tabs, s.openTab(t, browser, "person.org.v1", topics[i], "snapshot:all"))
	}
	s.settled(t, append(topics, "snapshot:all")...)
	for _, b := range tabs {
		b.until(t, "test.started() && !test.resynced()")
	}

	s.tell("all", "everybody")
	for i := range tabs {
		s.tell(fmt.Sprintf("s%d", i), "own")
	}
	for _, b := range tabs {
		b.until(t, "test.count('everybody') === 1 && test.count('own') === 1")
	}

	found := holders(tabs)
	if len(found) != 1 {
		t.Fatalf("the stream is held by %v", found)
	}
	tabs[found[0]].close()
	tabs, topics = slices.Delete(tabs, found[0], found[0]+1), slices.Delete(topics, found[0], found[0]+1)
	for _, b := range tabs {
		b.until(t, "test.resynced() && test.gaps() > 0")
	}
	s.settled(t, append(topics, "snapshot:all")...)
	if found := holders(tabs); len(found) != 1 {
		t.Errorf("the stream is held by %v", found)
	}
	s.tell("all", "again")
	for _, b := range tabs {
		b.until(t, "test.count('again') === 1")
	}
}

func TestTopicsComeAndGoWithTabsAndSubscriptions(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	first := s.openTab(t, browser, "person.org.v1", "snapshot:s1")
	first.until(t, "test.started()")
	second := s.openTab(t, browser, "person.org.v1", "snapshot:s2")
	second.until(t, "test.started()")
	second.do(t, `window.more = []; window.stop = test.events.subscribe(['job:j1'], (hint) => more.push(hint)); 0`)
	second.until(t, "more.length === 1 && more[0].first")
	s.Notify(background, core.Hint{Org: "o", Job: "j1", Kind: "job"})
	second.until(t, "more.length === 2 && more[1].job === 'j1'")
	s.settled(t, "snapshot:s1", "snapshot:s2", "job:j1")
	second.do(t, `stop(); 0`)
	s.settled(t, "snapshot:s1", "snapshot:s2")
	second.close()
	s.settled(t, "snapshot:s1")
	if !first.says("test.gaps() === 0 && !test.resynced()") {
		t.Error("the first tab was told of a gap, though there was none")
	}
}

func TestTabsOfAnotherPersonHaveTheirOwnStream(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	one := s.openTab(t, browser, "ada.org.v1", "snapshot:s1")
	two := s.openTab(t, browser, "bo.org.v1", "snapshot:s1")
	for _, b := range []tab{one, two} {
		b.until(t, "test.started() && "+holdsStream)
	}
}

func TestALostConnectionIsMadeAgainAndResynced(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	b := s.openTab(t, browsertest.Page(t, 1440, 900), "person.org.v1", "snapshot:s1")
	b.until(t, "test.started()")
	s.server.CloseClientConnections()
	b.until(t, "test.resynced() && test.gaps() === 1")
	s.tell("s1", "after")
	b.until(t, "test.count('after') === 1")
}

func TestTheEndOfTheSessionReloadsEveryTab(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	tabs := []tab{
		s.openTab(t, browser, "person.org.v1", "snapshot:s1"),
		s.openTab(t, browser, "person.org.v1", "snapshot:s2"),
	}
	for _, b := range tabs {
		b.until(t, "test.started()")
		b.do(t, "window.before = true; 0")
	}
	s.out.Store(true)
	for _, b := range tabs {
		b.until(t, "window.before === undefined && window.test !== undefined")
	}
}

func TestWithoutWebLocksVisibleTabsHaveTheirOwnStreamAndHiddenOnesNone(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	one, two := s.openTab(t, browser, "", "snapshot:s1"), s.openTab(t, browser, "", "snapshot:s1")
	for _, b := range []tab{one, two} {
		b.until(t, "test.started()")
	}
	eventually(t, "two streams", func() bool { return s.Streams() == 2 })
	show := `Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true});
		document.dispatchEvent(new Event('visibilitychange')); 0`
	two.do(t, fmt.Sprintf(show, "hidden"))
	eventually(t, "one stream", func() bool { return s.Streams() == 1 })
	two.do(t, fmt.Sprintf(show, "visible"))
	two.until(t, "test.resynced()")
	s.tell("s1", "after")
	for _, b := range []tab{one, two} {
		b.until(t, "test.count('after') === 1")
	}
}

// A browser may put a tab to sleep, with the stream in it.
func TestAStreamHeldByASleepingTabIsTakenOver(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	sleeper := s.openTab(t, browser, "person.org.v1", "snapshot:s1")
	sleeper.until(t, "test.started() && "+holdsStream)
	awake := s.openTab(t, browser, "person.org.v1", "snapshot:s2")
	awake.until(t, "test.started()")
	sleep := page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateFrozen}
	if _, err := chromedp.Call(sleeper.ctx, page.SetWebLifecycleState, sleep); err != nil {
		t.Fatal(err)
	}
	awake.until(t, holdsStream+" && test.resynced()")
	s.tell("s2", "after")
	awake.until(t, "test.count('after') === 1")

	wake := page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateActive}
	if _, err := chromedp.Call(sleeper.ctx, page.SetWebLifecycleState, wake); err != nil {
		t.Fatal(err)
	}
	s.settled(t, "snapshot:s1", "snapshot:s2")
	sleeper.until(t, "test.got.filter((hint) => hint.first).length === 2")
	s.tell("s1", "woken")
	sleeper.until(t, "test.count('woken') === 1")
}

// What hangs does not say so: the lock is held and nobody answers.
func TestAStreamHeldByATabThatHangsIsTakenOver(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	browser := browsertest.Page(t, 1440, 900)
	hanging := s.openTab(t, browser, "somebody.else.v1", "snapshot:s1")
	hanging.do(t, `navigator.locks.request('scratchpaper-events:person.org.v1', () => new Promise(() => {})); 0`)
	waiting := s.openTab(t, browser, "person.org.v1", "snapshot:s2")
	waiting.until(t, "test.started() && "+holdsStream)
	s.tell("s2", "after")
	waiting.until(t, "test.count('after') === 1")
}

func TestAPageThatComesBackByTheBackButtonListensAgain(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	b := s.openTab(t, browsertest.Page(t, 1440, 900), "person.org.v1", "snapshot:s1")
	b.until(t, "test.started()")
	for _, away := range []string{"pagehide", "pageshow"} {
		b.do(t, fmt.Sprintf(`window.dispatchEvent(new PageTransitionEvent('%s', {persisted: true})); 0`, away))
	}
	b.until(t, "test.got.filter((hint) => hint.first).length === 2")
	s.tell("s1", "after")
	b.until(t, "test.count('after') === 1")
	eventually(t, "one stream", func() bool { return s.Streams() == 1 })
}
