package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The benchmarks run once each and in this order: later ones begin with what earlier ones leave.

// Benchmark01Download reads the service's table into a snapshot. Bare: COPY out of it and into a table like the snapshot's.
func Benchmark01Download(b *testing.B) {
	w := mustWorld(b)
	took, memory := w.downloaded(b)
	target := w.copyOf(b, "download", w.large.data(), false)
	cols := "_remote_id, _remote_version, " + strings.Join(w.physical(), ", ")
	began := time.Now()
	w.pipe(b, w.source, "copy (select id::text, xmin::text, "+strings.Join(names, ", ")+" from items order by items.id) to stdout", "copy "+target+" ("+cols+") from stdin")
	bare := time.Since(began)
	w.drop(b, target)
	compared(b, "download from Postgres", took, bare, 2.5, memory-w.idle, "")
}

// names are the service's columns in order; physical are those of the snapshot.
var names = []string{"id", "title", "vendor", "category", "sku", "price", "stock", "sold_out", "made", "seen", "note", "homepage"}

func (w *world) physical() []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = w.large.cols[n]
	}
	return out
}

// pipe copies from one connection to the other.
func (w *world) pipe(b *testing.B, from *pgx.Conn, out, in string) {
	b.Helper()
	r, write := io.Pipe()
	go func() {
		_, err := from.PgConn().CopyTo(context.Background(), write, out)
		write.CloseWithError(err)
	}()
	if _, err := w.own.PgConn().CopyFrom(b.Context(), r, in); err != nil {
		b.Fatal(err)
	}
}

// Benchmark02Import reads a CSV file of as many rows into a new snapshot, from the upload to the end of its job. Bare: COPY of the
// same file into a table like the snapshot's.
func Benchmark02Import(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	file := w.csvFile(b)
	var snapshot string
	took, memory := w.app.watched(func() { snapshot = w.importFile(b, file) })
	t := w.tableOf(b, snapshot)
	target := w.copyOf(b, "imported", t.data(), false)
	cols := make([]string, len(names))
	for i, n := range names {
		cols[i] = t.cols[n]
	}
	f, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	if _, err := w.own.PgConn().CopyFrom(b.Context(), bufio.NewReaderSize(f, 1<<20), "copy "+target+" ("+strings.Join(cols, ", ")+") from stdin (format csv, header)"); err != nil {
		b.Fatal(err)
	}
	bare := time.Since(began)
	w.drop(b, target)
	w.app.send(b, "DELETE", "/api/v1/snapshots/"+snapshot, "", nil)
	compared(b, "import of a CSV, from its upload on", took, bare, 2.5, memory-w.idle, "")
}

func (w *world) csvFile(b *testing.B) string {
	b.Helper()
	path := filepath.Join(scratch, "items.csv")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := w.source.PgConn().CopyTo(b.Context(), f, "copy (select * from items order by id) to stdout (format csv, header)"); err != nil {
		b.Fatal(err)
	}
	return path
}

// importFile uploads a file as the page does, takes what the preview guesses, and waits for the job.
func (w *world) importFile(b *testing.B, path string) (snapshot string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, write := io.Pipe()
	form := multipart.NewWriter(write)
	go func() {
		part, err := form.CreateFormFile("file", "items.csv")
		if err == nil {
			_, err = io.Copy(part, f)
		}
		if err == nil {
			err = form.Close()
		}
		write.CloseWithError(err)
	}()
	var up struct{ Address string }
	if err := json.Unmarshal(w.app.send(b, "POST", "/imports", form.FormDataContentType(), r), &up); err != nil {
		b.Fatal(err)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(w.app.url+up.Address, url.Values{"name": {"Imported"}})
	if err != nil || res.StatusCode != http.StatusSeeOther {
		b.Fatalf("the import does not start: %v %v", res, err)
	}
	res.Body.Close()
	snapshot = filepath.Base(res.Header.Get("Location"))
	w.app.done(b, text(w.app.call(b, "GET", "/api/v1/jobs?snapshot="+snapshot, nil), "items", 0, "id"))
	return snapshot
}

// view is a view that needs a sort and a filter.
const view = "filter=stock+%3E+9&sort=-price,title"

func (w *world) order(b *testing.B, t table, query string) (id string, rows int64) {
	b.Helper()
	o := w.app.call(b, "GET", t.page("/order?"+query), nil)
	return text(o, "order"), number(o, "rows")
}

// Benchmark03Window asks for windows of 30 rows at random places of a sorted and filtered view by 16 clients.
func Benchmark03Window(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	for _, t := range []struct {
		name string
		table
	}{{fmt.Sprintf("%d rows", rows()), w.large}, {fmt.Sprintf("%d rows", smallRows), w.small}} {
		b.Run(t.name, func(b *testing.B) {
			order, n := w.order(b, t.table, view)
			var took []time.Duration
			_, memory := w.app.watched(func() { took = w.windows(b, t.table, order, n, 5*time.Second) })
			slices.Sort(took)
			p99 := took[len(took)*99/100]
			rate := float64(len(took)) / 5
			measured(b, "window of 30 rows, "+t.name+": milliseconds a window at 1,000 a second", 1000/rate, 1, "ms", memory-w.idle, fmt.Sprintf("%.0f a second", rate))
			measured(b, "window of 30 rows, "+t.name+": p99 of 16 clients", float64(p99.Microseconds())/1000, 50, "ms", memory-w.idle, "")
		})
	}
}

// windows lets 16 clients ask for windows at random places.
func (w *world) windows(b *testing.B, t table, order string, rows int64, d time.Duration) []time.Duration {
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	until := time.Now().Add(d)
	var all []time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			var mine []time.Duration
			for time.Now().Before(until) {
				from := rand.Int64N(rows - 30)
				began := time.Now()
				res, err := client.Get(fmt.Sprintf("%s%s?order=%s&from=%d&to=%d", w.app.url, t.page("/rows"), order, from, from+30))
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					b.Errorf("a window answers %d %v", res.StatusCode, err)
					return
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return all
}

// Benchmark04ColdView opens a view that is sorted by a column without an index.
func Benchmark04ColdView(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	sort := `r.` + w.large.cols["title"] + ` collate natural_sort desc nulls last, r._id`
	cut := make([]string, len(names))
	for i, p := range w.physical() {
		cut[i] = "left(r." + p + "::text, 301)"
	}
	first := w.fastest(b, "select r._id, "+strings.Join(cut, ", ")+" from "+w.large.data()+" r where r._state <> 2 order by "+sort+" limit 40")
	took, memory := w.app.watched(func() { w.app.send(b, "GET", w.large.page("/rows?first=1&sort=-title"), "", nil) })
	compared(b, "first rows of a cold view, sorted by an unindexed column", took, first, 2, memory-w.idle, "bare: the LIMIT query")
	whole := w.fastest(b, "select r._id from "+w.large.data()+" r where r._state <> 2 order by "+sort)
	took, memory = w.app.watched(func() { w.order(b, w.large, "sort=-title&fresh=1") })
	compared(b, "the whole order of it", took, whole, 2, memory-w.idle, "bare: select _id … order by")
}

// fastest runs a query three times, reads all of it, and gives the shortest time.
func (w *world) fastest(b *testing.B, sql string) time.Duration {
	b.Helper()
	best := time.Hour
	for range 3 {
		began := time.Now()
		w.read(b, w.own, sql)
		best = min(best, time.Since(began))
	}
	return best
}

func (w *world) read(b *testing.B, conn *pgx.Conn, sql string) {
	b.Helper()
	found, err := conn.Query(b.Context(), sql, pgx.QueryExecModeDescribeExec)
	if err != nil {
		b.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
	}
	if err := found.Err(); err != nil {
		b.Fatal(err)
	}
}

// Benchmark05Edits sends 10,000 edits as one batch, as a paste or a script does, and undoes them.
func Benchmark05Edits(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	changes := make([]object, 10_000)
	for i := range changes {
		changes[i] = object{"op": "set", "record": 1 + (i*97)%rows(), "values": object{"note": fmt.Sprintf("Edited %d", i)}}
	}
	best, memory := time.Hour, 0.0
	for range 3 {
		body := encoded(b, object{"changes": changes})
		var raw []byte
		took, most := w.app.watched(func() { raw = w.app.send(b, "POST", w.large.api("/changes"), "application/json", body) })
		best, memory = min(best, took), max(memory, most)
		var res struct{ Batch string }
		if err := json.Unmarshal(raw, &res); err != nil {
			b.Fatal(err)
		}
		w.app.command(b, w.snapshot+"/batches/"+res.Batch+"/undo", nil)
	}
	measured(b, "10,000 edits in one batch through HTTP", best.Seconds(), 0.3, "s", memory-w.idle, "")
	w.settle(b)
}
