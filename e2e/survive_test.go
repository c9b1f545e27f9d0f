package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/localdb"
)

// database gives the process of the app's own PostgreSQL.
func (a *app) database() int {
	a.t.Helper()
	raw, err := os.ReadFile(filepath.Join(a.data, "pg18", "postmaster.pid"))
	if err != nil {
		a.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		a.t.Fatal(err)
	}
	return pid
}

func (a *app) killDatabase() {
	a.t.Helper()
	if err := syscall.Kill(a.database(), syscall.SIGKILL); err != nil {
		a.t.Fatal(err)
	}
}

// waitRestarts waits until the database has been started again so many times.
func (a *app) waitRestarts(n int) {
	a.t.Helper()
	a.eventually("the database runs again", time.Minute, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return strings.Count(a.log.String(), "The database runs again") == n
	})
	a.eventually("the app is ready again", time.Minute, func() bool { return a.status("/readyz") == http.StatusOK })
}

// status asks for a path and gives the answer's status, 0 when there is none.
func (a *app) status(path string) int {
	resp, err := http.Get(a.url + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func rename(id int64, name string) object {
	return object{"changes": []object{{"op": "set", "record": id, "values": object{"name": name}}}}
}

// TestTheAppGoesOnWhenItsDatabaseIsKilled kills PostgreSQL below the running app, during a download and after an edit.
func TestTheAppGoesOnWhenItsDatabaseIsKilled(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	made := a.call("POST", "/sample", nil, 201)
	job := text(made, "job", "id")
	a.eventually("the download is under way", time.Minute, func() bool {
		return number(a.call("GET", "/jobs/"+job, nil, 200), "progress", "done") > 1000
	})
	a.killDatabase()
	a.waitRestarts(1)
	a.waitJob(job, "done")
	places := a.placesOf("/snapshots/" + text(made, "snapshot", "id"))
	there := len(a.places())
	if n := number(a.call("GET", places, nil, 200), "counts", "records"); n != int64(there) {
		t.Errorf("%d places are here, %d at the service", n, there)
	}
	id := number(a.call("GET", places+"/records?limit=1", nil, 200), "items", 0, "id")
	a.call("POST", places+"/changes", rename(id, "Acknowledged"), 200)
	a.killDatabase()
	a.waitRestarts(2)
	if n := number(a.call("GET", places, nil, 200), "counts", "edits"); n != 1 {
		t.Errorf("%d edits after the database was killed, want 1", n)
	}
}

// TestAfterKill9OfAppAndDatabaseEveryEditIsThere kills both at once, again and again.
func TestAfterKill9OfAppAndDatabaseEveryEditIsThere(t *testing.T) {
	t.Parallel()
	a, _, places := mustSample(t)
	records := field(a.call("GET", places+"/records?limit=3", nil, 200), "items").([]any)
	for round, r := range records {
		a.call("POST", places+"/changes", rename(number(r, "id"), fmt.Sprint("Round ", round)), 200)
		a.killDatabase()
		a.kill()
		a.start()
		if n := number(a.call("GET", places, nil, 200), "counts", "edits"); n != int64(round+1) {
			t.Errorf("round %d: %d edits, want %d", round, n, round+1)
		}
	}
}

// TestASecondAppOnTheSameFolderIsRefused names the first one, which is not disturbed; so do migrate and sample, which work
// when the app is stopped.
func TestASecondAppOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	for _, command := range []string{"serve", "migrate", "sample"} {
		said := a.refused(command, "PORT=0")
		if !strings.Contains(said, fmt.Sprintf("Another Scratchpaper (process %d) is using the data folder %s", a.cmd.Process.Pid, a.data)) {
			t.Errorf("%s says %q", command, said)
		}
	}
	if got := a.status("/readyz"); got != http.StatusOK {
		t.Errorf("the first one answers %d", got)
	}
	a.stop()
	for _, command := range []string{"migrate", "sample"} {
		if out, err := a.command(command).CombinedOutput(); err != nil {
			t.Errorf("%s of a stopped app: %v %s", command, err, out)
		}
	}
}

// inDatabase works in the database of an app that does not run.
func (a *app) inDatabase(do func(ctx context.Context, conn *pgx.Conn) error) {
	a.t.Helper()
	ctx := context.Background()
	db, err := localdb.Start(ctx, localdb.Options{DataDir: a.data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		a.t.Fatal(err)
	}
	defer db.Stop(ctx)
	conn, err := pgx.Connect(ctx, db.URL())
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := do(ctx, conn); err != nil {
		a.t.Fatal(err)
	}
}
