package handlers

import (
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/views"
)

func lowered(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// cutPassword bounds what is hashed of what somebody types; nothing longer is kept as a password.
func cutPassword(password string) string {
	const most = 1000
	for len(password) > most {
		_, size := utf8.DecodeLastRuneInString(password)
		password = password[:len(password)-size]
	}
	return password
}

// showAccount is the page of one's own account.
func (s *Server) showAccount(c echo.Context) error {
	return s.answerAccount(c, views.AccountView{}, nil)
}

func (s *Server) answerAccount(c echo.Context, v views.AccountView, wrong error) error {
	ctx, by := ctxOf(c), actor(c)
	a, err := s.store.OwnAccount(ctx, by)
	if err != nil {
		return err
	}
	sessions, err := s.store.Sessions(ctx, by)
	if err != nil {
		return err
	}
	p, err := s.page(c, "Your account", "account")
	if err != nil {
		return err
	}
	v.Email, v.HasPassword = a.Email, a.Person != ""
	if v.HasFactor, err = s.store.HasSecondFactor(ctx, by.Person); err != nil {
		return err
	}
	v.Name = views.Field{Name: "name", Label: "Name", Value: by.Name, Required: true, Autocomplete: "name", Help: "As it is shown in the history."}
	v.Current = views.Field{Name: "current", Label: "Current password", Kind: "password", Required: true, Autocomplete: "current-password"}
	v.Password = newPasswordField("New password")
	for _, x := range sessions {
		v.Sessions = append(v.Sessions, views.SessionLine{ID: x.ID, Address: x.Address, Browser: browserName(x.Browser), Began: x.CreatedAt, Seen: x.SeenAt, Here: x.ID == by.Session})
	}
	status, err := shownAgain(wrong, v.Place)
	if err != nil {
		return err
	}
	return s.render(c, status, views.Account(p, v))
}

// browserName says what a User-Agent header stands for, as far as a person wants to know.
func browserName(agent string) string {
	name, on := "A browser", ""
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}} {
		if strings.Contains(agent, b[0]) {
			name = b[1]
			break
		}
	}
	for _, o := range [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, o[0]) {
			on = " on " + o[1]
			break
		}
	}
	return name + on
}

func (s *Server) renamePerson(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.store.RenamePerson(ctxOf(c), actor(c), c.FormValue("name")); err != nil {
		return s.answerAccount(c, views.AccountView{}, err)
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved."})
	return see(c, "/account")
}

// changePassword asks for the current password, and signs out everywhere else.
func (s *Server) changePassword(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	a, err := s.store.OwnAccount(ctx, by)
	if err != nil {
		return err
	}
	if a.Person == "" {
		return core.Errorf(core.NotFound, "You sign in without a password here.")
	}
	if err := s.signIn.Limits.Take(ctx, signInOfPair, by.Person); err != nil {
		return s.answerAccount(c, views.AccountView{}, err)
	}
	if fits, _ := s.signIn.Passwords.Fits(a.Password, cutPassword(c.FormValue("current"))); !fits {
		return s.answerAccount(c, views.AccountView{}, core.FieldErrorf("/current", "This is not your current password."))
	}
	password := c.FormValue("password")
	if err := auth.CheckNewPassword(password, a.Name, a.Email); err != nil {
		return s.answerAccount(c, views.AccountView{}, err)
	}
	if err := s.store.ChangePassword(ctx, by, s.signIn.Passwords.Hash(password)); err != nil {
		return err
	}
	s.tellPasswordChanged(c, by)
	s.signIn.Limits.Forget(ctx, signInOfPair, by.Person)
	if err := s.startSession(c, by.Person, by.Org, "new password"); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Your new password is kept, and you are signed out everywhere else."})
	return see(c, "/account")
}

// endSession signs out one of the person's browsers.
func (s *Server) endSession(c echo.Context) error {
	if err := s.store.EndSession(ctxOf(c), actor(c), c.Param("session")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "That browser is signed out."})
	return see(c, "/account")
}

// endSessions signs out everywhere, here too.
func (s *Server) endSessions(c echo.Context) error {
	if err := s.store.EndSessions(ctxOf(c), actor(c), false); err != nil {
		return err
	}
	c.SetCookie(s.signIn.Cookie.Ended())
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "You are signed out everywhere."})
	return see(c, "/sign-in")
}

// enterOrganization goes on in another of the person's organizations.
func (s *Server) enterOrganization(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.store.EnterOrganization(ctxOf(c), actor(c), c.FormValue("organization")); err != nil {
		return err
	}
	return see(c, "/")
}
