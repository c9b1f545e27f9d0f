package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scratchpaper/internal/localdb"
)

const columns = 12

// rows is how many the large table has: BENCH_ROWS, or a million.
func rows() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_ROWS")); err == nil && n > 0 {
		return n
	}
	return 1_000_000
}

const smallRows = 10_000

// scratch is the folder of everything that the benchmarks make.
var scratch string

// world is a Postgres with a service's database in it, and the app on the same server with a snapshot of that.
type world struct {
	pg       *localdb.Server
	app      *app
	source   *pgx.Conn // the service's database
	own      *pgx.Conn // the app's own, by another client
	idle     float64   // MB that the app holds when nothing is done
	snapshot string    // path under /api/v1
	large    table
	small    table
}

// table is a table of the snapshot: its id and the physical names of its columns by slug.
type table struct {
	id     string
	schema string
	cols   map[string]string
	number map[string]int64
}

var theWorld *world

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "scratchpaper-bench-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		scratch = dir
		defer os.RemoveAll(dir)
		// As root the database runs as somebody else, who has to come through.
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		printFigures()
		if theWorld != nil {
			theWorld.end()
		}
		return code
	}())
}

func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if w.app != nil {
		w.app.stop()
	}
	for _, c := range []*pgx.Conn{w.source, w.own} {
		if c != nil {
			_ = c.Close(ctx)
		}
	}
	_ = w.pg.Stop(ctx)
}

// mustWorld makes the world at the first benchmark that needs it.
func mustWorld(b *testing.B) *world {
	b.Helper()
	if theWorld != nil {
		return theWorld
	}
	pg, err := localdb.Start(b.Context(), localdb.Options{DataDir: filepath.Join(scratch, "postgres"), OpenTCP: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	theWorld = &world{pg: pg}
	w := theWorld
	w.own = w.connect(b, "scratchpaper")
	must(b, w.own, "create database service")
	w.source = w.connect(b, "service")
	for name, n := range map[string]int{"items": rows(), "few_items": smallRows} {
		must(b, w.source, itemsSQL(name, n))
		must(b, w.source, "vacuum (analyze) "+name)
	}
	must(b, w.own, "checkpoint")
	if w.app, err = startApp(filepath.Join(scratch, "app"), "DATABASE_URL="+pg.URL(), "LOG_LEVEL=warn"); err != nil {
		b.Fatal(err)
	}
	w.app.send(b, "GET", "/", "", nil)
	time.Sleep(2 * time.Second) // its start is over
	w.idle = w.app.memory()
	return w
}

func (w *world) connect(b *testing.B, database string) *pgx.Conn {
	b.Helper()
	// COPY and statements over changing tables are not to be prepared.
	cfg, err := pgx.ParseConfig(w.pg.AdminURL(database))
	if err != nil {
		b.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.RuntimeParams["jit"] = "off"
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

func must(b *testing.B, conn *pgx.Conn, sql string, args ...any) pgconn.CommandTag {
	b.Helper()
	tag, err := conn.Exec(b.Context(), sql, args...)
	if err != nil {
		b.Fatalf("%v in %.300s", err, sql)
	}
	return tag
}

// itemsSQL makes a table of 12 columns at the service.
func itemsSQL(name string, n int) string {
	return fmt.Sprintf(`create table %s (id bigint primary key, title text not null, vendor text not null, category text, sku text not null, price numeric(10, 2) not null, stock int not null,
			sold_out boolean not null, made date, seen timestamptz not null, note text, homepage text);
		insert into %[1]s select g, 'Item number ' || g || ' by ' || (array['Acme', 'Initech', 'Umbrella', 'Globex', 'Hooli'])[1 + g %% 5], 'Vendor ' || g %% 977,
			case when g %% 7 > 0 then (array['tools', 'toys', 'books', 'garden', 'kitchen', 'Küche', 'Bücher'])[1 + g %% 7] end, 'SKU-' || md5(g::text), (g::bigint * 7919 %% 100000) / 100.0, g %% 1000,
			g %% 13 = 0, date '2015-01-01' + (g::bigint * 31 %% 4000)::int, timestamptz '2020-01-01 00:00:00+00' + g * interval '97 second',
			case when g %% 4 > 0 then repeat('Something to say about it, not always short. ', 1 + (g %% 3)::int) end, 'https://example.com/items/' || g
		from generate_series(1, %d) g`, name, n)
}

// connection makes the connection to the service.
func (w *world) connection(b *testing.B) string {
	b.Helper()
	u, err := url.Parse(w.pg.URL())
	if err != nil {
		b.Fatal(err)
	}
	password, _ := u.User.Password()
	_, port := w.pg.SampleAddr()
	return text(w.app.call(b, "POST", "/api/v1/connections", object{"connector": "postgres", "name": "Service", "settings": object{"host": "127.0.0.1", "port": fmt.Sprint(port),
		"database": "service", "user": u.User.Username(), "password": password, "sslmode": "disable"}}), "id")
}

// downloaded takes the snapshot at the first benchmark that needs it, and tells how long the large table took.
func (w *world) downloaded(b *testing.B) (took time.Duration, memory float64) {
	b.Helper()
	if w.snapshot != "" {
		return 0, 0
	}
	con := w.connection(b)
	take := func(name, remote string) string {
		made := w.app.call(b, "POST", "/api/v1/snapshots", object{"name": name, "tables": []object{{"connection": con, "remote_table": remote}}})
		w.app.done(b, text(made, "job", "id"))
		return text(made, "snapshot", "id")
	}
	few := take("Few items", "public.few_items")
	var id string
	took, memory = w.app.watched(func() { id = take("Items", "public.items") })
	w.snapshot = "/api/v1/snapshots/" + id
	w.large, w.small = w.tableOf(b, id), w.tableOf(b, few)
	w.settle(b)
	return took, memory
}

func (w *world) tableOf(b *testing.B, snapshot string) table {
	b.Helper()
	t := table{schema: snapshot, cols: map[string]string{}, number: map[string]int64{}}
	found, err := w.own.Query(b.Context(), "select table_id, slug, physical, number from columns where snapshot_id = $1", snapshot)
	if err != nil {
		b.Fatal(err)
	}
	var slug, physical string
	var n int64
	if _, err := pgx.ForEachRow(found, []any{&t.id, &slug, &physical, &n}, func() error { t.cols[slug], t.number[slug] = physical, n; return nil }); err != nil {
		b.Fatal(err)
	}
	return t
}

// data gives the qualified name of a table's rows, of a companion's otherwise.
func (t table) data(companion ...string) string {
	return pgx.Identifier{t.schema, append(companion, t.id)[0]}.Sanitize()
}

// api and page give addresses of the table.
func (t table) api(rest string) string {
	return "/api/v1/snapshots/" + t.schema + "/tables/" + t.id + rest
}

func (t table) page(rest string) string { return "/snapshots/" + t.schema + "/tables/" + t.id + rest }

// settle gives Postgres the rest that it has between two works of a person: dead rows are cleared and pages are written.
func (w *world) settle(b *testing.B) {
	b.Helper()
	for _, t := range []table{w.large, w.small} {
		for _, name := range []string{t.data(), t.data("_changes"), t.data("_suggestions"), t.data("_publish_items")} {
			must(b, w.own, "vacuum (analyze) "+name)
		}
	}
	must(b, w.own, "checkpoint")
}

// bare runs statements in one transaction on the app's database as another client and gives how long they took.
func (w *world) bare(b *testing.B, statements ...string) time.Duration {
	b.Helper()
	began := time.Now()
	must(b, w.own, "begin")
	for _, sql := range statements {
		must(b, w.own, sql)
	}
	must(b, w.own, "commit")
	return time.Since(began)
}

// copyOf makes a table like another, indexes included, with its rows, and settles it.
func (w *world) copyOf(b *testing.B, name, of string, withRows bool) string {
	b.Helper()
	must(b, w.own, "create schema if not exists bench")
	full := "bench." + name
	must(b, w.own, "drop table if exists "+full)
	must(b, w.own, "create table "+full+" (like "+of+" including all) with (fillfactor = "+w.fillFactor(b, of)+")")
	if withRows {
		must(b, w.own, "insert into "+full+" overriding system value select * from "+of)
	}
	must(b, w.own, "vacuum (analyze) "+full)
	must(b, w.own, "checkpoint")
	return full
}

func (w *world) fillFactor(b *testing.B, of string) string {
	b.Helper()
	var options []string
	if err := w.own.QueryRow(b.Context(), "select coalesce(reloptions, '{}') from pg_class where oid = $1::text::regclass", of).Scan(&options); err != nil {
		b.Fatal(err)
	}
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, "fillfactor="); ok {
			return v
		}
	}
	return "100"
}

func (w *world) drop(b *testing.B, names ...string) {
	b.Helper()
	for _, n := range names {
		must(b, w.own, "drop table if exists "+n)
	}
}
