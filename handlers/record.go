package handlers

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// historyLines is how many lines of a record's history its panel shows.
const historyLines = 40

// showRecord answers with the record panel: a fragment for a script, the grid's page with the panel open otherwise.
func (s *Server) showRecord(c echo.Context) error {
	id, err := recordID(c)
	if err != nil {
		return err
	}
	if partial(c) {
		t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
		if err != nil {
			return err
		}
		panel, err := s.recordPanel(c, t, id)
		if err != nil {
			return err
		}
		return s.render(c, http.StatusOK, views.Record(*panel))
	}
	p, t, err := s.gridPage(c)
	if err != nil {
		return err
	}
	if p.Record, err = s.recordPanel(c, t, id); err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Grid(p))
}

func recordID(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("record"), 10, 64)
	if err != nil {
		return 0, core.Errorf(core.NotFound, "There is no such record.")
	}
	return id, nil
}

// recordPanel makes the model of a record with all its fields, whole, and its history.
func (s *Server) recordPanel(c echo.Context, t store.Table, id int64) (*views.RecordPanel, error) {
	ctx, by := ctxOf(c), actor(c)
	rows, err := s.store.Rows(ctx, by, t.Ref(), []int64{id}, store.RowOptions{})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, core.Errorf(core.NotFound, "This record is not there any more.")
	}
	changes, older, err := s.store.RecordHistory(ctx, by, t.Ref(), id, -1, store.First(historyLines))
	if err != nil {
		return nil, err
	}
	w, err := s.window(c, t, nil, rows, nil)
	if err != nil {
		return nil, err
	}
	p := panelOf(t, rows[0], w.Rows[0], changes)
	p.OlderHistory = older
	p.CanEdit, p.Zone = by.Role >= core.Editor, zoneOf(c)
	p.Query = viewQuery(c)
	return &p, nil
}

// showChanged answers with the number of the first column of a record that a batch changed; 0 is the record as a
// whole, or none.
func (s *Server) showChanged(c echo.Context) error {
	id, err := recordID(c)
	if err != nil {
		return err
	}
	batch, err := numberParam(c, "batch")
	if err != nil {
		return err
	}
	changes, _, err := s.store.RecordHistory(ctxOf(c), actor(c), refOf(c), id, -1, store.First(historyLines))
	if err == nil && len(changes) == 0 {
		err = s.recordThere(c, id)
	}
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if ch.Batch.ID == batch {
			return c.JSON(http.StatusOK, map[string]int{"column": ch.Column})
		}
	}
	return c.JSON(http.StatusOK, map[string]int{"column": core.RecordColumn})
}

// recordThere is NotFound when there is no such record (any more).
func (s *Server) recordThere(c echo.Context, id int64) error {
	rows, err := s.store.Rows(ctxOf(c), actor(c), refOf(c), []int64{id}, store.RowOptions{})
	if err == nil && len(rows) == 0 {
		err = core.Errorf(core.NotFound, "This record is not here (any more).")
	}
	return err
}

// viewQuery keeps the view in the panel's plain links.
func viewQuery(c echo.Context) string {
	q := c.Request().URL.Query()
	q.Del("record")
	q.Del("cell")
	return q.Encode()
}

func panelOf(t store.Table, r store.Row, row views.GridRow, changes []store.Change) views.RecordPanel {
	p := views.RecordPanel{
		Base: views.GridBase(t.Snapshot, t.ID), Row: row, RemoteID: r.RemoteID, Title: recordTitle(t, r),
		Creatable: t.Creatable, Deletable: t.Deletable,
	}
	last := map[int]store.Change{}
	for _, ch := range changes {
		if _, ok := last[ch.Column]; !ok {
			last[ch.Column] = ch
		}
		p.History = append(p.History, historyLine(t, ch))
	}
	for _, cell := range row.Cells {
		f := views.RecordField{Cell: cell}
		if ch, ok := last[cell.Column.Number]; ok && cell.Edited {
			f.Who, f.When = ch.Batch.Who, ch.Batch.When
		}
		p.Fields = append(p.Fields, f)
	}
	return p
}

// recordTitle gives the record's first text that is not empty.
func recordTitle(t store.Table, r store.Row) string {
	for i, c := range t.Columns {
		if c.Type == core.Text && i < len(r.Values) && r.Values[i].Text != "" && !c.Options.Key {
			return r.Values[i].Text
		}
	}
	if r.RemoteID != "" {
		return r.RemoteID
	}
	return "Record " + strconv.FormatInt(r.ID, 10)
}

func historyLine(t store.Table, ch store.Change) views.RecordChange {
	col, ok := t.Column(ch.Column)
	line := views.RecordChange{
		Who: ch.Batch.Who, When: ch.Batch.When, Kind: ch.Batch.Kind, Label: ch.Batch.Label, Reason: ch.Reason, Whole: ch.Column == core.RecordColumn,
	}
	if line.Whole {
		return line
	}
	line.Column = col.Title
	if !ok {
		line.Column = "a column that is gone"
	}
	line.Type, line.Before, line.After = col.Type, readable(col.Type, ch.Before), readable(col.Type, ch.After)
	return line
}

// changeRecord is every act of the record panel, as a plain form: do says which.
func (s *Server) changeRecord(c echo.Context) error {
	id, err := recordID(c)
	if err != nil {
		return err
	}
	if err := form(c); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	res, err := s.actOnRecord(c, t, id)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return answerWrite(c, res, nil)
	}
	if len(res.Refused) > 0 {
		return core.Errorf(core.Invalid, "%s", res.Refused[0].Reason)
	}
	if len(res.Created) > 0 {
		id = res.Created[0]
	}
	return see(c, views.GridBase(t.Snapshot, t.ID)+"/records/"+strconv.FormatInt(id, 10))
}

func (s *Server) actOnRecord(c echo.Context, t store.Table, id int64) (store.BatchResult, error) {
	ctx, by, ref := ctxOf(c), actor(c), t.Ref()
	column, err := formNumber(c, "column")
	if err != nil {
		return store.BatchResult{}, err
	}
	suggestion, err := formNumber(c, "suggestion")
	if err != nil {
		return store.BatchResult{}, err
	}
	one := []store.RecordOp{{Record: id}}
	switch c.FormValue("do") {
	case "set":
		input := c.FormValue("value")
		set, no := typed(t, id, int(column), &input)
		if c.FormValue("null") == "1" {
			set, no = typed(t, id, int(column), nil)
		}
		if no != nil {
			return store.BatchResult{Version: t.Version, Refused: []store.Refusal{*no}}, nil
		}
		return s.apply(c, t, store.Changes{Sets: []store.CellEdit{set}}, store.ChangeOptions{})
	case "restore":
		return s.restoreCell(c, t, id, int(column))
	case "mine", "theirs":
		w := store.Where{Records: []int64{id}}
		if column != 0 {
			w.Columns = []int{int(column)}
		}
		return s.store.SettleConflicts(ctx, by, ref, w, c.FormValue("do"))
	case "accept":
		return s.store.AcceptSuggestions(ctx, by, ref, store.Where{IDs: []int64{suggestion}})
	case "reject":
		return s.store.RejectSuggestions(ctx, by, ref, store.Where{IDs: []int64{suggestion}})
	case "delete":
		return s.store.ApplyChanges(ctx, by, ref, store.Changes{Deletes: one}, store.ChangeOptions{})
	case "undelete":
		return s.store.ApplyChanges(ctx, by, ref, store.Changes{Undeletes: one}, store.ChangeOptions{})
	case "duplicate":
		return s.store.DuplicateRecords(ctx, by, ref, []int64{id})
	}
	return store.BatchResult{}, core.Errorf(core.Malformed, "There is no such act.")
}

// restoreCell sets a cell back to what the service held, which makes it clean.
func (s *Server) restoreCell(c echo.Context, t store.Table, id int64, column int) (store.BatchResult, error) {
	rows, err := s.store.Rows(ctxOf(c), actor(c), t.Ref(), []int64{id}, store.RowOptions{Columns: []int{column}})
	if err != nil {
		return store.BatchResult{}, err
	}
	if len(rows) == 0 {
		return store.BatchResult{}, core.Errorf(core.NotFound, "This record is not there any more.")
	}
	base, ok := rows[0].Base[column]
	if !ok {
		return store.BatchResult{}, core.Errorf(core.Conflict, "This cell has no edit to take back.")
	}
	set := store.CellEdit{Record: id, Column: column, Value: base}
	return s.store.ApplyChanges(ctxOf(c), actor(c), t.Ref(), store.Changes{Sets: []store.CellEdit{set}}, store.ChangeOptions{Label: "Restore"})
}
