package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// prepared are data folders that are made once by the program itself and copied for each test, since making them anew takes
// longer than most tests. What a first start does is tested by TestOneFileServesTheSampleOnAnEmptyMachine and, in the browser,
// by TestTheMainJobInTheBrowser.
var prepared struct {
	sync.Mutex
	root     string
	snapshot string // the address of the sample's snapshot in the folder "sample"
}

// preparedFolder gives the folder "empty", of an app that was started once, or "sample", of one that has taken the sample.
func preparedFolder(t *testing.T, name string) string {
	t.Helper()
	prepared.Lock()
	defer prepared.Unlock()
	if prepared.root == "" {
		prepared.root = publicFolder(t, "scratchpaper-prepared-")
	}
	dir := filepath.Join(prepared.root, name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	a := &app{t: t, data: publicFolder(t, "scratchpaper-making-"), log: &bytes.Buffer{}}
	defer os.RemoveAll(a.data)
	a.start()
	if name == "sample" {
		prepared.snapshot, _ = a.sampleSnapshot()
	}
	a.stop()
	if err := os.Rename(a.data, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// publicFolder makes a folder that other users may pass: as root the database runs as somebody else.
func publicFolder(t *testing.T, prefix string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copiedFolder is a copy of a prepared folder that goes with the test.
func copiedFolder(t *testing.T, name string) string {
	t.Helper()
	from, to := preparedFolder(t, name), publicFolder(t, "scratchpaper-data-")
	t.Cleanup(func() { os.RemoveAll(to) })
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("copy of the data folder: %v %s", err, out)
	}
	return to
}

// mustSample starts an app that has taken the sample and downloaded it, and gives the addresses of the snapshot and of its
// places.
func mustSample(t *testing.T, env ...string) (a *app, snapshot, places string) {
	t.Helper()
	a = appIn(t, copiedFolder(t, "sample"))
	a.start(env...)
	return a, prepared.snapshot, a.placesOf(prepared.snapshot)
}
