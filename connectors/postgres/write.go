package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// pending is a write that has passed the checks and is about to be sent.
type pending struct {
	write    connectors.Write
	outcome  *connectors.Outcome
	id       string             // encoded key
	fields   []*column          // in a fixed order
	literals map[string]*string // by field
}

// prepare checks a write's fields and makes their literals. The Fault names the field.
func (r *relation) prepare(w connectors.Write, allowed func(*column) string) (*pending, *connectors.Fault) {
	p := &pending{write: w, id: w.ID, literals: map[string]*string{}}
	for name, v := range w.Values {
		c := r.column(name)
		if c == nil {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: name, Words: "The column " + name + " is not there any more, or this login may not read it."}
		}
		if why := allowed(c); why != "" {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: name, Words: why}
		}
		literal, err := c.literal(v)
		if err != nil {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: name, Words: err.Error()}
		}
		p.fields, p.literals[name] = append(p.fields, c), literal
	}
	slices.SortFunc(p.fields, func(a, b *column) int { return a.number - b.number })
	return p, nil
}

// signature is equal for writes of the same fields, which go in one statement.
func (p *pending) signature() string {
	var b strings.Builder
	for _, c := range p.fields {
		fmt.Fprintf(&b, "%d,", c.number)
	}
	return b.String()
}

// groups keeps the order in which the sets of fields first come.
func groups(batch []*pending) [][]*pending {
	at := map[string]int{}
	var out [][]*pending
	for _, p := range batch {
		sig := p.signature()
		i, ok := at[sig]
		if !ok {
			i, at[sig] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], p)
	}
	return out
}

// each applies a batch in one statement; when the server refuses it, each half, until the refusal is one record's.
func (s *session) each(ctx context.Context, tx *transaction, r *relation, batch []*pending, run func([]*pending) error) error {
	if len(batch) == 0 {
		return nil
	}
	err := tx.savepoint(ctx, func() error { return run(batch) })
	switch {
	case err == nil:
		return nil
	case !aboutRecord(err):
		return err
	case len(batch) == 1:
		batch[0].outcome.Err = s.recordFault(r, err, batch[0].write.Values)
		return nil
	}
	half := len(batch) / 2
	if err := s.each(ctx, tx, r, batch[:half], run); err != nil {
		return err
	}
	return s.each(ctx, tx, r, batch[half:], run)
}

// rounds splits writes so that no round names a record twice.
func rounds(writes []connectors.Write) [][]int {
	seen := map[string]int{}
	var out [][]int
	for i, w := range writes {
		n := seen[w.ID]
		seen[w.ID]++
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], i)
	}
	return out
}

// held is a row as the app takes it: values by field.
func (r *relation) held(x row) map[string]core.Value {
	values := make(map[string]core.Value, len(r.columns))
	for i, c := range r.columns {
		values[c.name] = x.values[i]
	}
	return values
}

// guard compares a locked row with what the writer knows of it: its version, or the values it is based on.
func (r *relation) guard(w connectors.Write, x row) *connectors.Fault {
	if w.Version != "" && r.versioned {
		if w.Version != x.version {
			return &connectors.Fault{Kind: connectors.ConflictFault, Words: "The record was changed at the service meanwhile."}
		}
		return nil
	}
	for i, c := range r.columns {
		if base, ok := w.Base[c.name]; ok && !c.same(base, x.values[i]) {
			return &connectors.Fault{Kind: connectors.ConflictFault, Field: c.name, Words: "The column " + c.name + " was changed at the service meanwhile."}
		}
	}
	return nil
}

// locked reads and locks the rows of a round, compares them, and gives those that may be written.
func (s *session) locked(ctx context.Context, tx *transaction, r *relation, writes []connectors.Write, round []int, outcomes []connectors.Outcome, allowed func(*column) string) ([]*pending, error) {
	ids := make([]string, len(round))
	for i, at := range round {
		ids[i] = writes[at].ID
	}
	found, err := tx.byID(ctx, r, r.columns, ids, r.lockable())
	if err != nil {
		return nil, err
	}
	var batch []*pending
	for _, at := range round {
		w, o := writes[at], &outcomes[at]
		o.ID = w.ID
		x, ok := found[w.ID]
		if !ok {
			o.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The record is not there any more."}
			continue
		}
		o.Before, o.Version = r.held(x), x.version
		if o.Err = r.guard(w, x); o.Err != nil {
			continue
		}
		p, fault := r.prepare(w, allowed)
		if fault != nil {
			o.Err = fault
			continue
		}
		p.outcome = o
		batch = append(batch, p)
	}
	return batch, nil
}

// arrays are a batch's parameters: the key's columns, the ids, and one array of texts per field.
func (r *relation) arrays(batch []*pending) []any {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.id
	}
	args, _ := r.keyArrays(ids) // the ids of rows that were found, or that we made
	for _, c := range batch[0].fields {
		values := make([]*string, len(batch))
		for i, p := range batch {
			values[i] = p.literals[c.name]
		}
		args = append(args, values)
	}
	return args
}

// unnestBatch is a subselect of arrays' parameters in the columns' types: k1, …, id, f1, … and n, the place.
func (r *relation) unnestBatch(fields []*column) string {
	var casts, params, names []string
	add := func(name, cast string) {
		params = append(params, fmt.Sprintf("$%d::text[]", len(params)+1))
		names = append(names, name)
		if cast != "" {
			casts = append(casts, fmt.Sprintf("cast(u.%s as %s) as %s", name, cast, name))
		}
	}
	for i, k := range r.keyColumns() {
		add(fmt.Sprintf("k%d", i+1), k.cast)
	}
	add("id", "text")
	for i, c := range fields {
		add(fmt.Sprintf("f%d", i+1), c.cast)
	}
	return fmt.Sprintf("select %s, u.n from unnest(%s) with ordinality u(%s, n)",
		strings.Join(casts, ", "), strings.Join(params, ", "), strings.Join(names, ", "))
}

// reread fills in what the service holds after a batch, where the statement's own answer does not say.
func (s *session) reread(ctx context.Context, tx *transaction, r *relation, batch []*pending) error {
	var ids []string
	for _, p := range batch {
		ids = append(ids, p.id)
	}
	found, err := tx.byID(ctx, r, r.columns, ids, false)
	if err != nil {
		return err
	}
	for _, p := range batch {
		if x, ok := found[p.id]; ok {
			p.outcome.Stored, p.outcome.Version = r.held(x), x.version
		}
	}
	return nil
}

// refuse is the answer to a batch that the table does not take at all.
func refuse(why string) *connectors.Fault {
	return &connectors.Fault{Kind: connectors.NotAllowed, Words: why, Unsent: true}
}

func quoted(c *column) string { return pgx.Identifier{c.name}.Sanitize() }
