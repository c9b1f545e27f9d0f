package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"rsc.io/qr"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/internal/mail"
	"scratchpaper/internal/totp"
	"scratchpaper/store"
	"scratchpaper/views"
)

const factorPath = "/account/second-factor"

// factorRoutes lists the addresses of the second factor: asked for at a sign-in, of one's own account, and taken off somebody.
func (s *Server) factorRoutes(e *echo.Echo) {
	e.GET("/sign-in/code", s.withAccounts(s.showCode))
	e.POST("/sign-in/code", s.withAccounts(s.enterCode))
	e.GET(factorPath, s.withAccounts(s.showFactor))
	e.POST(factorPath, s.withAccounts(s.beginFactor))
	e.POST(factorPath+"/confirm", s.withAccounts(s.confirmFactor))
	e.POST(factorPath+"/codes", s.withAccounts(s.renewCodes))
	e.POST(factorPath+"/remove", s.withAccounts(s.removeFactor))
	e.POST("/members/:member/second-factor/remove", s.withAccounts(s.takeOffFactor))
}

// codesOfPerson bounds what is tried of six figures: of three codes that fit at a time, ten tries in a quarter of an hour find one in two
// years, once in a hundred.
var codesOfPerson = auth.Limit{Name: "second factor", Tries: 10, Within: 15 * time.Minute, Words: "There were too many attempts with a second factor."}

// halfCookie keeps, in the browser that has shown the password, what it comes back with.
func (s *Server) halfCookie(value string) *http.Cookie {
	return heldCookie("scratchpaper-half", value, store.HalfLife, s.signIn.Cookie.Secure)
}

// letIn signs somebody in who has shown a password, or asks for the second factor first where their account has one.
func (s *Server) letIn(c echo.Context, person, org, how, back string) error {
	has, err := s.store.HasSecondFactor(ctxOf(c), person)
	if err != nil {
		return err
	}
	if !has {
		if err := s.startSession(c, person, org, how); err != nil {
			return err
		}
		return see(c, back)
	}
	secret, hash := auth.NewSecret("")
	if err := s.store.BeginHalf(ctxOf(c), hash, store.HalfSignIn{Person: person, Org: org, How: how}); err != nil {
		return err
	}
	c.SetCookie(s.halfCookie(secret))
	return see(c, codeAddress(back))
}

func codeAddress(back string) string {
	return "/sign-in/code" + strings.TrimPrefix(signInAddress(back), "/sign-in")
}

func codeForm(back string) views.DoorForm {
	return views.DoorForm{Title: "Second factor", Sentence: "Type the code that your authenticator app shows now, or one of your recovery codes.", Action: "/sign-in/code", Submit: "Sign in",
		Hidden: []views.Pair{{Name: "back", Value: back}},
		Fields: []views.Field{{Name: "code", Label: "Code", Required: true, Autocomplete: "one-time-code", Autofocus: true, Help: "Without phone and recovery codes, ask an admin of your organization."}},
		Links:  []views.Link{{Text: "Begin again", Address: signInAddress(back)}}}
}

// halfOf gives the hash of what a browser has shown of a sign-in, and who it is. Codes: Unauthorized.
func (s *Server) halfOf(c echo.Context) ([]byte, store.HalfSignIn, error) {
	cookie, err := c.Cookie(s.halfCookie("").Name)
	if err != nil {
		cookie = &http.Cookie{}
	}
	hash := auth.HashOf(cookie.Value)
	h, err := s.store.Half(ctxOf(c), hash)
	return hash, h, err
}

func (s *Server) showCode(c echo.Context) error {
	if _, _, err := s.halfOf(c); err != nil {
		return s.beginAgain(c, c.QueryParam("back"), err)
	}
	return s.door(c, codeForm(c.QueryParam("back")), nil)
}

// beginAgain leads to the password where nobody has shown one here lately.
func (s *Server) beginAgain(c echo.Context, back string, err error) error {
	if core.CodeOf(err) != core.Unauthorized {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "info", Text: core.SentenceOf(err)})
	return see(c, signInAddress(back))
}

// enterCode signs somebody in who has shown the password before, and shows the second factor now.
func (s *Server) enterCode(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, back := ctxOf(c), c.FormValue("back")
	hash, h, err := s.halfOf(c)
	if err != nil {
		return s.beginAgain(c, back, err)
	}
	left, recovery, err := s.useFactor(c, h.Person, c.FormValue("code"))
	if err != nil {
		return s.door(c, codeForm(back), err)
	}
	if err := s.store.EndHalf(ctx, hash); err != nil {
		return err
	}
	how := h.How + " and a code"
	if recovery {
		how = h.How + " and a recovery code"
	}
	if err := s.startSession(c, h.Person, h.Org, how); err != nil {
		return s.door(c, codeForm(back), err)
	}
	c.SetCookie(s.halfCookie(""))
	if recovery {
		s.leaveNotice(c, views.Notice{Kind: "warn", Text: "You used a recovery code up: " + views.Counted(int64(left), "is", "are") + " left.", Link: views.Link{Text: "Second factor", Address: factorPath}})
	}
	return see(c, back)
}

// useFactor takes a code, with the limits of guesses. Codes: Invalid, TooMany.
func (s *Server) useFactor(c echo.Context, person, code string) (left int, recovery bool, err error) {
	if err := s.takeGuess(c, person); err != nil {
		return 0, false, err
	}
	left, recovery, err = s.store.UseSecondFactor(ctxOf(c), person, cutPassword(code), c.RealIP())
	if core.CodeOf(err) == core.Invalid {
		s.log.WarnContext(ctxOf(c), "second factor refused", "person", person, "address", c.RealIP())
	}
	if err == nil {
		s.signIn.Limits.Forget(ctxOf(c), codesOfPerson, person)
	}
	return left, recovery, err
}

func (s *Server) takeGuess(c echo.Context, person string) error {
	if err := s.signIn.Limits.Take(ctxOf(c), signInOfAddress, c.RealIP()); err != nil {
		return err
	}
	return s.signIn.Limits.Take(ctxOf(c), codesOfPerson, person)
}

// factorAddresses are those that somebody gets to whose organization asks for a second factor that they have not.
var factorAddresses = []string{
	"GET " + factorPath, "POST " + factorPath, "POST " + factorPath + "/confirm", "POST /sign-out", "POST /settings/theme", "POST /account/organization",
}

// needsFactor leads somebody to setting a second factor up, where their organization asks for it before anything else. Answered says that
// the answer has gone. Codes: Forbidden.
func (s *Server) needsFactor(c echo.Context, by core.Actor) (answered bool, err error) {
	switch {
	case !by.NeedsFactor || slices.Contains(factorAddresses, c.Request().Method+" "+c.Path()):
		return false, nil
	case byHTMX(c):
		c.Response().Header().Set("HX-Redirect", factorPath)
		return true, c.NoContent(http.StatusForbidden)
	case wantsDocument(c) && c.Request().Method == http.MethodGet:
		return true, c.Redirect(http.StatusSeeOther, factorPath)
	}
	return false, core.Errorf(core.Forbidden, "Your organization asks for a second factor. Set it up first, under Your account.")
}

func (s *Server) showFactor(c echo.Context) error { return s.answerFactor(c, views.FactorView{}, nil) }

// answerFactor shows the page of one's own second factor: in the frame of the app, or alone where nothing else can be done before.
func (s *Server) answerFactor(c echo.Context, v views.FactorView, wrong error) error {
	ctx, by := ctxOf(c), actor(c)
	a, err := s.passwordAccount(c)
	if err != nil {
		return err
	}
	f, err := s.store.SecondFactor(ctx, by)
	if err != nil {
		return err
	}
	v.On, v.Since, v.Left, v.Email = f.On, f.Since, f.Codes, a.Email
	v.Current = views.Field{Name: "current", Label: "Current password", Kind: "password", Required: true, Autocomplete: "current-password"}
	v.Code = views.Field{Name: "code", Label: "Code", Required: true, Autocomplete: "one-time-code"}
	if f.Pending != nil {
		v.Key = totp.Text(f.Pending)
		if v.Picture, err = qrOf(totp.Address(s.issuer(), a.Email, f.Pending)); err != nil {
			return err
		}
	}
	status, err := shownAgain(wrong, v.Place)
	if err != nil {
		return err
	}
	if by.NeedsFactor {
		v.Needed, v.Notice = true, s.takeNotice(c)
		return s.render(c, status, views.SecondFactor(s.framePage(c, "Second factor"), v))
	}
	p, err := s.page(c, "Second factor", "account")
	if err != nil {
		return err
	}
	return s.render(c, status, views.SecondFactor(p, v))
}

// issuer is what a phone calls the codes: the app, and where it is.
func (s *Server) issuer() string {
	if u, err := url.Parse(s.signIn.Base); err == nil && u.Host != "" {
		return "Scratchpaper " + u.Host
	}
	return "Scratchpaper"
}

// qrOf draws a text as a QR code.
func qrOf(text string) (views.QR, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return views.QR{}, fmt.Errorf("QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+views.QuietZone, y+views.QuietZone, x-from, x-from)
			}
		}
	}
	return views.QR{Size: code.Size + 2*views.QuietZone, Path: path.String()}, nil
}

// passwordAccount gives the account of who asks. Codes: NotFound (they sign in at a provider only).
func (s *Server) passwordAccount(c echo.Context) (store.Account, error) {
	a, err := s.store.OwnAccount(ctxOf(c), actor(c))
	if err == nil && a.Person == "" {
		err = core.Errorf(core.NotFound, "You sign in without a password here: a second factor is set up where you sign in.")
	}
	return a, err
}

// beginFactor makes the secret of a phone, for who shows the password.
func (s *Server) beginFactor(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	a, err := s.passwordAccount(c)
	if err != nil {
		return err
	}
	if err := s.signIn.Limits.Take(ctx, signInOfPair, by.Person); err != nil {
		return s.answerFactor(c, views.FactorView{}, err)
	}
	if fits, _ := s.signIn.Passwords.Fits(a.Password, cutPassword(c.FormValue("current"))); !fits {
		return s.answerFactor(c, views.FactorView{}, core.FieldErrorf("/current", "This is not your current password."))
	}
	s.signIn.Limits.Forget(ctx, signInOfPair, by.Person)
	if err := s.store.BeginSecondFactor(ctx, by); err != nil {
		return s.answerFactor(c, views.FactorView{}, err)
	}
	return see(c, factorPath)
}

// newRecoveryCodes makes codes, and what is kept of them.
func newRecoveryCodes() (shown []string, kept []store.RecoveryCode) {
	for range totp.RecoveryCodes {
		code, salt, hash := totp.NewRecoveryCode()
		shown, kept = append(shown, code), append(kept, store.RecoveryCode{Salt: salt, Hash: hash})
	}
	return shown, kept
}

// confirmFactor turns the second factor on and shows the recovery codes this once.
func (s *Server) confirmFactor(c echo.Context) error {
	return s.withCode(c, func(ctx context.Context, by core.Actor, code string) error {
		shown, kept := newRecoveryCodes()
		if err := s.store.ConfirmSecondFactor(ctx, by, code, kept); err != nil {
			return err
		}
		s.tellPerson(c, by, "A second factor for Scratchpaper is on", "From now on a code of your phone is asked for beside the password, and you are signed out everywhere else.")
		return s.answerFactor(c, views.FactorView{Codes: shown}, nil)
	})
}

func (s *Server) renewCodes(c echo.Context) error {
	return s.withCode(c, func(ctx context.Context, by core.Actor, code string) error {
		shown, kept := newRecoveryCodes()
		if err := s.store.RenewRecoveryCodes(ctx, by, code, kept); err != nil {
			return err
		}
		return s.answerFactor(c, views.FactorView{Codes: shown}, nil)
	})
}

func (s *Server) removeFactor(c echo.Context) error {
	return s.withCode(c, func(ctx context.Context, by core.Actor, code string) error {
		if err := s.store.RemoveSecondFactor(ctx, by, code); err != nil {
			return err
		}
		s.tellPerson(c, by, "The second factor for Scratchpaper is off", "From now on your password alone lets you in.")
		s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The second factor is off: your password alone lets you in."})
		return see(c, "/account")
	})
}

// withCode does what takes a code of who asks, with the limits of guesses; what it refuses is shown on the page.
func (s *Server) withCode(c echo.Context, fn func(ctx context.Context, by core.Actor, code string) error) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	err := s.takeGuess(c, by.Person)
	if err == nil {
		if err = fn(ctx, by, cutPassword(c.FormValue("code"))); err == nil {
			s.signIn.Limits.Forget(ctx, codesOfPerson, by.Person)
			return nil
		}
	}
	return s.answerFactor(c, views.FactorView{}, err)
}

// takeOffFactor takes the second factor off somebody who has lost the phone.
func (s *Server) takeOffFactor(c echo.Context) error {
	email, err := s.store.EmailOf(ctxOf(c), c.Param("member"))
	if err == nil {
		err = s.operatorsOnly(c, email)
	}
	if err != nil {
		return s.refusedMember(c, err)
	}
	a, err := s.store.TakeOffSecondFactor(ctxOf(c), actor(c), c.Param("member"))
	if err != nil {
		return s.refusedMember(c, err)
	}
	s.tellPerson(c, core.Actor{Person: a.Person}, "Your second factor for Scratchpaper was taken off", actor(c).Name+" took it off. Your password alone lets you in, and you are signed out everywhere.")
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: a.Name + " signs in by password alone from now on, and is signed out everywhere. Ask them to set another phone up."})
	return see(c, "/members")
}

// tellPerson writes to a person, where the app sends mail, that something of their account has changed: it may not have been them.
func (s *Server) tellPerson(c echo.Context, of core.Actor, subject, text string) {
	if s.signIn.Mail == nil {
		return
	}
	address := c.RealIP()
	s.behind(ctxOf(c), func(ctx context.Context) error {
		a, err := s.store.OwnAccount(ctx, of)
		if err != nil || a.Email == "" {
			return err
		}
		s.signIn.Mail(mail.Message{To: a.Email, Subject: subject, Text: text + "\n\nIt was done just now, from the address " + address +
			". If it was not you who wanted it, choose another password at once, here:\n\n" + s.signIn.Base + "/forgot\n"})
		return nil
	})
}
