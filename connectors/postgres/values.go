package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// read is the expression that gives a column as text, behind an alias.
func (c *column) read(alias string) string {
	name := alias + "." + pgx.Identifier{c.name}.Sanitize()
	switch c.form {
	case sizeForm:
		return "octet_length(" + name + ")::text || ' bytes'"
	case arrayForm:
		return "to_json(" + name + ")::text"
	case moneyForm:
		return name + "::numeric::text"
	}
	return name + "::text"
}

// canonical makes the app's value of the server's text.
func (c *column) canonical(text string) core.Value {
	switch c.form {
	case timeForm:
		return core.TextValue(core.ISOTime(text))
	case floatForm:
		return core.TextValue(plainNumber(text))
	case listForm:
		return core.ListValue(splitArray(text))
	}
	return core.TextValue(text)
}

// plainNumber writes 1e+20 as 100000000000000000000.
func plainNumber(s string) string {
	if !strings.ContainsRune(s, 'e') {
		return s
	}
	v, err := core.CheckValue(core.Column{Type: core.Number}, core.TextValue(s))
	if err != nil {
		return s
	}
	return v.Text
}

// nullElement is how a null among the texts of an array is shown and typed. A text that is made of nothing but this sign gets one
// more of it, so that each comes back as what it was.
const nullElement = "\u2400"

func onlyNulls(s string) bool { return s != "" && strings.Trim(s, nullElement) == "" }

// splitArray reads an array literal of texts: {a,"b c",NULL}. Inner arrays are flattened; a null element is nullElement.
func splitArray(s string) []string {
	if i := strings.IndexByte(s, '='); strings.HasPrefix(s, "[") && i > 0 {
		s = s[i+1:] // bounds, as in [0:1]={a,b}
	}
	list := []string{}
	var b strings.Builder
	quoted, wasQuoted, any := false, false, false
	flush := func() {
		if any {
			e := b.String()
			if strings.EqualFold(e, "NULL") && !wasQuoted {
				e = nullElement
			} else if onlyNulls(e) {
				e += nullElement
			}
			list = append(list, e)
		}
		b.Reset()
		wasQuoted, any = false, false
	}
	for i := 0; i < len(s); i++ {
		ch := s[i]
		switch {
		case ch == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			any = true
		case ch == '"':
			quoted, wasQuoted, any = !quoted, true, true
		case quoted || ch != '{' && ch != '}' && ch != ',':
			b.WriteByte(ch)
			any = true
		case ch != '{':
			flush()
		}
	}
	return list
}

// literal is the text that the server is asked to cast; nil is null.
func (c *column) literal(v core.Value) (*string, error) {
	if v.IsNull() {
		return nil, nil
	}
	s := v.Text
	switch {
	case c.form == listForm:
		s = arrayLiteral(v.List)
	case c.form == arrayForm:
		var err error
		if s, err = arrayOfJSON(v.Text); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

func arrayLiteral(list []string) string {
	parts := make([]string, len(list))
	for i, e := range list {
		if e == nullElement {
			parts[i] = "NULL"
			continue
		}
		if onlyNulls(e) {
			e = strings.TrimSuffix(e, nullElement)
		}
		parts[i] = quotedElement(e)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quotedElement(e string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(e) + `"`
}

// arrayOfJSON turns [1,null,[2]] into an array literal.
func arrayOfJSON(doc string) (string, error) {
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	if list, ok := v.([]any); ok {
		return arrayOf(list)
	}
	return "", fmt.Errorf("an array such as [1, 2] is needed")
}

func arrayOf(list []any) (string, error) {
	parts := make([]string, len(list))
	for i, e := range list {
		switch e := e.(type) {
		case nil:
			parts[i] = "NULL"
		case []any:
			inner, err := arrayOf(e)
			if err != nil {
				return "", err
			}
			parts[i] = inner
		case map[string]any:
			return "", fmt.Errorf("an object does not fit in this array")
		default:
			parts[i] = quotedElement(fmt.Sprint(e))
		}
	}
	return "{" + strings.Join(parts, ",") + "}", nil
}

// same says whether two values of a column are equal for the server: 1.0 is 1.00, {"a":1} is {"a": 1}.
func (c *column) same(a, b core.Value) bool {
	if a.Equal(b) {
		return true
	}
	if !c.semantic || a.IsNull() || b.IsNull() {
		return false
	}
	if c.kind == core.JSON {
		return sameJSON(a.Text, b.Text)
	}
	return sameNumber(a.Text, b.Text)
}

func sameNumber(a, b string) bool {
	x, _, errX := apd.NewFromString(a)
	y, _, errY := apd.NewFromString(b)
	return errX == nil && errY == nil && x.Form == apd.Finite && y.Form == apd.Finite && x.Cmp(y) == 0
}

func sameJSON(a, b string) bool {
	x, errX := normalJSON(a)
	y, errY := normalJSON(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// normalJSON sorts keys, drops spaces and brings numbers to one form, so that equal documents are equal bytes.
func normalJSON(doc string) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(normalNumbers(v))
}

func normalNumbers(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = normalNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = normalNumbers(v[k])
		}
	case json.Number:
		if d, _, err := apd.NewFromString(v.String()); err == nil {
			d.Reduce(d)
			return json.Number(d.Text('E'))
		}
	}
	return v
}

// encodeID is a record's id: the key's text, or a JSON array of texts when it has several columns.
func encodeID(key []string) string {
	if len(key) == 1 {
		return key[0]
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(key) // texts can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// decodeID is the opposite of encodeID for this relation's key.
func (r *relation) decodeID(id string) ([]string, bool) {
	if len(r.key) == 1 {
		return []string{id}, true
	}
	var key []string
	if json.Unmarshal([]byte(id), &key) != nil || len(key) != len(r.key) {
		return nil, false
	}
	return key, true
}
