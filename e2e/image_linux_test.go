package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scratchpaper/e2e/program"
	"scratchpaper/internal/freeport"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/redistest"
)

// TestTheImageHoldsWhatTheAppNeeds runs the binary as the Dockerfile's image does: as a user without rights, in a root that holds nothing but
// it and is read-only, with /tmp alone to write to.
func TestTheImageHoldsWhatTheAppNeeds(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("making a root for somebody else needs root")
	}
	path, err := program.Build()
	if err != nil {
		t.Fatal(err)
	}
	root := publicFolder(t, "scratchpaper-image-")
	t.Cleanup(func() { os.RemoveAll(root) })
	if out, err := exec.Command("cp", path, filepath.Join(root, "scratchpaper")).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no name spaces here: %s", out)
	}
	redis, port := redistest.Start(t), strconv.Itoa(freeport.Take(t))
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" &&
		exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$1" /scratchpaper serve`, "sh", root)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PORT=" + port, "DATABASE_URL=" + testdb.TCP(t, testdb.URL(t)), "REDIS_URL=" + redis.URL(), "SECRETS_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"DATABASE_CONNECTIONS=8", "SIGN_IN=passwords", "BASE_URL=https://app.example.org", "HOST=0.0.0.0"}
	said, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	ready := false
	for deadline := time.Now().Add(patience); !ready; time.Sleep(50 * time.Millisecond) { // asks again until it is ready
		if resp, err := http.Get("http://127.0.0.1:" + port + "/readyz"); err == nil {
			resp.Body.Close()
			ready = resp.StatusCode == http.StatusOK
		}
		if time.Now().After(deadline) {
			words, _ := os.ReadFile(said.Name())
			t.Fatalf("it is not ready: %s", words)
		}
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65532\t65532", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process lacks %q in\n%s", want, status)
		}
	}
}
