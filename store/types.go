package store

import (
	"encoding/json"
	"time"

	"scratchpaper/internal/core"
)

// Snapshot is a working copy of tables from one or more connections, or of a file.
type Snapshot struct {
	ID        string
	Name      string
	Schema    string // Postgres schema of its tables; equals ID
	CreatedAt time.Time
	CreatedBy string // name as shown
	Tables    []Table
}

// TableRef names a table of a snapshot.
type TableRef struct{ Snapshot, Table string }

// Table is a table of a snapshot with its columns in order.
type Table struct {
	ID           string
	Snapshot     string
	Org          string
	Schema       string // of the snapshot
	Physical     string // name of the data table in Schema
	Connection   string // connection id; "" for files
	RemoteID     string // remote table id
	Title        string
	Slug         string
	Source       core.Source
	Position     int
	Writable     bool
	Creatable    bool
	Deletable    bool
	WhyNot       string
	WhyNoNew     string
	WhyNoDel     string
	Versioned    bool
	Version      int64
	Counts       core.Counts
	Columns      []core.Column
	DownloadedAt *time.Time
	Remote       json.RawMessage // the connector's own description, as it was at the last download
	Description  string          // for people and agents
	SchemaFound  bool            // a refresh found other columns at the service: see SchemaChanges
}

// Ref names the table.
func (t Table) Ref() TableRef { return TableRef{t.Snapshot, t.ID} }

// Column gives the column with a number.
func (t Table) Column(number int) (core.Column, bool) {
	for _, c := range t.Columns {
		if c.Number == number {
			return c, true
		}
	}
	return core.Column{}, false
}

// ColumnBySlug gives the column with a slug.
func (t Table) ColumnBySlug(slug string) (core.Column, bool) {
	for _, c := range t.Columns {
		if c.Slug == slug {
			return c, true
		}
	}
	return core.Column{}, false
}

// NewSnapshot is what a snapshot is made of.
type NewSnapshot struct {
	Name   string
	Tables []NewTable
}

// NewTable is a table to be taken into a snapshot.
type NewTable struct {
	Connection string
	RemoteID   string
	Title      string
	Source     core.Source
	Writable   bool
	Creatable  bool
	Deletable  bool
	WhyNot     string
	WhyNoNew   string
	WhyNoDel   string
	Versioned  bool
	Remote     json.RawMessage
	Columns    []NewColumn
}

// NewColumn is a column to be taken into a table.
type NewColumn struct {
	RemoteID   string
	Anchor     string // see core.Column
	Title      string
	Type       core.ColumnType
	Options    core.ColumnOptions
	Writable   bool
	InsertOnly bool
	WhyNot     string
}

// View is what a person looks at: which records, in which order.
type View struct {
	Filter string // an expression; "" is all records that are not deleted
	Find   string // quick find over all columns; "" is none
	Sort   []SortKey
}

// SortKey is one column of a sort.
type SortKey struct {
	Column     int  `json:"column"`
	Descending bool `json:"descending,omitempty"`
}

// Span is a part of a list that is paged by position.
type Span struct{ Offset, Limit int }

// First is the beginning of a list.
func First(limit int) Span { return Span{Limit: limit} }

// Row is a record as a window shows it. Values, Cut are in the order of the asked columns.
type Row struct {
	ID             int64
	RemoteID       string // "" until a created record is published
	State          core.RecordState
	Values         []core.Value
	Cut            []bool // the value was longer than asked for
	Base           map[int]core.Value
	Conflicts      map[int]core.Value   // by column number: what the service holds now
	RecordConflict string               // of the whole record: "deleted_there", "changed_there", or ""
	Suggestions    map[int][]Suggestion // by column number (0: the record itself), newest first
	Problems       map[int]string
}

// RowOptions narrow what Rows gives.
type RowOptions struct {
	Columns []int // column numbers, in order; nil: all
	CutAt   int   // characters a text is cut at; 0: whole
}

// Suggestion is a proposed change that is not decided yet.
type Suggestion struct {
	ID     int64
	Batch  int64
	Record int64
	Column int // 0: the record itself
	Before json.RawMessage
	After  json.RawMessage // at Column 0: null is a delete, an object a create
	Reason string
	Kind   string
	Edit   string
	Who    string
}

// CellEdit sets one cell.
type CellEdit struct {
	Record int64
	Column int
	Value  core.Value
	Index  int // of the change in the request, for refusals
}

// NewRecord is a record to be created.
type NewRecord struct {
	Values map[int]core.Value
	Index  int
}

// RecordOp deletes or brings back one record.
type RecordOp struct {
	Record int64
	Index  int
}

// Changes are what one act wants changed.
type Changes struct {
	Sets      []CellEdit
	Creates   []NewRecord
	Deletes   []RecordOp
	Undeletes []RecordOp
}

// ChangeOptions say how changes are made.
type ChangeOptions struct {
	Label   string `json:"label,omitempty"`   // as the history shows it: "Paste", "Edit of title"; "" is made up
	Kind    string `json:"kind,omitempty"`    // edit, paste, fill, clear, import, api …; "" is edit
	Atomic  bool   `json:"atomic,omitempty"`  // refuse all when one is refused
	Suggest bool   `json:"suggest,omitempty"` // make suggestions instead of edits
	Reason  string `json:"reason,omitempty"`  // of suggestions
}

// Refusal is one change that was not made.
type Refusal struct {
	Index  int    `json:"index"`
	Record int64  `json:"record,omitempty"`
	Column int    `json:"-"`
	Slug   string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

// BatchResult is what one act did. Of what was refused or left at most maxNamed are named; the others are counted.
type BatchResult struct {
	Added       int64     `json:"-"`               // records that came into the table
	Batch       int64     `json:"batch,omitempty"` // 0 when nothing changed
	Cells       int64     `json:"cells,omitempty"` // cells (and whole records) changed
	Refused     []Refusal `json:"refused,omitempty"`
	MoreRefused int64     `json:"more_refused,omitempty"` // beside those of Refused
	Left        []Refusal `json:"left,omitempty"`         // undo: what was left, and why
	MoreLeft    int64     `json:"more_left,omitempty"`
	Created     []int64   `json:"created,omitempty"` // ids of created records, in the order asked for
	Rows        []int64   `json:"rows,omitempty"`    // records touched, when few
	Version     int64     `json:"version,omitempty"` // of the table
	Label       string    `json:"label,omitempty"`   // of the batch
	Table       string    `json:"table,omitempty"`
}

// maxNamed is how many refusals of one act are named one by one.
const maxNamed = 1000

// Where chooses records or suggestions. Those given must all hold: a nil list is not given, an empty one chooses nothing.
// An empty Where is refused by every bulk command.
type Where struct {
	Filter  string   `json:"filter,omitempty"`
	Find    string   `json:"find,omitempty"`
	Records []int64  `json:"records"`
	Columns []int    `json:"columns"`
	Batch   int64    `json:"batch,omitempty"`
	Group   string   `json:"group,omitempty"`
	IDs     []int64  `json:"ids"`             // of suggestions
	Order   string   `json:"order,omitempty"` // with Ranges: positions in this order
	Ranges  [][2]int `json:"ranges"`
	Chosen  string   `json:"chosen,omitempty"` // the records that were kept for this job, instead of Records and Ranges
}

// Empty says whether nothing was given.
func (w Where) Empty() bool {
	return w.Filter == "" && w.Find == "" && len(w.Records) == 0 && len(w.Columns) == 0 && w.Batch == 0 && w.Group == "" && len(w.IDs) == 0 &&
		len(w.Ranges) == 0 && w.Chosen == ""
}

// choosesRecords says that what is chosen depends on the records as they are.
func (w Where) choosesRecords() bool {
	return w.Filter != "" && w.Filter != "true" || w.Find != "" || w.Records != nil || w.Ranges != nil || w.Chosen != ""
}

// Batch is one act in the history.
type Batch struct {
	ID        int64
	Table     string
	Who       string
	Person    string
	When      time.Time
	Kind      string
	Label     string
	Cells     int64
	Records   int64
	Suggested int64  // suggestions that it made
	Undoes    int64  // the batch that this one undoes, or 0
	Plan      string // in Acts: the plan whose publish it took over, or ""
	UndoneBy  int64  // the batch that undid this one, or 0
	Undoable  bool
}

// Change is one line of a record's history.
type Change struct {
	Batch  Batch
	Column int
	Before json.RawMessage
	After  json.RawMessage
	Source int64
	Reason string
}
