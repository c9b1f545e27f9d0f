package handlers

import (
	"encoding/json"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// writer writes a canonical value of a column for people.
type writer func(core.Column, json.RawMessage) string

// heldValue is a canonical value of a column.
type heldValue struct {
	column core.Column
	raw    json.RawMessage
}

func valuesOfGroups(groups []store.PlanGroup, columns map[int]core.Column) []heldValue {
	var out []heldValue
	for _, g := range groups {
		out = append(out, heldValue{columns[g.Column], g.Base}, heldValue{columns[g.Column], g.Value})
	}
	return out
}

func valuesOfItems(items []store.Item, columns map[int]core.Column) []heldValue {
	var out []heldValue
	for _, it := range items {
		for n, f := range it.Fields {
			out = append(out, heldValue{columns[n], f.Base}, heldValue{columns[n], f.Value})
		}
	}
	return out
}

// writtenValues gives what writes the values of a plan: references by the titles of the records that they name, where these are in the
// snapshot.
func (s *Server) writtenValues(c echo.Context, sn store.Snapshot, held []heldValue) (writer, error) {
	ids := map[string][]string{} // by target table
	for _, h := range held {
		if target := h.column.Options.TargetTable; target != "" {
			ids[target] = append(ids[target], referencedBy(h.column, h.raw)...)
		}
	}
	titles, err := s.titlesOf(c, sn.ID, ids)
	if err != nil {
		return nil, err
	}
	return func(c core.Column, raw json.RawMessage) string {
		if c.Options.TargetTable == "" {
			return plainValue(c, raw)
		}
		var names []string
		for _, id := range referencedBy(c, raw) {
			if title := titles[c.Options.TargetTable][id].Title; title != "" && title != id {
				id = title + " (" + strings.TrimPrefix(id, "~") + ")"
			}
			names = append(names, id)
		}
		if names == nil {
			return plainValue(c, raw)
		}
		return strings.Join(names, ", ")
	}, nil
}

// referencedBy gives the references that a canonical value holds.
func referencedBy(c core.Column, raw json.RawMessage) []string {
	v, err := core.FromCanonical(c.Type, raw)
	if err != nil || v.IsNull() || len(raw) == 0 {
		return nil
	}
	return referencesOf(v)
}
