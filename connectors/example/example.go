// Package example is the smallest complete connector: a service that is a folder of JSON files. docs/writing-a-connector.md explains it
// piece by piece. It is offered only where the operator names a folder (EXAMPLE_FOLDER), and sees nothing outside of it.
//
// A connection is a folder in that folder, a table a folder in it, and a record a file <id>.json with an object of field and value. The
// file _fields.json of a table lists its fields.
package example

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"sync"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

const (
	readPage = 100 // records
	batch    = 20  // records that one look or write takes
)

// Connector connects to the folders in one folder.
type Connector struct{ root string }

// New makes the connector for the folders in root.
func New(root string) *Connector { return &Connector{root: root} }

// Info describes the connector.
func (*Connector) Info() connectors.Info {
	return connectors.Info{
		Session: (*session)(nil),
		ID:      "example",
		Name:    "JSON files",
		Summary: "A folder of JSON files on the server: the example of how a connector is written.",
		Icon:    "folder",
		SetUp: []string{
			"On the server, make a folder in the one that EXAMPLE_FOLDER names, and in it a folder for each table.",
			"Put a _fields.json into each table's folder: a list of fields, each with id, name and type.",
		},
		Settings: []connectors.Setting{{
			Key: "folder", Label: "Folder", Kind: "text", Required: true, Check: checkFolder,
			Help: "The name of a folder in the one that the operator has set aside, such as shop.",
		}},
		Limits:     connectors.Limits{ReadPage: readPage, LookupBatch: batch, CreateBatch: batch, UpdateBatch: batch, DeleteBatch: batch},
		Gap:        "Between our look at a file and our write another program may change it.",
		Restorable: true,
	}
}

// safeName is what ids and names of folders look like: no way leads out of a folder, and _fields.json is no record.
var safeName = regexp.MustCompile(`^[A-Za-z0-9-][A-Za-z0-9_-]{0,99}$`)

func checkFolder(name string) error {
	if !safeName.MatchString(name) {
		return core.Errorf(core.Invalid, "A folder's name has letters, digits, - and _ only.")
	}
	return nil
}

// Open opens the connection's folder. os.Root keeps everything inside, links included.
func (c *Connector) Open(_ context.Context, given connectors.Settings, env connectors.Environment) (connectors.Session, error) {
	name := given["folder"]
	if err := checkFolder(name); err != nil {
		return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: "folder", Words: core.SentenceOf(err)}
	}
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return nil, fault(err, "the operator's folder")
	}
	defer func() { _ = root.Close() }()
	folder, err := root.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: "folder", Words: "There is no folder " + name + "."}
	}
	if err != nil {
		return nil, fault(err, name)
	}
	return &session{folder: folder, env: env}, nil
}

// session is an open folder.
type session struct {
	folder *os.Root
	env    connectors.Environment
	mu     sync.Mutex // one write at a time in this process
}

var (
	_ connectors.Session     = (*session)(nil)
	_ connectors.BatchReader = (*session)(nil)
	_ connectors.Creator     = (*session)(nil)
	_ connectors.Deleter     = (*session)(nil)
	_ connectors.Recogniser  = (*session)(nil)
)

// Close closes the folder; what comes after is an error.
func (s *session) Close() { _ = s.folder.Close() }

// Test looks at the folder.
func (s *session) Test(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault(err, "the folder")
	}
	_, err := s.folder.Stat(".")
	return faultOrNil(err, "the folder")
}

// fault says what a failure at a file means: the app decides by the kind, and a person reads the words.
func fault(err error, what string) *connectors.Fault {
	f := &connectors.Fault{Kind: connectors.Unavailable, Words: "Could not get at " + what + ".", Cause: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Kind, f.Words = connectors.Gone, what+" is not there any more."
	case errors.Is(err, fs.ErrPermission):
		f.Kind, f.Words = connectors.NotAllowed, "This program may not use "+what+"."
	}
	return f
}

func faultOrNil(err error, what string) error {
	if err == nil {
		return nil // a nil *Fault in an error would not be nil
	}
	return fault(err, what)
}

// mayWrite refuses once nobody waits any more, or the job's lease is about to end. Nothing has been written then.
func (s *session) mayWrite(ctx context.Context) *connectors.Fault {
	late := s.env.Deadline != nil && !s.env.Deadline().IsZero() && !time.Now().Before(s.env.Deadline())
	if late || ctx.Err() != nil {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "It was too late to write.", Unsent: true, Cause: ctx.Err()}
	}
	return nil
}

// field is a line of _fields.json.
type field struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Type    core.ColumnType `json:"type"`
	Choices []string        `json:"choices"`
}

// Tables lists the folders that have a _fields.json.
func (s *session) Tables(ctx context.Context) ([]connectors.Table, error) {
	entries, err := fs.ReadDir(s.folder.FS(), ".")
	if err != nil {
		return nil, fault(err, "the folder")
	}
	var tables []connectors.Table
	for _, e := range entries {
		if !e.IsDir() || !safeName.MatchString(e.Name()) {
			continue
		}
		t, err := s.Table(ctx, e.Name())
		if err != nil {
			t = connectors.Table{ID: e.Name(), Name: e.Name(), WhyNot: "Its _fields.json cannot be read.", Estimate: -1}
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// Table describes a folder by its _fields.json, never by its first record.
func (s *session) Table(ctx context.Context, id string) (connectors.Table, error) {
	t := connectors.Table{ID: id, Name: id, Readable: true, Writable: true, Creatable: true, Deletable: true, Versioned: true, Estimate: -1}
	if err := ctx.Err(); err != nil {
		return t, fault(err, id)
	}
	if !safeName.MatchString(id) {
		return t, fault(fs.ErrNotExist, id)
	}
	raw, err := s.folder.ReadFile(id + "/_fields.json")
	if err != nil {
		return t, fault(err, id)
	}
	var fields []field
	if err := json.Unmarshal(raw, &fields); err != nil {
		return t, &connectors.Fault{Kind: connectors.Broken, Words: "_fields.json of " + id + " is not JSON as it should be.", Cause: err}
	}
	for _, f := range fields {
		if !f.Type.Valid() {
			return t, &connectors.Fault{Kind: connectors.Broken, Words: "_fields.json of " + id + " has a field of the type " + string(f.Type) + ", which there is not."}
		}
		t.Columns = append(t.Columns, connectors.Field{ID: f.ID, Name: f.Name, Type: f.Type, Writable: true,
			Options: core.ColumnOptions{Choices: f.Choices, OpenChoices: len(f.Choices) == 0}})
	}
	return t, nil
}
