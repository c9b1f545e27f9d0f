package store

import (
	"slices"

	"scratchpaper/internal/core"
)

// titleSlugs are the columns that people name records by, the best first.
var titleSlugs = []string{"title", "name", "label", "headline", "subject", "display_name", "full_name"}

// titleColumn gives the column that tells people which record it is: one that is called so, else the first text that is not
// part of the key.
func titleColumn(t Table) (core.Column, bool) {
	best, rank := core.Column{}, len(titleSlugs)+1
	for _, c := range t.Columns {
		if c.Type != core.Text {
			continue
		}
		r := slices.Index(titleSlugs, c.Slug)
		if r < 0 {
			if c.Options.Key {
				continue
			}
			r = len(titleSlugs)
		}
		if r < rank {
			best, rank = c, r
		}
	}
	return best, rank <= len(titleSlugs)
}

// titleSQL says over alias r how the record is called.
func titleSQL(t Table) string {
	if c, ok := titleColumn(t); ok {
		return "coalesce(left(r." + ident(c.Physical) + ", 120), '')"
	}
	return "coalesce(r._remote_id, '')"
}

// pictureSQL gives over alias r the address of the record's first image, of its first column of such; "" is none.
func pictureSQL(t Table) string {
	for _, c := range t.Columns {
		if c.Type == core.Images {
			return "coalesce(r." + ident(c.Physical) + "[1], '')"
		}
	}
	return "''"
}
