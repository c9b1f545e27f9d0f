// Package bench measures the whole app as people use it: the built program as a process of its own, its HTTP addresses, and a
// Postgres of its own that bare SQL is measured on as well. Every figure has its limit from the same run.
package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
)

// program is the app, built once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "scratchpaper")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "scratchpaper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// app is the program as a process of its own.
type app struct {
	url  string
	cmd  *exec.Cmd
	dead chan struct{}
	log  bytes.Buffer
	mu   sync.Mutex
}

var listening = regexp.MustCompile(`Scratchpaper is at (http://\S+)`)

// startApp runs the program on a free port, with its data in a folder, and waits until it says where it is.
func startApp(data string, env ...string) (*app, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	a := &app{cmd: exec.Command(path, "serve"), dead: make(chan struct{})}
	a.cmd.Dir = ".."
	a.cmd.Env = append(append(os.Environ(), "PORT=0", "DATA_DIR="+data), env...)
	out, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go a.follow(out, ready)
	select {
	case <-ready:
		return a, nil
	case <-a.dead:
		return nil, fmt.Errorf("the app ended at its start:\n%s", a.words())
	case <-time.After(2 * time.Minute):
		return nil, fmt.Errorf("the app did not start:\n%s", a.words())
	}
}

func (a *app) follow(out io.Reader, ready chan struct{}) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		a.mu.Lock()
		a.log.WriteString(lines.Text() + "\n")
		m := listening.FindStringSubmatch(lines.Text())
		if m != nil {
			a.url = m[1]
		}
		a.mu.Unlock()
		if m != nil {
			close(ready)
		}
	}
	_ = a.cmd.Wait()
	close(a.dead)
}

func (a *app) words() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

func (a *app) stop() {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.dead:
	case <-time.After(30 * time.Second):
		_ = a.cmd.Process.Kill()
		<-a.dead
	}
}

// memory gives what the process holds now, in MB.
func (a *app) memory() float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// watched runs fn and gives how long it took and the most memory that the app held meanwhile, in MB.
func (a *app) watched(fn func()) (took time.Duration, most float64) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			most = max(most, a.memory())
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	began := time.Now()
	fn()
	took = time.Since(began)
	close(stop)
	<-done
	return took, most
}

type object = map[string]any

// call asks an address of the app and gives the answer as JSON.
func (a *app) call(b *testing.B, method, path string, body any) object {
	b.Helper()
	raw := a.send(b, method, path, "application/json", encoded(b, body))
	var out object
	if err := json.Unmarshal(raw, &out); err != nil {
		b.Fatalf("%s %s: %v in %.200s", method, path, err, raw)
	}
	return out
}

func encoded(b *testing.B, body any) io.Reader {
	b.Helper()
	if body == nil {
		return nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.NewReader(raw)
}

// send asks an address of the app and gives the body of its answer, which has to be a success.
func (a *app) send(b *testing.B, method, path, kind string, body io.Reader) []byte {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, a.url+path, body)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		b.Fatalf("%s %s answers %d %v: %.500s", method, path, res.StatusCode, err, raw)
	}
	return raw
}

// done waits for a job of the API and gives its result.
func (a *app) done(b *testing.B, job string) object {
	b.Helper()
	for {
		j := a.call(b, "GET", "/api/v1/jobs/"+job, nil)
		switch text(j, "state") {
		case "done":
			result, _ := j["result"].(object)
			return result
		case "failed", "cancelled":
			b.Fatalf("job %s is %s: %v", job, text(j, "state"), j["error"])
		}
		time.Sleep(10 * time.Millisecond) // asks again until it has ended
	}
}

// command sends a command of the API and waits for its job where it is one.
func (a *app) command(b *testing.B, path string, body any) object {
	b.Helper()
	answer := a.call(b, "POST", path, body)
	if job := text(answer, "job", "id"); job != "" {
		return a.done(b, job)
	}
	return answer
}

func field(o any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := o.(object)
			o = m[k]
		case int:
			l, _ := o.([]any)
			if k >= len(l) {
				return nil
			}
			o = l[k]
		}
	}
	return o
}

func text(o any, path ...any) string {
	s, _ := field(o, path...).(string)
	return s
}

func number(o any, path ...any) int64 {
	f, _ := field(o, path...).(float64)
	return int64(f)
}
