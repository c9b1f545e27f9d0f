package connectortest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"scratchpaper/connectors/connectortest"
	"scratchpaper/internal/core"
)

// records is a small service of records over HTTP, as real as the suite needs one: pages, versions, one record a change, a key for
// creates, validation, and normalisation.
type records struct {
	*httptest.Server
	token string

	mu     sync.Mutex
	tables map[string]map[int]*entry
	next   int
}

type entry struct {
	ID      int                        `json:"id"`
	Version int                        `json:"version"`
	Fields  map[string]json.RawMessage `json:"fields"`
	key     string
}

func newRecords(t *testing.T) *records {
	t.Helper()
	s := &records{token: "not-a-real-token-0815", tables: map[string]map[int]*entry{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tables", s.list)
	mux.HandleFunc("GET /tables/{table}", s.page)
	mux.HandleFunc("POST /tables/{table}", s.create)
	mux.HandleFunc("PATCH /tables/{table}/{id}", s.change)
	mux.HandleFunc("DELETE /tables/{table}/{id}", s.remove)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+s.token {
			refuse(w, http.StatusUnauthorized, "", "Sorry, this token is not valid.")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func refuse(w http.ResponseWriter, status int, field, words string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"field": field, "message": words})
}

func (s *records) list(w http.ResponseWriter, _ *http.Request) {
	names := []string{}
	for name := range s.tables {
		names = append(names, name)
	}
	sort.Strings(names)
	_ = json.NewEncoder(w).Encode(map[string]any{"tables": names})
}

// page gives records in the order of their ids, after one, or those with some ids.
func (s *records) page(w http.ResponseWriter, r *http.Request) {
	table, ok := s.tables[r.PathValue("table")]
	if !ok {
		refuse(w, http.StatusNotFound, "", "There is no such table.")
		return
	}
	q := r.URL.Query()
	after, _ := strconv.Atoi(q.Get("after"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit > readPage {
		refuse(w, http.StatusBadRequest, "", "limit is at most "+strconv.Itoa(readPage))
		return
	}
	found := []*entry{}
	for _, e := range table {
		if wanted := q.Get("ids"); e.ID > after && (wanted == "" || strings.Contains(","+wanted+",", fmt.Sprintf(",%d,", e.ID))) {
			found = append(found, e)
		}
	}
	sort.Slice(found, func(i, k int) bool { return found[i].ID < found[k].ID })
	more := len(found) > limit
	found = found[:min(len(found), limit)]
	_ = json.NewEncoder(w).Encode(map[string]any{"records": found, "more": more})
}

func (s *records) create(w http.ResponseWriter, r *http.Request) {
	table, key := s.tables[r.PathValue("table")], r.Header.Get("Idempotency-Key")
	for _, e := range table {
		if key != "" && e.key == key {
			w.Header().Set("Existing", "yes")
			_ = json.NewEncoder(w).Encode(e)
			return
		}
	}
	if r.URL.Query().Get("look") != "" { // a question only: is there a record with this key?
		refuse(w, http.StatusNotFound, "", "There is no record with this key.")
		return
	}
	s.next++
	e := &entry{ID: s.next, Fields: map[string]json.RawMessage{}, key: key}
	if s.set(w, r, e) {
		table[e.ID] = e
	}
}

func (s *records) find(w http.ResponseWriter, r *http.Request) *entry {
	id, _ := strconv.Atoi(r.PathValue("id"))
	e := s.tables[r.PathValue("table")][id]
	switch v := r.Header.Get("If-Match"); {
	case e == nil:
		refuse(w, http.StatusNotFound, "", "There is no such record.")
	case v != "" && v != strconv.Itoa(e.Version):
		refuse(w, http.StatusPreconditionFailed, "", "The record has the version "+strconv.Itoa(e.Version)+".")
		return nil
	}
	return e
}

func (s *records) change(w http.ResponseWriter, r *http.Request) {
	if e := s.find(w, r); e != nil {
		s.set(w, r, e)
	}
}

func (s *records) set(w http.ResponseWriter, r *http.Request, e *entry) bool {
	var given map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		refuse(w, http.StatusBadRequest, "", "This is not JSON.")
		return false
	}
	if price := string(given["price"]); strings.HasPrefix(price, "-") {
		refuse(w, http.StatusUnprocessableEntity, "price", "A price is never below zero, dear friend.")
		return false
	}
	for name, v := range given {
		if text := ""; name == "slug" && json.Unmarshal(v, &text) == nil {
			v, _ = json.Marshal(strings.ToLower(strings.TrimSpace(text)))
		}
		e.Fields[name] = v
	}
	e.Version++
	_ = json.NewEncoder(w).Encode(e)
	return true
}

func (s *records) remove(w http.ResponseWriter, r *http.Request) {
	if e := s.find(w, r); e != nil {
		delete(s.tables[r.PathValue("table")], e.ID)
		_ = json.NewEncoder(w).Encode(e)
	}
}

// table makes a fixture.
func (s *records) table(t *testing.T, n int) connectortest.Fixture {
	t.Helper()
	s.mu.Lock()
	name := "table-" + strconv.Itoa(len(s.tables)+1)
	s.tables[name] = map[int]*entry{}
	s.mu.Unlock()
	b := behind{s, name}
	texts := func(v ...string) []core.Value {
		list := []core.Value{core.NullValue}
		for _, s := range v {
			list = append(list, core.TextValue(s))
		}
		return list
	}
	f := connectortest.Fixture{
		Table: name, Text: "title", Other: "note",
		Edges: map[string][]core.Value{
			"title":  texts("x"),
			"note":   texts("", " a\r\n b ", "é́ 🙂", `{"a":1}`),
			"price":  texts("0", "29.00", "12345678901234567890.123456789"),
			"active": texts("true", "false"),
			"tags":   {core.NullValue, core.ListValue([]string{}), core.ListValue([]string{"a,b", "", " c"})},
		},
		Normalised:   []connectortest.Normalised{{Field: "slug", Sent: core.TextValue(" Blue Kettle"), Stored: core.TextValue("blue kettle")}},
		RefusedField: "price", RefusedValue: core.TextValue("-1"), RefusedWords: "dear friend",
		New: func(n int) map[string]core.Value {
			return map[string]core.Value{"title": core.TextValue(fmt.Sprint("new ", n))}
		},
		Service: b,
	}
	for i := range n {
		f.IDs = append(f.IDs, b.Add(t, fmt.Sprint("record ", i)))
	}
	return f
}

// behind acts on a table behind the connector's back.
type behind struct {
	s    *records
	name string
}

func (b behind) Add(_ *testing.T, text string) string {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.next++
	raw, _ := json.Marshal(text)
	b.s.tables[b.name][b.s.next] = &entry{ID: b.s.next, Version: 1, Fields: map[string]json.RawMessage{"title": raw}}
	return strconv.Itoa(b.s.next)
}

func (b behind) entry(id string) *entry {
	n, _ := strconv.Atoi(id)
	return b.s.tables[b.name][n]
}

func (b behind) Set(_ *testing.T, id, field, value string) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	e := b.entry(id)
	e.Fields[field], _ = json.Marshal(value)
	e.Version++
}

func (b behind) Remove(_ *testing.T, id string) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	n, _ := strconv.Atoi(id)
	delete(b.s.tables[b.name], n)
}

func (b behind) Get(_ *testing.T, id, field string) (string, bool) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	e := b.entry(id)
	if e == nil {
		return "", false
	}
	text := ""
	_ = json.Unmarshal(e.Fields[field], &text)
	return text, true
}

func (b behind) Count(*testing.T) int {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return len(b.s.tables[b.name])
}
