package core

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// Role is what a member of an organization may do; each includes those before it.
type Role int

// The roles, from least to most. Suggester is no member's: it is how far tokens and agents go that only suggest.
const (
	Viewer Role = iota + 1
	Suggester
	Editor
	Publisher
	Admin
)

// String gives the word for a role.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Suggester:
		return "suggester"
	case Editor:
		return "editor"
	case Publisher:
		return "publisher"
	case Admin:
		return "admin"
	}
	return "nobody"
}

// Roles lists those of members, from least to most.
var Roles = []Role{Viewer, Editor, Publisher, Admin}

// RoleNamed gives a member's role by its word; 0 is none.
func RoleNamed(word string) Role {
	for _, r := range Roles {
		if r.String() == word {
			return r
		}
	}
	return 0
}

// Actor is who asks. Every command of the store takes one and sees only its organization.
type Actor struct {
	Org      string // organization id
	Person   string // person id; of a token or an agent its own id; "" for the program itself
	Name     string // as shown in the history
	Kind     string // person, token, agent, reviewer, system
	Role     Role
	Client   string // id of the browser tab, so that it can ignore its own hints; may be ""
	Address  string // network address that it asks from; "" in jobs
	Session  string // id of the session that a person has signed in with; "" without one
	Snapshot string // the only snapshot that it sees; "" is all of the organization's
	Decides  bool   // a reviewer may accept and reject suggestions
	// NeedsFactor says that the organization asks for a second factor that this person has not: they set it up before anything else.
	NeedsFactor bool
	Operator    bool // a person who operates the app, over all organizations
}

// LocalOrg and LocalPerson are the organization and the person of an app with no identity provider.
const (
	LocalOrg    = "org_local"
	LocalPerson = "per_local"
)

// Local is the actor of an app with no identity provider: one person, on this machine.
func Local() Actor {
	return Actor{Org: LocalOrg, Person: LocalPerson, Name: "You", Kind: KindPerson, Role: Admin, Operator: true}
}

// System is the program acting for an organization, in jobs and migrations.
func System(org string) Actor {
	return Actor{Org: org, Name: "Scratchpaper", Kind: KindSystem, Role: Admin}
}

// Require gives a Forbidden error unless the actor has at least role r.
func (a Actor) Require(r Role) error {
	if a.Org == "" {
		return Errorf(Unauthorized, "Sign in first.")
	}
	if a.Role < r {
		return Errorf(Forbidden, "This needs the role %s; yours is %s.", r, a.Role)
	}
	return nil
}

// NewID makes an id with a type prefix, as in "snp_5k3…": 16 random letters and digits (80 bits), all lower case,
// so that it is also a plain Postgres identifier.
func NewID(prefix string) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails on supported platforms (it crashes the program instead)
	return prefix + "_" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

type logKey struct{}

// LogIDs are the ids that a log line carries where they are known.
type LogIDs struct{ Request, Person, Job, Snapshot string }

// WithLogIDs gives a context whose log lines carry ids; empty fields keep what ctx had.
func WithLogIDs(ctx context.Context, ids LogIDs) context.Context {
	old := LogIDsOf(ctx)
	if ids.Request == "" {
		ids.Request = old.Request
	}
	if ids.Person == "" {
		ids.Person = old.Person
	}
	if ids.Job == "" {
		ids.Job = old.Job
	}
	if ids.Snapshot == "" {
		ids.Snapshot = old.Snapshot
	}
	return context.WithValue(ctx, logKey{}, ids)
}

// LogIDsOf gives the ids that WithLogIDs put in.
func LogIDsOf(ctx context.Context) LogIDs {
	ids, _ := ctx.Value(logKey{}).(LogIDs)
	return ids
}
