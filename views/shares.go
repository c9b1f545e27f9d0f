package views

import (
	"time"

	"scratchpaper/internal/core"
)

// ReviewFrame says in the frame of a page that it is seen by a review link.
type ReviewFrame struct {
	Organization string
	Decides      bool // suggestions can be accepted and rejected
}

// SharesView are the review links of a snapshot, and the form for another.
type SharesView struct {
	Lines   []ShareLine
	Name    string // in the form
	Days    string
	Decides bool
	Error   string
	Link    *OnceLink // shown this once
}

// ShareLine is a review link.
type ShareLine struct {
	ID, Name, MadeBy string
	Decides          bool
	Until            time.Time
	Used             *time.Time
}

// Place shows what was wrong.
func (v *SharesView) Place(e *core.Error) { v.Error = e.Sentence }

// shareDays are the choices of how long a link lasts.
var shareDays = []Choice{{Value: "7", Text: "7 days"}, {Value: "30", Text: "30 days"}, {Value: "90", Text: "90 days"}}
