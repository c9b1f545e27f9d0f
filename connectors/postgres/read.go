package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// checkpoint is where the next page begins: after this key, in the server's own text.
type checkpoint struct {
	After []string `json:"after"`
}

// Read gives the next page in the order of the key. A record whose key changes meanwhile may come twice or, if it moves
// back past the checkpoint, not again.
func (s *session) Read(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	r, err := s.readable(ctx, req.Table.ID)
	if err != nil {
		return connectors.Page{}, err
	}
	fields, err := r.fields(req.Fields)
	if err != nil {
		return connectors.Page{}, err
	}
	if req.KeysOnly {
		fields = nil
	}
	after, err := r.after(req.Checkpoint)
	if err != nil {
		return connectors.Page{}, err
	}
	memory := fmt.Sprint(r.id(), req.Fields, req.KeysOnly)
	limit := s.pageSize(memory, req)
	rows, size, err := s.readPage(ctx, r, fields, after, limit)
	if err != nil {
		return connectors.Page{}, s.slowView(r, err)
	}
	s.learnSize(memory, len(rows), size)
	return pageOf(rows, len(rows) < limit && size < pageBytes, req)
}

// Versions is Read of ids and versions in large pages.
func (s *session) Versions(ctx context.Context, req connectors.ReadRequest) (connectors.Page, error) {
	req.KeysOnly, req.Fields = true, nil
	return s.Read(ctx, req)
}

func (s *session) readable(ctx context.Context, id string) (*relation, error) {
	r, err := s.relation(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.unreadable != "" {
		return nil, &connectors.Fault{Kind: connectors.NotAllowed, Words: r.unreadable, Unsent: true}
	}
	return r, nil
}

func (r *relation) after(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var c checkpoint
	if err := json.Unmarshal(raw, &c); err != nil || len(c.After) != len(r.key) {
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: "The checkpoint does not fit the key of " + r.id() + "; start the download again.", Cause: err}
	}
	return c.After, nil
}

// slowView makes of a time limit that a view ran into what it is: a view that cannot be read in pages.
func (s *session) slowView(r *relation, err error) error {
	f, ok := err.(*connectors.Fault)
	if !ok || r.isTable() || !strings.Contains(f.Words, "statement timeout") {
		return err
	}
	return &connectors.Fault{Kind: connectors.NotAllowed, Unsent: true, Cause: err,
		Words: "The view " + r.id() + " is too slow to be read in pages: one took longer than 25 seconds."}
}

// pageSize bounds a page in bytes: by the mean size of records seen before, and small while that is not known.
func (s *session) pageSize(memory string, req connectors.ReadRequest) int {
	limit, most := req.Limit, readPage
	if req.KeysOnly {
		most = keysPage
	}
	if limit <= 0 || limit > most {
		limit = most
	}
	s.mu.Lock()
	mean, known := s.rowBytes[memory]
	s.mu.Unlock()
	switch {
	case known:
		limit = min(limit, max(1, pageBytes/max(1, mean)))
	case !req.KeysOnly:
		limit = min(limit, firstPage)
	}
	return limit
}

func (s *session) learnSize(memory string, rows, size int) {
	if rows == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rowBytes[memory] = max(size/rows, (s.rowBytes[memory]+size/rows)/2)
}

func pageOf(rows []row, last bool, req connectors.ReadRequest) (connectors.Page, error) {
	page := connectors.Page{Records: make([]connectors.Record, len(rows)), Last: last, Total: -1, Checkpoint: req.Checkpoint}
	for i, row := range rows {
		page.Records[i] = connectors.Record{ID: encodeID(row.key), Version: row.version, Values: row.values}
	}
	if len(rows) == 0 {
		return page, nil
	}
	next, err := json.Marshal(checkpoint{After: rows[len(rows)-1].key})
	page.Checkpoint = next
	return page, err
}

// readPage selects one page; size is what it held in bytes.
func (s *session) readPage(ctx context.Context, r *relation, fields []*column, after []string, limit int) (rows []row, size int, err error) {
	sql, args := r.pageSQL(fields, after, limit)
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		rows = nil
		size, err = tx.rowsUpTo(ctx, pageBytes, sql, args, r, fields, func(x row, _ []string) { rows = append(rows, x) })
		return err
	})
	return rows, size, err
}

func (r *relation) pageSQL(fields []*column, after []string, limit int) (string, []any) {
	order := strings.Join(identifiers("t", r.key), ", ")
	where, args := "", []any{limit}
	if after != nil {
		bounds := make([]string, len(after))
		for i, k := range r.keyColumns() {
			bounds[i] = fmt.Sprintf("cast($%d::text as %s)", i+2, k.cast)
			args = append(args, after[i])
		}
		where = fmt.Sprintf("where (%s) > (%s) ", order, strings.Join(bounds, ", "))
	}
	return fmt.Sprintf("select %s from %s t %sorder by %s limit $1::bigint", r.list("t", fields), r.sql(), where, order), args
}

// list is what every statement selects: the key, the version where there is one, and fields, all as text.
func (r *relation) list(alias string, fields []*column) string {
	list := make([]string, 0, len(r.key)+1+len(fields))
	for _, k := range identifiers(alias, r.key) {
		list = append(list, k+"::text")
	}
	if r.versioned {
		list = append(list, alias+".xmin::text")
	}
	for _, f := range fields {
		list = append(list, f.read(alias))
	}
	return strings.Join(list, ", ")
}

// row is a row of list.
type row struct {
	key     []string
	version string
	values  []core.Value
}

// rows runs a statement that gives list, and after it further texts, which are handed on as more.
func (t *transaction) rows(ctx context.Context, sql string, args []any, r *relation, fields []*column, each func(x row, more []string)) error {
	_, err := t.rowsUpTo(ctx, math.MaxInt, sql, args, r, fields, each)
	return err
}

// rowsUpTo is rows that stops once it has read so many bytes, which it returns. What the server sends beyond is dropped.
func (t *transaction) rowsUpTo(ctx context.Context, bytes int, sql string, args []any, r *relation, fields []*column, each func(x row, more []string)) (int, error) {
	rows, err := t.conn.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	size := 0
	for size < bytes && rows.Next() {
		x, more, n := readRow(rows.RawValues(), r, fields)
		size += n
		each(x, more)
	}
	rows.Close()
	return size, rows.Err()
}

// readRow copies a row out of the connection's buffer, as one string that all its values share.
func readRow(raw [][]byte, r *relation, fields []*column) (x row, more []string, size int) {
	for _, b := range raw {
		size += len(b)
	}
	var all strings.Builder
	all.Grow(size)
	for _, b := range raw {
		all.Write(b)
	}
	text, at := all.String(), 0
	next := func() string {
		n := len(raw[0])
		s := text[at : at+n]
		at, raw = at+n, raw[1:]
		return s
	}
	x.key = make([]string, len(r.key))
	for i := range x.key {
		x.key[i] = next()
	}
	if r.versioned {
		x.version = next()
	}
	x.values = make([]core.Value, len(fields))
	for i, f := range fields {
		null := raw[0] == nil
		if s := next(); !null {
			x.values[i] = f.canonical(s)
		}
	}
	for len(raw) > 0 {
		more = append(more, next())
	}
	return x, more, size
}

// Current reads records by id.
func (s *session) Current(ctx context.Context, table connectors.Table, fields []string, ids []string) ([]connectors.Record, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	columns, err := r.fields(fields)
	if err != nil {
		return nil, err
	}
	var records []connectors.Record
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		found, err := tx.byID(ctx, r, columns, ids, false)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if x, ok := found[id]; ok {
				records = append(records, connectors.Record{ID: id, Version: x.version, Values: x.values})
				delete(found, id)
			}
		}
		return nil
	})
	return records, err
}

// byID selects rows by id, locked against other writers if asked for. Missing ones, and ids that cannot be a key, are
// absent. Rows are locked in the order of the key, so that two writers cannot wait for each other.
func (t *transaction) byID(ctx context.Context, r *relation, fields []*column, ids []string, lock bool) (map[string]row, error) {
	keys, _ := r.keyArrays(ids)
	sql := fmt.Sprintf("select %s, w.id from %s t join (%s) w on %s order by %s",
		r.list("t", fields), r.sql(), r.unnestKeys(1), r.onKey(), strings.Join(identifiers("t", r.key), ", "))
	if lock {
		sql += " for no key update of t"
	}
	found := make(map[string]row, len(ids))
	err := t.rows(ctx, sql, keys, r, fields, func(x row, more []string) { found[more[0]] = x })
	return found, err
}

// keyArrays gives one array of texts per key column, and one of the ids themselves; known says which ids were taken.
func (r *relation) keyArrays(ids []string) (args []any, known []bool) {
	arrays := make([][]string, len(r.key)+1)
	for i := range arrays {
		arrays[i] = make([]string, 0, len(ids))
	}
	known = make([]bool, len(ids))
	for at, id := range ids {
		key, ok := r.decodeID(id)
		if !ok {
			continue
		}
		known[at] = true
		for i, k := range append(key, id) {
			arrays[i] = append(arrays[i], k)
		}
	}
	for _, a := range arrays {
		args = append(args, a)
	}
	return args, known
}

// unnestKeys is a subselect of keyArrays' parameters, from $first on: k1, k2, … in the key's types, and id.
func (r *relation) unnestKeys(first int) string {
	var casts, params, names []string
	for i, k := range r.keyColumns() {
		casts = append(casts, fmt.Sprintf("cast(u.k%d as %s) as k%d", i+1, k.cast, i+1))
		params = append(params, fmt.Sprintf("$%d::text[]", first+i))
		names = append(names, fmt.Sprintf("k%d", i+1))
	}
	params = append(params, fmt.Sprintf("$%d::text[]", first+len(r.key)))
	return fmt.Sprintf("select %s, u.id from unnest(%s) u(%s, id)", strings.Join(casts, ", "), strings.Join(params, ", "), strings.Join(names, ", "))
}

// onKey joins t and w.
func (r *relation) onKey() string {
	parts := make([]string, len(r.key))
	for i, k := range r.key {
		parts[i] = fmt.Sprintf("t.%s = w.k%d", pgx.Identifier{k}.Sanitize(), i+1)
	}
	return strings.Join(parts, " and ")
}

// Digest sums up the ids and versions of a table's rows in one scan that sends a single row, by several workers where the server
// has them: about half the time of sending them all.
func (s *session) Digest(ctx context.Context, table connectors.Table) (connectors.Digest, error) {
	var d connectors.Digest
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return d, err
	}
	if !r.versioned {
		return d, &connectors.Fault{Kind: connectors.NotAllowed, Words: "The rows of " + r.id() + " have no versions.", Unsent: true}
	}
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		return tx.conn.QueryRow(ctx, fmt.Sprintf(`select count(*), coalesce(sum(pg_catalog.hashtextextended((%s || ' ' || t.xmin::text) collate pg_catalog."C", 0)), 0)::text from %s t`,
			r.idSQL("t"), r.sql())).Scan(&d.Records, &d.Sum)
	})
	return d, err
}

// idSQL is what encodeID makes of a row's key. JSON writes some rare characters otherwise than encodeID does: such a row looks
// changed.
func (r *relation) idSQL(alias string) string {
	names := identifiers(alias, r.key)
	if len(names) == 1 {
		return names[0] + "::text"
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = "pg_catalog.to_json(" + n + "::text)::text"
	}
	return "'[' || " + strings.Join(parts, " || ',' || ") + " || ']'"
}

// Count counts a table's rows.
func (s *session) Count(ctx context.Context, table connectors.Table) (int64, error) {
	r, err := s.readable(ctx, table.ID)
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		return tx.conn.QueryRow(ctx, "select count(*) from "+r.sql()).Scan(&n)
	})
	return n, err
}
