package jobs

import (
	"time"

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

// settleUnknown judges items of which nobody knows whether they arrived, a while after they were sent: by what the service
// holds now. What cannot be told surely stays unknown for a person, and is never sent again by itself.
func (p *publishing) settleUnknown() error {
	old := time.Now().Add(-p.o.Timings.Settle)
	items, younger, err := p.o.Store.UnknownItems(p.ctx, p.Snapshot, p.plan.ID, old)
	if err != nil {
		return err
	}
	byTable := map[string][]store.Item{}
	for _, it := range items {
		byTable[it.Table] = append(byTable[it.Table], it)
	}
	resend := false
	for _, t := range p.planTables() {
		again, err := p.settleTable(t, byTable[t.ID])
		if err != nil {
			return err
		}
		resend = resend || again
	}
	switch {
	case resend:
		return errSlice // they are planned again
	case younger > 0:
		return waitFor{what: "time", until: time.Now().Add(p.o.Timings.Settle / 4)}
	}
	return nil
}

func (p *publishing) settleTable(t store.Table, items []store.Item) (resend bool, err error) {
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
		out = append(out, judged...)
	}
	for _, o := range out {
		resend = resend || o.State == "planned"
	}
	if err := p.o.Store.SaveOutcomes(p.ctx, t, out); err != nil {
		return false, err
	}
	return resend, p.o.Store.MergePublished(p.ctx, p.By, t, p.plan.ID)
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
	found, err := rec.Recognise(ctx, b.remote, writes)
	if err != nil {
		return nil, err
	}
	for i, o := range found {
		switch {
		case o.Err == nil:
			out = append(out, b.outcome(b.items[i], writes[i], o))
		case o.Err.Kind == connectors.Gone:
			out = append(out, store.ItemOutcome{Item: b.items[i].ID, State: "planned"})
		}
	}
	return out, nil
}

// neverSent takes the creates out that surely did not leave: where the service reserves ids, an item has its id before it is
// sent, so one without was not.
func (b *batch) neverSent() ([]store.ItemOutcome, error) {
	var out []store.ItemOutcome
	var rest []store.Item
	for _, it := range b.items {
		if _, given := b.keyGiven(it); it.RemoteID != "" || given {
			rest = append(rest, it)
			continue
		}
		out = append(out, store.ItemOutcome{Item: it.ID, State: "planned"})
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
	fields := make([]string, 0, len(b.cols))
	for f := range b.cols {
		fields = append(fields, f)
	}
	ids := make([]string, len(b.items))
	for i, it := range b.items {
		ids[i] = it.RemoteID
	}
	ctx, cancel := b.Request()
	defer cancel()
	current, err := reader.Current(ctx, b.remote, fields, ids)
	if err != nil {
		return nil, err
	}
	there := map[string]connectors.Record{}
	for _, r := range current {
		there[r.ID] = r
	}
	writes, err := b.writes()
	if err != nil {
		return nil, err
	}
	var out []store.ItemOutcome
	for i, it := range b.items {
		r, found := there[it.RemoteID]
		out = append(out, b.judgeWrite(it, writes[i], fields, r, found))
	}
	return out, nil
}

func (b *batch) judgeWrite(it store.Item, w connectors.Write, fields []string, r connectors.Record, found bool) store.ItemOutcome {
	switch {
	case !found && it.Op == "delete":
		return store.ItemOutcome{Item: it.ID, State: "published", RemoteID: it.RemoteID}
	case !found:
		return store.ItemOutcome{Item: it.ID, State: "conflict", Reason: "The record was deleted at the service."}
	case it.Op == "delete":
		return store.ItemOutcome{Item: it.ID, State: "planned"}
	}
	now := map[string]core.Value{}
	for i, f := range fields {
		now[f] = r.Values[i]
	}
	wanted, known := true, true
	for f, want := range w.Values {
		c := b.cols[f]
		is := sameValue(c, now[f], want)
		wanted = wanted && is
		known = known && (is || sameValue(c, now[f], w.Base[f]))
	}
	switch {
	case wanted:
		return b.outcome(it, w, connectors.Outcome{ID: r.ID, Version: r.Version, Stored: now, Before: w.Base})
	case known:
		return store.ItemOutcome{Item: it.ID, State: "planned"}
	}
	return store.ItemOutcome{Item: it.ID, State: "conflict", Reason: "The service changed this record meanwhile.", Before: b.byNumber(now)}
}
