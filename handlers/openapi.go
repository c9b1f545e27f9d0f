package handlers

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// schema is a JSON Schema.
type schema map[string]any

var pathName = regexp.MustCompile(`:([a-z]+)`)

// getOpenAPI answers with the OpenAPI 3.1 document, made from the list of routes itself, so that the two cannot drift.
func (s *Server) getOpenAPI(c echo.Context) error {
	paths := map[string]map[string]any{}
	for _, o := range s.operations() {
		path := pathName.ReplaceAllString(o.path, "{$1}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(o.method)] = o.described()
	}
	return c.JSON(http.StatusOK, map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Scratchpaper", "version": "1", "description": "What the page does to a snapshot, by the same functions. Version 1 only grows."},
		"servers": []any{map[string]any{"url": "/api/v1"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas": map[string]any{"Problem": schemaOf(reflect.TypeFor[problemDocument]())},
			"responses": map[string]any{"Problem": map[string]any{"description": "What happened, as RFC 9457 has it",
				"content": map[string]any{"application/problem+json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/Problem"}}}}},
		},
	})
}

// mayBeJob finds the addresses of commands that are a job when they change many cells.
var mayBeJob = regexp.MustCompile(`/(changes|accept|reject|settle|undo|redo|revert)$`)

func (o operation) described() map[string]any {
	var params []any
	for _, m := range pathName.FindAllStringSubmatch(o.path, -1) {
		params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, q := range o.query {
		params = append(params, map[string]any{"name": q, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	status := o.status
	if status == 0 {
		status = http.StatusOK
	}
	responses := map[string]any{
		strconv.Itoa(status): map[string]any{"description": http.StatusText(status)},
		"default":            map[string]any{"$ref": "#/components/responses/Problem"},
	}
	if mayBeJob.MatchString(o.path) {
		responses["202"] = map[string]any{"description": "More than 50,000 cells: a job, whose result is what a small change answers at once"}
	}
	out := map[string]any{"summary": o.summary, "responses": responses}
	if params != nil {
		out["parameters"] = params
	}
	if o.body != nil {
		out["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(o.body))}}}
	}
	return out
}

// schemaOf describes a struct that JSON is read into.
func schemaOf(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Slice:
		if t == reflect.TypeFor[json.RawMessage]() {
			return map[string]any{}
		}
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Struct:
		props := map[string]any{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "-" {
				props[name] = schemaOf(t.Field(i).Type)
			}
		}
		return map[string]any{"type": "object", "properties": props}
	}
	return map[string]any{}
}
