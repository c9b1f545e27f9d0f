// Package connectortest is the suite that every connector passes. A connector calls Run from a short test, with a way to
// make tables at its service; what a session does not have the ability for is not asked of it.
package connectortest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// Harness is what the suite needs of a connector.
type Harness struct {
	Connector connectors.Connector
	// Settings sign in with all rights.
	Settings connectors.Settings
	// Credential is the key of the setting that is the secret.
	Credential string
	// Decisive says of bytes on their way to the service whether they are the ones that make it act (a commit, a PATCH).
	// Nil leaves the tests with cut connections out.
	Decisive func(sent []byte) bool
	// NewTable makes a table of its own with so many records. It is cleaned up with the test.
	NewTable func(t *testing.T, records int) Fixture
	// Wait bounds one call. 0 is 30 s.
	Wait time.Duration
}

// Fixture is a table made for one test.
type Fixture struct {
	Table string // the connector's id of the table
	IDs   []string
	// Text and Other are writable fields that take any short text.
	Text, Other string
	// Edges are values that come back exactly as they were written, by field.
	Edges map[string][]core.Value
	// RefusedField with RefusedValue is what the service refuses.
	RefusedField string
	RefusedValue core.Value
	// New gives the fields of the nth record to create; two of them never share a key.
	New     func(n int) map[string]core.Value
	Service Service
}

// Service acts on a fixture's table behind the connector's back.
type Service interface {
	// Add makes a record with this text and gives its id.
	Add(t *testing.T, text string) string
	// Set changes a text field.
	Set(t *testing.T, id, field, value string)
	// Remove deletes a record.
	Remove(t *testing.T, id string)
	// Get gives a text field, and whether the record is there.
	Get(t *testing.T, id, field string) (string, bool)
	// Count counts the records.
	Count(t *testing.T) int
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Wait == 0 {
		h.Wait = 30 * time.Second
	}
	tests := []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"its description is complete", describesItself},
		{"a table is listed and described", listsTables},
		{"a table that is not there is gone", missingTableIsGone},
		{"a wrong credential is an error", wrongCredential},
		{"reading goes on from any checkpoint while records come and go", readsThrough},
		{"a version differs whenever the record does", versionsMove},
		{"a digest differs whenever a record does", digestMoves},
		{"current values come by id and missing records are absent", readsCurrent},
		{"records are counted", counts},
		{"values come back as they were written", roundTrips},
		{"only the given fields are sent", sendsOnlyGiven},
		{"a change at the service is found by its version", conflictByVersion},
		{"a change at the service is found by the base value", conflictByBase},
		{"an update of a record that is not there is gone", updateGone},
		{"a refused value is its own record's failure", partialFailure},
		{"records are created with what was asked", creates},
		{"a create that is repeated finds its own record", repeatsCreate},
		{"a create never overwrites a stranger's record", sparesStrangers},
		{"what became of a create can be found out", recognises},
		{"a delete tells what the record held, and then it is gone", deletes},
		{"a record that changed is not deleted", deleteConflict},
		{"nothing is written after the deadline", keepsDeadline},
		{"a connection cut before the act leaves everything as it was", cutBefore},
		{"a connection cut after the act says that nobody knows", cutAfter},
		{"a create whose answer was lost is not made twice", createCutAfter},
		{"closing twice is fine", closesTwice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, h)
		})
	}
}

// bench is a session on a table, for one test.
type bench struct {
	Fixture
	t       *testing.T
	h       Harness
	session connectors.Session
	table   connectors.Table
	line    *Line
}

func open(t *testing.T, h Harness, records int) *bench {
	t.Helper()
	b := &bench{Fixture: h.NewTable(t, records), t: t, h: h, line: NewLine(h.Decisive)}
	b.session = b.newSession(connectors.Environment{Dial: b.line.Dial})
	b.table = must(b, func(ctx context.Context) (connectors.Table, error) { return b.session.Table(ctx, b.Table) })
	return b
}

func (b *bench) newSession(env connectors.Environment) connectors.Session {
	b.t.Helper()
	s, err := b.h.Connector.Open(b.t.Context(), b.h.Settings, env)
	if err != nil {
		b.t.Fatalf("open: %v", b.seen(err))
	}
	b.t.Cleanup(s.Close)
	return s
}

// seen fails the test when an error shows the credential, at any depth.
func (b *bench) seen(err error) error {
	b.t.Helper()
	checkSecret(b.t, err, b.h.Settings[b.h.Credential])
	return err
}

func checkSecret(t *testing.T, err error, secret string) {
	t.Helper()
	for e := err; e != nil && secret != ""; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), secret) {
			t.Errorf("an error shows the credential")
		}
	}
}

// fault takes a Fault out of an error, and fails the test when it is none.
func (b *bench) fault(err error) *connectors.Fault {
	b.t.Helper()
	var f *connectors.Fault
	if !errors.As(b.seen(err), &f) {
		b.t.Fatalf("%v is not a Fault", err)
	}
	if f.Words == "" || len([]rune(f.Words)) > 500 {
		b.t.Errorf("the words of a Fault are %d characters long", len([]rune(f.Words)))
	}
	return f
}

// must makes a call within the harness's wait and fails the test on an error.
func must[T any](b *bench, call func(context.Context) (T, error)) T {
	b.t.Helper()
	v, err := try(b, call)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func try[T any](b *bench, call func(context.Context) (T, error)) (T, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), b.h.Wait)
	defer cancel()
	v, err := call(ctx)
	return v, b.seen(err)
}

func (b *bench) update(writes ...connectors.Write) ([]connectors.Outcome, error) {
	b.t.Helper()
	return try(b, func(ctx context.Context) ([]connectors.Outcome, error) { return b.session.Update(ctx, b.table, writes) })
}

// updated makes an update that has to be answered record by record.
func (b *bench) updated(writes ...connectors.Write) []connectors.Outcome {
	b.t.Helper()
	outcomes, err := b.update(writes...)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.outcomes(outcomes, len(writes))
}

func (b *bench) outcomes(outcomes []connectors.Outcome, want int) []connectors.Outcome {
	b.t.Helper()
	if len(outcomes) != want {
		b.t.Fatalf("%d outcomes for %d writes", len(outcomes), want)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.fault(o.Err)
		}
	}
	return outcomes
}

func (b *bench) text(id, value string) connectors.Write {
	return connectors.Write{ID: id, Values: map[string]core.Value{b.Text: core.TextValue(value)}}
}

// holds checks what the service itself says.
func (b *bench) holds(id, field, want string) {
	b.t.Helper()
	got, there := b.Service.Get(b.t, id, field)
	if !there {
		b.t.Errorf("the record %s is not there", id)
	} else if got != want {
		b.t.Errorf("%s of %s is %q, want %q", field, id, got, want)
	}
}

// ability gives the session as one of the optional interfaces, or skips the test.
func ability[T any](b *bench) T {
	b.t.Helper()
	a, ok := b.session.(T)
	if !ok {
		b.t.Skip("the connector does not say that it can")
	}
	return a
}

func (b *bench) current(fields []string, ids ...string) []connectors.Record {
	b.t.Helper()
	reader := ability[connectors.BatchReader](b)
	return must(b, func(ctx context.Context) ([]connectors.Record, error) {
		return reader.Current(ctx, b.table, fields, ids)
	})
}

// version gives a record's version, or skips the test.
func (b *bench) version(id string) string {
	b.t.Helper()
	if !b.table.Versioned {
		b.t.Skip("records have no version here")
	}
	records := b.current([]string{b.Text}, id)
	if len(records) != 1 || records[0].Version == "" {
		b.t.Fatalf("the record %s has no version", id)
	}
	return records[0].Version
}
