// Package core holds the words of the product as types. It imports nothing of ours.
package core

// ColumnType is what a cell of a column holds.
type ColumnType string

// The column types. Their canonical JSON form stands behind each; null is null in all.
const (
	Text       ColumnType = "text"       // string
	LongText   ColumnType = "longtext"   // string
	Markdown   ColumnType = "markdown"   // string
	Number     ColumnType = "number"     // number, with all its digits
	Checkbox   ColumnType = "checkbox"   // true, false
	Choice     ColumnType = "choice"     // string
	Choices    ColumnType = "choices"    // array of strings
	Date       ColumnType = "date"       // "2026-11-24", or as Postgres writes it ("infinity", "0044-03-15 BC")
	DateTime   ColumnType = "datetime"   // an instant: "2026-11-24T08:00:00+00:00"
	LocalTime  ColumnType = "localtime"  // a date and time without zone: "2026-11-24T08:00:00"
	URL        ColumnType = "url"        // string
	Email      ColumnType = "email"      // string
	Images     ColumnType = "images"     // array of addresses
	JSON       ColumnType = "json"       // one-element array, so that JSON null differs from null
	Reference  ColumnType = "reference"  // string: the remote id of the target, or ~ and its _id
	References ColumnType = "references" // array of such strings
)

// IsList says whether a value of the type is an array of strings.
func (t ColumnType) IsList() bool { return t == Choices || t == Images || t == References }

// IsText says whether a value of the type is stored as text and compared as text.
func (t ColumnType) IsText() bool {
	switch t {
	case Text, LongText, Markdown, Choice, URL, Email, Reference:
		return true
	}
	return false
}

// Valid says whether t is one of the column types.
func (t ColumnType) Valid() bool {
	switch t {
	case Number, Checkbox, Date, DateTime, LocalTime, JSON:
		return true
	}
	return t.IsText() || t.IsList()
}

// Source says where a table's or column's values come from.
type Source string

// The sources. A file's table has no service to publish to.
const (
	Remote   Source = "remote"
	File     Source = "file"
	LocalSrc Source = "local"
	Computed Source = "computed"
)

// ColumnOptions is what a type needs beside its name.
type ColumnOptions struct {
	Choices     []string `json:"choices,omitempty"`      // values of Choice and Choices, in the service's order
	OpenChoices bool     `json:"open_choices,omitempty"` // other values are allowed too
	Target      string   `json:"target,omitempty"`       // Reference(s): remote id of the table it points to
	TargetTable string   `json:"target_table,omitempty"` // Reference(s): table id here, when it is in the snapshot
	Required    bool     `json:"required,omitempty"`     // the service refuses null
	Unique      bool     `json:"unique,omitempty"`
	MaxLength   int      `json:"max_length,omitempty"` // characters; 0 is no limit
	Precision   int      `json:"precision,omitempty"`  // Number: digits in all; 0 is no limit
	Scale       *int     `json:"scale,omitempty"`      // Number: digits after the point
	HasDefault  bool     `json:"has_default,omitempty"`
	Stamped     bool     `json:"stamped,omitempty"`     // the service gives each new record a value of its own, the time or one at random: copies do not take it along
	RemoteType  string   `json:"remote_type,omitempty"` // the service's own name of the type
	Key         bool     `json:"key,omitempty"`         // part of the service's key
	Format      string   `json:"format,omitempty"`      // LongText: what language the text is in, "" when none
}

// The formats of long texts.
const (
	FormatHTML   = "html"
	FormatBlocks = "blocks" // HTML with the comments that mark WordPress' blocks
)

// Column is a column of a table of a snapshot.
type Column struct {
	Number   int           // unique in the snapshot, for ever
	Table    string        // table id
	Slug     string        // unique in the table, for ever; the id in the API and in expressions
	Title    string        // as the service (or a person) names it
	RemoteID string        // the service's own id of the field
	Physical string        // column of the data table
	Type     ColumnType    //
	Options  ColumnOptions //
	Source   Source        //
	Writable bool          // it can be edited here
	// InsertOnly values can be given to a created record and not changed once it is published (natural keys).
	InsertOnly bool
	WhyNot     string // a sentence, when not writable
	Position   int    //
	Width      int    // px; 0 is by type
	// Sends says that changes go to the service, SendsNew that values of created records do. A lock against editing does not
	// hold back what was edited before.
	Sends, SendsNew bool
	Description     string // for people and agents
	Locks           []Lock // set here, beside what the service says
	Filled          bool   // its values of every record have been downloaded
	Anchor          string // the service's id of the field that outlives its name; "" where RemoteID does
	Gone            bool   // the service does not have it any more: it is kept here with its edits, and locked
}

// Lock is what a person has forbidden for a column.
type Lock string

// The locks.
const (
	ReadOnly     Lock = "read_only"     // nobody edits it here
	NeverPublish Lock = "never_publish" // no plan takes it
)

// Locks lists every lock.
var Locks = []Lock{ReadOnly, NeverPublish}

// Applied gives the column as its locks leave it.
func (c Column) Applied() Column {
	c.Sends, c.SendsNew = c.Writable, c.Writable || c.InsertOnly
	for _, l := range c.Locks {
		switch l {
		case ReadOnly:
			c.Writable, c.InsertOnly, c.WhyNot = false, false, c.Title+" is locked here: it is read-only."
		case NeverPublish:
			c.Sends, c.SendsNew = false, false
		}
	}
	return c
}

// MustGive says that the service refuses a created record without a value of this column: it requires one, and has none of its own.
func (c Column) MustGive() bool {
	return c.Source == Remote && c.SendsNew && c.Options.Required && !c.Options.HasDefault
}

// Counts of a table. A nil count is not known yet. Edits, suggestions and problems count cells, the others records.
type Counts struct {
	Records     *int64 `json:"records"`
	Edits       *int64 `json:"edits"`
	Created     *int64 `json:"created"`
	Deleted     *int64 `json:"deleted"`
	Suggestions *int64 `json:"suggestions"`
	Conflicts   *int64 `json:"conflicts"`
	Problems    *int64 `json:"problems"`
}

// RecordState is a record's `_state`.
type RecordState int16

// The states of a record.
const (
	Existing RecordState = 0
	Created  RecordState = 1
	Deleted  RecordState = 2
	Proposed RecordState = 3 // a create that is still a suggestion
)

// String gives the API's word for a state.
func (s RecordState) String() string {
	return [...]string{"existing", "created", "deleted", "proposed"}[s&3]
}

// RecordColumn is the column number that stands for the record as a whole in changes and suggestions.
const RecordColumn = 0
