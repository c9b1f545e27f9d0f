package handlers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// publishRoutes lists the addresses of review and publish.
func (s *Server) publishRoutes(e *echo.Echo) {
	e.POST("/snapshots/:snapshot/plans", s.makePlan)
	e.GET("/snapshots/:snapshot/plans/:plan", s.showPlan)
	e.GET("/snapshots/:snapshot/plans/:plan/effects", s.showDeleteEffects)
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

func (s *Server) tickItems(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	included, err := formBool(c, "included")
	if err != nil {
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
	p, err := s.store.TickItems(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), w, included)
	if err != nil {
		return err
	}
	if byHTMX(c) {
		return s.showPlan(c) // the page takes the plan out of it and stays where it is
	}
	return see(c, planAddress(p.Snapshot, p.ID)+placeOf(c))
}

// placeOf gives the query that says which page of a plan is looked at, so that a tick does not leave it.
func placeOf(c echo.Context) string {
	if after := c.QueryParam("after"); after != "" {
		return "?after=" + url.QueryEscape(after)
	}
	return ""
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
	deletes, err := formBool(c, "deletes")
	if err != nil {
		return err
	}
	if _, err := s.store.StartPublish(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), deletes, first); err != nil {
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
	return s.doPage(c, store.Bulk{Kind: "revert", Plan: c.Param("plan")}, func(res store.BulkResult) string {
		words := "This is the inverse of that publish. Nothing is sent until you publish it."
		if n := int64(len(res.Left)) + res.MoreLeft; n > 0 {
			words += " " + views.Counted(n, "cell was", "cells were") + " left alone, as changed here since or not known to have arrived."
		}
		s.leaveNotice(c, views.Notice{Kind: "info", Text: words})
		return planAddress(res.Plan.Snapshot, res.Plan.ID)
	})
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
