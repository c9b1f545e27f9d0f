package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// relation is a table or view as this login sees it.
type relation struct {
	oid          int64
	schema, name string
	kind         string // r table, p partitioned, v view, m materialized view, f foreign
	columns      []*column
	key          []string
	keyUnique    bool // a unique index that ON CONFLICT can name stands behind the key
	estimate     int64
	versioned    bool
	events       int      // bits of pg_relation_is_updatable
	unreadable   string   // sentences, "" when it can be
	unwritable   string   //
	uncreatable  string   //
	undeletable  string   //
	effects      []string //
	constraints  map[string][]string
	referrers    []referrer
	triggers     []catalogTrigger
}

// Bits of pg_trigger.tgtype.
const (
	triggerRow     = 1 << 0
	triggerBefore  = 1 << 1
	triggerInsert  = 1 << 2
	triggerDelete  = 1 << 3
	triggerUpdate  = 1 << 4
	triggerInstead = 1 << 6
)

// Bits of pg_relation_is_updatable.
const (
	canUpdate = 4
	canInsert = 8
	canDelete = 16
)

// idOf is a table's id: schema and name with a point between them, each in quotes where it holds a point or a quote.
func idOf(schema, name string) string { return idPart(schema) + "." + idPart(name) }

func idPart(s string) string {
	if s == "" || strings.ContainsAny(s, `."`) {
		return pgx.Identifier{s}.Sanitize()
	}
	return s
}

// splitID is the opposite of idOf.
func splitID(id string) (schema, name string, ok bool) {
	schema, rest, ok := cutPart(id)
	if !ok || !strings.HasPrefix(rest, ".") {
		return "", "", false
	}
	name, rest, ok = cutPart(rest[1:])
	return schema, name, ok && rest == ""
}

func cutPart(s string) (part, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		at := strings.IndexByte(s, '.')
		if at < 0 {
			at = len(s)
		}
		return s[:at], s[at:], at > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			return b.String(), s[i+1:], true
		}
	}
	return "", "", false
}

func (r *relation) id() string { return idOf(r.schema, r.name) }

// sql is the relation's name in a statement.
func (r *relation) sql() string { return pgx.Identifier{r.schema, r.name}.Sanitize() }

func (r *relation) isTable() bool { return r.kind == "r" || r.kind == "p" }

// column gives a column by name, nil when there is none.
func (r *relation) column(name string) *column {
	for _, c := range r.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (r *relation) isKey(name string) bool {
	for _, k := range r.key {
		if k == name {
			return true
		}
	}
	return false
}

func (r *relation) keyColumns() []*column {
	columns := make([]*column, len(r.key))
	for i, k := range r.key {
		columns[i] = r.column(k)
	}
	return columns
}

// reserved gives the column of a key that we number or name before a record is created, else nil.
func (r *relation) reserved() *column {
	if len(r.key) != 1 {
		return nil
	}
	if c := r.column(r.key[0]); c != nil && c.kind != core.Reference && (c.uuid || c.sequence != 0) && c.mayReserve {
		return c
	}
	return nil
}

// hasTrigger says whether a trigger of ours to mind runs at an event, before or after it.
func (r *relation) hasTrigger(event int, before bool) bool {
	for _, t := range r.triggers {
		isBefore := t.Type&triggerBefore != 0
		if t.Type&event != 0 && isBefore == before && t.Type&triggerInstead == 0 {
			return true
		}
	}
	return false
}

// lockable says whether rows can be locked while they are compared.
func (r *relation) lockable() bool {
	return r.kind != "m" && (r.kind != "v" || r.events&canUpdate != 0 && !r.instead())
}

func (r *relation) instead() bool {
	for _, t := range r.triggers {
		if t.Type&triggerInstead != 0 {
			return true
		}
	}
	return false
}

// table is the relation in the words of the app.
func (r *relation) table() connectors.Table {
	t := connectors.Table{
		ID:        r.id(),
		Name:      r.schema + "." + r.name,
		Key:       r.key,
		Readable:  r.unreadable == "",
		Writable:  r.unreadable == "" && r.unwritable == "",
		Creatable: r.unreadable == "" && r.uncreatable == "",
		Deletable: r.unreadable == "" && r.undeletable == "",
		WhyNot:    r.unreadable,
		WhyNoNew:  first(r.unreadable, r.uncreatable),
		WhyNoDel:  first(r.unreadable, r.undeletable),
		Estimate:  r.estimate,
		Versioned: r.versioned,
		Effects:   r.effects,
	}
	if t.WhyNot == "" {
		t.WhyNot = r.unwritable
	}
	for _, c := range r.columns {
		t.Columns = append(t.Columns, r.field(c))
	}
	return t
}

func (r *relation) field(c *column) connectors.Field {
	f := connectors.Field{
		ID:         c.name,
		Anchor:     fmt.Sprintf("%d/%d", r.oid, c.number),
		Name:       c.name,
		Type:       c.kind,
		Options:    c.options,
		Writable:   c.writable && r.unwritable == "",
		WhyNot:     c.whyNot,
		InsertOnly: c.insertOnly && r.uncreatable == "",
	}
	if !f.Writable && f.WhyNot == "" {
		f.WhyNot = r.unwritable
	}
	return f
}

func first(sentences ...string) string {
	for _, s := range sentences {
		if s != "" {
			return s
		}
	}
	return ""
}

// fields gives the columns with these names, all when names is nil. A name that is not there any more is Gone.
func (r *relation) fields(names []string) ([]*column, error) {
	if names == nil {
		return r.columns, nil
	}
	columns := make([]*column, len(names))
	for i, n := range names {
		if columns[i] = r.column(n); columns[i] == nil {
			return nil, &connectors.Fault{Kind: connectors.Gone, Field: n, Words: "The column " + n + " of " + r.id() + " is not there any more, or this login may not read it."}
		}
	}
	return columns, nil
}
