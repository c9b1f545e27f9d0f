package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// twin is a record that a refresh brought in for one that was created from here, before anybody knew that it had arrived.
type twin struct {
	own   int64                      // the record that was created here
	other int64                      // the one that came
	edits map[string]json.RawMessage // of the one that came, by column number
}

// mergeTwins takes published items of a plan ("" is any) over where some have a twin: the one that came leaves the table, its remote id goes to the
// record that was created, and what people edited in it is edited there. All that is one transaction.
func (s *Store) mergeTwins(ctx context.Context, by core.Actor, t Table, plan string, items []int64) error {
	var res BatchResult
	err := s.tx(atPoint(ctx, "publish.twins"), by, func(tx pgx.Tx) error {
		var twins []twin
		steps := []struct {
			as newBatch
			do func(b *batchTxn) error
		}{
			{newBatch{Kind: "refresh", Label: "Records found again"}, func(b *batchTxn) (err error) {
				if twins, err = s.twins(ctx, b.tx, b.t, items); err != nil {
					return err
				}
				return b.dropTwins(ctx, twins)
			}},
			{takingOver(plan), func(b *batchTxn) error { return b.mergePublished(ctx, items) }},
			{newBatch{Kind: "edit", Label: "Edits of records found again"}, func(b *batchTxn) error { return b.editOwn(ctx, twins) }},
		}
		for _, step := range steps {
			var err error
			if res, err = batchIn(ctx, tx, by, t.Ref(), step.as, step.do); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.notify.Notify(ctx, core.Hint{Org: by.Org, Snapshot: t.Snapshot, Table: t.ID, Version: res.Version, Many: true, Kind: "change", Actor: by.Person, Client: by.Client})
	}
	return err
}

func (s *Store) twins(ctx context.Context, q querier, t Table, items []int64) ([]twin, error) {
	rows, err := q.Query(ctx, `select i.record, r._id, coalesce((select jsonb_object_agg(e.key, x.now) from jsonb_each(r._base) e
			cross join lateral (select `+cellOf(t.Columns, "r", "e.key::int")+` as now) x where r._state = 0), '{}')
		from `+companion(t, "_publish_items")+` i join `+dataTable(t)+` r on r._remote_id = i.remote_id and r._id <> i.record
		where `+unmergedOf("$1", "$2")+` and i.op = 'create' order by 1`, dynamic, items, t.ID)
	if err != nil {
		return nil, mapError(fmt.Errorf("twins: %w", err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (twin, error) {
		var w twin
		return w, row.Scan(&w.own, &w.other, &w.edits)
	})
}

func (b *batchTxn) dropTwins(ctx context.Context, twins []twin) error {
	var ids []int64
	for _, w := range twins {
		ids = append(ids, w.other)
	}
	_, err := b.removeRecords(ctx, "r._id = any($1)", ids)
	return err
}

func (b *batchTxn) editOwn(ctx context.Context, twins []twin) error {
	var edits []CellEdit
	for _, w := range twins {
		for _, c := range b.t.Columns {
			raw, ok := w.edits[fmt.Sprint(c.Number)]
			if !ok {
				continue
			}
			v, err := core.FromCanonical(c.Type, raw)
			if err != nil {
				return fmt.Errorf("edit of a twin: %w", err)
			}
			edits = append(edits, CellEdit{Record: w.own, Column: c.Number, Value: v})
		}
	}
	if len(edits) == 0 {
		return nil
	}
	return b.applyCells(ctx, editsSource(b.t, edits))
}
