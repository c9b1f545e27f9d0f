package jobs

import (
	"encoding/json"
	"strconv"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/store"
)

// settleUnknown judges items of which nobody knows whether they arrived, a while after they were sent: by what the service
// holds now. What cannot be told surely stays unknown for a person, and is never sent again by itself.
func (p *publishing) settleUnknown() error {
	items, younger, err := p.o.Store.UnknownItems(p.ctx, p.Snapshot, p.plan.ID, p.o.Timings.Settle)
	if err != nil {
		return err
	}
	byTable := map[string][]store.Item{}
	for _, it := range items { // it is asked between levels of deletes too: what could not be told cannot be a moment later
		if !p.judged[it.ID] {
			p.judged[it.ID] = true
			byTable[it.Table] = append(byTable[it.Table], it)
		}
	}
	more := false
	for _, t := range p.tables {
		again, err := p.settleTable(t, byTable[t.ID])
		if err != nil {
			return err
		}
		more = more || again
	}
	switch {
	case more:
		return errSlice
	case younger > 0:
		return waitFor{what: "time", until: time.Now().Add(p.o.Timings.Settle / 4)}
	}
	return nil
}

// settleTable settles items of one table, and says whether there is more to send now: some of them again, or what refers to a new record
// that turned out to be there.
func (p *publishing) settleTable(t store.Table, items []store.Item) (more bool, err error) {
	if len(items) == 0 {
		return false, nil
	}
	session, err := p.Session(t.Connection)
	if err != nil {
		return false, err
	}
	remote, cols, err := p.table(session, t)
	if err != nil {
		return false, err
	}
	byOp := map[string][]store.Item{}
	for _, it := range items {
		byOp[it.Op] = append(byOp[it.Op], it)
	}
	var out []store.ItemOutcome
	for op, list := range byOp {
		b := &batch{publishing: p, session: session, table: t, remote: remote, cols: cols, op: op, items: list}
		judge := b.judgeWrites
		if op == "create" {
			judge = b.judgeCreates
		}
		judged, err := judge()
		if err != nil {
			return false, err
		}
		for _, o := range judged {
			more = more || o.State == "planned" || op == "create" && o.State == "published"
		}
		out = append(out, judged...)
	}
	p.o.Fault("publish.judged")
	if err := p.saveOutcomes(t, out); err != nil {
		return false, err
	}
	p.o.Fault("publish.settled")
	return more, p.o.Store.MergeOutcomes(p.ctx, p.By, t, p.plan.ID)
}

// judgeCreates asks the connector for creates whose answer was lost.
func (b *batch) judgeCreates() ([]store.ItemOutcome, error) {
	out, err := b.neverSent()
	if err != nil {
		return nil, err
	}
	rec, ok := b.session.(connectors.Recogniser)
	if !ok || len(b.items) == 0 {
		return out, nil
	}
	writes, err := b.writes()
	if err != nil {
		return nil, err
	}
	ctx, cancel := b.Request()
	defer cancel()
	b.o.Fault("publish.recognise")
	found, err := rec.Recognise(ctx, b.remote, writes)
	if err != nil {
		return nil, err
	}
	for i, o := range b.outcomesHere(found) {
		switch {
		case o.Err == nil:
			out = append(out, b.outcome(b.items[i], writes[i], o))
		case o.Err.Kind == connectors.Gone:
			out = append(out, store.ItemOutcome{Item: b.items[i].ID, Attempt: b.items[i].Attempts, State: "planned"})
		}
	}
	return out, nil
}

// neverSent takes the creates out that surely did not leave: where the service reserves ids, an item has its id before it is
// sent, so one without was not.
func (b *batch) neverSent() ([]store.ItemOutcome, error) {
	var out []store.ItemOutcome
	var rest []store.Item
	for i, it := range b.items {
		key, given := b.keyGiven(it)
		if given && it.RemoteID == "" {
			it.RemoteID = key
			b.items[i] = it
		}
		if it.RemoteID != "" || given {
			rest = append(rest, it)
			continue
		}
		out = append(out, store.ItemOutcome{Item: it.ID, Attempt: it.Attempts, State: "planned"})
	}
	if out == nil {
		return nil, nil
	}
	c, ok := b.session.(connectors.Creator)
	if !ok {
		return nil, nil
	}
	ctx, cancel := b.Request()
	defer cancel()
	ids, err := c.Reserve(ctx, b.remote, 1)
	if err != nil || ids == nil { // this service gives ids only when it creates: nobody can say
		return nil, err
	}
	b.items = rest
	return out, nil
}

// judgeWrites compares field by field: every field as wanted is published; each as wanted or as before is sent again; a
// field that is neither is a conflict. A delete whose record is gone is published.
func (b *batch) judgeWrites() ([]store.ItemOutcome, error) {
	reader, ok := b.session.(connectors.BatchReader)
	if !ok {
		return nil, nil
	}
	there, err := b.read(reader)
	if err != nil {
		return nil, err
	}
	out := make([]store.ItemOutcome, len(b.items))
	for i, it := range b.items {
		r, found := there[it.RemoteID]
		out[i] = b.judgeWrite(it, r, found)
	}
	return out, nil
}

func (b *batch) judgeWrite(it store.Item, now held, found bool) store.ItemOutcome {
	o := store.ItemOutcome{Item: it.ID, Attempt: it.Attempts, RemoteID: it.RemoteID, Version: now.version}
	switch {
	case !found && it.Op == "delete":
		o.State = "published"
	case !found:
		o.State, o.Reason = "conflict", store.DeletedThere
	case it.Op == "delete":
		o.State = "planned" // looked at once more before it is sent
	case b.asWanted(it, now.values):
		o.State, o.Sent, o.Stored = "published", b.wanted(it), b.byNumber(now.values)
	case len(b.differing(it, now.values)) == 0:
		o.State = "planned"
	default:
		o.State, o.Reason, o.Before = "conflict", "The service changed this record meanwhile.", b.byNumber(now.values)
	}
	return o
}

// wanted gives the new values of an item by column number.
func (b *batch) wanted(it store.Item) json.RawMessage {
	m := map[string]json.RawMessage{}
	for n, f := range it.Fields {
		m[strconv.Itoa(n)] = f.Value
	}
	raw, _ := json.Marshal(m) // texts and raw JSON only
	return raw
}
