package views

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

var updateCells = flag.Bool("update-cells", false, "write the golden files of cells anew")

func column(n int, t core.ColumnType) *GridColumn {
	return &GridColumn{Number: n, Slug: "c", Title: "Column", Type: t, Writable: true}
}

func suggested(before, after core.Value) []GridSuggestion {
	return []GridSuggestion{{ID: 7, Before: before, After: after, Who: "Bo", Reason: `say "why" <b>`}}
}

// cells are the cells whose rendering is kept in testdata/cells, by file.
func cells() map[string]GridCell {
	text, script := core.TextValue, core.TextValue(`<script>alert("1")</script>`)
	return map[string]GridCell{
		"text":                  {Column: column(3, core.Text), Value: text("  two  spaces ")},
		"script":                {Column: column(3, core.Text), Value: script},
		"script-edited":         {Column: column(3, core.Text), Value: text("x"), Edited: true, Base: script},
		"script-diff":           {Column: column(3, core.Text), Value: script, Suggestions: suggested(script, text(`<script>alert("2")</script>`))},
		"script-choice":         {Column: column(3, core.Choice), Value: script},
		"script-image":          {Column: column(3, core.Images), Value: core.ListValue([]string{`https://a.example/"><script>`, "javascript:alert(1)"})},
		"script-problem":        {Column: column(3, core.Text), Value: text("x"), Problem: `"><script>`},
		"null":                  {Column: column(3, core.Text), Value: core.NullValue},
		"empty-text":            {Column: column(3, core.Text), Value: text("")},
		"number":                {Column: column(4, core.Number), Value: text("29.00"), Edited: true, Base: text("27.00")},
		"number-grouped":        {Column: column(4, core.Number), Value: text("-514102.50"), Edited: true, Base: text("32086")},
		"number-year":           {Column: column(4, core.Number), Value: text("1987")},
		"number-key":            {Column: &GridColumn{Number: 4, Type: core.Number, Key: true}, Value: text("514102")},
		"several-lines":         {Column: column(3, core.LongText), Value: text("one\ntwo\n")},
		"zero":                  {Column: column(4, core.Number), Value: text("0")},
		"checkbox-on":           {Column: column(5, core.Checkbox), Value: text("true")},
		"checkbox-off":          {Column: column(5, core.Checkbox), Value: text("false")},
		"cut":                   {Column: column(3, core.LongText), Value: text("long"), Cut: true},
		"instant":               {Column: column(3, core.DateTime), Value: text("2026-01-02T03:04:05+00:00")},
		"local-time":            {Column: column(3, core.LocalTime), Value: text("2026-01-02T03:04:00"), Edited: true, Base: text("2026-01-02T03:04:05")},
		"blocks":                {Column: &GridColumn{Number: 3, Type: core.LongText, Writable: true, Format: core.FormatBlocks}, Value: text("<!-- wp:x {\"a\":1} -->\n<p>one</p>\n<!-- /wp:x -->\n\n<p>two</p> <!-- not ended")},
		"reference-picture":     {Column: column(3, core.Reference), Value: text("7"), Names: map[string]RecordName{"7": {Title: "Red", Picture: `https://a.example/"x".png`}}},
		"reference-unsafe":      {Column: column(3, core.References), Value: core.ListValue([]string{"7", "8"}), Names: map[string]RecordName{"7": {Title: "<b>", Picture: "http://a.example/x.png"}, "8": {Picture: "javascript:alert(1)"}}},
		"conflict":              {Column: column(3, core.Text), Value: text("mine"), Edited: true, Base: text("old"), Conflict: true, Theirs: text("theirs")},
		"readonly":              {Column: &GridColumn{Number: 3, Type: core.Text}, Value: text("x")},
		"suggested-words":       {Column: column(3, core.Text), Value: text("Red ketle"), Suggestions: suggested(text("Red ketle"), text("Red kettle"))},
		"suggested-instant":     {Column: column(3, core.DateTime), Value: text("2026-01-02T03:04:05+00:00"), Suggestions: suggested(text("2026-01-02T03:04:05+00:00"), text("2026-07-02T03:04:00+00:00"))},
		"suggested-empty-text":  {Column: column(3, core.Text), Value: text("x"), Suggestions: suggested(text("x"), text(""))},
		"suggested-zero":        {Column: column(4, core.Number), Value: text("5"), Suggestions: suggested(text("5"), text("0"))},
		"suggested-false":       {Column: column(5, core.Checkbox), Value: text("true"), Suggestions: suggested(text("true"), text("false"))},
		"suggested-null":        {Column: column(3, core.Text), Value: text("x"), Suggestions: suggested(text("x"), core.NullValue)},
		"suggested-from-null":   {Column: column(4, core.Number), Value: core.NullValue, Suggestions: suggested(core.NullValue, text("0"))},
		"suggested-list":        {Column: column(3, core.Choices), Value: core.ListValue([]string{"a"}), Suggestions: suggested(core.ListValue([]string{"a"}), core.ListValue(nil))},
		"suggested-several":     {Column: column(3, core.Text), Value: text("a"), Suggestions: append(suggested(text("a"), text("b")), suggested(text("a"), text("c"))...)},
		"suggested-far-in-text": {Column: column(3, core.Text), Value: text(strings.Repeat("same ", 40) + "old"), Suggestions: suggested(text(strings.Repeat("same ", 40)+"old"), text(strings.Repeat("same ", 40)+"new"))},
	}
}

func TestCellsRenderAsTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, cell := range cells() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := gridCells([]GridCell{cell}, time.UTC).Render(t.Context(), &got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "cells", name+".html")
			if *updateCells {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got  %s\nwant %s", got.String(), want)
			}
		})
	}
}

func TestNoValueBecomesMarkup(t *testing.T) {
	t.Parallel()
	for name, cell := range cells() {
		if !strings.HasPrefix(name, "script") {
			continue
		}
		var got bytes.Buffer
		if err := gridCells([]GridCell{cell}, nil).Render(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(got.String()), "<script") {
			t.Errorf("%s: %s", name, got.String())
		}
	}
}

func TestACellsTextIsItsValueToTheLastSpace(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := gridCells([]GridCell{cells()["text"]}, nil).Render(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.String(), ">  two  spaces </div>") {
		t.Errorf("got %s", got.String())
	}
}

func TestARowThatIsGoneKeepsItsPlaceAndHasNoCells(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	w := GridRows{Rows: []GridRow{{ID: 5, Position: 41, Gone: true}}}
	if err := GridWindow(w).Render(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`class="r is-gone"`, `data-pos="41"`, `aria-rowindex="43"`, `>42`} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%s is not in %s", want, got.String())
		}
	}
	if strings.Contains(got.String(), "gridcell") {
		t.Errorf("it has cells: %s", got.String())
	}
}

func TestRowNumbersLeaveRoomForTheirMark(t *testing.T) {
	t.Parallel()
	few, many := int64(999), int64(32_086)
	for records, want := range map[*int64]int{nil: 56, &few: 56, &many: 64} {
		if got := numbersWidth(records); got != want {
			t.Errorf("they are %d px wide, not %d", got, want)
		}
	}
}
