package store

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/worddiff"
)

// newSuggestion is a proposal on its way into the table.
type newSuggestion struct {
	record        int64
	column        int
	before, after json.RawMessage
	reason        string
}

// suggestCells proposes values for cells, against what they hold now. What the cell holds already, and what was refused
// while the cell held the same, is passed over.
func (b *batchTxn) suggestCells(ctx context.Context, sets []CellEdit, reason string) error {
	src := editsSource(b.t, sets)
	rows, err := b.tx.Query(ctx, `select e.row, e.col, x.before::text, w.after::text from `+renumber(src.sql)+`
		join `+dataTable(b.t)+` r on r._id = e.row
		cross join lateral (select `+cellOf(src.cols, "r", "e.col")+` as before) x
		cross join lateral (select `+translated(b.t, src.cols, "e.col", "e.after")+` as after) w
		where r._state in (0, 1) and `+writableSQL(src.cols)+` and x.before <> w.after`, append([]any{dynamic}, src.args...)...)
	if err != nil {
		return fmt.Errorf("look at cells: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (newSuggestion, error) {
		n := newSuggestion{reason: reason}
		var before, after string
		err := row.Scan(&n.record, &n.column, &before, &after)
		n.before, n.after = json.RawMessage(before), json.RawMessage(after)
		return n, err
	})
	if err != nil {
		return fmt.Errorf("look at cells: %w", err)
	}
	return b.addSuggestions(ctx, list)
}

// renumber lets a source's arguments begin at $1, for statements without a batch.
func renumber(sql string) string {
	return strings.NewReplacer("$2", "$1", "$3", "$2", "$4", "$3").Replace(sql)
}

// suggestCreates proposes records that stand in the table already, as proposed, from objects of their values.
func (b *batchTxn) suggestCreates(ctx context.Context, ids []int64, objects []string, reason string) error {
	list := make([]newSuggestion, len(ids))
	for i, id := range ids {
		list[i] = newSuggestion{record: id, column: core.RecordColumn, before: json.RawMessage("null"), after: json.RawMessage(objects[i]), reason: reason}
	}
	return b.addSuggestions(ctx, list)
}

// suggestDeletes proposes to delete those of some records that can be deleted.
func (b *batchTxn) suggestDeletes(ctx context.Context, ids []int64, reason string) error {
	rows, err := b.tx.Query(ctx, `select r._id from `+dataTable(b.t)+` r where r._id = any($1) and r._state in (0, 1) order by r._id`, dynamic, ids)
	if err != nil {
		return fmt.Errorf("look at records: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (newSuggestion, error) {
		n := newSuggestion{before: json.RawMessage("null"), after: json.RawMessage("null"), reason: reason}
		return n, row.Scan(&n.record)
	})
	if err != nil {
		return fmt.Errorf("look at records: %w", err)
	}
	return b.addSuggestions(ctx, list)
}

// addSuggestions writes proposals by COPY into a staging table, leaves out what was refused before, and counts the rest.
func (b *batchTxn) addSuggestions(ctx context.Context, list []newSuggestion) error {
	if len(list) == 0 {
		return nil
	}
	_, err := b.tx.Exec(ctx, `create temporary table if not exists new_suggestions
		(row bigint, col int, before text, after text, reason text, kind text, edit text) on commit drop`)
	if err != nil {
		return fmt.Errorf("stage suggestions: %w", err)
	}
	_, err = b.tx.CopyFrom(ctx, pgx.Identifier{"new_suggestions"}, []string{"row", "col", "before", "after", "reason", "kind", "edit"},
		pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
			n := list[i]
			c, _ := b.t.Column(n.column)
			kind, edit := classify(c, n.before, n.after)
			return []any{n.record, int32(n.column), string(n.before), string(n.after), n.reason, kind, edit}, nil
		}))
	if err != nil {
		return fmt.Errorf("copy suggestions: %w", err)
	}
	sg := companion(b.t, "_suggestions")
	tag, err := b.tx.Exec(ctx, `insert into `+sg+` (table_id, batch, row, col, before, after, reason, kind, edit)
		select $1, $2, n.row, n.col, n.before::jsonb, n.after::jsonb, n.reason, n.kind, n.edit from new_suggestions n
		where not exists (select 1 from `+sg+` o where o.row = n.row and o.col = n.col and o.before = n.before::jsonb and o.after = n.after::jsonb
			and (o.decided is null or exists (select 1 from `+companion(b.t, "_batches")+` d where d.id = o.decided and d.kind = 'reject' and not `+undoneSQL(b.t.Schema, "d")+`)))`,
		dynamic, b.t.ID, b.id)
	if err != nil {
		return fmt.Errorf("insert suggestions: %w", err)
	}
	if _, err := b.tx.Exec(ctx, "truncate new_suggestions"); err != nil {
		return fmt.Errorf("stage suggestions: %w", err)
	}
	b.made += tag.RowsAffected()
	b.delta.Suggestions += tag.RowsAffected()
	b.tell("suggested", b.made, 0)
	return nil
}

// classify gives a suggestion's kind and the hash of what remains when equal words at both ends are cut: what groups
// equal changes.
func classify(c core.Column, before, after json.RawMessage) (kind, edit string) {
	if c.Number == core.RecordColumn {
		if string(after) == "null" {
			return "delete", "delete"
		}
		return "create", "create"
	}
	bv, _ := core.FromCanonical(c.Type, before) // both come from the database or were checked on their way in
	av, _ := core.FromCanonical(c.Type, after)
	from, to := bv.Plain(), av.Plain()
	if c.Type.IsText() {
		from, to = worddiff.Remainder(from, to)
	}
	sum := md5.Sum([]byte(from + "\x00" + to)) // a key for grouping, not for security
	return kindOf(c, bv, av), hex.EncodeToString(sum[:8])
}

func kindOf(c core.Column, before, after core.Value) string {
	b, a := before.Plain(), after.Plain()
	switch {
	case after.IsNull() || a == "":
		return "clear"
	case before.IsNull() || b == "":
		return "fill"
	case c.Type == core.Number:
		return "number"
	case c.Type == core.Date, c.Type == core.DateTime, c.Type == core.LocalTime:
		return "date"
	case strings.Join(strings.Fields(b), "") == strings.Join(strings.Fields(a), ""):
		return "whitespace"
	case strings.EqualFold(b, a):
		return "case"
	}
	return "text"
}

// keepProposed brings the rows of proposed records in line with their open suggestions: a withdrawn or refused one leaves
// the table, one that is open again comes back.
func (b *batchTxn) keepProposed(ctx context.Context) error {
	sg, data := companion(b.t, "_suggestions"), dataTable(b.t)
	_, err := b.tx.Exec(ctx, `with gone as (delete from `+data+` r where r._state = 3 and not exists (select 1 from `+sg+` o where o.row = r._id and o.col = 0 and o.decided is null)
			returning r._id)
		delete from `+companion(b.t, "_refs")+` f using gone where f.row = gone._id`, dynamic)
	if err != nil {
		return fmt.Errorf("withdraw proposed records: %w", err)
	}
	rows, err := b.tx.Query(ctx, `select s.row, s.after::text from `+sg+` s where s.table_id = $1 and s.col = 0 and s.decided is null and s.after <> 'null'
		and not exists (select 1 from `+data+` r where r._id = s.row)`, dynamic, b.t.ID)
	if err != nil {
		return fmt.Errorf("proposed records: %w", err)
	}
	var ids []int64
	var objects []string
	var id int64
	var object string
	if _, err = pgx.ForEachRow(rows, []any{&id, &object}, func() error {
		ids, objects = append(ids, id), append(objects, object)
		return nil
	}); err != nil || len(ids) == 0 {
		return err
	}
	return b.insertRecords(ctx, ids, objects, core.Proposed)
}

// AcceptSuggestions applies the chosen suggestions where the cell still holds what it held when they were made. Of several
// for one cell the newest wins and the others are closed; stale ones are named. Codes: NotFound, Forbidden, Invalid, Conflict, Busy.
func (s *Store) AcceptSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where) (BatchResult, error) {
	return s.acceptSuggestions(ctx, by, ref, w, nil)
}

func (s *Store) acceptSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where, h *hold) (BatchResult, error) {
	return s.inBatch(ctx, by, ref, newBatch{Kind: "accept", Label: "Accept suggestions", Hold: h}, func(b *batchTxn) error {
		args := []any{b.id}
		cond, err := s.suggestionsSQL(ctx, b.tx, by, b.t, w, &args)
		if err != nil {
			return err
		}
		if err := b.acceptCells(ctx, cond, args); err != nil {
			return err
		}
		if err := b.acceptRecords(ctx, cond, args); err != nil {
			return err
		}
		return b.closeDecided(ctx, cond, args)
	})
}

func (b *batchTxn) acceptCells(ctx context.Context, cond string, args []any) error {
	sg := companion(b.t, "_suggestions")
	rows, err := b.tx.Query(ctx, `select distinct s.col from `+sg+` s where s.col <> 0 and $1::bigint > 0 and `+cond, append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("columns of suggestions: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || len(numbers) == 0 {
		return err
	}
	src := source{args: args[1:]}
	for _, n := range numbers {
		if c, ok := b.t.Column(n); ok && (c.Writable || c.InsertOnly) {
			src.cols = append(src.cols, c)
		}
	}
	if src.cols == nil {
		return nil
	}
	src.sql = `(select distinct on (s.row, s.col) s.row, s.col, s.after, s.batch as src, s.reason, s.kind, s.edit
		from ` + sg + ` s join ` + dataTable(b.t) + ` r on r._id = s.row
		where s.col <> 0 and ` + cond + ` and ` + cellOf(src.cols, "r", "s.col") + ` = ` + translated(b.t, src.cols, "s.col", "s.before") + `
		order by s.row, s.col, s.batch desc) e`
	return b.applyCells(ctx, src)
}

func (b *batchTxn) acceptRecords(ctx context.Context, cond string, args []any) error {
	sg, data, changes := companion(b.t, "_suggestions"), dataTable(b.t), companion(b.t, "_changes")
	_, err := b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after, source, reason, kind)
		select distinct on (s.row) $1::bigint, s.row, 0, case when s.after = 'null' then '`+wasThere+`'::jsonb else 'null' end, s.after, s.batch, s.reason, s.kind
		from `+sg+` s join `+data+` r on r._id = s.row
		where s.col = 0 and `+cond+` and (s.after = 'null' and r._state in (0, 1) or s.after <> 'null' and r._state = 3)
		order by s.row, s.batch desc`, append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("accept records: %w", err)
	}
	if err := b.markDeleted(ctx); err != nil {
		return err
	}
	tag, err := b.tx.Exec(ctx, `update `+data+` r set _state = 1 from `+changes+` ch
		where ch.batch = $1 and ch.col = 0 and ch.before = 'null' and ch.row = r._id and r._state = 3`, dynamic, b.id)
	if err != nil {
		return fmt.Errorf("accept creates: %w", err)
	}
	n := tag.RowsAffected()
	b.rows += n
	b.delta.Records += n
	b.delta.Created += n
	return nil
}

// closeDecided deletes the suggestions that were applied, and closes those that were chosen and stale, and those that
// competed for the same cells. The first stale ones are named.
func (b *batchTxn) closeDecided(ctx context.Context, cond string, args []any) error {
	sg, changes := companion(b.t, "_suggestions"), companion(b.t, "_changes")
	applied, err := b.tx.Exec(ctx, `delete from `+sg+` s using `+changes+` ch where ch.batch = $1 and ch.source = s.batch
		and ch.row = s.row and ch.col = s.col and (ch.col = 0 or ch.after = s.after and ch.before = s.before) and s.decided is null`, dynamic, b.id)
	if err != nil {
		return fmt.Errorf("close accepted: %w", err)
	}
	stale, err := b.tx.Exec(ctx, `update `+sg+` s set decided = $1 where `+cond, append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("close stale: %w", err)
	}
	if stale.RowsAffected() > 0 {
		if err := b.nameStale(ctx, stale.RowsAffected()); err != nil {
			return err
		}
	}
	others, err := b.tx.Exec(ctx, `update `+sg+` s set decided = $1 from `+changes+` ch where ch.batch = $1 and ch.row = s.row and ch.col = s.col
		and s.decided is null`, dynamic, b.id)
	if err != nil {
		return fmt.Errorf("close competing: %w", err)
	}
	b.delta.Suggestions -= applied.RowsAffected() + stale.RowsAffected() + others.RowsAffected()
	return nil
}

// nameStale names the first of n suggestions that the batch has closed as stale.
func (b *batchTxn) nameStale(ctx context.Context, n int64) error {
	rows, err := b.tx.Query(ctx, `select s.row, s.col from `+companion(b.t, "_suggestions")+` s where s.decided = $1 order by s.row, s.col limit $2`, dynamic, b.id, maxNamed)
	if err != nil {
		return fmt.Errorf("stale suggestions: %w", err)
	}
	b.refused, err = b.refusals(rows, "The cell has changed since this was suggested, or another suggestion for it was accepted.")
	b.moreRefused = n - int64(len(b.refused))
	return err
}

// refusals reads cells (row, col) as refusals with one reason.
func (b *batchTxn) refusals(rows pgx.Rows, reason string) ([]Refusal, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Refusal, error) {
		r := Refusal{Reason: reason}
		err := row.Scan(&r.Record, &r.Column)
		c, _ := b.t.Column(r.Column)
		r.Slug = c.Slug
		return r, err
	})
}

// RejectSuggestions refuses the chosen suggestions. The same value is not proposed again for a cell until it changes.
// Codes: NotFound, Forbidden, Invalid, Conflict, Busy.
func (s *Store) RejectSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where) (BatchResult, error) {
	return s.rejectSuggestions(ctx, by, ref, w, nil)
}

func (s *Store) rejectSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where, h *hold) (BatchResult, error) {
	return s.inBatch(ctx, by, ref, newBatch{Kind: "reject", Label: "Reject suggestions", Hold: h}, func(b *batchTxn) error {
		args := []any{b.id}
		cond, err := s.suggestionsSQL(ctx, b.tx, by, b.t, w, &args)
		if err != nil {
			return err
		}
		tag, err := b.tx.Exec(ctx, `update `+companion(b.t, "_suggestions")+` s set decided = $1 where `+cond, append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("reject: %w", err)
		}
		b.made += tag.RowsAffected()
		b.delta.Suggestions -= tag.RowsAffected()
		return b.keepProposed(ctx)
	})
}

// Suggestions lists open suggestions by id, after one (0: from the first). next is 0 at the end. Codes: NotFound, Invalid.
func (s *Store) Suggestions(ctx context.Context, by core.Actor, ref TableRef, w Where, after int64, limit int) (list []Suggestion, next int64, err error) {
	if w.Empty() {
		w.Filter = "true"
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		args := []any{after, limit + 1}
		cond, err := s.suggestionsSQL(ctx, tx, by, t, w, &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select s.id, s.batch, s.row, s.col, s.before, s.after, s.reason, s.kind, s.edit, b.who
			from `+companion(t, "_suggestions")+` s join `+companion(t, "_batches")+` b on b.id = s.batch
			where s.id > $1 and `+cond+` order by s.id limit $2`, append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("suggestions: %w", err)
		}
		list, err = pgx.CollectRows(rows, scanSuggestion)
		return err
	})
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, err
}

// Group is a set of equal changes.
type Group struct {
	Key    string // for Where.Group
	Column int
	Kind   string
	Before json.RawMessage // of one of them
	After  json.RawMessage
	Count  int64
}

// SuggestionGroups gives equal changes together, the largest first. Codes: NotFound, Invalid.
func (s *Store) SuggestionGroups(ctx context.Context, by core.Actor, ref TableRef, w Where, limit int) ([]Group, error) {
	if w.Empty() {
		w.Filter = "true"
	}
	var out []Group
	err := s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		args := []any{limit}
		cond, err := s.suggestionsSQL(ctx, tx, by, t, w, &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select g.col, g.kind, g.edit, g.n, s.before, s.after from
			(select s.col, s.kind, s.edit, count(*) as n, min(s.id) as id from `+companion(t, "_suggestions")+` s where `+cond+`
				group by s.col, s.kind, s.edit order by n desc, id limit $1) g
			join `+companion(t, "_suggestions")+` s on s.id = g.id order by g.n desc, g.id`, append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Group, error) {
			var g Group
			var edit string
			err := row.Scan(&g.Column, &g.Kind, &edit, &g.Count, (*[]byte)(&g.Before), (*[]byte)(&g.After))
			g.Key = fmt.Sprintf("%d:%s:%s", g.Column, g.Kind, edit)
			return g, err
		})
		return err
	})
	return out, err
}

// SuggestionPlace is a suggested cell in a shown order.
type SuggestionPlace struct {
	Record   int64
	Column   int
	Position int
	Index    int // from 1, among Total
	Total    int
}

// SuggestionAt gives the next (dir 1) or previous (dir -1) suggested cell from a place in a shown order, going round at the
// ends. Codes: NotFound (no suggestion under the view).
func (s *Store) SuggestionAt(ctx context.Context, by core.Actor, ref TableRef, o *Order, pos, col, dir int) (SuggestionPlace, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return SuggestionPlace{}, err
	}
	rows, err := s.pool.Query(ctx, `select distinct row, col from `+companion(t, "_suggestions")+` where decided is null and table_id = $1`, dynamic, t.ID)
	if err != nil {
		return SuggestionPlace{}, fmt.Errorf("suggested cells: %w", err)
	}
	columnAt := map[int]int{0: -1}
	for i, c := range t.Columns {
		columnAt[c.Number] = i
	}
	var walk placeWalk
	walk.from = place{pos, columnAt[col]}
	walk.dir = dir
	var row int64
	var number int
	_, err = pgx.ForEachRow(rows, []any{&row, &number}, func() error {
		if p, ok := o.Position(row); ok {
			walk.see(SuggestionPlace{Record: row, Column: number, Position: p}, place{p, columnAt[number]})
		}
		return nil
	})
	if err != nil {
		return SuggestionPlace{}, fmt.Errorf("suggested cells: %w", err)
	}
	return walk.found()
}

type place struct{ pos, col int }

func (a place) before(b place) bool { return a.pos < b.pos || a.pos == b.pos && a.col < b.col }

// placeWalk finds the nearest place after (or before) one, in one pass and without a list.
type placeWalk struct {
	from       place
	dir        int
	next, wrap *SuggestionPlace
	nextAt     place
	wrapAt     place
	seen       []place
}

func (w *placeWalk) see(s SuggestionPlace, at place) {
	w.seen = append(w.seen, at)
	closer := func(a, b place) bool { return a.before(b) == (w.dir > 0) && a != b }
	if closer(w.from, at) && (w.next == nil || closer(at, w.nextAt)) {
		w.next, w.nextAt = &s, at
	}
	if w.wrap == nil || closer(at, w.wrapAt) {
		w.wrap, w.wrapAt = &s, at
	}
}

func (w *placeWalk) found() (SuggestionPlace, error) {
	p, at := w.next, w.nextAt
	if p == nil {
		p, at = w.wrap, w.wrapAt
	}
	if p == nil {
		return SuggestionPlace{}, core.Errorf(core.NotFound, "No suggestion is open here.")
	}
	p.Total = len(w.seen)
	p.Index = 1
	for _, s := range w.seen {
		if s.before(at) {
			p.Index++
		}
	}
	return *p, nil
}
