package handlers

import (
	"context"
	"errors"
	"io"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
)

// filePreview is what the beginning of a file looks like.
type filePreview struct {
	Dialect csvfile.Dialect
	Columns []csvfile.ColumnGuess
	Records [][]csvfile.Field // the first few
	Seen    int64             // records that the guesses rest on
	Whole   bool              // they were all of the file
	Report  csvfile.Report
}

// previewRecords is how many records a preview shows; previewBytes is how much of a file its guesses rest on.
const (
	previewRecords = 50
	previewBytes   = 8 << 20
)

// sniffUpload finds out how an upload is to be read. Codes: NotFound.
func (s *Server) sniffUpload(ctx context.Context, by core.Actor, id string) (csvfile.Dialect, error) {
	f, err := s.store.OpenUpload(ctx, by, id)
	if err != nil {
		return csvfile.Dialect{}, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, csvfile.SniffBytes))
	return csvfile.Sniff(head), err
}

// previewUpload reads the beginning of an upload. Codes: NotFound, Invalid (it cannot be read so).
func (s *Server) previewUpload(ctx context.Context, by core.Actor, id string, d csvfile.Dialect) (filePreview, error) {
	f, err := s.store.OpenUpload(ctx, by, id)
	if err != nil {
		return filePreview{}, err
	}
	defer f.Close()
	p := filePreview{Dialect: d}
	counted := &countingReader{r: f}
	r := csvfile.NewReader(counted, d)
	titles, err := r.Titles()
	if err != nil {
		return p, err
	}
	guess := csvfile.NewInference(titles)
	for counted.n < previewBytes {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			p.Whole = true
			break
		}
		if err != nil {
			return p, err
		}
		guess.Add(rec.Fields)
		p.Seen++
		if len(p.Records) < previewRecords {
			p.Records = append(p.Records, rec.Clone().Fields)
		}
	}
	p.Columns, p.Report = guess.Guesses(), r.Report()
	return p, nil
}

// countingReader counts the bytes that were read.
type countingReader struct {
	r io.Reader
	n int64
}

// Read reads on.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
