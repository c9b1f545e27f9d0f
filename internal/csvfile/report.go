package csvfile

import "fmt"

// IssuesKept is how many issues of each kind a Report names; the rest is only counted.
const IssuesKept = 100

// IssueKind says what a Reader noticed in a line.
type IssueKind string

// The kinds of issues.
const (
	TooFewFields IssueKind = "too_few"       // padded with empty fields
	TooMany      IssueKind = "too_many"      // the record is left out
	StrayQuote   IssueKind = "stray_quote"   // a quote that opens or closes nothing was kept as text
	BadCharacter IssueKind = "bad_character" // NUL or what is not UTF-8 became U+FFFD
)

// Issue is one thing that a person should know about one record.
type Issue struct {
	Line    int64     `json:"line"` // where the record begins, counted from 1
	Kind    IssueKind `json:"kind"`
	Message string    `json:"message"`
}

// Report counts what a Reader has met so far.
type Report struct {
	Records     int64   `json:"records"`      // handed over, the header not counted
	EmptyLines  int64   `json:"empty_lines"`  // skipped
	TooFew      int64   `json:"too_few"`      // records padded with empty fields
	TooMany     int64   `json:"too_many"`     // records left out, since they had more fields than the table
	StrayQuotes int64   `json:"stray_quotes"` // records with a quote that opens or closes nothing
	BadRecords  int64   `json:"bad_records"`  // records with characters that had to be replaced
	Replaced    int64   `json:"replaced"`     // characters that became U+FFFD
	Issues      []Issue `json:"issues"`       // in file order, the first IssuesKept of each kind
}

// note keeps an issue when it is among the first of its kind; seen is the count of its kind,
// this one included.
func (r *Report) note(seen, line int64, kind IssueKind, format string, args ...any) {
	if seen > IssuesKept {
		return
	}
	r.Issues = append(r.Issues, Issue{Line: line, Kind: kind, Message: fmt.Sprintf(format, args...)})
}
