package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// object is a JSON object of the API.
type object = map[string]any

// api asks the API as somebody ("" is the local person) and gives the answer.
func (s *site) api(t *testing.T, as, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-As", as)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return s.send(t, req)
}

// call asks the API as the local person and gives the answer's object; the status must be as wanted.
func (s *site) call(t *testing.T, method, path, body string, status int) object {
	t.Helper()
	a := s.api(t, "", method, path, body)
	if a.status != status {
		t.Fatalf("%s %s answers %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a.object(t)
}

func (a answer) object(t *testing.T) object {
	t.Helper()
	out := object{}
	if a.body == "" {
		return out
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return out
}

// field walks into an object: field(o, "items", 0, "id").
func field(o any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := o.(object)
			o = m[k]
		case int:
			l, _ := o.([]any)
			if k >= len(l) {
				return nil
			}
			o = l[k]
		}
	}
	return o
}

// shop is a snapshot of a file with n records of title and price, and its address in the API.
type shop struct {
	*site
	snapshot store.Snapshot
	table    store.Table
	path     string // of the table
}

func mustShop(t *testing.T, n int) shop {
	t.Helper()
	s := mustSite(t)
	return s.mustShop(t, s.by, "Boats", n)
}

func (s *site) mustShop(t *testing.T, by core.Actor, name string, n int) shop {
	t.Helper()
	var records []store.RemoteRecord
	for i := range n {
		records = append(records, store.RemoteRecord{Values: []core.Value{core.TextValue(fmt.Sprintf("%s %d", name, i+1)), core.TextValue(fmt.Sprint(10 * (i + 1)))}})
	}
	return s.mustShopOf(t, by, name, records)
}

func (s *site) mustShopOf(t *testing.T, by core.Actor, name string, records []store.RemoteRecord) shop {
	t.Helper()
	sn, job := s.mustFileSnapshot(t, by, name)
	taken, _, err := s.store.TakeJob(t.Context(), job.ID, "worker", time.Hour)
	if err != nil || taken == nil {
		t.Fatalf("job not taken: %v", err)
	}
	table := sn.Tables[0]
	if _, err := s.store.MergePage(t.Context(), taken, store.PageMerge{Table: table, Columns: table.Columns, Records: records, First: true, Checkpoint: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndSlice(t.Context(), taken, store.JobEnd{State: "done"}); err != nil {
		t.Fatal(err)
	}
	return shop{site: s, snapshot: sn, table: table, path: "/snapshots/" + sn.ID + "/tables/" + table.ID}
}

func TestABodyThatDoesNotFitNamesTheFieldByItsPointer(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	for body, want := range map[string]string{
		`{"name": 5}`: "/name", `{"columns": [{"id": "title"}, {"id": "price", "locks": "x"}]}`: "/columns/1/locks", `{"columns": {}}`: "/columns",
		`{"columns": [{"id": "title", "width": 1.5}]}`: "/columns/0/width", `{"nmae": "x"}`: "/nmae", `{"columns": [{"id": "title", "a/b": 1}]}`: "/columns/0/a~1b",
		`{"columns": [{"id": "nope"}]}`: "/columns/0/id", `{"name": ""}`: "/name",
	} {
		a := s.api(t, "", "PATCH", s.path, body)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || got != want || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v, want 422 %s", body, a.status, got, want)
		}
	}
	for _, body := range []string{`{`, `{} {}`, `nonsense`} {
		a := s.api(t, "", "PATCH", s.path, body)
		if o := a.object(t); a.status != 400 || o["status"] != 400.0 || o["title"] != "Bad Request" || o["type"] != "about:blank" || o["detail"] == "" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestATableIsPatchedOverTheAPI(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	got := s.call(t, "PATCH", s.path, `{"name": "Ships", "description": "What floats.", "columns": [{"id": "price", "title": "Price, net", "locks": ["read_only"], "width": 90}]}`, 200)
	price := field(got, "columns", 1)
	if got["name"] != "Ships" || got["description"] != "What floats." || field(price, "id") != "price" || field(price, "title") != "Price, net" ||
		field(price, "locks", 0) != "read_only" || field(price, "writable") != false || field(price, "width") != 90.0 {
		t.Errorf("the table is %v", got)
	}
	refused := s.call(t, "POST", s.path+"/changes", `{"changes": [{"op": "set", "record": 1, "values": {"price": 5}}]}`, 200)
	if field(refused, "refused", 0, "column") != "price" {
		t.Errorf("an edit of the locked column gives %v", refused)
	}
}

func TestViewsAreSavedListedInPagesAndForgotten(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	var ids []any
	for _, name := range []string{"One", "Two", "Three", "Four"} {
		v := s.call(t, "POST", s.path+"/views", `{"name": "`+name+`", "filter": "price > 1", "sort": "title,-price", "columns": [{"id": "price", "width": 120}]}`, 201)
		if v["sort"] != "title,-price" || field(v, "columns", 0, "id") != "price" || v["created_by"] != "You" || !strings.HasPrefix(v["id"].(string), "viw_") ||
			!strings.HasSuffix(v["created_at"].(string), "Z") {
			t.Errorf("the view is %v", v)
		}
		ids = append(ids, v["id"])
	}
	first := s.call(t, "GET", s.path+"/views?limit=2", "", 200)
	s.call(t, "DELETE", s.path+"/views/"+ids[1].(string), "", 204) // the last of the page
	second := s.call(t, "GET", s.path+"/views?limit=2&after="+first["next"].(string), "", 200)
	if got := []any{field(first, "items", 0, "id"), field(first, "items", 1, "id"), field(second, "items", 0, "id"), field(second, "items", 1, "id")}; !slices.Equal(got, ids) {
		t.Errorf("the pages hold %v, want %v", got, ids)
	}
	if second["next"] != nil {
		t.Errorf("behind the last page there is %v", second["next"])
	}
	view := s.path + "/views/" + ids[0].(string)
	if v := s.call(t, "PATCH", view, `{"filter": ""}`, 200); v["filter"] != "" || v["name"] != "One" || field(v, "columns", 0, "id") != "price" {
		t.Errorf("after a change the view is %v", v)
	}
	if v := s.call(t, "PATCH", view, `{"columns": null}`, 200); v["columns"] != nil {
		t.Errorf("without columns the view is %v", v)
	}
	s.call(t, "GET", s.path+"/views/"+ids[1].(string), "", 404)
	s.call(t, "GET", s.path+"/views?after=*", "", 422)
	s.call(t, "GET", s.path+"/views?limit=1001", "", 422)
}

func TestAggregatesOverTheAPI(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	got := s.call(t, "POST", s.path+"/aggregate", `{"where": {"filter": "price > 10"}}`, 200)
	if got["count"] != 2.0 || field(got, "columns", "price", "sum") != 50.0 || field(got, "columns", "price", "average") != 25.0 || field(got, "columns", "price", "count") != 2.0 ||
		field(got, "columns", "title") != nil {
		t.Errorf("it is %v", got)
	}
	as := s.call(t, "POST", s.path+"/aggregate?numbers=string", `{"where": {"filter": "true"}, "columns": ["price"], "functions": ["max"]}`, 200)
	if field(as, "columns", "price", "max") != "30" || field(as, "columns", "price", "min") != nil {
		t.Errorf("as texts it is %v", as)
	}
	for body, want := range map[string]string{`{"where": {}}`: "/where", `{}`: "/where", `{"where": {"filter": "true"}, "columns": ["title"], "functions": ["sum"]}`: "/functions/0",
		`{"where": {"filter": "true"}, "functions": ["median"]}`: "/functions/0", `{"where": {"columns": ["price"]}}`: "/where/columns"} {
		a := s.api(t, "", "POST", s.path+"/aggregate", body)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || got != want {
			t.Errorf("%s: %d %v, want %s", body, a.status, got, want)
		}
	}
}

func TestRecordsAreListedInPagesThatFitTogether(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5)
	list := s.path + "/records?sort=-price&limit=2"
	first := s.call(t, "GET", list, "", 200)
	s.call(t, "POST", s.path+"/changes", `{"changes": [{"op": "set", "record": 5, "values": {"price": 1}}]}`, 200)
	second := s.call(t, "GET", list+"&after="+first["next"].(string), "", 200)
	third := s.call(t, "GET", list+"&after="+second["next"].(string), "", 200)
	var got []any
	for _, page := range []object{first, second, third} {
		for _, r := range page["items"].([]any) {
			got = append(got, field(r, "id"))
		}
	}
	if !slices.Equal(got, []any{5.0, 4.0, 3.0, 2.0, 1.0}) || third["next"] != nil {
		t.Errorf("the pages hold %v, then %v", got, third["next"])
	}
	if _, counted := first["total"]; counted {
		t.Error("a total was computed that nobody asked for")
	}
	if o := s.call(t, "GET", s.path+"/records?offset=3&count=true&filter=price>10", "", 200); o["total"] != 3.0 || len(o["items"].([]any)) != 0 {
		t.Errorf("behind the end: %v", o)
	}
	s.call(t, "GET", s.path+"/records?numbers=text", "", 422)
}

func TestValuesAreWrittenWithAllTheirDigitsOrAsTexts(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 2)
	const long = "12345678901234567890.10"
	s.call(t, "POST", s.path+"/changes", `{"changes": [{"op": "set", "record": 1, "values": {"price": `+long+`}}]}`, 200)
	s.call(t, "POST", s.path+"/changes", `{"as": "suggestion", "reason": "dear", "changes": [{"op": "set", "record": 1, "values": {"price": "7.50"}},
		{"op": "create", "values": {"title": "New", "price": 3}}, {"op": "delete", "record": 2}]}`, 200)
	for query, want := range map[string][]string{
		"":                {`"price":` + long, `"edits":{"price":{"base":10}}`, `"value":7.50`, `"id":"sug_1"`, `"batch":"bat_3"`, `"value":{"price":3,"title":"New"}`, `"value":null`},
		"?numbers=string": {`"price":"` + long + `"`, `"edits":{"price":{"base":"10"}}`, `"value":"7.50"`, `"value":{"price":"3","title":"New"}`},
	} {
		a := s.api(t, "", "GET", s.path+"/records"+query, "")
		for _, w := range want {
			if !strings.Contains(a.body, w) {
				t.Errorf("records%s: there is no %s in\n%s", query, w, a.body)
			}
		}
	}
	a := s.api(t, "", "GET", s.path+"/records/1/history?numbers=string", "")
	if !strings.Contains(a.body, `"before":"10","after":"`+long+`"`) {
		t.Errorf("the history is %s", a.body)
	}
}

func TestFacetsAndHistoryAreListedInPages(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5)
	for _, price := range []string{"7", "8", "9"} {
		s.call(t, "POST", s.path+"/changes", `{"changes": [{"op": "set", "record": 1, "values": {"price": `+price+`}}]}`, 200)
	}
	for address, want := range map[string][]any{
		s.path + "/facets?column=price&limit=2":    {9.0, 20.0, 30.0, 40.0, 50.0},
		s.path + "/records/1/history?limit=2":      {9.0, 8.0, 7.0},
		s.path + "/facets?column=price&limit=1000": {9.0, 20.0, 30.0, 40.0, 50.0},
	} {
		var got []any
		next := ""
		for {
			page := s.call(t, "GET", address+"&after="+next, "", 200)
			for _, item := range page["items"].([]any) {
				v := field(item, "value")
				if after, is := item.(object)["after"]; is {
					v = after
				}
				got = append(got, v)
			}
			if page["next"] == nil {
				break
			}
			next = page["next"].(string)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

func TestSnapshotsConnectionsAndTablesAreListedWhole(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	s.mustFileSnapshot(t, s.by, "Kites")
	s.mustConnect(t)
	first := s.call(t, "GET", "/snapshots?limit=1", "", 200)
	second := s.call(t, "GET", "/snapshots?limit=1&after="+first["next"].(string), "", 200)
	if field(first, "items", 0, "name") != "Kites" || field(second, "items", 0, "name") != "Boats" || second["next"] != nil {
		t.Errorf("the snapshots are %v, %v", first, second)
	}
	if field(second, "items", 0, "tables", 0, "columns", 0, "id") != "title" || field(second, "items", 0, "tables", 0, "counts", "records") != 1.0 {
		t.Errorf("a snapshot of the list is not whole: %v", second)
	}
	for address, want := range map[string][]any{"/connections": {"id", "Shop"}, "/connectors": {"id", "PostgreSQL"}, "/snapshots/" + s.snapshot.ID + "/tables": {"id", "Boats"}} {
		o := s.call(t, "GET", address, "", 200)
		if field(o, "items", 0, "name") != want[1] || field(o, "items", 0, "id") == "" || o["next"] != nil {
			t.Errorf("%s: %v", address, o)
		}
	}
	con := s.call(t, "GET", "/connectors", "", 200)
	if abilities, _ := field(con, "items", 0, "abilities").([]any); !slices.Contains(abilities, any("update")) || field(con, "items", 0, "limits", "update_batch") == nil ||
		field(con, "items", 0, "settings", "properties", "password", "writeOnly") != true {
		t.Errorf("the connector is %v", con)
	}
}

func TestTablesAndColumnsAreAddedOverTheAPI(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	wanted := func(remote, columns string) string {
		return `{"name": "Spring", "tables": [{"connection": "` + con + `", "remote_table": "` + remote + `", "columns": [` + columns + `]}]}`
	}
	more := func(remote, columns string) string {
		return strings.Replace(wanted(remote, columns), `"name": "Spring", `, "", 1)
	}
	remotes := s.call(t, "GET", "/connections/"+con+"/tables", "", 200)
	kettles, log := field(remotes, "items", 0, "id").(string), field(remotes, "items", 1, "id").(string)
	made := s.call(t, "POST", "/snapshots", wanted(kettles, `"title"`), 201)
	tables := "/snapshots/" + field(made, "snapshot", "id").(string) + "/tables"
	j := s.call(t, "POST", tables, more(kettles, `"title", "price"`), 202)
	if field(j, "job", "kind") != "download" || field(j, "job", "state") != "queued" {
		t.Errorf("the job is %v", j)
	}
	got := s.call(t, "GET", tables, "", 200)
	if field(got, "items", 0, "columns", 2, "id") != "price" || field(got, "items", 1) != nil {
		t.Errorf("the tables are %v", got)
	}
	for body, want := range map[string]string{more(kettles, `"price"`): "/tables/0", more(kettles, `"nope"`): "/tables/0", more(log, ""): "/tables/0", `{}`: "/tables"} {
		a := s.api(t, "", "POST", tables, body)
		if pointer := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || pointer != want {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	s.call(t, "POST", "/snapshots/snp_x/tables", more(kettles, `"title"`), 404)
}

func TestAnEmptyListInAWhereChoosesNothing(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 2)
	s.call(t, "POST", s.path+"/changes", `{"as": "suggestion", "changes": [{"op": "set", "record": 1, "values": {"price": 5}}, {"op": "set", "record": 2, "values": {"title": "x"}}]}`, 200)
	for _, where := range []string{`{"filter": "true", "ids": []}`, `{"filter": "true", "records": []}`, `{"filter": "true", "columns": []}`} {
		if o := s.call(t, "POST", s.path+"/suggestions/reject", `{"where": `+where+`}`, 200); o["cells"] != 0.0 {
			t.Errorf("%s rejects %v", where, o)
		}
	}
	if o := s.call(t, "POST", s.path+"/aggregate", `{"where": {"filter": "true", "records": []}}`, 200); o["count"] != 0.0 {
		t.Errorf("no records are %v", o)
	}
	if o := s.call(t, "POST", s.path+"/suggestions/reject", `{"where": {"ids": ["sug_2"], "columns": ["title"]}}`, 200); o["cells"] != 1.0 {
		t.Errorf("one suggestion is %v", o)
	}
	for where, want := range map[string]string{`{}`: "/where", `{"ids": ["nope"]}`: "/where/ids", `{"columns": ["title", "nope"]}`: "/where/columns/1", `{"batch": "x"}`: "/where/batch", `{"filter": "price <"}`: "/where/filter"} {
		a := s.api(t, "", "POST", s.path+"/suggestions/reject", `{"where": `+where+`}`)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || got != want {
			t.Errorf("%s: %d %s, want %s", where, a.status, a.body, want)
		}
	}
}

// TestAPageOfLargeRecordsHasFewer asks for 100 records of which two fit into an answer, and follows next to the last.
func TestAPageOfLargeRecordsHasFewer(t *testing.T) {
	t.Parallel()
	site := mustSite(t)
	var records []store.RemoteRecord
	for i := range 5 {
		records = append(records, store.RemoteRecord{Values: []core.Value{core.TextValue(strings.Repeat("x", 9<<20)), core.TextValue(fmt.Sprint(i + 1))}})
	}
	s := site.mustShopOf(t, site.by, "Boats", records)
	var pages []int
	var prices []any
	for after := ""; ; {
		page := s.call(t, "GET", s.path+"/records?after="+url.QueryEscape(after), "", 200)
		items, _ := page["items"].([]any)
		for _, r := range items {
			prices = append(prices, field(r, "values", "price"))
		}
		pages = append(pages, len(items))
		if after, _ = page["next"].(string); after == "" || len(pages) > 5 {
			break
		}
	}
	if fmt.Sprint(pages) != "[2 2 1]" || fmt.Sprint(prices) != "[1 2 3 4 5]" {
		t.Errorf("the pages have %v records with the prices %v", pages, prices)
	}
	if few := s.call(t, "GET", s.path+"/records?columns=price", "", 200); len(few["items"].([]any)) != 5 || few["next"] != nil {
		t.Errorf("without the large column it is %d records, next %v", len(few["items"].([]any)), few["next"])
	}
}
