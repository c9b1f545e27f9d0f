package expr_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

// Expressions of every function over records with every kind of value give the same in Postgres and in the reference
// evaluator: that is what lets a function compile to SQL.
func TestPostgresAndTheReferenceAgree(t *testing.T) {
	all := newShop(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := all.in(rt)
		rows := rapid.SliceOfN(rapid.Custom(someRow), 1, 8).Draw(rt, "rows")
		s.exec("truncate " + s.table("rows") + ", " + s.table("_suggestions") + ", " + s.table("_problems"))
		for id, r := range rows {
			s.insert(id, r)
		}
		for range 12 {
			e := boolean(rt, 3)
			want := []int{}
			for id, r := range rows {
				if holds(e.mean(r)) {
					want = append(want, id)
				}
			}
			if got := s.find(e.src); !slices.Equal(got, want) {
				rt.Fatalf("%s\ngives %v in Postgres, %v in the reference", e.src, got, want)
			}
		}
	})
}

// parameters collects the values of an insert as texts.
type parameters []any

// sql gives the SQL of a value.
func (p *parameters) sql(c core.Column, v value) string {
	text, ok := canonicalText(c, v)
	if !ok {
		return "null::" + pgType(c.Slug)
	}
	*p = append(*p, text)
	cast := "::text"
	if c.Type.IsList() {
		cast = ""
	}
	return "$" + strconv.Itoa(len(*p)) + cast + "::" + pgType(c.Slug)
}

func canonicalText(c core.Column, v value) (any, bool) {
	switch {
	case v.null:
		return nil, false
	case c.Type.IsList():
		return v.list, true
	case c.Type == core.Number:
		return v.number.String(), true
	case c.Type == core.Checkbox:
		return strconv.FormatBool(v.truth), true
	case c.Type == core.Date:
		return v.when.written("date"), true
	case c.Type == core.DateTime:
		return v.when.written("instant"), true
	case c.Type == core.LocalTime:
		return v.when.written("local"), true
	}
	return v.text, true
}

// String writes a number as Postgres reads it.
func (d decimal) String() string {
	if d.special != 0 {
		return map[int]string{-1: "-Infinity", 1: "Infinity", 2: "NaN"}[d.special]
	}
	return d.digits.String() + "e-" + strconv.Itoa(d.scale)
}

func (s *shop) insert(id int, r *row) {
	p := parameters{id, r.state}
	names, exprs := []string{"_id", "_state"}, []string{"$1", "$2"}
	var base, conflict []string
	for _, c := range s.cols {
		names, exprs = append(names, quoted(c.Physical)), append(exprs, p.sql(c, r.values[c.Slug]))
		if v, ok := r.base[c.Slug]; ok {
			base = append(base, "'"+strconv.Itoa(c.Number)+"', "+p.canonical(c, v))
		}
		if r.conflict[c.Slug] {
			conflict = append(conflict, "'"+strconv.Itoa(c.Number)+"', null")
		}
	}
	for name, entries := range map[string][]string{"_base": base, "_conflict": conflict} {
		if len(entries) > 0 {
			names, exprs = append(names, name), append(exprs, "jsonb_build_object("+strings.Join(entries, ", ")+")")
		}
	}
	s.exec("insert into "+s.table("rows")+" ("+strings.Join(names, ", ")+") values ("+strings.Join(exprs, ", ")+")", p...)
	for _, c := range s.cols {
		if r.suggested[c.Slug] {
			s.exec("insert into "+s.table("_suggestions")+" values ($1, $2, null), ($1, $3, 4)", id, c.Number, c.Number%12+5)
		}
		if r.problems[c.Slug] {
			s.exec("insert into "+s.table("_problems")+" values ($1, $2)", id, c.Number)
		}
	}
}

// canonical gives the SQL of a value's canonical jsonb.
func (p *parameters) canonical(c core.Column, v value) string {
	sql := p.sql(c, v)
	if c.Type == core.JSON && !v.null {
		return "jsonb_build_array(" + sql + ")"
	}
	return "coalesce(to_jsonb(" + sql + "), 'null')"
}
