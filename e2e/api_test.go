package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestEveryAddressOfTheDocumentAnswers calls every route that the OpenAPI document names: none may answer that it does not
// exist, nor with a failure of the program.
func TestEveryAddressOfTheDocumentAnswers(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	snapshot, places := a.sampleSnapshot()
	plan := text(a.call("POST", snapshot+"/plans", object{}, 201), "id")
	job := text(a.call("GET", "/jobs", nil, 200), "items", 0, "id")
	record := a.call("GET", places+"/records?limit=1", nil, 200)
	ids := map[string]string{"snapshot": strings.TrimPrefix(snapshot, "/snapshots/"), "table": places[strings.LastIndex(places, "/")+1:], "plan": plan, "job": job,
		"connection": text(a.call("GET", "/connections", nil, 200), "items", 0, "id"), "batch": "bat_1", "item": "itm_1"}
	if n := number(record, "items", 0, "id"); n == 0 {
		t.Fatalf("no record: %v", record)
	}
	ids["record"] = "1"
	names := regexp.MustCompile(`\{([a-z]+)\}`)
	doc := a.call("GET", "/openapi.json", nil, 200)
	paths := field(doc, "paths").(object)
	if len(paths) < 30 {
		t.Fatalf("the document names %d paths", len(paths))
	}
	for path, operations := range paths {
		for method := range operations.(object) {
			if method == "delete" || path == "/events" || path == "/sample" {
				continue // they have tests of their own, and would take away what the others need
			}
			address := names.ReplaceAllStringFunc(path, func(n string) string { return ids[strings.Trim(n, "{}")] })
			req, _ := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), a.url+"/api/v1"+address, strings.NewReader("{}"))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode >= 500 || resp.StatusCode == http.StatusMethodNotAllowed {
				t.Errorf("%s %s answers %d", method, path, resp.StatusCode)
			}
		}
	}
}

// TestOtherOriginsAndHostsAreRefused keeps a page of somebody else, and a name that points here, from writing.
func TestOtherOriginsAndHostsAreRefused(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	for name, change := range map[string]func(*http.Request){
		"another origin": func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
		"another host": func(r *http.Request) { r.Host = "evil.example" },
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/api/v1/sample", nil)
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: answered %d, want 403", name, resp.StatusCode)
		}
	}
	if n := len(field(a.call("GET", "/snapshots", nil, 200), "items").([]any)); n != 0 {
		t.Errorf("%d snapshots were made", n)
	}
}

// TestAnExportChangesNothingAndDefusesFormulas exports with a text that a spreadsheet takes for a formula.
func TestAnExportChangesNothingAndDefusesFormulas(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	_, places := a.sampleSnapshot()
	id := number(a.call("GET", places+"/records?limit=1", nil, 200), "items", 0, "id")
	a.call("POST", places+"/changes", object{"changes": []object{{"op": "set", "record": id, "values": object{"name": "=1+2"}}}}, 200)
	before := a.call("GET", places, nil, 200)
	resp, err := http.Get(a.url + "/api/v1" + places + "/export?format=csv&filter=edited()&columns=name,population")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out strings.Builder
	if err := resp.Write(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "name,population\r\n'=1+2,") {
		t.Errorf("the export is %q", out.String())
	}
	after := a.call("GET", places, nil, 200)
	if number(before, "version") != number(after, "version") || number(after, "counts", "edits") != 1 {
		t.Error("an export changed something")
	}
}
