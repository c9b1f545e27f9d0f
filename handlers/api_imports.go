package handlers

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
	"scratchpaper/views"
)

// importForm names the fields of an import beside its file; each can stand in the query too.
type importForm struct {
	File      string `json:"file" format:"binary"`
	Preview   bool   `json:"preview"`
	Name      string `json:"name"`
	Zone      string `json:"zone"`      // IANA name of the zone of times that name none; UTC unless given
	Encoding  string `json:"encoding"`  // utf-8, utf-8-bom, utf-16le, utf-16be, windows-1252
	Delimiter string `json:"delimiter"` // one character, or tab
	Quote     string `json:"quote"`     // one character, or none
	Header    bool   `json:"header"`    // the first record holds the titles
	Columns   string `json:"columns"`   // JSON: a list of importColumnBody, one for each column of the file
}

// importColumnBody says how a column of the file is read; what is left out is found out.
type importColumnBody struct {
	Title   *string         `json:"title"`
	Type    core.ColumnType `json:"type"`
	Decimal string          `json:"decimal" enum:".,,"`
	Order   string          `json:"order" enum:"dmy,mdy"`
	Take    *bool           `json:"take"`
}

// upload is a file that came with its fields.
type upload struct {
	store.Upload
	fields url.Values
	sum    []byte // of the file and its fields
}

// formFieldBytes is how long a field beside the file may be.
const formFieldBytes = 1 << 20

// readUpload reads a multipart form: the file is kept as it streams in, fields may stand before or behind it, or in the query.
// Codes: Malformed, Invalid, TooLarge.
func (s *Server) readUpload(c echo.Context) (u upload, err error) {
	form, err := c.Request().MultipartReader()
	if err != nil {
		return u, core.Wrap(err, core.Malformed, "A file is sent as multipart/form-data.")
	}
	sum := sha256.New()
	u.fields = c.QueryParams()
	defer func() {
		if err != nil {
			s.dropUpload(c, u.ID)
		}
	}()
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u, core.Wrap(err, core.Malformed, "The upload could not be read to its end.")
		}
		if err := s.readPart(c, part, &u, sum); err != nil {
			return u, err
		}
	}
	if u.ID == "" {
		return u, core.FieldErrorf("/file", "Choose a file.")
	}
	u.sum = sum.Sum(nil)
	return u, nil
}

func (s *Server) readPart(c echo.Context, part *multipart.Part, u *upload, sum hash.Hash) error {
	name := part.FormName()
	if name != "file" {
		raw, err := io.ReadAll(io.LimitReader(part, formFieldBytes+1))
		if err != nil {
			return core.Wrap(err, core.Malformed, "The upload could not be read to its end.")
		}
		if len(raw) > formFieldBytes {
			return core.Errorf(core.TooLarge, "The field %s is longer than 1 MB.", name)
		}
		u.fields.Set(name, string(raw))
		sum.Write([]byte(strconv.Quote(name) + strconv.Quote(string(raw))))
		return nil
	}
	if part.FileName() == "" || u.ID != "" {
		return core.FieldErrorf("/file", "Choose one file.")
	}
	if err := readableFile(part.FileName()); err != nil {
		return err
	}
	sum.Write([]byte(strconv.Quote(part.FileName())))
	saved, err := s.store.SaveUpload(ctxOf(c), actor(c), part.FileName(), io.TeeReader(part, sum), s.config.MaxUpload)
	u.Upload = saved
	return err
}

// dropUpload forgets a file that is not imported after all.
func (s *Server) dropUpload(c echo.Context, id string) {
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctxOf(c)), 10*time.Second)
	defer cancel()
	if err := s.store.DropUpload(ctx, actor(c), id); err != nil {
		s.log.WarnContext(ctx, "upload not dropped", "upload", id, "error", err)
	}
}

// withUpload reads a file with its fields and hands it to look, when it is only a preview, or to start. The file of a preview, or
// of an import that is refused or was made before under the same key, is not kept.
func (s *Server) withUpload(c echo.Context, look, start func(u upload) error) error {
	u, err := s.readUpload(c)
	if err != nil {
		return err
	}
	preview, err := boolField(u.fields, "preview")
	if err != nil || preview {
		defer s.dropUpload(c, u.ID)
		if err != nil {
			return err
		}
		return look(u)
	}
	started := false
	err = s.onceOf(c, u.sum, func() error {
		err := start(u)
		started = err == nil
		return err
	})
	if !started {
		s.dropUpload(c, u.ID)
	}
	return err
}

func boolField(fields url.Values, name string) (bool, error) {
	switch fields.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, core.FieldErrorf("/"+name, "%s takes true or false.", name)
}

// dialectOfUpload finds out how a file is to be read, and changes what its fields say otherwise.
func (s *Server) dialectOfUpload(c echo.Context, u upload) (csvfile.Dialect, error) {
	d, err := s.sniffUpload(ctxOf(c), actor(c), u.ID)
	if err != nil {
		return d, err
	}
	if v := u.fields.Get("encoding"); v != "" {
		d.Encoding = csvfile.Encoding(v)
	}
	if d.Delimiter, err = signField(u.fields, "delimiter", d.Delimiter); err != nil {
		return d, err
	}
	if d.Quote, err = signField(u.fields, "quote", d.Quote); err != nil {
		return d, err
	}
	if u.fields.Has("header") {
		if d.Header, err = boolField(u.fields, "header"); err != nil {
			return d, err
		}
	}
	return d, d.Validate()
}

// signField reads a field that takes one ASCII character, or a word for what is hard to send.
func signField(fields url.Values, name string, found byte) (byte, error) {
	switch v := fields.Get(name); {
	case v == "":
		return found, nil
	case v == "tab":
		return '\t', nil
	case v == "none" && name == "quote":
		return 0, nil
	case len(v) == 1:
		return v[0], nil
	}
	return 0, core.FieldErrorf("/"+name, "%s takes a single ASCII character.", name)
}

// columnFields reads how the columns are to be read.
func columnFields[T any](fields url.Values) ([]T, error) {
	var out []T
	if v := fields.Get("columns"); v != "" {
		if err := decodeJSON([]byte(v), &out); err != nil {
			return nil, below("/columns", err)
		}
	}
	return out, nil
}

// below puts the pointers of an error below another.
func below(pointer string, err error) error {
	e := ours(err)
	if e.Code == core.Malformed {
		return core.FieldErrorf(pointer, "%s", e.Sentence)
	}
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		e.Fields[i].Pointer = pointer + e.Fields[i].Pointer
	}
	return e
}

func (b importColumnBody) over(col store.ImportColumn, pointer string) (store.ImportColumn, error) {
	if b.Title != nil {
		col.Title = *b.Title
	}
	if b.Type != "" {
		col.Type = b.Type
	}
	if b.Take != nil {
		col.Skip = !*b.Take
	}
	var err error
	col.Options, err = readingOptions(col.Options, b.Decimal, b.Order, pointer)
	return col, err
}

// readingOptions changes how values are written, where that is said.
func readingOptions(o csvfile.ValueOptions, decimal, order, pointer string) (csvfile.ValueOptions, error) {
	switch decimal {
	case "":
	case ".", ",":
		o.Decimal = decimal[0]
	default:
		return o, core.FieldErrorf(pointer+"/decimal", "decimal takes “.” or “,”.")
	}
	switch csvfile.DateOrder(order) {
	case "":
	case csvfile.DayFirst, csvfile.MonthFirst:
		o.Order = csvfile.DateOrder(order)
	default:
		return o, core.FieldErrorf(pointer+"/order", "order takes dmy or mdy.")
	}
	return o, nil
}

type dialectJSON struct {
	Encoding  csvfile.Encoding `json:"encoding"`
	Delimiter string           `json:"delimiter"`
	Quote     *string          `json:"quote"`
	Header    bool             `json:"header"`
	SkipLines int              `json:"skip_lines"`
}

func dialectOut(d csvfile.Dialect) dialectJSON {
	out := dialectJSON{Encoding: d.Encoding, Delimiter: string(rune(d.Delimiter)), Header: d.Header, SkipLines: d.SkipLines}
	if d.Quote != 0 {
		quote := string(rune(d.Quote))
		out.Quote = &quote
	}
	return out
}

// importPreviewJSON is how a file would be read.
type importPreviewJSON struct {
	File    string             `json:"file"`
	Bytes   int64              `json:"bytes"`
	Dialect dialectJSON        `json:"dialect"`
	Columns []importColumnJSON `json:"columns"`
	Records [][]*string        `json:"records"` // the first, as they stand in the file; null is no value
	Seen    int64              `json:"seen"`    // records that this rests on
	Whole   bool               `json:"whole"`   // they are all of the file
	Notes   []string           `json:"notes"`
}

type importColumnJSON struct {
	Title   string          `json:"title"`
	Type    core.ColumnType `json:"type"`
	Decimal string          `json:"decimal,omitempty"`
	Order   string          `json:"order,omitempty"`
	Take    bool            `json:"take"`
	Note    string          `json:"note,omitempty"` // when a person should look
}

// fileColumns are the guesses with what the fields say otherwise.
func fileColumns(p filePreview, fields url.Values) ([]store.ImportColumn, error) {
	bodies, err := columnFields[importColumnBody](fields)
	if err != nil {
		return nil, err
	}
	if len(bodies) > len(p.Columns) {
		return nil, core.FieldErrorf("/columns/"+itoa(len(p.Columns)), "The file has only %d columns.", len(p.Columns))
	}
	out := make([]store.ImportColumn, len(p.Columns))
	for i, g := range p.Columns {
		out[i] = store.ImportColumn{Title: g.Title, Type: g.Type, Options: g.Options}
		if i < len(bodies) {
			if out[i], err = bodies[i].over(out[i], "/columns/"+itoa(i)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// readFile reads the beginning of an upload as its fields say.
func (s *Server) readFile(c echo.Context, u upload) (filePreview, error) {
	d, err := s.dialectOfUpload(c, u)
	if err != nil {
		return filePreview{}, err
	}
	p, err := s.previewUpload(ctxOf(c), actor(c), u.ID, d)
	if err == nil && len(p.Columns) > store.MaxColumns {
		err = core.FieldErrorf("/file", "The file has %s columns, and a table takes at most %d.", views.Number(int64(len(p.Columns))), store.MaxColumns)
	}
	if err == nil && len(p.Columns) == 0 {
		err = core.FieldErrorf("/file", "There is no table in this file.")
	}
	return p, err
}

// postImport makes a snapshot of a file, or only looks at the file.
func (s *Server) postImport(c echo.Context) error {
	return s.withUpload(c, func(u upload) error {
		p, cols, err := s.readColumns(c, u)
		if err != nil {
			return err
		}
		out := previewOut(u, p)
		for i, col := range cols {
			one := importColumnJSON{Title: col.Title, Type: col.Type, Order: string(col.Options.Order), Take: !col.Skip, Note: p.Columns[i].Note}
			if col.Options.Decimal != 0 {
				one.Decimal = string(rune(col.Options.Decimal))
			}
			out.Columns = append(out.Columns, one)
		}
		return c.JSON(http.StatusOK, out)
	}, func(u upload) error {
		p, cols, err := s.readColumns(c, u)
		if err != nil {
			return err
		}
		sn, job, err := s.store.StartImport(ctxOf(c), actor(c), store.NewImport{Upload: u.ID, Name: u.fields.Get("name"), Dialect: p.Dialect,
			Zone: u.fields.Get("zone"), Columns: cols})
		if err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, snapshotMadeJSON{snapshotOut(sn), jobOut(job)})
	})
}

func (s *Server) readColumns(c echo.Context, u upload) (filePreview, []store.ImportColumn, error) {
	p, err := s.readFile(c, u)
	if err != nil {
		return p, nil, err
	}
	cols, err := fileColumns(p, u.fields)
	return p, cols, err
}

func previewOut(u upload, p filePreview) importPreviewJSON {
	out := importPreviewJSON{File: u.Name, Bytes: u.Bytes, Dialect: dialectOut(p.Dialect), Columns: []importColumnJSON{}, Records: [][]*string{}, Seen: p.Seen,
		Whole: p.Whole, Notes: append([]string{}, reportNotes(p.Report)...)}
	for _, rec := range p.Records {
		out.Records = append(out.Records, fieldsOut(rec))
	}
	return out
}

func fieldsOut(rec []csvfile.Field) []*string {
	out := make([]*string, len(rec))
	for i, f := range rec {
		if text := f.Text; !f.Null() {
			out[i] = &text
		}
	}
	return out
}
