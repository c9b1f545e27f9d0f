package connectortest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Cut says what a Line does with the decisive bytes.
type Cut int

// The ways to cut.
const (
	CutNothing Cut = iota
	CutBefore      // they are not sent, and the connection is closed
	CutAfter       // they are sent, the service acts and answers, and the answer is lost with the connection
)

// Line is a way to a service that can be cut on demand: its Dial goes into an Environment.
type Line struct {
	decisive func([]byte) bool

	mu   sync.Mutex
	next Cut
	cuts int
}

// NewLine makes a line; decisive says which bytes make the service act, and nil cuts nothing ever.
func NewLine(decisive func([]byte) bool) *Line { return &Line{decisive: decisive} }

// CutNext cuts at the next decisive bytes, once.
func (l *Line) CutNext(c Cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = c
}

// Cuts says how often the line was cut.
func (l *Line) Cuts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// Dial connects.
func (l *Line) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &lineConn{Conn: c, line: l}, nil
}

// take gives the cut to make for these bytes.
func (l *Line) take(sent []byte) Cut {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == CutNothing || l.decisive == nil || !l.decisive(sent) {
		return CutNothing
	}
	c := l.next
	l.next = CutNothing
	l.cuts++
	return c
}

type lineConn struct {
	net.Conn
	line  *Line
	cutIn atomic.Bool // the answer that comes next is lost
}

// Read loses the answer also when somebody waited for it before the bytes were sent that it answers.
func (c *lineConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.cutIn.Load() {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *lineConn) Write(b []byte) (int, error) {
	switch c.line.take(b) {
	case CutBefore:
		_ = c.Close()
		return 0, io.ErrClosedPipe
	case CutAfter:
		c.cutIn.Store(true)
		n, err := c.Conn.Write(b)
		if err == nil {
			c.swallowAnswer()
		}
		return n, err
	}
	return c.Conn.Write(b)
}

// swallowAnswer waits until the service has answered, which means that it has acted, and closes the connection.
func (c *lineConn) swallowAnswer() {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Conn.Read(make([]byte, 1))
	_ = c.Close()
}
