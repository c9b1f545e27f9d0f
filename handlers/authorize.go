package handlers

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// authorizedPath is where services send browsers back to, with a credential in the query. It never answers with a page: what is in its
// query is taken, and the browser is sent on.
const authorizedPath = "/connections/authorized"

// draftLife is how long somebody may take at the service and with the form afterwards.
const draftLife = 20 * time.Minute

// mostDraft is how long a draft's cookie may be, in bytes: browsers keep 4,096 with its name.
const mostDraft = 3800

// draft is a connection that is being made while its person is at the service. It is kept in the browser that began it, encrypted: so
// an answer that comes in another browser finds nothing to go to, and nobody but its person, in its organization, uses what came.
type draft struct {
	Org        string            `json:"o"`
	Person     string            `json:"p"`
	Connector  string            `json:"k"`
	Connection string            `json:"c,omitempty"` // that is changed; "" is a new one
	Name       string            `json:"n"`
	Settings   map[string]string `json:"s"`           // typed before, without secrets, then with what came
	Secrets    map[string]string `json:"x,omitempty"` // what came
	State      string            `json:"t,omitempty"` // that the answer has to name; "" when it has come
	Until      time.Time         `json:"u"`
}

// address is where the draft's form is.
func (d draft) address() string {
	if d.Connection != "" {
		return "/connections/" + d.Connection + "/edit?draft=1"
	}
	return "/connections/new/" + d.Connector + "?draft=1"
}

// draftCookie keeps a draft for some time; "" ends it.
func (s *Server) draftCookie(value string, life time.Duration) *http.Cookie {
	return heldCookie("scratchpaper-draft", value, life, s.config.Secure)
}

// keepDraft puts a draft into the browser. Codes: Invalid (too long).
func (s *Server) keepDraft(c echo.Context, d draft) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sealed, err := s.store.SealDraft(raw)
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	if len(value) > mostDraft {
		return core.Errorf(core.Invalid, "The name and the address are too long to be remembered while you are at the service. Shorten them, or fill in the credential by hand.")
	}
	c.SetCookie(s.draftCookie(value, time.Until(d.Until)))
	return nil
}

// keptDraft gives the browser's draft; ok is false when there is none, or its time is over.
func (s *Server) keptDraft(c echo.Context) (d draft, ok bool) {
	cookie, err := c.Cookie(s.draftCookie("", 0).Name)
	if err != nil {
		return d, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return d, false
	}
	raw, err := s.store.UnsealDraft(sealed)
	if err != nil || json.Unmarshal(raw, &d) != nil {
		return draft{}, false
	}
	return d, time.Now().Before(d.Until)
}

// draftFor gives the browser's draft when it is this person's, of a connection; "" is a new one of its kind.
func (s *Server) draftFor(c echo.Context, connector, connection string) (draft, bool) {
	by := actor(c)
	d, ok := s.keptDraft(c)
	return d, ok && d.Org == by.Org && d.Person == by.Person && d.Connector == connector && d.Connection == connection
}

// authorize sends a person to the service, to say there that the app may come in. f is their form as it is shown again.
func (s *Server) authorize(c echo.Context, k connectors.Connector, con store.Connection, given map[string]string, title string, f views.ConnectionForm) error {
	a, ok := k.(connectors.Authorizer)
	if !ok {
		return core.Errorf(core.Malformed, "%s hands no credential over.", k.Info().Name)
	}
	by := actor(c)
	state, _ := auth.NewSecret("")
	d := draft{Org: by.Org, Person: by.Person, Connector: k.Info().ID, Connection: con.ID, Name: c.FormValue("name"), Settings: map[string]string{}, State: state, Until: time.Now().Add(draftLife)}
	for _, st := range k.Info().Settings {
		if !st.Secret {
			d.Settings[st.Key] = given[st.Key]
		}
	}
	to, err := a.Authorize(c.Request().Context(), d.Settings, s.environment(con.ID, k), s.ownBase(c)+authorizedPath+"?state="+state)
	if err = serviceError(err); err == nil && to.ByHand == "" {
		err = s.keepDraft(c, d)
	}
	if err != nil {
		return s.answerForm(c, title, f, besideButton(err, k))
	}
	if to.ByHand == "" && byHTMX(c) {
		c.Response().Header().Set("HX-Redirect", to.Address)
		return c.NoContent(http.StatusOK)
	}
	// A browser follows no redirect of a form to elsewhere under our policy; a link leads there.
	f.GoOn = &views.Notice{Kind: "info", Text: to.ByHand, Link: views.Link{Text: "Go on at " + k.Info().Name, Address: to.Address}}
	if to.ByHand == "" {
		f.GoOn.Text = "You come back here when you have decided there."
	}
	return s.showForm(c, http.StatusOK, title, f)
}

// besideButton puts what belongs to no field at the one that stands over the button.
func besideButton(err error, k connectors.Connector) error {
	e := ours(err)
	if len(e.Fields) > 0 || e.Code == core.Internal || e.Code == core.Forbidden {
		return err
	}
	return withField(e, core.FieldError{Pointer: "/settings/" + k.Info().Authorizing.After, Detail: e.Sentence})
}

// ownBase is the address that this browser has opened the app at, without a slash at its end.
func (s *Server) ownBase(c echo.Context) string {
	if s.signIn != nil && s.signIn.Base != "" {
		return s.signIn.Base
	}
	return c.Scheme() + "://" + c.Request().Host // one of ours: others are not answered
}

// finishAuthorize takes what a service sends a browser back with, and sends the browser on at once, to an address without it.
func (s *Server) finishAuthorize(c echo.Context) error {
	c.Response().Header().Set("Referrer-Policy", "no-referrer")
	d, ok := s.keptDraft(c)
	if !ok || d.State == "" || subtle.ConstantTimeCompare([]byte(d.State), []byte(c.QueryParam("state"))) != 1 {
		s.leaveNotice(c, views.Notice{Kind: "error", Text: "This answer of a service was not asked for in this browser, was used already, or came too late. Nothing of it was kept; begin again."})
		return c.Redirect(http.StatusSeeOther, "/connections/new")
	}
	err := s.takeCredential(c, &d)
	if err == nil || core.CodeOf(err) != core.Internal {
		err = cmp.Or(s.keepDraft(c, d), err)
	}
	if err != nil {
		s.leaveNotice(c, views.Notice{Kind: "error", Text: core.SentenceOf(err)})
	}
	return c.Redirect(http.StatusSeeOther, d.address())
}

// takeCredential puts what came into the draft. Its state is used up, whatever came.
func (s *Server) takeCredential(c echo.Context, d *draft) error {
	d.State = ""
	k, err := s.connector(d.Connector)
	if err != nil {
		return err
	}
	a, ok := k.(connectors.Authorizer)
	if !ok {
		return core.Errorf(core.NotFound, "%s hands no credential over.", k.Info().Name)
	}
	came, err := a.Authorized(d.Settings, c.QueryParams())
	if err != nil {
		return serviceError(err)
	}
	d.Secrets = map[string]string{}
	for _, st := range k.Info().Settings {
		v, ok := came[st.Key]
		switch {
		case ok && st.Secret:
			d.Secrets[st.Key] = v
		case ok:
			d.Settings[st.Key] = v
		}
	}
	return nil
}

// withDraft fills a form in with what a draft holds.
func withDraft(f views.ConnectionForm, d draft) views.ConnectionForm {
	f.Draft, f.Name.Value, f.Name.Autofocus = true, d.Name, d.Name == ""
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Secret {
			field.Came = d.Secrets[field.Name] != ""
			continue
		}
		if v, ok := d.Settings[field.Name]; ok {
			field.Value = v
		}
	}
	if len(d.Secrets) > 0 {
		f.GoOn = &views.Notice{Kind: "ok", Text: "The service let Scratchpaper in. Save to keep the connection."}
	}
	return f
}

// secretsOf puts the secrets that came from the service in the place of those that were left empty.
func (d draft) secretsOf(given map[string]string) map[string]string {
	out := maps.Clone(given)
	for key, v := range d.Secrets {
		if out[key] == "" {
			out[key] = v
		}
	}
	return out
}

// drafted gives a posted form, and what was given in it, with the secrets of the draft that the form says it is of.
func (s *Server) drafted(c echo.Context, f views.ConnectionForm, k connectors.Connector, connection string, given map[string]string) (views.ConnectionForm, map[string]string) {
	d, ok := s.draftFor(c, k.Info().ID, connection)
	if !ok || c.FormValue("draft") == "" || len(d.Secrets) == 0 {
		return f, given
	}
	f.Draft = true
	for i := range f.Fields {
		f.Fields[i].Came = f.Fields[i].Secret && d.Secrets[f.Fields[i].Name] != ""
	}
	return f, d.secretsOf(given)
}

// forgetDraft takes the draft out of the browser once its connection is kept.
func (s *Server) forgetDraft(c echo.Context) {
	if c.FormValue("draft") != "" {
		c.SetCookie(s.draftCookie("", 0))
	}
}
