// Package static holds the files that browsers load as they are: built CSS, ES modules, vendored htmx, icons.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
)

//go:embed css/app.css js vendor icons/*.svg
var files embed.FS

// Files gives the embedded files.
func Files() fs.FS { return files }

// Version names the content of all files. It is part of their addresses, so that a browser keeps them for ever and a new
// program brings new ones, modules that import each other by relative address included.
func Version(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d ", path, len(content))
		_, err = sum.Write(content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("static files: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
