package localdb

import (
	"os"
	"os/exec"
	"testing"
)

// TestALockThatIsGivenBackIsFree has a child hold the file of the lock, as every child does for a moment while it is being started.
func TestALockThatIsGivenBackIsFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{l.file}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	l.release()
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("the folder is locked still: %v", err)
	}
	again.release()
}
