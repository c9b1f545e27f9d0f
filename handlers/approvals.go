package handlers

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// approvalRoutes lists the addresses of the second person's approval and of the organization's settings.
func (s *Server) approvalRoutes(e *echo.Echo) {
	e.POST(plan+"/approval", s.askApproval)
	e.POST(plan+"/approval/approve", s.approvePlan)
	e.POST(plan+"/approval/return", s.sendBackPlan)
	e.POST(plan+"/approval/withdraw", s.takeBackApproval)
	e.GET("/approvals/decisions", s.showDecisions)
	e.POST("/approvals/told", s.closeDecision)
	e.POST("/organization/settings", s.changeSettings)
}

func (s *Server) askApproval(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	deletes, err := formBool(c, "deletes")
	if err != nil {
		return err
	}
	_, err = s.store.AskApproval(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), deletes)
	return s.toPlan(c, err, "Asked. A publisher or admin finds it under Jobs; nothing is sent before they approve.")
}

func (s *Server) approvePlan(c echo.Context) error {
	_, err := s.store.Approve(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	return s.toPlan(c, err, "Approved. It can be published now.")
}

func (s *Server) sendBackPlan(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	_, err := s.store.SendBack(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), c.FormValue("note"))
	return s.toPlan(c, err, "Sent back. The plan can be changed and asked about again.")
}

func (s *Server) takeBackApproval(c echo.Context) error {
	_, err := s.store.TakeBackApproval(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	return s.toPlan(c, err, "Taken back. The plan can be changed and asked about again.")
}

// toPlan leads back to the plan with words on what was done, or with the error.
func (s *Server) toPlan(c echo.Context, err error, done string) error {
	if err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: done})
	return see(c, planAddress(c.Param("snapshot"), c.Param("plan")))
}

// secondView is where a plan stands for who looks at it; nil where no second person is needed.
func (s *Server) secondView(c echo.Context, p store.Plan) (*views.SecondView, error) {
	ctx, by := ctxOf(c), actor(c)
	o, err := s.store.OrganizationSettings(ctx, by)
	if err != nil {
		return nil, err
	}
	a, err := s.store.ApprovalOf(ctx, by, p)
	if err != nil || !o.SecondPerson && !a.Holds() {
		return nil, err
	}
	v := &views.SecondView{Needed: o.SecondPerson, State: a.State, Deletes: a.Deletes, Authors: a.AuthorNames, AskedBy: a.AskedWho, AskedAt: a.AskedAt, DecidedBy: a.DecidedWho, Note: a.Note,
		MayAsk: by.May(core.Edit) == nil, MaySendBack: by.May(core.Approve) == nil, MayApprove: a.MayDecide(by) == nil, Author: slices.Contains(a.Authors, by.Person)}
	if a.DecidedAt != nil {
		v.DecidedAt = *a.DecidedAt
		if err := s.store.Told(ctx, by, p.ID); err != nil { // who looks at the plan sees what was decided
			return nil, err
		}
	}
	return v, nil
}

// showDecisions is what others decided of what one asked for, for the corner of every page.
func (s *Server) showDecisions(c echo.Context) error {
	lines, err := s.decisionLines(c)
	if err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.Decisions(lines, "/"))
}

// closeDecision takes a decision away that one has read.
func (s *Server) closeDecision(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.store.Told(ctxOf(c), actor(c), c.FormValue("plan")); err != nil {
		return err
	}
	if byHTMX(c) {
		return s.showDecisions(c)
	}
	return see(c, c.FormValue("back"))
}

// decisionLines are the decisions that one has not been told of yet, but for that of the plan that is shown.
func (s *Server) decisionLines(c echo.Context) ([]views.DecisionLine, error) {
	all, err := s.store.Decisions(ctxOf(c), actor(c))
	if err != nil {
		return nil, err
	}
	var lines []views.DecisionLine
	for _, a := range all {
		if a.Plan != c.Param("plan") {
			lines = append(lines, views.DecisionLine{Plan: a.Plan, Address: planAddress(a.Snapshot, a.Plan), Snapshot: a.SnapshotName, By: a.DecidedWho, Note: a.Note, Approved: a.State == store.ApprovalApproved})
		}
	}
	return lines, nil
}

// waitingLines are the plans that wait for a second person.
func (s *Server) waitingLines(c echo.Context) ([]views.WaitingLine, error) {
	by := actor(c)
	all, err := s.store.WaitingApprovals(ctxOf(c), by)
	if err != nil {
		return nil, err
	}
	lines := make([]views.WaitingLine, len(all))
	for i, a := range all {
		lines[i] = views.WaitingLine{Address: planAddress(a.Snapshot, a.Plan), Snapshot: a.SnapshotName, By: a.AskedWho, At: a.AskedAt, Yours: a.MayDecide(by) == nil}
	}
	return lines, nil
}

// changeSettings keeps what the organization's admins decide for everybody in it.
func (s *Server) changeSettings(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	second, err := formBool(c, "second_person")
	if err != nil {
		return err
	}
	ch := store.OrganizationChange{SecondPerson: &second}
	if of := c.FormValue("second_factor"); of != "" {
		ch.SecondFactor = &of
	}
	if _, err := s.store.ChangeOrganization(ctxOf(c), actor(c), ch); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved."})
	return see(c, "/settings")
}

// approvalJSON is where a plan stands that a second person has to approve.
type approvalJSON struct {
	Needed    bool       `json:"needed"` // the organization publishes what a second person has approved
	State     string     `json:"state" enum:",asked,approved,sent back"`
	Deletes   bool       `json:"deletes"` // the deletes were asked for too
	Authors   []string   `json:"authors"` // people who cannot approve it: they made the plan or edited last what is in it
	AskedBy   string     `json:"asked_by"`
	AskedAt   *time.Time `json:"asked_at"`
	DecidedBy string     `json:"decided_by"`
	DecidedAt *time.Time `json:"decided_at"`
	Note      string     `json:"note"`
}

func approvalOut(needed bool, a store.Approval) approvalJSON {
	out := approvalJSON{Needed: needed, State: a.State, Deletes: a.Deletes, Authors: append([]string{}, a.Authors...), AskedBy: a.AskedWho, DecidedBy: a.DecidedWho, Note: a.Note}
	if a.State != "" {
		asked := a.AskedAt.UTC()
		out.AskedAt = &asked
	}
	if a.DecidedAt != nil {
		decided := a.DecidedAt.UTC()
		out.DecidedAt = &decided
	}
	return out
}

// answerPlan answers with a plan and where it stands.
func (s *Server) answerPlan(c echo.Context, status int, p store.Plan) error {
	out, err := s.planWithApproval(c, p)
	if err != nil {
		return err
	}
	return c.JSON(status, out)
}

func (s *Server) planWithApproval(c echo.Context, p store.Plan) (planJSON, error) {
	out := planOut(p)
	o, err := s.store.OrganizationSettings(ctxOf(c), actor(c))
	if err != nil {
		return out, err
	}
	a, err := s.store.ApprovalOf(ctxOf(c), actor(c), p)
	at := approvalOut(o.SecondPerson, a)
	out.Approval = &at
	return out, err
}

type askBody struct {
	Deletes bool `json:"deletes"`
}

func (s *Server) postApproval(c echo.Context) error {
	var body askBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	p, err := s.store.AskApproval(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), body.Deletes)
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusOK, p)
}

func (s *Server) postApprove(c echo.Context) error {
	p, err := s.store.Approve(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"))
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusOK, p)
}

type sendBackBody struct {
	Note string `json:"note"`
}

func (s *Server) postReturn(c echo.Context) error {
	var body sendBackBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	p, err := s.store.SendBack(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan"), body.Note)
	if err != nil {
		return err
	}
	return s.answerPlan(c, http.StatusOK, p)
}

func (s *Server) deleteApproval(c echo.Context) error {
	if _, err := s.store.TakeBackApproval(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("plan")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// waitingJSON is a plan that waits for a second person.
type waitingJSON struct {
	Plan         string    `json:"plan"`
	Snapshot     string    `json:"snapshot"`
	SnapshotName string    `json:"snapshot_name"`
	AskedBy      string    `json:"asked_by"`
	AskedAt      time.Time `json:"asked_at"`
	Authors      []string  `json:"authors"`
}

func (s *Server) listApprovals(c echo.Context) error {
	all, err := s.store.WaitingApprovals(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	return answerPage(c, all, func(a store.Approval) string { return oldestFirst(a.AskedAt, a.Plan) }, func(a store.Approval) waitingJSON {
		return waitingJSON{Plan: a.Plan, Snapshot: a.Snapshot, SnapshotName: a.SnapshotName, AskedBy: a.AskedWho, AskedAt: a.AskedAt.UTC(), Authors: append([]string{}, a.Authors...)}
	})
}

type organizationJSON struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	SecondPerson bool   `json:"second_person"`                                    // a publish needs the approval of somebody else
	SecondFactor string `json:"second_factor" enum:"nobody,publishers,everybody"` // who needs a second factor, of those who sign in with a password
}

type organizationBody struct {
	SecondPerson *bool   `json:"second_person"`
	SecondFactor *string `json:"second_factor" enum:"nobody,publishers,everybody"`
}

func (s *Server) getOrganization(c echo.Context) error {
	o, err := s.store.OrganizationSettings(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, organizationJSON(o))
}

func (s *Server) patchOrganization(c echo.Context) error {
	var body organizationBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	o, err := s.store.ChangeOrganization(ctxOf(c), actor(c), store.OrganizationChange(body))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, organizationJSON(o))
}

func (s *Server) approvalOperations() []operation {
	return []operation{
		get("/organization", "The organization and what its admins decided for it", s.getOrganization, organizationJSON{}),
		{method: patch, path: "/organization", summary: "Change the organization's settings", answer: s.patchOrganization, takes: organizationBody{}, gives: organizationJSON{}, does: core.Manage},
		get("/approvals", "The plans that wait for a second person, the longest first", s.listApprovals, listOf[waitingJSON]{}, paged...),
		{method: post, path: pl + "/approval", summary: "Ask a second person to approve the plan as it is", answer: s.postApproval, takes: askBody{}, gives: planJSON{}},
		{method: post, path: pl + "/approval/approve", summary: "Approve the plan, as a person who neither made it nor edited last what is in it", answer: s.postApprove, gives: planJSON{}, does: core.Approve},
		{method: post, path: pl + "/approval/return", summary: "Send the plan back, with a reason", answer: s.postReturn, takes: sendBackBody{}, gives: planJSON{}, does: core.Approve},
		remove(pl+"/approval", "Take the request or the approval back, so that the plan can be changed", s.deleteApproval, core.Edit),
	}
}
