package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"scratchpaper/internal/core"
)

func mustReadAll(t testing.TB, r *Reader) [][]Field {
	t.Helper()
	all, err := readAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return all
}

func readAll(r *Reader) ([][]Field, error) {
	var all [][]Field
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, rec.Clone().Fields)
	}
}

// show writes records so that quoted fields stand in «» and nulls are visible.
func show(records [][]Field) []string {
	var out []string
	for _, rec := range records {
		var fields []string
		for _, f := range rec {
			switch {
			case f.Quoted:
				fields = append(fields, "«"+f.Text+"»")
			case f.Null():
				fields = append(fields, "null")
			default:
				fields = append(fields, f.Text)
			}
		}
		out = append(out, strings.Join(fields, "|"))
	}
	return out
}

func TestReaderReads(t *testing.T) {
	t.Parallel()
	with := func(change func(*Dialect)) Dialect {
		d := DefaultDialect()
		change(&d)
		return d
	}
	plain := DefaultDialect()
	tests := map[string]struct {
		in   string
		d    Dialect
		want []string
	}{
		"plain records":                     {"a,b\nc,d\n", plain, []string{"a|b", "c|d"}},
		"a last line without its end":       {"a,b\nc,d", plain, []string{"a|b", "c|d"}},
		"CR LF line ends":                   {"a,b\r\nc,d\r\n", plain, []string{"a|b", "c|d"}},
		"CR LF inside quotes as it is":      {"a,\"x\r\ny\"\r\n", plain, []string{"a|«x\r\ny»"}},
		"LF inside quotes, then a field":    {"\"x\ny\",b\nc,d\n", plain, []string{"«x\ny»|b", "c|d"}},
		"doubled quotes":                    {`"say ""hi""",b`, plain, []string{`«say "hi"»|b`}},
		"null apart from empty":             {"a,,\"\"\n", plain, []string{"a|null|«»"}},
		"a trailing delimiter":              {"a,\n\"b\",", plain, []string{"a|null", "«b»|null"}},
		"an inch mark in a field":           {"5\" pipe,b\n", plain, []string{`5" pipe|b`}},
		"quotes that nobody doubled":        {"\"he said \"hi\" to me\",b\n", plain, []string{`«he said "hi" to me»|b`}},
		"spaces as they are":                {" a , b\n", plain, []string{" a | b"}},
		"a lone CR as text":                 {"a\rb,c\n", plain, []string{"a\rb|c"}},
		"half a CR LF at the end":           {"a,b\r", plain, []string{"a|b"}},
		"lone CRs as line ends":             {"a,b\rc,\"d\re\"\r\nf,g\nh,i", with(func(d *Dialect) { d.LineEnding = CR }), []string{"a|b", "c|«d\re»", "f|g", "h|i"}},
		"empty lines skipped in wide table": {"a,b\n\nc,d\n\r\n", plain, []string{"a|b", "c|d"}},
		"empty lines kept in one column":    {"\na\n\nb\n", plain, []string{"null", "a", "null", "b"}},
		"a quoted empty line":               {"a\n\"\"\n", plain, []string{"a", "«»"}},
		"an empty file":                     {"", plain, nil},
		"only line ends":                    {"\n\n", plain, nil},
		"only line ends, one column known":  {"\n\n", with(func(d *Dialect) { d.Columns = 1 }), []string{"null", "null"}},
		"too few fields padded":             {"a,b,c\nd\n", plain, []string{"a|b|c", "d|null|null"}},
		"surplus empty fields cut":          {"a,b\nc,d,,\n", plain, []string{"a|b", "c|d"}},
		"records as wide as they come":      {"a,b\nc\nd,e,f\n", with(func(d *Dialect) { d.Columns = AnyWidth }), []string{"a|b", "c", "d|e|f"}},
		"the header apart":                  {"\nname,n\nx,1\n", with(func(d *Dialect) { d.Header = true }), []string{"x|1"}},
		"behind a byte order mark":          {"\uFEFF\"a\",b\n", plain, []string{"«a»|b"}},
		"lines before the table skipped":    {"sep=;\na;b\n", with(func(d *Dialect) { d.SkipLines = 1; d.Delimiter = ';' }), []string{"a|b"}},
		"no quotes when there are none":     {"\"a\tb\n", with(func(d *Dialect) { d.Quote = 0; d.Delimiter = '\t' }), []string{"\"a|b"}},
		"other quotes":                      {"'it''s, so',\"b\"\n", with(func(d *Dialect) { d.Quote = '\'' }), []string{"«it's, so»|\"b\""}},
		"the guard off, once":               {"'=1,''=1,'a,',x'=1\n", with(func(d *Dialect) { d.StripGuard = true }), []string{"=1|'=1|'a|'|x'=1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := NewReader(strings.NewReader(tt.in), tt.d)
			if diff := cmp.Diff(tt.want, show(mustReadAll(t, whole))); diff != "" {
				t.Error(diff)
			}
			for size := len("\uFEFF"); size <= len(tt.in)+1; size++ {
				slow := NewReader(iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(tt.in))), tt.d)
				slow.first = size
				if diff := cmp.Diff(tt.want, show(mustReadAll(t, slow))); diff != "" {
					t.Fatalf("with a buffer of %d: %s", size, diff)
				}
				if diff := cmp.Diff(whole.Report(), slow.Report()); diff != "" {
					t.Fatalf("report with a buffer of %d: %s", size, diff)
				}
			}
		})
	}
}

func TestReaderNamesTheLineOfWhatItCannotRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxField+1)
	tests := map[string]struct{ in, want string }{
		"unclosed quote":          {"a,b\n\"x\ny\",z\nc,\"d\ne,f\n", "The quote that opens in line 4 is never closed."},
		"unclosed, second line":   {"a,b\n\"x\ny\",\"z", "The quote that opens in line 3 is never closed."},
		"field too long":          {"a,b\nc," + long + "\n", "A field that begins in line 2 is longer than 16 MiB"},
		"quoted field too long":   {"a,b\nc,\"" + long + "\"\n", "A field that begins in line 2 is longer than 16 MiB"},
		"quote swallows the file": {"a,b\nc,\"" + strings.Repeat("x,y\n", MaxField/4+1), "A field that begins in line 2 is longer than 16 MiB"},
		"no line end at all":      {long + long + long, "A field that begins in line 1 is longer than 16 MiB"},
		"too many fields":         {"a\n" + strings.Repeat(",", MaxColumns) + "\n", "Line 2 has more than 16384 fields."},
		"too many quoted fields":  {"a\n" + strings.Repeat(`"",`, MaxColumns) + "\n", "Line 2 has more than 16384 fields."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewReader(strings.NewReader(tt.in), DefaultDialect())
			_, err := readAll(r)
			if core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if _, again := r.Read(); again != err {
				t.Errorf("the error does not stick: %v", again)
			}
		})
	}
}

func TestReaderTakesAFieldOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", MaxField)
	for name, in := range map[string]string{"plain": full + ",b\n", "quoted": `"` + full + "\",b\n", "last": full} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mustReadAll(t, NewReader(strings.NewReader(in), DefaultDialect())); got[0][0].Text != full {
				t.Errorf("got %d bytes", len(got[0][0].Text))
			}
		})
	}
}

func TestReaderRefusesARecordOverTheLimit(t *testing.T) {
	t.Parallel()
	field := strings.Repeat("x", 15<<20)
	in := "a\n" + strings.Repeat(field+",", 9) + "\n"
	_, err := readAll(NewReader(strings.NewReader(in), DefaultDialect()))
	if !strings.Contains(core.SentenceOf(err), "The record that begins in line 2 is longer than 64 MiB.") {
		t.Fatal(err)
	}
}

func TestReaderReportsWhatItChanged(t *testing.T) {
	t.Parallel()
	in := "a,b\n\nshort\n\"two\nlines\",x\nc,d,e\nstray\" quote,x\nbad\xff\x00,é\n"
	r := NewReader(strings.NewReader(in), DefaultDialect())
	got := mustReadAll(t, r)
	want := Report{Records: 5, EmptyLines: 1, TooFew: 1, TooMany: 1, StrayQuotes: 1, BadRecords: 1, Replaced: 2, Issues: []Issue{
		{3, TooFewFields, "Line 3 has 1 of 2 fields; the missing ones are empty."},
		{6, TooMany, "Line 6 has 3 fields, the table has 2; it is left out."},
		{7, StrayQuote, "Line 7 has a quote that opens or closes nothing; it was kept as text."},
		{8, BadCharacter, "Characters of line 8 that are not valid, replaced by \uFFFD: 2."},
	}}
	if diff := cmp.Diff(want, r.Report()); diff != "" {
		t.Error(diff)
	}
	if last := got[4][0].Text; last != "bad\uFFFD\uFFFD" {
		t.Errorf("repaired to %q", last)
	}
}

func TestReaderKeepsTheFirstIssuesAndCountsAll(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("a,b\n"+strings.Repeat("c\n", 250)+strings.Repeat("d,e,f\n", 150)), DefaultDialect())
	mustReadAll(t, r)
	if rep := r.Report(); rep.TooFew != 250 || rep.TooMany != 150 || len(rep.Issues) != 2*IssuesKept {
		t.Errorf("%d too few, %d too many, %d issues", rep.TooFew, rep.TooMany, len(rep.Issues))
	}
}

func TestReaderTranscodes(t *testing.T) {
	t.Parallel()
	const text = "Größe,“x” 🙂\r\né,\"a\r\nb\"\r\n"
	latin, err := charmap.Windows1252.NewEncoder().String("Größe,“x” €\n")
	if err != nil {
		t.Fatal(err)
	}
	utf16 := func(e unicode.Endianness, b unicode.BOMPolicy) string {
		s, err := unicode.UTF16(e, b).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := []string{"Größe|“x” 🙂", "é|«a\r\nb»"}
	tests := map[string]struct {
		in   string
		e    Encoding
		want []string
	}{
		"windows-1252":             {latin, Windows1252, []string{"Größe|“x” €"}},
		"utf-16le with a mark":     {utf16(unicode.LittleEndian, unicode.UseBOM), UTF16LE, want},
		"utf-16be without a mark":  {utf16(unicode.BigEndian, unicode.IgnoreBOM), UTF16BE, want},
		"the mark wins over a bet": {utf16(unicode.BigEndian, unicode.UseBOM), UTF16LE, want},
		"utf-8 with a mark":        {"\uFEFF" + text, UTF8BOM, want},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := DefaultDialect()
			d.Encoding = tt.e
			if diff := cmp.Diff(tt.want, show(mustReadAll(t, NewReader(iotest.OneByteReader(strings.NewReader(tt.in)), d)))); diff != "" {
				t.Error(diff)
			}
			if got := sniffEncoding([]byte(tt.in)); name != "the mark wins over a bet" && got != tt.e {
				t.Errorf("sniffed %s", got)
			}
		})
	}
}

func TestReaderCountsDamagedUTF16(t *testing.T) {
	t.Parallel()
	d := DefaultDialect()
	d.Encoding = UTF16LE
	r := NewReader(strings.NewReader("a\x00\x00\xd8,\x00b\x00\n\x00"), d)
	if diff := cmp.Diff([]string{"a\uFFFD|b"}, show(mustReadAll(t, r))); diff != "" {
		t.Error(diff)
	}
	if rep := r.Report(); rep.Replaced != 1 {
		t.Errorf("replaced %d", rep.Replaced)
	}
}

func TestReaderNamesColumns(t *testing.T) {
	t.Parallel()
	d := DefaultDialect()
	d.Header = true
	got, err := NewReader(strings.NewReader(" Name ,,Name,Name 2\n1,2,3,4\n"), d).Titles()
	if diff := cmp.Diff([]string{"Name", "Column 2", "Name 2", "Name 2 2"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	r := NewReader(strings.NewReader("1,2\n3,4\n"), DefaultDialect())
	got, err = r.Titles()
	if diff := cmp.Diff([]string{"Column 1", "Column 2"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if diff := cmp.Diff([]string{"1|2", "3|4"}, show(mustReadAll(t, r))); diff != "" {
		t.Error(diff)
	}
}

func TestReaderHandsErrorsOfTheSourceOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk gone")
	in := io.MultiReader(strings.NewReader("a,b\nc,d\nhalf"), iotest.ErrReader(broken))
	got, err := readAll(NewReader(in, DefaultDialect()))
	if !errors.Is(err, broken) || len(got) != 2 {
		t.Errorf("%d records, %v", len(got), err)
	}
}

func TestReaderRefusesAnImpossibleDialect(t *testing.T) {
	t.Parallel()
	for _, d := range []Dialect{
		{Delimiter: '"', Quote: '"'}, {Delimiter: '\n'}, {Delimiter: 0xE9}, {Encoding: "ebcdic"},
		{Columns: -2}, {SkipLines: -1}, {LineEnding: "x"}, {Quote: '\r'},
	} {
		if _, err := NewReader(strings.NewReader("a"), d).Read(); core.CodeOf(err) != core.Invalid {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

func TestReaderMemoryDoesNotGrowWithTheFile(t *testing.T) {
	t.Parallel()
	line := []byte("1,some text,\"quoted\nover lines\",2026-11-24\n")
	r := NewReader(io.LimitReader(endless{line: line, at: new(int)}, int64(len(line))*500_000), DefaultDialect())
	n := 0
	for {
		if _, err := r.Read(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		n++
	}
	if n != 500_000 || len(r.buf) > firstBuffer {
		t.Errorf("%d records, buffer of %d", n, len(r.buf))
	}
}

// endless repeats a line for ever.
type endless struct {
	line []byte
	at   *int
}

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.line[*e.at:])
		*e.at = (*e.at + k) % len(e.line)
		n += k
	}
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for name, line := range map[string]string{
		"plain":  "1048576,Ana Example,ana@example.org,2026-11-24,29.00,true,Lisbon\n",
		"quoted": "1048576,\"Example, Ana\",\"a longer text with \"\"quotes\"\" and\na line end\",29.00\n",
		"short":  "1,2,3,4,5,6,7,8,9,10\n",
	} {
		b.Run(name, func(b *testing.B) {
			data := bytes.Repeat([]byte(line), 20_000)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(bytes.NewReader(data), DefaultDialect())
				for {
					if _, err := r.Read(); err != nil {
						break
					}
				}
				if r.Report().Records != 20_000 {
					b.Fatal(fmt.Sprint(r.Report()))
				}
			}
		})
	}
}

func TestReaderCountsAnEmptyLineAsRecordOrSkippedNeverBoth(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Report{
		"\n\na\n\nb\n":   {Records: 5},
		"\n\na,b\n\nc,d": {Records: 2, EmptyLines: 3},
	} {
		r := NewReader(strings.NewReader(in), DefaultDialect())
		mustReadAll(t, r)
		if diff := cmp.Diff(want, r.Report()); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}
