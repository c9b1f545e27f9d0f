package sample_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/sample"
)

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func mustLoad(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	if err := sample.Load(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestLoadFillsEveryTable(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	mustLoad(t, conn)
	for table, least := range map[string]int{"public.countries": 240, "public.places": 24_000, "public.time_zones": 400} {
		if n := one[int](t, conn, "select count(*) from "+table); n < least {
			t.Errorf("%s has %d rows, want at least %d", table, n, least)
		}
	}
	for _, table := range sample.Tables() {
		if !one[bool](t, conn, "select exists (select from "+table+")") {
			t.Errorf("%s is empty", table)
		}
	}
}

func TestLoadLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	mustLoad(t, conn)
	if _, err := conn.Exec(t.Context(), `update places set name = 'Mine' where id = 2988507; delete from places where id = 745044`); err != nil {
		t.Fatal(err)
	}
	before := one[int](t, conn, `select count(*) from places`)
	mustLoad(t, conn)
	if name := one[string](t, conn, `select name from places where id = 2988507`); name != "Mine" {
		t.Errorf("the name is %q again", name)
	}
	if n := one[int](t, conn, `select count(*) from places`); n != before {
		t.Errorf("%d places, want %d", n, before)
	}
}

func TestUpdatingAPlaceMovesItsTime(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	mustLoad(t, conn)
	if moved := one[bool](t, conn, `with old as (select updated_at from places where id = 2988507)
		update places set population = population + 1 where id = 2988507 returning updated_at > (select updated_at from old)`); !moved {
		t.Error("updated_at stayed")
	}
	if url := one[string](t, conn, `select geonames_url from places where id = 2988507`); url != "https://www.geonames.org/2988507" {
		t.Errorf("the link is %q", url)
	}
}

func TestNewPlacesAreNumberedBeyondGeoNames(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	mustLoad(t, conn)
	id := one[int](t, conn, `insert into places (name, country_code, kind, latitude, longitude) values ('New', 'CH', 'locality', 1, 2) returning id`)
	if most := one[int](t, conn, `select max(id) from places where name <> 'New'`); id <= most {
		t.Errorf("the new id %d is not beyond %d", id, most)
	}
}
