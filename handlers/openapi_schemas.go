package handlers

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// direction says whether a struct is read or written: what is read can be left out.
type direction bool

const (
	taken    direction = false
	answered direction = true
)

// definitions are the schemas that the document names.
type definitions struct{ schemas schema }

// plainSchemas are those of types that are more to JSON than to Go, or less.
var plainSchemas = map[reflect.Type]schema{
	reflect.TypeFor[json.RawMessage](): {}, // any value
	reflect.TypeFor[time.Time]():       {"type": "string", "format": "date-time"},
	reflect.TypeFor[suggestionID]():    {"type": "string", "pattern": "^sug_[0-9]+$"},
	reflect.TypeFor[schema]():          {"type": "object"},
	reflect.TypeFor[core.Scope]():      {"type": "string", "enum": core.Scopes},
	reflect.TypeFor[core.Lock]():       {"type": "string", "enum": core.Locks},
	reflect.TypeFor[store.Function]():  {"type": "string", "enum": store.Functions},
}

// of gives the schema of a type; a struct with a name is defined once and referred to.
func (d *definitions) of(t reflect.Type, dir direction) schema {
	if plain, ok := plainSchemas[t]; ok {
		return plain
	}
	if g, ok := reflect.Zero(t).Interface().(interface{ value() reflect.Type }); ok {
		return nullable(d.of(g.value(), dir))
	}
	switch t.Kind() {
	case reflect.Pointer:
		if t.Elem() == reflect.TypeFor[json.RawMessage]() {
			return schema{}
		}
		return nullable(d.of(t.Elem(), dir))
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.of(t.Elem(), dir)}
	case reflect.Slice:
		return schema{"type": "array", "items": d.of(t.Elem(), dir)}
	case reflect.Struct:
		return d.named(t, dir)
	}
	return schema{}
}

// nullable lets a schema be null too.
func nullable(s schema) schema {
	if typ, ok := s["type"].(string); ok && s["enum"] == nil {
		out := schema{}
		for k, v := range s {
			out[k] = v
		}
		out["type"] = []string{typ, "null"}
		return out
	}
	return schema{"anyOf": []schema{s, {"type": "null"}}}
}

func (d *definitions) named(t reflect.Type, dir direction) schema {
	name := schemaName(t, dir)
	if name == "" {
		return d.object(t, dir)
	}
	if _, known := d.schemas[name]; !known {
		d.schemas[name] = schema{} // it may refer to itself
		d.schemas[name] = d.object(t, dir)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// schemaName is what the document calls a struct: snapshotJSON is Snapshot, and changesBody is ChangesInput. Generic ones have none.
func schemaName(t reflect.Type, dir direction) string {
	name := t.Name()
	if name == "" || strings.Contains(name, "[") {
		return ""
	}
	for _, suffix := range []string{"JSON", "Body", "Form", "Document"} {
		name = strings.TrimSuffix(name, suffix)
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	if dir == taken {
		name += "Input"
	}
	return name
}

func (d *definitions) object(t reflect.Type, dir direction) schema {
	props, required := schema{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		prop := d.of(f.Type, dir)
		if enum := f.Tag.Get("enum"); enum != "" {
			prop = schema{"type": "string", "enum": strings.Split(enum, ",")}
		}
		if format := f.Tag.Get("format"); format != "" {
			prop = schema{"type": "string", "format": format}
		}
		if dir == answered && f.Type.Kind() == reflect.Slice && f.Tag.Get("nullable") == "true" {
			prop = nullable(prop)
		}
		props[name] = prop
		if dir == answered && !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			required = append(required, name)
		}
	}
	out := schema{"type": "object", "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
