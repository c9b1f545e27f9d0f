package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// mostSpread is how many cells one paste, or one fill from several cells, takes.
const mostSpread = 200_000

// writeAnswer is what every write of the grid answers.
type writeAnswer struct {
	Batch   int64        `json:"batch"`
	Label   string       `json:"label,omitempty"`
	Cells   int64        `json:"cells"`
	Refused []refusalOut `json:"refused"`
	Left    []refusalOut `json:"left,omitempty"`
	Rows    []int64      `json:"rows"`
	Created []int64      `json:"created,omitempty"`
	Version int64        `json:"version"`
	Table   string       `json:"table,omitempty"`
}

type refusalOut struct {
	Index  int    `json:"index"`
	Record int64  `json:"record,omitempty"`
	Column int    `json:"column,omitempty"` // number
	Reason string `json:"reason"`
}

func refusalsOut(list []store.Refusal) []refusalOut {
	out := []refusalOut{}
	for _, r := range list {
		out = append(out, refusalOut{r.Index, r.Record, r.Column, r.Reason})
	}
	return out
}

// answerWrite answers a script with what was done, and a plain form with the page that it came from.
func answerWrite(c echo.Context, res store.BatchResult, err error) error {
	if err != nil {
		return err
	}
	out := writeAnswer{
		Batch: res.Batch, Label: res.Label, Cells: res.Cells, Refused: refusalsOut(res.Refused), Rows: res.Rows,
		Created: res.Created, Version: res.Version, Table: res.Table,
	}
	if len(res.Left) > 0 {
		out.Left = refusalsOut(res.Left)
	}
	if out.Rows == nil {
		out.Rows = []int64{}
	}
	return c.JSON(http.StatusOK, out)
}

// selection names records as a person sees them: positions in an order, and behind its end the records that were made since.
type selection struct {
	Order  string   `json:"order"`
	Ranges [][2]int `json:"ranges"` // from and to (excluded)
	Tail   []int64  `json:"tail"`   // ids of the records behind the order's end
	Filter string   `json:"filter"` // instead of ranges: everything under a filter
	Find   string   `json:"find"`
}

// ids turns a selection into record ids, in the shown order. Codes: Conflict (the order is gone).
func (s *Server) ids(c echo.Context, t store.Table, sel selection) ([]int64, error) {
	o, err := s.store.OrderByID(ctxOf(c), actor(c), t.Ref(), sel.Order)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, r := range sel.Ranges {
		out = append(out, idsAt(o, sel.Tail, r[0], r[1])...)
	}
	if len(out) == 0 {
		return nil, core.Errorf(core.Invalid, "No records are selected.")
	}
	return out, nil
}

func idsAt(o *store.Order, tail []int64, from, to int) []int64 {
	ids := o.IDs(from, to)
	a, b := max(0, from-o.Len()), min(len(tail), to-o.Len())
	if a < b {
		ids = append(ids, tail[a:b]...)
	}
	return ids
}

type editsBody struct {
	Cells []cellInput `json:"cells"`
	Label string      `json:"label"`
}

type cellInput struct {
	Record int64   `json:"record"`
	Column int     `json:"column"`
	Input  *string `json:"input"` // as typed; null is null
}

// editCells sets cells to what was typed. Inputs that do not fit their column are refused one by one.
func (s *Server) editCells(c echo.Context) error {
	var body editsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	var ch store.Changes
	var refused []store.Refusal
	for i, cell := range body.Cells {
		set, no := typed(t, cell.Record, cell.Column, cell.Input)
		if no != nil {
			no.Index = i
			refused = append(refused, *no)
			continue
		}
		set.Index = i
		ch.Sets = append(ch.Sets, set)
	}
	res, err := s.apply(c, t, ch, store.ChangeOptions{Label: body.Label})
	res.Refused = append(refused, res.Refused...)
	return answerWrite(c, res, err)
}

// apply runs ApplyChanges unless there is nothing to apply.
func (s *Server) apply(c echo.Context, t store.Table, ch store.Changes, opts store.ChangeOptions) (store.BatchResult, error) {
	if len(ch.Sets)+len(ch.Creates)+len(ch.Deletes)+len(ch.Undeletes) == 0 {
		return store.BatchResult{Version: t.Version}, actor(c).Require(core.Editor)
	}
	return s.store.ApplyChanges(ctxOf(c), actor(c), t.Ref(), ch, opts)
}

// typed reads what was typed into a cell.
func typed(t store.Table, record int64, column int, input *string) (store.CellEdit, *store.Refusal) {
	col, ok := t.Column(column)
	if !ok {
		return store.CellEdit{}, &store.Refusal{Record: record, Column: column, Reason: "There is no such column."}
	}
	v := core.NullValue
	if input != nil {
		var err error
		if v, err = core.FromInput(col, *input); err != nil {
			return store.CellEdit{}, &store.Refusal{Record: record, Column: column, Reason: core.SentenceOf(err)}
		}
	}
	return store.CellEdit{Record: record, Column: column, Value: v}, nil
}

type pasteBody struct {
	Order   string     `json:"order"`
	Tail    []int64    `json:"tail"`
	At      int        `json:"at"` // position of the block's first row
	Columns []int      `json:"columns"`
	Cells   [][]string `json:"cells"`
	Create  bool       `json:"create"` // rows below the last record make new ones
	Label   string     `json:"label"`
}

// pasteCells sets a block of cells to pasted texts, as one batch. What lies below the last record is made or left out.
func (s *Server) pasteCells(c echo.Context) error {
	var body pasteBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if n := len(body.Cells) * len(body.Columns); n > mostSpread {
		return core.Errorf(core.TooLarge, "A paste takes at most 200,000 cells; this has %d. Import it as a file instead.", n)
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	o, err := s.store.OrderByID(ctxOf(c), actor(c), t.Ref(), body.Order)
	if err != nil {
		return err
	}
	ids := idsAt(o, body.Tail, body.At, body.At+len(body.Cells))
	ch, refused := pasteChanges(t, body, ids)
	label := body.Label
	if label == "" {
		label = "Paste"
	}
	res, err := s.apply(c, t, ch, store.ChangeOptions{Kind: "paste", Label: label})
	res.Refused = append(refused, res.Refused...)
	return answerWrite(c, res, err)
}

// pasteChanges turns a block into changes; the index of a refusal is the block's row.
func pasteChanges(t store.Table, body pasteBody, ids []int64) (store.Changes, []store.Refusal) {
	var ch store.Changes
	var refused []store.Refusal
	for i, line := range body.Cells {
		if i >= len(ids) && !body.Create {
			break
		}
		var id int64
		if i < len(ids) {
			id = ids[i]
		}
		values := map[int]core.Value{}
		for j, text := range line {
			if j >= len(body.Columns) {
				break
			}
			set, no := typed(t, id, body.Columns[j], &text)
			if no != nil {
				no.Index = i
				refused = append(refused, *no)
				continue
			}
			set.Index = i
			if id != 0 {
				ch.Sets = append(ch.Sets, set)
			} else if !set.Value.IsNull() {
				values[set.Column] = set.Value
			}
		}
		if id == 0 {
			ch.Creates = append(ch.Creates, store.NewRecord{Values: values, Index: i})
		}
	}
	return ch, refused
}

type fillBody struct {
	selection
	Columns []int   `json:"columns"`
	Input   *string `json:"input"` // as typed; "" clears, null is null
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
	res, err := s.store.FillWhere(ctxOf(c), actor(c), t.Ref(), w, values, store.ChangeOptions{Kind: kind, Label: label})
	res.Refused = append(refused, res.Refused...)
	return answerWrite(c, res, err)
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
	res, err := s.store.FillWhere(ctxOf(c), actor(c), t.Ref(), w, values, store.ChangeOptions{Kind: "fill", Label: spreadLabel(body)})
	return answerWrite(c, res, err)
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

// deleteRecords deletes the selected records, as one batch.
func (s *Server) deleteRecords(c echo.Context) error {
	var body selection
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	w, err := s.whereSelected(c, t, body)
	if err != nil {
		return err
	}
	res, err := s.store.DeleteWhere(ctxOf(c), actor(c), t.Ref(), w, store.ChangeOptions{Label: "Delete"})
	return answerWrite(c, res, err)
}

func (s *Server) undeleteRecords(c echo.Context) error {
	var body struct {
		Records []int64 `json:"records"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var ch store.Changes
	for i, id := range body.Records {
		ch.Undeletes = append(ch.Undeletes, store.RecordOp{Record: id, Index: i})
	}
	return s.applyTo(c, ch, store.ChangeOptions{Label: "Bring back"})
}

// applyTo loads the table and applies changes to it.
func (s *Server) applyTo(c echo.Context, ch store.Changes, opts store.ChangeOptions) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	res, err := s.apply(c, t, ch, opts)
	return answerWrite(c, res, err)
}

type recordsBody struct {
	Values    map[int]string `json:"values"` // typed, by column number
	Count     int            `json:"count"`  // of empty records; 0 is 1
	Duplicate []int64        `json:"duplicate"`
}

// createRecords makes a record, several empty ones, or copies of some.
func (s *Server) createRecords(c echo.Context) error {
	var body recordsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	if len(body.Duplicate) > 0 {
		res, err := s.store.DuplicateRecords(ctxOf(c), actor(c), t.Ref(), body.Duplicate)
		return answerWrite(c, res, err)
	}
	if body.Count > 10_000 {
		return core.FieldErrorf("/count", "At most 10,000 records are made at once; import a file for more.")
	}
	values := map[int]core.Value{}
	for n, text := range body.Values {
		set, no := typed(t, 0, n, &text)
		if no != nil {
			return core.FieldErrorf("/values/"+itoa(n), "%s", no.Reason)
		}
		values[n] = set.Value
	}
	var ch store.Changes
	for i := range max(1, body.Count) {
		ch.Creates = append(ch.Creates, store.NewRecord{Values: values, Index: i})
	}
	res, err := s.apply(c, t, ch, store.ChangeOptions{Label: "New record"})
	return answerWrite(c, res, err)
}

// undoLast undoes the person's newest batch in the snapshot.
func (s *Server) undoLast(c echo.Context) error {
	res, err := s.store.UndoNext(ctxOf(c), actor(c), c.Param("snapshot"))
	return answerWrite(c, res, err)
}

// redoLast takes back the person's newest undo.
func (s *Server) redoLast(c echo.Context) error {
	res, err := s.store.RedoNext(ctxOf(c), actor(c), c.Param("snapshot"))
	return answerWrite(c, res, err)
}
