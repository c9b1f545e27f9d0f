package csvfile

import (
	"bufio"
	"io"
	"strings"
)

// Options of a Writer. The zero value writes plain RFC 4180 with commas.
type Options struct {
	Delimiter   byte       // ASCII; 0 means comma
	LineEnding  LineEnding // empty means CR LF, as RFC 4180 has it
	BOM         bool       // begin with a byte order mark, by which Excel knows UTF-8
	Spreadsheet bool       // put ' before texts that a spreadsheet would take for a formula
}

// Cell is one value to write. The zero Cell is an empty string, not a null.
type Cell struct {
	Text   string
	Null   bool // written as nothing at all; Text is ignored
	Number bool // Text is a plain decimal, which Spreadsheet leaves alone
}

// Writer writes records that a Reader with the same delimiter reads back unchanged. In a table
// of one column without a header a leading null is an empty line, which only a Reader that
// knows the width (Dialect.Columns 1), or meets a value later, gives back.
// It is not safe for concurrent use.
type Writer struct {
	w       *bufio.Writer
	o       Options
	special [256]bool // bytes that need quotes
	begun   bool
}

// NewWriter returns a Writer to w. Call Flush when done.
func NewWriter(w io.Writer, o Options) *Writer {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	if o.LineEnding == "" {
		o.LineEnding = CRLF
	}
	out := &Writer{w: bufio.NewWriterSize(w, 64<<10), o: o}
	for _, b := range []byte{o.Delimiter, '"', '\r', '\n'} {
		out.special[b] = true
	}
	return out
}

// Write writes one record. Errors are those of the underlying writer; they stick.
func (w *Writer) Write(record []Cell) error {
	first := !w.begun
	w.begun = true
	if first && w.o.BOM {
		w.w.WriteString("\uFEFF") // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
	}
	for i, c := range record {
		if i > 0 {
			w.w.WriteByte(w.o.Delimiter) // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
		}
		w.field(c, first && i == 0)
	}
	_, err := w.w.WriteString(string(w.o.LineEnding))
	return err
}

// WriteTitles writes the header.
func (w *Writer) WriteTitles(titles []string) error {
	record := make([]Cell, len(titles))
	for i, t := range titles {
		record[i].Text = t
	}
	return w.Write(record)
}

// Flush hands everything over to the underlying writer.
func (w *Writer) Flush() error { return w.w.Flush() }

// field writes one value; bufio keeps the first error for the line's end.
func (w *Writer) field(c Cell, first bool) {
	if c.Null {
		return
	}
	text := c.Text
	if w.o.Spreadsheet && isGuarded(text) && !(c.Number && isPlainDecimal(text)) {
		text = "'" + text
	}
	if !w.needsQuotes(text, first) {
		w.w.WriteString(text) // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
		return
	}
	w.w.WriteByte('"') // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
	if strings.IndexByte(text, '"') >= 0 {
		text = strings.ReplaceAll(text, `"`, `""`)
	}
	w.w.WriteString(text) // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
	w.w.WriteByte('"')    // #nosec G104 -- a bufio.Writer keeps its first error, which Flush gives
}

// needsQuotes also covers spaces at the ends, which other readers trim, and what Excel takes
// for more than text at the beginning of a file: a byte order mark, "sep=" and "ID".
func (w *Writer) needsQuotes(text string, first bool) bool {
	if text == "" || w.hasSpecial(text) || text[0] == ' ' || text[len(text)-1] == ' ' {
		return true
	}
	return first && (strings.HasPrefix(text, "\uFEFF") || strings.HasPrefix(text, "sep=") || strings.HasPrefix(text, "ID"))
}

func (w *Writer) hasSpecial(text string) bool {
	for i := range len(text) {
		if w.special[text[i]] {
			return true
		}
	}
	return false
}

// isPlainDecimal keeps a wrong Number mark from letting a formula through.
func isPlainDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(s, ".")
	return allDigits(whole) && (!point || allDigits(fraction))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
