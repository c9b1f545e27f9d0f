package views

import "time"

// HistoryView is the list of what was done in a snapshot.
type HistoryView struct {
	Snapshot SnapshotLink
	Batches  []BatchLine
	More     string // address of the older ones
}

// BatchLine is one act.
type BatchLine struct {
	ID        int64
	Label     string
	Kind      string
	Who       string
	Table     string // title
	Address   string // of the table
	Plan      string // address of the receipts, of a publish
	When      time.Time
	Cells     int64
	Records   int64
	Suggested int64
	Undone    bool
	Undoable  bool
	Later     string // "" or a sentence about later changes
}

// Size says how much the act changed.
func (b BatchLine) Size() string {
	switch {
	case b.Kind == "publish" && b.Records > 0:
		return Counted(b.Records, "record", "records")
	case b.Suggested > 0 && b.Cells == 0:
		return Counted(b.Suggested, "suggestion", "suggestions")
	case b.Cells > 0:
		return Counted(b.Cells, "cell", "cells")
	case b.Records > 0:
		return Counted(b.Records, "record", "records")
	}
	return ""
}

// UndoText names what undoing will do.
func (b BatchLine) UndoText() string {
	if b.Kind == "undo" {
		return "Redo"
	}
	return "Undo"
}

// UndoQuestion says it in full.
func (b BatchLine) UndoQuestion() string {
	text := b.UndoText() + ": " + b.Label
	if size := b.Size(); size != "" {
		text += ", " + size
	}
	return text + ". What was changed since then is left as it is and named."
}

func (b BatchLine) icon() string {
	switch b.Kind {
	case "edit", "api":
		return "pencil"
	case "paste":
		return "clipboard"
	case "fill", "clear":
		return "square"
	case "accept":
		return "check-check"
	case "reject":
		return "x"
	case "undo":
		return "undo-2"
	case "redo":
		return "redo-2"
	case "download", "import":
		return "download"
	case "refresh":
		return "refresh-cw"
	case "publish":
		return "upload"
	case "revert":
		return "rotate-ccw"
	case "settle":
		return "git-merge"
	case "replace", "transform", "suggest":
		return "wand-sparkles"
	case "create":
		return "plus"
	case "delete":
		return "trash-2"
	}
	return "history"
}
