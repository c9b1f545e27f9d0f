// Package metrics counts what an operator watches: requests, jobs, streams and connections, in the form that Prometheus reads.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"scratchpaper/internal/core"
)

// lookLimit is how long the look at the jobs may take when the metrics are read.
const lookLimit = 5 * time.Second

// Metrics are those of one process.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	slices   *prometheus.HistogramVec
}

// Sources are what is asked when the metrics are read.
type Sources struct {
	Pool    *pgxpool.Pool
	Streams func() int                                         // event streams that are open
	Jobs    func(ctx context.Context) ([]core.JobCount, error) // that have not ended
}

// New counts for a process.
func New(s Sources) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scratchpaper_http_request_duration_seconds", Help: "How long requests took to be answered, by address; event streams are not among them.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}}, []string{"method", "route", "status"}),
		slices: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scratchpaper_job_slice_duration_seconds", Help: "How long slices of jobs took, by kind and the state they left the job in.",
			Buckets: []float64{.05, .25, 1, 5, 15, 30, 60}}, []string{"kind", "state"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests, m.slices,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scratchpaper_event_streams", Help: "Event streams that are open at this process."}, func() float64 { return float64(s.Streams()) }),
		pool{s.Pool}, jobs{s.Jobs})
	return m
}

// Request counts an answered request. route is the address's pattern, so that there are only so many.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Slice counts a slice of a job.
func (m *Metrics) Slice(kind, state string, took time.Duration) {
	if m == nil {
		return
	}
	m.slices.WithLabelValues(kind, state).Observe(took.Seconds())
}

// Handler gives everything that was counted.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

var (
	poolConnections = prometheus.NewDesc("scratchpaper_database_connections", "Connections to the app's database.", []string{"state"}, nil)
	poolMost        = prometheus.NewDesc("scratchpaper_database_connections_max", "As many connections to the app's database as this process may open.", nil, nil)
	poolWaits       = prometheus.NewDesc("scratchpaper_database_wait_seconds_total", "How long was waited for a free connection, in all.", nil, nil)
	openJobs        = prometheus.NewDesc("scratchpaper_jobs", "Jobs that have not ended, of all processes.", []string{"kind", "state"}, nil)
)

// pool reads a pool when it is asked.
type pool struct{ of *pgxpool.Pool }

// Describe names what is collected.
func (p pool) Describe(to chan<- *prometheus.Desc) {
	to <- poolConnections
	to <- poolMost
	to <- poolWaits
}

// Collect reads the pool.
func (p pool) Collect(to chan<- prometheus.Metric) {
	s := p.of.Stat()
	to <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.AcquiredConns()), "acquired")
	to <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
	to <- prometheus.MustNewConstMetric(poolMost, prometheus.GaugeValue, float64(s.MaxConns()))
	to <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, s.EmptyAcquireWaitTime().Seconds())
}

// jobs reads the jobs table when it is asked.
type jobs struct {
	count func(ctx context.Context) ([]core.JobCount, error)
}

// Describe names what is collected.
func (j jobs) Describe(to chan<- *prometheus.Desc) { to <- openJobs }

// Collect counts the jobs. While the database is away there are no figures of them, and the others are given.
func (j jobs) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	counts, err := j.count(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(openJobs, err)
		return
	}
	for _, c := range counts {
		to <- prometheus.MustNewConstMetric(openJobs, prometheus.GaugeValue, float64(c.Jobs), c.Kind, c.State)
	}
}
