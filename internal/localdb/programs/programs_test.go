package programs

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// package18 is a small npm package: what the app needs, what it does not, and a list of links that were not made.
func package18(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, mode := range map[string]fs.FileMode{
		"bin/postgres": 0o755, "bin/initdb": 0o755, "bin/pg_ctl": 0o755,
		"lib/libpq.so.5.18": 0o755, "lib/libpq.a": 0o644, "lib/libecpg.so.6.18": 0o755, "lib/libicudata.so.60.2": 0o644, "lib/pkgconfig/libpq.pc": 0o644,
		"lib/postgresql/plpgsql.so": 0o755, "lib/postgresql/hstore.so": 0o755, "lib/postgresql/pgxs/src/Makefile": 0o644,
		"share/postgresql/postgres.bki": 0o600, "share/postgresql/timezone/Europe/Berlin": 0o644,
		"share/postgresql/extension/plpgsql.control": 0o644, "share/postgresql/extension/hstore.control": 0o644,
	} {
		write(t, filepath.Join(root, name), strings.Repeat(name, 1000), mode)
	}
	write(t, filepath.Join(root, linksFile), `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"},
		{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"},{"source":"native/lib/libecpg.so.6.18","target":"native/lib/libecpg.so.6"}]`, 0o644)
	return root
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func mustPack(t *testing.T, root string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Pack(&out, root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func mustSum(t *testing.T, root string) string {
	t.Helper()
	sum, err := Sum(root)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func names(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatTheAppNeedsIsKeptAndTheRestLeftOut(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	if err := CopyNeeded(package18(t), to); err != nil {
		t.Fatal(err)
	}
	want := []string{"bin/initdb", "bin/postgres", "lib/libicudata.so.60.2", "lib/libpq.so.5", "lib/libpq.so.5.18", "lib/postgresql/plpgsql.so",
		"pg-symlinks.json", "share/postgresql/extension/plpgsql.control", "share/postgresql/postgres.bki", "share/postgresql/timezone/Europe/Berlin"}
	if got := names(t, to); !slices.Equal(got, want) {
		t.Errorf("kept %v\nwant %v", got, want)
	}
	if ok, err := HasLinks(to); !ok || err != nil {
		t.Errorf("its links are not whole: %v", err)
	}
}

func TestWhatIsUnpackedIsWhatWasPacked(t *testing.T) {
	t.Parallel()
	root, to := package18(t), t.TempDir()
	packed := mustPack(t, root)
	if err := Unpack(bytes.NewReader(packed), to); err != nil {
		t.Fatal(err)
	}
	if mustSum(t, to) != mustSum(t, root) {
		t.Error("the sums differ")
	}
	if ok, err := HasLinks(to); !ok || err != nil {
		t.Errorf("the links are not made: %v", err)
	}
	for name, want := range map[string]fs.FileMode{"bin/postgres": 0o755, "share/postgresql/postgres.bki": 0o644, "lib": 0o755} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	if again := mustPack(t, root); !bytes.Equal(again, packed) {
		t.Error("packed twice, the bytes differ")
	}
}

func TestTheSumTellsEveryDifference(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(root string) error{
		"a byte":         func(root string) error { return flip(filepath.Join(root, "bin/postgres")) },
		"a missing file": func(root string) error { return os.Remove(filepath.Join(root, "lib/libpq.a")) },
		"another file":   func(root string) error { return os.WriteFile(filepath.Join(root, "new"), nil, 0o644) },
		"another name": func(root string) error {
			return os.Rename(filepath.Join(root, "bin/pg_ctl"), filepath.Join(root, "bin/pg"))
		},
		"not runnable": func(root string) error { return os.Chmod(filepath.Join(root, "bin/initdb"), 0o644) },
	} {
		root := package18(t)
		before := mustSum(t, root)
		if err := change(root); err != nil {
			t.Fatal(err)
		}
		if mustSum(t, root) == before {
			t.Errorf("%s does not change the sum", name)
		}
	}
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o755)
}

func TestADamagedArchiveIsRefused(t *testing.T) {
	t.Parallel()
	packed := mustPack(t, package18(t))
	for name, data := range map[string][]byte{"cut": packed[:len(packed)-10], "flipped": func() []byte {
		bad := bytes.Clone(packed)
		bad[len(bad)/2] ^= 1
		return bad
	}()} {
		if err := Unpack(bytes.NewReader(data), t.TempDir()); err == nil {
			t.Errorf("%s: it was unpacked", name)
		}
	}
}

func TestAnArchiveWritesNothingOutsideItsFolder(t *testing.T) {
	t.Parallel()
	for _, h := range []tar.Header{{Name: "../outside", Typeflag: tar.TypeReg}, {Name: "/tmp/outside", Typeflag: tar.TypeReg}, {Name: "link", Linkname: "/etc", Typeflag: tar.TypeSymlink}} {
		var packed bytes.Buffer
		z, err := zstd.NewWriter(&packed)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Close()
		z.Close()
		to := filepath.Join(t.TempDir(), "to")
		if err := Unpack(&packed, to); err == nil || len(names(t, filepath.Dir(to))) > 0 {
			t.Errorf("%s: %v, left %v", h.Name, err, names(t, filepath.Dir(to)))
		}
	}
}

func TestALinkThatPointsOutsideIsRefused(t *testing.T) {
	t.Parallel()
	root := package18(t)
	write(t, filepath.Join(root, linksFile), `[{"source":"native/lib/libpq.so.5.18","target":"native/../outside"}]`, 0o644)
	if err := Copy(root, t.TempDir()); err == nil {
		t.Error("it was copied")
	}
}
