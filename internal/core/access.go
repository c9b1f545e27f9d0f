package core

// Act is a kind of thing that a request does. Every address of the app belongs to one.
type Act string

// The acts. Access says who may do each.
const (
	Open    Act = "open"
	Look    Act = "look"
	Suggest Act = "suggest"
	Decide  Act = "decide"
	Edit    Act = "edit"
	Publish Act = "publish"
	Approve Act = "approve"
	Account Act = "account"
	Manage  Act = "manage"
	Operate Act = "operate"
)

// AccessRule says who may do an act.
type AccessRule struct {
	Act   Act
	Means string // what belongs to it, for people
	Role  Role   // the least role of a person; 0 needs nobody
	Scope Scope  // the least scope of an API token; "" is no token at all
	Agent bool   // an agent may, in the snapshot that its token names
	// Review says what somebody may by a review link, in its snapshot; each address of theirs is listed with the routes.
	Review bool
	// Operator says that it is for operators of the app alone, whatever their role in an organization.
	Operator bool
}

// Access is the one table of who may do what. docs/access.md shows it, the routes are checked against it, and the commands of the
// store check the role once more.
var Access = []AccessRule{
	{Act: Open, Means: "the sign-in page and what leads to it, static files, health"},
	{Act: Look, Means: "see snapshots, records, suggestions, history, plans, jobs and connections without their secrets; export", Role: Viewer, Scope: ScopeRead, Agent: true, Review: true},
	{Act: Suggest, Means: "suggest changes, creates and deletes; preview transforms", Role: Editor, Scope: ScopeSuggest, Agent: true},
	{Act: Decide, Means: "accept and reject suggestions", Role: Editor, Scope: ScopeEdit, Review: true},
	{Act: Edit, Means: "edit, undo, settle conflicts, import; take, rename and refresh snapshots; views; make plans; cancel jobs", Role: Editor, Scope: ScopeEdit},
	{Act: Publish, Means: "publish, retry, revert; connect services, change and delete connections; delete snapshots; make review links", Role: Publisher, Scope: ScopePublish},
	{Act: Approve, Means: "approve a plan that waits for a second person, or send it back", Role: Publisher},
	{Act: Account, Means: "one's own account: password, sessions, tokens", Role: Viewer, Review: true},
	{Act: Manage, Means: "members, roles and invitations; everybody's tokens; the organization's settings and webhooks; the audit log", Role: Admin},
	{Act: Operate, Means: "the app over all organizations: health, queues, sizes, slow queries, switches", Role: Viewer, Operator: true},
}

// Scope is what an API token may do at most; each includes those before it. Its person's role bounds it too.
type Scope string

// The scopes, from least to most.
const (
	ScopeRead    Scope = "read"
	ScopeSuggest Scope = "suggest"
	ScopeEdit    Scope = "edit"
	ScopePublish Scope = "publish"
)

// Scopes lists them, from least to most.
var Scopes = []Scope{ScopeRead, ScopeSuggest, ScopeEdit, ScopePublish}

// Rank gives the role that a scope comes to; 0 is none, for what is no scope.
func (s Scope) Rank() Role {
	return map[Scope]Role{ScopeRead: Viewer, ScopeSuggest: Suggester, ScopeEdit: Editor, ScopePublish: Publisher}[s]
}

// The kinds of actors.
const (
	KindPerson = "person"
	KindToken  = "token"
	KindAgent  = "agent"
	// KindReviewer is a person who looks at one snapshot by a link, whatever organizations they belong to.
	KindReviewer = "reviewer"
	KindSystem   = "system"
)

// May gives an error unless the actor may do an act. Codes: Unauthorized, Forbidden.
func (a Actor) May(act Act) error {
	for _, r := range Access {
		if r.Act == act {
			return a.may(r)
		}
	}
	return Errorf(Forbidden, "Nobody may do this.")
}

func (a Actor) may(r AccessRule) error {
	switch {
	case r.Role == 0:
		return nil
	case a.Org == "" || a.Role < Viewer:
		return Errorf(Unauthorized, "Sign in first.")
	case r.Operator:
		if !a.Operator || a.Kind != KindPerson {
			return Errorf(Forbidden, "This is for the operators of the app.")
		}
		return nil
	case a.Kind == KindPerson || a.Kind == KindSystem:
		return a.Require(r.Role)
	case a.Kind == KindToken && r.Scope != "":
		if a.Role < r.Scope.Rank() {
			return Errorf(Forbidden, "This needs a token with the scope %s, and a person behind it whose role allows it.", r.Scope)
		}
		return nil
	case a.Kind == KindReviewer:
		if !r.Review || r.Act == Decide && !a.Decides {
			return Errorf(Forbidden, "You look at this snapshot by a review link, which does not go so far.")
		}
		return nil
	case a.Kind == KindAgent && r.Agent && a.Role >= r.Scope.Rank():
		return nil
	case a.Kind == KindAgent:
		return Errorf(Forbidden, "An agent looks at its snapshot and suggests. This is for people.")
	}
	return Errorf(Forbidden, "This is for people who have signed in; a token cannot do it.")
}

// Within gives a NotFound error for a snapshot that the actor is not let into: an agent sees the one that its token names.
func (a Actor) Within(snapshot string) error {
	if a.Snapshot != "" && a.Snapshot != snapshot {
		return Errorf(NotFound, "That is not here (any more).")
	}
	return nil
}
