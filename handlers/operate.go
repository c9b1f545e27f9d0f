package handlers

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/views"
)

// operateRoutes lists the operator's addresses.
func (s *Server) operateRoutes(e *echo.Echo) {
	e.GET("/operate", s.showOperate)
	e.GET("/operate/sizes", s.showSizes)
	e.GET("/operate/queries", s.showQueries)
	e.GET("/operate/switches", s.showSwitches)
	e.POST("/operate/switches/:organization", s.setSwitches)
}

// operates says whether somebody may operate the app: the one person of an app where nobody signs in, else whose e-mail address is
// in ADMINS. An admin of an organization is none by that.
func (s *Server) operates(ctx context.Context, by core.Actor) (bool, error) {
	if by.Operator || by.Kind != core.KindPerson || len(s.config.Admins) == 0 {
		return by.Operator, nil
	}
	email, err := s.store.EmailOf(ctx, by.Person)
	return err == nil && s.isOperators(email), err
}

// isOperators says whether an e-mail address is an operator's.
func (s *Server) isOperators(email string) bool {
	return email != "" && slices.ContainsFunc(s.config.Admins, func(a string) bool { return strings.EqualFold(a, email) })
}

// operatorsOnly refuses what would make somebody else an operator: a link that opens the account of an operator's address. Codes: Forbidden.
func (s *Server) operatorsOnly(c echo.Context, email string) error {
	if !s.isOperators(strings.TrimSpace(email)) {
		return nil
	}
	if ok, err := s.operates(ctxOf(c), actor(c)); err != nil || ok {
		return err
	}
	return core.FieldErrorf("/email", "This is the address of an operator of the app: only an operator makes links for it.")
}

const (
	failedShown     = 20
	sizesPage       = 50
	slowShown       = 25
	activitiesShown = 50
	switchesPage    = 50
	// late is how late something may be before the operator is told so: a sweep and some.
	late = 30 * time.Second
)

// showOperate is the operator's first page. What does not answer is said on it, and the rest is shown.
func (s *Server) showOperate(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	v := views.OperateView{}
	h, err := s.store.DatabaseHealth(ctx, by)
	if err != nil {
		return err
	}
	v.Health = append(v.Health, views.HealthLine{Name: "PostgreSQL", Well: h.Connections < h.MostConnections*9/10, Words: fmt.Sprintf("%s · answers in %s · %d of %d connections · %s · since %s · schema %d",
		h.Version, shortly(h.Took), h.Connections, h.MostConnections, views.Gigabytes(h.Bytes), h.StartedAt.UTC().Format("2 Jan 15:04 UTC"), h.Migration)})
	s.fillQueues(ctx, &v)
	v.Health = append(v.Health, views.HealthLine{Name: "App", Well: true, Words: strings.TrimPrefix(s.config.Version+" · ", " · ") + runtime.Version() + " · " + strconv.Itoa(s.hub.Streams()) + " event streams at this process"})
	if err := s.fillJobs(ctx, by, &v); err != nil {
		return err
	}
	p, err := s.page(c, "Operating", "operate")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Operate(p, v))
}

// shortly writes how long something took.
func shortly(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func (s *Server) fillQueues(ctx context.Context, v *views.OperateView) {
	if s.queues == nil {
		v.QueueDown = "This process does not know the queues."
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	q, err := s.queues(ctx)
	if err != nil {
		v.QueueDown = core.SentenceOf(err)
		v.Health = append(v.Health, views.HealthLine{Name: "Redis", Words: v.QueueDown})
		return
	}
	v.Queues, v.Processes = q.Queues, q.Processes
	v.Health = append(v.Health, views.HealthLine{Name: "Redis", Well: true, Words: strings.TrimPrefix(q.Redis+" · ", " · ") + "answers in " + shortly(q.Took)},
		views.HealthLine{Name: "Workers", Well: len(q.Processes) > 0, Words: views.Counted(int64(len(q.Processes)), "process takes", "processes take") + " up jobs"})
}

func (s *Server) fillJobs(ctx context.Context, by core.Actor, v *views.OperateView) error {
	f, err := s.store.JobFigures(ctx, by)
	if err != nil {
		return err
	}
	failed, err := s.store.FailedJobs(ctx, by, failedShown)
	if err != nil {
		return err
	}
	v.Open, v.Ended = f.Open, f.Ended
	for _, j := range failed {
		v.Failed = append(v.Failed, views.FailedJobLine{ID: j.ID, Org: j.OrgName, Kind: j.Kind, Code: j.Code, At: j.At})
	}
	for _, n := range []struct {
		by   time.Duration
		what string
	}{{f.Behind, "The sweeper is late: a job has been due for %s without having been handed to a worker."}, {f.Missed, "A snapshot should have been refreshed by itself %s ago."},
		{f.Untold, "A webhook should have been told something %s ago."}} {
		if n.by > late {
			v.Notes = append(v.Notes, fmt.Sprintf(n.what, views.Span(n.by)))
		}
	}
	v.Health = append(v.Health, views.HealthLine{Name: "Jobs", Well: len(v.Notes) == 0, Words: fmt.Sprintf("%s due now, sweeper %s behind · %s waiting",
		views.Counted(f.Due, "job", "jobs"), shortly(max(f.Behind, 0)), views.Counted(f.Telling, "delivery of a webhook", "deliveries of webhooks"))})
	return nil
}

// showSizes lists what takes up room, largest first, a page at a time.
func (s *Server) showSizes(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	after, err := numberParam(c, "after")
	if err != nil {
		return err
	}
	v, read := views.SizesView{By: "snapshots"}, s.store.SnapshotSizes
	if c.QueryParam("by") == "organizations" {
		v.By, read = "organizations", s.store.OrganizationSizes
	}
	list, err := read(ctx, by, int(after), sizesPage)
	if err != nil {
		return err
	}
	h, err := s.store.DatabaseHealth(ctx, by)
	if err != nil {
		return err
	}
	v.Total = views.Gigabytes(h.Bytes)
	for _, z := range list {
		v.Lines = append(v.Lines, views.SizeLine{ID: z.ID, Name: z.Name, Org: z.OrgName, Snapshots: z.Snapshots, Records: z.Records, Bytes: z.Bytes})
	}
	if len(list) == sizesPage {
		v.More = fmt.Sprintf("/operate/sizes?by=%s&after=%d", v.By, after+sizesPage)
	}
	p, err := s.page(c, "Sizes", "operate")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Sizes(p, v))
}

// showQueries shows what the database does now, and what took longest in all.
func (s *Server) showQueries(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	slow, kept, err := s.store.SlowStatements(ctx, by, slowShown)
	if err != nil {
		return err
	}
	now, err := s.store.Activities(ctx, by, activitiesShown)
	if err != nil {
		return err
	}
	v := views.QueriesView{Kept: kept, Local: s.config.LocalDatabase}
	for _, q := range slow {
		v.Slow = append(v.Slow, views.QueryLine{Query: q.Query, Calls: q.Calls, Rows: q.Rows, Mean: q.Mean, Max: q.Max, Total: q.Total})
	}
	for _, a := range now {
		v.Now = append(v.Now, views.ActivityLine{Process: a.Process, State: a.State, Waits: a.Waits, Query: a.Query, For: a.For})
	}
	p, err := s.page(c, "Queries", "operate")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Queries(p, v))
}

func (s *Server) showSwitches(c echo.Context) error {
	after, err := numberParam(c, "after")
	if err != nil {
		return err
	}
	list, err := s.store.AllOrganizations(ctxOf(c), actor(c), int(after), switchesPage)
	if err != nil {
		return err
	}
	v := views.SwitchesView{}
	for _, o := range list {
		v.Lines = append(v.Lines, views.SwitchLine(o))
	}
	if len(list) == switchesPage {
		v.More = fmt.Sprintf("/operate/switches?after=%d", after+switchesPage)
	}
	p, err := s.page(c, "Switches", "operate")
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.OperateSwitches(p, v))
}

// setSwitches says what is on in an organization.
func (s *Server) setSwitches(c echo.Context) error {
	if err := form(c, "on"); err != nil {
		return err
	}
	var on []core.Switch
	for _, name := range c.Request().PostForm["on"] {
		on = append(on, core.Switch(name))
	}
	if err := s.store.SetSwitches(ctxOf(c), actor(c), c.Param("organization"), on); err != nil {
		return err
	}
	s.switches.forget(c.Param("organization"))
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved. It holds at once; what is on a page that is open goes when it is loaded again."})
	return see(c, "/operate/switches")
}
