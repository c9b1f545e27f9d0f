// Package redistest gives tests a real Redis server, and one that runs in process as the app's own does; each can go and come back at its address.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"scratchpaper/internal/freeport"
)

// Server is a real Redis server without persistence, which goes with the test.
type Server struct {
	t    testing.TB
	port int
	mu   sync.Mutex
	cmd  *exec.Cmd
}

// Start starts one on a free port.
func Start(t testing.TB) *Server {
	t.Helper()
	r := &Server{t: t, port: freeport.Take(t)}
	r.Start()
	t.Cleanup(r.Kill)
	return r
}

// Address is its host and port.
func (r *Server) Address() string { return freeport.Address(r.port) }

// URL is what REDIS_URL takes.
func (r *Server) URL() string { return (&url.URL{Scheme: "redis", Host: r.Address()}).String() }

// Start starts it again on its port.
func (r *Server) Start() {
	if err := r.run(); err != nil {
		r.t.Errorf("redis-server is needed for this test (apt-get install redis-server): %v", err)
		return
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // asks again until it listens
		if c, err := net.Dial("tcp", r.Address()); err == nil {
			c.Close()
			return
		}
	}
	r.t.Errorf("redis-server does not listen on %d", r.port)
}

// run makes the process, unless there is one: of two faults that take it away at once each brings it back.
func (r *Server) run() error {
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
func (r *Server) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// Flush empties it.
func (r *Server) Flush() {
	c, err := net.Dial("tcp", r.Address())
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = fmt.Fprint(c, "FLUSHALL\r\n")
	_, _ = c.Read(make([]byte, 16))
}

// InProcess gives one of those that the app runs in its own process. It can be closed, and come back by Restart, and ends with the test.
func InProcess(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr(freeport.Address(freeport.Take(t))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// Restart lets one in process that was closed come back at its port, as soon as it is free: a child that was being started when it was closed holds
// its socket for a moment longer.
func Restart(t testing.TB, m *miniredis.Miniredis) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // asks again until it can listen
		err := m.Restart()
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
