package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// defaultBulkCells is how many cells a command changes while somebody waits; one over more is a job.
const defaultBulkCells = 50_000

// bulkKinds are the commands that a job can carry; a job's kind is the command's.
var bulkKinds = []string{"accept", "reject", "undo", "redo", "transform", "set", "delete", "settle", "revert"}

// BulkKinds gives the kinds of the jobs that carry a command.
func BulkKinds() []string { return slices.Clone(bulkKinds) }

// Bulk is a command over any number of cells, in the form that a job carries.
type Bulk struct {
	Kind    string                  `json:"kind"`            // accept, reject, undo, redo, transform, set, delete, settle, revert
	Table   string                  `json:"table,omitempty"` // not of a revert
	Where   Where                   `json:"where,omitzero"`
	Replace Replace                 `json:"replace,omitzero"` // transform
	Values  map[int]json.RawMessage `json:"values,omitempty"` // set: canonical, by column number
	Options ChangeOptions           `json:"options,omitzero"` // set, delete
	As      string                  `json:"as,omitempty"`     // settle: mine or theirs
	Batch   int64                   `json:"batch,omitempty"`  // undo, redo
	Plan    string                  `json:"plan,omitempty"`   // revert
}

// BulkResult is what a command did.
type BulkResult struct {
	BatchResult
	Plan *Plan `json:"plan,omitempty"` // revert: the inverse plan
}

// SetValues keeps values by column number in the form that a job carries.
func (b *Bulk) SetValues(t Table, values map[int]core.Value) {
	b.Values = make(map[int]json.RawMessage, len(values))
	for n, v := range values {
		c, _ := t.Column(n)
		b.Values[n] = v.Canonical(c.Type)
	}
}

func (b Bulk) values(t Table) (map[int]core.Value, error) {
	out := make(map[int]core.Value, len(b.Values))
	for n, raw := range b.Values {
		c, _ := t.Column(n)
		v, err := core.FromCanonical(c.Type, raw)
		if err != nil {
			return nil, fmt.Errorf("value of column %d: %w", n, err)
		}
		out[n] = v
	}
	return out, nil
}

// IsBulk says whether a job carries a command over many cells.
func (j Job) IsBulk() bool { return slices.Contains(bulkKinds, j.Kind) }

// BulkResult gives what a command did that a job carried; ok is false while it is not done.
func (j Job) BulkResult() (res BulkResult, ok bool) {
	if !j.IsBulk() || j.Result == nil {
		return res, false
	}
	return res, json.Unmarshal(j.Result, &res) == nil
}

// Do runs a command at once when it changes at most 50,000 cells. A larger one becomes a job, which is given instead.
// Codes: those of the command.
func (s *Store) Do(ctx context.Context, by core.Actor, snapshot string, b Bulk) (BulkResult, *Job, error) {
	if res, j, done, err := s.didBefore(ctx, by); err != nil || done {
		return res, j, err
	}
	large, err := s.large(ctx, by, snapshot, &b)
	if err != nil {
		return BulkResult{}, nil, err
	}
	if !large {
		res, err := s.run(ctx, by, snapshot, b, nil)
		return res, nil, err
	}
	j, err := s.DoLater(ctx, by, snapshot, b)
	return BulkResult{}, &j, err
}

// didBefore gives what an earlier try of the request did: the command, or the job that carries it.
func (s *Store) didBefore(ctx context.Context, by core.Actor) (res BulkResult, j *Job, done bool, err error) {
	if done, err = doneBefore(ctx, "batch", &res.BatchResult); err != nil || done {
		return res, nil, done, err
	}
	if done, err = doneBefore(ctx, "revert", &res); err != nil || done {
		return res, nil, done, err
	}
	job, done, err := s.doneJob(ctx, by)
	return res, &job, done, err
}

// run does a command. Both ways come through here, so that a job changes exactly what a waiting person's command does.
func (s *Store) run(ctx context.Context, by core.Actor, snapshot string, b Bulk, h *hold) (res BulkResult, err error) {
	ref := TableRef{snapshot, b.Table}
	switch b.Kind {
	case "accept":
		res.BatchResult, err = s.acceptSuggestions(ctx, by, ref, b.Where, h)
	case "reject":
		res.BatchResult, err = s.rejectSuggestions(ctx, by, ref, b.Where, h)
	case "undo", "redo":
		res.BatchResult, err = s.undoBatch(ctx, by, snapshot, b.Batch, h)
	case "transform":
		res.BatchResult, err = s.suggestReplace(ctx, by, ref, b.Where, b.Replace, h)
	case "set":
		res.BatchResult, err = s.runSet(ctx, by, ref, b, h)
	case "delete":
		res.BatchResult, err = s.deleteRecordsWhere(ctx, by, ref, b.Where, b.Options, h)
	case "settle":
		res.BatchResult, err = s.settleConflicts(ctx, by, ref, b.Where, b.As, h)
	case "revert":
		res, err = s.revert(ctx, by, snapshot, b.Plan, b.Where, h)
	default:
		err = core.Errorf(core.Internal, "There is no command %s.", b.Kind)
	}
	return res, err
}

func (s *Store) runSet(ctx context.Context, by core.Actor, ref TableRef, b Bulk, h *hold) (BatchResult, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return BatchResult{}, err
	}
	values, err := b.values(t)
	if err != nil {
		return BatchResult{}, err
	}
	return s.fillWhere(ctx, by, ref, b.Where, values, b.Options, h)
}

// DoLater makes a job of a command, whatever its size. Codes: NotFound, Forbidden, Invalid, Conflict (the order is gone).
func (s *Store) DoLater(ctx context.Context, by core.Actor, snapshot string, b Bulk) (Job, error) {
	if err := mayChange(by, b.Kind, b.leastRole()); err != nil {
		return Job{}, err
	}
	if j, done, err := s.doneJob(ctx, by); err != nil || done {
		return j, err
	}
	label, err := s.bulkLabel(ctx, by, snapshot, &b)
	if err != nil {
		return Job{}, err
	}
	var j Job
	err = s.tx(atPoint(ctx, "bulk.start"), by, func(tx pgx.Tx) error {
		id := core.NewID("job")
		c := b
		ids, err := s.detach(ctx, by, TableRef{snapshot, b.Table}, &c, id)
		if err != nil {
			return err
		}
		args, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("job args: %w", err)
		}
		j, err = s.enqueueAs(ctx, tx, by, id, NewJob{Kind: c.Kind, Queue: "interactive", Snapshot: snapshot, Label: label, Args: args})
		if err != nil {
			return err
		}
		if err := keepChosenTx(ctx, tx, by, id, ids); err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", j.ID)
	})
	if err != nil {
		return Job{}, err
	}
	s.Wake(ctx, j.ID)
	s.hintJob(ctx, j)
	return j, nil
}

// leastRole gives the role that a command needs.
func (b Bulk) leastRole() core.Role {
	if b.Kind == "transform" || b.Options.Suggest && (b.Kind == "set" || b.Kind == "delete") {
		return core.Suggester
	}
	return core.Editor
}

// bulkLabel says what a command's job is called, after the command has been looked over.
func (s *Store) bulkLabel(ctx context.Context, by core.Actor, snapshot string, b *Bulk) (string, error) {
	if b.Kind == "revert" {
		_, _, err := s.revertible(ctx, by, snapshot, b.Plan)
		return "Revert a publish", err
	}
	if b.Batch != 0 && (b.Kind == "undo" || b.Kind == "redo") {
		old, err := s.BatchByID(ctx, by, snapshot, b.Batch)
		if err != nil {
			return "", err
		}
		b.Table = old.Table
		kind, label := undoNames(old)
		b.Kind = kind
		return label, nil
	}
	t, err := s.TableByID(ctx, by, TableRef{snapshot, b.Table})
	if err != nil {
		return "", err
	}
	if b.Kind == "transform" {
		if _, err := b.Replace.check(t); err != nil {
			return "", err
		}
	} else if b.Where.Empty() {
		return "", core.FieldErrorf("/where", "Say what: an empty “where” is refused. {\"filter\": \"true\"} is everything.")
	}
	return b.label() + " in " + t.Title, nil
}

func (b Bulk) label() string {
	switch b.Kind {
	case "accept":
		return "Accept suggestions"
	case "reject":
		return "Reject suggestions"
	case "transform":
		return b.Replace.label()
	case "set":
		return orText(b.Options.Label, "Fill")
	case "delete":
		return orText(b.Options.Label, "Delete records")
	}
	return settleLabel(b.As)
}

// detach takes the records that a command names one by one out of it, so that they can be kept beside its job.
func (s *Store) detach(ctx context.Context, by core.Actor, ref TableRef, b *Bulk, job string) ([]int64, error) {
	if b.Kind == "revert" {
		return nil, nil // its records are those of a plan
	}
	ids, given, err := s.listed(ctx, by, Table{ID: ref.Table, Snapshot: ref.Snapshot}, b.Where)
	if err != nil || len(ids) <= fewIDs && b.Where.Ranges == nil {
		return nil, err
	}
	if given {
		b.Where.Records, b.Where.Ranges, b.Where.Order, b.Where.Chosen = nil, nil, "", job
		if len(ids) == 0 {
			b.Where.Records, b.Where.Chosen = []int64{}, ""
		}
	}
	return ids, nil
}

// hold ties a transaction to the job that it is done for.
type hold struct {
	job  *Job
	told func(point string, done, total int64) // says how far it is; tests end the process at named points
}

// bulkState is the checkpoint of a job that carries a command: it is written by the transaction that does it.
type bulkState struct {
	Done   bool       `json:"done,omitempty"`
	Result BulkResult `json:"result,omitzero"`
}

// holdLockTimeout is how long a job waits for a table at a time; a worker is not to be held by a wait.
const holdLockTimeout = "5s"

// begin sets what a job's transaction needs; of none it does nothing.
func (h *hold) begin(ctx context.Context, tx pgx.Tx) error {
	if h == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, "set local lock_timeout = '"+holdLockTimeout+"'; set local statement_timeout = 0"); err != nil {
		return fmt.Errorf("lock timeout: %w", err)
	}
	return nil
}

// tell says how far a batch is: done of total cells; total 0 is unknown.
func (b *batchTxn) tell(point string, done, total int64) {
	if b.hold != nil {
		b.hold.told(point, done, total)
	}
}

// end lets the transaction commit only while the job is held: the job's row is checked and stays locked until the commit, and
// says from then on that the command is done. Codes: Conflict (ErrLeaseLost).
func (h *hold) end(ctx context.Context, s *Store, tx pgx.Tx, res BulkResult) error {
	h.told("applied", res.Cells, res.Cells)
	if err := s.CheckpointTx(ctx, tx, h.job, bulkState{Done: true, Result: res}); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from job_records where org_id = $1 and job_id = $2`, h.job.Org, h.job.ID); err != nil {
		return fmt.Errorf("drop chosen records: %w", err)
	}
	return nil
}

// RunBulk does the command of a job that is held, in one transaction, exactly once however often the job is taken up. told
// hears how far it is. Codes: those of the command, Busy (the table is held by somebody else), Conflict (ErrLeaseLost).
func (s *Store) RunBulk(ctx context.Context, j *Job, told func(point string, done, total int64)) (BulkResult, error) {
	var b Bulk
	if err := json.Unmarshal(j.Args, &b); err != nil {
		return BulkResult{}, fmt.Errorf("job args: %w", err)
	}
	if res, done, err := bulkDone(j.Checkpoint); done || err != nil {
		return res, err
	}
	return s.run(ctx, j.Actor(), j.Snapshot, b, &hold{job: j, told: told})
}

func bulkDone(checkpoint json.RawMessage) (BulkResult, bool, error) {
	var st bulkState
	if err := json.Unmarshal(checkpoint, &st); err != nil {
		return BulkResult{}, false, fmt.Errorf("checkpoint: %w", err)
	}
	return st.Result, st.Done, nil
}

// BulkOutcome says whether the command of a job was done, after its transaction broke off and nobody knows whether it
// was committed. It waits for a commit that is under way.
func (s *Store) BulkOutcome(ctx context.Context, j *Job) (BulkResult, bool, error) {
	var raw []byte
	err := s.pool.QueryRow(ctx, `select checkpoint from jobs where org_id = $1 and id = $2 for share`, j.Org, j.ID).Scan(&raw)
	if err != nil {
		return BulkResult{}, false, mapError(err)
	}
	return bulkDone(raw)
}

// whoHolds names, when a table is busy, the job that holds it.
func (s *Store) whoHolds(ctx context.Context, by core.Actor, ref TableRef, err error) error {
	var busy *core.Error
	if !errors.As(err, &busy) || busy.Code != core.Busy {
		return err
	}
	j, ok, lookErr := s.TableJob(ctx, by, ref)
	if lookErr != nil || !ok {
		return err
	}
	return &core.Error{Code: core.Busy, RetryAfter: 2, Cause: err,
		Sentence: fmt.Sprintf("This table is busy: “%s”, by %s. Nothing was changed; try again when that has ended.", j.Label, j.PersonName)}
}

// TableJob gives the command that is being done to a table as a job, or waits for its turn; the running one first.
func (s *Store) TableJob(ctx context.Context, by core.Actor, ref TableRef) (Job, bool, error) {
	return s.bulkJob(ctx, `snapshot_id = $3 and (args ->> 'table' = $4 or kind = 'revert')`, by.Org, bulkKinds, ref.Snapshot, ref.Table)
}

// bulkJob gives the first open job that carries a command and meets a condition; running ones first.
func (s *Store) bulkJob(ctx context.Context, cond string, args ...any) (Job, bool, error) {
	j, err := s.oneJob(ctx, s.pool, `select `+jobColumns+` from jobs where org_id = $1 and kind = any($2) and state in ('queued', 'running', 'waiting')
		and `+cond+` order by state <> 'running', created_at limit 1`, args...)
	if core.CodeOf(err) == core.NotFound {
		return Job{}, false, nil
	}
	return j, err == nil, err
}

// DropEndedLists forgets the records that were kept for jobs that have ended.
func (s *Store) DropEndedLists(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `/* every organization: it is the program's own housekeeping */
		delete from job_records l using jobs j where j.org_id = l.org_id and j.id = l.job_id
		and j.state in ('done', 'failed', 'cancelled')`)
	return mapError(err)
}
