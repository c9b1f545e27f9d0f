package core

import (
	"context"
	"encoding/json"
)

// Hint says that something changed. It is never data that must not be lost: whoever gets one fetches what it shows.
type Hint struct {
	Org      string          `json:"org"`
	Snapshot string          `json:"snapshot,omitempty"`
	Table    string          `json:"table,omitempty"`
	Job      string          `json:"job,omitempty"`
	Person   string          `json:"person,omitempty"`  // whom alone it concerns
	Version  int64           `json:"version,omitempty"` // of the table, after the change
	Rows     []int64         `json:"rows,omitempty"`    // record ids
	Many     bool            `json:"many,omitempty"`    // more rows than are worth naming
	Kind     string          `json:"kind"`              // change, counts, job, decision, presence, resync
	Actor    string          `json:"actor,omitempty"`   // person id
	Client   string          `json:"client,omitempty"`  // the tab that caused it
	Data     json.RawMessage `json:"data,omitempty"`
}

// Notifier takes hints after a commit. It does not block for long and does not fail: hints may be lost, state may not.
type Notifier interface {
	Notify(ctx context.Context, hints ...Hint)
}

// NoNotifier drops every hint.
type NoNotifier struct{}

// Notify drops the hints.
func (NoNotifier) Notify(context.Context, ...Hint) {}
