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
	if !keys[h.Credential] {
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
		session := b.newSession(connectors.Environment{Dial: b.line.Dial})
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
