package handlers

import (
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// copyCells answers with the whole values of a selection, as tab-separated text and as an HTML table.
func (s *Server) copyCells(c echo.Context) error {
	t, rows, cols, err := s.selectedCells(c, mostCopyCells, "A copy takes at most 200,000 cells; this has %d. Export the table instead.")
	if err != nil {
		return err
	}
	var tsv, table strings.Builder
	table.WriteString(`<table data-scratchpaper="1">`)
	for _, r := range rows {
		table.WriteString("<tr>")
		for i, v := range r.Values {
			if i > 0 {
				tsv.WriteByte('\t')
			}
			text := copied(t, cols[i], v)
			tsv.WriteString(quotedTSV(text))
			table.WriteString("<td>" + strings.ReplaceAll(html.EscapeString(text), "\n", "<br>") + "</td>")
		}
		tsv.WriteByte('\n')
		table.WriteString("</tr>")
	}
	table.WriteString("</table>")
	return c.JSON(http.StatusOK, map[string]any{"tsv": strings.TrimSuffix(tsv.String(), "\n"), "html": table.String(), "rows": len(rows)})
}

// selectedCells reads the cells that the query's order, ranges, tail and cols name.
func (s *Server) selectedCells(c echo.Context, most int, tooMany string) (t store.Table, rows []store.Row, cols []int, err error) {
	if t, err = s.store.TableByID(ctxOf(c), actor(c), refOf(c)); err != nil {
		return t, nil, nil, err
	}
	if cols, err = numbersOf(c.QueryParam("cols")); err != nil {
		return t, nil, nil, err
	}
	sel := selection{Order: c.QueryParam("order")}
	if sel.Ranges, err = rangesOf(c.QueryParam("ranges")); err != nil {
		return t, nil, nil, err
	}
	if sel.Tail, err = idsOf(c.QueryParam("tail")); err != nil {
		return t, nil, nil, err
	}
	if n := cellsOf(sel.Ranges, len(cols)); n > most {
		return t, nil, nil, core.Errorf(core.Invalid, tooMany, n)
	}
	ids, err := s.ids(c, t, sel)
	if err != nil {
		return t, nil, nil, err
	}
	rows, err = s.store.Rows(ctxOf(c), actor(c), t.Ref(), ids, store.RowOptions{Columns: cols})
	return t, rows, cols, err
}

func cellsOf(ranges [][2]int, columns int) int {
	n := 0
	for _, r := range ranges {
		n += (r[1] - r[0]) * columns
	}
	return n
}

// copied gives a value's text such that pasting it gives the value again: lists whose items hold commas are JSON.
func copied(t store.Table, number int, v core.Value) string {
	if v.List != nil {
		for _, item := range v.List {
			if strings.ContainsAny(item, ",;\n[") {
				col, _ := t.Column(number)
				return string(v.Canonical(col.Type))
			}
		}
	}
	return v.Plain()
}

// quotedTSV quotes a field that holds a tab, a line break or a quote at its beginning, as spreadsheets do.
func quotedTSV(s string) string {
	if strings.ContainsAny(s, "\t\n\r") || strings.HasPrefix(s, `"`) {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// showAggregate answers with how many values a selection of number cells has, their sum, average, least and greatest.
func (s *Server) showAggregate(c echo.Context) error {
	_, rows, _, err := s.selectedCells(c, 20_000, "Sums are shown for at most 20,000 cells; this has %d.")
	if err != nil {
		return err
	}
	sum, least, most := new(apd.Decimal), new(apd.Decimal), new(apd.Decimal)
	n, exact := int64(0), apd.BaseContext.WithPrecision(200)
	for _, r := range rows {
		for _, v := range r.Values {
			d, _, err := apd.NewFromString(v.Text)
			if v.IsNull() || err != nil || d.Form != apd.Finite {
				continue
			}
			if n == 0 || d.Cmp(least) < 0 {
				least.Set(d)
			}
			if n == 0 || d.Cmp(most) > 0 {
				most.Set(d)
			}
			n++
			if _, err := exact.Add(sum, sum, d); err != nil {
				return err
			}
		}
	}
	out := map[string]any{"count": n}
	if n > 0 {
		avg := new(apd.Decimal)
		if _, err := apd.BaseContext.WithPrecision(12).Quo(avg, sum, apd.New(n, 0)); err != nil {
			return err
		}
		avg.Reduce(avg)
		out["sum"], out["avg"], out["min"], out["max"] = sum.Text('f'), avg.Text('f'), least.Text('f'), most.Text('f')
	}
	return c.JSON(http.StatusOK, out)
}

// cellAnswer is one cell, whole.
type cellAnswer struct {
	Value       *string          `json:"value"` // as one would type it; null is null
	Base        *string          `json:"base,omitempty"`
	Edited      bool             `json:"edited"`
	Theirs      *string          `json:"conflict,omitempty"`
	Suggestions []cellSuggestion `json:"suggestions,omitempty"`
}

type cellSuggestion struct {
	ID     int64   `json:"id"`
	Value  *string `json:"value"`
	Who    string  `json:"who"`
	Reason string  `json:"reason,omitempty"`
}

// showCell answers with one cell, uncut, for the editor.
func (s *Server) showCell(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	record, err := numberParam(c, "record")
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(c.QueryParam("column"))
	if err != nil {
		return core.FieldErrorf("/column", "column takes a number.")
	}
	col, ok := t.Column(number)
	if !ok {
		return core.Errorf(core.NotFound, "There is no such column.")
	}
	rows, err := s.store.Rows(ctxOf(c), actor(c), t.Ref(), []int64{record}, store.RowOptions{Columns: []int{number}})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return core.Errorf(core.NotFound, "This record is not there any more.")
	}
	return c.JSON(http.StatusOK, cellOut(t, col, rows[0]))
}

func cellOut(t store.Table, col core.Column, r store.Row) cellAnswer {
	input := func(v core.Value) *string {
		if v.IsNull() {
			return nil
		}
		text := copied(t, col.Number, v)
		return &text
	}
	out := cellAnswer{Value: input(r.Values[0])}
	if v, ok := r.Base[col.Number]; ok {
		out.Edited, out.Base = true, input(v)
	}
	if v, ok := r.Conflicts[col.Number]; ok {
		out.Theirs = input(v)
	}
	for _, sg := range r.Suggestions[col.Number] {
		out.Suggestions = append(out.Suggestions, cellSuggestion{sg.ID, input(readable(col.Type, sg.After)), sg.Who, sg.Reason})
	}
	return out
}

// findLook is how many records findNext reads before it says where to go on.
const findLook = 200

// findNext gives the next cell that holds the view's find text, from a place on: the view shows only records that hold it.
// Its position is -1 when there are no more.
func (s *Server) findNext(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	o, err := s.store.OrderByID(ctx, by, t.Ref(), c.QueryParam("order"))
	if err != nil {
		return err
	}
	find := strings.ToLower(c.QueryParam("find"))
	pos, _ := strconv.Atoi(c.QueryParam("pos"))
	col, _ := strconv.Atoi(c.QueryParam("col"))
	back := c.QueryParam("dir") == "-1"
	for range findLook {
		ids := o.IDs(pos, pos+1)
		if len(ids) == 0 {
			break
		}
		rows, err := s.store.Rows(ctx, by, t.Ref(), ids, store.RowOptions{})
		if err != nil {
			return err
		}
		if n, ok := hitIn(t, rows, find, col, back); ok {
			return c.JSON(http.StatusOK, map[string]any{"position": pos, "record": ids[0], "column": n})
		}
		col = 0
		if pos++; back {
			pos -= 2
		}
	}
	return c.JSON(http.StatusOK, map[string]any{"position": -1})
}

// hitIn gives the number of the first column after (or before) column number after whose value holds find.
func hitIn(t store.Table, rows []store.Row, find string, after int, back bool) (int, bool) {
	if len(rows) == 0 {
		return 0, false
	}
	hit, passed := 0, after == 0
	for i, c := range t.Columns {
		holds := strings.Contains(strings.ToLower(rows[0].Values[i].Plain()), find)
		if back {
			if c.Number == after {
				break
			}
			if holds {
				hit = c.Number
			}
			continue
		}
		if holds && passed {
			return c.Number, true
		}
		passed = passed || c.Number == after
	}
	return hit, hit != 0
}
