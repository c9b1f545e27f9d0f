package csvfile

import (
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Encoding names how a file's characters are stored.
type Encoding string

// The encodings that a Reader understands.
const (
	UTF8        Encoding = "utf-8"
	UTF8BOM     Encoding = "utf-8-bom"
	UTF16LE     Encoding = "utf-16le"
	UTF16BE     Encoding = "utf-16be"
	Windows1252 Encoding = "windows-1252"
)

// LineEnding names what ends a record outside quotes.
type LineEnding string

// LF and CRLF are read alike (a lone CR is text); with CR each of CR, CR LF and LF ends a record.
const (
	LF   LineEnding = "\n"
	CRLF LineEnding = "\r\n"
	CR   LineEnding = "\r"
)

// AnyWidth as Dialect.Columns hands records over as wide as they come.
const AnyWidth = -1

// Dialect says how a file is to be read. Sniff proposes one and every part may be changed
// before it is handed to NewReader. The zero value reads plain UTF-8 with commas,
// without quotes and without a header; DefaultDialect has quotes.
type Dialect struct {
	Encoding   Encoding   `json:"encoding"`   // empty means UTF8; a leading byte order mark is never data
	Delimiter  byte       `json:"delimiter"`  // ASCII; 0 means comma
	Quote      byte       `json:"quote"`      // ASCII; 0 means that nothing is quoted
	Header     bool       `json:"header"`     // the first record holds the titles
	LineEnding LineEnding `json:"lineEnding"` // empty means LF
	SkipLines  int        `json:"skipLines"`  // lines before the table, such as Excel's "sep=;"
	Columns    int        `json:"columns"`    // width of the table; 0 takes the first record's; AnyWidth
	StripGuard bool       `json:"stripGuard"` // take the ' off that a spreadsheet export put before = + - @ tab CR
}

// DefaultDialect is RFC 4180 in UTF-8 without a header.
func DefaultDialect() Dialect {
	return Dialect{Encoding: UTF8, Delimiter: ',', Quote: '"', LineEnding: LF}
}

func (d Dialect) withDefaults() Dialect {
	if d.Encoding == "" {
		d.Encoding = UTF8
	}
	if d.Delimiter == 0 {
		d.Delimiter = ','
	}
	if d.LineEnding == "" {
		d.LineEnding = LF
	}
	return d
}

// Validate reports a dialect that cannot be read, as *core.Error with the code Invalid.
func (d Dialect) Validate() error {
	d = d.withDefaults()
	switch {
	case !usable(d.Delimiter):
		return invalid("The delimiter must be a single ASCII character other than a line end.")
	case d.Quote != 0 && !usable(d.Quote):
		return invalid("The quote must be a single ASCII character other than a line end.")
	case d.Quote == d.Delimiter:
		return invalid("Delimiter and quote must differ.")
	case d.LineEnding != LF && d.LineEnding != CRLF && d.LineEnding != CR:
		return invalid("Lines end in LF, CR LF or CR.")
	case d.Columns > MaxColumns || d.Columns < AnyWidth:
		return invalid("A table has between 1 and %d columns.", MaxColumns)
	case d.SkipLines < 0:
		return invalid("The number of lines to skip cannot be negative.")
	}
	if _, ok := d.Encoding.decoder(); !ok {
		return invalid("The encoding %q is not known.", d.Encoding)
	}
	return nil
}

func usable(c byte) bool { return c > 0 && c < 0x80 && c != '\r' && c != '\n' }

// decoder returns nil for UTF-8, which needs none, and false for an unknown name.
// A byte order mark in the file wins over the byte order that was asked for.
func (e Encoding) decoder() (encoding.Encoding, bool) {
	switch e {
	case UTF8, UTF8BOM:
		return nil, true
	case UTF16LE:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), true
	case UTF16BE:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), true
	case Windows1252:
		return charmap.Windows1252, true
	}
	return nil, false
}

// decoded hands src over as UTF-8. UTF-8 itself passes untouched, so that damage in it can be
// counted by line.
func decoded(src io.Reader, e Encoding) io.Reader {
	enc, _ := e.decoder()
	if enc == nil {
		return src
	}
	return transform.NewReader(src, enc.NewDecoder())
}
