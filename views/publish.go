package views

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"scratchpaper/internal/worddiff"
)

// PublishView is a plan and what became of it.
type PublishView struct {
	Address    string // of the plan
	Place      string // query of the page of records that is shown, or ""
	Snapshot   string // address of the snapshot's grid
	Table      string // title of the table there
	Several    bool   // the plan is over more than one table
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
	LeftOut    int64 // without those in conflict
	Total      int64
	Gap        string // of the connector
	Forecast   string
	Groups     []GroupLine
	MoreGroups bool // there are smaller ones
	Lacking    []LackingLine
	Unsent     string // what is edited and not in the plan, or ""
	Items      []ItemLine
	Next       string // address of the next page of items, or ""
	Shown      string // which items: "", failed, conflict, unknown, published, left_out
	Job        *JobView
	Deleting   bool        // the deletes were ticked
	Second     *SecondView // where it stands when a second person has to approve it
	MayPublish bool
}

// Sending is how many records a press on Publish sends, deletes included or not.
func (v PublishView) Sending(deletes bool) int64 {
	if deletes {
		return v.Creates + v.Updates + v.Deletes
	}
	return v.Creates + v.Updates
}

// moreGroupsWords says where the changes are that are in no group shown.
func (v PublishView) moreGroupsWords() string {
	if len(v.Groups) == 0 {
		return "No two records change alike: they stand one by one below."
	}
	return "Changes that few records share, or none, stand record by record below."
}

// Changes is how many records of the plan are or could be ticked.
func (v PublishView) Changes() int64 { return v.Creates + v.Updates + v.Deletes + v.LeftOut }

func (v PublishView) publishWords(deletes bool) string {
	if v.Second.asks() {
		return "Ask for approval of " + Counted(v.Sending(deletes), "change", "changes")
	}
	return "Publish " + Counted(v.Sending(deletes), "change", "changes")
}

// Result is a choice of a plan's records by what became of them.
type Result struct {
	State, Word, Kind string
	Count             int64
}

// Results are the choices that have records; all of them come first.
func (v PublishView) Results() []Result {
	out := []Result{{"", "All", "", v.Total}}
	for _, r := range []Result{{"published", "Published", "add", v.Published}, {"failed", "Failed", "del", v.Failed}, {"conflict", "Conflict", "conflict", v.Conflicts},
		{"unknown", "Unknown", "conflict", v.Unknown}, {"planned", "Not sent", "", v.Planned}, {"left_out", "Left out", "", v.LeftOut}} {
		if r.Count > 0 || r.State == v.Shown && r.State != "" {
			out = append(out, r)
		}
	}
	return out
}

// Empty says whether nothing at all is in the plan.
func (v PublishView) Empty() bool { return len(v.Groups) == 0 && v.Conflicts == 0 && len(v.Items) == 0 }

// GroupLine is a set of equal changes, ticked as one.
type GroupLine struct {
	Title  string // column, "new records", "deletes"
	Op     string
	Before string
	After  string
	Names  bool // they name records, each of which is shown whole
	Kind   string
	Titles []string
	Count  int64
	Ticked bool
	Form   [][2]string // names and values that say in a form which group it is
	Place  int         // among the groups shown
}

// Key is the group's id on the page.
func (g GroupLine) Key() string { return "group-" + strconv.Itoa(g.Place) }

// Part is the group's change as a word diff.
func (g GroupLine) Parts() []worddiff.Part { return changeParts(g.Before, g.After, g.Names) }

// changeParts gives a change word by word, or as a whole.
func changeParts(before, after string, whole bool) []worddiff.Part {
	if whole {
		return []worddiff.Part{{Op: worddiff.Deleted, Text: before}, {Op: worddiff.Inserted, Text: after}}
	}
	return worddiff.Diff(before, after, diffTime)
}

// names lists the records that the group names.
func (g GroupLine) names() string {
	names := make([]string, len(g.Titles))
	for i, t := range g.Titles {
		names[i] = orUntitled(t)
	}
	return strings.Join(names, ", ")
}

// swapsPlan makes a form of a plan show the plan anew in place; without a script the whole page comes again.
var swapsPlan = templ.Attributes{"hx-target": "#plan", "hx-select": "#plan", "hx-swap": "outerMorph", "hx-sync": "#plan:queue all", "data-repeatable": true}

// LackingLine is a column that the service requires and that new records of a plan have no value of.
type LackingLine struct {
	Records int64
	Column  string
	Address string // of these records in the grid
}

// diffTime bounds one word diff on a page.
const diffTime = 20 * time.Millisecond

// ItemLine is one record of a plan.
type ItemLine struct {
	ID       int64
	Title    string
	Table    string
	Address  string // of the record
	Op       string
	State    string
	Reason   string // for people
	Fields   []FieldLine
	At       time.Time // of the receipt
	RemoteID string
	Words    string // of the service, in the receipt
	Receipt  []ReceiptField
}

// Key is the item's id as forms send it.
func (i ItemLine) Key() string { return strconv.FormatInt(i.ID, 10) }

// HasReceipt says whether there is anything to show of a write.
func (i ItemLine) HasReceipt() bool { return len(i.Receipt) > 0 || i.Words != "" }

// ReceiptHead names the columns of a receipt.
func (i ItemLine) ReceiptHead() []string {
	if i.Op == "delete" {
		return []string{"field", "was"}
	}
	return []string{"field", "was", "sent", "the service now holds"}
}

// ReceiptField is a field as it was just before a write, as it was sent, and as the service holds it now.
type ReceiptField struct{ Title, Before, Sent, Held string }

// FieldLine is a field of a record: what was, and what is to be.
type FieldLine struct {
	Title  string
	Before string
	After  string
	Names  bool // they name records, each of which is shown whole
}

// Parts is the change as a word diff.
func (f FieldLine) Parts() []worddiff.Part { return changeParts(f.Before, f.After, f.Names) }

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

// missed is how many records that were to be sent the service does not hold as wanted, as far as is known.
func (v PublishView) missed() int64 { return v.Failed + v.Conflicts + v.Unknown + v.Planned }

// missedWords says what became of them, and that nothing is lost.
func (v PublishView) missedWords() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{v.Failed, "refused by the service"}, {v.Conflicts, "in conflict: changed there too"}, {v.Unknown, "on the way when the connection broke: nobody knows"}, {v.Planned, "not sent"}} {
		if p.n > 0 {
			parts = append(parts, Number(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ") + ". What was not published stays an edit here."
}

func publishTitle(v PublishView) string {
	switch {
	case v.State == "publishing":
		return "Publishing to " + v.Connection
	case v.State == "done" && v.Published == 0:
		return "Nothing was published to " + v.Connection
	case v.State == "done" && v.missed() > 0:
		return "Published " + Number(v.Published) + " of " + Number(v.Published+v.missed()) + " to " + v.Connection
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
		if v.missed() > 0 {
			return v.missedWords()
		}
		return "Every record has a receipt: what was sent, and what the service now holds."
	}
	if v.Second != nil && v.Second.Needed {
		return "Nothing is sent until a second person has approved it and somebody presses Publish. What you see is exactly what is sent."
	}
	return "Nothing is sent until you press Publish. What you see is exactly what is sent."
}

func orUntitled(s string) string { return firstOf(s, "(without a title)") }

func orEmpty(s string) string { return firstOf(s, "empty") }
