package connectortest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

const readPage = 100

// client is the connector of records. A flaw makes it a bad one: see flaws.
type client struct{ flaw string }

func (c client) Info() connectors.Info {
	return connectors.Info{
		ID: "records", Name: "Records", Summary: "Records of a small server.", Icon: "database", Session: (*login)(nil),
		Settings: []connectors.Setting{{Key: "address", Label: "Address", Help: "Where it is.", Kind: "url"}, {Key: "token", Label: "Token", Help: "What lets us in.", Kind: "password", Secret: true}},
		Limits:   connectors.Limits{RequestsPerSecond: 50, ReadPage: readPage, LookupBatch: 20, CreateBatch: 2, UpdateBatch: 3, DeleteBatch: 1},
	}
}

func (c client) Open(_ context.Context, s connectors.Settings, env connectors.Environment) (connectors.Session, error) {
	transport := &http.Transport{DialContext: env.Dial}
	if c.flaw == "dials around" {
		transport.DialContext = (&net.Dialer{}).DialContext
	}
	return &login{flaw: c.flaw, address: s["address"], token: s["token"], env: env, http: &http.Client{Transport: transport}}, nil
}

type login struct {
	flaw, address, token string
	env                  connectors.Environment
	http                 *http.Client
	closed               bool
	cache                map[string]connectors.Record
}

func (l *login) GuardsWrites() bool { return true }

func (l *login) Close() {
	l.closed = true
	l.http.CloseIdleConnections()
}

func fault(kind connectors.FaultKind, words string) *connectors.Fault {
	return &connectors.Fault{Kind: kind, Words: words}
}

// ask makes a request. What is not known to have had no effect is Unavailable.
func (l *login) ask(ctx context.Context, method, path string, body any, header http.Header, into any) (http.Header, *connectors.Fault) {
	if l.closed {
		return nil, fault(connectors.Unavailable, "The session is closed.")
	}
	writing := method != "GET"
	if writing && l.env.Deadline != nil && !time.Now().Before(l.env.Deadline()) && l.flaw != "writes late" {
		return nil, &connectors.Fault{Kind: connectors.Unavailable, Words: "It is too late to write.", Unsent: true}
	}
	if !(l.flaw == "takes no turns" && writing) {
		if err := l.env.Take(ctx); err != nil {
			return nil, &connectors.Fault{Kind: connectors.Unavailable, Words: err.Error(), Unsent: true}
		}
	}
	raw, _ := json.Marshal(body)
	if l.flaw == "credential in the address" {
		path += "?" + url.Values{"access": {l.token}}.Encode()
	}
	if l.flaw == "waits for ever" {
		ctx = context.WithoutCancel(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, method, l.address+path, bytes.NewReader(raw))
	if err != nil {
		return nil, fault(connectors.Broken, "The address is none.")
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	res, err := l.http.Do(req)
	if err != nil {
		f := fault(connectors.Unavailable, "The connection broke.")
		switch {
		case l.flaw == "lost is unsent":
			f.Unsent = true
		case l.flaw == "creates again" && method == "POST" && ctx.Err() == nil && header.Get("Again") == "":
			return l.ask(ctx, method, path, body, http.Header{"Again": {"yes"}}, into)
		case l.flaw == "shows the credential":
			f.Words = "The connection with " + l.token + " broke."
		}
		return nil, f
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fault(connectors.Unavailable, "The answer broke off.")
	}
	if res.StatusCode != http.StatusOK {
		return nil, l.refused(res, all)
	}
	if err := json.Unmarshal(all, into); err != nil && l.flaw != "pages are empty answers" {
		return nil, fault(connectors.Unavailable, "The answer is no JSON.")
	}
	return res.Header, nil
}

func (l *login) refused(res *http.Response, body []byte) *connectors.Fault {
	var said struct{ Field, Message string }
	_ = json.Unmarshal(body, &said)
	if said.Message == "" || l.flaw == "own words" {
		said.Message = res.Status
	}
	f := fault(connectors.Unavailable, said.Message)
	switch res.StatusCode {
	case http.StatusUnauthorized:
		f.Kind = connectors.SignedOut
		if l.flaw == "signed out is gone" {
			f.Kind = connectors.Gone
		}
	case http.StatusNotFound:
		f.Kind = connectors.Gone
	case http.StatusPreconditionFailed:
		f.Kind = connectors.ConflictFault
	case http.StatusUnprocessableEntity:
		f.Kind, f.Field = connectors.RefusedValue, said.Field
	case http.StatusBadRequest:
		f.Kind = connectors.RefusedRecord
	case http.StatusTooManyRequests:
		if l.flaw == "no rest" {
			return fault(connectors.Limited, said.Message)
		}
		f.Kind, f.Until = connectors.Limited, retryAfter(res.Header)
		l.env.Pause(f.Until)
	}
	return f
}

func retryAfter(h http.Header) time.Time {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		return time.Now().Add(time.Duration(n) * time.Second)
	}
	at, _ := http.ParseTime(h.Get("Retry-After"))
	return at
}

func orNil(f *connectors.Fault) error {
	if f == nil {
		return nil
	}
	return f
}

func (l *login) Test(ctx context.Context) error {
	var got any
	_, f := l.ask(ctx, "GET", "/tables", nil, nil, &got)
	return orNil(f)
}

func describe(id string) connectors.Table {
	t := connectors.Table{ID: id, Name: id, Readable: true, Writable: true, Creatable: true, Deletable: true, Versioned: true, Estimate: -1}
	for name, kind := range map[string]core.ColumnType{"title": core.Text, "note": core.LongText, "slug": core.Text, "price": core.Number, "active": core.Checkbox, "tags": core.Choices} {
		t.Columns = append(t.Columns, connectors.Field{ID: name, Name: name, Type: kind, Options: core.ColumnOptions{OpenChoices: true}, Writable: true})
	}
	return t
}

func (l *login) Tables(ctx context.Context) ([]connectors.Table, error) {
	var got struct{ Tables []string }
	_, f := l.ask(ctx, "GET", "/tables", nil, nil, &got)
	var out []connectors.Table
	for _, name := range got.Tables {
		out = append(out, describe(name))
	}
	return out, orNil(f)
}

func (l *login) Table(ctx context.Context, id string) (connectors.Table, error) {
	var got any
	_, f := l.ask(ctx, "GET", "/tables/"+url.PathEscape(id)+"?limit=1", nil, nil, &got)
	return describe(id), orNil(f)
}

type remote struct {
	ID, Version int
	Fields      map[string]json.RawMessage
}

func (r remote) values() map[string]core.Value {
	out := map[string]core.Value{}
	for _, f := range describe("").Columns {
		out[f.ID], _ = core.FromCanonical(f.Type, r.Fields[f.ID])
	}
	return out
}

func (r remote) record(fields []string) connectors.Record {
	values := r.values()
	out := connectors.Record{ID: strconv.Itoa(r.ID), Version: strconv.Itoa(r.Version)}
	for _, f := range fields {
		out.Values = append(out.Values, values[f])
	}
	return out
}

func (l *login) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	limit := min(req.Limit, readPage)
	if limit <= 0 {
		limit = readPage
	}
	after := 0
	if len(req.Checkpoint) > 0 && l.flaw != "begins anew" {
		_ = json.Unmarshal(req.Checkpoint, &after)
	}
	var got struct {
		Records []remote
		More    bool
	}
	_, f := l.ask(ctx, "GET", fmt.Sprintf("/tables/%s?limit=%d&after=%d", url.PathEscape(req.Table.ID), limit, after), nil, nil, &got)
	if f != nil && f.Kind == connectors.SignedOut && l.flaw == "signed out is the end" {
		f = nil
	}
	page := connectors.Page{Last: !got.More || l.flaw == "ends early" && after > 0, Total: -1}
	for _, r := range got.Records {
		fields := req.Fields
		if req.KeysOnly {
			fields = nil
		}
		page.Records = append(page.Records, r.record(fields))
		after = r.ID
	}
	page.Checkpoint, _ = json.Marshal(after)
	return page, orNil(f)
}

func (l *login) Current(ctx context.Context, table connectors.Table, fields []string, ids []string) ([]connectors.Record, error) {
	if fields == nil {
		for _, f := range table.Columns {
			fields = append(fields, f.ID)
		}
	}
	if l.flaw == "remembers" && len(ids) == 1 {
		if r, ok := l.cache[ids[0]]; ok {
			return []connectors.Record{r}, nil
		}
	}
	var got struct{ Records []remote }
	_, f := l.ask(ctx, "GET", fmt.Sprintf("/tables/%s?limit=%d&ids=%s", url.PathEscape(table.ID), readPage, strings.Join(ids, ",")), nil, nil, &got)
	if f != nil {
		return nil, f
	}
	var out []connectors.Record
	for _, r := range got.Records {
		out = append(out, r.record(fields))
		l.cache = map[string]connectors.Record{out[len(out)-1].ID: out[len(out)-1]}
	}
	return out, nil
}

// each makes a request per record; what one of them fails with is its own outcome.
func each(writes []connectors.Write, send func(w connectors.Write) (connectors.Outcome, *connectors.Fault)) []connectors.Outcome {
	out := make([]connectors.Outcome, len(writes))
	for i, w := range writes {
		o, f := send(w)
		if o.Err = f; o.ID == "" {
			o.ID = w.ID
		}
		out[i] = o
	}
	return out
}

func (r remote) outcome() connectors.Outcome {
	return connectors.Outcome{ID: strconv.Itoa(r.ID), Version: strconv.Itoa(r.Version), Stored: r.values()}
}

func body(table connectors.Table, values map[string]core.Value) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, f := range table.Columns {
		if v, ok := values[f.ID]; ok {
			out[f.ID] = v.Canonical(f.Type)
		}
	}
	return out
}

func (l *login) Update(ctx context.Context, table connectors.Table, updates []connectors.Write) ([]connectors.Outcome, error) {
	if len(updates) > 3 {
		return nil, errors.New("more than a batch")
	}
	return each(updates, func(w connectors.Write) (connectors.Outcome, *connectors.Fault) {
		header := http.Header{}
		if w.Version != "" {
			header.Set("If-Match", w.Version)
		} else if len(w.Base) > 0 {
			now, err := l.Current(ctx, table, nil, []string{w.ID})
			if err != nil {
				return connectors.Outcome{}, firstFault(err)
			}
			for i, f := range table.Columns {
				if base, ok := w.Base[f.ID]; ok && len(now) == 1 && !now[0].Values[i].Equal(base) {
					return connectors.Outcome{}, fault(connectors.ConflictFault, "It holds something else by now.")
				}
			}
		}
		given := body(table, w.Values)
		if l.flaw == "sends everything" {
			given["note"] = json.RawMessage(`"as I knew it"`)
		}
		var got remote
		_, f := l.ask(ctx, "PATCH", "/tables/"+url.PathEscape(table.ID)+"/"+w.ID, given, header, &got)
		o := got.outcome()
		if l.flaw == "says what was sent" {
			o.Stored = w.Values
		}
		return o, f
	}), nil
}

func firstFault(err error) *connectors.Fault {
	var f *connectors.Fault
	if errors.As(err, &f) {
		return f
	}
	return fault(connectors.Broken, err.Error())
}

func (l *login) Reserve(context.Context, connectors.Table, int) ([]string, error) { return nil, nil }

func (l *login) Create(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return each(writes, func(w connectors.Write) (connectors.Outcome, *connectors.Fault) {
		header := http.Header{"Idempotency-Key": {w.Token}}
		if l.flaw == "creates again" {
			header = nil
		}
		var got remote
		h, f := l.ask(ctx, "POST", "/tables/"+url.PathEscape(table.ID), body(table, w.Values), header, &got)
		o := got.outcome()
		o.Existing = h.Get("Existing") != ""
		return o, f
	}), nil
}

func (l *login) Recognise(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return each(writes, func(w connectors.Write) (connectors.Outcome, *connectors.Fault) {
		var got remote
		_, f := l.ask(ctx, "POST", "/tables/"+url.PathEscape(table.ID)+"?look=1", nil, http.Header{"Idempotency-Key": {w.Token}}, &got)
		return got.outcome(), f
	}), nil
}

func (l *login) Delete(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return each(writes, func(w connectors.Write) (connectors.Outcome, *connectors.Fault) {
		header := http.Header{}
		if w.Version != "" {
			header.Set("If-Match", w.Version)
		}
		var got remote
		_, f := l.ask(ctx, "DELETE", "/tables/"+url.PathEscape(table.ID)+"/"+w.ID, nil, header, &got)
		return connectors.Outcome{Before: got.values()}, f
	}), nil
}
