package handlers

import (
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type fillBody struct {
	selection
	Columns []int   `json:"columns"`
	Input   *string `json:"input" typed:"true"` // as typed; "" clears, null is null
	Label   string  `json:"label"`
}

// fillCells sets all chosen cells to one input, however many records there are, as one batch.
func (s *Server) fillCells(c echo.Context) error {
	var body fillBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	w, err := s.whereSelected(c, t, body.selection)
	if err != nil {
		return err
	}
	values := map[int]core.Value{}
	var refused []store.Refusal
	for _, n := range body.Columns {
		set, no := typed(t, 0, n, body.Input)
		if no != nil {
			refused = append(refused, *no)
			continue
		}
		values[n] = set.Value
	}
	if len(values) == 0 {
		return core.Errorf(core.Invalid, "%s", firstReason(refused))
	}
	kind, label := "fill", "Fill"
	if body.Input == nil || *body.Input == "" {
		kind, label = "clear", "Clear"
	}
	if body.Label != "" {
		label = body.Label
	}
	return s.doGrid(c, fillCommand(t, w, values, store.ChangeOptions{Kind: kind, Label: label}), refused...)
}

func firstReason(refused []store.Refusal) string {
	if len(refused) == 0 {
		return "No columns are selected."
	}
	return refused[0].Reason
}

// whereSelected chooses the records of a selection: by a filter when there is one, else by what was shown.
func (s *Server) whereSelected(c echo.Context, t store.Table, sel selection) (store.Where, error) {
	if len(sel.Ranges) == 0 && (sel.Filter != "" || sel.Find != "") {
		return store.Where{Filter: sel.Filter, Find: sel.Find}, nil
	}
	if len(sel.Tail) == 0 {
		if len(sel.Ranges) == 0 {
			return store.Where{}, core.Errorf(core.Invalid, "No records are selected.")
		}
		_, err := s.store.OrderByID(ctxOf(c), actor(c), t.Ref(), sel.Order)
		return store.Where{Order: sel.Order, Ranges: sel.Ranges}, err
	}
	ids, err := s.ids(c, t, sel)
	return store.Where{Records: ids}, err
}

type spreadBody struct {
	selection
	Columns []int `json:"columns"` // of the cells to be filled
	Source  struct {
		Rows    [2]int `json:"rows"` // positions from and to (excluded)
		Columns []int  `json:"columns"`
	} `json:"source"`
	Label string `json:"label"`
}

// spreadCells repeats a block of cells over another: fill down, fill right, the fill handle. The whole values are taken, as
// they are now, on the server.
func (s *Server) spreadCells(c echo.Context) error {
	var body spreadBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	source, err := s.sourceRows(c, t, body)
	if err != nil {
		return err
	}
	if len(source) == 1 && len(source[0].Values) == len(body.Columns) {
		return s.spreadOne(c, t, body, source[0])
	}
	ids, err := s.ids(c, t, body.selection)
	if err != nil {
		return err
	}
	if n := len(ids) * len(body.Columns); n > mostSpread {
		return core.Errorf(core.TooLarge, "Filling from several cells takes at most 200,000 cells; this has %d. Filling from one row has no limit.", n)
	}
	ch, refused := spreadChanges(t, body, source, ids)
	res, err := s.apply(c, t, ch, store.ChangeOptions{Kind: "fill", Label: spreadLabel(body)})
	res.Refused = append(refused, res.Refused...)
	return answerWrite(c, res, err)
}

func spreadLabel(body spreadBody) string {
	if body.Label != "" {
		return body.Label
	}
	return "Fill"
}

func (s *Server) sourceRows(c echo.Context, t store.Table, body spreadBody) ([]store.Row, error) {
	sel := body.selection
	sel.Ranges = [][2]int{body.Source.Rows}
	ids, err := s.ids(c, t, sel)
	if err != nil {
		return nil, err
	}
	if len(ids)*len(body.Source.Columns) > mostSpread || len(body.Source.Columns) == 0 {
		return nil, core.Errorf(core.Invalid, "Choose the cells to fill from.")
	}
	rows, err := s.store.Rows(ctxOf(c), actor(c), t.Ref(), ids, store.RowOptions{Columns: body.Source.Columns})
	if err == nil && len(rows) == 0 {
		return nil, core.Errorf(core.Conflict, "The record to fill from was deleted.")
	}
	return rows, err
}

// spreadOne fills from one row, column by column, over any number of records.
func (s *Server) spreadOne(c echo.Context, t store.Table, body spreadBody, source store.Row) error {
	w, err := s.whereSelected(c, t, body.selection)
	if err != nil {
		return err
	}
	values := map[int]core.Value{}
	for j, n := range body.Columns {
		set, no := carried(t, 0, body.Source.Columns[j], n, source.Values[j])
		if no != nil {
			return core.Errorf(core.Invalid, "%s", no.Reason)
		}
		values[n] = set.Value
	}
	return s.doGrid(c, fillCommand(t, w, values, store.ChangeOptions{Kind: "fill", Label: spreadLabel(body)}))
}

func spreadChanges(t store.Table, body spreadBody, source []store.Row, ids []int64) (store.Changes, []store.Refusal) {
	var ch store.Changes
	var refused []store.Refusal
	for i, id := range ids {
		from := source[i%len(source)]
		for j, n := range body.Columns {
			k := j % len(from.Values)
			set, no := carried(t, id, body.Source.Columns[k], n, from.Values[k])
			if no != nil {
				no.Index = i
				refused = append(refused, *no)
				continue
			}
			set.Index = i
			ch.Sets = append(ch.Sets, set)
		}
	}
	return ch, refused
}

// carried takes a value from one column to another: as it is within a type, else as a person would type it.
func carried(t store.Table, record int64, from, to int, v core.Value) (store.CellEdit, *store.Refusal) {
	a, _ := t.Column(from)
	b, ok := t.Column(to)
	if ok && a.Type == b.Type {
		checked, err := core.CheckValue(b, v)
		if err != nil {
			return store.CellEdit{}, &store.Refusal{Record: record, Column: to, Reason: core.SentenceOf(err)}
		}
		return store.CellEdit{Record: record, Column: to, Value: checked}, nil
	}
	if v.IsNull() {
		return typed(t, record, to, nil)
	}
	text := v.Plain()
	return typed(t, record, to, &text)
}
