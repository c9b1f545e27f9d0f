package handlers

import (
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// schema is a JSON Schema, or a part of the OpenAPI document.
type schema map[string]any

var pathName = regexp.MustCompile(`:([a-z]+)`)

// getOpenAPI answers with the OpenAPI 3.1 document, made from the list of routes and the structs that they read and write, so that
// they cannot drift apart.
func (s *Server) getOpenAPI(c echo.Context) error {
	defs := &definitions{schemas: schema{}}
	problem := defs.of(reflect.TypeFor[problemDocument](), answered)
	paths := map[string]schema{}
	for _, o := range s.operations() {
		path := pathName.ReplaceAllString(o.path, "{$1}")
		if paths[path] == nil {
			paths[path] = schema{}
		}
		paths[path][strings.ToLower(o.method)] = o.described(defs)
	}
	responses := schema{}
	for _, status := range problemStatuses {
		responses[problemName(status)] = schema{"description": http.StatusText(status), "content": schema{"application/problem+json": schema{"schema": problem}}}
	}
	return c.JSON(http.StatusOK, schema{
		"openapi": "3.1.0",
		"info": schema{"title": "Scratchpaper", "version": "1",
			"description": "What the page does to a snapshot, by the same functions. Version 1 only grows: nothing is renamed or removed."},
		"servers":    []any{schema{"url": "/api/v1"}},
		"security":   []any{schema{"token": []string{}}, schema{}},
		"paths":      paths,
		"components": schema{"schemas": defs.schemas, "responses": responses, "securitySchemes": schema{"token": schema{"type": "http", "scheme": "bearer"}}},
	})
}

// problemStatuses are those that errors have.
var problemStatuses = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
	http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}

func problemName(status int) string { return "Problem" + strconv.Itoa(status) }

// problems lists the errors that an operation can answer with.
func (o operation) problems() []int {
	all := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if strings.Contains(o.path, ":") {
		all = append(all, http.StatusNotFound)
	}
	if o.method != http.MethodGet {
		all = append(all, http.StatusConflict)
	}
	if o.takes != nil || o.method == http.MethodPost {
		all = append(all, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	}
	if o.takes != nil || o.query != nil || o.method == http.MethodPost {
		all = append(all, http.StatusUnprocessableEntity)
	}
	return all
}

func (o operation) described(defs *definitions) schema {
	out := schema{"summary": o.summary, "responses": o.responses(defs)}
	if params := o.parameters(); params != nil {
		out["parameters"] = params
	}
	if form, ok := o.takes.(multipartForm); ok {
		out["requestBody"] = schema{"required": true, "content": schema{"multipart/form-data": schema{"schema": defs.of(reflect.TypeOf(form.fields), taken)}}}
	} else if o.takes != nil {
		out["requestBody"] = schema{"content": schema{"application/json": schema{"schema": defs.of(reflect.TypeOf(o.takes), taken)}}}
	}
	return out
}

func (o operation) responses(defs *definitions) schema {
	out := schema{"default": schema{"$ref": "#/components/responses/" + problemName(http.StatusInternalServerError)}}
	for _, status := range o.problems() {
		out[strconv.Itoa(status)] = schema{"$ref": "#/components/responses/" + problemName(status)}
	}
	status := o.status
	if status == 0 {
		status = http.StatusOK
	}
	out[strconv.Itoa(status)] = success(defs, http.StatusText(status), o.gives)
	if o.also != nil {
		out["200"] = success(defs, "What it would do", o.also)
	}
	if o.job {
		out["202"] = success(defs, "More than 50,000 cells: a job, whose result is what a small change answers at once", jobMadeJSON{})
	}
	return out
}

func success(defs *definitions, words string, gives any) schema {
	out := schema{"description": words}
	content := schema{}
	switch g := gives.(type) {
	case nil:
		return out
	case file:
		for _, typ := range g {
			content[typ] = schema{"schema": schema{"type": "string"}}
		}
	case schema:
		content["application/json"] = schema{"schema": schema{"type": "object"}}
	default:
		content["application/json"] = schema{"schema": defs.of(reflect.TypeOf(gives), answered)}
	}
	out["content"] = content
	return out
}

func (o operation) parameters() []schema {
	var params []schema
	for _, m := range pathName.FindAllStringSubmatch(o.path, -1) {
		params = append(params, schema{"name": m[1], "in": "path", "required": true, "schema": pathParameter(m[1])})
	}
	for _, name := range o.query {
		q := queryParameters[name]
		params = append(params, schema{"name": name, "in": "query", "description": q.words, "schema": q.schema})
	}
	if o.method == http.MethodPost {
		params = append(params, schema{"name": idempotencyKey, "in": "header", "schema": schema{"type": "string", "maxLength": 255},
			"description": "The same key with the same body answers the same, with another body 422"})
	}
	return params
}

// idPrefixes are the prefixes of ids that stand in addresses.
var idPrefixes = map[string]string{"connection": "con_", "snapshot": "snp_", "table": "tbl_", "view": "viw_", "batch": "bat_", "plan": "pln_", "item": "itm_", "job": "job_"}

func pathParameter(name string) schema {
	if prefix, ok := idPrefixes[name]; ok {
		return schema{"type": "string", "pattern": "^" + prefix}
	}
	return schema{"type": "integer"}
}

// queryParameters describe what can stand in a query.
var queryParameters = map[string]struct {
	words  string
	schema schema
}{
	"limit":    {"How many items a page has; fewer where their values are more than 16 MB", schema{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
	"after":    {"next of the page before", schema{"type": "string"}},
	"offset":   {"How many records to pass over", schema{"type": "integer", "minimum": 0}},
	"count":    {"true: the answer has a total", schema{"type": "boolean"}},
	"numbers":  {"string: numbers in values are texts, for clients that cannot hold all their digits", schema{"type": "string", "enum": []string{"string"}}},
	"filter":   {"An expression that is true or false for a record", schema{"type": "string"}},
	"find":     {"A text that any column holds", schema{"type": "string"}},
	"sort":     {"Columns, with - for descending: title,-price", schema{"type": "string"}},
	"columns":  {"The columns to give: title,price", schema{"type": "string"}},
	"column":   {"The column", schema{"type": "string"}},
	"search":   {"A text that the value holds", schema{"type": "string"}},
	"format":   {"The kind of file", schema{"type": "string", "enum": []string{"csv", "tsv"}, "default": "csv"}},
	"plain":    {"true: texts that a spreadsheet takes for formulas stay as they are", schema{"type": "boolean"}},
	"preview":  {"true: only look", schema{"type": "boolean"}},
	"op":       {"The operation", schema{"type": "string", "enum": []string{"create", "update", "delete"}}},
	"state":    {"The state", schema{"type": "string"}},
	"table":    {"A table's id", schema{"type": "string"}},
	"group":    {"The group of one of the fields", schema{"type": "string"}},
	"snapshot": {"A snapshot's id", schema{"type": "string"}},
	"open":     {"true: those that have not ended", schema{"type": "boolean"}},
	"topic":    {"snapshot:<id>, job:<id>, org-jobs or mine; any number of them", schema{"type": "array", "items": schema{"type": "string"}}},
}
