package handlers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

type strictBody struct {
	selection
	Name   string                     `json:"name"`
	Input  *string                    `json:"input" typed:"true"`
	Cells  [][]string                 `json:"cells" typed:"true"`
	Where  *whereBody                 `json:"where"`
	Values map[string]json.RawMessage `json:"values"`
	View   given[string]              `json:"view"`
	Rows   [2]int                     `json:"rows"`
}

func TestABodyIsReadStrictly(t *testing.T) {
	t.Parallel()
	for body, pointer := range map[string]string{
		`{"name": "a", "name": "b"}`:                         "/name",
		`{"name": "a", "n\u0061me": "b"}`:                    "/name",
		`{"NAME": "a"}`:                                      "/NAME",
		`{"where": {"filter": "x", "filter": "y"}}`:          "/where/filter",
		`{"where": {"fitler": "x"}}`:                         "/where/fitler",
		`{"values": {"a": 1, "b": {"c": 1, "c": 2}}}`:        "/values/b/c",
		`{"values": {"a": [{"b": 1}, {"b": 1, "b": 1}]}}`:    "/values/a/1/b",
		`{"ranges": [[0, 1], [0, 1, 2]]}`:                    "/ranges/1",
		`{"ranges": [[0]]}`:                                  "/ranges/0",
		`{"rows": []}`:                                       "/rows",
		`{"tail": [1, null]}`:                                "/tail/1",
		`{"cells": [["a", null]]}`:                           "/cells/0/1",
		`{"name": "a\u0000"}`:                                "/name",
		`{"name": "a\ud800"}`:                                "/name",
		`{"name": "\udc00\ud800"}`:                           "/name",
		`{"input": "\ud83d"}`:                                "/input",
		"{\"name\": \"\xff\"}":                               "/name",
		`{"view": {"x": 1}}`:                                 "/view",
		`{"where": {"records": [1, "2"]}}`:                   "/where/records/1",
		`{"name": "x", "where": {"columns": [{"name": 1}]}}`: "/where/columns/0",
	} {
		var into strictBody
		err := decodeJSON([]byte(body), &into)
		var e *core.Error
		if !errors.As(err, &e) || e.Code != core.Invalid || len(e.Fields) != 1 || e.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v, want a refusal of %s", body, err, pointer)
		}
	}
	for _, body := range []string{"{}]", "{}{}", "{} x", "{}\x00", "{", `{"name": "a`, strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		`{"values": {"a": ` + strings.Repeat("[", 501) + strings.Repeat("]", 501) + `}}`} {
		if err := decodeJSON([]byte(body), &strictBody{}); core.CodeOf(err) != core.Malformed {
			t.Errorf("%s: %v, want malformed", short(body), err)
		}
	}
}

func TestWhatABodyMayHoldIsRead(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " \n", "{}", "null", `{"name": null, "where": null}`, `{"input": "a\u0000b", "cells": [["\u0000"]], "values": {"a": "\u0000", "b": {"B": 1, "b": 2}}}`,
		`{"name": "\ud83d\ude00 \\u0000 \\ud800 \"x\""}`, `{"order": "x", "ranges": [[0, 5], [7, 9]], "rows": [1, 2]}`, `{"view": null}`, `{"values": {"a": ` + strings.Repeat("[", 400) + strings.Repeat("]", 400) + `}}`} {
		if err := decodeJSON([]byte(body), &strictBody{}); err != nil {
			t.Errorf("%s: %v", short(body), err)
		}
	}
}

func TestARefusedNameIsToldWhatThereIs(t *testing.T) {
	t.Parallel()
	err := decodeJSON([]byte(`{"source": {"row": 1}}`), &spreadBody{})
	if got := core.SentenceOf(err); got != "There is no field row here; there are: rows, columns." {
		t.Errorf("it says %q", got)
	}
}
