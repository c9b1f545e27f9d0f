// Package connectors says what a connector is: the code for one kind of service. A connector knows its service and
// nothing of snapshots; the app knows abilities and nothing of services.
package connectors

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"time"

	"scratchpaper/internal/core"
)

// Setting is one thing a connection asks for: one literal makes the form field, the check, the help and the redaction.
type Setting struct {
	Key      string
	Label    string
	Help     string // one sentence: what it is and where to find it
	Kind     string // text, number, password, choice, longtext, url
	Secret   bool   // encrypted at rest, never shown again, never logged
	Required bool
	Default  string
	Choices  []string
	Check    func(value string) error // nil: anything goes; the error is a core.Error with a sentence
}

// Limits are what a service takes. Zero is "no limit known".
type Limits struct {
	RequestsPerSecond float64
	RequestsPerDay    int
	ReadPage          int // records a page of Read holds at most
	LookupBatch       int // records that one Current reads
	CreateBatch       int // records that one Create, Update or Delete takes
	UpdateBatch       int
	UpdateParts       int // requests in which a full batch of updates may go at once; 0: in one
	DeleteBatch       int
	// RequestsPerRecord is what writing one record costs where a batch is not one request; 0: a batch is one.
	RequestsPerRecord float64
}

// Info describes a connector.
type Info struct {
	ID       string   // "postgres"
	Name     string   // "PostgreSQL"
	Summary  string   // one sentence for the gallery
	Icon     string   // name of a Lucide icon
	SetUp    []string // sentences, step by step: what to do at the service, and where to click, before the form is filled in
	Settings []Setting
	// Authorizing is, of an Authorizer, the key of the last setting that it needs before the person goes to the service, and a sentence
	// beside the button.
	Authorizing struct{ After, Help string }
	Limits      Limits
	Gap         string // a sentence when a small gap between look and write remains at this service; "" when it refuses old versions
	Restorable  bool   // a deleted record can be brought back as itself
	// Session is a nil of the type that Open gives, so that abilities can be found before there is a session.
	Session Session
}

// Settings are a connection's values by key, secrets included.
type Settings map[string]string

// Environment is what the app lends a session.
type Environment struct {
	// Dial opens every connection to the outside; it refuses addresses that are not allowed. Never dial around it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Deadline is the moment after which nothing may be written any more (the job's lease less its margin); zero is none.
	Deadline func() time.Time
	// Turn waits until the next request may leave. The turns are the connection's: all its sessions in all processes share them, by
	// the Limits of its connector and by what Rest was told. An error is a Fault, Unsent: Limited with Until when that is too far
	// away to wait for, else Unavailable. Nil lets everything through: call Take.
	Turn func(ctx context.Context) error
	// Watch wraps what sends requests over HTTP, so that they are told of by host and status; nil leaves it as it is: call Watched.
	Watch func(http.RoundTripper) http.RoundTripper
	// Rest tells all sessions of the connection that the service wants no request before until. Nil tells nobody: call Pause.
	Rest func(until time.Time)
}

// Take waits for the turn of one request. A connector over HTTP calls it before every request, whatever its limits: a service that
// declares none may still ask for a rest.
func (e Environment) Take(ctx context.Context) error {
	if e.Turn == nil {
		return nil
	}
	return e.Turn(ctx)
}

// Watched gives what sends requests over HTTP as it is to be used.
func (e Environment) Watched(sends http.RoundTripper) http.RoundTripper {
	if e.Watch == nil {
		return sends
	}
	return e.Watch(sends)
}

// Pause notes that the service wants no request before until, as a 429 or 503 with Retry-After says.
func (e Environment) Pause(until time.Time) {
	if e.Rest != nil {
		e.Rest(until)
	}
}

// Connector is what every service has.
type Connector interface {
	Info() Info
	// Open checks the settings and makes a session. It may connect lazily. Errors: Fault with RefusedValue and the setting as its field.
	Open(ctx context.Context, settings Settings, env Environment) (Session, error)
}

// Authorizer is a Connector whose service hands a credential over when a person says yes there.
type Authorizer interface {
	// Authorize says where the person says yes or no, from settings as far as they are filled in. back is the address that the service
	// sends the browser to then, with a query that Authorized reads. Nothing happens at the service. Errors: Fault.
	Authorize(ctx context.Context, settings Settings, env Environment, back string) (Authorization, error)
	// Authorized gives the settings that came back in the query. Errors: Fault; NotAllowed when the person said no.
	Authorized(settings Settings, came url.Values) (Settings, error)
}

// Authorization is where a person lets the app in.
type Authorization struct {
	Address string // of the page at the service
	ByHand  string // a sentence: why the service shows the credential there, to be copied; "" when it sends the browser back with it
}

// Session is an open connection of one account. It is safe for use by several goroutines. Close twice is fine.
type Session interface {
	// Test tries the credential and says in the service's own words why not. It has no effect at the service.
	Test(ctx context.Context) error
	// Tables lists what can be downloaded, with columns, in a stable order.
	Tables(ctx context.Context) ([]Table, error)
	// Table describes one; Gone when it is not there any more.
	Table(ctx context.Context, id string) (Table, error)
	// Read gives the next page after a checkpoint (nil: from the start). Every record that exists throughout the whole
	// reading is given at least once; a record may come twice. It goes on from any checkpoint it returned, also in
	// another session.
	Read(ctx context.Context, req ReadRequest) (Page, error)
	// Update writes changed fields of records, at most Limits.UpdateBatch of them. It gives one outcome per update, in
	// order. An error instead means that the whole batch was refused (nothing was written) unless it is Unavailable,
	// after which nobody knows. Only the given fields are sent.
	Update(ctx context.Context, table Table, updates []Write) ([]Outcome, error)
	Close()
}

// Table is a remote table.
type Table struct {
	ID        string // stable at the service: survives renaming where the service allows
	Name      string // for people: "public.places"
	Columns   []Field
	Key       []string // field ids that make the remote id, for connectors that have such
	Readable  bool     // it can be downloaded
	Writable  bool     // updates
	Creatable bool
	Deletable bool
	WhyNot    string // a sentence: why it cannot be read or changed, whichever is worse; "" when all is possible
	WhyNoNew  string // a sentence: why records cannot be created
	WhyNoDel  string
	Estimate  int64 // records, -1 when unknown
	Versioned bool  // records carry a version
	// Effects says what a delete takes along at the service (cascades, triggers), as sentences.
	Effects []string
}

// Field is a remote field.
type Field struct {
	ID       string // the service's stable id
	Anchor   string // what stays when ID changes, where ID is a name: a renamed field keeps it; "" where ID is for ever
	Name     string
	Type     core.ColumnType
	Options  core.ColumnOptions
	Writable bool
	WhyNot   string // a sentence, when not writable
	// InsertOnly fields can be given when a record is created, and not changed afterwards (natural keys).
	InsertOnly bool
}

// ReadRequest asks for a page.
type ReadRequest struct {
	Table      Table
	Fields     []string        // field ids, in the order in which Record.Values come
	Checkpoint json.RawMessage // as returned by the page before; nil: from the start
	Limit      int             // records; 0: the connector's own page size
	KeysOnly   bool            // Values stay empty: id and version only (id sweep)
}

// Page is a part of a table.
type Page struct {
	Records    []Record
	Checkpoint json.RawMessage // where the next page begins
	Last       bool            // there is no next page
	Total      int64           // records in the table where the service says it, else -1
}

// Record is a remote record. Values are in the order of the request's fields, in canonical form: equal values are equal
// bytes (sorted sets, plain decimals).
type Record struct {
	ID      string
	Version string // "" where the service has none
	Values  []core.Value
}

// Write is one record to create, update or delete.
type Write struct {
	ID      string                // remote id; for creates the reserved one, or ""
	Version string                // the version that the values were compared with; "" asks for no guard
	Values  map[string]core.Value // field id → new value (creates: all fields to set; updates: changed ones only)
	Base    map[string]core.Value // updates: what the fields are expected to hold now
	Repeat  bool                  // creates: it may have been sent before; tell our own record from a stranger's
	Token   string                // creates: unique per plan item, for services that take an idempotency key
}

// Outcome is what became of one write.
type Outcome struct {
	Err      *Fault                // nil: done
	ID       string                // the record's remote id
	Version  string                // after the write, "" where the service has none
	Before   map[string]core.Value // what the record held just before, where that was read
	Stored   map[string]core.Value // what the service now holds, all readable fields where known
	Existing bool                  // creates with Repeat: it was there already from the first try
}

// FaultKind tells what the app may do after a failure.
type FaultKind string

// The kinds of failure at a service.
const (
	RefusedValue  FaultKind = "refused_value"  // a field's value; Field says which where the service does
	RefusedRecord FaultKind = "refused_record" // this record, not one field
	ConflictFault FaultKind = "conflict"       // the record changed there; nothing was written
	Gone          FaultKind = "gone"           // the record or table is not there any more
	NotAllowed    FaultKind = "not_allowed"    // the credential may not do this
	SignedOut     FaultKind = "signed_out"     // the credential is not valid any more
	Limited       FaultKind = "limited"        // too many requests; Until says when to go on
	QuotaUsed     FaultKind = "quota_used"     // until a day's or month's end
	Unavailable   FaultKind = "unavailable"    // cut, timed out, 5xx: may have acted or not, unless Unsent
	Broken        FaultKind = "broken"         // the service answered something that it never should
)

// Fault is a failure at a service. Words are the service's own, cut at 500 characters, without any credential.
type Fault struct {
	Kind   FaultKind
	Field  string // field id, for RefusedValue
	Words  string
	Until  time.Time // Limited, QuotaUsed
	Unsent bool      // Unavailable: surely nothing was written
	Cause  error
}

// Error gives kind and words.
func (f *Fault) Error() string { return string(f.Kind) + ": " + f.Words }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// The abilities: small interfaces of their own, found by type assertion on a Session, and shown in the gallery.

// Creator creates records.
type Creator interface {
	// Reserve gives n remote ids for records to be created, or nil when the service (or this table's key) gives ids
	// itself or takes them from the record. Reserved ids may stay unused for ever.
	Reserve(ctx context.Context, table Table, n int) ([]string, error)
	// Create creates records, one outcome each, in order. A write with Repeat that finds its own record from a first try
	// answers Existing; one that finds a stranger's record answers RefusedRecord.
	Create(ctx context.Context, table Table, writes []Write) ([]Outcome, error)
}

// Finisher is a Creator that creates in two steps, for services that give ids themselves and have no key of ours to find a record by:
// Create makes a record that nobody sees yet, marked with the write's Token; the app writes its id down; Finish makes of it what
// was asked. So whatever answer is lost, the record is found again, by its mark or by its id.
type Finisher interface {
	// Finish completes records that Create made, given by ID, one outcome each, in order. What is complete already stays as it is,
	// so it may be repeated. Of a record that the service refuses to complete, nothing stays.
	Finish(ctx context.Context, table Table, writes []Write) ([]Outcome, error)
}

// Deleter deletes records.
type Deleter interface {
	// Delete deletes records, one outcome each, in order; Outcome.Before has every readable field. A record that is not
	// there is Gone.
	Delete(ctx context.Context, table Table, writes []Write) ([]Outcome, error)
}

// BatchReader reads the current state of chosen records.
type BatchReader interface {
	// Current gives records by id for the given field ids (nil: all readable); missing ones are simply absent.
	Current(ctx context.Context, table Table, fields []string, ids []string) ([]Record, error)
}

// VersionReader reads ids and versions fast.
type VersionReader interface {
	// Versions is Read with KeysOnly in large pages; a version differs whenever the record does.
	Versions(ctx context.Context, req ReadRequest) (Page, error)
}

// Digest sums up the ids and versions of a table's records. Equal digests are of equal records: that two others have the same sum
// by chance happens once in 2^64.
type Digest struct {
	Records int64
	Sum     string // a whole number in decimals
}

// Digester sums up a table at the service, so that a refresh need not read what nobody changed.
type Digester interface {
	// Digest gives the digest of all records that Versions would give, at one moment. Sum is, in terms of PostgreSQL from 12 on, the
	// sum of hashtextextended((id || ' ' || version) collate "C", 0), 0 of no record. What a service reckons otherwise only looks
	// changed. An error has no effect but that the records are read.
	Digest(ctx context.Context, table Table) (Digest, error)
}

// GuardedWriter is a Session whose Update and Delete refuse (ConflictFault) a record whose version or base changed.
type GuardedWriter interface{ GuardsWrites() bool }

// Recogniser finds what became of creates whose answer was lost.
type Recogniser interface {
	// Recognise gives for each write an outcome with ID (it is there), or with Err Gone (it is surely not), or with Err
	// Unavailable (nobody can say).
	Recognise(ctx context.Context, table Table, writes []Write) ([]Outcome, error)
}

// Counter counts a table's records.
type Counter interface {
	Count(ctx context.Context, table Table) (int64, error)
}

// EffectsReader says what deleting these records takes along at the service.
type EffectsReader interface {
	// DeleteEffects gives sentences with counts, as in "120 rows of public.comments are deleted with them".
	DeleteEffects(ctx context.Context, table Table, ids []string) ([]string, error)
}
