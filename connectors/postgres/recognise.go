package postgres

import (
	"context"
	"fmt"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// judgeTaken says what became of creates that gave no row: ours from a first try, a stranger's, or dropped by a trigger.
func (s *session) judgeTaken(ctx context.Context, tx *transaction, r *relation, taken []*pending) error {
	if len(taken) == 0 {
		return nil
	}
	if err := s.reread(ctx, tx, r, taken); err != nil {
		return err
	}
	for _, p := range taken {
		o := p.outcome
		if o.Stored == nil {
			o.Err = &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The database took the record and kept nothing (a trigger or rule there drops it, or this login may not see it)."}
			continue
		}
		fault := &connectors.Fault{Kind: connectors.RefusedRecord, Words: "A record with the key " + p.id + " is there already."}
		if p.write.Repeat {
			var err error
			if fault, err = s.ownFault(ctx, tx, r, p); err != nil {
				return err
			}
		}
		if o.Existing = fault == nil; !o.Existing {
			o.Err, o.Stored, o.Version = fault, nil, ""
		}
	}
	return nil
}

// ownFault says whether a stored row is the one that was to be created: nil when it is. A UUID of ours nobody else has.
// Where triggers may have changed the row, a difference proves nothing.
func (s *session) ownFault(ctx context.Context, tx *transaction, r *relation, p *pending) (*connectors.Fault, error) {
	reserved := r.reserved()
	if reserved != nil && reserved.uuid {
		return nil, nil
	}
	equal, err := s.storedAsSent(ctx, tx, r, p)
	switch {
	case err != nil || equal:
		return nil, err
	case reserved != nil && (r.hasTrigger(triggerInsert, true) || r.hasTrigger(triggerInsert, false)):
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "A record with the id " + p.id + " is there and differs from what was sent; triggers of the database may have changed it."}, nil
	}
	return &connectors.Fault{Kind: connectors.RefusedRecord, Words: "A record with the key " + p.id + " is there already, and it is another one."}, nil
}

// storedAsSent compares a stored row with what the server makes of the values that were sent (rounding, padding).
func (s *session) storedAsSent(ctx context.Context, tx *transaction, r *relation, p *pending) (bool, error) {
	if len(p.fields) == 0 {
		return true, nil
	}
	var casts, reads []string
	var args []any
	for i, c := range p.fields {
		casts = append(casts, fmt.Sprintf("cast(cast($%d::text as %s) as %s) as %s", i+1, c.cast, c.options.RemoteType, quoted(c)))
		reads = append(reads, c.read("x"))
		args = append(args, p.literals[c.name])
	}
	sent := make([]*string, len(p.fields))
	targets := make([]any, len(sent))
	for i := range sent {
		targets[i] = &sent[i]
	}
	sql := fmt.Sprintf("select %s from (select %s) x", strings.Join(reads, ", "), strings.Join(casts, ", "))
	if err := tx.conn.QueryRow(ctx, sql, args...).Scan(targets...); err != nil {
		return false, err
	}
	for i, c := range p.fields {
		v := core.NullValue
		if sent[i] != nil {
			v = c.canonical(*sent[i])
		}
		if !c.same(v, p.outcome.Stored[c.name]) {
			return false, nil
		}
	}
	return true, nil
}

// Recognise looks for records whose create was never answered.
func (s *session) Recognise(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	outcomes := make([]connectors.Outcome, len(writes))
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		batch, err := s.prepareRecognise(ctx, tx, r, writes, outcomes)
		if err != nil {
			return err
		}
		if err := s.reread(ctx, tx, r, batch); err != nil {
			return err
		}
		for _, p := range batch {
			if err := s.recognise(ctx, tx, r, p); err != nil {
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

func (s *session) prepareRecognise(ctx context.Context, tx *transaction, r *relation, writes []connectors.Write, outcomes []connectors.Outcome) ([]*pending, error) {
	var batch []*pending
	for i, w := range writes {
		p, fault := r.prepare(w, func(*column) string { return "" })
		if fault == nil {
			p.id, fault = r.keyOf(p)
		}
		if fault != nil || p.id == "" {
			outcomes[i].Err = &connectors.Fault{Kind: connectors.Unavailable, Words: "Without its key nobody can say whether the record was created."}
			continue
		}
		p.dropKey(r)
		p.outcome = &outcomes[i]
		batch = append(batch, p)
	}
	live, err := s.normalise(ctx, tx, r, batch)
	for _, p := range batch {
		if p.outcome.Err != nil { // what is no key for the server is no record there
			p.outcome.Err = &connectors.Fault{Kind: connectors.Gone, Words: p.outcome.Err.Words}
		}
	}
	return live, err
}

func (s *session) recognise(ctx context.Context, tx *transaction, r *relation, p *pending) error {
	if p.outcome.Stored == nil {
		p.outcome.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The record was not created."}
		return nil
	}
	fault, err := s.ownFault(ctx, tx, r, p)
	switch {
	case err != nil:
		return err
	case fault == nil:
		p.outcome.Existing = true
	case r.reserved() == nil:
		p.outcome.Err, p.outcome.Stored = &connectors.Fault{Kind: connectors.Gone, Words: fault.Words}, nil
	default:
		p.outcome.Err, p.outcome.Stored = &connectors.Fault{Kind: connectors.Unavailable, Words: fault.Words}, nil
	}
	return nil
}
