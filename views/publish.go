package views

import (
	"time"

	"scratchpaper/internal/worddiff"
)

// PublishView is a plan and what became of it.
type PublishView struct {
	Address    string // of the plan
	Snapshot   string // address of the snapshot
	Connection string // name of the service
	State      string // draft, publishing, done
	Reverts    bool
	Creates    int64
	Updates    int64
	Deletes    int64
	Planned    int64
	Published  int64
	Failed     int64
	Conflicts  int64
	Unknown    int64
	LeftOut    int64
	Gap        string // of the connector
	Forecast   string
	Effects    []string // what the deletes take along
	Groups     []GroupLine
	Items      []ItemLine
	Next       string // address of the next page of items, or ""
	Shown      string // which items: "", failed, conflict, unknown, published, left_out
	Job        *JobView
	Deleting   bool // the deletes were ticked
}

// Sending is how many records a press on Publish sends, deletes included or not.
func (v PublishView) Sending(deletes bool) int64 {
	if deletes {
		return v.Creates + v.Updates + v.Deletes
	}
	return v.Creates + v.Updates
}

// Whole says whether nothing at all is in the plan.
func (v PublishView) Empty() bool { return len(v.Groups) == 0 && v.Conflicts == 0 && len(v.Items) == 0 }

// GroupLine is a set of equal changes, ticked as one.
type GroupLine struct {
	Title  string // column, "new records", "deletes"
	Op     string
	Before string
	After  string
	Kind   string
	Titles []string
	Count  int64
	Ticked bool
	Form   map[string]string // what names the group in a form
}

// Part is the group's change as a word diff.
func (g GroupLine) Parts() []worddiff.Part { return worddiff.Diff(g.Before, g.After, diffTime) }

// diffTime bounds one word diff on a page.
const diffTime = 20 * time.Millisecond

// ItemLine is one record of a plan.
type ItemLine struct {
	ID       int64
	Title    string
	Address  string // of the record
	Op       string
	State    string
	Reason   string // for people
	Fields   []FieldLine
	At       time.Time
	RemoteID string
}

// FieldLine is a field of a record: what was, and what is to be.
type FieldLine struct {
	Title  string
	Before string
	After  string
	Empty  string // how an empty After is shown: "empty", "null"
}

// Parts is the change as a word diff.
func (f FieldLine) Parts() []worddiff.Part { return worddiff.Diff(f.Before, f.After, diffTime) }

// StateKind gives an item's colour.
func (i ItemLine) StateKind() string {
	switch i.State {
	case "published":
		return "add"
	case "failed":
		return "del"
	case "conflict", "unknown":
		return "conflict"
	}
	return ""
}

// StateWord gives an item's state for people.
func (i ItemLine) StateWord() string {
	if i.State == "left_out" {
		return "left out"
	}
	return i.State
}

func publishTitle(v PublishView) string {
	switch {
	case v.State == "publishing":
		return "Publishing to " + v.Connection
	case v.State == "done":
		return "Published to " + v.Connection
	case v.Reverts:
		return "Revert a publish at " + v.Connection
	}
	return "Publish to " + v.Connection
}

func publishSentence(v PublishView) string {
	switch v.State {
	case "publishing":
		return "You can leave this page; it goes on and you can come back to it."
	case "done":
		return "Every record has a receipt: what was sent, and what the service now holds."
	}
	return "Nothing is sent until you press Publish. What you see is exactly what is sent."
}
