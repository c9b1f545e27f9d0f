package wordpress

import (
	"context"
	"fmt"
	"time"

	"scratchpaper/connectors"
)

// aheadLimit bounds the reading of a page that nobody has asked for yet.
const aheadLimit = 2 * time.Minute

// ahead is a page that is read while the app still works on the one before: a site takes about as long for a page as the app does.
type ahead struct {
	place  string // of the reading, see placeOf
	done   chan struct{}
	cancel context.CancelFunc
	page   connectors.Page
	err    error
}

// placeOf names a page by everything that it depends on.
func placeOf(t *table, fields []*field, at checkpoint, limit int) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.ID
	}
	return fmt.Sprint(t.ID, names, at, limit)
}

// inOrder gives the page of a place: one that was read ahead, or read now. From the second page of a reading on it begins with the next.
func (s *session) inOrder(ctx context.Context, t *table, fields []*field, at checkpoint, limit int) (connectors.Page, error) {
	place := placeOf(t, fields, at, limit)
	s.mu.Lock()
	a, follows := s.ahead, s.follows == place
	s.ahead = nil
	s.mu.Unlock()
	var page connectors.Page
	var next checkpoint
	var err error
	if a != nil && a.place != place {
		a.cancel()
		a = nil
	}
	if a != nil {
		page, err = s.awaited(ctx, a)
	} else {
		page, err = s.nextPage(ctx, t, fields, at, limit)
	}
	if err != nil || page.Last {
		return page, err
	}
	if next, err = readCheckpoint(page.Checkpoint); err != nil {
		return page, err
	}
	s.mu.Lock()
	s.follows = placeOf(t, fields, next, limit)
	s.mu.Unlock()
	if follows {
		s.readAhead(t, fields, next, limit)
	}
	return page, nil
}

// awaited waits for a page that is being read.
func (s *session) awaited(ctx context.Context, a *ahead) (connectors.Page, error) {
	defer a.cancel()
	select {
	case <-a.done:
		return a.page, a.err
	case <-ctx.Done():
		return connectors.Page{}, s.unreachable(ctx.Err(), true)
	}
}

func (s *session) readAhead(t *table, fields []*field, at checkpoint, limit int) {
	ctx, cancel := context.WithTimeout(context.Background(), aheadLimit) // it outlives the call that begins it
	a := &ahead{place: placeOf(t, fields, at, limit), done: make(chan struct{}), cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel()
		return
	}
	s.ahead = a
	go func() {
		defer close(a.done)
		a.page, a.err = s.nextPage(ctx, t, fields, at, limit)
	}()
}
