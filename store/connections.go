package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Connection is one account at a service. Its secrets are never in it.
type Connection struct {
	ID          string
	Connector   string
	Name        string
	Settings    map[string]string // without secrets
	HasSecrets  bool
	Sample      bool
	Health      string // ok, failing, unknown
	HealthWords string // the service's own words
	CheckedAt   *time.Time
	LastUsedAt  *time.Time
	CreatedAt   time.Time
	Snapshots   []string // names of the snapshots that depend on it
}

// NewConnection is what a connection is made of.
type NewConnection struct {
	Connector string
	Name      string
	Settings  map[string]string
	Secrets   map[string]string
	Sample    bool
}

const connectionColumns = `c.id, c.connector, c.name, c.settings, c.secrets is not null, c.sample, c.health, c.health_words, c.checked_at,
	c.last_used_at, c.created_at,
	array(select distinct s.name from snapshots s join tables t on t.org_id = s.org_id and t.snapshot_id = s.id
		where t.org_id = c.org_id and t.connection_id = c.id order by s.name)`

func scanConnection(row pgx.CollectableRow) (Connection, error) {
	var c Connection
	err := row.Scan(&c.ID, &c.Connector, &c.Name, &c.Settings, &c.HasSecrets, &c.Sample, &c.Health, &c.HealthWords, &c.CheckedAt,
		&c.LastUsedAt, &c.CreatedAt, &c.Snapshots)
	return c, err
}

// Connections gives the organization's connections by name.
func (s *Store) Connections(ctx context.Context, by core.Actor) ([]Connection, error) {
	rows, err := s.pool.Query(ctx, `select `+connectionColumns+` from connections c where c.org_id = $1 order by c.name, c.id`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("connections: %w", err)
	}
	return pgx.CollectRows(rows, scanConnection)
}

// ConnectionByID gives one connection. Codes: NotFound.
func (s *Store) ConnectionByID(ctx context.Context, by core.Actor, id string) (Connection, error) {
	rows, err := s.pool.Query(ctx, `select `+connectionColumns+` from connections c where c.org_id = $1 and c.id = $2`, by.Org, id)
	if err != nil {
		return Connection{}, fmt.Errorf("connection: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConnection)
	return c, mapError(err)
}

// SampleConnection gives the organization's sample connection, NotFound when there is none yet.
func (s *Store) SampleConnection(ctx context.Context, by core.Actor) (Connection, error) {
	rows, err := s.pool.Query(ctx, `select `+connectionColumns+` from connections c where c.org_id = $1 and c.sample`, by.Org)
	if err != nil {
		return Connection{}, fmt.Errorf("sample connection: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConnection)
	return c, mapError(err)
}

// CreateConnection keeps a connection, its secrets sealed. Codes: Invalid, Forbidden, Conflict (a second sample).
func (s *Store) CreateConnection(ctx context.Context, by core.Actor, n NewConnection) (Connection, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Connection{}, err
	}
	n.Name = strings.TrimSpace(n.Name)
	if n.Name == "" || len(n.Name) > 200 {
		return Connection{}, core.FieldErrorf("/name", "Give the connection a name of at most 200 characters.")
	}
	var id string
	if done, err := doneBefore(ctx, "connection", &id); err != nil || done {
		return s.knownConnection(ctx, by, id, err)
	}
	id = core.NewID("con")
	sealed, err := s.sealSecrets(by.Org, id, n.Secrets)
	if err != nil {
		return Connection{}, err
	}
	err = s.tx(atPoint(ctx, "connection"), by, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into connections (id, org_id, connector, name, settings, secrets, sample, created_by)
			values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
			id, by.Org, n.Connector, n.Name, orEmpty(n.Settings), sealed, n.Sample, by.Name)
		if err != nil {
			return fmt.Errorf("insert connection: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return core.Errorf(core.Conflict, "There is a sample connection already.")
		}
		if err := auditTx(ctx, tx, by, "connection made", id, map[string]string{"name": n.Name, "connector": n.Connector}); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "connection", id)
	})
	return s.knownConnection(ctx, by, id, err)
}

func (s *Store) knownConnection(ctx context.Context, by core.Actor, id string, err error) (Connection, error) {
	if err != nil {
		return Connection{}, err
	}
	return s.ConnectionByID(ctx, by, id)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (s *Store) sealSecrets(org, id string, secrets map[string]string) ([]byte, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	sealed, err := s.box.Seal(plain, org, "connections", id)
	if err != nil {
		return nil, fmt.Errorf("seal secrets: %w", err)
	}
	return sealed, nil
}

// UpdateConnection changes name and settings. A secret that is not in n keeps its value. Codes: Invalid, Forbidden, NotFound.
func (s *Store) UpdateConnection(ctx context.Context, by core.Actor, id string, n NewConnection) (Connection, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Connection{}, err
	}
	full, err := s.ConnectionSettings(ctx, by, id)
	if err != nil {
		return Connection{}, err
	}
	old, err := s.ConnectionByID(ctx, by, id)
	if err != nil {
		return Connection{}, err
	}
	secrets := map[string]string{}
	for k, v := range full {
		if _, open := old.Settings[k]; !open {
			secrets[k] = v
		}
	}
	maps.Copy(secrets, n.Secrets)
	sealed, err := s.sealSecrets(by.Org, id, secrets)
	if err != nil {
		return Connection{}, err
	}
	if n.Name = strings.TrimSpace(n.Name); n.Name == "" {
		n.Name = old.Name
	}
	if n.Settings == nil {
		n.Settings = old.Settings
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update connections set name = $3, settings = $4, secrets = $5, health = 'unknown', health_words = '' where org_id = $1 and id = $2`,
			by.Org, id, n.Name, orEmpty(n.Settings), sealed)
		if err != nil {
			return fmt.Errorf("update connection: %w", err)
		}
		return auditTx(ctx, tx, by, "connection changed", id, map[string]string{"name": n.Name})
	})
	if err != nil {
		return Connection{}, err
	}
	return s.ConnectionByID(ctx, by, id)
}

// DeleteConnection removes a connection that nothing depends on. Codes: Forbidden, NotFound, Conflict (names what depends on it).
func (s *Store) DeleteConnection(ctx context.Context, by core.Actor, id string) error {
	if err := by.Require(core.Publisher); err != nil {
		return err
	}
	c, err := s.ConnectionByID(ctx, by, id)
	if err != nil {
		return err
	}
	if len(c.Snapshots) > 0 {
		return core.Errorf(core.Conflict, "These snapshots depend on it: %s. Delete them first; their unpublished edits go with them.", strings.Join(c.Snapshots, ", "))
	}
	return s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from connections where org_id = $1 and id = $2`, by.Org, id); err != nil {
			return fmt.Errorf("delete connection: %w", err)
		}
		return auditTx(ctx, tx, by, "connection deleted", id, map[string]string{"name": c.Name})
	})
}

// ConnectionSettings gives all settings, secrets included, for opening a session. Never show or log them. Codes: NotFound.
func (s *Store) ConnectionSettings(ctx context.Context, by core.Actor, id string) (map[string]string, error) {
	var settings map[string]string
	var sealed []byte
	err := s.pool.QueryRow(ctx, `select settings, secrets from connections where org_id = $1 and id = $2`, by.Org, id).Scan(&settings, &sealed)
	if err != nil {
		return nil, mapError(err)
	}
	if sealed == nil {
		return settings, nil
	}
	plain, err := s.box.Unseal(sealed, by.Org, "connections", id)
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable,
			"The credentials of this connection cannot be read with the key that the app was started with. Start it with the right key, or type them again.")
	}
	var secrets map[string]string
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	maps.Copy(settings, secrets)
	return settings, nil
}

// MarkConnection keeps how the last use of a connection went; words "" is well. used says that it was more than a test.
func (s *Store) MarkConnection(ctx context.Context, by core.Actor, id, words string, used bool) error {
	health := "ok"
	if words != "" {
		health = "failing"
	}
	_, err := s.pool.Exec(ctx, `
		update connections set health = $3, health_words = $4, checked_at = now(), last_used_at = case when $5 then now() else last_used_at end
		where org_id = $1 and id = $2`, by.Org, id, health, words, used)
	if err != nil {
		return fmt.Errorf("mark connection: %w", err)
	}
	return nil
}

// PublishRate gives how many records a second the last publish over a connection wrote; 0 when there was none.
func (s *Store) PublishRate(ctx context.Context, by core.Actor, connection string) (float64, error) {
	var rate float64
	err := s.pool.QueryRow(ctx, `
		select coalesce((
			select (j.progress->>'rate')::float8
			from jobs j
			where j.org_id = $1
				and j.connection_id = $2
				and j.kind = 'publish'
				and j.state in ('done', 'cancelled')
				and (j.progress->>'rate')::float8 > 0
			order by j.created_at desc
			limit 1), 0)`, by.Org, connection).Scan(&rate)
	if err != nil {
		return 0, fmt.Errorf("rate of the last publish: %w", err)
	}
	return rate, nil
}

// SealDraft encrypts what a browser keeps of a connection that is being made.
func (s *Store) SealDraft(plain []byte) ([]byte, error) {
	sealed, err := s.box.Seal(plain, "", "connection drafts", "")
	if err != nil {
		return nil, fmt.Errorf("seal draft: %w", err)
	}
	return sealed, nil
}

// UnsealDraft reads what SealDraft made. An error says that it was made elsewhere, or with a key that is not used any more.
func (s *Store) UnsealDraft(sealed []byte) ([]byte, error) {
	return s.box.Unseal(sealed, "", "connection drafts", "")
}
