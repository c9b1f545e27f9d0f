//go:build !linux

package programs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Sync brings every file and folder below dir to the disk.
func Sync(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
