package handlers

import (
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

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
	return s.doGrid(c, store.Bulk{Kind: "delete", Table: t.ID, Where: w, Options: store.ChangeOptions{Label: "Delete"}})
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
	Values    map[int]string `json:"values" typed:"true"` // typed, by column number
	Count     int            `json:"count"`               // of empty records; 0 is 1
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
