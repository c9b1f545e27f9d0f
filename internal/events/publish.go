package events

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"scratchpaper/internal/core"
)

const (
	// maxWaiting is how many hints of different sources wait for Redis before the rest become a resync.
	maxWaiting = 4096
	// perMessage is how many hints one message on Redis carries.
	perMessage = 100
)

// outbox holds hints until they are published. What does not fit, or could not be sent,
// is remembered as an organization that has to resync.
type outbox struct {
	mu      sync.Mutex
	waiting pile
	lost    map[string]struct{} // organizations
	wake    chan struct{}
}

func newOutbox() outbox {
	return outbox{lost: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

func (o *outbox) put(hints []core.Hint) {
	o.mu.Lock()
	for _, hint := range hints {
		if !o.waiting.add(hint, maxWaiting) {
			o.lost[hint.Org] = struct{}{}
		}
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take empties the outbox. Organizations that lost hints come last, as a resync.
func (o *outbox) take() []core.Hint {
	o.mu.Lock()
	defer o.mu.Unlock()
	hints := o.waiting.take()
	for org := range o.lost {
		hints = append(hints, core.Hint{Org: org, Kind: kindResync})
	}
	clear(o.lost)
	return hints
}

func (o *outbox) markLost(hints []core.Hint) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, hint := range hints {
		o.lost[hint.Org] = struct{}{}
	}
}

// Notify hands hints to every process. It never waits for Redis: while that is away,
// hints are dropped and the organization's browsers resync when it is back.
func (h *Hub) Notify(_ context.Context, hints ...core.Hint) {
	if h.alive.Err() != nil {
		return
	}
	fit := make([]core.Hint, 0, len(hints))
	for _, hint := range hints {
		if hint.Org == "" {
			h.log.Error("hint without an organization dropped", "kind", hint.Kind)
			continue
		}
		if !dataFits(hint.Data) {
			h.log.Error("hint sent without its data, which is too large or not JSON", "kind", hint.Kind, "bytes", len(hint.Data))
			hint.Data = nil
		}
		fit = append(fit, hint)
	}
	h.outbox.put(fit)
}

// publish sends what is in the outbox whenever there is something, until ctx ends.
func (h *Hub) publish(ctx context.Context) {
	away := false
	for {
		select {
		case <-ctx.Done():
			h.farewell(ctx)
			return
		case <-h.outbox.wake:
		}
		err := h.send(context.WithoutCancel(ctx), h.outbox.take()) // what is under way may finish
		if err != nil && !away {
			h.log.Warn("hints cannot be published, browsers will resync when Redis is back", "error", err)
		}
		if away && err == nil {
			h.log.Info("hints are published again")
		}
		away = err != nil
		if away {
			h.again(ctx)
		}
	}
}

// again wakes the publisher after a pause, since nothing else may.
func (h *Hub) again(ctx context.Context) {
	select {
	case <-time.After(h.pace.retry):
	case <-ctx.Done():
	}
	h.outbox.put(nil)
}

func (h *Hub) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.pace.farewell)
	defer cancel()
	if err := h.send(ctx, h.outbox.take()); err != nil {
		h.log.Warn("last hints were not published", "error", err)
	}
}

// send publishes hints. Those of a message that failed, and all after it, are marked lost.
func (h *Hub) send(ctx context.Context, hints []core.Hint) error {
	for chunk := range slices.Chunk(hints, perMessage) {
		if err := h.sendMessage(ctx, chunk); err != nil {
			h.outbox.markLost(hints)
			return err
		}
	}
	return nil
}

func (h *Hub) sendMessage(ctx context.Context, hints []core.Hint) error {
	message, err := json.Marshal(hints)
	if err != nil {
		return fmt.Errorf("encode hints: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.pace.publish)
	defer cancel()
	if err := h.rdb.Publish(ctx, channel, message).Err(); err != nil {
		return fmt.Errorf("publish hints: %w", err)
	}
	return nil
}
