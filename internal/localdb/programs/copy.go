package programs

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Copy copies the folder root, completed by its links, into the folder to, which exists and is empty.
func Copy(root, to string) error {
	if err := copyTree(root, to, func(string) bool { return true }); err != nil {
		return err
	}
	return MakeLinks(to)
}

// CopyNeeded copies what the app needs of the folder root, as Copy does.
func CopyNeeded(root, to string) error {
	if err := copyTree(root, to, needed); err != nil {
		return err
	}
	if err := pruneLinks(to, needed); err != nil {
		return err
	}
	return MakeLinks(to)
}

func copyTree(root, to string, keep func(rel string) bool) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() || !keep(filepath.ToSlash(rel)) {
			return err
		}
		return copyEntry(path, filepath.Join(to, rel), d)
	})
}

func copyEntry(from, to string, d fs.DirEntry) error {
	if d.Type()&fs.ModeSymlink == 0 {
		return copyFile(from, to)
	}
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if err := makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return writeFile(to, in, mode(info))
}
