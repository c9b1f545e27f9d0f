package example

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// record is what a file holds.
type record struct {
	version string // changes when the file does
	raw     map[string]json.RawMessage
}

func path(table connectors.Table, id string) string { return table.ID + "/" + id + ".json" }

// load reads a record; Gone when its file is not there.
func (s *session) load(table connectors.Table, id string) (record, *connectors.Fault) {
	if !safeName.MatchString(id) {
		return record{}, fault(fs.ErrNotExist, id)
	}
	all, err := s.folder.ReadFile(path(table, id))
	if err != nil {
		return record{}, fault(err, id)
	}
	sum := sha256.Sum256(all)
	r := record{version: hex.EncodeToString(sum[:8])}
	if err := json.Unmarshal(all, &r.raw); err != nil {
		return r, &connectors.Fault{Kind: connectors.Broken, Words: id + ".json is not an object of JSON.", Cause: err}
	}
	return r, nil
}

// values gives a record's values in canonical form; what is not in the file is null.
func (r record) values(table connectors.Table) (map[string]core.Value, *connectors.Fault) {
	out := map[string]core.Value{}
	for _, f := range table.Columns {
		v, err := core.FromCanonical(f.Type, r.raw[f.ID])
		if err == nil {
			v, err = core.CheckValue(column(f), v)
		}
		if err != nil {
			return nil, &connectors.Fault{Kind: connectors.Broken, Field: f.ID, Words: core.SentenceOf(err), Cause: err}
		}
		out[f.ID] = v
	}
	return out, nil
}

func column(f connectors.Field) core.Column {
	return core.Column{Title: f.Name, Type: f.Type, Options: f.Options}
}

// Read gives the next page by name, after the last id of the page before: what comes and goes meanwhile moves nothing.
func (s *session) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	page := connectors.Page{Total: -1, Checkpoint: req.Checkpoint}
	if err := ctx.Err(); err != nil {
		return page, fault(err, req.Table.ID)
	}
	after := ""
	if len(req.Checkpoint) > 0 {
		if err := json.Unmarshal(req.Checkpoint, &after); err != nil {
			return page, &connectors.Fault{Kind: connectors.Broken, Words: "The checkpoint is none of ours.", Cause: err}
		}
	}
	ids, err := s.idsAfter(req.Table, after)
	if err != nil {
		return page, fault(err, req.Table.ID)
	}
	limit := min(cmp.Or(max(req.Limit, 0), readPage), readPage)
	page.Last = len(ids) <= limit
	for _, id := range ids[:min(len(ids), limit)] {
		after = id
		fields := req.Fields
		if req.KeysOnly {
			fields = []string{}
		}
		r, f := s.record(req.Table, id, fields)
		if f != nil && f.Kind == connectors.Gone {
			continue // it went since the folder was read
		}
		if f != nil {
			return page, f
		}
		page.Records = append(page.Records, r)
	}
	page.Checkpoint, err = json.Marshal(after)
	return page, err
}

func (s *session) idsAfter(table connectors.Table, after string) ([]string, error) {
	if !safeName.MatchString(table.ID) {
		return nil, fs.ErrNotExist
	}
	entries, err := fs.ReadDir(s.folder.FS(), table.ID)
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok && safeName.MatchString(id) && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // "a-b.json" sorts before "a.json", and "a-b" after "a"
	return ids, err
}

// record gives a record with some fields; nil is all.
func (s *session) record(table connectors.Table, id string, fields []string) (connectors.Record, *connectors.Fault) {
	r, f := s.load(table, id)
	if f != nil {
		return connectors.Record{}, f
	}
	values, f := r.values(table)
	if f != nil {
		return connectors.Record{}, f
	}
	if fields == nil {
		for _, c := range table.Columns {
			fields = append(fields, c.ID)
		}
	}
	out := connectors.Record{ID: id, Version: r.version}
	for _, name := range fields {
		out.Values = append(out.Values, values[name])
	}
	return out, nil
}

// Current reads chosen records.
func (s *session) Current(ctx context.Context, table connectors.Table, fields, ids []string) ([]connectors.Record, error) {
	var out []connectors.Record
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, fault(err, table.ID)
		}
		r, f := s.record(table, id, fields)
		switch {
		case f == nil:
			out = append(out, r)
		case f.Kind != connectors.Gone:
			return nil, f
		}
	}
	return out, nil
}

// each gives every write its own outcome: what one of them fails with is not the others' failure.
func (s *session) each(ctx context.Context, writes []connectors.Write, one func(w connectors.Write) connectors.Outcome) ([]connectors.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]connectors.Outcome, len(writes))
	for i, w := range writes {
		if f := s.mayWrite(ctx); f != nil {
			out[i] = connectors.Outcome{ID: w.ID, Err: f}
			continue
		}
		out[i] = one(w)
	}
	return out, nil
}

// Update writes the given fields and leaves the others as they are.
func (s *session) Update(ctx context.Context, table connectors.Table, updates []connectors.Write) ([]connectors.Outcome, error) {
	return s.each(ctx, updates, func(w connectors.Write) connectors.Outcome {
		r, f := s.load(table, w.ID)
		if f != nil {
			return connectors.Outcome{ID: w.ID, Err: f}
		}
		before, f := r.values(table)
		if f == nil {
			f = set(table, r.raw, w.Values)
		}
		if f == nil {
			f = s.save(path(table, w.ID), r.raw, s.folder.Rename)
		}
		if f != nil {
			return connectors.Outcome{ID: w.ID, Err: f}
		}
		o := s.stored(table, w.ID)
		o.Before = before
		return o
	})
}

// set puts values into a record, or says which of them does not fit.
func set(table connectors.Table, raw map[string]json.RawMessage, values map[string]core.Value) *connectors.Fault {
	for _, f := range table.Columns {
		v, given := values[f.ID]
		if !given {
			continue
		}
		v, err := core.CheckValue(column(f), v)
		if err != nil {
			return &connectors.Fault{Kind: connectors.RefusedValue, Field: f.ID, Words: core.SentenceOf(err)}
		}
		raw[f.ID] = v.Canonical(f.Type)
	}
	return nil
}

// save writes a file beside and lets place put it where it belongs, so that nobody ever reads half of it.
func (s *session) save(name string, raw map[string]json.RawMessage, place func(from, to string) error) *connectors.Fault {
	var all bytes.Buffer
	enc := json.NewEncoder(&all)
	enc.SetEscapeHTML(false) // a document's < stays as it is
	if err := enc.Encode(raw); err != nil {
		return fault(err, name)
	}
	beside := name + "." + rand.Text() + ".new"
	if err := s.folder.WriteFile(beside, all.Bytes(), 0o644); err != nil {
		return fault(err, name)
	}
	defer func() { _ = s.folder.Remove(beside) }() // it is gone already where it was renamed
	if err := place(beside, name); err != nil {
		f := fault(err, name)
		if errors.Is(err, fs.ErrExist) {
			f = &connectors.Fault{Kind: connectors.RefusedRecord, Words: "There is a record with this id already.", Cause: err}
		}
		return f
	}
	return nil
}

// stored says what a file holds now: that becomes the base.
func (s *session) stored(table connectors.Table, id string) connectors.Outcome {
	o := connectors.Outcome{ID: id}
	r, f := s.load(table, id)
	if f == nil {
		o.Version = r.version
		o.Stored, f = r.values(table)
	}
	o.Err = f
	return o
}

// Reserve makes ids before anything is created, so that a create whose answer was lost is found again.
func (s *session) Reserve(_ context.Context, _ connectors.Table, n int) ([]string, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strings.ToLower(rand.Text())
	}
	return ids, nil
}

// Create makes files that are not there yet. Repeated, a file with what was asked for is our own from the first try.
func (s *session) Create(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return s.each(ctx, writes, func(w connectors.Write) connectors.Outcome {
		raw := map[string]json.RawMessage{}
		if f := set(table, raw, w.Values); f != nil {
			return connectors.Outcome{ID: w.ID, Err: f}
		}
		if !safeName.MatchString(w.ID) {
			return connectors.Outcome{ID: w.ID, Err: &connectors.Fault{Kind: connectors.RefusedRecord, Words: "An id has letters, digits, - and _ only."}}
		}
		f := s.save(path(table, w.ID), raw, s.folder.Link) // a link, unlike a rename, never takes the place of a file
		if f == nil {
			return s.stored(table, w.ID)
		}
		if o := s.stored(table, w.ID); w.Repeat && f.Kind == connectors.RefusedRecord && o.Err == nil && holds(o.Stored, w.Values) {
			o.Existing = true
			return o
		}
		return connectors.Outcome{ID: w.ID, Err: f}
	})
}

// holds says whether a record has what was asked for.
func holds(stored, wanted map[string]core.Value) bool {
	for _, name := range slices.Collect(maps.Keys(wanted)) {
		if !stored[name].Equal(wanted[name]) {
			return false
		}
	}
	return true
}

// Recognise looks for creates whose answer was lost: by their reserved ids, that is sure.
func (s *session) Recognise(_ context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	out := make([]connectors.Outcome, len(writes))
	for i, w := range writes {
		out[i] = s.stored(table, w.ID)
	}
	return out, nil
}

// Delete removes files, and says what they held.
func (s *session) Delete(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	return s.each(ctx, writes, func(w connectors.Write) connectors.Outcome {
		held := s.stored(table, w.ID)
		if held.Err != nil {
			return connectors.Outcome{ID: w.ID, Err: held.Err}
		}
		if err := s.folder.Remove(path(table, w.ID)); err != nil {
			return connectors.Outcome{ID: w.ID, Err: fault(err, w.ID)}
		}
		return connectors.Outcome{ID: w.ID, Before: held.Stored}
	})
}
