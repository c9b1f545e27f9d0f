// Package events carries hints about what changed from the process that committed it to every browser that shows it.
//
// A hint travels over Redis to all processes, and each forwards it to its own browsers as server-sent events.
// Hints may be lost: whoever may have missed some is told to resync, and compares versions.
package events

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/r3labs/sse/v2"
	"github.com/redis/go-redis/v9"
)

// channel is the Redis channel of all hints. Each process filters by organization.
const channel = "scratchpaper:hints"

// pace holds the intervals of a hub; tests shorten them.
type pace struct {
	coalesce  time.Duration // how long hints are gathered before browsers get them
	heartbeat time.Duration // below the 60 s after which common proxies cut a silent answer
	session   time.Duration // between two looks at whether the session still holds
	write     time.Duration // the longest that one write to a browser may take
	publish   time.Duration // the longest that one publish to Redis may take
	retry     time.Duration // pause after a failed publish
	farewell  time.Duration // the longest that a stopping hub spends on hints not yet published
}

func usualPace() pace {
	return pace{
		coalesce:  100 * time.Millisecond,
		heartbeat: 15 * time.Second,
		session:   time.Minute,
		write:     10 * time.Second,
		publish:   2 * time.Second,
		retry:     250 * time.Millisecond,
		farewell:  time.Second,
	}
}

// Hub publishes hints to Redis and forwards those of every process to the browsers of this one.
// It is a core.Notifier. Run it for as long as the process lives, Stop it last.
type Hub struct {
	// Presence keeps who is in which snapshot.
	Presence *Presence

	rdb       redis.UniversalClient
	log       *slog.Logger
	version   string
	perPerson int
	pace      pace
	outbox    outbox
	server    *sse.Server

	streamsOpen context.Context // ends with StopStreams
	endStreams  context.CancelFunc
	listening   atomic.Bool
	alive       context.Context // ends with Stop
	end         context.CancelFunc

	mu           sync.Mutex
	connections  map[string]*connection
	listeners    map[address]map[*connection]struct{}
	streams      map[string]int // open streams by person
	crowded      bool           // many streams are open, see fit
	usualPercent int            // of garbage, while they are not
	work         sync.WaitGroup // Run and every stream
}

// Option changes a setting of a new hub.
type Option func(*Hub)

// Version names the program's version in the hello of every stream, so that pages of an older one can tell.
func Version(v string) Option { return func(h *Hub) { h.version = v } }

// StreamsPerPerson limits the open streams of one person in this process. The default is 50.
func StreamsPerPerson(n int) Option { return func(h *Hub) { h.perPerson = n } }

// SessionEvery is the time between two looks at whether a listener may still listen. The default is a minute.
func SessionEvery(d time.Duration) Option { return func(h *Hub) { h.pace.session = d } }

// New makes a hub. Nothing is published or forwarded before Run.
func New(rdb redis.UniversalClient, log *slog.Logger, options ...Option) *Hub {
	h := &Hub{
		rdb: rdb, log: log, perPerson: 50, pace: usualPace(),
		outbox:      newOutbox(),
		connections: map[string]*connection{},
		listeners:   map[address]map[*connection]struct{}{},
		streams:     map[string]int{},
	}
	h.Presence = &Presence{rdb: rdb, hub: h}
	h.alive, h.end = context.WithCancel(context.Background())
	h.streamsOpen, h.endStreams = context.WithCancel(h.alive)
	h.server = h.newServer()
	for _, option := range options {
		option(h)
	}
	return h
}

// Run publishes and forwards hints until ctx ends or Stop is called, then publishes what is left, for a second at most.
// A Redis that is away is waited for. It returns nil.
func (h *Hub) Run(ctx context.Context) error {
	if !h.begin() {
		return nil
	}
	defer h.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.alive, cancel)()

	var publisher sync.WaitGroup
	publisher.Go(func() { h.publish(ctx) })
	h.listen(ctx)
	publisher.Wait()
	return nil
}

// Listening reports whether hints of other processes can arrive: Redis has confirmed our subscription at least once.
func (h *Hub) Listening() bool { return h.listening.Load() }

// begin counts one more piece of work that Stop waits for, and reports false when the hub has stopped.
func (h *Hub) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alive.Err() != nil {
		return false
	}
	h.work.Add(1)
	return true
}

// StopStreams ends every stream and takes no new ones, while hints are still published.
// Give it to http.Server.RegisterOnShutdown, since a server waits for its streams.
func (h *Hub) StopStreams() { h.endStreams() }

// Stop ends streams and Run and waits for them. A second Stop does no harm. Hints given later are dropped.
func (h *Hub) Stop() {
	h.mu.Lock()
	h.end()
	h.mu.Unlock()
	h.work.Wait()
}
