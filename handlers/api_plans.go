package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type planJSON struct {
	ID       string    `json:"id"`
	Tables   []string  `json:"tables"`
	State    string    `json:"state"`
	Who      string    `json:"who"`
	At       time.Time `json:"at"`
	Reverts  *string   `json:"reverts"`
	Job      *string   `json:"job"`
	Counts   any       `json:"counts"`
	Requests int64     `json:"requests"`
}

func planOut(p store.Plan) planJSON {
	null := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	c := p.Counts
	return planJSON{ID: p.ID, Tables: p.Tables, State: p.State, Who: p.Who, At: p.At, Reverts: null(p.Reverts), Job: null(p.Job), Counts: map[string]int64{
		"creates": c.Creates, "updates": c.Updates, "deletes": c.Deletes, "planned": c.Planned, "sending": c.Sending, "published": c.Published, "failed": c.Failed,
		"conflict": c.Conflict, "unknown": c.Unknown, "left_out": c.LeftOut}}
}

type planBody struct {
	Tables []string   `json:"tables"`
	Where  *whereBody `json:"where"`
}

func (s *Server) postPlan(c echo.Context) error {
	var body planBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var t store.Table
	if len(body.Tables) == 1 {
		var err error
		if t, err = s.store.TableByID(ctxOf(c), actor(c), store.TableRef{Snapshot: c.Param("snapshot"), Table: body.Tables[0]}); err != nil {
			return err
		}
	}
	w, err := body.Where.where(t)
	if err != nil {
		return err
	}
	p, err := s.store.MakePlan(ctxOf(c), actor(c), c.Param("snapshot"), body.Tables, w)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, planOut(p))
}

func (s *Server) getPlan(c echo.Context) error {
	p, err := s.store.PlanByID(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, planOut(p))
}

func (s *Server) listItems(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	f := store.ItemsFilter{Op: c.QueryParam("op"), State: c.QueryParam("state"), Table: c.QueryParam("table"), Limit: limit}
	if v := c.QueryParam("after"); v != "" {
		if f.After, err = itemID(v); err != nil {
			return err
		}
	}
	if _, err := s.store.PlanByID(ctx, by, c.Param("snapshot"), c.Param("plan")); err != nil {
		return err
	}
	items, next, err := s.store.Items(ctx, by, c.Param("snapshot"), c.Param("plan"), f)
	if err != nil {
		return err
	}
	columns, err := s.columnsByNumber(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, it := range items {
		out = append(out, itemOut(it, columns))
	}
	res := list{Items: out}
	if next != 0 {
		res.Next = "itm_" + itoa(int(next))
	}
	return c.JSON(http.StatusOK, res)
}

func (s *Server) columnsByNumber(ctx context.Context, by core.Actor, snapshot string) (map[int]core.Column, error) {
	sn, err := s.store.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return nil, err
	}
	out := map[int]core.Column{}
	for _, t := range sn.Tables {
		for _, c := range t.Columns {
			out[c.Number] = c
		}
	}
	return out, nil
}

func itemOut(it store.Item, columns map[int]core.Column) map[string]any {
	fields := map[string]any{}
	for n, f := range it.Fields {
		c := columns[n]
		fields[c.Slug] = map[string]any{"base": apiValue(c, f.Base), "value": apiValue(c, f.Value)}
	}
	out := map[string]any{"id": "itm_" + itoa(int(it.ID)), "table": it.Table, "record": it.Record, "remote_id": it.RemoteID, "op": it.Op, "state": it.State,
		"reason": it.Reason, "title": it.Title, "fields": fields}
	if it.Receipt != nil {
		out["receipt"] = map[string]any{"at": it.Receipt.At, "before": bySlug(it.Receipt.Before, columns), "sent": bySlug(it.Receipt.Sent, columns),
			"stored": bySlug(it.Receipt.Stored, columns), "words": it.Receipt.Words}
	}
	return out
}

func bySlug(m map[string]json.RawMessage, columns map[int]core.Column) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for k, v := range m {
		var n int
		if json.Unmarshal([]byte(k), &n) == nil {
			c := columns[n]
			out[c.Slug] = apiValue(c, v)
		}
	}
	return out
}

type itemsBody struct {
	Where struct {
		IDs   []string `json:"ids"`
		Op    string   `json:"op"`
		Table string   `json:"table"`
	} `json:"where"`
	Included bool `json:"included"`
}

func (s *Server) patchItems(c echo.Context) error {
	var body itemsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	w := store.ItemsWhere{Op: body.Where.Op, Table: body.Where.Table}
	for _, v := range body.Where.IDs {
		n, err := itemID(v)
		if err != nil {
			return core.FieldErrorf("/where/ids", "There is no item %s.", v)
		}
		w.Items = append(w.Items, n)
	}
	if w.Op == "" && w.Table == "" && w.Items == nil {
		return core.FieldErrorf("/where", "Say which items.")
	}
	p, err := s.store.TickItems(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), w, body.Included)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, planOut(p))
}

type publishBody struct {
	Deletes bool `json:"deletes"`
	First   int  `json:"first"`
}

func (s *Server) postPublish(c echo.Context) error {
	var body publishBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.First < 0 {
		return core.FieldErrorf("/first", "first takes a number from 1.")
	}
	j, err := s.store.StartPublish(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), body.Deletes, body.First)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, map[string]any{"job": jobOut(j)})
}

func (s *Server) postRetry(c echo.Context) error {
	j, err := s.store.RetryPlan(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, map[string]any{"job": jobOut(j)})
}

type revertBody struct {
	Table string     `json:"table"` // whose columns "where" names
	Where *whereBody `json:"where"` // records and columns; none: the whole publish
}

func (s *Server) postRevert(c echo.Context) error {
	var body revertBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	part, err := s.partOf(c, body)
	if err != nil {
		return err
	}
	return s.do(c, store.Bulk{Kind: "revert", Plan: c.Param("plan"), Where: part}, func(res store.BulkResult) error {
		return c.JSON(http.StatusCreated, revertOut(store.Reverted{Plan: *res.Plan, Left: res.Left, MoreLeft: res.MoreLeft}))
	})
}

// partOf says which part of a publish is to be reverted.
func (s *Server) partOf(c echo.Context, body revertBody) (store.Where, error) {
	if body.Where == nil {
		return store.Where{}, nil
	}
	var t store.Table
	if body.Table != "" {
		var err error
		if t, err = s.store.TableByID(ctxOf(c), actor(c), store.TableRef{Snapshot: c.Param("snapshot"), Table: body.Table}); err != nil {
			return store.Where{}, err
		}
	}
	w, err := body.Where.where(t)
	if err != nil {
		return store.Where{}, err
	}
	part := store.Where{Records: w.Records, Columns: w.Columns}
	switch {
	case part.Records == nil && part.Columns == nil:
		return part, core.FieldErrorf("/where", "Say which records or columns; without a “where” the whole publish is reverted.")
	case w.Filter != "" || w.Batch != 0 || w.Group != "" || w.IDs != nil:
		return part, core.FieldErrorf("/where", "A part of a publish is chosen by records and columns.")
	}
	return part, nil
}

func revertOut(r store.Reverted) map[string]any {
	if r.Left == nil {
		r.Left = []store.Refusal{}
	}
	return map[string]any{"plan": planOut(r.Plan), "left": r.Left, "more_left": r.MoreLeft}
}

type settleItemBody struct {
	As       string `json:"as"`
	RemoteID string `json:"remote_id"`
}

func (s *Server) postSettleItem(c echo.Context) error {
	var body settleItemBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	id, err := itemID(c.Param("item"))
	if err != nil {
		return err
	}
	if err := s.store.SettleItem(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), id, body.As, body.RemoteID); err != nil {
		return err
	}
	return s.getPlan(c)
}

type jobJSON struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	State      string          `json:"state"`
	Label      string          `json:"label"`
	Snapshot   string          `json:"snapshot,omitempty"`
	WaitingFor string          `json:"waiting_for,omitempty"`
	Progress   store.Progress  `json:"progress"`
	Error      *store.JobError `json:"error"`
	Result     json.RawMessage `json:"result"`
	CreatedAt  time.Time       `json:"created_at"`
	StartedAt  *time.Time      `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
}

func jobOut(j store.Job) jobJSON {
	out := jobJSON{ID: j.ID, Kind: j.Kind, State: j.State, Label: j.Label, Snapshot: j.Snapshot, WaitingFor: j.WaitingFor, Progress: j.Progress, Error: j.Error, Result: jobResult(j),
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt}
	return out
}

func (s *Server) listJobs(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	jobs, err := s.store.Jobs(ctxOf(c), actor(c), store.JobsFilter{Snapshot: c.QueryParam("snapshot"), Open: c.QueryParam("open") == "true", After: c.QueryParam("after"), Limit: limit})
	if err != nil {
		return err
	}
	items := []jobJSON{}
	for _, j := range jobs {
		items = append(items, jobOut(j))
	}
	out := list{Items: items}
	if len(jobs) == limit {
		out.Next = jobs[limit-1].ID
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) getJob(c echo.Context) error {
	j, err := s.store.JobByID(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}

func (s *Server) postCancel(c echo.Context) error {
	j, err := s.store.CancelJob(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}

func (s *Server) postContinue(c echo.Context) error {
	j, err := s.store.ContinueJob(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}
