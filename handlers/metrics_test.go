package handlers

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"scratchpaper/store"
)

// readMetrics asks for the metrics with headers, as pairs.
func (s *site) readMetrics(t *testing.T, headers ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestTheMetricsCountWhatAnOperatorWatches(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	for _, path := range []string{"/", "/connections", "/connections/con_none", "/nowhere/at/all"} {
		s.get(t, path)
	}
	status, text := s.readMetrics(t)
	if status != http.StatusOK {
		t.Fatalf("the metrics answer %d", status)
	}
	for _, want := range []string{
		`scratchpaper_http_request_duration_seconds_count{method="GET",route="/",status="200"} 1`,
		`scratchpaper_http_request_duration_seconds_count{method="GET",route="/connections/:connection",status="404"} 1`,
		`scratchpaper_event_streams 0`, `scratchpaper_database_connections{state="idle"}`, "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text, "nowhere") || strings.Contains(text, "con_none") {
		t.Error("what people ask for is a label: there is no end to that")
	}
}

func TestTheMetricsAreForThisMachineOrForWhoHasTheToken(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
		if status, _ := s.readMetrics(t, header, "203.0.113.7"); status != http.StatusNotFound {
			t.Errorf("with %s they answer %d", header, status)
		}
	}
	s.app.config.MetricsToken = "a token for the metrics"
	for token, want := range map[string]int{"": http.StatusNotFound, "Bearer ": http.StatusNotFound, "Bearer a token for the metric": http.StatusNotFound,
		"a token for the metrics": http.StatusNotFound, "Bearer a token for the metrics": http.StatusOK} {
		if status, _ := s.readMetrics(t, "Authorization", token); status != want {
			t.Errorf("with %q they answer %d, want %d", token, status, want)
		}
	}
}

func TestTheMetricsOfAnAppThatOthersUseNeedTheToken(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	if status, _ := h.site.readMetrics(t); status != http.StatusNotFound {
		t.Errorf("without a token they answer %d where people sign in", status)
	}
	h.site.app.config.MetricsToken = "a token for the metrics"
	if status, _ := h.site.readMetrics(t, "Authorization", "Bearer a token for the metrics"); status != http.StatusOK {
		t.Errorf("with the token they answer %d", status)
	}
}

// TestWatchersNameAProcessByItsOwnAddress asks as a balancer, a supervisor of containers and Prometheus do.
func TestWatchersNameAProcessByItsOwnAddress(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		h.visitor(t).get(t, path, "Host", "10.2.0.7:3010").is(t, http.StatusOK, "ok")
	}
	if status, _ := h.site.readMetrics(t, "Host", "web:3010"); status == http.StatusOK {
		t.Error("without a token anybody may read the metrics")
	}
	h.visitor(t).get(t, "/sign-in", "Host", "10.2.0.7:3010").is(t, http.StatusForbidden)
	h.site.app.config.MetricsToken = "a token for the metrics"
	h.visitor(t).get(t, "/metrics", "Host", "web:3010", "Authorization", "Bearer a token for the metrics").is(t, http.StatusOK, "go_goroutines")
}

// dashboardNames are the metrics that an expression of Prometheus names.
var dashboardNames = regexp.MustCompile(`\b(?:scratchpaper|go|process)_[a-z_]+`)

// TestTheDashboardAsksForWhatTheMetricsAnswer holds deploy/grafana.json against what /metrics says, and against what an import into Grafana
// needs.
func TestTheDashboardAsksForWhatTheMetricsAnswer(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.get(t, "/")
	s.app.metrics.Slice("refresh", "done", time.Second)
	if _, err := s.store.Enqueue(t.Context(), s.by, store.NewJob{Kind: "refresh", Label: "Refresh"}); err != nil {
		t.Fatal(err)
	}
	_, text := s.readMetrics(t)
	raw, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Datasource  struct{ Type, UID string }
			Targets     []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || len(d.UID) > 40 || d.SchemaVersion < 36 || len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" || len(d.Panels) == 0 {
		t.Errorf("it cannot be imported: %.300s", raw)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Type == "" || p.Title == "" || p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 || p.Datasource.UID != "${"+d.Templating.List[0].Name+"}" || len(p.Targets) == 0 {
			t.Errorf("the panel %q lacks something: %+v", p.Title, p)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			names := dashboardNames.FindAllString(q.Expr, -1)
			if q.RefID == "" || len(names) == 0 {
				t.Errorf("%s asks for %q as %q", p.Title, q.Expr, q.RefID)
			}
			for _, name := range names {
				if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
					t.Errorf("%s asks for %s, which /metrics does not answer", p.Title, name)
				}
			}
		}
	}
}
