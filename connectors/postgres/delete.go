package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"scratchpaper/connectors"
)

// Delete deletes rows in one transaction, each only if it is as the writer knows it.
func (s *session) Delete(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if r.undeletable != "" {
		return nil, refuse(r.undeletable)
	}
	outcomes := make([]connectors.Outcome, len(writes))
	err = s.writing(ctx, func(ctx context.Context, tx *transaction) error {
		for _, round := range rounds(writes) {
			if err := s.deleteRound(ctx, tx, r, writes, round, outcomes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (s *session) deleteRound(ctx context.Context, tx *transaction, r *relation, writes []connectors.Write, round []int, outcomes []connectors.Outcome) error {
	batch, err := s.locked(ctx, tx, r, writes, round, outcomes, func(*column) string { return "" })
	if err != nil {
		return err
	}
	return s.each(ctx, tx, r, batch, func(part []*pending) error {
		kept, err := tx.delete(ctx, r, part)
		for _, p := range kept {
			p.outcome.Err = &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The database took the delete and kept the record (a trigger or rule there drops it)."}
		}
		return err
	})
}

// delete deletes and gives those that the server kept.
func (t *transaction) delete(ctx context.Context, r *relation, batch []*pending) ([]*pending, error) {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.id
	}
	args, _ := r.keyArrays(ids)
	sql := fmt.Sprintf("delete from %s t using (%s) w where %s returning %s, w.id", r.sql(), r.unnestKeys(1), r.onKey(), r.list("t", nil))
	deleted := make(map[string]bool, len(batch))
	if err := t.rows(ctx, sql, args, r, nil, func(_ row, more []string) { deleted[more[0]] = true }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(batch), func(p *pending) bool { return deleted[p.id] }), nil
}

// deleteEffects says what a delete takes along, as far as it can be known without looking at rows.
func (r *relation) deleteEffects() []string {
	var effects []string
	for _, f := range r.referrers {
		switch f.OnDelete {
		case "c":
			effects = append(effects, fmt.Sprintf("Rows of %s that refer to a deleted record are deleted with it.", idOf(f.Schema, f.Name)))
		case "n", "d":
			effects = append(effects, fmt.Sprintf("%s of %s is %s where it refers to a deleted record.", strings.Join(f.Columns, ", "), idOf(f.Schema, f.Name), emptied(f.OnDelete)))
		}
	}
	for _, t := range r.triggers {
		if t.Type&triggerDelete != 0 {
			effects = append(effects, fmt.Sprintf("The trigger %s of the database runs with each delete.", t.Name))
		}
	}
	return effects
}

func emptied(onDelete string) string {
	if onDelete == "d" {
		return "set to its default"
	}
	return "emptied"
}
