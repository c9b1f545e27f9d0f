package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
	"scratchpaper/views"
)

// jobsShown is how many jobs that have ended one page lists.
const jobsShown = 50

func (s *Server) showJobs(c echo.Context) error {
	v, err := s.jobsView(c)
	if err != nil {
		return err
	}
	p, err := s.page(c, "Jobs", "jobs")
	if err != nil {
		return err
	}
	if len(v.Open) > 0 {
		p.Refresh = 3
	}
	return s.render(c, http.StatusOK, views.Jobs(p, v))
}

func (s *Server) showJobsList(c echo.Context) error {
	v, err := s.jobsView(c)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.JobsList(v))
}

func (s *Server) showJobsNow(c echo.Context) error {
	open, err := s.store.Jobs(c.Request().Context(), actor(c), store.JobsFilter{Open: true, Limit: 100})
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.JobsIndicator(jobsNow(open)))
}

func (s *Server) jobsView(c echo.Context) (views.JobsView, error) {
	ctx, by, after := c.Request().Context(), actor(c), c.QueryParam("after")
	v := views.JobsView{Old: after != ""}
	open, err := s.store.Jobs(ctx, by, store.JobsFilter{Open: true, Limit: 500})
	if err != nil {
		return v, err
	}
	if !v.Old {
		if v.Waiting, err = s.waitingLines(c); err != nil {
			return v, err
		}
		for _, j := range open {
			v.Open = append(v.Open, jobLine(j))
		}
	}
	all, err := s.store.Jobs(ctx, by, store.JobsFilter{After: after, Limit: jobsShown + 1})
	if err != nil {
		return v, err
	}
	if len(all) > jobsShown {
		all = all[:jobsShown]
		v.More = "/jobs?after=" + url.QueryEscape(all[jobsShown-1].ID)
	}
	for _, j := range all {
		if j.Ended() {
			v.Past = append(v.Past, jobLine(j))
		}
	}
	return v, nil
}

func jobLine(j store.Job) views.JobLine {
	line := views.JobLine{
		ID: j.ID, Kind: j.Kind, State: j.State, Label: j.Label, Who: j.PersonName, Snapshot: j.Snapshot, Done: j.Progress.Done, Total: j.Progress.Total,
		Rate: j.Progress.Rate, Failed: j.Progress.Failed, WaitingFor: j.WaitingFor, Until: j.NotBefore, Started: j.StartedAt, Finished: j.FinishedAt,
		Created: j.CreatedAt, Stopping: j.CancelAsked,
	}
	if j.Error != nil {
		line.Error = j.Error.Sentence
	}
	if j.Kind == "publish" && j.Ended() {
		var res struct{ Failed, Conflict, Unknown, Planned int64 }
		_ = json.Unmarshal(j.Result, &res) // what is not there stays 0
		line.Missed = res.Failed + res.Conflict + res.Unknown + res.Planned
	}
	return line
}

// showJob is the page of one job; a script gets its numbers, and what it has done.
func (s *Server) showJob(c echo.Context) error {
	if wantsJSON(c) {
		j, err := s.store.JobByID(ctxOf(c), actor(c), c.Param("job"))
		if err != nil {
			return err
		}
		return s.answerJob(c, j)
	}
	v, sn, err := s.jobView(c)
	if err != nil {
		return err
	}
	p, err := s.page(c, v.Title, "jobs")
	if err != nil {
		return err
	}
	if sn != nil {
		p.Snapshot = &views.SnapshotLink{ID: sn.ID, Name: sn.Name}
	}
	if v.Job.Open() {
		p.Refresh = 2
	}
	return s.render(c, http.StatusOK, views.Job(p, v))
}

func (s *Server) showJobPanel(c echo.Context) error {
	v, _, err := s.jobView(c)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.JobPanel(v))
}

// jobView gathers a job with what it works on; the snapshot may be gone.
func (s *Server) jobView(c echo.Context) (views.JobView, *store.Snapshot, error) {
	ctx, by := c.Request().Context(), actor(c)
	j, err := s.store.JobByID(ctx, by, c.Param("job"))
	if err != nil {
		return views.JobView{}, nil, err
	}
	v := views.JobView{Job: jobLine(j), Title: jobTitle(j)}
	if j.Snapshot == "" {
		return v, nil, nil
	}
	sn, err := s.store.SnapshotByID(ctx, by, j.Snapshot)
	if core.CodeOf(err) == core.NotFound {
		return v, nil, nil
	}
	if err != nil {
		return v, nil, err
	}
	fillJob(&v, j, sn)
	return v, &sn, nil
}

func fillJob(v *views.JobView, j store.Job, sn store.Snapshot) {
	address := "/snapshots/" + sn.ID
	v.Back = views.Link{Text: "Open " + sn.Name, Address: address}
	for _, t := range j.Progress.Tables {
		v.Tables = append(v.Tables, views.TableLine{
			ID: t.ID, Title: t.Title, Address: address + "/tables/" + t.ID, Done: t.Done, Total: t.Total, Rate: t.Rate, State: t.State,
		})
	}
	if plan := jobPlan(j); plan != "" {
		v.Back = views.Link{Text: "Open the plan", Address: address + "/plans/" + plan}
	}
	if t, ok := tableIn(sn, []string{jobTable(j)}); ok && j.IsBulk() {
		v.Back = views.Link{Text: "Open " + t.Title, Address: address + "/tables/" + t.ID}
	}
	if j.Kind == "refresh" && j.Ended() {
		v.Summary = summaryOf(j, address)
	}
	if j.Kind == "import" && j.Ended() {
		v.Skipped = misfitsOf(j)
	}
	if j.State == "waiting" && j.WaitingFor == "person" {
		v.Ask = askOf(j)
	}
}

// jobTitle says what a job does, or did.
func jobTitle(j store.Job) string {
	if j.Ended() {
		return j.Label
	}
	for from, to := range map[string]string{"Download ": "Downloading ", "Refresh ": "Refreshing ", "Publish ": "Publishing ", "Import ": "Importing "} {
		if rest, ok := strings.CutPrefix(j.Label, from); ok {
			return to + rest
		}
	}
	return j.Label
}

// jobPlan gives the plan that a job publishes, or of a revert the one that it has made.
func jobPlan(j store.Job) string {
	if res, ok := j.BulkResult(); ok && res.Plan != nil {
		return res.Plan.ID
	}
	return jobArgs(j).Plan
}

func jobTable(j store.Job) string { return jobArgs(j).Table }

// jobArgs are those arguments of jobs that say what page a job belongs to.
func jobArgs(j store.Job) (args struct {
	Plan  string `json:"plan"`
	Table string `json:"table"`
}) {
	_ = json.Unmarshal(j.Args, &args) // what is not there stays ""
	return args
}

// refreshResult is what a refresh leaves as its result, and what it asks.
type refreshResult struct {
	Question string `json:"question"`
	Tables   []struct {
		ID        string `json:"id"`
		Title     string `json:"title"`
		New       int64  `json:"new"`
		Changed   int64  `json:"changed"`
		Deleted   int64  `json:"deleted"`
		Conflicts int64  `json:"conflicts"`
		Schema    int    `json:"schema"`
	} `json:"tables"`
}

func summaryOf(j store.Job, address string) []views.SumLine {
	var res refreshResult
	if json.Unmarshal(j.Result, &res) != nil {
		return nil
	}
	out := make([]views.SumLine, len(res.Tables))
	for i, t := range res.Tables {
		out[i] = views.SumLine{Title: t.Title, Address: address + "/tables/" + t.ID, New: t.New, Changed: t.Changed, Deleted: t.Deleted, Conflicts: t.Conflicts, Schema: t.Schema}
	}
	return out
}

// misfitsOf lists what an import could not take as it stood in the file.
func misfitsOf(j store.Job) []string {
	var res struct {
		Misfits int64 `json:"misfits"`
		First   []struct {
			Line   int64  `json:"line"`
			Column string `json:"column"`
			Reason string `json:"reason"`
		} `json:"first"`
		Report csvfile.Report `json:"report"`
	}
	if json.Unmarshal(j.Result, &res) != nil {
		return nil
	}
	out := reportNotes(res.Report)
	for _, m := range res.First {
		out = append(out, fmt.Sprintf("Line %s, %s: %s It is left empty.", views.Number(m.Line), m.Column, m.Reason))
	}
	if more := res.Misfits - int64(len(res.First)); more > 0 {
		out = append(out, views.Counted(more, "more value does not fit.", "more values do not fit."))
	}
	return out
}

// askOf is the question of a job that waits for a person.
func askOf(j store.Job) string {
	var res refreshResult
	_ = json.Unmarshal(j.Result, &res) // without a question of its own the kind's is asked
	switch {
	case res.Question != "":
		return res.Question
	case j.Error != nil && j.Error.Sentence != "":
		return j.Error.Sentence
	case j.Kind == "refresh":
		return "This refresh would remove more than a tenth of a table. Look at the service first; then let it go on, or cancel."
	case j.Kind == "publish":
		return "The first records are published. Look at them at the service; then let it go on, or cancel."
	}
	return "This job waits for you."
}

// cancelJob asks a job to stop.
func (s *Server) cancelJob(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if _, err := s.store.CancelJob(c.Request().Context(), actor(c), c.Param("job")); err != nil && core.CodeOf(err) != core.Conflict {
		return err // one that has ended meanwhile is shown as it is
	}
	return s.afterJob(c)
}

// continueJob lets a job go on that waits for a person.
func (s *Server) continueJob(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if _, err := s.store.ContinueJob(c.Request().Context(), actor(c), c.Param("job")); err != nil {
		return err
	}
	return s.afterJob(c)
}

func (s *Server) afterJob(c echo.Context) error {
	if partial(c) {
		return s.showJobPanel(c)
	}
	if back := c.FormValue("back"); back != "" {
		return see(c, back)
	}
	return see(c, "/jobs/"+c.Param("job"))
}
