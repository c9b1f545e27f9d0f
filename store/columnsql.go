package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// physicalType is the Postgres type that holds a column's values. A physical column never changes its type.
func physicalType(t core.ColumnType) string {
	switch {
	case t == core.Number:
		return "numeric"
	case t == core.Checkbox:
		return "boolean"
	case t == core.Date:
		return "date"
	case t == core.DateTime:
		return "timestamptz"
	case t == core.LocalTime:
		return "timestamp"
	case t == core.JSON:
		return "jsonb"
	case t.IsList():
		return "text[]"
	}
	return "text"
}

// canonicalExpr gives the SQL of a cell's canonical jsonb, never SQL null.
func canonicalExpr(c core.Column, alias string) string {
	cell := alias + "." + ident(c.Physical)
	if c.Type == core.JSON {
		return "(case when " + cell + " is null then 'null'::jsonb else jsonb_build_array(" + cell + ") end)"
	}
	return "coalesce(to_jsonb(" + cell + "), 'null'::jsonb)"
}

// castExpr gives the SQL that turns canonical jsonb into the column's physical type; SQL null and JSON null become null.
func castExpr(c core.Column, j string) string {
	switch {
	case c.Type == core.JSON:
		return "(case when jsonb_typeof(" + j + ") = 'array' then (" + j + ") -> 0 end)"
	case c.Type.IsList():
		return "(case when jsonb_typeof(" + j + ") = 'array' then array(select jsonb_array_elements_text(" + j + ")) end)"
	case c.Type.IsText():
		return "((" + j + ") #>> '{}')"
	}
	return "((" + j + ") #>> '{}')::" + physicalType(c.Type)
}

// textExpr gives the SQL of a cell as the text that valueFromText reads, cut behind cutAt+1 characters where it can be
// long (0: never cut).
func textExpr(c core.Column, alias string, cutAt int) string {
	cell := alias + "." + ident(c.Physical)
	switch {
	case c.Type.IsText():
		if cutAt > 0 {
			return fmt.Sprintf("left(%s, %d)", cell, cutAt+1)
		}
		return cell
	case c.Type == core.JSON && cutAt > 0:
		return fmt.Sprintf("left(%s::text, %d)", cell, cutAt+1)
	case c.Type.IsList():
		return "to_jsonb(" + cell + ")::text"
	case c.Type == core.Date, c.Type == core.DateTime, c.Type == core.LocalTime:
		return "(to_jsonb(" + cell + ") #>> '{}')"
	}
	return cell + "::text"
}

// valueFromText reads what textExpr gave and is not null, and says whether it was cut.
func valueFromText(c *core.Column, s string, cutAt int) (core.Value, bool, error) {
	if c.Type.IsList() {
		v, err := core.FromCanonical(c.Type, json.RawMessage(s))
		return v, false, err
	}
	if cutAt > 0 && len(s) > cutAt && (c.Type.IsText() || c.Type == core.JSON) && utf8.RuneCountInString(s) > cutAt {
		i, n := 0, 0
		for i = range s {
			if n == cutAt {
				break
			}
			n++
		}
		return core.TextValue(s[:i]), true, nil
	}
	return core.TextValue(s), false, nil
}

// sentExpr gives the SQL of a whole cell for a statement whose results are asked for as text: types that Postgres writes nearly as
// Value has them are left to valueFromSent, which costs less than expressions over each cell.
func sentExpr(c core.Column, alias string) string {
	if c.Type.IsList() {
		return textExpr(c, alias, 0)
	}
	return alias + "." + ident(c.Physical)
}

// valueFromSent reads what sentExpr gave and is not null.
func valueFromSent(c *core.Column, sent string) (core.Value, error) {
	switch {
	case c.Type.IsList():
		return core.FromCanonical(c.Type, json.RawMessage(sent))
	case c.Type == core.Checkbox && sent == "t":
		return core.TextValue("true"), nil
	case c.Type == core.Checkbox:
		return core.TextValue("false"), nil
	case c.Type == core.DateTime, c.Type == core.LocalTime:
		return core.TextValue(core.ISOTime(sent)), nil
	}
	return core.TextValue(sent), nil
}

// cellOf gives the SQL of the canonical value of the cell that a column-number expression names, among some columns.
func cellOf(cols []core.Column, alias, number string) string {
	if len(cols) == 1 {
		return canonicalExpr(cols[0], alias)
	}
	var b strings.Builder
	b.WriteString("case " + number)
	for _, c := range cols {
		b.WriteString(" when " + strconv.Itoa(c.Number) + " then " + canonicalExpr(c, alias))
	}
	b.WriteString(" end")
	return b.String()
}

// dataTable gives the qualified name of a table's rows.
func dataTable(t Table) string { return ident(t.Schema, t.Physical) }

// companionName is companion for COPY.
func companionName(t Table, name string) pgx.Identifier { return pgx.Identifier{t.Schema, name} }

// companion gives the qualified name of one of the snapshot's companions.
func companion(t Table, name string) string { return ident(t.Schema, name) }
