package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

func describesItself(t *testing.T, h Harness) {
	info := h.Connector.Info()
	if info.ID == "" || info.Name == "" || info.Summary == "" || info.Icon == "" {
		t.Errorf("id, name, summary or icon is missing: %+v", info)
	}
	keys := map[string]bool{}
	for _, s := range info.Settings {
		if s.Label == "" || s.Help == "" || s.Kind == "" || keys[s.Key] {
			t.Errorf("the setting %q lacks a label, help or kind, or is there twice", s.Key)
		}
		keys[s.Key] = true
		if s.Key == h.Credential && !s.Secret {
			t.Errorf("the setting %q is not marked as secret", s.Key)
		}
	}
	if h.Credential != "" && !keys[h.Credential] {
		t.Errorf("there is no setting %q", h.Credential)
	}
}

func listsTables(t *testing.T, h Harness) {
	b := open(t, h, 1)
	tables := must(b, b.session.Tables)
	at := slices.IndexFunc(tables, func(x connectors.Table) bool { return x.ID == b.Table })
	if at < 0 {
		t.Fatalf("%s is not listed", b.Table)
	}
	for _, table := range []connectors.Table{tables[at], b.table} {
		if !table.Readable || !table.Writable {
			t.Errorf("%s cannot be read or written: %s", table.ID, table.WhyNot)
		}
	}
	for _, f := range b.table.Columns {
		if f.ID == "" || f.Name == "" || !f.Type.Valid() {
			t.Errorf("a field is not described: %+v", f)
		}
		if !f.Writable && f.WhyNot == "" {
			t.Errorf("the field %s does not say why it is not writable", f.Name)
		}
	}
}

func missingTableIsGone(t *testing.T, h Harness) {
	b := open(t, h, 0)
	_, err := try(b, func(ctx context.Context) (connectors.Table, error) { return b.session.Table(ctx, b.Table+"_not_there") })
	if f := b.fault(err); f.Kind != connectors.Gone {
		t.Errorf("the fault is %s", f.Kind)
	}
}

func wrongCredential(t *testing.T, h Harness) {
	if h.Credential == "" {
		t.Skip("the service has no credential")
	}
	settings := connectors.Settings{}
	for k, v := range h.Settings {
		settings[k] = v
	}
	const wrong = "not-the-right-secret-4711"
	settings[h.Credential] = wrong
	s, err := h.Connector.Open(t.Context(), settings, connectors.Environment{Dial: NewLine(nil).Dial})
	if err == nil {
		t.Cleanup(s.Close)
		err = s.Test(t.Context())
	}
	checkSecret(t, err, wrong)
	var f *connectors.Fault
	if !errors.As(err, &f) || f.Kind != connectors.SignedOut && f.Kind != connectors.NotAllowed {
		t.Errorf("the error is %v", err)
	}
}

// readsThrough reads page by page, each in a session of its own from the checkpoint as it would be stored, while
// records are added and deleted in between.
func readsThrough(t *testing.T, h Harness) {
	const records, page = 40, 7
	b := open(t, h, records)
	seen := map[string]string{}
	var at json.RawMessage
	for pages := 0; ; pages++ {
		if pages > records {
			t.Fatal("reading does not end")
		}
		if len(at) > 64<<10 {
			t.Fatalf("a checkpoint of %d bytes", len(at))
		}
		session := b.newSession(b.environment())
		got := must(b, func(ctx context.Context) (connectors.Page, error) {
			return session.Read(ctx, connectors.ReadRequest{Table: b.table, Fields: []string{b.Other, b.Text}, Checkpoint: at, Limit: page})
		})
		session.Close()
		for _, r := range got.Records {
			if len(r.Values) != 2 {
				t.Fatalf("%d values for two fields", len(r.Values))
			}
			seen[r.ID] = r.Values[1].Text
		}
		if got.Last && pages < 3 {
			t.Fatalf("%d records were read in %d pages of at most %d", records, pages+1, page)
		}
		if got.Last {
			break
		}
		at = append(json.RawMessage(nil), got.Checkpoint...)
		b.comeAndGo(pages)
	}
	for i, id := range b.IDs {
		want, there := b.Service.Get(t, id, b.Text)
		if got, ok := seen[id]; there && (!ok || got != want) {
			t.Errorf("record %d (%s) is %q, want %q", i, id, got, want)
		}
	}
}

// comeAndGo adds a record and deletes an early, a middle and a late one.
func (b *bench) comeAndGo(round int) {
	b.t.Helper()
	if round > 3 {
		return
	}
	b.Service.Add(b.t, fmt.Sprint("added ", round))
	for _, i := range []int{round, len(b.IDs)/2 + round, len(b.IDs) - 1 - round} {
		b.Service.Remove(b.t, b.IDs[i])
	}
}

func versionsMove(t *testing.T, h Harness) {
	b := open(t, h, 3)
	reader := ability[connectors.VersionReader](b)
	if !b.table.Versioned {
		t.Skip("records have no version here")
	}
	versions := func() map[string]string {
		page := must(b, func(ctx context.Context) (connectors.Page, error) {
			return reader.Versions(ctx, connectors.ReadRequest{Table: b.table})
		})
		found := map[string]string{}
		for _, r := range page.Records {
			found[r.ID] = r.Version
		}
		return found
	}
	before := versions()
	b.Service.Set(t, b.IDs[1], b.Text, "moved")
	after := versions()
	for i, id := range b.IDs {
		if moved := before[id] != after[id]; moved != (i == 1) || after[id] == "" {
			t.Errorf("record %d: the version was %q and is %q", i, before[id], after[id])
		}
	}
}

func digestMoves(t *testing.T, h Harness) {
	b := open(t, h, 3)
	digester := ability[connectors.Digester](b)
	if !b.table.Versioned {
		t.Skip("records have no version here")
	}
	var digests []connectors.Digest
	moved := func(what string, records int64) {
		t.Helper()
		d := must(b, func(ctx context.Context) (connectors.Digest, error) { return digester.Digest(ctx, b.table) })
		if d.Records != records || d.Sum == "" || slices.ContainsFunc(digests, func(old connectors.Digest) bool { return old.Sum == d.Sum }) {
			t.Errorf("%s the digest is %+v, after %+v", what, d, digests)
		}
		if again := must(b, func(ctx context.Context) (connectors.Digest, error) { return digester.Digest(ctx, b.table) }); again != d {
			t.Errorf("%s the digest is %+v, and %+v when asked for again", what, d, again)
		}
		digests = append(digests, d)
	}
	moved("at first", 3)
	b.Service.Set(t, b.IDs[1], b.Text, "moved")
	moved("after a change", 3)
	b.Service.Remove(t, b.IDs[0])
	moved("after a removal", 2)
	b.Service.Add(t, "added")
	moved("with a new record", 3)
}

func readsCurrent(t *testing.T, h Harness) {
	b := open(t, h, 4)
	b.Service.Set(t, b.IDs[2], b.Text, "now")
	b.Service.Remove(t, b.IDs[1])
	records := b.current([]string{b.Text}, b.IDs...)
	if len(records) != 3 {
		t.Fatalf("%d records, want 3", len(records))
	}
	for _, r := range records {
		b.holds(r.ID, b.Text, r.Values[0].Text)
	}
	whole := b.current(nil, b.IDs[0])
	if len(whole) != 1 || len(whole[0].Values) != len(b.table.Columns) {
		t.Errorf("asking for all fields gives %d records", len(whole))
	}
}

// pages reads a whole table in pages of at most limit records, all fields.
func (b *bench) pages(limit int, keysOnly bool) map[string]connectors.Record {
	b.t.Helper()
	found := map[string]connectors.Record{}
	req := connectors.ReadRequest{Table: b.table, Fields: fieldIDs(b.table), Limit: limit, KeysOnly: keysOnly}
	if keysOnly {
		req.Fields = nil
	}
	for pages := 0; ; pages++ {
		page := must(b, func(ctx context.Context) (connectors.Page, error) { return b.session.Read(ctx, req) })
		if limit > 0 && len(page.Records) > limit {
			b.t.Errorf("a page of %d records, asked for were %d", len(page.Records), limit)
		}
		if most := b.h.Connector.Info().Limits.ReadPage; !keysOnly && most > 0 && len(page.Records) > most {
			b.t.Errorf("a page of %d records, the limits say %d", len(page.Records), most)
		}
		for _, r := range page.Records {
			found[r.ID] = r
		}
		if page.Last || pages > 1000 {
			return found
		}
		if !json.Valid(page.Checkpoint) {
			b.t.Fatalf("a checkpoint that is no JSON: %s", page.Checkpoint)
		}
		req.Checkpoint = page.Checkpoint
	}
}

func fieldIDs(table connectors.Table) []string {
	var ids []string
	for _, f := range table.Columns {
		ids = append(ids, f.ID)
	}
	return ids
}

func pagesKeepLimits(t *testing.T, h Harness) {
	b := open(t, h, 12)
	for _, limit := range []int{5, 12, 1_000_000} {
		found := b.pages(limit, false)
		if len(found) != 12 {
			t.Errorf("%d records in pages of %d, want 12", len(found), limit)
		}
		for _, r := range found {
			if len(r.Values) != len(b.table.Columns) {
				t.Fatalf("%d values for %d fields", len(r.Values), len(b.table.Columns))
			}
		}
	}
}

func keysOnly(t *testing.T, h Harness) {
	b := open(t, h, 9)
	whole, keys := b.pages(0, false), b.pages(4, true)
	for id, r := range keys {
		if len(r.Values) != 0 {
			t.Errorf("%s has %d values, though only ids were asked for", id, len(r.Values))
		}
		if _, ok := whole[id]; !ok {
			t.Errorf("%s is not among the records", id)
		}
		if r.Version != whole[id].Version {
			t.Errorf("%s has the version %q among ids and %q among records", id, r.Version, whole[id].Version)
		}
	}
	if len(keys) != 9 || len(whole) != 9 {
		t.Errorf("%d ids, %d records, want 9", len(keys), len(whole))
	}
}

// looksAnew is what finding a conflict before a write rests on.
func looksAnew(t *testing.T, h Harness) {
	b := open(t, h, 2)
	ability[connectors.BatchReader](b)
	look := func() connectors.Record {
		t.Helper()
		found := b.current([]string{b.Text}, b.IDs[0])
		if len(found) != 1 {
			t.Fatalf("%d records", len(found))
		}
		return found[0]
	}
	before := look()
	for _, text := range []string{"theirs", "theirs too"} {
		b.Service.Set(t, b.IDs[0], b.Text, text)
		if now := look(); now.Values[0].Text != text || b.table.Versioned && now.Version == before.Version {
			t.Errorf("after a change to %q there is %q, version %q, before it was %q", text, now.Values[0].Text, now.Version, before.Version)
		}
	}
	b.Service.Remove(t, b.IDs[0])
	if found := b.current([]string{b.Text}, b.IDs[0], b.IDs[1]); len(found) != 1 || found[0].ID != b.IDs[1] {
		t.Errorf("after a removal there are %d records", len(found))
	}
}

// mostTried is how many records a batch is tried with at most: some services take thousands.
const mostTried = 300

func batchesAreTaken(t *testing.T, h Harness) {
	limits := h.Connector.Info().Limits
	n := min(mostTried, max(limits.UpdateBatch, limits.LookupBatch, 1))
	b := open(t, h, n)
	if size := min(n, limits.LookupBatch); size > 0 {
		if _, ok := b.session.(connectors.BatchReader); ok && len(b.current([]string{b.Text}, b.IDs[:size]...)) != size {
			t.Errorf("of %d records not all are read at once", size)
		}
	}
	size := min(n, max(1, limits.UpdateBatch))
	writes := make([]connectors.Write, size)
	for i := range writes {
		writes[i] = b.text(b.IDs[i], fmt.Sprint("batch ", i))
	}
	for i, o := range b.updated(writes...) {
		if o.Err != nil {
			t.Fatalf("record %d of a batch of %d: %v", i, size, o.Err)
		}
	}
	for _, i := range []int{0, size / 2, size - 1} {
		b.holds(b.IDs[i], b.Text, fmt.Sprint("batch ", i))
	}
}

func counts(t *testing.T, h Harness) {
	b := open(t, h, 5)
	counter := ability[connectors.Counter](b)
	n := must(b, func(ctx context.Context) (int64, error) { return counter.Count(ctx, b.table) })
	if n != 5 {
		t.Errorf("%d records, want 5", n)
	}
}

func roundTrips(t *testing.T, h Harness) {
	b := open(t, h, 1)
	for field, values := range b.Edges {
		for _, want := range values {
			write := connectors.Write{ID: b.IDs[0], Values: map[string]core.Value{field: want}}
			o := b.updated(write)[0]
			if o.Err != nil {
				t.Errorf("%s = %q is refused: %v", field, want.Plain(), o.Err)
				continue
			}
			if stored, ok := o.Stored[field]; ok && !stored.Equal(want) {
				t.Errorf("%s = %q (null: %v) is stored as %q (null: %v)", field, want.Plain(), want.IsNull(), stored.Plain(), stored.IsNull())
			}
			if got := b.current([]string{field}, b.IDs[0]); len(got) != 1 || !got[0].Values[0].Equal(want) {
				t.Errorf("%s = %q is read back as %v", field, want.Plain(), got)
			}
		}
	}
}

func triesEveryType(t *testing.T, h Harness) {
	b := open(t, h, 0)
	tried := map[core.ColumnType]bool{}
	for _, f := range b.table.Columns {
		if len(b.Edges[f.ID]) > 0 {
			tried[f.Type] = true
		}
	}
	for _, f := range b.table.Columns {
		if f.Writable && !f.InsertOnly && !tried[f.Type] {
			t.Errorf("no value of the type %s is written and read back: add edges of %s", f.Type, f.ID)
		}
	}
}

// normalises proves that what the service has made of a value is what becomes the base: the answer says it, or a look does.
func normalises(t *testing.T, h Harness) {
	b := open(t, h, 1)
	if len(b.Normalised) == 0 {
		t.Skip("the service stores everything as it is written")
	}
	for _, n := range b.Normalised {
		o := b.updated(connectors.Write{ID: b.IDs[0], Values: map[string]core.Value{n.Field: n.Sent}})[0]
		if o.Err != nil {
			t.Errorf("%s = %q is refused: %v", n.Field, n.Sent.Plain(), o.Err)
			continue
		}
		if stored, ok := o.Stored[n.Field]; !ok || !stored.Equal(n.Stored) {
			t.Errorf("%s = %q is said to be stored as %q (said: %v), want %q", n.Field, n.Sent.Plain(), stored.Plain(), ok, n.Stored.Plain())
		}
		read := b.pages(0, false)[b.IDs[0]]
		for i, f := range b.table.Columns {
			if f.ID == n.Field && !read.Values[i].Equal(n.Stored) {
				t.Errorf("%s = %q is read as %q, want %q", n.Field, n.Sent.Plain(), read.Values[i].Plain(), n.Stored.Plain())
			}
		}
	}
}
