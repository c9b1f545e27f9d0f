package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
	"scratchpaper/migrations"
)

// fillFactor leaves room on each page so that a whole-column change stays on it (measured: at 45 all updates are HOT).
const fillFactor = 45

// Snapshots gives the organization's snapshots with their tables (without columns), newest first.
func (s *Store) Snapshots(ctx context.Context, by core.Actor) ([]Snapshot, error) {
	rows, err := s.pool.Query(ctx, `
		select id, name, created_by, created_at from snapshots
		where org_id = $1 and ($2 = '' or id = $2) and archived_at is null order by created_at desc, id`, by.Org, by.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanSnapshot)
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	tables, err := selectTables(ctx, s.pool, "org_id = $1", by.Org)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i := range list {
		at[list[i].ID] = i
	}
	for _, t := range tables {
		if i, ok := at[t.Snapshot]; ok {
			list[i].Tables = append(list[i].Tables, t)
		}
	}
	return list, nil
}

// WithColumns gives the columns of the tables of some snapshots, as Snapshots gave them.
func (s *Store) WithColumns(ctx context.Context, by core.Actor, list []Snapshot) error {
	var all []Table
	for _, sn := range list {
		all = append(all, sn.Tables...)
	}
	if err := fillColumns(ctx, s.pool, by.Org, all); err != nil {
		return err
	}
	for i := range list {
		n := len(list[i].Tables)
		list[i].Tables, all = all[:n:n], all[n:]
	}
	return nil
}

func scanSnapshot(row pgx.CollectableRow) (Snapshot, error) {
	var sn Snapshot
	err := row.Scan(&sn.ID, &sn.Name, &sn.CreatedBy, &sn.CreatedAt)
	sn.Schema = sn.ID
	return sn, err
}

// SnapshotByID gives one snapshot with its tables and their columns; one of an older layout is brought forward first. Codes:
// NotFound, Conflict (a newer program made it).
func (s *Store) SnapshotByID(ctx context.Context, by core.Actor, id string) (Snapshot, error) {
	if err := by.Within(id); err != nil {
		return Snapshot{}, err
	}
	sn := Snapshot{Schema: id}
	var layout int
	err := s.pool.QueryRow(ctx, `select id, name, created_by, created_at, layout from snapshots where org_id = $1 and id = $2`, by.Org, id).
		Scan(&sn.ID, &sn.Name, &sn.CreatedBy, &sn.CreatedAt, &layout)
	if err != nil {
		return Snapshot{}, mapError(err)
	}
	if err := s.openLayout(ctx, by.Org, id, layout); err != nil {
		return Snapshot{}, err
	}
	sn.Tables, err = s.Tables(ctx, by, id)
	return sn, err
}

// HasSnapshot gives an error unless the organization has the snapshot. Codes: NotFound.
func (s *Store) HasSnapshot(ctx context.Context, by core.Actor, id string) error {
	if err := by.Within(id); err != nil {
		return err
	}
	var found bool
	err := s.pool.QueryRow(ctx, `select true from snapshots where org_id = $1 and id = $2`, by.Org, id).Scan(&found)
	return mapError(err)
}

// Tables gives a snapshot's tables with columns, in order.
func (s *Store) Tables(ctx context.Context, by core.Actor, snapshot string) ([]Table, error) {
	if err := by.Within(snapshot); err != nil {
		return nil, err
	}
	tables, err := selectTables(ctx, s.pool, "org_id = $1 and snapshot_id = $2", by.Org, snapshot)
	if err != nil {
		return nil, err
	}
	return tables, fillColumns(ctx, s.pool, by.Org, tables)
}

// TableByID gives one table with its columns. Codes: NotFound.
func (s *Store) TableByID(ctx context.Context, by core.Actor, ref TableRef) (Table, error) {
	if err := by.Within(ref.Snapshot); err != nil {
		return Table{}, err
	}
	rows, err := s.pool.Query(ctx, "select "+columnsMark+", "+tableColumns+" from tables where org_id = $1 and snapshot_id = $2 and id = $3", by.Org, ref.Snapshot, ref.Table)
	if err != nil {
		return Table{}, mapError(fmt.Errorf("table: %w", err))
	}
	var mark string
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Table, error) { return scanTable(row, &mark) })
	if err == nil && len(tables) == 0 {
		err = noTable()
	}
	if err != nil {
		return Table{}, mapError(err)
	}
	t := tables[0]
	if columns, ok := s.columns.get(t.ID, mark); ok {
		t.Columns = columns
		return t, nil
	}
	columns, marks, err := columnsOf(ctx, s.pool, by.Org, []string{t.ID})
	if err != nil {
		return t, mapError(err)
	}
	t.Columns = slices.Clip(columns) // who appends gets a copy
	s.columns.put(t.ID, t.Columns, marks)
	return t, nil
}

func noTable() error { return core.Errorf(core.NotFound, "This table is not here (any more).") }

func tableTx(ctx context.Context, q querier, by core.Actor, ref TableRef) (Table, error) {
	if err := by.Within(ref.Snapshot); err != nil {
		return Table{}, err
	}
	tables, err := selectTables(ctx, q, "org_id = $1 and snapshot_id = $2 and id = $3", by.Org, ref.Snapshot, ref.Table)
	if err != nil {
		return Table{}, err
	}
	if len(tables) == 0 {
		return Table{}, noTable()
	}
	return tables[0], fillColumns(ctx, q, by.Org, tables)
}

// tableColumns are what scanTable reads of a row of tables.
const tableColumns = `id, org_id, snapshot_id, coalesce(connection_id, ''), remote_id, title, slug, physical, source, position,
	writable, creatable, deletable, why_not, why_no_new, why_no_del, versioned, remote, version,
	records, edits, created, deleted, suggestions, conflicts, problems, downloaded_at, description, schema_found is not null`

// scanTable reads tableColumns, behind what goes into before.
func scanTable(row pgx.CollectableRow, before ...any) (Table, error) {
	var t Table
	c := &t.Counts
	err := row.Scan(append(before, &t.ID, &t.Org, &t.Snapshot, &t.Connection, &t.RemoteID, &t.Title, &t.Slug, &t.Physical, &t.Source, &t.Position,
		&t.Writable, &t.Creatable, &t.Deletable, &t.WhyNot, &t.WhyNoNew, &t.WhyNoDel, &t.Versioned, (*[]byte)(&t.Remote), &t.Version,
		&c.Records, &c.Edits, &c.Created, &c.Deleted, &c.Suggestions, &c.Conflicts, &c.Problems, &t.DownloadedAt,
		&t.Description, &t.SchemaFound)...)
	t.Schema = t.Snapshot
	return t, err
}

func selectTables(ctx context.Context, q querier, where string, args ...any) ([]Table, error) {
	rows, err := q.Query(ctx, `select `+tableColumns+` from tables where `+where+` order by snapshot_id, position, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Table, error) { return scanTable(row) })
}

func fillColumns(ctx context.Context, q querier, org string, tables []Table) error {
	if len(tables) == 0 {
		return nil
	}
	ids := make([]string, len(tables))
	at := map[string]int{}
	for i, t := range tables {
		ids[i], at[t.ID] = t.ID, i
	}
	cols, _, err := columnsOf(ctx, q, org, ids)
	for _, c := range cols {
		t := &tables[at[c.Table]]
		t.Columns = append(t.Columns, c)
	}
	return err
}

// columnsOf gives the columns of some tables in the order in which they are shown, with a mark of each.
func columnsOf(ctx context.Context, q querier, org string, tables []string) (columns []core.Column, marks []string, err error) {
	rows, err := q.Query(ctx, `
		select `+columnMark+`, number, table_id, slug, title, remote_id, physical, type, options, source, writable, insert_only, why_not, position, width,
			description, locks, filled, anchor, gone
		from columns c where org_id = $1 and table_id = any($2) order by table_id, position, number`, org, tables)
	if err != nil {
		return nil, nil, fmt.Errorf("columns: %w", err)
	}
	columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (core.Column, error) {
		var c core.Column
		var mark string
		err := row.Scan(&mark, &c.Number, &c.Table, &c.Slug, &c.Title, &c.RemoteID, &c.Physical, &c.Type, &c.Options, &c.Source,
			&c.Writable, &c.InsertOnly, &c.WhyNot, &c.Position, &c.Width, &c.Description, &c.Locks, &c.Filled, &c.Anchor, &c.Gone)
		marks = append(marks, mark)
		return c.Applied(), err
	})
	return columns, marks, err
}

// CreateSnapshot makes a snapshot with empty tables and the job that downloads them, in one transaction. Codes: Invalid,
// Forbidden, NotFound (a connection).
func (s *Store) CreateSnapshot(ctx context.Context, by core.Actor, n NewSnapshot) (Snapshot, Job, error) {
	return s.createSnapshot(ctx, by, n, func(id string, tables []string) (NewJob, error) {
		args, err := json.Marshal(map[string]any{"snapshot": id, "tables": tables})
		return NewJob{Kind: "download", Snapshot: id, Connection: n.Tables[0].Connection, Label: "Download " + n.Name, Args: args}, err
	})
}

// createSnapshot makes the snapshot and the job that fills it, in one transaction.
func (s *Store) createSnapshot(ctx context.Context, by core.Actor, n NewSnapshot, with func(id string, tables []string) (NewJob, error)) (Snapshot, Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Snapshot{}, Job{}, err
	}
	if err := n.check(); err != nil {
		return Snapshot{}, Job{}, err
	}
	if job, done, err := s.doneJob(ctx, by); err != nil || done {
		return s.withSnapshot(ctx, by, job, err)
	}
	var job Job
	id := core.NewID("snp")
	err := s.tx(atPoint(ctx, "snapshot"), by, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into snapshots (id, org_id, name, layout, created_by) values ($1, $2, $3, $4, $5)`,
			id, by.Org, n.Name, migrations.Layout, by.Name)
		if err != nil {
			return fmt.Errorf("insert snapshot: %w", err)
		}
		if err := migrations.CreateSchema(ctx, tx, id); err != nil {
			return err
		}
		tables, err := addTables(ctx, tx, by, id, n.Tables)
		if err != nil {
			return err
		}
		fill, err := with(id, tables)
		if err != nil {
			return fmt.Errorf("job args: %w", err)
		}
		if job, err = s.EnqueueTx(ctx, tx, by, fill); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", job.ID)
	})
	if err != nil {
		return Snapshot{}, Job{}, err
	}
	s.Wake(ctx, job.ID)
	s.hintJob(ctx, job)
	return s.withSnapshot(ctx, by, job, nil)
}

func (s *Store) withSnapshot(ctx context.Context, by core.Actor, job Job, err error) (Snapshot, Job, error) {
	if err != nil {
		return Snapshot{}, Job{}, err
	}
	sn, err := s.SnapshotByID(ctx, by, job.Snapshot)
	return sn, job, err
}

func (n *NewSnapshot) check() error {
	n.Name = strings.TrimSpace(n.Name)
	switch {
	case n.Name == "":
		return core.FieldErrorf("/name", "Give the snapshot a name.")
	case len(n.Name) > 200:
		return core.FieldErrorf("/name", "The name takes at most 200 characters.")
	case len(n.Tables) == 0:
		return core.FieldErrorf("/tables", "Choose at least one table.")
	}
	return checkTables(n.Tables)
}

func checkTables(list []NewTable) error {
	type remote struct{ connection, id string }
	seen := map[remote]bool{}
	for i, t := range list {
		if len(t.Columns) == 0 {
			return core.FieldErrorf(fmt.Sprintf("/tables/%d/columns", i), "Choose at least one column of %s.", t.Title)
		}
		if len(t.Columns) > MaxColumns {
			return tooManyColumns(i, t.Title, len(t.Columns))
		}
		r := remote{t.Connection, t.RemoteID}
		if seen[r] && t.Source == core.Remote {
			return core.FieldErrorf(fmt.Sprintf("/tables/%d", i), "%s is named twice.", t.Title)
		}
		seen[r] = true
	}
	return nil
}

func tooManyColumns(i int, title string, n int) error {
	return core.FieldErrorf(fmt.Sprintf("/tables/%d/columns", i), "A table takes at most %d columns; %s has %d.", MaxColumns, title, n)
}

// MaxColumns keeps a row below Postgres' 1,600 columns and one page of pointers, with room for columns whose type changes.
const MaxColumns = 500

func addTables(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot string, list []NewTable) ([]string, error) {
	total := 0
	for _, n := range list {
		total += len(n.Columns)
	}
	number, err := reserveColumns(ctx, tx, by.Org, snapshot, total)
	if err != nil {
		return nil, err
	}
	var position int
	err = tx.QueryRow(ctx, `select count(*) from tables where org_id = $1 and snapshot_id = $2`, by.Org, snapshot).Scan(&position)
	if err != nil {
		return nil, fmt.Errorf("count tables: %w", err)
	}
	taken, err := tableSlugs(ctx, tx, by.Org, snapshot)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(list))
	for i, n := range list {
		ids[i] = core.NewID("tbl")
		slug := expr.Slug(n.Title, taken)
		taken[slug] = true
		if err := insertTable(ctx, tx, by, snapshot, ids[i], slug, position+i, n); err != nil {
			return nil, err
		}
		place := columnPlace{table: ids[i], number: number, source: core.Remote, filled: true}
		if n.Source == core.File {
			place.source = core.File
		}
		if err := insertColumns(ctx, tx, by.Org, snapshot, place, n.Columns); err != nil {
			return nil, err
		}
		number += len(n.Columns)
		if err := createDataTable(ctx, tx, snapshot, ids[i], by.Org); err != nil {
			return nil, err
		}
	}
	return ids, linkTargets(ctx, tx, by.Org, snapshot)
}

// linkTargets lets references point to their tables, where these are in the snapshot from the same connection.
func linkTargets(ctx context.Context, tx pgx.Tx, org, snapshot string) error {
	_, err := tx.Exec(ctx, `update columns c set options = c.options || jsonb_build_object('target_table', target.id)
		from tables t join tables target on target.org_id = t.org_id and target.snapshot_id = t.snapshot_id and target.connection_id = t.connection_id
		where c.org_id = $1 and c.snapshot_id = $2 and t.org_id = c.org_id and t.id = c.table_id and target.remote_id = c.options ->> 'target'
			and c.options ->> 'target_table' is distinct from target.id`, org, snapshot)
	if err != nil {
		return fmt.Errorf("link references: %w", err)
	}
	return nil
}

// reserveColumns takes so many numbers of columns for ever, and gives the first.
func reserveColumns(ctx context.Context, tx pgx.Tx, org, snapshot string, total int) (int, error) {
	var next int
	err := tx.QueryRow(ctx, `update snapshots set next_column = next_column + $3 where org_id = $1 and id = $2 returning next_column`,
		org, snapshot, total).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("reserve columns: %w", err)
	}
	return next - total, nil
}

func tableSlugs(ctx context.Context, tx pgx.Tx, org, snapshot string) (map[string]bool, error) {
	rows, err := tx.Query(ctx, `select slug from tables where org_id = $1 and snapshot_id = $2`, org, snapshot)
	if err != nil {
		return nil, fmt.Errorf("table slugs: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	taken := map[string]bool{}
	for _, sl := range list {
		taken[sl] = true
	}
	return taken, err
}

func insertTable(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot, id, slug string, position int, n NewTable) error {
	if n.Remote == nil {
		n.Remote = json.RawMessage("{}")
	}
	var connection *string
	if n.Connection != "" {
		connection = &n.Connection
	}
	_, err := tx.Exec(ctx, `
		insert into tables (id, org_id, snapshot_id, connection_id, remote_id, title, slug, physical, source, position,
			writable, creatable, deletable, why_not, why_no_new, why_no_del, versioned, remote)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		id, by.Org, snapshot, connection, n.RemoteID, n.Title, slug, id, n.Source, position,
		n.Writable, n.Creatable, n.Deletable, n.WhyNot, n.WhyNoNew, n.WhyNoDel, n.Versioned, n.Remote)
	if err != nil {
		return fmt.Errorf("insert table: %w", err)
	}
	return nil
}

// columnPlace says where columns go: behind the columns that the table has.
type columnPlace struct {
	table    string
	number   int // of the first
	position int
	taken    map[string]bool // slugs
	source   core.Source
	filled   bool
}

func insertColumns(ctx context.Context, tx pgx.Tx, org, snapshot string, p columnPlace, cols []NewColumn) error {
	if p.taken == nil {
		p.taken = map[string]bool{}
	}
	batch := &pgx.Batch{}
	for i, c := range cols {
		slug := expr.Slug(c.Title, p.taken)
		p.taken[slug] = true
		batch.Queue(`
			insert into columns (org_id, snapshot_id, table_id, number, slug, title, remote_id, physical, type, options, source,
				writable, insert_only, why_not, position, filled, anchor)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
			org, snapshot, p.table, p.number+i, slug, c.Title, c.RemoteID, "c"+strconv.Itoa(p.number+i), c.Type, c.Options, p.source,
			c.Writable, c.InsertOnly, c.WhyNot, p.position+i, p.filled, c.Anchor)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("insert columns: %w", err)
	}
	return nil
}

func createDataTable(ctx context.Context, tx pgx.Tx, snapshot, id, org string) error {
	t, err := tableTx(ctx, tx, core.System(org), TableRef{snapshot, id})
	if err != nil {
		return err
	}
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, ident(c.Physical)+" "+physicalType(c.Type))
	}
	return makeDataTable(ctx, tx, t.Schema, t.Physical, columns)
}

// makeDataTable makes the table of a snapshot's table with its content columns, which are given as SQL.
func makeDataTable(ctx context.Context, tx pgx.Tx, schema, name string, columns []string) error {
	own := []string{fmt.Sprintf("_id bigint primary key default nextval('%s')", strings.ReplaceAll(ident(schema, "_record_id"), "'", "''")), "_remote_id text unique", "_base jsonb",
		"_state smallint not null default 0", "_conflict jsonb", "_raw jsonb", "_remote_version text"}
	_, err := tx.Exec(ctx, fmt.Sprintf("create table %s (%s) with (fillfactor = %d)", ident(schema, name), strings.Join(append(own, columns...), ", "), fillFactor))
	if err != nil {
		return fmt.Errorf("create data table: %w", err)
	}
	return nil
}

// RenameSnapshot gives a snapshot another name. Codes: Invalid, Forbidden, NotFound.
func (s *Store) RenameSnapshot(ctx context.Context, by core.Actor, id, name string) error {
	if err := by.Require(core.Editor); err != nil {
		return err
	}
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 200 {
		return core.FieldErrorf("/name", "Give the snapshot a name of at most 200 characters.")
	}
	tag, err := s.pool.Exec(ctx, `update snapshots set name = $3 where org_id = $1 and id = $2`, by.Org, id, name)
	if err != nil {
		return fmt.Errorf("rename snapshot: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return core.Errorf(core.NotFound, "This snapshot is not here (any more).")
	}
	return nil
}

// DeleteSnapshot removes a snapshot with its rows and history. Nothing happens at the service. Codes: Forbidden, NotFound,
// Conflict (a job is running on it).
func (s *Store) DeleteSnapshot(ctx context.Context, by core.Actor, id string) error {
	if err := by.Require(core.Publisher); err != nil {
		return err
	}
	return s.tx(atPoint(ctx, "snapshot.delete"), by, func(tx pgx.Tx) error {
		var running int
		err := tx.QueryRow(ctx, `select count(*) from jobs where org_id = $1 and snapshot_id = $2 and state in ('queued', 'running', 'waiting')`,
			by.Org, id).Scan(&running)
		if err != nil {
			return fmt.Errorf("count jobs: %w", err)
		}
		if running > 0 {
			return core.Errorf(core.Conflict, "A job is still running on this snapshot. Cancel it first, or wait for its end.")
		}
		tag, err := tx.Exec(ctx, `delete from snapshots where org_id = $1 and id = $2`, by.Org, id)
		if err != nil {
			return fmt.Errorf("delete snapshot: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return core.Errorf(core.NotFound, "This snapshot is not here (any more).")
		}
		_, err = tx.Exec(ctx, "set local lock_timeout = '"+dropLockTimeout+"'; drop schema if exists "+ident(id)+" cascade")
		return err
	})
}

// dropLockTimeout is how long the removal of a snapshot waits for a table. Postgres' own vacuum, which looks at a table as soon as it
// is filled, gives way after deadlock_timeout, a second, so with a person's second the removal sometimes failed.
const dropLockTimeout = "5s"

// lockTable takes the table's lock: batches have one order, and versions are committed in it. It gives the version.
func lockTable(ctx context.Context, tx pgx.Tx, t Table) (int64, error) {
	var v int64
	err := tx.QueryRow(ctx, `select version from tables where org_id = $1 and id = $2 for no key update`, t.Org, t.ID).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("lock table: %w", err)
	}
	return v, nil
}

// countsDelta is what a batch adds to a table's counts.
type countsDelta struct{ Records, Edits, Created, Deleted, Suggestions, Conflicts, Problems int64 }

// bump raises the table's version and adds to its counts (an unknown count stays unknown). The lock must be held.
func bump(ctx context.Context, tx pgx.Tx, t Table, d countsDelta) (int64, error) {
	var v int64
	err := tx.QueryRow(ctx, `
		update tables set version = version + 1, records = records + $3, edits = edits + $4, created = created + $5, deleted = deleted + $6,
			suggestions = suggestions + $7, conflicts = conflicts + $8, problems = problems + $9
		where org_id = $1 and id = $2 returning version`,
		t.Org, t.ID, d.Records, d.Edits, d.Created, d.Deleted, d.Suggestions, d.Conflicts, d.Problems).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("bump version: %w", err)
	}
	return v, nil
}
