package programs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const linksFile = "pg-symlinks.json"

// link is one entry of pg-symlinks.json. Its paths start with "native/".
type link struct {
	Source string `json:"source"` // what the link points at
	Target string `json:"target"` // the link
}

// readLinks gives the links that the package's install script would have made; none for other installations.
func readLinks(root string) ([]link, error) {
	data, err := os.ReadFile(filepath.Join(root, linksFile)) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var links []link
	if err := json.Unmarshal(data, &links); err != nil {
		return nil, fmt.Errorf("%s: %w", linksFile, err)
	}
	for i := range links {
		links[i].Source = strings.TrimPrefix(links[i].Source, "native/")
		links[i].Target = strings.TrimPrefix(links[i].Target, "native/")
		if !filepath.IsLocal(links[i].Source) || !filepath.IsLocal(links[i].Target) {
			return nil, fmt.Errorf("%s: %q points outside", linksFile, links[i].Target)
		}
	}
	return links, nil
}

// HasLinks says whether the links that the folder lists lead somewhere.
func HasLinks(root string) (bool, error) {
	links, err := readLinks(root)
	if err != nil {
		return false, err
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, l.Target)); err != nil {
			return false, nil
		}
	}
	return true, nil
}

// MakeLinks makes the links that the folder lists and lacks.
func MakeLinks(root string) error {
	links, err := readLinks(root)
	if err != nil {
		return err
	}
	for _, l := range links {
		to, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(to, filepath.Join(root, l.Target)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// pruneLinks takes out of the list what keep is not true for and what has lost its file.
func pruneLinks(root string, keep func(rel string) bool) error {
	links, err := readLinks(root)
	if err != nil || links == nil {
		return err
	}
	kept := []link{}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, l.Source)); err == nil && keep(l.Target) {
			kept = append(kept, l)
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, linksFile), data, 0o644) // #nosec G306 -- names of programs' files; nothing in it is secret
}
