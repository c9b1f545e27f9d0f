package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Rows gives records by id, in the order of ids; those that are gone are absent. Codes: NotFound.
func (s *Store) Rows(ctx context.Context, by core.Actor, ref TableRef, ids []int64, opts RowOptions) ([]Row, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	return s.RowsIn(ctx, t, ids, opts)
}

// RowsIn is Rows of a table that was looked up already.
func (s *Store) RowsIn(ctx context.Context, t Table, ids []int64, opts RowOptions) ([]Row, error) {
	return s.rows(ctx, s.pool, t, ids, opts)
}

func (s *Store) rows(ctx context.Context, q querier, t Table, ids []int64, opts RowOptions) ([]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cols := chosenColumns(t, opts.Columns)
	sql := "select " + rowColumns(cols, opts.CutAt) + ", " + openSuggestions(t) + " from " + dataTable(t) + " r where r._id = any($1)"
	mode, sql := howToAsk(t, len(cols), sql)
	found, err := scanRows(ctx, q, cols, opts.CutAt, true, sql, mode, ids)
	if err != nil {
		return nil, err
	}
	return inOrder(found, ids), nil
}

// howToAsk says whether the server keeps the plan of a statement that finds records of a table by id. A plan is kept for as long as nobody
// analyzes the table, so it has to stay right: not that of a table which was nearly empty and has grown since, for which the statement names the
// size in a comment and is another one when the table has doubled; nor one that also looks for suggestions, which come by the million.
func howToAsk(t Table, columns int, sql string) (pgx.QueryExecMode, string) {
	c := t.Counts
	if columns > maxPreparedColumns || c.Records == nil || *c.Records < leastPrepared || c.Suggestions == nil || *c.Suggestions > 0 {
		return described, sql
	}
	return prepared, sql + " /* of " + strconv.Itoa(1<<bits.Len64(uint64(*c.Records))) + " at most */" // #nosec G115 -- a count is not negative
}

// FirstRows answers the first window of a cold view by a LIMIT query, while its order is computed. Codes: NotFound, Invalid.
func (s *Store) FirstRows(ctx context.Context, by core.Actor, ref TableRef, v View, limit int, opts RowOptions) ([]Row, error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	var args []any
	where, order, err := viewSQL(t, v, &args)
	if err != nil {
		return nil, err
	}
	cols := chosenColumns(t, opts.Columns)
	args = append(args, limit)
	sql := "select " + rowColumns(cols, opts.CutAt) + " from " + dataTable(t) + " r where " + where + " order by " + order +
		" limit $" + strconv.Itoa(len(args))
	found, err := scanRows(ctx, s.pool, cols, opts.CutAt, false, sql, append([]any{described}, args...)...)
	if err != nil {
		return nil, mapError(err)
	}
	return s.dress(ctx, s.pool, t, found)
}

func chosenColumns(t Table, numbers []int) []core.Column {
	if numbers == nil {
		return t.Columns
	}
	out := make([]core.Column, 0, len(numbers))
	for _, n := range numbers {
		if c, ok := t.Column(n); ok {
			out = append(out, c)
		}
	}
	return out
}

func rowColumns(cols []core.Column, cutAt int) string {
	parts := []string{"r._id", "r._remote_id", "r._state", "r._base", "r._conflict"}
	for _, c := range cols {
		parts = append(parts, textExpr(c, "r", cutAt))
	}
	return strings.Join(parts, ", ")
}

// openSuggestions gives the SQL of the open suggestions of record r as jsonb, null when there are none. Where the table has none they are not
// looked for: it is as old as its version, and who shows it is told of a newer one.
func openSuggestions(t Table) string {
	if n := t.Counts.Suggestions; n != nil && *n == 0 {
		return "null::jsonb"
	}
	return `(select jsonb_agg(jsonb_build_array(s.id, s.batch, s.col, s.before, s.after, s.reason, s.kind, s.edit, b.who) order by s.col, s.id desc)
		from ` + companion(t, "_suggestions") + ` s join ` + companion(t, "_batches") + ` b on b.id = s.batch where s.row = r._id and s.decided is null)`
}

// scanRows reads what rowColumns lists and, if dressed, openSuggestions behind it.
func scanRows(ctx context.Context, q querier, cols []core.Column, cutAt int, dressed bool, sql string, args ...any) ([]Row, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	defer rows.Close()
	out := make([]Row, 0, 32)
	var sent cellTexts
	var remote *string
	var base, conflict, suggestions []byte
	const own = 5
	dest := make([]any, own+len(cols), own+len(cols)+1) // the cells stay nil: they are read as they come
	if dressed {
		dest = append(dest, &suggestions)
	}
	for rows.Next() {
		var r Row
		dest[0], dest[1], dest[2], dest[3], dest[4] = &r.ID, &remote, &r.State, &base, &conflict
		if err := rows.Scan(dest...); err != nil {
			return nil, fmt.Errorf("scan row: %w", err)
		}
		if remote != nil {
			r.RemoteID = *remote
		}
		sent.take(rows.RawValues()[own : own+len(cols)])
		if err := r.fill(cols, &sent, cutAt, base, conflict); err != nil {
			return nil, err
		}
		if dressed && suggestions != nil {
			if err := r.dress(suggestions); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// dress adds the open suggestions as openSuggestions gave them.
func (r *Row) dress(raw []byte) error {
	var list [][]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("suggestions of %d: %w", r.ID, err)
	}
	r.Suggestions = map[int][]Suggestion{}
	for _, fields := range list {
		sg := Suggestion{Record: r.ID, Before: fields[3], After: fields[4]}
		for i, to := range map[int]any{0: &sg.ID, 1: &sg.Batch, 2: &sg.Column, 5: &sg.Reason, 6: &sg.Kind, 7: &sg.Edit, 8: &sg.Who} {
			if err := json.Unmarshal(fields[i], to); err != nil {
				return fmt.Errorf("suggestion of %d: %w", r.ID, err)
			}
		}
		r.Suggestions[sg.Column] = append(r.Suggestions[sg.Column], sg)
	}
	return nil
}

// cellTexts hands out the texts of a record's cells, which are parts of one text: a window has hundreds of cells, an export millions.
type cellTexts struct {
	raw  [][]byte
	line []byte
	rest string
}

// take begins with the cells of a record. They are copied.
func (t *cellTexts) take(raw [][]byte) {
	t.raw, t.line = raw, t.line[:0]
	for _, cell := range raw {
		t.line = append(t.line, cell...)
	}
	t.rest = string(t.line)
}

// next gives the next cell; it must be asked for before the rows go on.
func (t *cellTexts) next() (text string, null bool) {
	cell := t.raw[0]
	t.raw = t.raw[1:]
	text, t.rest = t.rest[:len(cell)], t.rest[len(cell):]
	return text, cell == nil
}

func (r *Row) fill(cols []core.Column, sent *cellTexts, cutAt int, base, conflict []byte) (err error) {
	r.Values, r.Cut = make([]core.Value, len(cols)), make([]bool, len(cols))
	for i := range cols {
		text, null := sent.next()
		if null {
			continue
		}
		if r.Values[i], r.Cut[i], err = valueFromText(&cols[i], text, cutAt); err != nil {
			return fmt.Errorf("cell %d of %d: %w", cols[i].Number, r.ID, err)
		}
	}
	if r.Base, err = byColumn(cols, base); err != nil {
		return err
	}
	if r.Conflicts, err = byColumn(cols, conflict); err != nil {
		return err
	}
	if r.RecordConflict = recordConflict(conflict); r.State == core.Deleted && conflict != nil {
		r.RecordConflict = "changed_there"
	}
	return nil
}

// byColumn reads a jsonb object of canonical values by column number. Columns that were not asked for are kept too, as
// texts, so that a row can say that it is edited at all.
func byColumn(cols []core.Column, raw []byte) (map[int]core.Value, error) {
	if raw == nil {
		return nil, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("values by column: %w", err)
	}
	types := map[int]core.ColumnType{}
	for _, c := range cols {
		types[c.Number] = c.Type
	}
	out := make(map[int]core.Value, len(m))
	for k, v := range m {
		n, err := strconv.Atoi(k)
		if err != nil {
			continue // _record
		}
		t, known := types[n]
		if !known {
			out[n] = core.TextValue(string(v))
			continue
		}
		if out[n], err = core.FromCanonical(t, v); err != nil {
			return nil, fmt.Errorf("column %d: %w", n, err)
		}
	}
	return out, nil
}

func recordConflict(raw []byte) string {
	var m struct {
		Record *struct {
			Kind string `json:"kind"`
		} `json:"_record"`
	}
	if raw == nil || json.Unmarshal(raw, &m) != nil || m.Record == nil {
		return ""
	}
	return m.Record.Kind
}

// dress adds the open suggestions and the problems of rows.
func (s *Store) dress(ctx context.Context, q querier, t Table, rows []Row) ([]Row, error) {
	ids := make([]int64, len(rows))
	at := make(map[int64]int, len(rows))
	for i, r := range rows {
		ids[i], at[r.ID] = r.ID, i
	}
	found, err := suggestionsOf(ctx, q, t, ids)
	if err != nil {
		return nil, err
	}
	for _, sg := range found {
		r := &rows[at[sg.Record]]
		if r.Suggestions == nil {
			r.Suggestions = map[int][]Suggestion{}
		}
		r.Suggestions[sg.Column] = append(r.Suggestions[sg.Column], sg)
	}
	return rows, nil
}

func suggestionsOf(ctx context.Context, q querier, t Table, ids []int64) ([]Suggestion, error) {
	rows, err := q.Query(ctx, `
		select s.id, s.batch, s.row, s.col, s.before, s.after, s.reason, s.kind, s.edit, b.who
		from `+companion(t, "_suggestions")+` s join `+companion(t, "_batches")+` b on b.id = s.batch
		where s.row = any($1) and s.decided is null
		order by s.row, s.col, s.id desc`, dynamic, ids)
	if err != nil {
		return nil, fmt.Errorf("suggestions: %w", err)
	}
	return pgx.CollectRows(rows, scanSuggestion)
}

func scanSuggestion(row pgx.CollectableRow) (Suggestion, error) {
	var sg Suggestion
	err := row.Scan(&sg.ID, &sg.Batch, &sg.Record, &sg.Column, (*[]byte)(&sg.Before), (*[]byte)(&sg.After), &sg.Reason, &sg.Kind, &sg.Edit, &sg.Who)
	return sg, err
}

func inOrder(found []Row, ids []int64) []Row {
	at := make(map[int64]int, len(found))
	for i, r := range found {
		at[r.ID] = i
	}
	out := make([]Row, 0, len(found))
	for _, id := range ids {
		if i, ok := at[id]; ok {
			out = append(out, found[i])
		}
	}
	return out
}

// History gives the batches of a snapshot, newest first, before a batch id (0: from the newest). Codes: NotFound.
func (s *Store) History(ctx context.Context, by core.Actor, snapshot string, before int64, limit int) ([]Batch, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, batchSelect(snap.Schema)+`
		where ($1::bigint = 0 or b.id < $1) and (b.cells > 0 or b.records > 0 or b.suggested > 0)
		order by b.id desc limit $2`, dynamic, before, limit)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return pgx.CollectRows(rows, scanBatch)
}

// Acts is History as people think of it: what a publish took over into the rows, piece by piece, is one act with the sum of
// its counts, under the id of its newest batch. Codes: NotFound.
func (s *Store) Acts(ctx context.Context, by core.Actor, snapshot string, before int64, limit int) ([]Batch, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `with pieces as (select b.id, b.cells, b.records, case when b.kind = 'publish' and lag(b.kind) over w = b.kind
				and lag(b.table_id) over w = b.table_id and lag(b.person_id) over w = b.person_id and lag(b.plan) over w is not distinct from b.plan then 0 else 1 end as first
			from `+ident(snap.Schema, "_batches")+` b where b.cells > 0 or b.records > 0 or b.suggested > 0 window w as (order by b.id)),
		acts as (select max(id) as id, sum(cells) as cells, sum(records) as records
			from (select p.*, sum(first) over (order by id) as act from pieces p) p group by act)
		select b.*, acts.cells::bigint, acts.records::bigint, coalesce((select p.plan from `+ident(snap.Schema, "_batches")+` p where p.id = b.id), '')
		from (`+batchSelect(snap.Schema)+`) b join acts on acts.id = b.id
		where $1::bigint = 0 or b.id < $1 order by b.id desc limit $2`, dynamic, before, limit)
	if err != nil {
		return nil, fmt.Errorf("acts: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Batch, error) {
		var b Batch
		err := row.Scan(append(batchFields(&b), &b.Cells, &b.Records, &b.Plan)...)
		b.Undoable = b.UndoneBy == 0 && undoable(b.Kind)
		return b, err
	})
}

// BatchByID gives one batch. Codes: NotFound.
func (s *Store) BatchByID(ctx context.Context, by core.Actor, snapshot string, id int64) (Batch, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Batch{}, err
	}
	b, err := batchTx(ctx, s.pool, snap.Schema, id)
	return b, mapError(err)
}

func batchTx(ctx context.Context, q querier, schema string, id int64) (Batch, error) {
	rows, err := q.Query(ctx, batchSelect(schema)+" where b.id = $1", dynamic, id)
	if err != nil {
		return Batch{}, fmt.Errorf("batch: %w", err)
	}
	return pgx.CollectExactlyOneRow(rows, scanBatch)
}

// batchSelect reads batches with whether they are undone: a batch is undone by one that names it and is not undone itself.
func batchSelect(schema string) string {
	batches := ident(schema, "_batches")
	return `
		select b.id, b.table_id, b.who, b.person_id, b.at, b.kind, b.label, b.cells, b.records, b.suggested, coalesce(b.undoes, 0) as undoes,
			coalesce((select u.id from ` + batches + ` u where u.undoes = b.id
				and not exists (select 1 from ` + batches + ` v where v.undoes = u.id) order by u.id desc limit 1), 0) as undone_by
		from ` + batches + ` b`
}

// batchFields are where the columns of batchSelect go.
func batchFields(b *Batch) []any {
	return []any{&b.ID, &b.Table, &b.Who, &b.Person, &b.When, &b.Kind, &b.Label, &b.Cells, &b.Records, &b.Suggested, &b.Undoes, &b.UndoneBy}
}

func scanBatch(row pgx.CollectableRow) (Batch, error) {
	var b Batch
	err := row.Scan(batchFields(&b)...)
	b.Undoable = b.UndoneBy == 0 && undoable(b.Kind)
	return b, err
}

// undoable says whether a kind of batch can be undone: what a service did cannot, a publish is reverted instead.
func undoable(kind string) bool {
	switch kind {
	case "download", "refresh", "publish", "redo": // what was redone is undone where it was done first
		return false
	}
	return true
}

// RecordHistory gives who changed what of a record, newest first; column -1 is all; more says that there are others. Codes: NotFound.
func (s *Store) RecordHistory(ctx context.Context, by core.Actor, ref TableRef, record int64, column int, part Span) (list []Change, more bool, err error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, false, err
	}
	rows, err := s.pool.Query(ctx, `
		select b.id, b.who, b.person_id, b.at, b.kind, b.label, c.col, c.before, c.after, coalesce(c.source, 0), coalesce(c.reason, '')
		from `+companion(t, "_changes")+` c join `+companion(t, "_batches")+` b on b.id = c.batch
		where c.row = $1 and ($2 < 0 or c.col = $2)
		order by c.batch desc, c.col limit $3 offset $4`, dynamic, record, column, part.Limit+1, part.Offset)
	if err != nil {
		return nil, false, fmt.Errorf("record history: %w", err)
	}
	return collectPart(rows, part.Limit, s.listBytes, func(row pgx.CollectableRow) (Change, error) {
		var c Change
		err := row.Scan(&c.Batch.ID, &c.Batch.Who, &c.Batch.Person, &c.Batch.When, &c.Batch.Kind, &c.Batch.Label,
			&c.Column, (*[]byte)(&c.Before), (*[]byte)(&c.After), &c.Source, &c.Reason)
		c.Batch.Table = t.ID
		return c, err
	})
}
