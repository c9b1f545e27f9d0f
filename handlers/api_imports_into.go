package handlers

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/internal/expr"
	"scratchpaper/store"
)

// importIntoForm names the fields of an import into a table beside its file; each can stand in the query too.
type importIntoForm struct {
	File       string `json:"file" format:"binary"`
	Preview    bool   `json:"preview"`
	Key        string `json:"key"`         // the column that records are found by
	Columns    string `json:"columns"`     // JSON: a list of importTargetBody, one for each column of the file
	Create     bool   `json:"create"`      // propose records for rows that match none; true unless given
	SkipBlanks bool   `json:"skip_blanks"` // an empty field says nothing, instead of null
	Zone       string `json:"zone"`
	Encoding   string `json:"encoding"`
	Delimiter  string `json:"delimiter"`
	Quote      string `json:"quote"`
	Header     bool   `json:"header"`
}

// importTargetBody says where a column of the file goes: column null leaves it out, and without it the column whose id or title
// is the file's title is taken.
type importTargetBody struct {
	Column  given[*string] `json:"column"`
	Decimal string         `json:"decimal"`
	Order   string         `json:"order"`
}

// importIntoPreviewJSON is how a file would go into a table.
type importIntoPreviewJSON struct {
	File    string             `json:"file"`
	Bytes   int64              `json:"bytes"`
	Dialect dialectJSON        `json:"dialect"`
	Key     string             `json:"key"`
	Columns []importTargetJSON `json:"columns"`
	Records [][]*string        `json:"records"` // the first, as they stand in the file
	Matches importMatchesJSON  `json:"matches"` // of these records
	Seen    int64              `json:"seen"`
	Whole   bool               `json:"whole"`
	Notes   []string           `json:"notes"`
}

type importTargetJSON struct {
	Title  string  `json:"title"`
	Column *string `json:"column"`            // null: it goes nowhere
	WhyNot string  `json:"why_not,omitempty"` // its values are not suggested for records that are there
	Note   string  `json:"note,omitempty"`
}

type importMatchesJSON struct {
	Matched int `json:"matched"`
	New     int `json:"new"`
	Skipped int `json:"skipped"`
}

// intoTable is a file with where its columns go.
type intoTable struct {
	preview filePreview
	key     core.Column
	n       store.ImportInto
}

// postImportInto turns a file into suggestions of a table, matched by a key column, or only looks at the file.
func (s *Server) postImportInto(c echo.Context) error {
	t, err := s.tableOf(c)
	if err != nil {
		return err
	}
	return s.withUpload(c, func(u upload) error {
		in, err := s.readInto(c, u, t)
		if err != nil {
			return err
		}
		return s.answerIntoPreview(c, u, t, in)
	}, func(u upload) error {
		in, err := s.readInto(c, u, t)
		if err != nil {
			return err
		}
		job, err := s.store.StartImportInto(ctxOf(c), actor(c), t.Ref(), in.n)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(job)})
	})
}

func (s *Server) readInto(c echo.Context, u upload, t store.Table) (in intoTable, err error) {
	key, ok := t.ColumnBySlug(u.fields.Get("key"))
	if !ok || !store.KeyType(key.Type) {
		return in, core.FieldErrorf("/key", "Say by which column records are found: one of texts, numbers or dates.")
	}
	if in.preview, err = s.readFile(c, u); err != nil {
		return in, err
	}
	in.key = key
	in.n = store.ImportInto{Upload: u.ID, Dialect: in.preview.Dialect, Zone: u.fields.Get("zone")}
	in.n.Key = key.Number
	in.n.Create = true
	if u.fields.Has("create") {
		if in.n.Create, err = boolField(u.fields, "create"); err != nil {
			return in, err
		}
	}
	if in.n.SkipBlanks, err = boolField(u.fields, "skip_blanks"); err != nil {
		return in, err
	}
	return in, in.aim(u, t)
}

// aim finds out where the file's columns go.
func (in *intoTable) aim(u upload, t store.Table) error {
	bodies, err := columnFields[importTargetBody](u.fields)
	if err != nil {
		return err
	}
	guesses := in.preview.Columns
	if len(bodies) > len(guesses) {
		return core.FieldErrorf("/columns/"+itoa(len(guesses)), "The file has only %d columns.", len(guesses))
	}
	taken := map[int]bool{}
	for i, b := range bodies {
		if b.Column.Is && b.Column.Value != nil {
			col, ok := t.ColumnBySlug(*b.Column.Value)
			if !ok || taken[col.Number] {
				return core.FieldErrorf("/columns/"+itoa(i)+"/column", "There is no column %s, or another column of the file goes there.", *b.Column.Value)
			}
			taken[col.Number] = true
		}
	}
	for i, g := range guesses {
		b := importTargetBody{}
		if i < len(bodies) {
			b = bodies[i]
		}
		one := store.ImportColumn{Title: g.Title, Options: g.Options}
		if one.Options, err = readingOptions(one.Options, b.Decimal, b.Order, "/columns/"+itoa(i)); err != nil {
			return err
		}
		in.n.Columns = append(in.n.Columns, one)
		in.n.Targets = append(in.n.Targets, target(t, b, g.Title, taken))
	}
	return nil
}

// target gives the number of the column that a file's column goes to, 0 for none.
func target(t store.Table, b importTargetBody, title string, taken map[int]bool) int {
	if b.Column.Is {
		if b.Column.Value == nil {
			return 0
		}
		col, _ := t.ColumnBySlug(*b.Column.Value)
		return col.Number
	}
	title = strings.TrimSpace(title)
	slug := expr.Slug(title, nil)
	for _, col := range t.Columns {
		if (strings.EqualFold(col.Title, title) || col.Slug == slug || col.Slug == title) && !taken[col.Number] {
			taken[col.Number] = true
			return col.Number
		}
	}
	return 0
}

func (s *Server) answerIntoPreview(c echo.Context, u upload, t store.Table, in intoTable) error {
	p := in.preview
	out := importIntoPreviewJSON{File: u.Name, Bytes: u.Bytes, Dialect: dialectOut(p.Dialect), Key: in.key.Slug, Columns: []importTargetJSON{}, Records: [][]*string{},
		Seen: p.Seen, Whole: p.Whole, Notes: append([]string{}, reportNotes(p.Report)...)}
	at := -1
	for i, number := range in.n.Targets {
		one := importTargetJSON{Title: p.Columns[i].Title, Note: p.Columns[i].Note}
		if col, ok := t.Column(number); ok {
			one.Column = &col.Slug
			if !col.Writable && number != in.key.Number {
				one.WhyNot = col.WhyNot
			}
		}
		if number == in.key.Number {
			at = i
		}
		out.Columns = append(out.Columns, one)
	}
	if at < 0 {
		return core.FieldErrorf("/key", "No column of the file goes to %s.", in.key.Title)
	}
	for _, rec := range p.Records {
		out.Records = append(out.Records, fieldsOut(rec))
	}
	var err error
	if out.Matches, err = s.matches(c, t, in, at); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}

// matches counts what the first records of a file would find.
func (s *Server) matches(c echo.Context, t store.Table, in intoTable, at int) (out importMatchesJSON, err error) {
	zone, err := time.LoadLocation(in.n.Zone)
	if err != nil {
		return out, core.FieldErrorf("/zone", "There is no time zone %q.", in.n.Zone)
	}
	values := make([]core.Value, len(in.preview.Records))
	seen := map[string]bool{}
	for i, rec := range in.preview.Records {
		if at >= len(rec) {
			continue
		}
		if v := keyValue(in.key, rec[at], in.n.Columns[at].Options, zone); !seen[v.Text] {
			values[i], seen[v.Text] = v, true
		}
	}
	counts, err := s.store.MatchKeys(ctxOf(c), actor(c), t.Ref(), in.key.Number, values)
	if err != nil {
		return out, err
	}
	for i, n := range counts {
		switch {
		case values[i].IsNull() || values[i].Text == "" || n > 1 || n == 0 && !in.n.Create:
			out.Skipped++
		case n == 1:
			out.Matched++
		default:
			out.New++
		}
	}
	return out, nil
}

// keyValue reads a field as a key; what does not fit is null.
func keyValue(col core.Column, f csvfile.Field, opts csvfile.ValueOptions, zone *time.Location) core.Value {
	opts.Zone = zone
	switch col.Type {
	case core.Number, core.Date, core.DateTime, core.URL, core.Email:
		text, err := csvfile.Parse(col.Type, f, opts)
		if err != nil || text == "" {
			return core.NullValue
		}
		return core.TextValue(text)
	case core.LocalTime:
		v, err := core.FromInput(col, f.Text)
		if err != nil {
			return core.NullValue
		}
		return v
	}
	return core.TextValue(f.Text)
}
