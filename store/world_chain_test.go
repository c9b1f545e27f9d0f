package store

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

func collect[T any](ctx context.Context, q querier, sql string) ([]T, error) {
	rows, err := q.Query(ctx, sql, dynamic)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

func pairs[K comparable, V any](ctx context.Context, q querier, sql string) (map[K]V, error) {
	rows, err := q.Query(ctx, sql, dynamic)
	if err != nil {
		return nil, err
	}
	out := map[K]V{}
	var k K
	var v V
	_, err = pgx.ForEachRow(rows, []any{&k, &v}, func() error { out[k] = v; return nil })
	return out, err
}

// chainLink is one line of _changes.
type chainLink struct {
	Batch               int64
	Row                 int64
	Col                 int
	Before, After       *string
	BaseBefore, BaseNow *string
}

// chained follows the history of each cell: every change begins where the one before ended, and the last one ends at what
// the cell holds now.
func (w *world) chained(what string, t *modelTable) {
	w.Helper()
	rows, err := w.pool.Query(w.test.Context(), `select batch, row, col, before::text, after::text, base_before::text, base_after::text from `+
		companion(t.Table, "_changes")+` order by row, batch, col`, dynamic)
	w.check(err)
	links, err := pgx.CollectRows(rows, pgx.RowToStructByPos[chainLink])
	w.check(err)
	last := map[[2]int64]chainLink{}
	for _, l := range links {
		if w.model.reborn[l.Row] {
			continue
		}
		key := [2]int64{l.Row, int64(l.Col)}
		if l.Col == core.RecordColumn {
			if wholeRecord(l) {
				forget(last, l.Row)
			}
			continue
		}
		if before, ok := last[key]; ok && (!w.follows(t, l.Col, before.After, l.Before) || !w.follows(t, l.Col, before.BaseNow, l.BaseBefore)) {
			w.Fatalf("%s: the history of cell %v breaks between batch %d (%s, base %s) and batch %d (%s, base %s)", what, key, before.Batch, text(before.After),
				text(before.BaseNow), l.Batch, text(l.Before), text(l.BaseBefore))
		}
		if before, ok := last[key]; ok && before.Batch == l.Batch {
			w.Fatalf("%s: batch %d changes cell %v twice", what, l.Batch, key)
		}
		last[key] = l
	}
	w.endsAtCells(what, t, last)
}

// wholeRecord says whether a record's values came or went with a change of column 0.
func wholeRecord(l chainLink) bool {
	long := func(s *string) bool { return s != nil && *s != "null" && *s != wasThere }
	return long(l.Before) || long(l.After)
}

func forget(last map[[2]int64]chainLink, row int64) {
	for key := range last {
		if key[0] == row {
			delete(last, key)
		}
	}
}

func (w *world) endsAtCells(what string, t *modelTable, last map[[2]int64]chainLink) {
	w.Helper()
	for key, l := range last {
		r, ok := t.rows[key[0]]
		if !ok {
			continue // another table's
		}
		cell, base := r.cells[l.Col], r.base[l.Col]
		if !w.follows(t, l.Col, l.After, &cell) || text(l.BaseNow) != "none" != (base != "") || base != "" && !same(base, text(l.BaseNow)) {
			w.Fatalf("%s: cell %v holds %s (base %q), its history ends at %s (base %s) in batch %d", what, key, cell, base, text(l.After), text(l.BaseNow), l.Batch)
		}
	}
}

// follows compares values of a cell. In the history "~" and an id mean the record, whatever its remote id became.
func (w *world) follows(t *modelTable, col int, a, b *string) bool {
	c, ok := t.Column(col)
	if !ok || a == nil || b == nil {
		return !ok || a == b
	}
	return same(w.model.translate(c, *a), w.model.translate(c, *b))
}

func text(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}

// canonicalRecord gives a record of the service for a page, in the order of the columns.
func (w *world) canonicalRecord(t *modelTable, remote string, r *remoteRecord) RemoteRecord {
	out := RemoteRecord{ID: remote, Version: r.version}
	for _, c := range t.Columns {
		out.Values = append(out.Values, w.real(c, r.cells[c.Number]))
	}
	return out
}

func raw(values map[int]string) json.RawMessage {
	if values == nil {
		return nil
	}
	return json.RawMessage(object(values))
}
