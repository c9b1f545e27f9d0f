package handlers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
	"scratchpaper/store"
)

// A body is read into what it says, or refused with a sentence and, but for what is no JSON at all, a pointer. Written again as it
// was read it reads the same.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"{}", `{"where": {"filter": "true", "records": [1, 2], "ids": ["sug_1"]}}`, `{"name": "a", "n\u0061me": 1}`, `{"ranges": [[0, 1]], "rows": [1]}`, `{"values": {"a": [{"b": null}]}}`,
		`{"input": "\ud83d\ude00\u0000"}`, "{\"name\": \"\xff\"}", "[[[[", `{"view": null}`, `{"tail": [1e3]}`, "{}]", `{"":{"":0}}`, `{"name":"\`, `{"cells":[["\ud800"]]}`, strings.Repeat("[", 600)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var into strictBody
		err := decodeJSON(body, &into)
		refusedWell(t, string(body), err)
		if err == nil && into.Name != "" && (!utf8.ValidString(into.Name) || strings.ContainsRune(into.Name, 0)) {
			t.Fatalf("%q gives the name %q", body, into.Name)
		}
		if err == nil {
			for i := range into.Ranges {
				if strings.Count(string(body), "[") < 3+i {
					t.Fatalf("%q gives the ranges %v", body, into.Ranges)
				}
			}
		}
		_, _, _, err = changesBody{Changes: body}.read()
		refusedWell(t, string(body), err)
	})
}

// refusedWell checks that an error is one for people, about what they sent.
func refusedWell(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *core.Error
	if !errors.As(err, &e) || e.Sentence == "" || !utf8.ValidString(e.Sentence) || e.Code != core.Malformed && e.Code != core.Invalid && e.Code != core.TooLarge {
		t.Fatalf("%q is refused by %v", what, err)
	}
	for _, field := range e.Fields {
		if !strings.HasPrefix(field.Pointer, "/") && field.Pointer != "" || !utf8.ValidString(field.Pointer) {
			t.Fatalf("%q is refused at %q", what, field.Pointer)
		}
	}
}

// A form is read as net/url reads it, or refused as a whole: no field of it can be NUL, no UTF-8, or there twice.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"name=a&first=3", "a=%zz", "name=%00", "name=a&name=b", "take=1&take=2", "a;b", "%ff=1", "=&=&", "first=99999999999999999999", "deletes=maybe", "+=+", "a=%u0041"} {
		f.Add(s)
	}
	app := echo.New()
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", echo.MIMEApplicationForm)
		c := app.NewContext(req, httptest.NewRecorder())
		err := form(c, "take", "column-")
		refusedWell(t, body, err)
		want, bad := url.ParseQuery(body)
		if bad != nil && err == nil {
			t.Fatalf("%q was taken, and is no form: %v", body, bad)
		}
		if err != nil {
			return
		}
		for name, values := range want {
			if len(values) > 1 && name != "take" && !strings.HasPrefix(name, "column-") || strings.ContainsRune(name+values[0], 0) || !utf8.ValidString(name+values[0]) || c.FormValue(name) != values[0] {
				t.Fatalf("%q was taken with %q = %q", body, name, values)
			}
		}
		_, err = formNumber(c, "first")
		refusedWell(t, body, err)
		_, err = formBool(c, "deletes")
		refusedWell(t, body, err)
	})
}

// What is pasted becomes, cell by cell, a value that Postgres can hold or a refusal; no cell becomes two, and none is passed over.
func FuzzPastedCells(f *testing.F) {
	for _, s := range []string{"a\tb\n1\t2", "2026-11-24\tinfinity", "true\t{\"a\":1}", "1,234.5\t[1]", "\x00\t\xff", "\t\n\n", "=1+1\t'x", "1e999999\t0000-01-01 BC", "a,b;c\t[\"x\"]", "😀\t\u202e", "[[[[\t9999999-99-99", "-\t."} {
		f.Add(s, true)
	}
	table := store.Table{}
	for i, typ := range []core.ColumnType{core.Text, core.LongText, core.Number, core.Checkbox, core.Choice, core.Choices, core.Date, core.DateTime, core.LocalTime, core.URL, core.Email, core.JSON, core.Reference, core.References, core.Images} {
		table.Columns = append(table.Columns, core.Column{Number: i + 1, Title: string(typ), Slug: string(typ), Type: typ})
	}
	f.Fuzz(func(t *testing.T, text string, create bool) {
		began := time.Now()
		body := pasteBody{Create: create}
		for _, line := range strings.Split(text, "\n") {
			body.Cells = append(body.Cells, strings.Split(line, "\t"))
		}
		cells := 0
		for _, line := range body.Cells {
			cells += min(len(line), len(table.Columns))
		}
		for shift := range len(table.Columns) { // each cell meets each type
			body.Columns = body.Columns[:0]
			for i := range table.Columns {
				body.Columns = append(body.Columns, 1+(i+shift)%len(table.Columns))
			}
			ids := make([]int64, len(body.Cells))
			for i := range ids {
				ids[i] = int64(i + 1)
			}
			ch, refused := pasteChanges(table, body, ids)
			if len(ch.Sets)+len(refused) != cells || len(ch.Creates) != 0 {
				t.Fatalf("%q: %d cells became %d edits and %d refusals", text, cells, len(ch.Sets), len(refused))
			}
			for _, set := range ch.Sets {
				col, _ := table.Column(set.Column)
				heldWhole(t, text, col, set.Value)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%d bytes took %v", len(text), took)
		}
	})
}

// heldWhole checks that a value goes into jsonb and out of it as it is, and is taken again as itself.
func heldWhole(t *testing.T, text string, col core.Column, v core.Value) {
	t.Helper()
	for _, s := range append([]string{v.Text}, v.List...) {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			t.Fatalf("%q gives %s the value %q", text, col.Type, s)
		}
	}
	back, err := core.FromCanonical(col.Type, v.Canonical(col.Type))
	if err != nil || back.Plain() != strings.TrimSpace(v.Plain()) && back.Plain() != v.Plain() || back.IsNull() != v.IsNull() {
		t.Fatalf("%q gives %s %q, which comes back as %q: %v", text, col.Type, v.Plain(), back.Plain(), err)
	}
	if again, err := core.CheckValue(col, v); err != nil || !again.Equal(v) {
		t.Fatalf("%q gives %s %q, which is taken again as %q: %v", text, col.Type, v.Plain(), again.Plain(), err)
	}
}

// A filter that a person builds from a column, an operator and a value is one that compiles, or is refused.
func FuzzFilterParameters(f *testing.F) {
	for _, s := range [][3]string{{"text", "is", "x"}, {"number", "less", "1e400"}, {"date", "is", "0000-01-01"}, {"choices", "has", `"`}, {"text", "contains", `\1$&`}, {"checkbox", "is", "\x00"}, {"datetime", "is", "infinity"}, {"json", "empty", ""}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, slug, op, value string) {
		for _, typ := range []core.ColumnType{core.Text, core.Number, core.Checkbox, core.Choices, core.Date, core.DateTime, core.LocalTime, core.JSON, core.Reference} {
			if checkFields(url.Values{"op": {op}, "value": {value}}) != nil {
				break // no handler is asked
			}
			col := core.Column{Number: 1, Title: "Column", Slug: "column", Physical: "c1", Type: typ}
			cond, err := condition(col, op, value)
			refusedWell(t, op+" "+value, err)
			if err == nil {
				_, err = expr.CompileFilter(cond, []core.Column{col})
				refusedWell(t, cond, err)
			}
		}
		q := url.Values{"ranges": {slug}, "cols": {op}, "ids": {value}}
		if checkFields(q) != nil {
			return // no handler is asked
		}
		_, err := rangesOf(q.Get("ranges"))
		refusedWell(t, slug, err)
		_, err = numbersOf(q.Get("cols"))
		refusedWell(t, op, err)
		_, err = sortOf(store.Table{}, value)
		refusedWell(t, value, err)
		_, err = readMark(value)
		refusedWell(t, value, err)
	})
}
