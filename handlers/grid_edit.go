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
	Batch       int64        `json:"batch"`
	Label       string       `json:"label,omitempty"`
	Cells       int64        `json:"cells"`
	Refused     []refusalOut `json:"refused"`
	MoreRefused int64        `json:"more_refused,omitempty"` // not named
	Left        []refusalOut `json:"left,omitempty"`
	MoreLeft    int64        `json:"more_left,omitempty"`
	Rows        []int64      `json:"rows"`
	Created     []int64      `json:"created,omitempty"`
	Version     int64        `json:"version"`
	Table       string       `json:"table,omitempty"`
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
	return c.JSON(http.StatusOK, writeAnswerOf(res))
}

func writeAnswerOf(res store.BatchResult) writeAnswer {
	out := writeAnswer{
		Batch: res.Batch, Label: res.Label, Cells: res.Cells, Refused: refusalsOut(res.Refused), MoreRefused: res.MoreRefused, Rows: res.Rows,
		Created: res.Created, Version: res.Version, Table: res.Table, MoreLeft: res.MoreLeft,
	}
	if len(res.Left) > 0 {
		out.Left = refusalsOut(res.Left)
	}
	if out.Rows == nil {
		out.Rows = []int64{}
	}
	return out
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
	Input  *string `json:"input" typed:"true"` // as typed; null is null
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

// apply runs ApplyChanges unless there is nothing to apply. What people call records in reference cells becomes references.
func (s *Server) apply(c echo.Context, t store.Table, ch store.Changes, opts store.ChangeOptions) (store.BatchResult, error) {
	refused, err := s.store.ResolveReferences(ctxOf(c), actor(c), t, &ch)
	if err != nil {
		return store.BatchResult{}, err
	}
	res, err := s.applyResolved(c, t, ch, opts)
	res.Refused = append(refused, res.Refused...)
	return res, err
}

func (s *Server) applyResolved(c echo.Context, t store.Table, ch store.Changes, opts store.ChangeOptions) (store.BatchResult, error) {
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
	Cells   [][]string `json:"cells" typed:"true"`
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
