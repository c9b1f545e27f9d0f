package jobs

import (
	"context"
	"runtime/debug"
	"time"

	"scratchpaper/internal/webhook"
	"scratchpaper/store"
)

// senders is how many webhooks one process tells at the same time.
const senders = 8

// teller is the part of a runner that tells webhooks. Deliveries are rows that were written with the end of their job, so nothing is lost
// when a process ends before it sent them: whoever looks next finds them.
type teller struct {
	again chan struct{} // something may be due
	free  chan struct{} // a place for each delivery that is being sent
}

func newTeller() *teller {
	return &teller{again: make(chan struct{}, 1), free: make(chan struct{}, senders)}
}

// wake looks for deliveries soon.
func (t *teller) wake() {
	select {
	case t.again <- struct{}{}:
	default: // it will look already
	}
}

// tellWebhooks sends what is due, at each wake and at each sweep, until the program stops.
func (r *Runner) tellWebhooks() {
	defer r.done.Done()
	tick := time.NewTicker(r.o.Timings.Sweep)
	defer tick.Stop()
	for {
		r.sendDue()
		select {
		case <-r.halt:
			return
		case <-tick.C:
		case <-r.teller.again:
		}
	}
}

// sendDue begins to send as much of what is due as there are places.
func (r *Runner) sendDue() {
	places := cap(r.teller.free) - len(r.teller.free)
	if places == 0 || r.stopping() {
		return
	}
	due, err := r.o.Store.ClaimDeliveries(r.ctx, places)
	if err != nil && !r.stopping() {
		r.o.Log.Warn("webhooks not looked at", "error", err)
	}
	for _, o := range due {
		r.teller.free <- struct{}{}
		r.done.Add(1)
		go r.deliver(o)
	}
}

// deliver makes one try. A stop waits for it as long as for a slice of a job; one that is cut off is made again by whoever looks next.
func (r *Runner) deliver(o store.Outgoing) {
	defer r.done.Done()
	defer func() { <-r.teller.free; r.teller.wake() }()
	defer func() {
		if p := recover(); p != nil {
			r.o.Log.Error("a webhook's delivery panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	end := store.DeliveryEnd{Words: "The webhook's secret cannot be read with the key that the app was started with."}
	if o.Secret != nil {
		end = store.DeliveryEnd(r.o.Post(r.ctx, o.Address, webhook.Message{ID: o.ID, Body: o.Body, Secret: o.Secret, Before: o.Before}))
	}
	if r.ctx.Err() != nil && end.Words != "" {
		return
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 10*time.Second)
	defer cancel()
	if err := r.o.Store.EndDelivery(clean, o.Delivery, end); err != nil {
		r.o.Log.Warn("delivery of a webhook not noted; it is made again", "webhook", o.Webhook, "delivery", o.ID, "error", err)
	}
}
