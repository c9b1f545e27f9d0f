package core

// WebhookTest is the event of a delivery that an admin asks for, to see whether it arrives.
const WebhookTest = "test"

// WebhookEvents are what a webhook can be told of: how publishes ended, and how all other jobs did.
var WebhookEvents = []string{"publish.done", "publish.failed", "publish.cancelled", "job.done", "job.failed", "job.cancelled"}

// WebhookEvent names the event of a job's end.
func WebhookEvent(kind, state string) string {
	if kind == "publish" {
		return "publish." + state
	}
	return "job." + state
}
