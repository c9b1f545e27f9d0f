package localdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"scratchpaper/internal/core"
)

// dirLock keeps a second process off one data folder. The kernel drops it when the process dies, however it dies.
type dirLock struct{ file *os.File }

func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return nil, unavailable(err, "The data folder %s cannot be written to.", dir)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close() // #nosec G104 -- closing gives the lock back, whatever it says
		return nil, core.Wrap(err, core.Busy, "Another Scratchpaper%s is using the data folder %s. Stop it, or set DATA_DIR to another folder.", processNote(string(holder)), dir)
	}
	if err != nil {
		f.Close() // #nosec G104 -- closing gives the lock back, whatever it says
		return nil, unavailable(err, "The data folder %s cannot be locked.", dir)
	}
	return &dirLock{file: f}, writeHolder(f)
}

func processNote(pid string) string {
	if pid = strings.TrimSpace(pid); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// writeHolder notes who holds the lock, for the sentence that the next one gets.
func writeHolder(f *os.File) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		f.Close() // #nosec G104 -- closing gives the lock back, whatever it says
		return unavailable(err, "The data folder cannot be written to: %s.", f.Name())
	}
	return nil
}

func (l *dirLock) release() { giveBack(l.file) }

// giveBack gives the lock of a file back, and closes it. Closing alone would leave the lock with a child that is just being started: until it has
// become another program it holds all that its parent had open.
func giveBack(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	f.Close() // #nosec G104 -- there is nothing left to be given back
}
