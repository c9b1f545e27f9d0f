package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type planJSON struct {
	ID       string         `json:"id"`
	Snapshot string         `json:"snapshot"`
	Tables   []string       `json:"tables"`
	State    string         `json:"state" enum:"draft,publishing,done"`
	Who      string         `json:"who"`
	At       time.Time      `json:"at"`
	Reverts  *string        `json:"reverts"` // the plan of which it is the inverse
	Job      *string        `json:"job"`
	Counts   planCountsJSON `json:"counts"`
	Approval *approvalJSON  `json:"approval"` // where it stands; null in the result of a revert, whose plan nobody was asked about yet
}

// planCountsJSON counts a plan's records by operation, without those left out, and by state.
type planCountsJSON struct {
	Creates   int64 `json:"creates"`
	Updates   int64 `json:"updates"`
	Deletes   int64 `json:"deletes"`
	Planned   int64 `json:"planned"`
	Sending   int64 `json:"sending"`
	Published int64 `json:"published"`
	Failed    int64 `json:"failed"`
	Conflict  int64 `json:"conflict"`
	Unknown   int64 `json:"unknown"`
	LeftOut   int64 `json:"left_out"`
}

// orNull gives a text as a pointer, none for "".
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func planOut(p store.Plan) planJSON {
	c := p.Counts
	return planJSON{ID: p.ID, Snapshot: p.Snapshot, Tables: p.Tables, State: p.State, Who: p.Who, At: p.At, Reverts: orNull(p.Reverts), Job: orNull(p.Job),
		Counts: planCountsJSON{Creates: c.Creates, Updates: c.Updates, Deletes: c.Deletes, Planned: c.Planned, Sending: c.Sending, Published: c.Published,
			Failed: c.Failed, Conflict: c.Conflict, Unknown: c.Unknown, LeftOut: c.LeftOut}}
}

type planBody struct {
	Tables []string   `json:"tables"`
	Where  *whereBody `json:"where"`
}

func (s *Server) postPlan(c echo.Context) error {
	var body planBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var t store.Table
	if len(body.Tables) == 1 {
		var err error
		if t, err = s.store.TableByID(ctxOf(c), actor(c), store.TableRef{Snapshot: c.Param("snapshot"), Table: body.Tables[0]}); err != nil {
			return err
		}
	}
	w, err := body.Where.records(t)
	if err != nil {
		return err
	}
	p, err := s.store.MakePlan(ctxOf(c), actor(c), c.Param("snapshot"), body.Tables, w)
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusCreated, p)
}

func (s *Server) getPlan(c echo.Context) error {
	p, err := s.store.PlanByID(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusOK, p)
}

// itemJSON is a record of a plan. Its state is planned, sending, published, failed, conflict, unknown or left_out, with the reason.
type itemJSON struct {
	ID       string                   `json:"id"`
	Table    string                   `json:"table"`
	Record   int64                    `json:"record"`
	RemoteID *string                  `json:"remote_id"`
	Op       string                   `json:"op" enum:"create,update,delete"`
	State    string                   `json:"state" enum:"planned,sending,published,failed,conflict,unknown,left_out"`
	Reason   string                   `json:"reason"`
	Title    string                   `json:"title"`
	Fields   map[string]itemFieldJSON `json:"fields"`
	Receipt  *receiptJSON             `json:"receipt,omitempty"`
}

// itemFieldJSON is a field that is sent: what the service is expected to hold, and what it is to hold. Equal changes of a column
// have one group.
type itemFieldJSON struct {
	Base  json.RawMessage `json:"base"`
	Value json.RawMessage `json:"value"`
	Group string          `json:"group"`
}

// receiptJSON is what a write came to: what was read just before, what was sent, what the service holds now.
type receiptJSON struct {
	At     time.Time                  `json:"at"`
	Before map[string]json.RawMessage `json:"before"`
	Sent   map[string]json.RawMessage `json:"sent"`
	Stored map[string]json.RawMessage `json:"stored"`
	Words  string                     `json:"words"`
}

func (s *Server) listItems(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	form, err := formOf(c)
	if err != nil {
		return err
	}
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	f := store.ItemsFilter{Op: c.QueryParam("op"), State: c.QueryParam("state"), Table: c.QueryParam("table"), Group: c.QueryParam("group"), Limit: limit}
	if v := c.QueryParam("after"); v != "" {
		if f.After, err = itemID(v); err != nil {
			return badMark()
		}
	}
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	if _, err := s.store.PlanByID(ctx, by, sn.ID, c.Param("plan")); err != nil {
		return err
	}
	items, last, err := s.store.Items(ctx, by, sn.ID, c.Param("plan"), f)
	if err != nil {
		return err
	}
	var next *string
	if last != 0 {
		next = orNull(itemName(last))
	}
	byID := map[string]store.Table{}
	for _, t := range sn.Tables {
		byID[t.ID] = t
	}
	return answerList(c, items, next, func(it store.Item) itemJSON { return form.itemOut(byID[it.Table], it) })
}

func itemName(id int64) string { return "itm_" + strconv.FormatInt(id, 10) }

func (f valueForm) itemOut(t store.Table, it store.Item) itemJSON {
	out := itemJSON{ID: itemName(it.ID), Table: it.Table, Record: it.Record, RemoteID: orNull(it.RemoteID), Op: it.Op, State: it.State, Reason: it.Reason,
		Title: it.Title, Fields: map[string]itemFieldJSON{}}
	for n, field := range it.Fields {
		col, _ := t.Column(n)
		out.Fields[col.Slug] = itemFieldJSON{Base: f.canonical(col, field.Base), Value: f.canonical(col, field.Value), Group: it.Groups[n]}
	}
	if r := it.Receipt; r != nil {
		out.Receipt = &receiptJSON{At: r.At.UTC(), Before: f.bySlug(t, r.Before), Sent: f.bySlug(t, r.Sent), Stored: f.bySlug(t, r.Stored), Words: r.Words}
	}
	return out
}

// itemsBody takes items in or leaves them out; those given in where must all hold.
type itemsBody struct {
	Where    itemsWhereBody `json:"where"`
	Included *bool          `json:"included"`
}

type itemsWhereBody struct {
	IDs     []string `json:"ids"` // of items
	Records []int64  `json:"records"`
	Op      string   `json:"op" enum:"create,update,delete"`
	Table   string   `json:"table"`
	Group   string   `json:"group"`
	Filter  string   `json:"filter"` // over the table's records; "true" is every item
}

func (b itemsWhereBody) where() (store.ItemsWhere, error) {
	w := store.ItemsWhere{Op: b.Op, Table: b.Table, Records: b.Records, Group: b.Group, Filter: b.Filter}
	if b.IDs != nil {
		w.Items = []int64{} // an empty list chooses nothing
	}
	for i, v := range b.IDs {
		n, err := itemID(v)
		if err != nil {
			return w, core.FieldErrorf("/where/ids/"+itoa(i), "There is no item %s.", v)
		}
		w.Items = append(w.Items, n)
	}
	if w.Op == "" && w.Table == "" && w.Group == "" && w.Filter == "" && w.Items == nil && w.Records == nil {
		return w, core.FieldErrorf("/where", "Say which items: an empty “where” is refused. {\"filter\": \"true\"} is all of them.")
	}
	return w, nil
}

func (s *Server) patchItems(c echo.Context) error {
	var body itemsBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Included == nil {
		return core.FieldErrorf("/included", "Say whether they are included.")
	}
	w, err := body.Where.where()
	if err != nil {
		return err
	}
	p, err := s.store.TickItems(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), w, *body.Included)
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusOK, p)
}

type publishBody struct {
	Deletes bool `json:"deletes"`
	First   int  `json:"first"`
}

func (s *Server) postPublish(c echo.Context) error {
	var body publishBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.First < 0 {
		return core.FieldErrorf("/first", "first takes a number from 1.")
	}
	j, err := s.store.StartPublish(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), body.Deletes, body.First)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(j)})
}

func (s *Server) postRetry(c echo.Context) error {
	j, err := s.store.RetryPlan(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(j)})
}

type revertBody struct {
	Table string     `json:"table"` // whose columns "where" names
	Where *whereBody `json:"where"` // records and columns; none: the whole publish
}

func (s *Server) postRevert(c echo.Context) error {
	var body revertBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	part, err := s.partOf(c, body)
	if err != nil {
		return err
	}
	return s.do(c, store.Bulk{Kind: "revert", Plan: c.Param("plan"), Where: part}, func(res store.BulkResult) error {
		return c.JSON(http.StatusCreated, revertOut(store.Reverted{Plan: *res.Plan, Left: res.Left, MoreLeft: res.MoreLeft}))
	})
}

// partOf says which part of a publish is to be reverted.
func (s *Server) partOf(c echo.Context, body revertBody) (store.Where, error) {
	if body.Where == nil {
		return store.Where{}, nil
	}
	var t store.Table
	if body.Table != "" {
		var err error
		if t, err = s.store.TableByID(ctxOf(c), actor(c), store.TableRef{Snapshot: c.Param("snapshot"), Table: body.Table}); err != nil {
			return store.Where{}, err
		}
	}
	w, err := body.Where.where(t)
	if err != nil {
		return store.Where{}, err
	}
	part := store.Where{Records: w.Records, Columns: w.Columns}
	switch {
	case part.Records == nil && part.Columns == nil:
		return part, core.FieldErrorf("/where", "Say which records or columns; without a “where” the whole publish is reverted.")
	case w.Filter != "" || w.Batch != 0 || w.Group != "" || w.IDs != nil:
		return part, core.FieldErrorf("/where", "A part of a publish is chosen by records and columns.")
	}
	return part, nil
}

// revertedJSON is the inverse plan, with what was left out of it since it was changed meanwhile.
type revertedJSON struct {
	Plan     planJSON        `json:"plan"`
	Left     []store.Refusal `json:"left"`
	MoreLeft int64           `json:"more_left"`
}

func revertOut(r store.Reverted) revertedJSON {
	return revertedJSON{Plan: planOut(r.Plan), Left: append([]store.Refusal{}, r.Left...), MoreLeft: r.MoreLeft}
}

type settleItemBody struct {
	As       string `json:"as" enum:"published,not_sent"`
	RemoteID string `json:"remote_id"`
}

func (s *Server) postSettleItem(c echo.Context) error {
	var body settleItemBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	id, err := itemID(c.Param("item"))
	if err != nil {
		return err
	}
	if err := s.store.SettleItem(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), id, body.As, body.RemoteID); err != nil {
		return err
	}
	return s.getPlan(c)
}

type jobJSON struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	State      string          `json:"state" enum:"queued,running,waiting,done,failed,cancelled"`
	Label      string          `json:"label"`
	Snapshot   string          `json:"snapshot,omitempty"`
	WaitingFor string          `json:"waiting_for,omitempty"`
	Progress   store.Progress  `json:"progress"`
	Error      *store.JobError `json:"error"`
	Result     json.RawMessage `json:"result"`
	CreatedAt  time.Time       `json:"created_at"`
	StartedAt  *time.Time      `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
}

func jobOut(j store.Job) jobJSON {
	out := jobJSON{ID: j.ID, Kind: j.Kind, State: j.State, Label: j.Label, Snapshot: j.Snapshot, WaitingFor: j.WaitingFor, Progress: j.Progress, Error: j.Error, Result: jobResult(j),
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt}
	return out
}

func (s *Server) listJobs(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	jobs, err := s.store.Jobs(ctxOf(c), actor(c), store.JobsFilter{Snapshot: c.QueryParam("snapshot"), Open: c.QueryParam("open") == "true", After: c.QueryParam("after"), Limit: limit})
	if err != nil {
		return err
	}
	var next *string
	if len(jobs) == limit {
		next = &jobs[limit-1].ID
	}
	return answerList(c, jobs, next, jobOut)
}

func (s *Server) getJob(c echo.Context) error {
	j, err := s.store.JobByID(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}

func (s *Server) postCancel(c echo.Context) error {
	j, err := s.store.CancelJob(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}

func (s *Server) postContinue(c echo.Context) error {
	j, err := s.store.ContinueJob(ctxOf(c), actor(c), c.Param("job"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, jobOut(j))
}
