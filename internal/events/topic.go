package events

import (
	"regexp"
	"slices"

	"scratchpaper/internal/core"
)

// TopicJobs is the topic of every job of the caller's organization.
const TopicJobs = "org-jobs"

// TopicMine is the topic of what concerns the caller alone.
const TopicMine = "mine"

// maxTopics bounds the topics of one stream: a browser with many tabs open, each with a few.
const maxTopics = 200

var topicPattern = regexp.MustCompile(`^(snapshot|job):([A-Za-z0-9_-]{1,80})$`)

// TopicSnapshot is the topic of everything that changes in a snapshot.
func TopicSnapshot(id string) string { return "snapshot:" + id }

// TopicJob is the topic of one job's progress.
func TopicJob(id string) string { return "job:" + id }

// Topic is a topic taken apart. Snapshot and Job are empty for TopicJobs and TopicMine.
type Topic struct {
	Name     string
	Snapshot string
	Job      string
}

// ParseTopics reads the topic parameters of a request, each once, in their order.
// It says nothing about whether the caller may hear them. Codes: Invalid.
func ParseTopics(names []string) ([]Topic, error) {
	var topics []Topic
	for _, name := range names {
		if slices.ContainsFunc(topics, func(t Topic) bool { return t.Name == name }) {
			continue
		}
		if len(topics) == maxTopics {
			return nil, core.FieldErrorf("/topic", "A stream carries at most %d topics.", maxTopics)
		}
		topic, ok := parseTopic(name)
		if !ok {
			return nil, core.FieldErrorf("/topic", "A topic is snapshot:<id>, job:<id>, %s or %s.", TopicJobs, TopicMine)
		}
		topics = append(topics, topic)
	}
	return topics, nil
}

func parseTopic(name string) (Topic, bool) {
	if name == TopicJobs || name == TopicMine {
		return Topic{Name: name}, true
	}
	parts := topicPattern.FindStringSubmatch(name)
	if parts == nil {
		return Topic{}, false
	}
	if parts[1] == "snapshot" {
		return Topic{Name: name, Snapshot: parts[2]}, true
	}
	return Topic{Name: name, Job: parts[2]}, true
}

// address is where connections wait for hints: a topic within an organization, or all of it when the topic is empty.
type address struct{ org, topic string }

// mineOf is where one person's connections wait for what concerns them alone. Nobody can name it as a topic.
func mineOf(org, person string) address { return address{org, TopicMine + ":" + person} }

// addresses says where a hint goes. static/js/events.js takes hints apart by the same rule.
func addresses(h core.Hint) []address {
	if h.Kind == kindResync && h.Snapshot == "" && h.Job == "" {
		return []address{{org: h.Org}}
	}
	var out []address
	if h.Snapshot != "" {
		out = append(out, address{h.Org, TopicSnapshot(h.Snapshot)})
	}
	if h.Person != "" {
		out = append(out, mineOf(h.Org, h.Person))
	}
	if h.Job != "" {
		out = append(out, address{h.Org, TopicJob(h.Job)}, address{h.Org, TopicJobs})
	}
	return out
}
