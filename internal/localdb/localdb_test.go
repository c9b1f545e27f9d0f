package localdb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb"
)

const (
	// childDir, set in the environment, makes this test binary a small app that runs a database until it is killed.
	childDir = "LOCALDB_TEST_CHILD_DIR"
	// childBinaries says to the small app where its programs are, if it is not to search.
	childBinaries = "LOCALDB_TEST_CHILD_BINARIES"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		runChild(dir)
	}
	os.Exit(m.Run())
}

func runChild(dir string) {
	s, err := localdb.Start(context.Background(), localdb.Options{DataDir: dir, Binaries: os.Getenv(childBinaries), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(core.SentenceOf(err))
		os.Exit(1)
	}
	fmt.Println(s.URL())
	<-s.Done()
	os.Exit(0)
}

// startApp starts the small app and gives it with its database's address once the database is ready.
func startApp(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	return startCommand(t, exec.Command(os.Args[0]), dir)
}

func startCommand(t *testing.T, cmd *exec.Cmd, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd.Env = append(cmd.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the app said nothing: %v", err)
	}
	return cmd, strings.TrimSpace(string(line[:n]))
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "localdb-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustStart(t *testing.T, o localdb.Options) *localdb.Server {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := localdb.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func mustStop(t *testing.T, s *localdb.Server) {
	t.Helper()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

func mustExec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var s string
	if err := conn.QueryRow(t.Context(), sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it started")
	}
	for _, w := range words {
		if !strings.Contains(core.SentenceOf(err), w) {
			t.Errorf("the sentence %q lacks %q", core.SentenceOf(err), w)
		}
	}
}

func tryStart(t *testing.T, o localdb.Options) error {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	s, err := localdb.Start(t.Context(), o)
	if err == nil {
		mustStop(t, s)
	}
	return err
}

func TestDataIsThereAfterAStopAndAStart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir})
	mustExec(t, s.URL(), "create table kept (v text); insert into kept values ('yes')")
	mustStop(t, s)
	mustStop(t, s)
	<-s.Done()
	if err := s.Err(); err != nil {
		t.Errorf("an asked stop counts as an end by itself: %v", err)
	}
	again := mustStart(t, localdb.Options{DataDir: dir})
	if got := query(t, again.URL(), "select v from kept"); got != "yes" || again.Adopted {
		t.Errorf("got %q, adopted %v", got, again.Adopted)
	}
}

func TestTheDatabaseIsDurableAndSortsByCodePoint(t *testing.T) {
	t.Parallel()
	s := mustStart(t, localdb.Options{DataDir: dataDir(t)})
	for sql, want := range map[string]string{
		"show fsync":                   "on",
		"show synchronous_commit":      "on",
		"show jit":                     "off",
		"show max_wal_size":            "1GB",
		"show max_connections":         "200",
		"show log_min_error_statement": "panic",
		"select datlocprovider::text || ' ' || datlocale from pg_database where datname = current_database()": "b C.UTF-8",
	} {
		if got := query(t, s.URL(), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestTheSampleIsMadeReadyForSeveralAtOnce(t *testing.T) {
	t.Parallel()
	s := mustStart(t, localdb.Options{DataDir: dataDir(t), Fast: true})
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() {
			_, err := s.EnsureSample(t.Context())
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyTheSampleRoleComesInOverTCP(t *testing.T) {
	t.Parallel()
	s := mustStart(t, localdb.Options{DataDir: dataDir(t), Fast: true})
	role, err := s.EnsureSample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.EnsureSample(t.Context()); err != nil || again != role {
		t.Fatalf("the second call gave another role: %v", err)
	}
	tcp := func(user, password, db string) string {
		return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, password, net.JoinHostPort(role.Host, strconv.Itoa(role.Port)), db)
	}
	mustExec(t, tcp(role.User, role.Password, role.Database), "create table products (id int)")
	conf, err := pgx.ParseConfig(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{
		"the sample's role in the app's database": tcp(role.User, role.Password, "scratchpaper"),
		"the sample's role in postgres":           tcp(role.User, role.Password, "postgres"),
		"the app's role":                          tcp(conf.User, conf.Password, "scratchpaper"),
		"the app's role in sample":                tcp(conf.User, conf.Password, "sample"),
		"a wrong password":                        tcp(role.User, "wrong", role.Database),
		"the sample's role over the socket":       strings.Replace(strings.Replace(s.AdminURL("sample"), conf.Password, role.Password, 1), "//scratchpaper:", "//sample:", 1),
	} {
		if conn, err := pgx.Connect(t.Context(), url); err == nil {
			conn.Close(t.Context())
			t.Errorf("%s came in", name)
		}
	}
}

func TestSecretsAreInPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	if _, err := s.EnsureSample(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres-password", "sample-password"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb-password")); err == nil {
		t.Error("initdb's copy of the password was left behind")
	}
}

func TestALostPasswordFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	mustStop(t, mustStart(t, localdb.Options{DataDir: dir, Fast: true}))
	file := filepath.Join(dir, "postgres-password")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "refuses the password", file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "missing", file)
}

func TestProgramsThatAreNotThereAreNamed(t *testing.T) {
	t.Parallel()
	empty := dataDir(t)
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dataDir(t), Binaries: empty}), "POSTGRES_BINARIES", empty)
	other := dataDir(t)
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte("#!/bin/sh\necho postgres 17.1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dataDir(t), Binaries: other}), "no PostgreSQL 18", "version 17.1")
}

func TestAnInterruptedFirstStartIsCleanedUp(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "pg18.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	if _, err := os.Stat(filepath.Join(dir, "pg18.new")); err == nil {
		t.Error("the half-made cluster is still there")
	}
}

func TestAStartThatIsBrokenOffLeavesNothingInTheWay(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for _, sign := range []string{"pg18.new/base", "pg18/postmaster.pid"} {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			s, err := localdb.Start(ctx, localdb.Options{DataDir: dir, Fast: true, Log: slog.New(slog.DiscardHandler)})
			if err == nil {
				err = errors.Join(errors.New("it was ready first"), s.Stop(context.Background()))
			}
			failed <- err
		}()
		waitFor(t, sign, func() bool { _, err := os.Stat(filepath.Join(dir, sign)); return err == nil || len(failed) > 0 })
		cancel()
		if err := <-failed; !strings.Contains(err.Error(), "broken off") && !strings.Contains(err.Error(), "ready first") {
			t.Fatalf("got %v", err)
		}
	}
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
}

func TestALongDataPathStillHasAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), strings.Repeat("long", 40))
	s := mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	conf, err := pgx.ParseConfig(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(conf.Host); err != nil || info.Mode().Perm() != 0o700 || len(conf.Host) > 80 {
		t.Errorf("the socket's folder is %s: %v", conf.Host, err)
	}
	mustStop(t, s)
	if _, err := os.Stat(conf.Host); err == nil {
		t.Error("the socket's folder was left behind")
	}
}

func pidPath(dir string) string { return filepath.Join(dir, "pg18", "postmaster.pid") }

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	data, err := os.ReadFile(pidPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
