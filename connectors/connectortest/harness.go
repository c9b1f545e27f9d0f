// Package connectortest is the suite that every connector passes. A connector calls Run from one short test, with a way to make tables
// at its service; what a session does not have the ability for is not asked of it.
//
//	connectortest.Run(t, connectortest.Harness{
//		Connector:  wordpress.New(),
//		Settings:   connectors.Settings{"address": server.URL, "user": "ana", "password": password},
//		Credential: "password",
//		HTTP:       server.URL, // the real service; the suite puts its misbehaving proxy in front by Environment.Dial
//		NewTable:   func(t *testing.T, records int) connectortest.Fixture { … },
//	})
//
// A connector over HTTP passes the address of the real service, scheme and port included, as its settings have it: every connection
// that it opens by Environment.Dial then leads to the proxy, while addresses stay as they are. The suite makes each request fail in
// each way, counts the turns it takes, and looks for the credential in addresses. For other protocols Decisive says which bytes to cut
// at; a connector that has neither is tested without faults on the way. One test's fixture may be used by hundreds of calls, so what
// NewTable makes should be cheap to write to.
package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/misbehave"
	"scratchpaper/internal/core"
)

// Harness is what the suite needs of a connector.
type Harness struct {
	Connector connectors.Connector
	// Settings sign in with all rights.
	Settings connectors.Settings
	// Credential is the key of the setting that is the secret; "" for a service without one.
	Credential string
	// HTTP is the base address of a service over HTTP, as in http://127.0.0.1:8080; "" for others.
	HTTP string
	// Writing says of a request over HTTP whether it makes the service act. Nil takes all but GET, HEAD and OPTIONS.
	Writing func(*http.Request) bool
	// Patience is how long a call may take whose request the service holds; 0 is one second. It has to be longer than any honest call.
	Patience time.Duration
	// Decisive says of bytes on their way to the service whether they are the ones that make it act (a commit), for services that do
	// not speak HTTP. Nil leaves the tests with cut connections out.
	Decisive func(sent []byte) bool
	// Thin makes each request fail in some of the ways, each way at one request at least, for services that take long to answer;
	// SUITE=full tries all the same.
	Thin bool
	// Revocable makes a credential that reads NewTable's tables, and what ends it at the service itself. Nil leaves that out; over HTTP
	// the proxy takes the credential away in any case.
	Revocable func(t *testing.T) (settings connectors.Settings, revoke func())
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
	// Edges are values that come back exactly as they were written, by field: of each type that can be written at least one field.
	Edges map[string][]core.Value
	// Normalised are values that the service stores otherwise than they were written.
	Normalised []Normalised
	// RefusedField with RefusedValue is what the service refuses, with RefusedWords among its words. "" is nothing.
	RefusedField string
	RefusedValue core.Value
	RefusedWords string
	// New gives the fields of the nth record to create; two of them never share a key.
	New     func(n int) map[string]core.Value
	Service Service
}

// Normalised is a value with what the service makes of it.
type Normalised struct {
	Field        string
	Sent, Stored core.Value
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
	if h.Patience == 0 {
		h.Patience = time.Second
	}
	if h.Writing == nil {
		h.Writing = misbehave.Writing
	}
	tests := []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"its description is complete", describesItself},
		{"a table is listed and described", listsTables},
		{"a table that is not there is gone", missingTableIsGone},
		{"a wrong credential is an error", wrongCredential},
		{"a page is no longer than asked for", pagesKeepLimits},
		{"ids alone are those of the records", keysOnly},
		{"reading goes on from any checkpoint while records come and go", readsThrough},
		{"a version differs whenever the record does", versionsMove},
		{"a digest differs whenever a record does", digestMoves},
		{"current values come by id and missing records are absent", readsCurrent},
		{"a look shows what the service holds now", looksAnew},
		{"as many records as the limits say are read and changed at once", batchesAreTaken},
		{"records are counted", counts},
		{"every type that can be written is tried", triesEveryType},
		{"values come back as they were written", roundTrips},
		{"what the service makes of a value is what it is said to hold", normalises},
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
		{"a deleted record comes back as itself", restores},
		{"a call ends when nobody waits for it any more", endsWithContext},
		{"nothing is written after the deadline", keepsDeadline},
		{"a connection cut before the act leaves everything as it was", cutBefore},
		{"a connection cut after the act says that nobody knows", cutAfter},
		{"a create whose answer was lost is not made twice", createCutAfter},
		{"looking fails or tells the truth, whatever happens to a request", looksUnderFaults},
		{"reading fails or tells the truth, whatever happens to a request", readsUnderFaults},
		{"updates are done, not done or not known, whatever happens to a request", updatesUnderFaults},
		{"creates are done, not done or not known, whatever happens to a request", createsUnderFaults},
		{"deletes are done, not done or not known, whatever happens to a request", deletesUnderFaults},
		{"a slow answer is waited for", waitsForSlowAnswers},
		{"a revoked credential is an error and never an empty table", revokedWhileReading},
		{"a credential that ends at the service is an error", revokedAtService},
		{"a revoked credential writes nothing", revokedWhileWriting},
		{"a service that wants a rest gets it", restsAsAsked},
		{"every request waits for its turn", takesTurns},
		{"ten workers keep to one limit together", tenWorkers},
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
	proxy   *misbehave.Proxy // nil for a service that does not speak HTTP
}

func open(t *testing.T, h Harness, records int) *bench {
	t.Helper()
	b := &bench{Fixture: h.NewTable(t, records), t: t, h: h, line: NewLine(h.Decisive)}
	if h.HTTP != "" {
		b.proxy = misbehave.Start(t, h.HTTP, b.secret())
		t.Cleanup(b.addressesAreClean)
	}
	b.session = b.newSession(b.environment())
	b.table = must(b, func(ctx context.Context) (connectors.Table, error) { return b.session.Table(ctx, b.Table) })
	return b
}

// openHTTP is open for what is tested over HTTP only.
func openHTTP(t *testing.T, h Harness, records int) *bench {
	t.Helper()
	if h.HTTP == "" {
		t.Skip("the service does not speak HTTP")
	}
	return open(t, h, records)
}

// environment leads to the service through what the test can make fail.
func (b *bench) environment() connectors.Environment {
	if b.proxy != nil {
		return connectors.Environment{Dial: b.proxy.Dial}
	}
	return connectors.Environment{Dial: b.line.Dial}
}

func (b *bench) secret() string { return b.h.Settings[b.h.Credential] }

func (b *bench) addressesAreClean() {
	for _, r := range b.proxy.Requests() {
		if r.InAddress {
			b.t.Errorf("the credential stands in the address of %s %s", r.Method, r.Path)
			return
		}
	}
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
	checkSecret(b.t, err, b.secret())
	return err
}

func checkSecret(t *testing.T, err error, secret string) {
	t.Helper()
	for e := err; e != nil && secret != ""; e = errors.Unwrap(e) {
		if strings.Contains(fmt.Sprintf("%v %+v", e, e), secret) {
			t.Errorf("an error shows the credential")
		}
	}
}

// shown fails the test when what a call gave shows the credential.
func (b *bench) shown(given any) {
	b.t.Helper()
	raw, err := json.Marshal(given)
	if err != nil {
		return // a Fault's cause may be anything; seen looks at it
	}
	if secret := b.secret(); secret != "" && strings.Contains(string(raw), secret) {
		b.t.Errorf("what the connector gives shows the credential: %T", given)
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
	b.shown(v)
	return v, b.seen(err)
}

func (b *bench) update(writes ...connectors.Write) ([]connectors.Outcome, error) {
	b.t.Helper()
	return try(b, func(ctx context.Context) ([]connectors.Outcome, error) { return b.session.Update(ctx, b.table, writes) })
}

// updated makes an update that has to be answered record by record, in batches as the limits say.
func (b *bench) updated(writes ...connectors.Write) []connectors.Outcome {
	b.t.Helper()
	outcomes, err := inBatches(writes, b.limits().UpdateBatch, func(part []connectors.Write) ([]connectors.Outcome, error) { return b.update(part...) })
	if err != nil {
		b.t.Fatal(err)
	}
	return b.outcomes(outcomes, len(writes))
}

func (b *bench) limits() connectors.Limits { return b.h.Connector.Info().Limits }

// inBatches sends writes in batches, until one fails.
func inBatches(writes []connectors.Write, size int, send func(part []connectors.Write) ([]connectors.Outcome, error)) ([]connectors.Outcome, error) {
	var all []connectors.Outcome
	for part := range slices.Chunk(writes, max(1, size)) {
		outcomes, err := send(part)
		if err != nil {
			return all, err
		}
		all = append(all, outcomes...)
	}
	return all, nil
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

// kindOf gives the kind of an error, which has to be a Fault.
func (b *bench) kindOf(err error) connectors.FaultKind {
	b.t.Helper()
	return b.fault(err).Kind
}

// isSignedOut fails the test when an error is not about the credential.
func (b *bench) isSignedOut(what string, err error) {
	b.t.Helper()
	if err == nil {
		b.t.Errorf("%s: no error", what)
	} else if kind := b.kindOf(err); !slices.Contains(aboutCredential, kind) {
		b.t.Errorf("%s: the fault is %s (%v)", what, kind, err)
	}
}

var aboutCredential = []connectors.FaultKind{connectors.SignedOut, connectors.NotAllowed}

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
	size := b.limits().LookupBatch
	if size <= 0 {
		size = len(ids)
	}
	var all []connectors.Record
	for part := range slices.Chunk(ids, size) {
		all = append(all, must(b, func(ctx context.Context) ([]connectors.Record, error) {
			return reader.Current(ctx, b.table, fields, part)
		})...)
	}
	return all
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
