package program

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
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

	"scratchpaper/internal/freeport"
	"scratchpaper/internal/redistest"
)

// Fleet is the app as an operator hosts it: several serve and worker processes on one database and one Redis, and a reverse proxy with TLS
// that hands requests out in turn. Every process has a data folder of its own; they share the key file.
type Fleet struct {
	Serves, Workers []*Process
	Proxy           *Proxy
	Redis           *redistest.Server
	shared          []string // settings of every process
	t               testing.TB
}

// MustFleet makes a fleet on a database; nothing runs before Start. It goes with the test, whose failure shows the logs.
func MustFleet(t testing.TB, database string, serves, workers int, env ...string) *Fleet {
	t.Helper()
	dir := t.TempDir()
	f := &Fleet{t: t, Redis: redistest.Start(t)}
	shared := append([]string{"DATABASE_URL=" + database, "REDIS_URL=" + f.Redis.URL(), "SECRETS_KEY_FILE=" + filepath.Join(dir, "key.json"), "LOG_FORMAT=json", "LOG_LEVEL=warn"}, env...)
	f.shared = append(shared, "DATA_DIR="+filepath.Join(dir, "command"))
	var addresses []string
	for n := range serves {
		port := strconv.Itoa(freeport.Take(t))
		addresses = append(addresses, net.JoinHostPort("127.0.0.1", port))
		f.Serves = append(f.Serves, &Process{Name: fmt.Sprintf("serve %d", n+1), command: "serve", env: append([]string{"PORT=" + port, "DATA_DIR=" + filepath.Join(dir, "serve"+port)}, shared...), begun: listening})
	}
	for n := range workers {
		watch := freeport.Address(freeport.Take(t))
		f.Workers = append(f.Workers, &Process{Name: fmt.Sprintf("worker %d", n+1), command: "worker", env: append([]string{"WATCH_ADDRESS=" + watch, "DATA_DIR=" + filepath.Join(dir, "worker"+strconv.Itoa(n))}, shared...), begun: takesJobs, address: "http://" + watch})
	}
	f.Proxy = mustProxy(t, addresses)
	for _, p := range f.All() {
		p.env = append(p.env, "BASE_URL="+f.Proxy.URL, "TRUSTED_PROXIES=127.0.0.1")
		t.Cleanup(func() {
			p.Stop()
			if t.Failed() {
				t.Logf("%s said:\n%s", p.Name, p.Log())
			}
		})
	}
	return f
}

// All gives every process.
func (f *Fleet) All() []*Process { return append(append([]*Process{}, f.Serves...), f.Workers...) }

// MustStart starts all processes at the same moment.
func (f *Fleet) MustStart() {
	f.t.Helper()
	var all sync.WaitGroup
	errs := make(chan error, len(f.All()))
	for _, p := range f.All() {
		all.Go(func() { errs <- p.Start() })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	f.Proxy.look()
}

// Run runs another command with the settings of the fleet, and gives what it says.
func (f *Fleet) Run(env []string, args ...string) (string, error) {
	path, err := Build()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = filepath.Dir(path) // there is no .env
	cmd.Env = append(append(os.Environ(), f.shared...), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// SetUpCode gives the code of the link that makes the first account, of a process that has printed one: it does so after it says where it is.
func (f *Fleet) SetUpCode() string {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // asks again until one has
		for _, p := range f.Serves {
			if found := setUpLink.FindAllStringSubmatch(p.Log(), -1); found != nil {
				return found[len(found)-1][1]
			}
		}
	}
	return ""
}

var (
	listening = regexp.MustCompile(`Scratchpaper is at (http://\S+)`)
	takesJobs = regexp.MustCompile(`The worker takes up jobs`)
	setUpLink = regexp.MustCompile(`/setup#(\S+)`)
)

// Process is one process of the app. It can be ended and started again.
type Process struct {
	Name    string
	command string
	env     []string
	begun   *regexp.Regexp // the line that says that it has started
	mu      sync.Mutex
	address string
	cmd     *exec.Cmd
	dead    chan struct{}
	log     bytes.Buffer
}

// Start runs the process and waits until it says that it has started.
func (p *Process) Start() error {
	path, err := Build()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, p.command)
	cmd.Dir = filepath.Dir(path) // there is no .env
	cmd.Env = append(os.Environ(), p.env...)
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, dead := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.cmd, p.dead = cmd, dead
	p.mu.Unlock()
	go func() {
		defer close(dead)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for said := false; lines.Scan(); {
			m := p.begun.FindStringSubmatch(lines.Text())
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			if len(m) > 1 {
				p.address = m[1]
			}
			p.mu.Unlock()
			if m != nil && !said {
				said = true
				close(ready)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-ready:
		return nil
	case <-dead:
		return fmt.Errorf("%s ended at its start:\n%s", p.Name, p.Log())
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%s did not start:\n%s", p.Name, p.Log())
	}
}

// DataDir is the process's data folder.
func (p *Process) DataDir() string {
	for _, e := range p.env {
		if dir, ok := strings.CutPrefix(e, "DATA_DIR="); ok {
			return dir
		}
	}
	return ""
}

// Kill ends the process as a power cut would.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop ends the process as an operator would, and kills it after a minute.
func (p *Process) Stop() {
	if !p.end(syscall.SIGTERM) {
		p.end(syscall.SIGKILL)
	}
}

func (p *Process) end(with syscall.Signal) bool {
	p.mu.Lock()
	cmd, dead := p.cmd, p.dead
	p.mu.Unlock()
	if cmd == nil {
		return true
	}
	if err := cmd.Process.Signal(with); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false
	}
	select {
	case <-dead:
		return true
	case <-time.After(time.Minute):
		return false
	}
}

// PID gives the process id of the run at hand.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Address is where the process itself answers, without the proxy.
func (p *Process) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// Log gives what the process has said so far, over all its runs.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Clone(p.log.String())
}
