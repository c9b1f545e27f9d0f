package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// claimTries bounds how often a claim is made again after it collided with another plan's. Each time the other has got further.
const claimTries = 20

// claimBytes is how much records that are sent together hold: another one is taken as long as those before it hold less. What a request carries is
// read at the service, sent, answered and written down, so that it is in memory some ten times; with this much that stays below 20 MB, and is sent
// in the time that a request has on a slow line.
const claimBytes = 2 << 20

// Claim says which items are sent next.
type Claim struct {
	Op       string // create, update or delete
	Level    int    // of deletes that OrderDeletes put in an order; 0 is of any
	Together bool   // the level's deletes go in one request, however large their records are
	Limit    int    // items at most; fewer where their records are large
}

// ClaimItems commits the next planned items of an operation as `sending`, before anything leaves. Each record is looked at
// again in the same transaction: what is gone, in conflict, or created by another plan, is left out; a create that another
// plan is sending right now stays planned. References to records created meanwhile become their new ids; what refers to
// one that is not created yet stays planned, as does an update that completes a create until that is through. Of deletes that
// OrderDeletes put in an order only those of a level are claimed. Nil: none is left. Codes: Conflict (ErrLeaseLost).
func (s *Store) ClaimItems(ctx context.Context, j *Job, t Table, plan string, c Claim) (out []Item, err error) {
	for range claimTries {
		err = s.tx(atPoint(ctx, "publish.claim"), core.System(t.Org), func(tx pgx.Tx) (err error) {
			out, err = s.claimTx(ctx, tx, j, t, plan, c)
			return err
		})
		if !isUnique(err) { // else another plan took one of these creates at the same moment
			return out, err
		}
	}
	return nil, err
}

func (s *Store) claimTx(ctx context.Context, tx pgx.Tx, j *Job, t Table, plan string, c Claim) ([]Item, error) {
	if err := s.leaseTx(ctx, tx, j); err != nil {
		return nil, err
	}
	items, err := claimNext(ctx, tx, t, plan, c)
	if err != nil || len(items) > 0 || c.Op == "delete" {
		return items, err
	}
	translated, err := translateReferences(ctx, tx, t, plan, c.Op)
	if err != nil || !translated {
		return nil, err
	}
	return claimNext(ctx, tx, t, plan, c)
}

// candidates gives the SQL of the next items of an operation, $1 to $5, with what the records before each hold in bytes (ahead),
// and with the reason why one must not be sent any more: its record is gone (of a create: also when it was deleted here before it
// was sent), it was created by another plan, its delete was taken back, or it is in conflict since.
func candidates(t Table) string {
	items := companion(t, "_publish_items")
	return `(select n.id, r._remote_version as version, r._remote_id as remote_id, r._base as base,
			coalesce(sum(` + weight(t.Columns, "r") + `) over (order by n.id rows between unbounded preceding and 1 preceding), 0) as ahead, case when r._id is null then 'gone'
			when n.op = 'create' and r._remote_id is not null then 'created already'
			when n.op = 'create' and r._state <> 1 then 'gone'
			when n.op = 'update' and n.remote_id is null and ` + createdIn("n", items, "c.state = 'left_out'") + ` then 'created already'
			when n.op = 'delete' and r._state <> 2 then 'changed'
			when r._conflict is not null then 'conflict' end as why
		from (select i.id, i.record, i.op, i.plan, i.table_id, i.remote_id from ` + items + ` i where i.plan = $1 and i.table_id = $2 and i.op = $3 and i.state = 'planned'
			and not (` + waitsForReference(t) + `) and not (i.op = 'create' and exists (select 1 from ` + items + ` o where o.record = i.record and o.op = 'create' and o.id <> i.id
				and o.state in ('sending', 'published', 'unknown') and not o.ended))
			and not (i.op = 'update' and i.remote_id is null and ` + createdIn("i", items, "not (c.state = 'published' and c.merged or c.state = 'left_out')") + `)
			and ($5::int = 0 or i.position = $5)
			order by i.id limit $4 for update) n
		left join ` + dataTable(t) + ` r on r._id = n.record) n`
}

// createdIn is a condition: the plan of an item creates its record; and the create c is as said.
func createdIn(item, items string, as ...string) string {
	return "exists (select 1 from " + items + " c where c.plan = " + item + ".plan and c.table_id = " + item + ".table_id and c.record = " + item + ".record and c.op = 'create'" +
		strings.Join(append([]string{""}, as...), " and ") + ")"
}

func claimNext(ctx context.Context, tx pgx.Tx, t Table, plan string, c Claim) ([]Item, error) {
	most := claimBytes
	if c.Together {
		most = math.MaxInt
	}
	for {
		tag, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set state = 'left_out', reason = n.why from `+candidates(t)+` where i.id = n.id and n.why is not null`,
			dynamic, plan, t.ID, c.Op, c.Limit, c.Level)
		if err != nil {
			return nil, fmt.Errorf("leave out gone: %w", err)
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	rows, err := tx.Query(ctx, `update `+companion(t, "_publish_items")+` i set state = 'sending', sent_at = clock_timestamp(), attempts = attempts + 1,
			version = coalesce(n.version, i.version), reason = '', remote_id = case when i.op = 'update' then coalesce(i.remote_id, n.remote_id) else i.remote_id end,
			fields = case when i.op = 'update' and i.remote_id is null then `+completed+` else i.fields end
		from `+candidates(t)+` where i.id = n.id and n.why is null and n.ahead < $6
		returning i.id, i.table_id, i.record, coalesce(i.remote_id, ''), i.op, i.state, i.reason, i.fields, coalesce(i.version, ''), i.title, i.token, i.attempts,
			i.merged, i.sent_at, null::jsonb`, dynamic, plan, t.ID, c.Op, c.Limit, c.Level, most)
	if err != nil {
		return nil, fmt.Errorf("claim items: %w", err)
	}
	return pgx.CollectRows(rows, scanItem)
}

// completed gives the fields of an update that completes a create: what the service answered then is what it is expected to hold.
const completed = `(select jsonb_object_agg(e.key, jsonb_build_array(coalesce(n.base -> e.key, e.value -> 0), e.value -> 1)) from jsonb_each(i.fields) e)`

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

// hereRef is what a reference to a record that has no remote id looks like; a service's own id that begins with ~ is doubled.
const hereRef = `'^~[0-9]{1,18}$'`

func referenceColumns(t Table) []core.Column {
	var out []core.Column
	for _, c := range t.Columns {
		if c.Type == core.Reference || c.Type == core.References {
			out = append(out, c)
		}
	}
	return out
}

// waitsForReference is a condition on i: one of its fields refers to a record that is not created yet.
func waitsForReference(t Table) string {
	conds := []string{"false"}
	for _, c := range referenceColumns(t) {
		value := fmt.Sprintf("i.fields -> '%d' -> 1", c.Number)
		if c.Type == core.References {
			conds = append(conds, "exists (select 1 from "+elements(value)+" v where v ~ "+hereRef+")")
			continue
		}
		conds = append(conds, "coalesce(("+value+") #>> '{}' ~ "+hereRef+", false)")
	}
	return strings.Join(conds, " or ")
}

// elements gives the SQL of the texts of a canonical list; none of what is not one.
func elements(value string) string {
	return "jsonb_array_elements_text(case when jsonb_typeof(" + value + ") = 'array' then " + value + " else '[]' end)"
}

// translateReferences puts the remote ids of records created meanwhile in the place of "~" and their id here.
func translateReferences(ctx context.Context, tx pgx.Tx, t Table, plan, op string) (any bool, err error) {
	for _, c := range referenceColumns(t) {
		if c.Options.TargetTable == "" {
			continue
		}
		target, err := tableTx(ctx, tx, core.System(t.Org), TableRef{t.Snapshot, c.Options.TargetTable})
		if core.CodeOf(err) == core.NotFound {
			continue
		}
		if err != nil {
			return false, err
		}
		n, err := translateColumn(ctx, tx, t, c, target, plan, op)
		if err != nil {
			return false, err
		}
		any = any || n > 0
	}
	return any, nil
}

func translateColumn(ctx context.Context, tx pgx.Tx, t Table, c core.Column, target Table, plan, op string) (int64, error) {
	value := fmt.Sprintf("i.fields -> '%d' -> 1", c.Number)
	known := "(select to_jsonb(" + referenceOf("x._remote_id") + ") from " + dataTable(target) + " x where x._remote_id is not null and v ~ " + hereRef + " and x._id = substr(v, 2)::bigint)"
	translated := "(select coalesce(" + known + ", to_jsonb(v)) from (select (" + value + ") #>> '{}' as v) e)"
	if c.Type == core.References {
		translated = "(select jsonb_agg(coalesce(" + known + ", to_jsonb(v)) order by n) from " + elements(value) + " with ordinality e(v, n))"
	}
	tag, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set fields = jsonb_set(i.fields, array[$4, '1'], `+translated+`)
		where i.plan = $1 and i.table_id = $2 and i.op = $3 and i.state = 'planned' and (`+waitsForReference(Table{Columns: []core.Column{c}})+`)
			and `+translated+` is distinct from `+value, dynamic, plan, t.ID, op, fmt.Sprint(c.Number))
	if err != nil {
		return 0, fmt.Errorf("translate references: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Leaving is an item whose request leaves now.
type Leaving struct {
	Item     int64
	RemoteID string          // of a create: the one reserved for it
	Version  string          // read just before
	Before   json.RawMessage // what the service held just before, by column number; nil is unknown
}

// ItemsLeave commits that a request with these items leaves now, and what was read just before, provided that the lease is
// still held. Codes: Conflict (ErrLeaseLost).
func (s *Store) ItemsLeave(ctx context.Context, j *Job, t Table, list []Leaving) error {
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("items that leave: %w", err)
	}
	return s.tx(atPoint(ctx, "publish.leave"), core.System(t.Org), func(tx pgx.Tx) error {
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		const from = ` jsonb_to_recordset($1::text::jsonb) as o("Item" bigint, "RemoteID" text, "Version" text, "Before" jsonb) `
		_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set sent_at = clock_timestamp(), remote_id = coalesce(nullif(o."RemoteID", ''), i.remote_id)
			from`+from+`where i.id = o."Item" and i.state = 'sending'`, dynamic, string(raw))
		if err != nil {
			return fmt.Errorf("items leave: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into `+companion(t, "_receipts")+` (item, version, before)
			select o."Item", nullif(o."Version", ''), nullif(o."Before", 'null') from`+from+`where o."Before" <> 'null'
			on conflict (item) do update set at = clock_timestamp(), version = excluded.version, before = excluded.before, sent = null, stored = null, words = ''`,
			dynamic, string(raw))
		if err != nil {
			return fmt.Errorf("keep what was read: %w", err)
		}
		return nil
	})
}

// DeletedThere is the reason of an item whose record is not at the service any more.
const DeletedThere = "The record was deleted at the service."

// ItemOutcome is what became of an item that was sent.
type ItemOutcome struct {
	Item     int64
	Attempt  int    // which sending of the item this is about; 0 is any
	State    string // published, failed, conflict, unknown, planned (surely not sent), left_out
	Reason   string
	RemoteID string
	Version  string
	Before   json.RawMessage // objects by column number; nil is unknown
	Sent     json.RawMessage
	Stored   json.RawMessage
}

// SaveOutcomes commits outcomes and receipts of items in `sending` or `unknown`, without the table's lock. An outcome of an
// earlier sending changes nothing.
func (s *Store) SaveOutcomes(ctx context.Context, t Table, list []ItemOutcome) error {
	if len(list) == 0 {
		return nil
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("outcomes: %w", err)
	}
	s.fault("publish.outcome.commit")
	_, err = s.pool.Exec(ctx, `with o as (select * from jsonb_to_recordset($1::text::jsonb) as o("Item" bigint, "Attempt" int, "State" text, "Reason" text, "RemoteID" text,
				"Version" text, "Before" jsonb, "Sent" jsonb, "Stored" jsonb)),
			done as (update `+companion(t, "_publish_items")+` i set state = o."State", reason = o."Reason", merged = false, remote_id = coalesce(nullif(o."RemoteID", ''), i.remote_id)
				from o where i.id = o."Item" and i.state in ('sending', 'unknown') and o."Attempt" in (0, i.attempts) returning i.id)
		insert into `+companion(t, "_receipts")+` as old (item, remote_id, version, before, sent, stored, words)
			select o."Item", o."RemoteID", nullif(o."Version", ''), nullif(o."Before", 'null'), nullif(o."Sent", 'null'), nullif(o."Stored", 'null'), o."Reason"
			from o join done on done.id = o."Item" where o."State" in ('published', 'failed', 'conflict')
			on conflict (item) do update set at = clock_timestamp(), remote_id = excluded.remote_id, version = excluded.version,
				before = coalesce(excluded.before, old.before), sent = excluded.sent, stored = excluded.stored, words = excluded.words`, dynamic, string(raw))
	if err != nil {
		return mapError(fmt.Errorf("save outcomes: %w", err))
	}
	s.fault("publish.outcome.committed")
	return nil
}

// SendingBecomesUnknown marks what a worker before left in `sending`: it may have arrived or not. Only who holds the lease
// may say so. Codes: Conflict (ErrLeaseLost).
func (s *Store) SendingBecomesUnknown(ctx context.Context, j *Job, snap Snapshot, plan string) error {
	return s.tx(atPoint(ctx, "publish.unknown"), j.Actor(), func(tx pgx.Tx) error {
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		return sendingBecomesUnknown(ctx, tx, snap.Schema, plan)
	})
}

func sendingBecomesUnknown(ctx context.Context, tx pgx.Tx, schema, plan string) error {
	_, err := tx.Exec(ctx, `update `+ident(schema, "_publish_items")+` set state = 'unknown', reason = 'The worker stopped while this was on its way.'
		where plan = $1 and state = 'sending'`, dynamic, plan)
	if err != nil {
		return fmt.Errorf("mark unknown: %w", err)
	}
	return nil
}

// EndPlan closes a plan when its job is through. What could not be written down of an item in `sending` is unknown. Codes:
// Conflict (ErrLeaseLost).
func (s *Store) EndPlan(ctx context.Context, j *Job, snap Snapshot, plan string) error {
	return s.tx(atPoint(ctx, "publish.end"), j.Actor(), func(tx pgx.Tx) error {
		if err := s.leaseTx(ctx, tx, j); err != nil {
			return err
		}
		if err := sendingBecomesUnknown(ctx, tx, snap.Schema, plan); err != nil {
			return err
		}
		if err := noteWaiting(ctx, tx, snap, plan); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update `+ident(snap.Schema, "_plans")+` set state = 'done' where id = $1`, dynamic, plan)
		if err != nil {
			return fmt.Errorf("end plan: %w", err)
		}
		return nil
	})
}

// StillWaits is the reason of an item that was not sent because of what it refers to.
const StillWaits = "It refers to a record that is not created yet."

func noteWaiting(ctx context.Context, tx pgx.Tx, snap Snapshot, plan string) error {
	for _, t := range snap.Tables {
		if len(referenceColumns(t)) == 0 {
			continue
		}
		_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set reason = $3
			where i.plan = $1 and i.table_id = $2 and i.state = 'planned' and (`+waitsForReference(t)+`)`, dynamic, plan, t.ID, StillWaits)
		if err != nil {
			return fmt.Errorf("note what waits: %w", err)
		}
	}
	return nil
}

// UnknownItems gives the unknown items of a plan that were sent at least a while ago, and how many are younger.
func (s *Store) UnknownItems(ctx context.Context, snap Snapshot, plan string, age time.Duration) (list []Item, younger int, err error) {
	var before time.Time // by the clock that set sent_at
	if err := s.pool.QueryRow(ctx, "select clock_timestamp() - $1::interval", age).Scan(&before); err != nil {
		return nil, 0, mapError(fmt.Errorf("unknown items: %w", err))
	}
	rows, err := s.pool.Query(ctx, "select "+itemColumns+itemsFrom(snap.Schema)+"where i.plan = $1 and i.state = 'unknown' order by i.id", dynamic, plan)
	if err != nil {
		return nil, 0, mapError(fmt.Errorf("unknown items: %w", err))
	}
	all, err := pgx.CollectRows(rows, scanItem)
	for _, it := range all {
		if it.SentAt != nil && it.SentAt.After(before) {
			younger++
			continue
		}
		list = append(list, it)
	}
	return list, younger, mapError(err)
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
