package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
	"scratchpaper/migrations"
)

// diagram draws a schema as mermaid does: each table with its columns, and a line for each foreign key.
func diagram(t *testing.T, pool *pgxpool.Pool, schema string) string {
	t.Helper()
	ask := func(sql string) []string {
		t.Helper()
		rows, err := pool.Query(t.Context(), sql, schema)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	lines := []string{"erDiagram"}
	lines = append(lines, ask(`select distinct '  ' || r.relname || case when exists (select 1 from pg_attribute a where a.attrelid = f.conrelid and a.attnum = any(f.conkey) and not a.attnotnull) then ' |o' else ' ||' end
			|| case when exists (select 1 from pg_index i where i.indrelid = f.conrelid and i.indisunique and i.indpred is null and i.indkey::int2[] <@ f.conkey) then '--o| ' else '--o{ ' end
			|| c.relname || ' : "' || (select string_agg(a.attname, ', ' order by k.n) from unnest(f.conkey) with ordinality k(num, n) join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.num) || '"'
		from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class r on r.oid = f.confrelid join pg_namespace n on n.oid = c.relnamespace
		where f.contype = 'f' and n.nspname = $1 order by 1`)...)
	lines = append(lines, ask(`select '  ' || c.relname || ' {' || string_agg(chr(10) || '    ' || replace(replace(regexp_replace(format_type(a.atttypid, null), ' (with|without) time zone', ''), '[]', '_array'), ' ', '_') || ' ' || a.attname
				|| case when exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any(i.indkey)) then ' PK' else '' end, '' order by a.attnum) || chr(10) || '  }'
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
		where n.nspname = $1 and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and c.relname not in ('goose_db_version') group by c.oid, c.relname order by c.relname`)...)
	return strings.Join(lines, "\n")
}

// TestTheDiagramIsOfTheLiveSchema holds docs/schema.md against the tables that there are. UPDATE_DOCS=1 draws it anew.
func TestTheDiagramIsOfTheLiveSchema(t *testing.T) {
	t.Parallel()
	const file = "../docs/schema.md"
	pool := mustEmpty(t)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return migrations.CreateSchema(t.Context(), tx, "snp_diagram") })
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for mark, schema := range map[string]string{"control tables": "public", "companions": "snp_diagram"} {
		begin, end := "<!-- "+mark+", drawn from the schema -->\n", "<!-- end of "+mark+" -->"
		before, rest, ok := strings.Cut(text, begin)
		was, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for the %s", file, mark)
		}
		now := "```mermaid\n" + diagram(t, pool, schema) + "\n```\n"
		if was != now && os.Getenv("UPDATE_DOCS") == "" {
			t.Errorf("the diagram of the %s is not that of the schema: draw it with UPDATE_DOCS=1 go test -run %s ./store", mark, t.Name())
		}
		text = before + begin + now + end + after
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneProcessMigratesWhileTheOthersWait lets processes of this version start at the same moment on a database of the first version.
func TestOneProcessMigratesWhileTheOthersWait(t *testing.T) {
	t.Parallel()
	versions, err := migrations.Versions()
	if err != nil {
		t.Fatal(err)
	}
	url := testdb.URL(t)
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.UpTo(t.Context(), conf, versions[0]); err != nil {
		t.Fatal(err)
	}
	pool := testdb.Pool(t, url)
	fillOld(t, pool)
	var processes sync.WaitGroup
	for range 5 {
		processes.Go(func() {
			if reached, err := migrations.Up(t.Context(), conf); err != nil || reached != versions[len(versions)-1] {
				t.Errorf("a process comes to version %d, %v", reached, err)
			}
		})
	}
	processes.Wait()
	rows, err := pool.Query(t.Context(), `select version_id from goose_db_version where version_id > 0 and is_applied order by id`)
	if err != nil {
		t.Fatal(err)
	}
	if applied, err := pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil || !slices.Equal(applied, versions) {
		t.Errorf("applied are %v, %v, want each once: %v", applied, err, versions)
	}
}

// TestEveryEarlierDatabaseIsBroughtUpToDateWithWhatIsInIt fills a database of each earlier version and migrates it. What was in it has to be
// there afterwards, and to be read by this program.
func TestEveryEarlierDatabaseIsBroughtUpToDateWithWhatIsInIt(t *testing.T) {
	t.Parallel()
	versions, err := migrations.Versions()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions[:len(versions)-1] {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			url := testdb.URL(t)
			conf, err := pgx.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			if err := migrations.UpTo(t.Context(), conf, version); err != nil {
				t.Fatal(err)
			}
			pool := testdb.Pool(t, url)
			fillOld(t, pool)
			before := rowsOf(t, pool)
			if _, err := migrations.Up(t.Context(), conf); err != nil {
				t.Fatal(err)
			}
			for table, rows := range rowsOf(t, pool) {
				if was, ok := before[table]; ok && was > rows {
					t.Errorf("%s had %d rows and has %d", table, was, rows)
				}
			}
			s, err := Connect(context.Background(), url, 4, orgcheck.Tracer(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			again := New(Options{Pool: s, Sealer: openBox{}})
			if n, err := again.BringForward(t.Context()); err != nil || n != 1 {
				t.Errorf("%d snapshots were brought forward, %v", n, err)
			}
			sn, err := again.SnapshotByID(t.Context(), core.Local(), "snp_old")
			if err != nil || len(sn.Tables) != 1 || len(sn.Tables[0].Columns) != 1 {
				t.Fatalf("the old snapshot is %+v, %v", sn, err)
			}
			page, err := again.Jobs(t.Context(), core.Local(), JobsFilter{})
			if err != nil || len(page) != 1 {
				t.Errorf("%d jobs, %v", len(page), err)
			}
			edit := CellEdit{Record: 1, Column: 1, Value: core.TextValue("New")}
			if _, err := again.ApplyChanges(t.Context(), core.Local(), sn.Tables[0].Ref(), Changes{Sets: []CellEdit{edit}}, ChangeOptions{}); err != nil {
				t.Errorf("an edit after the upgrade: %v", err)
			}
		})
	}
}

// fillOld puts a row into each table of the first version, and a snapshot of the first layout with a record.
func fillOld(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := migrations.CreateSchemaAt(t.Context(), tx, "snp_old", 1); err != nil {
			return err
		}
		for _, sql := range []string{
			`insert into connections (id, org_id, connector, name, settings, secrets) values ('con_old', 'org_local', 'postgres', 'Old', '{"host": "x"}', '\x01')`,
			`insert into snapshots (id, org_id, name, layout, next_column) values ('snp_old', 'org_local', 'Old', 1, 2)`,
			`insert into tables (id, org_id, snapshot_id, connection_id, remote_id, title, slug, physical, source, position, writable, records) values ('tbl_old', 'org_local', 'snp_old', 'con_old', 'public.x', 'X', 'x', 't1', 'remote', 1, true, 1)`,
			`insert into columns (org_id, snapshot_id, table_id, number, slug, title, remote_id, physical, type, source, position) values ('org_local', 'snp_old', 'tbl_old', 1, 'a', 'A', 'a', 'c1', 'text', 'remote', 1)`,
			`insert into views (id, org_id, table_id, name) values ('viw_old', 'org_local', 'tbl_old', 'All')`,
			`insert into jobs (id, org_id, snapshot_id, connection_id, kind, state, label, finished_at) values ('job_old', 'org_local', 'snp_old', 'con_old', 'download', 'done', 'Download', now())`,
			`insert into uploads (id, org_id, name) values ('upl_old', 'org_local', 'a.csv')`,
			`insert into upload_chunks (org_id, upload_id, number, data) values ('org_local', 'upl_old', 0, 'a')`,
			`insert into idempotency_keys (org_id, key, route, hash, status, body) values ('org_local', 'k', 'POST /x', '\x00', 200, '{}')`,
		} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		if err := makeDataTable(t.Context(), tx, "snp_old", "t1", []string{"c1 text"}); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `insert into snp_old.t1 (_remote_id, c1) values ('1', 'Old')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rowsOf counts the rows of every control table.
func rowsOf(t *testing.T, pool *pgxpool.Pool) map[string]int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select tablename::text from pg_tables where schemaname = 'public' and tablename not like 'goose%'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, n := range names {
		var count int
		if err := pool.QueryRow(t.Context(), `select count(*) from `+ident("public", n)).Scan(&count); err != nil {
			t.Fatal(err)
		}
		out[n] = count
	}
	return out
}
