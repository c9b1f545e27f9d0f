package analytics

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestThePageListsWhatIsTold compares docs/analytics.md with the lists of the code.
func TestThePageListsWhatIsTold(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/analytics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range Events {
		want = append(want, fmt.Sprintf("| `%s` | `%s` | %s |", e.Name, strings.Join(e.Properties, "`, `"), e.Means))
	}
	for _, f := range AllFeatures {
		want = append(want, fmt.Sprintf("| `%s` |", f))
	}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page lists\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// told is an event as the server gets it.
type told struct {
	Event      string         `json:"event"`
	DistinctID string         `json:"distinct_id"`
	Properties map[string]any `json:"properties"`
}

// project is a stand-in for a PostHog server.
type project struct {
	*httptest.Server
	mu     sync.Mutex
	events []told
	bodies string
}

func mustProject(t *testing.T) *project {
	t.Helper()
	p := &project{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var b struct {
			Key   string `json:"api_key"`
			Batch []told `json:"batch"`
		}
		if err := json.Unmarshal(raw, &b); err != nil || b.Key != "phc_key" || r.URL.Path != "/batch/" {
			t.Errorf("%s of %q: %v", r.URL.Path, b.Key, err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events, p.bodies = append(p.events, b.Batch...), p.bodies+string(raw)
	}))
	t.Cleanup(p.Close)
	return p
}

func TestOnlyWhatIsListedIsTold(t *testing.T) {
	t.Parallel()
	p := mustProject(t)
	a, err := New("phc_key", p.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.Used("per_ada", Published, false)
	a.Used("per_ada", Exported, true)
	a.JobEnded("org_shop", "publish", "done", 5*time.Second)
	a.Stop()
	a.Stop() // once more is nothing
	p.mu.Lock()
	defer p.mu.Unlock()
	var got []string
	for _, e := range p.events {
		for _, library := range []string{"$lib", "$lib_version"} {
			delete(e.Properties, library)
		}
		got = append(got, fmt.Sprintf("%s %v", e.Event, e.Properties))
	}
	want := []string{"feature used map[feature:plan published way:page]", "feature used map[feature:table exported way:api]", "job ended map[kind:publish seconds:8 state:done]"}
	if !slices.Equal(got, want) {
		t.Fatalf("%q was told, want %q", got, want)
	}
	if p.events[0].DistinctID != p.events[1].DistinctID || p.events[0].DistinctID == p.events[2].DistinctID {
		t.Error("people are not told apart")
	}
	for _, id := range []string{"per_ada", "org_shop"} {
		if strings.Contains(p.bodies, id) {
			t.Errorf("%s was told", id)
		}
	}
}

func TestAServerThatDoesNotAnswerDelaysNobody(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-hold }))
	defer server.Close()
	defer close(hold)
	a, err := New("phc_key", server.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for range 200 * room { // far more than fits anywhere
			a.Used("per_ada", Edited, false)
		}
	}()
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Fatal("who told waits for the server")
	}
	<-asked // it was told, and holds on
	stopped := make(chan struct{})
	go func() { defer close(stopped); a.Stop() }()
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Fatal("the stop waits for the server")
	}
}

func TestWithoutAKeyNobodyIsTold(t *testing.T) {
	t.Parallel()
	a, err := New("", "https://eu.i.posthog.com", nil)
	if a != nil || err != nil {
		t.Fatalf("%v, %v", a, err)
	}
	a.Used("per_ada", Edited, false)
	a.JobEnded("org", "publish", "done", time.Second)
	a.Stop()
}
