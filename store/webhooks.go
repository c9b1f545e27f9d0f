package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Webhook is an address that is told when jobs end. Its secret is known to whoever made it, and to nobody else.
type Webhook struct {
	ID           string
	Address      string
	Events       []string
	Active       bool
	FailingSince *time.Time // of the first try in a row that failed; nil while it works
	StoppedAt    *time.Time // the program switched it off
	StoppedWords string     // and why
	CreatedBy    string
	CreatedAt    time.Time
	Waiting      int64      // deliveries that are still to be made
	BeforeUntil  *time.Time // until then its former secret signs too; nil where none does
}

// WebhookChange changes a webhook.
type WebhookChange struct {
	Address string
	Events  []string
	Active  bool
}

// Webhook limits.
const (
	maxWebhooks       = 10 // of an organization: one that answers slowly holds up a place of the sender
	maxWebhookAddress = 2000
	secretBytes       = 32 // Standard Webhooks asks for 24 to 64
)

// webhookSecretPrefix begins a secret, as the libraries for receivers expect it.
const webhookSecretPrefix = "whsec_"

const webhookColumns = `w.id, w.address, w.events, w.active, w.failing_since, w.stopped_at, w.stopped_words, w.created_by, w.created_at,
	(select count(*) from webhook_deliveries d where d.org_id = w.org_id and d.webhook_id = w.id and d.state = 'waiting'),
	case when w.before_until > now() then w.before_until end`

func scanWebhook(row pgx.CollectableRow) (Webhook, error) {
	var w Webhook
	err := row.Scan(&w.ID, &w.Address, &w.Events, &w.Active, &w.FailingSince, &w.StoppedAt, &w.StoppedWords, &w.CreatedBy, &w.CreatedAt, &w.Waiting, &w.BeforeUntil)
	return w, err
}

// Webhooks lists the organization's, oldest first. Codes: Forbidden.
func (s *Store) Webhooks(ctx context.Context, by core.Actor) ([]Webhook, error) {
	if err := by.May(core.Manage); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select `+webhookColumns+` from webhooks w where w.org_id = $1 order by w.created_at, w.id`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	return pgx.CollectRows(rows, scanWebhook)
}

// WebhookByID gives one. Codes: Forbidden, NotFound.
func (s *Store) WebhookByID(ctx context.Context, by core.Actor, id string) (Webhook, error) {
	if err := by.May(core.Manage); err != nil {
		return Webhook{}, err
	}
	rows, err := s.pool.Query(ctx, `select `+webhookColumns+` from webhooks w where w.org_id = $1 and w.id = $2`, by.Org, id)
	if err != nil {
		return Webhook{}, fmt.Errorf("webhook: %w", err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, scanWebhook)
	return w, mapError(err)
}

// clean checks a change and puts it in order. Codes: Invalid.
func (c WebhookChange) clean() (WebhookChange, error) {
	c.Address = strings.TrimSpace(c.Address)
	u, err := url.Parse(c.Address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" || len(c.Address) > maxWebhookAddress:
		return c, core.FieldErrorf("/address", "The address begins with https:// and has a host, as in https://example.org/hooks; a password and a # cannot be part of it.")
	case u.Scheme == "http" && !withinNetwork(u.Hostname()):
		return c, core.FieldErrorf("/address", "The address begins with https://. Without TLS only a machine of your own network is told.")
	}
	c.Events = slices.Compact(slices.Sorted(slices.Values(c.Events)))
	if len(c.Events) == 0 {
		return c, core.FieldErrorf("/events", "Choose at least one event.")
	}
	for _, e := range c.Events {
		if !slices.Contains(core.WebhookEvents, e) {
			return c, core.FieldErrorf("/events", "There is no event %s.", e)
		}
	}
	return c, nil
}

// withinNetwork says whether a host's name is one that only a network of one's own gives a meaning to.
func withinNetwork(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsPrivate() || ip.IsLoopback()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost")
}

// CreateWebhook makes one and gives the secret that signs what it is sent, this once. Codes: Forbidden, Invalid, Conflict (there are enough).
func (s *Store) CreateWebhook(ctx context.Context, by core.Actor, c WebhookChange) (w Webhook, secret string, err error) {
	if err := by.May(core.Manage); err != nil {
		return w, "", err
	}
	if c, err = c.clean(); err != nil {
		return w, "", err
	}
	id := core.NewID("whk")
	secret, sealed, err := s.newWebhookSecret(by, id)
	if err != nil {
		return w, "", err
	}
	err = s.tx(atPoint(ctx, "webhook"), by, func(tx pgx.Tx) error {
		var there int
		if _, err := tx.Exec(ctx, `select from organizations where id = $1 for update`, by.Org); err != nil {
			return fmt.Errorf("organization: %w", err)
		}
		if err := tx.QueryRow(ctx, `select count(*) from webhooks where org_id = $1`, by.Org).Scan(&there); err != nil {
			return fmt.Errorf("webhooks: %w", err)
		}
		if there >= maxWebhooks {
			return core.Errorf(core.Conflict, "Your organization has %d webhooks, as many as it may have. Delete one that is not needed any more.", maxWebhooks)
		}
		if _, err := tx.Exec(ctx, `insert into webhooks (id, org_id, address, events, secret, active, created_by) values ($1, $2, $3, $4, $5, $6, $7)`,
			id, by.Org, c.Address, c.Events, sealed, c.Active, by.Name); err != nil {
			return fmt.Errorf("new webhook: %w", err)
		}
		return auditTx(ctx, tx, by, "webhook made", id, webhookDetails(c))
	})
	if err != nil {
		return w, "", err
	}
	w, err = s.WebhookByID(ctx, by, id)
	return w, secret, err
}

// newWebhookSecret gives a secret as its receiver takes it, and sealed.
func (s *Store) newWebhookSecret(by core.Actor, id string) (secret string, sealed []byte, err error) {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // it never fails
	if sealed, err = s.box.Seal(key, by.Org, "webhooks", id); err != nil {
		return "", nil, fmt.Errorf("seal secret: %w", err)
	}
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(key), sealed, nil
}

// KeptSecrets are for how long a webhook's former secret may sign beside the new one.
var KeptSecrets = []time.Duration{0, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// RenewWebhookSecret gives a webhook another secret, this once. For the time given, one of KeptSecrets, what is sent is signed with the former
// one too, so that the receiver misses nothing while it takes the new one over. Codes: Forbidden, NotFound, Invalid.
func (s *Store) RenewWebhookSecret(ctx context.Context, by core.Actor, id string, kept time.Duration) (string, error) {
	if err := by.May(core.Manage); err != nil {
		return "", err
	}
	if !slices.Contains(KeptSecrets, kept) {
		return "", core.FieldErrorf("/keep", "The former secret goes on for nothing, an hour, a day or a week.")
	}
	secret, sealed, err := s.newWebhookSecret(by, id)
	if err != nil {
		return "", err
	}
	err = s.tx(atPoint(ctx, "webhook"), by, func(tx pgx.Tx) error {
		var address string
		err := tx.QueryRow(ctx, `update webhooks set secret = $3, secret_before = case when $4::interval > '0' then secret end, before_until = case when $4::interval > '0' then now() + $4::interval end
			where org_id = $1 and id = $2 returning address`, by.Org, id, sealed, kept).Scan(&address)
		if errors.Is(err, pgx.ErrNoRows) {
			return noWebhook()
		}
		if err != nil {
			return fmt.Errorf("renew secret: %w", err)
		}
		return auditTx(ctx, tx, by, "webhook secret renewed", id, map[string]string{"host": hostOf(address), "the former one goes on for": kept.String()})
	})
	return secret, err
}

// webhookDetails say in the log what a webhook is. Of its address only the host: the rest often lets somebody in.
func webhookDetails(c WebhookChange) map[string]string {
	return map[string]string{"host": hostOf(c.Address), "events": strings.Join(c.Events, ", "), "is": onOff(c.Active)}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// ChangeWebhook changes one. Switched on it begins anew; switched off, what waits for it is not sent any more. Codes: Forbidden, NotFound, Invalid.
func (s *Store) ChangeWebhook(ctx context.Context, by core.Actor, id string, c WebhookChange) error {
	if err := by.May(core.Manage); err != nil {
		return err
	}
	c, err := c.clean()
	if err != nil {
		return err
	}
	return s.tx(atPoint(ctx, "webhook"), by, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update webhooks set address = $3, events = $4, active = $5,
				failing_since = case when active and $5 then failing_since end, stopped_at = case when $5 then null else stopped_at end,
				stopped_words = case when $5 then '' else stopped_words end
			where org_id = $1 and id = $2`, by.Org, id, c.Address, c.Events, c.Active)
		if err != nil {
			return fmt.Errorf("change webhook: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return noWebhook()
		}
		if !c.Active {
			if err := dropWaiting(ctx, tx, by.Org, id, "The webhook was switched off."); err != nil {
				return err
			}
		}
		return auditTx(ctx, tx, by, "webhook changed", id, webhookDetails(c))
	})
}

func noWebhook() error { return core.Errorf(core.NotFound, "This webhook is not here (any more).") }

// dropWaiting ends what waits for a webhook without sending it.
func dropWaiting(ctx context.Context, tx pgx.Tx, org, webhook, words string) error {
	_, err := tx.Exec(ctx, `update webhook_deliveries set state = 'failed', words = $3, next_at = null, ended_at = clock_timestamp()
		where org_id = $1 and webhook_id = $2 and state = 'waiting'`, org, webhook, words)
	if err != nil {
		return fmt.Errorf("drop deliveries: %w", err)
	}
	return nil
}

// DeleteWebhook takes one away, with its deliveries. Codes: Forbidden, NotFound.
func (s *Store) DeleteWebhook(ctx context.Context, by core.Actor, id string) error {
	if err := by.May(core.Manage); err != nil {
		return err
	}
	return s.tx(atPoint(ctx, "webhook"), by, func(tx pgx.Tx) error {
		var address string
		err := tx.QueryRow(ctx, `delete from webhooks where org_id = $1 and id = $2 returning address`, by.Org, id).Scan(&address)
		if errors.Is(err, pgx.ErrNoRows) {
			return noWebhook()
		}
		if err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
		return auditTx(ctx, tx, by, "webhook deleted", id, map[string]string{"host": hostOf(address)})
	})
}

// StoppedWebhooks counts those that the program switched off, for the notice to the organization's admins; 0 for who is none.
func (s *Store) StoppedWebhooks(ctx context.Context, by core.Actor) (n int, err error) {
	if by.May(core.Manage) != nil {
		return 0, nil
	}
	err = s.pool.QueryRow(ctx, `select count(*) from webhooks where org_id = $1 and stopped_at is not null`, by.Org).Scan(&n)
	return n, mapError(err)
}
