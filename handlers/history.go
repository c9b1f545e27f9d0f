package handlers

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/store"
	"scratchpaper/views"
)

// batchesShown is how many acts one page of the history lists.
const batchesShown = 100

// showHistory lists what was done in a snapshot. It changes nothing.
func (s *Server) showHistory(c echo.Context) error {
	ctx, by := c.Request().Context(), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	before, err := numberParam(c, "before")
	if err != nil {
		return err
	}
	batches, err := s.store.Acts(ctx, by, sn.ID, before, batchesShown+1)
	if err != nil {
		return err
	}
	p, err := s.snapshotPage(c, "History of "+sn.Name, "history", sn)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.History(p, historyView(sn, batches)))
}

func historyView(sn store.Snapshot, batches []store.Batch) views.HistoryView {
	v := views.HistoryView{Snapshot: views.SnapshotLink{ID: sn.ID, Name: sn.Name}}
	if len(batches) > batchesShown {
		batches = batches[:batchesShown]
		v.More = fmt.Sprintf("/snapshots/%s/history?before=%d", sn.ID, batches[batchesShown-1].ID)
	}
	titles := map[string]string{}
	for _, t := range sn.Tables {
		titles[t.ID] = t.Title
	}
	for _, b := range batches {
		plan := ""
		if b.Plan != "" {
			plan = planAddress(sn.ID, b.Plan)
		}
		v.Batches = append(v.Batches, views.BatchLine{
			Plan: plan,
			ID:   b.ID, Label: b.Label, Kind: b.Kind, Who: b.Who, Table: titles[b.Table], Address: "/snapshots/" + sn.ID + "/tables/" + b.Table,
			When: b.When, Cells: b.Cells, Records: b.Records, Suggested: b.Suggested, Undone: b.UndoneBy != 0, Undoable: b.Undoable,
		})
	}
	return v
}

// undoBatch undoes one act, also an old one, and says what it left.
func (s *Server) undoBatch(c echo.Context) error {
	id, err := batchID(c.Param("batch"))
	if err != nil {
		return err
	}
	return s.doPage(c, store.Bulk{Kind: "undo", Batch: id}, func(res store.BulkResult) string {
		s.leaveNotice(c, undoNotice(res.BatchResult))
		return "/snapshots/" + c.Param("snapshot") + "/history"
	})
}

func undoNotice(res store.BatchResult) views.Notice {
	n := views.Notice{Kind: "ok", Text: res.Label + ", " + views.Counted(res.Cells, "cell", "cells") + "."}
	if len(res.Left) == 0 {
		return n
	}
	n.Kind = "warn"
	n.Text += " " + views.Counted(int64(len(res.Left)), "cell was left as it is", "cells were left as they are") + ", changed since: "
	reasons := []string{}
	for i, l := range res.Left {
		if i == 3 {
			reasons = append(reasons, "…")
			break
		}
		reasons = append(reasons, fmt.Sprintf("record %d %s (%s)", l.Record, l.Slug, strings.TrimSuffix(l.Reason, ".")))
	}
	n.Text += strings.Join(reasons, "; ") + "."
	return n
}
