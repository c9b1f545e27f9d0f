package store

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// wasThere stands in _changes, at column 0, for a record that is still in the table: its values are there.
const wasThere = "{}"

// createRecords makes records (or proposes them) and gives their ids in the order asked for; refused ones give id 0.
func (b *batchTxn) createRecords(ctx context.Context, creates []NewRecord, opts ChangeOptions, created *[]int64) ([]Refusal, error) {
	if len(creates) == 0 {
		return nil, nil
	}
	if !b.t.Creatable && b.t.Source == core.Remote {
		return refuseCreates(creates, orText(b.t.WhyNoNew, "Records cannot be created in this table.")), nil
	}
	ids, err := b.reserveRecords(ctx, len(creates))
	if err != nil {
		return nil, err
	}
	objects := make([]string, len(creates))
	for i, c := range creates {
		raw, err := canonicalObject(b.t, c.Values)
		if err != nil {
			return nil, fmt.Errorf("new record: %w", err)
		}
		objects[i] = string(raw)
	}
	state := core.Created
	if opts.Suggest {
		state = core.Proposed
	}
	if err := b.insertRecords(ctx, ids, objects, state); err != nil {
		return nil, err
	}
	*created = ids
	if opts.Suggest {
		return nil, b.suggestCreates(ctx, ids, objects, opts.Reason)
	}
	return nil, b.recordCreated(ctx, ids, objects)
}

func refuseCreates(creates []NewRecord, reason string) []Refusal {
	out := make([]Refusal, len(creates))
	for i, c := range creates {
		out[i] = Refusal{Index: c.Index, Reason: reason}
	}
	return out
}

func (b *batchTxn) reserveRecords(ctx context.Context, n int) ([]int64, error) {
	rows, err := b.tx.Query(ctx, `select nextval($1::regclass) from generate_series(1, $2)`, dynamic, companion(b.t, "_record_id"), n)
	if err != nil {
		return nil, fmt.Errorf("reserve records: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// insertRecords puts rows in from objects of canonical values by column number.
func (b *batchTxn) insertRecords(ctx context.Context, ids []int64, objects []string, state core.RecordState) error {
	names, exprs := []string{"_id", "_state"}, []string{"v.id", "$3"}
	for _, c := range b.t.Columns {
		names = append(names, ident(c.Physical))
		value := "(v.vals -> '" + strconv.Itoa(c.Number) + "')"
		exprs = append(exprs, castExpr(c, translated(b.t, []core.Column{c}, strconv.Itoa(c.Number), value)))
	}
	_, err := b.tx.Exec(ctx, `insert into `+dataTable(b.t)+` (`+strings.Join(names, ", ")+`)
		select `+strings.Join(exprs, ", ")+` from (select u.id, u.vals::jsonb as vals from unnest($1::bigint[], $2::text[]) as u(id, vals)) v
		on conflict (_id) do nothing`, dynamic, ids, objects, int16(state))
	if err != nil {
		return fmt.Errorf("insert records: %w", err)
	}
	return b.refsOfNew(ctx, ids)
}

func (b *batchTxn) recordCreated(ctx context.Context, ids []int64, objects []string) error {
	_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select $1, u.id, 0, 'null', u.vals::jsonb from unnest($2::bigint[], $3::text[]) as u(id, vals)`, dynamic, b.id, ids, objects)
	if err != nil {
		return fmt.Errorf("record creates: %w", err)
	}
	n := int64(len(ids))
	b.rows += n
	b.delta.Records += n
	b.delta.Created += n
	return nil
}

func (b *batchTxn) deleteRecords(ctx context.Context, ops []RecordOp, opts ChangeOptions) ([]Refusal, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	refused, err := b.refusedOps(ctx, ops, "r._state in (0, 1)", "This record is not here (any more), or is deleted already.")
	if err != nil {
		return nil, err
	}
	if opts.Suggest {
		return refused, b.suggestDeletes(ctx, recordIDs(ops), opts.Reason)
	}
	more, err := b.deleteWhere(ctx, "r._id = any($1)", []any{recordIDs(ops)})
	return append(refused, more...), err
}

// deleteWhere marks the chosen records deleted. Existing ones go from the service when that is published; created ones
// that were never published are simply not sent.
func (b *batchTxn) deleteWhere(ctx context.Context, cond string, args []any) ([]Refusal, error) {
	batch := "$" + strconv.Itoa(len(args)+1)
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select `+batch+`, r._id, 0, '`+wasThere+`', 'null' from `+dataTable(b.t)+` r where r._state in (0, 1) and `+cond+b.deletableSQL(),
		append(append([]any{dynamic}, args...), b.id)...)
	if err != nil {
		return nil, fmt.Errorf("record deletes: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return b.refusedDelete(), nil
	}
	return nil, b.markDeleted(ctx)
}

// markDeleted sets the state of the records that the batch deletes. That one is gone at the service is no conflict then.
func (b *batchTxn) markDeleted(ctx context.Context) error {
	var n, created, edits, settled int64
	err := b.tx.QueryRow(ctx, `with old as (
			select r._id, r._state, r._conflict, (select count(*) from jsonb_object_keys(r._base)) as edits
			from `+dataTable(b.t)+` r join `+companion(b.t, "_changes")+` ch on ch.row = r._id
			where ch.batch = $1 and ch.col = 0 and ch.after = 'null' and r._state in (0, 1)),
		done as (update `+dataTable(b.t)+` r set _state = 2, _conflict = nullif(r._conflict - '_record', '{}') from old where r._id = old._id returning r._id, r._conflict)
		select count(*), count(*) filter (where old._state = 1), coalesce(sum(old.edits), 0), count(*) filter (where old._conflict is not null and done._conflict is null)
		from old join done using (_id)`, dynamic, b.id).Scan(&n, &created, &edits, &settled)
	if err != nil {
		return fmt.Errorf("mark deleted: %w", err)
	}
	b.rows += n
	b.delta.Records -= n
	b.delta.Created -= created
	b.delta.Deleted += n - created
	b.delta.Edits -= edits
	b.delta.Conflicts -= settled
	return nil
}

func (b *batchTxn) undeleteRecords(ctx context.Context, ops []RecordOp, opts ChangeOptions) ([]Refusal, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	if opts.Suggest {
		out := make([]Refusal, len(ops))
		for i, o := range ops {
			out[i] = Refusal{Index: o.Index, Record: o.Record, Reason: "Bringing a record back cannot be suggested. Do it as an edit."}
		}
		return out, nil
	}
	refused, err := b.refusedOps(ctx, ops, "r._state = 2", "This record is not deleted.")
	if err != nil {
		return nil, err
	}
	return refused, b.undelete(ctx, recordIDs(ops))
}

// undelete brings deleted records back: as existing ones where the service has them.
func (b *batchTxn) undelete(ctx context.Context, ids []int64) error {
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select $1, r._id, 0, 'null', '`+wasThere+`' from `+dataTable(b.t)+` r where r._id = any($2) and r._state = 2`, dynamic, b.id, ids)
	if err != nil {
		return fmt.Errorf("record undeletes: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if err := b.takeTheirs(ctx); err != nil {
		return err
	}
	return b.markUndeleted(ctx)
}

// undeleting is a condition on r: the batch brings the record back.
func (b *batchTxn) undeleting() string {
	return `r._state = 2 and exists (select 1 from ` + companion(b.t, "_changes") + ` u where u.batch = $1 and u.col = 0 and u.row = r._id
		and u.before = 'null' and u.after = '` + wasThere + `')`
}

// takeTheirs gives the clean cells of records that come back what the service changed meanwhile: only an edit can be in
// conflict.
func (b *batchTxn) takeTheirs(ctx context.Context) error {
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, r._id, e.col, x.now, c.value, r._base -> c.key, null, c.value, null
		from `+dataTable(b.t)+` r `+conflictsOf(b.t.Columns)+`
		where `+b.undeleting()+` and (not coalesce(r._base ? c.key, false) or c.value = x.now)`, dynamic, b.id)
	if err != nil {
		return fmt.Errorf("take theirs: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeCells(ctx, b.t.Columns, tag.RowsAffected(), "")
}

// markUndeleted sets the state of the records that the batch brings back.
func (b *batchTxn) markUndeleted(ctx context.Context) error {
	var n, created, edits, settled int64
	err := b.tx.QueryRow(ctx, `with old as (select r._id, r._conflict is not null as fought from `+dataTable(b.t)+` r where `+b.undeleting()+`),
		back as (update `+dataTable(b.t)+` r set _state = case when r._remote_id is null then 1 else 0 end, `+seenTheirs+`
			from old where r._id = old._id returning r._state, r._base, old.fought and r._conflict is null as settled)
		select count(*), count(*) filter (where _state = 1), coalesce(sum((select count(*) from jsonb_object_keys(_base))), 0), count(*) filter (where settled)
		from back`, dynamic, b.id).Scan(&n, &created, &edits, &settled)
	if err != nil {
		return fmt.Errorf("bring back: %w", err)
	}
	b.rows += n
	b.delta.Records += n
	b.delta.Created += created
	b.delta.Deleted -= n - created
	b.delta.Edits += edits
	b.delta.Conflicts -= settled
	return nil
}

func recordIDs(ops []RecordOp) []int64 {
	ids := make([]int64, len(ops))
	for i, o := range ops {
		ids[i] = o.Record
	}
	return ids
}

// refusedOps gives the ops whose record does not meet a condition over r.
func (b *batchTxn) refusedOps(ctx context.Context, ops []RecordOp, cond, reason string) ([]Refusal, error) {
	rows, err := b.tx.Query(ctx, `select r._id from `+dataTable(b.t)+` r where r._id = any($1) and `+cond, dynamic, recordIDs(ops))
	if err != nil {
		return nil, fmt.Errorf("look at records: %w", err)
	}
	ok, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look at records: %w", err)
	}
	sort.Slice(ok, func(i, j int) bool { return ok[i] < ok[j] })
	var out []Refusal
	for _, o := range ops {
		i := sort.Search(len(ok), func(i int) bool { return ok[i] >= o.Record })
		if i == len(ok) || ok[i] != o.Record {
			out = append(out, Refusal{Index: o.Index, Record: o.Record, Reason: reason})
		}
	}
	return out, nil
}

// DuplicateRecords makes copies of records, without what the service makes itself. Codes: NotFound, Forbidden, Busy.
func (s *Store) DuplicateRecords(ctx context.Context, by core.Actor, ref TableRef, ids []int64) (BatchResult, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return BatchResult{}, err
	}
	rows, err := s.rows(ctx, s.pool, t, ids, RowOptions{})
	if err != nil {
		return BatchResult{}, err
	}
	var ch Changes
	for i, r := range rows {
		values := map[int]core.Value{}
		for j, c := range t.Columns {
			if c.Writable && !c.Options.Key && !c.Options.Unique && !c.Options.Stamped {
				values[c.Number] = r.Values[j]
			}
		}
		ch.Creates = append(ch.Creates, NewRecord{Values: values, Index: i})
	}
	return s.ApplyChanges(ctx, by, ref, ch, ChangeOptions{Kind: "duplicate", Label: plural(len(rows), "Duplicate a record", "Duplicate %d records")})
}

// rowObject gives the SQL of a whole record as a jsonb object of canonical values by column number.
func rowObject(t Table, alias string) string {
	parts := make([]string, 0, len(t.Columns))
	for _, c := range t.Columns {
		parts = append(parts, "'"+strconv.Itoa(c.Number)+"', "+canonicalExpr(c, alias))
	}
	var chunks []string // a function takes at most 100 arguments
	for len(parts) > 0 {
		n := min(45, len(parts))
		chunks = append(chunks, "jsonb_build_object("+strings.Join(parts[:n], ", ")+")")
		parts = parts[n:]
	}
	return "(" + strings.Join(chunks, " || ") + ")"
}
