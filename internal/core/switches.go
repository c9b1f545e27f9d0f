package core

// Switch is a part of the app that the operator can switch off for an organization.
type Switch string

// The switches. Each is on unless the operator says otherwise.
const (
	SwitchAgents    Switch = "agents"
	SwitchReviews   Switch = "review links"
	SwitchSchedules Switch = "schedules"
	SwitchWebhooks  Switch = "webhooks"
	SwitchExports   Switch = "exports"
)

// SwitchRule says what a switch switches.
type SwitchRule struct {
	Switch Switch
	Means  string // what does not work while it is off, for the operator
	Off    string // what people are told who come to a door that is closed
}

// Switches lists them all. docs/operating.md shows it, and a test compares the two.
var Switches = []SwitchRule{
	{SwitchAgents, "letting agents in; those that are in get nowhere", "Agents are switched off for your organization. Whoever runs this app can switch them on."},
	{SwitchReviews, "making and opening review links; who is in by one gets nowhere", "Review links are switched off for your organization. Whoever runs this app can switch them on."},
	{SwitchSchedules, "setting when a snapshot is refreshed by itself; those that are set do not run", "Refreshing by itself is switched off for your organization. Whoever runs this app can switch it on."},
	{SwitchWebhooks, "the pages of webhooks; nothing is told, and what waits is sent when it is on again", "Webhooks are switched off for your organization. Whoever runs this app can switch them on."},
	{SwitchExports, "taking tables out as files, by page and API", "Exports are switched off for your organization. Whoever runs this app can switch them on."},
}

// SwitchedOff is the refusal at a door of what is switched off. Codes: Forbidden.
func SwitchedOff(s Switch) error {
	for _, r := range Switches {
		if r.Switch == s {
			return Errorf(Forbidden, "%s", r.Off)
		}
	}
	return Errorf(Forbidden, "This is switched off for your organization.")
}
