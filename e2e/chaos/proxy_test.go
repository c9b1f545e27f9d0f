package chaos

import (
	"net"
	"sync"
	"testing"
	"time"
)

// line is a TCP proxy in front of the service's database. It can be told to cut a connection before a message of the client
// gets through, or after it got through and before the answer comes back, or to hold everything for a while.
type line struct {
	listener net.Listener
	to       func() string
	mu       sync.Mutex
	conns    map[net.Conn]bool
	count    int           // messages of the client until the cut; 0 is none
	after    bool          // cut when the service has acted
	hold     chan struct{} // closed when everything may go on; nil is no hold
	cuts     int           // how often it cut
}

func mustLine(t *testing.T, to func() string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &line{listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); x.cutAll() })
	go x.accept()
	return x
}

func (l *line) port() int { return l.listener.Addr().(*net.TCPAddr).Port }

func (l *line) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(c)
	}
}

func (l *line) serve(client net.Conn) {
	server, err := net.Dial("tcp", l.to())
	if err != nil {
		client.Close()
		return
	}
	l.mu.Lock()
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	answered := make(chan struct{}, 1)
	go func() {
		defer l.drop(client, server)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			select {
			case answered <- struct{}{}:
			default:
			}
			l.wait()
			if l.cutting(client) {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	l.forward(client, server, answered)
}

// cutDeadline marks a connection whose answers do not get through any more.
func (l *line) cutting(client net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.conns[client]
}

func (l *line) forward(client, server net.Conn, answered chan struct{}) {
	defer l.drop(client, server)
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		l.wait()
		cut, after := l.due()
		if cut && !after {
			return
		}
		if cut { // nothing of the answer gets through
			l.mu.Lock()
			l.conns[client] = false
			l.mu.Unlock()
			select {
			case <-answered:
			default:
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if cut {
			select {
			case <-answered:
			case <-time.After(time.Second):
			}
			return
		}
	}
}

// due counts a message of the client and says whether it is the one to cut at.
func (l *line) due() (cut, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		return false, false
	}
	l.count--
	if l.count > 0 {
		return false, false
	}
	l.cuts++
	return true, l.after
}

func (l *line) wait() {
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

// cutAt cuts at the nth message of a client from now on.
func (l *line) cutAt(n int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count, l.after = n, after
}

// holdAll lets nothing through until the function that it gives is called.
func (l *line) holdAll() (release func()) {
	hold := make(chan struct{})
	l.mu.Lock()
	l.hold = hold
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		l.hold = nil
		l.mu.Unlock()
		close(hold)
	})
}

// cutAll ends all connections that are open.
func (l *line) cutAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

func (l *line) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(l.conns, c)
	}
}
