package core

import "time"

// QueueCount is how much one queue of jobs holds at the moment.
type QueueCount struct {
	Name                                        string
	Pending, Active, Scheduled, Retry, Archived int
	Latency                                     time.Duration // how long the oldest that is pending has waited
	Failed, Processed                           int           // today
}

// Process is one that takes up jobs, as it said of itself in the last seconds.
type Process struct {
	Host      string
	PID       int
	StartedAt time.Time
	Places    int // jobs that it takes at the same time
	Busy      int
	State     string
}

// Queues is what the queue of jobs says of itself.
type Queues struct {
	Redis     string        // its version; "" where it does not say
	Took      time.Duration // to answer a ping
	Queues    []QueueCount
	Processes []Process
}
