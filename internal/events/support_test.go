package events

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
)

// patience is how long a test waits for what should come at once; it bounds failures only.
const patience = 30 * time.Second

// process is one running program: a hub and a server of streams that trusts what the query says.
type process struct {
	*Hub
	server *httptest.Server
}

// startProcess runs a hub on the Redis at addr.
func startProcess(t *testing.T, mr *miniredis.Miniredis, options ...Option) *process {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: mr.Addr(), MaxRetries: -1, DialTimeout: 200 * time.Millisecond})
	h := New(rdb, slog.New(slog.NewTextHandler(io.Discard, nil)), append([]Option{Version("v1"), brisk}, options...)...)
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = h.Run(context.Background())
	}()
	p := &process{Hub: h}
	t.Cleanup(func() {
		h.Stop()
		<-ran
		_ = rdb.Close()
	})
	p.serve(t, p.stream, 30*time.Second)
	eventually(t, "the hub listens", h.Listening)
	return p
}

// serve gives the process a server of its own, in place of the one it had.
func (p *process) serve(t *testing.T, handler http.HandlerFunc, writeTimeout time.Duration) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.WriteTimeout = writeTimeout
	server.Config.RegisterOnShutdown(p.StopStreams)
	server.Start()
	t.Cleanup(func() {
		p.StopStreams()
		server.Close()
	})
	p.server = server
}

func brisk(h *Hub) {
	h.pace.write = 300 * time.Millisecond
	h.pace.retry = 20 * time.Millisecond
	h.pace.publish = 300 * time.Millisecond
}

func (p *process) stream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	sub := Subscription{Org: q.Get("org"), Person: q.Get("person"), Topics: q["topic"], Named: q.Has("named")}
	if err := p.Stream(w, r, sub); err != nil {
		if core.CodeOf(err) == core.TooMany {
			http.Error(w, core.SentenceOf(err), http.StatusTooManyRequests)
			return
		}
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// message is one event as a browser would see it.
type message struct{ name, data string }

// browser reads a stream in the background.
type browser struct {
	messages chan message // closed when the stream ends
	leave    context.CancelFunc
}

func (p *process) address(org string, topics ...string) string {
	q := url.Values{"org": {org}, "person": {"somebody"}, "topic": topics}
	return p.server.URL + "/events?" + q.Encode()
}

// listen opens a stream and has read its hello.
func (p *process) listen(t *testing.T, org string, topics ...string) *browser {
	t.Helper()
	b := open(t, p.address(org, topics...))
	if got := b.next(t); got.name != "hello" {
		t.Fatalf("first event is %+v, not hello", got)
	}
	return b
}

func open(t *testing.T, address string) *browser {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Last-Event-ID", "not a number")
	var answer *http.Response
	for try := 0; ; try++ { // a browser asks again when a stream breaks off; on a busy machine it is cut before its first byte is out
		answer, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			break
		}
		if try == 5 || !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d", answer.StatusCode)
	}
	b := &browser{messages: make(chan message, 1000), leave: cancel}
	go b.read(answer.Body)
	return b
}

// read takes lines apart as the standard says: LF, CR LF and CR all end one.
func (b *browser) read(body io.ReadCloser) {
	defer close(b.messages)
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	lines.Split(splitLines)
	var m message
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if m.data != "" {
				b.messages <- message{m.name, strings.TrimSuffix(m.data, "\n")}
			}
			m = message{}
		case field == "event":
			m.name = value
		case field == "data":
			m.data += value + "\n"
		}
	}
}

func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	i := strings.IndexAny(string(data), "\r\n")
	if i < 0 || data[i] == '\r' && i+1 == len(data) && !atEOF {
		return 0, nil, nil
	}
	if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
		return i + 2, data[:i], nil
	}
	return i + 1, data[:i], nil
}

// next waits for the next event.
func (b *browser) next(t *testing.T) message {
	t.Helper()
	select {
	case m, open := <-b.messages:
		if !open {
			t.Fatal("the stream ended")
		}
		return m
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return message{}
}

// nextHint waits for the next event that is a hint.
func (b *browser) nextHint(t *testing.T) core.Hint {
	t.Helper()
	return decode[core.Hint](t, b.await(t, "").data)
}

// await waits for the next event of that name.
func (b *browser) await(t *testing.T, name string) message {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if m := b.next(t); m.name == name {
			return m
		}
	}
	t.Fatalf("no event %q came", name)
	return message{}
}

func (b *browser) awaitEnd(t *testing.T) {
	t.Helper()
	for {
		select {
		case _, open := <-b.messages:
			if !open {
				return
			}
		case <-time.After(patience):
			t.Fatal("the stream did not end")
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
