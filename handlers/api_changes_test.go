package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestAChangeWithAWhereStandsInAnyOfItsPlaces(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	for i, body := range []string{
		`{"op": "set", "where": {"filter": "price > 10"}, "values": {"title": "A"}}`,
		`{"changes": {"op": "set", "where": {"filter": "price > 10"}, "values": {"title": "B"}}}`,
		`{"changes": [{"op": "set", "where": {"filter": "price > 10"}, "values": {"title": "C"}}]}`,
		`{"op": "delete", "where": {"records": [2, 3]}}`,
	} {
		if o := s.call(t, "POST", s.path+"/changes", body, 200); o["applied"] != 2.0 {
			t.Errorf("%d: %s gives %v", i, body, o)
		}
	}
	for body, want := range map[string]string{
		`{}`: "/changes", `{"changes": 5}`: "/changes", `{"changes": [{"op": "set", "recrod": 1}]}`: "/changes/0/recrod", `{"changes": [{"op": "set", "record": "1"}]}`: "/changes/0/record",
		`{"op": "set", "where": {"filter": "true"}}`: "/values", `{"op": "set", "where": {"filter": "true"}, "values": {"price": "x"}}`: "/values/price", `{"op": "set", "values": {"price": 1}}`: "/where",
		`{"op": "create", "where": {"filter": "true"}}`: "/op", `{"op": "delete", "where": {"columns": ["price"]}}`: "/where/columns", `{"changes": {"op": "delete", "where": {"filter": "nope"}}}`: "/changes/where/filter",
		`{"changes": [{"op": "delete", "where": {"filter": "true"}}, {"op": "delete", "record": 1}]}`: "/changes/0/where", `{"changes": [], "op": "delete", "where": {"filter": "true"}}`: "/changes",
		`{"as": "both", "changes": []}`: "/as", `{"atomic": true, "changes": [{"op": "set", "record": 1, "values": {"price": 1}}, {"op": "set", "record": 99, "values": {"price": 1}}]}`: "/changes/1",
		`{"atomic": true, "changes": [{"op": "set", "record": 1, "values": {"price": 1}}, {"op": "set", "record": 1, "values": {"price": "x"}}]}`: "/changes/1",
	} {
		a := s.api(t, "", "POST", s.path+"/changes", body)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || got != want {
			t.Errorf("%s: %d %s, want %s", body, a.status, a.body, want)
		}
	}
	if o := s.call(t, "GET", s.path+"/records", "", 200); field(o, "items", 0, "values", "price") != 10.0 || field(o, "items", 1) != nil {
		t.Errorf("the records are %v", o)
	}
}

func TestASuggestionWithAWhereEditsNothing(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	if o := s.call(t, "POST", s.path+"/changes", `{"as": "suggestion", "reason": "cheap", "op": "set", "where": {"filter": "price > 10"}, "values": {"price": 20, "title": "X"}}`, 200); o["applied"] != 3.0 {
		t.Errorf("it suggests %v", o) // one price is that already
	}
	if o := s.call(t, "POST", s.path+"/changes", `{"as": "suggestion", "op": "delete", "where": {"filter": "price == 30"}}`, 200); o["applied"] != 1.0 {
		t.Errorf("it suggests %v", o)
	}
	records := s.call(t, "GET", s.path+"/records", "", 200)
	third := field(records, "items", 2)
	if field(third, "values", "price") != 30.0 || field(third, "state") != "existing" || field(third, "suggestions", "price", 0, "value") != 20.0 ||
		field(third, "suggestions", "price", 0, "reason") != "cheap" || field(third, "suggestions", "_record", 0, "kind") != "delete" {
		t.Errorf("the record is %v", third)
	}
	if o := s.call(t, "GET", s.path, "", 200); field(o, "counts", "suggestions") != 4.0 || field(o, "counts", "edits") != 0.0 || field(o, "counts", "records") != 3.0 {
		t.Errorf("the counts are %v", o["counts"])
	}
}

func TestTheSuggestionsOfAColumnAreCountedAll(t *testing.T) {
	t.Parallel()
	const n = mostGroups + 50 // each is a change of its own
	s := mustShop(t, n)
	var changes []string
	for i, r := range s.call(t, "GET", s.path+"/records?limit=1000", "", 200)["items"].([]any) {
		changes = append(changes, fmt.Sprintf(`{"op": "set", "record": %v, "values": {"title": "Ship %d"}}`, field(r, "id"), i*i))
	}
	s.call(t, "POST", s.path+"/changes", `{"as": "suggestion", "changes": [`+strings.Join(changes, ",")+`]}`, 200)
	for query, want := range map[string]int{"": n, "?columns=" + itoa(s.table.Columns[0].Number): n, "?columns=" + itoa(s.table.Columns[1].Number): 0, "?filter=" + url.QueryEscape("price > 100"): n - 10} {
		a := s.get(t, s.path+"/suggestions/groups"+query, "Accept", "application/json")
		if got := strings.TrimSpace(a.body); got != fmt.Sprintf(`{"count":%d}`, want) {
			t.Errorf("%q: %d %s, want %d", query, a.status, got, want)
		}
	}
}
