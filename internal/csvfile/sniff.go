package csvfile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/transform"

	"scratchpaper/internal/core"
)

// SniffBytes is how much of a file Sniff looks at; more is ignored.
const SniffBytes = 256 << 10

// Sniff proposes how to read a file from its first bytes; SniffBytes of them are a good
// measure. It always proposes something that can be read, and StripGuard as exports are
// written for spreadsheets by default.
func Sniff(head []byte) Dialect {
	head = head[:min(len(head), SniffBytes)]
	d := DefaultDialect()
	d.StripGuard = true
	d.Encoding = sniffEncoding(head)
	text := sniffText(head, d.Encoding)
	d.LineEnding = sniffLineEnding(text)
	if delimiter, ok := sepLine(text); ok {
		d.Delimiter, d.SkipLines = delimiter, 1
		d.Quote = sniffQuote(text, d)
	} else {
		d.Delimiter, d.Quote = sniffDelimiter(text, d)
	}
	d.Header = sniffHeader(sample(text, d).records)
	return d
}

func sniffEncoding(head []byte) Encoding {
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return UTF8BOM
	case bytes.HasPrefix(head, []byte("\xFF\xFE")):
		return UTF16LE
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return UTF16BE
	}
	if e, ok := sniffUTF16(head); ok {
		return e
	}
	good, bad := countSequences(head)
	if bad > good {
		return Windows1252
	}
	return UTF8
}

// sniffUTF16 knows UTF-16 without a mark by the zero halves of ASCII characters, which
// delimiters and line ends are in every file.
func sniffUTF16(head []byte) (Encoding, bool) {
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i&1]++
		}
	}
	half := len(head) / 2
	switch {
	case half == 0 || zeros[0]+zeros[1] < 2: // a single one is damage
		return "", false
	case zeros[1]*10 > half && zeros[0]*20 < zeros[1]:
		return UTF16LE, true
	case zeros[0]*10 > half && zeros[1]*20 < zeros[0]:
		return UTF16BE, true
	}
	return "", false
}

// countSequences counts the characters beyond ASCII that are UTF-8 and the bytes that are not.
// A character cut off by the end of the head counts as neither.
func countSequences(head []byte) (good, bad int) {
	for len(head) > 0 {
		c, size := utf8.DecodeRune(head)
		switch {
		case c == utf8.RuneError && size == 1 && !utf8.FullRune(head):
			return good, bad
		case c == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
		head = head[size:]
	}
	return good, bad
}

// sniffText decodes the head; what its end cuts off is dropped.
func sniffText(head []byte, e Encoding) []byte {
	text := head
	if enc, _ := e.decoder(); enc != nil {
		text, _, _ = transform.Bytes(enc.NewDecoder(), head)
	}
	return bytes.TrimPrefix(text, []byte("\uFEFF"))
}

func sniffLineEnding(text []byte) LineEnding {
	crlf := bytes.Count(text, []byte("\r\n"))
	lf := bytes.Count(text, []byte{'\n'}) - crlf
	cr := bytes.Count(text, []byte{'\r'}) - crlf
	switch {
	case cr > 0 && lf == 0 && crlf == 0:
		return CR
	case crlf > lf:
		return CRLF
	}
	return LF
}

// sepLine reads the line "sep=;" by which Excel is told the delimiter.
func sepLine(text []byte) (byte, bool) {
	rest, ok := strings.CutPrefix(string(text[:min(len(text), 7)]), "sep=")
	if !ok || rest == "" || !usable(rest[0]) || rest[0] == '"' {
		return 0, false
	}
	return rest[0], len(rest) == 1 || rest[1] == '\r' || rest[1] == '\n'
}

const sampleRecords = 200

// sampled is the beginning of a file, read in one way.
type sampled struct {
	records [][]Field
	broken  bool // a quote stays open
	stray   bool // quotes were kept as text
}

// sample reads the first records of a head as wide as they come. The last one is dropped when
// the head may have cut it off.
func sample(text []byte, d Dialect) sampled {
	d.Encoding, d.Columns, d.Header = UTF8, AnyWidth, false
	r := NewReader(bytes.NewReader(text), d)
	var s sampled
	for len(s.records) < sampleRecords {
		rec, err := r.Read()
		if err != nil {
			s.broken = core.CodeOf(err) == core.Invalid
			if !s.broken && len(s.records) > 1 && len(text) >= SniffBytes/2 {
				s.records = s.records[:len(s.records)-1]
			}
			break
		}
		s.records = append(s.records, rec.Clone().Fields)
	}
	s.stray = r.Report().StrayQuotes > 0
	return s
}

// rating orders ways to read a file: how many records are as wide as the first, then how many
// values look like numbers or dates, then how wide the table is.
type rating struct {
	even, typed float64
	width       int
}

func (a rating) beats(b rating) bool {
	switch {
	case a.even != b.even:
		return a.even > b.even
	case a.typed != b.typed:
		return a.typed > b.typed
	}
	return a.width > b.width
}

// leastEven is the share of records that must be as wide as the first for a delimiter to count.
const leastEven = 0.6

func sniffDelimiter(text []byte, d Dialect) (delimiter, quote byte) {
	best := rating{}
	delimiter, quote = ',', '"'
	for _, c := range []byte{',', ';', '\t', '|'} {
		d.Delimiter = c
		d.Quote = sniffQuote(text, d)
		if r := rate(sample(text, d).records); r.width > 1 && r.even >= leastEven && r.beats(best) {
			best, delimiter, quote = r, c, d.Quote
		}
	}
	if best.width == 0 {
		d.Delimiter = delimiter
		quote = sniffQuote(text, d)
	}
	return delimiter, quote
}

// sniffQuote chooses " unless ' clearly quotes, or unless " is an inch mark at the beginning of
// fields, which shows by an evener table when nothing is quoted.
func sniffQuote(text []byte, d Dialect) byte {
	read := func(quote byte) sampled {
		d.Quote = quote
		return sample(text, d)
	}
	double, single, none := read('"'), read('\''), read(0)
	evenDouble, evenNone := rate(double.records).even, rate(none.records).even
	switch {
	case mostlyQuoted(single) && rate(single.records).even >= evenDouble:
		return '\''
	case double.broken && evenNone >= evenDouble && len(none.records) > len(double.records):
		return 0
	case double.stray && evenNone > evenDouble:
		return 0
	}
	return '"'
}

// mostlyQuoted tells whether most texts stand in quotes, cleanly, and none in ".
func mostlyQuoted(s sampled) bool {
	quoted, other := 0, 0
	for _, rec := range s.records {
		for _, f := range rec {
			switch {
			case f.Quoted:
				quoted++
			case strings.HasPrefix(f.Text, `"`):
				return false
			case other == ratedFields:
				return false
			case f.Text != "" && !looksTyped(f.Text):
				other++
			}
		}
	}
	return !s.broken && !s.stray && quoted >= 2 && quoted > other
}

// ratedFields bounds how many values are tried as numbers and dates in one rating.
const ratedFields = 2000

func rate(records [][]Field) rating {
	if len(records) == 0 {
		return rating{}
	}
	r := rating{width: len(records[0])}
	even, typed, all := 0, 0, 0
	for _, rec := range records {
		if len(rec) == r.width {
			even++
		}
		for _, f := range rec {
			if f.Text == "" || all == ratedFields {
				continue
			}
			all++
			if looksTyped(f.Text) {
				typed++
			}
		}
	}
	r.even = float64(even) / float64(len(records))
	r.typed = float64(typed) / float64(max(all, 1))
	return r
}

// longTitle is longer than titles are, in bytes.
const longTitle = 100

// sniffHeader tells whether the first record names the columns: its fields are short, distinct
// texts,
// none of them typed and none met again below.
func sniffHeader(records [][]Field) bool {
	if len(records) == 0 {
		return false
	}
	seen := make(map[string]bool)
	filled := 0
	for i, f := range records[0] {
		t := strings.TrimSpace(f.Text)
		if t == "" {
			continue
		}
		filled++
		if seen[t] || looksTyped(t) || len(t) > longTitle || strings.ContainsAny(t, "\r\n") || comesAgain(records[1:], i, t) {
			return false
		}
		seen[t] = true
	}
	return filled > 0 && filled*2 >= len(records[0])
}

func comesAgain(records [][]Field, column int, title string) bool {
	for _, rec := range records {
		if column < len(rec) && strings.TrimSpace(rec[column].Text) == title {
			return true
		}
	}
	return false
}
