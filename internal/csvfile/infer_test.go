package csvfile

import (
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
)

func column(values ...string) [][]Field {
	var records [][]Field
	for _, v := range values {
		records = append(records, []Field{{Text: v}})
	}
	return records
}

func TestInferTypesGuessesOnlyWhatEveryValueFits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values []string
		want   core.ColumnType
		note   string
	}{
		"whole numbers":                {[]string{"1", "-20", "", "300"}, core.Number, ""},
		"decimals":                     {[]string{"29.00", "0.5", "-1.25"}, core.Number, ""},
		"groups and a point":           {[]string{"1,234.5", "12"}, core.Number, ""},
		"groups and a comma":           {[]string{"1.234,5", "12"}, core.Number, ""},
		"thousands or thousandths":     {[]string{"1,234", "12"}, core.Text, "reads two ways, as 1234 and as 1.234"},
		"leading zeros":                {[]string{"007", "1"}, core.Text, ""},
		"telephone numbers":            {[]string{"+4915112345678"}, core.Text, ""},
		"long identifiers":             {[]string{"1234567890123456"}, core.Text, ""},
		"many digits behind the point": {[]string{"0.12345678901234567890"}, core.Number, ""},
		"codes like 12E3":              {[]string{"12E3", "13E4"}, core.Text, ""},
		"one that is no number":        {append(strings.Split(strings.Repeat("1 ", 30), " "), "n/a"), core.Text, "30 of 31 values fit a number column; “n/a” does not."},
		"not a number":                 {[]string{"NaN", "Infinity"}, core.Text, ""},
		"true and false":               {[]string{"TRUE", "false"}, core.Checkbox, ""},
		"only true":                    {[]string{"true", "true"}, core.Checkbox, ""},
		"yes and no":                   {[]string{"yes", "No"}, core.Checkbox, ""},
		"only Norway":                  {[]string{"NO", "NO"}, core.Text, ""},
		"words of two pairs":           {[]string{"yes", "false"}, core.Text, ""},
		"one and zero":                 {[]string{"1", "0"}, core.Number, ""},
		"dates":                        {[]string{"2026-11-24", "2026/1/2"}, core.Date, ""},
		"days that cannot be months":   {[]string{"24/11/2026", "01/02/2026"}, core.Date, ""},
		"months that cannot be days":   {[]string{"11/24/2026", "01/02/2026"}, core.Date, ""},
		"dates that read two ways":     {[]string{"01/02/2026"}, core.Text, "reads two ways, as 2026-02-01 and as 2026-01-02"},
		"dates alike both ways":        {[]string{"02/02/2026"}, core.Date, ""},
		"both orders in one column":    {[]string{"24/11/2026", "11/24/2026"}, core.Text, ""},
		"days with dots":               {[]string{"01.02.2026"}, core.Date, ""},
		"named months":                 {[]string{"2 Jan 2026", "Feb 3, 2026"}, core.Date, ""},
		"a day that is not":            {[]string{"2026-02-30"}, core.Text, ""},
		"years of two digits":          {[]string{"24/11/26"}, core.Text, ""},
		"instants":                     {[]string{"2026-11-24T08:00:00Z", "2026-11-24 08:00"}, core.DateTime, ""},
		"instants that read two ways":  {[]string{"01/02/2026 10:00"}, core.Text, "reads two ways"},
		"dates and instants":           {[]string{"2026-11-24", "2026-11-24 08:00"}, core.Text, ""},
		"addresses":                    {[]string{"https://example.org/a?b=c", "HTTP://x.example"}, core.URL, ""},
		"e-mail":                       {[]string{"ana@example.org"}, core.Email, ""},
		"a list of e-mail":             {[]string{"a@example.org, b@example.org"}, core.Text, ""},
		"lines":                        {[]string{"a\nb"}, core.LongText, ""},
		"nothing":                      {[]string{"", " "}, core.Text, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := InferTypes(nil, column(tt.values...))[0]
			if g.Type != tt.want || !strings.Contains(g.Note, tt.note) || (tt.note == "" && g.Note != "") {
				t.Errorf("got %s, note %q", g.Type, g.Note)
			}
			if strings.Contains(tt.note, "two ways") != (len(g.Readings) == 2) {
				t.Errorf("readings %v", g.Readings)
			}
			for _, v := range tt.values {
				if _, err := Parse(g.Type, Field{Text: v}, g.Options); err != nil {
					t.Errorf("a value of the column does not parse: %v", err)
				}
			}
		})
	}
}

func TestInferTypesNamesColumnsAndShowsExamples(t *testing.T) {
	t.Parallel()
	records := [][]Field{{{Text: "x"}, {Text: "1"}}, {{Text: "x"}}, {{Text: strings.Repeat("é", 100)}, {Text: "2"}, {Text: "more"}}}
	g := InferTypes([]string{"Name"}, records)
	if len(g) != 3 || g[0].Title != "Name" || g[2].Title != "Column 3" {
		t.Fatalf("%+v", g)
	}
	if want := strings.Repeat("é", 60) + "…"; len(g[0].Examples) != 2 || g[0].Examples[1] != want {
		t.Errorf("examples %q", g[0].Examples)
	}
	if empty := InferTypes([]string{"a"}, nil)[0]; empty.Confidence != 0 {
		t.Errorf("confident without a value: %+v", empty)
	}
	if g[1].Confidence <= g[2].Confidence {
		t.Errorf("two values give %v, one gives %v", g[1].Confidence, g[2].Confidence)
	}
}

func TestParseGivesTheCanonicalForm(t *testing.T) {
	t.Parallel()
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	comma := ValueOptions{Decimal: ','}
	tests := []struct {
		t        core.ColumnType
		in, want string
		o        ValueOptions
	}{
		{core.Text, " as it is ", " as it is ", ValueOptions{}},
		{core.Number, " 1,234.50 ", "1234.50", ValueOptions{}},
		{core.Number, "1.234,50", "1234.50", comma},
		{core.Number, "1\u202f234,5", "1234.5", comma},
		{core.Number, "1'234.5", "1234.5", ValueOptions{}},
		{core.Number, "\u22125", "-5", ValueOptions{}},
		{core.Number, "007", "7", ValueOptions{}},
		{core.Number, "+7", "7", ValueOptions{}},
		{core.Number, ".5", "0.5", ValueOptions{}},
		{core.Number, "-0.00", "0.00", ValueOptions{}},
		{core.Number, "1.5E+3", "1500", ValueOptions{}},
		{core.Number, "12345678901234567890.123", "12345678901234567890.123", ValueOptions{}},
		{core.Number, "", "", ValueOptions{}},
		{core.Checkbox, "Yes", "true", ValueOptions{}},
		{core.Checkbox, "0", "false", ValueOptions{}},
		{core.Date, "24/11/2026", "2026-11-24", ValueOptions{}},
		{core.Date, "3/4/2026", "2026-04-03", ValueOptions{Order: DayFirst}},
		{core.Date, "3/4/2026", "2026-03-04", ValueOptions{Order: MonthFirst}},
		{core.DateTime, "2026-11-24T09:00:00.1234567+01:00", "2026-11-24T08:00:00.123456+00:00", ValueOptions{}},
		{core.DateTime, "2026-11-24 09:00", "2026-11-24T08:00:00+00:00", ValueOptions{Zone: madrid}},
		{core.DateTime, "24.11.2026, 09:00", "2026-11-24T09:00:00+00:00", ValueOptions{}},
		{core.DateTime, "11/24/2026 9:05 pm", "2026-11-24T21:05:00+00:00", ValueOptions{}},
		{core.DateTime, "2026-11-24 09:00:00 UTC", "2026-11-24T09:00:00+00:00", ValueOptions{Zone: madrid}},
		{core.URL, " https://example.org ", "https://example.org", ValueOptions{}},
	}
	for _, tt := range tests {
		if got, err := Parse(tt.t, Field{Text: tt.in}, tt.o); err != nil || got != tt.want {
			t.Errorf("%s %q: got %q, %v; want %q", tt.t, tt.in, got, err, tt.want)
		}
	}
}

func TestParseRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		t  core.ColumnType
		in string
	}{
		{core.Number, "1,23"}, {core.Number, "1,2345"}, {core.Number, "0,123"}, {core.Number, "1.2.3"}, {core.Number, "."},
		{core.Number, "-"}, {core.Number, "12 €"}, {core.Number, "1e99999"}, {core.Number, "--1"}, {core.Number, "1 234,567"},
		{core.Number, "e5"}, {core.Number, "5."}, {core.Checkbox, "maybe"}, {core.Date, "01/02/2026"}, {core.Date, "2026-13-01"},
		{core.Date, "0000-01-01"}, {core.Date, "20260102"}, {core.DateTime, "2026-11-24"}, {core.DateTime, "2026-11-24 25:00"},
		{core.DateTime, "10:00"}, {core.URL, "ftp://example.org"}, {core.URL, "https://"}, {core.Email, "a@b"}, {core.Email, "@example.org"}, {core.Email, "a@\fb.c"},
		{core.Choice, "x"},
	}
	for _, tt := range tests {
		if got, err := Parse(tt.t, Field{Text: tt.in}, ValueOptions{}); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s %q: got %q, %v", tt.t, tt.in, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1,234.5", "24/11/2026", "2026-11-24T08:00:00Z", "yes", "https://example.org", "a@b.cd", "1.5E+3", "١٢"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s, _ = repairText(s) // as a Reader hands it over
		for _, k := range candidates() {
			v, err := Parse(k.Type, Field{Text: s}, k.Options)
			if err != nil || v == "" {
				continue
			}
			checked, err := core.CheckValue(core.Column{Type: k.Type, Title: "x"}, core.TextValue(v))
			if err != nil || checked.Text != v {
				t.Errorf("%s: %q became %q, which is not canonical: %q, %v", k.Type, s, v, checked.Text, err)
			}
		}
		g := InferTypes(nil, column(s))[0]
		if _, err := Parse(g.Type, Field{Text: s}, g.Options); err != nil {
			t.Errorf("guessed %s for %q: %v", g.Type, s, err)
		}
	})
}
