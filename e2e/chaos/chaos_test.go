// Package chaos lets people, another client of the service, crashes, cut connections and lost databases at a real process, round
// after round, and compares the service's own rows and every record with a simple model after each.
package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// roundsOfASnapshot is how long a snapshot is worked on before a new one is taken.
const roundsOfASnapshot = 15

// TestChaos runs random rounds: CHAOS_ROUNDS of them, or for CHAOS_TIME (30s unless told), one process with its own database
// and two that share one by turns, or as CHAOS_SHARED (true, false) says. CHAOS_SEED repeats a run: acts and faults are the
// same, their moments as near as the machine allows. Where nothing is said the seed is always the same. CHAOS_WORLDS snapshots,
// one unless told, each with processes and databases of its own, are worked on at a time: a round mostly waits.
func TestChaos(t *testing.T) {
	seed := uint64(20261126)
	if os.Getenv("CHAOS_ROUNDS")+os.Getenv("CHAOS_TIME") != "" {
		seed = uint64(time.Now().UnixNano())
	}
	if v, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64); err == nil {
		seed = v
	}
	rounds, _ := strconv.Atoi(os.Getenv("CHAOS_ROUNDS"))
	limit := 30 * time.Second
	if v, err := time.ParseDuration(os.Getenv("CHAOS_TIME")); err == nil {
		limit = v
	}
	rep := newReport()
	t.Cleanup(func() {
		fmt.Printf("chaos, seed %d\n%s", seed, rep)
		if rep.count() > 0 {
			t.Fail()
		}
	})
	began := time.Now()
	over := func() bool {
		if rounds > 0 {
			return rep.done() >= rounds
		}
		return time.Since(began) > limit
	}
	worlds, _ := strconv.Atoi(os.Getenv("CHAOS_WORLDS"))
	var next atomic.Uint64
	var all sync.WaitGroup
	for range max(1, worlds) {
		all.Go(func() {
			for !over() && rep.count() == 0 {
				n := next.Add(1) - 1
				half := began.Add(limit / 2 * time.Duration(n+1))
				enough := func() bool { return over() || rounds == 0 && n < 1 && time.Now().After(half) }
				shared := n%2 == 1
				if v := os.Getenv("CHAOS_SHARED"); v != "" {
					shared = v == "true"
				}
				t.Run(fmt.Sprintf("seed %d", seed+n), func(t *testing.T) { oneWorld(t, shared, seed+n, rep, enough) })
			}
		})
	}
	all.Wait()
}

// oneWorld plays the rounds of one snapshot.
func oneWorld(t *testing.T, shared bool, seed uint64, rep *report, over func() bool) {
	w := newWorld(t, shared, seed, rep)
	w.round = fmt.Sprintf("%d.0", seed)
	w.under(0.5, takePoints, w.take)
	w.clean("after the download")
	for n := 1; n <= roundsOfASnapshot && !over() && rep.count() == 0; n++ {
		w.round = fmt.Sprintf("%d.%d", seed, n)
		w.trace = nil
		start := time.Now()
		w.play()
		w.told()
		rep.endRound(w.retries)
		w.retries = 0
		if os.Getenv("CHAOS_VERBOSE") != "" {
			fmt.Printf("round %s (shared %t) in %s, %d differences: %s\n", w.round, shared, time.Since(start).Round(10*time.Millisecond), rep.count(), strings.Join(w.faults(), "; "))
		}
	}
	w.told()
	if rep.count() > 0 {
		t.Logf("what happened: %s\n%s", strings.Join(w.trace, "\n"), w.house.logs())
		t.Fail()
	}
}

// faults gives the faults of the round.
func (w *world) faults() []string {
	var out []string
	for _, l := range w.trace {
		if name, ok := strings.CutPrefix(l, "fault: "); ok {
			out = append(out, name)
		}
	}
	return out
}

// told gathers what clients and processes found odd.
func (w *world) told() {
	for _, c := range w.api {
		c.mu.Lock()
		for _, o := range c.odd {
			w.differ("%s", o)
		}
		w.retries += c.again
		c.odd, c.again = nil, 0
		c.mu.Unlock()
	}
	for _, l := range w.house.failures() {
		w.differ("%s", l)
	}
}
