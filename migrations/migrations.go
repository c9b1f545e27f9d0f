// Package migrations brings the control tables and the layouts of snapshots up to what the program expects.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"scratchpaper/internal/core"
)

//go:embed *.sql
var files embed.FS

// Up applies what is missing, one process at a time while others wait, and gives the version reached. A database that is
// newer than the program is refused: an older program would not understand it. Codes: Conflict, Unavailable.
func Up(ctx context.Context, config *pgx.ConnConfig) (int64, error) {
	db := stdlib.OpenDB(*config)
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return 0, err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	if current, err := p.GetDBVersion(ctx); err == nil && current > newest {
		return current, core.Errorf(core.Conflict,
			"The database is at version %d and this program knows only up to %d. Start the newer program, or restore a backup.", current, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return newest, nil
}

// UpTo brings an empty database to a version, as an earlier program would have left it. Codes: Conflict (this program does not know it).
func UpTo(ctx context.Context, config *pgx.ConnConfig, version int64) error {
	db := stdlib.OpenDB(*config)
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return err
	}
	known := false
	for _, s := range p.ListSources() {
		known = known || s.Version == version
	}
	if !known {
		return core.Errorf(core.Conflict, "This program does not know version %d of the database. Take the program that made it, or a newer one.", version)
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate to %d: %w", version, err)
	}
	return nil
}

// Undo takes every control table away, with all that is in them.
func Undo(ctx context.Context, config *pgx.ConnConfig) error {
	db := stdlib.OpenDB(*config)
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return err
	}
	if _, err := p.DownTo(ctx, 0); err != nil {
		return fmt.Errorf("undo migrations: %w", err)
	}
	return nil
}

// Versions gives the numbers of all migrations, oldest first.
func Versions() ([]int64, error) {
	db := stdlib.OpenDB(pgx.ConnConfig{}) // nothing connects
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, s := range p.ListSources() {
		out = append(out, s.Version)
	}
	return out, nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 3600))
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}
