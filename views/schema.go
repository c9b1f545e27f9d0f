package views

// SchemaView is what differs between a table here and at the service.
type SchemaView struct {
	Address  string // of the page; it takes the changes over by POST
	Table    Link
	Snapshot Link
	Lines    []SchemaLine
	CanEdit  bool
	Error    string
}

// SchemaLine is one difference of a column.
type SchemaLine struct {
	Kind   string // added, removed …
	Title  string // of the column
	Before string
	After  string
	What   string // a sentence: what taking it over does
	Field  string // the field's id, of added ones: they can be left out
	Edits  string // "3 edits"; "" for none
}

// Word is the mark of a line.
func (l SchemaLine) Word() string {
	switch l.Kind {
	case "retyped":
		return "type"
	case "options":
		return "values"
	case "returned":
		return "back"
	}
	return l.Kind
}

func schemaKind(kind string) string {
	switch kind {
	case "added", "returned":
		return "add"
	case "removed":
		return "del"
	}
	return "accent"
}
