package views

import (
	"fmt"
	"strings"
)

// numbersWidth is how wide the row numbers are, in px, as in the grid's style sheet.
const numbersWidth = 56

// ColumnWidths gives the widths of the columns as a style sheet.
func (p GridPage) ColumnWidths() string {
	var b strings.Builder
	total := numbersWidth
	for _, c := range p.Columns {
		fmt.Fprintf(&b, ".g [data-c=\"%d\"] { width: %dpx }\n", c.Number, c.Width)
		total += c.Width
	}
	fmt.Fprintf(&b, ".g .r, .g .h { width: %dpx }\n", total)
	return b.String()
}
