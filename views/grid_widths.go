package views

import (
	"fmt"
	"strconv"
	"strings"
)

// numbersWidth gives how wide the row numbers of so many records are, in px, as in static/js/grid/columns.js: the number, and
// beside it the mark of what is new or deleted.
func numbersWidth(records *int64) int {
	if records == nil {
		return 56
	}
	return max(56, 8*len(strconv.FormatInt(*records, 10))+24)
}

// ColumnWidths gives the widths of the columns as a style sheet.
func (p GridPage) ColumnWidths() string {
	var b strings.Builder
	total := numbersWidth(p.Counts.Records)
	fmt.Fprintf(&b, "@media (min-width: 641px) { .g .n { width: %dpx } }\n", total)
	for _, c := range p.Columns {
		fmt.Fprintf(&b, ".g [data-c=\"%d\"] { width: %dpx }\n", c.Number, c.Width)
		total += c.Width
	}
	fmt.Fprintf(&b, ".g .r, .g .h { width: %dpx }\n", total)
	return b.String()
}
