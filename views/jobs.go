package views

import "time"

// JobLine is a job in a list.
type JobLine struct {
	ID         string
	Kind       string // download, refresh, publish, import, transform, accept
	State      string // queued, running, waiting, done, failed, cancelled
	Label      string
	Who        string
	Snapshot   string // id
	Done       int64
	Total      *int64
	Rate       float64
	Failed     int64
	Missed     int64  // of a publish that is through: records that were to be sent and are not published
	WaitingFor string // person, time, connection
	Until      *time.Time
	Error      string
	Started    *time.Time
	Finished   *time.Time
	Created    time.Time
	Stopping   bool // asked to stop, and not stopped yet
}

// Open says whether the job still goes on.
func (j JobLine) Open() bool {
	return j.State == "queued" || j.State == "running" || j.State == "waiting"
}

// Part gives how much is done, of 100; -1 is unknown.
func (j JobLine) Part() int { return Percent(j.Done, j.Total) }

// Doing says in a word or two what the job does now.
func (j JobLine) Doing() string {
	switch {
	case j.Stopping && j.Open():
		return "stopping"
	case j.State == "queued":
		return "waiting for its turn"
	case j.State == "waiting" && j.WaitingFor == "person":
		return "waits for you"
	case j.State == "waiting" && (j.WaitingFor == "connection" || j.WaitingFor == "table"):
		return "waits for another job"
	case j.State == "waiting":
		return "paused"
	case j.State == "done":
		return "done"
	case j.State == "failed":
		return "failed"
	case j.State == "cancelled":
		return "cancelled"
	}
	switch j.Kind {
	case "download":
		return "downloading"
	case "refresh":
		return "refreshing"
	case "publish":
		return "publishing"
	case "import":
		return "importing"
	case "accept":
		return "accepting"
	case "reject":
		return "rejecting"
	case "undo":
		return "undoing"
	case "transform":
		return "suggesting"
	case "delete":
		return "deleting"
	case "revert":
		return "reverting"
	}
	return "working"
}

// Reached is what the job has come to: of a publish without the records that failed.
func (j JobLine) Reached() int64 {
	if j.Kind == "publish" {
		return j.Done - j.Failed
	}
	return j.Done
}

// whole says that the job does everything it is about, or nothing.
func (j JobLine) whole() bool { return j.Unit() == "cells" }

// Unit is what the job counts.
func (j JobLine) Unit() string {
	switch j.Kind {
	case "publish":
		return "published"
	case "download", "refresh", "import":
		return "records"
	}
	return "cells"
}

func (j JobLine) stateKind() string {
	switch j.State {
	case "done":
		if j.Missed > 0 {
			return "conflict"
		}
		return "add"
	case "failed":
		return "del"
	case "running":
		return "accent"
	case "waiting":
		if j.WaitingFor == "person" {
			return "conflict"
		}
	}
	return ""
}

func (j JobLine) stateIcon() string {
	switch j.State {
	case "done":
		if j.Missed > 0 {
			return "triangle-alert"
		}
		return "circle-check"
	case "failed":
		return "circle-x"
	case "cancelled":
		return "ban"
	case "waiting":
		return "pause"
	case "queued":
		return "circle-dashed"
	}
	switch j.Kind {
	case "download", "import":
		return "download"
	case "publish":
		return "upload"
	}
	return "refresh-cw"
}

// kept says what remains of a job that did not come to its end.
func (j JobLine) kept() string {
	if j.whole() {
		return "Nothing was changed."
	}
	return "What was done before stays."
}

func (j JobLine) cancelWords() string {
	if j.whole() {
		return "It is taken back as a whole: nothing is changed."
	}
	return "What is done stays; nothing further is done."
}

// JobView is the page of one job.
type JobView struct {
	Job     JobLine
	Title   string // "Downloading Spring catalogue"
	Tables  []TableLine
	Back    Link      // to what it works on
	Summary []SumLine // of a refresh: by table
	Skipped []string  // of an import: what was not taken, and why
	Ask     string    // what it asks a person, when it waits for one
	Plan    string    // address of the plan whose page shows the publish, or ""
}

// TableLine is one table of a download.
type TableLine struct {
	ID      string
	Title   string
	Address string
	Done    int64
	Total   *int64
	Rate    float64
	State   string // waiting, running, done
}

// Part gives how much of the table is there, of 100; -1 is unknown.
func (t TableLine) Part() int {
	if t.State == "done" {
		return 100
	}
	if t.State == "waiting" && t.Total == nil {
		return 0
	}
	return Percent(t.Done, t.Total)
}

// SumLine is what a refresh did to one table; each number leads to those records.
type SumLine struct {
	Title                            string
	Address                          string
	New, Changed, Deleted, Conflicts int64
	Schema                           int // changes of its columns that nobody has taken over yet
}

// Quiet says that nothing happened to the table.
func (s SumLine) Quiet() bool { return s.New+s.Changed+s.Deleted+s.Conflicts == 0 && s.Schema == 0 }

// JobsView is the list of jobs.
type JobsView struct {
	Waiting []WaitingLine // plans that wait for a second person
	Open    []JobLine
	Past    []JobLine
	More    string // address of the older ones
	Old     bool   // this is not the first page
}

func jobColour(j JobLine) string {
	switch j.State {
	case "done":
		if j.Missed > 0 {
			return "text-conflict"
		}
		return "text-add"
	case "failed":
		return "text-del"
	case "running":
		return "text-accent"
	}
	return "text-ink-3"
}

func tableColour(t TableLine) string {
	if t.State == "done" {
		return "text-add"
	}
	return "text-ink-3"
}

func jobSentence(v JobView) string {
	switch {
	case v.Job.Stopping && v.Job.Open():
		return "It stops after the step that it is in."
	case v.Job.State == "waiting" && v.Job.WaitingFor == "connection":
		return "Another job works with this connection; this one begins when that one ends."
	case v.Job.Open():
		return "You can leave this page; it goes on and you can come back to it."
	case v.Job.State == "cancelled":
		return "It was cancelled. " + v.Job.kept()
	case v.Job.State == "failed":
		return "It stopped. " + v.Job.kept()
	}
	return ""
}

// jobTabTitle is the title of the tab while the job runs, so that a person in another tab sees it end.
func jobTabTitle(v JobView) string {
	if v.Job.Open() && v.Job.Part() >= 0 {
		return Number(int64(v.Job.Part())) + " % · " + v.Title
	}
	if v.Job.Open() {
		return v.Title
	}
	return v.Job.Doing() + " · " + v.Job.Label
}

func jobBackKind(v JobView) string {
	if v.Job.State == "done" {
		return "primary"
	}
	return ""
}
