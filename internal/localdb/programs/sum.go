package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Sum is a checksum of the files below root: names, contents, and which may be run.
func Sum(root string) (string, error) {
	all := sha256.New()
	err := walkFiles(root, func(path, rel string) error { return sumFile(all, path, rel) })
	return hex.EncodeToString(all.Sum(nil)), err
}

func sumFile(all io.Writer, path, rel string) error {
	f, err := os.Open(path) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	one := sha256.New()
	if _, err := io.Copy(one, f); err != nil {
		return err
	}
	_, err = fmt.Fprintf(all, "%q %t %x\n", rel, mode(info) == 0o755, one.Sum(nil))
	return err
}
