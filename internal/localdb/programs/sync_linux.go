package programs

import (
	"os"

	"golang.org/x/sys/unix"
)

// Sync brings all that was written to the file system of dir to its disk, in one call instead of one for each of the
// thousand files.
func Sync(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
