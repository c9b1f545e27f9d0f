package wordpress

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// object is a record as the site gives it.
type object map[string]any

// at gives what stands at a path, nil when nothing does.
func (o object) at(path []string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, ok := v.(map[string]any) // PHP writes an empty object as []
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// id gives the record's id, "" when it has none.
func (o object) id() string {
	n, ok := o["id"].(json.Number)
	if !ok {
		return ""
	}
	return n.String()
}

func (o object) text(key string) string {
	v, _ := o[key].(string)
	return v
}

// value reads a field in its canonical form.
func (f *field) value(o object) core.Value {
	v := o.at(f.path)
	switch f.shape {
	case numberShape:
		return numberValue(v)
	case boolShape:
		return core.TextValue(strconv.FormatBool(isTrue(v)))
	case idShape:
		return idValue(v)
	case idsShape:
		return core.ListValue(ids(v))
	case timeShape, zonedShape:
		return timeValue(f.Type, v)
	case jsonShape:
		return jsonValue(v)
	case listShape:
		return core.ListValue(texts(v))
	case previewShape:
		return preview(o, v)
	}
	if v == nil && !f.empty {
		return core.NullValue
	}
	return core.TextValue(textValue(v))
}

// preview is a file's small image; an image that has none is shown itself. What is asked for of a versioned table has both fields.
func preview(o object, small any) core.Value {
	address := textValue(small)
	if address == "" && strings.HasPrefix(o.text("mime_type"), "image/") {
		address = o.text("source_url")
	}
	if address == "" {
		return core.ListValue(nil)
	}
	return core.ListValue([]string{address})
}

func textValue(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func isTrue(v any) bool {
	s := textValue(v)
	return s == "true" || s == "1"
}

func numberValue(v any) core.Value {
	s := textValue(v)
	if s == "" {
		return core.NullValue
	}
	n, err := core.CheckValue(core.Column{Type: core.Number}, core.TextValue(s))
	if err != nil {
		return core.NullValue
	}
	return n
}

func idValue(v any) core.Value {
	if s := textValue(v); s != "" && s != "0" {
		return core.TextValue(s)
	}
	return core.NullValue
}

// ids gives numbers in their order by size, so that equal sets are equal.
func ids(v any) []string {
	out := texts(v)
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return out
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, textValue(x))
	}
	return out
}

func timeValue(t core.ColumnType, v any) core.Value {
	s := textValue(v)
	if s == "" {
		return core.NullValue
	}
	n, err := core.CheckValue(core.Column{Type: t}, core.TextValue(s))
	if err != nil {
		return core.NullValue
	}
	return n
}

func jsonValue(v any) core.Value {
	if v == nil {
		return core.NullValue
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return core.NullValue
	}
	return core.TextValue(strings.TrimSpace(b.String()))
}

// json gives a value as it is written. The error is a sentence.
func (f *field) json(v core.Value) (any, error) {
	switch f.shape {
	case numberShape:
		switch {
		case v.IsNull() && f.send[0] == f.ID: // a field of the record itself
			return 0, nil
		case v.IsNull():
			return nil, nil
		}
		return json.Number(v.Text), nil
	case boolShape:
		return v.Text == "true", nil
	case idShape:
		if v.IsNull() || v.Text == "" {
			return 0, nil
		}
		return f.number(v.Text)
	case idsShape:
		list := make([]any, len(v.List))
		for i, id := range v.List {
			n, err := f.number(id)
			if err != nil {
				return nil, err
			}
			list[i] = n
		}
		return list, nil
	case timeShape, zonedShape:
		if v.IsNull() {
			return nil, nil
		}
		return v.Text, nil
	case jsonShape:
		if v.IsNull() {
			return nil, nil
		}
		return json.RawMessage(v.Text), nil
	}
	if v.IsNull() && !f.empty {
		return nil, nil
	}
	return v.Text, nil
}

func (f *field) number(id string) (any, error) {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return nil, fmt.Errorf("%s takes the number of a record; “%s” is none", f.Name, id)
	}
	return json.Number(id), nil
}

// body makes what is sent of a write's fields. allowed gives a sentence for a field that may not be sent.
func (t *table) body(w connectors.Write, allowed func(*field) string) (map[string]any, *connectors.Fault) {
	body := map[string]any{}
	for id, v := range w.Values {
		f := t.field(id)
		if f == nil {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: id, Words: "The field " + id + " is not there any more."}
		}
		if why := allowed(f); why != "" {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: id, Words: why}
		}
		x, err := f.json(v)
		if err != nil {
			return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: id, Words: err.Error() + "."}
		}
		put(body, f.send, x)
	}
	return body, nil
}

func put(body map[string]any, path []string, v any) {
	for _, key := range path[:len(path)-1] {
		next, ok := body[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			body[key] = next
		}
		body = next
	}
	body[path[len(path)-1]] = v
}

// stored gives every field of a record.
func (t *table) stored(o object) map[string]core.Value {
	values := make(map[string]core.Value, len(t.fields))
	for _, f := range t.fields {
		values[f.ID] = f.value(o)
	}
	return values
}

// soon is how young a change may be for its second to be not over yet, with some room for the site's own clock.
const soon = 2 * time.Second

// version sums up a record: when it was saved, which the site knows to the second, and a sum of what may change without that (terms,
// meta, a featured image). One that was read in the second of its change gets a mark, so that it is looked at once more.
func (t *table) version(o object, now time.Time) string {
	if !t.Versioned {
		return ""
	}
	sum := fnv.New64a()
	for _, f := range t.fields {
		if !f.large {
			sum.Write(f.value(o).Canonical(f.Type)) // #nosec G104 -- a hash takes everything
			sum.Write([]byte{0})                    // #nosec G104 -- a hash takes everything
		}
	}
	saved := o.text("modified_gmt")
	mark := ""
	if at, err := time.Parse("2006-01-02T15:04:05", saved); err == nil && now.Sub(at) < soon {
		mark = "?"
	}
	return saved + mark + "-" + strconv.FormatUint(sum.Sum64(), 36)
}

// members gives the argument _fields for some fields and, where records have versions, what those are made of.
func (t *table) members(fields []*field) string {
	names := []string{"id"}
	add := func(f *field) {
		if name := strings.Join(f.path, "."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, f := range fields {
		add(f)
	}
	if t.Versioned {
		names = append(names, "modified_gmt")
		for _, f := range t.fields {
			if !f.large {
				add(f)
			}
		}
	}
	return strings.Join(names, ",")
}

// pick gives fields by id; nil ids is all.
func (t *table) pick(ids []string) ([]*field, error) {
	if ids == nil {
		return t.fields, nil
	}
	out := make([]*field, len(ids))
	for i, id := range ids {
		if out[i] = t.field(id); out[i] == nil {
			return nil, &connectors.Fault{Kind: connectors.Gone, Words: "The field " + id + " of " + t.Name + " is not there any more.", Unsent: true}
		}
	}
	return out, nil
}
