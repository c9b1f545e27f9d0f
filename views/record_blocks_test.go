package views

import (
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

func TestTheRecordPanelSaysWhereAnEditBreaksABlock(t *testing.T) {
	t.Parallel()
	column := NewGridColumn(core.Column{Number: 1, Title: "Content", Type: core.LongText, Writable: true, Options: core.ColumnOptions{Format: core.FormatBlocks}})
	cell := GridCell{Column: &column, Edited: true, Base: core.TextValue("<!-- wp:paragraph -->\n<p>x</p>\n<!-- /wp:paragraph -->"), Value: core.TextValue("<!-- wp:paragraph -->\n<p>x</p>")}
	var b strings.Builder
	if err := Record(RecordPanel{CanEdit: true, Fields: []RecordField{{Cell: cell}}}).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "The block paragraph of line 1 is not ended") {
		t.Error("it is not said")
	}
}
