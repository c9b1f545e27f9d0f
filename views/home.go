package views

import (
	"strings"
	"time"
)

// HomeView is the first page: ways to begin, and the snapshots.
type HomeView struct {
	Snapshots []SnapshotLine
	CanSample bool
	NoSample  string // why there is no sample, a sentence
	Sample    string // address of the sample's snapshot, when it is there already
	Ended     []JobLine
}

// SnapshotLine is a snapshot in a list.
type SnapshotLine struct {
	ID          string
	Name        string
	From        string // connections or "a file"
	Tables      int
	Records     *int64
	Edits       int64
	Suggestions int64
	Conflicts   int64
	Refreshed   *time.Time
	Job         *JobLine // that works on it now
}

// About says what the snapshot is made of.
func (s SnapshotLine) About() string {
	parts := []string{}
	if s.From != "" {
		parts = append(parts, s.From)
	}
	parts = append(parts, Counted(int64(s.Tables), "table", "tables"))
	if s.Records != nil {
		parts = append(parts, Counted(*s.Records, "record", "records"))
	}
	return strings.Join(parts, ", ")
}

func sampleKind(v HomeView) string {
	if v.CanSample && len(v.Snapshots) == 0 {
		return "primary"
	}
	return ""
}
