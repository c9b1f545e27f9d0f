package handlers

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// apiUpload sends a file with fields (as pairs) to the API.
func (s *site) apiUpload(t *testing.T, as, path, file, content string, fields ...string) answer {
	t.Helper()
	return s.uploadWith(t, as, path, nil, file, content, fields...)
}

func (s *site) uploadWith(t *testing.T, as, path string, header map[string]string, file, content string, fields ...string) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	write := func(i int) {
		if err := form.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i+1 < len(fields); i += 4 { // half of the fields before the file
		write(i)
	}
	if file != "" {
		part, err := form.CreateFormFile("file", file)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(content)) // into memory
	}
	for i := 2; i+1 < len(fields); i += 4 { // and half behind it
		write(i)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1"+path, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-As", as)
	req.Header.Set("Content-Type", form.FormDataContentType())
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return s.send(t, req)
}

// uploads counts the files that are kept.
func (s *site) uploads(t *testing.T) (n int) {
	t.Helper()
	if err := s.store.Pool().QueryRow(t.Context(), `select count(*) from uploads where org_id = $1`, s.by.Org).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const folk = "Name;Born;Height\nAda;10.12.1815;1,65\n\"Bob\";;\n"

func TestAnImportIsPreviewedOverTheAPIAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	o := s.apiUpload(t, "", "/imports?preview=true", "people.csv", folk).object(t)
	if field(o, "dialect", "delimiter") != ";" || field(o, "dialect", "header") != true || field(o, "dialect", "quote") != `"` || field(o, "columns", 0, "title") != "Name" ||
		field(o, "columns", 1, "type") != "date" || field(o, "columns", 2, "type") != "number" || field(o, "columns", 2, "decimal") != "," || o["seen"] != 2.0 || o["whole"] != true {
		t.Errorf("the preview is %v", o)
	}
	if field(o, "records", 0, 1) != "10.12.1815" || field(o, "records", 1, 1) != nil || field(o, "records", 1, 0) != "Bob" {
		t.Errorf("the records are %v", o["records"])
	}
	o = s.apiUpload(t, "", "/imports", "people.csv", folk, "header", "false", "preview", "true", "columns", `[{}, {"type": "text", "title": "Birthday"}, {"take": false}]`).object(t)
	if field(o, "columns", 1, "title") != "Birthday" || field(o, "columns", 1, "type") != "text" || field(o, "columns", 2, "take") != false || o["seen"] != 3.0 {
		t.Errorf("with choices the preview is %v", o)
	}
	if n := s.uploads(t); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}

func TestAnImportOverTheAPIMakesASnapshotOnce(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	key := map[string]string{"Idempotency-Key": "import-1"}
	first := s.uploadWith(t, "", "/imports", key, "people.csv", folk, "name", "Folk", "columns", `[{}, {"type": "text"}]`)
	again := s.uploadWith(t, "", "/imports", key, "people.csv", folk, "name", "Folk", "columns", `[{}, {"type": "text"}]`)
	if first.status != 201 || again.status != 201 || first.body != again.body {
		t.Fatalf("%d %s\nthen %d %s", first.status, first.body, again.status, again.body)
	}
	o := first.object(t)
	if field(o, "snapshot", "name") != "Folk" || field(o, "snapshot", "tables", 0, "columns", 1, "type") != "text" || field(o, "snapshot", "tables", 0, "columns", 2, "type") != "number" ||
		field(o, "job", "kind") != "import" {
		t.Errorf("it made %v", o)
	}
	if other := s.uploadWith(t, "", "/imports", key, "people.csv", folk+"Eve;;\n", "name", "Folk"); other.status != 422 {
		t.Errorf("another file under the same key: %d %s", other.status, other.body)
	}
	if n := len(s.call(t, "GET", "/snapshots", "", 200)["items"].([]any)); n != 1 || s.uploads(t) != 1 {
		t.Errorf("%d snapshots and %d files", n, s.uploads(t))
	}
}

func TestAFileThatCannotBeImportedIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	for what, c := range map[string]struct {
		file, content, want string
		fields              []string
		status              int
	}{
		"no file":                {"", "", "/file", []string{"name", "x"}, 422},
		"an empty file":          {"a.csv", "", "/file", nil, 422},
		"a workbook":             {"a.xlsx", "PK", "/file", nil, 422},
		"a delimiter of two":     {"a.csv", folk, "/delimiter", []string{"delimiter", "::"}, 422},
		"a header that is maybe": {"a.csv", folk, "/header", []string{"header", "maybe"}, 422},
		"a preview that is":      {"a.csv", folk, "/preview", []string{"preview", "yes"}, 422},
		"columns that are none":  {"a.csv", folk, "/columns", []string{"columns", "{"}, 422},
		"a type that is none":    {"a.csv", folk, "/columns/1/type", []string{"columns", `[{}, {"type": "money"}]`}, 422},
		"a title that is none":   {"a.csv", folk, "/columns/0/title", []string{"columns", `[{"title": 5}]`}, 422},
		"too many columns":       {"a.csv", folk, "/columns/3", []string{"columns", `[{}, {}, {}, {}]`}, 422},
		"a decimal that is none": {"a.csv", folk, "/columns/0/decimal", []string{"columns", `[{"decimal": "x"}]`}, 422},
		"a zone that is none":    {"a.csv", folk, "/zone", []string{"zone", "Mars"}, 422},
	} {
		a := s.apiUpload(t, "", "/imports", c.file, c.content, c.fields...)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != c.status || got != c.want {
			t.Errorf("%s: %d %v, want %d %s", what, a.status, a.body, c.status, c.want)
		}
	}
	if a := s.api(t, "", "POST", "/imports", "{}"); a.status != 400 {
		t.Errorf("a body that is no form: %d %s", a.status, a.body)
	}
	if n := s.uploads(t); n != 0 {
		t.Errorf("%d files are kept", n)
	}
	if n := len(s.call(t, "GET", "/snapshots", "", 200)["items"].([]any)); n != 0 {
		t.Errorf("%d snapshots were made", n)
	}
}

func TestAKeyIsAPersonsOwn(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	key := []string{"Idempotency-Key", "one"}
	body := `{"name": "V"}`
	mine := s.api(t, "", "POST", s.path+"/views", body, key...)
	if again := s.api(t, "", "POST", s.path+"/views", body, key...); again.body != mine.body || again.status != 201 {
		t.Errorf("again it is %d %s, was %s", again.status, again.body, mine.body)
	}
	colleague := s.by
	colleague.Person, colleague.Name = "per_2", "Bo"
	s.people.set("bo", colleague)
	if theirs := s.api(t, "bo", "POST", s.path+"/views", body, key...); theirs.status != 201 || strings.Contains(theirs.body, field(mine.object(t), "id").(string)) {
		t.Errorf("a colleague's is %d %s", theirs.status, theirs.body)
	}
	if other := s.api(t, "", "POST", s.path+"/views", `{"name": "W"}`, key...); other.status != 422 {
		t.Errorf("another body under the same key: %d %s", other.status, other.body)
	}
}

const prices = "Title;Price;Note\nBoats 1;99;x\nBoats 2;;x\nBoats 9;5;x\nBoats 1;7;x\n;3;x\n"

func TestAnImportIntoATableIsPreviewedOverTheAPI(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	before := s.uploads(t)
	o := s.apiUpload(t, "", s.path+"/imports?preview=true&key=title", "prices.csv", prices).object(t)
	if o["key"] != "title" || field(o, "columns", 0, "column") != "title" || field(o, "columns", 1, "column") != "price" || field(o, "columns", 2, "column") != nil ||
		field(o, "matches", "matched") != 2.0 || field(o, "matches", "new") != 1.0 || field(o, "matches", "skipped") != 2.0 || field(o, "records", 0, 1) != "99" {
		t.Errorf("the preview is %v", o)
	}
	o = s.apiUpload(t, "", s.path+"/imports", "prices.csv", prices, "key", "title", "preview", "true", "create", "false", "columns", `[{}, {"column": null}, {"column": "price"}]`).object(t)
	if field(o, "columns", 1, "column") != nil || field(o, "columns", 2, "column") != "price" || field(o, "matches", "skipped") != 3.0 {
		t.Errorf("with choices the preview is %v", o)
	}
	if n := s.uploads(t); n != before {
		t.Errorf("%d files are kept, there were %d", n, before)
	}
}

func TestAnImportIntoATableIsAJob(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	key := map[string]string{"Idempotency-Key": "into-1"}
	first := s.uploadWith(t, "", s.path+"/imports", key, "prices.csv", prices, "key", "title")
	again := s.uploadWith(t, "", s.path+"/imports", key, "prices.csv", prices, "key", "title")
	if first.status != 202 || first.body != again.body || field(first.object(t), "job", "kind") != "import" || field(first.object(t), "job", "label") != "Import prices.csv into Boats" {
		t.Errorf("%d %s, then %s", first.status, first.body, again.body)
	}
	if n := s.uploads(t); n != 2 { // the snapshot's own waits for its job's end
		t.Errorf("%d files are kept", n)
	}
}

func TestAnImportIntoATableThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	before := s.uploads(t)
	s.call(t, "PATCH", s.path, `{"columns": [{"id": "price", "locks": ["read_only"]}]}`, 200)
	for what, c := range map[string]struct {
		want   string
		fields []string
	}{
		"no key":                   {"/key", nil},
		"a key that is none":       {"/key", []string{"key", "nope"}},
		"a key not in the file":    {"/key", []string{"key", "title", "columns", `[{"column": null}]`}},
		"a column that is none":    {"/columns/1/column", []string{"key", "title", "columns", `[{}, {"column": "nope"}]`}},
		"a column twice":           {"/columns/1/column", []string{"key", "title", "columns", `[{"column": "title"}, {"column": "title"}]`}},
		"too many columns":         {"/columns/3", []string{"key", "title", "columns", `[{}, {}, {}, {}]`}},
		"nothing that can change":  {"/columns", []string{"key", "title", "create", "false"}},
		"a create that is neither": {"/create", []string{"key", "title", "create", "maybe"}},
		"a zone that is none":      {"/zone", []string{"key", "title", "zone", "Mars"}},
	} {
		a := s.apiUpload(t, "", s.path+"/imports", "prices.csv", prices, c.fields...)
		if got := field(a.object(t), "errors", 0, "pointer"); a.status != 422 || got != c.want {
			t.Errorf("%s: %d %v, want %s", what, a.status, a.body, c.want)
		}
	}
	if n := s.uploads(t); n != before {
		t.Errorf("%d files are kept, there were %d", n, before)
	}
	if a := s.apiUpload(t, "", "/snapshots/"+s.snapshot.ID+"/tables/tbl_x/imports", "prices.csv", prices); a.status != 404 {
		t.Errorf("an unknown table: %d %s", a.status, a.body)
	}
}
