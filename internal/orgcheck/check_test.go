package orgcheck

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"scratchpaper/internal/localdb/testdb"
)

func TestStatementsThatNameTheOrganization(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		`select 1`,
		`select id from jobs where org_id = $1 and id = $2`,
		`select id from jobs j where $1 = j.org_id order by created_at`,
		`select id from jobs where org_id = 'org_local' and (state = 'done' or state = 'failed')`,
		`select s.name from snapshots s join tables t on t.org_id = s.org_id and t.snapshot_id = s.id where t.org_id = $1`,
		`select c.id, array(select t.title from tables t where t.org_id = c.org_id) from connections c where c.org_id = $1`,
		`select 1 from uploads u where u.org_id = $1 and not exists (select 1 from jobs j where j.org_id = u.org_id)`,
		`insert into jobs (id, org_id) values ($1, $2) returning id`,
		`insert into views (id, org_id) select 'x', t.org_id from tables t where t.org_id = $1`,
		`update jobs set state = 'done' where org_id = $1 and state is distinct from 'done' returning id`,
		`delete from uploads where org_id = $1`,
		`with mine as (select id, org_id from jobs where org_id = $1) update jobs j set state = 'done' from mine m where j.org_id = m.org_id and j.id = m.id`,
		`select id from jobs where (org_id = $1 and id = $2) or (org_id = $1 and id = $3)`,
		`update jobs set seen_at = now() /* every organization: the sweeper is the program's own */`,
		"-- every organization: the key is the program's\nselect 1 from connections",
		`select columns, views from "snp_1"."_batches" where 'from jobs' <> ''`,
		`select row, col from "snp_1"."tables"`,
	} {
		if err := Check(sql); err != nil {
			t.Errorf("%v: %s", err, sql)
		}
	}
}

func TestStatementsThatForgetTheOrganization(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		`select id from jobs`,
		`select id, org_id from jobs where id = $1`,
		`select id from jobs where org_id is not null and id = $1`,
		`select id from jobs where org_id <> $1`,
		`select id from jobs where id = $1 or org_id = $2`,
		`select id from jobs where not (org_id = $1)`,
		`select id from public.jobs where id = $1`,
		`select id from "jobs" where id = $1`,
		`select s.name from snapshots s join tables t on t.org_id = s.org_id and t.snapshot_id = s.id`,
		`select s.name from snapshots s, tables t where t.snapshot_id = s.id and s.org_id = $1`,
		`select s.name from snapshots s left join tables t on t.snapshot_id = s.id where s.org_id = $1`,
		`select 1 from uploads u where u.org_id = $1 and not exists (select 1 from jobs j where j.id = u.id)`,
		`select 1 where exists (select 1 from jobs)`,
		`select (select count(*) from jobs), org_id from uploads where org_id = $1`,
		`select 1 from jobs where org_id = $1 union select 1 from jobs`,
		`select 1 from jobs where org_id = $1; delete from jobs`,
		`insert into jobs (id) values ($1)`,
		`insert into jobs values ($1, $2)`,
		`insert into views (id, org_id) select id, org_id from tables`,
		`update jobs set org_id = $1 where id = $2`,
		`delete from uploads u using jobs j where j.org_id = $1 and u.id = j.id`,
		`truncate uploads`,
		`with old as (delete from uploads returning id) select id from old`,
		`update jobs set seen_at = now() /* every organization */`,
		`update jobs set seen_at = now() /* every organization: ok */`,
	} {
		if Check(sql) == nil {
			t.Errorf("nothing is said about: %s", sql)
		}
	}
}

// witness is a test that takes notes.
type witness struct {
	*testing.T
	errors []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
}

func TestTheTracerFailsTestAndStatement(t *testing.T) {
	t.Parallel()
	w := &witness{T: t}
	url := testdb.URL(t)
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = Tracer(w)
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = testdb.Pool(t, url).Exec(t.Context(), `create table jobs (id text, org_id text)`)
	must(err)
	_, err = pool.Exec(t.Context(), `insert into jobs (id, org_id) values ('a', 'one')`)
	must(err)
	if len(w.errors) > 0 {
		t.Fatalf("lawful statements were refused: %q", w.errors)
	}
	batch := &pgx.Batch{}
	batch.Queue(`update jobs set id = 'b'`)
	_, copied := pool.CopyFrom(t.Context(), pgx.Identifier{"jobs"}, []string{"id"}, pgx.CopyFromRows([][]any{{"c"}}))
	_, ran := pool.Exec(t.Context(), `delete from jobs`)
	for what, err := range map[string]error{"the statement": ran, "the batch": pool.SendBatch(t.Context(), batch).Close(), "the copy": copied} {
		if err == nil {
			t.Errorf("%s ran", what)
		}
	}
	if len(w.errors) != 3 {
		t.Errorf("the test heard %q", w.errors)
	}
	var id string
	must(pool.QueryRow(t.Context(), `select id from jobs where org_id = 'one'`).Scan(&id))
	if id != "a" {
		t.Errorf("the row is %q now", id)
	}
}
