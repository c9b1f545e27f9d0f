package localdb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb"
)

func TestAfterKill9OfTheAppTheNextStartHasAllThatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for round := range 3 {
		app, url := startApp(t, dir)
		if round == 0 {
			mustExec(t, url, "create table kept (v text)")
		}
		mustExec(t, url, "insert into kept values ('x')")
		if err := app.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// Not waiting for the server to end: the next start must cope.
		_ = app.Wait()
	}
	s := mustStart(t, localdb.Options{DataDir: dir})
	if got := query(t, s.URL(), "select count(*)::text from kept"); got != "3" {
		t.Errorf("%s rows, want 3", got)
	}
}

func TestTheDatabaseEndsWithAKilledApp(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	app, _ := startApp(t, dir)
	pid := serverPID(t, dir)
	if err := app.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = app.Wait()
	waitFor(t, "the database to end", func() bool { return syscall.Kill(pid, 0) != nil })
}

// TestAfterKill9OfBothTheNextStartHasAllThatWasCommitted kills the app and its server, whose helpers live on for a moment.
func TestAfterKill9OfBothTheNextStartHasAllThatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	app, url := startApp(t, dir)
	mustExec(t, url, "create table kept (v text); insert into kept values ('yes')")
	server := serverPID(t, dir)
	if err := errors.Join(syscall.Kill(server, syscall.SIGKILL), app.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = app.Wait()
	s := mustStart(t, localdb.Options{DataDir: dir})
	if got := query(t, s.URL(), "select v from kept"); got != "yes" || s.Adopted {
		t.Errorf("got %q, adopted %v", got, s.Adopted)
	}
}

// TestAKilledServerIsStartedAgainWhereItWas keeps its address, so that pools and connections of others come back by themselves.
func TestAKilledServerIsStartedAgainWhereItWas(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir})
	url := s.URL()
	mustExec(t, url, "create table kept (v text)")
	for round := range 2 {
		mustExec(t, url, "insert into kept values ('x')")
		mustKillServer(t, dir)
		waitForServer(t, url)
		if got := query(t, url, "select count(*)::text from kept"); got != fmt.Sprint(round+1) || s.URL() != url {
			t.Errorf("%s rows at %s, want %d at %s", got, s.URL(), round+1, url)
		}
	}
	if err := s.Err(); err != nil {
		t.Errorf("a server that was started again counts as gone: %v", err)
	}
	mustStop(t, s)
	if err := s.Err(); err != nil {
		t.Errorf("an asked stop counts as an end by itself: %v", err)
	}
}

func TestAServerThatCannotBeStartedAgainSaysWhy(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	control := filepath.Join(dir, "pg18", "global", "pg_control")
	if err := os.Rename(control, control+".away"); err != nil {
		t.Fatal(err)
	}
	mustKillServer(t, dir)
	<-s.Done()
	wantRefused(t, s.Err(), "does not start", "pg_control")
}

func TestAServerThatEndsTimeAndAgainIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	kills := 0
	waitFor(t, "the server to be given up", func() bool {
		select {
		case <-s.Done():
			return true
		default:
		}
		if conn, err := pgx.Connect(t.Context(), s.URL()); err == nil {
			conn.Close(t.Context())
			mustKillServer(t, dir)
			kills++
		}
		return false
	})
	wantRefused(t, s.Err(), "ended by itself")
	if kills < 6 {
		t.Errorf("it was given up after %d ends", kills)
	}
	mustStop(t, s)
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
}

func TestAStopWhileTheServerIsStartedAgainLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		dir := dataDir(t)
		s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
		mustKillServer(t, dir)
		time.Sleep(pause) // a stop at any moment of the restart is right
		mustStop(t, s)
		if err := s.Err(); err != nil {
			t.Errorf("after %v: %v", pause, err)
		}
		if again := mustStart(t, localdb.Options{DataDir: dir, Fast: true}); again.Adopted {
			t.Errorf("after %v: a server was left running", pause)
		}
	}
}

// TestAServerThatRunsOnIsAdopted starts a server by hand, as one that outlived its app, which happens where the kernel does
// not end it with the app.
func TestAServerThatRunsOnIsAdopted(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	mustExec(t, first.URL(), "create table kept (v text)")
	conf, err := pgx.ParseConfig(first.URL())
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(serverProgram(t, dir), "-D", filepath.Join(dir, "pg18"), "-p", strconv.Itoa(int(conf.Port)), "-h", "127.0.0.1", "-k", conf.Host)
	owner := ownerOf(t, filepath.Join(dir, "pg18"))
	if os.Geteuid() == 0 {
		run.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	run.Dir = "/"
	mustStop(t, first)
	if err := errors.Join(os.Mkdir(conf.Host, 0o700), os.Chown(conf.Host, int(owner.Uid), -1), run.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	waitForServer(t, first.URL())

	second := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	if !second.Adopted || second.URL() != first.URL() {
		t.Fatalf("adopted %v, %s and %s", second.Adopted, second.URL(), first.URL())
	}
	mustExec(t, second.URL(), "insert into kept values ('x')")
	mustStop(t, second)
	if err := run.Wait(); err != nil {
		t.Errorf("the adopted server did not end well: %v", err)
	}
}

func TestStalePidFilesDoNotStandInTheWay(t *testing.T) {
	t.Parallel()
	for name, pid := range map[string]int{"of a dead process": 1<<22 - 1, "of another program": os.Getpid(), "of the first process": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			mustStop(t, mustStart(t, localdb.Options{DataDir: dir, Fast: true}))
			content := fmt.Sprintf("%d\n%s/pg18\n1700000000\n5432\n/tmp\n127.0.0.1\n  1234 5\nready\n", pid, dir)
			if err := os.WriteFile(pidPath(dir), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			if s := mustStart(t, localdb.Options{DataDir: dir, Fast: true}); s.Adopted {
				t.Error("it adopted a process that is no database")
			}
		})
	}
}

// TestASocketsLockFileWithAReusedNumberDoesNotStandInTheWay gives the number in it to a process of the same user.
func TestASocketsLockFileWithAReusedNumberDoesNotStandInTheWay(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	locks, err := filepath.Glob(filepath.Join(dir, "run", ".s.PGSQL.*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks %v, %v", locks, err)
	}
	other := exec.Command("sleep", "600")
	if os.Geteuid() == 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: ownerOf(t, filepath.Join(dir, "pg18"))}
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	if err := os.WriteFile(locks[0], fmt.Appendf(nil, "%d\n%s/pg18\n1700000000\n1\n%s/run\n", other.Process.Pid, dir, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	mustKillServer(t, dir)
	waitForServer(t, s.URL())
}

// TestAPersonsShellInTheDataFolderIsNoServer stands in the cluster's folder while the app starts.
func TestAPersonsShellInTheDataFolderIsNoServer(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	mustStop(t, mustStart(t, localdb.Options{DataDir: dir, Fast: true}))
	shell := exec.Command("sleep", "600")
	shell.Dir = filepath.Join(dir, "pg18")
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shell.Process.Kill(); _ = shell.Wait() })
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
}

func TestASecondAppOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	err := tryStart(t, localdb.Options{DataDir: dir, Fast: true})
	wantRefused(t, err, "Another Scratchpaper", strconv.Itoa(os.Getpid()), dir)
	if core.CodeOf(err) != core.Busy {
		t.Errorf("code %s", core.CodeOf(err))
	}
	if got := query(t, s.URL(), "select 'fine'"); got != "fine" {
		t.Error("the first one was disturbed")
	}
}

func TestDataOfAnotherMajorVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	old := filepath.Join(dir, "pg17")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "PG_VERSION"), []byte("17\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "PostgreSQL 17", "needs 18", old)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 { // the data and the lock
		t.Errorf("the refused start left %v, %v", left, err)
	}
}

func TestAFolderNamedForThisVersionWithDataOfAnotherIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	mustStop(t, mustStart(t, localdb.Options{DataDir: dir, Fast: true}))
	version := filepath.Join(dir, "pg18", "PG_VERSION")
	if err := os.WriteFile(version, []byte("17\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "PostgreSQL 17", "needs 18")
	if err := os.WriteFile(version, []byte("18\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
}

// TestFilesDatedInTheFutureAndThePastDoNotMatter stands for a clock that was set while the app was off.
func TestFilesDatedInTheFutureAndThePastDoNotMatter(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for _, at := range []time.Time{time.Now().AddDate(20, 0, 0), time.Unix(0, 0)} {
		app, url := startApp(t, dir)
		mustExec(t, url, "create table if not exists kept (v text); insert into kept values ('x')")
		if err := app.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = app.Wait()
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return nil // the server that is ending removes files
			}
			_ = os.Chtimes(path, at, at)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s := mustStart(t, localdb.Options{DataDir: dir})
	if got := query(t, s.URL(), "select count(*)::text from kept"); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
}

// mustKillServer kills the server and waits until it is gone.
func mustKillServer(t *testing.T, dir string) {
	t.Helper()
	pid := serverPID(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of what was killed", func() bool { return syscall.Kill(pid, 0) != nil })
}

func waitForServer(t *testing.T, url string) {
	t.Helper()
	waitFor(t, "the server to take connections", func() bool {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return false
		}
		conn.Close(context.Background())
		return true
	})
}

// serverProgram is what the folder's server runs.
func serverProgram(t *testing.T, dir string) string {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", serverPID(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func ownerOf(t *testing.T, path string) *syscall.Credential {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
}
