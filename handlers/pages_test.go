package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

func TestTheFirstVisitOffersThreeWaysToBegin(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.get(t, "/").is(t, 200, "Connect a service", "Import a file", "Start with sample data", "No snapshots yet")
}

func TestEveryPageIsWhole(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	for _, path := range []string{"/", "/connections", "/connections/new", "/connections/new/postgres", "/connections/" + con, "/connections/" + con + "/edit",
		"/snapshots/new?connection=" + con, "/jobs", "/imports/new", "/settings", "/gallery"} {
		a := s.get(t, path)
		a.is(t, 200, "<!doctype html>", "</html>")
		a.lacks(t, "templ-css-class-unknown", " style=", "<no value>")
		if a.header.Get("Content-Security-Policy") != contentPolicy {
			t.Errorf("%s has the policy %q", path, a.header.Get("Content-Security-Policy"))
		}
	}
}

func TestAnUnknownAddressAnswersAsItWasAsked(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.get(t, "/nope").is(t, 404, "<!doctype html>", "There is nothing at this address.", "req_")
	fragment := s.get(t, "/connections/con_x", "HX-Request", "true", "HX-Request-Type", "partial")
	fragment.is(t, 404, `role="alert"`)
	fragment.lacks(t, "<html")
	a := s.get(t, "/connections/con_x", "Accept", "application/json")
	var doc struct{ Detail string }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Detail == "" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a problem document: %s %s", a.header.Get("Content-Type"), a.body)
	}
}

func TestRequestsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.post(t, "/sample", nil, "Sec-Fetch-Site", "cross-site").is(t, 403, "another site")
	s.post(t, "/sample", nil, "Origin", "https://evil.example").is(t, 403, "another site")
	s.get(t, "/", "Host", "evil.example").is(t, 403, "does not answer under the name")
	s.get(t, "/", "Host", "localhost:3010").is(t, 200)
	s.get(t, "/", "Host", "[::1]:3010").is(t, 200)
}

func TestAConnectionFormShowsWhatIsWrongAtItsField(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	a := s.post(t, "/connections", s.connection("name", " ", "port", "99999", "host", ""))
	a.is(t, 422, `id="field-name-error"`, `id="field-port-error"`, `id="field-host-error"`)
	if cons, _ := s.store.Connections(t.Context(), s.by); len(cons) != 0 {
		t.Errorf("%d connections were saved", len(cons))
	}
}

func TestAConnectionIsTestedBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	a := s.post(t, "/connections", s.connection("password", "wrong-secret"))
	a.is(t, 422, "password authentication failed")
	if cons, _ := s.store.Connections(t.Context(), s.by); len(cons) != 0 {
		t.Errorf("%d connections were saved", len(cons))
	}
	s.post(t, "/connections", s.connection("action", "test", "name", "")).is(t, 200, "It works")
	if cons, _ := s.store.Connections(t.Context(), s.by); len(cons) != 0 {
		t.Errorf("a test saved %d connections", len(cons))
	}
}

func TestASecretIsNeverShownAgain(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	password, _ := s.service.User.Password()
	for _, path := range []string{"/connections/" + con, "/connections/" + con + "/edit", "/connections"} {
		s.get(t, path).lacks(t, password)
	}
	// An empty password keeps the stored one: the change is tested with it, and saved.
	a := s.post(t, "/connections/"+con, s.connection("password", "", "name", "Shop two"))
	if a.status != 303 {
		t.Fatalf("the change was not saved: %d %s", a.status, a.body)
	}
	s.get(t, "/connections/"+con).is(t, 200, "Shop two")
}

func TestASnapshotTakesTheChosenColumnsAndTheKey(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	page := s.get(t, "/snapshots/new?connection="+con)
	page.is(t, 200, "kettles", "20", "title", "log")
	session, err := s.remoteTable(t, con, "kettles")
	if err != nil {
		t.Fatal(err)
	}
	a := s.post(t, "/snapshots", url.Values{"connection": {con}, "name": {"Spring"}, "table": {session.id}, "column-" + session.index: {"title"}})
	a.is(t, 303)
	sn, err := s.store.SnapshotByID(t.Context(), s.by, strings.TrimPrefix(a.header.Get("Location"), "/snapshots/"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range sn.Tables[0].Columns {
		got = append(got, c.Title)
	}
	if strings.Join(got, " ") != "id title" {
		t.Errorf("the columns are %v", got)
	}
	jobs, _ := s.store.Jobs(t.Context(), s.by, store.JobsFilter{Snapshot: sn.ID})
	if len(jobs) != 1 || jobs[0].Kind != "download" {
		t.Errorf("the jobs are %v", jobs)
	}
	s.get(t, "/jobs/"+jobs[0].ID).is(t, 200, "Downloading Spring", "Cancel")
	s.get(t, "/").is(t, 200, "Spring", "waiting for its turn")
	s.post(t, "/connections/"+con+"/delete", nil).is(t, 409, "Spring")
}

func TestMoreColumnsAreTakenIntoASnapshotThatIsThere(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	table, err := s.remoteTable(t, con, "kettles")
	if err != nil {
		t.Fatal(err)
	}
	made := s.post(t, "/snapshots", url.Values{"connection": {con}, "name": {"Spring"}, "table": {table.id}, "column-" + table.index: {"title"}}).header.Get("Location")
	id := strings.TrimPrefix(made, "/snapshots/")
	s.get(t, "/snapshots/new?connection="+con+"&into="+id).is(t, 200, "Add tables to Spring", "in this snapshot", `value="title" checked disabled`, `value="price" checked>`)
	form := url.Values{"connection": {con}, "into": {id}}
	s.post(t, "/snapshots", form).is(t, 422, "Choose at least one table.", "Add tables to Spring")
	form["table"], form["column-"+table.index] = []string{table.id}, []string{"price"}
	a := s.post(t, "/snapshots", form)
	a.is(t, 303)
	if at := a.header.Get("Location"); !strings.HasPrefix(at, "/jobs/") {
		t.Errorf("it leads to %s", at)
	}
	sn, err := s.store.SnapshotByID(t.Context(), s.by, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(sn.Tables) != 1 || len(sn.Tables[0].Columns) != 3 {
		t.Errorf("the snapshot has %+v", sn.Tables)
	}
}

type remoteChoice struct{ id, index string }

// remoteTable finds a table in the list to choose from.
func (s *site) remoteTable(t *testing.T, con, name string) (remoteChoice, error) {
	t.Helper()
	body := s.get(t, "/snapshots/new?connection="+con).body
	for _, part := range strings.Split(body, `type="checkbox" name="table"`)[1:] {
		if strings.Contains(part[:min(len(part), 400)], ">"+name+"<") {
			_, rest, _ := strings.Cut(part, `value="`)
			id, _, _ := strings.Cut(rest, `"`)
			_, rest, _ = strings.Cut(part, `name="column-`)
			index, _, _ := strings.Cut(rest, `"`)
			return remoteChoice{id, index}, nil
		}
	}
	return remoteChoice{}, core.Errorf(core.NotFound, "there is no table %s in\n%s", name, body)
}

func TestChoosingNoTableSaysSoAndKeepsTheForm(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	s.post(t, "/snapshots", url.Values{"connection": {con}, "name": {"My name"}}).is(t, 422, "Choose at least one table.", `value="My name"`)
}

func TestACancelledJobSaysSo(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	j, err := s.store.Enqueue(t.Context(), s.by, store.NewJob{Kind: "refresh", Label: "Refresh Spring"})
	if err != nil {
		t.Fatal(err)
	}
	s.post(t, "/jobs/"+j.ID+"/cancel", nil, "HX-Request", "true", "HX-Request-Type", "partial").is(t, 200, `data-state="cancelled"`)
	a := s.post(t, "/jobs/"+j.ID+"/cancel", nil) // pressed twice: it is shown as it is
	if a.status != 303 || a.header.Get("Location") != "/jobs/"+j.ID {
		t.Errorf("answered %d to %q", a.status, a.header.Get("Location"))
	}
	s.get(t, "/jobs").is(t, 200, "Refresh Spring", "cancelled")
}

func TestTheThemeIsKeptAndAStrangeAddressIsNotGoneBackTo(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	a := s.post(t, "/settings/theme", url.Values{"theme": {"dark"}, "back": {"//evil.example/x"}})
	if a.status != 303 || a.header.Get("Location") != "/" || !strings.HasPrefix(a.header.Get("Set-Cookie"), "theme=dark") {
		t.Errorf("answered %d to %q with %q", a.status, a.header.Get("Location"), a.header.Get("Set-Cookie"))
	}
	s.get(t, "/settings", "Cookie", "theme=dark").is(t, 200, `data-theme="dark"`)
	s.post(t, "/settings/theme", url.Values{"theme": {"<b>"}}).is(t, 422)
}

func (s *site) upload(t *testing.T, name, content string) answer {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte(content))
	_ = w.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/imports", &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Accept", "text/html")
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(res.Body)
	return answer{res.StatusCode, res.Header, body.String()}
}

func TestAFileIsPreviewedAndEveryGuessCanBeChanged(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	a := s.upload(t, "prices.csv", "name;price;when\n<script>;29,00;24/11/2026\nRed;1.234,50;25/11/2026\n")
	a.is(t, 303)
	at := a.header.Get("Location")
	page := s.get(t, at)
	page.is(t, 200, "semicolon", `value="number," selected`, `value="date:dmy" selected`, "&lt;script&gt;")
	page.lacks(t, "<td class=\"h-8\"><script>")
	s.get(t, at+"?encoding=utf-8&delimiter=%2C&header=yes").is(t, 200, "name;price;when")
	s.get(t, at+"?encoding=klingon&delimiter=%2C&header=yes").is(t, 422, "not known")
	_, rest, _ := strings.Cut(page.body, `name="read" value="`)
	read, _, _ := strings.Cut(rest, `"`)
	started := s.post(t, at, url.Values{"name": {"Prices"}, "encoding": {"utf-8"}, "delimiter": {";"}, "header": {"yes"}, "read": {read},
		"take": {"0", "1"}, "title-0": {"Kettle"}, "type-0": {"text"}, "title-1": {"price"}, "type-1": {"number,"}})
	started.is(t, 303)
	sn, err := s.store.SnapshotByID(t.Context(), s.by, strings.TrimPrefix(started.header.Get("Location"), "/snapshots/"))
	if err != nil {
		t.Fatal(err)
	}
	cols := sn.Tables[0].Columns
	if len(cols) != 2 || cols[0].Title != "Kettle" || cols[1].Type != core.Number || sn.Tables[0].Source != core.File {
		t.Errorf("the columns are %+v", cols)
	}
}

func TestAWorkbookIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	mustSite(t).upload(t, "prices.xlsx", "PK").is(t, 422, "save the sheet as CSV")
}

func TestAPanelSaysThatARecordHasOlderChanges(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 1)
	for i := range historyLines + 1 {
		s.call(t, "POST", s.path+"/changes", fmt.Sprintf(`{"changes": [{"op": "set", "record": 1, "values": {"title": "Boat, the %dth"}}]}`, i), 200)
		if said, want := strings.Contains(s.get(t, s.path+"/records/1").body, fmt.Sprintf("the newest %d changes", historyLines)), i == historyLines; said != want && i >= historyLines-1 {
			t.Errorf("after %d changes the panel says that there are older ones: %v", i+1, said)
		}
	}
}

func TestTheHistoryUndoesAnActAndSaysWhatItDid(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	sn, _, err := s.store.CreateSnapshot(t.Context(), s.by, store.NewSnapshot{Name: "Spring", Tables: []store.NewTable{{Title: "Kettles", Source: core.LocalSrc,
		Writable: true, Creatable: true, Deletable: true, Columns: []store.NewColumn{{Title: "title", Type: core.Text, Writable: true}}}}})
	if err != nil {
		t.Fatal(err)
	}
	c := sn.Tables[0].Columns[0].Number
	_, err = s.store.ApplyChanges(t.Context(), s.by, sn.Tables[0].Ref(),
		store.Changes{Creates: []store.NewRecord{{Values: map[int]core.Value{c: core.TextValue("Blue")}}}}, store.ChangeOptions{Label: "Add a kettle"})
	if err != nil {
		t.Fatal(err)
	}
	history := "/snapshots/" + sn.ID + "/history"
	page := s.get(t, history)
	page.is(t, 200, "Add a kettle", "Undo: Add a kettle")
	_, rest, _ := strings.Cut(page.body, history[:len(history)-len("history")]+"batches/")
	id, _, _ := strings.Cut(rest, "/")
	a := s.post(t, "/snapshots/"+sn.ID+"/batches/"+id+"/undo", nil)
	a.is(t, 303)
	s.get(t, history, "Cookie", strings.Split(a.header.Get("Set-Cookie"), ";")[0]).is(t, 200, "Undo: Add a kettle, ", "undone")
}

func TestThePaletteReachesEverything(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	con := s.mustConnect(t)
	s.get(t, "/palette", "Accept", "application/json").is(t, 200, "/connections/"+con, "Import a file", "theme-dark")
}

func TestStaticFilesAreKeptOnlyUnderTheirOwnVersion(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	_, rest, _ := strings.Cut(s.get(t, "/").body, `href="/static/`)
	version, _, _ := strings.Cut(rest, "/")
	own := s.get(t, "/static/"+version+"/js/app.js")
	own.is(t, 200, "@module app")
	if !strings.Contains(own.header.Get("Cache-Control"), "immutable") {
		t.Errorf("kept as %q", own.header.Get("Cache-Control"))
	}
	if old := s.get(t, "/static/old/js/app.js"); old.status != 200 || old.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("another version answers %d, kept as %q", old.status, old.header.Get("Cache-Control"))
	}
}

func TestHomeOffersWhatThereIs(t *testing.T) {
	t.Parallel()
	with, without := mustSite(t), mustSiteWith(t, func(_ *site, d *Deps) { d.Sample = nil })
	with.get(t, "/").is(t, 200, "PostgreSQL today.", "Start with sample data")
	a := without.get(t, "/")
	a.is(t, 200, "Connect a service or import a file.")
	a.lacks(t, "sample", "SAMPLE_DATABASE_URL")
	if a := without.post(t, "/sample", nil); a.status != 409 {
		t.Errorf("a sample that is not there: %d", a.status)
	}
}
