package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// AcceptSuggestions applies the chosen suggestions where the cell still holds what it held when they were made. Of several
// for one cell the newest wins and the others are closed; stale ones are named. Codes: NotFound, Forbidden, Invalid, Conflict, Busy.
func (s *Store) AcceptSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where) (BatchResult, error) {
	return s.acceptSuggestions(ctx, by, ref, w, nil)
}

func (s *Store) acceptSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where, h *hold) (BatchResult, error) {
	return s.inBatch(ctx, by, ref, newBatch{Kind: "accept", Label: "Accept suggestions", Hold: h}, func(b *batchTxn) error {
		p, err := b.pick(ctx, s, w)
		if err != nil || p.cells+p.records == 0 {
			return err
		}
		if err := b.acceptCells(ctx, p); err != nil {
			return err
		}
		if err := b.acceptRecords(ctx, p); err != nil {
			return err
		}
		return b.closeDecided(ctx, p)
	})
}

// picked are the suggestions that were chosen.
type picked struct {
	cond    string // over s: it chooses the same ones whatever becomes of the records
	args    []any  // $1 is the batch
	cols    []core.Column
	cells   int64
	records int64
	rivals  bool // several may be for one cell
}

func (p picked) params() []any { return append([]any{dynamic}, p.args...) }

// pick finds the chosen suggestions, once: accepting them changes what a filter over their records finds.
func (b *batchTxn) pick(ctx context.Context, s *Store, w Where) (picked, error) {
	p := picked{args: []any{b.id}}
	var err error
	if p.cond, err = s.suggestionsSQL(ctx, b.tx, b.by, b.t, w, &p.args); err != nil {
		return p, err
	}
	if w.choosesRecords() {
		if err := b.keepPicked(ctx, &p); err != nil {
			return p, err
		}
	}
	rows, err := b.tx.Query(ctx, `select s.col, count(*), min(s.batch) <> max(s.batch) from `+companion(b.t, "_suggestions")+` s
		where $1::bigint > 0 and `+p.cond+` group by s.col`, p.params()...)
	if err != nil {
		return p, fmt.Errorf("chosen suggestions: %w", err)
	}
	var number int
	var n int64
	var several bool
	_, err = pgx.ForEachRow(rows, []any{&number, &n, &several}, func() error {
		p.rivals = p.rivals || several // a batch suggests one value for a cell
		p.count(b.t, number, n)
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("chosen suggestions: %w", err)
	}
	return p, b.inBulk(ctx, p.cells+p.records, "")
}

func (p *picked) count(t Table, column int, n int64) {
	if column == core.RecordColumn {
		p.records = n
		return
	}
	p.cells += n
	if c, ok := t.Column(column); ok && (c.Writable || c.InsertOnly) {
		p.cols = append(p.cols, c)
	}
}

// keepPicked puts the chosen suggestions into a list.
func (b *batchTxn) keepPicked(ctx context.Context, p *picked) error {
	for _, st := range []struct {
		sql  string
		args []any
	}{
		{"create temporary table picked_suggestions (id bigint primary key) on commit drop", nil},
		{`insert into picked_suggestions select s.id from ` + companion(b.t, "_suggestions") + ` s where $1::bigint > 0 and ` + p.cond, p.args},
		{"analyze picked_suggestions", nil},
	} {
		if _, err := b.tx.Exec(ctx, st.sql, append([]any{dynamic}, st.args...)...); err != nil {
			return fmt.Errorf("pick suggestions: %w", err)
		}
	}
	p.cond, p.args = "s.decided is null and s.id in (select id from picked_suggestions)", p.args[:1]
	return nil
}

func (b *batchTxn) acceptCells(ctx context.Context, p picked) error {
	if len(p.cols) == 0 {
		return nil
	}
	src := source{args: p.args[1:], cols: p.cols, expects: true}
	chosen := `select s.row, s.col, s.before as expected, s.after, s.batch as src, s.reason, s.kind, s.edit from ` + companion(b.t, "_suggestions") + ` s`
	src.sql = `(` + chosen + ` where s.col <> 0 and ` + p.cond + `) e`
	if p.rivals { // the newest one that still fits wins
		src.sql = `(select distinct on (s.row, s.col) ` + strings.TrimPrefix(chosen, "select ") + ` join ` + dataTable(b.t) + ` r on r._id = s.row
			where s.col <> 0 and ` + p.cond + ` and ` + cellOf(p.cols, "r", "s.col") + ` = ` + translated(b.t, p.cols, "s.col", "s.before") + `
			order by s.row, s.col, s.batch desc) e`
	}
	return b.applyCells(ctx, src)
}

func (b *batchTxn) acceptRecords(ctx context.Context, p picked) error {
	if p.records == 0 {
		return nil
	}
	sg, data, changes := companion(b.t, "_suggestions"), dataTable(b.t), companion(b.t, "_changes")
	_, err := b.tx.Exec(ctx, `insert into `+changes+` (batch, row, col, before, after, source, reason, kind)
		select distinct on (s.row) $1::bigint, s.row, 0, case when s.after = 'null' then '`+wasThere+`'::jsonb else 'null' end, s.after, s.batch, s.reason, s.kind
		from `+sg+` s join `+data+` r on r._id = s.row
		where s.col = 0 and `+p.cond+` and (s.after = 'null' and r._state in (0, 1) or s.after <> 'null' and r._state = 3)
		order by s.row, s.batch desc`, p.params()...)
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
func (b *batchTxn) closeDecided(ctx context.Context, p picked) error {
	applied, err := b.dropAccepted(ctx, p)
	if err != nil {
		return err
	}
	closed := applied
	if applied < p.cells+p.records {
		stale, err := b.closeStale(ctx, p)
		if err != nil {
			return err
		}
		closed += stale
	}
	others, err := b.closeRivals(ctx)
	b.delta.Suggestions -= closed + others
	return err
}

// dropAccepted deletes what was applied as it was suggested.
func (b *batchTxn) dropAccepted(ctx context.Context, p picked) (int64, error) {
	sg := companion(b.t, "_suggestions")
	sql, args := `delete from `+sg+` s using `+companion(b.t, "_changes")+` ch where ch.batch = $1 and ch.source = s.batch
		and ch.row = s.row and ch.col = s.col and (ch.col = 0 or ch.after = s.after and ch.before = s.before) and s.decided is null`, []any{dynamic, b.id}
	if !p.rivals && p.records == 0 && b.cells == p.cells && !b.fights && !hasReferences(p.cols) { // that is all of the chosen ones
		sql, args = `delete from `+sg+` s where $1::bigint > 0 and `+p.cond, p.params()
	}
	tag, err := b.tx.Exec(ctx, sql, args...)
	if err != nil {
		return 0, fmt.Errorf("close accepted: %w", err)
	}
	return tag.RowsAffected(), nil
}

func hasReferences(cols []core.Column) bool {
	return slices.ContainsFunc(cols, func(c core.Column) bool { return c.Type == core.Reference || c.Type == core.References })
}

func (b *batchTxn) closeStale(ctx context.Context, p picked) (int64, error) {
	tag, err := b.tx.Exec(ctx, `update `+companion(b.t, "_suggestions")+` s set decided = $1 where `+p.cond, p.params()...)
	if err != nil {
		return 0, fmt.Errorf("close stale: %w", err)
	}
	if tag.RowsAffected() > 0 {
		err = b.nameStale(ctx, tag.RowsAffected())
	}
	return tag.RowsAffected(), err
}

// closeRivals closes the open suggestions for cells that the batch has changed.
func (b *batchTxn) closeRivals(ctx context.Context) (int64, error) {
	tag, err := b.tx.Exec(ctx, `update `+companion(b.t, "_suggestions")+` s set decided = $1 from `+companion(b.t, "_changes")+` ch
		where ch.batch = $1 and ch.row = s.row and ch.col = s.col and s.decided is null and exists (select 1 from `+companion(b.t, "_suggestions")+` where table_id = $2 and decided is null)`,
		dynamic, b.id, b.t.ID)
	if err != nil {
		return 0, fmt.Errorf("close competing: %w", err)
	}
	return tag.RowsAffected(), nil
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
		p, err := b.pick(ctx, s, w)
		if err != nil || p.cells+p.records == 0 {
			return err
		}
		tag, err := b.tx.Exec(ctx, `update `+companion(b.t, "_suggestions")+` s set decided = $1 where `+p.cond, p.params()...)
		if err != nil {
			return fmt.Errorf("reject: %w", err)
		}
		b.made += tag.RowsAffected()
		b.delta.Suggestions -= tag.RowsAffected()
		if p.records == 0 {
			return nil
		}
		return b.keepProposed(ctx)
	})
}

// keepProposed brings the rows of proposed records in line with their open suggestions: a withdrawn or refused one leaves
// the table, with what else is suggested for it; one that is open again comes back. of are the batches that an undo is about.
func (b *batchTxn) keepProposed(ctx context.Context, of ...int64) error {
	sg, data := companion(b.t, "_suggestions"), dataTable(b.t)
	var closed int64
	err := b.tx.QueryRow(ctx, `with gone as (delete from `+data+` r where r._state = 3
				and r._id in (select row from `+sg+` where col = 0 and decided = any($2) union all select row from `+companion(b.t, "_changes")+` where batch = $1 and col = 0)
				and not exists (select 1 from `+sg+` o where o.row = r._id and o.col = 0 and o.after <> 'null' and o.decided is null) returning r._id),
			unlinked as (delete from `+companion(b.t, "_refs")+` f using gone where f.row = gone._id),
			closed as (update `+sg+` s set decided = $1 from gone where s.row = gone._id and s.decided is null returning 1)
		select count(*) from closed`, dynamic, b.id, append(of[:len(of):len(of)], b.id)).Scan(&closed)
	if err != nil {
		return fmt.Errorf("withdraw proposed records: %w", err)
	}
	b.delta.Suggestions -= closed
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
