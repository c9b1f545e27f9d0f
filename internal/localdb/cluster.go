package localdb

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// initNeeds is the free space for a new cluster: 40 MB of catalog, two WAL segments, and room to begin.
const initNeeds = 128 << 20

// readOrMakePassword keeps a random password in a file of mode 600. A cluster that exists must have its file.
func readOrMakePassword(path string, mustExist bool) (string, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err == nil && len(bytes.TrimSpace(data)) > 0 {
		return string(bytes.TrimSpace(data)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", unavailable(err, "The password of the database in %s cannot be read.", path)
	}
	if mustExist {
		return "", unavailable(err, "The file %s is missing, and the database cannot be opened without the password in it. Put it back from a backup.", path)
	}
	password := rand.Text()
	return password, writeSecret(path, password)
}

// writeSecret writes beside the goal and renames, so that a crash leaves no half file.
func writeSecret(path, secret string) error {
	tmp := path + ".new"
	err := os.WriteFile(tmp, []byte(secret+"\n"), 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return unavailable(err, "The file %s cannot be written.", path)
	}
	return nil
}

// checkVersion refuses data of another major version, before anything is done.
func (p place) checkVersion() error {
	version, err := os.ReadFile(filepath.Join(p.cluster(), "PG_VERSION"))
	switch {
	case err == nil && strings.TrimSpace(string(version)) != Major():
		return otherVersion(p.cluster(), strings.TrimSpace(string(version)))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return unavailable(err, "The database in %s cannot be read.", p.cluster())
	case err != nil && p.otherCluster() != "":
		return otherVersion(p.path(p.otherCluster()), strings.TrimPrefix(p.otherCluster(), "pg"))
	}
	return nil
}

// ensureCluster makes a cluster where there is none.
func ensureCluster(ctx context.Context, p place, bin, password string, o Options) error {
	if err := p.clearUnfinished(); err != nil {
		return err
	}
	if p.hasCluster() {
		return p.checkOwner()
	}
	if _, err := os.Lstat(p.cluster()); err == nil {
		return unavailable(nil, "The folder %s is there but holds no database. Move it away and start again.", p.cluster())
	}
	return p.initCluster(ctx, bin, password, o)
}

func otherVersion(dir, version string) error {
	return unavailable(nil, "The data in %s was written by PostgreSQL %s, and this Scratchpaper needs %s. Make a backup with the Scratchpaper that wrote it, move the folder away, and restore the backup here.", dir, version, Major())
}

// otherCluster names the folder of a cluster of another major version, if there is one.
func (p place) otherCluster() string {
	found, _ := filepath.Glob(p.path("pg[0-9]*/PG_VERSION"))
	for _, f := range found {
		if name := filepath.Base(filepath.Dir(f)); name != "pg"+Major() && !strings.Contains(name, ".new") {
			return name
		}
	}
	return ""
}

func (p place) unfinished() string { return p.cluster() + ".new" }

func (p place) clearUnfinished() error {
	if err := os.RemoveAll(p.unfinished()); err != nil {
		return unavailable(err, "The folder %s, left of an interrupted first start, cannot be removed.", p.unfinished())
	}
	return nil
}

// checkOwner finds a cluster that another user made, which Postgres would refuse in words of its own.
func (p place) checkOwner() error {
	var st unix.Stat_t
	if err := unix.Stat(p.cluster(), &st); err != nil || int(st.Uid) != p.owner.uid {
		return unavailable(err, "The database in %s belongs to another user. Run Scratchpaper as that user, or give the folder to the user %s (chown -R).", p.cluster(), p.owner.name)
	}
	return nil
}

// initCluster makes the cluster beside its place and renames it, so that it is whole or not there.
func (p place) initCluster(ctx context.Context, bin, password string, o Options) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(p.base, &disk); err == nil && uint64(disk.Bavail)*uint64(disk.Bsize) < initNeeds { // #nosec G115 -- a disk has no negative size
		return diskFull(fmt.Errorf("%d bytes free in %s", uint64(disk.Bavail)*uint64(disk.Bsize), p.base)) // #nosec G115 -- a disk has no negative size
	}
	if err := p.ownedDir(p.unfinished()); err != nil {
		return unavailable(err, "The data folder %s cannot be written to.", p.base)
	}
	pwfile, err := p.passwordForInit(password)
	if err != nil {
		return unavailable(err, "The data folder %s cannot be written to.", p.base)
	}
	defer os.Remove(pwfile)
	if err := p.runInitdb(ctx, bin, pwfile, o.Fast); err != nil {
		return err
	}
	if err := os.Rename(p.unfinished(), p.cluster()); err != nil {
		return unavailable(err, "The new database cannot be put in its place, %s.", p.cluster())
	}
	return syncDir(p.base)
}

// passwordForInit writes the password where the child's user can read it, for the time of initdb.
func (p place) passwordForInit(password string) (string, error) {
	path := p.path("initdb-password")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	return path, p.give(path)
}

func (p place) runInitdb(ctx context.Context, bin, pwfile string, fast bool) error {
	args := []string{"-D", p.unfinished(), "-U", appRole, "-A", "scram-sha-256", "--pwfile", pwfile,
		"-E", "UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}
	if fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.Command(filepath.Join(bin, "initdb"), args...) // #nosec G204 -- a program of the built-in PostgreSQL, without a shell and with nothing from a request
	prepare(cmd, p.owner)
	c, err := startChild(cmd, discard())
	if err != nil {
		return unavailable(err, "PostgreSQL in %s cannot be run.", bin)
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.kill()
		return cutShort(ctx, nil, "Making the database in %s took too long.", p.base)
	}
	if c.exit != nil {
		return unavailable(fmt.Errorf("initdb: %w: %s", c.exit, c.words), "The database in %s could not be made.", p.base)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return unavailable(err, "The data folder %s cannot be read.", dir)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return unavailable(err, "The data folder %s cannot be written to.", dir)
	}
	return nil
}

// ensureDatabase makes a database owned by a role, unless it is there. Nobody but its owner may connect.
func (s *Server) ensureDatabase(ctx context.Context, name, role string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var have bool
	if err := conn.QueryRow(ctx, `select exists (select 1 from pg_database where datname = $1)`, name).Scan(&have); err != nil {
		return err
	}
	db, owner := pgx.Identifier{name}.Sanitize(), pgx.Identifier{role}.Sanitize()
	if !have {
		if _, err := conn.Exec(ctx, "create database "+db+" owner "+owner); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "revoke all on database "+db+" from public")
	return err
}
