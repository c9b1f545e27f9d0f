package views

import "scratchpaper/internal/core"

// NewSnapshotView is the page where tables and columns are chosen.
type NewSnapshotView struct {
	Connection Link
	ID         string                     // of the connection
	Into       Link                       // the snapshot that tables are added to; empty for a new one
	IntoID     string                     //
	There      map[string]map[string]bool // remote tables that are in it, with their fields
	Name       Field
	Tables     []TableChoice
	Error      string
	Retry      string // address that lists the tables again, when the service did not answer
}

// Title names the page.
func (v NewSnapshotView) Title() string {
	if v.IntoID != "" {
		return "Add tables to " + v.Into.Text
	}
	return "Take a snapshot"
}

func (v NewSnapshotView) sentence() string {
	if v.IntoID != "" {
		return "Choose more tables, or more columns of those that are in it. Edits stay as they are."
	}
	return "Choose what to copy. Keys come along by themselves. Nothing is changed at the service."
}

// Readable counts the tables that can be taken.
func (v NewSnapshotView) Readable() int {
	n := 0
	for _, t := range v.Tables {
		if t.Readable {
			n++
		}
	}
	return n
}

// TableChoice is a remote table that may be taken.
type TableChoice struct {
	ID      string
	Index   int // its place in the form
	Name    string
	Records int64 // -1 is unknown
	// Uncounted says why the records are unknown, where they were asked for.
	Uncounted string
	Readable  bool
	Chosen    bool
	There     bool     // it is in the snapshot already
	More      bool     // with There: some of its columns are not
	Notes     []string // why something cannot be done
	Columns   []ColumnChoice
}

// ChosenColumns counts the columns that are taken.
func (t TableChoice) ChosenColumns() int {
	n := 0
	for _, c := range t.Columns {
		if c.Chosen || c.Key {
			n++
		}
	}
	return n
}

// ColumnChoice is a remote field that may be taken.
type ColumnChoice struct {
	ID       string
	Name     string
	Type     core.ColumnType
	Writable bool
	Why      string // why it cannot be changed
	Key      bool   // part of the key: always taken
	There    bool   // it is in the snapshot already
	Chosen   bool
}

// SnapshotSettings is the page where a snapshot is renamed, refreshed and deleted.
type SnapshotSettings struct {
	Schedule  ScheduleView
	ID        string
	Name      Field
	Tables    []TableInfo
	Created   Moment
	Edits     int64       // unpublished, over all tables
	Remote    bool        // some table has a service to refresh from
	Shares    *SharesView // nil where there are no review links, or none to see
	MayEdit   bool
	MayDelete bool
}

// TableInfo is a table on the snapshot's settings page.
type TableInfo struct {
	Title   string
	Address string
	Counts  core.Counts
	From    string
	WhyNot  string
	Loaded  Moment
}

func retryText(address string) string {
	if address == "" {
		return ""
	}
	return "Try again"
}

func recordsText(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return Number(n)
}

// fixed says whether the table cannot be chosen.
func (t TableChoice) fixed() bool { return !t.Readable || t.There && !t.More }

func columnsText(t TableChoice) string {
	return Number(int64(t.ChosenColumns())) + " of " + Counted(int64(len(t.Columns)), "column", "columns")
}

func deleteWords(v SnapshotSettings) string {
	if v.Edits > 0 {
		return Counted(v.Edits, "edit that is not published goes", "edits that are not published go") + " with it, and its history. Nothing happens at the service."
	}
	return "Its rows and its history go. Nothing happens at the service."
}

// ScheduleView is when a snapshot is refreshed by itself.
type ScheduleView struct {
	At, Zone Field
	Set      bool
	Next     Moment
	Who      string
	Last     Moment
	Job      string
	Words    string
}
