package views

import "scratchpaper/internal/core"

// ImportView is the preview of an uploaded file: how it is read, each choice changeable, and the first records.
type ImportView struct {
	ID      string
	File    string
	Size    int64
	Name    Field // of the snapshot
	Error   string
	Options []Field // encoding, delimiter, header, lines to skip
	Read    string  // how the columns below were read; a change of it makes them anew
	Columns []ImportColumn
	Records [][]ImportCell
	Seen    int64
	Whole   bool
	Notes   []string // what a person should know about the file
}

// ImportColumn is a column of the file and how it is to be read.
type ImportColumn struct {
	Index   int
	Title   string
	Type    core.ColumnType
	Reading string // the chosen one of Choices
	Choices []Choice
	Note    string
	Error   string
	Skip    bool
}

// ImportCell is a value as it stands in the file.
type ImportCell struct {
	Text string
	Null bool // nothing at all between two delimiters
	Bad  bool // it does not fit the column's type
}

// Basis says what the guesses rest on.
func (v ImportView) Basis() string {
	if v.Whole {
		return Counted(v.Seen, "record", "records") + " in all."
	}
	return "Types are guessed from the first " + Counted(v.Seen, "record", "records") + "."
}

// Shown says how many of the records stand below.
func (v ImportView) Shown() string {
	if v.Whole && int64(len(v.Records)) == v.Seen {
		return ""
	}
	return "The first " + Number(int64(len(v.Records))) + " are shown."
}
