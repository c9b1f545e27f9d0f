// Package analytics tells PostHog, where the operator has named a project, which parts of the app are used and how its jobs end. What it tells is
// the list of Events: it knows no names, no addresses, no contents and no secrets. Every method works on a nil *Analytics, and does nothing there.
package analytics

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/posthog/posthog-go"
)

const (
	room      = 512              // events that wait; what comes then is lost
	sendLimit = 10 * time.Second // of one batch
	stopLimit = 3 * time.Second  // a stop waits no longer for a server that does not answer
	sendEvery = 5 * time.Second
)

// Event is something that is told, with the names of its properties. No other properties are sent.
type Event struct {
	Name       string
	Properties []string
	Means      string
}

var (
	featureUsed = Event{"feature used", []string{"feature", "way"}, "somebody did one of the acts below, and it went well; the way is page or api"}
	jobEnded    = Event{"job ended", []string{"kind", "state", "seconds"}, "a job was done, failed or cancelled; seconds of its last slice, rounded up to a power of two"}
)

// Events are all that is told.
var Events = []Event{featureUsed, jobEnded}

// Feature is an act that is told.
type Feature string

// Features are the acts that are told.
const (
	Connected    Feature = "connection made"
	Sampled      Feature = "sample taken"
	Snapshotted  Feature = "snapshot taken"
	Refreshed    Feature = "refresh asked"
	Scheduled    Feature = "refresh scheduled"
	Imported     Feature = "file imported"
	Exported     Feature = "table exported"
	Edited       Feature = "cells edited"
	Replaced     Feature = "find and replace"
	Accepted     Feature = "suggestions accepted"
	Rejected     Feature = "suggestions rejected"
	Undone       Feature = "batch undone"
	Planned      Feature = "plan made"
	Published    Feature = "plan published"
	Reverted     Feature = "revert planned"
	Asked        Feature = "approval asked"
	Approved     Feature = "plan approved"
	Shared       Feature = "review link made"
	TokenMade    Feature = "token made"
	WebhookMade  Feature = "webhook made"
	MemberAsked  Feature = "member invited"
	SchemaTaken  Feature = "changed columns taken over"
	ViewSaved    Feature = "view saved"
	RetryStarted Feature = "publish tried again"
)

// AllFeatures lists them for the page that names them.
var AllFeatures = []Feature{Connected, Sampled, Snapshotted, Refreshed, Scheduled, Imported, Exported, Edited, Replaced, Accepted, Rejected, Undone, Planned,
	Published, Reverted, Asked, Approved, Shared, TokenMade, WebhookMade, MemberAsked, SchemaTaken, ViewSaved, RetryStarted}

// Analytics sends events from behind.
type Analytics struct {
	key        []byte
	client     posthog.Client
	queue      chan posthog.Capture
	quit, done chan struct{}
	stop       sync.Once
}

// New tells the project of a key at a PostHog server, such as https://eu.i.posthog.com. An empty key gives nil.
func New(key, host string, log *slog.Logger) (*Analytics, error) {
	if key == "" {
		return nil, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = sendLimit
	client, err := posthog.NewWithConfig(key, posthog.Config{Endpoint: host, Interval: sendEvery, Transport: transport, Logger: quiet{log}})
	if err != nil {
		return nil, err
	}
	a := &Analytics{key: []byte(key), client: client, queue: make(chan posthog.Capture, room), quit: make(chan struct{}), done: make(chan struct{})}
	go a.send()
	return a, nil
}

// Used tells that a person did something, on a page or by the API.
func (a *Analytics) Used(person string, f Feature, api bool) {
	way := "page"
	if api {
		way = "api"
	}
	a.tell(person, featureUsed, string(f), way)
}

// JobEnded tells how a job of an organization ended, and how long its last slice took.
func (a *Analytics) JobEnded(org, kind, state string, took time.Duration) {
	a.tell(org, jobEnded, kind, state, roundedUp(took))
}

// roundedUp gives seconds as a power of two, so that nobody is known by how long something took.
func roundedUp(took time.Duration) float64 {
	return math.Exp2(math.Ceil(math.Log2(max(took.Seconds(), 1))))
}

// tell queues an event with the values of its properties in their order; where too many wait, it is lost.
func (a *Analytics) tell(who string, e Event, values ...any) {
	if a == nil {
		return
	}
	properties := posthog.Properties{}
	for i, name := range e.Properties {
		properties[name] = values[i]
	}
	select {
	case a.queue <- posthog.Capture{DistinctId: a.alias(who), Event: e.Name, Timestamp: time.Now(), Properties: properties}:
	default:
	}
}

// alias gives the name under which somebody is counted: who has the events cannot tell who it is.
func (a *Analytics) alias(who string) string {
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(who))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// send hands events to the library, which waits when it has too many; whoever tells does not.
func (a *Analytics) send() {
	defer close(a.done)
	for {
		select {
		case e := <-a.queue:
			_ = a.client.Enqueue(e) // what is lost is a count
		case <-a.quit:
			a.sendRest()
			return
		}
	}
}

func (a *Analytics) sendRest() {
	for {
		select {
		case e := <-a.queue:
			_ = a.client.Enqueue(e)
		default:
			return
		}
	}
}

// Stop sends what has not been sent yet, and waits no longer than three seconds for it.
func (a *Analytics) Stop() {
	if a == nil {
		return
	}
	a.stop.Do(func() {
		close(a.quit)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			<-a.done
			_ = a.client.Close()
		}()
		select {
		case <-ended:
		case <-time.After(stopLimit):
		}
	})
}

// quiet is the library's log: a server that is away is nobody's concern here.
type quiet struct{ log *slog.Logger }

// Logf passes nothing on.
func (q quiet) Logf(string, ...any) {}

// Errorf keeps what went wrong for who looks for it.
func (q quiet) Errorf(format string, values ...any) {
	q.log.Debug("analytics: " + fmt.Sprintf(format, values...))
}
