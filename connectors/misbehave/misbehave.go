// Package misbehave stands in front of any HTTP service and misbehaves on demand: it refuses, fails, lies, stalls and cuts, before or
// after the service has acted. It is for tests.
//
//	p := misbehave.Start(t, "http://127.0.0.1:8080", password) // the real service; what may never be seen in an address or the log
//	session := open(connectors.Environment{Dial: p.Dial})      // every connection goes through the proxy, addresses stay as they are
//	p.Do(misbehave.Fault{Act: misbehave.Cut, When: misbehave.Method("POST"), Nth: 2, After: true})
//
// The service sees the Host that the client asked for, and nothing of the proxy. A client that cannot be given a Dial takes Proxy.URL
// for the service's address; a service that writes its own address into its answers is then told that address.
package misbehave

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Act is what the proxy does instead of just passing a request on.
type Act string

// The acts. All but the last two can be done before the service gets the request, which it then never does, or after it has acted.
const (
	Passed       Act = ""                // nothing: the request and the answer go through
	TooMany      Act = "429"             // 429, with Retry-After when Wait is not 0
	ServerError  Act = "500"             // 500 with a JSON body
	BadGateway   Act = "502"             // 502 with a page of HTML
	PageInstead  Act = "page"            // 200 with a page of HTML
	Hold         Act = "hold"            // no answer until Wait is over (0: until Release or the client leaves), then the connection is cut
	Cut          Act = "cut"             // the connection is closed without an answer; After: the answer is lost
	Truncate     Act = "truncate"        // half of the service's answer, then the connection is cut; the service has acted
	Slow         Act = "slow"            // the service's answer in ten pieces over Wait
	Notices      Act = "notices"         // warnings of PHP stand before the service's answer
	Revoked      Act = "revoked"         // the request reaches the service with a credential that is none
	WithoutLogin Act = "without a login" // the request reaches the service with no credential at all, as behind a server that strips it
)

// Fault is an order to misbehave.
type Fault struct {
	Act   Act
	When  func(*http.Request) bool // which requests it counts; nil is every one. It must not read the body
	Nth   int                      // the first of those that it is done to, from 1; 0 is 1
	Times int                      // to how many; 0 is one, Always is each from there on
	After bool                     // once the service has acted; its own answer is thrown away
	Wait  time.Duration            // TooMany: Retry-After, in whole seconds; Hold, Slow: how long
	Date  bool                     // TooMany: Retry-After is a date, not a number of seconds
}

// Always as Fault.Times does it to every request from the Nth on.
const Always = -1

// Method matches requests by their method.
func Method(methods ...string) func(*http.Request) bool {
	return func(r *http.Request) bool { return slices.Contains(methods, r.Method) }
}

// Writing matches requests that are not for reading only.
func Writing(r *http.Request) bool { return !Method("GET", "HEAD", "OPTIONS")(r) }

// Path matches requests whose path has a part.
func Path(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

// Request is a line of the log. What is secret is left out of it.
type Request struct {
	At        time.Time
	Method    string
	Path      string
	Query     string // secret-looking values as ***
	Body      string // the first 64 kB, known secrets as ***
	Status    int    // what the service answered; 0 when it was not asked or did not answer
	Did       Act
	After     bool
	InAddress bool // a known secret stood in the path or query
}

// bodyKept is how much of a request's body the log keeps, in bytes.
const bodyKept = 64 << 10

// Proxy is an http.Handler in front of a service.
type Proxy struct {
	URL string // where it listens, when it was started

	target    *url.URL
	secrets   []string
	transport http.RoundTripper
	listening string

	mu      sync.Mutex
	faults  []*counted
	log     []Request
	release chan struct{}
	asking  int // requests that are at the service
	idle    *sync.Cond
}

type counted struct {
	Fault
	seen int
}

// New makes a proxy in front of the service at a base address such as http://127.0.0.1:8080. Secrets are credentials that may not be
// seen; what is made of them by base64 after a name and a colon is found too.
func New(target string, secrets ...string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("misbehave: %q is not the address of a service", target)
	}
	p := &Proxy{
		target: u, secrets: slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return s == "" }),
		transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 20, IdleConnTimeout: 10 * time.Second},
		release:   make(chan struct{}),
	}
	p.idle = sync.NewCond(&p.mu)
	return p, nil
}

// Start starts a proxy that ends with the test.
func Start(t testing.TB, target string, secrets ...string) *Proxy {
	t.Helper()
	p, err := New(target, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	p.URL, p.listening = server.URL, server.Listener.Addr().String()
	t.Cleanup(func() {
		p.Release()
		server.CloseClientConnections()
		server.Close()
		p.transport.(*http.Transport).CloseIdleConnections()
	})
	return p
}

// Dial connects to the proxy when the service is meant, and refuses everything else: a client that goes around the proxy is found out.
func (p *Proxy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != p.target.Host {
		return nil, fmt.Errorf("misbehave: %s is not the service's address %s", address, p.target.Host)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, p.listening)
}

// Do orders to misbehave, beside what was ordered before; the order that came first goes first.
func (p *Proxy) Do(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &counted{Fault: f})
}

// Behave takes all orders back and lets held requests go.
func (p *Proxy) Behave() {
	p.mu.Lock()
	p.faults = nil
	p.mu.Unlock()
	p.Release()
}

// Release cuts what is held.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.release)
	p.release = make(chan struct{})
}

// Requests gives the log since the start or the last Forget.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Settle waits until no request is at the service any more: what clients have given up on has been done by then too.
func (p *Proxy) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.asking > 0 {
		p.idle.Wait()
	}
}

// Forget empties the log.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = nil
}

// Done says how many requests were misbehaved to since the last Forget.
func (p *Proxy) Done() int {
	n := 0
	for _, r := range p.Requests() {
		if r.Did != Passed {
			n++
		}
	}
	return n
}

// take counts a request and gives what to do to it, and what closes when held ones are let go.
func (p *Proxy) take(r *http.Request) (Fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking++
	var found *Fault
	for _, f := range p.faults {
		if f.When != nil && !f.When(r) {
			continue
		}
		f.seen++
		first := max(1, f.Nth)
		last := first + max(1, f.Times) - 1
		if found == nil && f.seen >= first && (f.Times == Always || f.seen <= last) {
			found = &f.Fault
		}
	}
	if found == nil {
		found = &Fault{}
	}
	return *found, p.release
}

// ServeHTTP passes a request on, or does what was ordered.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has left
	}
	f, release := p.take(r)
	line := p.line(r, body, f, at)
	var answer *answer
	if f.After || f.reaches() {
		answer = p.ask(r, body, f)
		line.Status = answer.status
	}
	p.note(line)
	f.answer(w, r, answer, release)
}

// note writes a line of the log once the service has answered.
func (p *Proxy) note(line Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, line)
	if p.asking--; p.asking == 0 {
		p.idle.Broadcast()
	}
}

// reaches says whether the act needs the service's answer.
func (f Fault) reaches() bool {
	switch f.Act {
	case Passed, Truncate, Slow, Notices, Revoked, WithoutLogin:
		return true
	}
	return false
}

func (f Fault) answer(w http.ResponseWriter, r *http.Request, a *answer, release chan struct{}) {
	switch f.Act {
	case TooMany:
		f.retryAfter(w.Header())
		page(w, http.StatusTooManyRequests, "application/json", `{"code":"too_many_requests","message":"Too many requests. Slow down."}`)
	case ServerError:
		page(w, http.StatusInternalServerError, "application/json", `{"code":"internal_server_error","message":"Something went wrong on the server."}`)
	case BadGateway:
		page(w, http.StatusBadGateway, "text/html; charset=utf-8", "<html>\n<head><title>502 Bad Gateway</title></head>\n<body><center><h1>502 Bad Gateway</h1></center></body>\n</html>\n")
	case PageInstead:
		page(w, http.StatusOK, "text/html; charset=utf-8", "<!doctype html>\n<title>Error</title>\n<h1>Briefly unavailable for scheduled maintenance.</h1>\n")
	case Hold:
		hold(r.Context(), f.Wait, release)
		panic(http.ErrAbortHandler)
	case Cut:
		panic(http.ErrAbortHandler)
	case Truncate:
		a.half(w)
	case Slow:
		a.slowly(r.Context(), w, f.Wait)
	case Notices:
		a.body = append([]byte("<br />\n<b>Warning</b>:  Undefined array key \"plugin\" in <b>/var/www/html/wp-content/plugins/broken/broken.php</b> on line <b>12</b><br />\n"), a.body...)
		a.whole(w)
	default:
		a.whole(w)
	}
}

func (f Fault) retryAfter(h http.Header) {
	switch {
	case f.Wait <= 0:
	case f.Date: // it has whole seconds: rounded up, the wait is no shorter than asked for
		h.Set("Retry-After", time.Now().Add(f.Wait+time.Second-1).UTC().Format(http.TimeFormat))
	default:
		h.Set("Retry-After", strconv.Itoa(int((f.Wait+time.Second-1)/time.Second)))
	}
}

func page(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// hold waits for the first of: the client leaves, the wait is over, a release.
func hold(ctx context.Context, wait time.Duration, release chan struct{}) {
	var over <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-over:
	case <-release:
	}
}

// answer is what the service said.
type answer struct {
	status int // 0: nothing
	header http.Header
	body   []byte
}

// serviceLimit is how long the service may take for an answer, whatever the client does: what it was asked for after the fact it does.
const serviceLimit = time.Minute

// ask sends the request to the service. It goes on when the client leaves, so that "after the service has acted" is true.
func (p *Proxy) ask(r *http.Request, body []byte, f Fault) *answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), serviceLimit)
	defer cancel()
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = p.target.Scheme, p.target.Host, ""
	out.Host = r.Host
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	out.Header.Del("Connection")
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // else the transport names itself
	}
	switch f.Act {
	case Revoked:
		revoke(out.Header)
	case WithoutLogin:
		out.Header.Del("Authorization")
		out.Header.Del("Cookie")
	}
	res, err := p.transport.RoundTrip(out)
	if err != nil {
		return &answer{}
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return &answer{}
	}
	return &answer{status: res.StatusCode, header: res.Header, body: all}
}

// revoke puts a credential that is none in the place of the one that is there, of the same scheme.
func revoke(h http.Header) {
	h.Del("Cookie")
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	if scheme == "" {
		return
	}
	none := "revoked"
	if raw, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
		name, _, _ := strings.Cut(string(raw), ":")
		none = base64.StdEncoding.EncodeToString([]byte(name + ":revoked"))
	}
	h.Set("Authorization", scheme+" "+none)
}

func (a *answer) begin(w http.ResponseWriter) {
	if a.status == 0 {
		panic(http.ErrAbortHandler) // the service gave none: so do we
	}
	maps.Copy(w.Header(), a.header)
	for _, hop := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Date"} {
		w.Header().Del(hop)
	}
	if a.header.Get("Content-Length") != "" || len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
}

func (a *answer) whole(w http.ResponseWriter) {
	length := a.header.Get("Content-Length")
	a.begin(w)
	if length != "" && len(a.body) == 0 { // of HEAD
		w.Header().Set("Content-Length", length)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (a *answer) half(w http.ResponseWriter) {
	a.begin(w)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (a *answer) slowly(ctx context.Context, w http.ResponseWriter, over time.Duration) {
	const pieces = 10
	a.begin(w)
	w.WriteHeader(a.status)
	for i := range pieces {
		_, _ = w.Write(a.body[len(a.body)*i/pieces : len(a.body)*(i+1)/pieces])
		_ = http.NewResponseController(w).Flush()
		if i+1 < pieces {
			hold(ctx, max(over/pieces, time.Millisecond), nil)
		}
	}
}
