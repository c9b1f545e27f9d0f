package secrets_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
)

func mustOpen(t *testing.T, path string, sealedBefore bool) *secrets.Box {
	t.Helper()
	b, err := secrets.Open(path, sealedBefore)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustSeal(t *testing.T, b *secrets.Box, plain, org, table, id string) []byte {
	t.Helper()
	sealed, err := b.Seal([]byte(plain), org, table, id)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatWasSealedIsReadAgainAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new folder", "key.json")
	sealed := mustSeal(t, mustOpen(t, path, false), "hunter2", "org", "connections", "1")
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Error("the secret stands in the clear")
	}
	plain, err := mustOpen(t, path, true).Unseal(sealed, "org", "connections", "1")
	if err != nil || string(plain) != "hunter2" {
		t.Errorf("got %q, %v", plain, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v %v", info.Mode(), err)
	}
}

func TestASecretMovedToAnotherRowIsNotRead(t *testing.T) {
	t.Parallel()
	b := mustOpen(t, filepath.Join(t.TempDir(), "key.json"), false)
	sealed := mustSeal(t, b, "hunter2", "a", "bc", "d")
	for _, row := range [][3]string{{"x", "bc", "d"}, {"a", "x", "d"}, {"a", "bc", "x"}, {"ab", "c", "d"}, {"a", "b", "cd"}, {"", "", ""}, {`a","bc`, "d", ""}} {
		if plain, err := b.Unseal(sealed, row[0], row[1], row[2]); err == nil {
			t.Errorf("row %q reads %q", row, plain)
		}
	}
}

func TestANewKeyIsNotMadeWhenSomethingWasSealedBefore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	_, err := secrets.Open(path, true)
	if core.CodeOf(err) != core.Unavailable || !strings.Contains(core.SentenceOf(err), path) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a key was made all the same")
	}
}

func TestAKeyThatIsDamagedOrOpenToOthersIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	mustOpen(t, path, false)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.Open(path, true); !strings.Contains(core.SentenceOf(err), "chmod 600") {
		t.Errorf("open to others: %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.Open(path, true); !strings.Contains(core.SentenceOf(err), "damaged") {
		t.Errorf("damaged: %v", err)
	}
}

func TestProcessesThatStartTogetherShareOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	boxes := make([]*secrets.Box, 16)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() { boxes[i], _ = secrets.Open(path, false) })
	}
	wg.Wait()
	for i, b := range boxes {
		if b == nil {
			t.Fatalf("process %d has no key", i)
		}
		if _, err := b.Unseal(mustSeal(t, boxes[0], "x", "o", "t", "1"), "o", "t", "1"); err != nil {
			t.Errorf("process %d has another key: %v", i, err)
		}
	}
	if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAKeyThatIsGivenAsTextOpensWhatItSealed(t *testing.T) {
	t.Parallel()
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	first, err := secrets.FromText(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustSeal(t, first, "hunter2", "org", "connections", "1")
	again, err := secrets.FromText(key + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Unseal(sealed, "org", "connections", "1"); err != nil || string(plain) != "hunter2" {
		t.Errorf("it opens %q, %v", plain, err)
	}
	path := filepath.Join(t.TempDir(), "key.json")
	fromFile := mustOpen(t, path, false)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asText, err := secrets.FromText(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := asText.Unseal(mustSeal(t, fromFile, "both", "org", "connections", "1"), "org", "connections", "1"); err != nil || string(plain) != "both" {
		t.Errorf("a key file's content opens %q, %v", plain, err)
	}
	for _, wrong := range []string{"", "short", "c2hvcnQ=", "{}"} {
		if _, err := secrets.FromText(wrong); core.CodeOf(err) != core.Invalid || strings.Contains(err.Error(), "c2hvcnQ=") {
			t.Errorf("%q gives %v", wrong, err)
		}
	}
}
