package localdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// hardStop is how long an immediate shutdown may take before the child is killed.
	hardStop = 5 * time.Second
	// keptLines is how much of the child's last words an error quotes.
	keptLines = 30
)

// process is a running server: our own child, or one that was adopted.
type process interface {
	done() <-chan struct{}
	err() error // only after done
	stop(ctx context.Context) error
	kill()
}

// child is a server that this process started.
type child struct {
	cmd      *exec.Cmd
	words    *lastWords
	ended    chan struct{}
	exit     error
	stopping atomic.Bool
}

// startChild starts cmd from a thread of its own that lives as long as the child does, because of dieWithParent.
func startChild(cmd *exec.Cmd, log *slog.Logger) (*child, error) {
	c := &child{cmd: cmd, words: &lastWords{log: log}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = c.words, c.words
	// Backends that outlive a killed postmaster for a moment hold the pipe.
	cmd.WaitDelay = hardStop
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.exit = cmd.Wait()
			close(c.ended)
		}
	}()
	return c, <-started
}

func (c *child) done() <-chan struct{} { return c.ended }

func (c *child) err() error {
	if c.stopping.Load() {
		return nil
	}
	cause := fmt.Errorf("%v: %s", c.exit, c.words.end())
	return unavailable(cause, "The database ended by itself. Start Scratchpaper again; what was saved is still there.")
}

func (c *child) stop(ctx context.Context) error {
	c.stopping.Store(true)
	return stopPID(ctx, c.cmd.Process.Pid, c.ended)
}

func (c *child) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.stop(ctx)
}

// stopPID asks for a fast shutdown until ctx is done, then for an immediate one, then kills.
func stopPID(ctx context.Context, pid int, ended <-chan struct{}) error {
	if stepDown(pid, syscall.SIGINT, ended, ctx.Done()) {
		return nil
	}
	limit := time.NewTimer(hardStop)
	defer limit.Stop()
	if stepDown(pid, syscall.SIGQUIT, ended, limit.C) {
		return nil
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	last := time.NewTimer(2 * hardStop)
	defer last.Stop()
	select {
	case <-ended:
		return nil
	case <-last.C:
		return unavailable(nil, "The database (process %d) does not end.", pid)
	}
}

func stepDown[T any](pid int, sig syscall.Signal, ended <-chan struct{}, limit <-chan T) bool {
	select {
	case <-ended:
		return true
	default:
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false
	}
	select {
	case <-ended:
		return true
	case <-limit:
		return false
	}
}

// adopted is a server that an earlier process started.
type adopted struct {
	pid      int
	ended    chan struct{}
	stopping atomic.Bool
}

func adopt(pid int, cluster string) *adopted {
	a := &adopted{pid: pid, ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		// Nothing tells about the end of a process that is not our child.
		for tick := time.Tick(200 * time.Millisecond); isServer(pid, cluster); {
			<-tick
		}
	}()
	return a
}

func (a *adopted) done() <-chan struct{} { return a.ended }

func (a *adopted) err() error {
	if a.stopping.Load() {
		return nil
	}
	return unavailable(nil, "The database ended by itself. Start Scratchpaper again; what was saved is still there.")
}

func (a *adopted) stop(ctx context.Context) error {
	a.stopping.Store(true)
	return stopPID(ctx, a.pid, a.ended)
}

func (a *adopted) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.stop(ctx)
}

// lastWords passes the child's output to the log and keeps the end of it for errors.
type lastWords struct {
	log   *slog.Logger
	mu    sync.Mutex
	rest  string
	lines []string
}

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := bufio.NewReader(io.MultiReader(strings.NewReader(w.rest), strings.NewReader(string(p))))
	for {
		line, err := r.ReadString('\n')
		if err != nil && len(line) < 8192 {
			w.rest = line
			return len(p), nil
		}
		w.rest = ""
		w.keep(strings.TrimSpace(line))
	}
}

func (w *lastWords) keep(line string) {
	w.log.Debug("postgres: " + line)
	w.lines = append(w.lines, line)
	if len(w.lines) > keptLines {
		w.lines = append(w.lines[:0], w.lines[len(w.lines)-keptLines:]...)
	}
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// end is the last few lines, in one.
func (w *lastWords) end() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines[max(0, len(w.lines)-3):], " ")
}
