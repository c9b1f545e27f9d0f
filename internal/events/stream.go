package events

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/r3labs/sse/v2"

	"scratchpaper/internal/core"
)

// buffer is how many events wait for one connection before it counts as too slow and is cut. The library adds 64.
const buffer = 128

// Subscription says what one stream carries and to whom. The caller has checked that the person may hear every topic.
type Subscription struct {
	Org    string
	Topics []string
	Person string
	// Session reports whether the person may still listen. It is asked once a minute; nil means for ever.
	Session func(ctx context.Context) bool
	// Named gives each event its hint's kind as its name, and heartbeats as comments only. It is for scripts;
	// our own pages take nameless events.
	Named bool
}

// connection is one open stream.
type connection struct {
	Subscription
	id      string
	cancel  context.CancelFunc
	joined  chan struct{} // closed when the library has the subscriber
	left    chan struct{} // closed when it has let go of it
	greeted bool          // hints may be sent; guarded by Hub.mu
}

// hello is the first event of every stream.
type hello struct {
	Version string   `json:"version"`
	Topics  []string `json:"topics"`
}

func (h *Hub) newServer() *sse.Server {
	server := sse.NewWithCallback(
		func(id string, _ *sse.Subscriber) { close(h.connection(id).joined) },
		func(id string, _ *sse.Subscriber) { close(h.connection(id).left) },
	)
	server.AutoReplay, server.AutoStream, server.SplitData = false, false, true
	server.BufferSize = buffer
	server.Headers = map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform"}
	return server
}

func (h *Hub) connection(id string) *connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.connections[id]
}

// Streams says how many streams are open.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.connections)
}

// Stream answers r with the events of sub until the browser leaves, falls behind, its session ends or the hub stops.
// An error means that nothing was written yet. Codes: TooMany, Unavailable.
func (h *Hub) Stream(w http.ResponseWriter, r *http.Request, sub Subscription) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.streamsOpen, cancel)()
	c := &connection{
		Subscription: sub, id: rand.Text(), cancel: cancel,
		joined: make(chan struct{}), left: make(chan struct{}),
	}
	if err := h.admit(c); err != nil {
		return err
	}
	defer h.release(c)

	attended := make(chan struct{})
	go func() {
		defer close(attended)
		h.attend(ctx, c)
	}()
	h.serve(ctx, c, w, r)
	<-attended
	return nil
}

// serve runs the library's handler on a stream of this connection's own. The order at the end matters:
// a stream removed before its subscriber has left keeps a goroutine for ever. Both of the library's calls
// come on goroutines of its own and look the connection up, so it stays known until both are in.
func (h *Hub) serve(ctx context.Context, c *connection, w http.ResponseWriter, r *http.Request) {
	h.server.CreateStream(c.id)
	request := r.Clone(ctx)
	request.Header.Del("Last-Event-ID") // one that is no number would be refused
	request.URL = &url.URL{Path: r.URL.Path, RawQuery: "stream=" + c.id}
	h.server.ServeHTTP(newTimedWriter(w, r, h.pace.write), request)
	c.cancel()
	<-c.joined
	<-c.left
	h.server.RemoveStream(c.id)
}

// admit counts the stream in, before anything can be sent to it.
func (h *Hub) admit(c *connection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streamsOpen.Err() != nil {
		return &core.Error{Code: core.Unavailable, Sentence: "The program is stopping; try again in a moment.", RetryAfter: 2}
	}
	if h.streams[c.Person] >= h.perPerson {
		return &core.Error{Code: core.TooMany, Sentence: "Too many windows are listening for changes; close some of them.", RetryAfter: 30}
	}
	h.streams[c.Person]++
	h.connections[c.id] = c
	h.work.Add(1)
	h.fit()
	return nil
}

// From manyStreams on, most of what a process holds are its streams: about 15 kB of heap and 19 kB of stacks each, which stay. Go lets as much
// garbage as that gather, so that a stream takes 70 kB; crowdedPercent of it takes 55 kB, and collecting twice as often, every half a
// minute, costs next to nothing.
const (
	manyStreams    = 1000
	crowdedPercent = 50
)

// fit sets how much garbage gathers by how many streams are open, unless GOGC was set by who runs the program. The caller holds mu.
func (h *Hub) fit() {
	crowded := len(h.connections) >= manyStreams || h.crowded && len(h.connections) >= manyStreams*3/4
	if crowded == h.crowded || os.Getenv("GOGC") != "" {
		return
	}
	if h.crowded = crowded; crowded {
		h.usualPercent = debug.SetGCPercent(crowdedPercent)
	} else {
		debug.SetGCPercent(h.usualPercent)
	}
}

// greet sends hello and opens the connection for hints, in one step, so that hello comes first and nothing after it is missed.
func (h *Hub) greet(c *connection) {
	data, err := json.Marshal(hello{Version: h.version, Topics: append([]string{}, c.Topics...)})
	if err != nil {
		c.cancel()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(c, &sse.Event{Event: []byte("hello"), Data: data})
	c.greeted = true
	for _, at := range c.addresses() {
		if h.listeners[at] == nil {
			h.listeners[at] = map[*connection]struct{}{}
		}
		h.listeners[at][c] = struct{}{}
	}
}

func (h *Hub) release(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.connections, c.id)
	for _, at := range c.addresses() {
		delete(h.listeners[at], c)
		if len(h.listeners[at]) == 0 {
			delete(h.listeners, at)
		}
	}
	if h.streams[c.Person]--; h.streams[c.Person] == 0 {
		delete(h.streams, c.Person)
	}
	h.fit()
	h.work.Done()
}

// addresses is where c waits for hints: its topics, and what concerns all of its organization.
func (c *connection) addresses() []address {
	all := []address{{org: c.Org}}
	for _, topic := range c.Topics {
		switch topic {
		case "":
		case TopicMine:
			all = append(all, mineOf(c.Org, c.Person))
		default:
			all = append(all, address{c.Org, topic})
		}
	}
	return all
}

// attend greets the browser, keeps the connection warm and asks whether the session still holds.
func (h *Hub) attend(ctx context.Context, c *connection) {
	defer func() {
		if cause := recover(); cause != nil {
			h.log.Error("stream ended by a panic", "cause", cause)
			c.cancel()
		}
	}()
	select {
	case <-c.joined:
	case <-ctx.Done():
		return
	}
	h.greet(c)

	beat, session := time.NewTicker(h.pace.heartbeat), time.NewTicker(h.pace.session)
	defer beat.Stop()
	defer session.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			h.tell(c, c.heartbeat())
		case <-session.C:
			if !c.mayStay(ctx, h.pace.write) {
				c.cancel()
			}
		}
	}
}

func (c *connection) mayStay(ctx context.Context, limit time.Duration) bool {
	if c.Session == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.Session(ctx)
}

// heartbeat is a comment for proxies. Pages get an event with it, since comments are hidden from them
// and without anything to hear they would take a dead connection for a quiet one.
func (c *connection) heartbeat() *sse.Event {
	if c.Named {
		return &sse.Event{Comment: []byte("beat")}
	}
	return &sse.Event{Event: []byte("beat"), Data: []byte("{}"), Comment: []byte("beat")}
}

var plainName = regexp.MustCompile(`^[a-z][a-z-]{0,30}$`)

// eventName is what an event of this kind is called on this stream; "" is the browser's "message".
func (c *connection) eventName(kind string) string {
	if c.Named && plainName.MatchString(kind) {
		return kind
	}
	return ""
}

// tell queues an event for one connection and cuts the connection when its queue is full:
// the browser comes back and resyncs, and nobody waits for it.
func (h *Hub) tell(c *connection, event *sse.Event) {
	event.Data = oneKindOfLineEnd(event.Data)
	if len(event.Data) == 0 && len(event.Comment) == 0 {
		return // the library would end the answer
	}
	if !h.server.TryPublish(c.id, event) {
		c.cancel()
	}
}
