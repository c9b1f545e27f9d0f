package store

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Replace is a find and replace of plain text: neither text is ever taken as a pattern.
type Replace struct {
	Columns   []int  `json:"columns"` // column numbers; nil: every text column that can be written
	Find      string `json:"find"`
	With      string `json:"with"`
	MatchCase bool   `json:"match_case"`
	WholeCell bool   `json:"whole_cell"`
}

// ReplacePreview is what a find and replace would suggest.
type ReplacePreview struct {
	Count int64 // cells
	Items []Suggestion
}

// previewItems is how many results a preview shows.
const previewItems = 20

// replaceFunc gives the function over a cell's text; ok says whether it changes.
func (r Replace) replaceFunc() func(string) (string, bool) {
	if r.WholeCell {
		return func(s string) (string, bool) {
			same := s == r.Find || !r.MatchCase && strings.EqualFold(s, r.Find)
			return r.With, same && s != r.With
		}
	}
	if r.MatchCase {
		return func(s string) (string, bool) {
			out := strings.ReplaceAll(s, r.Find, r.With)
			return out, out != s
		}
	}
	find := regexp.MustCompile("(?i)" + regexp.QuoteMeta(r.Find))
	return func(s string) (string, bool) {
		out := find.ReplaceAllLiteralString(s, r.With)
		return out, out != s
	}
}

func (r Replace) check(t Table) ([]core.Column, error) {
	if r.Find == "" {
		return nil, core.FieldErrorf("/options/find", "Type the text to find.")
	}
	if len(r.Find)+len(r.With) > 10_000 {
		return nil, core.FieldErrorf("/options/find", "The texts to find and to put in take at most 10,000 characters together.")
	}
	var cols []core.Column
	for _, c := range t.Columns {
		if c.Writable && replaceable(c) && (r.Columns == nil || contains(r.Columns, c.Number)) {
			cols = append(cols, c)
		}
	}
	if len(cols) == 0 {
		return nil, core.FieldErrorf("/columns", "Choose at least one column whose text can be changed.")
	}
	return cols, nil
}

func replaceable(c core.Column) bool {
	return c.Type.IsText() && c.Type != core.Reference
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// matchSQL is a condition on r that every cell of a column meets that would change.
func (r Replace) matchSQL(c core.Column, args *[]any) string {
	*args = append(*args, "%"+likeEscape(r.Find)+"%")
	cell, n := "r."+ident(c.Physical), strconv.Itoa(len(*args))
	if r.MatchCase {
		return cell + " like $" + n
	}
	return cell + ` collate "und-x-icu" ilike $` + n
}

// replacements emits what a find and replace would suggest, while the cells stream by: record by record, in one pass over the table.
func (s *Store) replacements(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, cols []core.Column, w Where, r Replace, emit func(newSuggestion) error) error {
	var args []any
	cond, err := s.recordsSQL(ctx, tx, by, t, w, &args)
	if err != nil {
		return err
	}
	cells, matches := make([]string, len(cols)), make([]string, len(cols))
	for i, c := range cols {
		cells[i], matches[i] = "r."+ident(c.Physical), r.matchSQL(c, &args)
		if len(cols) > 1 {
			cells[i] = "case when " + matches[i] + " then " + cells[i] + " end"
		}
	}
	rows, err := tx.Query(ctx, "select r._id, "+strings.Join(cells, ", ")+" from "+dataTable(t)+" r where r._state in (0, 1) and "+cond+
		" and ("+strings.Join(matches, " or ")+")", append([]any{dynamic}, args...)...)
	if err != nil {
		return fmt.Errorf("read cells: %w", err)
	}
	change := r.replaceFunc()
	var id int64
	texts, dest := make([]*string, len(cols)), []any{&id}
	for i := range texts {
		dest = append(dest, &texts[i])
	}
	_, err = pgx.ForEachRow(rows, dest, func() error {
		for i, c := range cols {
			if err := replacement(c, id, texts[i], change, emit); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// replacement emits what becomes of one cell. What does not fit its column is never suggested.
func replacement(c core.Column, id int64, text *string, change func(string) (string, bool), emit func(newSuggestion) error) error {
	if text == nil {
		return nil
	}
	to, changed := change(*text)
	if !changed {
		return nil
	}
	v, err := core.CheckValue(c, core.TextValue(to))
	if err != nil {
		return nil
	}
	return emit(proposed(c, id, core.TextValue(*text), v))
}

// PreviewReplace counts what a find and replace would suggest and gives the first 20. It changes nothing. Codes: NotFound,
// Invalid, Conflict.
func (s *Store) PreviewReplace(ctx context.Context, by core.Actor, ref TableRef, w Where, r Replace) (ReplacePreview, error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	var p ReplacePreview
	err := s.tx(atPoint(ctx, "replace"), by, func(tx pgx.Tx) error {
		p = ReplacePreview{}
		t, err := tableTx(ctx, tx, by, ref)
		if err != nil {
			return err
		}
		cols, err := r.check(t)
		if err != nil {
			return err
		}
		return s.replacements(ctx, tx, by, t, cols, w, r, func(n newSuggestion) error {
			if p.Count++; len(p.Items) < previewItems {
				p.Items = append(p.Items, Suggestion{Record: n.record, Column: n.column, Before: n.before, After: n.after})
			}
			return nil
		})
	})
	return p, err
}

// SuggestReplace makes the suggestions of a find and replace, as one batch. Codes: NotFound, Forbidden, Invalid, Conflict, Busy.
func (s *Store) SuggestReplace(ctx context.Context, by core.Actor, ref TableRef, w Where, r Replace) (BatchResult, error) {
	return s.suggestReplace(ctx, by, ref, w, r, nil)
}

func (r Replace) label() string {
	return fmt.Sprintf("Replace “%s” by “%s”", cut(r.Find, 40), cut(r.With, 40))
}

func (s *Store) suggestReplace(ctx context.Context, by core.Actor, ref TableRef, w Where, r Replace, h *hold) (BatchResult, error) {
	return s.inBatchBeside(ctx, by, ref, newBatch{Kind: "transform", Label: r.label(), Hold: h, Suggests: true}, func(b *batchTxn) error {
		cols, err := r.check(b.t)
		if err != nil {
			return err
		}
		return b.addSuggestions(ctx, cols, "", s.beside(ctx, by, func(ctx context.Context, tx pgx.Tx, emit func(newSuggestion) error) error {
			return s.replacements(ctx, tx, by, b.t, cols, w, r, emit)
		}))
	})
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// Facet is a distinct value of a column with its count.
type Facet struct {
	Value core.Value
	Count int64
}

// Facets gives the distinct values of a column under a view, the most frequent first; more says that there are others.
// Codes: NotFound, Invalid.
func (s *Store) Facets(ctx context.Context, by core.Actor, ref TableRef, v View, column int, search string, part Span) (list []Facet, more bool, err error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, false, err
	}
	c, ok := t.Column(column)
	if !ok {
		return nil, false, core.FieldErrorf("/column", "There is no such column.")
	}
	var args []any
	where, _, err := viewSQL(t, v, &args)
	if err != nil {
		return nil, false, err
	}
	if search != "" {
		args = append(args, "%"+likeEscape(search)+"%")
		where += " and r." + ident(c.Physical) + "::text collate \"und-x-icu\" ilike $" + strconv.Itoa(len(args))
	}
	args = append(args, part.Limit+1, part.Offset)
	rows, err := s.pool.Query(ctx, "select "+canonicalExpr(c, "r")+" as v, count(*) from "+dataTable(t)+" r where r._state in (0, 1) and "+where+
		" group by 1 order by 2 desc, 1 limit $"+strconv.Itoa(len(args)-1)+" offset $"+strconv.Itoa(len(args)), append([]any{dynamic}, args...)...)
	if err != nil {
		return nil, false, mapError(fmt.Errorf("facets: %w", err))
	}
	list, more, err = collectPart(rows, part.Limit, s.listBytes, func(row pgx.CollectableRow) (Facet, error) {
		var f Facet
		var raw json.RawMessage
		if err := row.Scan((*[]byte)(&raw), &f.Count); err != nil {
			return f, err
		}
		var err error
		f.Value, err = core.FromCanonical(c.Type, raw)
		return f, err
	})
	return list, more, mapError(err)
}
