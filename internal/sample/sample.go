// Package sample holds real public data for people who want to try the app before they connect a service of their own:
// countries, their places and their time zones. See CREDITS.md for where it comes from.
package sample

import (
	"compress/gzip"
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// Credits names the sources and their licences, as they want to be named wherever the data is shown.
const Credits = "Places © GeoNames (geonames.org), CC BY 4.0. " +
	"Countries © Mohammed Le Doze and contributors (mledoze/countries), ODbL 1.0. " +
	"Time zones: IANA tz database, public domain."

//go:embed schema.sql
var schema string

//go:embed data/*.csv.gz
var files embed.FS

// loadLock is the advisory lock of a load, so that two processes do not fill one database at the same time.
const loadLock = 0x73616d706c65

// table is one table with the columns of its file, parents first.
type table struct {
	name    string
	columns string
}

func tables() []table {
	return []table{
		{"countries", "code, code3, name, official_name, capital, region, subregion, languages, currencies, calling_code, " +
			"area_km2, latitude, longitude, independent, un_member, landlocked, demonym, flag, flag_url, names"},
		{"places", "id, name, country_code, also_in, kind, admin_code, district_code, population, latitude, longitude"},
		{"time_zones", "name, country_code, comment, latitude, longitude, standard_offset, uses_summer_time, standard_since"},
	}
}

// Tables gives the qualified names of the sample's tables, parents first.
func Tables() []string {
	var names []string
	for _, t := range tables() {
		names = append(names, "public."+t.name)
	}
	return names
}

// Load makes the sample's tables and fills those that are empty, in one transaction. A database that has them already
// stays as it is. The connection's user owns what is made. Code: Unavailable.
func Load(ctx context.Context, conn *pgx.Conn) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(loadLock)); err != nil {
			return err
		}
		if err := createTables(ctx, tx); err != nil {
			return err
		}
		for _, t := range tables() {
			if err := fill(ctx, tx, t); err != nil {
				return fmt.Errorf("fill %s: %w", t.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return core.Wrap(err, core.Unavailable, "The sample's data could not be loaded.")
	}
	return nil
}

func createTables(ctx context.Context, tx pgx.Tx) error {
	var there bool
	if err := tx.QueryRow(ctx, `select to_regclass('public.places') is not null`).Scan(&there); err != nil || there {
		return err
	}
	_, err := tx.Exec(ctx, schema)
	return err
}

func fill(ctx context.Context, tx pgx.Tx, t table) error {
	name := pgx.Identifier{"public", t.name}.Sanitize()
	var full bool
	if err := tx.QueryRow(ctx, `select exists (select from `+name+`)`).Scan(&full); err != nil || full {
		return err
	}
	f, err := files.Open("data/" + t.name + ".csv.gz")
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	copySQL := fmt.Sprintf(`copy %s (%s) from stdin with (format csv, header match, encoding 'UTF8')`, name, t.columns)
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, rows, copySQL); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `analyze `+name)
	return err
}
