package program

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy is a reverse proxy with TLS in front of several processes, without sticky sessions: each request goes to the next process that
// says it is ready. Like the usual ones it asks the next process where one could not be reached, or where a GET was not answered.
type Proxy struct {
	URL string
	// Seen is given each answer before anybody reads it; nil is nobody. It is set before the first request.
	Seen    func(*http.Response)
	server  *httptest.Server
	forward *http.Transport
	behind  []*upstream
	turn    atomic.Int64
	failed  atomic.Int64
	refuse  atomic.Bool
	refused atomic.Int64
}

// upstream is one process behind the proxy.
type upstream struct {
	address string
	ready   atomic.Bool
	served  atomic.Int64
}

// lookEvery is how often the proxy looks at who is ready.
const lookEvery = 100 * time.Millisecond

func mustProxy(t testing.TB, addresses []string) *Proxy {
	t.Helper()
	p := &Proxy{forward: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute}}
	for _, a := range addresses {
		p.behind = append(p.behind, &upstream{address: a})
	}
	p.server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.Host = "http", r.In.Host
			r.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			if p.Seen != nil {
				p.Seen(r)
			}
			return nil
		},
		Transport: p, ErrorLog: log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() == nil {
				p.failed.Add(1)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.StartTLS()
	p.URL = p.server.URL
	stop := make(chan struct{})
	go p.watch(stop)
	t.Cleanup(func() { close(stop); p.server.CloseClientConnections(); p.server.Close() })
	return p
}

// Client trusts the proxy's certificate.
func (p *Proxy) Client() *http.Client {
	return &http.Client{Transport: p.server.Client().Transport, Timeout: 30 * time.Second}
}

// clientOf is a Client with connections and a loopback address of its own, the n-th of many.
func (p *Proxy) clientOf(n int) *http.Client {
	own := p.server.Client().Transport.(*http.Transport).Clone()
	own.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/250), byte(n%250+1))}}).DialContext
	own.ForceAttemptHTTP2 = true
	return &http.Client{Transport: own, Timeout: 30 * time.Second}
}

// Served says how many requests each process has answered.
func (p *Proxy) Served() []int64 {
	var out []int64
	for _, u := range p.behind {
		out = append(out, u.served.Load())
	}
	return out
}

// Failed says how many requests nobody answered.
func (p *Proxy) Failed() int64 { return p.failed.Load() }

func (p *Proxy) watch(stop <-chan struct{}) {
	for tick := time.NewTicker(lookEvery); ; {
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
			p.look()
		}
	}
}

// look asks every process whether it is ready.
func (p *Proxy) look() {
	asks := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, u := range p.behind {
		resp, err := asks.Get((&url.URL{Scheme: "http", Host: u.address, Path: "/readyz"}).String())
		u.ready.Store(err == nil && resp.StatusCode == http.StatusOK)
		if err == nil {
			resp.Body.Close()
		}
	}
}

// next gives the process whose turn it is: of those that are ready, or of all where none is.
func (p *Proxy) next() *upstream {
	for range p.behind {
		if u := p.behind[int(p.turn.Add(1))%len(p.behind)]; u.ready.Load() {
			return u
		}
	}
	return p.behind[int(p.turn.Add(1))%len(p.behind)]
}

// RefuseEveryOther makes every other GET of a page's scripts fail with a 502, or lets all through again.
func (p *Proxy) RefuseEveryOther(on bool) { p.refuse.Store(on) }

// RoundTrip asks one process after the other.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.refuse.Load() && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Dest") == "empty" && p.refused.Add(1)%2 == 1 {
		return nil, errors.New("refused, as the test wants it")
	}
	var resp *http.Response
	var err error
	for range len(p.behind) + 1 {
		u := p.next()
		out := r.Clone(r.Context())
		out.URL.Host = u.address
		if r.Body != nil {
			out.Body = io.NopCloser(r.Body) // it may be wanted once more
		}
		if resp, err = p.forward.RoundTrip(out); err == nil {
			u.served.Add(1)
			return resp, nil
		}
		var unreached *net.OpError
		if r.Context().Err() != nil || r.Method != http.MethodGet && !(errors.As(err, &unreached) && unreached.Op == "dial") {
			return nil, err
		}
		u.ready.Store(false)
	}
	return nil, err
}
