package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// keyAge is after how long another key signs agents' tokens, by itself.
const keyAge = 30 * 24 * time.Hour

// AgentKeys gives the keys of agents' tokens out of the store.
func AgentKeys(st *store.Store) auth.Keys {
	return auth.CachedKeys(func(ctx context.Context) ([]auth.Key, error) {
		all, err := st.SigningKeys(ctx, keyAge)
		out := make([]auth.Key, len(all))
		for i, k := range all {
			out[i] = auth.Key{ID: k.ID, Secret: k.Secret}
		}
		return out, err
	})
}

// Programs is the beginning of every chain: API tokens, agents, and the refusal of any other token.
func Programs(st *store.Store, keys auth.Keys) auth.Chain {
	return auth.Chain{
		auth.Token{Find: st.TokenActor},
		auth.Agent{Keys: keys, Actor: func(ctx context.Context, c auth.AgentClaims) (core.Actor, error) {
			return st.AgentActor(ctx, store.Agent{ID: c.Subject, Name: c.Name, Org: c.Org, Snapshot: c.Snapshot, By: c.By})
		}},
		auth.UnknownToken{},
	}
}

// tokenRoutes lists the addresses of API tokens.
func (s *Server) tokenRoutes(e *echo.Echo) {
	e.GET("/tokens", s.showTokens)
	e.POST("/tokens", s.createToken)
	e.POST("/tokens/:token/revoke", s.revokeToken)
}

func (s *Server) showTokens(c echo.Context) error { return s.answerTokens(c, views.TokensView{}, nil) }

func (s *Server) answerTokens(c echo.Context, v views.TokensView, wrong error) error {
	by := actor(c)
	tokens, err := s.store.Tokens(ctxOf(c), by)
	if err != nil {
		return err
	}
	p, err := s.page(c, "API tokens", "tokens")
	if err != nil {
		return err
	}
	for _, t := range tokens {
		line := views.TokenLine{ID: t.ID, Name: t.Name, Scopes: scopeWords(t.Scopes), Made: t.CreatedAt, Expires: t.ExpiresAt, Used: t.UsedAt, Over: t.ExpiresAt.Before(time.Now())}
		if t.Person != by.Person {
			line.Person = t.PersonName
		}
		v.Tokens = append(v.Tokens, line)
	}
	for _, sc := range core.Scopes {
		if sc.Rank() <= by.Role {
			v.Scopes = append(v.Scopes, views.Choice{Value: string(sc), Text: scopeMeans[sc]})
		}
	}
	status, err := shownAgain(wrong, v.Place)
	if err != nil {
		return err
	}
	return s.render(c, status, views.Tokens(p, v))
}

// scopeMeans says what a token with a scope does, since each includes those before it.
var scopeMeans = map[core.Scope]string{
	core.ScopeRead: "read", core.ScopeSuggest: "read and suggest", core.ScopeEdit: "read, suggest and edit", core.ScopePublish: "read, suggest, edit and publish",
}

func scopeWords(scopes []core.Scope) string {
	words := make([]string, len(scopes))
	for i, sc := range scopes {
		words[i] = string(sc)
	}
	return strings.Join(words, ", ")
}

// tokenLives are the choices of how long a token lasts, in days.
var tokenLives = map[string]int{"7": 7, "30": 30, "90": 90, "365": 365}

// createToken makes a token and shows it this once.
func (s *Server) createToken(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	v := views.TokensView{Name: c.FormValue("name"), Scope: c.FormValue("scope"), Days: c.FormValue("days")}
	days, known := tokenLives[v.Days]
	if !known {
		return s.answerTokens(c, v, core.FieldErrorf("/expires", "Choose how long the token lasts."))
	}
	secret, hash := auth.NewSecret(auth.TokenPrefix)
	t, err := s.store.CreateToken(ctxOf(c), actor(c), v.Name, []core.Scope{core.Scope(v.Scope)}, time.Now().AddDate(0, 0, days), hash)
	if err != nil {
		return s.answerTokens(c, v, err)
	}
	return s.answerTokens(c, views.TokensView{Made: t.Name, Secret: secret}, nil)
}

func (s *Server) revokeToken(c echo.Context) error {
	if err := s.store.RevokeToken(ctxOf(c), actor(c), c.Param("token")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The token is revoked. Nothing gets in by it any more."})
	return see(c, "/tokens")
}

type tokenJSON struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Scopes     []core.Scope `json:"scopes"`
	Person     string       `json:"person"`
	PersonName string       `json:"person_name"`
	CreatedAt  time.Time    `json:"created_at"`
	Expires    time.Time    `json:"expires"`
	LastUsedAt *time.Time   `json:"last_used_at"`    // to the minute
	Token      string       `json:"token,omitempty"` // when it is made, and never again
}

func tokenOut(t store.Token) tokenJSON {
	return tokenJSON{ID: t.ID, Name: t.Name, Scopes: t.Scopes, Person: t.Person, PersonName: t.PersonName, CreatedAt: t.CreatedAt, Expires: t.ExpiresAt, LastUsedAt: t.UsedAt}
}

type newTokenBody struct {
	Name    string       `json:"name"`
	Scopes  []core.Scope `json:"scopes"`
	Expires *time.Time   `json:"expires"` // null is 90 days from now
}

func (s *Server) listTokens(c echo.Context) error {
	all, err := s.store.Tokens(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	return answerPage(c, all, func(t store.Token) string { return newestFirst(t.CreatedAt, t.ID) }, tokenOut)
}

func (s *Server) postToken(c echo.Context) error {
	var body newTokenBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var expires time.Time
	if body.Expires != nil {
		expires = *body.Expires
	}
	secret, hash := auth.NewSecret(auth.TokenPrefix)
	t, err := s.store.CreateToken(ctxOf(c), actor(c), body.Name, slices.Compact(body.Scopes), expires, hash)
	if err != nil {
		return err
	}
	out := tokenOut(t)
	out.Token = secret
	return c.JSON(http.StatusCreated, out)
}

func (s *Server) deleteToken(c echo.Context) error {
	if err := s.store.RevokeToken(ctxOf(c), actor(c), c.Param("token")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type newAgentBody struct {
	Name    string `json:"name"`
	Minutes int    `json:"minutes"` // 1 to 60; 0 is 15
}

type agentJSON struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Snapshot string    `json:"snapshot"`
	Expires  time.Time `json:"expires"`
	Token    string    `json:"token"`
}

// agentMinutes is how long an agent is let in unless something else is said.
const agentMinutes = 15

// postAgent lets an agent into one snapshot for some minutes, to look and to suggest.
func (s *Server) postAgent(c echo.Context) error {
	var body newAgentBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Minutes == 0 {
		body.Minutes = agentMinutes
	}
	life := time.Duration(body.Minutes) * time.Minute
	if life < time.Minute || life > auth.AgentLife {
		return core.FieldErrorf("/minutes", "An agent is let in for 1 to 60 minutes.")
	}
	name := strings.Join(strings.Fields(body.Name), " ")
	if name == "" || len(name) > 100 {
		return core.FieldErrorf("/name", "The agent's name has 1 to 100 characters.")
	}
	by := actor(c)
	a := store.Agent{ID: core.NewID("agt"), Name: name, Org: by.Org, Snapshot: c.Param("snapshot"), By: by.Person}
	if err := s.store.NoteAgent(ctxOf(c), by, a); err != nil {
		return err
	}
	token, until, err := auth.SignAgent(ctxOf(c), s.agentKeys, auth.AgentClaims{RegisteredClaims: jwt.RegisteredClaims{Subject: a.ID}, Org: a.Org, Snapshot: a.Snapshot, Name: a.Name, By: a.By}, life)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, agentJSON{ID: a.ID, Name: a.Name, Snapshot: a.Snapshot, Expires: until.UTC(), Token: token})
}

func (s *Server) tokenOperations() []operation {
	return []operation{
		{method: http.MethodGet, path: "/tokens", summary: "One's own API tokens, newest first; for an admin everybody's", answer: s.listTokens, gives: listOf[tokenJSON]{}, query: paged, does: core.Account},
		{method: post, path: "/tokens", summary: "Make an API token; it is shown this once", answer: s.postToken, takes: newTokenBody{}, status: http.StatusCreated, gives: tokenJSON{},
			does: core.Account, secret: true},
		remove("/tokens/:token", "Revoke a token; nothing gets in by it any more", s.deleteToken, core.Account),
		{method: post, path: sn + "/agents", summary: "Let an agent into the snapshot for some minutes, to look and to suggest; its token is shown this once", answer: s.postAgent,
			takes: newAgentBody{}, status: http.StatusCreated, gives: agentJSON{}, does: core.Edit, secret: true},
	}
}
