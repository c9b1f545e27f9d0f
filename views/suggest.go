package views

import (
	"strconv"
	"time"

	"scratchpaper/internal/core"
)

// SuggestionGroups are equal suggestions put together.
type SuggestionGroups struct {
	Groups []SuggestionGroup
	More   bool           // there are others than those listed
	Zone   *time.Location // instants are shown in it; nil is UTC
}

// SuggestionGroup is one change with the number of cells that it is suggested for.
type SuggestionGroup struct {
	Key           string
	Column        GridColumn
	Kind          string
	Before, After core.Value // of one of them
	Count         int64
}

func (g SuggestionGroup) kindWords() string {
	switch g.Kind {
	case "whitespace":
		return "white space"
	case "case":
		return "upper and lower case"
	case "fill":
		return "empty cells filled"
	case "clear":
		return "cells cleared"
	case "create":
		return "records created"
	case "delete":
		return "records deleted"
	case "number", "date", "text":
		return g.Kind + " changed"
	}
	return "changed"
}

// ReplacePreview is what a find and replace would suggest.
type ReplacePreview struct {
	Count int64
	Items []ReplaceLine  // the first ones
	Zone  *time.Location // instants are shown in it; nil is UTC
}

// ReplaceLine is one cell's change.
type ReplaceLine struct {
	Column        GridColumn
	Before, After core.Value
}

// words says what stands below the count.
func (r ReplacePreview) words() string {
	if n := len(r.Items); r.Count > int64(n) {
		return "would get a suggestion; the first " + strconv.Itoa(n) + ":"
	}
	return "would get a suggestion:"
}
