package expr_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
	"scratchpaper/internal/localdb/testdb"
)

// hostile is the name of the test's schema, and part of the names of its columns.
const hostile = `it's a "sn😀p"; drop schema public cascade; --`

func columns() []core.Column {
	list := []core.Column{
		{Slug: "title", Title: "Title", Type: core.Text},
		{Slug: "body", Title: "Body text", Type: core.Markdown},
		{Slug: "status", Title: "Status", Type: core.Choice},
		{Slug: "price", Title: "Price", Type: core.Number},
		{Slug: "stock", Title: "Stock", Type: core.Number},
		{Slug: "done", Title: "Done", Type: core.Checkbox},
		{Slug: "day", Title: "Day", Type: core.Date},
		{Slug: "sold", Title: "Sold", Type: core.DateTime},
		{Slug: "opens", Title: "Opens", Type: core.LocalTime},
		{Slug: "tags", Title: "Tags", Type: core.Choices},
		{Slug: "authors", Title: "Authors", Type: core.References},
		{Slug: "data", Title: "Data", Type: core.JSON},
	}
	for i := range list {
		list[i].Number, list[i].Physical = i+5, list[i].Slug+`'s "%s" 😀;--`
	}
	return list
}

// pgTypes are the physical types of the columns that are not text.
var pgTypes = map[string]string{"price": "numeric", "stock": "numeric", "done": "boolean", "day": "date", "sold": "timestamptz",
	"opens": "timestamp", "tags": "text[]", "authors": "text[]", "data": "jsonb"}

func pgType(slug string) string {
	if t, ok := pgTypes[slug]; ok {
		return t
	}
	return "text"
}

// failer is what a test and a generated check have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// shop is a snapshot's table in a real Postgres.
type shop struct {
	t    failer
	pool *pgxpool.Pool
	cols []core.Column
}

func newShop(t testing.TB) *shop {
	s := &shop{t: t, pool: testdb.New(t), cols: columns()}
	s.exec("create schema " + quoted(hostile))
	s.exec("create table " + s.table("rows") + " (_id bigint, _base jsonb, _state smallint not null default 0, _conflict jsonb)")
	for _, c := range s.cols {
		s.exec("alter table " + s.table("rows") + " add " + quoted(c.Physical) + " " + pgType(c.Slug))
	}
	s.exec("create table " + s.table("_suggestions") + " (row bigint, col int, decided bigint)")
	s.exec("create table " + s.table("_problems") + " (row bigint, col int)")
	return s
}

// in gives the shop for a generated check.
func (s *shop) in(t failer) *shop { return &shop{t, s.pool, s.cols} }

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

func (s *shop) table(name string) string { return pgx.Identifier{hostile, name}.Sanitize() }

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(context.Background(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// add puts a record in; values are SQL, by slug or by the names that begin with _.
func (s *shop) add(id int, values map[string]string) {
	s.t.Helper()
	names, exprs := []string{"_id"}, []string{"$1"}
	for name, sql := range values {
		for _, c := range s.cols {
			if c.Slug == name {
				name = c.Physical
			}
		}
		names, exprs = append(names, quoted(name)), append(exprs, sql)
	}
	s.exec("insert into "+s.table("rows")+" ("+strings.Join(names, ", ")+") values ("+strings.Join(exprs, ", ")+")", id)
}

// find gives the ids for which a filter holds, and fails where it is neither true nor false.
func (s *shop) find(src string) []int {
	s.t.Helper()
	f, err := expr.CompileFilter(src, s.cols)
	if err != nil {
		s.t.Fatalf("%s: %v", src, err)
	}
	b := &expr.Builder{Schema: hostile}
	cond, err := f.SQL(b)
	if err != nil {
		s.t.Fatalf("%s: %v", src, err)
	}
	return s.holds(src, cond, b.Args)
}

func (s *shop) holds(src, cond string, args []any) []int {
	s.t.Helper()
	rows, err := s.pool.Query(context.Background(), "select r._id, "+cond+" from "+s.table("rows")+" r", args...)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", src, err, cond)
	}
	defer rows.Close()
	ids := []int{}
	for rows.Next() {
		var id int
		var holds *bool
		if err := rows.Scan(&id, &holds); err != nil {
			s.t.Fatal(err)
		}
		switch {
		case holds == nil:
			s.t.Fatalf("%s is null for record %d\n%s", src, id, cond)
		case *holds:
			ids = append(ids, id)
		}
	}
	if rows.Err() != nil {
		s.t.Fatalf("%s: %v\n%s\n%q", src, rows.Err(), cond, args)
	}
	slices.Sort(ids)
	return ids
}
