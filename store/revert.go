package store

import (
	"context"
	"slices"
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
// here since is named and left, and so are records of which nobody knows whether they arrived; what changed there since is a
// conflict. Codes: NotFound, Forbidden, Conflict (nothing was published, or all of it was changed here since), Busy.
func (s *Store) Revert(ctx context.Context, by core.Actor, snapshot, plan string) (Reverted, error) {
	return s.RevertPart(ctx, by, snapshot, plan, Where{})
}

// RevertPart is Revert of some of the records, or of some of their columns. Codes: as Revert.
func (s *Store) RevertPart(ctx context.Context, by core.Actor, snapshot, plan string, part Where) (Reverted, error) {
	res, err := s.revert(ctx, by, snapshot, plan, part, nil)
	if err != nil {
		return Reverted{}, err
	}
	return Reverted{Plan: *res.Plan, Left: res.Left, MoreLeft: res.MoreLeft}, nil
}

func (s *Store) revert(ctx context.Context, by core.Actor, snapshot, plan string, part Where, h *hold) (BulkResult, error) {
	snap, old, err := s.revertible(ctx, by, snapshot, plan)
	if err != nil {
		return BulkResult{}, err
	}
	for _, t := range tablesByID(snap, old.Tables) {
		if err := s.MergeOutcomes(ctx, by, t, plan); err != nil {
			return BulkResult{}, err
		}
	}
	var res BulkResult
	var done []BatchResult
	err = s.tx(atPoint(ctx, "revert"), by, func(tx pgx.Tx) error {
		res, done = BulkResult{}, nil
		var batches []int64
		for _, t := range tablesByID(snap, old.Tables) {
			one, err := revertTable(ctx, tx, by, t, reverting{plan, part}, h)
			if err != nil {
				return err
			}
			res.Left, res.MoreLeft, res.Cells = append(res.Left, one.Left...), res.MoreLeft+one.MoreLeft, res.Cells+one.Cells
			if one.Batch != 0 {
				batches, done = append(batches, one.Batch), append(done, one)
			}
		}
		if batches == nil {
			return core.Errorf(core.Conflict, "Nothing of this was reverted: every record has been changed here since, or holds what it held before.")
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

// reverting is what is taken back: a plan, or a part of it.
type reverting struct {
	plan string
	part Where
}

// args are those of published: the table goes along.
func (r reverting) args(t Table) []any {
	var columns []int32
	for _, n := range r.part.Columns {
		columns = append(columns, int32(n)) // #nosec G115 -- Postgres has at most 1,600 columns in a table
	}
	return []any{r.plan, t.ID, r.part.Records, columns}
}

func revertTable(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, r reverting, h *hold) (BatchResult, error) {
	return batchIn(ctx, tx, by, t.Ref(), newBatch{Kind: "revert", Label: "Revert a publish", Hold: h}, func(b *batchTxn) error {
		for _, part := range []func(context.Context, []any) error{b.revertLeft, b.revertUpdates, b.revertCreates, b.revertDeletes} {
			if err := part(ctx, r.args(b.t)); err != nil {
				return err
			}
		}
		return nil
	})
}
