package turns

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
	"scratchpaper/internal/redistest"
)

// servers are a real Redis and the one that runs in process.
func servers(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"redis-server": redistest.Start(t).Address(), "in process": redistest.InProcess(t).Addr()}
}

// process is what one process has: its own client and its own Turns.
func process(t *testing.T, address string) *Turns {
	t.Helper()
	r := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	t.Cleanup(func() { _ = r.Close() })
	for range 100 {
		if r.Ping(t.Context()).Err() == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return New(r, slog.New(slog.DiscardHandler))
}

func lent(tu *Turns, connection string, l connectors.Limits) connectors.Environment {
	return tu.Lend(connection, connectors.Info{Name: "Shop", Limits: l}, connectors.Environment{})
}

func wantFault(t *testing.T, err error, kind connectors.FaultKind, least, most time.Duration) {
	t.Helper()
	var f *connectors.Fault
	if !errors.As(err, &f) || f.Kind != kind || !f.Unsent {
		t.Fatalf("the error is %v, want %s", err, kind)
	}
	if wait := time.Until(f.Until); wait < least || wait > most {
		t.Errorf("it says to come back in %s, want %s to %s", wait, least, most)
	}
}

func TestTenWorkersInThreeProcessesKeepToOneLimit(t *testing.T) {
	t.Parallel()
	for name, address := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rate, each, workers = 50, 4, 10
			processes := []*Turns{process(t, address), process(t, address), process(t, address)}
			var mu sync.Mutex
			var taken []time.Time
			var all sync.WaitGroup
			for i := range workers {
				env := lent(processes[i%3], "con_1", connectors.Limits{RequestsPerSecond: rate})
				all.Go(func() {
					for range each {
						if err := env.Take(t.Context()); err != nil {
							t.Error(err)
						}
						mu.Lock()
						taken = append(taken, time.Now())
						mu.Unlock()
					}
				})
			}
			all.Wait()
			slices.SortFunc(taken, time.Time.Compare)
			if took, least := taken[len(taken)-1].Sub(taken[0]), (each*workers-3)*time.Second/rate; took < least {
				t.Errorf("%d turns took %s, at %d a second they take at least %s", len(taken), took, rate, least)
			}
			if err := lent(processes[0], "con_2", connectors.Limits{RequestsPerSecond: 0.01}).Take(t.Context()); err != nil {
				t.Errorf("another connection waits too: %v", err)
			}
		})
	}
}

func TestARestIsKnownToAllProcesses(t *testing.T) {
	t.Parallel()
	for name, address := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := process(t, address), process(t, address)
			lent(one, "con_1", connectors.Limits{}).Pause(time.Now().Add(time.Minute))
			lent(one, "con_1", connectors.Limits{}).Pause(time.Now().Add(-time.Minute)) // over already
			wantFault(t, lent(two, "con_1", connectors.Limits{}).Take(t.Context()), connectors.Limited, 55*time.Second, time.Minute)
			lent(one, "con_2", connectors.Limits{}).Pause(time.Now().Add(300 * time.Millisecond))
			began := time.Now()
			if err := lent(two, "con_2", connectors.Limits{}).Take(t.Context()); err != nil || time.Since(began) < 250*time.Millisecond {
				t.Errorf("it waited %s: %v", time.Since(began), err)
			}
		})
	}
}

func TestARestWithoutATimeIsLongerEachTime(t *testing.T) {
	t.Parallel()
	for name, address := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := lent(process(t, address), "con_1", connectors.Limits{})
			for range 5 {
				env.Pause(time.Time{}) // 1, 2, 4, 8, 16 s
			}
			wantFault(t, env.Take(t.Context()), connectors.Limited, 14*time.Second, 17*time.Second)
		})
	}
}

func TestADaysRequestsAreCounted(t *testing.T) {
	t.Parallel()
	for name, address := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := connectors.Limits{RequestsPerDay: 3}
			one, two := lent(process(t, address), "con_1", l), lent(process(t, address), "con_1", l)
			for i, env := range []connectors.Environment{one, two, one} {
				if err := env.Take(t.Context()); err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
			}
			wantFault(t, two.Take(t.Context()), connectors.QuotaUsed, 0, 24*time.Hour)
		})
	}
}

func TestNobodyWaitsLongerThanItsCallLasts(t *testing.T) {
	t.Parallel()
	env := lent(process(t, redistest.InProcess(t).Addr()), "con_1", connectors.Limits{RequestsPerSecond: 0.25})
	if err := env.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := time.Now()
	wantFault(t, env.Take(ctx), connectors.Limited, 3*time.Second, 4*time.Second)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s to say so", took)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	var f *connectors.Fault
	if err := env.Take(gone); !errors.As(err, &f) || f.Kind != connectors.Unavailable || !f.Unsent {
		t.Errorf("for nobody: %v", err)
	}
}

func TestWithoutRedisAProcessKeepsToHalfOfTheLimit(t *testing.T) {
	t.Parallel()
	m := redistest.InProcess(t)
	tu := process(t, m.Addr())
	env := lent(tu, "con_1", connectors.Limits{RequestsPerSecond: 20})
	if err := env.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Close()
	began := time.Now()
	for i := range 5 {
		if err := env.Take(t.Context()); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("5 turns at half of 20 a second took %s", took)
	}
	env.Pause(time.Now().Add(time.Minute))
	wantFault(t, env.Take(t.Context()), connectors.Limited, 55*time.Second, time.Minute)
	redistest.Restart(t, m)
	other := lent(tu, "con_2", connectors.Limits{RequestsPerSecond: 0.5})
	for end := time.Now().Add(5 * time.Second); !m.Exists(key("con_2")); {
		if time.Now().After(end) {
			t.Fatal("Redis is back and is not asked")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = other.Take(ctx)
		cancel()
		time.Sleep(20 * time.Millisecond)
	}
}

func TestALimitWithoutRateIsFree(t *testing.T) {
	t.Parallel()
	env := lent(process(t, redistest.InProcess(t).Addr()), "con_1", connectors.Limits{})
	began := time.Now()
	for range 200 {
		if err := env.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("200 turns took %s", time.Since(began))
	if err := (connectors.Environment{}).Take(t.Context()); err != nil {
		t.Errorf("without turns: %v", err)
	}
}
