package store

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

// mustHook makes a webhook of everything.
func mustHook(t *testing.T, s *Store, by core.Actor) Webhook {
	t.Helper()
	w, secret, err := s.CreateWebhook(t.Context(), by, WebhookChange{Address: "https://example.org/hook?key=Narwhal", Events: core.WebhookEvents, Active: true})
	if err != nil || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("%q, %v", secret, err)
	}
	return w
}

// mustEnd makes a job that has ended.
func mustEnd(t *testing.T, s *Store, by core.Actor, kind string, end JobEnd) Job {
	t.Helper()
	j, err := s.Enqueue(t.Context(), by, NewJob{Kind: kind, Label: "Quokka"})
	if err != nil {
		t.Fatal(err)
	}
	taken, _, err := s.TakeJob(t.Context(), j.ID, "wrk", time.Minute)
	if err != nil || taken == nil {
		t.Fatalf("%v, %v", taken, err)
	}
	if err := s.EndSlice(t.Context(), taken, end); err != nil {
		t.Fatal(err)
	}
	return *taken
}

// claimed gives the one delivery that is due.
func claimed(t *testing.T, s *Store) Outgoing {
	t.Helper()
	list, err := s.ClaimDeliveries(t.Context(), 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d deliveries are due, %v", len(list), err)
	}
	return list[0]
}

// hurry lets what waits be due, and its sender be dead.
func hurry(t *testing.T, s *Store, by core.Actor) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), `update webhook_deliveries set next_at = now() - interval '1 second', claimed_until = null where org_id = $1 and state = 'waiting'`, by.Org); err != nil {
		t.Fatal(err)
	}
}

func TestTheEndOfAJobAndWhatIsToBeToldOfItAreOne(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	hook := mustHook(t, s, by)
	woken := 0
	s.SetDeliveryWaker(func() { woken++ })
	j := mustEnd(t, s, by, "refresh", JobEnd{State: "failed", Error: &JobError{Code: "unavailable", Sentence: "The service said: Numbat"}, Result: json.RawMessage(`{"new": 3, "tables": [{"title": "Numbat"}], "words": "Numbat"}`)})
	if woken != 1 {
		t.Errorf("the sender was woken %d times", woken)
	}
	o := claimed(t, s)
	var told struct {
		Type string
		Data map[string]any
	}
	if err := json.Unmarshal([]byte(o.Body), &told); err != nil {
		t.Fatal(err)
	}
	if told.Type != "job.failed" || told.Data["job"] != j.ID || told.Data["state"] != "failed" || told.Data["error"] != "unavailable" || told.Data["counts"].(map[string]any)["new"] != 3.0 || o.Webhook != hook.ID || len(o.Secret) != 32 {
		t.Errorf("%s", o.Body)
	}
	for _, word := range []string{"Numbat", "Quokka", "Narwhal"} {
		if strings.Contains(o.Body, word) {
			t.Errorf("%s is told: %s", word, o.Body)
		}
	}
	if err := s.EndDelivery(t.Context(), o.Delivery, DeliveryEnd{Status: 200}); err != nil {
		t.Fatal(err)
	}
	waiting, err := s.Enqueue(t.Context(), by, NewJob{Kind: "publish", Label: "Quokka", Snapshot: ""})
	if err != nil {
		t.Fatal(err)
	}
	mustEnd(t, s, by, "refresh", JobEnd{State: "waiting", WaitingFor: "person"}) // no end
	if list, err := s.ClaimDeliveries(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%d deliveries without an end, %v", len(list), err)
	}
	if _, err := s.pool.Exec(t.Context(), `update jobs set kind = 'download' where org_id = $1 and id = $2`, by.Org, waiting.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CancelJob(t.Context(), by, waiting.ID); err != nil {
		t.Fatal(err)
	}
	if o := claimed(t, s); o.Event != "job.cancelled" {
		t.Errorf("the cancelled job is told as %s", o.Event)
	}
}

func TestOneOfManySendersGetsADeliveryAndAnotherOneWhenItDies(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	mustHook(t, s, by)
	mustEnd(t, s, by, "refresh", JobEnd{State: "done"})
	mustEnd(t, s, by, "refresh", JobEnd{State: "done"})
	var got atomic.Int64
	var first atomic.Value
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			list, err := s.ClaimDeliveries(t.Context(), 10)
			if err != nil {
				t.Error(err)
			}
			got.Add(int64(len(list)))
			for _, o := range list {
				first.Store(o)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Fatalf("%d senders were given something of one webhook at a time", got.Load())
	}
	dead := first.Load().(Outgoing)
	hurry(t, s, by)
	again := claimed(t, s)
	if again.ID != dead.ID || again.Tries != 2 {
		t.Errorf("after its sender died %s is tried for the %d. time, and not %s", again.ID, again.Tries, dead.ID)
	}
	if err := s.EndDelivery(t.Context(), dead.Delivery, DeliveryEnd{Words: "late"}); err != nil {
		t.Fatal(err)
	}
	if err := s.EndDelivery(t.Context(), again.Delivery, DeliveryEnd{Status: 204}); err != nil {
		t.Fatal(err)
	}
	if next := claimed(t, s); next.ID == dead.ID {
		t.Error("what was delivered is due again")
	}
}

func TestADeliveryIsTriedForADayAndItsWebhookThenSwitchedOff(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	hook := mustHook(t, s, by)
	mustEnd(t, s, by, "refresh", JobEnd{State: "done"})
	var waited time.Duration
	for try := 1; ; try++ {
		o := claimed(t, s)
		if try > len(deliveryPauses) { // the day is over
			if _, err := s.pool.Exec(t.Context(), `update webhooks set failing_since = now() - interval '25 hours' where org_id = $1`, by.Org); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EndDelivery(t.Context(), o.Delivery, DeliveryEnd{Status: 500, Words: "It answers 500."}); err != nil {
			t.Fatal(err)
		}
		list, err := s.Deliveries(t.Context(), by, hook.ID, 10)
		if err != nil {
			t.Fatal(err)
		}
		if list[0].State == "failed" {
			break
		}
		if try > 20 {
			t.Fatal("it is never given up")
		}
		waited += time.Until(*list[0].NextAt)
		hurry(t, s, by)
	}
	if waited < 24*time.Hour || waited > 48*time.Hour {
		t.Errorf("it is tried for %s", waited)
	}
	w, err := s.WebhookByID(t.Context(), by, hook.ID)
	if err != nil || w.Active || w.StoppedAt == nil || !strings.Contains(w.StoppedWords, "It answers 500.") {
		t.Errorf("%+v, %v", w, err)
	}
	if n, err := s.StoppedWebhooks(t.Context(), by); err != nil || n != 1 {
		t.Errorf("%d webhooks are stopped, %v", n, err)
	}
	mustEnd(t, s, by, "refresh", JobEnd{State: "done"})
	if list, _ := s.ClaimDeliveries(t.Context(), 10); len(list) != 0 {
		t.Errorf("it is told %d more things", len(list))
	}
	told, _ := s.Deliveries(t.Context(), by, hook.ID, 10)
	if err := s.Redeliver(t.Context(), by, hook.ID, told[0].ID); core.CodeOf(err) != core.Conflict {
		t.Errorf("a webhook that is off: %v", err)
	}
	if err := s.ChangeWebhook(t.Context(), by, hook.ID, WebhookChange{Address: w.Address, Events: w.Events, Active: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Redeliver(t.Context(), by, hook.ID, told[0].ID); err != nil {
		t.Fatal(err)
	}
	if o := claimed(t, s); o.ID != told[0].ID || o.Tries != 1 {
		t.Errorf("%s is delivered again with its %d. try", o.ID, o.Tries)
	}
	if n, _ := s.StoppedWebhooks(t.Context(), by); n != 0 {
		t.Errorf("%d webhooks are stopped", n)
	}
}

func TestAReceiverThatIsGoneIsToldNothingMore(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	hook := mustHook(t, s, by)
	mustEnd(t, s, by, "refresh", JobEnd{State: "done"})
	if err := s.EndDelivery(t.Context(), claimed(t, s).Delivery, DeliveryEnd{Status: 410, Words: "It answers 410 Gone.", Gone: true}); err != nil {
		t.Fatal(err)
	}
	if w, err := s.WebhookByID(t.Context(), by, hook.ID); err != nil || w.Active || w.StoppedAt == nil {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestWebhooksAreRefusedForWhatTheyLack(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	by := core.Local()
	for address, good := range map[string]bool{"https://example.org/x?y=1": true, "http://localhost:8080/": true, "http://10.1.2.3/": true, "http://hooks.internal/": true,
		"http://example.org/": false, "ftp://example.org": false, "https://": false, "https://me:word@example.org/": false, "https://example.org/#a": false, "example.org": false, "": false} {
		_, err := WebhookChange{Address: address, Events: []string{"job.done"}}.clean()
		if (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, events := range [][]string{nil, {"job.begun"}} {
		if _, _, err := s.CreateWebhook(t.Context(), by, WebhookChange{Address: "https://example.org", Events: events}); core.CodeOf(err) != core.Invalid {
			t.Errorf("%v: %v", events, err)
		}
	}
	publisher := by
	publisher.Role = core.Publisher
	if _, err := s.Webhooks(t.Context(), publisher); core.CodeOf(err) != core.Forbidden {
		t.Errorf("a publisher: %v", err)
	}
	for range maxWebhooks {
		mustHook(t, s, by)
	}
	if _, _, err := s.CreateWebhook(t.Context(), by, WebhookChange{Address: "https://example.org", Events: []string{"job.done"}}); core.CodeOf(err) != core.Conflict {
		t.Errorf("one too many: %v", err)
	}
}
