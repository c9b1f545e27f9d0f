package csvfile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"scratchpaper/internal/core"
)

// Reading is one way to understand a column's values.
type Reading struct {
	Type    core.ColumnType `json:"type"`
	Options ValueOptions    `json:"options"`
}

// ColumnGuess is what the values of a column look like.
type ColumnGuess struct {
	Title      string          `json:"title"`
	Type       core.ColumnType `json:"type"` // text, longtext, number, checkbox, date, datetime, url or email
	Options    ValueOptions    `json:"options"`
	Confidence float64         `json:"confidence"` // 0 to 1: more values, more confidence; 0 for a column without any
	Examples   []string        `json:"examples"`   // up to three distinct values, shortened
	Note       string          `json:"note"`       // a sentence when a person should look, else empty
	Readings   []Reading       `json:"readings"`   // the ways to choose from when the values read two ways, else empty
}

// InferTypes guesses the type of every column from records without the header. A type other
// than text is guessed only when every value that is not blank fits it.
// Titles may be nil; records may be narrower than the table.
func InferTypes(titles []string, records [][]Field) []ColumnGuess {
	in := NewInference(titles)
	for _, rec := range records {
		in.Add(rec)
	}
	return in.Guesses()
}

// Inference is InferTypes record by record, in memory that does not grow with their number.
type Inference struct {
	titles  []string
	columns []*columnInference
}

// NewInference begins one; titles may be nil.
func NewInference(titles []string) *Inference {
	in := &Inference{titles: titles}
	in.widen(len(titles))
	return in
}

// Add looks at one record. It keeps nothing of it but shortened examples.
func (in *Inference) Add(fields []Field) {
	in.widen(len(fields))
	for i, f := range fields {
		in.columns[i].add(f.Text)
	}
}

func (in *Inference) widen(n int) {
	for len(in.columns) < n {
		in.columns = append(in.columns, newColumnInference())
	}
}

// Guesses returns a guess for each column from what was added so far.
func (in *Inference) Guesses() []ColumnGuess {
	header := make([]Field, len(in.titles))
	for i, t := range in.titles {
		header[i].Text = t
	}
	titles := Titles(header, len(in.columns))
	guesses := make([]ColumnGuess, len(in.columns))
	for i, c := range in.columns {
		guesses[i] = c.guess()
		guesses[i].Title = titles[i]
	}
	return guesses
}

// candidate is a reading under trial.
type candidate struct {
	Reading
	fits, misses int
	misfit       string // the first value that did not fit, shortened
	given        bool   // given up: too many misses to be worth a note
}

// worthANote bounds the misses, as a share and a number, up to which a type that nearly fits is told.
const worthANote = 10

func (c *candidate) try(s string) (string, bool) {
	if c.given {
		return "", false
	}
	v, ok := c.read(s)
	if ok {
		c.fits++
		return v, true
	}
	if c.misses == 0 {
		c.misfit = shorten(s)
	}
	c.misses++
	c.given = c.misses > worthANote && c.misses*worthANote > c.fits
	return "", false
}

func (c *candidate) read(s string) (string, bool) {
	if c.Type == core.Number && !isSafeNumber(s) {
		return "", false
	}
	if c.Type == core.Checkbox {
		_, ok := checkboxPair(s)
		return s, ok
	}
	return parseAs(c.Type, s, c.Options)
}

func (c *candidate) holds() bool { return c.fits > 0 && c.misses == 0 }

// safeDigits is what every program keeps of a whole number; longer ones are identifiers.
const safeDigits = 15

// isSafeNumber refuses what becomes another text as a number: 007, +49 151, identifiers of more
// than 15 digits, and codes such as 12E3.
func isSafeNumber(s string) bool {
	if s[0] == '+' {
		return false
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "\u2212")
	if len(s) > 1 && s[0] == '0' && s[1] != '.' && s[1] != ',' {
		return false
	}
	if strings.ContainsAny(s, "eE") && !strings.ContainsAny(s, ".,") {
		return false
	}
	whole := strings.TrimRight(s, "0123456789")
	if strings.ContainsAny(whole, ".,") && strings.Count(s, ".")+strings.Count(s, ",") == 1 {
		s = whole // the digits behind a single point or comma cost nothing
	}
	digits := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			digits++
		}
	}
	return digits <= safeDigits
}

// checkboxPair returns the two words that a value is one of. 1 and 0 count as numbers.
func checkboxPair(s string) (string, bool) {
	s = strings.ToLower(s)
	for _, pair := range []string{"true/false", "yes/no", "y/n", "t/f", "on/off"} {
		a, b, _ := strings.Cut(pair, "/")
		if s == a || s == b {
			return pair, true
		}
	}
	return "", false
}

// looksTyped tells whether a value on its own looks like more than text.
func looksTyped(s string) bool {
	s = trimBlank(s)
	if s == "" || len(s) > longestDate {
		return isURL(s)
	}
	for _, c := range candidates() {
		if c.Type == core.Checkbox && !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
			continue
		}
		if _, ok := c.read(s); ok {
			return true
		}
	}
	return allDigits(s)
}

func candidates() []*candidate {
	var all []*candidate
	add := func(t core.ColumnType, o ValueOptions) {
		all = append(all, &candidate{Reading: Reading{Type: t, Options: o}})
	}
	add(core.Number, ValueOptions{Decimal: '.'})
	add(core.Number, ValueOptions{Decimal: ','})
	add(core.Date, ValueOptions{Order: DayFirst})
	add(core.Date, ValueOptions{Order: MonthFirst})
	add(core.DateTime, ValueOptions{Order: DayFirst})
	add(core.DateTime, ValueOptions{Order: MonthFirst})
	add(core.Checkbox, ValueOptions{})
	add(core.URL, ValueOptions{})
	add(core.Email, ValueOptions{})
	return all
}

type columnInference struct {
	values     int // not blank
	long       bool
	examples   []string
	candidates []*candidate
	differ     map[core.ColumnType]string // a value that the two readings of a type read differently
	words      map[string]bool            // the checkbox words met, at most ten
}

func newColumnInference() *columnInference {
	return &columnInference{candidates: candidates(), differ: map[core.ColumnType]string{}, words: map[string]bool{}}
}

const (
	longRunes    = 200 // a text that is longer wants a large editor
	examplesKept = 3
)

func (c *columnInference) add(text string) {
	s := trimBlank(text)
	if s == "" {
		return
	}
	c.values++
	c.long = c.long || strings.ContainsAny(s, "\r\n") || (len(s) > longRunes && utf8.RuneCountInString(s) > longRunes)
	if short := shorten(s); len(c.examples) < examplesKept && !slices.Contains(c.examples, short) {
		c.examples = append(c.examples, short)
	}
	if _, ok := checkboxPair(s); ok {
		c.words[strings.ToLower(s)] = true
	}
	c.tryAll(s)
}

// tryAll tries the candidates; the two readings of a type stand side by side.
func (c *columnInference) tryAll(s string) {
	before, beforeOK := "", false
	for i, k := range c.candidates {
		v, ok := k.try(s)
		if i > 0 && c.candidates[i-1].Type == k.Type && ok && beforeOK && v != before && c.differ[k.Type] == "" {
			c.differ[k.Type] = shorten(s)
		}
		before, beforeOK = v, ok
	}
}

func (c *columnInference) guess() ColumnGuess {
	g := ColumnGuess{Type: core.Text, Examples: slices.Clone(c.examples)}
	if c.long {
		g.Type = core.LongText
	}
	if c.values == 0 {
		return g
	}
	g.Confidence = 1 - 1/float64(c.values+1)
	readings := c.readings()
	switch {
	case len(readings) == 0:
		g.Note = c.nearly()
	case len(readings) == 1 || c.differ[readings[0].Type] == "":
		g.Type, g.Options = readings[0].Type, readings[0].Options
		if len(readings) > 1 {
			g.Options.Order = "" // every value has one meaning whatever the order, as 2026-11-24 has
		}
	default:
		g.Readings = readings
		g.Note = c.twoWays(readings)
	}
	return g
}

// readings returns what every value fits: nothing, one reading, or the two of one type.
func (c *columnInference) readings() []Reading {
	var fit []Reading
	for _, k := range c.candidates {
		if !k.holds() || (k.Type == core.Checkbox && !c.isCheckbox()) || (len(fit) > 0 && fit[0].Type != k.Type) {
			continue
		}
		fit = append(fit, k.Reading)
	}
	return fit
}

// isCheckbox wants both words of one pair, since a column of nothing but "no" may be Norway;
// only true and false speak for themselves.
func (c *columnInference) isCheckbox() bool {
	pairs := map[string]bool{}
	for w := range c.words {
		pair, _ := checkboxPair(w)
		pairs[pair] = true
	}
	return len(pairs) == 1 && (pairs["true/false"] || len(c.words) == 2)
}

// twoWays says how an example reads either way.
func (c *columnInference) twoWays(readings []Reading) string {
	s := c.differ[readings[0].Type]
	a, _ := parseAs(readings[0].Type, s, readings[0].Options)
	b, _ := parseAs(readings[1].Type, s, readings[1].Options)
	return fmt.Sprintf("“%s” reads two ways, as %s and as %s; kept as text until somebody chooses.", s, a, b)
}

// nearly names the type that all but a few values fit.
func (c *columnInference) nearly() string {
	for _, k := range c.candidates {
		if k.given || k.misses == 0 || k.fits < k.misses*worthANote || k.Type == core.Checkbox {
			continue
		}
		return fmt.Sprintf("%d of %d values fit a %s column; “%s” does not.", k.fits, c.values, k.Type.Word(), k.misfit)
	}
	return ""
}
