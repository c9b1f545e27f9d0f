package store

import (
	"context"
	"fmt"

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

