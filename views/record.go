package views

import (
	"strconv"
	"strings"
	"time"

	"scratchpaper/internal/core"
)

// RecordPanel is a record with all its fields, what is suggested for them, where it conflicts, and its history.
type RecordPanel struct {
	Base         string // of the table's addresses
	Query        string // of the view, kept in links
	Row          GridRow
	RemoteID     string
	Title        string
	CanEdit      bool
	Creatable    bool
	Deletable    bool
	Fields       []RecordField
	History      []RecordChange
	OlderHistory bool // there is more than what History has
	Zone         *time.Location
}

// RecordField is one field of a record; Who and When are of its last edit.
type RecordField struct {
	Cell GridCell
	Who  string
	When time.Time
}

// RecordChange is one line of a record's history.
type RecordChange struct {
	Who, Kind, Label, Reason string
	When                     time.Time
	Whole                    bool // of the record as a whole
	Column                   string
	Type                     core.ColumnType
	Before, After            core.Value
}

func (p RecordPanel) address() string {
	return p.Base + "/records/" + strconv.FormatInt(p.Row.ID, 10)
}

func (p RecordPanel) closeAddress() string {
	if p.Query == "" {
		return p.Base
	}
	return p.Base + "?" + p.Query
}

func (p RecordPanel) edits() int64 {
	var n int64
	for _, f := range p.Fields {
		if f.Cell.Edited {
			n++
		}
	}
	return n
}

// fieldClass gives the mark of a field's state.
func (f RecordField) fieldClass() string {
	switch {
	case f.Cell.Conflict:
		return "field is-conflict"
	case len(f.Cell.Suggestions) > 0:
		return "field is-suggested"
	case f.Cell.Edited:
		return "field is-edited"
	case f.Cell.Problem != "":
		return "field is-invalid"
	}
	return "field"
}

// input gives the field's value as one would type it.
func (f RecordField) input() string {
	v := f.Cell.Value
	for _, item := range v.List {
		if strings.ContainsAny(item, ",;\n[") {
			return string(v.Canonical(f.Cell.Column.Type))
		}
	}
	return v.Plain()
}

// long says whether a field is edited in several lines.
func (f RecordField) long() bool {
	switch f.Cell.Column.Type {
	case core.LongText, core.Markdown, core.JSON:
		return true
	case core.Text:
		return len(f.Cell.Value.Text) > 60
	}
	return false
}

func (f RecordField) id() string { return "record-field-" + strconv.Itoa(f.Cell.Column.Number) }

// rows gives the height of a long field's editor, in lines.
func (f RecordField) rows() string {
	return strconv.Itoa(min(12, max(2, len(f.Cell.Value.Text)/48+1)))
}

// emptyMark gives the mark of a value without characters, as in the grid's cells; "" for every other.
func emptyMark(v core.Value) string {
	switch {
	case !nameless(v):
		return ""
	case v.IsNull() || v.List != nil:
		return "—"
	}
	return "“”"
}

// placeholder says in an empty field what it holds or takes.
func (f RecordField) placeholder() string {
	switch {
	case f.Cell.Column.Type.IsList():
		return "One or more, with commas between them"
	case f.Cell.Column.Type == core.Reference && f.Cell.Column.Target != "":
		return "Type a name to find it"
	}
	return emptyMark(f.Cell.Value)
}

// settleWords names what keeping what stands here means, and what taking what the service has does, of a cell or (column 0) of the
// record as a whole.
func (p RecordPanel) settleWords(column int) (mine, theirs string) {
	switch {
	case column != 0:
		return "Keep mine", "Take theirs"
	case p.Row.State == core.Deleted:
		return "Delete it all the same", "Keep it, as changed there"
	}
	return "Create it again", "Delete it here too"
}
