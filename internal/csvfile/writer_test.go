package csvfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func written(t testing.TB, o Options, records ...[]Cell) string {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, o)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriterQuotesWhatNeedsIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		o    Options
		in   Cell
		want string
	}{
		"text":                    {Options{}, Cell{Text: "a b"}, "a b"},
		"null":                    {Options{}, Cell{Null: true, Text: "x"}, ""},
		"empty":                   {Options{}, Cell{}, `""`},
		"delimiter":               {Options{}, Cell{Text: "a,b"}, `"a,b"`},
		"another delimiter":       {Options{Delimiter: ';'}, Cell{Text: "a,b"}, "a,b"},
		"quotes":                  {Options{}, Cell{Text: `5" x`}, `"5"" x"`},
		"line end":                {Options{}, Cell{Text: "a\r\nb"}, "\"a\r\nb\""},
		"spaces":                  {Options{}, Cell{Text: " a"}, `" a"`},
		"formula, plain":          {Options{}, Cell{Text: "=1+1"}, "=1+1"},
		"formula":                 {Options{Spreadsheet: true}, Cell{Text: "=1+1"}, "'=1+1"},
		"formula with a comma":    {Options{Spreadsheet: true}, Cell{Text: "=A(1,2)"}, `"'=A(1,2)"`},
		"at":                      {Options{Spreadsheet: true}, Cell{Text: "@SUM(A1)"}, "'@SUM(A1)"},
		"CR":                      {Options{Spreadsheet: true}, Cell{Text: "\r=1"}, "\"'\r=1\""},
		"negative text":           {Options{Spreadsheet: true}, Cell{Text: "-5"}, "'-5"},
		"negative number":         {Options{Spreadsheet: true}, Cell{Text: "-5.20", Number: true}, "-5.20"},
		"a formula said a number": {Options{Spreadsheet: true}, Cell{Text: "-1+cmd", Number: true}, "'-1+cmd"},
		"a guard of its own":      {Options{Spreadsheet: true}, Cell{Text: "'=1"}, "''=1"},
		"an apostrophe":           {Options{Spreadsheet: true}, Cell{Text: "'tis"}, "'tis"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			delimiter := ","
			if tt.o.Delimiter != 0 {
				delimiter = string(rune(tt.o.Delimiter))
			}
			if got, want := written(t, tt.o, []Cell{{Text: "x"}, tt.in}), "x"+delimiter+tt.want+"\r\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWriterKeepsExcelFromMisreadingTheBeginning(t *testing.T) {
	t.Parallel()
	if got := written(t, Options{BOM: true}, []Cell{{Text: "ID"}}, []Cell{{Text: "ID"}}); got != "\uFEFF\"ID\"\r\nID\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestWriterHandsErrorsOn(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	w := NewWriter(failing{full}, Options{})
	err := w.Write([]Cell{{Text: strings.Repeat("x", 1<<20)}})
	if !errors.Is(err, full) || !errors.Is(w.Flush(), full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// cells are hard ones: guards, quotes, delimiters, line ends, nulls, marks, numbers.
func cells() *rapid.Generator[Cell] {
	hard := rapid.StringOfN(rapid.RuneFrom([]rune("=+-@\t\r\n'\", ;|a1é🙂\uFEFF\u2028")), 0, 8, -1)
	any := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))
	text := rapid.Custom(func(t *rapid.T) Cell { return Cell{Text: rapid.OneOf(hard, any).Draw(t, "text")} })
	number := rapid.Custom(func(t *rapid.T) Cell {
		return Cell{Number: true, Text: rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,9})?`).Draw(t, "number")}
	})
	return rapid.OneOf(text, text, number, rapid.Just(Cell{Null: true}))
}

func TestWhatIsWrittenIsReadBackUnchanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{
			Delimiter:   rapid.SampledFrom([]byte{',', ';', '\t', '|'}).Draw(rt, "delimiter"),
			LineEnding:  rapid.SampledFrom([]LineEnding{LF, CRLF, CR}).Draw(rt, "line ending"),
			BOM:         rapid.Bool().Draw(rt, "BOM"),
			Spreadsheet: rapid.Bool().Draw(rt, "spreadsheet"),
		}
		width := rapid.IntRange(1, 4).Draw(rt, "width")
		records := rapid.SliceOf(rapid.SliceOfN(cells(), width, width)).Draw(rt, "records")
		text := written(t, o, records...)
		d := DefaultDialect()
		d.Delimiter, d.LineEnding, d.StripGuard, d.Columns = o.Delimiter, o.LineEnding, o.Spreadsheet, width
		r := NewReader(strings.NewReader(text), d)
		got, err := readAll(r)
		if err != nil || len(got) != len(records) {
			rt.Fatalf("%d records of %d, %v, from %q", len(got), len(records), err, text)
		}
		for i, rec := range records {
			for j, c := range rec {
				if f := got[i][j]; f.Null() != c.Null || (!c.Null && f.Text != c.Text) {
					rt.Fatalf("record %d, field %d: %+v became %+v in %q", i, j, c, f, text)
				}
			}
		}
		if rep := r.Report(); len(rep.Issues) > 0 {
			rt.Fatalf("issues in %q: %v", text, rep.Issues)
		}
	})
}

func TestNoTextOfASpreadsheetExportBeginsAFormula(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := cells().Draw(rt, "cell")
		text := written(t, Options{Spreadsheet: true}, []Cell{{Text: "x"}, c})
		got, err := readAll(NewReader(strings.NewReader(text), DefaultDialect()))
		if err != nil {
			rt.Fatal(err)
		}
		s := got[0][1].Text
		if s != "" && strings.IndexByte(guarded, s[0]) >= 0 && !(c.Number && isPlainDecimal(s)) {
			rt.Fatalf("%q from %+v", s, c)
		}
	})
}
