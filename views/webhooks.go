package views

import (
	"strconv"
	"time"

	"scratchpaper/internal/core"
)

// WebhooksView is the page of an organization's webhooks.
type WebhooksView struct {
	Lines []WebhookLine
	Form  WebhookForm
}

// WebhookLine is one webhook in a list.
type WebhookLine struct {
	ID, Host, Address string
	Events            []string
	Active            bool
	Stopped           *time.Time // the program switched it off
	Failing           *time.Time
}

// WebhookForm is what an admin says of a webhook.
type WebhookForm struct {
	Address      string
	Events       []string
	Active       bool
	AddressError string
	EventsError  string
	Error        string
}

// Place puts a refusal at its field.
func (v *WebhookForm) Place(e *core.Error) {
	for _, f := range e.Fields {
		switch f.Pointer {
		case "/address":
			v.AddressError = f.Detail
			return
		case "/events":
			v.EventsError = f.Detail
			return
		}
	}
	v.Error = e.Sentence
}

// WebhookView is the page of one webhook.
type WebhookView struct {
	Line    WebhookLine
	Words   string // why the program switched it off
	Secret  string // of one that was just made, shown this once
	Renewed bool   // it takes the place of another one
	// BeforeUntil is until when the former secret signs too; nil where none does.
	BeforeUntil *time.Time
	Form        WebhookForm
	Deliveries  []DeliveryLine
}

// DeliveryLine is one thing that a webhook was told.
type DeliveryLine struct {
	ID, Event, State, Words, Body string
	Tries, Status                 int
	Made                          time.Time
	Tried, Next                   *time.Time
}

// keptSecrets are for how long a former secret can sign beside the new one.
var keptSecrets = []Choice{{"24h", "a day"}, {"168h", "a week"}, {"1h", "an hour"}, {"0s", "no longer: it has become known"}}

// WebhookAddress gives the page of a webhook.
func WebhookAddress(id string) string { return "/settings/webhooks/" + id }

// soon says whether something is about to be sent, so that the page looks again.
func (v WebhookView) soon() bool {
	for _, d := range v.Deliveries {
		if d.State == "waiting" && d.Tries < 2 {
			return true
		}
	}
	return false
}

// eventWords say an event to people.
var eventWords = map[string]string{
	"publish.done": "A publish is done", "publish.failed": "A publish failed", "publish.cancelled": "A publish was cancelled",
	"job.done": "Another job is done", "job.failed": "Another job failed", "job.cancelled": "Another job was cancelled", core.WebhookTest: "A test",
}

func (l WebhookLine) state() (kind, text string) {
	switch {
	case l.Stopped != nil:
		return "del", "switched off by itself"
	case !l.Active:
		return "", "off"
	case l.Failing != nil:
		return "conflict", "failing"
	}
	return "add", "on"
}

func (d DeliveryLine) state() (kind, text string) {
	switch d.State {
	case "delivered":
		return "add", "delivered"
	case "failed":
		return "del", "not delivered"
	}
	if d.Tries == 0 {
		return "accent", "about to be sent"
	}
	return "conflict", "will be tried again"
}

func (d DeliveryLine) tries() string {
	if d.Tries == 0 {
		return ""
	}
	return Counted(int64(d.Tries), "try", "tries")
}

func (d DeliveryLine) answer() string {
	if d.Words == "" && d.Status != 0 {
		return "It answers " + strconv.Itoa(d.Status) + "."
	}
	return d.Words
}
