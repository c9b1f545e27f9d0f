package views

import (
	"strings"
	"time"
)

// SecondView is where a plan stands that a second person has to approve.
type SecondView struct {
	Needed      bool     // the organization publishes what a second person has approved
	State       string   // "", asked, approved, sent back
	Deletes     bool     // the deletes were asked for too
	Authors     []string // names of those who cannot approve it
	AskedBy     string
	AskedAt     time.Time
	DecidedBy   string
	DecidedAt   time.Time
	Note        string // why it was sent back
	MayAsk      bool
	MayApprove  bool
	MaySendBack bool
	Author      bool // who looks is one of the authors
}

// holds says whether the plan has to stay as it is.
func (s *SecondView) holds() bool { return s != nil && (s.State == "asked" || s.State == "approved") }

// asks says whether the plan has to be asked about before it can be published.
func (s *SecondView) asks() bool { return s != nil && s.Needed && !s.holds() }

// waits says whether it can be published only after somebody has approved it.
func (s *SecondView) waits() bool { return s != nil && s.Needed && s.State == "asked" }

// who says in a sentence who can approve.
func (s *SecondView) who() string {
	switch {
	case s.Author:
		return "You made this plan or edited last what is in it, so another publisher or admin approves it."
	case s.MayApprove:
		return "Look through what is sent. You can approve it, since " + strings.Join(s.Authors, " and ") + " made and edited it."
	}
	return "A publisher or admin approves it who neither made the plan nor edited last what is in it."
}

// deletesWords says of a plan with deletes whether they were asked about.
func (s *SecondView) deletesWords(deletes int64) string {
	switch {
	case deletes == 0:
		return ""
	case s.Deletes:
		return ", deletes included"
	}
	return ", without the deletes"
}

// DecisionLine is what somebody decided of a plan that the person who looks asked about.
type DecisionLine struct {
	Plan, Address, Snapshot, By, Note string
	Approved                          bool
}

// words say what was decided.
func (d DecisionLine) words() string {
	if d.Approved {
		return d.By + " approved what you asked for. It can be published now."
	}
	return d.By + " sent back what you asked for."
}

// WaitingLine is a plan that waits for a second person.
type WaitingLine struct {
	Address, Snapshot, By string
	At                    time.Time
	Yours                 bool // who looks may approve it
}
