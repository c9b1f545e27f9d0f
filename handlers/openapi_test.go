package handlers

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"scratchpaper/internal/core"
)

// document is the OpenAPI document, against which every answer is held.
type document struct {
	*site
	tree   object
	schema *jsonschema.Compiler
	called map[string]bool // operations that answered with success
	names  *regexp.Regexp
	ids    map[string]string
}

const docAddress = "https://example.org/openapi.json"

func mustDocument(t *testing.T, s *site) *document {
	t.Helper()
	a := s.api(t, "", "GET", "/openapi.json", "")
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the document: %d %v", a.status, err)
	}
	d := &document{site: s, tree: tree.(object), schema: jsonschema.NewCompiler(), called: map[string]bool{}, names: regexp.MustCompile(`\{([a-z]+)\}`), ids: map[string]string{}}
	closed(d.tree["components"])
	closed(d.tree["paths"])
	d.schema.DefaultDraft(jsonschema.Draft2020)
	d.schema.AssertFormat()
	if err := d.schema.AddResource(docAddress, d.tree); err != nil {
		t.Fatal(err)
	}
	return d
}

// closed lets no field pass that the document does not name: the document leaves them open, since version 1 grows.
func closed(node any) {
	switch x := node.(type) {
	case object:
		if _, has := x["properties"].(object); has && x["type"] == "object" && x["additionalProperties"] == nil {
			x["additionalProperties"] = false
		}
		for _, child := range x {
			closed(child)
		}
	case []any:
		for _, child := range x {
			closed(child)
		}
	}
}

// step is one request of a script.
type step struct {
	method, path string // as the document names it
	query, body  string
	form         []string // a file's content, then fields
	status       int
	keep         map[string][]any // names of ids and where the answer has them
	wait         string           // the state that the answer's job comes to
}

func (d *document) address(path string) string {
	return d.names.ReplaceAllStringFunc(path, func(n string) string { return d.ids[strings.Trim(n, "{}")] })
}

func (d *document) run(t *testing.T, st step) object {
	t.Helper()
	var a answer
	switch {
	case st.form != nil:
		a = d.apiUpload(t, "", d.address(st.path)+st.query, "file.csv", st.form[0], st.form[1:]...)
	default:
		a = d.api(t, "", st.method, d.address(st.path)+st.query, d.address(st.body))
	}
	if a.status != st.status {
		t.Fatalf("%s %s answers %d, want %d: %s", st.method, st.path, a.status, st.status, a.body)
	}
	d.check(t, st.method, st.path, a)
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/") {
		return nil
	}
	o := a.object(t)
	for name, at := range st.keep {
		switch id := field(o, at...).(type) {
		case string:
			d.ids[name] = id
		case float64:
			d.ids[name] = strconv.Itoa(int(id))
		default:
			t.Fatalf("%s %s has no %s: %s", st.method, st.path, name, a.body)
		}
	}
	if st.wait != "" {
		d.ids["job"] = field(o, "job", "id").(string)
		d.waits(t, st.wait)
	}
	return o
}

// waits until the job at hand comes to a state.
func (d *document) waits(t *testing.T, state string) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		a := d.api(t, "", "GET", "/jobs/"+d.ids["job"], "")
		d.check(t, "GET", "/jobs/{job}", a)
		if got := field(a.object(t), "state"); got == state {
			return
		} else if time.Now().After(deadline) || got == "failed" {
			t.Fatalf("the job is %s", a.body)
		}
		time.Sleep(20 * time.Millisecond) // asks again until the job has come to it
	}
}

// check holds an answer against what the document says of its operation and status.
func (d *document) check(t *testing.T, method, path string, a answer) {
	t.Helper()
	at := "/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + strings.ToLower(method) + "/responses/" + strconv.Itoa(a.status)
	response, ok := field(d.tree, "paths", path, strings.ToLower(method), "responses", strconv.Itoa(a.status)).(object)
	if !ok {
		t.Errorf("the document does not name the status %d of %s %s: %s", a.status, method, path, a.body)
		return
	}
	if a.status < 300 {
		d.called[method+" "+path] = true
	}
	if ref, isRef := response["$ref"].(string); isRef {
		at = strings.TrimPrefix(ref, "#")
		response = field(d.tree, "components", "responses", strings.TrimPrefix(ref, "#/components/responses/")).(object)
	}
	content, _ := response["content"].(object)
	typ, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if len(content) == 0 && a.body == "" {
		return
	}
	if content[typ] == nil {
		t.Errorf("%s %s answers %d with the type %q, which the document does not name", method, path, a.status, typ)
		return
	}
	if !strings.HasSuffix(typ, "json") {
		return
	}
	sch, err := d.schema.Compile(docAddress + "#" + strings.ReplaceAll(at, "{", "%7B") + "/content/" + strings.ReplaceAll(typ, "/", "~1") + "/schema")
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if err := sch.Validate(value); err != nil {
		t.Errorf("%s %s answers what the document does not say: %v\n%s", method, path, err, a.body)
	}
}

// operationsOf lists what the document names.
func (d *document) operationsOf() []string {
	var all []string
	for path, methods := range d.tree["paths"].(object) {
		for method := range methods.(object) {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// TestEveryAddressOfTheDocumentAnswersAsItSays walks through the API as a script does, until every operation that the document names
// has answered with success, and holds each answer against the document.
func TestEveryAddressOfTheDocumentAnswersAsItSays(t *testing.T) {
	t.Parallel()
	s := mustSiteWith(t, func(s *site, d *Deps) { d.SignIn = cheapSignIn(s) })
	s.mustWork(t)
	d := mustDocument(t, s)
	settings, err := json.Marshal(settingsOf(s.service))
	if err != nil {
		t.Fatal(err)
	}
	const (
		get, post, patch, del = "GET", "POST", "PATCH", "DELETE"
		sn                    = "/snapshots/{snapshot}"
		tb                    = sn + "/tables/{table}"
		pl                    = sn + "/plans/{plan}"
		everything            = `{"where": {"filter": "true"}}`
	)
	if _, err := s.store.Pool().Exec(t.Context(), `with p as (insert into people (id, name) values ('per_second', 'Second') returning id)
		insert into members (org_id, person_id, role) select $1, id, 'publisher' from p`, s.by.Org); err != nil {
		t.Fatal(err)
	}
	jobIs := map[string][]any{"job": {"job", "id"}}
	for _, st := range []step{
		{method: get, path: "/openapi.json", status: 200},
		{method: get, path: "/connectors", status: 200},
		{method: post, path: "/sample", status: 201, wait: "done", keep: map[string][]any{"connection": {"connection", "id"}}},
		{method: get, path: "/connections", status: 200},
		{method: post, path: "/connections", body: `{"connector": "postgres", "name": "Shop", "settings": ` + string(settings) + `}`, status: 201, keep: map[string][]any{"connection": {"id"}}},
		{method: patch, path: "/connections/{connection}", body: `{"name": "The shop"}`, status: 200},
		{method: get, path: "/connections/{connection}", status: 200},
		{method: post, path: "/connections/{connection}/test", status: 200},
		{method: get, path: "/connections/{connection}/tables", status: 200, keep: map[string][]any{"remote": {"items", 0, "id"}}},

		{method: post, path: "/snapshots", body: `{"name": "Spring", "tables": [{"connection": "{connection}", "remote_table": "{remote}", "columns": ["title"]}]}`, status: 201, wait: "done",
			keep: map[string][]any{"snapshot": {"snapshot", "id"}, "table": {"snapshot", "tables", 0, "id"}}},
		{method: post, path: sn + "/tables", body: `{"tables": [{"connection": "{connection}", "remote_table": "{remote}"}]}`, status: 202, wait: "done"},
		{method: get, path: "/snapshots", query: "?limit=1", status: 200},
		{method: patch, path: sn, body: `{"name": "Summer"}`, status: 200},
		{method: get, path: sn, status: 200},
		{method: post, path: sn + "/refresh", status: 202, wait: "done"},
		{method: get, path: sn + "/tables", status: 200},
		{method: patch, path: sn + "/schedule", body: `{"at": "02:30", "zone": "Europe/Brussels"}`, status: 200},
		{method: get, path: sn + "/schedule", status: 200},
		{method: patch, path: sn + "/schedule", body: `{"at": ""}`, status: 200},
		{method: patch, path: tb, body: `{"name": "Pots", "columns": [{"id": "price", "title": "Price, net", "locks": ["never_publish"]}]}`, status: 200},
		{method: patch, path: tb, body: `{"columns": [{"id": "price", "locks": []}]}`, status: 200},
		{method: get, path: tb, status: 200},
		{method: post, path: tb + "/views", body: `{"name": "Dear", "filter": "price > 5", "sort": "-price"}`, status: 201, keep: map[string][]any{"view": {"id"}}},
		{method: get, path: tb + "/views", status: 200},
		{method: get, path: tb + "/views/{view}", status: 200},
		{method: patch, path: tb + "/views/{view}", body: `{"columns": [{"id": "title"}]}`, status: 200},
		{method: del, path: tb + "/views/{view}", status: 204},

		{method: get, path: tb + "/records", query: "?limit=3&count=true", status: 200, keep: map[string][]any{"record": {"items", 0, "id"}}},
		{method: get, path: tb + "/records/{record}", query: "?numbers=string", status: 200},
		{method: post, path: tb + "/changes", body: `{"changes": [{"op": "set", "record": {record}, "values": {"title": "Red kettle"}}, {"op": "set", "record": 999, "values": {"title": "x"}}]}`,
			status: 200, keep: map[string][]any{"batch": {"batch"}}},
		{method: get, path: tb + "/records/{record}/history", status: 200},
		{method: post, path: sn + "/batches/{batch}/undo", status: 200},
		{method: post, path: sn + "/batches/{batch}/redo", status: 200},
		{method: get, path: sn + "/history", status: 200},
		{method: get, path: tb + "/facets", query: "?column=price&limit=2", status: 200},
		{method: post, path: tb + "/aggregate", body: everything, status: 200},
		{method: get, path: tb + "/export", query: "?format=tsv", status: 200},
		{method: post, path: tb + "/changes", body: `{"as": "suggestion", "op": "set", "where": {"filter": "price < 4"}, "values": {"price": 4.5}}`, status: 200},
		{method: post, path: tb + "/changes", body: `{"as": "suggestion", "reason": "new", "changes": [{"op": "create", "values": {"id": 77, "title": "New"}}, {"op": "delete", "record": 3}]}`, status: 200},
		{method: get, path: tb + "/suggestions", status: 200},
		{method: get, path: tb + "/suggestions/groups", status: 200},
		{method: get, path: tb + "/records", query: "?filter=suggested()", status: 200},
		{method: post, path: tb + "/suggestions/accept", body: `{"where": {"records": [{record}]}}`, status: 200},
		{method: post, path: tb + "/suggestions/reject", body: everything, status: 200},
		{method: post, path: tb + "/transforms", body: `{"transform": "replace", "where": {"filter": "true"}, "options": {"find": "Kettle", "replace": "Pot"}, "preview": true}`, status: 200},
		{method: post, path: tb + "/transforms", body: `{"transform": "replace", "where": {"filter": "true"}, "options": {"find": "Kettle 2", "replace": "Pot 2"}}`, status: 202, wait: "done"},
		{method: post, path: tb + "/conflicts/settle", body: `{"where": {"filter": "true"}, "as": "mine"}`, status: 200},

		{method: post, path: "/imports", query: "?preview=true", form: []string{"a,b\n1,2\n"}, status: 200},
		{method: post, path: "/imports", form: []string{"a,b\n1,2\n"}, status: 201, wait: "done"},
		{method: post, path: tb + "/imports", form: []string{"title,price\nKettle 5,55\nNone,1\n", "key", "title", "preview", "true"}, status: 200},
		{method: post, path: tb + "/imports", form: []string{"title,price\nKettle 5,55\nKettle 6,66\nNone,1\n", "key", "title"}, status: 202, wait: "done"},
		{method: post, path: tb + "/suggestions/accept", body: `{"where": {"filter": "price < 7", "columns": ["price"]}}`, status: 200},

		{method: post, path: sn + "/plans", status: 201, keep: map[string][]any{"plan": {"id"}}},
		{method: get, path: pl, status: 200},
		{method: get, path: pl + "/items", status: 200, keep: map[string][]any{"item": {"items", 0, "id"}}},
		{method: patch, path: pl + "/items", body: `{"where": {"filter": "true"}, "included": false}`, status: 200},
		{method: patch, path: pl + "/items", body: `{"where": {"filter": "true"}, "included": true}`, status: 200},
		{method: get, path: "/organization", status: 200},
		{method: patch, path: "/organization", body: `{"second_person": true}`, status: 200},
		{method: post, path: pl + "/approval", body: `{}`, status: 200},
		{method: get, path: "/approvals", status: 200},
		{method: post, path: pl + "/approval/return", body: `{"note": "not yet"}`, status: 200},
		{method: post, path: pl + "/approval", body: `{"deletes": true}`, status: 200},
		{method: del, path: pl + "/approval", status: 204},
		{method: post, path: pl + "/approval", body: `{}`, status: 200},
	} {
		d.run(t, st)
	}
	d.approves(t, pl)
	for _, st := range []step{
		{method: patch, path: "/organization", body: `{"second_person": false}`, status: 200},
		{method: post, path: pl + "/publish", body: `{"first": 1}`, status: 202, wait: "waiting"},
		{method: post, path: "/jobs/{job}/cancel", status: 200},
		{method: post, path: pl + "/retry", status: 202, keep: jobIs, wait: "done"},
		{method: get, path: pl + "/items", query: "?state=published", status: 200},
		{method: post, path: pl + "/revert", status: 201, keep: map[string][]any{"plan": {"plan", "id"}}},
		{method: post, path: pl + "/publish", body: `{"first": 1}`, status: 202, wait: "waiting"},
		{method: post, path: "/jobs/{job}/continue", status: 200},
		{method: get, path: "/jobs", query: "?limit=2", status: 200},
		{method: post, path: sn + "/shares", body: `{"name": "Dora", "days": 3, "decides": true}`, status: 201, keep: map[string][]any{"share": {"id"}}},
		{method: get, path: sn + "/shares", status: 200},
		{method: del, path: sn + "/shares/{share}", status: 204},
		{method: post, path: "/tokens", body: `{"name": "Nightly", "scopes": ["read", "suggest"]}`, status: 201, keep: map[string][]any{"token": {"id"}}},
		{method: get, path: "/tokens", status: 200},
		{method: del, path: "/tokens/{token}", status: 204},
		{method: post, path: sn + "/agents", body: `{"name": "Helper", "minutes": 5}`, status: 201},
	} {
		d.run(t, st)
	}
	d.waits(t, "done")
	d.settles(t, pl)
	d.streams(t)
	for _, st := range []step{
		{method: del, path: sn, status: 204},
		{method: del, path: "/connections/{connection}", status: 204},
	} {
		d.run(t, st)
	}
	for _, op := range d.operationsOf() {
		if !d.called[op] {
			t.Errorf("%s was not called with success", op)
		}
	}
	if len(d.operationsOf()) < 55 {
		t.Errorf("the document names %d operations", len(d.operationsOf()))
	}
}

// approves lets a second person approve a plan.
func (d *document) approves(t *testing.T, plan string) {
	t.Helper()
	d.people.set("second", core.Actor{Org: d.by.Org, Person: "per_second", Name: "Second", Kind: core.KindPerson, Role: core.Publisher})
	path := plan + "/approval/approve"
	a := d.api(t, "second", "POST", d.address(path), "")
	a.is(t, http.StatusOK, `"state":"approved"`)
	d.check(t, "POST", path, a)
}

// settles says what became of an item that nobody can tell of.
func (d *document) settles(t *testing.T, plan string) {
	t.Helper()
	items := d.run(t, step{method: "GET", path: plan + "/items", status: 200, keep: map[string][]any{"item": {"items", 0, "id"}}})
	schema := `"` + d.ids["snapshot"] + `"`
	if _, err := d.store.Pool().Exec(t.Context(), `update `+schema+`._publish_items set state = 'unknown', merged = false where id = $1`,
		strings.TrimPrefix(field(items, "items", 0, "id").(string), "itm_")); err != nil {
		t.Fatal(err)
	}
	d.run(t, step{method: "POST", path: plan + "/items/{item}/settle", body: `{"as": "not_sent"}`, status: 200})
}

// streams opens the events and hears of a change.
func (d *document) streams(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/api/v1/events?topic=snapshot:"+d.ids["snapshot"], nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := d.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	d.check(t, "GET", "/events", answer{res.StatusCode, res.Header, "stream"})
	d.api(t, "", "POST", d.address("/snapshots/{snapshot}/tables/{table}/changes"), d.address(`{"changes": [{"op": "set", "record": {record}, "values": {"price": 99}}]}`))
	var heard bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(heard.String(), "event: change") {
		n, err := res.Body.Read(buf)
		if heard.Write(buf[:n]); err != nil {
			t.Fatalf("the stream ended with %v after %s", err, heard.String())
		}
	}
}

// TestEveryOperationRefusesInItsWay sends to every operation what it cannot take: nothing that it could work on, and a body that
// is none. Each answers with a problem document that the OpenAPI document names.
func TestEveryOperationRefusesInItsWay(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	d := mustDocument(t, s)
	for name, prefix := range idPrefixes {
		d.ids[name] = prefix + "nothing"
	}
	d.ids["record"], d.ids["batch"], d.ids["item"] = "1", "bat_1", "itm_1"
	for _, op := range d.operationsOf() {
		method, path, _ := strings.Cut(op, " ")
		if path == "/events" {
			continue // it would go on for ever; its refusals have tests of their own
		}
		for what, body := range map[string]string{"an empty body": "{}", "a body that is none": "{"} {
			a := d.api(t, "", method, d.address(path), body, "Content-Type", "application/json")
			if strings.Contains(path, "{") && a.status < 400 {
				t.Errorf("%s with %s answers %d for something that is not there", op, what, a.status)
			}
			if a.status >= 500 || a.status == http.StatusMethodNotAllowed {
				t.Errorf("%s with %s answers %d: %s", op, what, a.status, a.body)
			}
			if a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s with %s answers %d as %s", op, what, a.status, a.header.Get("Content-Type"))
			}
			d.check(t, method, path, a)
		}
	}
}

func TestAnUnknownQueryIsPassedOverAndABadOneRefused(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	for query, status := range map[string]int{"limit=0": 422, "limit=x": 422, "offset=-1": 422, "after=x:y": 422, "sort=nope": 422, "columns=nope": 422, "filter=nope": 422, "numbers=1": 422, "new=1": 200} {
		q, _ := url.ParseQuery(query)
		if a := s.api(t, "", "GET", s.path+"/records?"+q.Encode(), ""); a.status != status {
			t.Errorf("%s answers %d, want %d: %s", query, a.status, status, a.body)
		}
	}
}
