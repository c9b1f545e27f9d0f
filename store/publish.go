package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// ClaimItems commits the next planned items of an operation as `sending`, before anything leaves. Each record is looked at
// again in the same transaction: what is gone, or created by another plan, is left out; a create that another plan is
// sending right now stays planned. References to records created meanwhile become their new ids. Nil: none is left.
func (s *Store) ClaimItems(ctx context.Context, j *Job, t Table, plan, op string, limit int) ([]Item, error) {
	var out []Item
	err := s.tx(ctx, core.System(t.Org), func(tx pgx.Tx) error {
		out = nil
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		if err := leaveOutGone(ctx, tx, t, plan, op); err != nil {
			return err
		}
		if err := translateReferences(ctx, tx, t, plan, op); err != nil {
			return err
		}
		items := companion(t, "_publish_items")
		rows, err := tx.Query(ctx, `with next as (select i.id from `+items+` i where i.plan = $1 and i.table_id = $2 and i.op = $3 and i.state = 'planned'
				and i.fields::text not like '%"~%' and not (i.op = 'create' and exists (select 1 from `+items+` o where o.record = i.record and o.op = 'create' and o.id <> i.id
					and o.state in ('sending', 'published', 'unknown') and not o.ended))
				order by i.id limit $4 for update)
			update `+items+` i set state = 'sending', sent_at = clock_timestamp(), attempts = attempts + 1, version = coalesce(r._remote_version, i.version), reason = ''
			from next, `+dataTable(t)+` r where i.id = next.id and r._id = i.record
			returning i.id, i.table_id, i.record, coalesce(i.remote_id, ''), i.op, i.state, i.reason, i.fields, coalesce(i.version, ''), i.title, i.token, i.attempts,
				i.merged, i.sent_at, null::jsonb`, dynamic, plan, t.ID, op, limit)
		if err != nil {
			return fmt.Errorf("claim items: %w", err)
		}
		out, err = pgx.CollectRows(rows, scanItem)
		return err
	})
	if isUnique(err) && limit > 1 { // another plan took one of these creates at the same moment
		return s.ClaimItems(ctx, j, t, plan, op, 1)
	}
	return out, err
}

// leaseTx fails with ErrLeaseLost unless the job still holds its lease.
func (s *Store) leaseTx(ctx context.Context, tx pgx.Tx, j *Job) error {
	var ok int
	err := tx.QueryRow(ctx, `select 1 from jobs where org_id = $1 and id = $2 and owner = $3 and state = 'running' and lease_until > clock_timestamp()`,
		j.Org, j.ID, j.Owner).Scan(&ok)
	if err == pgx.ErrNoRows {
		return ErrLeaseLost
	}
	return err
}

func leaveOutGone(ctx context.Context, tx pgx.Tx, t Table, plan, op string) error {
	_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set state = 'left_out', reason = case when r._id is null then 'gone' else 'created already' end
		from `+companion(t, "_publish_items")+` o left join `+dataTable(t)+` r on r._id = o.record
		where o.id = i.id and o.plan = $1 and o.table_id = $2 and o.op = $3 and o.state = 'planned'
			and (r._id is null or o.op = 'create' and r._remote_id is not null or o.op = 'create' and r._state <> 1)`, dynamic, plan, t.ID, op)
	if err != nil {
		return fmt.Errorf("leave out gone: %w", err)
	}
	return nil
}

// translateReferences puts the remote ids of records created meanwhile in the place of "~" and their id here.
func translateReferences(ctx context.Context, tx pgx.Tx, t Table, plan, op string) error {
	for _, c := range t.Columns {
		if c.Type != core.Reference && c.Type != core.References {
			continue
		}
		_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set fields = jsonb_set(i.fields, array[$4, '1'], `+canonicalExpr(c, "r")+`)
			from `+dataTable(t)+` r where i.plan = $1 and i.table_id = $2 and i.op = $3 and i.state = 'planned' and r._id = i.record
				and (i.fields -> $4 -> 1)::text like '%"~%' and (`+canonicalExpr(c, "r")+`)::text not like '%"~%'`, dynamic, plan, t.ID, op, strconv.Itoa(c.Number))
		if err != nil {
			return fmt.Errorf("translate references: %w", err)
		}
	}
	return nil
}

// ItemOutcome is what became of an item that was sent.
type ItemOutcome struct {
	Item     int64
	State    string // published, failed, conflict, unknown, planned (surely not sent), left_out
	Reason   string
	RemoteID string
	Version  string
	Before   json.RawMessage // objects by column number; nil is unknown
	Sent     json.RawMessage
	Stored   json.RawMessage
}

// SaveReserved keeps the remote ids reserved for creates, before they are sent.
func (s *Store) SaveReserved(ctx context.Context, t Table, items []Item) error {
	ids, remote := make([]int64, len(items)), make([]string, len(items))
	for i, it := range items {
		ids[i], remote[i] = it.ID, it.RemoteID
	}
	_, err := s.pool.Exec(ctx, `update `+companion(t, "_publish_items")+` i set remote_id = u.remote from unnest($1::bigint[], $2::text[]) as u(id, remote)
		where i.id = u.id and u.remote <> ''`, dynamic, ids, remote)
	if err != nil {
		return fmt.Errorf("save reserved ids: %w", err)
	}
	return nil
}

// SaveOutcomes commits outcomes and receipts of items in `sending` or `unknown`, without the table's lock.
func (s *Store) SaveOutcomes(ctx context.Context, t Table, list []ItemOutcome) error {
	if len(list) == 0 {
		return nil
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("outcomes: %w", err)
	}
	return s.tx(ctx, core.System(t.Org), func(tx pgx.Tx) error {
		const from = ` jsonb_to_recordset($1::text::jsonb) as o("Item" bigint, "State" text, "Reason" text, "RemoteID" text, "Version" text, "Before" jsonb, "Sent" jsonb, "Stored" jsonb) `
		_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set state = o."State", reason = o."Reason", remote_id = coalesce(nullif(o."RemoteID", ''), i.remote_id)
			from`+from+`where i.id = o."Item" and i.state in ('sending', 'unknown')`, dynamic, string(raw))
		if err != nil {
			return fmt.Errorf("save outcomes: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into `+companion(t, "_receipts")+` (item, remote_id, version, before, sent, stored, words)
			select o."Item", o."RemoteID", nullif(o."Version", ''), nullif(o."Before", 'null'), nullif(o."Sent", 'null'), nullif(o."Stored", 'null'), o."Reason" from`+from+`
			where o."State" in ('published', 'failed', 'conflict')
			on conflict (item) do update set at = clock_timestamp(), remote_id = excluded.remote_id, version = excluded.version,
				before = coalesce(excluded.before, `+companion(t, "_receipts")+`.before), sent = excluded.sent, stored = excluded.stored, words = excluded.words`,
			dynamic, string(raw))
		if err != nil {
			return fmt.Errorf("save receipts: %w", err)
		}
		return nil
	})
}

// SendingBecomesUnknown marks what a worker that died left in `sending`: it may have arrived or not.
func (s *Store) SendingBecomesUnknown(ctx context.Context, snap Snapshot, plan string) error {
	_, err := s.pool.Exec(ctx, `update `+ident(snap.Schema, "_publish_items")+` set state = 'unknown', reason = 'The worker stopped while this was on its way.'
		where plan = $1 and state = 'sending'`, dynamic, plan)
	if err != nil {
		return fmt.Errorf("mark unknown: %w", err)
	}
	return nil
}

// MergePublished takes the outcomes of published items over into the rows: repeatable, under the table's lock. What the
// service stored becomes the base, and the value where nobody edited it meanwhile; a later edit stays an edit.
func (s *Store) MergePublished(ctx context.Context, by core.Actor, t Table, plan string) error {
	var waiting int
	err := s.pool.QueryRow(ctx, `select count(*) from `+companion(t, "_publish_items")+` where plan = $1 and table_id = $2 and state = 'published' and not merged`,
		dynamic, plan, t.ID).Scan(&waiting)
	if err != nil || waiting == 0 {
		return err
	}
	_, err = s.inBatch(ctx, by, t.Ref(), newBatch{Kind: "publish", Label: "Publish"}, func(b *batchTxn) error {
		if err := b.mergeRecords(ctx, plan); err != nil {
			return err
		}
		if err := b.mergeCells(ctx, plan); err != nil {
			return err
		}
		if err := b.mergeReferences(ctx, plan); err != nil {
			return err
		}
		if err := b.mergeDeletes(ctx, plan); err != nil {
			return err
		}
		_, err := b.tx.Exec(ctx, `update `+companion(b.t, "_publish_items")+` set merged = true where plan = $1 and table_id = $2 and state = 'published' and not merged`,
			dynamic, plan, b.t.ID)
		return err
	})
	return err
}

// unmerged gives the from-item of a plan's published items of the table with their receipts and rows; args $2 and $3.
func (b *batchTxn) unmerged(ops string) string {
	return companion(b.t, "_publish_items") + ` i join ` + companion(b.t, "_receipts") + ` rc on rc.item = i.id join ` + dataTable(b.t) + ` r on r._id = i.record
		where i.plan = $2 and i.table_id = $3 and i.state = 'published' and not i.merged and i.op in (` + ops + `)`
}

// mergeRecords gives created records their remote ids, and all their new versions. One that was deleted here meanwhile
// stays deleted, and has something to delete now.
func (b *batchTxn) mergeRecords(ctx context.Context, plan string) error {
	var created, deleted int64
	err := b.tx.QueryRow(ctx, `with done as (
			update `+dataTable(b.t)+` u set _remote_id = coalesce(x.remote_id, u._remote_id), _remote_version = coalesce(x.version, u._remote_version),
				_state = case when x.op = 'create' and u._state = 1 then 0 else u._state end
			from (select i.record, i.op, i.remote_id, rc.version, r._state as state from `+b.unmerged("'create', 'update'")+`) x
			where u._id = x.record and $1::bigint > 0 returning x.op, x.state)
		select count(*) filter (where op = 'create' and state = 1), count(*) filter (where op = 'create' and state = 2) from done`,
		dynamic, b.id, plan, b.t.ID).Scan(&created, &deleted)
	if err != nil {
		return fmt.Errorf("merge records: %w", err)
	}
	b.delta.Created -= created
	b.delta.Deleted += deleted
	return nil
}

func (b *batchTxn) mergeCells(ctx context.Context, plan string) error {
	cols := b.t.Columns
	tag, err := b.tx.Exec(ctx, `
		insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after, base_before, base_after, conflict_before, conflict_after)
		select $1, y.record, y.col, y.now, y.after, y.base, nullif(y.stored, y.after), y.conflict, null
		from (select i.record, e.col, x.now, x.base, x.conflict, st.value as stored,
				case when x.now = (case when i.fields ? st.key then i.fields -> st.key -> 1 when i.op = 'create' then 'null' else x.now end) then st.value else x.now end as after
			from `+strings.Replace(b.unmerged("'create', 'update'"), "where", `cross join lateral jsonb_each(rc.stored) st
				cross join lateral (select st.key::int as col) e
				cross join lateral (select `+cellOf(cols, "r", "e.col")+` as now, r._base -> st.key as base, r._conflict -> st.key as conflict) x
				where`, 1)+` and x.now is not null and (i.op = 'create' or i.fields ? st.key or x.base is null)) y
		where y.after <> y.now or y.base is distinct from nullif(y.stored, y.after) or y.conflict is not null`, dynamic, b.id, plan, b.t.ID)
	if err != nil {
		return fmt.Errorf("merge cells: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return b.writeRecorded(ctx, cols, tag.RowsAffected())
}

// mergeReferences writes the new remote ids into the cells of the snapshot that referred to records by "~" and their id.
func (b *batchTxn) mergeReferences(ctx context.Context, plan string) error {
	rows, err := b.tx.Query(ctx, `select distinct c.table_id, f.col from `+companion(b.t, "_refs")+` f
		join `+companion(b.t, "_publish_items")+` i on i.record = f.target and i.plan = $1 and i.table_id = $2 and i.op = 'create' and i.state = 'published' and not i.merged
		join columns c on c.org_id = $3 and c.snapshot_id = $4 and c.number = f.col`, dynamic, plan, b.t.ID, b.t.Org, b.t.Snapshot)
	if err != nil {
		return fmt.Errorf("references: %w", err)
	}
	type cell struct {
		table  string
		column int
	}
	cells, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (cell, error) {
		var c cell
		return c, row.Scan(&c.table, &c.column)
	})
	if err != nil {
		return fmt.Errorf("references: %w", err)
	}
	for _, c := range cells {
		if err := b.rewriteReferences(ctx, plan, c.table, c.column); err != nil {
			return err
		}
	}
	if len(cells) == 0 {
		return nil
	}
	_, err = b.tx.Exec(ctx, `delete from `+companion(b.t, "_refs")+` f using `+companion(b.t, "_publish_items")+` i
		where i.record = f.target and i.plan = $1 and i.table_id = $2 and i.op = 'create' and i.state = 'published' and not i.merged`, dynamic, plan, b.t.ID)
	return err
}

func (b *batchTxn) rewriteReferences(ctx context.Context, plan, table string, column int) error {
	t := b.t
	if table != t.ID {
		var err error
		if t, err = tableTx(ctx, b.tx, b.by, TableRef{b.t.Snapshot, table}); err != nil {
			return err
		}
		if _, err := lockTable(ctx, b.tx, t); err != nil {
			return err
		}
	}
	c, ok := t.Column(column)
	if !ok {
		return nil
	}
	cell := "r." + ident(c.Physical)
	value := "case when " + cell + " = '~' || x.target then x.remote_id else " + cell + " end"
	if c.Type == core.References {
		value = "array_replace(" + cell + ", '~' || x.target, x.remote_id)"
	}
	_, err := b.tx.Exec(ctx, `update `+dataTable(t)+` r set `+ident(c.Physical)+` = `+value+`
		from (select f.row, f.target, i.remote_id from `+companion(t, "_refs")+` f join `+companion(t, "_publish_items")+` i on i.record = f.target
			where f.col = $3 and i.plan = $1 and i.table_id = $2 and i.op = 'create' and i.state = 'published' and not i.merged) x
		where r._id = x.row`, dynamic, plan, b.t.ID, column)
	if err != nil {
		return fmt.Errorf("rewrite references: %w", err)
	}
	if t.ID != b.t.ID {
		_, err = bump(ctx, b.tx, t, countsDelta{})
	}
	return err
}

// mergeDeletes takes deleted records out of the table; their values stay in the history, and their creates are ended.
func (b *batchTxn) mergeDeletes(ctx context.Context, plan string) error {
	items := companion(b.t, "_publish_items")
	tag, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_changes")+` (batch, row, col, before, after)
		select $1, r._id, 0, `+rowObject(b.t, "r")+`, 'null' from `+items+` i join `+dataTable(b.t)+` r on r._id = i.record
		where i.plan = $2 and i.table_id = $3 and i.op = 'delete' and i.state = 'published' and not i.merged`, dynamic, b.id, plan, b.t.ID)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	var deleted, alive int64
	err = b.tx.QueryRow(ctx, `with gone as (delete from `+dataTable(b.t)+` r using `+items+` i
			where r._id = i.record and i.plan = $1 and i.table_id = $2 and i.op = 'delete' and i.state = 'published' and not i.merged returning r._state)
		select count(*) filter (where _state = 2), count(*) filter (where _state <> 2) from gone`, dynamic, plan, b.t.ID).Scan(&deleted, &alive)
	if err != nil {
		return fmt.Errorf("merge deletes: %w", err)
	}
	b.rows += deleted + alive
	b.delta.Deleted -= deleted
	b.delta.Records -= alive
	_, err = b.tx.Exec(ctx, `update `+items+` o set ended = true from `+items+` i
		where i.plan = $1 and i.table_id = $2 and i.op = 'delete' and i.state = 'published' and o.record = i.record and o.op = 'create'`, dynamic, plan, b.t.ID)
	return err
}

// Theirs is what the service holds now in fields that carry edits.
type Theirs struct {
	Record  int64
	Values  map[int]json.RawMessage // by column number
	Kind    string                  // of the whole record: deleted_there, changed_there, or ""
	Version string
}

// MarkConflicts notes what the service changed under edits, so that a person decides. Cells and bases stay as they are.
func (s *Store) MarkConflicts(ctx context.Context, by core.Actor, t Table, list []Theirs) error {
	if len(list) == 0 {
		return nil
	}
	ids, objects := make([]int64, len(list)), make([]string, len(list))
	for i, th := range list {
		m := map[string]any{}
		for n, v := range th.Values {
			m[strconv.Itoa(n)] = v
		}
		if th.Kind != "" {
			m["_record"] = map[string]string{"kind": th.Kind, "version": th.Version}
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("conflict: %w", err)
		}
		ids[i], objects[i] = th.Record, string(raw)
	}
	_, err := s.inBatch(ctx, by, t.Ref(), newBatch{Kind: "refresh", Label: "Conflicts found"}, func(b *batchTxn) error {
		var fresh int64
		err := b.tx.QueryRow(ctx, `with old as (select r._id, r._conflict is null as fresh from `+dataTable(b.t)+` r where r._id = any($1)),
			done as (update `+dataTable(b.t)+` r set _conflict = coalesce(r._conflict, '{}') || u.theirs::jsonb
				from unnest($1::bigint[], $2::text[]) as u(id, theirs) where r._id = u.id returning r._id)
			select count(*) from old join done using (_id) where fresh`, dynamic, ids, objects).Scan(&fresh)
		b.delta.Conflicts += fresh
		b.rows += int64(len(ids))
		return err
	})
	return err
}

// EndPlan closes a plan when its job is through.
func (s *Store) EndPlan(ctx context.Context, snap Snapshot, plan string) error {
	_, err := s.pool.Exec(ctx, `update `+ident(snap.Schema, "_plans")+` set state = 'done' where id = $1`, dynamic, plan)
	if err != nil {
		return fmt.Errorf("end plan: %w", err)
	}
	return nil
}

// UnknownItems gives the unknown items of a plan that were sent before a moment, and how many are younger.
func (s *Store) UnknownItems(ctx context.Context, snap Snapshot, plan string, before time.Time) (list []Item, younger int, err error) {
	rows, err := s.pool.Query(ctx, "select "+itemColumns+itemsFrom(snap.Schema)+"where i.plan = $1 and i.state = 'unknown' order by i.id", dynamic, plan)
	if err != nil {
		return nil, 0, fmt.Errorf("unknown items: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanItem)
	for _, it := range all {
		if it.SentAt != nil && it.SentAt.After(before) {
			younger++
			continue
		}
		list = append(list, it)
	}
	return list, younger, err
}

// SettleItem lets a person say what became of an unknown item. Codes: NotFound, Forbidden, Invalid, Conflict (it is not unknown).
func (s *Store) SettleItem(ctx context.Context, by core.Actor, snapshot, plan string, item int64, as, remoteID string) error {
	if err := by.Require(core.Publisher); err != nil {
		return err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return err
	}
	state := map[string]string{"published": "published", "not_sent": "planned"}[as]
	if state == "" {
		return core.FieldErrorf("/as", "Say “published” or “not_sent”.")
	}
	rows, err := s.pool.Query(ctx, "select "+itemColumns+itemsFrom(snap.Schema)+"where i.plan = $1 and i.id = $2", dynamic, plan, item)
	if err != nil {
		return fmt.Errorf("item: %w", err)
	}
	it, err := pgx.CollectExactlyOneRow(rows, scanItem)
	if err != nil {
		return mapError(err)
	}
	if it.State != "unknown" {
		return core.Errorf(core.Conflict, "This record is not unknown (any more).")
	}
	if it.Op == "create" && as == "published" && remoteID == "" && it.RemoteID == "" {
		return core.FieldErrorf("/remote_id", "Say which id the service gave the record.")
	}
	t, err := s.TableByID(ctx, by, TableRef{snapshot, it.Table})
	if err != nil {
		return err
	}
	sent := map[string]json.RawMessage{}
	for n, f := range it.Fields {
		sent[strconv.Itoa(n)] = f.Value
	}
	raw, err := json.Marshal(sent)
	if err != nil {
		return fmt.Errorf("sent: %w", err)
	}
	if err := s.SaveOutcomes(ctx, t, []ItemOutcome{{Item: item, State: state, Reason: "Settled by " + by.Name, RemoteID: orText(remoteID, it.RemoteID), Sent: raw, Stored: raw}}); err != nil {
		return err
	}
	return s.MergePublished(ctx, by, t, plan)
}

// Bases gives for records what we expect the service to hold: the base of edited cells, the value of the others.
func (s *Store) Bases(ctx context.Context, by core.Actor, t Table, records []int64) (map[int64]map[int]core.Value, error) {
	rows, err := s.rows(ctx, s.pool, t, records, RowOptions{})
	if err != nil {
		return nil, err
	}
	out := make(map[int64]map[int]core.Value, len(rows))
	for _, r := range rows {
		m := map[int]core.Value{}
		for i, c := range t.Columns {
			m[c.Number] = r.Values[i]
			if b, ok := r.Base[c.Number]; ok {
				m[c.Number] = b
			}
		}
		out[r.ID] = m
	}
	return out, nil
}

// ParentsFirst orders tables so that one that others refer to comes before them.
func ParentsFirst(tables []Table) []Table { return parentsFirst(tables) }
