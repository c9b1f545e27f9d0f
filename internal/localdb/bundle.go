package localdb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// symlink is one entry of the npm package's pg-symlinks.json. Paths start with "native/".
type symlink struct {
	Source string `json:"source"` // what the link points at
	Target string `json:"target"` // the link
}

// usableCopy gives bin itself when the child's user can reach it and its links are there; else the bin folder of a
// complete copy, which is made once and checked each time.
func usableCopy(bin string, p place) (string, error) {
	root := filepath.Dir(bin)
	links, err := readSymlinks(root)
	if err != nil {
		return "", err
	}
	if closedParent(bin, p.owner) == "" && linksPresent(root, links) {
		return bin, nil
	}
	sum, err := fingerprint(root)
	if err != nil {
		return "", err
	}
	dir := p.path("postgres-" + sum[:12])
	if p.owner.switched {
		dir = filepath.Join("/var/lib", "scratchpaper-postgres-"+sum[:12])
	}
	if have, err := fingerprint(dir); err == nil && have == sum && linksPresent(dir, links) {
		return filepath.Join(dir, "bin"), nil
	}
	return filepath.Join(dir, "bin"), copyBundle(root, dir, links)
}

// readSymlinks gives the links that the package's install script would have made; none for other installations.
func readSymlinks(root string) ([]symlink, error) {
	data, err := os.ReadFile(filepath.Join(root, "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var links []symlink
	if err := json.Unmarshal(data, &links); err != nil {
		return nil, fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for i := range links {
		links[i].Source = strings.TrimPrefix(links[i].Source, "native/")
		links[i].Target = strings.TrimPrefix(links[i].Target, "native/")
		if !filepath.IsLocal(links[i].Source) || !filepath.IsLocal(links[i].Target) {
			return nil, fmt.Errorf("pg-symlinks.json: %q points outside", links[i].Target)
		}
	}
	return links, nil
}

func linksPresent(root string, links []symlink) bool {
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, l.Target)); err != nil {
			return false
		}
	}
	return true
}

// fingerprint sums the names and sizes of the regular files below root.
func fingerprint(root string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		fmt.Fprintf(h, "%q %d\n", rel, info.Size())
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// copyBundle copies beside the goal and renames, so that a copy is whole or not there.
func copyBundle(root, dir string, links []symlink) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := copyTree(root, tmp); err != nil {
		return err
	}
	if err := makeLinks(tmp, links); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(to, rel), d)
	})
}

func copyEntry(from, to string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		return os.MkdirAll(to, 0o755)
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case d.Type().IsRegular():
		return copyFile(from, to)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o444)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func makeLinks(root string, links []symlink) error {
	for _, l := range links {
		link := filepath.Join(root, l.Target)
		target, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
