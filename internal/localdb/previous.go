package localdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// endingTime is how long a server that lost its app may take to begin its shutdown before it counts as running on.
	endingTime = 2 * time.Second
	// previousLimit is how long a start waits for a server that is shutting down.
	previousLimit = time.Minute
	pollEvery     = 50 * time.Millisecond
)

// left is a server that an earlier process left running.
type left struct {
	process   process
	pid, port int
	socketDir string
}

// pidFile is what postmaster.pid says. Postgres writes it line by line, so the end may be missing.
type pidFile struct {
	pid, port int
	socketDir string
}

func readPIDFile(cluster string) (pidFile, bool) {
	data, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid")) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return pidFile{}, false
	}
	lines := append(strings.Split(string(data), "\n"), make([]string, 5)...)
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	// A negative number stands for a single-user process; 0 would mean our own group to kill(2).
	if pid < 0 {
		pid = -pid
	}
	port, _ := strconv.Atoi(strings.TrimSpace(lines[3]))
	return pidFile{pid: pid, port: port, socketDir: strings.TrimSpace(lines[4])}, err == nil && pid > 0
}

// previous waits for the server of an earlier process to end, or gives it when it goes on running. After nil, nil no
// process works in the cluster, and a pid file that is left of a dead server does not stand in the way.
func previous(ctx context.Context, p place, password string) (*left, error) {
	ctx, cancel := context.WithTimeout(ctx, previousLimit)
	defer cancel()
	since := time.Now()
	for {
		f, ok := readPIDFile(p.cluster())
		alive := ok && isServer(f.pid, p.cluster())
		helper := max(inUse(p.cluster()), inUse(p.unfinished()))
		if !alive && helper == 0 {
			return nil, removeStale(p.cluster(), f, ok)
		}
		if !alive {
			f.pid = helper
		}
		if alive && time.Since(since) > endingTime && accepts(ctx, p, f, password) {
			return &left{process: adopt(f.pid, p.cluster()), pid: f.pid, port: f.port, socketDir: f.socketDir}, nil
		}
		if sleep(ctx, pollEvery) != nil {
			return nil, cutShort(ctx, nil, "The database of an earlier start (process %d) in %s is still running and does not answer. End that process and start again.", f.pid, p.cluster())
		}
	}
}

// removeStale removes the pid file of a dead server when its number now belongs to some other process, because
// Postgres would take that one for the server. The caller has made sure that no process works in the cluster.
func removeStale(cluster string, f pidFile, ok bool) error {
	if !ok || errors.Is(syscall.Kill(f.pid, 0), syscall.ESRCH) {
		return nil
	}
	if err := os.Remove(filepath.Join(cluster, "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(err, "The database in %s was not shut down, and its file postmaster.pid cannot be removed.", cluster)
	}
	return nil
}

// isServer says whether the process lives and is a Postgres that works in this cluster. A server's working directory is
// its cluster; a person's shell may stand there too.
func isServer(pid int, cluster string) bool {
	if runtime.GOOS != "linux" {
		out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() // #nosec G204 -- a number of a process, without a shell
		return err == nil && strings.Contains(string(out), cluster)
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || dir != cluster {
		return false
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && strings.HasPrefix(filepath.Base(exe), "postgres")
}

// inUse names a process that still works in the cluster, or 0: after kill -9 of a server its helpers live on for a
// moment and hold its shared memory.
func inUse(cluster string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && isServer(pid, cluster) {
			return pid
		}
	}
	return 0
}

func accepts(ctx context.Context, p place, f pidFile, password string) bool {
	if f.port == 0 || f.socketDir == "" {
		return false
	}
	p.socketDir = f.socketDir
	s := &Server{place: p, port: f.port, password: password}
	return s.ping(ctx) == nil
}

func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.Ping(ctx)
}

// hopeless tells an answer that stays (wrong password, a setting refused) from a server that is not ready (57P03), full, or not there yet.
func hopeless(err error) bool {
	var unreadable *pgconn.ParseConfigError
	var pg *pgconn.PgError
	return errors.As(err, &unreadable) || errors.As(err, &pg) && !strings.HasPrefix(pg.Code, "57") && !strings.HasPrefix(pg.Code, "53")
}

func wrongPassword(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "28")
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
