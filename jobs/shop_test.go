package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// shop is a service in memory that can be written: "authors" (name) and "books" (title, author, before, editors), with
// references from books to authors and to books. It keeps what was asked of it, and can be told to misbehave.
type shop struct {
	mu         sync.Mutex
	rows       map[string]map[string]goods // by table and id
	next       int
	asked      []string                                         // "create books 1,2" …, requests that write
	recognised int                                              // requests that ask what became of creates
	before     func(op string, writes []connectors.Write) error // before a request acts
	after      func(op string, writes []connectors.Write) error // after it acted
	answers    func(op string, outcomes []connectors.Outcome) []connectors.Outcome
	onTest     func() error
	onLook     func(ids []string) []string // which of the asked ids are found
	guards     bool                        // refuses writes on old versions
	reserves   bool                        // gives ids before a create; else with it
	limits     connectors.Limits           // beside those of its batches
}

type goods struct {
	values  map[string]core.Value
	version int
}

func newShop() *shop {
	return &shop{rows: map[string]map[string]goods{"authors": {}, "books": {}}, guards: true, reserves: true}
}

func (s *shop) put(table, id string, pairs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := map[string]core.Value{}
	if old, ok := s.rows[table][id]; ok {
		values = maps.Clone(old.values)
	}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = core.TextValue(pairs[i+1])
	}
	s.next++
	s.rows[table][id] = goods{values, s.next}
}

func (s *shop) remove(table, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows[table], id)
}

func (s *shop) value(table, id, field string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[table][id]
	if !ok {
		return "(no record)"
	}
	return r.values[field].Plain()
}

func (s *shop) count(table string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows[table])
}

func (s *shop) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *shop) Info() connectors.Info {
	l := s.limits
	l.LookupBatch, l.CreateBatch, l.UpdateBatch, l.DeleteBatch = 3, 4, 4, 4
	return connectors.Info{ID: "shop", Name: "Shop", Limits: l}
}

func (s *shop) Open(_ context.Context, _ connectors.Settings, env connectors.Environment) (connectors.Session, error) {
	return shopSession{s, env}, nil
}

type shopSession struct {
	*shop
	env connectors.Environment
}

func (s shopSession) Close() {}

func (s shopSession) GuardsWrites() bool { return s.guards }

func (s shopSession) Test(context.Context) error {
	if s.onTest != nil {
		return s.onTest()
	}
	return nil
}

func (s shopSession) Tables(ctx context.Context) ([]connectors.Table, error) {
	a, _ := s.Table(ctx, "authors")
	b, err := s.Table(ctx, "books")
	return []connectors.Table{a, b}, err
}

func (s shopSession) Table(_ context.Context, id string) (connectors.Table, error) {
	t := connectors.Table{ID: id, Name: id, Key: []string{"id"}, Readable: true, Writable: true, Creatable: true, Deletable: true, Versioned: true}
	t.Columns = []connectors.Field{{ID: "name", Name: "Name", Type: core.Text, Writable: true}}
	if id == "books" {
		t.Columns = []connectors.Field{{ID: "title", Name: "Title", Type: core.Text, Writable: true},
			{ID: "author", Name: "Author", Type: core.Reference, Writable: true, Options: core.ColumnOptions{Target: "authors"}},
			{ID: "before", Name: "Before", Type: core.Reference, Writable: true, Options: core.ColumnOptions{Target: "books"}},
			{ID: "editors", Name: "Editors", Type: core.References, Writable: true, Options: core.ColumnOptions{Target: "authors"}}}
	}
	return t, nil
}

func (s shopSession) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	if err := s.env.Take(ctx); err != nil {
		return connectors.Page{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	page := connectors.Page{Last: true, Total: -1, Checkpoint: json.RawMessage("0")}
	for _, id := range slices.Sorted(maps.Keys(s.rows[req.Table.ID])) {
		page.Records = append(page.Records, s.record(req.Table.ID, id, req.Fields))
	}
	return page, nil
}

func (s shopSession) record(table, id string, fields []string) connectors.Record {
	r := s.rows[table][id]
	out := connectors.Record{ID: id, Version: strconv.Itoa(r.version)}
	for _, f := range fields {
		out.Values = append(out.Values, r.values[f])
	}
	return out
}

// Current gives records by id.
func (s shopSession) Current(ctx context.Context, t connectors.Table, fields, ids []string) ([]connectors.Record, error) {
	if err := s.env.Take(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ids) > 3 {
		return nil, fmt.Errorf("%d ids in one look-up", len(ids))
	}
	if s.onLook != nil {
		ids = s.onLook(ids)
	}
	var out []connectors.Record
	for _, id := range ids {
		if _, ok := s.rows[t.ID][id]; ok {
			out = append(out, s.record(t.ID, id, fields))
		}
	}
	return out, nil
}

// write runs a request: the hooks around what it does.
func (s shopSession) write(ctx context.Context, op string, t connectors.Table, writes []connectors.Write, do func(w connectors.Write) connectors.Outcome) ([]connectors.Outcome, error) {
	var ids []string
	for _, w := range writes {
		ids = append(ids, w.ID)
	}
	if err := s.env.Take(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.asked = append(s.asked, op+" "+t.ID+" "+strings.Join(ids, ","))
	before, after, answers := s.before, s.after, s.answers
	s.mu.Unlock()
	if before != nil {
		if err := before(op, writes); err != nil {
			return nil, err
		}
	}
	out := make([]connectors.Outcome, len(writes))
	s.mu.Lock()
	for i, w := range writes {
		out[i] = do(w)
	}
	s.mu.Unlock()
	if after != nil {
		if err := after(op, writes); err != nil {
			return nil, err
		}
	}
	if answers != nil {
		out = answers(op, out)
	}
	return out, nil
}

func (s shopSession) stored(table, id string, values map[string]core.Value) connectors.Outcome {
	all := maps.Clone(s.rows[table][id].values)
	if all == nil {
		all = map[string]core.Value{}
	}
	maps.Copy(all, values)
	s.next++
	s.rows[table][id] = goods{all, s.next}
	return connectors.Outcome{ID: id, Version: strconv.Itoa(s.next), Stored: maps.Clone(all)}
}

// Update changes records.
func (s shopSession) Update(ctx context.Context, t connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return s.write(ctx, "update", t, writes, func(w connectors.Write) connectors.Outcome {
		old, o := s.look(t, w)
		if o != nil {
			return *o
		}
		out := s.stored(t.ID, w.ID, w.Values)
		out.Before = old.values
		return out
	})
}

func (s shopSession) look(t connectors.Table, w connectors.Write) (goods, *connectors.Outcome) {
	old, ok := s.rows[t.ID][w.ID]
	switch {
	case !ok:
		return old, &connectors.Outcome{ID: w.ID, Err: &connectors.Fault{Kind: connectors.Gone, Words: "No such record."}}
	case s.guards && w.Version != "" && w.Version != strconv.Itoa(old.version):
		return old, &connectors.Outcome{ID: w.ID, Version: strconv.Itoa(old.version), Before: maps.Clone(old.values), Err: &connectors.Fault{Kind: connectors.ConflictFault, Words: "Old version."}}
	}
	return old, nil
}

// Reserve gives ids.
func (s shopSession) Reserve(_ context.Context, _ connectors.Table, n int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reserves {
		return nil, nil
	}
	ids := make([]string, n)
	for i := range ids {
		s.next++
		ids[i] = strconv.Itoa(1000 + s.next)
	}
	return ids, nil
}

// Create creates records.
func (s shopSession) Create(ctx context.Context, t connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return s.write(ctx, "create", t, writes, func(w connectors.Write) connectors.Outcome {
		id := w.ID
		if id == "" {
			s.next++
			id = strconv.Itoa(1000 + s.next)
		}
		if _, taken := s.rows[t.ID][id]; taken && !w.Repeat {
			return connectors.Outcome{ID: id, Err: &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The id is taken."}}
		}
		return s.stored(t.ID, id, w.Values)
	})
}

// Recognise finds creates by their reserved ids.
func (s shopSession) Recognise(_ context.Context, t connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recognised++
	out := make([]connectors.Outcome, len(writes))
	for i, w := range writes {
		r, ok := s.rows[t.ID][w.ID]
		switch {
		case w.ID == "":
			out[i].Err = &connectors.Fault{Kind: connectors.Unavailable, Words: "Nobody can say."}
		case !ok:
			out[i].Err = &connectors.Fault{Kind: connectors.Gone, Words: "It was not created."}
		default:
			out[i] = connectors.Outcome{ID: w.ID, Version: strconv.Itoa(r.version), Stored: maps.Clone(r.values)}
		}
	}
	return out, nil
}

// Delete deletes records.
func (s shopSession) Delete(ctx context.Context, t connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return s.write(ctx, "delete", t, writes, func(w connectors.Write) connectors.Outcome {
		old, o := s.look(t, w)
		if o != nil {
			return *o
		}
		delete(s.rows[t.ID], w.ID)
		return connectors.Outcome{ID: w.ID, Before: maps.Clone(old.values)}
	})
}

// counter is a library with a snapshot of a shop's authors and books.
type counter struct {
	*library
	t       *testing.T
	shop    *shop
	sn      store.Snapshot
	authors store.TableRef
	books   store.TableRef
}

// mustCounter makes a shop of three authors and nine books, and takes a snapshot of it. start gives it workers.
func mustCounter(t *testing.T) *counter {
	t.Helper()
	s := newShop()
	for i := range 3 {
		s.put("authors", strconv.Itoa(i+1), "name", fmt.Sprintf("Author %d", i+1))
	}
	for i := range 9 {
		s.put("books", strconv.Itoa(i+1), "title", fmt.Sprintf("Book %d", i+1), "author", "1")
	}
	l := mustLibrary(t, nil)
	con, err := l.CreateConnection(t.Context(), l.by, store.NewConnection{Connector: "shop", Name: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	l.con = con
	l.shelves.Store(con.ID, s)
	c := &counter{library: l, t: t, shop: s}
	session := shopSession{shop: s}
	n := store.NewSnapshot{Name: "Shop"}
	tables, _ := session.Tables(t.Context())
	for _, rt := range tables {
		nt := store.NewTable{Connection: con.ID, RemoteID: rt.ID, Title: rt.Name, Source: core.Remote, Writable: true, Creatable: true, Deletable: true, Versioned: true}
		for _, f := range rt.Columns {
			nt.Columns = append(nt.Columns, store.NewColumn{RemoteID: f.ID, Title: f.Name, Type: f.Type, Options: f.Options, Writable: true})
		}
		n.Tables = append(n.Tables, nt)
	}
	sn, job, err := l.CreateSnapshot(t.Context(), l.by, n)
	if err != nil {
		t.Fatal(err)
	}
	c.sn, c.authors, c.books = sn, sn.Tables[0].Ref(), sn.Tables[1].Ref()
	r := l.start(t)
	l.ends(t, job.ID, "done")
	r.Stop()
	return c
}

func (c *counter) at(ref store.TableRef) store.Table {
	c.t.Helper()
	tb, err := c.TableByID(c.t.Context(), c.by, ref)
	if err != nil {
		c.t.Fatal(err)
	}
	return tb
}

// record finds a record by its remote id, deleted ones too; nil when it is not here.
func (c *counter) record(ref store.TableRef, remote string) *store.Row {
	c.t.Helper()
	rows, err := c.FirstRows(c.t.Context(), c.by, ref, store.View{Filter: "deleted() || !deleted()"}, 1000, store.RowOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range rows {
		if r.RemoteID == remote {
			return &r
		}
	}
	return nil
}

func (c *counter) must(ref store.TableRef, remote string) store.Row {
	c.t.Helper()
	r := c.record(ref, remote)
	if r == nil {
		c.t.Fatalf("record %s is not here", remote)
	}
	return *r
}

func (c *counter) apply(ref store.TableRef, ch store.Changes) store.BatchResult {
	c.t.Helper()
	res, err := c.ApplyChanges(c.t.Context(), c.by, ref, ch, store.ChangeOptions{})
	if err != nil || len(res.Refused) > 0 {
		c.t.Fatalf("changes: %+v %v", res.Refused, err)
	}
	return res
}

func (c *counter) set(ref store.TableRef, record int64, slug string, v core.Value) {
	c.t.Helper()
	col, ok := c.at(ref).ColumnBySlug(slug)
	if !ok {
		c.t.Fatalf("no column %s", slug)
	}
	c.apply(ref, store.Changes{Sets: []store.CellEdit{{Record: record, Column: col.Number, Value: v}}})
}

// create makes a record from pairs of slug and text.
func (c *counter) create(ref store.TableRef, pairs ...string) int64 {
	c.t.Helper()
	values := map[int]core.Value{}
	for i := 0; i < len(pairs); i += 2 {
		col, _ := c.at(ref).ColumnBySlug(pairs[i])
		values[col.Number] = core.TextValue(pairs[i+1])
	}
	return c.apply(ref, store.Changes{Creates: []store.NewRecord{{Values: values}}}).Created[0]
}

func (c *counter) deleteRecord(ref store.TableRef, id int64) {
	c.t.Helper()
	c.apply(ref, store.Changes{Deletes: []store.RecordOp{{Record: id}}})
}

// text gives a cell by slug.
func (c *counter) text(ref store.TableRef, r store.Row, slug string) string {
	c.t.Helper()
	for i, col := range c.at(ref).Columns {
		if col.Slug == slug {
			return r.Values[i].Plain()
		}
	}
	c.t.Fatalf("no column %s", slug)
	return ""
}

func (c *counter) plan() store.Plan {
	c.t.Helper()
	p, err := c.MakePlan(c.t.Context(), c.by, c.sn.ID, nil, store.Where{})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *counter) publish(p store.Plan) store.Job {
	c.t.Helper()
	j, err := c.StartPublish(c.t.Context(), c.by, c.sn.ID, p.ID, true, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return j
}

// published publishes a plan of everything to its end.
func (c *counter) published() store.Plan {
	c.t.Helper()
	p := c.plan()
	c.ends(c.t, c.publish(p).ID, "done")
	return c.again(p)
}

func (c *counter) again(p store.Plan) store.Plan {
	c.t.Helper()
	p, err := c.PlanByID(c.t.Context(), c.by, c.sn.ID, p.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// items gives a plan's items by record.
func (c *counter) items(p store.Plan) map[int64]store.Item {
	c.t.Helper()
	list, _, err := c.Items(c.t.Context(), c.by, c.sn.ID, p.ID, store.ItemsFilter{Limit: 1000})
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[int64]store.Item{}
	for _, it := range list {
		out[it.Record] = it
	}
	return out
}

func (c *counter) wantState(p store.Plan, record int64, state string) {
	c.t.Helper()
	if it := c.items(p)[record]; it.State != state {
		c.t.Errorf("the item of record %d is %s (%s), want %s", record, it.State, it.Reason, state)
	}
}

func (c *counter) wantShop(table, id, field, want string) {
	c.t.Helper()
	if got := c.shop.value(table, id, field); got != want {
		c.t.Errorf("%s %s has the %s %q at the service, want %q", table, id, field, got, want)
	}
}
