package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
)

// ImportInto says how an upload becomes suggestions in a table.
type ImportInto struct {
	Upload  string
	Dialect csvfile.Dialect
	Zone    string         // IANA name of the zone of date-times that name none; "" is UTC
	Columns []ImportColumn // how the file's columns are read; their titles and types do not count
	IntoTable
}

// IntoTable says where the columns of a file go in a table.
type IntoTable struct {
	Key        int   `json:"key"`         // number of the column that records are found by
	Targets    []int `json:"targets"`     // by column of the file the number of the table's column; 0 is left out
	Create     bool  `json:"create"`      // propose records for rows that match none
	SkipBlanks bool  `json:"skip_blanks"` // an empty field says nothing, instead of null
}

// KeyType says whether records can be found by values of a type.
func KeyType(t core.ColumnType) bool {
	return t.IsText() || t == core.Number || t == core.Date || t == core.DateTime || t == core.LocalTime
}

// StartImportInto makes the job that turns an upload into suggestions of a table, matched by a key column. Codes: NotFound (the
// table, the upload), Forbidden, Invalid.
func (s *Store) StartImportInto(ctx context.Context, by core.Actor, ref TableRef, n ImportInto) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	if job, done, err := s.doneJob(ctx, by); err != nil || done {
		return job, err
	}
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return Job{}, err
	}
	u, err := s.UploadByID(ctx, by, n.Upload)
	if err != nil {
		return Job{}, err
	}
	if err := n.check(t); err != nil {
		return Job{}, err
	}
	args, err := json.Marshal(ImportArgs{Snapshot: t.Snapshot, Table: t.ID, Upload: u.ID, File: u.Name, Dialect: n.Dialect, Zone: n.Zone, Columns: n.Columns, Into: &n.IntoTable})
	if err != nil {
		return Job{}, fmt.Errorf("job args: %w", err)
	}
	var job Job
	err = s.tx(atPoint(ctx, "job.new"), by, func(tx pgx.Tx) (err error) {
		if job, err = s.EnqueueTx(ctx, tx, by, NewJob{Kind: "import", Snapshot: t.Snapshot, Label: "Import " + u.Name + " into " + t.Title, Args: args, Upload: u.ID}); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", job.ID)
	})
	if err != nil {
		return Job{}, err
	}
	s.Wake(ctx, job.ID)
	s.hintJob(ctx, job)
	return job, nil
}

func (n ImportInto) check(t Table) error {
	if err := n.Dialect.Validate(); err != nil {
		return err
	}
	if _, err := time.LoadLocation(n.Zone); err != nil {
		return core.FieldErrorf("/zone", "There is no time zone %q.", cut(n.Zone, 60))
	}
	key, ok := t.Column(n.Key)
	if !ok || !KeyType(key.Type) {
		return core.FieldErrorf("/key", "Choose a column of texts, numbers or dates to find the records by.")
	}
	if !slices.Contains(n.Targets, n.Key) {
		return core.FieldErrorf("/key", "No column of the file goes to %s.", key.Title)
	}
	if len(n.Targets) > len(n.Columns) {
		return core.FieldErrorf("/columns", "The file has only %d columns.", len(n.Columns))
	}
	seen, gives := map[int]bool{}, false
	for i, number := range n.Targets {
		if number == 0 {
			continue
		}
		c, ok := t.Column(number)
		if !ok || seen[number] {
			return core.FieldErrorf(fmt.Sprintf("/columns/%d/column", i), "Two columns of the file go to the same column, or there is none such.")
		}
		seen[number], gives = true, gives || number != n.Key && (c.Writable || c.InsertOnly) || n.Create
	}
	if !gives {
		return core.FieldErrorf("/columns", "None of the file's columns goes to a column that can be changed.")
	}
	return nil
}

// MatchKeys says of values of a key column how many records hold each, up to two.
func (s *Store) MatchKeys(ctx context.Context, by core.Actor, ref TableRef, key int, values []core.Value) ([]int, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	c, ok := t.Column(key)
	if !ok || !KeyType(c.Type) {
		return nil, core.FieldErrorf("/key", "Choose a column of texts, numbers or dates to find the records by.")
	}
	texts := make([]*string, len(values))
	for i, v := range values {
		if text := storable(v.Text); !v.IsNull() && text != "" {
			texts[i] = &text
		}
	}
	cell := "r." + ident(c.Physical)
	rows, err := s.pool.Query(ctx, `select (select count(*) from (select 1 from `+dataTable(t)+` r where `+cell+` = v.value::`+physicalType(c.Type)+` and r._state in (0, 1) limit 2) x)::int
		from unnest($1::text[]) with ordinality v(value, n) order by v.n`, dynamic, texts)
	if err != nil {
		return nil, fmt.Errorf("match keys: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// IntoResult is what an import into a table came to, by rows of the file.
type IntoResult struct {
	Batch   string `json:"batch,omitempty"` // in the history; none when nothing is suggested
	Matched int64  `json:"matched"`
	Changed int64  `json:"changed"` // matched ones for which something is suggested
	New     int64  `json:"new"`     // proposed as records
	Skipped int64  `json:"skipped"`
	Cells   int64  `json:"cells"` // suggestions made, proposed records among them

	Why   map[string]int64 `json:"why"`             // of the skipped
	First []SkippedRow     `json:"first,omitempty"` // of the skipped
}

// SkippedRow names a row of a file that was skipped.
type SkippedRow struct {
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

// namedSkips is how many skipped rows are named one by one.
const namedSkips = 100

// skipReasons say why a row is skipped, by its fate.
var skipReasons = map[string]string{
	"no_key":   "There is no key in this row, or it does not fit its column.",
	"twice":    "A row before this one has the same key.",
	"several":  "Several records have this key.",
	"deleted":  "The record with this key is deleted here.",
	"proposed": "A record with this key is proposed already.",
	"new":      "No record has this key.",
}

// fatesSQL makes the temporary table that says what becomes of each staged row.
func (st Stage) fatesSQL(key core.Column) string {
	value, cell := stagedExpr(key), "r."+ident(key.Physical)
	if key.Type.IsText() {
		value, cell = "nullif("+value+", '')", "nullif("+cell+", '')"
	}
	return `create temporary table import_rows on commit drop as
		select p.n, p.line, m.id, case when p.key is null then 'no_key' when p.nth > 1 then 'twice' when m.alive > 1 then 'several' when m.alive = 1 then 'matched'
			when m.proposed then 'proposed' when m.deleted then 'deleted' else 'new' end as fate
		from (select p.n, p.line, k.key, row_number() over (partition by k.key order by p.n) as nth from ` + st.name() + ` p
			cross join lateral (select case when ` + strconv.Itoa(key.Number) + ` <> all(p.misfits) then ` + value + ` end as key) k) p
		left join (select ` + cell + ` as key, count(*) filter (where r._state in (0, 1)) as alive, min(r._id) filter (where r._state in (0, 1)) as id,
				bool_or(r._state = 3) as proposed, bool_or(r._state = 2) as deleted
			from ` + dataTable(st.table) + ` r where ` + cell + ` is not null group by 1) m on m.key = p.key`
}

// SuggestStaged makes the suggestions of all staged rows, as one batch, and drops the stage, in one transaction that commits only
// while the job is held. told hears how far it is. The checkpoint is given the result. Codes: NotFound, Conflict (ErrLeaseLost).
func (s *Store) SuggestStaged(ctx context.Context, j *Job, st Stage, into IntoTable, label string, checkpoint func(IntoResult) any, told func(rows int64)) (IntoResult, error) {
	var res IntoResult
	_, err := s.inBatch(ctx, j.Actor(), st.table.Ref(), newBatch{Kind: "import", Label: label}, func(b *batchTxn) error {
		res = IntoResult{Why: map[string]int64{}}
		in := &intoBatch{batchTxn: b, Stage: st, IntoTable: into, res: &res, told: told}
		if err := in.run(ctx); err != nil {
			return err
		}
		if b.made > 0 {
			res.Batch = "bat_" + strconv.FormatInt(b.id, 10)
		}
		res.Cells = b.made
		if err := s.CheckpointTx(ctx, b.tx, j, checkpoint(res)); err != nil {
			return err
		}
		return st.drop(ctx, b.tx)
	})
	return res, err
}

// intoBatch is the batch of an import into a table.
type intoBatch struct {
	*batchTxn
	Stage
	IntoTable
	res  *IntoResult
	told func(rows int64)
	done int64 // rows that were looked at
}

func (in *intoBatch) run(ctx context.Context) error {
	key, ok := in.t.Column(in.Key)
	if !ok {
		return core.Errorf(core.NotFound, "The key column is not here any more.")
	}
	for _, sql := range []string{"analyze " + in.name(), in.fatesSQL(key), "create unique index on import_rows (n)", "analyze import_rows"} {
		if _, err := in.tx.Exec(ctx, sql, dynamic); err != nil {
			return fmt.Errorf("match rows: %w", err)
		}
	}
	if !in.t.Creatable && in.t.Source == core.Remote {
		in.Create = false
	}
	if err := in.countFates(ctx); err != nil {
		return err
	}
	for _, c := range in.cols {
		if c.Number == in.Key || !c.Writable {
			continue
		}
		if err := in.suggestColumn(ctx, c); err != nil {
			return err
		}
	}
	if err := in.countChanged(ctx); err != nil || !in.Create {
		return err
	}
	return in.proposeRecords(ctx)
}

func (in *intoBatch) countFates(ctx context.Context) error {
	rows, err := in.tx.Query(ctx, `select fate, count(*) from import_rows group by fate`)
	if err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	var fate string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&fate, &n}, func() error {
		switch {
		case fate == "matched":
			in.res.Matched = n
		case fate == "new" && in.Create:
			in.res.New = n
		default:
			in.res.Skipped += n
			in.res.Why[fate] = n
		}
		return nil
	})
	if err != nil || in.res.Skipped == 0 {
		return err
	}
	return in.nameSkipped(ctx)
}

func (in *intoBatch) nameSkipped(ctx context.Context) error {
	rows, err := in.tx.Query(ctx, `select line, fate from import_rows where fate <> 'matched' and (fate <> 'new' or not $1) order by n limit $2`, in.Create, namedSkips)
	if err != nil {
		return fmt.Errorf("skipped rows: %w", err)
	}
	in.res.First, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (SkippedRow, error) {
		var r SkippedRow
		var fate string
		err := row.Scan(&r.Line, &fate)
		r.Reason = skipReasons[fate]
		return r, err
	})
	return err
}

func (in *intoBatch) countChanged(ctx context.Context) error {
	err := in.tx.QueryRow(ctx, `select count(distinct s.row) from `+companion(in.t, "_suggestions")+` s where s.batch = $1`, dynamic, in.id).Scan(&in.res.Changed)
	if err != nil {
		return fmt.Errorf("count changed: %w", err)
	}
	return nil
}

// intoPage is how many rows are in memory at a time.
const intoPage = 1000

// suggestColumn proposes the file's values of a column where the matched records hold something else.
func (in *intoBatch) suggestColumn(ctx context.Context, c core.Column) error {
	cursor := "into_" + strconv.Itoa(c.Number)
	query := `select i.id, ` + canonicalExpr(c, "r") + `::text, ` + stagedCanonical(c) + `::text from import_rows i join ` + in.name() + ` p on p.n = i.n
		join ` + dataTable(in.t) + ` r on r._id = i.id where i.fate = 'matched' and ` + strconv.Itoa(c.Number) + ` <> all(p.misfits)
		and r.` + ident(c.Physical) + ` is distinct from ` + stagedExpr(c)
	return in.pages(ctx, cursor, query, func(rows pgx.Rows) (int, error) {
		var list []newSuggestion
		var id int64
		var before, after string
		_, err := pgx.ForEachRow(rows, []any{&id, &before, &after}, func() error {
			n, err := proposedRaw(c, id, before, after)
			list = append(list, n)
			return err
		})
		if err != nil {
			return 0, err
		}
		return len(list), in.addSuggestions(ctx, []core.Column{c}, "", listed(list))
	})
}

// proposeRecords proposes a record for each row that matches none.
func (in *intoBatch) proposeRecords(ctx context.Context) error {
	var cols []core.Column
	query := `select p.misfits`
	for _, c := range in.cols {
		if c.Writable || c.InsertOnly {
			cols = append(cols, c)
			query += ", " + stagedCanonical(c) + "::text"
		}
	}
	query += ` from import_rows i join ` + in.name() + ` p on p.n = i.n where i.fate = 'new' order by i.n`
	return in.pages(ctx, "into_new", query, func(rows pgx.Rows) (int, error) {
		var creates []NewRecord
		var misfits []int32
		cells := make([]string, len(cols))
		dest := []any{&misfits}
		for i := range cells {
			dest = append(dest, &cells[i])
		}
		_, err := pgx.ForEachRow(rows, dest, func() error {
			n := NewRecord{Values: map[int]core.Value{}}
			for i, c := range cols {
				v, err := core.FromCanonical(c.Type, json.RawMessage(cells[i]))
				if err != nil {
					return err
				}
				if !v.IsNull() && !slices.Contains(misfits, int32(c.Number)) { // #nosec G115 -- Postgres has at most 1,600 columns in a table
					n.Values[c.Number] = v
				}
			}
			creates = append(creates, n)
			return nil
		})
		if err != nil {
			return 0, err
		}
		var created []int64
		_, err = in.createRecords(ctx, creates, ChangeOptions{Suggest: true}, &created)
		return len(creates), err
	})
}

// pages hands the rows of a query to take, some at a time.
func (in *intoBatch) pages(ctx context.Context, cursor, query string, take func(rows pgx.Rows) (int, error)) error {
	if err := declareCursor(ctx, in.tx, cursor, query, nil); err != nil {
		return err
	}
	for {
		rows, err := in.tx.Query(ctx, "fetch "+strconv.Itoa(intoPage)+" from "+ident(cursor), dynamic)
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		n, err := take(rows)
		if err != nil {
			return err
		}
		in.done += int64(n)
		in.told(in.done)
		if n < intoPage {
			_, err := in.tx.Exec(ctx, "close "+ident(cursor))
			return err
		}
	}
}

// declareCursor opens a cursor over a query with parameters. DECLARE takes none over the extended protocol, so pgx puts them
// in as quoted literals.
func declareCursor(ctx context.Context, tx pgx.Tx, name, query string, args []any) error {
	if _, err := tx.Exec(ctx, "declare "+ident(name)+" no scroll cursor for "+query, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...); err != nil {
		return fmt.Errorf("open cursor: %w", err)
	}
	return nil
}
