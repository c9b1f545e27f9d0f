package jobs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"scratchpaper/internal/core"
)

// queueNames are the queues that jobs go by, those first that are taken from most.
var queueNames = []string{"interactive", "bulk", "scheduled"}

// Queues says how the queue is and which processes take from it. Codes: Unavailable (Redis does not answer).
func (r *Runner) Queues(ctx context.Context) (core.Queues, error) {
	var q core.Queues
	began := time.Now()
	if err := r.o.Redis.Ping(ctx).Err(); err != nil {
		return q, core.Wrap(err, core.Unavailable, "Redis does not answer.")
	}
	q.Took = time.Since(began)
	if info, err := r.o.Redis.Info(ctx, "server").Result(); err == nil {
		q.Redis = versionIn(info)
	}
	look := asynq.NewInspectorFromRedisClient(r.o.Redis)
	used, err := look.Queues()
	if err != nil {
		return q, core.Wrap(err, core.Unavailable, "Redis does not say which queues there are.")
	}
	for _, name := range queueNames {
		if !slices.Contains(used, name) {
			q.Queues = append(q.Queues, core.QueueCount{Name: name}) // nothing has gone by it yet
			continue
		}
		info, err := look.GetQueueInfo(name)
		if err != nil {
			return q, core.Wrap(err, core.Unavailable, "Redis does not say how the queues are.")
		}
		q.Queues = append(q.Queues, core.QueueCount{Name: name, Pending: info.Pending, Active: info.Active, Scheduled: info.Scheduled, Retry: info.Retry, Archived: info.Archived,
			Latency: info.Latency, Failed: info.Failed, Processed: info.Processed})
	}
	servers, err := look.Servers()
	if err != nil {
		return q, core.Wrap(err, core.Unavailable, "Redis does not say which processes there are.")
	}
	for _, s := range servers {
		q.Processes = append(q.Processes, core.Process{Host: s.Host, PID: s.PID, StartedAt: s.Started, Places: s.Concurrency, Busy: len(s.ActiveWorkers), State: s.Status})
	}
	slices.SortFunc(q.Processes, func(a, b core.Process) int { return a.StartedAt.Compare(b.StartedAt) })
	return q, nil
}

// versionIn finds the version in what Redis says of itself; Valkey says both its own and that of Redis, and its own counts.
func versionIn(info string) string {
	version := ""
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "valkey_version":
			return "Valkey " + value
		case "redis_version":
			version = "Redis " + value
		}
	}
	return version
}
