package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Value is one cell as it crosses a border of the program: null, a text (canonical for its type: a plain decimal,
// true or false, an ISO date, a JSON document …) or a list of texts. The zero Value is null.
type Value struct {
	set  bool
	Text string
	List []string // for list types; nil otherwise
}

// NullValue is null.
var NullValue = Value{}

// TextValue makes a value from its canonical text.
func TextValue(s string) Value { return Value{set: true, Text: s} }

// ListValue makes a value of a list type; nil counts as an empty list.
func ListValue(l []string) Value {
	if l == nil {
		l = []string{}
	}
	return Value{set: true, List: l}
}

// EachReference gives the value of a column of a type with to applied to each reference in it; of other types, and null, it is as it was.
func (v Value) EachReference(t ColumnType, to func(id string) string) Value {
	switch {
	case v.IsNull():
	case t == Reference:
		return TextValue(to(v.Text))
	case t == References:
		list := make([]string, len(v.List))
		for i, id := range v.List {
			list[i] = to(id)
		}
		return ListValue(list)
	}
	return v
}

// IsNull says whether v is null.
func (v Value) IsNull() bool { return !v.set }

// Canonical gives v as it stands in jsonb columns and hints: see the column types.
func (v Value) Canonical(t ColumnType) json.RawMessage {
	switch {
	case !v.set:
		return json.RawMessage("null")
	case t.IsList():
		return mustJSON(v.List)
	case t == JSON:
		return json.RawMessage("[" + v.Text + "]")
	case t == Number && numberPattern.MatchString(v.Text), t == Checkbox && (v.Text == "true" || v.Text == "false"):
		return json.RawMessage(v.Text)
	}
	return mustJSON(v.Text)
}

// API gives v as the JSON API shows it: as Canonical, but a JSON document stands for itself.
func (v Value) API(t ColumnType) json.RawMessage {
	if v.set && t == JSON {
		return json.RawMessage(v.Text)
	}
	return v.Canonical(t)
}

// Equal compares two values of the same column.
func (v Value) Equal(w Value) bool {
	if v.set != w.set || v.Text != w.Text || len(v.List) != len(w.List) {
		return false
	}
	for i := range v.List {
		if v.List[i] != w.List[i] {
			return false
		}
	}
	return true
}

// Plain gives v as a person reads it on one line; null is "".
func (v Value) Plain() string {
	if v.List != nil {
		return strings.Join(v.List, ", ")
	}
	return v.Text
}

// FromCanonical reads what Canonical wrote. It trusts the database and does not check the value against the type's rules.
func FromCanonical(t ColumnType, raw json.RawMessage) (Value, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return NullValue, nil
	}
	switch {
	case t.IsList():
		var l []string
		if err := json.Unmarshal(raw, &l); err != nil {
			return NullValue, fmt.Errorf("list: %w", err)
		}
		return ListValue(l), nil
	case t == JSON:
		if len(raw) < 2 || raw[0] != '[' {
			return NullValue, fmt.Errorf("json: not wrapped")
		}
		return TextValue(string(bytes.TrimSpace(raw[1 : len(raw)-1]))), nil
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return NullValue, fmt.Errorf("text: %w", err)
		}
		return TextValue(s), nil
	}
	return TextValue(string(raw)), nil
}

// FromAPI reads a value that a client sent for a column and checks it against the column's type. The error is Invalid,
// with a sentence that says what would fit.
func FromAPI(c Column, raw json.RawMessage) (Value, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return NullValue, Errorf(Malformed, "A value is missing.")
	}
	if bytes.Equal(raw, []byte("null")) {
		return CheckValue(c, NullValue)
	}
	if c.Type == JSON {
		return CheckValue(c, TextValue(string(raw)))
	}
	switch raw[0] {
	case '[':
		if !c.Type.IsList() {
			return NullValue, misfit(c, "a list")
		}
		var l []string
		if err := json.Unmarshal(raw, &l); err != nil {
			return NullValue, Errorf(Invalid, "%s takes a list of texts.", c.Title)
		}
		return CheckValue(c, ListValue(l))
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return NullValue, Errorf(Malformed, "The value of %s is not readable JSON.", c.Title)
		}
		if c.Type == Number || c.Type == Checkbox || c.Type.IsList() {
			if c.Type == Number { // numbers=string clients send them back as text
				return CheckValue(c, TextValue(s))
			}
			return NullValue, misfit(c, "a text")
		}
		return CheckValue(c, TextValue(s))
	case '{':
		return NullValue, misfit(c, "an object")
	case 't', 'f':
		if c.Type != Checkbox {
			return NullValue, misfit(c, string(raw))
		}
	default:
		if c.Type != Number {
			return NullValue, misfit(c, "a number")
		}
	}
	return CheckValue(c, TextValue(string(raw)))
}

func misfit(c Column, got string) *Error {
	return Errorf(Invalid, "%s is a %s; %s does not fit.", c.Title, c.Type.Word(), got)
}

// Word gives the type's name as the page says it.
func (t ColumnType) Word() string {
	switch t {
	case LongText:
		return "long text"
	case Choices:
		return "multiple choice"
	case DateTime, LocalTime:
		return "date and time"
	case Images:
		return "image list"
	case JSON:
		return "JSON document"
	case References:
		return "list of references"
	}
	return string(t)
}

// FromInput reads what a person typed or pasted into a cell of a column. An empty input is null for every type that has
// no empty text of its own, and "" for text types that cannot be null at the service. The error is Invalid.
func FromInput(c Column, s string) (Value, error) {
	t := strings.TrimSpace(s)
	switch {
	case t == "" && c.Type.IsText() && s == "":
		if c.Options.Required && c.Type != Choice && c.Type != Reference {
			return CheckValue(c, TextValue(""))
		}
		return CheckValue(c, NullValue)
	case t == "" && !c.Type.IsText():
		return CheckValue(c, NullValue)
	}
	switch c.Type {
	case Number:
		return CheckValue(c, TextValue(normaliseNumber(t)))
	case Checkbox:
		switch strings.ToLower(t) {
		case "true", "t", "yes", "y", "1", "on", "x", "✓", "checked":
			return TextValue("true"), nil
		case "false", "f", "no", "n", "0", "off", "unchecked":
			return TextValue("false"), nil
		}
		return NullValue, Errorf(Invalid, "%s is a checkbox: type true or false.", c.Title)
	case Choices, References, Images:
		return CheckValue(c, ListValue(splitList(t)))
	case Choice:
		return CheckValue(c, TextValue(matchChoice(c, t)))
	case Date, DateTime, LocalTime, URL, Email, Reference, JSON:
		return CheckValue(c, TextValue(t))
	}
	return CheckValue(c, TextValue(s))
}

func matchChoice(c Column, s string) string {
	for _, ch := range c.Options.Choices {
		if ch == s {
			return s
		}
	}
	for _, ch := range c.Options.Choices {
		if strings.EqualFold(ch, s) {
			return ch
		}
	}
	return s
}

func splitList(s string) []string {
	if strings.HasPrefix(s, "[") {
		var l []string
		if json.Unmarshal([]byte(s), &l) == nil {
			return l
		}
	}
	out := []string{}
	for _, p := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' || r == ';' }) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

var (
	numberPattern   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	thousandPattern = regexp.MustCompile(`^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$`)
	emailPattern    = regexp.MustCompile(`^[^\s@]+@[^\s@]+$`)
)

// normaliseNumber turns ways of typing a number into a plain decimal, and leaves alone what it does not know.
func normaliseNumber(s string) string {
	s = strings.NewReplacer("\u00a0", "", "\u202f", "", " ", "", "\u2212", "-", "_", "").Replace(s)
	if thousandPattern.MatchString(s) {
		s = strings.ReplaceAll(s, ",", "")
	}
	s = strings.TrimPrefix(s, "+")
	neg := strings.HasPrefix(s, "-")
	digits := strings.TrimPrefix(s, "-")
	if strings.HasPrefix(digits, ".") {
		digits = "0" + digits
	}
	digits = strings.TrimSuffix(digits, ".")
	if i := strings.IndexByte(digits, '.'); i != 0 {
		for len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			digits = digits[1:]
		}
	}
	if neg {
		return "-" + digits
	}
	return digits
}

// MaxCellBytes is the largest text a cell takes: what a window, a diff and a statement still handle.
const MaxCellBytes = 8 << 20

// MaxNumberDigits bounds a number's digits before and after the point; Postgres numeric takes 131,072 and 16,383.
const MaxNumberDigits = 1000

// CheckValue checks a value against the column's type and brings it into canonical form. A value that does not fit is
// never stored; the error is Invalid, with a sentence that says what would fit. Null is always a value here: a service
// that refuses it says so in the plan's checks.
func CheckValue(c Column, v Value) (Value, error) {
	if v.IsNull() {
		return v, nil
	}
	if err := checkText(c, v.Text); err != nil {
		return NullValue, err
	}
	for _, s := range v.List {
		if err := checkText(c, s); err != nil {
			return NullValue, err
		}
	}
	switch c.Type {
	case Number:
		return checkNumber(c, v.Text)
	case Checkbox:
		if v.Text != "true" && v.Text != "false" {
			return NullValue, Errorf(Invalid, "%s takes true or false.", c.Title)
		}
	case Date:
		return checkDate(c, v.Text)
	case DateTime:
		return checkTime(c, v.Text, true)
	case LocalTime:
		return checkTime(c, v.Text, false)
	case Choice:
		return v, checkChoices(c, []string{v.Text})
	case Choices:
		return v, checkChoices(c, v.List)
	case JSON:
		return checkJSON(c, v.Text)
	case URL:
		if !strings.Contains(v.Text, ":") && v.Text != "" || strings.ContainsAny(v.Text, " \n\t") {
			return NullValue, Errorf(Invalid, "%s takes an address such as https://example.org.", c.Title)
		}
	case Email:
		if v.Text != "" && !emailPattern.MatchString(v.Text) {
			return NullValue, Errorf(Invalid, "%s takes an e-mail address such as ana@example.org.", c.Title)
		}
	}
	if n := c.Options.MaxLength; n > 0 && c.Type.IsText() && utf8.RuneCountInString(v.Text) > n {
		return NullValue, Errorf(Invalid, "%s takes at most %d characters; this has %d.", c.Title, n, utf8.RuneCountInString(v.Text))
	}
	return v, nil
}

func checkText(c Column, s string) error {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return Errorf(Invalid, "%s: a text cannot hold the NUL character.", c.Title)
	case !utf8.ValidString(s):
		return Errorf(Invalid, "%s: the text is not valid UTF-8.", c.Title)
	case len(s) > MaxCellBytes:
		return Errorf(Invalid, "%s: the text is longer than 8 MB.", c.Title)
	}
	return nil
}

func checkChoices(c Column, got []string) error {
	if c.Options.OpenChoices || len(c.Options.Choices) == 0 {
		return nil
	}
	for _, g := range got {
		found := false
		for _, ch := range c.Options.Choices {
			found = found || ch == g
		}
		if !found {
			return Errorf(Invalid, "%s takes %s; “%s” is none of them.", c.Title, choicesWords(c.Options.Choices), short(g))
		}
	}
	return nil
}

// namedChoices is how many choices a refusal names; more are a wall that nobody reads.
const namedChoices = 6

func choicesWords(all []string) string {
	if len(all) > namedChoices {
		return fmt.Sprintf("%s and %d others", strings.Join(all[:namedChoices], ", "), len(all)-namedChoices)
	}
	return "one of: " + strings.Join(all, ", ")
}

func checkNumber(c Column, s string) (Value, error) {
	if s == "NaN" || s == "Infinity" || s == "-Infinity" {
		return TextValue(s), nil
	}
	bounded := c.Options.Scale != nil && c.Options.Precision > 0
	if !bounded && isPlainNumber(s) {
		return TextValue(s), nil
	}
	if !numberPattern.MatchString(s) {
		return NullValue, Errorf(Invalid, "%s takes a number such as 29.00; “%s” is not one.", c.Title, short(s))
	}
	mant, exp, hasExp := strings.Cut(strings.ToLower(s), "e")
	if hasExp {
		n, err := strconv.Atoi(exp)
		if err != nil || n > MaxNumberDigits || n < -MaxNumberDigits {
			return NullValue, Errorf(Invalid, "%s: that number has more than %d digits.", c.Title, MaxNumberDigits)
		}
		mant = shiftPoint(mant, n)
	}
	if len(mant) > 2*MaxNumberDigits {
		return NullValue, Errorf(Invalid, "%s: that number has more than %d digits.", c.Title, MaxNumberDigits)
	}
	if bounded {
		whole, _, _ := strings.Cut(strings.TrimPrefix(mant, "-"), ".")
		if room := c.Options.Precision - *c.Options.Scale; len(strings.TrimLeft(whole, "0")) > room {
			return NullValue, Errorf(Invalid, "%s takes at most %d digits before the point.", c.Title, room)
		}
	}
	if mant == "-0" {
		mant = "0"
	}
	return TextValue(mant), nil
}

// shiftPoint moves the decimal point of a plain decimal by n places.
func shiftPoint(mant string, n int) string {
	neg := strings.HasPrefix(mant, "-")
	whole, frac, _ := strings.Cut(strings.TrimPrefix(mant, "-"), ".")
	if n >= 0 {
		if len(frac) < n {
			frac += strings.Repeat("0", n-len(frac))
		}
		whole, frac = whole+frac[:n], frac[n:]
	} else {
		if len(whole) <= -n {
			whole = strings.Repeat("0", -n-len(whole)+1) + whole
		}
		whole, frac = whole[:len(whole)+n], whole[len(whole)+n:]+frac
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	out := whole
	if frac != "" {
		out += "." + frac
	}
	if neg && strings.Trim(out, "0.") != "" {
		out = "-" + out
	}
	return out
}

func checkDate(c Column, s string) (Value, error) {
	if IsPlainDay(s) || s == "infinity" || s == "-infinity" {
		return TextValue(s), nil
	}
	if t, clock, ok := readEra(s); ok && !clock && held(t, lastDateYear) {
		return TextValue(canonicalDay(t)), nil
	}
	return NullValue, Errorf(Invalid, "%s takes a date such as 2026-11-24; “%s” is not one.", c.Title, short(s))
}

var zonedLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04:05.999999999Z07"}
var localLayouts = []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

func checkTime(c Column, s string, zoned bool) (Value, error) {
	if s == "infinity" || s == "-infinity" {
		return TextValue(s), nil
	}
	zone := ""
	if zoned {
		zone = "+00:00"
	}
	if isPlainTime(s, zone) {
		return TextValue(s), nil
	}
	t, ok := readTime(s, zoned)
	if ok && held(t, lastTimeYear) {
		return TextValue(canonicalTime(t, zone)), nil
	}
	example := "2026-11-24 10:30"
	if zoned {
		example = "2026-11-24T10:30:00Z"
	}
	return NullValue, Errorf(Invalid, "%s takes a date and time such as %s; “%s” is not one.", c.Title, example, short(s))
}

// readTime reads a time; without a zone it is in UTC.
func readTime(s string, zoned bool) (time.Time, bool) {
	if strings.HasPrefix(s, "0000-") {
		return time.Time{}, false // there was no such year
	}
	layouts := localLayouts
	if zoned {
		layouts = append(slices.Clone(zonedLayouts), localLayouts...)
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return t.UTC(), true
		}
	}
	if m := eraPattern.FindStringSubmatch(s); m == nil || !zoned && m[5] != "" {
		return time.Time{}, false
	}
	t, _, ok := readEra(s)
	return t, ok
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// mustJSON encodes texts and lists of texts, which cannot fail; HTML signs stay as they are.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// SameNumber compares two plain decimals by value: 29 and 29.00 are the same.
func SameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

// SameJSON compares two JSON documents by what they hold, whatever their spacing and the order of keys.
func SameJSON(a, b string) bool {
	var x, y any
	read := func(s string, into *any) error {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		return d.Decode(into)
	}
	if a == b {
		return true
	}
	return read(a, &x) == nil && read(b, &y) == nil && reflect.DeepEqual(x, y)
}

// ISOTime turns an instant or a local time as PostgreSQL writes it, "2026-11-24 08:00:00+00", into "2026-11-24T08:00:00+00:00", as a
// Value has it and to_jsonb writes it.
func ISOTime(s string) string {
	at := strings.IndexByte(s, ' ')
	if at < 0 {
		return s // infinity
	}
	rest, era := s[at+1:], ""
	if strings.HasSuffix(rest, " BC") {
		rest, era = strings.TrimSuffix(rest, " BC"), " BC"
	}
	if strings.HasSuffix(rest, "+00") {
		rest += ":00"
	}
	return s[:at] + "T" + rest + era
}
