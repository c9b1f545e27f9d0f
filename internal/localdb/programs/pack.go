// Package programs handles folders of PostgreSQL programs: it copies, sums, packs and unpacks them.
//
// A folder is its regular files and the links that its pg-symlinks.json lists; the npm packages come without the links.
package programs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
)

// window is the longest distance of repetitions. It is the decoder's memory too, for the moment that it takes.
const window = 64 << 20

// Pack writes the files below root as one compressed archive. Equal files give equal bytes.
func Pack(w io.Writer, root string) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	err = walkFiles(root, func(path, rel string) error { return packFile(t, path, rel) })
	return errors.Join(err, t.Close(), z.Close())
}

// walkFiles visits the regular files below root in the order of their names.
func walkFiles(root string, visit func(path, rel string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return visit(path, filepath.ToSlash(rel))
	})
}

func packFile(t *tar.Writer, path, rel string) error {
	f, err := os.Open(path) // #nosec G304 -- a file of PostgreSQL's programs
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// Who packed it and when says nothing about the programs.
	err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: rel, Size: info.Size(), Mode: int64(mode(info)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
	if err == nil {
		_, err = io.Copy(t, f)
	}
	return err
}

// mode lets everybody read, and run what anybody may run, since the user who runs it need not be the one who unpacks.
func mode(info fs.FileInfo) fs.FileMode {
	if info.Mode()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

// Unpack writes what Pack packed, and its links, into the folder to, which exists and is empty.
func Unpack(r io.Reader, to string) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return MakeLinks(to)
		}
		if err == nil {
			err = unpackFile(t, h, to)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(t *tar.Reader, h *tar.Header, to string) error {
	if h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(h.Name)) {
		return fmt.Errorf("the archive holds %q, which is no file below it", h.Name)
	}
	return writeFile(filepath.Join(to, filepath.FromSlash(h.Name)), t, fs.FileMode(h.Mode)) // #nosec G115 -- a mode of our own archive, whose sum is known
}

func writeFile(path string, r io.Reader, mode fs.FileMode) error {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- a file below the folder of PostgreSQL's programs
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// makeDir makes a folder, and those above it, that everybody may pass, whatever the umask.
func makeDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil { // #nosec G301 -- programs that the built-in database's user runs; nothing in them is secret
		return err
	}
	return os.Chmod(path, 0o755) // #nosec G302 -- programs that the built-in database's user runs; nothing in them is secret
}
