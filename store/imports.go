package store

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
)

// NewImport says how an upload becomes the table of a new snapshot.
type NewImport struct {
	Upload  string
	Name    string // of the snapshot; "" is the file's, without its ending
	Dialect csvfile.Dialect
	Zone    string         // IANA name of the zone of date-times that name none; "" is UTC
	Columns []ImportColumn // one for each column of the file, in order; those behind are left out
}

// ImportColumn says how one column of a file is read.
type ImportColumn struct {
	Title   string               `json:"title"`
	Type    core.ColumnType      `json:"type"` // text, longtext, markdown, number, checkbox, date, datetime, url or email
	Options csvfile.ValueOptions `json:"options"`
	Skip    bool                 `json:"skip,omitempty"` // leave it out
}

// ImportArgs are the arguments of an import job. The table's columns are those of Columns that are not skipped, in order.
type ImportArgs struct {
	Snapshot string          `json:"snapshot"`
	Table    string          `json:"table"`
	Upload   string          `json:"upload"`
	File     string          `json:"file"`
	Dialect  csvfile.Dialect `json:"dialect"`
	Zone     string          `json:"zone,omitempty"`
	Columns  []ImportColumn  `json:"columns"`
	Into     *IntoTable      `json:"into,omitempty"` // the table is not the file's own
}

// StartImport makes a snapshot with an empty table and the job that fills it from an upload, in one transaction. Codes:
// Invalid, Forbidden, NotFound (the upload).
func (s *Store) StartImport(ctx context.Context, by core.Actor, n NewImport) (Snapshot, Job, error) {
	u, err := s.UploadByID(ctx, by, n.Upload)
	if err != nil {
		return Snapshot{}, Job{}, err
	}
	title := strings.TrimSuffix(u.Name, path.Ext(u.Name))
	if n.Name = strings.TrimSpace(n.Name); n.Name == "" {
		n.Name = title
	}
	cols, err := n.columns()
	if err != nil {
		return Snapshot{}, Job{}, err
	}
	table := NewTable{Title: title, Source: core.File, Writable: true, Creatable: true, Deletable: true, Columns: cols}
	return s.createSnapshot(ctx, by, NewSnapshot{Name: n.Name, Tables: []NewTable{table}}, func(id string, tables []string) (NewJob, error) {
		args, err := json.Marshal(ImportArgs{Snapshot: id, Table: tables[0], Upload: u.ID, File: u.Name, Dialect: n.Dialect, Zone: n.Zone, Columns: n.Columns})
		return NewJob{Kind: "import", Snapshot: id, Label: "Import " + u.Name, Args: args, Upload: u.ID}, err
	})
}

func (n NewImport) columns() ([]NewColumn, error) {
	if err := n.Dialect.Validate(); err != nil {
		return nil, err
	}
	if _, err := time.LoadLocation(n.Zone); err != nil {
		return nil, core.FieldErrorf("/zone", "There is no time zone %q.", cut(n.Zone, 60))
	}
	var out []NewColumn
	for i, c := range n.Columns {
		if c.Skip {
			continue
		}
		if !importable(c.Type) {
			return nil, core.FieldErrorf(fmt.Sprintf("/columns/%d/type", i), "A file's column cannot be read as %q.", c.Type)
		}
		if c.Title = strings.TrimSpace(c.Title); c.Title == "" {
			c.Title = fmt.Sprintf("Column %d", i+1)
		}
		out = append(out, NewColumn{Title: cut(c.Title, 200), Type: c.Type, Writable: true})
	}
	if len(out) == 0 {
		return nil, core.FieldErrorf("/columns", "Choose at least one column.")
	}
	return out, nil
}

func importable(t core.ColumnType) bool {
	switch t {
	case core.Text, core.LongText, core.Markdown, core.Number, core.Checkbox, core.Date, core.DateTime, core.URL, core.Email:
		return true
	}
	return false
}
