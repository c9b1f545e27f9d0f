package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"scratchpaper/internal/localdb/programs"
)

// treePrefix begins the names of folders of programs in a data folder; the start of their sum follows.
const treePrefix = "programs-"

// sharedPrefix is that of copies which several data folders use.
const sharedPrefix = "/var/lib/scratchpaper-postgres-"

// unpackBundled gives the bin folder of the programs that are built in, which are unpacked into the data folder once and
// checked each time.
func unpackBundled(p place) (string, error) {
	packed, sum, _ := programs.Bundled()
	dir := p.path(treePrefix + sum[:12])
	err := ensureTree(dir, sum, func(tmp string) error { return programs.Unpack(strings.NewReader(packed), tmp) })
	if err != nil {
		return "", unavailable(err, "The built-in PostgreSQL could not be unpacked to %s.", dir)
	}
	return filepath.Join(dir, "bin"), nil
}

// usableCopy gives bin itself when the child's user can reach it and its links are there; else the bin folder of a
// complete copy, which is made once and checked each time.
func usableCopy(ctx context.Context, bin string, p place) (string, error) {
	root := filepath.Dir(bin)
	linked, err := programs.HasLinks(root)
	if err != nil {
		return "", err
	}
	// A folder of another name is not that of an installation, so there is nothing to tell what to copy with it.
	if closedParent(bin, p.owner) == "" && linked || filepath.Base(bin) != "bin" {
		return bin, nil
	}
	sum, err := programs.Sum(root)
	if err != nil {
		return "", err
	}
	dir := p.path(treePrefix + sum[:12])
	if p.owner.switched {
		dir = sharedPrefix + sum[:12]
		unlock, err := lockShared(ctx)
		if err != nil {
			return "", err
		}
		defer unlock()
	}
	return filepath.Join(dir, "bin"), ensureTree(dir, sum, func(tmp string) error { return programs.Copy(root, tmp) })
}

// lockShared keeps two programs from making the same copy at once.
func lockShared(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(sharedPrefix+"lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { giveBack(f) }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || sleep(ctx, pollEvery) != nil {
			return nil, errors.Join(err, ctx.Err(), f.Close())
		}
	}
}

// ensureTree makes dir a folder of programs with this sum, unless it is one. It is filled beside its place, brought to the
// disk and renamed, so that it is whole or not there.
func ensureTree(dir, sum string, fill func(tmp string) error) error {
	if isTree(dir, sum) {
		return nil
	}
	leftovers, _ := filepath.Glob(dir + ".tmp-*")
	for _, l := range leftovers {
		_ = os.RemoveAll(l) // of a start that was cut off; in nobody's way
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // #nosec G302 -- programs that the built-in database's user runs; nothing in them is secret
		return err
	}
	if err := errors.Join(fill(tmp), programs.Sync(tmp)); err != nil {
		return err
	}
	if !isTree(tmp, sum) {
		return fmt.Errorf("what was written to %s is not what was read", tmp)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func isTree(dir, sum string) bool {
	have, err := programs.Sum(dir)
	if err != nil || have != sum {
		return false
	}
	linked, err := programs.HasLinks(dir)
	return err == nil && linked
}

// dropOtherTrees removes the programs of earlier versions from the data folder. bin is what runs now.
func (p place) dropOtherTrees(bin string) {
	trees, _ := filepath.Glob(p.path(treePrefix + "*"))
	for _, tree := range trees {
		if tree != filepath.Dir(bin) {
			_ = os.RemoveAll(tree) // what stays is tried again at the next start
		}
	}
}
