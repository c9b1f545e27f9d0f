package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestABackupGoesIntoAnEmptyMachine does with the program what docs/hosting.md says: back up, look at what is refused, restore, go on.
func TestABackupGoesIntoAnEmptyMachine(t *testing.T) {
	t.Parallel()
	a, snapshot, places := mustSample(t)
	id := number(a.call("GET", places+"/records?limit=1", nil, 200), "items", 0, "id")
	a.call("POST", places+"/changes", rename(id, "Kept in the backup"), 200)
	history := len(field(a.call("GET", snapshot+"/history", nil, 200), "items").([]any))
	connection := a.call("GET", "/connections", nil, 200)
	a.stop()

	dir := t.TempDir()
	file, half := filepath.Join(dir, "all.backup"), filepath.Join(dir, "half.backup")
	run := func(b *app, want string, args ...string) {
		t.Helper()
		cmd := b.command(args[0])
		cmd.Args = append(cmd.Args[:1], args...)
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != strings.HasPrefix(want, "Backed") && (err == nil) != strings.HasPrefix(want, "Restored") {
			t.Fatalf("%v says %q, %v, want %q", args, out, err, want)
		}
	}
	run(a, "A backup takes the file to write", "backup")
	run(a, "There is no snapshot snp_none", "backup", "-snapshot", "snp_none", filepath.Join(dir, "none.backup"))
	run(a, "Backed up 1 snapshots", "backup", file)
	run(a, "There is a file "+file+" already", "backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "none*")); len(left) > 0 {
		t.Errorf("a backup that failed left %v", left)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	run(a, "There is something in this database already", "restore", file)

	b := appIn(t, copiedFolder(t, "empty"))
	key := filepath.Join(b.data, "secrets-key.json")
	run(b, "This backup is not whole", "restore", half)
	run(b, "does not open these: Sample database", "restore", file) // it has a key of its own
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	run(b, "The key of the credentials is missing: "+key, "restore", file)
	old, err := os.ReadFile(filepath.Join(a.data, "secrets-key.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, old, 0o600); err != nil {
		t.Fatal(err)
	}
	run(b, "Restored what was there at", "restore", file)

	b.start()
	if got := text(b.call("GET", places+"/records?limit=1", nil, 200), "items", 0, "values", "name"); got != "Kept in the backup" {
		t.Errorf("the first place is %q", got)
	}
	if n := number(b.call("GET", places, nil, 200), "counts", "edits"); n != 1 {
		t.Errorf("%d edits, want 1", n)
	}
	if n := len(field(b.call("GET", snapshot+"/history", nil, 200), "items").([]any)); n != history {
		t.Errorf("%d acts in the history, want %d", n, history)
	}
	if got, want := text(b.call("GET", "/connections", nil, 200), "items", 0, "id"), text(connection, "items", 0, "id"); got != want {
		t.Errorf("the connection is %q, want %q", got, want)
	}
}
