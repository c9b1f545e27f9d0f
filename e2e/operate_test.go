package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/localdb"
	"scratchpaper/internal/localdb/testdb"

	"scratchpaper/e2e/program"
	"scratchpaper/internal/freeport"
	"scratchpaper/internal/redistest"
)

// command is one run of the program on the app's data, whether the app runs or not.
func (a *app) command(name string, env ...string) *exec.Cmd {
	a.t.Helper()
	path, err := program.Build()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(path, name)
	cmd.Dir = ".."
	cmd.Env = append(append(os.Environ(), "DATA_DIR="+a.data), env...)
	return cmd
}

// refused runs a command that must fail and gives what it says.
func (a *app) refused(name string, env ...string) string {
	a.t.Helper()
	out, err := a.command(name, env...).CombinedOutput()
	if err == nil {
		a.t.Fatalf("%s %v did not fail: %s", name, env, out)
	}
	return string(out)
}

// notStarted is an app that has an empty data folder and nothing else.
func notStarted(t *testing.T) *app {
	t.Helper()
	dir := publicFolder(t, "scratchpaper-data-")
	t.Cleanup(func() { os.RemoveAll(dir) })
	return appIn(t, dir)
}

func TestWhatCannotStartSaysWhyInOneSentence(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	a := notStarted(t)
	for _, c := range []struct{ command, env, want string }{
		{"serve", "PORT=" + port, "The port " + port + " is taken."},
		{"serve", "PORT=web", "PORT takes a number."},
		{"serve", "HOST=0.0.0.0", "HOST is 0.0.0.0"},
		{"serve", "DATABASE_URL=mysql://root:planted-secret@localhost/x", "DATABASE_URL is not the address of a Postgres database"},
		{"serve", "REDIS_URL=planted-secret", "REDIS_URL is not the address of a Redis"},
		{"serve", "DATABASE_URL=postgres://root:planted-secret@127.0.0.1:1/x", "The database at DATABASE_URL cannot be reached"},
		{"serve", "POSTGRES_BINARIES=/nowhere", "There is no PostgreSQL 18 in /nowhere"},
		{"worker", "LEASE=45s", "A worker shares its database with the app"},
		{"serve", "DATA_DIR=/proc/none", "/proc/none cannot be made"},
	} {
		said := a.refused(c.command, "PORT=0", c.env)
		if !strings.HasPrefix(said, "scratchpaper: ") || !strings.Contains(said, c.want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s with %s says %q, want one line with %q", c.command, c.env, said, c.want)
		}
		if strings.Contains(said, "planted-secret") {
			t.Errorf("%s with %s tells the password: %q", c.command, c.env, said)
		}
	}
	if out, err := exec.Command(a.command("dance").Path, "dance").CombinedOutput(); err == nil || !strings.Contains(string(out), "Usage: scratchpaper") {
		t.Errorf("an unknown command says %q", out)
	}
}

// TestAStartWithoutRedisSaysWhichOneIsMissing wants one line of a person's words, and a misspelt name in the environment told before it.
func TestAStartWithoutRedisSaysWhichOneIsMissing(t *testing.T) {
	t.Parallel()
	said := notStarted(t).refused("serve", "PORT=0", "DATABASE_URL="+testdb.URL(t), "REDIS_URL=redis://:planted-secret@127.0.0.1:1/0", "TRUSTED_PROXY=planted-secret",
		"SECRETS_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	want := "scratchpaper: TRUSTED_PROXY is no setting and does nothing. Did you mean TRUSTED_PROXIES?\n" +
		"scratchpaper: Redis cannot be reached at REDIS_URL: nothing answers at 127.0.0.1:1.\n"
	if said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
}

func TestAnUnknownSettingInTheEnvFileStopsTheStart(t *testing.T) {
	t.Parallel()
	a := notStarted(t)
	if err := os.WriteFile(filepath.Join(a.data, ".env"), []byte("PORTT=3010\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := a.command("serve")
	cmd.Dir = a.data
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "does not exist: PORTT") {
		t.Errorf("it says %q", out)
	}
}

// TestReadinessFollowsStartDatabaseAndRedis asks /readyz from the first moment on, and while Postgres and Redis are away.
func TestReadinessFollowsStartDatabaseAndRedis(t *testing.T) {
	t.Parallel()
	db, err := localdb.Start(t.Context(), localdb.Options{DataDir: filepath.Join(notStarted(t).data, "db"), Fast: true, OpenTCP: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop(context.Background()) })
	cache := redistest.InProcess(t)
	port := strconv.Itoa(freeport.Take(t))
	seen := watchReadiness(t, "http://127.0.0.1:"+port)
	a := mustApp(t, "PORT="+port, "DATABASE_URL="+db.URL(), "REDIS_URL=redis://"+cache.Addr())
	if first := <-seen; first != http.StatusServiceUnavailable {
		t.Errorf("the first answer of /readyz is %d, want 503", first)
	}
	ready := func() bool { return a.status("/readyz") == http.StatusOK }
	a.eventually("ready", time.Minute, ready)

	cache.Close()
	a.eventually("not ready without Redis", time.Minute, func() bool { return a.status("/readyz") == http.StatusServiceUnavailable })
	if got := a.status("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz answers %d without Redis", got)
	}
	redistest.Restart(t, cache)
	a.eventually("ready with Redis", time.Minute, ready)

	if err := db.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.eventually("not ready without Postgres", time.Minute, func() bool { return a.status("/readyz") == http.StatusServiceUnavailable })
	if got := a.status("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz answers %d without Postgres", got)
	}
}

// watchReadiness gives the status of the first answer that comes.
func watchReadiness(t *testing.T, url string) <-chan int {
	first := make(chan int, 1)
	go func() {
		for t.Context().Err() == nil {
			if resp, err := http.Get(url + "/readyz"); err == nil {
				resp.Body.Close()
				first <- resp.StatusCode
				return
			}
			time.Sleep(2 * time.Millisecond) // asks again until somebody listens
		}
	}()
	return first
}

// TestAStopAnswersWhatWasAskedAndHandsJobsBack ends the app in the middle of a download and of an upload.
func TestAStopAnswersWhatWasAskedAndHandsJobsBack(t *testing.T) {
	t.Parallel()
	a := mustApp(t, "LEASE=45s")
	job := text(a.call("POST", "/sample", nil, 201), "job", "id")
	a.eventually("the download is under way", time.Minute, func() bool {
		return number(a.call("GET", "/jobs/"+job, nil, 200), "progress", "done") > 1000
	})
	body, upload := io.Pipe()
	form := multipart.NewWriter(upload)
	answered := make(chan string, 1)
	go func() {
		// The first byte leaves when the app asks for the body: then the request is surely with it.
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
		req, err := http.NewRequest(http.MethodPost, a.url+"/api/v1/imports", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		req.Header.Set("Content-Type", form.FormDataContentType())
		req.Header.Set("Expect", "100-continue")
		resp, err := client.Do(req)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		answered <- resp.Status
	}()
	file, err := form.CreateFormFile("file", "towns.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, "id,name\n1,"); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	a.eventually("nothing new is taken", 10*time.Second, func() bool { return a.status("/healthz") == 0 })
	if _, err := io.WriteString(file, "Ghent\n"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(form.Close(), upload.Close()); err != nil {
		t.Error(err)
	}
	if got := <-answered; !strings.HasPrefix(got, "201") {
		t.Errorf("what was asked before the stop is answered with %s", got)
	}
	<-a.dead
	if took := time.Since(asked); took > 25*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if code := a.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the stop ends with code %d", code)
	}
	a.inDatabase(func(ctx context.Context, conn *pgx.Conn) error {
		var state, owner string
		err := conn.QueryRow(ctx, `select state, owner from jobs where id = $1`, job).Scan(&state, &owner)
		if owner != "" || state != "queued" && state != "done" {
			t.Errorf("the job is %s and held by %q, want it handed back", state, owner)
		}
		return err
	})
	a.start("LEASE=45s")
	a.waitJob(job, "done")
}

// TestTheLogNamesRequestsJobsAndSnapshotsAndNoSecret plants a password in a connection and does all that could tell it.
func TestTheLogNamesRequestsJobsAndSnapshotsAndNoSecret(t *testing.T) {
	t.Parallel()
	const planted = "planted-Pa55word!"
	a := mustApp(t, "LOG_LEVEL=debug")
	snapshot, places := a.sampleSnapshot()
	host, port, _ := net.SplitHostPort(net.JoinHostPort("127.0.0.1", a.port))
	settings := object{"host": host, "port": port, "database": "sample", "user": "sample", "password": planted, "sslmode": "disable"}
	for _, change := range []object{{}, {"port": "1"}, {"host": "169.254.169.254"}, {"sslmode": planted}, {"database": "none"}} {
		with := object{}
		for _, o := range []object{settings, change} {
			for k, v := range o {
				with[k] = v
			}
		}
		if id := text(a.post("/connections", object{"connector": "postgres", "name": "Planted", "settings": with}), "id"); id != "" {
			a.post("/connections/"+id+"/test", object{})
		}
	}
	a.post("/connections?password="+planted, object{})
	a.call("POST", places+"/changes", rename(number(a.call("GET", places+"/records?limit=1", nil, 200), "items", 0, "id"), "Edited"), 200)
	own, err := os.ReadFile(filepath.Join(a.data, "postgres-password"))
	if err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile(filepath.Join(a.data, "sample-password"))
	if err != nil {
		t.Fatal(err)
	}
	a.killDatabase() // errors tell most
	a.waitRestarts(1)
	a.stop()
	a.mu.Lock()
	log := a.log.String()
	a.mu.Unlock()
	for name, secret := range map[string]string{"the planted password": planted, "the database's password": string(bytes.TrimSpace(own)), "the sample's password": string(bytes.TrimSpace(sample))} {
		for line := range strings.SplitSeq(log, "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in the log: %s", name, line)
			}
		}
	}
	id := strings.TrimPrefix(snapshot, "/snapshots/")
	for what, want := range map[string]string{
		"a request with its id and snapshot": `msg=request method=POST path=\S+/changes status=200 .*request=req_\w+ .*snapshot=` + id,
		"a job with its id and snapshot":     `msg=job kind=download state=done .*job=job_\w+ snapshot=` + id,
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("no line names %s (%s)", what, want)
		}
	}
}

// post asks the API and minds only a failure of the program.
func (a *app) post(path string, body object) (answer object) {
	a.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.Post(a.url+"/api/v1"+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusInternalServerError {
		a.t.Errorf("POST %s answers 500", path)
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		a.t.Errorf("POST %s: %v", path, err)
	}
	return answer
}

// TestAPageLoadsAnewWhenTheProgramIsStartedAgain is what make dev does to an open page.
func TestAPageLoadsAnewWhenTheProgramIsStartedAgain(t *testing.T) {
	t.Parallel()
	env := []string{"DEV=true", "PORT=" + strconv.Itoa(freeport.Take(t))}
	a := mustApp(t, env...)
	b := mustTab(t, 1440, 900)
	b.open(a.url)
	b.until("the page knows which run it is of", "performance.getEntriesByType('resource').some(r => r.name.endsWith('/dev/run') && r.responseEnd > 0)")
	b.until("the page is marked", "window.marked = true")
	a.stop()
	a.start(env...)
	b.until("the page is loaded anew", "!window.marked && document.querySelector('#content')")
}
