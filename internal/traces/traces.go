// Package traces tells a collector of OpenTelemetry, where one is configured, how long requests, slices of jobs, statements and requests to services
// took. It tells kinds, ids, hosts and states, and never values, texts of statements, queries of addresses or what records hold.
// Every method works on a nil *Traces, and does nothing there.
package traces

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	sendLimit = 10 * time.Second // of one batch
	stopLimit = 3 * time.Second  // a stop waits no longer for a collector that does not answer
)

// Traces tells of what a process does.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// New tells a collector at an address such as http://127.0.0.1:4318, which it gets to by OTLP over HTTP; the library reads the rest of
// OpenTelemetry's own settings, as OTEL_EXPORTER_OTLP_HEADERS. An empty address gives nil. Spans are sent from behind in batches; those that
// find no room are lost, so a slow collector delays nobody.
func New(ctx context.Context, address, process string) (*Traces, error) {
	if address == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(address, "/")+"/v1/traces"), otlptracehttp.WithTimeout(sendLimit))
	if err != nil {
		return nil, err
	}
	about := resource.NewSchemaless(attribute.String("service.name", "scratchpaper"), attribute.String("service.instance.id", process))
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Traces{provider: p, tracer: p.Tracer("scratchpaper")}, nil
}

// Stop sends what has not been sent yet, and waits no longer than three seconds for it.
func (t *Traces) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what is lost is a trace
}

// passing writes and reads the header traceparent.
var passing = propagation.TraceContext{}

// Parent gives what a job keeps of the request that makes it, so that its trace goes on there: a traceparent; "" is none.
func (t *Traces) Parent(ctx context.Context) string {
	if t == nil {
		return ""
	}
	carrier := propagation.MapCarrier{}
	passing.Inject(ctx, carrier)
	return carrier["traceparent"]
}

func under(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return passing.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}

// Request begins the span of a request, and a trace of its own: who asks is not to choose it. The function ends it: route is the address's
// pattern, never what somebody asked for.
func (t *Traces) Request(ctx context.Context, method string) (context.Context, func(route string, status int)) {
	if t == nil {
		return ctx, func(string, int) {}
	}
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(route string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Slice begins the span of a slice of a job, in the trace of what made the job.
func (t *Traces) Slice(ctx context.Context, parent, kind, job string) (context.Context, func(state string)) {
	if t == nil {
		return ctx, func(string) {}
	}
	ctx, span := t.tracer.Start(under(ctx, parent), "job "+kind, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("scratchpaper.job.kind", kind), attribute.String("scratchpaper.job.id", job)))
	return ctx, func(state string) {
		span.SetAttributes(attribute.String("scratchpaper.job.state", state))
		if state == "failed" {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Service gives a transport whose requests to a service are told of by method, host and status; of an address nothing else is.
func (t *Traces) Service(base http.RoundTripper) http.RoundTripper {
	if t == nil {
		return base
	}
	return serviceTransport{base, t.tracer}
}

type serviceTransport struct {
	base   http.RoundTripper
	tracer trace.Tracer
}

// RoundTrip sends a request and tells of it. Nothing of the trace is sent along: the service is somebody else's.
func (s serviceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanFromContext(r.Context()).IsRecording() {
		return s.base.RoundTrip(r)
	}
	ctx, span := s.tracer.Start(r.Context(), r.Method+" "+r.URL.Hostname(), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname())))
	defer span.End()
	resp, err := s.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetStatus(codes.Error, "") // its words may hold the address
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	return resp, nil
}

// Database gives a tracer of statements for the app's own database; nil for nil, so that pgx does not call any.
func (t *Traces) Database() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return statements{t.tracer}
}

// statements tells of those that belong to a request or a job, by their first word.
type statements struct{ tracer trace.Tracer }

// TraceQueryStart begins the span of a statement.
func (s statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return context.WithValue(ctx, noSpan{}, true)
	}
	word := firstWord(d.SQL)
	ctx, _ = s.tracer.Start(ctx, "postgres "+word, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.operation.name", word)))
	return ctx
}

// TraceQueryEnd ends it: how many rows there were, or the code of the error.
func (s statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	if ctx.Value(noSpan{}) != nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.Int64("db.response.returned_rows", d.CommandTag.RowsAffected()))
	if d.Err != nil && !errors.Is(d.Err, pgx.ErrNoRows) {
		span.SetStatus(codes.Error, "")
		var pg *pgconn.PgError
		if errors.As(d.Err, &pg) {
			span.SetAttributes(attribute.String("db.response.status_code", pg.Code))
		}
	}
	span.End()
}

// noSpan marks the context of a statement that nothing is told of.
type noSpan struct{}

// firstWord gives the word that a statement begins with, behind a comment: select, insert, with …
func firstWord(sql string) string {
	sql = strings.TrimSpace(sql)
	if strings.HasPrefix(sql, "/*") {
		if _, rest, ok := strings.Cut(sql, "*/"); ok {
			sql = strings.TrimSpace(rest)
		}
	}
	end := strings.IndexFunc(sql, func(r rune) bool { return r < 'A' || r > 'z' || r > 'Z' && r < 'a' })
	if end < 0 {
		end = len(sql)
	}
	return strings.ToLower(sql[:min(end, 20)])
}
