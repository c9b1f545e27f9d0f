package expr

import (
	"fmt"

	"scratchpaper/internal/core"
)

// kind is what a part of an expression gives. Types of columns that behave alike are one kind.
type kind int

const (
	nullKind kind = iota
	textKind
	numberKind
	boolKind
	dateKind
	instantKind // a time with a zone
	localKind   // a date and time without one
	listKind    // of texts
	jsonKind
	mixedKind // a list literal, as it stands behind “in”
)

// kindTraits are a kind's word in sentences and its Postgres type.
var kindTraits = [...]struct{ word, sql string }{
	nullKind:    {"null", ""},
	textKind:    {"a text", "text"},
	numberKind:  {"a number", "numeric"},
	boolKind:    {"true or false", "boolean"},
	dateKind:    {"a date", "date"},
	instantKind: {"a date and time", "timestamptz"},
	localKind:   {"a date and time without a zone", "timestamp"},
	listKind:    {"a list", "text[]"},
	jsonKind:    {"a JSON document", "jsonb"},
	mixedKind:   {"a list", ""},
}

func (k kind) word() string { return kindTraits[k].word }
func (k kind) sql() string  { return kindTraits[k].sql }

func (k kind) isTime() bool { return k == dateKind || k == instantKind || k == localKind }

// kindOf gives the kind of a column's values.
func kindOf(t core.ColumnType) kind {
	switch {
	case t.IsList():
		return listKind
	case t == core.Number:
		return numberKind
	case t == core.Checkbox:
		return boolKind
	case t == core.Date:
		return dateKind
	case t == core.DateTime:
		return instantKind
	case t == core.LocalTime:
		return localKind
	case t == core.JSON:
		return jsonKind
	}
	return textKind
}

// emitter writes SQL that can stand as an operand of anything, and adds its parameters in the order of their placeholders.
type emitter func(b *Builder) string

// operand is a checked part of an expression.
type operand struct {
	kind  kind
	at    int  // where it begins, in characters
	total bool // it is never null
	emit  emitter
	size  digits // of a number

	constant bool      // a literal, whose canonical text is text
	text     string    //
	written  string    // of a time: as it was written
	elements []operand // of mixedKind
}

// constantOf makes an operand of a literal in its canonical form.
func constantOf(k kind, at int, text string) operand {
	cast := "::text" // whatever the driver knows of the type
	if k != textKind {
		cast += "::" + k.sql()
	}
	emit := func(b *Builder) string { return b.arg(text) + cast }
	return operand{kind: k, at: at, total: true, constant: true, text: text, emit: emit}
}

// fill gives an emitter of a text with one %s for each operand, in order.
func fill(format string, parts ...operand) emitter {
	list := make([]emitter, len(parts))
	for i, p := range parts {
		list[i] = p.emit
	}
	return fillEmitters(format, list...)
}

func fillEmitters(format string, parts ...emitter) emitter {
	return func(b *Builder) string {
		sql := make([]any, len(parts))
		for i, p := range parts {
			sql[i] = p(b)
		}
		return fmt.Sprintf(format, sql...)
	}
}

func fixed(sql string) emitter { return func(*Builder) string { return sql } }

// condition makes an operand that is true or false and never null.
func condition(at int, emit emitter) operand {
	return operand{kind: boolKind, at: at, total: true, emit: emit}
}

// digits bounds the length of a number before and after its point, so that no calculation leaves what Postgres holds.
type digits struct{ whole, fraction int }

// Postgres takes 131,072 digits before the point and 16,383 behind it; division rounds to at most 1,000.
const (
	maxWhole    = 131_000
	maxFraction = 16_000
	divScale    = 1000
)

var columnDigits = digits{core.MaxNumberDigits, core.MaxNumberDigits}

func (d digits) fits() bool { return d.whole <= maxWhole && d.fraction <= maxFraction }

func (d digits) plus(e digits) digits {
	return digits{max(d.whole, e.whole) + 1, max(d.fraction, e.fraction)}
}

func (d digits) times(e digits) digits { return digits{d.whole + e.whole, d.fraction + e.fraction} }

func (d digits) over(e digits) digits {
	return digits{d.whole + e.fraction + 1, divScale}
}
