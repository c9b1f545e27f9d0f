package e2e

import (
	"net/http"
	"strings"
	"testing"
)

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
	a, _, places := mustSample(t)
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
