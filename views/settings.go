package views

// SettingsView is the page of what a person and the operator may want to know and change.
type SettingsView struct {
	Version  string
	Places   []Pair // where data lies
	Credits  string // of the sample data
	Operator bool   // who looks operates the app
	// StoppedWebhooks is how many the program switched off, for admins.
	StoppedWebhooks int
	// Organization is nil where one person uses the app alone.
	Organization *OrganizationView
}

// OrganizationView is what the organization's admins decide for everybody in it.
type OrganizationView struct {
	Name         string
	SecondPerson bool
	SecondFactor string // who needs one: nobody, publishers, everybody; "" where people do not sign in with a password
	May          bool   // who looks may change it
}

// factorChoices are whom an organization can ask for a second factor.
var factorChoices = []Choice{{"nobody", "nobody"}, {"publishers", "publishers and admins"}, {"everybody", "everybody"}}
