package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// report is what a run came to.
type report struct {
	mu          sync.Mutex
	rounds      int
	faults      map[string]int
	acts        map[string]int
	comparisons map[string]int
	differences []string
	retries     int
}

func newReport() *report {
	return &report{faults: map[string]int{}, acts: map[string]int{}, comparisons: map[string]int{}}
}

func (r *report) fault(kind string) { r.add(r.faults, kind, 1) }

func (r *report) did(act string) { r.add(r.acts, act, 1) }

func (r *report) compared(what string, n int) { r.add(r.comparisons, what, n) }

func (r *report) add(m map[string]int, key string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m[key] += n
}

func (r *report) differ(round, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := round + ": " + what
	if !slices.Contains(r.differences, d) {
		r.differences = append(r.differences, d)
	}
}

// endRound counts a round, and the requests that were sent again in it.
func (r *report) endRound(retries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rounds++
	r.retries += retries
}

// done is how many rounds have ended.
func (r *report) done() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rounds
}

func (r *report) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.differences)
}

// String gives the report for people.
func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d rounds, %d requests sent again\n", r.rounds, r.retries)
	for _, part := range []struct {
		title string
		of    map[string]int
	}{{"faults", r.faults}, {"acts", r.acts}, {"compared", r.comparisons}} {
		fmt.Fprintf(&b, "%s:\n", part.title)
		for _, k := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, "  %-44s %8d\n", k, part.of[k])
		}
	}
	fmt.Fprintf(&b, "differences: %d\n", len(r.differences))
	for _, d := range r.differences {
		fmt.Fprintf(&b, "  %s\n", d)
	}
	return b.String()
}
