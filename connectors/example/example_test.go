package example_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/connectortest"
	"scratchpaper/connectors/example"
	"scratchpaper/internal/core"
)

const fields = `[
	{"id": "title", "name": "Title", "type": "text"},
	{"id": "note", "name": "Note", "type": "longtext"},
	{"id": "price", "name": "Price", "type": "number"},
	{"id": "live", "name": "Live", "type": "checkbox"},
	{"id": "day", "name": "Day", "type": "date"},
	{"id": "tags", "name": "Tags", "type": "choices"},
	{"id": "doc", "name": "Document", "type": "json"},
	{"id": "status", "name": "Status", "type": "choice", "choices": ["draft", "live"]}
]`

func TestAFolderOfFilesIsAConnector(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "shop"), 0o755))
	var made atomic.Int64
	connectortest.Run(t, connectortest.Harness{
		Connector: example.New(root),
		Settings:  connectors.Settings{"folder": "shop"},
		NewTable: func(t *testing.T, records int) connectortest.Fixture {
			return newTable(t, filepath.Join(root, "shop", fmt.Sprintf("things-%d", made.Add(1))), records)
		},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTable(t *testing.T, folder string, records int) connectortest.Fixture {
	t.Helper()
	must(t, os.Mkdir(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "_fields.json"), []byte(fields), 0o644))
	texts := func(values ...string) []core.Value {
		list := []core.Value{core.NullValue}
		for _, v := range values {
			list = append(list, core.TextValue(v))
		}
		return list
	}
	files := &files{folder: folder}
	f := connectortest.Fixture{
		Table: filepath.Base(folder), Text: "title", Other: "note", Service: files,
		Edges: map[string][]core.Value{
			"title": texts("", "a\r\nb", "é́ 🙂 \u202e"), "note": texts(" x ", `{"a":1}`), "price": texts("0", "29.00", "12345678901234567890.5"), "live": texts("true", "false"),
			"day": texts("2026-11-24", "0044-03-15 BC"), "doc": texts(`null`, `{"a":[1,2.50,"<b>"]}`), "status": texts("draft", "live"),
			"tags": {core.NullValue, core.ListValue([]string{}), core.ListValue([]string{"a,b", ""})},
		},
		Normalised: []connectortest.Normalised{{Field: "price", Sent: core.TextValue("1e3"), Stored: core.TextValue("1000")},
			{Field: "doc", Sent: core.TextValue(`{"a": 1}`), Stored: core.TextValue(`{"a":1}`)}},
		RefusedField: "status", RefusedValue: core.TextValue("gone"), RefusedWords: "draft, live",
		New: func(n int) map[string]core.Value {
			return map[string]core.Value{"title": core.TextValue(fmt.Sprint("new ", n))}
		},
	}
	for i := range records {
		f.IDs = append(f.IDs, files.Add(t, fmt.Sprint("thing ", i)))
	}
	return f
}

// files acts on a table as another program would.
type files struct {
	folder string
	made   atomic.Int64
}

func (f *files) path(id string) string { return filepath.Join(f.folder, id+".json") }

func (f *files) Add(t *testing.T, text string) string {
	t.Helper()
	id := fmt.Sprintf("r%04d", f.made.Add(1))
	must(t, os.WriteFile(f.path(id), []byte(`{}`), 0o644))
	f.Set(t, id, "title", text)
	return id
}

func (f *files) read(t *testing.T, id string) (map[string]any, bool) {
	t.Helper()
	all, err := os.ReadFile(f.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false
	}
	must(t, err)
	var r map[string]any
	must(t, json.Unmarshal(all, &r))
	return r, true
}

func (f *files) Set(t *testing.T, id, field, value string) {
	t.Helper()
	r, _ := f.read(t, id)
	r[field] = value
	all, err := json.Marshal(r)
	must(t, err)
	must(t, os.WriteFile(f.path(id), all, 0o644))
}

func (f *files) Remove(t *testing.T, id string) {
	t.Helper()
	must(t, os.Remove(f.path(id)))
}

func (f *files) Get(t *testing.T, id, field string) (string, bool) {
	t.Helper()
	r, there := f.read(t, id)
	text, _ := r[field].(string)
	return text, there
}

func (f *files) Count(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob(f.path("*"))
	must(t, err)
	return len(list) - 1 // _fields.json
}

func TestNothingOutsideOfTheFolderIsSeen(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	root := filepath.Join(base, "root")
	must(t, os.MkdirAll(filepath.Join(root, "shop", "table"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "shop", "table", "_fields.json"), []byte(`[{"id": "title", "type": "text"}]`), 0o644))
	must(t, os.WriteFile(filepath.Join(base, "secret.json"), []byte(`{"title": "secret"}`), 0o644))
	must(t, os.Symlink(filepath.Join(base, "secret.json"), filepath.Join(root, "shop", "table", "link.json")))
	must(t, os.Symlink(base, filepath.Join(root, "away")))
	for _, name := range []string{"", ".", "..", "../x", "/etc", "a/b", "_x", `a\b`} {
		if _, err := example.New(root).Open(t.Context(), connectors.Settings{"folder": name}, connectors.Environment{}); err == nil {
			t.Errorf("the folder %q is opened", name)
		}
	}
	if _, err := example.New(root).Open(t.Context(), connectors.Settings{"folder": "away"}, connectors.Environment{}); err == nil {
		t.Error("a link that leads away is opened")
	}
	s, err := example.New(root).Open(t.Context(), connectors.Settings{"folder": "shop"}, connectors.Environment{})
	must(t, err)
	defer s.Close()
	if _, err := s.Table(t.Context(), "../shop/table"); err == nil {
		t.Error("a table's id leads away")
	}
	table, err := s.Table(t.Context(), "table")
	must(t, err)
	for _, id := range []string{"link", "../../../secret", "_fields"} {
		if found, err := s.(connectors.BatchReader).Current(t.Context(), table, nil, []string{id}); err == nil && len(found) > 0 {
			t.Errorf("the record %q is read: %+v", id, found)
		}
	}
}

// TestTheGuideShowsThisCode checks that each piece of Go in docs/writing-a-connector.md stands in this package as it is.
func TestTheGuideShowsThisCode(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/writing-a-connector.md")
	must(t, err)
	var code strings.Builder
	names, err := filepath.Glob("*.go")
	must(t, err)
	for _, name := range names {
		all, err := os.ReadFile(name)
		must(t, err)
		code.Write(all)
	}
	pieces := 0
	for i, part := range strings.Split(string(guide), "```") {
		piece, ok := strings.CutPrefix(part, "go\n")
		if i%2 == 0 || !ok {
			continue
		}
		if pieces++; !strings.Contains(code.String(), piece) {
			t.Errorf("this is not the code of connectors/example:\n%s", piece)
		}
	}
	if pieces < 6 {
		t.Errorf("the guide shows %d pieces of code", pieces)
	}
}
