package handlers

import (
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// exportBlock is how many records are read and written at a time: memory is bounded by it.
const exportBlock = 1000

// exportTable streams a view of a table as CSV or TSV. It changes nothing. By default the file is for spreadsheets: text that
// one would take for a formula gets a ', which our own import takes off again; plain=true leaves it as it is.
func (s *Server) exportTable(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	opts, ending, err := exportOptions(c)
	if err != nil {
		return err
	}
	cols, numbers, err := columnsOf(t, c.QueryParam("columns"))
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	o, err := s.store.Order(ctx, by, t.Ref(), v, 0)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, map[string]string{"csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8"}[ending])
	h.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": t.Title + "." + ending}))
	c.Response().WriteHeader(http.StatusOK)
	w := csvfile.NewWriter(c.Response(), opts)
	titles := make([]string, len(cols))
	for i, col := range cols {
		titles[i] = col.Title
	}
	if err := w.WriteTitles(titles); err != nil {
		return err
	}
	return s.exportRecords(c, t, cols, numbers, o, w)
}

func exportOptions(c echo.Context) (csvfile.Options, string, error) {
	opts := csvfile.Options{Spreadsheet: c.QueryParam("plain") != "true"}
	switch c.QueryParam("format") {
	case "", "csv":
		opts.Delimiter = ','
		return opts, "csv", nil
	case "tsv":
		opts.Delimiter = '\t'
		return opts, "tsv", nil
	}
	return opts, "", core.FieldErrorf("/format", "There is no format “%s” here yet; there are csv and tsv.", c.QueryParam("format"))
}

func (s *Server) exportRecords(c echo.Context, t store.Table, cols []core.Column, numbers []int, o *store.Order, w *csvfile.Writer) error {
	ctx, by := ctxOf(c), actor(c)
	record := make([]csvfile.Cell, len(cols))
	for from := 0; from < o.Len(); from += exportBlock {
		rows, err := s.store.Rows(ctx, by, t.Ref(), o.IDs(from, from+exportBlock), store.RowOptions{Columns: numbers})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.State != core.Existing && r.State != core.Created {
				continue
			}
			for i, col := range cols {
				record[i] = exportCell(col, r.Values[i])
			}
			if err := w.Write(record); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		c.Response().Flush()
	}
	return w.Flush()
}

func exportCell(col core.Column, v core.Value) csvfile.Cell {
	text := v.Text
	if col.Type.IsList() && !v.IsNull() {
		text = strings.TrimSpace(string(v.Canonical(col.Type)))
	}
	return csvfile.Cell{Text: text, Null: v.IsNull(), Number: col.Type == core.Number}
}
