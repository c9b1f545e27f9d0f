package handlers

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"scratchpaper/internal/analytics"
)

func TestEveryFeatureThatIsToldHasAnAddress(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	known := map[string]bool{}
	for _, r := range s.app.echo.Routes() {
		known[r.Method+" "+strings.TrimPrefix(r.Path, "/api/v1")] = true
	}
	var told []analytics.Feature
	for address, f := range features {
		told = append(told, f)
		if !known[address] {
			t.Errorf("%s (%s) is no address", address, f)
		}
	}
	for _, f := range analytics.AllFeatures {
		if !slices.Contains(told, f) {
			t.Errorf("%s has no address", f)
		}
	}
}

func TestWhatWentWellIsToldAndNothingElse(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var features []string
	project := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var b struct {
			Batch []struct {
				Properties struct{ Feature, Way string } `json:"properties"`
			} `json:"batch"`
		}
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range b.Batch {
			features = append(features, e.Properties.Feature+" by "+e.Properties.Way)
		}
	}))
	defer project.Close()
	a, err := analytics.New("phc_key", project.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := mustSiteWith(t, func(_ *site, d *Deps) { d.Analytics = a })
	s.get(t, "/").is(t, 200)
	s.post(t, "/connections", s.connection("name", "")).is(t, 422)
	if made := s.post(t, "/connections", s.connection()); made.status != 303 {
		t.Fatalf("the connection: %d %s", made.status, made.body)
	}
	a.Stop()
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"connection made by page"}; !slices.Equal(features, want) {
		t.Errorf("%q was told, want %q", features, want)
	}
}
