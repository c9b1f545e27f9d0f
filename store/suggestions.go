package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Suggestions lists open suggestions by id, after one (0: from the first). next is 0 at the end. Codes: NotFound, Invalid.
func (s *Store) Suggestions(ctx context.Context, by core.Actor, ref TableRef, w Where, after int64, limit int) (list []Suggestion, next int64, err error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
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
		var more bool
		if list, more, err = collectPart(rows, limit, s.listBytes, scanSuggestion); more {
			next = list[len(list)-1].ID
		}
		return err
	})
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

// CountSuggestions counts the open suggestions that w means. Codes: NotFound, Invalid.
func (s *Store) CountSuggestions(ctx context.Context, by core.Actor, ref TableRef, w Where) (n int64, err error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	if w.Empty() {
		w.Filter = "true"
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		var args []any
		cond, err := s.suggestionsSQL(ctx, tx, by, t, w, &args)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, "select count(*) from "+companion(t, "_suggestions")+" s where "+cond, append([]any{dynamic}, args...)...).Scan(&n)
	})
	return n, err
}

// SuggestionGroups gives equal changes together, the largest first; more says that there are others. Codes: NotFound, Invalid.
func (s *Store) SuggestionGroups(ctx context.Context, by core.Actor, ref TableRef, w Where, part Span) (list []Group, more bool, err error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	if w.Empty() {
		w.Filter = "true"
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		args := []any{part.Limit + 1, part.Offset}
		cond, err := s.suggestionsSQL(ctx, tx, by, t, w, &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select g.col, g.kind, g.edit, g.n, s.before, s.after from
			(select s.col, s.kind, s.edit, count(*) as n, min(s.id) as id from `+companion(t, "_suggestions")+` s where `+cond+`
				group by s.col, s.kind, s.edit order by n desc, id limit $1 offset $2) g
			join `+companion(t, "_suggestions")+` s on s.id = g.id order by g.n desc, g.id`, append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		list, more, err = collectPart(rows, part.Limit, s.listBytes, func(row pgx.CollectableRow) (Group, error) {
			var g Group
			var edit string
			err := row.Scan(&g.Column, &g.Kind, &edit, &g.Count, (*[]byte)(&g.Before), (*[]byte)(&g.After))
			g.Key = fmt.Sprintf("%d:%s:%s", g.Column, g.Kind, edit)
			return g, err
		})
		return err
	})
	return list, more, err
}
