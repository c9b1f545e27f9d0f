package csvfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	firstBuffer = 128 << 10
	emptyReads  = 100 // reads without data or error after which a source counts as broken, as in bufio
)

// next returns the next record as wide as it stands in the file.
func (r *Reader) next() (Record, error) {
	for {
		if r.pos == r.end && r.srcErr != nil {
			return Record{}, r.srcErr
		}
		used, state := r.scan.scan(r.buf[r.pos:r.end], errors.Is(r.srcErr, io.EOF))
		if state == complete && used > 0 {
			return r.take(used), nil
		}
		if state != needMore && state != complete {
			return Record{}, r.refuse(state)
		}
		if r.srcErr != nil { // half a record before an error of the source
			return Record{}, r.srcErr
		}
		if r.end-r.pos >= MaxRecord {
			return Record{}, invalid("The record that begins in line %d is longer than %d MiB.", r.line, MaxRecord>>20)
		}
		r.fill()
	}
}

// refuse is the error for a record that cannot be read.
func (r *Reader) refuse(state outcome) error {
	line := r.line + r.countLines(r.buf[r.pos:r.pos+r.scan.openAt])
	switch state {
	case unclosed:
		return invalid("The quote that opens in line %d is never closed.", line)
	case tooWide:
		return invalid("Line %d has more than %d fields.", r.line, MaxColumns)
	}
	return invalid("A field that begins in line %d is longer than %d MiB. A quote that is never closed can be the cause.",
		line, MaxField>>20)
}

// take makes a record of the spans that were found in the next used bytes. The texts share
// one allocation.
func (r *Reader) take(used int) Record {
	raw := r.buf[r.pos : r.pos+used]
	rec := Record{Line: r.line}
	spans := r.scan.spans
	text := string(raw[:spans[len(spans)-1].to])
	r.fields = r.fields[:0]
	quoted := false
	for _, s := range spans {
		f := Field{Text: text[s.from:s.to], Quoted: s.quoted}
		if s.doubled {
			quote := string(rune(r.dialect.Quote))
			f.Text = strings.ReplaceAll(f.Text, quote+quote, quote)
		}
		if r.dialect.StripGuard {
			f.Text = stripGuard(f.Text)
		}
		quoted = quoted || s.quoted
		r.fields = append(r.fields, f)
	}
	rec.Fields = r.fields
	r.inspect(text, rec)
	r.pos += used
	r.line++
	if quoted {
		r.line += max(r.countLines(raw)-1, 0)
	}
	return rec
}

// inspect repairs characters that cannot be stored and reports what is odd about a record.
func (r *Reader) inspect(text string, rec Record) {
	if r.scan.stray {
		r.report.StrayQuotes++
		r.report.note(r.report.StrayQuotes, rec.Line, StrayQuote,
			"Line %d has a quote that opens or closes nothing; it was kept as text.", rec.Line)
	}
	replaced := 0
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		replaced = repair(rec.Fields)
	} else if r.dialect.Encoding == UTF16LE || r.dialect.Encoding == UTF16BE {
		replaced = strings.Count(text, "\uFFFD") // the decoder's mark for half a surrogate pair
	}
	if replaced == 0 {
		return
	}
	r.report.BadRecords++
	r.report.Replaced += int64(replaced)
	r.report.note(r.report.BadRecords, rec.Line, BadCharacter,
		"Characters of line %d that are not valid, replaced by \uFFFD: %d.", rec.Line, replaced)
}

// countLines counts the line ends in b, those inside quotes too.
func (r *Reader) countLines(b []byte) int64 {
	n := bytes.Count(b, []byte{'\n'})
	if r.scan.loneCR {
		n += bytes.Count(b, []byte{'\r'}) - bytes.Count(b, []byte("\r\n"))
	}
	return int64(n)
}

// fill reads until the buffer is full or src has ended, making room first: by moving what is
// left to the front, else by doubling.
func (r *Reader) fill() {
	if r.buf == nil {
		r.buf = make([]byte, r.first)
		r.src = decoded(r.src, r.dialect.Encoding)
	}
	if r.pos > 0 {
		r.end = copy(r.buf, r.buf[r.pos:r.end])
		r.pos = 0
	} else if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for idle := 0; r.end < len(r.buf) && r.srcErr == nil; idle++ {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.srcErr = err
		if n > 0 {
			idle = 0
		}
		if idle >= emptyReads {
			r.srcErr = io.ErrNoProgress
		}
	}
}

// skipPreamble takes off the byte order mark and the lines before the table.
func (r *Reader) skipPreamble() error {
	r.fill()
	if bytes.HasPrefix(r.buf[:r.end], []byte("\uFEFF")) {
		r.pos = len("\uFEFF")
	}
	for range r.dialect.SkipLines {
		if err := r.skipLine(); err != nil {
			return err
		}
	}
	return nil
}

// skipLine drops a line, however long, without keeping it.
func (r *Reader) skipLine() error {
	for {
		b := r.buf[r.pos:r.end]
		i := r.scan.indexLineEnd(b)
		length, state := 0, needMore
		if i >= 0 {
			length, state = r.scan.terminator(b, i, r.srcErr != nil)
		}
		if state == complete {
			r.pos += i + length
			r.line++
			return nil
		}
		if r.srcErr != nil {
			r.pos = r.end
			return r.srcErr
		}
		r.pos += max(i, 0)
		if i < 0 {
			r.pos = r.end
		}
		r.fill()
	}
}
