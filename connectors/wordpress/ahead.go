package wordpress

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"scratchpaper/connectors"
)

const (
	// aheadWindows is how many windows are asked for before they are wanted. So two requests are out at a time, and the site works while the
	// app merges.
	aheadWindows = 2
	// aheadLimit bounds the reading of a window that nobody has asked for yet.
	aheadLimit = 2 * time.Minute
)

// ahead is a window that is read before anybody asks for it.
type ahead struct {
	place  string // see placeOf
	done   chan struct{}
	cancel context.CancelFunc
	window window
	err    error
}

// placeOf names a window by all that the site is asked for.
func placeOf(t *table, q url.Values) string { return t.ID + "?" + q.Encode() }

// windowOf gives the window of a listing, which may have been read ahead: those before it are of no use any more.
func (s *session) windowOf(ctx context.Context, t *table, q url.Values) (window, error) {
	place := placeOf(t, q)
	s.mu.Lock()
	at := slices.IndexFunc(s.ahead, func(a *ahead) bool { return a.place == place })
	passed := len(s.ahead)
	var a *ahead
	if at >= 0 {
		a, passed = s.ahead[at], at
	}
	for _, old := range s.ahead[:passed] {
		old.cancel()
	}
	s.ahead = slices.Clone(s.ahead[min(len(s.ahead), passed+1):])
	s.mu.Unlock()
	if a == nil {
		return s.list(ctx, t, q)
	}
	defer a.cancel()
	select {
	case <-a.done:
		return a.window, a.err
	case <-ctx.Done():
		return window{}, s.unreachable(ctx.Err(), true)
	}
}

// readAhead begins to read the windows from a place on, of which the site counts total records, unless it has begun already.
func (s *session) readAhead(t *table, fields []*field, next checkpoint, limit, total int) {
	for range aheadWindows {
		if next.Place >= total {
			return
		}
		from, size := next.span(limit, next.back())
		s.begin(t, t.windowQuery(fields, from, size))
		next.Place = from + size
	}
}

// begin reads a window beside what else goes on.
func (s *session) begin(t *table, q url.Values) {
	place := placeOf(t, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || slices.ContainsFunc(s.ahead, func(a *ahead) bool { return a.place == place }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), aheadLimit) // it outlives the call that begins it
	a := &ahead{place: place, done: make(chan struct{}), cancel: cancel}
	s.ahead = append(s.ahead, a)
	s.beside.Add(1)
	go func() {
		defer s.beside.Done()
		defer close(a.done)
		defer func() {
			if p := recover(); p != nil { // whoever asks for the window is told
				a.err = &connectors.Fault{Kind: connectors.Broken, Words: "The answer cannot be read.", Cause: fmt.Errorf("panic: %v", p)}
			}
		}()
		a.window, a.err = s.list(ctx, t, q)
	}()
}
