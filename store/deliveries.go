package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Delivery is one thing that a webhook is told.
type Delivery struct {
	ID        string // sent with every try, so that a receiver knows what it has had
	Org       string
	Webhook   string
	Event     string
	Body      string
	State     string // waiting, delivered, failed
	Tries     int
	NextAt    *time.Time
	Status    int    // of the last answer; 0 is none
	Words     string // why the last try failed
	CreatedAt time.Time
	TriedAt   *time.Time
}

// Outgoing is a delivery with what sending it needs. Never show or log its address and secret.
type Outgoing struct {
	Delivery
	Address string
	Secret  []byte
	Before  []byte // the former secret, while it signs too; nil where none does
}

// DeliveryEnd is how one try to send went.
type DeliveryEnd struct {
	Status int    // of the answer; 0 is none
	Words  string // what went wrong; "" is delivered
	Final  bool   // trying again is of no use
	Gone   bool   // the receiver says that it wants nothing more (410)
}

// deliveryPauses are how long is waited after each failed try, as Standard Webhooks proposes: after the last, a good day after the first,
// a delivery is given up.
var deliveryPauses = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}

const (
	stopAfter    = 24 * time.Hour      // of failing without one delivery: a webhook that then gives one up is switched off
	claimFor     = time.Minute         // longer than a try takes: after that its sender is taken for dead
	deliveryKept = 30 * 24 * time.Hour // after it ended
)

const deliveryColumns = `d.id, d.org_id, d.webhook_id, d.event, d.body, d.state, d.tries, d.next_at, d.status, d.words, d.created_at, d.tried_at`

func (d *Delivery) fields() []any {
	return []any{&d.ID, &d.Org, &d.Webhook, &d.Event, &d.Body, &d.State, &d.Tries, &d.NextAt, &d.Status, &d.Words, &d.CreatedAt, &d.TriedAt}
}

// Deliveries lists a webhook's, newest first, at most limit. Codes: Forbidden.
func (s *Store) Deliveries(ctx context.Context, by core.Actor, webhook string, limit int) ([]Delivery, error) {
	if err := by.May(core.Manage); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select `+deliveryColumns+` from webhook_deliveries d where d.org_id = $1 and d.webhook_id = $2 order by d.created_at desc, d.id limit $3`, by.Org, webhook, limit)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Delivery, error) {
		var d Delivery
		err := row.Scan(d.fields()...)
		return d, err
	})
}

// told is what a webhook's receiver reads. It holds ids, counts and a link, and nothing of what records or services say.
type told struct {
	Type      string   `json:"type"`
	Timestamp string   `json:"timestamp"`
	Data      toldData `json:"data"`
}

type toldData struct {
	Organization string                 `json:"organization"`
	Job          string                 `json:"job,omitempty"`
	Kind         string                 `json:"kind,omitempty"`
	State        string                 `json:"state,omitempty"`
	Error        string                 `json:"error,omitempty"` // its code
	Snapshot     string                 `json:"snapshot,omitempty"`
	Plan         string                 `json:"plan,omitempty"`
	Done         int64                  `json:"done"`
	Total        *int64                 `json:"total,omitempty"`
	Counts       map[string]json.Number `json:"counts,omitempty"` // those of the job's result
	Link         string                 `json:"link,omitempty"`
}

// toldOf says of a job that ended what may be said outside.
func (s *Store) toldOf(j Job, at time.Time) told {
	t := told{Type: core.WebhookEvent(j.Kind, j.State), Timestamp: at.UTC().Format(time.RFC3339Nano),
		Data: toldData{Organization: j.Org, Job: j.ID, Kind: j.Kind, State: j.State, Snapshot: j.Snapshot, Done: j.Progress.Done, Total: j.Progress.Total, Counts: countsOf(j.Result)}}
	if j.Error != nil && j.State == "failed" {
		t.Data.Error = j.Error.Code
	}
	if j.Kind == "publish" {
		var args struct{ Plan string }
		_ = json.Unmarshal(j.Args, &args) // the program wrote it
		t.Data.Plan = args.Plan
	}
	if s.base != "" {
		t.Data.Link = s.base + "/jobs/" + j.ID
	}
	return t
}

// countsOf gives the numbers of a job's result; words may be somebody's.
func countsOf(result json.RawMessage) map[string]json.Number {
	var all map[string]json.RawMessage
	if json.Unmarshal(result, &all) != nil {
		return nil
	}
	counts := map[string]json.Number{}
	for name, raw := range all {
		var n int64
		if json.Unmarshal(raw, &n) == nil && string(raw) != "null" {
			counts[name] = json.Number(raw)
		}
	}
	return counts
}

// tellEndTx writes what the organization's webhooks are to be told of a job that ended, in the transaction that ends it, and says whether
// there is anything.
func (s *Store) tellEndTx(ctx context.Context, tx pgx.Tx, j Job) (bool, error) {
	rows, err := tx.Query(ctx, `select w.id from webhooks w where w.org_id = $1 and w.active and $2 = any(w.events)
		and not exists (select from switches x where x.org_id = w.org_id and x.name = $3) order by w.id`, j.Org, core.WebhookEvent(j.Kind, j.State), string(core.SwitchWebhooks))
	if err != nil {
		return false, fmt.Errorf("webhooks of an end: %w", err)
	}
	hooks, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(hooks) == 0 {
		return false, err
	}
	at := time.Now()
	if j.FinishedAt != nil {
		at = *j.FinishedAt
	}
	return true, deliverTx(ctx, tx, j.Org, hooks, s.toldOf(j, at))
}

func deliverTx(ctx context.Context, tx pgx.Tx, org string, hooks []string, t told) error {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	ids := make([]string, len(hooks))
	for i := range ids {
		ids[i] = core.NewID("msg")
	}
	_, err = tx.Exec(ctx, `insert into webhook_deliveries (id, org_id, webhook_id, event, body) select d.id, $1, d.hook, $2, $3 from unnest($4::text[], $5::text[]) d(id, hook)`,
		org, t.Type, string(body), ids, hooks)
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	return nil
}

// TestWebhook tells a webhook that this is a test. Codes: Forbidden, NotFound, Conflict (it is switched off).
func (s *Store) TestWebhook(ctx context.Context, by core.Actor, id string) error {
	w, err := s.WebhookByID(ctx, by, id)
	if err != nil {
		return err
	}
	if !w.Active {
		return offWebhook()
	}
	err = s.tx(atPoint(ctx, "webhook.test"), by, func(tx pgx.Tx) error {
		return deliverTx(ctx, tx, by.Org, []string{id}, told{Type: core.WebhookTest, Timestamp: time.Now().UTC().Format(time.RFC3339Nano), Data: toldData{Organization: by.Org}})
	})
	if err == nil {
		s.WakeDeliveries()
	}
	return err
}

func offWebhook() error {
	return core.Errorf(core.Conflict, "The webhook is switched off. Switch it on first.")
}

// Redeliver sends once more what has ended, under its id. Codes: Forbidden, NotFound, Conflict (it waits already, or the webhook is off).
func (s *Store) Redeliver(ctx context.Context, by core.Actor, webhook, id string) error {
	w, err := s.WebhookByID(ctx, by, webhook)
	if err != nil {
		return err
	}
	err = s.tx(atPoint(ctx, "webhook.redeliver"), by, func(tx pgx.Tx) error {
		var state string
		err := tx.QueryRow(ctx, `select state from webhook_deliveries where org_id = $1 and webhook_id = $2 and id = $3 for update`, by.Org, webhook, id).Scan(&state)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return core.Errorf(core.NotFound, "This delivery is not here (any more): they are kept for 30 days.")
		case err != nil:
			return fmt.Errorf("redeliver: %w", err)
		case !w.Active:
			return offWebhook()
		case state == "waiting":
			return core.Errorf(core.Conflict, "This is about to be sent already.")
		}
		if _, err := tx.Exec(ctx, `update webhook_deliveries set state = 'waiting', tries = 0, next_at = clock_timestamp(), claimed_until = null, status = 0, words = '', ended_at = null
			where org_id = $1 and webhook_id = $2 and id = $3`, by.Org, webhook, id); err != nil {
			return fmt.Errorf("redeliver: %w", err)
		}
		return auditTx(ctx, tx, by, "webhook delivered again", webhook, map[string]string{"delivery": id})
	})
	if err == nil {
		s.WakeDeliveries()
	}
	return err
}

// SetDeliveryWaker sets who is told that something is to be delivered; before that only the sweeper finds it.
func (s *Store) SetDeliveryWaker(wake func()) { s.deliveries.Store(&wake) }

// WakeDeliveries says, after the commit, that something is to be delivered.
func (s *Store) WakeDeliveries() {
	if wake := s.deliveries.Load(); wake != nil {
		(*wake)()
	}
}

// ClaimDeliveries gives at most limit deliveries whose time has come to the caller, who tries each now: one of a webhook at a time, so that
// a slow one holds up nobody else and hears things in order. Who has not said within a minute how it went is taken for dead, and it is
// given out again.
func (s *Store) ClaimDeliveries(ctx context.Context, limit int) ([]Outgoing, error) {
	rows, err := s.pool.Query(ctx, `/* every organization: the sender is the program's own */
		with due as (
			select distinct on (d.webhook_id) d.id
			from webhook_deliveries d
			where d.state = 'waiting' and d.next_at <= clock_timestamp()
				and not exists (select from switches x where x.org_id = d.org_id and x.name = $3)
				and not exists (select from webhook_deliveries o where o.org_id = d.org_id and o.webhook_id = d.webhook_id and o.state = 'waiting' and o.claimed_until > clock_timestamp())
			order by d.webhook_id, d.next_at, d.created_at
			limit $1)
		update webhook_deliveries d set claimed_until = clock_timestamp() + $2::interval, tries = d.tries + 1, tried_at = clock_timestamp()
		from due, webhooks w
		where d.id = due.id and w.org_id = d.org_id and w.id = d.webhook_id and d.state = 'waiting' and (d.claimed_until is null or d.claimed_until < clock_timestamp())
		returning `+deliveryColumns+`, w.address, w.secret, case when w.before_until > clock_timestamp() then w.secret_before end`, limit, claimFor, string(core.SwitchWebhooks))
	if err != nil {
		return nil, mapError(fmt.Errorf("claim deliveries: %w", err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Outgoing, error) {
		var o Outgoing
		err := row.Scan(append(o.fields(), &o.Address, &o.Secret, &o.Before)...)
		return o, err
	})
	if err != nil {
		return nil, mapError(fmt.Errorf("claim deliveries: %w", err))
	}
	for i, o := range list {
		if list[i].Secret, err = s.box.Unseal(o.Secret, o.Org, "webhooks", o.Webhook); err != nil {
			list[i].Secret = nil
			s.log.WarnContext(ctx, "secret of a webhook cannot be read with the key of this program", "webhook", o.Webhook)
		}
		if o.Before == nil {
			continue
		}
		if list[i].Before, err = s.box.Unseal(o.Before, o.Org, "webhooks", o.Webhook); err != nil {
			list[i].Before = nil // what is sent is signed with the new one
			s.log.WarnContext(ctx, "former secret of a webhook cannot be read with the key of this program", "webhook", o.Webhook)
		}
	}
	return list, nil
}

// EndDelivery keeps how a try went: it is delivered, tried again after a pause, or given up. A webhook that has failed for a day and gives
// something up is switched off, as is one that says that it is gone; its admins see that.
func (s *Store) EndDelivery(ctx context.Context, d Delivery, end DeliveryEnd) error {
	by := core.System(d.Org)
	return s.tx(atPoint(ctx, "webhook.delivered"), by, func(tx pgx.Tx) error {
		state, pause := "waiting", time.Duration(0)
		switch {
		case end.Words == "":
			state = "delivered"
		case end.Final || end.Gone || d.Tries > len(deliveryPauses):
			state = "failed"
		default:
			pause = deliveryPauses[d.Tries-1]
			pause += rand.N(pause/5 + 1) // #nosec G404 -- so that those that failed together do not come back together
		}
		tag, err := tx.Exec(ctx, `update webhook_deliveries set state = $4, status = $5, words = $6, claimed_until = null,
				next_at = case when $4 = 'waiting' then clock_timestamp() + $7::interval end, ended_at = case when $4 <> 'waiting' then clock_timestamp() end
			where org_id = $1 and id = $2 and state = 'waiting' and tries = $3`, d.Org, d.ID, d.Tries, state, end.Status, end.Words, pause)
		if err != nil || tag.RowsAffected() == 0 { // somebody else has it, or it was switched off meanwhile
			return err
		}
		return noteWebhook(ctx, tx, by, d.Webhook, state, end)
	})
}

// noteWebhook keeps how a webhook does, and switches it off where that is of no use any more.
func noteWebhook(ctx context.Context, tx pgx.Tx, by core.Actor, webhook, state string, end DeliveryEnd) error {
	var since *time.Time
	var long bool
	err := tx.QueryRow(ctx, `update webhooks set failing_since = case when $3 = 'delivered' then null else coalesce(failing_since, clock_timestamp()) end
		where org_id = $1 and id = $2 returning failing_since, coalesce(failing_since < clock_timestamp() - $4::interval, false)`, by.Org, webhook, state, stopAfter).Scan(&since, &long)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if !end.Gone && (state != "failed" || !long) {
		return nil
	}
	words := "Nothing could be delivered since " + since.UTC().Format("2 January 15:04") + " UTC. Last: " + end.Words
	if end.Gone {
		words = "The receiver says that it is gone (410)."
	}
	if _, err := tx.Exec(ctx, `update webhooks set active = false, stopped_at = clock_timestamp(), stopped_words = $3 where org_id = $1 and id = $2`, by.Org, webhook, words); err != nil {
		return fmt.Errorf("stop webhook: %w", err)
	}
	if err := dropWaiting(ctx, tx, by.Org, webhook, "The webhook was switched off."); err != nil {
		return err
	}
	return auditTx(ctx, tx, by, "webhook switched off", webhook, map[string]string{"why": words})
}

// DropOldDeliveries forgets deliveries that ended long ago, and former secrets that sign no more.
func (s *Store) DropOldDeliveries(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, `/* every organization: a secret's time ends alike in each */
		update webhooks set secret_before = null, before_until = null where before_until < now()`); err != nil {
		return mapError(err)
	}
	_, err := s.pool.Exec(ctx, `/* every organization: they are kept as long in each */
		delete from webhook_deliveries where state <> 'waiting' and ended_at < now() - $1::interval`, deliveryKept)
	return mapError(err)
}
