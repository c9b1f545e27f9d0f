package csvfile

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader compares with encoding/csv. What that accepts we accept, with the same records, but
// for the differences that the package comment lists: here CR LF in quotes, repaired characters
// and byte order marks (empty lines are alike, since neither knows a width).
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"a,b\nc,d\n", "\"a\r\nb\",c\r\n", "\"\"\"\",\"\"\n", "a\r\r\nb", "\n\na\n", "\"a\nb\",\"c\nd\",e\r\n\"f\"\r", "x,\"y\"z\n", ",\n,,",
	} {
		f.Add([]byte(s), byte(','))
	}
	f.Add([]byte("a;\"b\rc\"\r\n"), byte(';'))
	f.Fuzz(func(t *testing.T, data []byte, delimiter byte) {
		d := DefaultDialect()
		d.Columns, d.Delimiter = AnyWidth, delimiter
		if delimiter == 0 || d.Validate() != nil || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 || bytes.HasPrefix(data, []byte("\uFEFF")) {
			return
		}
		theirs := csv.NewReader(bytes.NewReader(data))
		theirs.FieldsPerRecord, theirs.Comma = -1, rune(delimiter)
		want, err := theirs.ReadAll()
		if err != nil {
			return
		}
		got, err := readAll(NewReader(bytes.NewReader(data), d))
		if err != nil {
			t.Fatalf("encoding/csv reads %q, we do not: %v", data, err)
		}
		if diff := cmp.Diff(want, asTheirs(got)); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
	})
}

func asTheirs(records [][]Field) [][]string {
	var out [][]string
	for _, rec := range records {
		var fields []string
		for _, f := range rec {
			fields = append(fields, strings.ReplaceAll(f.Text, "\r\n", "\n"))
		}
		out = append(out, fields)
	}
	return out
}

// FuzzAnything reads any bytes in any dialect: the same however they arrive, only text that
// Postgres takes, and again the same after writing and reading.
func FuzzAnything(f *testing.F) {
	for i, s := range []string{"a,b\n\xff\x00,c\n", "a\rb,\"c\rd\"", "\xff\xfea\x00\n\x00", "sep=;\na;b", "'=1,''+2\n", "\"open"} {
		f.Add([]byte(s), uint16(i*37))
	}
	f.Fuzz(func(t *testing.T, data []byte, choice uint16) {
		d := anyDialect(choice)
		if choice&1 == 0 {
			d = Sniff(data)
		}
		whole := NewReader(bytes.NewReader(data), d)
		got, err := readAll(whole)
		slow := NewReader(iotest.OneByteReader(bytes.NewReader(data)), d)
		slow.first = len("\uFEFF") + int(choice>>8)%8
		slowly, slowErr := readAll(slow)
		if diff := cmp.Diff(got, slowly); diff != "" || (err == nil) != (slowErr == nil) {
			t.Fatalf("byte by byte differs: %v, %v %s", err, slowErr, diff)
		}
		if diff := cmp.Diff(whole.Report(), slow.Report()); diff != "" {
			t.Fatalf("byte by byte reports otherwise: %s", diff)
		}
		for _, rec := range got {
			for _, field := range rec {
				if !utf8.ValidString(field.Text) || strings.IndexByte(field.Text, 0) >= 0 {
					t.Fatalf("not storable: %q", field.Text)
				}
			}
		}
		rewrite(t, got)
	})
}

func anyDialect(choice uint16) Dialect {
	pick := func(shift, n uint16) uint16 { return (choice >> shift) % n }
	return Dialect{
		Encoding:   []Encoding{UTF8, UTF16LE, UTF16BE, Windows1252, UTF8BOM}[pick(1, 5)],
		Delimiter:  []byte{',', ';', '\t', '|', 'x'}[pick(3, 5)],
		Quote:      []byte{'"', '\'', 0}[pick(5, 3)],
		Header:     pick(7, 2) == 1,
		LineEnding: []LineEnding{LF, CRLF, CR}[pick(8, 3)],
		SkipLines:  int(pick(10, 3)),
		Columns:    int(pick(12, 4)) - 1,
		StripGuard: pick(14, 2) == 1,
	}
}

func rewrite(t *testing.T, records [][]Field) {
	for _, rec := range records {
		out := make([]Cell, len(rec))
		for i, f := range rec {
			out[i] = Cell{Text: f.Text, Null: f.Null()}
		}
		d := DefaultDialect()
		d.Columns, d.StripGuard = len(rec), true
		again := mustReadAll(t, NewReader(strings.NewReader(written(t, Options{Spreadsheet: true}, out)), d))
		for i, f := range rec {
			if again[0][i].Text != f.Text || again[0][i].Null() != f.Null() {
				t.Fatalf("%+v became %+v", f, again[0][i])
			}
		}
	}
}
