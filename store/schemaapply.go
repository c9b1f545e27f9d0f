package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// SchemaResult is what taking over the service's changes did.
type SchemaResult struct {
	Job  *Job         // that reads the columns anew; nil when none needs it
	Kept []KeptColumn // of columns whose type changed
}

// KeptColumn is where the values of a column stay as they were before its type changed.
type KeptColumn struct {
	Title string // of the column that keeps them
	Of    string // title of the column
	Edits int64  // edits, and values of new records, that do not fit the new type: they are in the kept column only
}

// ApplySchema takes over what NoteSchema found, all but the added fields that are left out, in one transaction, with the job that reads
// what is new. No edit is lost: a removed column stays, locked; where a type changed, values that fit are cast, edits among them, and
// the column as it was stays beside it, locked, with its history. Codes: NotFound, Forbidden, Busy (a job works on the snapshot),
// Conflict (nothing differs).
func (s *Store) ApplySchema(ctx context.Context, by core.Actor, ref TableRef, leave []string) (SchemaResult, error) {
	var res SchemaResult
	if err := by.Require(core.Editor); err != nil {
		return res, err
	}
	if job, done, err := s.doneJob(ctx, by); err != nil || done {
		res.Job = &job
		return res, err
	}
	var change BatchResult
	err := s.tx(atPoint(ctx, "schema"), by, func(tx pgx.Tx) (err error) {
		res = SchemaResult{}
		if err := noOpenJobs(ctx, tx, by, ref.Snapshot); err != nil {
			return err
		}
		change, err = batchIn(ctx, tx, by, ref, newBatch{Kind: "refresh", Label: "Columns changed at the service"}, func(b *batchTxn) error {
			res, err = b.applySchema(ctx, s, leave)
			return err
		})
		if err != nil || res.Job == nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", res.Job.ID)
	})
	if err != nil {
		return SchemaResult{}, s.whoHolds(ctx, by, ref, err)
	}
	s.hintChange(ctx, by, ref, &change)
	if res.Job != nil {
		s.Wake(ctx, res.Job.ID)
		s.hintJob(ctx, *res.Job)
	}
	return res, nil
}

// noOpenJobs keeps a change of columns away from jobs that have them in mind.
func noOpenJobs(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot string) error {
	if _, err := tx.Exec(ctx, `select 1 from snapshots where org_id = $1 and id = $2 for no key update`, by.Org, snapshot); err != nil {
		return fmt.Errorf("lock snapshot: %w", err)
	}
	rows, err := tx.Query(ctx, `select label from jobs where org_id = $1 and snapshot_id = $2 and state in ('queued', 'running', 'waiting') limit 1`, by.Org, snapshot)
	if err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	labels, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	if len(labels) > 0 {
		return &core.Error{Code: core.Busy, RetryAfter: 5, Sentence: "“" + labels[0] + "” is not over yet. Take the changes over when it has ended, or cancel it."}
	}
	return nil
}

func (b *batchTxn) applySchema(ctx context.Context, s *Store, leave []string) (res SchemaResult, err error) {
	found, err := foundSchema(ctx, b.tx, b.t)
	if err != nil {
		return res, err
	}
	var added []NewColumn
	reads := false
	for _, ch := range schemaChanges(b.t, found.Columns) {
		switch ch.Kind {
		case FieldAdded:
			if !slices.Contains(leave, ch.Field.RemoteID) {
				added = append(added, ch.Field)
			}
		case FieldRemoved:
			err = b.lockGone(ctx, ch.Column)
		case FieldRetyped:
			var kept KeptColumn
			if kept, err = b.retype(ctx, ch.Column, ch.Field); err == nil && kept.Title != "" {
				res.Kept = append(res.Kept, kept)
			}
			reads = true
		case FieldReturned, FieldRenamed:
			reads = true
		}
		if err == nil && ch.Kind != FieldAdded && ch.Kind != FieldRemoved {
			err = b.takeField(ctx, ch)
		}
		if err != nil {
			return res, err
		}
	}
	if err := b.takeTable(ctx, found); err != nil {
		return res, err
	}
	if len(added) > 0 {
		if b.t, err = tableTx(ctx, b.tx, b.by, b.t.Ref()); err != nil {
			return res, err
		}
		if total := len(b.t.Columns) + len(added); total > MaxColumns {
			return res, tooManyColumns(0, b.t.Title, total)
		}
		if _, err := widenTables(ctx, b.tx, b.by, b.t.Snapshot, []moreColumns{{table: b.t, cols: added}}); err != nil {
			return res, err
		}
	}
	b.keep, b.many = true, true
	if err := linkTargets(ctx, b.tx, b.t.Org, b.t.Snapshot); err != nil || !reads && len(added) == 0 {
		return res, err
	}
	args, err := json.Marshal(map[string]any{"snapshot": b.t.Snapshot, "tables": []string{b.t.ID}})
	if err != nil {
		return res, fmt.Errorf("job args: %w", err)
	}
	job, err := s.EnqueueTx(ctx, b.tx, b.by, NewJob{Kind: "download", Snapshot: b.t.Snapshot, Connection: b.t.Connection, Label: "Download changed columns of " + b.t.Title, Args: args})
	res.Job = &job
	return res, err
}

// lockGone keeps a column that the service has removed, with its values and edits, and locks it.
func (b *batchTxn) lockGone(ctx context.Context, c core.Column) error {
	_, err := b.tx.Exec(ctx, `update columns set gone = true, writable = false, insert_only = false, why_not = $4 where org_id = $1 and table_id = $2 and number = $3`,
		b.t.Org, b.t.ID, c.Number, "The service has removed "+c.Title+". Its values and edits stay here and are not published.")
	if err != nil {
		return fmt.Errorf("lock removed column: %w", err)
	}
	return nil
}

// takeField brings a column to what the service says of its field. Its slug stays, and so does a title that a person has given it.
func (b *batchTxn) takeField(ctx context.Context, ch SchemaChange) error {
	title, f := ch.Column.Title, ch.Field
	if old := b.t.remoteFields()[ch.Column.RemoteID]; title == old || old == "" {
		title = f.Title
	}
	_, err := b.tx.Exec(ctx, `update columns set remote_id = $4, anchor = $5, title = $6, type = $7, options = $8, writable = $9, insert_only = $10, why_not = $11,
			gone = false, filled = filled and not $12
		where org_id = $1 and table_id = $2 and number = $3`,
		b.t.Org, b.t.ID, ch.Column.Number, f.RemoteID, f.Anchor, title, f.Type, f.Options, f.Writable, f.InsertOnly, f.WhyNot,
		slices.Contains([]SchemaKind{FieldReturned, FieldRenamed, FieldRetyped}, ch.Kind))
	if err != nil {
		return fmt.Errorf("take field: %w", err)
	}
	return nil
}

func (b *batchTxn) takeTable(ctx context.Context, n NewTable) error {
	_, err := b.tx.Exec(ctx, `update tables set remote = $3, writable = $4, creatable = $5, deletable = $6, why_not = $7, why_no_new = $8, why_no_del = $9,
			versioned = $10, schema_found = null
		where org_id = $1 and id = $2`,
		b.t.Org, b.t.ID, n.Remote, n.Writable, n.Creatable, n.Deletable, n.WhyNot, n.WhyNoNew, n.WhyNoDel, n.Versioned)
	if err != nil {
		return fmt.Errorf("take description: %w", err)
	}
	return nil
}

// retype gives a column a physical column of the new type, filled with what of its values fits, and lets the old one stand beside it as
// a locked column of its own, with the history. An edit that fits stays an edit; one that does not is in the kept column only.
func (b *batchTxn) retype(ctx context.Context, c core.Column, f NewColumn) (KeptColumn, error) {
	kept := KeptColumn{Of: c.Title}
	if HoldsType(c.Type, f.Type) { // text and URL, say: the values are the same
		return kept, nil
	}
	number, err := reserveColumns(ctx, b.tx, b.t.Org, b.t.Snapshot, 1)
	if err != nil {
		return kept, err
	}
	next := core.Column{Number: c.Number, Physical: "c" + strconv.Itoa(number), Type: f.Type}
	if kept.Title, err = b.keepOld(ctx, c, f, number); err != nil {
		return kept, err
	}
	for _, sql := range append(fittingFunctions(f.Type), "alter table "+dataTable(b.t)+" add column "+ident(next.Physical)+" "+physicalType(f.Type)) {
		if _, err := b.tx.Exec(ctx, sql); err != nil {
			return kept, fmt.Errorf("new column: %w", err)
		}
	}
	if kept.Edits, err = b.castCells(ctx, c, next); err != nil {
		return kept, err
	}
	if err := b.castSuggestions(ctx, c, next, number); err != nil {
		return kept, err
	}
	_, err = b.tx.Exec(ctx, `update columns set physical = $4 where org_id = $1 and table_id = $2 and number = $3`, b.t.Org, b.t.ID, c.Number, next.Physical)
	if err != nil {
		return kept, fmt.Errorf("switch column: %w", err)
	}
	return kept, nil
}

// keepOld makes a column of the old physical one, behind the column, and takes the history there.
func (b *batchTxn) keepOld(ctx context.Context, c core.Column, f NewColumn, number int) (title string, err error) {
	taken := map[string]bool{}
	for _, other := range b.t.Columns {
		taken[other.Slug] = true
	}
	title = c.Title + " (" + c.Type.Word() + ", before)"
	why := fmt.Sprintf("The service changed %s from %s to %s. This is what it held here before, with the edits that do not fit.", c.Title, c.Type.Word(), f.Type.Word())
	_, err = b.tx.Exec(ctx, `update columns set position = position + 1 where org_id = $1 and table_id = $2 and position > $3`, b.t.Org, b.t.ID, c.Position)
	if err != nil {
		return "", fmt.Errorf("make room: %w", err)
	}
	_, err = b.tx.Exec(ctx, `insert into columns (org_id, snapshot_id, table_id, number, slug, title, physical, type, options, source, writable, insert_only, why_not, position)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'local', false, false, $10, $11)`,
		b.t.Org, b.t.Snapshot, b.t.ID, number, expr.Slug(c.Title+" before", taken), title, c.Physical, c.Type, c.Options, why, c.Position+1)
	if err != nil {
		return "", fmt.Errorf("keep column: %w", err)
	}
	for _, sql := range []string{
		`update ` + companion(b.t, "_changes") + ` set col = $2 where col = $1`,
		`update ` + companion(b.t, "_suggestions") + ` set col = $2 where col = $1 and decided is not null`,
		`delete from ` + companion(b.t, "_keys") + ` where col = $1 and $2 > 0`,
	} {
		if _, err := b.tx.Exec(ctx, sql, dynamic, c.Number, number); err != nil {
			return "", fmt.Errorf("keep history: %w", err)
		}
	}
	return title, nil
}

// castCells fills the new physical column. It gives how many edits, and values of new records, did not fit.
func (b *batchTxn) castCells(ctx context.Context, c, next core.Column) (unfit int64, err error) {
	key := "'" + strconv.Itoa(c.Number) + "'"
	now := canonicalExpr(c, "r")
	value, cast := "e."+ident(next.Physical), func(from string) string { return fittedExpr(c, next, "coalesce("+from+", 'null'::jsonb)") }
	canon := func(alias string) string {
		return canonicalExpr(core.Column{Physical: next.Physical, Type: next.Type}, alias)
	}
	from := `(select r._id, coalesce(r._base ? ` + key + `, false) as edited, coalesce(r._conflict ? ` + key + `, false) as fought, r._state,
			` + now + ` = 'null' or x.v is not null as fits, x.v as ` + ident(next.Physical) + `, x.base, x.conflict
		from ` + dataTable(b.t) + ` r cross join lateral (select ` + cast(now) + ` as v, ` + cast("r._base -> "+key) + ` as base, ` + cast("r._conflict -> "+key) + ` as conflict offset 0) x) e`
	base := "(select " + canon("y") + " from (select e.base as " + ident(next.Physical) + ") y)"
	conflict := "(select " + canon("y") + " from (select e.conflict as " + ident(next.Physical) + ") y)"
	stays := `e.edited and e.fits and ` + canon("e") + ` <> ` + base
	var clean, settled int64
	err = b.tx.QueryRow(ctx, `select count(*) filter (where not e.fits and (e.edited and e._state = 0 or e._state = 1)), count(*) filter (where e.edited and e._state = 0 and not (`+stays+`)),
			count(*) filter (where e.fought and e.conflict is null and r._conflict - `+key+` = '{}')
		from `+dataTable(b.t)+` r join `+from+` on e._id = r._id where e.edited or e.fought or e._state = 1`, dynamic).Scan(&unfit, &clean, &settled)
	if err != nil {
		return 0, fmt.Errorf("edits that fit: %w", err)
	}
	b.delta.Edits -= clean
	b.delta.Conflicts -= settled
	_, err = b.tx.Exec(ctx, `update `+dataTable(b.t)+` r set `+ident(next.Physical)+` = case when e.edited and not e.fits then e.base else `+value+` end,
			_base = case when `+stays+` then r._base || jsonb_build_object(`+key+`, `+base+`) when e.edited then nullif(r._base - `+key+`, '{}') else r._base end,
			_conflict = case when not e.fought then r._conflict when e.conflict is null then nullif(r._conflict - `+key+`, '{}')
				else r._conflict || jsonb_build_object(`+key+`, `+conflict+`) end
		from `+from+` where e._id = r._id`, dynamic)
	if err != nil {
		return 0, fmt.Errorf("cast cells: %w", err)
	}
	return unfit, nil
}

// castSuggestions casts open suggestions; those that do not fit are closed and stay in the history of the kept column.
func (b *batchTxn) castSuggestions(ctx context.Context, c, next core.Column, kept int) error {
	canon := func(j string) string {
		return "(select " + canonicalExpr(next, "y") + " from (select " + fittedExpr(c, next, j) + " as " + ident(next.Physical) + ") y)"
	}
	fits := func(j string) string { return "(" + j + " = 'null' or " + fittedExpr(c, next, j) + " is not null)" }
	suggestions := companion(b.t, "_suggestions")
	tag, err := b.tx.Exec(ctx, `update `+suggestions+` s set decided = $1, col = $3 where s.col = $2 and s.decided is null and not (`+fits("s.after")+` and `+fits("s.before")+`)`,
		dynamic, b.id, c.Number, kept)
	if err != nil {
		return fmt.Errorf("suggestions that do not fit: %w", err)
	}
	b.delta.Suggestions -= tag.RowsAffected()
	_, err = b.tx.Exec(ctx, `update `+suggestions+` s set before = `+canon("s.before")+`, after = `+canon("s.after")+` where s.col = $1 and s.decided is null`, dynamic, c.Number)
	if err != nil {
		return fmt.Errorf("cast suggestions: %w", err)
	}
	return nil
}

// fittedExpr gives the SQL that turns the canonical value of a column into another's physical type; what does not fit is null.
func fittedExpr(from, to core.Column, j string) string {
	text := "((" + j + ") #>> '{}')"
	switch {
	case from.Type.IsList() && to.Type.IsList():
		return castExpr(to, j)
	case from.Type.IsList():
		text = "(case when jsonb_typeof(" + j + ") = 'array' then (select string_agg(v, ', ' order by n) from jsonb_array_elements_text(" + j + ") with ordinality l(v, n)) end)"
	case from.Type == core.JSON:
		text = "(case when jsonb_typeof(" + j + ") = 'array' then ((" + j + ") -> 0)::text end)"
	}
	switch {
	case to.Type.IsList():
		return "(case when " + text + " is null then null else array[" + text + "] end)"
	case to.Type.IsText():
		return text
	}
	return "pg_temp." + fittingName(to.Type) + "(" + text + ")"
}

func fittingName(t core.ColumnType) string { return "fitting_" + physicalType(t) }

// fittingFunctions make what casts a text or gives null: PostgreSQL 15 cannot ask whether a text fits.
func fittingFunctions(t core.ColumnType) []string {
	if t.IsText() || t.IsList() {
		return nil
	}
	return []string{`create or replace function pg_temp.` + fittingName(t) + `(t text) returns ` + physicalType(t) + ` language plpgsql as
		$$ begin return t::` + physicalType(t) + `; exception when others then return null; end $$`}
}
