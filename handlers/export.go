package handlers

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// exportTable streams a view of a table as CSV or TSV. It changes nothing. By default the file is for spreadsheets: text that
// one would take for a formula gets a ', which our own import takes off again; plain=true leaves it as it is.
func (s *Server) exportTable(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	opts, ending, err := exportOptions(c)
	if err != nil {
		return err
	}
	cols, _, err := columnsOf(t, c.QueryParam("columns"))
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	defer s.noteExport(c, t, ending)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, map[string]string{"csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8"}[ending])
	h.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": t.Title + "." + ending}))
	if err := s.sendExport(c, export{t, v, cols, opts}); err != nil {
		h.Del(echo.HeaderContentDisposition)
		return err
	}
	return nil
}

// noteExport puts an export into the log of which something went out, also one that was broken off.
func (s *Server) noteExport(c echo.Context, t store.Table, format string) {
	if !c.Response().Committed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctxOf(c)), 5*time.Second)
	defer cancel()
	if err := s.store.NoteExport(ctx, actor(c), t, format); err != nil {
		s.log.ErrorContext(ctx, "an export is not in the audit log", "table", t.ID, "error", err)
	}
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

// export is a view of a table to be written as a file.
type export struct {
	table   store.Table
	view    store.View
	columns []core.Column
	options csvfile.Options
}

// sendExport reads the view by one statement and sends it as it comes. The statement does not wait for a slow client: what that has
// not taken yet waits in memory and then in a file, so that somebody's slow line never holds an old state of the database open. A
// failure after the first bytes breaks the connection off, or a part would look like the whole file.
func (s *Server) sendExport(c echo.Context, x export) error {
	ctx, cancel := context.WithCancel(ctxOf(c))
	sp := newSpool()
	defer sp.close() // after the writing has ended
	defer func() {
		cancel()
		<-sp.ended
	}()
	go func() {
		defer close(sp.ended)
		sp.end(s.writeExport(ctx, x, sp))
	}()
	err := sp.copyTo(c.Response(), c.Response().Flush)
	if err != nil && c.Response().Committed {
		if c.Request().Context().Err() == nil {
			s.log.ErrorContext(ctx, "export broken off", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return err
}

func (s *Server) writeExport(ctx context.Context, x export, to io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	w := csvfile.NewWriter(to, x.options)
	titles := make([]string, len(x.columns))
	for i, col := range x.columns {
		titles[i] = col.Title
	}
	if err := w.WriteTitles(titles); err != nil {
		return err
	}
	record := make([]csvfile.Cell, len(x.columns))
	err = s.store.EachExported(ctx, x.table, x.view, x.columns, func(cells []core.Value) error {
		for i, v := range cells {
			record[i] = exportCell(x.columns[i], v)
		}
		return w.Write(record)
	})
	if err != nil {
		return err
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
