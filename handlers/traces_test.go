package handlers

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/internal/traces"
	"scratchpaper/jobs"
	"scratchpaper/store"
)

// told are the spans that a collector was told.
type told struct {
	mu    sync.Mutex
	spans []*trace.Span
	raw   strings.Builder // everything as text
}

func mustCollector(t *testing.T) (*told, string) {
	t.Helper()
	c := &told{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.WriteString(req.String())
		for _, rs := range req.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	return c, server.URL
}

// both calls two tracers of statements.
type both struct{ first, second pgx.QueryTracer }

func (b both) TraceQueryStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return b.second.TraceQueryStart(b.first.TraceQueryStart(ctx, conn, d), conn, d)
}

func (b both) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryEndData) {
	b.first.TraceQueryEnd(ctx, conn, d)
	b.second.TraceQueryEnd(ctx, conn, d)
}

// TestATraceGoesFromTheRequestIntoItsJobAndToTheService follows one trace: a request makes a job, whose slice works on the database and asks a
// service.
func TestATraceGoesFromTheRequestIntoItsJobAndToTheService(t *testing.T) {
	t.Parallel()
	c, address := mustCollector(t)
	tr, err := traces.New(t.Context(), address, "run_test")
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer service.Close()
	s := mustSiteWith(t, func(s *site, d *Deps) {
		pool, err := store.Connect(t.Context(), s.store.Pool().Config().ConnString(), 4, both{orgcheck.Tracer(t), tr.Database()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		s.store = store.New(store.Options{Pool: pool, Sealer: plainBox{}, Log: slog.New(slog.DiscardHandler), Sessions: s.rdb, TraceParent: tr.Parent})
		d.Store, d.Traces = s.store, tr
	})
	con := s.mustConnect(t)
	asks := func(run *jobs.Run) (any, error) {
		ctx, cancel := run.Request()
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, service.URL+"/secret-path?key=Narwhal", nil)
		if err != nil {
			return nil, err
		}
		resp, err := tr.Service(http.DefaultTransport).RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		return nil, err
	}
	r := jobs.New(jobs.Options{Store: s.store, Redis: s.rdb, Dial: (&net.Dialer{}).DialContext, Settings: func(context.Context, core.Actor, string) (connectors.Connector, connectors.Settings, error) {
		return nil, nil, nil
	},
		Timings: jobs.DefaultTimings().Scaled(4 * time.Second), Workers: 1, Log: slog.New(slog.DiscardHandler), Traces: tr, Kinds: map[string]jobs.Kind{"download": {Run: asks}}})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	s.store.SetWaker(r.Wake)
	a := s.post(t, "/snapshots", url.Values{"connection": {con}, "table": {"public.kettles"}, "name": {"Axolotl"}})
	a.is(t, http.StatusSeeOther)
	s.until(t, "the end of the job", func() bool {
		all, err := s.store.Jobs(t.Context(), s.by, store.JobsFilter{})
		return err == nil && len(all) == 1 && all[0].Ended()
	})
	s.get(t, "/nowhere?key=Narwhal")
	r.Stop()
	tr.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	of := map[string]string{} // trace by name
	for _, span := range c.spans {
		if of[span.Name] == "" || span.Name == "job download" {
			of[span.Name] = hex.EncodeToString(span.TraceId)
		}
	}
	want := of["POST /snapshots"]
	if want == "" || of["job download"] != want || of["GET 127.0.0.1"] != want {
		t.Errorf("the request, its job and what that asks the service are not one trace: %v", of)
	}
	statements := 0
	for _, span := range c.spans {
		if strings.HasPrefix(span.Name, "postgres ") && hex.EncodeToString(span.TraceId) == want {
			statements++
		}
	}
	if statements < 5 || of["GET none"] == "" {
		t.Errorf("%d statements are in the trace; %v", statements, of)
	}
	for _, word := range []string{"Narwhal", "Axolotl", "secret-path", "nowhere", "where org_id", "Kettle"} {
		if strings.Contains(c.raw.String(), word) {
			t.Errorf("the collector is told %s", word)
		}
	}
}

func TestWithoutACollectorNothingIsTold(t *testing.T) {
	t.Parallel()
	tr, err := traces.New(t.Context(), "", "run_test")
	if err != nil || tr != nil || tr.Database() != nil || tr.Parent(t.Context()) != "" || tr.Service(http.DefaultTransport) != http.DefaultTransport {
		t.Errorf("%v, %v", tr, err)
	}
	ctx, end := tr.Request(t.Context(), "GET")
	end("/", 200)
	if ctx != t.Context() {
		t.Error("the context is another one")
	}
	tr.Stop()
}
