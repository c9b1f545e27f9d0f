package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/orgcheck"
)

// readings notes which parameters and form fields the handlers read, so that each can be lied about.
type readings struct {
	mu    sync.Mutex
	names map[string]bool
}

// watched is a request whose reads are noted.
type watched struct {
	echo.Context
	*readings
}

func (w watched) note(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = true
}

func (w watched) QueryParam(name string) string   { w.note(name); return w.Context.QueryParam(name) }
func (w watched) FormParams() (url.Values, error) { w.note(wholeForm); return w.Context.FormParams() }
func (w watched) FormValue(name string) string    { w.note(name); return w.Context.FormValue(name) }

// wholeForm is noted when a handler reads a form at all; a button that sends nothing does not.
const wholeForm = "the whole form"

// taken gives what was noted since it was asked last.
func (r *readings) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := slices.Sorted(maps.Keys(r.names))
	r.names = map[string]bool{}
	return names
}

// siege sends to every address what it cannot take, and sees that nothing comes of it.
type siege struct {
	*estate
	reads  *readings
	client *http.Client
	dumped map[string]string // the rows as they are
	xid    string            // the last transaction that wrote, when they were read
	kinds  map[int]int       // answers by status
	hashes string            // the statement of rows
}

func mustSiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{estate: mustEstate(t), reads: &readings{names: map[string]bool{}}, kinds: map[int]int{}}
	s.client = &http.Client{Timeout: 20 * time.Second, CheckRedirect: s.Client().CheckRedirect, Transport: s.Client().Transport} // what takes longer hangs
	s.app.echo.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error { return next(watched{c, s.reads}) }
	})
	s.look(t)
	return s
}

// look takes the rows as they are for what they should be.
func (s *siege) look(t *testing.T) {
	t.Helper()
	s.xid = s.lastWrite(t)
	s.dumped = s.rows(t)
}

// rows are hashes of the rows of the organization and of its snapshot, by table: all but those of connections, which note when their
// service was asked last.
func (s *siege) rows(t *testing.T) map[string]string {
	t.Helper()
	if s.hashes == "" {
		s.hashes = s.hashesSQL(t)
	}
	rows, err := s.store.Pool().Query(t.Context(), s.hashes)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var name, hash string
	if _, err := pgx.ForEachRow(rows, []any{&name, &hash}, func() error { out[name] = hash; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *siege) hashesSQL(t *testing.T) string {
	t.Helper()
	var parts []string
	for name := range s.dump(t, s.by.Org) {
		where := ""
		if slices.Contains(orgcheck.Tables, name) {
			where = " where x.org_id = '" + s.by.Org + "'"
		}
		if name != "connections" && name != "audit_log" { // an export is noted after its last byte, while the next lie is told
			parts = append(parts, "select '"+name+"', coalesce(md5(string_agg(x::text, e'\n' order by x::text)), '') from "+name+" x"+where)
		}
	}
	return strings.Join(parts, " union all ")
}

// lastWrite tells whether any transaction wrote: it gives the next transaction's number, which only writing moves on.
func (s *siege) lastWrite(t *testing.T) (xid string) {
	t.Helper()
	if err := s.store.Pool().QueryRow(t.Context(), `select pg_snapshot_xmax(pg_current_snapshot())::text`).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	return xid
}

// lie is a request with something wrong in it.
type lie struct {
	method, path string
	what         string // is wrong, for people
	body         string
	contentType  string
	header       [2]string
	refused      bool   // it must be
	pointer      string // that the refusal of a JSON body must name; "" is any
}

// thinned is how many lies there are for each that is told, unless HOSTILE=all asks for all: which ones differs from address to address, so
// that each is told somewhere.
const thinned = 6

// try tells a lie, or passes it over.
func (s *siege) try(t *testing.T, l lie) {
	t.Helper()
	if os.Getenv("HOSTILE") != "all" && crc32.ChecksumIEEE([]byte(l.method+l.path+l.what+l.body))%thinned != 0 {
		return
	}
	s.tell(t, l)
}

// send sends a lie and checks the answer: no fault of ours, a sentence, and no rows that changed when it was refused.
func (s *siege) tell(t *testing.T, l lie) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var body io.Reader = strings.NewReader(l.body)
	if l.method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, l.method, s.URL+l.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if l.contentType != "" {
		req.Header.Set("Content-Type", l.contentType)
	}
	req.Header.Set("Accept", "text/html")
	if strings.HasPrefix(l.contentType, "application/json") {
		req.Header.Set("Accept", "application/json")
	}
	if l.header[0] != "" {
		req.Header.Set(l.header[0], l.header[1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Errorf("%s %s with %s: %v", l.method, short(l.path), l.what, err)
		return answer{}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Errorf("%s %s with %s: the answer: %v", l.method, short(l.path), l.what, err)
	}
	a := answer{res.StatusCode, res.Header, string(raw)}
	s.kinds[a.status]++
	s.judge(t, l, a)
	return a
}

// clear takes snapshots away that a request made: what was not refused was meant.
func (s *siege) clear(t *testing.T) {
	t.Helper()
	var more bool
	if err := s.store.Pool().QueryRow(t.Context(), `select count(*) > 1 from snapshots where org_id = $1`, s.by.Org).Scan(&more); err != nil {
		t.Fatal(err)
	}
	if !more {
		return
	}
	var list listOf[struct {
		ID string `json:"id"`
	}]
	if err := json.Unmarshal([]byte(s.api(t, "", "GET", "/snapshots?limit=1000", "").body), &list); err != nil {
		t.Fatal(err)
	}
	for _, sn := range list.Items {
		if sn.ID != s.ids["snapshot"] {
			s.api(t, "", "DELETE", "/snapshots/"+sn.ID, "")
		}
	}
}

func short(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}

func (s *siege) judge(t *testing.T, l lie, a answer) {
	t.Helper()
	what := l.method + " " + short(l.path) + " with " + l.what + " " + short(l.body)
	if a.status >= 500 {
		t.Errorf("%s answers %d: %s", what, a.status, short(a.body))
	}
	if a.status < 400 {
		if l.refused {
			t.Errorf("%s is taken: %d %s", what, a.status, short(a.body))
		}
		if l.method != http.MethodGet {
			s.clear(t)
			s.look(t)
		}
		return
	}
	if a.body == "" {
		t.Errorf("%s is refused without a word: %d", what, a.status)
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		var p problemDocument
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Detail == "" || p.Status != a.status {
			t.Errorf("%s is refused by %s", what, short(a.body))
		}
		if l.pointer != "" && (len(p.Errors) == 0 || p.Errors[0].Pointer != l.pointer) {
			t.Errorf("%s is refused by %s, which does not name %s", what, short(a.body), l.pointer)
		}
	}
	if s.lastWrite(t) != s.xid {
		unchanged(t, what, s.dumped, s.rows(t))
		s.look(t)
	}
}

// ladder orders addresses so that what takes something away comes last.
func ladder(all []route) []route {
	rank := func(r route) int {
		switch {
		case r.method == http.MethodDelete || strings.HasSuffix(r.path, "/delete"):
			return 2 + strings.Count("/snapshots/:snapshot", r.path)
		case strings.HasSuffix(r.path, "/publish"), strings.HasSuffix(r.path, "/retry"), strings.HasSuffix(r.path, "/cancel"):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b route) int { return rank(a) - rank(b) })
	return all
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// nonsense are texts that no id, number, date, name or expression is.
var nonsense = []string{"-1", "0", "1000000000000000000", "99999999999999999999999999", "1e400", "NaN", "1.5", "'; drop table snapshots; --", "\"<script>alert(1)</script>",
	"../../etc/passwd", "[[[[[[[[", `{"a":{"a":{"a":1}}}`, "snp_\u202e😀", strings.Repeat("x", 3000), "%s%n%x", "true && (", "null"}

// TestHostileAddressesAndParameters asks for every address with ids of the wrong kind and with each parameter that it reads lied about.
func TestHostileAddressesAndParameters(t *testing.T) {
	t.Parallel()
	s := mustSiege(t)
	for _, r := range s.routes() {
		s.lieAboutIDs(t, r)
		if r.method == http.MethodGet {
			s.lieAboutQuery(t, r)
		}
	}
	t.Logf("answers by status: %v", s.kinds)
	if s.kinds[http.StatusNotFound] < 500/thinned || s.kinds[http.StatusUnprocessableEntity] < 300/thinned {
		t.Errorf("too little was refused: %v", s.kinds)
	}
}

// lieAboutIDs puts things of another kind into each place of an address.
func (s *siege) lieAboutIDs(t *testing.T, r route) {
	t.Helper()
	for _, m := range routeParam.FindAllStringSubmatch(r.path, -1) {
		kind := m[1]
		if kind == "version" { // any version of the assets gets today's
			continue
		}
		others := append(slices.Clone(nonsense), "\x00", "a\x00b", "\xff\xfe", "%", "..", s.ids[map[string]string{"snapshot": "table"}[kind]], s.ids["snapshot"]+"x", "snp_", "bat_-1", "bat_99999999999999999999")
		for _, id := range others {
			if id == "" || kind == "record" && id == s.ids["record"] {
				continue
			}
			path := strings.Replace(r.path, ":"+kind, url.PathEscape(id), 1)
			l := lie{method: r.method, path: s.at(t, path), what: fmt.Sprintf("the %s %q", kind, short(id)), refused: true}
			if r.method != http.MethodGet {
				l.body, l.contentType = "{}", jsonType
			}
			s.try(t, l)
		}
	}
}

// lieAboutQuery finds out which parameters an address reads, and lies about each and about all.
func (s *siege) lieAboutQuery(t *testing.T, r route) {
	t.Helper()
	path := s.at(t, r.path)
	good := url.Values{"order": {strings.Split(s.ids["after"], ":")[0]}, "column": {"title"}, "find": {"Kettle"}, "what": {"Kettle"}, "with": {"x"}, "from": {"0"}, "to": {"5"},
		"ranges": {"0-3"}, "cols": {"2"}, "connection": {s.ids["connection"]}, "snapshot": {s.ids["snapshot"]}, "record": {s.ids["record"]}, "pos": {"0"}, "col": {"2"}, "op": {"is"}}
	s.reads.taken()
	s.tell(t, lie{method: r.method, path: path + "?" + good.Encode(), what: "what is good"})
	s.tell(t, lie{method: r.method, path: path, what: "nothing"})
	names := s.reads.taken()
	for _, bad := range []string{"%zz", "a=%", "a=1;b=2", "%00=1", "%ff=1"} {
		s.try(t, lie{method: r.method, path: path + "?" + bad, what: "the query " + bad, refused: true})
	}
	for done := map[string]bool{}; len(names) > 0; names = slices.DeleteFunc(s.reads.taken(), func(n string) bool { return done[n] }) {
		for _, name := range names {
			done[name] = true
			for _, v := range append(slices.Clone(nonsense), "-5-1000000000000000000", "0-1000000000000000000", "5-1", "9223372036854775807", "-9223372036854775808", "2,2,2", "0-1,0-1") {
				q := maps.Clone(good)
				q[name] = []string{v}
				s.try(t, lie{method: r.method, path: path + "?" + q.Encode(), what: fmt.Sprintf("%s=%q", name, short(v))})
			}
			q := maps.Clone(good)
			for _, v := range []string{"\x00", "a\x00", "\xff", "\xed\xa0\x80"} {
				q[name] = []string{v}
				s.try(t, lie{method: r.method, path: path + "?" + q.Encode(), what: fmt.Sprintf("%s=%q", name, v), refused: true})
			}
		}
	}
}

// TestHostileBodies sends to every address that takes a body what is none, and lies about each field that it knows.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	s := mustSiege(t)
	fields := 0
	for _, r := range ladder(s.routes()) {
		if r.method == http.MethodGet || r.method == http.MethodDelete {
			continue
		}
		path := s.at(t, r.path)
		s.reads.taken()
		switch {
		case s.takesJSON(t, r.method, path):
			s.brokenJSON(t, r.method, path)
			fields += s.lieAboutFields(t, r.method, path, nil, 0)
			s.lieInside(t, r.method, path)
		case strings.HasSuffix(path, "/imports"):
			s.brokenUploads(t, r.method, path)
		default:
			fields += s.lieAboutForm(t, r.method, path)
		}
	}
	t.Logf("%d fields; answers by status: %v", fields, s.kinds)
	if fields < 150 || s.kinds[http.StatusUnprocessableEntity] < 2500/thinned || s.kinds[http.StatusBadRequest] < 400/thinned {
		t.Errorf("too little was lied about: %d fields, %v", fields, s.kinds)
	}
}

var noField = regexp.MustCompile(`There is no field [^;:]*(?:; there are: ([a-z_, ]+)\.|: this takes nothing\.)`)

// takesJSON says whether an address decodes JSON: it names the fields that it takes.
func (s *siege) takesJSON(t *testing.T, method, path string) bool {
	t.Helper()
	a := s.tell(t, lie{method: method, path: path, what: "an unknown field", body: `{"no_such_field": 1}`, contentType: jsonType})
	return noField.MatchString(a.body)
}

// brokenJSON sends bodies that are no JSON document, or one that no program should have to read.
func (s *siege) brokenJSON(t *testing.T, method, path string) {
	t.Helper()
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for what, body := range map[string]string{
		"a bracket": "{", "nothing behind a name": `{"where": `, "half a text": `{"name": "ab`, "half an escape": `{"name": "\u12`, "a list": "[]", "a text": `"x"`, "a number": "12", "true": "true",
		"something behind": `{} x`, "two documents": "{}{}", "a bracket behind": "{}]", "a comma too many": `{"name": "x",}`, "a comment": "{} // x", "no quotes": "{name: 1}", "single quotes": "{'name': 1}",
		"a mark": "\ufeff{}", "NUL": "\x00", "NUL behind": "{}\x00", "bytes": "\xff\xfe{\x00}\x00", "a form": "name=x&where=y", "XML": "<a/>", "NaN": `{"count": NaN}`, "a raw newline": "{\"name\": \"a\nb\"}",
		"10,000 lists": deep, "10,000 objects": strings.Repeat(`{"where":`, 10_000) + "1" + strings.Repeat("}", 10_000), "100,000 brackets": strings.Repeat("[", 100_000),
		"depth in a field": `{"where": ` + deep + `}`, "bytes in a name": "{\"\xff\": 1}", "a name of 100 kB": `{"` + strings.Repeat("n", 100_000) + `": 1}`,
	} {
		s.try(t, lie{method: method, path: path, what: what, body: body, contentType: jsonType, refused: true})
	}
	s.tell(t, lie{method: method, path: path, what: "an unknown field", body: `{"no/such~field": 1}`, contentType: jsonType, refused: true, pointer: "/no~1such~0field"})
	s.tell(t, lie{method: method, path: path, what: "a header of bytes", body: `{"no_such_field": 1}`, contentType: jsonType, header: [2]string{idempotencyKey, "\xff\xfe"}, refused: true})
	s.tell(t, lie{method: method, path: path, what: "a long key", body: `{}`, contentType: jsonType, header: [2]string{idempotencyKey, strings.Repeat("k", 300)}, refused: method == http.MethodPost})
}

// at puts a value into a document below names; "0" is a list of one.
func below0(at []string, value string) string {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == "0" {
			value = "[" + value + "]"
		} else {
			value = `{"` + at[i] + `": ` + value + "}"
		}
	}
	return value
}

// jsonLies are values of every kind; most fit nowhere.
var jsonLies = []string{`null`, `true`, `-1`, `1.5`, `1e400`, `1000000000000000000`, `99999999999999999999999`, `""`, `"-1"`, `"'; drop table x; --😀"`, `[]`, `[null]`, `[[0, 1000000000000000000]]`, `[1, "x", {}]`,
	`["nope"]`, `[-1, 1000000000000000000]`, `{}`, `{"x": {}}`, `{"1000000000000000000": "x"}`, `"((((price > "`, `"2026-13-45"`, `"10000-13-45"`, `"0000-01-01 BC"`}

// lieAboutFields asks which fields stand at a place, lies about each, and looks what stands below it. It gives how many there are.
func (s *siege) lieAboutFields(t *testing.T, method, path string, at []string, depth int) int {
	t.Helper()
	a := s.tell(t, lie{method: method, path: path, what: "an unknown field", body: below0(at, `{"no_such_field": 1}`), contentType: jsonType})
	m := noField.FindStringSubmatch(a.body)
	if m == nil || m[1] == "" || depth > 4 {
		return 0
	}
	found := 0
	for _, name := range strings.Split(m[1], ", ") {
		found++
		here := append(slices.Clone(at), name)
		send := func(what, value string, refused bool) {
			s.try(t, lie{method: method, path: path, what: what, body: below0(here, value), contentType: jsonType, refused: refused})
		}
		for _, v := range []string{`true`, `-1`, `1e400`, `"'; drop table x; --😀"`, `[null]`, `[[[1]]]`, `{"x": {}}`} {
			send("a lie", v, false)
		}
		send("a long text", `"`+strings.Repeat("y", 10_000)+`"`, false)
		send("NUL", `"a\u0000b"`, false)
		send("half a character", `"a\ud800b"`, true)
		send("bytes", "\"a\xffb\"", true)
		twice := below0(at, `{"`+name+`": null, "`+name+`": null}`)
		s.try(t, lie{method: method, path: path, what: "a field twice", body: twice, contentType: jsonType, refused: true, pointer: "/" + strings.Join(here, "/")})
		s.try(t, lie{method: method, path: path, what: "a field in capitals", body: below0(at, `{"`+strings.ToUpper(name)+`": null}`), contentType: jsonType, refused: true})
		found += s.lieAboutFields(t, method, path, here, depth+1)
		found += s.lieAboutFields(t, method, path, append(here, "0"), depth+1)
	}
	return found
}

// goodBodies are what the addresses of the grid and of the API take; one that an address does not know is not sent to it twice.
func (s *siege) goodBodies() []string {
	all := []string{
		`{"as": "edit", "label": "x", "atomic": false, "changes": [{"op": "set", "record": {record}, "values": {"price": 5, "title": "x"}}, {"op": "create", "values": {"id": 500, "title": "x"}}, {"op": "undelete", "record": {record}}]}`,
		`{"as": "suggestion", "reason": "x", "op": "set", "where": {"filter": "price > 1", "records": [{record}]}, "values": {"price": 5}}`,
		`{"order": "{order}", "ranges": [[0, 2]], "tail": [{record}], "columns": [2], "input": "x", "label": "x"}`,
		`{"order": "{order}", "ranges": [[0, 2]], "columns": [2, 3], "source": {"rows": [0, 1], "columns": [2, 3]}}`,
		`{"order": "{order}", "tail": [{record}], "at": 0, "columns": [2, 3], "cells": [["x", "1"], ["y", "2"]], "create": true}`,
		`{"cells": [{"record": {record}, "column": 2, "input": "x"}], "label": "x"}`,
		`{"values": {"2": "x", "3": "4"}, "count": 1}`, `{"count": 3}`, `{"duplicate": [{record}]}`, `{"records": [{record}]}`,
		`{"ids": [1], "columns": [2]}`, `{"order": "{order}", "ranges": [[0, 2]], "columns": [2]}`, `{"filter": "true", "find": "x", "group": "2:text:x", "batch": 1}`,
		`{"what": "Kettle", "with": "x", "columns": "2", "filter": "true", "find": "x", "case": "1", "whole": "1"}`,
		`{"transform": "replace", "columns": ["title"], "where": {"filter": "true"}, "options": {"find": "e", "replace": "x", "match_case": true}, "preview": true}`,
		`{"where": {"ids": ["sug_1"], "columns": ["title"], "batch": "bat_1", "group": "2:text:x"}}`,
		`{"where": {"filter": "price > 1", "records": [{record}], "columns": ["price"]}, "as": "theirs"}`,
		`{"where": {"filter": "true"}, "columns": ["price"], "functions": ["sum"]}`,
		`{"name": "x", "filter": "price > 1", "sort": "title,-price", "columns": [{"id": "price", "width": 120}]}`,
		`{"name": "x", "description": "y", "columns": [{"id": "price", "title": "P", "description": "z", "locks": ["read_only"], "width": 90}]}`,
		`{"name": "x", "tables": [{"connection": "{connection}", "remote_table": "{remote}", "columns": ["title"]}]}`, `{"tables": ["{table}"], "where": {"filter": "true"}}`,
		`{"where": {"filter": "true"}, "included": false}`, `{"deletes": false, "first": 1}`, `{"as": "published", "remote_id": "1"}`,
	}
	for i := range all {
		all[i] = strings.ReplaceAll(s.address(all[i]), "{order}", strings.Split(s.ids["after"], ":")[0])
	}
	return all
}

// leaves names the place of each value of a document that holds no other.
func leaves(v any, at []any, each func(at []any)) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			leaves(x[k], append(slices.Clone(at), k), each)
		}
	case []any:
		for i := range x {
			leaves(x[i], append(slices.Clone(at), i), each)
		}
	default:
		each(at)
	}
}

// with gives a document with another value at a place.
func with(v any, at []any, value any) any {
	if len(at) == 0 {
		return value
	}
	switch x := v.(type) {
	case map[string]any:
		x = maps.Clone(x)
		x[at[0].(string)] = with(x[at[0].(string)], at[1:], value)
		return x
	case []any:
		x = slices.Clone(x)
		x[at[0].(int)] = with(x[at[0].(int)], at[1:], value)
		return x
	}
	return v
}

// lieInside takes bodies that an address knows and changes one value of each into something else.
func (s *siege) lieInside(t *testing.T, method, path string) {
	t.Helper()
	for _, good := range s.goodBodies() {
		if a := s.tell(t, lie{method: method, path: path, what: "a body of its own", body: good, contentType: jsonType}); noField.MatchString(a.body) {
			continue
		}
		var tree any
		d := json.NewDecoder(strings.NewReader(good))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			t.Fatal(good, err)
		}
		turn := len(path) // each value takes every second lie, the next one the others
		leaves(tree, nil, func(at []any) {
			turn++
			for i, v := range append(slices.Clone(jsonLies), `"a\u0000b"`, `"`+strings.Repeat("y", 10_000)+`"`) {
				if (i+turn)%2 == 0 {
					continue
				}
				body, err := json.Marshal(with(tree, at, json.RawMessage(v)))
				if err != nil {
					t.Fatal(err)
				}
				s.try(t, lie{method: method, path: path, what: fmt.Sprintf("a lie at %v", at), body: string(body), contentType: jsonType})
			}
		})
	}
}

// lieAboutForm sends broken forms, and lies about each field that is read.
func (s *siege) lieAboutForm(t *testing.T, method, path string) int {
	t.Helper()
	good := url.Values{"connector": {"postgres"}, "connection": {s.ids["connection"]}, "name": {"Mine"}, "do": {"set"}, "column": {"2"}, "base": {"1"}, "value": {"2"}, "suggestion": {"999"}, "as": {"not_sent"}}
	send := func(what string, form url.Values, refused bool) {
		s.try(t, lie{method: method, path: path, what: what, body: form.Encode(), contentType: formType, refused: refused})
	}
	s.reads.taken()
	send("what is good", good, false)
	names := s.reads.taken()
	if !slices.Contains(names, wholeForm) {
		return 0
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == wholeForm })
	if strings.HasPrefix(path, "/imports/") { // it reads the form itself
		names = append(names, "take", "encoding", "delimiter", "header", "zone", "name", "type-0")
	}
	for _, body := range []string{"a=%zz", "%", "name=%00", "na%00me=1", "name=%ff", "name=a&name=b", "a;b"} {
		s.try(t, lie{method: method, path: path, what: "the form", body: body, contentType: formType, refused: true})
	}
	for typ, body := range map[string]string{jsonType: `{"name": "x"}`, "text/plain": "name=x", "": "name=x", "multipart/form-data": "x", "multipart/form-data; boundary=b": "--b\r\nContent-Disp", "a/b;;;=": "name=x"} {
		s.try(t, lie{method: method, path: path, what: "the type " + typ, body: body, contentType: typ, refused: true})
	}
	found := 0
	for done := map[string]bool{}; len(names) > 0; names = slices.DeleteFunc(s.reads.taken(), func(n string) bool { return done[n] || n == wholeForm }) {
		for _, name := range names {
			done[name] = true
			found++
			for _, v := range []string{"", "-1", "1e400", "1000000000000000000", "\"'; drop table x; --", "[[{", "<script>😀", strings.Repeat("x", 100_000)} {
				for _, act := range s.acts(names) {
					form := maps.Clone(good)
					form["do"], form[name] = []string{act}, []string{v}
					send(name, form, false)
				}
			}
			form := maps.Clone(good)
			for _, v := range []string{"a\x00", "\xff"} {
				form[name] = []string{v}
				send(fmt.Sprintf("%s=%q", name, v), form, true)
			}
		}
	}
	return found
}

// acts are those of a record's panel, which takes one of them; other forms have none.
func (s *siege) acts(names []string) []string {
	if slices.Contains(names, "do") {
		return []string{"set", "mine", "theirs", "restore", "accept"}
	}
	return []string{""}
}

// brokenUploads sends forms with files that are none.
func (s *siege) brokenUploads(t *testing.T, method, path string) {
	t.Helper()
	made := func(field, file, content string, fields ...string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i+1 < len(fields); i += 2 {
			_ = w.WriteField(fields[i], fields[i+1])
		}
		p, _ := w.CreateFormFile(field, file)
		_, _ = io.WriteString(p, content)
		_ = w.Close()
		return b.String(), w.FormDataContentType()
	}
	whole, typ := made("file", "a.csv", "a,b\n1,2\n")
	for what, body := range map[string]string{"nothing": "", "half": whole[:len(whole)/2], "without an end": whole[:len(whole)-70], "bytes": "\x00\xff"} {
		s.try(t, lie{method: method, path: path, what: what, body: body, contentType: typ, refused: true})
	}
	for _, other := range []string{jsonType, formType, "", "multipart/form-data"} {
		s.try(t, lie{method: method, path: path, what: "the type " + other, body: whole, contentType: other, refused: true})
	}
	for _, c := range [][]string{{"other", "a.csv", "a"}, {"file", "", "a"}, {"file", "a.xlsx", "a"}} {
		body, typ := made(c[0], c[1], c[2])
		s.try(t, lie{method: method, path: path, what: strings.Join(c, " "), body: body, contentType: typ, refused: true})
	}
	for _, field := range []string{"key", "name", "encoding", "delimiter", "quote", "header", "columns", "preview", "zone", "match", "reason", "label"} {
		for _, v := range append(slices.Clone(nonsense), "a\x00", "\xff", `[{"title": 1}]`, `[{"type": "nope"}]`, `[{"title": "\u0000"}]`, `[{"zzz": 1}]`, strings.Repeat("z", 1<<20+1)) {
			body, typ := made("file", "a\x00\xff.csv", "title,b\n1,2\n", field, v)
			s.try(t, lie{method: method, path: path, what: field + "=" + short(v), body: body, contentType: typ})
		}
	}
}

// TestABodyThatIsCutOffDoesNothing ends the connection in the middle of what the request promised.
func TestABodyThatIsCutOffDoesNothing(t *testing.T) {
	t.Parallel()
	s := mustSiege(t)
	for _, r := range ladder(s.routes()) {
		if r.method == http.MethodGet || r.method == http.MethodDelete {
			continue
		}
		for typ, body := range map[string]string{jsonType: `{}`, formType: "name=Half", "multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b\n1,"} {
			s.reads.taken()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", r.method, s.at(t, r.path), typ, len(body)+100, body)
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answered, err := io.ReadAll(conn)
			_ = conn.Close()
			status := strings.TrimPrefix(string(answered[:min(12, len(answered))]), "HTTP/1.1 ") + "?"
			// A button that sends nothing does what it says, whatever comes with it.
			if button := !strings.HasPrefix(r.path, "/api/") && !slices.Contains(s.reads.taken(), wholeForm); err != nil || status[0] == '5' || status[0] != '4' && !button {
				t.Errorf("%s %s as %s, cut off, answers %q %v", r.method, r.path, typ, short(string(answered)), err)
			} else if status[0] != '4' {
				s.look(t)
			}
			if s.lastWrite(t) != s.xid {
				unchanged(t, r.method+" "+r.path, s.dumped, s.rows(t))
				s.look(t)
			}
		}
	}
}
