package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// batch is one request's worth of items, which are in `sending`.
type batch struct {
	*publishing
	session connectors.Session
	table   store.Table
	remote  connectors.Table
	cols    map[string]core.Column
	op      string
	items   []store.Item
	held    map[int64]map[int]core.Value    // deletes: what we expect the service to hold, by record
	before  map[int64]map[string]core.Value // what the service held just before, by item
	fresh   map[int64]string                // versions just read, by item
}

// send sends the items and commits what became of them. Whatever happens, each leaves `sending`, unless it cannot be
// written down: then whoever goes on with the job judges it.
func (b *batch) send() error {
	ready := b.compare
	if b.op == "create" {
		ready = b.reserve
	}
	if err := ready(); err != nil {
		return b.giveBack(b.table, b.items, err)
	}
	if len(b.items) == 0 {
		return nil
	}
	return b.request()
}

// request is one request to the service. That it leaves now, and what was read just before, is committed first.
func (b *batch) request() error {
	writes, err := b.writes()
	if err == nil {
		err = b.leave()
	}
	if err != nil {
		return b.giveBack(b.table, b.items, err)
	}
	b.o.Fault("publish.leaving")
	outcomes, err := b.call(writes)
	outcomes = b.outcomesHere(outcomes)
	b.o.Fault("publish.acted")
	if err != nil {
		return b.refusedWhole(writes, err)
	}
	return b.save(writes, outcomes)
}

// leave commits that a request leaves, and looks once more at the lease.
func (b *batch) leave() error {
	if late(b.Deadline()) {
		return store.ErrLeaseLost
	}
	out := make([]store.Leaving, len(b.items))
	for i, it := range b.items {
		out[i] = store.Leaving{Item: it.ID, RemoteID: it.RemoteID, Version: b.fresh[it.ID], Before: b.byNumber(b.before[it.ID])}
	}
	return b.o.Store.ItemsLeave(b.ctx, b.Job, b.table, out)
}

func (b *batch) call(writes []connectors.Write) ([]connectors.Outcome, error) {
	ctx, cancel := b.Request()
	defer cancel()
	switch b.op {
	case "create":
		if c, ok := b.session.(connectors.Creator); ok {
			outcomes, err := c.Create(ctx, b.remote, writes)
			if f, two := b.session.(connectors.Finisher); two && err == nil && len(outcomes) == len(writes) {
				return b.finish(f, writes, outcomes)
			}
			return outcomes, err
		}
	case "delete":
		if d, ok := b.session.(connectors.Deleter); ok {
			return d.Delete(ctx, b.remote, writes)
		}
	default:
		return b.session.Update(ctx, b.remote, writes)
	}
	return nil, &connectors.Fault{Kind: connectors.NotAllowed, Words: "This service cannot " + b.op + " records.", Unsent: true}
}

// finish makes the second step of creates, once the ids that the service gave are committed.
func (b *batch) finish(f connectors.Finisher, writes []connectors.Write, outcomes []connectors.Outcome) ([]connectors.Outcome, error) {
	var at []int
	var second []connectors.Write
	for i, o := range outcomes {
		if o.Err == nil {
			writes[i].ID, b.items[i].RemoteID = o.ID, o.ID
			at, second = append(at, i), append(second, writes[i])
		}
	}
	if at == nil {
		return outcomes, nil
	}
	b.o.Fault("publish.created")
	if err := b.leave(); err != nil {
		return nil, err
	}
	ctx, cancel := b.Request()
	defer cancel()
	finished, err := f.Finish(ctx, b.remote, second)
	for k, i := range at {
		switch {
		case err != nil:
			outcomes[i].Err = asFault(err)
		case len(finished) != len(at):
			outcomes[i].Err = &connectors.Fault{Kind: connectors.Unavailable, Words: "The connector lost count of its answers."}
		default:
			existing := outcomes[i].Existing
			outcomes[i] = finished[k]
			outcomes[i].Existing = existing || finished[k].Existing
		}
	}
	return outcomes, nil
}

// asFault gives an error as a Fault: of another one nobody knows what it means.
func asFault(err error) *connectors.Fault {
	var f *connectors.Fault
	if !errors.As(err, &f) {
		f = &connectors.Fault{Kind: connectors.Unavailable, Words: err.Error(), Cause: err}
	}
	return f
}

// reserve takes ids for creates in a statement of its own; they are kept in the items before anything is sent.
func (b *batch) reserve() error {
	c, ok := b.session.(connectors.Creator)
	if !ok {
		return nil
	}
	var need []int
	for i, it := range b.items {
		switch key, given := b.keyGiven(it); {
		case it.RemoteID != "":
		case !given:
			need = append(need, i)
		default:
			b.items[i].RemoteID = key
		}
	}
	if need == nil {
		return nil
	}
	ctx, cancel := b.Request()
	defer cancel()
	b.o.Fault("publish.reserve")
	ids, err := c.Reserve(ctx, b.remote, len(need))
	b.o.Fault("publish.reserved")
	if err != nil || ids == nil {
		return err
	}
	for k, i := range need {
		b.items[i].RemoteID = ids[k]
	}
	return nil
}

// keyGiven says whether the record names its own key, and gives it where it is one field: as the remote id of a record
// that comes back after a delete.
func (b *batch) keyGiven(it store.Item) (id string, given bool) {
	for _, field := range b.remote.Key {
		c, ok := b.cols[field]
		f, has := it.Fields[c.Number]
		if !ok || !has || string(f.Value) == "null" {
			return "", false
		}
		if v, err := core.FromCanonical(c.Type, f.Value); err == nil && len(b.remote.Key) == 1 {
			id = v.Text
		}
	}
	return id, len(b.remote.Key) > 0
}

// writes turns items into what the connector takes. A field that the service holds as wanted already is not sent.
func (b *batch) writes() ([]connectors.Write, error) {
	out := make([]connectors.Write, len(b.items))
	for i, it := range b.items {
		w := connectors.Write{ID: it.RemoteID, Version: it.Version, Values: map[string]core.Value{}, Base: map[string]core.Value{}, Repeat: it.Attempts > 1, Token: it.Token}
		if v, ok := b.fresh[it.ID]; ok {
			w.Version = v
		}
		known := 0
		for field, c := range b.cols {
			if err := b.write(&w, it, field, c); err != nil {
				return nil, fmt.Errorf("item %d: %w", it.ID, err)
			}
			if _, ok := it.Fields[c.Number]; ok {
				known++
			}
		}
		if it.Op == "update" && known < len(it.Fields) {
			return nil, core.Errorf(core.Conflict, "A column of this plan is not at the service any more. Make a new plan.")
		}
		out[i] = w
	}
	return out, nil
}

func (b *batch) write(w *connectors.Write, it store.Item, field string, c core.Column) error {
	f, ok := it.Fields[c.Number]
	if !ok || it.Op == "create" && !c.SendsNew { // a key that the service makes goes as the id
		return nil
	}
	v, err := core.FromCanonical(c.Type, f.Value)
	if err != nil {
		return err
	}
	if now, read := b.before[it.ID]; read && sameValue(c, v, now[field]) {
		return nil
	}
	w.Values[field] = toService(c, v)
	if it.Op == "update" {
		v, err = core.FromCanonical(c.Type, f.Base)
		w.Base[field] = toService(c, v)
	}
	return err
}

// byNumber gives values as an object by column number.
func (b *batch) byNumber(values map[string]core.Value) json.RawMessage {
	if values == nil {
		return nil
	}
	m := map[string]json.RawMessage{}
	for field, v := range values {
		if c, ok := b.cols[field]; ok {
			m[strconv.Itoa(c.Number)] = v.Canonical(c.Type)
		}
	}
	raw, _ := json.Marshal(m) // texts and raw JSON only
	return raw
}

// saveTimeout is how long an outcome may take to be written down when the slice is being cut off: it is, also then. Else it may take as long as
// something may be sent.
const saveTimeout = 5 * time.Second

func (p *publishing) saveOutcomes(t store.Table, out []store.ItemOutcome) error {
	until := time.Now().Add(saveTimeout)
	if d := p.Deadline(); d.After(until) && p.ctx.Err() == nil {
		until = d
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(p.ctx), until)
	defer cancel()
	return p.o.Store.SaveOutcomes(ctx, t, out)
}

// giveBack returns items that were surely not sent to `planned`.
func (p *publishing) giveBack(t store.Table, items []store.Item, cause error) error {
	out := make([]store.ItemOutcome, len(items))
	for i, it := range items {
		out[i] = store.ItemOutcome{Item: it.ID, Attempt: it.Attempts, State: "planned"}
	}
	if err := p.saveOutcomes(t, out); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

func (b *batch) save(writes []connectors.Write, outcomes []connectors.Outcome) error {
	if len(outcomes) != len(writes) {
		return b.refusedWhole(writes, &connectors.Fault{Kind: connectors.Unavailable, Words: "The connector lost count of its answers."})
	}
	out := make([]store.ItemOutcome, len(outcomes))
	var again error
	for i, o := range outcomes {
		out[i] = b.outcome(b.items[i], writes[i], o)
		if o.Err != nil && (o.Err.Kind == connectors.Limited || o.Err.Kind == connectors.QuotaUsed || o.Err.Kind == connectors.SignedOut) {
			again = o.Err
		}
	}
	if err := b.saveOutcomes(b.table, out); err != nil {
		return err
	}
	return again
}

// sentWhole gives what a record is taken to hold after a write that was not answered with it: of a create, what was not sent is empty.
func (b *batch) sentWhole(w connectors.Write) map[string]core.Value {
	out := b.allFromService(w.Values)
	if b.op != "create" {
		return out
	}
	for field, c := range b.cols {
		if _, sent := out[field]; !sent && c.SendsNew {
			out[field] = core.Value{}
		}
	}
	return out
}

func (b *batch) outcome(it store.Item, w connectors.Write, o connectors.Outcome) store.ItemOutcome {
	before := o.Before
	if before == nil {
		before = b.before[it.ID]
	}
	out := store.ItemOutcome{Item: it.ID, Attempt: it.Attempts, State: "published", RemoteID: o.ID, Version: o.Version, Before: b.byNumber(before), Sent: b.byNumber(b.allFromService(w.Values)), Stored: b.byNumber(o.Stored)}
	if o.Stored == nil {
		out.Stored = b.byNumber(b.sentWhole(w))
	}
	if o.Err == nil {
		return out
	}
	out.Stored, out.Reason, out.RemoteID = nil, o.Err.Words, ""
	out.State = b.stateAfter(it, o)
	if out.State == "published" {
		out.RemoteID = it.RemoteID
	}
	if o.Err.Kind == connectors.Gone && out.State == "conflict" {
		out.Reason, out.Before = store.DeletedThere, nil
	}
	return out
}

// maxLooks is how often a record is looked at again that another client changes between our look and our write.
const maxLooks = 5

// stateAfter says what an item becomes after a failure.
func (b *batch) stateAfter(it store.Item, o connectors.Outcome) string {
	switch o.Err.Kind {
	case connectors.Gone:
		switch it.Op {
		case "delete":
			return "published" // it was gone already
		case "update":
			return "conflict"
		}
	case connectors.ConflictFault:
		if o.Before != nil && it.Attempts < maxLooks && len(b.differing(it, o.Before)) == 0 {
			return "planned" // other fields of the record were changed: look again
		}
		return "conflict"
	case connectors.Limited, connectors.QuotaUsed, connectors.SignedOut:
		return "planned"
	case connectors.Unavailable:
		if o.Err.Unsent {
			return "planned"
		}
		return "unknown"
	}
	return "failed"
}

// refusedWhole deals with a request that failed as a whole. Where nothing was written the batch is split to find the record
// at fault; where nobody can say, its items are unknown.
func (b *batch) refusedWhole(writes []connectors.Write, cause error) error {
	f := asFault(cause)
	if len(b.items) > 1 && b.oneAtFault(f) {
		return b.halves()
	}
	outcomes := make([]connectors.Outcome, len(writes))
	for i := range outcomes {
		outcomes[i].Err = f
	}
	err := b.save(writes, outcomes)
	if err == nil && f.Kind == connectors.Unavailable {
		return f
	}
	return err
}

// oneAtFault says whether a failure may be that of one record, and sending the others again does nothing twice.
func (b *batch) oneAtFault(f *connectors.Fault) bool {
	switch f.Kind {
	case connectors.RefusedRecord, connectors.RefusedValue, connectors.ConflictFault:
		return true
	case connectors.Broken:
		return b.op != "create" // whether it was created is not known
	}
	return false
}

// halves sends the two halves of a refused batch. When one breaks off, the other was surely not sent.
func (b *batch) halves() error {
	mid := len(b.items) / 2
	first, second := *b, *b
	first.items, second.items = b.items[:mid], b.items[mid:]
	if err := first.request(); err != nil {
		return b.giveBack(b.table, second.items, err)
	}
	if err := b.Step(); err != nil {
		return b.giveBack(b.table, second.items, err)
	}
	return second.request()
}
