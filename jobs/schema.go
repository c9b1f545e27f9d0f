package jobs

import (
	"encoding/json"
	"fmt"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// described makes what the store compares of a table as the service describes it now.
func described(t store.Table, remote connectors.Table) (store.NewTable, error) {
	raw, err := json.Marshal(remote)
	if err != nil {
		return store.NewTable{}, fmt.Errorf("describe table: %w", err)
	}
	n := store.NewTable{Connection: t.Connection, RemoteID: remote.ID, Title: remote.Name, Source: core.Remote, Writable: remote.Writable, Creatable: remote.Creatable,
		Deletable: remote.Deletable, WhyNot: remote.WhyNot, WhyNoNew: remote.WhyNoNew, WhyNoDel: remote.WhyNoDel, Versioned: remote.Versioned, Remote: raw}
	for _, f := range remote.Columns {
		n.Columns = append(n.Columns, store.NewColumn{RemoteID: f.ID, Anchor: f.Anchor, Title: f.Name, Type: f.Type, Options: f.Options,
			Writable: f.Writable, InsertOnly: f.InsertOnly, WhyNot: f.WhyNot})
	}
	return n, nil
}

// noteSchema keeps what differs of a table's columns at the service: the reading goes on with those that are as they were.
func (r *reading) noteSchema(t store.Table, remote connectors.Table) error {
	now, err := described(t, remote)
	if err != nil {
		return err
	}
	n, err := r.o.Store.NoteSchema(r.ctx, r.By, t, now)
	if err != nil || n == 0 {
		return err
	}
	next := r.st.with(t, store.MergeCounts{})
	next.Sums[t.ID].Schema = n
	r.st = next
	return nil
}
