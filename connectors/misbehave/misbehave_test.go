package misbehave

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const password = "correct horse battery"

// service answers with what it knows of the login and counts what it did.
type service struct {
	*httptest.Server
	acted atomic.Int64
}

const said = `{"said":"` + "0123456789" + `"}`

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.acted.Add(1)
		_, given, has := r.BasicAuth()
		w.Header().Set("X-Host", r.Host)
		switch {
		case !has:
			http.Error(w, "nobody", http.StatusUnauthorized)
		case given != password:
			http.Error(w, "wrong password", http.StatusUnauthorized)
		default:
			_, _ = io.WriteString(w, said)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// client asks through the proxy's Dial, on a connection of its own each time, as the transport else repeats what was cut.
func client(p *Proxy) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true}}
}

func ask(ctx context.Context, t *testing.T, p *Proxy, s *service, method, path string) (status int, body string, header http.Header, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader("a body with "+password))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("ana", password)
	res, err := client(p).Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	return res.StatusCode, string(all), res.Header, err
}

func TestEachActDoesWhatItSays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  Fault
		status int
		body   string // a part of it
		header string // of Retry-After
		broken bool   // the answer does not come through
		acted  int64
	}{
		{name: "passed", status: 200, body: said, acted: 1},
		{name: "429", fault: Fault{Act: TooMany}, status: 429, body: "Slow down"},
		{name: "429 with Retry-After", fault: Fault{Act: TooMany, Wait: 7 * time.Second}, status: 429, header: "7"},
		{name: "500", fault: Fault{Act: ServerError}, status: 500, body: "message"},
		{name: "500 after", fault: Fault{Act: ServerError, After: true}, status: 500, acted: 1},
		{name: "502", fault: Fault{Act: BadGateway}, status: 502, body: "<html>"},
		{name: "a page", fault: Fault{Act: PageInstead}, status: 200, body: "<!doctype html>"},
		{name: "a page after", fault: Fault{Act: PageInstead, After: true}, status: 200, body: "<!doctype html>", acted: 1},
		{name: "held", fault: Fault{Act: Hold, Wait: 20 * time.Millisecond}, broken: true},
		{name: "held after", fault: Fault{Act: Hold, Wait: 20 * time.Millisecond, After: true}, broken: true, acted: 1},
		{name: "cut", fault: Fault{Act: Cut}, broken: true},
		{name: "lost", fault: Fault{Act: Cut, After: true}, broken: true, acted: 1},
		{name: "truncated", fault: Fault{Act: Truncate}, status: 200, body: said[:len(said)/2], broken: true, acted: 1},
		{name: "slow", fault: Fault{Act: Slow, Wait: 20 * time.Millisecond}, status: 200, body: said, acted: 1},
		{name: "notices", fault: Fault{Act: Notices}, status: 200, body: "on line <b>12</b><br />\n" + said, acted: 1},
		{name: "revoked", fault: Fault{Act: Revoked}, status: 401, body: "wrong password", acted: 1},
		{name: "without a login", fault: Fault{Act: WithoutLogin}, status: 401, body: "nobody", acted: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			p := Start(t, s.URL, password)
			if tt.fault.Act != Passed {
				p.Do(tt.fault)
			}
			status, body, header, err := ask(t.Context(), t, p, s, "POST", "/things")
			if (err != nil) != tt.broken || status != tt.status || !strings.Contains(body, tt.body) || header.Get("Retry-After") != tt.header {
				t.Errorf("%d %q %q %v", status, body, header.Get("Retry-After"), err)
			}
			if n := s.acted.Load(); n != tt.acted {
				t.Errorf("the service acted %d times, want %d", n, tt.acted)
			}
			log := p.Requests()
			if len(log) != 1 || log[0].Did != tt.fault.Act || log[0].After != tt.fault.After || (log[0].Status != 0) != (tt.acted > 0) {
				t.Errorf("the log is %+v", log)
			}
			if tt.status == 200 && tt.acted == 1 && tt.name != "a page after" && header.Get("X-Host") != strings.TrimPrefix(s.URL, "http://") {
				t.Errorf("the service saw the host %q", header.Get("X-Host"))
			}
			if status, _, _, err = ask(t.Context(), t, p, s, "POST", "/things"); status != 200 || err != nil {
				t.Errorf("the next request: %d %v", status, err)
			}
		})
	}
}

func TestAFaultIsDoneToTheRequestsThatItNames(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := Start(t, s.URL, password)
	p.Do(Fault{Act: ServerError, When: Method("DELETE"), Nth: 2, Times: 2})
	p.Do(Fault{Act: BadGateway, When: Path("/late"), Nth: 3, Times: Always})
	var got []string
	for _, r := range []string{"GET /a", "DELETE /a", "DELETE /a", "GET /late", "DELETE /a", "DELETE /a", "GET /late", "GET /late", "GET /late"} {
		method, path, _ := strings.Cut(r, " ")
		status, _, _, _ := ask(t.Context(), t, p, s, method, path)
		got = append(got, strconv.Itoa(status))
	}
	if all := strings.Join(got, " "); all != "200 200 500 200 500 200 200 502 502" {
		t.Errorf("the answers are %s", all)
	}
	if p.Done() != 4 {
		t.Errorf("%d were misbehaved to", p.Done())
	}
	p.Behave()
	p.Forget()
	if status, _, _, _ := ask(t.Context(), t, p, s, "GET", "/late"); status != 200 || len(p.Requests()) != 1 {
		t.Errorf("afterwards: %d, %d requests", status, len(p.Requests()))
	}
}

func TestAHeldRequestEndsWithItsClientOrByRelease(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := Start(t, s.URL, password)
	p.Do(Fault{Act: Hold, Times: Always})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, _, err := ask(ctx, t, p, s, "GET", "/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the client that left: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, _, _, err := ask(t.Context(), t, p, s, "GET", "/")
		ended <- err
	}()
	for len(p.Requests()) < 2 {
		time.Sleep(time.Millisecond)
	}
	p.Release()
	if err := <-ended; err == nil {
		t.Error("what was released had an answer")
	}
}

func TestTheLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := Start(t, s.URL, password)
	login := base64.StdEncoding.EncodeToString([]byte("ana:" + password))
	for _, path := range []string{"/plain?a=b&page=2", "/x?api_key=topsecret&a=b", "/x?q=" + strings.ReplaceAll(password, " ", "+"), "/x/" + login, "/x?b=" + login} {
		_, _, _, _ = ask(t.Context(), t, p, s, "POST", path)
	}
	for i, r := range p.Requests() {
		all := r.Path + r.Query + r.Body
		if strings.Contains(all, password) || strings.Contains(all, "topsecret") || strings.Contains(all, login) || hasEncoded(all, password) {
			t.Errorf("request %d shows a secret: %+v", i, r)
		}
		if r.InAddress != (i >= 2) {
			t.Errorf("request %d: the credential is in the address: %v", i, r.InAddress)
		}
		if r.Body != "a body with ***" {
			t.Errorf("request %d has the body %q", i, r.Body)
		}
	}
	if q := p.Requests()[0].Query; q != "a=b&page=2" {
		t.Errorf("the query is %q", q)
	}
}

func TestNothingGoesAroundTheProxy(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := Start(t, s.URL)
	if _, err := p.Dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil {
		t.Error("another address was dialed")
	}
	if _, err := New("not an address"); err == nil {
		t.Error("a proxy in front of nothing")
	}
}
