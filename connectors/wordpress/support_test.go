package wordpress_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// decode reads what MariaDB's to_base64 wrote, which breaks lines.
func decode(t testing.TB, text string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, `\n`, ""))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(raw)
}
