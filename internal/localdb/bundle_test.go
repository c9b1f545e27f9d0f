package localdb

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/programs"
)

// packed is a small archive of programs with its sum.
func packed(t *testing.T) (archive []byte, sum string) {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "postgres"), []byte(strings.Repeat("program", 10000)), 0o755); err != nil {
		t.Fatal(err)
	}
	sum, err := programs.Sum(root)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := programs.Pack(&out, root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum
}

// unpacks gives a filler of ensureTree that counts how often it is called.
func unpacks(archive []byte, times *int) func(string) error {
	return func(tmp string) error {
		*times++
		return programs.Unpack(bytes.NewReader(archive), tmp)
	}
}

func TestProgramsAreUnpackedOnceAndAgainWhenDamaged(t *testing.T) {
	t.Parallel()
	archive, sum := packed(t)
	dir := filepath.Join(t.TempDir(), "programs")
	file := filepath.Join(dir, "bin", "postgres")
	times := 0
	for i, damage := range []func() error{
		func() error { return nil },
		func() error { return nil },
		func() error { return os.Truncate(file, 10) },
		func() error { return os.Remove(file) },
		func() error { return os.RemoveAll(dir) },
		func() error { return os.WriteFile(file, []byte(strings.Repeat("PROGRAM", 10000)), 0o755) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := ensureTree(dir, sum, unpacks(archive, &times)); err != nil {
			t.Fatal(err)
		}
		if want := max(1, i); times != want || !isTree(dir, sum) {
			t.Errorf("round %d: unpacked %d times, want %d; whole: %v", i, times, want, isTree(dir, sum))
		}
	}
}

func TestUnpackingThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	archive, sum := packed(t)
	for name, fill := range map[string]func(string) error{
		"a full disk": func(tmp string) error {
			return errors.Join(os.WriteFile(filepath.Join(tmp, "half"), []byte("x"), 0o644), errors.New("no space left on device"))
		},
		"other contents": func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "other"), []byte("x"), 0o644) },
		"a cut archive":  func(tmp string) error { return programs.Unpack(bytes.NewReader(archive[:len(archive)-8]), tmp) },
	} {
		parent := t.TempDir()
		if err := ensureTree(filepath.Join(parent, "programs"), sum, fill); err == nil {
			t.Errorf("%s: it is taken for whole", name)
		}
		if left, _ := os.ReadDir(parent); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestWhatACutOffStartLeftIsRemoved(t *testing.T) {
	t.Parallel()
	archive, sum := packed(t)
	parent, times := t.TempDir(), 0
	if err := os.MkdirAll(filepath.Join(parent, "programs.tmp-123", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := ensureTree(filepath.Join(parent, "programs"), sum, unpacks(archive, &times)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

func TestTheSharedCopyIsMadeByOneAtATime(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's copies are shared")
	}
	mark := filepath.Join(t.TempDir(), "inside")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			unlock, err := lockShared(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if err := os.Mkdir(mark, 0o700); err != nil {
				t.Errorf("somebody else is inside: %v", err)
			}
			runtime.Gosched()
			os.Remove(mark)
		})
	}
	all.Wait()
}

func TestProgramsOfEarlierVersionsAreRemoved(t *testing.T) {
	t.Parallel()
	p := place{base: t.TempDir()}
	for _, name := range []string{"programs-old", "programs-new", "postgres-password", "pg18"} {
		if err := os.Mkdir(p.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.dropOtherTrees(p.path("programs-new/bin"))
	left, _ := os.ReadDir(p.base)
	if len(left) != 3 || left[2].Name() != "programs-new" {
		t.Errorf("left %v", left)
	}
}

func TestAFullDiskIsKnownByOurOwnErrorsAndByPostgresWords(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, syscall.EDQUOT, errors.New(`could not extend file: No space left on device`)} {
		if err := unavailable(cause, "Something else."); !strings.Contains(core.SentenceOf(err), "disk is full") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := unavailable(syscall.EACCES, "Something else."); core.SentenceOf(err) != "Something else." {
		t.Errorf("a closed folder: %v", err)
	}
}
