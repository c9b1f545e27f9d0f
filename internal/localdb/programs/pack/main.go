// Pack writes the archive of PostgreSQL programs that is built into the app, and its checksum.
//
//	go run ./internal/localdb/programs/pack <folder of the npm package> <goal without ending>
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"scratchpaper/internal/localdb/programs"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "Usage: pack <folder of PostgreSQL programs> <goal without ending>")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(from, goal string) error {
	if err := os.MkdirAll(filepath.Dir(goal), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(goal), "pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	tree := filepath.Join(tmp, "tree")
	if err := programs.CopyNeeded(from, tree); err != nil {
		return err
	}
	sum, err := programs.Sum(tree)
	if err != nil {
		return err
	}
	if err := writeArchive(filepath.Join(tmp, "archive"), tree); err != nil {
		return err
	}
	// The sum goes last, so that a goal with a sum is whole.
	if err := os.Rename(filepath.Join(tmp, "archive"), goal+".tar.zst"); err != nil {
		return err
	}
	return os.WriteFile(goal+".sum", []byte(sum+"\n"), 0o644)
}

func writeArchive(path, tree string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(programs.Pack(f, tree), f.Sync(), f.Close())
}
