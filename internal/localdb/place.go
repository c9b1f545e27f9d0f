package localdb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	_ "embed"
)

//go:embed PG_VERSION
var versionFile string

// Major is the major version of PostgreSQL that the data is written with.
func Major() string { return strings.TrimSpace(versionFile) }

// maxSocketDir leaves room for "/.s.PGSQL.65535" in the 104 bytes (macOS; Linux has 108) of a socket address, ending zero included.
const maxSocketDir = 103 - len("/.s.PGSQL.65535")

// owner is the user who runs the child. switched says that it is another one than ours.
type owner struct {
	name     string
	uid, gid int
	switched bool
}

func findOwner(name string) (owner, error) {
	if os.Geteuid() != 0 {
		return owner{name: "of this program", uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	if name == "" {
		name = "nobody"
	}
	u, err := user.Lookup(name)
	if err != nil {
		return owner{}, unavailable(err, "PostgreSQL does not run as root, and there is no user %q to run it as.", name)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil || uid == 0 {
		return owner{}, unavailable(err, "PostgreSQL does not run as root; %q is no user to run it as.", name)
	}
	return owner{name: name, uid: uid, gid: gid, switched: true}, nil
}

// place is where everything of one data folder lies. base holds the cluster, the passwords and the lock.
type place struct {
	asked     string
	base      string
	moved     bool
	owner     owner
	socketDir string
}

func (p place) path(name string) string { return filepath.Join(p.base, name) }
func (p place) cluster() string         { return p.path("pg" + Major()) }

func (p place) hasCluster() bool {
	_, err := os.Stat(filepath.Join(p.cluster(), "PG_VERSION"))
	return err == nil
}

func findPlace(o Options) (place, error) {
	asked, err := askedDir(o)
	if err != nil {
		return place{}, err
	}
	own, err := findOwner(o.User)
	if err != nil {
		return place{}, err
	}
	if err := os.MkdirAll(asked, dirMode(own)); err != nil {
		return place{}, unavailable(err, "The data folder %s cannot be made.", asked)
	}
	asked, err = filepath.EvalSymlinks(asked)
	if err != nil {
		return place{}, unavailable(err, "The data folder %s cannot be read.", asked)
	}
	return reachablePlace(place{asked: asked, base: asked, owner: own})
}

// dirMode lets the child's user pass through a folder that it must not list.
func dirMode(o owner) fs.FileMode {
	if o.switched {
		return 0o711
	}
	return 0o700
}

func askedDir(o Options) (string, error) {
	dir := o.DataDir
	if dir == "" {
		var err error
		if dir, err = DefaultDataDir(os.Getenv); err != nil {
			return "", err
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", unavailable(err, "The data folder %s is not a path.", dir)
	}
	return abs, nil
}

// reachablePlace moves the files below /var/lib when the child's user cannot reach the folder that was asked for.
// A place once taken there stays, so that a change of modes does not make the data disappear.
func reachablePlace(p place) (place, error) {
	away := p
	away.base, away.moved = filepath.Join("/var/lib", "scratchpaper-"+shortHash(p.asked)), true
	closed := closedParent(p.asked, p.owner)
	if closed == "" && !(p.owner.switched && away.hasCluster()) {
		return p, nil
	}
	if closed != "" && p.hasCluster() {
		return p, unavailable(nil, "The database in %s cannot be reached by the user %s, who runs it, because %s is closed. Open it (chmod o+x %s) and start again.", p.cluster(), p.owner.name, closed, closed)
	}
	if err := os.MkdirAll(away.base, 0o711); err != nil { // #nosec G301 -- the built-in database's user passes through; what lies below has modes of its own
		return p, unavailable(err, "%s is closed to the user %s, who runs the database, and %s cannot be made.", closed, p.owner.name, away.base)
	}
	return away, nil
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// closedParent names the first folder on the way to path, itself included, that the owner may not pass through.
func closedParent(path string, o owner) string {
	if !o.switched {
		return ""
	}
	if parent := filepath.Dir(path); parent != path {
		if closed := closedParent(parent, o); closed != "" {
			return closed
		}
	}
	if info, err := os.Stat(path); err != nil || !mayPass(info, o) {
		return path
	}
	return ""
}

func mayPass(info fs.FileInfo, o owner) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch mode := info.Mode().Perm(); {
	case int(st.Uid) == o.uid:
		return mode&0o100 != 0
	case int(st.Gid) == o.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// ownedDir makes a folder of mode 700 that belongs to the child's user, or checks that it is one.
func (p place) ownedDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		if err = os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a folder, for its owner alone
			return err
		}
		return p.give(dir)
	}
	info, statErr := os.Lstat(dir)
	if statErr != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm() != 0o700 || int(st.Uid) != p.owner.uid {
		return errors.New(dir + " is not a private folder of the user " + p.owner.name)
	}
	return nil
}

func (p place) give(path string) error {
	if !p.owner.switched {
		return nil
	}
	return os.Lchown(path, p.owner.uid, p.owner.gid)
}

// makeSocketDir gives a private, empty folder whose path is short enough for a socket address.
func (p place) makeSocketDir() (string, error) {
	dir := p.path("run")
	if len(dir) > maxSocketDir {
		dir = filepath.Join("/tmp", "scratchpaper-"+shortHash(p.base))
	}
	if err := p.ownedDir(dir); err != nil {
		return "", unavailable(err, "The database needs the folder %s for its socket and cannot use it. Remove it and start again.", dir)
	}
	p.socketDir = dir
	p.clearSockets()
	return dir, nil
}

// clearSockets removes what a killed server left, whose lock files would stand in the way if their numbers belong to other
// processes now. The caller has made sure that no process works in the cluster.
func (p place) clearSockets() {
	left, _ := filepath.Glob(filepath.Join(p.socketDir, ".s.PGSQL.*"))
	for _, l := range left {
		_ = os.Remove(l) // Postgres says so, if it matters
	}
}

func (p place) dropSocketDir() {
	// Fails when somebody's socket is still in it; then it stays and is used again.
	_ = os.Remove(p.socketDir)
}
