package events

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/r3labs/sse/v2"
	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
)

// listen forwards the hints of all processes until ctx ends.
func (h *Hub) listen(ctx context.Context) {
	subscription := h.rdb.Subscribe(ctx, channel)
	messages := subscription.ChannelWithSubscriptions()
	defer func() {
		_ = subscription.Close()
		for range messages { // the client's reader may be waiting to hand one over
		}
	}()

	var gathered pile
	sent := map[source]time.Time{} // when a hint of a source went out last, for as long as it matters
	due := time.NewTimer(math.MaxInt64)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case message, open := <-messages:
			if !open {
				return
			}
			fresh := gathered.empty()
			h.forward(h.atOnce(h.receive(message), &gathered, sent))
			if fresh && !gathered.empty() {
				due.Reset(h.pace.coalesce)
			}
		case <-due.C:
			now := time.Now()
			maps.DeleteFunc(sent, func(_ source, at time.Time) bool { return now.Sub(at) > h.pace.coalesce })
			hints := gathered.take()
			for _, hint := range hints {
				sent[sourceOf(hint)] = now
			}
			h.forward(hints)
		}
	}
}

// atOnce gives the hints that go out now: those of a source that nothing was heard of for a while. The others are gathered.
func (h *Hub) atOnce(hints []core.Hint, gathered *pile, sent map[source]time.Time) (now []core.Hint) {
	for _, hint := range hints {
		key := sourceOf(hint)
		if _, waits := gathered.hints[key]; waits || time.Since(sent[key]) < h.pace.coalesce {
			gathered.add(hint, math.MaxInt)
			continue
		}
		sent[key] = time.Now()
		now = append(now, shorten(hint))
	}
	if len(sent) > maxWaiting { // of sources that have gone quiet, while nothing is gathered
		maps.DeleteFunc(sent, func(_ source, at time.Time) bool { return time.Since(at) > h.pace.coalesce })
	}
	return now
}

// receive gives the hints of a message. The client subscribes again by itself after it lost Redis,
// and a confirmed subscription is how that shows: what was published in between is gone.
func (h *Hub) receive(message any) (hints []core.Hint) {
	switch m := message.(type) {
	case *redis.Subscription:
		if m.Kind == "subscribe" {
			h.resyncAll()
			h.listening.Store(true)
		}
	case *redis.Message:
		if err := json.Unmarshal([]byte(m.Payload), &hints); err != nil {
			h.log.Error("unreadable hints", "error", err)
			return nil
		}
	}
	return hints
}

// forward sends each hint once to every connection that listens to one of its topics in its organization.
func (h *Hub) forward(hints []core.Hint) {
	for _, hint := range hints {
		targets := h.targets(addresses(hint))
		if len(targets) == 0 {
			continue
		}
		if hint.Kind == kindResync && hint.Snapshot == "" && hint.Job == "" {
			h.sendResync(targets)
			continue
		}
		data, err := json.Marshal(hint)
		if err != nil {
			h.log.Error("hint not forwarded", "kind", hint.Kind, "error", err)
			continue
		}
		for _, c := range targets {
			h.tell(c, &sse.Event{Event: []byte(c.eventName(hint.Kind)), Data: data})
		}
	}
}

func (h *Hub) targets(at []address) []*connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[*connection]struct{}{}
	for _, a := range at {
		maps.Copy(found, h.listeners[a])
	}
	return slices.Collect(maps.Keys(found))
}

// resyncAll tells every browser of this process that it may have missed something.
func (h *Hub) resyncAll() {
	h.mu.Lock()
	targets := slices.DeleteFunc(slices.Collect(maps.Values(h.connections)), func(c *connection) bool { return !c.greeted })
	h.mu.Unlock()
	h.sendResync(targets)
}

func (h *Hub) sendResync(targets []*connection) {
	for _, c := range targets {
		h.tell(c, &sse.Event{Event: []byte(kindResync), Data: []byte(`{"kind":"resync"}`)})
	}
}
