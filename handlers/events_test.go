package handlers

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// listener is a browser's or a script's event stream.
type listener struct {
	lines *bufio.Scanner
	ctx   context.Context
}

// mustListen opens a stream as somebody and waits for its hello.
func (s *site) mustListen(t *testing.T, as string, topics ...string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/events?"+url.Values{"topic": topics}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-As", as)
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers %d", res.StatusCode)
	}
	return &listener{bufio.NewScanner(res.Body), ctx}
}

// until reads on to a line with a text; false is the end of the stream.
func (l *listener) until(text string) bool {
	for l.lines.Scan() {
		if strings.Contains(l.lines.Text(), text) {
			return true
		}
	}
	return false
}

// ends waits for the end of the stream; false is that it stays.
func (l *listener) ends() bool {
	for l.lines.Scan() {
		continue
	}
	return l.ctx.Err() == nil
}

// mustFileSnapshot makes a snapshot of an organization that waits for its import.
func (s *site) mustFileSnapshot(t *testing.T, by core.Actor, name string) (store.Snapshot, store.Job) {
	t.Helper()
	u, err := s.store.SaveUpload(t.Context(), by, name+".csv", strings.NewReader("title,price\n"+name+",1\n"), 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.app.sniffUpload(t.Context(), by, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	sn, job, err := s.store.StartImport(t.Context(), by, store.NewImport{Upload: u.ID, Name: name, Dialect: d,
		Columns: []store.ImportColumn{{Title: "title", Type: core.Text}, {Title: "price", Type: core.Number}}})
	if err != nil {
		t.Fatal(err)
	}
	return sn, job
}

func (s *site) hint(by core.Actor, snapshot string) {
	s.app.hub.Notify(context.Background(), core.Hint{Org: by.Org, Snapshot: snapshot, Kind: "change", Table: "tbl_x"})
}

func TestAStreamEndsWhenThePersonIsNotKnownAnyMore(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	other := s.mustOrganization(t, "other")
	sn, _ := s.mustFileSnapshot(t, other, "Kites")
	gone, stays := s.mustListen(t, "other", "snapshot:"+sn.ID), s.mustListen(t, "", "org-jobs")
	if !gone.until(sn.ID) {
		t.Fatal("the stream does not carry the snapshot")
	}
	s.people.forget("other")
	if !gone.ends() {
		t.Error("the stream goes on")
	}
	s.mustFileSnapshot(t, s.by, "Boats")
	if !stays.until("event: job") {
		t.Error("the stream of somebody who is still known ended")
	}
}

func TestAStreamEndsWhenThePersonIsInAnotherOrganization(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	other := s.mustOrganization(t, "other")
	l := s.mustListen(t, "other", "org-jobs")
	if !l.until("org-jobs") {
		t.Fatal("the stream did not open")
	}
	moved := other
	moved.Org = core.LocalOrg
	s.people.set("other", moved)
	if !l.ends() {
		t.Error("the stream goes on")
	}
}

func TestAStreamEndsWhenATopicIsNotThePersonsAnyMore(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	other := s.mustOrganization(t, "other")
	kept, _ := s.mustFileSnapshot(t, other, "Kites")
	lost, _ := s.mustFileSnapshot(t, other, "Balloons")
	both, one := s.mustListen(t, "other", "snapshot:"+kept.ID, "snapshot:"+lost.ID), s.mustListen(t, "other", "snapshot:"+kept.ID)
	if !both.until(lost.ID) || !one.until(kept.ID) {
		t.Fatal("the streams did not open")
	}
	if _, err := s.store.Pool().Exec(t.Context(), `delete from snapshots where org_id = $1 and id = $2`, other.Org, lost.ID); err != nil {
		t.Fatal(err)
	}
	if !both.ends() {
		t.Error("the stream goes on")
	}
	s.hint(other, kept.ID)
	if !one.until("event: change") {
		t.Error("the stream whose topic is still there ended")
	}
}

func TestAStreamCarriesNoTopicOfOthers(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	other := s.mustOrganization(t, "other")
	mine, job := s.mustFileSnapshot(t, s.by, "Boats")
	theirs, _ := s.mustFileSnapshot(t, other, "Kites")
	l := s.mustListen(t, "other", "snapshot:"+mine.ID, "job:"+job.ID, "org-jobs", "snapshot:"+theirs.ID)
	if !l.until("data:") { // an event's name comes behind its data
		t.Fatal("the stream did not open")
	}
	if hello := l.lines.Text(); strings.Contains(hello, mine.ID) || strings.Contains(hello, job.ID) || !strings.Contains(hello, theirs.ID) {
		t.Errorf("the stream says %s", hello)
	}
	s.hint(s.by, mine.ID)
	s.mustFileSnapshot(t, s.by, "More boats")
	s.hint(other, theirs.ID)
	for l.until("data:") {
		text := l.lines.Text()
		if strings.Contains(text, mine.ID) || strings.Contains(text, job.ID) || strings.Contains(text, s.by.Org) {
			t.Errorf("the stream carries %s", text)
		}
		if strings.Contains(text, theirs.ID) && strings.Contains(text, `"change"`) {
			return // what was sent last
		}
	}
	t.Error("the stream ended before its own hint came")
}

func TestWhoIsInASnapshotIsToldToItsOrganizationOnly(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	by := s.mustOrganization(t, "Ada")
	s.mustOrganization(t, "Eve")
	sn, _ := s.mustFileSnapshot(t, by, "Ada's")
	here, people := "/snapshots/"+sn.ID+"/here", "/snapshots/"+sn.ID+"/people"
	table := sn.Tables[0]
	say := func(as, body string) answer {
		t.Helper()
		req := s.request(t, http.MethodPost, here, nil, "X-As", as, "X-Client", "tab", "Content-Type", "application/json", "Accept", "application/json")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return s.send(t, req)
	}
	for body, want := range map[string]int{
		`{}`: 204, `{"table": "` + table.ID + `", "record": 1, "column": "` + table.Columns[0].Slug + `"}`: 204, `{"table": "tbl_none"}`: 422,
		`{"table": "` + table.ID + `", "column": "none"}`: 422, `{"record": 3}`: 422, `{"table": "` + table.ID + `", "record": -1}`: 422,
	} {
		if a := say("Ada", body); a.status != want {
			t.Errorf("%s: %d, want %d\n%s", body, a.status, want, a.body)
		}
	}
	if a := say("Eve", `{}`); a.status != 404 {
		t.Errorf("a snapshot of another organization: %d", a.status)
	}
	s.get(t, people, "X-As", "Ada").is(t, 200, `"client":"tab"`)
	if a := s.get(t, people, "X-As", "Eve"); a.status != 404 {
		t.Errorf("another organization reads who is here: %d %s", a.status, a.body)
	}
	say("Ada", `{"left": true}`)
	if a := s.get(t, people, "X-As", "Ada"); a.body != "{\"items\":[]}\n" {
		t.Errorf("after everybody left: %s", a.body)
	}
}
