package connectortest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

func sendsOnlyGiven(t *testing.T, h Harness) {
	b := open(t, h, 2)
	b.Service.Set(t, b.IDs[0], b.Other, "changed there")
	o := b.updated(b.text(b.IDs[0], "changed here"))[0]
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	b.holds(b.IDs[0], b.Text, "changed here")
	b.holds(b.IDs[0], b.Other, "changed there")
	if stored, ok := o.Stored[b.Text]; ok && stored.Text != "changed here" {
		t.Errorf("the answer says %q", stored.Text)
	}
}

// guarded skips the test where the service itself does not refuse old versions.
func (b *bench) guarded() {
	b.t.Helper()
	if g := ability[connectors.GuardedWriter](b); !g.GuardsWrites() {
		b.t.Skip("writes are not guarded here")
	}
}

func (b *bench) conflicts(o connectors.Outcome) {
	b.t.Helper()
	if o.Err == nil || o.Err.Kind != connectors.ConflictFault {
		b.t.Errorf("the outcome is %v, want a conflict", o.Err)
	}
}

func conflictByVersion(t *testing.T, h Harness) {
	b := open(t, h, 2)
	b.guarded()
	stale, fresh := b.text(b.IDs[0], "mine"), b.text(b.IDs[1], "mine")
	stale.Version, fresh.Version = b.version(b.IDs[0]), b.version(b.IDs[1])
	b.Service.Set(t, b.IDs[0], b.Other, "theirs")
	before, _ := b.Service.Get(t, b.IDs[0], b.Text)
	outcomes := b.updated(stale, fresh)
	b.conflicts(outcomes[0])
	b.holds(b.IDs[0], b.Text, before)
	if outcomes[1].Err != nil || outcomes[1].Version == fresh.Version {
		t.Errorf("the other record: %v, version %q", outcomes[1].Err, outcomes[1].Version)
	}
	b.holds(b.IDs[1], b.Text, "mine")
}

func conflictByBase(t *testing.T, h Harness) {
	b := open(t, h, 2)
	b.guarded()
	var writes []connectors.Write
	for _, id := range b.IDs {
		was, _ := b.Service.Get(t, id, b.Text)
		w := b.text(id, "mine")
		w.Base = map[string]core.Value{b.Text: core.TextValue(was)}
		writes = append(writes, w)
	}
	b.Service.Set(t, b.IDs[0], b.Text, "theirs")
	outcomes := b.updated(writes...)
	b.conflicts(outcomes[0])
	b.holds(b.IDs[0], b.Text, "theirs")
	if outcomes[1].Err != nil {
		t.Errorf("the other record: %v", outcomes[1].Err)
	}
	b.holds(b.IDs[1], b.Text, "mine")
}

func updateGone(t *testing.T, h Harness) {
	b := open(t, h, 2)
	b.Service.Remove(t, b.IDs[0])
	outcomes := b.updated(b.text(b.IDs[0], "late"), b.text(b.IDs[1], "fine"))
	if outcomes[0].Err == nil || outcomes[0].Err.Kind != connectors.Gone {
		t.Errorf("the outcome is %v, want gone", outcomes[0].Err)
	}
	if n := b.Service.Count(t); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	b.holds(b.IDs[1], b.Text, "fine")
}

func partialFailure(t *testing.T, h Harness) {
	b := open(t, h, 9)
	var writes []connectors.Write
	for i, id := range b.IDs {
		w := b.text(id, fmt.Sprint("new ", i))
		if i == 5 {
			w.Values[b.RefusedField] = b.RefusedValue
		}
		writes = append(writes, w)
	}
	was, _ := b.Service.Get(t, b.IDs[5], b.Text)
	for i, o := range b.updated(writes...) {
		switch {
		case i != 5 && o.Err != nil:
			t.Errorf("record %d: %v", i, o.Err)
		case i != 5:
			b.holds(b.IDs[i], b.Text, fmt.Sprint("new ", i))
		case o.Err == nil || o.Err.Kind != connectors.RefusedValue && o.Err.Kind != connectors.RefusedRecord:
			t.Errorf("the refused record's outcome is %v", o.Err)
		case o.Err.Kind == connectors.RefusedValue && o.Err.Field != b.RefusedField:
			t.Errorf("the refused field is %q, want %q", o.Err.Field, b.RefusedField)
		}
	}
	b.holds(b.IDs[5], b.Text, was)
}

// creating gives n writes with reserved ids where the connector has such.
func (b *bench) creating(n int) (connectors.Creator, []connectors.Write) {
	b.t.Helper()
	creator := ability[connectors.Creator](b)
	ids := must(b, func(ctx context.Context) ([]string, error) { return creator.Reserve(ctx, b.table, n) })
	if ids != nil && len(ids) != n {
		b.t.Fatalf("%d ids reserved, want %d", len(ids), n)
	}
	writes := make([]connectors.Write, n)
	for i := range writes {
		writes[i] = connectors.Write{Values: b.New(i), Token: fmt.Sprintf("%s-%d", b.t.Name(), i)}
		if ids != nil {
			writes[i].ID = ids[i]
		}
	}
	return creator, writes
}

func (b *bench) created(c connectors.Creator, writes []connectors.Write) []connectors.Outcome {
	b.t.Helper()
	outcomes := must(b, func(ctx context.Context) ([]connectors.Outcome, error) { return c.Create(ctx, b.table, writes) })
	return b.outcomes(outcomes, len(writes))
}

func creates(t *testing.T, h Harness) {
	b := open(t, h, 1)
	creator, writes := b.creating(3)
	for i, o := range b.created(creator, writes) {
		if o.Err != nil || o.ID == "" || o.Existing {
			t.Fatalf("create %d: %v, id %q, existing %v", i, o.Err, o.ID, o.Existing)
		}
		if writes[i].ID != "" && writes[i].ID != o.ID {
			t.Errorf("the id is %q, reserved was %q", o.ID, writes[i].ID)
		}
		b.holds(o.ID, b.Text, writes[i].Values[b.Text].Text)
	}
	if n := b.Service.Count(t); n != 4 {
		t.Errorf("%d records, want 4", n)
	}
}

func repeatsCreate(t *testing.T, h Harness) {
	b := open(t, h, 0)
	creator, writes := b.creating(3)
	b.created(creator, writes[:2])
	for i := range writes {
		writes[i].Repeat = true
	}
	for i, o := range b.created(creator, writes) {
		if o.Err != nil || o.Existing != (i < 2) {
			t.Errorf("create %d: %v, existing %v", i, o.Err, o.Existing)
		}
	}
	if n := b.Service.Count(t); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

func sparesStrangers(t *testing.T, h Harness) {
	b := open(t, h, 0)
	creator, writes := b.creating(1)
	o := b.created(creator, writes)[0]
	b.Service.Set(t, o.ID, b.Text, "somebody else's")
	if writes[0].ID == "" {
		writes[0].ID = o.ID
	}
	for _, repeat := range []bool{false, true} {
		writes[0].Repeat = repeat
		if o := b.created(creator, writes)[0]; o.Err == nil || o.Err.Kind != connectors.RefusedRecord {
			t.Errorf("with repeat %v the outcome is %v", repeat, o.Err)
		}
	}
	b.holds(o.ID, b.Text, "somebody else's")
}

func recognises(t *testing.T, h Harness) {
	b := open(t, h, 0)
	recogniser := ability[connectors.Recogniser](b)
	creator, writes := b.creating(2)
	b.created(creator, writes[:1])
	outcomes := must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
		return recogniser.Recognise(ctx, b.table, writes)
	})
	b.outcomes(outcomes, 2)
	if outcomes[0].Err != nil || outcomes[0].ID == "" {
		t.Errorf("the created one: %v, id %q", outcomes[0].Err, outcomes[0].ID)
	}
	if outcomes[1].Err == nil || outcomes[1].Err.Kind != connectors.Gone {
		t.Errorf("the other one: %v, want gone", outcomes[1].Err)
	}
}

func deletes(t *testing.T, h Harness) {
	b := open(t, h, 3)
	deleter := ability[connectors.Deleter](b)
	b.Service.Set(t, b.IDs[0], b.Text, "the last words")
	act := func(id string) connectors.Outcome {
		outcomes := must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
			return deleter.Delete(ctx, b.table, []connectors.Write{{ID: id}})
		})
		return b.outcomes(outcomes, 1)[0]
	}
	o := act(b.IDs[0])
	if o.Err != nil || o.Before[b.Text].Text != "the last words" || len(o.Before) != len(b.table.Columns) {
		t.Errorf("the outcome is %v with %d fields", o.Err, len(o.Before))
	}
	if o := act(b.IDs[0]); o.Err == nil || o.Err.Kind != connectors.Gone {
		t.Errorf("the second time: %v, want gone", o.Err)
	}
	if n := b.Service.Count(t); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

func deleteConflict(t *testing.T, h Harness) {
	b := open(t, h, 1)
	deleter := ability[connectors.Deleter](b)
	b.guarded()
	version := b.version(b.IDs[0])
	b.Service.Set(t, b.IDs[0], b.Other, "theirs")
	outcomes := must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
		return deleter.Delete(ctx, b.table, []connectors.Write{{ID: b.IDs[0], Version: version}})
	})
	b.conflicts(b.outcomes(outcomes, 1)[0])
	b.holds(b.IDs[0], b.Other, "theirs")
}

func keepsDeadline(t *testing.T, h Harness) {
	b := open(t, h, 1)
	was, _ := b.Service.Get(t, b.IDs[0], b.Text)
	past := time.Now().Add(-time.Second)
	b.session = b.newSession(connectors.Environment{Dial: b.line.Dial, Deadline: func() time.Time { return past }})
	_, err := b.update(b.text(b.IDs[0], "too late"))
	if f := b.fault(err); f.Kind != connectors.Unavailable || !f.Unsent {
		t.Errorf("the fault is %s, unsent %v", f.Kind, f.Unsent)
	}
	b.holds(b.IDs[0], b.Text, was)
}

// cuts skips the test where the harness does not say what to cut.
func (b *bench) cut(c Cut) {
	b.t.Helper()
	if b.h.Decisive == nil {
		b.t.Skip("the harness does not say which bytes are decisive")
	}
	b.line.CutNext(c)
}

func (b *bench) wasCut(err error) *connectors.Fault {
	b.t.Helper()
	if b.line.Cuts() != 1 {
		b.t.Fatalf("the line was cut %d times: the decisive bytes were not seen", b.line.Cuts())
	}
	f := b.fault(err)
	if f.Kind != connectors.Unavailable {
		b.t.Errorf("the fault is %s, want unavailable", f.Kind)
	}
	return f
}

func cutBefore(t *testing.T, h Harness) {
	b := open(t, h, 1)
	was, _ := b.Service.Get(t, b.IDs[0], b.Text)
	b.cut(CutBefore)
	_, err := b.update(b.text(b.IDs[0], "lost"))
	b.wasCut(err)
	b.holds(b.IDs[0], b.Text, was)
	if o := b.updated(b.text(b.IDs[0], "again"))[0]; o.Err != nil {
		t.Errorf("afterwards: %v", o.Err)
	}
	b.holds(b.IDs[0], b.Text, "again")
}

func cutAfter(t *testing.T, h Harness) {
	b := open(t, h, 1)
	b.cut(CutAfter)
	_, err := b.update(b.text(b.IDs[0], "arrived"))
	if f := b.wasCut(err); f.Unsent {
		t.Error("the fault says that surely nothing was written")
	}
	b.holds(b.IDs[0], b.Text, "arrived")
}

func createCutAfter(t *testing.T, h Harness) {
	b := open(t, h, 0)
	creator, writes := b.creating(3)
	b.cut(CutAfter)
	_, err := try(b, func(ctx context.Context) ([]connectors.Outcome, error) { return creator.Create(ctx, b.table, writes) })
	if f := b.wasCut(err); f.Unsent {
		t.Error("the fault says that surely nothing was written")
	}
	for i := range writes {
		writes[i].Repeat = true
	}
	for i, o := range b.created(creator, writes) {
		if o.Err != nil || !o.Existing {
			t.Errorf("create %d: %v, existing %v", i, o.Err, o.Existing)
		}
	}
	if n := b.Service.Count(t); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

func closesTwice(t *testing.T, h Harness) {
	b := open(t, h, 0)
	b.session.Close()
	b.session.Close()
	if err := b.session.Test(t.Context()); err == nil {
		t.Error("a closed session still answers")
	}
}
