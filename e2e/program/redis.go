package program

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Redis is a real Redis server without persistence, which goes with the test.
type Redis struct {
	t    testing.TB
	port int
	mu   sync.Mutex
	cmd  *exec.Cmd
}

// MustRedis starts one on a free port.
func MustRedis(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{t: t, port: FreePort(t)}
	r.Start()
	t.Cleanup(r.Kill)
	return r
}

// FreePort gives a port of the loopback address that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *Redis) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// URL is what REDIS_URL takes.
func (r *Redis) URL() string { return (&url.URL{Scheme: "redis", Host: r.address()}).String() }

// Start starts it again on its port.
func (r *Redis) Start() {
	if err := r.run(); err != nil {
		r.t.Errorf("redis-server: %v", err)
		return
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // asks again until it listens
		if c, err := net.Dial("tcp", r.address()); err == nil {
			c.Close()
			return
		}
	}
	r.t.Errorf("redis-server does not listen on %d", r.port)
}

// run makes the process, unless there is one: of two faults that take it away at once each brings it back.
func (r *Redis) run() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		return nil
	}
	cmd := exec.Command("redis-server", "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd = cmd
	return nil
}

// Kill ends it as a power cut would.
func (r *Redis) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// Flush empties it.
func (r *Redis) Flush() {
	c, err := net.Dial("tcp", r.address())
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = fmt.Fprint(c, "FLUSHALL\r\n")
	_, _ = c.Read(make([]byte, 16))
}
