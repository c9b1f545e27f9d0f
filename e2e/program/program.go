// Package program is the built app, for tests that run it as people do, and what their clients of its JSON API share.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Build gives the app's path. It is built once for a test binary, without the race detector's cost.
var Build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "scratchpaper-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "scratchpaper")
	cmd := exec.Command("go", "build", "-o", path, "scratchpaper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests of a package, then what else is to be cleaned up, and removes the app.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	for _, f := range after {
		f()
	}
	if path, err := Build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// Object is a JSON object of the API.
type Object = map[string]any

// Field walks into an object: Field(o, "snapshot", "id").
func Field(o any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := o.(Object)
			o = m[k]
		case int:
			l, _ := o.([]any)
			if k >= len(l) {
				return nil
			}
			o = l[k]
		}
	}
	return o
}

// Text is Field where a text stands; "" where none does.
func Text(o any, path ...any) string {
	s, _ := Field(o, path...).(string)
	return s
}
