package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type publishArgs struct {
	Snapshot string `json:"snapshot"`
	Plan     string `json:"plan"`
}

type publishState struct {
	Continued bool `json:"continued,omitempty"` // a person looked at the first few and said go on
}

// publishing is one slice of a publish.
type publishing struct {
	*Run
	plan   store.Plan
	remote map[string]connectors.Table
	cols   map[string]map[string]core.Column // table → field id → column
	began  time.Time
	sent   int64
}

// publish sends a frozen plan: creates, then updates, then deletes. Every arrow between item states is its own committed
// transaction: `sending` before the request leaves, the outcome after it returns.
func publish(run *Run) (any, error) {
	var args publishArgs
	if err := json.Unmarshal(run.Job.Args, &args); err != nil {
		return nil, fmt.Errorf("job args: %w", err)
	}
	var st publishState
	if err := json.Unmarshal(run.Job.Checkpoint, &st); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	p := &publishing{Run: run, remote: map[string]connectors.Table{}, cols: map[string]map[string]core.Column{}, began: time.Now()}
	if err := p.load(args.Plan); err != nil {
		return nil, err
	}
	if run.Previous != "" {
		if err := run.o.Store.SendingBecomesUnknown(run.ctx, run.Snapshot, p.plan.ID); err != nil {
			return nil, err
		}
	}
	if err := p.mergeAll(); err != nil {
		return nil, err
	}
	err := p.sendAll(st)
	if err == nil {
		err = p.settleUnknown()
	}
	if err == nil || errors.Is(err, errCancelled) {
		if e := run.o.Store.EndPlan(run.ctx, run.Snapshot, p.plan.ID); e != nil {
			return nil, e
		}
	}
	if e := p.load(p.plan.ID); e == nil {
		p.progress(true)
	}
	return p.result(), err
}

func (p *publishing) load(id string) (err error) {
	p.plan, err = p.o.Store.PlanByID(p.ctx, p.By, p.Job.Snapshot, id)
	return err
}

func (p *publishing) result() any {
	c := p.plan.Counts
	return map[string]any{"plan": p.plan.ID, "published": c.Published, "failed": c.Failed, "conflict": c.Conflict, "unknown": c.Unknown, "left_out": c.LeftOut, "planned": c.Planned}
}

func (p *publishing) progress(now bool) {
	c := p.plan.Counts
	total := c.Creates + c.Updates
	if p.plan.Deletes {
		total += c.Deletes
	}
	g := &p.Job.Progress
	g.Done, g.Failed, g.Total = c.Published+c.Failed+c.Unknown, c.Failed, &total
	if secs := time.Since(p.began).Seconds(); secs > 0 && p.sent > 0 {
		g.Rate = float64(p.sent) / secs
	}
	p.Progress(now)
}

func (p *publishing) mergeAll() error {
	for _, t := range p.planTables() {
		if err := p.o.Store.MergePublished(p.ctx, p.By, t, p.plan.ID); err != nil {
			return err
		}
	}
	return nil
}

// planTables gives the plan's tables, parents first.
func (p *publishing) planTables() []store.Table {
	return store.ParentsFirst(p.tablesOf(p.plan.Tables))
}

func (p *publishing) sendAll(st publishState) error {
	tables := p.planTables()
	for _, op := range []string{"create", "update"} {
		for _, t := range tables {
			if err := p.sendTable(t, op, st); err != nil {
				return err
			}
		}
	}
	if !p.plan.Deletes {
		return nil
	}
	for i := len(tables) - 1; i >= 0; i-- { // children first
		if err := p.sendTable(tables[i], "delete", st); err != nil {
			return err
		}
	}
	return nil
}

func (p *publishing) sendTable(t store.Table, op string, st publishState) error {
	for {
		if err := p.Step(); err != nil {
			return err
		}
		limit, err := p.batchSize(op, st)
		if err != nil {
			return err
		}
		p.o.Fault("publish.claim")
		items, err := p.o.Store.ClaimItems(p.ctx, p.Job, t, p.plan.ID, op, limit)
		if err != nil || len(items) == 0 {
			return err
		}
		p.o.Fault("publish.sending")
		if err := p.sendBatch(t, op, items); err != nil {
			return err
		}
		p.o.Fault("publish.outcome")
		if err := p.o.Store.MergePublished(p.ctx, p.By, t, p.plan.ID); err != nil {
			return err
		}
		p.o.Fault("publish.merged")
		p.sent += int64(len(items))
		if err := p.load(p.plan.ID); err != nil {
			return err
		}
		p.progress(false)
	}
}

// batchSize is how many items the next request takes. After the first few that were asked for, a person looks.
func (p *publishing) batchSize(op string, st publishState) (int, error) {
	limits := p.limits()
	size := map[string]int{"create": limits.CreateBatch, "update": limits.UpdateBatch, "delete": limits.DeleteBatch}[op]
	if size <= 0 {
		size = 1
	}
	if p.plan.First == 0 || st.Continued {
		return size, nil
	}
	c := p.plan.Counts
	left := int64(p.plan.First) - c.Published - c.Failed - c.Unknown
	if left <= 0 {
		return 0, waitFor{what: "person"}
	}
	return int(min(int64(size), left)), nil
}

func (p *publishing) limits() connectors.Limits {
	for _, t := range p.planTables() {
		if c, _, err := p.o.Settings(p.ctx, p.By, t.Connection); err == nil {
			return c.Info().Limits
		}
	}
	return connectors.Limits{}
}

// table gives the remote table and its columns by field.
func (p *publishing) table(session connectors.Session, t store.Table) (connectors.Table, map[string]core.Column, error) {
	if remote, ok := p.remote[t.ID]; ok {
		return remote, p.cols[t.ID], nil
	}
	ctx, cancel := p.Request()
	defer cancel()
	remote, err := session.Table(ctx, t.RemoteID)
	if err != nil {
		return remote, nil, err
	}
	cols := map[string]core.Column{}
	for _, c := range t.Columns {
		if c.Source == core.Remote {
			cols[c.RemoteID] = c
		}
	}
	p.remote[t.ID], p.cols[t.ID] = remote, cols
	return remote, cols, nil
}

// sendBatch sends claimed items and commits what became of them. Whatever happens, each item leaves `sending`, unless
// nobody can say whether it arrived: then it stays there, or becomes unknown, and is judged later.
func (p *publishing) sendBatch(t store.Table, op string, items []store.Item) error {
	session, err := p.Session(t.Connection)
	if err != nil {
		return p.giveBack(t, items, err)
	}
	remote, cols, err := p.table(session, t)
	if err != nil {
		return p.giveBack(t, items, err)
	}
	b := &batch{publishing: p, session: session, table: t, remote: remote, cols: cols, op: op, items: items}
	return b.send()
}

// giveBack returns items that were surely not sent to `planned`.
func (p *publishing) giveBack(t store.Table, items []store.Item, cause error) error {
	out := make([]store.ItemOutcome, len(items))
	for i, it := range items {
		out[i] = store.ItemOutcome{Item: it.ID, State: "planned"}
	}
	if err := p.o.Store.SaveOutcomes(p.ctx, t, out); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// batch is one request's worth of items.
type batch struct {
	*publishing
	session connectors.Session
	table   store.Table
	remote  connectors.Table
	cols    map[string]core.Column
	op      string
	items   []store.Item
	before  map[int64]map[string]core.Value // what the service held just before, by item
	fresh   map[int64]string                // versions just read, by item
}

func (b *batch) send() error {
	if b.op == "create" {
		if err := b.reserve(); err != nil {
			return b.giveBack(b.table, b.items, err)
		}
	} else if err := b.compare(); err != nil {
		return b.giveBack(b.table, b.items, err)
	}
	if len(b.items) == 0 {
		return nil
	}
	writes, err := b.writes()
	if err != nil {
		return b.giveBack(b.table, b.items, err)
	}
	if time.Now().After(b.Deadline()) {
		return b.giveBack(b.table, b.items, store.ErrLeaseLost)
	}
	outcomes, err := b.call(writes)
	b.o.Fault("publish.acted")
	if err != nil {
		return b.refusedWhole(writes, err)
	}
	return b.save(writes, outcomes)
}

func (b *batch) call(writes []connectors.Write) ([]connectors.Outcome, error) {
	ctx, cancel := b.Request()
	defer cancel()
	switch b.op {
	case "create":
		if c, ok := b.session.(connectors.Creator); ok {
			return c.Create(ctx, b.remote, writes)
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

// reserve takes ids for creates in a statement of its own and keeps them in the items, before anything is sent.
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
		return b.o.Store.SaveReserved(b.ctx, b.table, b.items)
	}
	ctx, cancel := b.Request()
	defer cancel()
	ids, err := c.Reserve(ctx, b.remote, len(need))
	if err != nil || ids == nil {
		return err
	}
	for k, i := range need {
		b.items[i].RemoteID = ids[k]
	}
	return b.o.Store.SaveReserved(b.ctx, b.table, b.items)
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

// compare reads the records just before they are written. One whose edited field changed there (for a delete: any field)
// is a conflict and is not sent.
func (b *batch) compare() error {
	reader, ok := b.session.(connectors.BatchReader)
	if !ok {
		return nil
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
		return err
	}
	there := map[string]connectors.Record{}
	for _, r := range current {
		there[r.ID] = r
	}
	return b.judgeCurrent(fields, there)
}

func (b *batch) judgeCurrent(fields []string, there map[string]connectors.Record) error {
	b.before, b.fresh = map[int64]map[string]core.Value{}, map[int64]string{}
	held, err := b.o.Store.Bases(b.ctx, b.By, b.table, itemRecords(b.items))
	if err != nil {
		return err
	}
	var keep []store.Item
	var out []store.ItemOutcome
	var fights []store.Theirs
	for _, it := range b.items {
		r, ok := there[it.RemoteID]
		if !ok {
			out = append(out, b.goneThere(it, &fights))
			continue
		}
		values := map[string]core.Value{}
		for i, f := range fields {
			values[f] = r.Values[i]
		}
		theirs := b.differing(it, values, held[it.Record])
		if len(theirs) > 0 {
			th := store.Theirs{Record: it.Record, Values: theirs, Version: r.Version}
			if it.Op == "delete" {
				th.Kind = "changed_there"
			}
			fights = append(fights, th)
			out = append(out, store.ItemOutcome{Item: it.ID, State: "conflict", Reason: "The service changed this record since the download.", Before: b.byNumber(values)})
			continue
		}
		b.before[it.ID], b.fresh[it.ID] = values, r.Version
		keep = append(keep, it)
	}
	b.items = keep
	if err := b.o.Store.SaveOutcomes(b.ctx, b.table, out); err != nil {
		return err
	}
	return b.o.Store.MarkConflicts(b.ctx, b.By, b.table, fights)
}

func itemRecords(items []store.Item) []int64 {
	ids := make([]int64, len(items))
	for i, it := range items {
		ids[i] = it.Record
	}
	return ids
}

// goneThere says what a record that is not at the service any more means: a delete is done, an update is a conflict.
func (b *batch) goneThere(it store.Item, fights *[]store.Theirs) store.ItemOutcome {
	if it.Op == "delete" {
		return store.ItemOutcome{Item: it.ID, State: "published", Reason: "It was gone already.", RemoteID: it.RemoteID}
	}
	*fights = append(*fights, store.Theirs{Record: it.Record, Kind: "deleted_there"})
	return store.ItemOutcome{Item: it.ID, State: "conflict", Reason: "The record was deleted at the service."}
}

// differing gives what the service holds now where that is not what we expect it to.
func (b *batch) differing(it store.Item, values map[string]core.Value, held map[int]core.Value) map[int]json.RawMessage {
	out := map[int]json.RawMessage{}
	for field, now := range values {
		c := b.cols[field]
		f, edited := it.Fields[c.Number]
		var expected core.Value
		switch {
		case edited:
			expected, _ = core.FromCanonical(c.Type, f.Base)
		case it.Op == "delete":
			expected = held[c.Number]
		default:
			continue
		}
		if !sameValue(c, expected, now) {
			out[c.Number] = now.Canonical(c.Type)
		}
	}
	return out
}

// writes turns items into what the connector takes.
func (b *batch) writes() ([]connectors.Write, error) {
	out := make([]connectors.Write, len(b.items))
	byNumber := map[int]string{}
	for field, c := range b.cols {
		byNumber[c.Number] = field
	}
	for i, it := range b.items {
		w := connectors.Write{ID: it.RemoteID, Version: it.Version, Values: map[string]core.Value{}, Base: map[string]core.Value{}, Repeat: it.Attempts > 1, Token: it.Token}
		if v, ok := b.fresh[it.ID]; ok {
			w.Version = v
		}
		for n, f := range it.Fields {
			c := b.cols[byNumber[n]]
			if it.Op == "create" && !c.Writable && !c.InsertOnly {
				continue // a key that the service makes: it goes as the id
			}
			v, err := core.FromCanonical(c.Type, f.Value)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", it.ID, err)
			}
			w.Values[byNumber[n]] = v
			if it.Op == "update" {
				if w.Base[byNumber[n]], err = core.FromCanonical(c.Type, f.Base); err != nil {
					return nil, fmt.Errorf("item %d: %w", it.ID, err)
				}
			}
		}
		out[i] = w
	}
	return out, nil
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

func (b *batch) save(writes []connectors.Write, outcomes []connectors.Outcome) error {
	if len(outcomes) != len(writes) {
		return b.refusedWhole(writes, &connectors.Fault{Kind: connectors.Broken, Words: "The connector lost count of its answers."})
	}
	out := make([]store.ItemOutcome, len(outcomes))
	var again error
	for i, o := range outcomes {
		out[i] = b.outcome(b.items[i], writes[i], o)
		if o.Err != nil && (o.Err.Kind == connectors.Limited || o.Err.Kind == connectors.QuotaUsed || o.Err.Kind == connectors.SignedOut) {
			again = o.Err
		}
	}
	if err := b.o.Store.SaveOutcomes(b.ctx, b.table, out); err != nil {
		return err
	}
	return again
}

func (b *batch) outcome(it store.Item, w connectors.Write, o connectors.Outcome) store.ItemOutcome {
	before := o.Before
	if before == nil {
		before = b.before[it.ID]
	}
	out := store.ItemOutcome{Item: it.ID, State: "published", RemoteID: o.ID, Version: o.Version, Before: b.byNumber(before), Sent: b.byNumber(w.Values), Stored: b.byNumber(o.Stored)}
	if o.Stored == nil {
		out.Stored = out.Sent
	}
	if o.Err == nil {
		return out
	}
	out.Stored, out.Reason, out.RemoteID = nil, o.Err.Words, ""
	switch o.Err.Kind {
	case connectors.ConflictFault, connectors.Gone:
		out.State = "conflict"
	case connectors.Limited, connectors.QuotaUsed, connectors.SignedOut:
		out.State = "planned"
	case connectors.Unavailable:
		out.State = "unknown"
		if o.Err.Unsent {
			out.State = "planned"
		}
	default:
		out.State = "failed"
	}
	return out
}

// refusedWhole deals with a request that failed as a whole. Where nothing was written the batch is split to find the record
// at fault; where nobody can say, its items are unknown.
func (b *batch) refusedWhole(writes []connectors.Write, cause error) error {
	var f *connectors.Fault
	if !errors.As(cause, &f) {
		f = &connectors.Fault{Kind: connectors.Unavailable, Words: cause.Error(), Cause: cause}
	}
	if f.Kind == connectors.RefusedRecord || f.Kind == connectors.RefusedValue || f.Kind == connectors.ConflictFault {
		if len(b.items) > 1 {
			return b.halves()
		}
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

func (b *batch) halves() error {
	mid := len(b.items) / 2
	for _, part := range [][]store.Item{b.items[:mid], b.items[mid:]} {
		half := *b
		half.items = part
		writes, err := half.writes()
		if err != nil {
			return err
		}
		outcomes, err := half.call(writes)
		if err != nil {
			err = half.refusedWhole(writes, err)
		} else {
			err = half.save(writes, outcomes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
