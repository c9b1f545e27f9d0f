package jobs

import (
	"context"
	"net"
	"time"

	"scratchpaper/store"
)

// late says whether a moment is over, by the clock that only runs forward and by the wall's: the first stands still while the
// machine sleeps, the second may be set back.
func late(deadline time.Time) bool {
	now := time.Now()
	return now.After(deadline) || now.Round(0).After(deadline.Round(0))
}

// dial opens a connection to the service that takes nothing once the lease is about to end: a process that was stopped and
// goes on sends nothing late.
func (run *Run) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := run.o.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return leasedConn{conn, run.Deadline}, nil
}

type leasedConn struct {
	net.Conn
	deadline func() time.Time
}

// Write writes, unless it is too late.
func (c leasedConn) Write(p []byte) (int, error) {
	if late(c.deadline()) {
		return 0, store.ErrLeaseLost
	}
	return c.Conn.Write(p)
}
