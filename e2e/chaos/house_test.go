package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scratchpaper/e2e/program"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/redistest"
)

// lease is how long a worker holds a job in these tests: all other times follow.
const lease = 2 * time.Second

func TestMain(m *testing.M) { program.Main(m) }

// house is the app under test: one process with its own database, or two processes that share a database and a Redis. A
// process that ends is started again, as a supervisor would.
type house struct {
	t        *testing.T
	data     string
	env      []string
	mu       sync.Mutex
	procs    []*proc
	redis    *redistest.Server // nil: each process has its own
	database string            // shared: its name
	stop     bool
	lost     []string // why a process could not be started again
}

// proc is one process of the app.
type proc struct {
	house *house
	n     int
	cmd   *exec.Cmd
	url   string
	fault string // for the next start
	dead  chan struct{}
}

// mustHouse starts the app; bulk is from how many cells on a change is a job.
func mustHouse(t *testing.T, shared bool, bulk int) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "scratchpaper-chaos-data-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // as root the database runs as somebody else
		t.Fatal(err)
	}
	h := &house{t: t, data: dir, env: []string{"PORT=0", "DATA_DIR=" + dir, "LEASE=" + lease.String(), fmt.Sprintf("BULK_CELLS=%d", bulk)}}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := 1
	if shared {
		h.redis = redistest.Start(t)
		address := testdb.URL(t)
		if u, err := url.Parse(address); err == nil {
			h.database = strings.TrimPrefix(u.Path, "/")
		}
		h.env = append(h.env, "DATABASE_URL="+address, "REDIS_URL="+h.redis.URL(), "DATABASE_CONNECTIONS=10")
		n = 2
	}
	for i := range n {
		h.procs = append(h.procs, &proc{house: h, n: i})
	}
	t.Cleanup(h.close)
	for _, p := range h.procs {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		go p.keep()
	}
	return h
}

var listening = regexp.MustCompile(`Scratchpaper is at (http://\S+)`)

// start runs the process and waits until it says where it is.
func (p *proc) start() error {
	path, err := program.Build()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p.house.mu.Lock()
	fault := p.fault
	p.house.mu.Unlock()
	cmd := exec.Command(path, "serve")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(append(os.Environ(), p.house.env...), "FAULT="+fault)
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, dead := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(dead)
		defer log.Close()
		fmt.Fprintf(log, "--- started, FAULT=%s\n", fault)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(log, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		fmt.Fprintln(log, "--- ended:", cmd.Wait())
	}()
	p.house.mu.Lock()
	p.cmd, p.dead, p.url, p.fault = cmd, dead, "", ""
	p.house.mu.Unlock()
	select {
	case address := <-ready:
		p.house.mu.Lock()
		p.url = address
		p.house.mu.Unlock()
		return nil
	case <-dead:
		return errors.New("it ended at its start")
	case <-time.After(2 * time.Minute):
		return errors.New("it did not start within two minutes")
	}
}

func (p *proc) logFile() string { return filepath.Join(p.house.data, fmt.Sprintf("app-%d.log", p.n)) }

// keep starts the process again whenever it ends.
func (p *proc) keep() {
	failed := 0
	for {
		<-p.ended()
		p.house.mu.Lock()
		stop := p.house.stop
		p.house.mu.Unlock()
		if stop {
			return
		}
		if err := p.start(); err != nil {
			if failed++; failed == 5 {
				p.house.mu.Lock()
				p.house.lost = append(p.house.lost, fmt.Sprintf("process %d does not start: %v", p.n, err))
				p.house.mu.Unlock()
				return
			}
			time.Sleep(200 * time.Millisecond) // a fault point may have ended it at its start
			continue
		}
		failed = 0
	}
}

func (p *proc) ended() chan struct{} {
	p.house.mu.Lock()
	defer p.house.mu.Unlock()
	return p.dead
}

func (p *proc) signal(s syscall.Signal) {
	p.house.mu.Lock()
	cmd := p.cmd
	p.house.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(s)
	}
}

// startAnew ends the process as a person would; the next one comes to a fault.
func (p *proc) startAnew(fault string) {
	p.house.mu.Lock()
	p.fault = fault
	p.house.mu.Unlock()
	p.signal(syscall.SIGTERM)
}

// address gives where a process can be reached; "" while none can.
func (h *house) address(n int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.procs[n%len(h.procs)].url
}

func (h *house) failures() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

func (h *house) close() {
	h.mu.Lock()
	h.stop = true
	h.mu.Unlock()
	for _, p := range h.procs {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGTERM)
		if dead := p.ended(); dead != nil {
			select {
			case <-dead:
			case <-time.After(30 * time.Second):
				p.signal(syscall.SIGKILL)
				<-dead
			}
		}
	}
}

// logs gives the last lines of what the processes said.
func (h *house) logs() string {
	var b strings.Builder
	for _, p := range h.procs {
		raw, _ := os.ReadFile(p.logFile())
		if len(raw) > 12000 {
			raw = raw[len(raw)-12000:]
		}
		fmt.Fprintf(&b, "process %d:\n%s\n", p.n, raw)
	}
	return b.String()
}

// postmaster gives the process id of the built-in database, 0 when there is none.
func (h *house) postmaster() int {
	found := 0
	_ = filepath.WalkDir(h.data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "postmaster.pid" {
			raw, _ := os.ReadFile(path)
			first, _, _ := strings.Cut(string(raw), "\n")
			found, _ = strconv.Atoi(strings.TrimSpace(first))
			return filepath.SkipAll
		}
		return nil
	})
	return found
}
