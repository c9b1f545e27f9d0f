package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/archive"
	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
	"scratchpaper/migrations"
)

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Organization       string // takes in a backup of one snapshot; "" is the one that it was made of
	WithoutCredentials bool   // leaves credentials out that the key does not open
	Box                Sealer
	// Opens says whether the operator's key opens a key of the backup. Nil: they are not looked at.
	Opens func(secrets.Wrapped) error
}

// Restored is what a restore did.
type Restored struct {
	BackupCounts
	Unreadable []string // what was left out, since the key does not open it
	Ended      int64    // jobs that were open when the backup was made; a restore takes none of them up
	Here       []string // connections of the snapshot that were here already and stay as they are
}

// ReadBackupHeader gives what a backup says of itself. Codes: Invalid.
func ReadBackupHeader(from io.Reader) (BackupHeader, error) {
	r, err := archive.NewReader(from)
	if err != nil {
		return BackupHeader{}, err
	}
	defer r.Close()
	return headerOf(r)
}

func headerOf(r *archive.Reader) (h BackupHeader, err error) {
	if err := json.Unmarshal(r.Header, &h); err != nil || h.Holds != backupOfEverything && h.Holds != backupOfSnapshot {
		return h, core.Errorf(core.Invalid, "This backup was made by a version of the app that this one does not know.")
	}
	return h, nil
}

// Everything says whether the backup is of the whole app.
func (h BackupHeader) Everything() bool { return h.Holds == backupOfEverything }

// Unused gives an error unless nobody has done anything in the app's database yet. Codes: Conflict.
func Unused(ctx context.Context, q querier) error {
	for _, t := range []string{"snapshots", "connections", "uploads", "jobs", "accounts"} {
		any, err := hasTable(ctx, q, t)
		if err == nil && any {
			err = q.QueryRow(ctx, `/* every organization: is there anything at all */ select exists (select 1 from `+ident(t)+`)`).Scan(&any)
		}
		if err != nil {
			return mapError(err)
		}
		if any {
			return core.Errorf(core.Conflict, "There is something in this database already (%s). A backup of everything goes into an empty one.", t)
		}
	}
	return nil
}

// hasTable says whether there is a control table: a database may be of an earlier version.
func hasTable(ctx context.Context, q querier, table string) (there bool, err error) {
	err = q.QueryRow(ctx, `select to_regclass($1) is not null`, ident("public", table)).Scan(&there)
	return there, err
}

// restore is one under way.
type restore struct {
	ctx  context.Context
	tx   pgx.Tx
	o    RestoreOptions
	h    BackupHeader
	done Restored
}

// Restore brings a backup in, whole or not at all. One of everything goes into an empty database whose control tables are of the
// backup's version; one of a snapshot goes into an organization that does not have it. Layouts may be older than the program's
// afterwards. Codes: Invalid (the file), Conflict, NotFound (the organization), Unavailable (the key).
func Restore(ctx context.Context, pool *pgxpool.Pool, from io.Reader, o RestoreOptions) (Restored, error) {
	r, err := archive.NewReader(from)
	if err != nil {
		return Restored{}, err
	}
	defer r.Close()
	rs := restore{ctx: ctx, o: o}
	if rs.h, err = headerOf(r); err != nil {
		return Restored{}, err
	}
	if rs.h.Layout > migrations.Layout {
		return Restored{}, core.Errorf(core.Conflict, "This backup was made by a newer version of the app. Restore it with that one.")
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		rs.tx = tx
		if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0`); err != nil {
			return fmt.Errorf("time-outs: %w", err)
		}
		return rs.read(r)
	})
	return rs.done, mapError(err)
}

func (rs *restore) read(r *archive.Reader) error {
	if err := rs.begin(); err != nil {
		return err
	}
	for {
		var p backupPart
		data, err := r.Next(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = rs.part(p, data)
		}
		if err != nil {
			return err
		}
	}
	if err := rs.endDeliveries(); err != nil {
		return err
	}
	if err := rs.endJobs(); err != nil {
		return err
	}
	return rs.checkSealed()
}

// begin makes room: an empty app has an organization of its own, which the backup brings; a snapshot's is looked up.
func (rs *restore) begin() error {
	if rs.h.Everything() {
		_, err := rs.tx.Exec(rs.ctx, `/* every organization: those of an app that nobody has used */ delete from organizations`)
		if err == nil {
			_, err = rs.tx.Exec(rs.ctx, `delete from people`)
		}
		return err
	}
	if rs.o.Organization == "" {
		rs.o.Organization = rs.h.Organization
	}
	var name string
	err := rs.tx.QueryRow(rs.ctx, `select name from organizations where id = $1 for key share`, rs.o.Organization).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Errorf(core.NotFound, "There is no organization %s here that could take the snapshot in. Name one: -organization ID.", rs.o.Organization)
	}
	if err != nil {
		return err
	}
	var there bool
	err = rs.tx.QueryRow(rs.ctx, `/* every organization: ids are unique over all */ select exists (select 1 from snapshots where id = $1)`, rs.h.Snapshot).Scan(&there)
	if err == nil && there {
		return core.Errorf(core.Conflict, "The snapshot “%s” is here already. Delete it first, or restore into another database.", rs.h.Name)
	}
	return err
}

func (rs *restore) part(p backupPart, data io.Reader) error {
	if p.Schema != "" && !snapshotID.MatchString(p.Schema) {
		return core.Errorf(core.Invalid, "This backup names a schema that is no snapshot's: %s.", p.Schema)
	}
	switch {
	case p.Kind == "schema":
		rs.done.Snapshots++
		return migrations.CreateSchemaAt(rs.ctx, rs.tx, p.Schema, p.Layout)
	case p.Kind == "sequence":
		schema := orText(p.Schema, "public")
		_, err := rs.tx.Exec(rs.ctx, `select setval($1::regclass, $2, $3)`, ident(schema, p.Table), p.Last, p.Called)
		return err
	case p.Kind != "rows":
		return core.Errorf(core.Invalid, "This backup holds something that this version of the app does not know: %s.", p.Kind)
	}
	rs.done.Tables++
	switch {
	case p.Schema == "" && !rs.h.Everything():
		return rs.controlRows(p, data)
	case p.Schema == "":
		return rs.copy(ident("public", p.Table), p, data)
	case !strings.HasPrefix(p.Table, "_"):
		if err := rs.makeDataTable(p); err != nil {
			return err
		}
	}
	return rs.copy(ident(p.Schema, p.Table), p, data)
}

var (
	snapshotID   = regexp.MustCompile(`^snp_[a-z0-9]+$`)
	physicalName = regexp.MustCompile(`^c[0-9]+$`)
)

// storedTypes are the types that a column of a data table may have.
var storedTypes = []string{"text", "numeric", "boolean", "date", "timestamp with time zone", "timestamp without time zone", "jsonb", "text[]"}

func (rs *restore) makeDataTable(p backupPart) error {
	var columns []string
	for _, c := range p.Columns {
		if strings.HasPrefix(c.Name, "_") {
			continue // every data table has them
		}
		if !physicalName.MatchString(c.Name) || !slices.Contains(storedTypes, c.Type) {
			return core.Errorf(core.Invalid, "This backup has a column that no snapshot can have: %s %s.", c.Name, c.Type)
		}
		columns = append(columns, ident(c.Name)+" "+c.Type)
	}
	return makeDataTable(rs.ctx, rs.tx, p.Schema, p.Table, columns)
}

func (rs *restore) copy(table string, p backupPart, data io.Reader) error {
	from := &heard{from: data}
	tag, err := rs.tx.Conn().PgConn().CopyFrom(rs.ctx, from, "copy "+table+" ("+columnList(p.Columns)+") from stdin")
	rs.done.Rows += tag.RowsAffected()
	if from.err != nil {
		return from.err // the server only says that it was told to stop
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", table, err)
	}
	return nil
}

// heard remembers the failure of a reader.
type heard struct {
	from io.Reader
	err  error
}

// Read reads on.
func (h *heard) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		h.err = err
	}
	return n, err
}

// controlRows brings what the control tables hold of one snapshot into the organization that takes it.
func (rs *restore) controlRows(p backupPart, data io.Reader) error {
	if !slices.ContainsFunc(snapshotParts, func(s struct{ table, rows string }) bool { return s.table == p.Table }) {
		return core.Errorf(core.Invalid, "This backup of a snapshot holds rows of %s.", p.Table)
	}
	temp := ident("_restored_" + p.Table)
	if _, err := rs.tx.Exec(rs.ctx, `create temp table `+temp+` (like `+ident("public", p.Table)+` including defaults) on commit drop`); err != nil {
		return fmt.Errorf("restore %s: %w", p.Table, err)
	}
	if err := rs.copy(temp, p, data); err != nil {
		return err
	}
	if p.Table == "connections" {
		if err := rs.connections(temp); err != nil {
			return err
		}
	}
	if _, err := rs.tx.Exec(rs.ctx, `update `+temp+` set org_id = $1`, rs.o.Organization); err != nil {
		return fmt.Errorf("restore %s: %w", p.Table, err)
	}
	_, err := rs.tx.Exec(rs.ctx, `insert into `+ident("public", p.Table)+` (`+columnList(p.Columns)+`) /* every organization: all of these rows have the one that takes them */
		select `+columnList(p.Columns)+` from `+temp)
	if err != nil {
		return fmt.Errorf("restore %s: %w", p.Table, err)
	}
	return nil
}

// connections leaves those out that the organization has, and binds the credentials of the others to it.
func (rs *restore) connections(temp string) error {
	org := rs.o.Organization
	rows, err := rs.tx.Query(rs.ctx, `delete from `+temp+` r using public.connections c where c.org_id = $1 and c.id = r.id returning c.name`, org)
	if err != nil {
		return fmt.Errorf("restore connections: %w", err)
	}
	if rs.done.Here, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return fmt.Errorf("restore connections: %w", err)
	}
	if _, err := rs.tx.Exec(rs.ctx, `update `+temp+` set sample = false where exists (select 1 from public.connections c where c.org_id = $1 and c.sample)`, org); err != nil {
		return fmt.Errorf("restore connections: %w", err)
	}
	list, err := rs.sealed(temp, "secrets", "org_id", "name")
	if err != nil {
		return err
	}
	for _, s := range list {
		plain, err := rs.o.Box.Unseal(s.Sealed, s.Org, "connections", s.ID)
		if err != nil {
			continue // it is looked at once more when all is here
		}
		again, err := rs.o.Box.Seal(plain, org, "connections", s.ID)
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		if _, err := rs.tx.Exec(rs.ctx, `update `+temp+` set secrets = $2 where id = $1`, s.ID, again); err != nil {
			return fmt.Errorf("restore connections: %w", err)
		}
	}
	return nil
}

type sealedRow struct {
	ID, Org, Name string
	Sealed        []byte
}

func (rs *restore) sealed(table, column, org, name string) ([]sealedRow, error) {
	rows, err := rs.tx.Query(rs.ctx, `/* every organization: each has credentials */ select id, `+org+`, `+name+`, `+ident(column)+` from `+table+` where `+ident(column)+` is not null order by id`)
	if err != nil {
		return nil, fmt.Errorf("sealed: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
}

// checkSealed opens everything that is sealed. What the key does not open is named, and left out where that is wanted.
func (rs *restore) checkSealed() error {
	for _, c := range SealedColumns {
		if there, err := hasTable(rs.ctx, rs.tx, c.Table); err != nil {
			return err
		} else if !there {
			continue
		}
		list, err := rs.sealed(ident("public", c.Table), c.Column, c.Org, c.Name)
		if err != nil {
			return err
		}
		for _, s := range list {
			if _, err := rs.o.Box.Unseal(s.Sealed, s.Org, c.Table, s.ID); err == nil {
				continue
			}
			rs.done.Unreadable = append(rs.done.Unreadable, s.Name)
			if err := rs.leaveOut(c.Table, s.ID); err != nil {
				return err
			}
		}
	}
	if len(rs.done.Unreadable) > 0 && !rs.o.WithoutCredentials {
		return core.Errorf(core.Unavailable, "The key of the credentials does not open these: %s. Nothing was restored. Give it the old machine's key (SECRETS_KEY, SECRETS_KEY_FILE, or secrets-key.json in DATA_DIR), or restore with -without-credentials and type them anew.",
			strings.Join(rs.done.Unreadable, ", "))
	}
	return rs.leaveKeysOut()
}

// leaveKeysOut takes the keys of a backup away that the operator's key does not open: nothing is left that they seal.
func (rs *restore) leaveKeysOut() error {
	if there, err := hasTable(rs.ctx, rs.tx, "secret_keys"); err != nil || !there || rs.o.Opens == nil || !rs.h.Everything() {
		return err
	}
	kept, err := wrappedKeys(rs.ctx, rs.tx)
	if err != nil {
		return err
	}
	for _, w := range kept {
		if rs.o.Opens(w) == nil {
			continue
		}
		if _, err := rs.tx.Exec(rs.ctx, `delete from secret_keys where id = $1`, w.ID); err != nil {
			return fmt.Errorf("leave key out: %w", err)
		}
	}
	return nil
}

// CheckKey says before anything is done with it that a key is not the one of this database: it does not open what was sealed last. Codes:
// Unavailable.
func CheckKey(ctx context.Context, q querier, box Sealer) error {
	var s sealedRow
	err := q.QueryRow(ctx, `/* every organization: the key is the program's, not theirs */
		select id, org_id, name, secrets from connections where secrets is not null order by created_at desc, id limit 1`).Scan(&s.ID, &s.Org, &s.Name, &s.Sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return mapError(err)
	}
	if _, err := box.Unseal(s.Sealed, s.Org, "connections", s.ID); err != nil {
		return core.Wrap(err, core.Unavailable, "The key of the credentials is another one than this database's: it does not open those of “%s”. Every process needs the same key: SECRETS_KEY_FILE, SECRETS_KEY, or secrets-key.json in DATA_DIR.", s.Name)
	}
	return nil
}

// leaveOut takes away what the key does not open.
func (rs *restore) leaveOut(table, id string) error {
	sql := `/* every organization: the key opens nobody's */ delete from ` + ident("public", table) + ` where id = $1`
	if table == "connections" {
		sql = `/* every organization: the key opens nobody's */ update connections set secrets = null, health = 'failing',
			health_words = 'The credentials were not restored: type them again.' where id = $1`
	}
	if table == "second_factors" { // not the row: their password alone would let people in; recovery codes do
		sql = `update second_factors set secret = null where id = $1`
	}
	_, err := rs.tx.Exec(rs.ctx, sql, id)
	return err
}

// endJobs ends the jobs that were open when the backup was made: nobody knows what of them happened since. What a publish was sending is
// for a person to look at.
func (rs *restore) endJobs() error {
	if !rs.h.Everything() {
		return nil
	}
	rows, err := rs.tx.Query(rs.ctx, `/* every organization: a backup of everything */
		update jobs set state = 'failed', owner = '', lease_until = null, not_before = null, waiting_for = '', finished_at = now(),
			error = jsonb_build_object('code', 'conflict', 'sentence', 'This was not done when the backup was made that was restored. Start it again.')
		where state in ('queued', 'running', 'waiting') returning id, coalesce(snapshot_id, ''), kind`)
	if err != nil {
		return fmt.Errorf("end jobs: %w", err)
	}
	type open struct{ ID, Snapshot, Kind string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[open])
	if err != nil {
		return fmt.Errorf("end jobs: %w", err)
	}
	rs.done.Ended = int64(len(list))
	for _, j := range list {
		if j.Kind != "publish" {
			continue
		}
		if err := endPlanOf(rs.ctx, rs.tx, Job{ID: j.ID, Snapshot: j.Snapshot}); err != nil {
			return err
		}
	}
	return nil
}

// endDeliveries ends what webhooks were still to be told when the backup was made: it may have been told since.
func (rs *restore) endDeliveries() error {
	if there, err := hasTable(rs.ctx, rs.tx, "webhook_deliveries"); err != nil || !there || !rs.h.Everything() {
		return err
	}
	_, err := rs.tx.Exec(rs.ctx, `/* every organization: a backup of everything */
		update webhook_deliveries set state = 'failed', next_at = null, claimed_until = null, ended_at = clock_timestamp(), words = 'This waited when the backup was made that was restored.'
		where state = 'waiting'`)
	if err != nil {
		return fmt.Errorf("end deliveries: %w", err)
	}
	return nil
}
