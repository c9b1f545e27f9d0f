package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// Plan is what a publish would send, frozen.
type Plan struct {
	ID       string
	Snapshot string
	Tables   []string
	Who      string
	At       time.Time
	Label    string
	State    string // draft, publishing, done
	Reverts  string // the plan that this one reverts, or ""
	Job      string // the job that publishes it, or ""
	Deletes  bool   // the deletes were ticked
	First    int
	Counts   PlanCounts
}

// PlanCounts count a plan's items by operation and by state. The operations leave out what is left out.
type PlanCounts struct {
	Creates, Updates, Deletes                                                 int64
	Planned, Sending, Published, Failed, Conflict, Unknown, LeftOut, Unticked int64 // Conflict: also those left out for one
	Total                                                                     int64
}

// Item is one record of a plan.
type Item struct {
	ID       int64
	Table    string
	Record   int64
	RemoteID string
	Op       string // create, update, delete
	State    string
	Reason   string
	Fields   map[int]FieldChange // by column number
	Version  string
	Title    string
	Token    string
	Attempts int
	Merged   bool
	SentAt   *time.Time
	Receipt  *Receipt
	Groups   map[int]string // in lists, of updates, by column number: equal changes of a column have one
}

// FieldChange is a field of an item: what the service is expected to hold, and what it is to hold. Canonical.
type FieldChange struct{ Base, Value json.RawMessage }

// Receipt is what a write came to.
type Receipt struct {
	At      time.Time                  `json:"at"`
	Before  map[string]json.RawMessage `json:"before"`
	Sent    map[string]json.RawMessage `json:"sent"`
	Stored  map[string]json.RawMessage `json:"stored"`
	Words   string                     `json:"words"`
	Version string                     `json:"version"`
}

// UnmarshalJSON reads [base, value].
func (f *FieldChange) UnmarshalJSON(raw []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(raw, &pair); err != nil {
		return err
	}
	f.Base, f.Value = pair[0], pair[1]
	return nil
}

// MarshalJSON writes [base, value].
func (f FieldChange) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]json.RawMessage{f.Base, f.Value})
}

// MakePlan freezes what a publish of tables (none: all of the snapshot's that have a service) would send: their edits,
// created and deleted records. Records in conflict are in it only as left out. Codes: NotFound, Forbidden, Invalid.
func (s *Store) MakePlan(ctx context.Context, by core.Actor, snapshot string, tables []string, w Where) (Plan, error) {
	if err := by.Require(core.Editor); err != nil {
		return Plan{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	var id string
	if done, err := doneBefore(ctx, "plan", &id); err != nil || done {
		return s.knownPlan(ctx, snap, id, err)
	}
	err = s.tx(atPoint(ctx, "plan"), by, func(tx pgx.Tx) (err error) {
		if p, err = s.makePlanTx(ctx, tx, by, snap, tables, w, "", []int64{}); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "plan", p.ID)
	})
	return p, err
}

func (s *Store) knownPlan(ctx context.Context, snap Snapshot, id string, err error) (Plan, error) {
	if err != nil {
		return Plan{}, err
	}
	return s.planTx(ctx, s.pool, snap, id)
}

// makePlanTx makes a plan of tables: of all their changes, or of those of some batches.
func (s *Store) makePlanTx(ctx context.Context, tx pgx.Tx, by core.Actor, snap Snapshot, tables []string, w Where, reverts string, batches []int64) (Plan, error) {
	chosen, err := publishable(snap, tables)
	if err != nil {
		return Plan{}, err
	}
	id, ids := core.NewID("pln"), make([]string, len(chosen))
	for i, t := range chosen {
		ids[i] = t.ID
	}
	for _, t := range tablesByID(snap, ids) {
		if _, err := lockTable(ctx, tx, t); err != nil {
			return Plan{}, err
		}
	}
	_, err = tx.Exec(ctx, `insert into `+ident(snap.Schema, "_plans")+` (id, table_ids, person_id, who, label, reverts, batches)
		values ($1, $2, $3, $4, $5, nullif($6, ''), $7)`, dynamic, id, ids, by.Person, by.Name, "Publish", reverts, batches)
	if err != nil {
		return Plan{}, fmt.Errorf("insert plan: %w", err)
	}
	for i, t := range parentsFirst(chosen) {
		if err := s.planTable(ctx, tx, by, id, t, i, w, batches); err != nil {
			return Plan{}, err
		}
	}
	return s.planTx(ctx, tx, snap, id)
}

func publishable(snap Snapshot, tables []string) ([]Table, error) {
	want := map[string]bool{}
	for _, id := range tables {
		want[id] = true
	}
	var out []Table
	for _, t := range snap.Tables {
		if (len(tables) == 0 || want[t.ID]) && t.Source == core.Remote && t.Connection != "" {
			out = append(out, t)
		}
		delete(want, t.ID)
	}
	for id := range want {
		return nil, core.Errorf(core.NotFound, "There is no table %s in this snapshot.", id)
	}
	if len(out) == 0 {
		return nil, core.Errorf(core.Conflict, "These tables come from a file: there is no service to publish to. Export them instead.")
	}
	for _, t := range out {
		if t.Connection != out[0].Connection {
			return nil, core.Errorf(core.Conflict, "These tables belong to several connections. Publish the tables of one connection at a time.")
		}
	}
	return out, nil
}

// parentsFirst orders tables so that one that others refer to comes before them, as far as the references make no circle.
func parentsFirst(tables []Table) []Table {
	depth := map[string]int{}
	for range tables {
		for _, t := range tables {
			for _, c := range t.Columns {
				if target := c.Options.TargetTable; target != "" && target != t.ID && depth[t.ID] <= depth[target] && depth[target] < len(tables) {
					depth[t.ID] = depth[target] + 1
				}
			}
		}
	}
	out := append([]Table(nil), tables...)
	sort.SliceStable(out, func(i, j int) bool { return depth[out[i].ID] < depth[out[j].ID] })
	return out
}

// planTable puts a table's changed records into a plan by one statement an operation. The table is locked. The offset keeps the
// planner from computing the fields twice, to look whether there are any and to keep them.
func (s *Store) planTable(ctx context.Context, tx pgx.Tx, by core.Actor, plan string, t Table, position int, w Where, batches []int64) error {
	args := []any{plan, t.ID, position}
	cond := "true"
	if !w.Empty() {
		var err error
		if w.Filter == "" {
			w.Filter = "deleted() || !deleted()"
		}
		if cond, err = s.recordsSQL(ctx, tx, by, t, w, &args); err != nil {
			return err
		}
	}
	keep := func(string) string { return "true" }
	if len(batches) > 0 {
		args = append(args, batches)
		n := "$" + strconv.Itoa(len(args))
		keep = func(col string) string {
			return "exists (select 1 from " + companion(t, "_changes") + " ch where ch.batch = any(" + n + ") and ch.row = r._id and ch.col = " + col + ")"
		}
	}
	for _, op := range []struct{ name, cond, fields string }{
		{"create", "r._state = 1 and " + keep("0"), createFields(t)},
		{"update", "r._state = 0 and r._base is not null and r._remote_id is not null", updateFields(t, keep("e.key::int"))},
		{"delete", "r._state = 2 and r._remote_id is not null and " + keep("0"), "'{}'::jsonb"},
	} {
		sql := `insert into ` + companion(t, "_publish_items") + ` (plan, table_id, record, remote_id, op, position, state, reason, fields, version, title, token)
			select $1, $2, x.id, x.remote_id, '` + op.name + `', $3::int, case when x.fight then 'left_out' else 'planned' end, case when x.fight then 'conflict' else '' end,
				x.fields, x.version, x.title, $1 || '-' || x.id
			from (select r._id as id, r._remote_id as remote_id, r._conflict is not null as fight, r._remote_version as version, ` + titleSQL(t) + ` as title,
				` + op.fields + ` as fields from ` + dataTable(t) + ` r where ` + op.cond + ` and ` + cond + ` order by r._id offset 0) x
			where x.fields is not null`
		if _, err := tx.Exec(ctx, sql, append([]any{dynamic}, args...)...); err != nil {
			return fmt.Errorf("plan %ss: %w", op.name, err)
		}
	}
	return nil
}

func createFields(t Table) string {
	var parts []string
	for _, c := range t.Columns {
		if c.Source == core.Remote && (c.SendsNew || c.Options.Key) {
			n := strconv.Itoa(c.Number)
			parts = append(parts, "case when r."+ident(c.Physical)+" is null then '{}' else jsonb_build_object('"+n+"', jsonb_build_array(null, "+canonicalExpr(c, "r")+")) end")
		}
	}
	if parts == nil {
		return "'{}'::jsonb"
	}
	return "(" + strings.Join(parts, " || ") + ")"
}

func updateFields(t Table, keep string) string {
	var cols []core.Column
	var list []string
	for _, c := range t.Columns {
		if c.Source == core.Remote && c.Sends {
			cols = append(cols, c)
			list = append(list, "'"+strconv.Itoa(c.Number)+"'")
		}
	}
	if cols == nil {
		return "null::jsonb"
	}
	all := `(select jsonb_object_agg(e.key, jsonb_build_array(e.value, ` + cellOf(cols, "r", "e.key::int") + `)) from jsonb_each(r._base) e
		where e.key in (` + strings.Join(list, ", ") + `) and ` + keep + `)`
	if keep != "true" || len(cols) > mostSingle {
		return all
	}
	// Most records have one edit, whose column is found sooner than its base is taken apart.
	var single strings.Builder
	for i, c := range cols {
		single.WriteString(" when r._base ? " + list[i] + " and r._base - " + list[i] + " = '{}' then jsonb_build_object(" + list[i] +
			", jsonb_build_array(r._base -> " + list[i] + ", " + canonicalExpr(c, "r") + "))")
	}
	return "(case" + single.String() + " else " + all + " end)"
}

// mostSingle is in how many columns a single edit is looked for one by one.
const mostSingle = 40

// PlanByID gives a plan with its counts. Codes: NotFound.
func (s *Store) PlanByID(ctx context.Context, by core.Actor, snapshot, id string) (Plan, error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Plan{}, err
	}
	return s.planTx(ctx, s.pool, snap, id)
}

// TablesOfItems gives those of a plan's tables of which it has records.
func (s *Store) TablesOfItems(ctx context.Context, snap Snapshot, p Plan) ([]string, error) {
	rows, err := s.pool.Query(ctx, `select t from unnest($2::text[]) t where exists (select from `+ident(snap.Schema, "_publish_items")+` i
		where i.plan = $1 and i.table_id = t)`, dynamic, p.ID, p.Tables)
	if err != nil {
		return nil, mapError(fmt.Errorf("tables of a plan: %w", err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, mapError(err)
}

func (s *Store) planTx(ctx context.Context, q querier, snap Snapshot, id string) (Plan, error) {
	p := Plan{ID: id, Snapshot: snap.ID}
	c := &p.Counts
	err := q.QueryRow(ctx, `select p.table_ids, p.who, p.at, p.label, p.state, coalesce(p.reverts, ''), coalesce(p.job_id, ''), p.deletes, coalesce(p.first, 0),
			n.creates, n.updates, n.deletes, n.planned, n.sending, n.published, n.failed, n.conflict, n.unknown, n.left_out, n.unticked, n.total
		from `+ident(snap.Schema, "_plans")+` p cross join lateral (select
			count(*) filter (where op = 'create' and state <> 'left_out') as creates, count(*) filter (where op = 'update' and state <> 'left_out') as updates,
			count(*) filter (where op = 'delete' and state <> 'left_out') as deletes,
			count(*) filter (where state = 'planned') as planned, count(*) filter (where state = 'sending') as sending,
			count(*) filter (where state = 'published') as published, count(*) filter (where state = 'failed') as failed,
			count(*) filter (where state = 'conflict' or state = 'left_out' and reason = 'conflict') as conflict, count(*) filter (where state = 'unknown') as unknown,
			count(*) filter (where state = 'left_out') as left_out, count(*) filter (where state = 'left_out' and reason = 'unticked') as unticked,
			count(*) as total
			from `+ident(snap.Schema, "_publish_items")+` i where i.plan = p.id) n
		where p.id = $1`, dynamic, id).Scan(&p.Tables, &p.Who, &p.At, &p.Label, &p.State, &p.Reverts, &p.Job, &p.Deletes, &p.First,
		&c.Creates, &c.Updates, &c.Deletes, &c.Planned, &c.Sending, &c.Published, &c.Failed, &c.Conflict, &c.Unknown, &c.LeftOut, &c.Unticked, &c.Total)
	return p, mapError(err)
}

// ItemsFilter narrows Items; empty fields do not.
type ItemsFilter struct {
	Op, State, Table string
	Group            string // of one of its fields
	Conflict         *bool  // those in conflict, also where that left them out; or those that are not
	After            int64
	Limit            int // 0 is 100
}

const itemColumns = `i.id, i.table_id, i.record, coalesce(i.remote_id, ''), i.op, i.state, i.reason, i.fields, coalesce(i.version, ''), i.title, i.token, i.attempts,
	i.merged, i.sent_at, (select to_jsonb(x) from (select rc.at, rc.before, rc.sent, rc.stored, rc.words, coalesce(rc.version, '') as version) x where rc.item is not null)`

func itemsFrom(schema string) string {
	return " from " + ident(schema, "_publish_items") + " i left join " + ident(schema, "_receipts") + " rc on rc.item = i.id "
}

func scanItem(row pgx.CollectableRow) (Item, error) {
	var it Item
	err := row.Scan(it.dest()...)
	return it, err
}

// dest gives where the item's columns go, in the order of itemColumns.
func (it *Item) dest() []any {
	return []any{&it.ID, &it.Table, &it.Record, &it.RemoteID, &it.Op, &it.State, &it.Reason, &it.Fields, &it.Version, &it.Title, &it.Token, &it.Attempts,
		&it.Merged, &it.SentAt, &it.Receipt}
}

// changeGroup is the SQL of the group of a field's change, of its column number and [base, value].
func changeGroup(key, value string) string {
	return "(" + key + " || ':' || left(md5((" + value + ")::text), 16))"
}

// inGroup is a condition on i: one of its fields is in the group that an argument names; of "" it holds.
func inGroup(arg string) string {
	return "(" + arg + " = '' or exists (select 1 from jsonb_each(i.fields) e where i.op = 'update' and " + changeGroup("e.key", "e.value") + " = " + arg + "))"
}

// Items lists a plan's items by id. next is 0 at the end. Codes: NotFound.
func (s *Store) Items(ctx context.Context, by core.Actor, snapshot, plan string, f ItemsFilter) (list []Item, next int64, err error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return nil, 0, err
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := s.pool.Query(ctx, "select "+itemColumns+", (select jsonb_object_agg(e.key, "+changeGroup("e.key", "e.value")+") from jsonb_each(i.fields) e where i.op = 'update')"+
		itemsFrom(snap.Schema)+`where i.plan = $1 and i.id > $2 and ($3 = '' or i.op = $3)
		and ($4 = '' or i.state = $4) and ($5 = '' or i.table_id = $5) and ($6::boolean is null or $6 = (i.state = 'conflict' or i.state = 'left_out' and i.reason = 'conflict'))
		and `+inGroup("$8")+` order by i.id limit $7`, dynamic, plan, f.After, f.Op, f.State, f.Table, f.Conflict, f.Limit+1, f.Group)
	if err != nil {
		return nil, 0, fmt.Errorf("items: %w", err)
	}
	list, more, err := collectPart(rows, f.Limit, s.listBytes, func(row pgx.CollectableRow) (Item, error) {
		var it Item
		err := row.Scan(append(it.dest(), &it.Groups)...)
		return it, err
	})
	if more {
		next = list[len(list)-1].ID
	}
	return list, next, mapError(err)
}

// PlanGroup is a set of equal field changes of a plan, or all its creates or deletes of a table.
type PlanGroup struct {
	Table  string
	Op     string
	Column int
	Base   json.RawMessage
	Value  json.RawMessage
	Titles []string // creates, deletes: how some of the records are called
	Count  int64
	Ticked bool
}

// PlanGroups puts equal changes of a plan together: creates and deletes of each table, then the updates, the largest first;
// more says that there are others. Codes: NotFound.
func (s *Store) PlanGroups(ctx context.Context, by core.Actor, snapshot, plan string, limit int) (list []PlanGroup, more bool, err error) {
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return nil, false, err
	}
	rows, err := s.pool.Query(ctx, `select i.table_id, i.op, coalesce(e.key::int, 0), e.value -> 0, e.value -> 1, (array_agg(i.title order by i.id))[1:5], count(*),
			bool_or(i.state <> 'left_out')
		from `+ident(snap.Schema, "_publish_items")+` i left join lateral jsonb_each(case when i.op = 'update' then i.fields end) e on true
		where i.plan = $1 and not (i.state = 'left_out' and i.reason = 'conflict')
		group by 1, 2, 3, 4, 5 order by case i.op when 'create' then 0 when 'delete' then 1 else 2 end, 7 desc, 3 limit $2`, dynamic, plan, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("plan groups: %w", err)
	}
	return collectPart(rows, limit, s.listBytes, func(row pgx.CollectableRow) (PlanGroup, error) {
		var g PlanGroup
		err := row.Scan(&g.Table, &g.Op, &g.Column, (*[]byte)(&g.Base), (*[]byte)(&g.Value), &g.Titles, &g.Count, &g.Ticked)
		return g, err
	})
}

// ItemsWhere chooses items of a plan; those given must all hold.
type ItemsWhere struct {
	Items       []int64 // nil does not narrow
	Records     []int64 // nil does not narrow
	Op          string
	Table       string
	Group       string // of one of the fields
	Filter      string // over the table's records; "true" holds for each
	Column      int
	Base, Value json.RawMessage
}

// TickItems takes items into a plan or leaves them out, before it runs. Those in conflict stay out. Codes: NotFound,
// Conflict (it runs or ran), Forbidden.
func (s *Store) TickItems(ctx context.Context, by core.Actor, snapshot, plan string, w ItemsWhere, included bool) (Plan, error) {
	if err := by.Require(core.Editor); err != nil {
		return Plan{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Plan{}, err
	}
	from, to, old, reason := "planned", "left_out", "", "unticked"
	if included {
		from, to, old, reason = to, from, reason, ""
	}
	var p Plan
	err = s.tx(atPoint(ctx, "plan.tick"), by, func(tx pgx.Tx) error {
		if p, err = s.draftTx(ctx, tx, snap, plan); err != nil {
			return err
		}
		if err := stillTx(ctx, tx, by, plan); err != nil {
			return err
		}
		var column any
		if w.Column != 0 {
			column = strconv.Itoa(w.Column)
		}
		args := []any{plan, to, reason, from, old, w.Items, w.Op, w.Table, column, textOr(w.Base), textOr(w.Value), w.Records, w.Group}
		cond, err := w.filterSQL(snap, p, &args)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update `+ident(snap.Schema, "_publish_items")+` i set state = $2, reason = $3 where i.plan = $1 and i.state = $4 and i.reason = $5
			and ($6::bigint[] is null or i.id = any($6)) and ($7 = '' or i.op = $7) and ($8 = '' or i.table_id = $8)
			and ($9::text is null or i.fields -> $9 = jsonb_build_array($10::text::jsonb, $11::text::jsonb))
			and ($12::bigint[] is null or i.record = any($12)) and `+inGroup("$13")+cond, append([]any{dynamic}, args...)...)
		if err != nil {
			return fmt.Errorf("tick items: %w", err)
		}
		p, err = s.planTx(ctx, tx, snap, plan)
		return err
	})
	return p, err
}

// filterSQL gives the condition on i of a filter over records, which is about one table.
func (w ItemsWhere) filterSQL(snap Snapshot, p Plan, args *[]any) (string, error) {
	if w.Filter == "" || w.Filter == "true" {
		return "", nil
	}
	table := w.Table
	if table == "" && len(p.Tables) == 1 {
		table = p.Tables[0]
	}
	at := slices.IndexFunc(snap.Tables, func(t Table) bool { return t.ID == table })
	if at < 0 {
		return "", core.FieldErrorf("/where/table", "Say which table the filter is about.")
	}
	t := snap.Tables[at]
	compiled, err := expr.CompileFilter(w.Filter, t.Columns) // over deleted records too
	if err != nil {
		return "", core.FieldErrorf("/where/filter", "%s", core.SentenceOf(err))
	}
	b := &expr.Builder{Schema: t.Schema, Args: *args}
	cond, err := compiled.SQL(b)
	if err != nil {
		return "", err
	}
	*args = append(b.Args, t.ID)
	return " and i.table_id = $" + strconv.Itoa(len(*args)) + " and exists (select 1 from " + dataTable(t) + " r where r._id = i.record and " + cond + ")", nil
}

// textOr gives JSON as a text; nothing is null.
func textOr(raw json.RawMessage) string {
	if raw == nil {
		return "null"
	}
	return string(raw)
}

func (s *Store) draftTx(ctx context.Context, tx pgx.Tx, snap Snapshot, plan string) (Plan, error) {
	if _, err := tx.Exec(ctx, `select 1 from `+ident(snap.Schema, "_plans")+` where id = $1 for update`, dynamic, plan); err != nil {
		return Plan{}, fmt.Errorf("lock plan: %w", err)
	}
	p, err := s.planTx(ctx, tx, snap, plan)
	if err == nil && p.State != "draft" {
		return p, core.Errorf(core.Conflict, "This plan has been published already; make a new one.")
	}
	return p, err
}

// StartPublish freezes a plan and makes the job that sends it; again gives the same job. Records that changed since the
// plan was made are left out, and named by their reason. Codes: NotFound, Forbidden, Conflict (nothing is left to send).
func (s *Store) StartPublish(ctx context.Context, by core.Actor, snapshot, plan string, deletes bool, first int) (Job, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Job{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Job{}, err
	}
	var jobID string
	err = s.tx(atPoint(ctx, "publish.start"), by, func(tx pgx.Tx) error {
		p, err := s.draftTx(ctx, tx, snap, plan)
		if p.Job != "" {
			jobID = p.Job
			return nil
		}
		if err != nil {
			return err
		}
		if !deletes {
			_, err := tx.Exec(ctx, `update `+ident(snap.Schema, "_publish_items")+` set state = 'left_out', reason = 'unticked' where plan = $1 and op = 'delete' and state = 'planned'`, dynamic, plan)
			if err != nil {
				return fmt.Errorf("leave out deletes: %w", err)
			}
		}
		if p, err = s.lookAgain(ctx, tx, snap, plan); err != nil {
			return err
		}
		if p.Counts.Planned == 0 {
			return core.Errorf(core.Conflict, "Nothing of this plan is left to send. Tick some records, or make a new plan.")
		}
		j, err := s.publishJobTx(ctx, tx, by, snap, p, deletes, first)
		jobID = j.ID
		return err
	})
	if err != nil {
		return Job{}, err
	}
	s.Wake(ctx, jobID)
	return s.JobByID(ctx, by, jobID)
}

// publishJobTx makes the job that sends a plan: every way to send one leads here. Codes: Conflict (a second person has to approve it).
func (s *Store) publishJobTx(ctx context.Context, tx pgx.Tx, by core.Actor, snap Snapshot, p Plan, deletes bool, first int) (Job, error) {
	second, err := approvedTx(ctx, tx, by, p.ID, deletes)
	if err != nil {
		return Job{}, err
	}
	connection := ""
	for _, t := range snap.Tables {
		if len(p.Tables) > 0 && t.ID == p.Tables[0] {
			connection = t.Connection
		}
	}
	args, err := json.Marshal(map[string]any{"snapshot": snap.ID, "plan": p.ID})
	if err != nil {
		return Job{}, fmt.Errorf("job args: %w", err)
	}
	j, err := s.EnqueueTx(ctx, tx, by, NewJob{Kind: "publish", Queue: "interactive", Snapshot: snap.ID, Connection: connection,
		Label: "Publish " + snap.Name, Args: args})
	if err == nil {
		details := map[string]string{"snapshot": snap.ID, "name": snap.Name, "job": j.ID}
		if second != "" {
			details["approved by"] = second
		}
		err = auditTx(ctx, tx, by, "published", p.ID, details)
	}
	if err != nil {
		return Job{}, err
	}
	_, err = tx.Exec(ctx, `update `+ident(snap.Schema, "_plans")+` set state = 'publishing', job_id = $2, deletes = deletes or $3, first = nullif($4, 0) where id = $1`,
		dynamic, p.ID, j.ID, deletes, first)
	return j, err
}

// lookAgain leaves out what is not as the plan shows it any more, and gives the plan as it is then.
func (s *Store) lookAgain(ctx context.Context, tx pgx.Tx, snap Snapshot, plan string) (Plan, error) {
	for _, t := range snap.Tables {
		for _, op := range []string{"create", "update"} {
			if _, err := translateReferences(ctx, tx, t, plan, op); err != nil {
				return Plan{}, err
			}
		}
		if err := leaveOutChanged(ctx, tx, t, plan); err != nil {
			return Plan{}, err
		}
	}
	return s.planTx(ctx, tx, snap, plan)
}

// leaveOutChanged leaves out the items whose record no longer is what the plan shows.
func leaveOutChanged(ctx context.Context, tx pgx.Tx, t Table, plan string) error {
	completing := "(select u.fields from " + companion(t, "_publish_items") + " u where u.plan = o.plan and u.table_id = o.table_id and u.record = o.record and u.op = 'update')"
	_, err := tx.Exec(ctx, `update `+companion(t, "_publish_items")+` i set state = 'left_out', reason = case when r._id is null then 'gone'
			when r._conflict is not null then 'conflict' else 'changed' end
		from `+companion(t, "_publish_items")+` o left join `+dataTable(t)+` r on r._id = o.record
		where o.id = i.id and o.plan = $1 and o.table_id = $2 and o.state = 'planned' and (r._id is null or r._conflict is not null
			or o.op = 'create' and (r._state <> 1 or r._remote_id is not null or o.fields || coalesce(`+completing+`, '{}') is distinct from `+createFields(t)+`)
			or o.op = 'delete' and r._state <> 2 or o.op = 'update' and not (r._state = 1 and `+createdIn("o", companion(t, "_publish_items"))+`) and (r._state <> 0
				or exists (select 1 from jsonb_each(o.fields) e where (case e.key::int `+cellCases(t)+` end) is distinct from e.value -> 1
					or o.remote_id is not null and r._base -> e.key is distinct from e.value -> 0)))`, dynamic, plan, t.ID)
	if err != nil {
		return fmt.Errorf("leave out changed: %w", err)
	}
	return nil
}

func cellCases(t Table) string {
	var b strings.Builder
	for _, c := range t.Columns {
		b.WriteString(" when " + strconv.Itoa(c.Number) + " then " + canonicalExpr(c, "r"))
	}
	return b.String()
}

// RetryPlan makes planned and failed items ready again and starts a job for them, which also judges unknown ones once more.
// Records that changed since the plan was made are left out, as StartPublish does. Codes: NotFound, Forbidden, Conflict.
func (s *Store) RetryPlan(ctx context.Context, by core.Actor, snapshot, plan string) (Job, error) {
	if err := by.Require(core.Publisher); err != nil {
		return Job{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Job{}, err
	}
	if j, done, err := s.doneJob(ctx, by); err != nil || done {
		return j, err
	}
	var j Job
	err = s.tx(atPoint(ctx, "publish.retry"), by, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select 1 from `+ident(snap.Schema, "_plans")+` where id = $1 for update`, dynamic, plan); err != nil {
			return fmt.Errorf("lock plan: %w", err)
		}
		p, err := s.planTx(ctx, tx, snap, plan)
		if err != nil {
			return err
		}
		if p.State != "done" {
			return core.Errorf(core.Conflict, "This plan is not through yet.")
		}
		_, err = tx.Exec(ctx, `update `+ident(snap.Schema, "_publish_items")+` set state = 'planned', reason = '' where plan = $1 and state in ('failed', 'planned')`, dynamic, plan)
		if err != nil {
			return fmt.Errorf("retry: %w", err)
		}
		if p, err = s.lookAgain(ctx, tx, snap, plan); err != nil {
			return err
		}
		if p.Counts.Planned == 0 && p.Counts.Unknown == 0 {
			return core.Errorf(core.Conflict, "Nothing of this plan is left to send again: what failed was changed since. Make a new plan.")
		}
		if j, err = s.publishJobTx(ctx, tx, by, snap, p, p.Deletes, 0); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", j.ID)
	})
	if err == nil {
		s.Wake(ctx, j.ID)
	}
	return j, err
}
