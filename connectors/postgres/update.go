package postgres

import (
	"context"
	"fmt"
	"strings"

	"scratchpaper/connectors"
)

// Update changes the given columns of rows and no others, all in one transaction. Rows are locked, compared and changed,
// so nothing comes in between. The server's refusal of one row is that row's alone.
func (s *session) Update(ctx context.Context, table connectors.Table, updates []connectors.Write) ([]connectors.Outcome, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if r.unwritable != "" {
		return nil, refuse(r.unwritable)
	}
	outcomes := make([]connectors.Outcome, len(updates))
	err = s.writing(ctx, func(ctx context.Context, tx *transaction) error {
		for _, round := range rounds(updates) {
			if err := s.updateRound(ctx, tx, r, updates, round, outcomes); err != nil {
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

func (s *session) updateRound(ctx context.Context, tx *transaction, r *relation, updates []connectors.Write, round []int, outcomes []connectors.Outcome) error {
	batch, err := s.locked(ctx, tx, r, updates, round, outcomes, func(c *column) string { return c.whyNot })
	if err != nil {
		return err
	}
	for _, group := range groups(batch) {
		if len(group[0].fields) == 0 {
			continue
		}
		if err := s.each(ctx, tx, r, group, func(part []*pending) error { return tx.update(ctx, r, part) }); err != nil {
			return err
		}
	}
	return s.settleUpdates(ctx, tx, r, batch)
}

// settleUpdates reads rows again that gave no answer, or whose answer is not the last word: views may answer with what
// was sent, and triggers run after the answer.
func (s *session) settleUpdates(ctx context.Context, tx *transaction, r *relation, batch []*pending) error {
	var silent, again []*pending
	for _, p := range batch {
		switch {
		case p.outcome.Err != nil:
		case p.outcome.Stored == nil:
			silent = append(silent, p)
		case r.kind == "v" || r.hasTrigger(triggerUpdate, false):
			again = append(again, p)
		}
	}
	if len(silent)+len(again) == 0 {
		return nil
	}
	if err := s.reread(ctx, tx, r, append(again, silent...)); err != nil {
		return err
	}
	for _, p := range silent {
		r.judge(p)
	}
	return nil
}

// judge says of an update that changed nothing whether nothing had to be changed.
func (r *relation) judge(p *pending) {
	if p.outcome.Stored == nil {
		p.outcome.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The record went away with the update, or cannot be seen any more."}
		return
	}
	for name, want := range p.write.Values {
		if c := r.column(name); !c.same(want, p.outcome.Stored[name]) {
			p.outcome.Err = &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The database took the update and changed nothing (a trigger or rule there drops it)."}
			return
		}
	}
}

// update changes one set of columns. Rows come back as they are stored.
func (t *transaction) update(ctx context.Context, r *relation, batch []*pending) error {
	fields := batch[0].fields
	set := make([]string, len(fields))
	for i, c := range fields {
		set[i] = fmt.Sprintf("%s = w.f%d", quoted(c), i+1)
	}
	sql := fmt.Sprintf("update %s t set %s from (%s) w where %s returning %s, w.id",
		r.sql(), strings.Join(set, ", "), r.unnestBatch(fields), r.onKey(), r.list("t", r.columns))
	stored := make(map[string]row, len(batch))
	if err := t.rows(ctx, sql, r.arrays(batch), r, r.columns, func(x row, more []string) { stored[more[0]] = x }); err != nil {
		return err
	}
	for _, p := range batch {
		if x, ok := stored[p.id]; ok {
			p.outcome.Stored, p.outcome.Version = r.held(x), x.version
		}
	}
	return nil
}
