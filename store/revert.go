package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Reverted is the inverse plan of a publish, and what it left.
type Reverted struct {
	Plan Plan
	Left []Refusal
}

// Revert makes the inverse of what a publish did: a batch in the snapshot (cells back to what the service held before,
// created records deleted, deleted ones created again) and a plan of exactly that batch. What changed here since is named
// and left. Codes: NotFound, Forbidden, Conflict (nothing was published, or an item is still unknown).
func (s *Store) Revert(ctx context.Context, by core.Actor, snapshot, plan string) (Reverted, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Reverted{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Reverted{}, err
	}
	old, err := s.planTx(ctx, s.pool, snap, plan)
	if err != nil {
		return Reverted{}, err
	}
	switch {
	case old.State != "done":
		return Reverted{}, core.Errorf(core.Conflict, "This publish is still running. Wait for its end, or cancel it.")
	case old.Counts.Published == 0:
		return Reverted{}, core.Errorf(core.Conflict, "Nothing of this plan was published, so there is nothing to revert.")
	}
	var out Reverted
	var batches []int64
	for _, t := range snap.Tables {
		res, err := s.revertTable(ctx, by, t, plan)
		if err != nil {
			return Reverted{}, err
		}
		out.Left = append(out.Left, res.Left...)
		if res.Batch != 0 {
			batches = append(batches, res.Batch)
		}
	}
	if batches == nil {
		return Reverted{}, core.Errorf(core.Conflict, "Every record of this publish has been changed here since; nothing was reverted.")
	}
	out.Plan, err = s.makePlan(ctx, by, snapshot, old.Tables, Where{}, plan, batches)
	return out, err
}

func (s *Store) revertTable(ctx context.Context, by core.Actor, t Table, plan string) (BatchResult, error) {
	var left []Refusal
	res, err := s.inBatch(ctx, by, t.Ref(), newBatch{Kind: "revert", Label: "Revert a publish"}, func(b *batchTxn) error {
		var err error
		if left, err = b.revertLeft(ctx, plan); err != nil {
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
	res.Left = left
	return res, err
}

// published gives the from-item of a plan's published items of the table with their receipts.
func (b *batchTxn) published(op string) string {
	return companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id and i.plan = $1 and i.table_id = $2 and i.op = '` + op + `' and i.state = 'published'`
}

func (b *batchTxn) revertLeft(ctx context.Context, plan string) ([]Refusal, error) {
	rows, err := b.tx.Query(ctx, `select i.record, e.key::int from `+b.published("update")+`
		cross join lateral jsonb_each(i.fields) e left join `+dataTable(b.t)+` r on r._id = i.record and r._state = 0
		where r._id is null or r._base ? e.key or (`+`case e.key::int `+cellCases(b.t)+` end) is distinct from coalesce(rc.stored -> e.key, e.value -> 1) limit 1000`,
		dynamic, plan, b.t.ID)
	if err != nil {
		return nil, fmt.Errorf("what revert leaves: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Refusal, error) {
		r := Refusal{Reason: "Changed here since."}
		err := row.Scan(&r.Record, &r.Column)
		c, _ := b.t.Column(r.Column)
		r.Slug = c.Slug
		return r, err
	})
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
