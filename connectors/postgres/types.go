package postgres

import (
	"regexp"
	"strings"

	"scratchpaper/internal/core"
)

// form is how a value is read from and written to the server's text.
type form int

const (
	plainForm form = iota // the server's text is the value
	timeForm              // a date and time: to_jsonb's spelling instead of the space
	floatForm             // may have an exponent
	listForm              // an array of texts, as an array literal
	arrayForm             // another array, shown as JSON
	sizeForm              // bytes: only their number is read
	moneyForm             // read as a number
)

// column is a column as this login sees it.
type column struct {
	name       string
	number     int
	kind       core.ColumnType
	options    core.ColumnOptions
	form       form
	cast       string // type to cast texts to, without length, so that too long texts are refused and not cut
	typeName   string
	writable   bool
	insertable bool
	whyNot     string
	insertOnly bool
	sequence   int64 // oid of the sequence that numbers it, 0 when none
	generated  bool
	always     bool // identity always: a value needs OVERRIDING
	uuid       bool
	mayReserve bool
	semantic   bool // equal values may have several texts
}

// columnType is what a type is to us.
type columnType struct {
	kind      core.ColumnType
	form      form
	writable  bool
	semantic  bool
	choices   []string
	maxLength int
	precision int
	scale     *int
	notNull   bool
	base      catalogType
	uuid      bool
}

// typeOf resolves domains and says what a type is to us. modifier is the column's own.
func (c *catalog) typeOf(oid int64, modifier int32) columnType {
	notNull, check := false, ""
	t := c.types[oid]
	for t.Kind == "d" {
		notNull = notNull || t.NotNull
		if check == "" {
			check = t.Check
		}
		if modifier < 0 {
			modifier = t.Modifier
		}
		t = c.types[t.Base]
	}
	ct := c.plainType(t, modifier)
	ct.base, ct.notNull = t, notNull
	if ct.kind == core.Text && len(ct.choices) == 0 && check != "" {
		if choices := checkedChoices(check); choices != nil {
			ct.kind, ct.choices = core.Choice, choices
		}
	}
	return ct
}

func (c *catalog) plainType(t catalogType, modifier int32) columnType {
	switch {
	case t.Kind == "e":
		return columnType{kind: core.Choice, writable: true, choices: t.Labels}
	case t.Kind == "r" || t.Kind == "m" || t.Kind == "":
		return columnType{kind: core.Text}
	case t.Category == "A" && t.Element != 0:
		return c.arrayType(t)
	case t.Schema == "pg_catalog":
		return builtInType(t.Name, modifier)
	case t.Name == "geometry" || t.Name == "geography":
		return columnType{kind: core.Text}
	}
	return columnType{kind: core.Text, writable: true} // citext, ltree, hstore and the like
}

func (c *catalog) arrayType(t catalogType) columnType {
	e := c.types[t.Element]
	for e.Kind == "d" {
		e = c.types[e.Base]
	}
	switch {
	case e.Kind == "e":
		return columnType{kind: core.Choices, form: listForm, writable: true, choices: e.Labels}
	case e.Category == "S":
		return columnType{kind: core.Choices, form: listForm, writable: true}
	case e.Kind != "b" || !builtInType(e.Name, -1).writable:
		return columnType{kind: core.Text}
	}
	return columnType{kind: core.JSON, form: arrayForm, writable: true, semantic: true}
}

func builtInType(name string, modifier int32) columnType {
	switch name {
	case "int2", "int4", "int8", "oid":
		scale := 0
		digits := map[string]int{"int2": 5, "int4": 10, "int8": 19, "oid": 10}[name]
		return columnType{kind: core.Number, writable: true, semantic: true, precision: digits, scale: &scale}
	case "numeric":
		return numericType(modifier)
	case "float4", "float8":
		return columnType{kind: core.Number, form: floatForm, writable: true, semantic: true}
	case "money":
		return columnType{kind: core.Number, form: moneyForm}
	case "bool":
		return columnType{kind: core.Checkbox, writable: true}
	case "date":
		return columnType{kind: core.Date, writable: true}
	case "timestamptz":
		return columnType{kind: core.DateTime, form: timeForm, writable: true}
	case "timestamp":
		return columnType{kind: core.LocalTime, form: timeForm, writable: true}
	case "json", "jsonb":
		return columnType{kind: core.JSON, writable: true, semantic: true}
	case "varchar", "bpchar":
		return columnType{kind: core.Text, writable: true, maxLength: max(0, int(modifier)-4)}
	case "uuid":
		return columnType{kind: core.Text, writable: true, uuid: true}
	case "bytea":
		return columnType{kind: core.Text, form: sizeForm}
	case "text", "name", "char", "time", "timetz", "interval", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit":
		return columnType{kind: core.Text, writable: true}
	}
	return columnType{kind: core.Text} // xml, tsvector, geometric and internal types
}

// numericType unpacks precision and scale; the scale has 11 bits and a sign since version 15.
func numericType(modifier int32) columnType {
	t := columnType{kind: core.Number, writable: true, semantic: true}
	if modifier >= 4 {
		m := modifier - 4
		scale := int((m&0x7ff)^1024) - 1024
		t.precision, t.scale = int(m>>16&0xffff), &scale
	}
	return t
}

var (
	choicePattern  = regexp.MustCompile(`^CHECK \(+(?:[^()']+\)?(?:::[a-z ]+)?) = ANY \(+ARRAY\[(.+)\](?:\)::[a-z ]+\[\])?\)+(?: NOT VALID)?$`)
	literalPattern = regexp.MustCompile(`^'((?:[^']|'')*)'(?:::[a-z ]+(?:\([0-9]+\))?)?(?:, |$)`)
)

// checkedChoices reads the values of a constraint that does nothing but list them, or gives nil. Postgres writes
// "x in ('a', 'b')" as CHECK ((x = ANY (ARRAY['a'::text, 'b'::text]))).
func checkedChoices(definition string) []string {
	m := choicePattern.FindStringSubmatch(definition)
	if m == nil {
		return nil
	}
	var choices []string
	for rest := m[1]; rest != ""; {
		l := literalPattern.FindStringSubmatch(rest)
		if l == nil {
			return nil
		}
		choices = append(choices, strings.ReplaceAll(l[1], "''", "'"))
		rest = rest[len(l[0]):]
	}
	return choices
}

// byName refines a text column by what its name says it holds.
func byName(name string, maxLength int) core.ColumnType {
	n := strings.ToLower(name)
	is := func(words ...string) bool {
		for _, w := range words {
			if n == w || strings.HasSuffix(n, "_"+w) {
				return true
			}
		}
		return false
	}
	switch {
	case is("url", "uri", "link", "website", "homepage", "href"):
		return core.URL
	case is("email", "e_mail", "mail"):
		return core.Email
	case is("markdown", "md"):
		return core.Markdown
	case (maxLength == 0 || maxLength > 500) && is("description", "notes", "body", "comment", "comments", "content", "summary", "bio", "abstract", "text"):
		return core.LongText
	}
	return core.Text
}
