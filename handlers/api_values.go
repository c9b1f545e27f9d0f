package handlers

import (
	"encoding/json"
	"strconv"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// valueForm is how an answer writes values: numbers as JSON numbers with all their digits, or as texts for clients that cannot
// hold them.
type valueForm struct{ numbersAsText bool }

func formOf(c echo.Context) (valueForm, error) {
	switch c.QueryParam("numbers") {
	case "":
		return valueForm{}, nil
	case "string":
		return valueForm{numbersAsText: true}, nil
	}
	return valueForm{}, core.FieldErrorf("/numbers", "numbers takes “string”, or is left out.")
}

// value writes a cell's value.
func (f valueForm) value(c core.Column, v core.Value) json.RawMessage {
	if f.numbersAsText && c.Type == core.Number && !v.IsNull() {
		raw, _ := json.Marshal(v.Text) // a text
		return raw
	}
	return v.API(c.Type)
}

// canonical writes a value as it stands in jsonb columns; nothing is null.
func (f valueForm) canonical(c core.Column, raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	v, err := core.FromCanonical(c.Type, raw)
	if err != nil || c.Type == "" {
		return raw // of a column that is gone
	}
	return f.value(c, v)
}

// change writes what a cell, or a record as a whole, held or gets: of a record its values by slug.
func (f valueForm) change(t store.Table, column int, raw json.RawMessage) json.RawMessage {
	if column != core.RecordColumn {
		c, _ := t.Column(column)
		return f.canonical(c, raw)
	}
	var byNumber map[string]json.RawMessage
	if json.Unmarshal(raw, &byNumber) != nil || byNumber == nil {
		return json.RawMessage("null")
	}
	out, err := json.Marshal(f.bySlug(t, byNumber))
	if err != nil {
		return json.RawMessage("null")
	}
	return out
}

func (f valueForm) bySlug(t store.Table, byNumber map[string]json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for key, raw := range byNumber {
		n, err := strconv.Atoi(key)
		if err != nil {
			continue
		}
		if c, ok := t.Column(n); ok {
			out[c.Slug] = f.canonical(c, raw)
		}
	}
	return out
}

// recordSlug stands for the record as a whole where columns are named.
const recordSlug = "_record"

func slugOf(t store.Table, column int) string {
	if column == core.RecordColumn {
		return recordSlug
	}
	c, _ := t.Column(column)
	return c.Slug
}
