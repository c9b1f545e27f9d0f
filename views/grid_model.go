package views

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"scratchpaper/internal/core"
)

// GridColumn is a column as the grid shows it. The page's script reads it as JSON.
type GridColumn struct {
	Number   int             `json:"number"`
	Slug     string          `json:"slug"`
	Title    string          `json:"title"`
	Type     core.ColumnType `json:"type"`
	Width    int             `json:"width"`
	Writable bool            `json:"writable"`
	WhyNot   string          `json:"whyNot,omitempty"`
	Choices  []string        `json:"choices,omitempty"`
	Open     bool            `json:"open,omitempty"` // other values than the choices are allowed
	Required bool            `json:"required,omitempty"`
	Insert   bool            `json:"insertOnly,omitempty"`
	Target   string          `json:"target,omitempty"` // references: id of the table they point to, when it is in the snapshot
	Key      bool            `json:"key,omitempty"`
	Format   string          `json:"format,omitempty"` // the language of a long text, see core.FormatBlocks
}

// NewGridColumn gives a column with the width that its type wants where nobody chose one.
func NewGridColumn(c core.Column) GridColumn {
	g := GridColumn{
		Number: c.Number, Slug: c.Slug, Title: c.Title, Type: c.Type, Width: c.Width,
		Writable: c.Writable || c.InsertOnly, WhyNot: c.WhyNot, Insert: c.InsertOnly,
		Choices: c.Options.Choices, Open: c.Options.OpenChoices || len(c.Options.Choices) == 0, Required: c.Options.Required,
		Target: c.Options.TargetTable, Key: c.Options.Key, Format: c.Options.Format,
	}
	if g.Width == 0 {
		g.Width = max(defaultWidth(c.Type), min(mostTitle, titleRoom+bold*utf8.RuneCountInString(c.Title)), pillWidth(c.Options.Choices))
	}
	return g
}

// Measures of the grid's 13 px text: the width of a letter, of a bold one, what stands beside a column's title (icon, menu,
// padding) and beside a choice (pill, padding), and how wide either makes a column at most.
const (
	letter    = 7
	bold      = 8
	titleRoom = 56
	pillRoom  = 40
	mostTitle = 220
	mostPill  = 240
)

// pillWidth gives the width that shows every choice in full, as far as that is not too wide.
func pillWidth(choices []string) int {
	width := 0
	for _, c := range choices {
		width = max(width, min(mostPill, pillRoom+letter*utf8.RuneCountInString(c)))
	}
	return width
}

func defaultWidth(t core.ColumnType) int {
	switch t {
	case core.Number, core.Checkbox, core.Date:
		return 112
	case core.Choice, core.Images:
		return 128
	case core.DateTime, core.LocalTime, core.Reference:
		return 160
	case core.LongText, core.Markdown, core.JSON:
		return 320
	case core.Choices, core.References, core.URL, core.Email:
		return 200
	}
	return 220
}

// GridSuggestion is one open suggestion of a cell, or of a record.
type GridSuggestion struct {
	ID     int64
	Before core.Value
	After  core.Value
	Who    string
	Reason string
	Delete bool // of a record: it proposes to delete it
}

// RecordName is how a record is shown where others refer to it.
type RecordName struct {
	Title   string
	Picture string // the address of its image; "" is none
}

// GridCell is one cell of a window.
type GridCell struct {
	Column      *GridColumn
	Locked      bool // although its column is writable
	Value       core.Value
	Names       map[string]RecordName // references: of the records that they hold
	Cut         bool                  // the value is longer than shown
	Edited      bool
	Base        core.Value // with Edited
	Conflict    bool
	Theirs      core.Value // with Conflict
	Suggestions []GridSuggestion
	Problem     string
}

// Writable says whether a person may edit the cell.
func (c *GridCell) Writable() bool { return c.Column.Writable && !c.Locked }

// GridRow is one record of a window, or the gap that a deleted one left in the order.
type GridRow struct {
	ID       int64
	Position int // in the order, from 0; -1 when not known
	Gone     bool
	State    core.RecordState
	Conflict string          // of the record as a whole, as a sentence
	Whole    *GridSuggestion // the suggestion to delete it, or to create it
	Cells    []GridCell
}

// GridRows is a window of records.
type GridRows struct {
	Rows []GridRow
	Zone *time.Location // instants are shown in it; nil is UTC
}

// GridTab is a table of the snapshot in the row of tabs.
type GridTab struct {
	ID, Title string
	Counts    core.Counts
	Active    bool
}

// GridChip is one condition of the filter, with the filter and the address of the view without it. Column (a slug), Op and
// Value are as in the filter builder; they are "" for a condition that it cannot say.
type GridChip struct {
	Text, Filter, Without string
	Column, Op, Value     string
}

// GridFacets are the distinct values of a column under the view.
type GridFacets struct {
	Column GridColumn
	Values []GridFacet
	More   bool // there are others
}

// GridFacet is a value with its count, and the filter that shows only its records.
type GridFacet struct {
	Value  core.Value
	Count  int64
	Filter string
}

// GridPage is everything that the grid's page shows.
type GridPage struct {
	Page         Page
	Snapshot     string
	SnapshotName string
	Table        string
	TableTitle   string
	AddTables    string // address where more of the service is taken into the snapshot; "" for files
	Tabs         []GridTab
	Columns      []GridColumn
	Filter       string
	FilterError  string
	Sort         string
	Find         string
	Chips        []GridChip
	Advanced     bool // the filter is more than the chips can say
	Rows         GridRows
	Counts       core.Counts
	CanEdit      bool
	Reviewing    bool // by a link, which shows the grid and nothing else
	CanDecide    bool // suggestions can be accepted and rejected
	CanPublish   bool
	Creatable    bool
	WhyNoNew     string
	Deletable    bool
	WhyNoDel     string
	Downloading  bool
	// SchemaChanges is the page of what changed of the table's columns at the service; "" when nothing did.
	SchemaChanges string
	Record        *RecordPanel // the open record, or nil
	Cell          string       // "record:column" of the focused cell, or ""
	Order         *GridOrder   // nil while it is being computed
	Client        string
}

// GridOrder is the order of the records that the page's positions refer to.
type GridOrder struct {
	ID      string    `json:"order"`
	Rows    int       `json:"rows"`
	Version int64     `json:"version"`
	MadeAt  time.Time `json:"made_at"`
	// Position of the record that was asked for, -1 when it is not in the order.
	Position int `json:"position"`
}

// Base gives the address under which the table's endpoints are.
func (p GridPage) Base() string { return GridBase(p.Snapshot, p.Table) }

// GridBase gives the address of a table's grid.
func GridBase(snapshot, table string) string {
	return "/snapshots/" + url.PathEscape(snapshot) + "/tables/" + url.PathEscape(table)
}

// Address gives the grid's address with a view; parts that are empty are left out.
func (p GridPage) Address(filter, sort, find string) string {
	q := url.Values{}
	for k, v := range map[string]string{"filter": filter, "sort": sort, "find": find} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if len(q) == 0 {
		return p.Base()
	}
	return p.Base() + "?" + q.Encode()
}

// sortOf says how a column is sorted: 1 up, -1 down, 0 not.
func (p GridPage) sortOf(slug string) int {
	for _, k := range strings.Split(p.Sort, ",") {
		switch k {
		case slug:
			return 1
		case "-" + slug:
			return -1
		}
	}
	return 0
}

// nextSort gives the sort after a click on a column's header: up, down, none.
func (p GridPage) nextSort(slug string) string {
	switch p.sortOf(slug) {
	case 1:
		return "-" + slug
	case -1:
		return ""
	}
	return slug
}

// ariaSort gives the attribute's word.
func (p GridPage) ariaSort(slug string) string {
	return [...]string{"descending", "none", "ascending"}[p.sortOf(slug)+1]
}

// sortWords names the sort for the tools bar.
func (p GridPage) sortWords() string {
	if p.Sort == "" {
		return "Sort"
	}
	var words []string
	for _, k := range strings.Split(p.Sort, ",") {
		slug, arrow := strings.TrimPrefix(k, "-"), " ↑"
		if strings.HasPrefix(k, "-") {
			arrow = " ↓"
		}
		for _, c := range p.Columns {
			if c.Slug == slug {
				words = append(words, c.Title+arrow)
			}
		}
	}
	return strings.Join(words, ", ")
}

// gridSettings is what the page's script is told.
type gridSettings struct {
	Base        string       `json:"base"`
	Snapshot    string       `json:"snapshot"`
	Table       string       `json:"table"`
	Columns     []GridColumn `json:"columns"`
	Filter      string       `json:"filter"`
	Sort        string       `json:"sort"`
	Find        string       `json:"find"`
	Order       *GridOrder   `json:"order"`
	Counts      core.Counts  `json:"counts"`
	CanEdit     bool         `json:"canEdit"`
	CanDecide   bool         `json:"canDecide"`
	Creatable   bool         `json:"creatable"`
	WhyNoNew    string       `json:"whyNoNew"`
	Deletable   bool         `json:"deletable"`
	WhyNoDel    string       `json:"whyNoDel"`
	Downloading bool         `json:"downloading"`
	Cell        string       `json:"cell"`
}

func (p GridPage) settings() gridSettings {
	return gridSettings{
		Base: p.Base(), Snapshot: p.Snapshot, Table: p.Table, Columns: p.Columns, Filter: p.Filter, Sort: p.Sort, Find: p.Find,
		Order: p.Order, Counts: p.Counts, CanEdit: p.CanEdit, CanDecide: p.CanDecide, Creatable: p.Creatable, WhyNoNew: p.WhyNoNew,
		Deletable: p.Deletable, WhyNoDel: p.WhyNoDel, Downloading: p.Downloading, Cell: p.Cell,
	}
}

func positive(n *int64) bool { return n != nil && *n > 0 }

// conditionOps are the operators of the filter builder; For names the kinds of columns that have them, "" is all.
var conditionOps = []struct{ Op, Text, For string }{
	{"contains", "contains", "text"}, {"lacks", "does not contain", "text"},
	{"is", "is", "text number date choice list"}, {"isnot", "is not", "text number date choice list"},
	{"starts", "starts with", "text"}, {"ends", "ends with", "text"},
	{"gt", ">", "number"}, {"ge", "≥", "number"}, {"lt", "<", "number"}, {"le", "≤", "number"},
	{"gt", "is after", "date"}, {"lt", "is before", "date"}, {"ge", "is on or after", "date"}, {"le", "is on or before", "date"},
	{"true", "is checked", "check"}, {"false", "is not checked", "check"},
	{"empty", "is empty", ""}, {"filled", "is not empty", ""},
}

// pending gives the number on the publish button: what is edited, created or deleted in any table; "" for nothing.
func (p GridPage) pending() string {
	var n int64
	for _, tab := range p.Tabs {
		for _, c := range []*int64{tab.Counts.Edits, tab.Counts.Created, tab.Counts.Deleted} {
			if c != nil {
				n += *c
			}
		}
	}
	if n == 0 {
		return ""
	}
	return Number(n)
}

func (p GridPage) whyNoNew() string {
	if p.Creatable {
		return ""
	}
	return firstOf(p.WhyNoNew, "This table takes no new records")
}

// rowCount is -1 while the total is not known, as ARIA has it.
func (p GridPage) rowCount() string {
	if p.Counts.Records == nil || p.Filter != "" || p.Find != "" {
		return "-1"
	}
	return strconv.FormatInt(*p.Counts.Records+1, 10)
}

// whyEmpty says why there may be no records: the view takes them away, the download has only begun, or the table has none.
func (p GridPage) whyEmpty() string {
	switch {
	case p.Filter != "" || p.Find != "":
		return "view"
	case p.Downloading:
		return "download"
	}
	return "table"
}

func (p GridPage) export(format string) string {
	q := url.Values{"format": {format}}
	for k, v := range map[string]string{"filter": p.Filter, "sort": p.Sort, "find": p.Find} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return p.Base() + "/export?" + q.Encode()
}

// statusNumber is one number of the status bar; a click on it is a filter.
type statusNumber struct {
	Name, One, Many, Kind, Filter string
	Count                         *int64
}

func (n statusNumber) words() string {
	if n.Count != nil && *n.Count == 1 {
		return n.One
	}
	return n.Many
}

func (p GridPage) statusNumbers() []statusNumber {
	return []statusNumber{
		{"edits", "edit", "edits", "edit", "edited()", p.Counts.Edits},
		{"created", "created", "created", "add", "created()", p.Counts.Created},
		{"deleted", "deleted", "deleted", "del", "deleted()", p.Counts.Deleted},
		{"suggestions", "suggestion", "suggestions", "suggest", "suggested()", p.Counts.Suggestions},
		{"conflicts", "conflict", "conflicts", "conflict", "conflict()", p.Counts.Conflicts},
		{"problems", "problem", "problems", "del", "problem()", p.Counts.Problems},
	}
}

// countName names a count for the script that renews it: that of the table shown, or of another tab's.
func countName(t GridTab, name string) string {
	if t.Active {
		return name
	}
	return t.ID + "/" + name
}

func (c GridColumn) icon() string {
	if !c.Writable {
		return "lock"
	}
	return TypeIcon(c.Type)
}

func (c GridColumn) headerHint() string {
	hint := c.Title + ": " + TypeName(c.Type)
	if !c.Writable {
		hint += ". " + firstOf(c.WhyNot, "Read-only")
	}
	return hint
}

func queryEscape(s string) string { return url.QueryEscape(s) }
