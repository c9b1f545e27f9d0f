package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// SuggestionPlace is a suggested cell in a shown order. Index and Total are 0 where there are too many to be counted while
// somebody waits.
type SuggestionPlace struct {
	Record   int64
	Column   int
	Position int
	Index    int // from 1, among Total
	Total    int
}

// fewSuggestions is how many suggested cells of a table are looked at to find the next one and its number. Among more, the
// order is walked from where the person is.
const fewSuggestions = 10_000

// SuggestionAt gives the next (dir 1) or previous (dir -1) suggested cell from a place in a shown order, going round at the
// ends. Codes: NotFound (no suggestion under the view).
func (s *Store) SuggestionAt(ctx context.Context, by core.Actor, ref TableRef, o *Order, pos, col, dir int) (SuggestionPlace, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return SuggestionPlace{}, err
	}
	w := newPlaceWalk(t, o, pos, col, dir)
	few, err := s.seeFew(ctx, t, w)
	if err != nil {
		return SuggestionPlace{}, err
	}
	if few {
		return w.found()
	}
	return s.walkOrder(ctx, t, w)
}

// seeFew shows the walk all suggested cells of a table, unless there are many.
func (s *Store) seeFew(ctx context.Context, t Table, w *placeWalk) (bool, error) {
	if n := t.Counts.Suggestions; n != nil && *n > fewSuggestions {
		return false, nil
	}
	rows, err := s.pool.Query(ctx, `select distinct row, col from `+companion(t, "_suggestions")+` where decided is null and table_id = $1 limit $2`,
		dynamic, t.ID, fewSuggestions+1)
	if err != nil {
		return false, fmt.Errorf("suggested cells: %w", err)
	}
	n, err := w.seeRows(rows)
	return n <= fewSuggestions, err
}

// The blocks in which an order is walked: the first is about what a person sees, where most cells are suggested.
const (
	firstBlock = 64
	blockGrows = 8
	largeBlock = 100_000
)

// walkOrder looks for the nearest suggested cell in blocks of the order, from the place to the end and then from the other end.
func (s *Store) walkOrder(ctx context.Context, t Table, w *placeWalk) (SuggestionPlace, error) {
	n := w.order.Len()
	at := max(0, min(w.from.pos, n-1))
	segments, over := [][2]int{{at, n}, {0, at + 1}}, place{-1, 0}
	if w.dir < 0 {
		segments, over = [][2]int{{0, at + 1}, {at, n}}, place{n, 0}
	}
	for _, seg := range segments {
		if err := s.walkBlocks(ctx, t, w, seg[0], seg[1]); err != nil {
			return SuggestionPlace{}, err
		}
		if w.next != nil {
			break
		}
		w.from = over
	}
	if w.next == nil {
		return SuggestionPlace{}, errNoSuggestion
	}
	p := *w.next
	if v := w.order.View; v.Filter == "" && v.Find == "" && t.Counts.Suggestions != nil {
		p.Total = int(*t.Counts.Suggestions)
	}
	return p, nil
}

// walkBlocks looks at the positions from to to (excluded) in growing blocks, in the walk's direction, until one holds the next
// suggested cell.
func (s *Store) walkBlocks(ctx context.Context, t Table, w *placeWalk, from, to int) error {
	for size := firstBlock; from < to && w.next == nil; size = min(size*blockGrows, largeBlock) {
		a, b := from, min(from+size, to)
		if w.dir < 0 {
			a, b = max(from, to-size), to
			to = a
		} else {
			from = b
		}
		rows, err := s.pool.Query(ctx, `select distinct row, col from `+companion(t, "_suggestions")+` where row = any($1) and decided is null and table_id = $2`,
			dynamic, w.order.IDs(a, b), t.ID)
		if err != nil {
			return fmt.Errorf("suggested cells: %w", err)
		}
		if _, err := w.seeRows(rows); err != nil {
			return err
		}
	}
	return nil
}

var errNoSuggestion = core.Errorf(core.NotFound, "No suggestion is open here.")

type place struct{ pos, col int }

func (a place) before(b place) bool { return a.pos < b.pos || a.pos == b.pos && a.col < b.col }

// placeWalk finds the nearest place after (or before) one, in one pass.
type placeWalk struct {
	order      *Order
	columnAt   map[int]int // what stands where in a row; the record itself before its cells
	from       place
	dir        int
	next, wrap *SuggestionPlace
	nextAt     place
	wrapAt     place
	seen       []place
}

func newPlaceWalk(t Table, o *Order, pos, col, dir int) *placeWalk {
	w := &placeWalk{order: o, dir: dir, columnAt: map[int]int{core.RecordColumn: -1}}
	for i, c := range t.Columns {
		w.columnAt[c.Number] = i
	}
	w.from = place{pos, w.columnAt[col]}
	return w
}

// seeRows shows the walk cells (row, col) and counts them.
func (w *placeWalk) seeRows(rows pgx.Rows) (n int, err error) {
	var row int64
	var number int
	_, err = pgx.ForEachRow(rows, []any{&row, &number}, func() error {
		n++
		if p, ok := w.order.Position(row); ok {
			w.see(SuggestionPlace{Record: row, Column: number, Position: p}, place{p, w.columnAt[number]})
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("suggested cells: %w", err)
	}
	return n, nil
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
		return SuggestionPlace{}, errNoSuggestion
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
