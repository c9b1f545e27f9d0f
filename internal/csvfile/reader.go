package csvfile

import (
	"errors"
	"io"
)

// Limits on what one record may hold. They bound the memory of a Reader.
const (
	MaxField   = 16 << 20 // bytes of one field as it stands in the file
	MaxRecord  = 64 << 20 // bytes of one record
	MaxColumns = 16_384   // what a spreadsheet holds
)

// Reader reads records one after the other. It is not safe for concurrent use.
type Reader struct {
	src     io.Reader
	dialect Dialect
	scan    scanner

	first      int    // size of the first buffer, which must hold a byte order mark
	buf        []byte // buf[pos:end] is read and not yet handed over
	pos, end   int
	srcErr     error // what src ended with
	line       int64 // line at pos, counted from 1
	started    bool
	err        error // sticky
	titles     []string
	columns    int     // width of the table; 0 is not yet known
	emptyFirst []int64 // lines of empty lines that came before the width was known
	pending    *Record // read ahead of its turn, to learn the width
	fields     []Field
	report     Report
}

// NewReader reads r as d says. A dialect that cannot be read is reported by the first Read.
func NewReader(r io.Reader, d Dialect) *Reader {
	err := d.Validate()
	d = d.withDefaults()
	return &Reader{
		src:     r,
		dialect: d,
		scan:    scanner{delimiter: d.Delimiter, quote: d.Quote, loneCR: d.LineEnding == CR},
		first:   firstBuffer,
		line:    1,
		err:     err,
		columns: max(d.Columns, 0),
	}
}

// Report returns what was counted so far.
func (r *Reader) Report() Report { return r.report }

// Titles returns the columns' titles: the header's, made complete and distinct, or
// "Column 1", "Column 2" … in a file without one. With AnyWidth they are those of the first
// record. An empty file has none, without an error. Errors are those of Read.
func (r *Reader) Titles() ([]string, error) {
	if err := r.start(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return r.titles, nil
}

// Read returns the next record of the table; the header is not one. The record is valid until
// the next Read, see Record. Padded, skipped and repaired records are in Report.
//
// It returns io.EOF after the last record, *core.Error (code Invalid) where the file cannot be read
// any further (an unclosed quote, a field over MaxField), and errors of the underlying reader
// as they are. After an error every Read returns it again.
func (r *Reader) Read() (Record, error) {
	if err := r.start(); err != nil {
		return Record{}, err
	}
	if rec, ok := r.readAhead(); ok {
		r.report.Records++
		return rec, nil
	}
	for {
		rec, err := r.next()
		if err != nil {
			r.err = err
			return Record{}, err
		}
		if r.fit(&rec) {
			r.report.Records++
			return rec, nil
		}
	}
}

// readAhead returns what start has read before its turn.
func (r *Reader) readAhead() (Record, bool) {
	if len(r.emptyFirst) > 0 {
		rec := Record{Line: r.emptyFirst[0], Fields: []Field{{}}}
		r.emptyFirst = r.emptyFirst[1:]
		return rec, true
	}
	if r.pending == nil {
		return Record{}, false
	}
	rec := *r.pending
	r.pending = nil
	return rec, true
}

// start skips what stands before the table and learns its width and titles.
func (r *Reader) start() error {
	if r.started || r.err != nil {
		return r.err
	}
	r.started = true
	if r.err = r.skipPreamble(); r.err != nil {
		return r.err
	}
	rec, err := r.firstRecord()
	if err != nil {
		r.err = err
		return err
	}
	if r.columns == 0 && r.dialect.Columns != AnyWidth {
		r.columns = len(rec.Fields)
	}
	width := r.columns
	if width == 0 {
		width = len(rec.Fields)
	}
	r.settleEmptyLines()
	if r.dialect.Header {
		r.titles = Titles(rec.Fields, width)
		return nil
	}
	r.titles = Titles(nil, width)
	if r.fit(&rec) {
		rec = rec.Clone()
		r.pending = &rec
	}
	return nil
}

// firstRecord returns the first record that is not an empty line, remembering the empty lines
// before it: whether they are records is known only with the width of the table.
func (r *Reader) firstRecord() (Record, error) {
	for {
		rec, err := r.next()
		if err != nil {
			r.emptyFirst = nil // a file of nothing else has no width
			return Record{}, err
		}
		if !isEmptyLine(rec) {
			return rec, nil
		}
		if r.columns == 1 && !r.dialect.Header {
			return rec, nil
		}
		r.report.EmptyLines++
		if !r.dialect.Header && r.dialect.Columns == 0 && len(r.emptyFirst) < IssuesKept {
			r.emptyFirst = append(r.emptyFirst, rec.Line)
		}
	}
}

// settleEmptyLines makes the empty lines before the first record records when the table has
// one column, and leaves them skipped otherwise.
func (r *Reader) settleEmptyLines() {
	if r.columns != 1 {
		r.emptyFirst = nil
	}
	r.report.EmptyLines -= int64(len(r.emptyFirst))
}

func isEmptyLine(rec Record) bool { return len(rec.Fields) == 1 && rec.Fields[0].Null() }

// fit brings a record to the width of the table and tells whether it belongs to it.
func (r *Reader) fit(rec *Record) bool {
	if isEmptyLine(*rec) && r.columns != 1 {
		r.report.EmptyLines++
		return false
	}
	if r.columns == 0 || len(rec.Fields) == r.columns {
		return true
	}
	if len(rec.Fields) < r.columns {
		r.pad(rec)
		return true
	}
	return r.cut(rec)
}

func (r *Reader) pad(rec *Record) {
	r.report.TooFew++
	r.report.note(r.report.TooFew, rec.Line, TooFewFields,
		"Line %d has %d of %d fields; the missing ones are empty.", rec.Line, len(rec.Fields), r.columns)
	for len(r.fields) < r.columns {
		r.fields = append(r.fields, Field{})
	}
	rec.Fields = r.fields
}

// cut takes surplus fields off when they are all empty, as spreadsheets write them; nothing is
// lost by that. Otherwise the record is left out and reported.
func (r *Reader) cut(rec *Record) bool {
	for _, f := range rec.Fields[r.columns:] {
		if f.Text != "" {
			r.report.TooMany++
			r.report.note(r.report.TooMany, rec.Line, TooMany,
				"Line %d has %d fields, the table has %d; it is left out.", rec.Line, len(rec.Fields), r.columns)
			return false
		}
	}
	rec.Fields = rec.Fields[:r.columns]
	return true
}
