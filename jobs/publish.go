package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
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
	plan    store.Plan
	tables  []store.Table // those with items, parents first
	remote  map[string]connectors.Table
	cols    map[string]map[string]core.Column // table → field id → column
	began   time.Time
	sent    int64
	counted time.Time      // when the plan was loaded
	judged  map[int64]bool // unknown items that were asked about in this slice
	merging chan error     // how the taking over of outcomes ends that goes on beside the requests; nil when none does
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
	p := &publishing{Run: run, remote: map[string]connectors.Table{}, cols: map[string]map[string]core.Column{}, judged: map[int64]bool{}, began: time.Now()}
	if err := p.load(args.Plan); err != nil {
		return nil, err
	}
	// A look at each table of a plan takes a while where there are many, and each slice begins with it.
	with, err := run.o.Store.TablesOfItems(run.ctx, run.Snapshot, p.plan)
	if err != nil {
		return nil, err
	}
	p.tables = store.ParentsFirst(run.tablesOf(with))
	// The lease is ours: whoever sent these is through, or had to stop, and could not write down what became of them.
	if err := run.o.Store.SendingBecomesUnknown(run.ctx, run.Job, run.Snapshot, p.plan.ID); err != nil {
		return nil, err
	}
	run.o.Fault("publish.taken")
	if err := p.mergeAll(); err != nil {
		return nil, err
	}
	err = p.sendAll(st)
	if err == nil {
		err = p.settleUnknown()
	}
	if err == nil || errors.Is(err, errCancelled) {
		if e := run.o.Store.EndPlan(run.ctx, run.Job, run.Snapshot, p.plan.ID); e != nil {
			return nil, e
		}
	}
	if e := p.load(p.plan.ID); e == nil {
		p.progress(true)
	}
	return p.result(), err
}

func (p *publishing) load(id string) (err error) {
	p.counted = time.Now()
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
	for _, t := range p.tables {
		if err := p.o.Store.MergeOutcomes(p.ctx, p.By, t, p.plan.ID); err != nil {
			return err
		}
	}
	return nil
}

func (p *publishing) sendAll(st publishState) error {
	if err := p.sendCreates(st); err != nil {
		return err
	}
	for _, t := range p.tables {
		if _, err := p.sendTable(t, store.Claim{Op: "update"}, st); err != nil {
			return err
		}
	}
	if p.plan.Deletes {
		return p.sendDeletes(st)
	}
	return nil
}

// sendCreates sends creates as long as that makes others ready, which refer to them, and helps those that wait for each other.
func (p *publishing) sendCreates(st publishState) error {
	for more := true; more; {
		more = false
		for _, t := range p.tables {
			sent, err := p.sendTable(t, store.Claim{Op: "create"}, st)
			if err != nil {
				return err
			}
			more = more || sent && len(p.tables) > 1
		}
		if more {
			continue
		}
		p.o.Fault("publish.circles")
		broken, err := p.o.Store.BreakCircles(p.ctx, p.Job, p.Snapshot, p.plan.ID)
		if err != nil {
			return err
		}
		more = broken > 0
	}
	return nil
}

// sendDeletes sends deletes, what refers to a record before it. What became of everything sent before is known first, as far as it can be:
// the service refuses to delete what a record still refers to whose own change did not arrive.
func (p *publishing) sendDeletes(st publishState) error {
	if err := p.settleUnknown(); err != nil {
		return err
	}
	limit, err := p.batchSize("delete", st)
	if err != nil {
		return err
	}
	levels, err := p.o.Store.OrderDeletes(p.ctx, p.Job, p.Snapshot, p.plan.ID, limit)
	if err != nil {
		return err
	}
	if levels == nil {
		return p.sendDeletesOf(store.Claim{}, st)
	}
	for i, together := range levels {
		if i > 0 {
			if err := p.settleUnknown(); err != nil {
				return err
			}
		}
		if err := p.roomFor(together, st); err != nil {
			return err
		}
		if err := p.sendDeletesOf(store.Claim{Level: i + 1, Together: together > 0}, st); err != nil {
			return err
		}
	}
	return nil
}

// roomFor waits for a person where fewer of the plan's first records are left than deletes that can only go together.
func (p *publishing) roomFor(together int, st publishState) error {
	if left, bounded := p.leftOfFirst(st); bounded && left < int64(together) {
		return waitFor{what: "person"}
	}
	return nil
}

// sendDeletesOf sends the deletes of a level.
func (p *publishing) sendDeletesOf(level store.Claim, st publishState) error {
	level.Op = "delete"
	for i := len(p.tables) - 1; i >= 0; i-- { // children first
		if _, err := p.sendTable(p.tables[i], level, st); err != nil {
			return err
		}
	}
	return nil
}

// sendTable sends what is ready of an operation, of deletes those of a level, and says whether that was anything.
func (p *publishing) sendTable(t store.Table, next store.Claim, st publishState) (sent bool, err error) {
	op := next.Op
	defer func() {
		if e := p.merged(); err == nil {
			err = e
		}
	}()
	for {
		if err := p.Step(); err != nil {
			return sent, err
		}
		next.Limit, err = p.batchSize(op, st)
		if err != nil {
			return sent, err
		}
		p.o.Fault("publish.claim")
		items, err := p.o.Store.ClaimItems(p.ctx, p.Job, t, p.plan.ID, next)
		if err != nil || len(items) == 0 {
			return sent, err
		}
		sent = true
		p.o.Fault("publish.sending")
		if err := p.sendBatch(t, op, items); err != nil {
			return sent, err
		}
		p.o.Fault("publish.outcome")
		if err := p.mergeBeside(t); err != nil {
			return sent, err
		}
		if op == "create" { // which others refer to
			if err := p.merged(); err != nil {
				return sent, err
			}
		}
		p.sent += int64(len(items))
		if err := p.told(); err != nil {
			return sent, err
		}
	}
}

// mergeBeside takes outcomes over into the rows while the next request is on its way. One is at it at a time.
func (p *publishing) mergeBeside(t store.Table) error {
	if err := p.merged(); err != nil {
		return err
	}
	ended, plan := make(chan error, 1), p.plan.ID
	p.merging = ended
	p.aside(func() {
		err := errors.New("taking over outcomes broke off")
		defer func() { ended <- err }()
		if err = p.o.Store.MergeOutcomes(p.ctx, p.By, t, plan); err == nil {
			p.o.Fault("publish.merged")
		}
	})
	return nil
}

// merged waits until nothing is being taken over, and says how that went.
func (p *publishing) merged() error {
	if p.merging == nil {
		return nil
	}
	err := <-p.merging
	p.merging = nil
	return err
}

// told counts anew and tells how far the publish is, as often as that can be seen.
func (p *publishing) told() error {
	if p.plan.First == 0 && time.Since(p.counted) < progressPause {
		return nil
	}
	if err := p.load(p.plan.ID); err != nil {
		return err
	}
	p.progress(false)
	return nil
}

// batchSize is how many items the next request takes. After the first few that were asked for, a person looks.
func (p *publishing) batchSize(op string, st publishState) (int, error) {
	limits := p.limits()
	size := map[string]int{"create": limits.CreateBatch, "update": limits.UpdateBatch, "delete": limits.DeleteBatch}[op]
	if size <= 0 {
		size = 1
	}
	left, bounded := p.leftOfFirst(st)
	switch {
	case !bounded:
		return size, nil
	case left <= 0:
		return 0, waitFor{what: "person"}
	}
	return int(min(int64(size), left)), nil
}

// leftOfFirst gives how many records may still be sent before a person goes on, where the plan is published for its first ones only.
func (p *publishing) leftOfFirst(st publishState) (left int64, bounded bool) {
	c := p.plan.Counts
	waiting := c.Planned
	if !p.plan.Deletes {
		waiting -= c.Deletes
	}
	if p.plan.First == 0 || st.Continued || waiting <= 0 {
		return 0, false
	}
	return int64(p.plan.First) - c.Published - c.Failed - c.Unknown, true
}

// limits are those of the service: a plan is one connection's.
func (p *publishing) limits() connectors.Limits {
	for _, l := range p.Run.limits {
		return l
	}
	for _, t := range p.tables {
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
		if c.Source == core.Remote && !c.Gone {
			cols[c.RemoteID] = c
		}
	}
	p.remote[t.ID], p.cols[t.ID] = remote, cols
	return remote, cols, nil
}

// sendBatch sends claimed items and commits what became of them.
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
