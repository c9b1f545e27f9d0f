package localdb

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestAProgramThatIsBeingWrittenIsWaitedFor keeps a program open for writing, as a child does for a moment that was being started when it was written.
func TestAProgramThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	program := filepath.Join(bin, "postgres")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 18.4'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(program, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, func() { f.Close() }) // the child has become another program
	if version, err := postgresVersion(t.Context(), bin, owner{}); err != nil || version != "18.4" {
		t.Errorf("version %q: %v", version, err)
	}
}
