package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scratchpaper/internal/core"
)

// RemoteRecord is a record as the service gave it; values are in the order of the asked columns.
type RemoteRecord struct {
	ID      string
	Version string
	Values  []core.Value
}

// PageMerge is one page of a download, a refresh or an import.
type PageMerge struct {
	Table      Table
	Columns    []core.Column // of Values, in order
	Records    []RemoteRecord
	First      bool     // the table is being filled: there is nothing to merge with
	Label      string   // as the history shows it; "" is "Download" for First, else "Refresh"
	Repeats    bool     // First: a page before held records that were here already, so this one may too
	Into       int64    // First: the batch of the pages before, 0 for the first one
	Seen       []string // refresh: the ids that the service's page held; nil means those of Records
	Page       int      // refresh: number of the page in this job and table
	Checkpoint any      // of the job, kept in the same transaction; a func(MergeCounts) any is given what the page did
}

// MergeCounts say what a page did, by records.
type MergeCounts struct {
	New       int64         `json:"new"`
	Changed   int64         `json:"changed"`
	Deleted   int64         `json:"deleted"`
	Conflicts int64         `json:"conflicts"`
	Batch     int64         `json:"-"` // in the history; 0 when nothing changed
	Held      time.Duration `json:"-"` // how long the table was locked
	Repeats   bool          `json:"-"` // a first page held records that were here already, or twice
}

// MergePage brings a page into the table, with the job's checkpoint, in one transaction. A refresh merges three ways: clean
// cells take the service's value, edits stay, a field changed on both sides becomes a conflict. Records that wait to be
// created or are still proposed are never touched. Codes: NotFound (the table is gone), Conflict (ErrLeaseLost).
func (s *Store) MergePage(ctx context.Context, j *Job, m PageMerge) (MergeCounts, error) {
	var c MergeCounts
	var began time.Time
	n := newBatch{Kind: "refresh", Label: orText(m.Label, "Refresh")}
	if m.First {
		n = newBatch{Kind: "download", Label: orText(m.Label, "Download"), Into: m.Into}
	}
	_, err := s.inBatch(ctx, j.Actor(), m.Table.Ref(), n, func(b *batchTxn) error {
		c, began = MergeCounts{}, time.Now()
		if err := b.takePage(ctx, j, m, &c); err != nil {
			return err
		}
		return s.checkpointAfter(ctx, b, j, m.Checkpoint, &c)
	})
	c.Held = time.Since(began)
	return c, misfitError(m.Table, err)
}

// HoldsType says whether a column of one type can hold the values of another as they are.
func HoldsType(column, values core.ColumnType) bool {
	return physicalType(column) == physicalType(values)
}

// misfitError says what Postgres means by a value that cannot be read as its column's type.
func misfitError(t Table, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.HasPrefix(pg.Code, "22") {
		return core.Wrap(err, core.Conflict, "A value of %s does not fit its column any more: %s. Nothing of its page was taken.", t.Title, pg.Message)
	}
	return err
}

func (b *batchTxn) takePage(ctx context.Context, j *Job, m PageMerge, c *MergeCounts) error {
	if !m.First {
		if err := b.noteSeen(ctx, j, m); err != nil {
			return err
		}
	}
	if len(m.Records) == 0 {
		return nil
	}
	if m.First && !m.Repeats {
		if done, err := b.copyPage(ctx, m, c); err != nil || done {
			return err
		}
		c.Repeats = true
	}
	if err := b.stagePage(ctx, m); err != nil {
		return err
	}
	// A page is small beside its table: look its records up by index, whatever the planner's statistics say.
	if _, err := b.tx.Exec(ctx, "set local enable_hashjoin = off; set local enable_mergejoin = off"); err != nil {
		return fmt.Errorf("plan by index: %w", err)
	}
	if !m.First {
		if err := b.mergePage(ctx, m, c); err != nil {
			return err
		}
	}
	return b.insertPage(ctx, m, c)
}

// checkpointAfter keeps a job's checkpoint after what was done in a batch. A checkpoint that depends on that is a function.
func (s *Store) checkpointAfter(ctx context.Context, b *batchTxn, j *Job, checkpoint any, c *MergeCounts) error {
	if b.into || b.rows > 0 || b.cells > 0 {
		c.Batch = b.id
	}
	if fn, ok := checkpoint.(func(MergeCounts) any); ok {
		checkpoint = fn(*c)
	}
	return s.CheckpointTx(ctx, b.tx, j, checkpoint)
}

// createPage makes the temporary table of a page.
func (b *batchTxn) createPage(ctx context.Context, cols []core.Column) error {
	var ddl strings.Builder
	ddl.WriteString("create temporary table page (_n int, _remote_id text, _version text")
	for _, c := range cols {
		typ := "text"
		if c.Type.IsList() {
			typ = "text[]"
		}
		ddl.WriteString(", " + ident(c.Physical) + " " + typ)
	}
	ddl.WriteString(") on commit drop")
	if _, err := b.tx.Exec(ctx, ddl.String()); err != nil {
		return fmt.Errorf("stage page: %w", err)
	}
	return nil
}

// copyPage copies the records of a page straight into the table that is being filled. done is false when some of them are here
// already, or are in the page twice, or belong to creates that are not taken over yet: the page is to be merged then.
func (b *batchTxn) copyPage(ctx context.Context, m PageMerge, c *MergeCounts) (done bool, err error) {
	if coming, err := b.comingCreates(ctx); err != nil || len(coming) > 0 {
		return false, err
	}
	part, err := b.tx.Begin(ctx)
	if err != nil {
		return false, fmt.Errorf("begin page: %w", err)
	}
	n, err := copyText(ctx, part, dataTable(b.t), []string{"_remote_id", "_remote_version"}, m.Columns, len(m.Records), func(line []byte, i int) []byte {
		line = appendCopied(line, m.Records[i].ID, m.Records[i].ID == "")
		line = appendCopied(append(line, '\t'), m.Records[i].Version, m.Records[i].Version == "")
		return appendValues(line, m.Columns, m.Records[i].Values)
	})
	if isUnique(err) {
		return false, part.Rollback(ctx)
	}
	if err == nil {
		err = part.Commit(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("copy page: %w", err)
	}
	b.came(c, n)
	return true, nil
}

// came counts records that came into the table.
func (b *batchTxn) came(c *MergeCounts, n int64) {
	c.New = n
	b.rows += n
	b.delta.Records += n
	b.many = b.many || n > 0
}

func (b *batchTxn) stagePage(ctx context.Context, m PageMerge) error {
	if err := b.createPage(ctx, m.Columns); err != nil {
		return err
	}
	_, err := copyText(ctx, b.tx, "page", []string{"_n", "_remote_id", "_version"}, m.Columns, len(m.Records), func(line []byte, i int) []byte {
		line = strconv.AppendInt(line, int64(i), 10)
		line = appendCopied(append(line, '\t'), m.Records[i].ID, m.Records[i].ID == "")
		line = appendCopied(append(line, '\t'), m.Records[i].Version, m.Records[i].Version == "")
		return appendValues(line, m.Columns, m.Records[i].Values)
	})
	if err != nil {
		return fmt.Errorf("copy page: %w", err)
	}
	_, err = b.tx.Exec(ctx, "analyze page")
	return err
}

// stagedExpr gives the SQL of a staged value in the column's physical type.
func stagedExpr(c core.Column) string {
	if c.Type.IsText() || c.Type.IsList() {
		return "p." + ident(c.Physical)
	}
	return "p." + ident(c.Physical) + "::" + physicalType(c.Type)
}

func stagedCanonical(c core.Column) string {
	if c.Type == core.JSON {
		return "(case when p." + ident(c.Physical) + " is null then 'null'::jsonb else jsonb_build_array(p." + ident(c.Physical) + "::jsonb) end)"
	}
	return "coalesce(to_jsonb(" + stagedExpr(c) + "), 'null'::jsonb)"
}

// insertPage adds the records that are not here yet. One whose create was sent from here and is not taken over yet belongs to
// the record that waits for it.
func (b *batchTxn) insertPage(ctx context.Context, m PageMerge, c *MergeCounts) error {
	names, exprs := []string{"_remote_id", "_remote_version"}, []string{"p._remote_id", "p._version"}
	for _, col := range m.Columns {
		names, exprs = append(names, ident(col.Physical)), append(exprs, stagedExpr(col))
	}
	coming, err := b.comingCreates(ctx)
	if err != nil {
		return err
	}
	tag, err := b.tx.Exec(ctx, `insert into `+dataTable(b.t)+` (`+strings.Join(names, ", ")+`) select `+strings.Join(exprs, ", ")+` from page p
		where not exists (select 1 from `+dataTable(b.t)+` r where r._remote_id = p._remote_id) and (p._remote_id is null or p._remote_id <> all($1))
		order by p._n on conflict (_remote_id) do nothing`, dynamic, coming)
	if err != nil {
		return fmt.Errorf("insert page: %w", err)
	}
	b.came(c, tag.RowsAffected())
	return nil
}

// comingCreates gives the remote ids of creates that were sent and are not taken over yet.
func (b *batchTxn) comingCreates(ctx context.Context) ([]string, error) {
	rows, err := b.tx.Query(ctx, `select i.remote_id from `+companion(b.t, "_publish_items")+` i where i.table_id = $1 and i.remote_id is not null
		and i.op = 'create' and i.state in ('sending', 'published', 'unknown') and not i.ended and not i.merged`, dynamic, b.t.ID)
	if err != nil {
		return nil, fmt.Errorf("coming creates: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return append([]string{}, ids...), err // nil would be null, which is unequal to nothing
}

// EndDownload notes that a table, and of its columns those with some numbers, are complete, with the job's checkpoint, and
// forgets what a refresh has seen of it. The batches of a refresh's pages become one in the history. Codes: Conflict
// (ErrLeaseLost).
func (s *Store) EndDownload(ctx context.Context, j *Job, t Table, columns []int, batches []int64, checkpoint any) error {
	return s.tx(atPoint(ctx, "download.end"), j.Actor(), func(tx pgx.Tx) error {
		if err := joinBatches(ctx, tx, t, batches); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from `+companion(t, "_seen")+` where job_id = $1 and table_id = $2`, dynamic, j.ID, t.ID)
		if err != nil {
			return fmt.Errorf("forget seen: %w", err)
		}
		if _, err := tx.Exec(ctx, `update tables set downloaded_at = now() where org_id = $1 and id = $2`, t.Org, t.ID); err != nil {
			return fmt.Errorf("end download: %w", err)
		}
		_, err = tx.Exec(ctx, `update columns set filled = true where org_id = $1 and table_id = $2 and number = any($3) and not filled`, t.Org, t.ID, columns)
		if err != nil {
			return fmt.Errorf("end download of columns: %w", err)
		}
		return s.CheckpointTx(ctx, tx, j, checkpoint)
	})
}

// joinBatches makes one batch of several: the first takes over what the others did.
func joinBatches(ctx context.Context, tx pgx.Tx, t Table, ids []int64) error {
	if len(ids) < 2 {
		return nil
	}
	first, others, batches := ids[0], ids[1:], companion(t, "_batches")
	for _, sql := range []string{
		`update ` + companion(t, "_changes") + ` set batch = $1 where batch = any($2)`,
		`update ` + companion(t, "_suggestions") + ` set decided = $1 where decided = any($2)`,
		`update ` + batches + ` b set cells = b.cells + o.cells, records = b.records + o.records
			from (select coalesce(sum(cells), 0) as cells, coalesce(sum(records), 0) as records from ` + batches + ` where id = any($2)) o where b.id = $1`,
	} {
		if _, err := tx.Exec(ctx, sql, dynamic, first, others); err != nil {
			return fmt.Errorf("join batches: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, `delete from `+batches+` where id = any($1)`, dynamic, others); err != nil {
		return fmt.Errorf("join batches: %w", err)
	}
	return nil
}
