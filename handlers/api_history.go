package handlers

import (
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

func (s *Server) listHistory(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	var before int64
	if v := c.QueryParam("after"); v != "" {
		if before, err = batchID(v); err != nil {
			return err
		}
	}
	batches, err := s.store.History(ctxOf(c), actor(c), c.Param("snapshot"), before, limit)
	if err != nil {
		return err
	}
	var next *string
	if len(batches) == limit {
		next = batchName(batches[limit-1].ID)
	}
	return answerList(c, batches, next, batchOut)
}

// batchJSON is one act in the history.
type batchJSON struct {
	ID          *string   `json:"id"`
	Table       string    `json:"table"`
	Who         string    `json:"who"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Label       string    `json:"label"`
	Cells       int64     `json:"cells"`
	Records     int64     `json:"records"`
	Suggestions int64     `json:"suggestions"` // that it made
	Undoes      *string   `json:"undoes"`
	UndoneBy    *string   `json:"undone_by"`
	Undoable    bool      `json:"undoable"`
}

func batchOut(b store.Batch) batchJSON {
	return batchJSON{ID: batchName(b.ID), Table: b.Table, Who: b.Who, At: b.When, Kind: b.Kind, Label: b.Label, Cells: b.Cells, Records: b.Records,
		Suggestions: b.Suggested, Undoes: batchName(b.Undoes), UndoneBy: batchName(b.UndoneBy), Undoable: b.Undoable}
}

func (s *Server) postUndo(c echo.Context) error {
	id, err := batchID(c.Param("batch"))
	if err != nil {
		return err
	}
	return s.doAPI(c, store.Bulk{Kind: "undo", Batch: id})
}

// postRedo takes back the undo of a batch.
func (s *Server) postRedo(c echo.Context) error {
	id, err := batchID(c.Param("batch"))
	if err != nil {
		return err
	}
	ctx, by, sn := ctxOf(c), actor(c), c.Param("snapshot")
	b, err := s.store.BatchByID(ctx, by, sn, id)
	if err != nil {
		return err
	}
	if b.Kind != "undo" {
		if b.UndoneBy == 0 && !store.TriedBefore(ctx) {
			return core.Errorf(core.Conflict, "This batch is not undone.")
		}
		id = b.UndoneBy
	}
	return s.doAPI(c, store.Bulk{Kind: "redo", Batch: id})
}
