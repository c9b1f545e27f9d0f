// Package grid tests the grid as a person uses it: a real browser, a real Postgres, the app's own pages.
package grid

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/redis/go-redis/v9"

	"scratchpaper/handlers"
	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/internal/redistest"
	"scratchpaper/store"
)

// patience is how long a condition in the browser may take; the machine may be busy.
const patience = 30 * time.Second

// openBox stands in for the AEAD: these tests are not about secrets.
type openBox struct{}

func (openBox) Seal(p []byte, _, _, _ string) ([]byte, error) { return p, nil }

func (openBox) Unseal(p []byte, _, _, _ string) ([]byte, error) { return p, nil }

// shop is a running app with a table of kettles.
type shop struct {
	*store.Store
	by    core.Actor
	table store.Table
	url   string
	redis *redis.Client
}

// col gives the number of a column by its slug.
func (s shop) col(slug string) int {
	c, _ := s.table.ColumnBySlug(slug)
	return c.Number
}

func (s shop) address() string {
	return s.url + "/snapshots/" + s.table.Snapshot + "/tables/" + s.table.ID
}

func mustShop(t *testing.T, kettles int) shop {
	t.Helper()
	return mustShopOf(t, kettles, 0)
}

// mustShopOf makes a shop in which a change of more cells than bulk is a job; 0 is as many as in the app. The cookie "as" says who
// one is; without it one is the local person.
func mustShopOf(t *testing.T, kettles int, bulk int64) shop {
	t.Helper()
	ctx := t.Context()
	pool, err := store.Connect(ctx, testdb.Migrated(t), 8, orgcheck.Tracer(t))
	must(t, err)
	t.Cleanup(pool.Close)
	quiet := slog.New(slog.DiscardHandler)
	rdb := redis.NewClient(&redis.Options{Addr: redistest.InProcess(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	hub := events.New(rdb, quiet)
	go func() { _ = hub.Run(context.WithoutCancel(ctx)) }()
	t.Cleanup(hub.Stop)
	s := shop{Store: store.New(store.Options{Pool: pool, Notifier: hub, Sealer: openBox{}, Log: quiet, BulkCells: bulk}), by: core.Local(), redis: rdb}
	s.table = s.mustTable(t, kettles)
	server := httptest.NewServer(handlers.New(handlers.Deps{Store: s.Store, Hub: hub, Log: quiet, Identify: identify}))
	t.Cleanup(func() { hub.StopStreams(); server.Close() })
	s.url = server.URL
	return s
}

// identify gives whoever the cookie "as" names, with the rights of the local person.
func identify(r *http.Request) (core.Actor, error) {
	by := core.Local()
	if c, err := r.Cookie("as"); err == nil {
		by.Person, by.Name = "per_"+c.Value, c.Value
	}
	return by, nil
}

// mustTable makes the table as a download would leave it.
func (s shop) mustTable(t *testing.T, kettles int) store.Table {
	t.Helper()
	ctx := t.Context()
	con, err := s.CreateConnection(ctx, s.by, store.NewConnection{Connector: "postgres", Name: "Shop", Settings: map[string]string{"host": "x"}})
	must(t, err)
	column := func(title string, typ core.ColumnType, o core.ColumnOptions) store.NewColumn {
		return store.NewColumn{RemoteID: title, Title: title, Type: typ, Options: o, Writable: true}
	}
	none := core.ColumnOptions{}
	sn, job, err := s.CreateSnapshot(ctx, s.by, store.NewSnapshot{Name: "Spring", Tables: []store.NewTable{{
		Connection: con.ID, RemoteID: "kettles", Title: "Kettles", Source: core.Remote, Writable: true, Creatable: true, Deletable: true,
		Columns: []store.NewColumn{column("title", core.Text, none), column("price", core.Number, none), column("sold", core.Checkbox, none),
			column("status", core.Choice, core.ColumnOptions{Choices: []string{"draft", "live"}}), column("note", core.LongText, none), column("made", core.Date, none),
			{RemoteID: "id", Title: "id", Type: core.Number, WhyNot: "The service makes it.", Options: core.ColumnOptions{Key: true}}},
	}}})
	must(t, err)
	taken, _, err := s.TakeJob(ctx, job.ID, "worker", time.Hour)
	must(t, err)
	table := sn.Tables[0]
	var records []store.RemoteRecord
	for i := range kettles {
		text := core.TextValue
		records = append(records, store.RemoteRecord{ID: fmt.Sprint(i), Values: []core.Value{text(fmt.Sprintf("Kettle %d", i)), text("29.00"), text("false"),
			text("draft"), text("Boils."), text("2026-01-02"), text(fmt.Sprint(i))}})
	}
	_, err = s.MergePage(ctx, taken, store.PageMerge{Table: table, Columns: table.Columns, Records: records, First: true, Checkpoint: map[string]int{"page": 1}})
	must(t, err)
	must(t, s.EndSlice(ctx, taken, store.JobEnd{State: "done"}))
	table, err = s.TableByID(ctx, s.by, table.Ref())
	must(t, err)
	return table
}

// ids gives all record ids in the order of their titles' numbers.
func (s shop) ids(t *testing.T) []int64 {
	t.Helper()
	o, err := s.Order(t.Context(), s.by, s.table.Ref(), store.View{}, 0)
	must(t, err)
	return o.IDs(0, o.Len())
}

// value gives what a cell holds in the database.
func (s shop) value(t *testing.T, id int64, slug string) string {
	t.Helper()
	rows, err := s.Rows(t.Context(), s.by, s.table.Ref(), []int64{id}, store.RowOptions{Columns: []int{s.col(slug)}})
	must(t, err)
	if len(rows) != 1 {
		t.Fatalf("record %d is not there", id)
	}
	if rows[0].Values[0].IsNull() {
		return "null"
	}
	return rows[0].Values[0].Plain()
}

// page is the grid in a real browser.
type page struct {
	t   *testing.T
	ctx context.Context
}

func mustPage(t *testing.T, address string) page {
	t.Helper()
	p := mustBrowser(t)
	p.open(address)
	return p
}

func mustBrowser(t *testing.T) page {
	t.Helper()
	ctx := browsertest.Page(t, 1440, 900)
	p := page{t, ctx}
	must(t, chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page threw: %s %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
		}
	}))
	return p
}

func (p page) open(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
	p.until("the grid is ready", `document.querySelector('#grid')?.dataset.ready`)
}

func (p page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	must(p.t, chromedp.Do(p.ctx, actions...))
}

// click clicks the element of a selector, also when it is drawn anew meanwhile.
func (p page) click(selector string) {
	p.t.Helper()
	p.do(browsertest.Click(selector))
}

// keys presses keys; with modifiers every one of them.
func (p page) keys(keys string, modifiers ...kb.Modifier) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// get evaluates an expression, awaits it, and gives its JSON.
func (p page) get(expression string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("Promise.resolve("+expression+").then((v) => JSON.stringify(v) ?? 'undefined')", chromedp.EvalAwaitPromise))
	must(p.t, err)
	return v
}

// until waits for a condition in the page.
func (p page) until(what, condition string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			state := p.get(`({ active: document.querySelector('#grid-active')?.outerHTML, status: document.querySelector('#grid-status')?.innerText, toasts: document.querySelector('#toasts')?.innerText, focus: document.activeElement?.outerHTML.slice(0, 200) })`)
			p.t.Fatalf("it did not come to be that %s (%v): %s", what, err, state)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// cell gives the selector of a cell by position and column number.
func cell(position, column int) string {
	return fmt.Sprintf(`[data-pos="%d"] [data-c="%d"]`, position, column)
}

func (p page) text(position, column int) string {
	p.t.Helper()
	return unquoted(p.t, p.get(`document.querySelector('`+cell(position, column)+`')?.textContent ?? null`))
}

// paste puts texts on the clipboard and pastes them, as Ctrl+V does.
func (p page) paste(text, html string) {
	p.t.Helper()
	p.get(fmt.Sprintf(`(() => { const d = new DataTransfer(); d.setData('text/plain', %s); if (%s) d.setData('text/html', %[2]s);
		document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true })); })()`, quoted(p.t, text), quoted(p.t, html)))
}

// offline cuts the page off the network, or gives it back.
func (p page) offline(off bool) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	must(p.t, err)
}

func quoted(t *testing.T, s string) string {
	t.Helper()
	raw, err := json.Marshal(s)
	must(t, err)
	return string(raw)
}

func unquoted(t *testing.T, s string) string {
	t.Helper()
	var out *string
	must(t, json.Unmarshal([]byte(s), &out))
	if out == nil {
		return "(no cell)"
	}
	return *out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
