package store

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// wait says that an item of a plan waits for another.
type wait struct {
	item, on int64 // on: 0 is a record that this plan does not create any more
	column   int
	required bool // the service refuses a record without it
}

// BreakCircles helps creates that wait for each other in a circle: as few references as that takes are taken out of their
// creates and become updates of the same plan, which wait until both records are there. It gives how many creates that is;
// 0: nothing that waits can be helped. Codes: Conflict (ErrLeaseLost).
func (s *Store) BreakCircles(ctx context.Context, j *Job, snap Snapshot, plan string) (n int, err error) {
	err = s.tx(atPoint(ctx, "publish.circles"), core.System(j.Org), func(tx pgx.Tx) error {
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		waits, err := createsThatWait(ctx, tx, snap, plan)
		if err != nil {
			return err
		}
		later := circleBreaks(waits)
		n = len(later)
		return sendLater(ctx, tx, snap, later)
	})
	return n, err
}

func createsThatWait(ctx context.Context, tx pgx.Tx, snap Snapshot, plan string) ([]wait, error) {
	var all []wait
	for _, t := range snap.Tables {
		for _, c := range referenceColumns(t) {
			if !c.SendsNew {
				continue
			}
			items := companion(t, "_publish_items")
			rows, err := tx.Query(ctx, `select i.id, coalesce(o.id, 0) from `+items+` i
				cross join lateral (select case when x ~ `+hereRef+` then substr(x, 2)::bigint end as record from `+referencesIn(fmt.Sprintf("i.fields -> '%d' -> 1", c.Number))+` x) v
				left join `+items+` o on o.plan = i.plan and o.table_id = $3 and o.op = 'create' and o.state = 'planned' and o.record = v.record
				where i.plan = $1 and i.table_id = $2 and i.op = 'create' and i.state = 'planned' and v.record is not null`, dynamic, plan, t.ID, c.Options.TargetTable)
			if all, err = appendWaits(all, c, rows, err); err != nil {
				return nil, fmt.Errorf("creates that wait: %w", err)
			}
		}
	}
	return all, nil
}

// appendWaits reads who waits for whom by a column.
func appendWaits(all []wait, c core.Column, rows pgx.Rows, err error) ([]wait, error) {
	if err != nil {
		return nil, err
	}
	w := wait{column: c.Number, required: c.Options.Required}
	_, err = pgx.ForEachRow(rows, []any{&w.item, &w.on}, func() error {
		all = append(all, w)
		return nil
	})
	return all, err
}

// referencesIn gives the SQL of the texts of a canonical reference, or of a list of them.
func referencesIn(value string) string {
	return "jsonb_array_elements_text(case jsonb_typeof(" + value + ") when 'array' then " + value + " when 'string' then jsonb_build_array(" + value + ") else '[]' end)"
}

// circleBreaks chooses the columns that are sent later, by item, so that everything else can go one after the other. What
// waits for something that does not come stays as it is, and so does a circle of required references.
func circleBreaks(waits []wait) map[int64][]int {
	w := newWaiting(waits)
	w.take([]int64{0}, w.waiters) // whoever waits, if for others, for what does not come
	w.take(w.items(func(item int64) bool { return w.outs[item] == 0 }), w.freed)
	w.take(w.items(func(item int64) bool { return w.ins[item] == 0 }), w.unwanted)
	later := map[int64][]int{}
	for _, item := range w.items(func(int64) bool { return true }) {
		if w.gone[item] {
			continue // an earlier break has freed it
		}
		var columns []int
		required := false
		for _, x := range w.out[item] {
			if w.gone[x.on] {
				continue
			}
			required = required || x.required
			if !slices.Contains(columns, x.column) {
				columns = append(columns, x.column)
			}
		}
		if !required {
			later[item] = columns
			w.take([]int64{item}, w.freed)
		}
	}
	return later
}

// deleteLevels gives the level of each item that waits or is waited for: 1 waits for nothing, the others go after those that they wait for.
// Those of a circle go together, in a level without others that could be sent without them, and with further circles only as long as these are
// not more items than limit. together says of each level, from 1 at index 0, how many items of circles it has; 0: they may go one by one.
func deleteLevels(waits []wait, limit int) (levels map[int64]int, together []int) {
	w := newWaiting(waits)
	depth := map[int64]int{} // how many go one after the other before an item
	var byDepth [][][]int64
	for _, group := range circlesOf(w) {
		at := 0
		for _, item := range group {
			for _, x := range w.out[item] {
				if before, known := depth[x.on]; known { // it is of a group before this one
					at = max(at, before+1)
				}
			}
		}
		for _, item := range group {
			depth[item] = at
		}
		if at == len(byDepth) {
			byDepth = append(byDepth, nil)
		}
		byDepth[at] = append(byDepth[at], group)
	}
	levels = map[int64]int{}
	for at, list := range byDepth {
		single, circle := 0, 0 // the levels that are being filled
		if at == 0 {
			together, single = append(together, 0), 1 // of items that are not named too
		}
		for _, group := range list {
			isCircle := len(group) > 1
			to := &single
			if isCircle {
				if to = &circle; circle > 0 && together[circle-1]+len(group) > limit {
					circle = 0
				}
			}
			if *to == 0 {
				together = append(together, 0)
				*to = len(together)
			}
			for _, item := range group {
				levels[item] = *to
			}
			if isCircle {
				together[circle-1] += len(group)
			}
		}
	}
	return levels, together
}

// circlesOf gives the items of a graph in groups, each after those that it waits for: those that wait for each other in a circle are one, any
// other item is one by itself. They are the strongly connected components in Tarjan's order, without recursion, since a chain may be as long
// as a plan.
func circlesOf(w *waiting) (groups [][]int64) {
	type visit struct {
		item int64
		next int // of w.out[item]
	}
	var path []visit
	var open []int64 // seen, and in no group yet
	seen, low, done := map[int64]int{}, map[int64]int{}, map[int64]bool{}
	enter := func(item int64) {
		seen[item] = len(seen) + 1
		low[item] = seen[item]
		path, open = append(path, visit{item, 0}), append(open, item)
	}
	leave := func(item int64) {
		path = path[:len(path)-1]
		if len(path) > 0 {
			low[path[len(path)-1].item] = min(low[path[len(path)-1].item], low[item])
		}
		if low[item] != seen[item] {
			return
		}
		at := len(open) - 1
		for open[at] != item {
			at--
		}
		group := slices.Clone(open[at:])
		open = open[:at]
		slices.Sort(group)
		for _, member := range group {
			done[member] = true
		}
		groups = append(groups, group)
	}
	for _, item := range w.items(func(int64) bool { return true }) {
		if seen[item] == 0 {
			enter(item)
		}
		for len(path) > 0 {
			v := &path[len(path)-1]
			if v.next == len(w.out[v.item]) {
				leave(v.item)
				continue
			}
			on := w.out[v.item][v.next].on
			v.next++
			switch {
			case seen[on] == 0:
				enter(on)
			case !done[on]:
				low[v.item] = min(low[v.item], seen[on])
			}
		}
	}
	return groups
}

// waiting is a graph of items that wait for items, from which one after the other is taken out.
type waiting struct {
	out       map[int64][]wait  // by who waits
	in        map[int64][]int64 // by whom it waits for
	outs, ins map[int64]int     // how many of them are still there
	gone      map[int64]bool
}

func newWaiting(waits []wait) *waiting {
	w := &waiting{map[int64][]wait{}, map[int64][]int64{}, map[int64]int{}, map[int64]int{}, map[int64]bool{}}
	for _, x := range waits {
		w.out[x.item], w.in[x.on] = append(w.out[x.item], x), append(w.in[x.on], x.item)
		w.outs[x.item]++
		w.ins[x.on]++
	}
	return w
}

// items lists those that are still there and are as said, the oldest first.
func (w *waiting) items(as func(item int64) bool) []int64 {
	var out []int64
	for _, list := range []iter.Seq[int64]{maps.Keys(w.out), maps.Keys(w.in)} {
		for item := range list {
			if !w.gone[item] && as(item) {
				out = append(out, item)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// take takes items out, by one of the functions below, and then those that this leads to.
func (w *waiting) take(items []int64, by func(item int64) []int64) {
	for len(items) > 0 {
		last := len(items) - 1
		item := items[last]
		items = append(items[:last], by(item)...)
	}
}

// remove takes an item out. It says whether it was there.
func (w *waiting) remove(item int64) bool {
	if w.gone[item] {
		return false
	}
	w.gone[item] = true
	for _, x := range w.out[item] {
		w.ins[x.on]--
	}
	for _, waiter := range w.in[item] {
		w.outs[waiter]--
	}
	return true
}

// waiters takes an item out and gives those that waited for it.
func (w *waiting) waiters(item int64) []int64 {
	if !w.remove(item) {
		return nil
	}
	return w.in[item]
}

// freed takes an item out and gives those that wait for nothing any more.
func (w *waiting) freed(item int64) []int64 {
	if !w.remove(item) {
		return nil
	}
	var out []int64
	for _, waiter := range w.in[item] {
		if !w.gone[waiter] && w.outs[waiter] == 0 {
			out = append(out, waiter)
		}
	}
	return out
}

// unwanted takes an item out and gives those for which nothing waits any more.
func (w *waiting) unwanted(item int64) []int64 {
	if !w.remove(item) {
		return nil
	}
	var out []int64
	for _, x := range w.out[item] {
		if !w.gone[x.on] && w.ins[x.on] == 0 {
			out = append(out, x.on)
		}
	}
	return out
}

// sendLater moves columns from creates into updates of the same records and plan.
func sendLater(ctx context.Context, tx pgx.Tx, snap Snapshot, later map[int64][]int) error {
	var items []int64
	var columns []string
	for item, list := range later {
		for _, column := range list {
			items, columns = append(items, item), append(columns, fmt.Sprint(column))
		}
	}
	if items == nil {
		return nil
	}
	table := ident(snap.Schema, "_publish_items")
	for _, sql := range []string{
		`insert into ` + table + ` as old (plan, table_id, record, op, position, state, fields, title, token)
			select i.plan, i.table_id, i.record, 'update', i.position, 'planned', jsonb_object_agg(l.col, i.fields -> l.col), i.title, i.token || '-completed'
			from unnest($1::bigint[], $2::text[]) l(item, col) join ` + table + ` i on i.id = l.item group by i.id
			on conflict (plan, table_id, record, op) do update set fields = old.fields || excluded.fields, state = 'planned', reason = ''`,
		`update ` + table + ` i set fields = i.fields - l.cols from (select item, array_agg(col) as cols from unnest($1::bigint[], $2::text[]) x(item, col) group by item) l where i.id = l.item`,
	} {
		if _, err := tx.Exec(ctx, sql, dynamic, items, columns); err != nil {
			return fmt.Errorf("send later: %w", err)
		}
	}
	return nil
}

// OrderDeletes puts the planned deletes of a plan in levels, from 1, so that what refers to a record goes before it. Those that refer to each
// other in a circle are of one level, which has others only if they are such circles too, and limit is not exceeded. It gives how many deletes
// of each level go together or not at all, 0 where they may go one by one; no level: none refers to another, and any order will do. Codes:
// Conflict (ErrLeaseLost).
func (s *Store) OrderDeletes(ctx context.Context, j *Job, snap Snapshot, plan string, limit int) (together []int, err error) {
	err = s.tx(atPoint(ctx, "publish.order"), core.System(j.Org), func(tx pgx.Tx) error {
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		waits, err := deletesThatWait(ctx, tx, snap, plan)
		if err != nil || len(waits) == 0 {
			return err
		}
		var items []int64
		var at []int32
		var levels map[int64]int
		levels, together = deleteLevels(waits, limit)
		for item, level := range levels {
			items, at = append(items, item), append(at, int32(level)) // #nosec G115 -- there are no more levels than records in one plan
		}
		table := ident(snap.Schema, "_publish_items")
		_, err = tx.Exec(ctx, `update `+table+` i set position = coalesce(l.level, 1) from `+table+` o left join unnest($2::bigint[], $3::int[]) l(item, level) on l.item = o.id
			where i.id = o.id and o.plan = $1 and o.op = 'delete' and o.state = 'planned'`, dynamic, plan, items, at)
		if err != nil {
			return fmt.Errorf("order deletes: %w", err)
		}
		return nil
	})
	return together, err
}

// deletesThatWait gives which planned deletes wait for which: a record for those that the service holds as referring to it.
func deletesThatWait(ctx context.Context, tx pgx.Tx, snap Snapshot, plan string) ([]wait, error) {
	var all []wait
	for _, t := range snap.Tables {
		for _, c := range referenceColumns(t) {
			at := slices.IndexFunc(snap.Tables, func(o Table) bool { return o.ID == c.Options.TargetTable })
			if at < 0 {
				continue
			}
			items, number := companion(t, "_publish_items"), fmt.Sprint(c.Number)
			held := "(case when r._base ? '" + number + "' then r._base -> '" + number + "' else " + canonicalExpr(c, "r") + " end)"
			rows, err := tx.Query(ctx, `select p.id, k.id
				from `+items+` k join `+dataTable(t)+` r on r._id = k.record cross join lateral `+referencesIn(held)+` v
				join (select i.id, `+referenceOf("x._remote_id")+` as ref from `+items+` i join `+dataTable(snap.Tables[at])+` x on x._id = i.record
					where i.plan = $1 and i.table_id = $3 and i.op = 'delete' and i.state = 'planned') p on p.ref = v
				where k.plan = $1 and k.table_id = $2 and k.op = 'delete' and k.state = 'planned' and p.id <> k.id`, dynamic, plan, t.ID, snap.Tables[at].ID)
			if all, err = appendWaits(all, c, rows, err); err != nil {
				return nil, fmt.Errorf("deletes that wait: %w", err)
			}
		}
	}
	return all, nil
}
