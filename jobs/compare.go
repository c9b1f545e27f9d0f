package jobs

import (
	"encoding/json"
	"maps"
	"slices"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// sameValue compares two values of a column in canonical form; numbers by value, so 29 and 29.00 are the same.
func sameValue(c core.Column, a, b core.Value) bool {
	if c.Type == core.Number && !a.IsNull() && !b.IsNull() {
		return core.SameNumber(a.Text, b.Text)
	}
	if c.Type == core.JSON && !a.IsNull() && !b.IsNull() {
		return core.SameJSON(a.Text, b.Text)
	}
	return a.Equal(b)
}

// compare reads the records just before they are written. One whose edited field changed there (for a delete: any field) is a
// conflict and is not sent. One that is there as wanted already is done.
func (b *batch) compare() error {
	reader, ok := b.session.(connectors.BatchReader)
	if !ok {
		return nil
	}
	there, err := b.read(reader)
	if err != nil {
		return err
	}
	if err := b.expect(); err != nil {
		return err
	}
	b.before, b.fresh = map[int64]map[string]core.Value{}, map[int64]string{}
	var keep []store.Item
	var out []store.ItemOutcome
	for _, it := range b.items {
		r, found := there[it.RemoteID]
		if o, done := b.settledBefore(it, r, found); done {
			out = append(out, o)
			continue
		}
		b.before[it.ID], b.fresh[it.ID] = r.values, r.version
		keep = append(keep, it)
	}
	if err := b.saveOutcomes(b.table, out); err != nil {
		return err
	}
	b.items = keep
	return nil
}

// held is a record as the service holds it.
type held struct {
	values  map[string]core.Value // by field
	version string
}

// read gives the items' records that the service has. Those that it does not name are asked for once more between two looks
// at the credential: some services answer a dead one with fewer records.
func (b *batch) read(reader connectors.BatchReader) (map[string]held, error) {
	there := map[string]held{}
	if err := b.lookUp(reader, b.remoteIDs(nil), there); err != nil {
		return nil, err
	}
	missing := b.remoteIDs(there)
	if len(missing) == 0 {
		return there, nil
	}
	if err := b.testCredential(b.session); err != nil {
		return nil, err
	}
	if err := b.lookUp(reader, missing, there); err != nil {
		return nil, err
	}
	return there, b.testCredential(b.session)
}

// remoteIDs gives the items' remote ids that are not among some.
func (b *batch) remoteIDs(there map[string]held) []string {
	var ids []string
	for _, it := range b.items {
		if _, ok := there[it.RemoteID]; !ok {
			ids = append(ids, it.RemoteID)
		}
	}
	return ids
}

func (b *batch) lookUp(reader connectors.BatchReader, ids []string, into map[string]held) error {
	fields := slices.Sorted(maps.Keys(b.cols))
	size := b.limits().LookupBatch
	if size <= 0 {
		size = max(1, len(ids))
	}
	for part := range slices.Chunk(ids, size) {
		ctx, cancel := b.Request()
		b.o.Fault("publish.look")
		records, err := reader.Current(ctx, b.remote, fields, part)
		cancel()
		b.o.Fault("publish.looked")
		if err != nil {
			return err
		}
		for _, r := range records {
			values := map[string]core.Value{}
			for i, f := range fields {
				values[f] = fromService(b.cols[f], r.Values[i])
			}
			into[r.ID] = held{values, r.Version}
		}
	}
	return nil
}

// expect looks up what the service is expected to hold of records that are to be deleted.
func (b *batch) expect() error {
	if b.op != "delete" {
		return nil
	}
	ids := make([]int64, len(b.items))
	for i, it := range b.items {
		ids[i] = it.Record
	}
	var err error
	b.held, err = b.o.Store.Bases(b.ctx, b.By, b.table, ids)
	return err
}

// settledBefore gives the outcome of an item that needs no write, or must not be written.
func (b *batch) settledBefore(it store.Item, r held, found bool) (o store.ItemOutcome, done bool) {
	o = store.ItemOutcome{Item: it.ID, Attempt: it.Attempts, RemoteID: it.RemoteID, Version: r.version, Before: b.byNumber(r.values)}
	switch {
	case !found && it.Op == "delete":
		o.State, o.Reason = "published", "It was gone already."
	case !found:
		o.State, o.Reason = "conflict", store.DeletedThere
	case len(b.differing(it, r.values)) > 0:
		o.State, o.Reason = "conflict", "The service changed this record since the download."
	case it.Op == "update" && b.asWanted(it, r.values):
		o.State, o.Reason, o.Stored = "published", "The service held this already.", o.Before
	default:
		return o, false
	}
	return o, true
}

// differing gives the columns in which the service holds neither what we expect nor what is wanted; of a delete, all that
// changed.
func (b *batch) differing(it store.Item, values map[string]core.Value) []int {
	var out []int
	for field, now := range values {
		c, ok := b.cols[field]
		if !ok {
			continue
		}
		f, edited := it.Fields[c.Number]
		switch {
		case edited && !sameCanonical(c, f.Base, now) && !sameCanonical(c, f.Value, now),
			it.Op == "delete" && !sameValue(c, b.held[it.Record][c.Number], now):
			out = append(out, c.Number)
		}
	}
	return out
}

// asWanted says whether the service holds every field of an update as it is to be.
func (b *batch) asWanted(it store.Item, values map[string]core.Value) bool {
	there := 0
	for field, c := range b.cols {
		f, edited := it.Fields[c.Number]
		if edited && !sameCanonical(c, f.Value, values[field]) {
			return false
		}
		if edited {
			there++
		}
	}
	return there == len(it.Fields)
}

func sameCanonical(c core.Column, raw json.RawMessage, now core.Value) bool {
	v, err := core.FromCanonical(c.Type, raw)
	return err == nil && sameValue(c, v, now)
}
