package views

import (
	"strings"
	"time"
)

// HomeView is the first page: ways to begin, and the snapshots.
type HomeView struct {
	Snapshots []SnapshotLine
	Services  []string // what can be connected
	CanSample bool     // there is a sample, or one can be made
	Sample    string   // address of the sample's snapshot, when it is there already
	Ended     []JobLine
	// StoppedWebhooks is how many the program switched off, for admins.
	StoppedWebhooks int
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

// connectWords says what can be connected.
func (v HomeView) connectWords() string {
	what := ""
	if n := len(v.Services); n > 0 {
		what = strings.Join(v.Services[:n-1], ", ")
		if n > 1 {
			what += " or "
		}
		what += v.Services[n-1] + " today. "
	}
	return what + "Your password stays encrypted on this server."
}

// noneWords says how to begin.
func (v HomeView) noneWords() string {
	if v.CanSample {
		return "A snapshot is a working copy of tables. Connect a service, import a file, or look around in the sample first."
	}
	return "A snapshot is a working copy of tables. Connect a service or import a file."
}

func sampleKind(v HomeView) string {
	if len(v.Snapshots) == 0 {
		return "primary"
	}
	return ""
}
