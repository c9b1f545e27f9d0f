package connectortest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/misbehave"
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
	if b.RefusedField == "" {
		t.Skip("the service refuses no value")
	}
	var writes []connectors.Write
	for i, id := range b.IDs {
		w := b.text(id, fmt.Sprint("new ", i))
		if i == 5 {
			w.Values[b.RefusedField] = b.RefusedValue
		}
		writes = append(writes, w)
	}
	was, _ := b.Service.Get(t, b.IDs[5], b.Text)
	size := max(1, h.Connector.Info().Limits.UpdateBatch)
	var outcomes []connectors.Outcome
	for batch := range slices.Chunk(writes, size) {
		outcomes = append(outcomes, b.eachUpdated(batch)...)
	}
	for i, o := range outcomes {
		switch {
		case i != 5 && o.Err != nil:
			t.Errorf("record %d: %v", i, o.Err)
		case i != 5:
			b.holds(b.IDs[i], b.Text, fmt.Sprint("new ", i))
		case o.Err == nil || o.Err.Kind != connectors.RefusedValue && o.Err.Kind != connectors.RefusedRecord:
			t.Errorf("the refused record's outcome is %v", o.Err)
		case o.Err.Kind == connectors.RefusedValue && o.Err.Field != b.RefusedField:
			t.Errorf("the refused field is %q, want %q", o.Err.Field, b.RefusedField)
		case !strings.Contains(o.Err.Words, b.RefusedWords):
			t.Errorf("the words are %q, which are not the service's own %q", o.Err.Words, b.RefusedWords)
		}
	}
	b.holds(b.IDs[5], b.Text, was)
}

// eachUpdated sends a batch; one that is refused as a whole is sent record by record, as the app splits it.
func (b *bench) eachUpdated(writes []connectors.Write) []connectors.Outcome {
	b.t.Helper()
	outcomes, err := b.update(writes...)
	if err == nil {
		return b.outcomes(outcomes, len(writes))
	}
	f := b.fault(err)
	if len(writes) == 1 {
		return []connectors.Outcome{{ID: writes[0].ID, Err: f}}
	}
	if f.Kind != connectors.RefusedRecord && f.Kind != connectors.RefusedValue && f.Kind != connectors.Broken {
		b.t.Fatalf("a batch with a refused value fails as a whole: %v", err)
	}
	var all []connectors.Outcome
	for _, w := range writes {
		all = append(all, b.eachUpdated([]connectors.Write{w})...)
	}
	return all
}

// creating gives n writes with reserved ids where the connector has such.
func (b *bench) creating(n int) (connectors.Creator, []connectors.Write) {
	b.t.Helper()
	creator := ability[connectors.Creator](b)
	if !b.table.Creatable {
		b.t.Skip("records of this table cannot be created: " + b.table.WhyNoNew)
	}
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

// create sends creates in batches as the limits say, until one fails.
func (b *bench) create(c connectors.Creator, writes []connectors.Write) ([]connectors.Outcome, error) {
	b.t.Helper()
	return inBatches(writes, b.limits().CreateBatch, func(part []connectors.Write) ([]connectors.Outcome, error) {
		return try(b, func(ctx context.Context) ([]connectors.Outcome, error) { return c.Create(ctx, b.table, part) })
	})
}

func (b *bench) created(c connectors.Creator, writes []connectors.Write) []connectors.Outcome {
	b.t.Helper()
	outcomes, err := b.create(c, writes)
	if err == nil {
		outcomes, err = b.finish(c, writes, outcomes, func(second []connectors.Write) ([]connectors.Outcome, error) {
			return try(b, func(ctx context.Context) ([]connectors.Outcome, error) {
				return c.(connectors.Finisher).Finish(ctx, b.table, second)
			})
		})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return b.outcomes(outcomes, len(writes))
}

// finish makes the second step of creates, where there is one. As the app does, it notes the ids first.
func (b *bench) finish(c connectors.Creator, writes []connectors.Write, outcomes []connectors.Outcome, call func([]connectors.Write) ([]connectors.Outcome, error)) ([]connectors.Outcome, error) {
	b.t.Helper()
	if _, ok := c.(connectors.Finisher); !ok {
		return outcomes, nil
	}
	var at []int
	var second []connectors.Write
	for i, o := range outcomes {
		if o.Err == nil {
			writes[i].ID = o.ID
			at, second = append(at, i), append(second, writes[i])
		}
	}
	if at == nil {
		return outcomes, nil
	}
	done, err := inBatches(second, b.limits().CreateBatch, call)
	for k, i := range at {
		existing := outcomes[i].Existing
		switch {
		case k < len(done):
			outcomes[i] = done[k]
		case err != nil:
			outcomes[i].Err = b.fault(err)
		}
		outcomes[i].Existing = existing || outcomes[i].Existing
	}
	return outcomes, nil
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
	if writes[0].ID == "" {
		t.Skip("the service gives ids itself: a create names none that could be a stranger's")
	}
	o := b.created(creator, writes)[0]
	b.Service.Set(t, o.ID, b.Text, "somebody else's")
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
	deleter := b.deleter()
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
	deleter := b.deleter()
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
	env := b.environment()
	env.Deadline = func() time.Time { return past }
	b.session = b.newSession(env)
	outcomes, err := b.update(b.text(b.IDs[0], "too late"))
	f := firstFault(outcomes, err)
	if f == nil {
		t.Fatal("no error")
	}
	if b.fault(f); f.Kind != connectors.Unavailable || !f.Unsent {
		t.Errorf("the fault is %s, unsent %v", f.Kind, f.Unsent)
	}
	b.holds(b.IDs[0], b.Text, was)
}

// cut cuts at the next act, or skips the test where the harness does not say what to cut.
func (b *bench) cut(c Cut) {
	b.t.Helper()
	switch {
	case b.proxy != nil:
		b.proxy.Do(misbehave.Fault{Act: misbehave.Cut, When: b.h.Writing, After: c == CutAfter})
	case b.h.Decisive != nil:
		b.line.CutNext(c)
	default:
		b.t.Skip("the harness does not say which bytes are decisive")
	}
}

// wasCut gives the fault of a call that was cut: its error, or that of the records whose request was.
func (b *bench) wasCut(outcomes []connectors.Outcome, err error) *connectors.Fault {
	b.t.Helper()
	cuts := b.line.Cuts()
	if b.proxy != nil {
		b.proxy.Settle()
		cuts = b.proxy.Done()
	}
	if cuts != 1 {
		b.t.Fatalf("the line was cut %d times: the decisive bytes were not seen", cuts)
	}
	for _, o := range outcomes {
		if o.Err != nil && err == nil {
			err = o.Err
		}
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
	b.wasCut(b.update(b.text(b.IDs[0], "lost")))
	b.holds(b.IDs[0], b.Text, was)
	if o := b.updated(b.text(b.IDs[0], "again"))[0]; o.Err != nil {
		t.Errorf("afterwards: %v", o.Err)
	}
	b.holds(b.IDs[0], b.Text, "again")
}

func cutAfter(t *testing.T, h Harness) {
	b := open(t, h, 1)
	b.cut(CutAfter)
	if f := b.wasCut(b.update(b.text(b.IDs[0], "arrived"))); f.Unsent {
		t.Error("the fault says that surely nothing was written")
	}
	b.holds(b.IDs[0], b.Text, "arrived")
}

func createCutAfter(t *testing.T, h Harness) {
	b := open(t, h, 0)
	creator, writes := b.creating(3)
	b.cut(CutAfter)
	outcomes, err := b.create(creator, writes)
	if firstFault(outcomes, err) == nil && b.proxy != nil {
		t.Log("the connector has asked again by itself, as it may where that makes nothing twice")
	} else if f := b.wasCut(outcomes, err); f.Unsent {
		t.Error("the fault says that surely nothing was written")
	}
	there := b.Service.Count(t)
	for i := range writes {
		writes[i].Repeat = true
	}
	existing := 0
	for i, o := range b.created(creator, writes) {
		if o.Err != nil {
			t.Errorf("create %d: %v", i, o.Err)
		}
		if o.Existing {
			existing++
		}
	}
	if _, twoSteps := creator.(connectors.Finisher); existing < there || there == 0 && !(twoSteps && existing > 0) { // what is not finished does not count
		t.Errorf("%d records arrived, and %d of them were found", there, existing)
	}
	if n := b.Service.Count(t); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// restores creates a record that was deleted, as it was before.
func restores(t *testing.T, h Harness) {
	b := open(t, h, 2)
	deleter := b.deleter()
	creator, ok := b.session.(connectors.Creator)
	if !ok || !h.Connector.Info().Restorable || !b.table.Creatable {
		t.Skip("a deleted record cannot be brought back as itself")
	}
	text, _ := b.Service.Get(t, b.IDs[0], b.Text)
	gone := b.outcomes(must(b, func(ctx context.Context) ([]connectors.Outcome, error) {
		return deleter.Delete(ctx, b.table, []connectors.Write{{ID: b.IDs[0]}})
	}), 1)[0]
	if gone.Err != nil {
		t.Fatal(gone.Err)
	}
	w := connectors.Write{ID: b.IDs[0], Values: map[string]core.Value{}, Token: t.Name()}
	for _, f := range b.table.Columns {
		if v, ok := gone.Before[f.ID]; ok && (f.Writable || f.InsertOnly) {
			w.Values[f.ID] = v
		}
	}
	if o := b.created(creator, []connectors.Write{w})[0]; o.Err != nil || o.ID != b.IDs[0] {
		t.Fatalf("it comes back as %q: %v", o.ID, o.Err)
	}
	b.holds(b.IDs[0], b.Text, text)
	if n := b.Service.Count(t); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// deleter gives the ability to delete from the fixture's table, or skips the test.
func (b *bench) deleter() connectors.Deleter {
	b.t.Helper()
	d := ability[connectors.Deleter](b)
	if !b.table.Deletable {
		b.t.Skip("records of this table cannot be deleted: " + b.table.WhyNoDel)
	}
	return d
}

func endsWithContext(t *testing.T, h Harness) {
	b := open(t, h, 1)
	was, _ := b.Service.Get(t, b.IDs[0], b.Text)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	for what, call := range map[string]func() error{
		"a read": func() error {
			_, err := b.session.Read(ctx, connectors.ReadRequest{Table: b.table, Fields: []string{b.Text}})
			return err
		},
		"an update": func() error {
			outcomes, err := b.session.Update(ctx, b.table, []connectors.Write{b.text(b.IDs[0], "nobody waits")})
			if err == nil && len(outcomes) == 1 && outcomes[0].Err != nil {
				return outcomes[0].Err
			}
			return err
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s succeeds though nobody waits for it", what)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	b.holds(b.IDs[0], b.Text, was)
}

func closesTwice(t *testing.T, h Harness) {
	b := open(t, h, 0)
	b.session.Close()
	b.session.Close()
	if err := b.session.Test(t.Context()); err == nil {
		t.Error("a closed session still answers")
	}
}
