package store

import (
	"context"
	"crypto/md5" // #nosec G501 -- a key for grouping, not for security
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/worddiff"
)

// newSuggestion is a proposal on its way into the table.
type newSuggestion struct {
	record        int64
	column        int
	before, after json.RawMessage
	kind, edit    string
}

// proposals come one after the other; an error is the last.
type proposals = iter.Seq2[newSuggestion, error]

func listed(list []newSuggestion) proposals {
	return func(yield func(newSuggestion, error) bool) {
		for _, n := range list {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// proposed makes a proposal for a cell.
func proposed(c core.Column, record int64, before, after core.Value) newSuggestion {
	n := newSuggestion{record: record, column: c.Number, before: before.Canonical(c.Type), after: after.Canonical(c.Type)}
	n.kind, n.edit = classify(c, before, after)
	return n
}

// proposedRaw is proposed for canonical values.
func proposedRaw(c core.Column, record int64, before, after string) (newSuggestion, error) {
	n := newSuggestion{record: record, column: c.Number, before: json.RawMessage(before), after: json.RawMessage(after)}
	bv, err := core.FromCanonical(c.Type, n.before)
	if err != nil {
		return n, fmt.Errorf("cell: %w", err)
	}
	av, err := core.FromCanonical(c.Type, n.after)
	if err != nil {
		return n, fmt.Errorf("cell: %w", err)
	}
	n.kind, n.edit = classify(c, bv, av)
	return n, nil
}

// proposedRecord makes a proposal for a record as a whole: after is null for a delete, an object for a create.
func proposedRecord(record int64, after json.RawMessage) newSuggestion {
	kind := "create"
	if string(after) == "null" {
		kind = "delete"
	}
	return newSuggestion{record: record, column: core.RecordColumn, before: json.RawMessage("null"), after: after, kind: kind, edit: kind}
}

// classify gives a suggestion's kind and the hash of what remains when equal words at both ends are cut: what groups
// equal changes.
func classify(c core.Column, before, after core.Value) (kind, edit string) {
	from, to := before.Plain(), after.Plain()
	if c.Type.IsText() {
		from, to = worddiff.Remainder(from, to)
	}
	sum := md5.Sum([]byte(from + "\x00" + to)) // #nosec G401 -- a key for grouping, not for security
	return kindOf(c, before, after), hex.EncodeToString(sum[:8])
}

func kindOf(c core.Column, before, after core.Value) string {
	b, a := before.Plain(), after.Plain()
	switch {
	case after.IsNull() || a == "":
		return "clear"
	case before.IsNull() || b == "":
		return "fill"
	case c.Type == core.Number:
		return "number"
	case c.Type == core.Date, c.Type == core.DateTime, c.Type == core.LocalTime:
		return "date"
	case strings.Join(strings.Fields(b), "") == strings.Join(strings.Fields(a), ""):
		return "whitespace"
	case strings.EqualFold(b, a):
		return "case"
	}
	return "text"
}

// suggestCells proposes values for cells, against what they hold now. What the cell holds already, and what was refused
// while the cell held the same, is passed over.
func (b *batchTxn) suggestCells(ctx context.Context, sets []CellEdit, reason string) error {
	src := editsSource(b.t, sets)
	rows, err := b.tx.Query(ctx, b.proposalsSQL(renumber(src.sql), src.cols)+" and "+renumber(src.among), append([]any{dynamic}, src.args...)...)
	if err != nil {
		return fmt.Errorf("look at cells: %w", err)
	}
	var list []newSuggestion
	if err := b.readProposals(rows, func(n newSuggestion) error { list = append(list, n); return nil }); err != nil {
		return err
	}
	return b.addSuggestions(ctx, src.cols, reason, listed(list))
}

// proposalsSQL gives of the wanted values of cells (e: row, col, after) those that a cell does not hold, with what it holds.
func (b *batchTxn) proposalsSQL(from string, cols []core.Column) string {
	return `select e.row, e.col, x.before::text, w.after::text from ` + from + `
		join ` + dataTable(b.t) + ` r on r._id = e.row
		cross join lateral (select ` + cellOf(cols, "r", "e.col") + ` as before) x
		cross join lateral (select ` + translated(b.t, cols, "e.col", "e.after") + ` as after) w
		where r._state in (0, 1) and ` + writableSQL(cols) + ` and x.before <> w.after`
}

// readProposals reads what proposalsSQL gives.
func (b *batchTxn) readProposals(rows pgx.Rows, emit func(newSuggestion) error) error {
	var record int64
	var column int
	var before, after string
	_, err := pgx.ForEachRow(rows, []any{&record, &column, &before, &after}, func() error {
		c, _ := b.t.Column(column)
		n, err := proposedRaw(c, record, before, after)
		if err != nil {
			return err
		}
		return emit(n)
	})
	if err != nil {
		return fmt.Errorf("look at cells: %w", err)
	}
	return nil
}

// renumber lets a source's arguments begin at $1, for statements without a batch.
func renumber(sql string) string {
	return strings.NewReplacer("$2", "$1", "$3", "$2", "$4", "$3").Replace(sql)
}

// suggestCreates proposes records that stand in the table already, as proposed, from objects of their values.
func (b *batchTxn) suggestCreates(ctx context.Context, ids []int64, objects []string, reason string) error {
	list := make([]newSuggestion, len(ids))
	for i, id := range ids {
		list[i] = proposedRecord(id, json.RawMessage(objects[i]))
	}
	return b.addSuggestions(ctx, nil, reason, listed(list))
}

// suggestDeletes proposes to delete those of some records that can be deleted.
func (b *batchTxn) suggestDeletes(ctx context.Context, ids []int64, reason string) error {
	rows, err := b.tx.Query(ctx, `select r._id from `+dataTable(b.t)+` r where r._id = any($1) and r._state in (0, 1) order by r._id`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("look at records: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDelete)
	if err != nil {
		return fmt.Errorf("look at records: %w", err)
	}
	return b.addSuggestions(ctx, nil, reason, listed(list))
}

func scanDelete(row pgx.CollectableRow) (newSuggestion, error) {
	var id int64
	err := row.Scan(&id)
	return proposedRecord(id, json.RawMessage("null")), err
}

// addSuggestions writes proposals for cells of some columns (nil: for records as a whole). Where something is suggested or was
// refused there before, they go through a staging table, and what was refused is left out.
func (b *batchTxn) addSuggestions(ctx context.Context, cols []core.Column, reason string, list proposals) error {
	met, err := b.suggestedBefore(ctx, cols)
	if err != nil {
		return err
	}
	var n int64
	if met {
		n, err = b.stageSuggestions(ctx, reason, list)
	} else {
		n, err = b.copySuggestions(ctx, companionName(b.t, "_suggestions"), []string{"table_id", "batch", "reason"}, []any{b.t.ID, b.id, reason}, list)
	}
	if err != nil {
		return err
	}
	b.made += n
	b.delta.Suggestions += n
	b.tell("suggested", b.made, 0)
	return nil
}

// suggestedBefore says whether cells of some columns had suggestions before this batch. It looks once.
func (b *batchTxn) suggestedBefore(ctx context.Context, cols []core.Column) (bool, error) {
	in := numbers(cols)
	if cols == nil {
		in = []int32{core.RecordColumn}
	}
	key := fmt.Sprint(in)
	if met, known := b.suggested[key]; known {
		return met, nil
	}
	var met bool
	err := b.tx.QueryRow(ctx, `select exists (select 1 from `+companion(b.t, "_suggestions")+` where table_id = $1 and col = any($2))`, dynamic, b.t.ID, in).Scan(&met)
	if err != nil {
		return false, fmt.Errorf("look at suggestions: %w", err)
	}
	if b.suggested == nil {
		b.suggested = map[string]bool{}
	}
	b.suggested[key] = met
	return met, nil
}

// copySuggestions copies proposals into a table, with the same values in some columns before theirs.
func (b *batchTxn) copySuggestions(ctx context.Context, into pgx.Identifier, names []string, same []any, list proposals) (int64, error) {
	next, stop := iter.Pull2(list)
	defer stop()
	row, n := append(same, make([]any, 6)...), int64(0)
	copied, err := b.tx.CopyFrom(ctx, into, append(names, "row", "col", "before", "after", "kind", "edit"), pgx.CopyFromFunc(func() ([]any, error) {
		p, err, more := next()
		if err != nil || !more {
			return nil, err
		}
		if n++; n%tellEvery == 0 {
			b.tell("suggested", b.made+n, 0)
		}
		at := row[len(same):]
		at[0], at[1], at[2], at[3], at[4], at[5] = p.record, int32(p.column), string(p.before), string(p.after), p.kind, p.edit // #nosec G115 -- Postgres has at most 1,600 columns in a table
		return row, nil
	}))
	if err != nil {
		return 0, fmt.Errorf("copy suggestions: %w", err)
	}
	return copied, nil
}

// tellEvery is after how many proposals a job says how far it is.
const tellEvery = 10_000

func (b *batchTxn) stageSuggestions(ctx context.Context, reason string, list proposals) (int64, error) {
	_, err := b.tx.Exec(ctx, `create temporary table new_suggestions (row bigint, col int, before jsonb, after jsonb, kind text, edit text) on commit drop`)
	if err != nil {
		return 0, fmt.Errorf("stage suggestions: %w", err)
	}
	n, err := b.copySuggestions(ctx, pgx.Identifier{"new_suggestions"}, nil, nil, list)
	if err != nil {
		return 0, err
	}
	if err := b.inBulk(ctx, n, "analyze new_suggestions"); err != nil {
		return 0, err
	}
	sg := companion(b.t, "_suggestions")
	tag, err := b.tx.Exec(ctx, `insert into `+sg+` (table_id, batch, row, col, before, after, reason, kind, edit)
		select $1, $2, n.row, n.col, n.before, n.after, $3, n.kind, n.edit from new_suggestions n
		where not exists (select 1 from `+sg+` o where o.row = n.row and o.col = n.col and o.before = n.before and o.after = n.after
			and (o.decided is null or exists (select 1 from `+companion(b.t, "_batches")+` d where d.id = o.decided and d.kind = 'reject' and not `+undoneSQL(b.t.Schema, "d")+`)))`,
		dynamic, b.t.ID, b.id, reason)
	if err != nil {
		return 0, fmt.Errorf("insert suggestions: %w", err)
	}
	if _, err := b.tx.Exec(ctx, "drop table new_suggestions"); err != nil {
		return 0, fmt.Errorf("stage suggestions: %w", err)
	}
	return tag.RowsAffected(), nil
}
