// Package archivetest lets tests look into the files of package archive.
package archivetest

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Unpacked gives what stands in a file behind its first line, as it was before it was compressed.
func Unpacked(t testing.TB, file []byte) []byte {
	t.Helper()
	_, packed, _ := bytes.Cut(file, []byte("\n"))
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	plain, err := r.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
