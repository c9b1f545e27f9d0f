package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// publishRoutes lists the addresses of review and publish.
func (s *Server) publishRoutes(e *echo.Echo) {
	e.POST("/snapshots/:snapshot/plans", s.makePlan)
	e.GET("/snapshots/:snapshot/plans/:plan", s.showPlan)
	e.POST("/snapshots/:snapshot/plans/:plan/items", s.tickItems)
	e.POST("/snapshots/:snapshot/plans/:plan/publish", s.publishPlan)
	e.POST("/snapshots/:snapshot/plans/:plan/retry", s.retryPlan)
	e.POST("/snapshots/:snapshot/plans/:plan/revert", s.revertPlan)
	e.POST("/snapshots/:snapshot/plans/:plan/items/:item/settle", s.settleItem)
}

func planAddress(snapshot, plan string) string { return "/snapshots/" + snapshot + "/plans/" + plan }

func (s *Server) makePlan(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	var tables []string
	if t := c.FormValue("table"); t != "" {
		tables = []string{t}
	}
	p, err := s.store.MakePlan(ctxOf(c), actor(c), c.Param("snapshot"), tables, store.Where{Filter: c.FormValue("filter")})
	if err != nil {
		return err
	}
	return see(c, planAddress(p.Snapshot, p.ID))
}

// groupsShown and itemsShown are how many lines one page of a review has; the rest is a page further.
const (
	groupsShown = 100
	itemsShown  = 100
)

func (s *Server) showPlan(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	p, err := s.store.PlanByID(ctx, by, sn.ID, c.Param("plan"))
	if err != nil {
		return err
	}
	v, err := s.publishView(c, sn, p)
	if err != nil {
		return err
	}
	page, err := s.snapshotPage(c, "Publish", "", sn)
	if err != nil {
		return err
	}
	if p.State == "publishing" {
		page.Refresh = 2
	}
	return s.render(c, http.StatusOK, views.Publish(page, v))
}

func (s *Server) publishView(c echo.Context, sn store.Snapshot, p store.Plan) (views.PublishView, error) {
	ctx, by, n := ctxOf(c), actor(c), p.Counts
	v := views.PublishView{Address: planAddress(sn.ID, p.ID), Snapshot: "/snapshots/" + sn.ID, State: p.State, Reverts: p.Reverts != "", Creates: n.Creates, Updates: n.Updates,
		Deletes: n.Deletes, Planned: n.Planned, Published: n.Published, Failed: n.Failed, Conflicts: n.Conflict, Unknown: n.Unknown, LeftOut: n.LeftOut, Shown: c.QueryParam("state"),
		Deleting: p.Deletes, Connection: "the service"}
	columns := columnsIn(sn)
	if t, ok := tableIn(sn, p.Tables); ok {
		v.Snapshot = "/snapshots/" + sn.ID + "/tables/" + t.ID
		if con, err := s.store.ConnectionByID(ctx, by, t.Connection); err == nil {
			v.Connection = con.Name
		}
		if k, _, err := s.settings(ctx, by, t.Connection); err == nil {
			v.Gap, v.Forecast = k.Info().Gap, forecast(k.Info().Limits, n)
		}
	}
	if p.State == "draft" {
		groups, err := s.store.PlanGroups(ctx, by, sn.ID, p.ID, groupsShown)
		if err != nil {
			return v, err
		}
		for _, g := range groups {
			v.Groups = append(v.Groups, planGroupLine(g, columns))
		}
	}
	if p.Job != "" {
		if j, err := s.store.JobByID(ctx, by, p.Job); err == nil && !j.Ended() {
			jv := views.JobView{Job: jobLine(j), Title: jobTitle(j)}
			fillJob(&jv, j, sn)
			v.Job = &jv
		}
	}
	return v, s.fillItems(c, sn, p, columns, &v)
}

func (s *Server) fillItems(c echo.Context, sn store.Snapshot, p store.Plan, columns map[int]core.Column, v *views.PublishView) error {
	after, err := numberParam(c, "after")
	if err != nil {
		return err
	}
	items, next, err := s.store.Items(ctxOf(c), actor(c), sn.ID, p.ID, store.ItemsFilter{State: v.Shown, After: after, Limit: itemsShown})
	if err != nil {
		return err
	}
	for _, it := range items {
		v.Items = append(v.Items, itemLine(sn, it, columns))
	}
	if next != 0 {
		v.Next = v.Address + "?state=" + url.QueryEscape(v.Shown) + "&after=" + strconv.FormatInt(next, 10)
	}
	return nil
}

func columnsIn(sn store.Snapshot) map[int]core.Column {
	out := map[int]core.Column{}
	for _, t := range sn.Tables {
		for _, c := range t.Columns {
			out[c.Number] = c
		}
	}
	return out
}

func tableIn(sn store.Snapshot, ids []string) (store.Table, bool) {
	for _, t := range sn.Tables {
		if len(ids) > 0 && t.ID == ids[0] {
			return t, true
		}
	}
	return store.Table{}, false
}

// forecast says how many requests a publish takes, and how long at the service's limit.
func forecast(l connectors.Limits, n store.PlanCounts) string {
	requests := batches(n.Creates, l.CreateBatch) + batches(n.Updates, l.UpdateBatch) + batches(n.Deletes, l.DeleteBatch)
	words := "About " + views.Counted(requests, "request", "requests")
	if l.RequestsPerSecond > 0 {
		words += fmt.Sprintf(", %s at this service's limit of %g a second", (time.Duration(float64(requests)/l.RequestsPerSecond) * time.Second).String(), l.RequestsPerSecond)
	}
	words += "."
	if n.Deletes > 0 {
		words += " Deletes need their own tick."
	}
	return words
}

func batches(n int64, size int) int64 {
	if size <= 0 {
		size = 1
	}
	return (n + int64(size) - 1) / int64(size)
}

func plainValue(c core.Column, raw json.RawMessage) string {
	v, err := core.FromCanonical(c.Type, raw)
	if err != nil {
		return string(raw)
	}
	return v.Plain()
}

func planGroupLine(g store.PlanGroup, columns map[int]core.Column) views.GroupLine {
	line := views.GroupLine{Op: g.Op, Titles: g.Titles, Count: g.Count, Ticked: g.Ticked, Form: map[string]string{"op": g.Op, "table": g.Table}}
	switch g.Op {
	case "create":
		line.Title = "new records"
	case "delete":
		line.Title = "deletes"
	default:
		c := columns[g.Column]
		line.Title, line.Before, line.After = c.Title, plainValue(c, g.Base), plainValue(c, g.Value)
		line.Form["column"], line.Form["base"], line.Form["value"] = strconv.Itoa(g.Column), string(g.Base), string(g.Value)
	}
	return line
}

var reasons = map[string]string{"conflict": "In conflict: decide in the grid.", "changed": "Changed since this plan was made.", "gone": "The record is gone.",
	"unticked": "", "created already": "It was created by another publish."}

func itemLine(sn store.Snapshot, it store.Item, columns map[int]core.Column) views.ItemLine {
	line := views.ItemLine{ID: it.ID, Title: it.Title, Op: it.Op, State: it.State, Reason: it.Reason, RemoteID: it.RemoteID,
		Address: fmt.Sprintf("/snapshots/%s/tables/%s?record=%d", sn.ID, it.Table, it.Record)}
	if words, ok := reasons[it.Reason]; ok && it.State == "left_out" {
		line.Reason = words
	}
	if it.Receipt != nil {
		line.At = it.Receipt.At
	}
	for n := range it.Fields {
		c := columns[n]
		line.Fields = append(line.Fields, views.FieldLine{Title: c.Title, Before: plainValue(c, it.Fields[n].Base), After: plainValue(c, it.Fields[n].Value)})
	}
	sortFields(line.Fields)
	return line
}

func (s *Server) tickItems(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	w := store.ItemsWhere{Op: c.FormValue("op"), Table: c.FormValue("table")}
	if v := c.FormValue("item"); v != "" {
		n, err := itemID(v)
		if err != nil {
			return err
		}
		w.Items = []int64{n}
	}
	if v := c.FormValue("column"); v != "" {
		n, err := strconv.Atoi(v)
		base, value := json.RawMessage(c.FormValue("base")), json.RawMessage(c.FormValue("value"))
		if err != nil || !json.Valid(base) || !json.Valid(value) {
			return core.Errorf(core.Malformed, "The form could not be read.")
		}
		w.Column, w.Base, w.Value = n, base, value
	}
	p, err := s.store.TickItems(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), w, c.FormValue("included") == "true")
	if err != nil {
		return err
	}
	return see(c, planAddress(p.Snapshot, p.ID))
}

func (s *Server) publishPlan(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	first := 0
	if v := c.FormValue("first"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return core.FieldErrorf("/first", "“First” takes a number from 1.")
		}
		first = n
	}
	if _, err := s.store.StartPublish(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), c.FormValue("deletes") == "true", first); err != nil {
		return err
	}
	return see(c, planAddress(c.Param("snapshot"), c.Param("plan")))
}

func (s *Server) retryPlan(c echo.Context) error {
	if _, err := s.store.RetryPlan(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan")); err != nil {
		return err
	}
	return see(c, planAddress(c.Param("snapshot"), c.Param("plan")))
}

func (s *Server) revertPlan(c echo.Context) error {
	r, err := s.store.Revert(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	words := "This is the inverse of that publish. Nothing is sent until you publish it."
	if len(r.Left) > 0 {
		words += " " + views.Counted(int64(len(r.Left)), "cell was", "cells were") + " changed here since and left alone."
	}
	leaveNotice(c, views.Notice{Kind: "info", Text: words})
	return see(c, planAddress(r.Plan.Snapshot, r.Plan.ID))
}

func (s *Server) settleItem(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	id, err := itemID(c.Param("item"))
	if err != nil {
		return err
	}
	if err := s.store.SettleItem(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), id, c.FormValue("as"), c.FormValue("remote_id")); err != nil {
		return err
	}
	return see(c, planAddress(c.Param("snapshot"), c.Param("plan")))
}

func sortFields(f []views.FieldLine) {
	sort.Slice(f, func(i, j int) bool { return f[i].Title < f[j].Title })
}
