package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
	"scratchpaper/views"
)

func (s *Server) newImport(c echo.Context) error {
	p, err := s.page(c, "Import a file", "snapshots")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.NewImport(p))
}

// uploadImport keeps the file of a multipart form, streamed, and goes on to its preview.
func (s *Server) uploadImport(c echo.Context) error {
	part, err := filePart(c.Request())
	if err != nil {
		return err
	}
	if err := readableFile(part.FileName()); err != nil {
		return err
	}
	u, err := s.store.SaveUpload(c.Request().Context(), actor(c), part.FileName(), part, s.config.MaxUpload)
	if err != nil {
		return err
	}
	address := "/imports/" + u.ID
	if c.Request().Header.Get("Accept") == echo.MIMEApplicationJSON {
		return c.JSON(http.StatusCreated, map[string]string{"id": u.ID, "address": address})
	}
	return see(c, address)
}

// filePart finds the file in a multipart form without reading it.
func filePart(r *http.Request) (*multipart.Part, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, core.Wrap(err, core.Malformed, "A file is sent as multipart/form-data.")
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, core.FieldErrorf("/file", "Choose a file.")
		}
		if err != nil {
			return nil, core.Wrap(err, core.Malformed, "The upload could not be read to its end.")
		}
		if part.FormName() == "file" {
			if part.FileName() == "" {
				return nil, core.FieldErrorf("/file", "Choose a file.")
			}
			return part, nil
		}
	}
}

// readableFile refuses, by name, what would only look like broken text.
func readableFile(name string) error {
	switch strings.ToLower(path.Ext(name)) {
	case ".xlsx", ".xls", ".ods", ".numbers":
		return core.FieldErrorf("/file", "Workbooks are not read yet: save the sheet as CSV, and choose that.")
	case ".json", ".jsonl", ".ndjson":
		return core.FieldErrorf("/file", "JSON is not read yet: choose a CSV or TSV file.")
	case ".zip", ".gz", ".pdf", ".doc", ".docx", ".png", ".jpg", ".jpeg", ".gif", ".webp":
		return core.FieldErrorf("/file", "That is not a table: choose a CSV or TSV file.")
	}
	return nil
}

// previewImport shows how a file is read. The address holds every choice.
func (s *Server) previewImport(c echo.Context) error {
	v, _, err := s.importView(c, c.QueryParams())
	if err != nil {
		return err
	}
	return s.answerImport(c, http.StatusOK, v)
}

func (s *Server) answerImport(c echo.Context, status int, v views.ImportView) error {
	if v.Error != "" && status == http.StatusOK {
		status = http.StatusUnprocessableEntity
	}
	if partial(c) {
		return s.render(c, status, views.ImportForm(v))
	}
	p, err := s.page(c, "Import "+v.File, "snapshots")
	if err != nil {
		return err
	}
	return s.render(c, status, views.Import(p, v))
}

// startImport makes the snapshot and begins to fill it.
func (s *Server) startImport(c echo.Context) error {
	if err := form(c, "take"); err != nil {
		return err
	}
	values := c.Request().PostForm
	v, n, err := s.importView(c, values)
	if err != nil {
		return err
	}
	if v.Error != "" {
		return s.answerImport(c, http.StatusUnprocessableEntity, v)
	}
	n.Zone = values.Get("zone")
	sn, _, err := s.store.StartImport(c.Request().Context(), actor(c), n)
	if core.CodeOf(err) == core.Invalid {
		v.Error = core.SentenceOf(err)
		return s.answerImport(c, http.StatusUnprocessableEntity, v)
	}
	if err != nil {
		return err
	}
	return see(c, "/snapshots/"+sn.ID)
}

// importView reads the file as the form says and makes what StartImport wants of it. A file that cannot be read so is no
// error: the view says why, and its choices can be changed.
func (s *Server) importView(c echo.Context, values url.Values) (views.ImportView, store.NewImport, error) {
	ctx, by := c.Request().Context(), actor(c)
	u, err := s.store.UploadByID(ctx, by, c.Param("upload"))
	if err != nil {
		return views.ImportView{}, store.NewImport{}, err
	}
	dialect, wrong := s.dialectOf(c, u, values)
	v := views.ImportView{ID: u.ID, File: u.Name, Size: u.Bytes, Name: importName(u, values)}
	n := store.NewImport{Upload: u.ID, Name: v.Name.Value}
	preview := filePreview{Dialect: dialect}
	if wrong == nil {
		preview, wrong = s.previewUpload(ctx, by, u.ID, dialect)
	}
	if wrong != nil && core.CodeOf(wrong) != core.Invalid {
		return v, n, wrong
	}
	if wrong != nil {
		v.Error = core.SentenceOf(wrong)
	}
	n.Dialect = preview.Dialect
	v.Options, v.Read = dialectFields(preview.Dialect), dialectText(preview.Dialect)
	v.Seen, v.Whole, v.Notes = preview.Seen, preview.Whole, reportNotes(preview.Report)
	if wrong == nil && len(preview.Columns) == 0 {
		v.Error = "There is no table in this file."
	}
	if n := len(preview.Columns); wrong == nil && n > store.MaxColumns {
		v.Error = fmt.Sprintf("The file has %s columns, and a table takes at most %d. Leave some out of the file, or choose what stands between values.", views.Number(int64(n)), store.MaxColumns)
		preview.Columns, preview.Records = nil, nil // a form of so many fields is not taken back
	}
	n.Columns = importColumns(&v, preview, values)
	v.Records = importCells(preview.Records, n.Columns)
	return v, n, nil
}

func importName(u store.Upload, values url.Values) views.Field {
	name := strings.TrimSuffix(u.Name, path.Ext(u.Name))
	if values.Has("name") {
		name = values.Get("name")
	}
	return views.Field{Name: "name", Label: "Name of the snapshot", Value: name, Required: true}
}

// dialectOf finds out how the file is to be read, and changes what the form says otherwise.
func (s *Server) dialectOf(c echo.Context, u store.Upload, values url.Values) (csvfile.Dialect, error) {
	d, err := s.sniffUpload(c.Request().Context(), actor(c), u.ID)
	if err != nil || !values.Has("encoding") {
		return d, err
	}
	d.Encoding = csvfile.Encoding(values.Get("encoding"))
	d.Header = values.Get("header") == "yes"
	delimiter := values.Get("delimiter")
	if delimiter == "tab" {
		delimiter = "\t"
	}
	if len(delimiter) != 1 {
		return d, core.FieldErrorf("/delimiter", "The delimiter must be a single ASCII character.")
	}
	d.Delimiter = delimiter[0]
	return d, d.Validate()
}

func dialectText(d csvfile.Dialect) string {
	return fmt.Sprintf("%s %d %t %d", d.Encoding, d.Delimiter, d.Header, d.SkipLines)
}

func dialectFields(d csvfile.Dialect) []views.Field {
	delimiter := string(rune(d.Delimiter))
	if d.Delimiter == '\t' {
		delimiter = "tab"
	}
	delimiters := []views.Choice{{Value: ",", Text: "comma"}, {Value: ";", Text: "semicolon"}, {Value: "tab", Text: "tab"}, {Value: "|", Text: "bar |"}, {Value: ":", Text: "colon"}}
	known := d.Delimiter == 0
	for _, ch := range delimiters {
		known = known || ch.Value == delimiter
	}
	if !known {
		delimiters = append(delimiters, views.Choice{Value: delimiter, Text: delimiter})
	}
	header := "no"
	if d.Header {
		header = "yes"
	}
	return []views.Field{
		{Name: "encoding", Label: "Encoding", Kind: "choice", Value: string(d.Encoding), Required: true, Choices: []views.Choice{
			{Value: "utf-8", Text: "UTF-8"}, {Value: "utf-8-bom", Text: "UTF-8 with a byte order mark"}, {Value: "utf-16le", Text: "UTF-16 LE"},
			{Value: "utf-16be", Text: "UTF-16 BE"}, {Value: "windows-1252", Text: "Windows-1252"}}},
		{Name: "delimiter", Label: "Delimiter", Kind: "choice", Value: delimiter, Required: true, Choices: delimiters},
		{Name: "header", Label: "First line", Kind: "choice", Value: header, Required: true, Choices: []views.Choice{
			{Value: "yes", Text: "holds the titles"}, {Value: "no", Text: "is a record"}}},
	}
}

// reportNotes says what a person should know about the file as far as it was read.
func reportNotes(r csvfile.Report) []string {
	var notes []string
	add := func(n int64, kind csvfile.IssueKind, one, many string) {
		if n > 0 {
			notes = append(notes, views.Counted(n, one, many)+linesOf(r, kind))
		}
	}
	add(r.TooMany, csvfile.TooMany, "record has more values than there are columns and is left out.", "records have more values than there are columns and are left out.")
	add(r.TooFew, csvfile.TooFewFields, "record has fewer values than there are columns; the rest is empty.", "records have fewer values than there are columns; the rest is empty.")
	add(r.BadRecords, csvfile.BadCharacter, "record has characters that cannot be read so; look at the encoding above.", "records have characters that cannot be read so; look at the encoding above.")
	add(r.StrayQuotes, csvfile.StrayQuote, "record has a quote that opens or closes nothing; it is kept as text.", "records have quotes that open or close nothing; they are kept as text.")
	return notes
}

// linesNamed is how many lines of a file a note names.
const linesNamed = 10

// linesOf says in which lines of the file records of a kind of issue begin, the first few.
func linesOf(r csvfile.Report, kind csvfile.IssueKind) string {
	var lines []string
	more := false
	for _, issue := range r.Issues {
		if issue.Kind != kind {
			continue
		}
		if more = len(lines) == linesNamed; more {
			break
		}
		lines = append(lines, views.Number(issue.Line))
	}
	switch {
	case lines == nil:
		return ""
	case len(lines) == 1:
		return " Line " + lines[0] + "."
	case more:
		return " Lines " + strings.Join(lines, ", ") + " and more."
	}
	return " Lines " + strings.Join(lines[:len(lines)-1], ", ") + " and " + lines[len(lines)-1] + "."
}

// importColumns takes the guesses, and what the form says instead, as long as the file is still read as it was then.
func importColumns(v *views.ImportView, p filePreview, values url.Values) []store.ImportColumn {
	same := values.Get("read") == v.Read
	take := map[string]bool{}
	for _, i := range values["take"] {
		take[i] = true
	}
	out := make([]store.ImportColumn, len(p.Columns))
	for i, g := range p.Columns {
		key := strconv.Itoa(i)
		col := store.ImportColumn{Title: g.Title, Type: g.Type, Options: g.Options}
		note := g.Note
		if same {
			col.Skip = !take[key]
			if title := strings.TrimSpace(values.Get("title-" + key)); title != "" {
				col.Title = title
			}
			if t, o, ok := readingOf(values.Get("type-" + key)); ok {
				if t != g.Type || o != g.Options {
					note = ""
				}
				col.Type, col.Options = t, o
			}
		}
		out[i] = col
		v.Columns = append(v.Columns, views.ImportColumn{
			Index: i, Title: col.Title, Type: col.Type, Reading: readingText(col.Type, col.Options), Choices: readingChoices(), Note: note, Skip: col.Skip,
		})
	}
	return out
}

// readingText names a type together with how its values are written.
func readingText(t core.ColumnType, o csvfile.ValueOptions) string {
	switch {
	case t == core.Number && o.Decimal == ',':
		return "number,"
	case (t == core.Date || t == core.DateTime) && o.Order != "":
		return string(t) + ":" + string(o.Order)
	}
	return string(t)
}

func readingOf(s string) (core.ColumnType, csvfile.ValueOptions, bool) {
	if s == "number," {
		return core.Number, csvfile.ValueOptions{Decimal: ','}, true
	}
	for _, ch := range readingChoices() {
		if ch.Value == s {
			t, order, _ := strings.Cut(s, ":")
			return core.ColumnType(t), csvfile.ValueOptions{Order: csvfile.DateOrder(order)}, true
		}
	}
	return "", csvfile.ValueOptions{}, false
}

func readingChoices() []views.Choice {
	return []views.Choice{
		{Value: "text", Text: "text"}, {Value: "longtext", Text: "long text"}, {Value: "markdown", Text: "Markdown"},
		{Value: "number", Text: "number, 1,234.5"}, {Value: "number,", Text: "number, 1.234,5"}, {Value: "checkbox", Text: "checkbox"},
		{Value: "date", Text: "date, 2026-11-24"}, {Value: "date:dmy", Text: "date, 24/11/2026"}, {Value: "date:mdy", Text: "date, 11/24/2026"},
		{Value: "datetime", Text: "date and time"}, {Value: "datetime:dmy", Text: "date and time, day first"}, {Value: "datetime:mdy", Text: "date and time, month first"},
		{Value: "url", Text: "address"}, {Value: "email", Text: "e-mail"},
	}
}

// previewCut is how many characters of a value the preview shows.
const previewCut = 200

// importCells shows the first records as they stand in the file, and which of their values do not fit.
func importCells(records [][]csvfile.Field, cols []store.ImportColumn) [][]views.ImportCell {
	out := make([][]views.ImportCell, len(records))
	for i, rec := range records {
		out[i] = make([]views.ImportCell, len(cols))
		for j := range cols {
			if j >= len(rec) {
				out[i][j].Null = true
				continue
			}
			out[i][j] = importCell(rec[j], cols[j])
		}
	}
	return out
}

func importCell(f csvfile.Field, col store.ImportColumn) views.ImportCell {
	cell := views.ImportCell{Text: f.Text, Null: f.Null()}
	if t := col.Type; !col.Skip && t != core.Markdown {
		_, err := csvfile.Parse(t, f, col.Options)
		cell.Bad = err != nil
	}
	if r := []rune(cell.Text); len(r) > previewCut {
		cell.Text = string(r[:previewCut]) + "…"
	}
	return cell
}
