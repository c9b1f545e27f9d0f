package csvfile

import "slices"

// Field is one value as it stands in the file, without its quotes.
type Field struct {
	Text   string
	Quoted bool // it stood in quotes, so that an empty Text is an empty string and not a null
}

// Null tells whether the field stands for "no value": nothing at all between two delimiters.
func (f Field) Null() bool { return f.Text == "" && !f.Quoted }

// Record is one row of a file.
//
// Fields belongs to the Reader and is overwritten by its next Read; the texts in it stay
// valid. Clone a record to keep it.
type Record struct {
	Line   int64 // where the record begins, counted from 1
	Fields []Field
}

// Quoted tells whether field i stood in quotes.
func (r Record) Quoted(i int) bool { return r.Fields[i].Quoted }

// Clone returns a record that later reads do not touch.
func (r Record) Clone() Record {
	return Record{Line: r.Line, Fields: slices.Clone(r.Fields)}
}
