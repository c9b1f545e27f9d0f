package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/archive"
	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
	"scratchpaper/migrations"
	"scratchpaper/store"
)

// stdout is the name of a file that stands for the program's output.
const stdout = "-"

// backUp writes a backup of everything, or of one snapshot, into a file.
func backUp(ctx context.Context, cfg config.Config, log *slog.Logger, args []string) error {
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	snapshot := flags.String("snapshot", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return core.Errorf(core.Invalid, "A backup takes the file to write, or - for the output: scratchpaper backup [-snapshot ID] FILE.")
	}
	a := newApp(cfg, log)
	defer a.close()
	databaseURL, err := a.findDatabase(ctx)
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, databaseURL, 1, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	var counts store.BackupCounts
	began := time.Now()
	err = toFile(flags.Arg(0), func(to io.Writer) (err error) {
		counts, err = store.Backup(ctx, pool, to, *snapshot)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Backed up %d snapshots: %d tables, %d rows, in %s. Credentials are in it encrypted: keep the key apart from it, and keep it.\n",
		counts.Snapshots, counts.Tables, counts.Rows, time.Since(began).Round(time.Millisecond))
	return nil
}

// toFile fills a new file for its owner alone, whole or not at all.
func toFile(path string, fill func(to io.Writer) error) error {
	if path == stdout {
		return fill(os.Stdout)
	}
	if _, err := os.Lstat(path); err == nil {
		return core.Errorf(core.Conflict, "There is a file %s already. Nothing was written.", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-") // made with mode 600
	if err != nil {
		return core.Wrap(err, core.Invalid, "The file %s cannot be written: %v.", path, err)
	}
	defer os.Remove(f.Name())
	err = fill(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // it does not write over a file that came meanwhile
		return core.Wrap(err, core.Invalid, "The file %s cannot be written: %v.", path, err)
	}
	return nil
}

// restore brings a backup in.
func restore(ctx context.Context, cfg config.Config, log *slog.Logger, args []string) error {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	organization := flags.String("organization", "", "")
	without := flags.Bool("without-credentials", false, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return core.Errorf(core.Invalid, "A restore takes the file of a backup: scratchpaper restore [-organization ID] [-without-credentials] FILE.")
	}
	file, about, err := openBackup(flags.Arg(0))
	if err != nil {
		return err
	}
	defer file.Close()
	a := newApp(cfg, log)
	defer a.close()
	databaseURL, err := a.findDatabase(ctx)
	if err != nil {
		return err
	}
	box, err := a.boxFor(ctx, about, *without)
	if err != nil {
		return err
	}
	began := time.Now()
	done, err := restoreInto(ctx, databaseURL, about, file, box, store.RestoreOptions{Organization: *organization, WithoutCredentials: *without}, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Restored what was there at %s: %d snapshots, %d tables, %d rows, in %s.\n", about.At.Format(time.RFC3339), done.Snapshots, done.Tables, done.Rows, time.Since(began).Round(time.Millisecond))
	for words, list := range map[string][]string{"Without credentials, to be typed anew": done.Unreadable, "Connections that are here already and stay as they are": done.Here} {
		if len(list) > 0 {
			fmt.Fprintf(os.Stderr, "%s: %s.\n", words, strings.Join(list, ", "))
		}
	}
	if done.Ended > 0 {
		fmt.Fprintf(os.Stderr, "%d jobs were under way then. They are ended; start again what is still wanted.\n", done.Ended)
	}
	return nil
}

// openBackup gives a file that is a whole backup, from its beginning, and what it says of itself.
func openBackup(path string) (*os.File, store.BackupHeader, error) {
	var about store.BackupHeader
	file, err := os.Open(path) // #nosec G304 -- the file that the operator names
	if err != nil {
		return nil, about, core.Wrap(err, core.Invalid, "The file %s cannot be read.", path)
	}
	read := func() error {
		if err := archive.Verify(file); err != nil {
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if about, err = store.ReadBackupHeader(file); err != nil {
			return err
		}
		_, err := file.Seek(0, io.SeekStart)
		return err
	}
	if err := read(); err != nil {
		return nil, about, errors.Join(err, file.Close())
	}
	return file, about, nil
}

// boxFor opens the key of the credentials. One that is missing is not made anew for a backup that needs the old one.
func (a *app) boxFor(ctx context.Context, about store.BackupHeader, without bool) (*secrets.Box, error) {
	if a.cfg.SecretsKey != "" || a.cfg.SecretsKeyKMS != "" {
		return a.openBox(ctx, true)
	}
	path, err := a.keyPath()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && about.Sealed > 0 && !without {
		return nil, core.Errorf(core.Unavailable, "The key of the credentials is missing: %s. The backup has %d credentials that only the key of the old machine opens. Nothing was restored. Put that key file there, name it in SECRETS_KEY_FILE, set SECRETS_KEY to the key, or restore with -without-credentials and type them anew.",
			path, about.Sealed)
	}
	return a.openBox(ctx, false)
}

// restoreInto makes the database what the backup needs, brings it in, and brings that up to date.
func restoreInto(ctx context.Context, databaseURL string, about store.BackupHeader, file io.Reader, box *secrets.Box, o store.RestoreOptions, log *slog.Logger) (done store.Restored, err error) {
	versions, err := migrations.Versions()
	if err == nil && about.Database > versions[len(versions)-1] {
		err = core.Errorf(core.Conflict, "This backup was made by a newer version of the app. Restore it with that one.")
	}
	if err != nil {
		return done, err
	}
	pg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return done, err
	}
	pool, err := store.Connect(ctx, databaseURL, 2, nil)
	if err != nil {
		return done, err
	}
	defer pool.Close()
	if about.Everything() {
		if err := store.Unused(ctx, pool); err != nil {
			return done, err
		}
		if err := migrations.Undo(ctx, pg); err != nil {
			return done, err
		}
		err = migrations.UpTo(ctx, pg, about.Database)
	} else {
		_, err = migrations.Up(ctx, pg)
	}
	if err != nil {
		return done, err
	}
	o.Box, o.Opens = store.RestoreKeys(pool, box, about), box.Opens
	if done, err = store.Restore(ctx, pool, file, o); err != nil {
		return done, err
	}
	if _, err := migrations.Up(ctx, pg); err != nil {
		return done, err
	}
	_, err = store.New(store.Options{Pool: pool, Log: log}).BringForward(ctx)
	return done, err
}
