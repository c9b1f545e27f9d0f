package wordpress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"scratchpaper/connectors"
)

// checkpoint is where the next page begins. The site counts places, which move when records come and go; ids do not.
type checkpoint struct {
	After  int64 `json:"after"`  // the largest id that was given
	Place  int   `json:"place"`  // how many records, by the site's count, lie before the next page
	Hidden bool  `json:"hidden"` // the site counts records that this user is not shown
}

// overlap is how many places a page reaches back where the record before it is not shown to this user: so many may be deleted between
// two pages without one being passed over.
const overlap = 50

// window is what a request for some places gave.
type window struct {
	objects []object
	total   int // records by the site's count
	hidden  bool
	now     time.Time // the site's clock
}

// Read gives the next page in the order of the ids. The page begins one place early: when the record there is not the last one that
// was given, some before it were deleted, and it goes back until it finds one.
func (s *session) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	t, err := s.readable(ctx, req.Table.ID)
	if err != nil {
		return connectors.Page{}, err
	}
	ids := req.Fields
	if req.KeysOnly {
		ids = []string{}
	}
	fields, err := t.pick(ids)
	if err != nil {
		return connectors.Page{}, err
	}
	at, err := readCheckpoint(req.Checkpoint)
	if err != nil {
		return connectors.Page{}, err
	}
	limit := pageSize
	if req.Limit > 0 {
		limit = min(limit, req.Limit)
	}
	return s.nextPage(ctx, t, fields, at, limit)
}

func readCheckpoint(raw json.RawMessage) (at checkpoint, err error) {
	if len(raw) == 0 {
		return at, nil
	}
	if err := json.Unmarshal(raw, &at); err != nil {
		return at, &connectors.Fault{Kind: connectors.Broken, Words: "The checkpoint cannot be read; start the download again.", Cause: err}
	}
	return at, nil
}

// back is how many places a window begins early.
func (at checkpoint) back() int {
	if at.Hidden {
		return overlap
	}
	return 1
}

// span gives the places of a window that begins some places early.
func (at checkpoint) span(limit, back int) (from, size int) {
	from = max(0, at.Place-back)
	return from, min(pageSize, limit+at.Place-from)
}

func (s *session) nextPage(ctx context.Context, t *table, fields []*field, at checkpoint, limit int) (connectors.Page, error) {
	back := at.back()
	for {
		from, size := at.span(limit, back)
		w, err := s.window(ctx, t, fields, from, size)
		if err != nil {
			return connectors.Page{}, err
		}
		fresh := w.after(at.After)
		lost := at.After > 0 && from > 0 && len(fresh) == len(w.objects) // nothing that was given already is among them
		switch {
		case lost && w.hidden && back < overlap:
			back = overlap
			continue
		case lost && !w.hidden:
			back += pageSize
			continue
		}
		next := checkpoint{After: at.After, Place: from + size, Hidden: at.Hidden || w.hidden}
		page := connectors.Page{Total: int64(w.total), Last: from+size >= w.total}
		for _, o := range fresh {
			page.Records = append(page.Records, t.record(o, fields, w.now))
			next.After = max(next.After, o.number())
		}
		if from+size < at.Place { // far back, where nothing new can be: go on from there
			next.Place, page.Last = from+size, false
		}
		if !page.Last {
			s.readAhead(t, fields, next, limit, w.total)
		}
		page.Checkpoint, err = json.Marshal(next)
		return page, err
	}
}

// after gives the objects with larger ids.
func (w window) after(id int64) []object {
	out := make([]object, 0, len(w.objects))
	for _, o := range w.objects {
		if o.number() > id {
			out = append(out, o)
		}
	}
	return out
}

func (o object) number() int64 {
	n, _ := strconv.ParseInt(o.id(), 10, 64)
	return n
}

func (t *table) record(o object, fields []*field, now time.Time) connectors.Record {
	r := connectors.Record{ID: o.id(), Version: t.version(o, now)}
	for _, f := range fields {
		r.Values = append(r.Values, f.value(o))
	}
	return r
}

func (s *session) readable(ctx context.Context, id string) (*table, error) {
	t, err := s.table(ctx, id)
	if err != nil {
		return nil, err
	}
	if !t.Readable {
		return nil, &connectors.Fault{Kind: connectors.NotAllowed, Words: t.WhyNot, Unsent: true}
	}
	return t, nil
}

// query gives the arguments of every listing of a table.
func (t *table) query(fields []*field) url.Values {
	q := url.Values{"context": {t.context}, "orderby": {"id"}, "order": {"asc"}, "_fields": {t.members(fields)}}
	if len(t.statuses) > 0 {
		q.Set("status", strings.Join(t.statuses, ","))
	}
	return q
}

// windowQuery gives the arguments of a listing of some places.
func (t *table) windowQuery(fields []*field, from, size int) url.Values {
	q := t.query(fields)
	q.Set("offset", strconv.Itoa(from))
	q.Set("per_page", strconv.Itoa(size))
	return q
}

// window reads some places.
func (s *session) window(ctx context.Context, t *table, fields []*field, from, size int) (window, error) {
	w, err := s.windowOf(ctx, t, t.windowQuery(fields, from, size))
	if err == nil {
		w.hidden = len(w.objects) < min(size, max(0, w.total-from))
	}
	return w, err
}

func (s *session) list(ctx context.Context, t *table, q url.Values) (window, error) {
	var w window
	a, err := s.call(ctx, request{method: http.MethodGet, route: t.route, query: q}, &w.objects)
	if err != nil {
		return w, s.unlisted(ctx, t, err)
	}
	if w.total = a.number("X-WP-Total"); w.total < 0 {
		return w, &connectors.Fault{Kind: connectors.Broken, Words: "The site does not say how many " + t.Name + " there are: something on the way takes the header X-WP-Total out."}
	}
	if slices.ContainsFunc(w.objects, func(o object) bool { return o.id() == "" }) {
		return w, &connectors.Fault{Kind: connectors.Broken, Words: "The site gave " + t.Name + " without their numbers."}
	}
	w.now = clock(a.header)
	return w, nil
}

// unlisted says why a table cannot be listed. Somebody whom the site does not know is told that the argument with the states of
// records is wrong.
func (s *session) unlisted(ctx context.Context, t *table, err error) error {
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusBadRequest {
		return err
	}
	if _, e := s.me(ctx); e != nil {
		return s.explainRefusal(ctx, e)
	}
	return &connectors.Fault{Kind: connectors.NotAllowed, Unsent: true, Cause: r,
		Words: s.words("This user may not list " + t.Name + " in all their states: " + plain(r.Message))}
}

// clock is the site's own clock, where it tells the time.
func clock(h http.Header) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return time.Now()
}

// versionWindows is how many pages one Versions reads: ids and versions are little.
const versionWindows = 10

// Versions gives ids and versions in larger pages.
func (s *session) Versions(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	req.KeysOnly, req.Fields = true, nil
	var all connectors.Page
	for range versionWindows {
		page, err := s.Read(ctx, req)
		if err != nil {
			return connectors.Page{}, err
		}
		page.Records = append(all.Records, page.Records...)
		all, req.Checkpoint = page, page.Checkpoint
		if all.Last || req.Limit > 0 && len(all.Records) >= req.Limit {
			break
		}
	}
	return all, nil
}

// Count counts a table's records.
func (s *session) Count(ctx context.Context, table connectors.Table) (int64, error) {
	t, err := s.readable(ctx, table.ID)
	if err != nil {
		return 0, err
	}
	q := t.query(nil)
	q.Set("per_page", "1")
	q.Set("_fields", "id")
	w, err := s.list(ctx, t, q)
	return int64(w.total), err
}

// Current gives records by id. One that is in the trash is not there. Records that are there and may not be edited any more are an
// error, so that nobody takes them for deleted.
func (s *session) Current(ctx context.Context, table connectors.Table, fields []string, ids []string) ([]connectors.Record, error) {
	t, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	picked, err := t.pick(fields)
	if err != nil {
		return nil, err
	}
	var out []connectors.Record
	for part := range slices.Chunk(ids, pageSize) {
		w, err := s.byID(ctx, t, picked, part)
		if err != nil {
			return nil, err
		}
		for _, o := range w.objects {
			out = append(out, t.record(o, picked, w.now))
		}
	}
	return out, nil
}

// byID reads records by id, at most a page of them.
func (s *session) byID(ctx context.Context, t *table, fields []*field, ids []string) (window, error) {
	var numbers []string
	for _, id := range ids {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && n > 0 { // no other is there
			numbers = append(numbers, id)
		}
	}
	if len(numbers) == 0 {
		return window{}, nil
	}
	q := t.query(fields)
	q.Set("include", strings.Join(numbers, ","))
	q.Set("per_page", strconv.Itoa(pageSize))
	w, err := s.list(ctx, t, q)
	if err != nil {
		return w, err
	}
	if hidden := w.total - len(w.objects); hidden > 0 {
		return w, &connectors.Fault{Kind: connectors.NotAllowed,
			Words: s.words(fmt.Sprintf("%d of the records of %s are there, but %s may not edit them any more. Take an account that may, or ask an administrator of the site.", hidden, t.Name, s.user))}
	}
	return w, nil
}
