package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/internal/redistest"
	"scratchpaper/store"
)

// shelf is a service in memory with one table, "books": title and price. Its id is made of two keys, as a composite one is.
type shelf struct {
	mu        sync.Mutex
	books     map[string]book
	clock     int
	page      int                                    // records of a page at most; 0 is as many as asked for
	abilities string                                 // plain, lookup, versions, digest
	onRead    func(ctx context.Context, n int) error // before the nth page is given, from 1
	onTest    func() error
	answer    func(all []string) []string // what a listing shows of all ids; nil is all
	reads     int
	read      int // records whose values were handed over
	priceType core.ColumnType
	reckoner  string // address of a Postgres that sums up for Digest
	digests   int    // that were asked for
	open      int    // sessions that are open
}

type book struct {
	title, price string
	version      int
}

func newShelf(n int) *shelf {
	s := &shelf{books: map[string]book{}, abilities: "lookup"}
	for i := range n {
		s.put(i, fmt.Sprintf("Book %d", i), "10")
	}
	return s
}

func (s *shelf) versioned() bool { return s.abilities == "versions" || s.abilities == "digest" }

func bookID(i int) string { return fmt.Sprintf("shop/%06d", i) }

func (s *shelf) put(i int, title, price string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	s.books[bookID(i)] = book{title, price, s.clock}
}

func (s *shelf) remove(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.books, bookID(i))
}

func (s *shelf) Info() connectors.Info {
	return connectors.Info{ID: "shelf", Name: "Shelf", Limits: connectors.Limits{LookupBatch: 7}}
}

func (s *shelf) Open(context.Context, connectors.Settings, connectors.Environment) (connectors.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	plain := plainSession{s}
	switch s.abilities {
	case "lookup":
		return lookupSession{plain}, nil
	case "versions":
		return versionsSession{lookupSession{plain}}, nil
	case "digest":
		return digestSession{versionsSession{lookupSession{plain}}}, nil
	}
	return plain, nil
}

type plainSession struct{ *shelf }

type lookupSession struct{ plainSession }

type versionsSession struct{ lookupSession }

type digestSession struct{ versionsSession }

func (s plainSession) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

func (s plainSession) Test(context.Context) error {
	if s.onTest != nil {
		return s.onTest()
	}
	return nil
}

func (s plainSession) Tables(ctx context.Context) ([]connectors.Table, error) {
	t, err := s.Table(ctx, "books")
	return []connectors.Table{t}, err
}

func (s plainSession) Table(context.Context, string) (connectors.Table, error) {
	return connectors.Table{ID: "books", Name: "Books", Key: []string{"shop", "number"}, Readable: true, Writable: true, Versioned: s.versioned(),
		Columns: []connectors.Field{{ID: "title", Name: "Title", Type: core.Text, Writable: true}, {ID: "price", Name: "Price", Type: s.price(), Writable: true}}}, nil
}

func (s plainSession) price() core.ColumnType {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.priceType != "" {
		return s.priceType
	}
	return core.Number
}

func (s plainSession) Count(context.Context, connectors.Table) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.books)), nil
}

func (s plainSession) Update(context.Context, connectors.Table, []connectors.Write) ([]connectors.Outcome, error) {
	return nil, &connectors.Fault{Kind: connectors.NotAllowed, Words: "The shelf is for reading.", Unsent: true}
}

func (s plainSession) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	s.mu.Lock()
	s.reads++
	n, hook := s.reads, s.onRead
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, n); err != nil {
			return connectors.Page{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var after string
	if req.Checkpoint != nil {
		if err := json.Unmarshal(req.Checkpoint, &after); err != nil {
			return connectors.Page{}, err
		}
	}
	limit := req.Limit
	if s.page > 0 {
		limit = min(limit, s.page)
	}
	page := connectors.Page{Last: true, Total: -1}
	for _, id := range s.ids() {
		if id <= after {
			continue
		}
		if len(page.Records) == limit {
			page.Last = false
			break
		}
		page.Records = append(page.Records, s.record(id, req.Fields, req.KeysOnly))
	}
	if len(page.Records) > 0 {
		after = page.Records[len(page.Records)-1].ID
	}
	page.Checkpoint, _ = json.Marshal(after)
	return page, nil
}

func (s plainSession) ids() []string {
	var ids []string
	for id := range s.books {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if s.answer != nil {
		return s.answer(ids)
	}
	return ids
}

func (s plainSession) record(id string, fields []string, keysOnly bool) connectors.Record {
	b := s.books[id]
	r := connectors.Record{ID: id}
	if s.versioned() {
		r.Version = strconv.Itoa(b.version)
	}
	if keysOnly {
		return r
	}
	s.shelf.read++
	for _, f := range fields {
		switch f {
		case "title":
			r.Values = append(r.Values, core.TextValue(b.title))
		case "price":
			r.Values = append(r.Values, core.TextValue(b.price))
		default:
			r.Values = append(r.Values, core.TextValue(id))
		}
	}
	return r
}

// Current gives records by id.
func (s lookupSession) Current(_ context.Context, _ connectors.Table, fields []string, ids []string) ([]connectors.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ids) > 7 {
		return nil, fmt.Errorf("%d ids in one look-up", len(ids))
	}
	var out []connectors.Record
	for _, id := range ids {
		if _, ok := s.books[id]; ok {
			out = append(out, s.record(id, fields, false))
		}
	}
	return out, nil
}

// Versions gives ids and versions.
func (s versionsSession) Versions(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	req.KeysOnly = true
	return s.Read(ctx, req)
}

// Digest sums up ids and versions as Postgres does.
func (s digestSession) Digest(ctx context.Context, _ connectors.Table) (d connectors.Digest, err error) {
	var ids, versions []string
	s.mu.Lock()
	for id, b := range s.books {
		ids, versions = append(ids, id), append(versions, fmt.Sprint(b.version))
	}
	s.digests++
	s.mu.Unlock()
	conn, err := pgx.Connect(ctx, s.reckoner)
	if err != nil {
		return d, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `select count(*), coalesce(sum(hashtextextended((id || ' ' || version) collate "C", 0)), 0)::text from unnest($1::text[], $2::text[]) u(id, version)`,
		ids, versions).Scan(&d.Records, &d.Sum)
	return d, err
}

// library is an app without its pages whose service is a shelf.
type library struct {
	*store.Store
	by      core.Actor
	url     string
	con     store.Connection
	options Options
	hints   *recorder
	shelves *sync.Map // by connection
}

// recorder keeps hints, as a hub would hand them to browsers.
type recorder struct {
	mu   sync.Mutex
	list []core.Hint
}

func (r *recorder) Notify(_ context.Context, hints ...core.Hint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, hints...)
}

func (r *recorder) count(has func(h core.Hint) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.list {
		if has(h) {
			n++
		}
	}
	return n
}

// brisk are the times of a job at about a twentieth of a twentieth, for tests that wait for leases.
func brisk() Timings {
	return Timings{Lease: 1500 * time.Millisecond, Renew: 200 * time.Millisecond, Margin: 200 * time.Millisecond, Request: 700 * time.Millisecond, Slice: 2 * time.Second,
		Sweep: 50 * time.Millisecond, Again: 300 * time.Millisecond, Settle: 300 * time.Millisecond, Retry: 5 * time.Millisecond, Grace: 300 * time.Millisecond}
}

// mustLibrary makes an app without workers; start gives it some.
func mustLibrary(t *testing.T, s *shelf) *library {
	t.Helper()
	ctx := t.Context()
	l := &library{by: core.Local(), hints: &recorder{}, shelves: &sync.Map{}}
	l.url = testdb.Migrated(t)
	pool, err := store.Connect(ctx, l.url, 10, orgcheck.Tracer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	l.Store = store.New(store.Options{Pool: pool, Sealer: openBox{}, Notifier: l.hints, Log: slog.New(slog.DiscardHandler)})
	if s != nil {
		s.reckoner = l.url
	}
	l = l.with(t, s)
	mini := redistest.InProcess(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { rdb.Close() })
	l.options = Options{Store: l.Store, Redis: rdb, Workers: 4, Log: slog.New(slog.DiscardHandler), Timings: brisk(), Kinds: map[string]Kind{},
		Settings: func(_ context.Context, _ core.Actor, id string) (connectors.Connector, connectors.Settings, error) {
			s, _ := l.shelves.Load(id)
			return s.(connectors.Connector), nil, nil
		}}
	return l
}

// with gives the same app with another connection, to another shelf.
func (l *library) with(t *testing.T, s *shelf) *library {
	t.Helper()
	con, err := l.CreateConnection(t.Context(), l.by, store.NewConnection{Connector: "shelf", Name: "Shelf"})
	if err != nil {
		t.Fatal(err)
	}
	other := *l
	other.con = con
	l.shelves.Store(con.ID, s)
	return &other
}

// start adds a process of workers.
func (l *library) start(t *testing.T) *Runner {
	t.Helper()
	r := New(l.options)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	l.SetWaker(r.Wake)
	return r
}

// startFrozen adds a process that stops at the nth time it reaches a point, as under a debugger or a laptop's lid: it holds
// its lease until that runs out. dead is closed when it has stopped; wake lets it go on and waits for its end.
func (l *library) startFrozen(t *testing.T, point string, nth int) (dead chan struct{}, wake func()) {
	t.Helper()
	dead, goOn := make(chan struct{}), make(chan struct{})
	o := l.options
	o.Timings.Renew = time.Hour // a stopped process renews nothing
	var n atomic.Int64
	o.Fault = func(at string) {
		if at == point && n.Add(1) == int64(nth) {
			close(dead)
			<-goOn
		}
	}
	r := New(o)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	l.SetWaker(r.Wake)
	var once sync.Once
	wake = func() {
		once.Do(func() { close(goOn) })
		r.Stop()
	}
	t.Cleanup(wake)
	return dead, wake
}

// seenRows counts what refreshes keep of seen ids.
func (l *library) seenRows(t *testing.T, sn store.Snapshot) (n int) {
	t.Helper()
	if err := l.Pool().QueryRow(t.Context(), "select count(*) from "+pgx.Identifier{sn.Schema, "_seen"}.Sanitize()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (l *library) wait(t *testing.T, what string, has func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !has() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond) // polls until the condition holds
	}
}

func (l *library) job(t *testing.T, id string) store.Job {
	t.Helper()
	j, err := l.JobByID(t.Context(), l.by, id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ends waits until a job has ended and checks how.
func (l *library) ends(t *testing.T, id, state string) store.Job {
	t.Helper()
	return l.reaches(t, id, func(j store.Job) bool { return j.Ended() }, state)
}

// waitsFor waits until a job waits for something.
func (l *library) waitsFor(t *testing.T, id, what string) store.Job {
	t.Helper()
	return l.reaches(t, id, func(j store.Job) bool { return j.Ended() || j.State == "waiting" && j.WaitingFor == what }, "waiting")
}

func (l *library) reaches(t *testing.T, id string, has func(j store.Job) bool, state string) store.Job {
	t.Helper()
	var j store.Job
	l.wait(t, "job "+id, func() bool { j = l.job(t, id); return has(j) })
	if j.State != state {
		t.Fatalf("job %s is %s (%+v), want %s", j.Kind, j.State, j.Error, state)
	}
	return j
}

func (l *library) enqueue(t *testing.T, kind string) store.Job {
	t.Helper()
	j, err := l.Enqueue(t.Context(), l.by, store.NewJob{Kind: kind, Label: kind})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// snapshot makes the snapshot and its download job, which begins once there are workers.
func (l *library) snapshot(t *testing.T) (store.Snapshot, store.Job) {
	t.Helper()
	sn, j, err := l.CreateSnapshot(t.Context(), l.by, store.NewSnapshot{Name: "Books", Tables: []store.NewTable{{Connection: l.con.ID, RemoteID: "books", Title: "Books",
		Source: core.Remote, Writable: true, Creatable: true, Deletable: true, Versioned: true, Columns: []store.NewColumn{
			{RemoteID: "title", Title: "Title", Type: core.Text, Writable: true}, {RemoteID: "price", Title: "Price", Type: core.Number, Writable: true}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return sn, j
}

func (l *library) table(t *testing.T, sn store.Snapshot) store.Table {
	t.Helper()
	tb, err := l.TableByID(t.Context(), l.by, sn.Tables[0].Ref())
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// row finds a record by its number on the shelf; nil when it is not here.
func (l *library) row(t *testing.T, sn store.Snapshot, i int) *store.Row {
	t.Helper()
	rows, err := l.FirstRows(t.Context(), l.by, sn.Tables[0].Ref(), store.View{Filter: "deleted() || !deleted()"}, 100000, store.RowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.RemoteID == bookID(i) {
			return &r
		}
	}
	return nil
}

func (l *library) mustRow(t *testing.T, sn store.Snapshot, i int) store.Row {
	t.Helper()
	r := l.row(t, sn, i)
	if r == nil {
		t.Fatalf("book %d is not here", i)
	}
	return *r
}

func (l *library) setTitle(t *testing.T, sn store.Snapshot, i int, title string) {
	t.Helper()
	tb := l.table(t, sn)
	c, _ := tb.ColumnBySlug("title")
	res, err := l.ApplyChanges(t.Context(), l.by, tb.Ref(), store.Changes{Sets: []store.CellEdit{{Record: l.mustRow(t, sn, i).ID, Column: c.Number, Value: core.TextValue(title)}}}, store.ChangeOptions{})
	if err != nil || len(res.Refused) > 0 {
		t.Fatalf("set title: %+v %v", res.Refused, err)
	}
}

func (l *library) deleteHere(t *testing.T, sn store.Snapshot, i int) {
	t.Helper()
	_, err := l.ApplyChanges(t.Context(), l.by, sn.Tables[0].Ref(), store.Changes{Deletes: []store.RecordOp{{Record: l.mustRow(t, sn, i).ID}}}, store.ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *library) refresh(t *testing.T, sn store.Snapshot) store.Job {
	t.Helper()
	j, err := l.RefreshSnapshot(t.Context(), l.by, sn.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// sums reads the summary of a refresh's only table.
func sums(t *testing.T, j store.Job) tableSum {
	t.Helper()
	var res struct{ Tables []tableSum }
	if err := json.Unmarshal(j.Result, &res); err != nil {
		t.Fatalf("result %s: %v", j.Result, err)
	}
	if len(res.Tables) == 0 {
		return tableSum{}
	}
	return res.Tables[0]
}

// downloads counts the batches of downloads in the history, and their records.
func (l *library) batches(t *testing.T, sn store.Snapshot, kind string) (n int, records int64) {
	t.Helper()
	list, err := l.History(t.Context(), l.by, sn.ID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if b.Kind == kind {
			n++
			records += b.Records
		}
	}
	return n, records
}

func wantCount(t *testing.T, what string, got *int64, want int64) {
	t.Helper()
	if got == nil || *got != want {
		t.Errorf("%s counts %v, want %d", what, got, want)
	}
}

func contains(s, part string) bool { return strings.Contains(s, part) }
