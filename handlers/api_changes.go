package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type changesBody struct {
	As      string          `json:"as"`
	Label   string          `json:"label"`
	Atomic  bool            `json:"atomic"`
	Reason  string          `json:"reason"`
	Changes json.RawMessage `json:"changes"`
}

type changeBody struct {
	Op     string                     `json:"op"`
	Record int64                      `json:"record"`
	Values map[string]json.RawMessage `json:"values"`
	Where  *whereBody                 `json:"where"`
}

func (b changesBody) list() ([]changeBody, *changeBody, error) {
	var many []changeBody
	if err := json.Unmarshal(b.Changes, &many); err == nil {
		return many, nil, nil
	}
	var one changeBody
	if err := json.Unmarshal(b.Changes, &one); err != nil || one.Where == nil {
		return nil, nil, core.FieldErrorf("/changes", "changes takes a list of changes, or one with a “where”.")
	}
	return nil, &one, nil
}

func (s *Server) postChanges(c echo.Context) error {
	var body changesBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.As == "" {
		body.As = "edit"
	}
	if body.As != "edit" && body.As != "suggestion" {
		return core.FieldErrorf("/as", "Say “edit” or “suggestion”.")
	}
	many, one, err := body.list()
	if err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	opts := store.ChangeOptions{Label: body.Label, Atomic: body.Atomic, Suggest: body.As == "suggestion", Reason: body.Reason}
	if one != nil {
		return s.changeWhere(c, t, *one, opts)
	}
	ch, refused := changesOf(t, many)
	if opts.Atomic && len(refused) > 0 {
		e := core.Errorf(core.Invalid, "Nothing was changed: %d of the changes cannot be made.", len(refused))
		for _, r := range refused {
			e.Fields = append(e.Fields, core.FieldError{Pointer: "/changes/" + itoa(r.Index), Detail: r.Reason})
		}
		return e
	}
	res, err := s.store.ApplyChanges(ctx, by, t.Ref(), ch, opts)
	if err != nil {
		return err
	}
	res.Refused = append(refused, res.Refused...)
	return c.JSON(http.StatusOK, resultOut(res))
}

// changesOf turns a request's changes into the store's, and names those whose values do not fit.
func changesOf(t store.Table, many []changeBody) (store.Changes, []store.Refusal) {
	var ch store.Changes
	var refused []store.Refusal
	for i, b := range many {
		switch b.Op {
		case "set", "create":
			values, bad := valuesOf(t, b.Values)
			for _, r := range bad {
				r.Index, r.Record = i, b.Record
				refused = append(refused, r)
			}
			if b.Op == "create" {
				if len(bad) == 0 {
					ch.Creates = append(ch.Creates, store.NewRecord{Values: values, Index: i})
				}
				continue
			}
			for n, v := range values {
				ch.Sets = append(ch.Sets, store.CellEdit{Record: b.Record, Column: n, Value: v, Index: i})
			}
		case "delete":
			ch.Deletes = append(ch.Deletes, store.RecordOp{Record: b.Record, Index: i})
		case "undelete":
			ch.Undeletes = append(ch.Undeletes, store.RecordOp{Record: b.Record, Index: i})
		default:
			refused = append(refused, store.Refusal{Index: i, Record: b.Record, Reason: "There is no operation “" + b.Op + "”: say set, create, delete or undelete."})
		}
	}
	return ch, refused
}

func valuesOf(t store.Table, raw map[string]json.RawMessage) (map[int]core.Value, []store.Refusal) {
	out := map[int]core.Value{}
	var refused []store.Refusal
	for slug, r := range raw {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			refused = append(refused, store.Refusal{Slug: slug, Reason: "There is no column " + slug + "."})
			continue
		}
		v, err := core.FromAPI(col, r)
		if err != nil {
			refused = append(refused, store.Refusal{Slug: slug, Column: col.Number, Reason: core.SentenceOf(err)})
			continue
		}
		out[col.Number] = v
	}
	return out, refused
}

func (s *Server) changeWhere(c echo.Context, t store.Table, b changeBody, opts store.ChangeOptions) error {
	w, err := b.Where.where(t)
	if err != nil {
		return err
	}
	switch b.Op {
	case "set":
		values, refused := valuesOf(t, b.Values)
		if len(refused) > 0 {
			return core.FieldErrorf("/changes/values/"+refused[0].Slug, "%s", refused[0].Reason)
		}
		return s.doAPI(c, fillCommand(t, w, values, opts))
	case "delete":
		return s.doAPI(c, store.Bulk{Kind: "delete", Table: t.ID, Where: w, Options: opts})
	}
	return core.FieldErrorf("/changes/op", "With “where” the operation is set or delete.")
}

func resultOut(res store.BatchResult) map[string]any {
	refused, left := res.Refused, res.Left
	if refused == nil {
		refused = []store.Refusal{}
	}
	if left == nil {
		left = []store.Refusal{}
	}
	return map[string]any{"batch": batchName(res.Batch), "applied": res.Cells, "cells": res.Cells, "refused": refused, "more_refused": res.MoreRefused, "left": left,
		"more_left": res.MoreLeft, "created": res.Created, "version": res.Version, "label": res.Label, "rows": res.Rows}
}

type transformBody struct {
	Transform string     `json:"transform"`
	Columns   []string   `json:"columns"`
	Where     *whereBody `json:"where"`
	Options   struct {
		Find      string `json:"find"`
		Replace   string `json:"replace"`
		MatchCase bool   `json:"match_case"`
		WholeCell bool   `json:"whole_cell"`
	} `json:"options"`
	Preview bool `json:"preview"`
}

func (s *Server) postTransform(c echo.Context) error {
	var body transformBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Transform != "replace" {
		return core.FieldErrorf("/transform", "There is no transform “%s”; there is “replace”.", body.Transform)
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	w, err := body.Where.where(t)
	if err != nil {
		return err
	}
	r := store.Replace{Find: body.Options.Find, With: body.Options.Replace, MatchCase: body.Options.MatchCase, WholeCell: body.Options.WholeCell}
	for i, slug := range body.Columns {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			return core.FieldErrorf("/columns/"+itoa(i), "There is no column %s.", slug)
		}
		r.Columns = append(r.Columns, col.Number)
	}
	if body.Preview {
		p, err := s.store.PreviewReplace(ctx, by, t.Ref(), w, r)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]any{"items": valueForm{}.suggestionsOut(t, p.Items), "count": p.Count})
	}
	j, err := s.store.DoLater(ctx, by, t.Snapshot, store.Bulk{Kind: "transform", Table: t.ID, Where: w, Replace: r})
	if err != nil {
		return err
	}
	return accepted(c, j)
}

func (f valueForm) suggestionsOut(t store.Table, list []store.Suggestion) []suggestionJSON {
	out := []suggestionJSON{}
	for _, sg := range list {
		out = append(out, f.suggestionOut(t, sg))
	}
	return out
}

func (s *Server) listSuggestions(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	after, err := numberParam(c, "after")
	if err != nil {
		return err
	}
	found, next, err := s.store.Suggestions(ctx, by, t.Ref(), store.Where{Filter: c.QueryParam("filter")}, after, limit)
	if err != nil {
		return err
	}
	out := list{Items: valueForm{}.suggestionsOut(t, found)}
	if next != 0 {
		out.Next = next
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) listSuggestionGroups(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	groups, err := s.store.SuggestionGroups(ctx, by, t.Ref(), store.Where{Filter: c.QueryParam("filter")}, limit)
	if err != nil {
		return err
	}
	items := []map[string]any{}
	for _, g := range groups {
		col, _ := t.Column(g.Column)
		items = append(items, map[string]any{"group": g.Key, "column": col.Slug, "kind": g.Kind, "before": apiValue(col, g.Before), "value": apiValue(col, g.After), "count": g.Count})
	}
	return c.JSON(http.StatusOK, list{Items: items})
}

type decideBody struct {
	Where *whereBody `json:"where"`
	As    string     `json:"as"`
}

// decide reads a where and runs one bulk command over it.
func (s *Server) decide(c echo.Context, kind string) error {
	var body decideBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	w, err := body.Where.where(t)
	if err != nil {
		return err
	}
	return s.doAPI(c, store.Bulk{Kind: kind, Table: t.ID, Where: w, As: body.As})
}

func (s *Server) postAccept(c echo.Context) error { return s.decide(c, "accept") }

func (s *Server) postReject(c echo.Context) error { return s.decide(c, "reject") }

func (s *Server) postSettle(c echo.Context) error { return s.decide(c, "settle") }

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
	items := []map[string]any{}
	for _, b := range batches {
		items = append(items, map[string]any{"id": batchName(b.ID), "table": b.Table, "who": b.Who, "at": b.When, "kind": b.Kind, "label": b.Label, "cells": b.Cells,
			"records": b.Records, "suggestions": b.Suggested, "undoes": batchName(b.Undoes), "undone_by": batchName(b.UndoneBy), "undoable": b.Undoable})
	}
	out := list{Items: items}
	if len(batches) == limit {
		out.Next = batchName(batches[limit-1].ID)
	}
	return c.JSON(http.StatusOK, out)
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
