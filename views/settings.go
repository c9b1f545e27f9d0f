package views

// SettingsView is the page of what a person and the operator may want to know and change.
type SettingsView struct {
	Version string
	Places  []Pair // where data lies
	Credits string // of the sample data
}
