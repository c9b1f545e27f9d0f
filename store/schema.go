package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SchemaKind says how a field at the service differs from its column here.
type SchemaKind string

// The kinds of schema changes, in the order in which they are shown.
const (
	FieldAdded    SchemaKind = "added"
	FieldReturned SchemaKind = "returned" // it was removed, and is there again
	FieldRemoved  SchemaKind = "removed"
	FieldRenamed  SchemaKind = "renamed"
	FieldRetyped  SchemaKind = "retyped"
	FieldOptions  SchemaKind = "options" // choices, lengths, required
	FieldRights   SchemaKind = "rights"  // it can be changed now, or cannot any more
)

// SchemaChange is one difference between a table here and at the service.
type SchemaChange struct {
	Kind   SchemaKind
	Column core.Column // here; empty for FieldAdded
	Field  NewColumn   // at the service; empty for FieldRemoved
	Edits  int64       // cells of the column that are edited here
}

// remoteFields gives the names of a table's fields at the service by their ids, as it was described when it was last taken over.
func (t Table) remoteFields() map[string]string {
	var known struct{ Columns []struct{ ID, Name string } }
	_ = json.Unmarshal(t.Remote, &known) // a file's table has none
	out := map[string]string{}
	for _, c := range known.Columns {
		out[c.ID] = c.Name
	}
	return out
}

// fieldOf finds the field that a column is of: by what outlives names, else by its id.
func fieldOf(c core.Column, fields []NewColumn, taken map[string]bool) (NewColumn, bool) {
	for _, by := range []func(f NewColumn) bool{
		func(f NewColumn) bool { return c.Anchor != "" && f.Anchor == c.Anchor },
		func(f NewColumn) bool { return f.RemoteID == c.RemoteID && !taken[f.RemoteID] },
	} {
		if i := slices.IndexFunc(fields, by); i >= 0 {
			return fields[i], true
		}
	}
	return NewColumn{}, false
}

// schemaChanges compares the columns of a table with the service's fields. Fields that were known and not taken are no change.
func schemaChanges(t Table, fields []NewColumn) []SchemaChange {
	known, taken := t.remoteFields(), map[string]bool{}
	for _, c := range t.Columns { // what an anchor finds is nobody else's by its name
		if i := slices.IndexFunc(fields, func(f NewColumn) bool { return c.Anchor != "" && f.Anchor == c.Anchor }); i >= 0 {
			taken[fields[i].RemoteID] = true
		}
	}
	var out []SchemaChange
	for _, c := range t.Columns {
		if c.Source != core.Remote || c.RemoteID == "" {
			continue
		}
		f, there := fieldOf(c, fields, taken)
		if there {
			taken[f.RemoteID] = true
		}
		out = append(out, columnChanges(c, f, there, known[c.RemoteID])...)
	}
	for _, f := range fields {
		if _, old := known[f.RemoteID]; !old && !taken[f.RemoteID] {
			out = append(out, SchemaChange{Kind: FieldAdded, Field: f})
		}
	}
	slices.SortStableFunc(out, func(a, b SchemaChange) int { return schemaOrder(a.Kind) - schemaOrder(b.Kind) })
	return out
}

func schemaOrder(k SchemaKind) int {
	return slices.Index([]SchemaKind{FieldRemoved, FieldRetyped, FieldRenamed, FieldAdded, FieldReturned, FieldOptions, FieldRights}, k)
}

func columnChanges(c core.Column, f NewColumn, there bool, oldName string) (out []SchemaChange) {
	add := func(k SchemaKind) { out = append(out, SchemaChange{Kind: k, Column: c, Field: f}) }
	if !there {
		if !c.Gone {
			add(FieldRemoved)
		}
		return out
	}
	if c.Gone {
		add(FieldReturned)
	}
	if f.RemoteID != c.RemoteID || oldName != "" && f.Title != oldName {
		add(FieldRenamed)
	}
	switch {
	case f.Type != c.Type:
		add(FieldRetyped)
	case !sameOptions(f.Options, c.Options):
		add(FieldOptions)
	}
	if !c.Gone && !slices.Contains(c.Locks, core.ReadOnly) && (f.Writable != c.Writable || f.InsertOnly != c.InsertOnly) {
		add(FieldRights)
	}
	return out
}

// sameOptions compares what the service says of two columns: where a reference leads to here is ours.
func sameOptions(a, b core.ColumnOptions) bool {
	a.TargetTable, b.TargetTable = "", ""
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// NoteSchema compares a table with what the service describes now and keeps the differences, so that a person sees and takes them
// over. It gives how many there are.
func (s *Store) NoteSchema(ctx context.Context, by core.Actor, t Table, now NewTable) (int, error) {
	changes := schemaChanges(t, now.Columns)
	if len(changes) == 0 {
		return 0, s.learnAnchors(ctx, by, t, now)
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return 0, fmt.Errorf("describe table: %w", err)
	}
	_, err = s.pool.Exec(ctx, `update tables set schema_found = $3 where org_id = $1 and id = $2 and schema_found is distinct from $3`, by.Org, t.ID, raw)
	if err != nil {
		return 0, fmt.Errorf("keep schema changes: %w", err)
	}
	return len(changes), nil
}

// learnAnchors notes that a table is here as it is there, and what outlives its fields' names.
func (s *Store) learnAnchors(ctx context.Context, by core.Actor, t Table, now NewTable) error {
	if t.SchemaFound {
		if _, err := s.pool.Exec(ctx, `update tables set schema_found = null where org_id = $1 and id = $2`, by.Org, t.ID); err != nil {
			return fmt.Errorf("forget schema changes: %w", err)
		}
	}
	ids, anchors := []string{}, []string{}
	for _, f := range now.Columns {
		if slices.ContainsFunc(t.Columns, func(c core.Column) bool { return c.RemoteID == f.RemoteID && c.Anchor != f.Anchor }) {
			ids, anchors = append(ids, f.RemoteID), append(anchors, f.Anchor)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, `update columns c set anchor = u.anchor from unnest($3::text[], $4::text[]) u(id, anchor)
		where c.org_id = $1 and c.table_id = $2 and c.remote_id = u.id`, by.Org, t.ID, ids, anchors)
	if err != nil {
		return fmt.Errorf("learn anchors: %w", err)
	}
	return nil
}

// SchemaChanges gives what the last refresh found changed of a table's columns, with how many cells of each are edited here. Codes:
// NotFound.
func (s *Store) SchemaChanges(ctx context.Context, by core.Actor, ref TableRef) ([]SchemaChange, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil || !t.SchemaFound {
		return nil, err
	}
	found, err := foundSchema(ctx, s.pool, t)
	if err != nil {
		return nil, err
	}
	changes := schemaChanges(t, found.Columns)
	rows, err := s.pool.Query(ctx, `select e.key::int, count(*) from `+dataTable(t)+` r cross join lateral jsonb_object_keys(r._base) e(key)
		where r._base is not null and r._state = 0 group by 1`, dynamic)
	if err != nil {
		return nil, mapError(fmt.Errorf("edits of columns: %w", err))
	}
	edits := map[int]int64{}
	var number int
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&number, &n}, func() error { edits[number] = n; return nil }); err != nil {
		return nil, mapError(fmt.Errorf("edits of columns: %w", err))
	}
	for i := range changes {
		changes[i].Edits = edits[changes[i].Column.Number]
	}
	return changes, nil
}

// foundSchema reads what NoteSchema kept; Conflict when there is nothing.
func foundSchema(ctx context.Context, q querier, t Table) (NewTable, error) {
	var raw []byte
	if err := q.QueryRow(ctx, `select schema_found from tables where org_id = $1 and id = $2`, t.Org, t.ID).Scan(&raw); err != nil {
		return NewTable{}, mapError(fmt.Errorf("schema changes: %w", err))
	}
	if raw == nil {
		return NewTable{}, core.Errorf(core.Conflict, "Nothing of %s differs from the service any more.", t.Title)
	}
	var n NewTable
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, fmt.Errorf("schema changes: %w", err)
	}
	return n, nil
}
