package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// shareRoutes lists the addresses of review links.
func (s *Server) shareRoutes(e *echo.Echo) {
	e.POST("/snapshots/:snapshot/shares", s.withAccounts(s.makeShare))
	e.POST("/snapshots/:snapshot/shares/:share/revoke", s.withAccounts(s.revokeShare))
	e.GET("/review", s.withAccounts(s.showReview))
	e.POST("/review", s.withAccounts(s.openReview))
	e.POST("/review/leave", s.withAccounts(s.leaveReview))
}

// sharesView fills in the review links of a snapshot; nil for who may not make any, and where sessions are not kept here.
func (s *Server) sharesView(c echo.Context, snapshot string, v views.SharesView) (*views.SharesView, error) {
	by := actor(c)
	if s.signIn == nil || by.May(core.Publish) != nil {
		return nil, nil
	}
	all, err := s.store.Shares(ctxOf(c), by, snapshot)
	if err != nil {
		return nil, err
	}
	for _, sh := range all {
		v.Lines = append(v.Lines, views.ShareLine{ID: sh.ID, Name: sh.Name, MadeBy: sh.MadeBy, Decides: sh.Decides, Until: sh.ExpiresAt, Used: sh.UsedAt})
	}
	return &v, nil
}

// makeShare makes a link and shows it this once.
func (s *Server) makeShare(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	decides, err := formBool(c, "decides")
	if err != nil {
		return err
	}
	v := views.SharesView{Name: c.FormValue("name"), Days: c.FormValue("days"), Decides: decides}
	days, _ := strconv.Atoi(v.Days) // what is no number is refused as no number of days
	secret, hash := auth.NewSecret("")
	sh, err := s.store.MakeShare(ctxOf(c), actor(c), c.Param("snapshot"), v.Name, decides, days, hash)
	if err != nil {
		status, err := shownAgain(err, v.Place)
		if err != nil {
			return err
		}
		return s.answerSharing(c, status, nil, v)
	}
	return s.answerSharing(c, http.StatusOK, nil, views.SharesView{Link: &views.OnceLink{For: sh.Name, Address: s.reviewLink(secret), What: "reviews this snapshot by this link"}})
}

func (s *Server) reviewLink(secret string) string { return s.signIn.Base + "/review#" + secret }

func (s *Server) revokeShare(c echo.Context) error {
	if err := s.store.RevokeShare(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("share")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The link is revoked. Nobody sees anything by it any more."})
	return see(c, "/snapshots/"+c.Param("snapshot")+"/settings")
}

// showReview takes the code of a link out of the address. Who has not signed in is asked to do so first.
func (s *Server) showReview(c echo.Context) error {
	if _, err := s.identify(c.Request()); err != nil {
		return s.door(c, views.DoorForm{Title: "Review a snapshot", Sentence: "Sign in with your account here, and open the link once more.", Links: []views.Link{{Text: "Sign in", Address: "/sign-in"}}}, nil)
	}
	return s.door(c, reviewForm(""), nil)
}

func reviewForm(code string) views.DoorForm {
	return views.DoorForm{Title: "Review a snapshot", Action: "/review", Submit: "Open it", Code: true, GoesOn: true, Fields: []views.Field{codeField(code)}}
}

func (s *Server) openReview(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	code := c.FormValue("code")
	if err := s.signIn.Limits.Take(ctxOf(c), codesOfAddress, c.RealIP()); err != nil {
		return s.door(c, reviewForm(code), err)
	}
	snapshot, err := s.store.OpenShare(ctxOf(c), actor(c), auth.HashOf(code))
	if err != nil {
		return s.door(c, reviewForm(code), err)
	}
	return see(c, "/snapshots/"+snapshot)
}

func (s *Server) leaveReview(c echo.Context) error {
	if err := s.store.LeaveShare(ctxOf(c), actor(c)); err != nil {
		return err
	}
	return see(c, "/")
}

// shareJSON is a review link.
type shareJSON struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`    // whom it is for
	Decides   bool       `json:"decides"` // suggestions can be accepted and rejected by it
	MadeBy    string     `json:"made_by"`
	CreatedAt time.Time  `json:"created_at"`
	Expires   time.Time  `json:"expires"`
	UsedAt    *time.Time `json:"used_at"`
	Link      string     `json:"link,omitempty"` // when it is made, and never again
}

func shareOut(sh store.Share) shareJSON {
	return shareJSON{ID: sh.ID, Name: sh.Name, Decides: sh.Decides, MadeBy: sh.MadeBy, CreatedAt: sh.CreatedAt, Expires: sh.ExpiresAt, UsedAt: sh.UsedAt}
}

type newShareBody struct {
	Name    string `json:"name"`
	Decides bool   `json:"decides"`
	Days    int    `json:"days"` // 1 to 90; 0 is 7
}

// daysOfShare is how many days a link lasts unless something else is said.
const daysOfShare = 7

func (s *Server) listShares(c echo.Context) error {
	all, err := s.store.Shares(ctxOf(c), actor(c), c.Param("snapshot"))
	if err != nil {
		return err
	}
	return answerPage(c, all, func(sh store.Share) string { return newestFirst(sh.CreatedAt, sh.ID) }, shareOut)
}

func (s *Server) postShare(c echo.Context) error {
	var body newShareBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Days == 0 {
		body.Days = daysOfShare
	}
	secret, hash := auth.NewSecret("")
	sh, err := s.store.MakeShare(ctxOf(c), actor(c), c.Param("snapshot"), body.Name, body.Decides, body.Days, hash)
	if err != nil {
		return err
	}
	out := shareOut(sh)
	out.Link = s.reviewLink(secret)
	return c.JSON(http.StatusCreated, out)
}

func (s *Server) deleteShare(c echo.Context) error {
	if err := s.store.RevokeShare(ctxOf(c), actor(c), c.Param("snapshot"), c.Param("share")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) shareOperations() []operation {
	return []operation{
		{method: http.MethodGet, path: sn + "/shares", summary: "The review links of the snapshot, newest first", answer: s.withAccounts(s.listShares), gives: listOf[shareJSON]{}, query: paged, does: core.Publish},
		{method: post, path: sn + "/shares", summary: "Make a review link; it is shown this once", answer: s.withAccounts(s.postShare), takes: newShareBody{}, status: http.StatusCreated, gives: shareJSON{},
			does: core.Publish, secret: true},
		remove(sn+"/shares/:share", "Revoke a review link; it ends at once, also where it is open", s.withAccounts(s.deleteShare), core.Publish),
	}
}
