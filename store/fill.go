package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// FillWhere sets, or suggests, the same values in all chosen records, as one batch. Codes: NotFound, Forbidden, Invalid,
// Conflict, Busy.
func (s *Store) FillWhere(ctx context.Context, by core.Actor, ref TableRef, w Where, values map[int]core.Value, opts ChangeOptions) (BatchResult, error) {
	return s.fillWhere(ctx, by, ref, w, values, opts, nil)
}

func (s *Store) fillWhere(ctx context.Context, by core.Actor, ref TableRef, w Where, values map[int]core.Value, opts ChangeOptions, h *hold) (BatchResult, error) {
	n := newBatch{Kind: orText(opts.Kind, "fill"), Label: orText(opts.Label, "Fill"), Hold: h, Suggests: opts.Suggest}
	if opts.Suggest {
		return s.inBatchBeside(ctx, by, ref, n, func(b *batchTxn) error { return b.suggestFill(ctx, s, w, values, opts.Reason) })
	}
	return s.inBatch(ctx, by, ref, n, func(b *batchTxn) (err error) {
		src := source{cols: b.fillable(values)}
		if len(src.cols) == 0 {
			return nil
		}
		args := []any{b.id} // $1
		if src.sql, err = s.fillSQL(ctx, b.tx, by, b.t, w, src.cols, values, &args); err != nil {
			return err
		}
		src.args = args[1:]
		return b.applyCells(ctx, src)
	})
}

// fillable gives the columns of values that can be changed; the others are refused.
func (b *batchTxn) fillable(values map[int]core.Value) []core.Column {
	var cols []core.Column
	for _, n := range slices.Sorted(maps.Keys(values)) {
		c, ok := b.t.Column(n)
		if !ok || (!c.Writable && !c.InsertOnly) {
			b.refused = append(b.refused, Refusal{Column: n, Slug: c.Slug, Reason: orText(c.WhyNot, "This column is read-only.")})
			continue
		}
		cols = append(cols, c)
	}
	return cols
}

// fillSQL gives a source of the same values in all chosen records.
func (s *Store) fillSQL(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, w Where, cols []core.Column, values map[int]core.Value, args *[]any) (string, error) {
	pairs := make([]string, len(cols))
	for i, c := range cols {
		*args = append(*args, string(values[c.Number].Canonical(c.Type)))
		pairs[i] = fmt.Sprintf("(%d, $%d::text::jsonb)", c.Number, len(*args))
	}
	cond, err := s.recordsSQL(ctx, tx, by, t, w, args)
	return `(select r._id as row, p.col, p.after, null::bigint as src, null::text as reason, null::text as kind, null::text as edit
		from ` + dataTable(t) + ` r cross join (values ` + strings.Join(pairs, ", ") + `) as p(col, after) where ` + cond + `) e`, err
}

// suggestFill proposes the same values in all chosen records.
func (b *batchTxn) suggestFill(ctx context.Context, s *Store, w Where, values map[int]core.Value, reason string) error {
	cols := b.fillable(values)
	if len(cols) == 0 {
		return nil
	}
	return b.addSuggestions(ctx, cols, reason, s.beside(ctx, b.by, func(ctx context.Context, tx pgx.Tx, emit func(newSuggestion) error) error {
		var args []any
		from, err := s.fillSQL(ctx, tx, b.by, b.t, w, cols, values, &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, b.proposalsSQL(from, cols), append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("look at cells: %w", err)
		}
		return b.readProposals(rows, emit)
	}))
}

// DeleteWhere deletes, or suggests to delete, all chosen records, as one batch. Codes: NotFound, Forbidden, Invalid, Conflict,
// Busy.
func (s *Store) DeleteWhere(ctx context.Context, by core.Actor, ref TableRef, w Where, opts ChangeOptions) (BatchResult, error) {
	return s.deleteRecordsWhere(ctx, by, ref, w, opts, nil)
}

func (s *Store) deleteRecordsWhere(ctx context.Context, by core.Actor, ref TableRef, w Where, opts ChangeOptions, h *hold) (BatchResult, error) {
	n := newBatch{Kind: "delete", Label: orText(opts.Label, "Delete records"), Hold: h, Suggests: opts.Suggest}
	if opts.Suggest {
		return s.inBatchBeside(ctx, by, ref, n, func(b *batchTxn) error { return b.suggestDelete(ctx, s, w, opts.Reason) })
	}
	return s.inBatch(ctx, by, ref, n, func(b *batchTxn) error {
		var args []any
		cond, err := s.recordsSQL(ctx, b.tx, by, b.t, w, &args)
		if err != nil {
			return err
		}
		b.refused, err = b.deleteWhere(ctx, cond, args)
		return err
	})
}

// suggestDelete proposes to delete all chosen records that can be deleted.
func (b *batchTxn) suggestDelete(ctx context.Context, s *Store, w Where, reason string) error {
	err := b.addSuggestions(ctx, nil, reason, s.beside(ctx, b.by, func(ctx context.Context, tx pgx.Tx, emit func(newSuggestion) error) error {
		var args []any
		cond, err := s.recordsSQL(ctx, tx, b.by, b.t, w, &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select r._id from "+dataTable(b.t)+" r where r._state in (0, 1) and "+cond+b.deletableSQL(), append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("look at records: %w", err)
		}
		var id int64
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error { return emit(proposedRecord(id, json.RawMessage("null"))) })
		return err
	}))
	if err == nil && b.made == 0 {
		b.refused = b.refusedDelete()
	}
	return err
}

// deletableSQL narrows a condition on r to records that can be deleted: where the service deletes none, those that it does not
// have.
func (b *batchTxn) deletableSQL() string {
	if !b.t.Deletable && b.t.Source == core.Remote {
		return " and r._remote_id is null"
	}
	return ""
}

// refusedDelete says why nothing was deleted, where that is the service's.
func (b *batchTxn) refusedDelete() []Refusal {
	if b.deletableSQL() == "" {
		return nil
	}
	return []Refusal{{Reason: orText(b.t.WhyNoDel, "Records of this table cannot be deleted.")}}
}
