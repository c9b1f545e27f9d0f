package csvfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSniffProposesHowToRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in        string
		delimiter byte
		quote     byte
		header    bool
		ending    LineEnding
	}{
		"commas":                              {"name,price\nkettle,29.00\npan,12.50\n", ',', '"', true, LF},
		"semicolons with decimal commas":      {"name;price\r\nkettle;29,00\r\npan;12,50\r\n", ';', '"', true, CRLF},
		"decimal commas and nothing else":     {"1,5;2,5\n3,5;4,5\n", ';', '"', false, LF},
		"tabs with commas in texts":           {"name\ttext\na\tone, two\nb\tone, two, three\n", '\t', '"', true, LF},
		"pipes":                               {"a|b\n1|2\n", '|', '"', true, LF},
		"lone CR":                             {"a,b\r1,2\r", ',', '"', true, CR},
		"commas in quotes":                    {"name;text\nx;\"a,b,c\"\ny;\"d,e,f\"\n", ';', '"', true, LF},
		"single quotes":                       {"id,text\n1,'a, b'\n2,'c, d, e'\n3,'f'\n", ',', '\'', true, LF},
		"inch marks that open nothing":        {"size\tname\n\"5 in\tx\n\"6 in\ty\n\"7 in\tz\n", '\t', 0, true, LF},
		"prose in one column":                 {"comment\nHello, world\nNo comma here\nOne, two, three\n", ',', '"', true, LF},
		"no header: numbers":                  {"1,2\n3,4\n", ',', '"', false, LF},
		"no header: a value comes again":      {"red,big\nblue,small\nred,small\n", ',', '"', false, LF},
		"no header: dates":                    {"2026-01-02,x\n2026-01-03,y\n", ',', '"', false, LF},
		"a header with an empty first corner": {",name,price\n0,kettle,29.00\n", ',', '"', true, LF},
		"nothing":                             {"", ',', '"', false, LF},
		"ragged records":                      {"a,b,c\n1,2,3\n4,5\n6,7,8\n", ',', '"', true, LF},
		"a line end in quotes":                {"a,b\n\"x\r\ny\",1\n", ',', '"', true, LF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Sniff([]byte(tt.in))
			want := Dialect{Encoding: UTF8, Delimiter: tt.delimiter, Quote: tt.quote, Header: tt.header, LineEnding: tt.ending, StripGuard: true}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSniffReadsTheSepLine(t *testing.T) {
	t.Parallel()
	in := "sep=;\r\na;b\r\n1,2;3\r\n"
	d := Sniff([]byte(in))
	if d.Delimiter != ';' || d.SkipLines != 1 {
		t.Fatalf("%+v", d)
	}
	r := NewReader(strings.NewReader(in), d)
	if diff := cmp.Diff([]string{"1,2|3"}, show(mustReadAll(t, r))); diff != "" {
		t.Error(diff)
	}
}

func TestSniffKnowsEncodingsByTheirBytes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want Encoding
	}{
		"ascii":                       {"a,b\n", UTF8},
		"utf-8":                       {"Größe\n", UTF8},
		"utf-8 cut in a character":    {"Größe Gr\xc3", UTF8},
		"utf-8 with one damaged byte": {"Größe é ü \xff\n", UTF8},
		"windows-1252":                {"Gr\xf6\xdfe\n", Windows1252},
		"utf-16le without a mark":     {"a\x00,\x00b\x00\n\x00", UTF16LE},
		"utf-16be without a mark":     {"\x00a\x00,\x00b\x00\n", UTF16BE},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Sniff([]byte(tt.in)).Encoding; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSniffIgnoresTheRecordThatTheHeadCutsOff(t *testing.T) {
	t.Parallel()
	in := "id;text\n" + strings.Repeat("1;\""+strings.Repeat("word, ", 3000)+"\"\n", 40)
	if d := Sniff([]byte(in)); d.Delimiter != ';' || d.Quote != '"' || !d.Header {
		t.Errorf("%+v", d)
	}
}
