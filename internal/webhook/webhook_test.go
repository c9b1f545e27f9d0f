package webhook_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"scratchpaper/internal/httpx"
	"scratchpaper/internal/webhook"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// local lets in this machine, where the receivers of tests are.
var local = httpx.Guard{AllowPrivate: true}

func TestAReceiverChecksWhatIsSentWithTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	lib, err := standardwebhooks.NewWebhookRaw(secret)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"type":"job.done","data":{"job":"job_a"}}`
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if err := lib.Verify(raw, r.Header); err != nil {
			t.Errorf("the library refuses it: %v", err)
		}
		if lib.Verify(append(raw, ' '), r.Header) == nil {
			t.Error("the library takes a changed body: it proves nothing")
		}
		if string(raw) != body || r.Method != http.MethodPost || r.Header.Get("webhook-id") != "msg_a" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %s", r.Method, r.Header, raw)
		}
	}))
	defer receiver.Close()
	p := webhook.New(local.Dial)
	defer p.Close()
	if o := p.Post(t.Context(), receiver.URL, webhook.Message{ID: "msg_a", Body: body, Secret: secret}); o != (webhook.Outcome{Status: 200}) {
		t.Errorf("%+v", o)
	}
}

func TestOnlyAStatusFrom200To299IsDelivered(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for path, status := range map[string]int{"/204": 204, "/302": 302, "/308": 308, "/410": 410, "/500": 500} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
	}
	receiver := httptest.NewServer(mux)
	defer receiver.Close()
	p := webhook.New(local.Dial)
	defer p.Close()
	for path, want := range map[string]struct {
		words string
		gone  bool
	}{"/204": {}, "/302": {"not followed", false}, "/308": {"not followed", false}, "/410": {"410 Gone", true}, "/500": {"500 Internal", false}} {
		o := p.Post(t.Context(), receiver.URL+path, webhook.Message{ID: "msg_a", Body: "{}", Secret: secret})
		if o.Gone != want.gone || o.Final || (o.Words == "") != (want.words == "") || !strings.Contains(o.Words, want.words) {
			t.Errorf("%s: %+v", path, o)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestNoMoreOfAnAnswerIsReadThanItsLimit(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer receiver.Close()
	p := webhook.New(local.Dial)
	defer p.Close()
	if o := p.Post(t.Context(), receiver.URL, webhook.Message{ID: "msg_a", Body: "{}", Secret: secret}); o.Words != "" {
		t.Errorf("%+v", o)
	}
	<-ended // or else it would be read for ever
}

func TestAddressesThatAreNotAllowedAreRefusedForGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		guard   httpx.Guard
		address string
		final   bool
		words   string
	}{
		"metadata, even where private addresses are let in": {httpx.Guard{AllowPrivate: true}, "http://169.254.169.254/latest/meta-data/", true, "never connected to"},
		"a private address":                 {httpx.Guard{}, "https://10.0.0.1/hook", true, "private"},
		"a name that leads to this machine": {httpx.Guard{}, "https://localhost:1/hook?key=Narwhal", true, "private"},
		"the app's own database":            {httpx.Guard{AllowPrivate: true, Refuse: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5432")}}, "http://127.0.0.1:5432/", true, "own database"},
		"nobody there":                      {local, "http://127.0.0.1:1/hook?key=Narwhal", false, "could not be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := webhook.New(c.guard.Dial)
			defer p.Close()
			o := p.Post(t.Context(), c.address, webhook.Message{ID: "msg_a", Body: "{}", Secret: secret})
			if o.Status != 0 || o.Final != c.final || !strings.Contains(o.Words, c.words) || strings.Contains(o.Words, "Narwhal") {
				t.Errorf("%+v", o)
			}
		})
	}
}
