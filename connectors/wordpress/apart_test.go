package wordpress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/wordpress"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/core"
)

// wire sees every request of a session, and what it says.
type wire struct {
	http.RoundTripper
	mu        sync.Mutex
	out, most int
	meddle    func(r *http.Request, body string, send func() (*http.Response, error)) (*http.Response, error) // nil sends
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.mu.Lock()
	w.out++
	w.most = max(w.most, w.out)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.out--
	}()
	send := func() (*http.Response, error) { return w.RoundTripper.RoundTrip(r) }
	if w.meddle == nil {
		return send()
	}
	return w.meddle(r, string(body), send)
}

// wired is a session whose requests are seen.
func wired(t *testing.T, site *wordpresstest.Site) (connectors.Session, *wire) {
	t.Helper()
	w := &wire{}
	env := connectors.Environment{Dial: (&net.Dialer{}).DialContext, Watch: func(rt http.RoundTripper) http.RoundTripper {
		w.RoundTripper = rt
		return w
	}}
	s, err := wordpress.New().Open(t.Context(), settingsOf(site), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, w
}

func answerOf(r *http.Request, status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: http.Header{"Content-Type": {kind}, "Retry-After": {"7"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// A batch of texts goes in two requests at once. What befalls one of them is told of its records only, and of a refusal the record is found.
func TestTwoHalvesOfABatchFailEachByItself(t *testing.T) {
	t.Parallel()
	const records, odd = 10, 7
	site := wordpresstest.New(t)
	for name, tt := range map[string]struct {
		befalls string // what the body holds of a request that something befalls
		what    func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
		failed  int // records
		kind    connectors.FaultKind
		unsent  bool
		written int
		whole   bool // as one failure
	}{
		"nothing": {befalls: "nobody", written: records},
		"an answer that is lost": {befalls: "text 7", what: func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
			res, err := send()
			if err == nil {
				res.Body.Close()
				err = errors.New("cut")
			}
			return nil, err
		}, failed: 5, kind: connectors.Unavailable, written: records},
		"too many requests": {befalls: "text 7", what: func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
			return answerOf(r, http.StatusTooManyRequests, "text/html", "slow down"), nil
		}, failed: 5, kind: connectors.Limited, unsent: true, written: 5},
		"a firewall that dislikes a text": {befalls: "text 7", what: func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
			return answerOf(r, http.StatusForbidden, "text/html", "forbidden"), nil
		}, failed: 1, kind: connectors.RefusedRecord, written: records - 1},
		"a firewall that dislikes all": {befalls: "text", what: func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
			return answerOf(r, http.StatusForbidden, "text/html", "forbidden"), nil
		}, failed: records, kind: connectors.RefusedRecord, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newThings(t, site, records)
			s, w := wired(t, site)
			table := tableOf(t, s, f.Table)
			w.meddle = func(r *http.Request, body string, send func() (*http.Response, error)) (*http.Response, error) {
				if r.Method == http.MethodPost && strings.Contains(body, tt.befalls) {
					return tt.what(r, send)
				}
				return send()
			}
			outcomes, err := s.Update(t.Context(), table, texts(f.IDs, "title"))
			if tt.whole {
				if got := faultOf(t, err); got.Kind != tt.kind {
					t.Errorf("it fails of %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			failed, written := 0, 0
			for i, o := range outcomes {
				if text, _ := f.Service.Get(t, f.IDs[i], "title"); text == fmt.Sprint("text ", i) {
					written++
				} else if !tt.whole && o.Err == nil {
					t.Errorf("record %d is said to be written and holds %q", i, text)
				}
				if o.Err == nil {
					continue
				}
				if failed++; o.Err.Kind != tt.kind || o.Err.Unsent != tt.unsent || tt.failed == 1 && i != odd {
					t.Errorf("record %d: %+v", i, o.Err)
				}
			}
			if !tt.whole && failed != tt.failed || written != tt.written {
				t.Errorf("%d records failed and %d are written, want %d and %d", failed, written, tt.failed, tt.written)
			}
			if tt.what == nil && w.most != 2 { // else one may be answered before the other leaves
				t.Errorf("%d requests were on their way at once, want 2", w.most)
			}
		})
	}
}

// texts are writes of a field, whose text numbers them.
func texts(ids []string, field string) []connectors.Write {
	writes := make([]connectors.Write, len(ids))
	for i, id := range ids {
		writes[i] = connectors.Write{ID: id, Values: map[string]core.Value{field: core.TextValue(fmt.Sprint("text ", i))}}
	}
	return writes
}

// WordPress makes slugs that nobody has yet: asked twice at once it would give one of them twice.
func TestWhatMindsOtherRecordsIsWrittenOneAfterTheOther(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	f := newThings(t, site, 10)
	s, w := wired(t, site)
	writes := texts(f.IDs, "title")
	writes[9].Values["slug"] = core.TextValue("text")
	if _, err := s.Update(t.Context(), tableOf(t, s, f.Table), writes); err != nil {
		t.Fatal(err)
	}
	if w.most != 1 {
		t.Errorf("%d requests were on their way at once, want one", w.most)
	}
}

// Pages are read before they are asked for, while records come and go.
func TestNoRecordIsLostWhereIsReadAhead(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	f := newThings(t, site, 60)
	s, w := wired(t, site)
	req := connectors.ReadRequest{Table: tableOf(t, s, f.Table), Fields: []string{"title"}, Limit: 7}
	seen := map[string]bool{}
	for pages := 0; ; pages++ {
		page, err := s.Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			seen[r.ID] = true
		}
		if page.Last {
			break
		}
		if pages > 30 {
			t.Fatal("reading does not end")
		}
		req.Checkpoint = page.Checkpoint
		f.Service.Remove(t, f.IDs[pages])
		f.Service.Remove(t, f.IDs[len(f.IDs)-1-pages])
		f.Service.Add(t, fmt.Sprint("added ", pages))
	}
	for i, id := range f.IDs {
		if _, there := f.Service.Get(t, id, "title"); there && !seen[id] {
			t.Errorf("record %d was not read", i)
		}
	}
	if w.most != 2 {
		t.Errorf("%d requests were on their way at once, want 2", w.most)
	}
}
