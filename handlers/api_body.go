package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/views"
)

// readJSON reads a body into a struct of this action; an empty one counts as {}. It is strict: see strictly. Codes: Malformed,
// Invalid (what does not fit, with its pointer), TooLarge.
func readJSON(c echo.Context, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	if err != nil {
		return unread(err)
	}
	return decodeJSON(body, into)
}

// unread says why a body was not read to its end.
func unread(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return core.Errorf(core.TooLarge, "A request takes at most %s.", views.Bytes(large.Limit))
	}
	return core.Wrap(err, core.Malformed, "The request's body could not be read to its end. Nothing was changed; send it again.")
}

func decodeJSON(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := strictly(body, into); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return undecoded(body, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return core.Errorf(core.Malformed, "There is something behind the JSON document.")
	}
	return nil
}

// undecoded says what is wrong with a body, and where.
func undecoded(body []byte, err error) error {
	var ours *core.Error
	if errors.As(err, &ours) {
		return ours
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return core.FieldErrorf(pointerAt(body, typ.Offset), "This takes %s; %s does not fit.", wordFor(typ.Type), jsonWord(typ.Value))
	}
	return core.Wrap(err, core.Malformed, "The body is not the JSON document that is asked for: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// wordFor names what a field takes.
func wordFor(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wordFor(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}

// jsonWord names a JSON value as encoding/json calls it.
func jsonWord(value string) string {
	switch kind, _, _ := strings.Cut(value, " "); kind {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "number":
		return "this number"
	}
	return "this"
}

// pointerAt gives the JSON pointer of the value that ends at or behind an offset.
func pointerAt(body []byte, offset int64) string {
	return findToken(json.NewDecoder(bytes.NewReader(body)), "", func(_ string, end int64) bool { return end >= offset })
}

// findToken walks through a document and gives the pointer of the first value for which is holds; "" when there is none.
func findToken(d *json.Decoder, at string, is func(at string, end int64) bool) string {
	tok, err := d.Token()
	if err != nil || is(at, d.InputOffset()) {
		return at
	}
	open, nested := tok.(json.Delim)
	if !nested {
		return ""
	}
	for i := 0; d.More(); i++ {
		next := at + "/" + strconv.Itoa(i)
		if open == '{' {
			key, err := d.Token()
			name, ok := key.(string)
			if err != nil || !ok {
				return at
			}
			next = at + "/" + escapePointer(name)
		}
		if found := findToken(d, next, is); found != "" {
			return found
		}
	}
	_, _ = d.Token() // the closing bracket
	return ""
}

// escapePointer writes a name as a part of a JSON pointer (RFC 6901).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// given is a field of a PATCH whose null means something other than its absence.
type given[T any] struct {
	Is    bool
	Value T
}

// value is the type that the OpenAPI document describes.
func (given[T]) value() reflect.Type { return reflect.TypeFor[T]() }

// UnmarshalJSON notes that the field is there.
func (g *given[T]) UnmarshalJSON(raw []byte) error {
	g.Is = true
	return json.Unmarshal(raw, &g.Value)
}
