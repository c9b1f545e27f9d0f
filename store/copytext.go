package store

import (
	"context"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// copyText copies n lines into some columns of a table, those of cols last, in COPY's text format: so the server reads each value by
// its column's type, as a cast from text does. line appends the fields of one line, with tabs between them and without the end of the
// line. It gives how many rows came.
func copyText(ctx context.Context, tx pgx.Tx, table string, names []string, cols []core.Column, n int, line func(to []byte, i int) []byte) (int64, error) {
	for _, c := range cols {
		names = append(names, ident(c.Physical))
	}
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, &copyLines{n: n, line: line}, "copy "+table+" ("+strings.Join(names, ", ")+") from stdin")
	return tag.RowsAffected(), err
}

// copyLines is a reader of lines that are made as they are read.
type copyLines struct {
	n, next int
	line    func(to []byte, i int) []byte
	made    []byte
	read    int // of made
}

// Read fills p as far as there are lines: each read is a message to the server.
func (c *copyLines) Read(p []byte) (int, error) {
	if c.read == len(c.made) {
		c.made, c.read = c.made[:0], 0
		for len(c.made) < len(p) && c.next < c.n {
			c.made = append(c.line(c.made, c.next), '\n')
			c.next++
		}
	}
	if len(c.made) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.made[c.read:])
	c.read += n
	return n, nil
}

// appendValues appends a record's values, each behind a tab.
func appendValues(to []byte, cols []core.Column, values []core.Value) []byte {
	for i, v := range values {
		to = append(to, '\t')
		switch {
		case v.IsNull():
			to = append(to, `\N`...)
		case cols[i].Type.IsList():
			to = appendCopied(to, arrayLiteral(v.List), false)
		default:
			to = appendCopied(to, v.Text, false)
		}
	}
	return to
}

// appendCopied appends a text as COPY's text format has it.
func appendCopied(to []byte, s string, null bool) []byte {
	if null {
		return append(to, `\N`...)
	}
	s = storable(s)
	from := 0
	for i := range len(s) {
		var escaped byte
		switch s[i] {
		case '\\':
			escaped = '\\'
		case '\n':
			escaped = 'n'
		case '\r':
			escaped = 'r'
		case '\t':
			escaped = 't'
		default:
			continue
		}
		to = append(append(to, s[from:i]...), '\\', escaped)
		from = i + 1
	}
	return append(to, s[from:]...)
}

// arrayLiteral is a list as Postgres reads a text[].
func arrayLiteral(list []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(arrayQuotes.Replace(e))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

var arrayQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// storable replaces what Postgres cannot hold in a text: one such character would fail the whole page.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
