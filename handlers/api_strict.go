package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"scratchpaper/internal/core"
)

// strictly looks through a JSON document for what encoding/json takes and should not, since it would do something else than was
// written: fields that do not exist or differ in case, a name twice in one object, lists of another length than asked for, null in
// a list of values, text that is not Unicode, NUL where it cannot be stored, and nesting without end. Codes: Malformed (with the
// place), Invalid (a field, with its pointer). A document that is no JSON passes: the decoder says where.
func strictly(body []byte, into any) error {
	s := strict{body: body}
	err := s.value(shape{reflect.TypeOf(into), false})
	if errors.Is(err, errNoJSON) {
		return nil
	}
	return err
}

// strict is a walk through a document.
type strict struct {
	body []byte
	next int
	path []pathStep // from the document to the value at hand
}

// pathStep is a name, or a place in a list where there is none.
type pathStep struct {
	name  []byte // as it stands in the document, between its quotes
	place int
}

// shape is what a value is decoded into: nil is anything. Typed texts may hold whatever a keyboard or a clipboard gives: they are
// checked cell by cell, and one that does not fit is refused alone.
type shape struct {
	typ   reflect.Type
	typed bool
}

// errNoJSON stops at what is no JSON.
var errNoJSON = errors.New("no JSON")

func (s *strict) value(want shape) error {
	want = want.plain()
	s.space()
	if s.next >= len(s.body) {
		return errNoJSON
	}
	if len(s.path) > 0 {
		if got := want.misfit(s.body[s.next]); got != "" {
			return s.refuse("This takes %s; %s does not fit.", wordFor(want.typ), got)
		}
	}
	switch s.body[s.next] {
	case '{':
		return s.nested(want, s.object)
	case '[':
		return s.nested(want, s.list)
	case '"':
		_, err := s.text(want.typed || want.typ == nil)
		return err
	}
	start := s.next
	for s.next < len(s.body) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(s.body[s.next])) {
		s.next++
	}
	if s.next == start {
		return errNoJSON
	}
	return nil
}

// misfit names a value, by its first sign, when a shape does not take it. Numbers are left to the decoder, which knows their bounds.
func (w shape) misfit(sign byte) string {
	if w.typ == nil {
		return ""
	}
	kind := w.typ.Kind()
	switch {
	case sign == '{' && kind != reflect.Struct && kind != reflect.Map:
		return "an object"
	case sign == '[' && kind != reflect.Slice && kind != reflect.Array:
		return "a list"
	case sign == '"' && kind != reflect.String:
		return "a text"
	case (sign == 't' || sign == 'f') && kind != reflect.Bool:
		return "true or false"
	case (sign == '-' || sign >= '0' && sign <= '9') && (kind == reflect.String || kind == reflect.Bool || kind == reflect.Struct || kind == reflect.Map || kind == reflect.Slice || kind == reflect.Array):
		return "a number"
	}
	return ""
}

// nested reads what stands between brackets.
func (s *strict) nested(want shape, read func(shape) error) error {
	if len(s.path) >= core.MaxNesting {
		return core.Errorf(core.Malformed, "The body nests more than %d deep.", core.MaxNesting)
	}
	s.next++
	s.path = append(s.path, pathStep{})
	err := read(want)
	s.path = s.path[:len(s.path)-1]
	return err
}

func (s *strict) object(want shape) error {
	var seen names
	for first := true; ; first = false {
		done, err := s.separator('}', first)
		if done || err != nil {
			return err
		}
		if s.next >= len(s.body) || s.body[s.next] != '"' {
			return errNoJSON
		}
		name, err := s.text(true)
		if err != nil {
			return err
		}
		s.path[len(s.path)-1] = pathStep{name: name}
		if !seen.add(unescaped(name)) {
			return s.refuse("%s is given twice here; give it once.", unescaped(name))
		}
		of, err := s.field(want, unescaped(name))
		if err != nil {
			return err
		}
		if s.space(); s.next >= len(s.body) || s.body[s.next] != ':' {
			return errNoJSON
		}
		s.next++
		if err := s.value(of); err != nil {
			return err
		}
	}
}

// field gives what a name of an object is decoded into.
func (s *strict) field(want shape, name string) (shape, error) {
	switch {
	case want.typ == nil:
		return shape{}, nil
	case want.typ.Kind() == reflect.Map:
		return shape{want.typ.Elem(), want.typed}, nil
	case want.typ.Kind() != reflect.Struct:
		return shape{}, nil // the decoder says what it is
	}
	fields := fieldsOf(want.typ)
	of, ok := fields.shapes[name]
	if !ok {
		return shape{}, s.refuse("There is no field %s here%s", cutName(name), fields.words)
	}
	return of, nil
}

// cutName makes a name fit for a sentence: short, and of characters.
func cutName(name string) string {
	name = strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), "\x00", "\uFFFD")
	if r := []rune(name); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return name
}

func (s *strict) list(want shape) error {
	var of shape
	exactly := -1
	if want.typ != nil && (want.typ.Kind() == reflect.Slice || want.typ.Kind() == reflect.Array) {
		of = shape{want.typ.Elem(), want.typed}
		if want.typ.Kind() == reflect.Array {
			exactly = want.typ.Len()
		}
	}
	for n := 0; ; n++ {
		done, err := s.separator(']', n == 0)
		if err != nil {
			return err
		}
		if done {
			if exactly >= 0 && n != exactly {
				return s.refuseAbove("This list takes %d values, and has %d.", exactly, n)
			}
			return nil
		}
		s.path[len(s.path)-1] = pathStep{place: n}
		if of.scalar() && bytes.HasPrefix(s.body[s.next:], []byte("null")) {
			return s.refuse("This takes %s; null does not fit.", wordFor(of.typ))
		}
		if err := s.value(of); err != nil {
			return err
		}
	}
}

// separator passes over what stands between two values; done is true behind the closing bracket.
func (s *strict) separator(closing byte, first bool) (done bool, err error) {
	if s.space(); s.next >= len(s.body) {
		return false, errNoJSON
	}
	if s.body[s.next] == closing {
		s.next++
		return true, nil
	}
	if first {
		return false, nil
	}
	if s.body[s.next] != ',' {
		return false, errNoJSON
	}
	s.next++
	s.space()
	return false, nil
}

func (s *strict) space() {
	for s.next < len(s.body) && (s.body[s.next] == ' ' || s.body[s.next] == '\n' || s.body[s.next] == '\t' || s.body[s.next] == '\r') {
		s.next++
	}
}

// text reads a text and gives what stands between its quotes.
func (s *strict) text(nul bool) ([]byte, error) {
	start := s.next + 1
	for i := start; i < len(s.body); i++ {
		switch s.body[i] {
		case '"':
			raw := s.body[start:i]
			s.next = i + 1
			return raw, s.unicode(raw, nul)
		case '\\':
			i++
		}
	}
	return nil, errNoJSON
}

// unicode refuses bytes and escapes that are no characters, and NUL where it cannot be stored.
func (s *strict) unicode(raw []byte, nul bool) error {
	if !utf8.Valid(raw) {
		return s.refuse("This text is not valid UTF-8. Send the body as UTF-8.")
	}
	switch r := core.EscapeFault(raw); {
	case r == core.NoFault || r == 0 && nul:
	case r == 0:
		return s.refuse("This text holds the NUL character, which cannot be stored. Take it out.")
	default:
		return s.refuse("This text holds half a character (\\u%04x).", r)
	}
	return nil
}

func unescaped(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var out string
	if json.Unmarshal(slices.Concat([]byte{'"'}, raw, []byte{'"'}), &out) != nil {
		return string(raw)
	}
	return out
}

// refuse is an error about the value at hand.
func (s *strict) refuse(format string, args ...any) error {
	return core.FieldErrorf(s.pointer(s.path), format, args...)
}

// refuseAbove is an error about the object or list that holds the value at hand.
func (s *strict) refuseAbove(format string, args ...any) error {
	return core.FieldErrorf(s.pointer(s.path[:len(s.path)-1]), format, args...)
}

func (s *strict) pointer(path []pathStep) string {
	var out strings.Builder
	for _, p := range path {
		part := strconv.Itoa(p.place)
		if p.name != nil {
			part = escapePointer(strings.ToValidUTF8(unescaped(p.name), "\uFFFD"))
		}
		out.WriteString("/" + part)
	}
	return out.String()
}

// names are those of an object. Most have few.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) add(name string) bool {
	if n.many == nil {
		if slices.Contains(n.few, name) {
			return false
		}
		if n.few = append(n.few, name); len(n.few) > 16 {
			n.many = map[string]bool{}
			for _, f := range n.few {
				n.many[f] = true
			}
		}
		return true
	}
	if n.many[name] {
		return false
	}
	n.many[name] = true
	return true
}

// structFields are the fields that a struct takes, and a sentence's end that lists them.
type structFields struct {
	shapes map[string]shape
	words  string
}

var knownFields sync.Map // reflect.Type → *structFields

func fieldsOf(t reflect.Type) *structFields {
	if known, ok := knownFields.Load(t); ok {
		return known.(*structFields)
	}
	out := &structFields{shapes: map[string]shape{}}
	var all []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" || name == "" {
			continue
		}
		out.shapes[name] = shape{f.Type, f.Tag.Get("typed") == "true"}
		all = append(all, name)
	}
	out.words = ": this takes nothing."
	if len(all) > 0 {
		out.words = "; there are: " + strings.Join(all, ", ") + "."
	}
	knownFields.Store(t, out)
	return out
}

var (
	rawMessage  = reflect.TypeFor[json.RawMessage]()
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// plain gives what stands behind pointers and given; what decodes itself is anything.
func (w shape) plain() shape {
	for w.typ != nil && w.typ.Kind() == reflect.Pointer {
		w.typ = w.typ.Elem()
	}
	switch {
	case w.typ == nil || w.typ == rawMessage || w.typ.Kind() == reflect.Interface:
		return shape{typed: w.typed}
	case !reflect.PointerTo(w.typ).Implements(unmarshaler):
		return w
	}
	if g, ok := reflect.Zero(w.typ).Interface().(interface{ value() reflect.Type }); ok {
		return shape{g.value(), w.typed}.plain()
	}
	return shape{}
}

// scalar says whether it is a text, a number, or true or false.
func (w shape) scalar() bool {
	if w.typ == nil {
		return false
	}
	switch w.typ.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	}
	return false
}
