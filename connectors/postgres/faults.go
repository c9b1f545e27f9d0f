package postgres

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// fault turns an error of the driver or the server into a Fault. unsent says that, whatever went wrong, nothing can have
// been written.
func (s *session) fault(err error, unsent bool) error {
	var f *connectors.Fault
	if errors.As(err, &f) {
		return f
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return s.serverFault(pg, unsent)
	}
	var ours *core.Error
	if errors.As(err, &ours) && ours.Code == core.Forbidden {
		return &connectors.Fault{Kind: connectors.NotAllowed, Words: ours.Sentence, Unsent: unsent, Cause: err}
	}
	words := "The connection to the server was lost: " + err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		words = "The server did not answer in time."
	case errors.As(err, new(*pgconn.ConnectError)):
		words = "The server cannot be reached: " + rootCause(err)
	}
	return &connectors.Fault{Kind: connectors.Unavailable, Words: s.words(words), Unsent: unsent, Cause: errors.New(s.words(err.Error()))}
}

// rootCause is the innermost message, without the login that the driver puts in front.
func rootCause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func (s *session) serverFault(pg *pgconn.PgError, unsent bool) *connectors.Fault {
	words := pg.Message
	// Messages have no full stop, details and hints have.
	add := func(more string) { words = strings.TrimSuffix(words, ".") + ". " + more }
	if pg.Detail != "" && !strings.HasPrefix(pg.Detail, "Failing row contains") { // the plan shows the record already
		add(pg.Detail)
	}
	if pg.Hint != "" && pg.Code == "P0001" {
		add(pg.Hint)
	}
	kind := kindOf(pg.Code)
	if kind == connectors.Gone {
		s.forgetAll() // what was known of the tables is out of date
	}
	return &connectors.Fault{Kind: kind, Field: pg.ColumnName, Words: s.words(words), Unsent: unsent && kind == connectors.Unavailable, Cause: pg}
}

// kindOf reads an SQLSTATE; see "PostgreSQL Error Codes" in the server's documentation.
func kindOf(code string) connectors.FaultKind {
	switch code {
	case "28P01", "28000":
		return connectors.SignedOut
	case "3D000", "42P01", "42703", "3F000":
		return connectors.Gone
	case "42501", "25006":
		return connectors.NotAllowed
	case "55P03", "57014", "40001", "40P01", "25P02", "25P03", "25P04":
		return connectors.Unavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58":
		return connectors.Unavailable
	case "22", "23", "44", "P0":
		return connectors.RefusedRecord
	case "42":
		if code == "428C9" { // a value for a generated column
			return connectors.RefusedRecord
		}
	}
	return connectors.Broken
}

// words cuts a message at 500 characters and takes the password out of it, in case a server repeats what it was sent.
func (s *session) words(message string) string {
	if len(s.secret) > 3 {
		message = strings.ReplaceAll(message, s.secret, "…")
	}
	message = strings.ToValidUTF8(message, "�")
	if utf8.RuneCountInString(message) > 500 {
		message = string([]rune(message)[:499]) + "…"
	}
	return message
}

// aboutRecord says whether an error of a statement on several records may be the fault of one of them.
func aboutRecord(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	kind := kindOf(pg.Code)
	return kind == connectors.RefusedRecord || pg.Code == "42501"
}

// recordFault is the Fault of one record. The field comes from the server, from the constraint's only column, or from
// there being no other.
func (s *session) recordFault(r *relation, err error, sent map[string]core.Value) *connectors.Fault {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return &connectors.Fault{Kind: connectors.Broken, Words: s.words(err.Error()), Cause: err}
	}
	f := s.serverFault(pg, true)
	if f.Kind != connectors.RefusedRecord {
		f.Field = ""
		return f
	}
	if f.Field == "" {
		f.Field = r.blamed(pg, sent)
	}
	if r.column(f.Field) == nil {
		f.Field = ""
	}
	if f.Field != "" {
		f.Kind = connectors.RefusedValue
	}
	return f
}

// blamed gives the one field that an error without a column can be about, else "".
func (r *relation) blamed(pg *pgconn.PgError, sent map[string]core.Value) string {
	if pg.ConstraintName != "" {
		columns := r.constraints[pg.ConstraintName]
		if len(columns) == 1 {
			return columns[0]
		}
	}
	if !strings.HasPrefix(pg.Code, "22") && pg.Code != "23514" {
		return ""
	}
	if field := r.tooLong(pg, sent); field != "" {
		return field
	}
	if len(sent) == 1 {
		for field := range sent {
			return field
		}
	}
	return r.onlyOfDomain(pg, sent)
}

// tooLong finds the one sent text that is longer than its column.
func (r *relation) tooLong(pg *pgconn.PgError, sent map[string]core.Value) string {
	if pg.Code != "22001" {
		return ""
	}
	found := ""
	for field, v := range sent {
		c := r.column(field)
		if c == nil || c.options.MaxLength == 0 || utf8.RuneCountInString(v.Text) <= c.options.MaxLength {
			continue
		}
		if found != "" {
			return ""
		}
		found = field
	}
	return found
}

// onlyOfDomain finds the one sent field of the domain that the error names.
func (r *relation) onlyOfDomain(pg *pgconn.PgError, sent map[string]core.Value) string {
	found := ""
	for field := range sent {
		c := r.column(field)
		if pg.DataTypeName == "" || c == nil || c.typeName != pg.DataTypeName {
			continue
		}
		if found != "" {
			return ""
		}
		found = field
	}
	return found
}
