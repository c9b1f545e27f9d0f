package handlers

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"scratchpaper/connectors"
)

// shelf is a session whose service counts records, some slowly and some not at all.
type shelf struct {
	connectors.Session
	mu        sync.Mutex
	out, most int
}

func (s *shelf) Count(ctx context.Context, t connectors.Table) (int64, error) {
	s.mu.Lock()
	s.out++
	s.most = max(s.most, s.out)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.out--
	}()
	switch t.ID {
	case "slow":
		<-ctx.Done()
		return 0, &connectors.Fault{Kind: connectors.Unavailable, Words: "The site did not answer in time.", Cause: ctx.Err()}
	case "hidden":
		return 0, &connectors.Fault{Kind: connectors.NotAllowed, Words: "This user may not list Books in all their states."}
	}
	return int64(len(t.ID)), nil
}

func TestTablesThatDoNotSayTheirRecordsAreCounted(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	tables := []connectors.Table{
		{ID: "posts", Readable: true, Estimate: -1}, {ID: "slow", Readable: true, Estimate: -1}, {ID: "known", Readable: true, Estimate: 70},
		{ID: "hidden", Readable: true, Estimate: -1}, {ID: "closed", Estimate: -1}, {ID: "pages!", Readable: true, Estimate: -1},
	}
	began := time.Now()
	why := countTables(t.Context(), s, tables, 3*time.Second)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	for i, want := range []int64{5, -1, 70, -1, -1, 6} {
		if tables[i].Estimate != want {
			t.Errorf("%s has %d records, want %d", tables[i].ID, tables[i].Estimate, want)
		}
	}
	if len(why) != 2 || !strings.Contains(why["slow"], "did not answer in time") || !strings.Contains(why["hidden"], "may not list Books") {
		t.Errorf("it says %q", why)
	}
	if s.most > countAtOnce {
		t.Errorf("%d were counted at once", s.most)
	}
	if why := countTables(t.Context(), s.Session, tables, time.Second); why != nil {
		t.Errorf("of a service that cannot be asked it says %q", why)
	}
}
