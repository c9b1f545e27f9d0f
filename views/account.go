package views

import (
	"time"

	"scratchpaper/internal/core"
)

// AccountView is the page of one's own account.
type AccountView struct {
	Email                   string
	HasPassword             bool // else they sign in at a provider only
	HasFactor               bool // a code is asked for beside the password
	Name, Current, Password Field
	Sessions                []SessionLine
	Error                   string // what belongs to no field
}

// SessionLine is one browser in which a person has signed in.
type SessionLine struct {
	ID, Address, Browser string
	Began, Seen          time.Time
	Here                 bool // the one that looks at the page
}

// Place puts each refusal at its field; what belongs to none stands on top.
func (v *AccountView) Place(e *core.Error) {
	if !placeAt(e, []*Field{&v.Name, &v.Current, &v.Password}) {
		v.Error = e.Sentence
	}
}

// MembersView is the page of who belongs to an organization.
type MembersView struct {
	Organization string
	Members      []MemberLine
	Invitations  []InvitationLine
	Roles        []Choice
	Email, Role  string    // of the invitation form
	Link         *OnceLink // shown this once
	SendsMail    bool
	Error        string
}

// MemberLine is one member.
type MemberLine struct {
	ID, Name, Email, Role string
	Since                 time.Time
	Seen                  *time.Time
	Self                  bool
	HasPassword           bool // else they sign in at a provider
	HasFactor             bool
	NeedsFactor           bool // the organization asks for one that they have not
}

// InvitationLine is an open invitation.
type InvitationLine struct {
	ID, Email, Role, By string
	Until               time.Time
}

// OnceLink is a link that is shown once, to be handed over.
type OnceLink struct{ For, Address, What string }

// Place shows what was wrong.
func (v *MembersView) Place(e *core.Error) { v.Error = e.Sentence }

// AccountMenu is what the top bar says of who has signed in; its organizations are those that they can go to.
type AccountMenu struct {
	Name          string
	Organizations []Choice // id and name
	Admin         bool
	Elsewhere     bool // account and members are kept at a service
}
