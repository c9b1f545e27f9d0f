// Package e2e tests the built program as people use it: a real process with its own database, a real browser, and the
// sample database looked at by another client.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/e2e/program"
)

func TestMain(m *testing.M) {
	program.Main(m, func() { os.RemoveAll(prepared.root) })
}

// app is a running program. It can be killed and started again on the same data.
type app struct {
	t    *testing.T
	data string
	url  string
	port string // of the sample database
	cmd  *exec.Cmd
	dead chan struct{}
	log  *bytes.Buffer
	mu   sync.Mutex

	began held // what it held when it had started
}

// mustApp starts an app that nobody has used yet.
func mustApp(t *testing.T, env ...string) *app {
	t.Helper()
	a := appIn(t, copiedFolder(t, "empty"))
	a.start(env...)
	return a
}

// appIn is an app on a data folder, not started. It is stopped with the test, and says what it logged when that failed.
func appIn(t *testing.T, data string) *app {
	a := &app{t: t, data: data, log: &bytes.Buffer{}}
	t.Cleanup(func() {
		if a.cmd != nil {
			a.nothingLeft()
		}
		a.stop()
		if t.Failed() {
			a.mu.Lock()
			defer a.mu.Unlock()
			t.Logf("the app's log:\n%s", a.log.String())
		}
	})
	return a
}

var (
	listening  = regexp.MustCompile(`Scratchpaper is at (http://\S+)`)
	samplePort = regexp.MustCompile(`sample_port=(\d+)`)
)

// start runs the program on a free port and waits until it says where it is.
func (a *app) start(env ...string) {
	a.t.Helper()
	path, err := program.Build()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(path, "serve")
	cmd.Dir = ".."
	cmd.Env = append(append(os.Environ(), "PORT=0", "DATA_DIR="+a.data, "LEASE=4s"), env...)
	a.launch(cmd)
}

// launch runs a command of the program and waits until it says where it is.
func (a *app) launch(cmd *exec.Cmd) {
	a.t.Helper()
	a.cmd = cmd
	out, err := a.cmd.StderrPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	ready, dead := make(chan struct{}), make(chan struct{})
	a.dead = dead
	go a.follow(out, ready, dead)
	select {
	case <-ready:
		a.began, _ = a.rest() // where something else is started than the app there is nothing to compare
	case <-dead:
		a.t.Fatalf("the app ended at its start:\n%s", a.log)
	case <-time.After(90 * time.Second):
		a.t.Fatalf("the app did not start:\n%s", a.log)
	}
}

func (a *app) follow(out io.Reader, ready, dead chan struct{}) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20) // a line that is too long would end the reading, and then the app waits for us
	for lines.Scan() {
		a.mu.Lock()
		a.log.WriteString(lines.Text() + "\n")
		if m := samplePort.FindStringSubmatch(lines.Text()); m != nil {
			a.port = m[1]
		}
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
	close(dead)
}

// stop ends the program as a person would, if it runs.
func (a *app) stop() {
	if a.cmd == nil {
		return
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.dead:
	case <-time.After(30 * time.Second):
		a.kill()
	}
}

// kill ends the program as a power cut would.
func (a *app) kill() {
	_ = a.cmd.Process.Kill()
	<-a.dead
}

// diesWithin waits until the program has ended by itself, at a fault point.
func (a *app) diesWithin(limit time.Duration) {
	a.t.Helper()
	select {
	case <-a.dead:
	case <-time.After(limit):
		a.t.Fatal("the app did not come to its fault point")
	}
}

type object = program.Object

// call asks the API and gives the answer, which must have the status.
func (a *app) call(method, path string, body any, status int) object {
	a.t.Helper()
	out, err := a.tryCall(method, path, body, status, "")
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// tryCall is call with an Idempotency-Key ("" is none); without an answer it gives an error.
func (a *app) tryCall(method, path string, body any, status int, key string) (out object, err error) {
	a.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			a.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+"/api/v1"+path, in)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status {
		a.t.Fatalf("%s %s answers %d, want %d: %s", method, path, resp.StatusCode, status, raw)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return out, nil
}

func field(o any, path ...any) any { return program.Field(o, path...) }

func text(o any, path ...any) string { return program.Text(o, path...) }

func number(o any, path ...any) int64 {
	f, _ := field(o, path...).(float64)
	return int64(f)
}

// sampleSnapshot takes the sample, waits for its download and gives the addresses of the snapshot and of its places.
func (a *app) sampleSnapshot() (snapshot, places string) {
	a.t.Helper()
	made := a.call("POST", "/sample", nil, 201)
	a.waitJob(text(made, "job", "id"), "done")
	snapshot = "/snapshots/" + text(made, "snapshot", "id")
	return snapshot, a.placesOf(snapshot)
}

// placesOf gives the address of the table of places in a snapshot of the sample.
func (a *app) placesOf(snapshot string) string {
	a.t.Helper()
	for _, t := range field(a.call("GET", snapshot+"/tables", nil, 200), "items").([]any) {
		if strings.HasSuffix(text(t, "remote_table"), "places") {
			return snapshot + "/tables/" + text(t, "id")
		}
	}
	a.t.Fatal("the sample has no places")
	return ""
}

// eventually asks until a condition holds.
func (a *app) eventually(what string, limit time.Duration, holds func() bool) {
	a.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			a.t.Fatalf("after %s still not: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond) // asks again until the condition holds
	}
}

func (a *app) waitJob(id, state string) object {
	a.t.Helper()
	var j object
	a.eventually("job "+id+" is "+state, 90*time.Second, func() bool {
		j = a.call("GET", "/jobs/"+id, nil, 200)
		if s := text(j, "state"); s != state && (s == "failed" || s == "done" || s == "cancelled") {
			a.t.Fatalf("job %s is %s: %v", id, s, j)
		}
		return text(j, "state") == state
	})
	return j
}

// service opens the sample database as another client would.
func (a *app) service() *pgx.Conn {
	a.t.Helper()
	var password []byte
	err := filepath.WalkDir(a.data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "sample-password" {
			password, _ = os.ReadFile(path) // without one the test ends below
		}
		return nil // the server's own files come and go
	})
	if err != nil || password == nil {
		a.t.Fatalf("no password of the sample in %s: %v", a.data, err)
	}
	conn, err := pgx.Connect(a.t.Context(), fmt.Sprintf("postgres://sample:%s@127.0.0.1:%s/sample?sslmode=disable", strings.TrimSpace(string(password)), a.port))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// places gives every row of the service's places as JSON by id, without what its own trigger keeps.
func (a *app) places() map[string]string {
	a.t.Helper()
	conn := a.service()
	rows, err := conn.Query(a.t.Context(), `select p.id::text, (to_jsonb(p) - 'updated_at')::text from public.places p`)
	if err != nil {
		a.t.Fatal(err)
	}
	out := map[string]string{}
	var id, row string
	if _, err := pgx.ForEachRow(rows, []any{&id, &row}, func() error { out[id] = row; return nil }); err != nil {
		a.t.Fatal(err)
	}
	return out
}

// different gives the ids whose rows differ.
func different(a, b map[string]string) []string {
	var out []string
	for id, row := range a {
		if b[id] != row {
			out = append(out, id)
		}
	}
	for id := range b {
		if _, ok := a[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}
