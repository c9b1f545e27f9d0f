package handlers

import (
	"context"
	"errors"
	"sync"
	"time"

	"scratchpaper/connectors"
)

const (
	// countWait is the longest that the list of a service's tables waits for how many records they have.
	countWait = 1500 * time.Millisecond
	// countAtOnce is how many tables are counted at a time: a small site has few processes.
	countAtOnce = 2
)

// countTables asks for what tables do not say by themselves, if the service can be asked, some at a time and no longer than a while. It
// gives by id why a table's records are not counted, as a sentence.
func countTables(ctx context.Context, session connectors.Session, tables []connectors.Table, wait time.Duration) map[string]string {
	counter, ok := session.(connectors.Counter)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	why := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, countAtOnce)
	for i := range tables {
		if t := &tables[i]; t.Readable && t.Estimate < 0 {
			all.Go(func() {
				n, err := counted(ctx, turns, counter, *t)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					why[t.ID] = notCounted(err)
					return
				}
				t.Estimate = n
			})
		}
	}
	all.Wait()
	return why
}

// counted counts a table when it is its turn.
func counted(ctx context.Context, turns chan struct{}, counter connectors.Counter, t connectors.Table) (int64, error) {
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-turns }()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return counter.Count(ctx, t)
}

func notCounted(err error) string {
	var f *connectors.Fault
	if !errors.As(err, &f) || f.Kind == connectors.Unavailable {
		return "Not counted: the service did not answer in time."
	}
	return "Not counted: " + f.Words
}
