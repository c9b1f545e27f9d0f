package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// batchTxn is a batch being made: the transaction holds the table's lock.
type batchTxn struct {
	tx     pgx.Tx
	by     core.Actor
	t      Table
	id     int64
	delta  countsDelta
	cells  int64
	rows   int64 // whole records
	made   int64 // suggestions made
	edits  int64 // cells that became edits so far, less those that became clean
	fights bool  // cells in conflict are among them
	into   bool  // an earlier transaction opened the batch
	many   bool  // records came that _changes does not name
	keep   bool  // an undo: it counts even where it could take nothing back
	hold   *hold // the job that it is made for; nil for a person who waits

	suggested map[string]bool // by columns: whether cells of them had suggestions before

	refused, left         []Refusal
	moreRefused, moreLeft int64 // not named
	created               []int64
}

// newBatch is what the history says of a batch.
type newBatch struct {
	Kind   string
	Label  string
	Undoes int64
	Plan   string // the plan whose publish it takes over, or ""
	Into   int64  // a batch of an earlier transaction to go on with; 0 opens a new one
	Hold   *hold
	// Suggests: it proposes and changes no value, which those may do too who may only suggest.
	Suggests bool
}

// leastRole gives the role that the batch needs.
func (n newBatch) leastRole() core.Role {
	if n.Suggests {
		return core.Suggester
	}
	return core.Editor
}

// mayChange gives an error unless an actor may do a command: the role is enough, or a review link lets them decide suggestions. Codes:
// Unauthorized, Forbidden.
func mayChange(by core.Actor, kind string, least core.Role) error {
	if by.Kind == core.KindReviewer && (kind == "accept" || kind == "reject") {
		return by.May(core.Decide)
	}
	return by.Require(least)
}

// inBatch locks the table, opens a batch, runs fn and closes the batch with its counts and the table's new version. A
// batch that changed nothing leaves no trace. Browsers are told after the commit.
func (s *Store) inBatch(ctx context.Context, by core.Actor, ref TableRef, n newBatch, fn func(b *batchTxn) error) (BatchResult, error) {
	if err := mayChange(by, n.Kind, n.leastRole()); err != nil {
		return BatchResult{}, err
	}
	var res BatchResult
	if done, err := doneBefore(ctx, "batch", &res); err != nil || done {
		return res, err
	}
	err := s.tx(atPoint(ctx, n.Kind), by, func(tx pgx.Tx) (err error) {
		if res, err = batchIn(ctx, tx, by, ref, n, fn); err != nil {
			return err
		}
		if err := s.roomTx(ctx, tx, by, res.Added); err != nil {
			return err
		}
		if n.Hold == nil {
			return keepDone(ctx, tx, by, "batch", res)
		}
		return n.Hold.end(ctx, s, tx, BulkResult{BatchResult: res})
	})
	if err != nil {
		return BatchResult{}, s.whoHolds(ctx, by, ref, err)
	}
	s.hintChange(ctx, by, ref, &res)
	if undoable(n.Kind) {
		s.keepStatistics(ctx, Table{Schema: ref.Snapshot}, res.Cells)
	}
	return res, nil
}

// batchIn is inBatch in a transaction.
func batchIn(ctx context.Context, tx pgx.Tx, by core.Actor, ref TableRef, n newBatch, fn func(b *batchTxn) error) (BatchResult, error) {
	t, err := tableTx(ctx, tx, by, ref)
	if err != nil {
		return BatchResult{}, err
	}
	if err := n.Hold.begin(ctx, tx); err != nil {
		return BatchResult{}, err
	}
	if t.Version, err = lockTable(ctx, tx, t); err != nil {
		return BatchResult{}, err
	}
	b := &batchTxn{tx: tx, by: by, t: t, hold: n.Hold}
	res := BatchResult{Version: t.Version, Label: n.Label, Table: t.ID}
	if err := b.open(ctx, n); err != nil {
		return BatchResult{}, err
	}
	if err := fn(b); err != nil {
		return BatchResult{}, err
	}
	return res, b.close(ctx, &res)
}

func (b *batchTxn) open(ctx context.Context, n newBatch) error {
	if b.id, b.into = n.Into, n.Into != 0; b.into {
		return nil
	}
	var undoes *int64
	if b.keep = n.Undoes != 0; b.keep {
		undoes = &n.Undoes
	}
	err := b.tx.QueryRow(ctx, `insert into `+companion(b.t, "_batches")+` (table_id, person_id, who, kind, label, undoes, plan)
		values ($1, $2, $3, $4, $5, $6, nullif($7, '')) returning id`, dynamic, b.t.ID, b.by.Person, b.by.Name, n.Kind, n.Label, undoes, n.Plan).Scan(&b.id)
	if err != nil {
		return fmt.Errorf("open batch: %w", err)
	}
	return nil
}

func (b *batchTxn) close(ctx context.Context, res *BatchResult) error {
	batches := companion(b.t, "_batches")
	res.Refused, res.MoreRefused, res.Left, res.MoreLeft, res.Created = b.refused, b.moreRefused, b.left, b.moreLeft, b.created
	if !b.keep && b.cells == 0 && b.rows == 0 && b.made == 0 && b.delta == (countsDelta{}) {
		_, err := b.tx.Exec(ctx, "delete from "+batches+" where id = $1 and not $2", dynamic, b.id, b.into)
		return err
	}
	_, err := b.tx.Exec(ctx, "update "+batches+" set cells = cells + $2, records = records + $3, suggested = suggested + $4 where id = $1", dynamic, b.id, b.cells, b.rows, b.made)
	if err != nil {
		return fmt.Errorf("close batch: %w", err)
	}
	if res.Version, err = bump(ctx, b.tx, b.t, b.delta); err != nil {
		return err
	}
	res.Batch, res.Cells, res.Added = b.id, b.cells+b.rows+b.made, b.delta.Records
	if few := int64(maxHintRows * (1 + len(b.t.Columns))); !b.many && res.Cells <= few {
		res.Rows, err = b.touched(ctx)
	}
	return err
}

// maxHintRows is how many records a hint names; more is "many".
const maxHintRows = 500

// touched gives the records of the batch when they are few, else nil.
func (b *batchTxn) touched(ctx context.Context) ([]int64, error) {
	rows, err := b.tx.Query(ctx, `select distinct row from (select row from `+companion(b.t, "_changes")+` where batch = $1
		union all select row from `+companion(b.t, "_suggestions")+` where batch = $1 or decided = $1) x limit $2`, dynamic, b.id, maxHintRows+1)
	if err != nil {
		return nil, fmt.Errorf("touched records: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if len(ids) > maxHintRows {
		return nil, err
	}
	return ids, err
}

func (s *Store) hintChange(ctx context.Context, by core.Actor, ref TableRef, res *BatchResult) {
	if res.Batch == 0 {
		return
	}
	s.notify.Notify(ctx, core.Hint{Org: by.Org, Snapshot: ref.Snapshot, Table: ref.Table, Version: res.Version, Rows: res.Rows,
		Many: res.Rows == nil, Kind: "change", Actor: by.Person, Client: by.Client})
}

// source is where the wanted values of cells come from: SQL that gives (row, col, after), with its columns.
type source struct {
	sql      string // a from-item aliased e: row bigint, col int, after jsonb, src bigint, reason, kind, edit text; with expects expected jsonb
	args     []any
	cols     []core.Column
	personal bool   // a person's own edit of one cell: it settles a conflict
	expects  bool   // only cells that hold what is expected
	among    string // over r: the same records by their key, so that a few in a large table are not looked for by a scan of it
}

// editsSource makes a source of single cells.
func editsSource(t Table, edits []CellEdit) source {
	rows, cols, vals := make([]int64, len(edits)), make([]int32, len(edits)), make([]string, len(edits))
	seen := map[int]bool{}
	src := source{among: "r._id = any($2)"}
	for i, e := range edits {
		c, _ := t.Column(e.Column)
		rows[i], cols[i], vals[i] = e.Record, int32(e.Column), string(e.Value.Canonical(c.Type)) // #nosec G115 -- Postgres has at most 1,600 columns in a table
		if !seen[e.Column] {
			seen[e.Column] = true
			src.cols = append(src.cols, c)
		}
	}
	src.sql = `(select u.row, u.col, u.after::jsonb as after, null::bigint as src, null::text as reason, null::text as kind, null::text as edit
		from unnest($2::bigint[], $3::int[], $4::text[]) as u(row, col, after)) e`
	src.args = []any{rows, cols, vals}
	return src
}

// applyCells writes the wanted values: first what happens to each cell into _changes, then the cells from there. Deleted
// and proposed records, and cells that hold the value already, are passed over. Args of src begin at $2; $1 is the batch.
func (b *batchTxn) applyCells(ctx context.Context, src source) error {
	if len(src.cols) == 0 {
		return nil
	}
	tag, err := b.tx.Exec(ctx, b.recordSQL(src), append([]any{dynamic, b.id}, src.args...)...)
	if err != nil {
		return fmt.Errorf("record changes: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, src.cols, tag.RowsAffected())
}

// recordSQL computes for each cell its value, base and conflict after the change, by the rules of edits:
//   - the base is what the service held; an edit keeps it, setting a cell back to it makes it clean;
//   - a conflict stays until somebody decides: a person's own edit of that one cell does (its base becomes the service's
//     value), bulk acts do not; what would leave a conflicted cell clean, or as the service holds it, gives it the service's
//     value and makes it clean;
//   - cells of created records and of columns that are ours alone have no base.
//
// The offsets fence what is computed once a cell; see recordUndone.
func (b *batchTxn) recordSQL(src source) string {
	const settles = "(w.after = w.baseline or w.after = x.conflict)"
	cellAfter := "case when x.conflict is null or $personal or not " + settles + " then w.after else x.conflict end"
	baseAfter := `case when not w.based then null
		when x.conflict is not null and $personal then nullif(x.conflict, w.after)
		when w.after = w.baseline or w.after = x.conflict then null else w.baseline end`
	conflictAfter := `case when x.conflict is null or $personal or ` + settles + ` then null else x.conflict end`
	sql := `insert into ` + companion(b.t, "_changes") + ` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after, source, reason, kind, edit)
		select $1, e.row, e.col, x.before, ` + cellAfter + `, x.base, ` + baseAfter + `, x.conflict, ` + conflictAfter + `, e.src, e.reason, e.kind, e.edit
		from ` + src.sql + ` join ` + dataTable(b.t) + ` r on r._id = e.row
		cross join lateral (select ` + cellOf(src.cols, "r", "e.col") + ` as before, r._base -> e.col::text as base, r._conflict -> e.col::text as conflict offset 0) x
		cross join lateral (select ` + translated(b.t, src.cols, "e.col", "e.after") + ` as after, coalesce(x.base, x.before) as baseline, r._state = 0 and ` + basedSQL(src.cols) + ` as based offset 0) w
		where r._state in (0, 1) and ` + writableSQL(src.cols) + `
			and (w.after <> x.before or (x.conflict is not null and $personal))`
	if src.among != "" {
		sql += " and " + src.among
	}
	if src.expects {
		sql += ` and x.before = ` + translated(b.t, src.cols, "e.col", "e.expected")
	}
	return strings.ReplaceAll(sql, "$personal", strconv.FormatBool(src.personal))
}

// basedSQL says over e.col which columns have a base.
func basedSQL(cols []core.Column) string {
	return columnsCondition(cols, func(c core.Column) bool { return c.Source == core.Remote || c.Source == core.File })
}

// writableSQL says over e.col and r which cells may be changed: natural keys only until the record is published.
func writableSQL(cols []core.Column) string {
	all := columnsCondition(cols, func(c core.Column) bool { return !c.InsertOnly })
	if all == "true" {
		return all
	}
	return "(" + all + " or r._state = 1)"
}

func columnsCondition(cols []core.Column, has func(core.Column) bool) string {
	var in []string
	for _, c := range cols {
		if has(c) {
			in = append(in, strconv.Itoa(c.Number))
		}
	}
	switch len(in) {
	case len(cols):
		return "true"
	case 0:
		return "false"
	}
	return "e.col in (" + strings.Join(in, ", ") + ")"
}

// writeRecorded brings the cells of the batch from _changes into the rows, and keeps counts and references.
func (b *batchTxn) writeRecorded(ctx context.Context, cols []core.Column, n int64) error {
	before := b.edits
	if err := b.writeCells(ctx, cols, n, ""); err != nil {
		return err
	}
	b.delta.Edits += b.edits - before
	return nil
}

// countEdits counts the cells that the batch made edits so far, less those that it made clean, and sees whether it touches
// conflicts.
func (b *batchTxn) countEdits(ctx context.Context) error {
	err := b.tx.QueryRow(ctx, `select count(base_after) - count(base_before), count(conflict_before) + count(conflict_after) > 0
		from `+companion(b.t, "_changes")+` where batch = $1 and col <> 0`, dynamic, b.id).Scan(&b.edits, &b.fights)
	if err != nil {
		return fmt.Errorf("count edits: %w", err)
	}
	return nil
}

// writeCells is writeRecorded for cells of deleted records, whose edits do not count. cond, over r, is which records are written of those that
// the batch names; "" is all.
func (b *batchTxn) writeCells(ctx context.Context, cols []core.Column, n int64, cond string) error {
	b.tell("recorded", n/3, n)
	few := b.t.Counts.Records != nil && n < *b.t.Counts.Records/indexedShare
	if !few {
		if err := b.inBulk(ctx, n, ""); err != nil {
			return err
		}
	}
	if err := b.countEdits(ctx); err != nil {
		return err
	}
	settled, err := b.conflictedRows(ctx)
	if err != nil {
		return err
	}
	sql := b.writeManySQL(cols)
	if len(cols) == 1 {
		sql = b.writeOneSQL(cols[0])
	}
	if cond != "" {
		sql += " and " + cond
	}
	if _, err := b.tx.Exec(ctx, sql, dynamic, b.id); err != nil {
		return fmt.Errorf("write cells: %w", err)
	}
	if few {
		if err := b.inBulk(ctx, n, ""); err != nil {
			return err
		}
	}
	b.tell("written", 2*n/3, n)
	left, err := b.conflictedRows(ctx)
	if err != nil {
		return err
	}
	b.cells += n
	b.delta.Conflicts += left - settled
	return b.keepRefs(ctx, cols)
}

// conflictedRows counts the batch's records that are in conflict now, among those whose conflicts it touches.
func (b *batchTxn) conflictedRows(ctx context.Context) (int64, error) {
	if !b.fights {
		return 0, nil
	}
	var n int64
	err := b.tx.QueryRow(ctx, `select count(*) from `+dataTable(b.t)+` r where r._conflict is not null and r._id in
		(select row from `+companion(b.t, "_changes")+` where batch = $1 and (conflict_before is not null or conflict_after is not null))`,
		dynamic, b.id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count conflicts: %w", err)
	}
	return n, nil
}

func (b *batchTxn) writeOneSQL(c core.Column) string {
	key := "'" + strconv.Itoa(c.Number) + "'"
	set := func(column, change string) string {
		return column + " = case when ch." + change + " is null then nullif(r." + column + " - " + key + ", '{}') else coalesce(r." + column +
			", '{}') || jsonb_build_object(" + key + ", ch." + change + ") end"
	}
	return `update ` + dataTable(b.t) + ` r set ` + ident(c.Physical) + ` = ` + castExpr(c, "ch.after") + `, ` + set("_base", "base_after") + `, ` +
		set("_conflict", "conflict_after") + `
		from ` + companion(b.t, "_changes") + ` ch where ch.batch = $1 and ch.col = ` + strconv.Itoa(c.Number) + ` and ch.row = r._id`
}

func (b *batchTxn) writeManySQL(cols []core.Column) string {
	var sets []string
	for _, c := range cols {
		key := "'" + strconv.Itoa(c.Number) + "'"
		sets = append(sets, ident(c.Physical)+" = case when v.vals ? "+key+" then "+castExpr(c, "(v.vals -> "+key+")")+" else r."+ident(c.Physical)+" end")
	}
	for _, column := range []string{"base", "conflict"} {
		sets = append(sets, "_"+column+" = nullif((coalesce(r._"+column+", '{}') - v."+column+"_drop) || v."+column+"_add, '{}')")
	}
	agg := func(column string) string {
		return `coalesce(array_agg(col::text) filter (where ` + column + `_after is null), '{}') as ` + column + `_drop,
			coalesce(jsonb_object_agg(col::text, ` + column + `_after) filter (where ` + column + `_after is not null), '{}') as ` + column + `_add`
	}
	return `update ` + dataTable(b.t) + ` r set ` + strings.Join(sets, ", ") + `
		from (select row, jsonb_object_agg(col::text, after) as vals, ` + agg("base") + `, ` + agg("conflict") + `
			from ` + companion(b.t, "_changes") + ` where batch = $1 and col <> 0 group by row) v
		where v.row = r._id`
}

// refusedEdits gives the edits whose record is gone or deleted, or whose cell may not be changed (any more).
func (b *batchTxn) refusedEdits(ctx context.Context, edits []CellEdit) ([]Refusal, error) {
	ids := make([]int64, len(edits))
	for i, e := range edits {
		ids[i] = e.Record
	}
	rows, err := b.tx.Query(ctx, `select r._id, r._state from `+dataTable(b.t)+` r where r._id = any($1)`, dynamic, ids)
	if err != nil {
		return nil, fmt.Errorf("look at records: %w", err)
	}
	states := map[int64]core.RecordState{}
	var id int64
	var st core.RecordState
	if _, err := pgx.ForEachRow(rows, []any{&id, &st}, func() error { states[id] = st; return nil }); err != nil {
		return nil, fmt.Errorf("look at records: %w", err)
	}
	var out []Refusal
	for _, e := range edits {
		c, _ := b.t.Column(e.Column)
		st, found := states[e.Record]
		if reason := editRefusal(c, st, found); reason != "" {
			out = append(out, Refusal{Index: e.Index, Record: e.Record, Column: e.Column, Slug: c.Slug, Reason: reason})
		}
	}
	return out, nil
}

func editRefusal(c core.Column, st core.RecordState, found bool) string {
	switch {
	case !found:
		return "This record is not here (any more)."
	case st == core.Deleted:
		return "This record is deleted. Bring it back first."
	case st == core.Proposed:
		return "This record is only proposed. Accept it first."
	case c.InsertOnly && st != core.Created:
		return c.Title + " is part of the service's key and cannot be changed once the record is there."
	}
	return ""
}

// ApplyChanges writes one batch of changes and returns what was refused, one by one. It is all or nothing only with
// opts.Atomic. Codes: NotFound, Forbidden, Invalid (atomic, with every refusal as a field), Busy.
func (s *Store) ApplyChanges(ctx context.Context, by core.Actor, ref TableRef, ch Changes, opts ChangeOptions) (BatchResult, error) {
	if opts.Kind == "" {
		opts.Kind = "edit"
	}
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return BatchResult{}, err
	}
	if opts.Label == "" {
		opts.Label = ch.label(t)
	}
	return s.inBatch(ctx, by, ref, newBatch{Kind: opts.Kind, Label: opts.Label, Suggests: opts.Suggest}, func(b *batchTxn) (err error) {
		if b.refused, err = b.apply(ctx, ch, opts, &b.created); err != nil {
			return err
		}
		if opts.Atomic && len(b.refused) > 0 {
			return atomicRefusal(b.refused)
		}
		return nil
	})
}

func atomicRefusal(refused []Refusal) error {
	e := core.Errorf(core.Invalid, "Nothing was changed: %d of the changes cannot be made.", len(refused))
	for _, r := range refused {
		e.Fields = append(e.Fields, core.FieldError{Pointer: "/changes/" + strconv.Itoa(r.Index), Detail: r.Reason})
	}
	return e
}

func (ch Changes) label(t Table) string {
	switch {
	case len(ch.Creates) > 0 && len(ch.Sets)+len(ch.Deletes) == 0:
		return plural(len(ch.Creates), "New record", "%d new records")
	case len(ch.Deletes) > 0 && len(ch.Sets)+len(ch.Creates) == 0:
		return plural(len(ch.Deletes), "Delete a record", "Delete %d records")
	case len(ch.Undeletes) > 0 && len(ch.Sets) == 0:
		return plural(len(ch.Undeletes), "Bring back a record", "Bring back %d records")
	case len(ch.Sets) > 0:
		if c, ok := t.Column(ch.Sets[0].Column); ok && len(ch.Sets) == 1 {
			return "Edit of " + c.Title
		}
		return plural(len(ch.Sets), "Edit", "Edit of %d cells")
	}
	return "Edit"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

func (b *batchTxn) apply(ctx context.Context, ch Changes, opts ChangeOptions, created *[]int64) ([]Refusal, error) {
	sets, refused := b.allowedSets(ch.Sets)
	if len(sets) > 0 {
		more, err := b.refusedEdits(ctx, sets)
		if err != nil {
			return nil, err
		}
		refused = append(refused, more...)
		sets = lastOfEachCell(sets)
		if opts.Suggest {
			err = b.suggestCells(ctx, sets, opts.Reason)
		} else {
			src := editsSource(b.t, sets)
			src.personal = len(sets) == 1 && b.by.Kind == "person" && opts.Kind == "edit"
			err = b.applyCells(ctx, src)
		}
		if err != nil {
			return nil, err
		}
	}
	more, err := b.createRecords(ctx, ch.Creates, opts, created)
	if err != nil {
		return nil, err
	}
	refused = append(refused, more...)
	if more, err = b.deleteRecords(ctx, ch.Deletes, opts); err != nil {
		return nil, err
	}
	refused = append(refused, more...)
	more, err = b.undeleteRecords(ctx, ch.Undeletes, opts)
	return append(refused, more...), err
}

func (b *batchTxn) allowedSets(sets []CellEdit) (ok []CellEdit, refused []Refusal) {
	for _, e := range sets {
		c, found := b.t.Column(e.Column)
		switch {
		case !found:
			refused = append(refused, Refusal{Index: e.Index, Record: e.Record, Column: e.Column, Reason: "There is no such column."})
		case !c.Writable && !c.InsertOnly:
			refused = append(refused, Refusal{Index: e.Index, Record: e.Record, Column: e.Column, Slug: c.Slug, Reason: orText(c.WhyNot, c.Title+" is read-only.")})
		default:
			ok = append(ok, e)
		}
	}
	return ok, refused
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// lastOfEachCell keeps one edit a cell: the last, as if they had come one after the other.
func lastOfEachCell(sets []CellEdit) []CellEdit {
	type cell struct {
		record int64
		column int
	}
	at := map[cell]int{}
	out := sets[:0:0]
	for _, e := range sets {
		k := cell{e.Record, e.Column}
		if i, ok := at[k]; ok {
			out[i] = e
			continue
		}
		at[k] = len(out)
		out = append(out, e)
	}
	return out
}

// canonicalObject gives values by column number as a jsonb object.
func canonicalObject(t Table, values map[int]core.Value) (json.RawMessage, error) {
	m := make(map[string]json.RawMessage, len(values))
	for n, v := range values {
		if c, ok := t.Column(n); ok {
			m[strconv.Itoa(n)] = v.Canonical(c.Type)
		}
	}
	return json.Marshal(m)
}
