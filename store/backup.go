package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/archive"
	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
)

// What a backup holds.
const (
	backupOfEverything = "everything"
	backupOfSnapshot   = "snapshot"
)

// BackupHeader is what a backup says of itself.
type BackupHeader struct {
	Database     int64     `json:"database"` // the version of the control tables
	Layout       int       `json:"layout"`   // the newest of its snapshots
	At           time.Time `json:"at"`
	Holds        string    `json:"holds"`                  // everything, or one snapshot
	Organization string    `json:"organization,omitempty"` // of the one snapshot
	Snapshot     string    `json:"snapshot,omitempty"`
	Name         string    `json:"name,omitempty"` // the snapshot's
	Sealed       int       `json:"sealed"`         // rows with something that only the key of the credentials opens
	// Keys are those of the database that credentials were sealed with. The operator's key opens them.
	Keys []secrets.Wrapped `json:"keys,omitempty"`
}

// backupPart is what one section of a backup is.
type backupPart struct {
	Kind    string         `json:"kind"` // schema: a snapshot's, to be made; rows: of a table; sequence: how far one has counted
	Schema  string         `json:"schema,omitempty"`
	Layout  int            `json:"layout,omitempty"`
	Table   string         `json:"table,omitempty"` // or sequence
	Columns []backupColumn `json:"columns,omitempty"`
	Last    int64          `json:"last,omitempty"`
	Called  bool           `json:"called,omitempty"`
}

type backupColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// BackupCounts is what a backup or a restore went through.
type BackupCounts struct{ Snapshots, Tables, Rows int64 }

// snapshotParts are the control tables that a snapshot's rows are in, those first that others refer to, and which rows they are.
var snapshotParts = []struct{ table, rows string }{
	{"connections", "id in (select connection_id from tables where org_id = $org and snapshot_id = $snapshot)"},
	{"snapshots", "id = $snapshot"},
	{"tables", "snapshot_id = $snapshot"},
	{"columns", "snapshot_id = $snapshot"},
	{"views", "table_id in (select id from tables where org_id = $org and snapshot_id = $snapshot)"},
	{"schedules", "snapshot_id = $snapshot"},
	{"jobs", "snapshot_id = $snapshot and state in ('done', 'failed', 'cancelled')"},
}

// notOfSnapshot are control tables that name a snapshot and are left out of its backup: who approved a plan, and who was let in by a link,
// is the organization's own matter, and is decided again where the snapshot is restored.
var notOfSnapshot = []string{"approvals", "shares"}

// backup is one that is being made.
type backup struct {
	ctx    context.Context
	tx     pgx.Tx
	to     *archive.Writer
	counts BackupCounts
}

// Backup writes everything, or one snapshot where an id is given, as it is at one moment, while others go on. Credentials stay encrypted.
// What is written is a whole backup only when there is no error. Codes: NotFound (the snapshot).
func Backup(ctx context.Context, pool *pgxpool.Pool, to io.Writer, snapshot string) (BackupCounts, error) {
	b := backup{ctx: ctx}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		b.tx = tx
		if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0`); err != nil {
			return fmt.Errorf("time-outs: %w", err)
		}
		return b.write(to, snapshot)
	})
	return b.counts, mapError(err)
}

func (b *backup) write(to io.Writer, snapshot string) error {
	if there, err := hasTable(b.ctx, b.tx, "snapshots"); err != nil || !there {
		return errors.Join(err, core.Errorf(core.NotFound, "There is nothing to back up: no app has used this database yet."))
	}
	schemas, err := b.schemas(snapshot)
	if err != nil {
		return err
	}
	about, err := b.header(snapshot, schemas)
	if err != nil {
		return err
	}
	if b.to, err = archive.NewWriter(to, about); err != nil {
		return fmt.Errorf("begin backup: %w", err)
	}
	if snapshot == "" {
		err = b.controlTables()
	} else {
		err = b.controlRows(schemas[0])
	}
	if err != nil {
		return err
	}
	for _, s := range schemas {
		if err := b.schema(s); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.ID, err)
		}
		b.counts.Snapshots++
	}
	return b.to.Close()
}

// backedUp is a snapshot that goes into a backup.
type backedUp struct {
	ID, Org, Name string
	Layout        int
}

// schemas gives the snapshots, which nobody can delete until the backup is made.
func (b *backup) schemas(snapshot string) ([]backedUp, error) {
	rows, err := b.tx.Query(b.ctx, `/* every organization: the operator makes a backup */
		select id, org_id, name, layout from snapshots where $1 in ('', id) order by created_at, id for key share`, snapshot)
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[backedUp])
	if err == nil && snapshot != "" && len(list) == 0 {
		return nil, core.Errorf(core.NotFound, "There is no snapshot %s.", snapshot)
	}
	return list, err
}

func (b *backup) header(snapshot string, schemas []backedUp) (BackupHeader, error) {
	h := BackupHeader{At: time.Now().UTC().Truncate(time.Second), Holds: backupOfEverything}
	for _, s := range schemas {
		h.Layout = max(h.Layout, s.Layout)
	}
	if snapshot != "" {
		h.Holds, h.Snapshot, h.Organization, h.Name = backupOfSnapshot, snapshot, schemas[0].Org, schemas[0].Name
	}
	if err := b.tx.QueryRow(b.ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&h.Database); err != nil {
		return h, fmt.Errorf("version: %w", err)
	}
	if there, err := hasTable(b.ctx, b.tx, "secret_keys"); err != nil {
		return h, err
	} else if there {
		if h.Keys, err = wrappedKeys(b.ctx, b.tx); err != nil {
			return h, err
		}
	}
	for _, s := range SealedColumns {
		if there, err := hasTable(b.ctx, b.tx, s.Table); err != nil || !there {
			if err != nil {
				return h, err
			}
			continue
		}
		var n int
		err := b.tx.QueryRow(b.ctx, `/* every organization: the operator makes a backup */
			select count(*) from `+ident(s.Table)+` where `+ident(s.Column)+` is not null and ($1 = '' or `+s.ofSnapshot+`)`, snapshot).Scan(&n)
		if err != nil {
			return h, fmt.Errorf("sealed: %w", err)
		}
		h.Sealed += n
	}
	return h, nil
}

// controlTables writes all control tables, those first that others refer to.
func (b *backup) controlTables() error {
	tables, err := b.tablesOf("public")
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t == "goose_db_version" {
			continue // the header says it
		}
		if err := b.rows(backupPart{Kind: "rows", Table: t}, "public", ""); err != nil {
			return err
		}
	}
	return b.sequences("public", "")
}

// controlRows writes what the control tables hold of one snapshot.
func (b *backup) controlRows(s backedUp) error {
	// COPY takes no parameters, so its query reads them from settings of this transaction.
	if _, err := b.tx.Exec(b.ctx, `select set_config('scratchpaper.backup_org', $1, true), set_config('scratchpaper.backup_snapshot', $2, true)`, s.Org, s.ID); err != nil {
		return fmt.Errorf("backup settings: %w", err)
	}
	settings := map[string]string{"$org": "current_setting('scratchpaper.backup_org')", "$snapshot": "current_setting('scratchpaper.backup_snapshot')"}
	for _, p := range snapshotParts {
		where := regexp.MustCompile(`\$\w+`).ReplaceAllStringFunc("org_id = $org and "+p.rows, func(name string) string { return settings[name] })
		if err := b.rows(backupPart{Kind: "rows", Table: p.table}, "public", where); err != nil {
			return err
		}
	}
	return nil
}

// schema writes a snapshot's own tables.
func (b *backup) schema(s backedUp) error {
	if err := b.section(backupPart{Kind: "schema", Schema: s.ID, Layout: s.Layout}, nil); err != nil {
		return err
	}
	tables, err := b.tablesOf(s.ID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if jobsOwn.MatchString(t) {
			continue
		}
		if err := b.rows(backupPart{Kind: "rows", Schema: s.ID, Table: t}, s.ID, ""); err != nil {
			return err
		}
	}
	return b.sequences(s.ID, s.ID)
}

// jobsOwn are tables in a snapshot's schema that a job made for itself and takes away: a restore ends the job.
var jobsOwn = regexp.MustCompile(`^_import_`)

// tablesOf lists the tables of a schema, those first that others refer to.
func (b *backup) tablesOf(schema string) ([]string, error) {
	rows, err := b.tx.Query(b.ctx, `select c.relname::text, coalesce(array_agg(distinct r.relname::text) filter (where r.oid is not null and r.oid <> c.oid), '{}')
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
			left join pg_constraint f on f.conrelid = c.oid and f.contype = 'f' left join pg_class r on r.oid = f.confrelid
		where n.nspname = $1 and c.relkind in ('r', 'p') group by 1 order by 1`, schema)
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	type table struct {
		Name   string
		Before []string
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	var out []string
	for len(out) < len(list) {
		before := len(out)
		for _, t := range list {
			if !slices.Contains(out, t.Name) && !slices.ContainsFunc(t.Before, func(n string) bool { return !slices.Contains(out, n) }) {
				out = append(out, t.Name)
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("the tables of %s refer to each other in a circle", schema)
		}
	}
	return out, nil
}

// rows writes the rows of a table that a condition holds for; "" is all.
func (b *backup) rows(p backupPart, schema, where string) error {
	columns, err := b.columnsOf(schema, p.Table)
	if err != nil {
		return err
	}
	p.Columns = columns
	sql := "select " + columnList(columns) + " from " + ident(schema, p.Table)
	if where != "" {
		sql += " where " + where
	}
	b.counts.Tables++
	return b.section(p, func(to io.Writer) error {
		tag, err := b.tx.Conn().PgConn().CopyTo(b.ctx, to, "/* every organization: the operator makes a backup */ copy ("+sql+") to stdout")
		b.counts.Rows += tag.RowsAffected()
		if err != nil {
			return fmt.Errorf("copy %s: %w", p.Table, err)
		}
		return nil
	})
}

func (b *backup) columnsOf(schema, table string) ([]backupColumn, error) {
	rows, err := b.tx.Query(b.ctx, `select a.attname::text, format_type(a.atttypid, a.atttypmod) from pg_attribute a
			join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum`, schema, table)
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", table, err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[backupColumn])
}

func columnList(columns []backupColumn) string {
	var out string
	for i, c := range columns {
		if i > 0 {
			out += ", "
		}
		out += ident(c.Name)
	}
	return out
}

// sequences writes how far the sequences of a schema have counted. They run ahead of the rows, never behind.
func (b *backup) sequences(schema, as string) error {
	rows, err := b.tx.Query(b.ctx, `select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relkind = 'S' and c.relname not like 'goose%' order by 1`, schema)
	if err != nil {
		return fmt.Errorf("sequences: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("sequences: %w", err)
	}
	for _, name := range names {
		p := backupPart{Kind: "sequence", Schema: as, Table: name}
		if err := b.tx.QueryRow(b.ctx, `select last_value, is_called from `+ident(schema, name), dynamic).Scan(&p.Last, &p.Called); err != nil {
			return fmt.Errorf("sequence %s: %w", name, err)
		}
		if err := b.section(p, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) section(p backupPart, fill func(to io.Writer) error) error {
	if fill == nil {
		fill = func(io.Writer) error { return nil }
	}
	return b.to.Section(p, fill)
}
