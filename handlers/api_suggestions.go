package handlers

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/store"
)

func (f valueForm) suggestionsOut(t store.Table, list []store.Suggestion) []suggestionJSON {
	out := []suggestionJSON{}
	for _, sg := range list {
		out = append(out, f.suggestionOut(t, sg))
	}
	return out
}

func (s *Server) listSuggestions(c echo.Context) error {
	t, err := s.tableOf(c)
	if err != nil {
		return err
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	var after int64
	if v := c.QueryParam("after"); v != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(v, suggestionPrefix), 10, 64)
		if err != nil || n < 1 {
			return badMark()
		}
		after = n
	}
	found, last, err := s.store.Suggestions(ctxOf(c), actor(c), t.Ref(), store.Where{Filter: c.QueryParam("filter")}, after, limit)
	if err != nil {
		return err
	}
	var next *string
	if last != 0 {
		name := suggestionPrefix + strconv.FormatInt(last, 10)
		next = &name
	}
	return answerList(c, found, next, func(sg store.Suggestion) suggestionJSON { return f.suggestionOut(t, sg) })
}

// groupJSON are equal suggestions; before and value are those of one of them.
type groupJSON struct {
	Group  string          `json:"group"`
	Column string          `json:"column"`
	Kind   string          `json:"kind"`
	Before json.RawMessage `json:"before"`
	Value  json.RawMessage `json:"value"`
	Count  int64           `json:"count"`
}

func (s *Server) listSuggestionGroups(c echo.Context) error {
	t, err := s.tableOf(c)
	if err != nil {
		return err
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	part, err := spanOf(c)
	if err != nil {
		return err
	}
	groups, more, err := s.store.SuggestionGroups(ctxOf(c), actor(c), t.Ref(), store.Where{Filter: c.QueryParam("filter")}, part)
	if err != nil {
		return err
	}
	return answerSpan(c, groups, more, part, func(g store.Group) groupJSON {
		return groupJSON{Group: g.Key, Column: slugOf(t, g.Column), Kind: g.Kind, Before: f.change(t, g.Column, g.Before), Value: f.change(t, g.Column, g.After), Count: g.Count}
	})
}

type decideBody struct {
	Where *whereBody `json:"where"`
}

type settleBody struct {
	Where *whereBody `json:"where"`
	As    string     `json:"as" enum:"mine,theirs"`
}

// decide reads a where and runs one bulk command over it.
func (s *Server) decide(c echo.Context, kind string) error {
	var decision decideBody
	var body settleBody
	if kind == "settle" {
		if err := readJSON(c, &body); err != nil {
			return err
		}
	} else if err := readJSON(c, &decision); err != nil {
		return err
	} else {
		body.Where = decision.Where
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
