package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Reverted is the inverse plan of a publish, and what it left.
type Reverted struct {
	Plan     Plan
	Left     []Refusal
	MoreLeft int64 // not named
}

// Revert makes the inverse of what a publish did: a batch in the snapshot (cells back to what the service held before,
// created records deleted, deleted ones created again) and a plan of exactly that batch, in one transaction. What changed
// here since is named and left. Codes: NotFound, Forbidden, Conflict (nothing was published, or an item is still unknown),
// Busy.
func (s *Store) Revert(ctx context.Context, by core.Actor, snapshot, plan string) (Reverted, error) {
	res, err := s.revert(ctx, by, snapshot, plan, nil)
	if err != nil {
		return Reverted{}, err
	}
	return Reverted{Plan: *res.Plan, Left: res.Left, MoreLeft: res.MoreLeft}, nil
}

func (s *Store) revert(ctx context.Context, by core.Actor, snapshot, plan string, h *hold) (BulkResult, error) {
	snap, old, err := s.revertible(ctx, by, snapshot, plan)
	if err != nil {
		return BulkResult{}, err
	}
	var res BulkResult
	var done []BatchResult
	err = s.tx(atPoint(ctx, "revert"), by, func(tx pgx.Tx) error {
		res, done = BulkResult{}, nil
		var batches []int64
		for _, t := range tablesByID(snap, old.Tables) {
			one, err := revertTable(ctx, tx, by, t, plan, h)
			if err != nil {
				return err
			}
			res.Left, res.MoreLeft, res.Cells = append(res.Left, one.Left...), res.MoreLeft+one.MoreLeft, res.Cells+one.Cells
			if one.Batch != 0 {
				batches, done = append(batches, one.Batch), append(done, one)
			}
		}
		if batches == nil {
			return core.Errorf(core.Conflict, "Every record of this publish has been changed here since; nothing was reverted.")
		}
		p, err := s.makePlanTx(ctx, tx, by, snap, old.Tables, Where{}, plan, batches)
		if err != nil {
			return err
		}
		res.Plan = &p
		if h == nil {
			return keepDone(ctx, tx, by, "revert", res)
		}
		return h.end(ctx, s, tx, res)
	})
	for _, one := range done {
		if err == nil {
			s.hintChange(ctx, by, TableRef{snapshot, one.Table}, &one)
		}
	}
	return res, err
}

// revertible gives the plan of a publish that can be reverted. Codes: as Revert.
func (s *Store) revertible(ctx context.Context, by core.Actor, snapshot, plan string) (Snapshot, Plan, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Snapshot{}, Plan{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Snapshot{}, Plan{}, err
	}
	old, err := s.planTx(ctx, s.pool, snap, plan)
	switch {
	case err != nil:
		return Snapshot{}, Plan{}, err
	case old.State != "done":
		return Snapshot{}, Plan{}, core.Errorf(core.Conflict, "This publish is still running. Wait for its end, or cancel it.")
	case old.Counts.Published == 0:
		return Snapshot{}, Plan{}, core.Errorf(core.Conflict, "Nothing of this plan was published, so there is nothing to revert.")
	}
	return snap, old, nil
}

// tablesByID gives some tables of a snapshot in the order in which several are locked.
func tablesByID(snap Snapshot, ids []string) []Table {
	var out []Table
	for _, t := range snap.Tables {
		if slices.Contains(ids, t.ID) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Table) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func revertTable(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, plan string, h *hold) (BatchResult, error) {
	return batchIn(ctx, tx, by, t.Ref(), newBatch{Kind: "revert", Label: "Revert a publish", Hold: h}, func(b *batchTxn) error {
		if err := b.revertLeft(ctx, plan); err != nil {
			return err
		}
		if err := b.revertLeftRecords(ctx, plan); err != nil {
			return err
		}
		if err := b.revertUpdates(ctx, plan); err != nil {
			return err
		}
		if err := b.revertCreates(ctx, plan); err != nil {
			return err
		}
		return b.revertDeletes(ctx, plan)
	})
}

// published gives the from-item of a plan's published items of the table with their receipts.
func (b *batchTxn) published(op string) string {
	return companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id and i.plan = $1 and i.table_id = $2 and i.op = '` + op + `' and i.state = 'published'`
}

func (b *batchTxn) revertLeft(ctx context.Context, plan string) error {
	rows, err := b.tx.Query(ctx, `select i.record, e.key::int from `+b.published("update")+`
		cross join lateral jsonb_each(i.fields) e left join `+dataTable(b.t)+` r on r._id = i.record and r._state = 0
		where r._id is null or r._base ? e.key or (`+`case e.key::int `+cellCases(b.t)+` end) is distinct from coalesce(rc.stored -> e.key, e.value -> 1) limit $3`,
		dynamic, plan, b.t.ID, maxNamed)
	if err != nil {
		return fmt.Errorf("what revert leaves: %w", err)
	}
	b.left, err = b.refusals(rows, "Changed here since.")
	return err
}

// revertLeftRecords names the created records that were edited since, and the deleted ones that are here again.
func (b *batchTxn) revertLeftRecords(ctx context.Context, plan string) error {
	rows, err := b.tx.Query(ctx, `select r._id, 0 from `+dataTable(b.t)+` r where r._state in (0, 1) and r._base is not null and r._id in (select i.record from `+b.published("create")+`)
		union select r._id, 0 from `+dataTable(b.t)+` r where r._id in (select i.record from `+b.published("delete")+` where rc.before is not null) order by 1 limit $3`,
		dynamic, plan, b.t.ID, maxNamed)
	if err != nil {
		return fmt.Errorf("what revert leaves: %w", err)
	}
	records, err := b.refusals(rows, "Changed here since.")
	b.left = append(b.left, records...)
	return err
}

func (b *batchTxn) revertUpdates(ctx context.Context, plan string) error {
	src := source{args: []any{plan, b.t.ID}}
	for _, c := range b.t.Columns {
		if c.Sends {
			src.cols = append(src.cols, c)
		}
	}
	src.sql = `(select i.record as row, e.key::int as col, coalesce(rc.before -> e.key, e.value -> 0) as after, null::bigint as src, null::text as reason, null::text as kind, null::text as edit
		from ` + companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id
		cross join lateral jsonb_each(i.fields) e join ` + dataTable(b.t) + ` n on n._id = i.record
		where i.plan = $2 and i.table_id = $3 and i.op = 'update' and i.state = 'published' and not coalesce(n._base ? e.key, false)
			and (` + replaceAlias(cellCases(b.t)) + `) is not distinct from coalesce(rc.stored -> e.key, e.value -> 1)) e`
	return b.applyCells(ctx, src)
}

// replaceAlias gives the cases of cellCases over alias n.
func replaceAlias(cases string) string {
	out := []byte("case e.key::int ")
	for i := 0; i < len(cases); i++ {
		if cases[i] == 'r' && i+1 < len(cases) && cases[i+1] == '.' && (i == 0 || !isWord(cases[i-1])) {
			out = append(out, 'n')
			continue
		}
		out = append(out, cases[i])
	}
	return string(out) + " end"
}

func isWord(b byte) bool {
	return b == '_' || b == '"' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9'
}

func (b *batchTxn) revertCreates(ctx context.Context, plan string) error {
	_, err := b.deleteWhere(ctx, `r._base is null and r._id in (select i.record from `+b.published("create")+`)`, []any{plan, b.t.ID})
	return err
}

func (b *batchTxn) revertDeletes(ctx context.Context, plan string) error {
	rows, err := b.tx.Query(ctx, `select i.record, rc.before::text from `+b.published("delete")+`
		where rc.before is not null and not exists (select 1 from `+dataTable(b.t)+` r where r._id = i.record)`, dynamic, plan, b.t.ID)
	if err != nil {
		return fmt.Errorf("deleted records: %w", err)
	}
	var ids []int64
	var objects []string
	var id int64
	var object string
	if _, err := pgx.ForEachRow(rows, []any{&id, &object}, func() error {
		ids, objects = append(ids, id), append(objects, object)
		return nil
	}); err != nil || len(ids) == 0 {
		return err
	}
	if objects, err = b.withoutReadOnly(objects); err != nil {
		return err
	}
	if err := b.insertRecords(ctx, ids, objects, core.Created); err != nil {
		return err
	}
	return b.recordCreated(ctx, ids, objects)
}

// withoutReadOnly drops the values that the service makes itself, but for the key: the record comes back as what it was.
func (b *batchTxn) withoutReadOnly(objects []string) ([]string, error) {
	for i, o := range objects {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(o), &m); err != nil {
			return nil, fmt.Errorf("receipt: %w", err)
		}
		for _, c := range b.t.Columns {
			if !c.SendsNew && !c.Options.Key {
				delete(m, strconv.Itoa(c.Number))
			}
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("receipt: %w", err)
		}
		objects[i] = string(raw)
	}
	return objects, nil
}
