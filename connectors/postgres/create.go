package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"scratchpaper/connectors"
)

// Reserve takes numbers from the key's sequence, or makes UUIDs; nil for keys that come from the record. Numbers that
// are not used leave gaps, as a transaction that was rolled back does.
func (s *session) Reserve(ctx context.Context, table connectors.Table, n int) ([]string, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if r.uncreatable != "" {
		return nil, refuse(r.uncreatable)
	}
	c := r.reserved()
	if c == nil {
		return nil, nil
	}
	var ids []string
	err = s.writing(ctx, func(ctx context.Context, tx *transaction) error {
		ids, err = tx.reserve(ctx, c, n)
		return err
	})
	return ids, err
}

func (t *transaction) reserve(ctx context.Context, c *column, n int) ([]string, error) {
	ids := make([]string, n)
	if c.uuid {
		for i := range ids {
			ids[i] = newUUID()
		}
		return ids, nil
	}
	var raw []string
	err := t.conn.QueryRow(ctx, `select array(select nextval(($1::bigint)::oid::regclass)::text from generate_series(1, $2::int))`, c.sequence, n).Scan(&raw)
	return raw, err
}

// newUUID makes a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Create creates rows in one transaction. A key that is taken is never overwritten: with Repeat the stored row is
// compared with what was to be created.
func (s *session) Create(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if r.uncreatable != "" {
		return nil, refuse(r.uncreatable)
	}
	outcomes := make([]connectors.Outcome, len(writes))
	err = s.writing(ctx, func(ctx context.Context, tx *transaction) error {
		batch, err := s.prepareCreates(ctx, tx, r, writes, outcomes)
		if err != nil {
			return err
		}
		return s.create(ctx, tx, r, batch)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// prepareCreates checks writes and gives each the key it will have.
func (s *session) prepareCreates(ctx context.Context, tx *transaction, r *relation, writes []connectors.Write, outcomes []connectors.Outcome) ([]*pending, error) {
	var batch []*pending
	for i, w := range writes {
		p, fault := s.prepareCreate(ctx, tx, r, w)
		if fault == nil {
			p.outcome = &outcomes[i]
			batch = append(batch, p)
			continue
		}
		outcomes[i] = connectors.Outcome{ID: w.ID, Err: fault}
	}
	return s.normalise(ctx, tx, r, batch)
}

// normalise brings the keys of a batch into the server's spelling, and gives those that it takes for keys.
func (s *session) normalise(ctx context.Context, tx *transaction, r *relation, batch []*pending) ([]*pending, error) {
	err := s.each(ctx, tx, r, batch, func(part []*pending) error { return tx.normalKeys(ctx, r, part) })
	live := make([]*pending, 0, len(batch))
	for _, p := range batch {
		p.outcome.ID = p.id
		if p.outcome.Err == nil {
			live = append(live, p)
		}
	}
	return live, err
}

func (s *session) prepareCreate(ctx context.Context, tx *transaction, r *relation, w connectors.Write) (*pending, *connectors.Fault) {
	p, fault := r.prepare(w, func(c *column) string {
		if c.insertable || r.isKey(c.name) {
			return ""
		}
		return first(c.whyNot, "This login may not set this column.")
	})
	if fault != nil {
		return nil, fault
	}
	if p.id, fault = r.keyOf(p); fault != nil {
		return nil, fault
	}
	if c := r.reserved(); p.id == "" && c != nil {
		ids, err := tx.reserve(ctx, c, 1)
		if err != nil {
			return nil, s.recordFault(r, err, nil)
		}
		p.id = ids[0]
	}
	p.dropKey(r)
	return p, nil
}

// dropKey takes the key out of the fields: it is sent as key, whether it came as id or among the values.
func (p *pending) dropKey(r *relation) {
	p.fields = slices.DeleteFunc(p.fields, func(c *column) bool { return r.isKey(c.name) })
}

// keyOf is a new record's id as far as the writer gives it: reserved, or from the key's columns; "" for one to be reserved.
func (r *relation) keyOf(p *pending) (string, *connectors.Fault) {
	if p.write.ID != "" {
		if _, ok := r.decodeID(p.write.ID); !ok {
			return "", &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The id does not fit the key of " + r.id() + "."}
		}
		return p.write.ID, nil
	}
	key := make([]string, len(r.key))
	for i, k := range r.key {
		text := p.literals[k]
		if text == nil && r.reserved() != nil {
			return "", nil
		}
		if text == nil {
			return "", &connectors.Fault{Kind: connectors.RefusedValue, Field: k, Words: "The key " + k + " has to be given."}
		}
		key[i] = *text
	}
	return encodeID(key), nil
}

// normalKeys brings keys into the server's own spelling (uuids in lower case, 007 as 7), so that answers can be matched.
func (t *transaction) normalKeys(ctx context.Context, r *relation, batch []*pending) error {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.id
	}
	args, _ := r.keyArrays(ids)
	var casts, params, names []string
	for i, k := range r.keyColumns() {
		casts = append(casts, fmt.Sprintf("cast(cast(u.k%d as %s) as %s)::text", i+1, k.cast, k.options.RemoteType))
		params = append(params, fmt.Sprintf("$%d::text[]", i+1))
		names = append(names, fmt.Sprintf("k%d", i+1))
	}
	sql := fmt.Sprintf("select array[%s] from unnest(%s) with ordinality u(%s, n) order by u.n",
		strings.Join(casts, ", "), strings.Join(params, ", "), strings.Join(names, ", "))
	rows, err := t.conn.Query(ctx, sql, args[:len(r.key)]...)
	if err != nil {
		return err
	}
	defer rows.Close()
	normal := make([]string, 0, len(batch))
	for rows.Next() {
		var key []string
		if err := rows.Scan(&key); err != nil {
			return err
		}
		normal = append(normal, encodeID(key))
	}
	for i := range normal {
		batch[i].id = normal[i]
	}
	return rows.Err()
}

func (s *session) create(ctx context.Context, tx *transaction, r *relation, batch []*pending) error {
	for _, group := range groups(batch) {
		size := len(group)
		if r.hasTrigger(triggerInsert, true) {
			size = 1 // it may give the row another key; alone it is matched all the same
		}
		for len(group) > 0 {
			part := group[:min(size, len(group))]
			group = group[len(part):]
			if err := s.each(ctx, tx, r, part, func(part []*pending) error { return tx.insert(ctx, r, part) }); err != nil {
				return err
			}
		}
	}
	var taken, again []*pending
	for _, p := range batch {
		switch {
		case p.outcome.Err != nil:
		case p.outcome.Stored == nil:
			taken = append(taken, p)
		case r.hasTrigger(triggerInsert, false):
			again = append(again, p)
		}
	}
	if len(again) > 0 {
		if err := s.reread(ctx, tx, r, again); err != nil {
			return err
		}
	}
	return s.judgeTaken(ctx, tx, r, taken)
}

// insert creates one set of columns. Rows whose key is taken do not come back.
func (t *transaction) insert(ctx context.Context, r *relation, batch []*pending) error {
	fields := batch[0].fields
	key := strings.Join(identifiers("", r.key), ", ")
	columns, values := []string{key}, []string{keyNames(len(r.key))}
	for i, c := range fields {
		columns, values = append(columns, quoted(c)), append(values, fmt.Sprintf("w.f%d", i+1))
	}
	sql := fmt.Sprintf("insert into %s as t (%s) overriding system value select %s from (%s) w order by w.n on conflict (%s) do nothing returning %s",
		r.sql(), strings.Join(columns, ", "), strings.Join(values, ", "), r.unnestBatch(fields), key, r.list("t", r.columns))
	stored := make(map[string]row, len(batch))
	var last row
	if err := t.rows(ctx, sql, r.arrays(batch), r, r.columns, func(x row, _ []string) { last, stored[encodeID(x.key)] = x, x }); err != nil {
		return err
	}
	for _, p := range batch {
		x, ok := stored[p.id]
		if !ok && len(batch) == 1 && len(stored) == 1 {
			x, ok = last, true
		}
		if !ok {
			continue
		}
		delete(stored, p.id) // the next with the same key was not taken
		p.id = encodeID(x.key)
		p.outcome.ID, p.outcome.Version, p.outcome.Stored = p.id, x.version, r.held(x)
	}
	return nil
}
