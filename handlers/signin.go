package handlers

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/internal/mail"
	"scratchpaper/store"
	"scratchpaper/views"
)

// SignIn is how people get in by an account that is kept here.
type SignIn struct {
	Passwords *auth.Passwords
	Cookie    auth.SessionCookie
	Lifetime  time.Duration // of a session
	Limits    *auth.Limits
	Mail      func(mail.Message) // sends a message soon; nil: admins hand links out
	Base      string             // where people open the app, without a slash at its end
	OIDC      *OIDCSignIn        // a provider that they sign in at too; nil is none
}

// The limits of what somebody tries who has not signed in.
var (
	signInOfAddress   = auth.Limit{Name: "sign-in address", Tries: 100, Within: 10 * time.Minute, Words: "There were too many attempts to sign in from this address."}
	signInOfPair      = auth.Limit{Name: "sign-in pair", Tries: 10, Within: 15 * time.Minute, Words: "There were too many attempts to sign in with this e-mail address."}
	signInOfPerson    = auth.Limit{Name: "sign-in person", Tries: 20, Within: 15 * time.Minute, Words: "There were too many attempts to sign in with this e-mail address."}
	codesOfAddress    = auth.Limit{Name: "codes", Tries: 50, Within: 10 * time.Minute, Words: "There were too many attempts from this address."}
	strengthOfAddress = auth.Limit{Name: "strength address", Tries: 600, Within: 10 * time.Minute, Words: "There were too many requests from this address."}
	mailToPerson      = auth.Limit{Name: "mail person", Tries: 5, Within: time.Hour, Words: "There were too many requests for this e-mail address."}
	mailOfAddress     = auth.Limit{Name: "mail address", Tries: 30, Within: time.Hour, Words: "There were too many requests from this address."}
)

// signInRoutes lists the addresses of getting in, of one's own account, and of the members. Without accounts here they are not there.
func (s *Server) signInRoutes(e *echo.Echo) {
	e.GET("/sign-in", s.signInPage)
	e.GET("/sign-up", s.signUpPage)
	e.POST("/sign-in", s.withAccounts(s.enter))
	e.POST("/sign-out", s.leave)
	e.POST("/webhooks/clerk", s.clerkHook)
	e.GET("/setup", s.withAccounts(s.showSetUp))
	e.POST("/setup", s.withAccounts(s.setUp))
	e.GET("/invitation", s.withAccounts(s.showInvitation))
	e.POST("/invitation", s.withAccounts(s.openInvitation))
	e.POST("/invitation/join", s.withAccounts(s.acceptInvitation))
	e.GET("/forgot", s.withAccounts(s.showForgot))
	e.POST("/forgot", s.withAccounts(s.sendReset))
	e.GET("/reset", s.withAccounts(s.showReset))
	e.POST("/reset", s.withAccounts(s.resetPassword))
	e.POST("/password/strength", s.withAccounts(s.measurePassword))

	e.GET("/account", s.withAccounts(s.showAccount))
	e.POST("/account/name", s.withAccounts(s.renamePerson))
	e.POST("/account/password", s.withAccounts(s.changePassword))
	e.POST("/account/sessions/:session/end", s.withAccounts(s.endSession))
	e.POST("/account/sessions/end", s.withAccounts(s.endSessions))
	e.POST("/account/organization", s.withAccounts(s.enterOrganization))

	e.GET("/members", s.withAccounts(s.showMembers))
	e.POST("/members/invitations", s.withAccounts(s.inviteMember))
	e.POST("/members/invitations/:invitation/withdraw", s.withAccounts(s.withdrawInvitation))
	e.POST("/members/:member/role", s.withAccounts(s.changeRole))
	e.POST("/members/:member/remove", s.withAccounts(s.removeMember))
	e.POST("/members/:member/reset", s.withAccounts(s.resetMember))
	e.GET("/audit", s.showAudit)
	e.GET("/audit.jsonl", s.exportAudit)
	e.POST("/organization/name", s.withAccounts(s.renameOrganization))
	e.POST("/organizations", s.withAccounts(s.createOrganization))
}

// withAccounts answers only where accounts are kept here.
func (s *Server) withAccounts(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.clerk != nil {
			return core.Errorf(core.NotFound, "Accounts and members are kept at Clerk, where people sign in.")
		}
		if s.signIn == nil {
			return core.Errorf(core.NotFound, "Nobody signs in here: the app serves one person at this computer. SIGN_IN turns accounts on.")
		}
		return next(c)
	}
}

// askToSignIn sends a browser without a session to the sign-in page, from where it comes back. ok is false where the error is the answer: to
// programs, and to scripts of a page, which would take the sign-in page for what they asked for.
func (s *Server) askToSignIn(c echo.Context) (ok bool, err error) {
	if s.clerk != nil {
		return s.askAtClerk(c)
	}
	if s.signIn == nil {
		return false, nil
	}
	switch {
	case byHTMX(c):
		back := "/"
		if u, err := url.Parse(c.Request().Header.Get("HX-Current-URL")); err == nil && u.Path != "" {
			back = u.RequestURI()
		}
		c.Response().Header().Set("HX-Redirect", signInAddress(back))
		return true, c.NoContent(http.StatusUnauthorized)
	case wantsDocument(c):
		back := "/"
		if c.Request().Method == http.MethodGet {
			back = c.Request().URL.RequestURI()
		}
		return true, c.Redirect(http.StatusSeeOther, signInAddress(back))
	}
	c.Response().Header().Set("WWW-Authenticate", "Bearer")
	return false, nil
}

// wantsDocument says whether a page is asked for to be shown as one, and not by a script.
func wantsDocument(c echo.Context) bool {
	return wantsPage(c) && slices.Contains([]string{"", "document"}, c.Request().Header.Get("Sec-Fetch-Dest"))
}

func signInAddress(back string) string {
	if back == "/" || !ownAddress(back) {
		return "/sign-in"
	}
	return "/sign-in?back=" + url.QueryEscape(back)
}

// door shows a page of somebody who has not signed in, with what was wrong.
func (s *Server) door(c echo.Context, f views.DoorForm, err error) error {
	status, err := shownAgain(err, func(e *core.Error) {
		if e.RetryAfter > 0 {
			setRetryAfter(c, e.RetryAfter)
		}
		f.Place(e)
	})
	if err != nil {
		return err
	}
	return s.render(c, status, views.Door(s.framePage(c, f.Title), f))
}

func (s *Server) showSignIn(c echo.Context) error {
	any, err := s.store.AnyAccount(ctxOf(c))
	if err != nil {
		return err
	}
	f := s.signInForm(c.QueryParam("back"), "")
	f.Notice = s.takeNotice(c)
	if _, err := c.Cookie(signedOutCookie); err == nil && f.Notice == nil {
		f.Notice = &views.Notice{Kind: "ok", Text: "You have signed out."}
		if p := s.signIn.OIDC; p != nil && p.EndAddress() != "" {
			f.Notice.Link = views.Link{Text: "Sign out at " + p.Name + " too", Address: p.EndAddress()}
		}
	}
	if !any {
		f.Notice = &views.Notice{Kind: "info", Text: "Nobody has an account yet. The program printed a link for the first one when it started: look at its output."}
	}
	return s.door(c, f, nil)
}

func (s *Server) signInForm(back, email string) views.DoorForm {
	f := views.DoorForm{Title: "Sign in", Action: "/sign-in", Submit: "Sign in", Hidden: []views.Pair{{Name: "back", Value: back}},
		Fields: []views.Field{
			{Name: "email", Label: "E-mail", Kind: "email", Value: email, Required: true, Autocomplete: "username", Autofocus: email == ""},
			{Name: "password", Label: "Password", Kind: "password", Required: true, Autocomplete: "current-password", Autofocus: email != ""},
		}}
	f.Links = append(s.providerLinks(back), views.Link{Text: "I have forgotten my password", Address: "/forgot"})
	return f
}

// enter signs a person in. Whether the address or the password was wrong is not said, and takes the same time.
func (s *Server) enter(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	back, email := c.FormValue("back"), c.FormValue("email")
	a, err := s.authenticated(c, email, c.FormValue("password"))
	if err != nil {
		return s.door(c, s.signInForm(back, email), err)
	}
	if auth.Common(c.FormValue("password")) {
		return s.askForAnother(c, a)
	}
	if err := s.letIn(c, a.Person, "", "password", back); err != nil {
		return s.door(c, s.signInForm(back, email), err)
	}
	return nil
}

// askForAnother lets nobody in by a password that whoever guesses tries first, as one from before they were refused may be: its person
// chooses another, and is in.
func (s *Server) askForAnother(c echo.Context, a store.Account) error {
	secret, hash := auth.NewSecret("")
	by := core.System("")
	by.Name = a.Name
	if _, err := s.store.ResetCode(ctxOf(c), by, a.Person, hash); err != nil {
		return err
	}
	f := resetForm(secret)
	f.Notice = &views.Notice{Kind: "warn", Text: "Your password is in lists of stolen passwords, which are tried first. Choose another one to go on."}
	return s.door(c, f, nil)
}

// authenticated gives the account of an address when the password is its. Codes: Invalid, TooMany.
func (s *Server) authenticated(c echo.Context, email, password string) (store.Account, error) {
	ctx, address := ctxOf(c), c.RealIP()
	who := lowered(email)
	for _, l := range []struct {
		limit auth.Limit
		who   string
	}{{signInOfAddress, address}, {signInOfPair, who + " " + address}, {signInOfPerson, who}} {
		if err := s.signIn.Limits.Take(ctx, l.limit, l.who); err != nil {
			return store.Account{}, err
		}
	}
	a, err := s.store.AccountByEmail(ctx, who)
	if err != nil {
		return a, err
	}
	fits, stale := s.signIn.Passwords.Fits(a.Password, cutPassword(password))
	if !fits {
		// Behind the answer: a row that is written for known addresses only would tell them by the time that it takes.
		s.behind(ctx, func(ctx context.Context) error { return s.store.NoteFailedSignIn(ctx, a, address) })
		s.log.WarnContext(ctx, "sign-in refused", "address", address)
		return store.Account{}, core.Errorf(core.Invalid, "E-mail address and password do not belong together.")
	}
	s.signIn.Limits.Forget(ctx, signInOfPair, who+" "+address)
	if stale {
		if err := s.store.RenewPasswordHash(ctx, a, s.signIn.Passwords.Hash(password)); err != nil {
			s.log.WarnContext(ctx, "password not hashed anew", "error", err)
		}
	}
	return a, nil
}

// startSession gives the browser a new session, never one that it brought along.
func (s *Server) startSession(c echo.Context, person, org, how string) error {
	secret, hash := auth.NewSecret("")
	n := store.NewSession{Hash: hash, Address: c.RealIP(), Browser: c.Request().UserAgent(), Lifetime: s.signIn.Lifetime, Org: org, How: how}
	if old := s.signIn.Cookie.Of(c.Request()); old != "" {
		n.Instead = auth.HashOf(old)
	}
	if _, err := s.store.StartSession(ctxOf(c), person, n); err != nil {
		return err
	}
	c.SetCookie(s.signIn.Cookie.Holding(secret, s.signIn.Lifetime))
	return nil
}

// signedOutCookie says for some seconds that somebody has signed out here.
const signedOutCookie = "scratchpaper-signed-out"

// signOut ends the session at hand.
func (s *Server) signOut(c echo.Context) error {
	by := actor(c)
	if by.Session != "" {
		if err := s.store.EndSession(ctxOf(c), by, by.Session); err != nil && core.CodeOf(err) != core.NotFound {
			return err
		}
	}
	c.SetCookie(s.signIn.Cookie.Ended())
	c.Response().Header().Set("Clear-Site-Data", `"cache"`)
	// Not a notice that is taken once: what the page that is left had still asked for may lead to the sign-in before.
	c.SetCookie(&http.Cookie{Name: signedOutCookie, Value: "1", Path: "/sign-in", MaxAge: 10, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.signIn.Cookie.Secure}) // #nosec G124 -- Secure wherever people open the app by https
	return see(c, "/sign-in")
}

// codeField is where the code of a link goes; a script takes it from the address, so that it is never sent in one.
func codeField(code string) views.Field {
	return views.Field{Name: "code", Label: "Code", Value: code, Required: true, Help: "What stands behind the # of the link.", Autocomplete: "off"}
}

func newPasswordField(label string) views.Field {
	return views.Field{Name: "password", Label: label, Kind: "password", Required: true, Autocomplete: "new-password", Strength: true,
		Help: "At least 12 characters. A few words that belong together only for you are good."}
}

// measurePassword says how strong a password is that somebody types. It is kept nowhere.
func (s *Server) measurePassword(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.signIn.Limits.Take(ctxOf(c), strengthOfAddress, c.RealIP()); err != nil {
		return err
	}
	m := auth.StrengthOf(cutPassword(c.FormValue("password")), c.FormValue("name"), c.FormValue("email"), c.FormValue("organization"))
	return s.render(c, http.StatusOK, views.PasswordStrength(m.Level, auth.StrengthLevels, m.Words))
}

func (s *Server) showForgot(c echo.Context) error { return s.door(c, s.forgotForm(), nil) }

func (s *Server) forgotForm() views.DoorForm {
	f := views.DoorForm{Title: "Choose a new password", Links: []views.Link{{Text: "Back to the sign-in", Address: "/sign-in"}}}
	if s.signIn.Mail == nil {
		f.Sentence = "This app sends no mail. Ask an admin of your organization: under Members they make a link for you, with which you choose a new password."
		return f
	}
	f.Action, f.Submit = "/forgot", "Send me a link"
	f.Sentence = "We send a link to your address. With it you choose a new password within an hour."
	f.Fields = []views.Field{{Name: "email", Label: "E-mail", Kind: "email", Required: true, Autocomplete: "username", Autofocus: true}}
	return f
}

// sendReset sends a link for a new password, if the address has an account: what is answered, and when, is the same either way.
func (s *Server) sendReset(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	f := s.forgotForm()
	if s.signIn.Mail == nil {
		return s.door(c, f, nil)
	}
	ctx, email := ctxOf(c), lowered(c.FormValue("email"))
	if _, err := store.CleanEmail(email); err != nil {
		return s.door(c, f, err)
	}
	if err := s.signIn.Limits.Take(ctx, mailOfAddress, c.RealIP()); err != nil {
		return s.door(c, f, err)
	}
	if err := s.signIn.Limits.Take(ctx, mailToPerson, email); err != nil {
		return s.door(c, f, err)
	}
	s.behind(ctx, func(ctx context.Context) error { return s.mailReset(ctx, email) })
	f.Fields, f.Action, f.Sentence = nil, "", ""
	f.Notice = &views.Notice{Kind: "ok", Text: "If there is an account for this address, a link is on its way to it. It can be used for an hour."}
	return s.door(c, f, nil)
}

// behind does something after the answer has gone. The server waits for it when it stops.
func (s *Server) behind(ctx context.Context, fn func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	s.aside.Go(func() {
		defer cancel()
		if err := fn(ctx); err != nil {
			s.log.WarnContext(ctx, "behind a request", "error", err)
		}
	})
}

func (s *Server) mailReset(ctx context.Context, email string) error {
	a, err := s.store.AccountByEmail(ctx, email)
	if err != nil || a.Person == "" {
		return err
	}
	secret, hash := auth.NewSecret("")
	by := core.System("")
	by.Name = a.Name
	if _, err := s.store.ResetCode(ctx, by, a.Person, hash); err != nil {
		return err
	}
	s.signIn.Mail(mail.Message{To: a.Email, Subject: "A new password for Scratchpaper", Text: "Somebody asked for a new password for your account. If that was you, choose one here within an hour:\n\n" +
		s.signIn.Base + "/reset#" + secret + "\n\nIf it was not you, do nothing: your password stays.\n"})
	return nil
}

// tellPasswordChanged writes to a person that somebody has changed their password.
func (s *Server) tellPasswordChanged(c echo.Context, of core.Actor) {
	s.tellPerson(c, of, "Your password for Scratchpaper was changed", "Your password was changed, and you are signed out everywhere else.")
}

func (s *Server) showReset(c echo.Context) error { return s.door(c, resetForm(""), nil) }

func resetForm(code string) views.DoorForm {
	return views.DoorForm{Title: "Choose a new password", Sentence: "Afterwards you are signed out everywhere else.", Action: "/reset", Submit: "Keep it", Code: true,
		Fields: []views.Field{codeField(code), newPasswordField("New password")}, Links: []views.Link{{Text: "Back to the sign-in", Address: "/sign-in"}}}
}

func (s *Server) resetPassword(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	code, password := c.FormValue("code"), c.FormValue("password")
	err := s.signIn.Limits.Take(ctxOf(c), codesOfAddress, c.RealIP())
	if err == nil {
		err = auth.CheckNewPassword(password)
	}
	if err != nil {
		return s.door(c, resetForm(code), err)
	}
	person, err := s.store.ResetPassword(ctxOf(c), auth.HashOf(code), s.signIn.Passwords.Hash(password))
	if err != nil {
		return s.door(c, resetForm(code), err)
	}
	s.tellPasswordChanged(c, core.Actor{Person: person})
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Your new password is kept, and you are signed out everywhere else."})
	return s.letIn(c, person, "", "new password", "/")
}

func (s *Server) showSetUp(c echo.Context) error {
	any, err := s.store.AnyAccount(ctxOf(c))
	if err != nil {
		return err
	}
	if any {
		s.leaveNotice(c, views.Notice{Kind: "info", Text: "This app has been set up already. Sign in, or ask an admin for an invitation."})
		return c.Redirect(http.StatusSeeOther, "/sign-in")
	}
	return s.door(c, setUpForm("", store.FirstAccount{}), nil)
}

func setUpForm(code string, f store.FirstAccount) views.DoorForm {
	return views.DoorForm{Title: "Set up Scratchpaper", Sentence: "You become the first admin, and invite the others. What was done here before goes on as yours.", Action: "/setup", Submit: "Set it up", Code: true,
		Fields: []views.Field{codeField(code),
			{Name: "organization", Label: "Organization", Value: f.Organization, Required: true, Autocomplete: "organization", Help: "As your colleagues call it."},
			{Name: "name", Label: "Your name", Value: f.Name, Required: true, Autocomplete: "name"},
			{Name: "email", Label: "E-mail", Kind: "email", Value: f.Email, Required: true, Autocomplete: "username"},
			newPasswordField("Password")}}
}

// setUp makes the first account.
func (s *Server) setUp(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	code, password := c.FormValue("code"), c.FormValue("password")
	f := store.FirstAccount{Name: c.FormValue("name"), Email: c.FormValue("email"), Organization: c.FormValue("organization")}
	err := s.signIn.Limits.Take(ctxOf(c), codesOfAddress, c.RealIP())
	if err == nil {
		err = auth.CheckNewPassword(password, f.Name, f.Email, f.Organization)
	}
	if err != nil {
		return s.door(c, setUpForm(code, f), err)
	}
	f.Password = s.signIn.Passwords.Hash(password)
	person, err := s.store.SetUp(ctxOf(c), auth.HashOf(code), f)
	if err != nil {
		return s.door(c, setUpForm(code, f), err)
	}
	if err := s.startSession(c, person, "", "set-up"); err != nil {
		return err
	}
	return see(c, "/")
}

func (s *Server) showInvitation(c echo.Context) error { return s.door(c, invitationForm(""), nil) }

func invitationForm(code string) views.DoorForm {
	return views.DoorForm{Title: "Accept an invitation", Action: "/invitation", Submit: "Open it", Code: true, GoesOn: true, Fields: []views.Field{codeField(code)}}
}

// openInvitation shows what a code invites to.
func (s *Server) openInvitation(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	code := c.FormValue("code")
	err := s.signIn.Limits.Take(ctxOf(c), codesOfAddress, c.RealIP())
	if err != nil {
		return s.door(c, invitationForm(code), err)
	}
	f, _, err := s.joinForm(c, code, "")
	if err != nil {
		return s.door(c, invitationForm(""), err)
	}
	return s.door(c, f, nil)
}

// joinForm asks for what is missing: the password of the account that the address has, or what a new one needs.
func (s *Server) joinForm(c echo.Context, code, name string) (views.DoorForm, store.Account, error) {
	i, err := s.store.InvitationByCode(ctxOf(c), auth.HashOf(code))
	if err != nil {
		return views.DoorForm{}, store.Account{}, err
	}
	a, err := s.store.AccountByEmail(ctxOf(c), i.Email)
	f := views.DoorForm{Title: "Join " + i.OrgName, Action: "/invitation/join", Submit: "Join", Hidden: []views.Pair{{Name: "code", Value: code}, {Name: "email", Value: i.Email}}}
	f.Sentence = i.InvitedBy + " invites you, " + i.Email + ", as " + i.Role.String() + "."
	if a.Person != "" {
		f.Sentence += " You have an account here: sign in with its password."
		f.Fields = []views.Field{{Name: "password", Label: "Password", Kind: "password", Required: true, Autocomplete: "current-password", Autofocus: true}}
		f.Links = append(s.providerLinks("/"), views.Link{Text: "I have forgotten my password", Address: "/forgot"})
		return f, a, err
	}
	f.Fields = []views.Field{{Name: "name", Label: "Your name", Value: name, Required: true, Autocomplete: "name", Autofocus: true}, newPasswordField("Password")}
	f.Links = s.providerLinks("/") // which accepts what invites a verified address
	return f, a, err
}

func (s *Server) acceptInvitation(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	code, name, password := c.FormValue("code"), c.FormValue("name"), c.FormValue("password")
	err := s.signIn.Limits.Take(ctxOf(c), codesOfAddress, c.RealIP())
	if err != nil {
		return s.door(c, invitationForm(code), err)
	}
	f, a, err := s.joinForm(c, code, name)
	if err != nil {
		return s.door(c, invitationForm(""), err)
	}
	hash := ""
	if a.Person != "" {
		_, err = s.authenticated(c, a.Email, password)
	} else if err = auth.CheckNewPassword(password, name, f.Hidden[1].Value); err == nil {
		hash = s.signIn.Passwords.Hash(password)
	}
	if err != nil {
		return s.door(c, f, err)
	}
	person, org, err := s.store.AcceptInvitation(ctxOf(c), auth.HashOf(code), a.Person, name, hash)
	if err != nil {
		return s.door(c, f, err)
	}
	return s.letIn(c, person, org, "invitation", "/")
}
