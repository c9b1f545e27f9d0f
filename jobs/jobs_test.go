package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/internal/redistest"
	"scratchpaper/internal/sample"
	"scratchpaper/store"
)

// office is an app without its pages: a store, workers, and a service to publish to.
type office struct {
	*store.Store
	by      core.Actor
	service *pgxpool.Pool // the service's own database, as another client sees it
	con     store.Connection
	runner  *Runner
	options Options
}

type openBox struct{}

func (openBox) Seal(p []byte, org, table, id string) ([]byte, error)   { return p, nil }
func (openBox) Unseal(p []byte, org, table, id string) ([]byte, error) { return p, nil }

// quick runs all times at about a twentieth.
func quick() Timings {
	return Timings{Lease: 3 * time.Second, Renew: 500 * time.Millisecond, Margin: 300 * time.Millisecond, Request: 2 * time.Second, Slice: 3 * time.Second,
		Sweep: 100 * time.Millisecond, Again: 500 * time.Millisecond, Settle: 500 * time.Millisecond}
}

func mustOffice(t *testing.T, fill func(ctx context.Context, conn *pgx.Conn) error) *office {
	t.Helper()
	ctx := t.Context()
	serviceURL := testdb.URL(t)
	conn, err := pgx.Connect(ctx, serviceURL)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(ctx, conn); err != nil {
		t.Fatal(err)
	}
	conn.Close(ctx)
	o := officeFor(t, postgres.New(), connectionTo(t, testdb.TCP(t, serviceURL)), quick())
	o.service = testdb.Pool(t, serviceURL)
	return o
}

// officeFor is an office with a connection to a service.
func officeFor(t *testing.T, k connectors.Connector, n store.NewConnection, timings Timings) *office {
	t.Helper()
	ctx := t.Context()
	pool, err := store.Connect(ctx, testdb.Migrated(t), 8, orgcheck.Tracer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	o := &office{by: core.Local()}
	o.Store = store.New(store.Options{Pool: pool, Sealer: openBox{}, Log: slog.New(slog.DiscardHandler)})
	if o.con, err = o.CreateConnection(ctx, o.by, n); err != nil {
		t.Fatal(err)
	}
	mini := redistest.InProcess(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { rdb.Close() })
	o.options = Options{Store: o.Store, Redis: rdb, Workers: 3, Log: slog.New(slog.DiscardHandler), Timings: timings, Dial: (&net.Dialer{}).DialContext,
		Settings: func(ctx context.Context, by core.Actor, id string) (connectors.Connector, connectors.Settings, error) {
			m, err := o.ConnectionSettings(ctx, by, id)
			return k, m, err
		}}
	o.start(t)
	t.Cleanup(func() { o.runner.Stop() })
	return o
}

func (o *office) start(t *testing.T) {
	t.Helper()
	o.runner = New(o.options)
	if err := o.runner.Start(); err != nil {
		t.Fatal(err)
	}
	o.SetWaker(o.runner.Wake)
}

func connectionTo(t *testing.T, address string) store.NewConnection {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	return store.NewConnection{Connector: "postgres", Name: "Service", Settings: map[string]string{"host": cfg.Host, "port": fmt.Sprint(cfg.Port), "database": cfg.Database,
		"user": u.User.Username(), "sslmode": "disable"}, Secrets: map[string]string{"password": cfg.Password}}
}

// snapshotOf takes tables of the service and waits for the download.
func (o *office) snapshotOf(t *testing.T, names ...string) store.Snapshot {
	t.Helper()
	return o.take(t, o.choose(t, names...))
}

// choose gives a snapshot to be taken of tables of the service, as it describes them now.
func (o *office) choose(t *testing.T, names ...string) store.NewSnapshot {
	t.Helper()
	ctx := t.Context()
	c, settings, err := o.options.Settings(ctx, o.by, o.con.ID)
	if err != nil {
		t.Fatal(err)
	}
	session, err := c.Open(ctx, settings, connectors.Environment{Dial: o.options.Dial, Deadline: func() time.Time { return time.Time{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	n := store.NewSnapshot{Name: "Snapshot"}
	for _, name := range names {
		r, err := session.Table(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		nt := store.NewTable{Connection: o.con.ID, RemoteID: r.ID, Title: r.Name, Source: core.Remote, Writable: r.Writable, Creatable: r.Creatable, Deletable: r.Deletable, Versioned: r.Versioned}
		for _, f := range r.Columns {
			nt.Columns = append(nt.Columns, store.NewColumn{RemoteID: f.ID, Title: f.Name, Type: f.Type, Options: f.Options, Writable: f.Writable, InsertOnly: f.InsertOnly, WhyNot: f.WhyNot})
		}
		n.Tables = append(n.Tables, nt)
	}
	return n
}

// take takes a snapshot and waits for the download.
func (o *office) take(t *testing.T, n store.NewSnapshot) store.Snapshot {
	t.Helper()
	ctx := t.Context()
	sn, job, err := o.CreateSnapshot(ctx, o.by, n)
	if err != nil {
		t.Fatal(err)
	}
	o.wait(t, job.ID, "done")
	sn, err = o.SnapshotByID(ctx, o.by, sn.ID)
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

func (o *office) wait(t *testing.T, id, state string) store.Job {
	t.Helper()
	deadline := time.Now().Add(max(60*time.Second, 20*o.options.Timings.Lease))
	for {
		j, err := o.JobByID(t.Context(), o.by, id)
		if err != nil {
			t.Fatal(err)
		}
		if j.State == state {
			return j
		}
		if j.Ended() || time.Now().After(deadline) {
			t.Fatalf("job %s is %s (%+v), want %s", j.Kind, j.State, j.Error, state)
		}
		time.Sleep(20 * time.Millisecond) // polls until the condition holds
	}
}

func (o *office) set(t *testing.T, tb store.Table, record int64, slug, value string) {
	t.Helper()
	c, ok := tb.ColumnBySlug(slug)
	if !ok {
		t.Fatalf("no column %s in %+v", slug, tb.Columns)
	}
	v, err := core.FromInput(c, value)
	if err != nil {
		t.Fatal(err)
	}
	res, err := o.ApplyChanges(t.Context(), o.by, tb.Ref(), store.Changes{Sets: []store.CellEdit{{Record: record, Column: c.Number, Value: v}}}, store.ChangeOptions{})
	if err != nil || len(res.Refused) > 0 {
		t.Fatalf("set %s: %+v %v", slug, res.Refused, err)
	}
}

// records gives the ids of a table's records, oldest first.
func (o *office) records(t *testing.T, tb store.Table) []int64 {
	t.Helper()
	order, err := o.Order(t.Context(), o.by, tb.Ref(), store.View{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return order.IDs(0, order.Len())
}

// publishAll plans everything and publishes it, deletes included, and waits for the end.
func (o *office) publishAll(t *testing.T, sn store.Snapshot) store.Plan {
	t.Helper()
	p, err := o.MakePlan(t.Context(), o.by, sn.ID, nil, store.Where{})
	if err != nil {
		t.Fatal(err)
	}
	return o.publishPlan(t, sn, p)
}

func (o *office) publishPlan(t *testing.T, sn store.Snapshot, p store.Plan) store.Plan {
	t.Helper()
	j, err := o.StartPublish(t.Context(), o.by, sn.ID, p.ID, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	o.wait(t, j.ID, "done")
	if p, err = o.PlanByID(t.Context(), o.by, sn.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	return p
}

// dump gives every row of a service's table as JSON, to compare before and after; columns that the service itself keeps
// are left out.
func (o *office) dump(t *testing.T, table, key string) map[string]string {
	t.Helper()
	rows, err := o.service.Query(t.Context(), `select (to_jsonb(t) ->> $1), (to_jsonb(t) - 'updated_at')::text from `+table+` t`, key)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var k, v string
	if _, err := pgx.ForEachRow(rows, []any{&k, &v}, func() error { out[k] = v; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func different(a, b map[string]string) []string {
	var out []string
	for k, v := range a {
		if b[k] != v {
			out = append(out, k+": "+v+" → "+b[k])
		}
	}
	for k, v := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k+": new "+v)
		}
	}
	return out
}

func TestTheSampleIsDownloadedEditedPublishedAndReverted(t *testing.T) {
	t.Parallel()
	o := mustOffice(t, sample.Load)
	sn := o.snapshotOf(t, sample.Tables()...)
	var places store.Table
	for _, tb := range sn.Tables {
		if tb.RemoteID == "public.places" || tb.Title == "public.places" {
			places = tb
		}
	}
	if n := places.Counts.Records; n == nil || *n < 20000 {
		t.Fatalf("places has %v records", n)
	}
	before := o.dump(t, "public.places", "id")
	ids := o.records(t, places)
	o.set(t, places, ids[0], "name", "Renamed place")
	o.set(t, places, ids[1], "population", "12345")
	if _, err := o.ApplyChanges(t.Context(), o.by, places.Ref(), store.Changes{Deletes: []store.RecordOp{{Record: ids[2]}}}, store.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if res, err := o.DuplicateRecords(t.Context(), o.by, places.Ref(), []int64{ids[3]}); err != nil || len(res.Created) != 1 {
		t.Fatalf("duplicate: %+v %v", res, err)
	}
	p := o.publishAll(t, sn)
	if p.Counts.Published != 4 || p.Counts.Failed+p.Counts.Conflict+p.Counts.Unknown != 0 {
		items, _, _ := o.Items(t.Context(), o.by, sn.ID, p.ID, store.ItemsFilter{})
		raw, _ := json.MarshalIndent(items, "", " ")
		t.Fatalf("published %+v\n%s", p.Counts, raw)
	}
	after := o.dump(t, "public.places", "id")
	if d := different(before, after); len(d) != 4 {
		t.Fatalf("the service differs in %d records: %v", len(d), d)
	}
	rev, err := o.Revert(t.Context(), o.by, sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	back := o.publishPlan(t, sn, rev.Plan)
	if back.Counts.Published != 4 {
		items, _, _ := o.Items(t.Context(), o.by, sn.ID, back.ID, store.ItemsFilter{})
		raw, _ := json.MarshalIndent(items, "", " ")
		t.Fatalf("reverted %+v\n%s", back.Counts, raw)
	}
	if d := different(before, o.dump(t, "public.places", "id")); len(d) != 0 {
		t.Fatalf("after the revert the service differs: %v", d)
	}
}
