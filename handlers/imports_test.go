package handlers

import (
	"slices"
	"testing"

	"scratchpaper/internal/csvfile"
)

func TestNotesOfAFileNameItsLines(t *testing.T) {
	t.Parallel()
	r := csvfile.Report{TooMany: 2, TooFew: 1, StrayQuotes: 12, Issues: []csvfile.Issue{{Line: 3, Kind: csvfile.TooMany}, {Line: 4, Kind: csvfile.TooFewFields}, {Line: 1200, Kind: csvfile.TooMany}}}
	for line := range int64(12) {
		r.Issues = append(r.Issues, csvfile.Issue{Line: line + 1, Kind: csvfile.StrayQuote})
	}
	want := []string{"2 records have more values than there are columns and are left out. Lines 3 and 1,200.",
		"1 record has fewer values than there are columns; the rest is empty. Line 4.",
		"12 records have quotes that open or close nothing; they are kept as text. Lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and more."}
	if got := reportNotes(r); !slices.Equal(got, want) {
		t.Errorf("the notes are\n%q, want\n%q", got, want)
	}
}
