package handlers

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/webhook"
	"scratchpaper/jobs"
	"scratchpaper/store"
)

// receiver is a program that webhooks tell; it answers with the statuses that it is given, one after the other, and then with 200.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	heard    []heard
}

type heard struct {
	header http.Header
	body   []byte
}

func mustReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heard = append(r.heard, heard{req.Header, body})
		if len(r.statuses) > 0 {
			w.WriteHeader(r.statuses[0])
			r.statuses = r.statuses[1:]
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// hears waits until it was told n things, and gives them.
func (r *receiver) hears(t *testing.T, n int, meanwhile func()) []heard {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // between two looks
		r.mu.Lock()
		all := r.heard
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		if time.Now().After(until) {
			t.Fatalf("it heard %d things and not %d", len(all), n)
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
}

// mustTell starts workers that tell webhooks.
func (s *site) mustTell(t *testing.T) {
	t.Helper()
	p := webhook.New((&net.Dialer{}).DialContext)
	t.Cleanup(p.Close)
	r := jobs.New(jobs.Options{Store: s.store, Redis: s.rdb, Dial: (&net.Dialer{}).DialContext, Settings: s.app.storedSettings, Timings: jobs.DefaultTimings().Scaled(4 * time.Second),
		Workers: 1, Log: slog.New(slog.DiscardHandler), Post: p.Post})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	s.store.SetWaker(r.Wake)
	t.Cleanup(r.Stop)
}

// hurry lets what waits to be told be due.
func (s *site) hurry(t *testing.T) {
	t.Helper()
	if _, err := s.store.Pool().Exec(t.Context(), `update webhook_deliveries set next_at = now() where org_id = $1 and state = 'waiting' and claimed_until is null`, s.by.Org); err != nil {
		t.Fatal(err)
	}
}

var secretShown = regexp.MustCompile(`value="(whsec_[^"]+)"`)

// mustWebhook adds one by the page, and gives its own page and its secret.
func (s *site) mustWebhook(t *testing.T, address string, events ...string) (page, secret string) {
	t.Helper()
	a := s.post(t, "/settings/webhooks", url.Values{"address": {address}, "events": events})
	m := secretShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no secret is shown: %d %s", a.status, a.body)
	}
	all, err := s.store.Webhooks(t.Context(), s.by)
	if err != nil {
		t.Fatal(err)
	}
	return "/settings/webhooks/" + all[len(all)-1].ID, strings.ReplaceAll(m[1], "&#43;", "+")
}

func TestAWebhookIsToldUntilItHasHeardAndARedeliveryHasTheSameID(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	to := mustReceiver(t, 500, 503)
	page, secret := s.mustWebhook(t, to.URL+"/hook?key=Narwhal", "job.failed")
	s.get(t, page).lacks(t, secret)
	// The end of the job is committed, and the process ends before it tells anybody: the next one does.
	j, err := s.store.Enqueue(t.Context(), s.by, store.NewJob{Kind: "nonsense", Label: "Quokka"})
	if err != nil {
		t.Fatal(err)
	}
	taken, _, err := s.store.TakeJob(t.Context(), j.ID, "wrk", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndSlice(t.Context(), taken, store.JobEnd{State: "failed", Error: &store.JobError{Code: "internal", Sentence: "Pangolin"}}); err != nil {
		t.Fatal(err)
	}
	s.get(t, page).is(t, 200, "about to be sent", "Another job failed")
	s.mustTell(t)
	all := to.hears(t, 3, func() { s.hurry(t) })
	lib, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		if err := lib.Verify(h.body, h.header); err != nil {
			t.Errorf("the library refuses it: %v", err)
		}
		if h.header.Get("webhook-id") != all[0].header.Get("webhook-id") || string(h.body) != string(all[0].body) {
			t.Errorf("another try says something else: %v %s", h.header, h.body)
		}
		if body := string(h.body); !strings.Contains(body, j.ID) || strings.Contains(body, "Quokka") || strings.Contains(body, "Pangolin") {
			t.Errorf("it is told %s", body)
		}
	}
	s.until(t, "the delivery", func() bool {
		return strings.Contains(s.get(t, page).body, "3 tries") && strings.Contains(s.get(t, page).body, ">delivered<")
	})
	redeliver := regexp.MustCompile(`action="(/settings/webhooks/[^"]+/redeliver)"`).FindStringSubmatch(s.get(t, page).body)
	s.post(t, redeliver[1], nil).is(t, http.StatusSeeOther)
	if again := to.hears(t, 4, nil); again[3].header.Get("webhook-id") != all[0].header.Get("webhook-id") {
		t.Errorf("it is delivered again as %v", again[3].header)
	}
	s.post(t, page+"/test", nil).is(t, http.StatusSeeOther)
	if tested := to.hears(t, 5, nil); !strings.Contains(string(tested[4].body), `"type":"test"`) {
		t.Errorf("the test says %s", tested[4].body)
	}
	log := s.get(t, "/audit")
	log.is(t, 200, "webhook made", "webhook delivered again")
	log.lacks(t, "Narwhal")
	s.post(t, page, url.Values{"address": {to.URL}, "events": {"job.done"}}).is(t, http.StatusSeeOther)
	s.post(t, page+"/test", nil).is(t, http.StatusSeeOther)
	s.get(t, page).is(t, 200, ">off<")
	s.post(t, page, url.Values{"address": {"http://example.org"}, "events": {"job.done"}}).is(t, http.StatusUnprocessableEntity, "begins with https://")
	s.post(t, page+"/delete", nil).is(t, http.StatusSeeOther)
	s.get(t, page).is(t, http.StatusNotFound)
}

// TestASecretIsRenewedWithoutAGap: what is sent meanwhile is signed with both secrets, and with the new one alone when the former has ended.
func TestASecretIsRenewedWithoutAGap(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	to := mustReceiver(t)
	page, former := s.mustWebhook(t, to.URL, "job.done")
	s.mustTell(t)
	heard := 0
	verifies := func(secrets ...string) (out []bool) {
		t.Helper()
		s.post(t, page+"/test", nil).is(t, http.StatusSeeOther)
		heard++
		all := to.hears(t, heard, nil)
		for _, secret := range secrets {
			lib, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, lib.Verify(all[heard-1].body, all[heard-1].header) == nil)
		}
		return out
	}
	renew := func(keep string) string {
		t.Helper()
		a := s.post(t, page+"/secret", url.Values{"keep": {keep}})
		a.is(t, 200, "This is the new secret")
		return strings.ReplaceAll(secretShown.FindStringSubmatch(a.body)[1], "&#43;", "+")
	}
	if got := verifies(former); !slices.Equal(got, []bool{true}) {
		t.Errorf("before: %v", got)
	}
	renewed := renew("24h")
	s.get(t, page).is(t, 200, "signed with the former secret too")
	s.get(t, page).lacks(t, former, renewed)
	if got := verifies(former, renewed); !slices.Equal(got, []bool{true, true}) {
		t.Errorf("meanwhile: %v", got)
	}
	if _, err := s.store.Pool().Exec(t.Context(), `update webhooks set before_until = now() - interval '1 second' where org_id = $1`, s.by.Org); err != nil {
		t.Fatal(err)
	}
	if got := verifies(former, renewed); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("afterwards: %v", got)
	}
	s.get(t, page).lacks(t, "signed with the former secret too")
	if err := s.store.DropOldDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.store.Pool().QueryRow(t.Context(), `select count(secret_before) from webhooks where org_id = $1`, s.by.Org).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d former secrets are left, %v", left, err)
	}
	known := renew("0s") // it has become known
	if got := verifies(renewed, known); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("at once: %v", got)
	}
	for _, keep := range []string{"", "-1h", "9000h", "x"} {
		s.post(t, page+"/secret", url.Values{"keep": {keep}}).is(t, http.StatusUnprocessableEntity)
	}
	s.get(t, "/audit").is(t, 200, "webhook secret renewed")
}

// until waits for a condition.
func (s *site) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func TestThePagesOfWebhooksCanBeReadByEverybodyAndChangeByThemselves(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	to := mustReceiver(t)
	page, _ := s.mustWebhook(t, to.URL+"/a/long/address/of/a/receiver?with=a-key-that-is-long-too", "job.failed", "publish.done")
	b := mustBrowser(t, s, 1440)
	b.open(page)
	b.must(browsertest.Click("form[action$='/test'] button"))
	b.until("the test", `document.querySelector('#deliveries')?.innerText.includes('about to be sent')`)
	s.mustTell(t)
	b.until("the delivery", `document.querySelector('#deliveries').innerText.includes('It answers 200')`)
	b.looksAt("/settings/webhooks", page)
}
