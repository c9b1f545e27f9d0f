package views

import "time"

// AuditView is the page of an organization's log.
type AuditView struct {
	Lines  []AuditLine
	Act    string // that is chosen; "" is every
	Acts   []Choice
	Export string // address of the log as a file
	Older  string // address of the next page; "" is none
}

// AuditLine is one line of it.
type AuditLine struct {
	At                                       time.Time
	Who, Kind, Act, Target, Details, Address string
}
