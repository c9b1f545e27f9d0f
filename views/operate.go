package views

import (
	"strconv"
	"time"

	"scratchpaper/internal/core"
)

// OperateView is the operator's first page: how the app is over all organizations.
type OperateView struct {
	Health    []HealthLine
	Processes []core.Process
	Queues    []core.QueueCount
	QueueDown string // why the queues are not known; "" is they are
	Open      []core.JobCount
	Ended     []core.JobCount
	Notes     []string // how late what should have happened by itself is
	Failed    []FailedJobLine
}

// HealthLine is one part of the app and how it is.
type HealthLine struct {
	Name, Words string
	Well        bool
}

// FailedJobLine is a job that failed.
type FailedJobLine struct {
	ID, Org, Kind, Code string
	At                  time.Time
}

// SizesView is the page of what takes up room.
type SizesView struct {
	By    string // snapshots or organizations
	Total string // of the database
	Lines []SizeLine
	More  string // address of the next page
}

// SizeLine is what one snapshot or organization takes up.
type SizeLine struct {
	ID, Name, Org      string
	Snapshots, Records int64
	Bytes              int64
}

// QueriesView is the page of slow statements.
type QueriesView struct {
	Kept  bool // the database keeps account of statements
	Slow  []QueryLine
	Now   []ActivityLine
	Local bool // the database is the built-in one
}

// QueryLine is one kind of statement.
type QueryLine struct {
	Query            string
	Calls, Rows      int64
	Mean, Max, Total float64 // ms
}

// ActivityLine is what one connection does now.
type ActivityLine struct {
	Process             int
	State, Waits, Query string
	For                 time.Duration
}

// SwitchesView is the page of what is on in each organization.
type SwitchesView struct {
	Lines []SwitchLine
	More  string
}

// SwitchLine is one organization.
type SwitchLine struct {
	ID, Name           string
	Members, Snapshots int64
	Off                []core.Switch
}

type operatePlace struct{ Name, Text, Address string }

func operatePlaces() []operatePlace {
	return []operatePlace{{"health", "Health and jobs", "/operate"}, {"sizes", "Sizes", "/operate/sizes"}, {"queries", "Queries", "/operate/queries"}, {"switches", "Switches", "/operate/switches"}}
}

// Gigabytes writes a size that may be large.
func Gigabytes(n int64) string {
	if n < 1e9 {
		return Bytes(n)
	}
	return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
}

// millis writes milliseconds: 0.4 ms, 12 ms, 3.2 s.
func millis(ms float64) string {
	switch {
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case ms < 60_000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
	return Span(time.Duration(ms) * time.Millisecond)
}

func countKind(state string) string {
	switch state {
	case "failed":
		return "del"
	case "done":
		return "add"
	case "running":
		return "accent"
	}
	return ""
}

func busyKind(busy int) string {
	if busy > 0 {
		return "accent"
	}
	return ""
}
