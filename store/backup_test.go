package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/internal/orgcheck"
)

// content gives everything of a database as text: by table its rows in order, and by schema its form. Companions of restored snapshots are
// compared as well.
func content(t *testing.T, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	out := map[string]string{}
	ask := func(key, sql string, args ...any) {
		t.Helper()
		rows, err := pool.Query(t.Context(), sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		out[key] = strings.Join(lines, "\n")
	}
	rows, err := pool.Query(t.Context(), `select schemaname::text, tablename::text from pg_tables where schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'goose_db_version'`)
	if err != nil {
		t.Fatal(err)
	}
	type table struct{ Schema, Name string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tables {
		ask("rows of "+n.Schema+"."+n.Name, `/* every organization: a test compares everything */ select to_jsonb(x)::text from `+ident(n.Schema, n.Name)+` x order by 1`)
	}
	ask("columns", `select table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(' ' || column_default, '') || coalesce(' ' || identity_generation, '')
		from information_schema.columns where table_schema not in ('pg_catalog', 'information_schema') order by 1`)
	ask("constraints", `select conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0 and connamespace::regnamespace::text not in ('pg_catalog', 'information_schema') order by 1`)
	ask("indexes", `select indexdef from pg_indexes where schemaname not in ('pg_catalog', 'information_schema') order by 1`)
	ask("storage", `select oid::regclass::text || ' ' || reloptions::text from pg_class where reloptions is not null and relkind = 'r' order by 1`)
	ask("sequences", `select schemaname || '.' || sequencename || ' ' || coalesce(last_value, 0) from pg_sequences where sequencename not like 'goose%' order by 1`)
	return out
}

// mustSame compares two databases, some parts left out.
func mustSame(t *testing.T, want, got map[string]string, without ...string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if slices.Contains(without, key) || want[key] == got[key] {
			continue
		}
		w, g := strings.Split(want[key], "\n"), strings.Split(got[key], "\n")
		t.Errorf("%s: %d lines, want %d; the first that differ: %v instead of %v", key, len(g), len(w), firstNotIn(g, w), firstNotIn(w, g))
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s is there only after the restore", key)
		}
	}
}

func firstNotIn(a, b []string) string {
	for _, l := range a {
		if !slices.Contains(b, l) {
			return fmt.Sprintf("%.300s", l)
		}
	}
	return "nothing"
}

// keyedBox seals with a name, so that another key does not open it.
type keyedBox struct{ key string }

func (b keyedBox) Seal(plain []byte, org, table, id string) ([]byte, error) {
	return []byte(strings.Join([]string{b.key, org, table, id, string(plain)}, "|")), nil
}

func (b keyedBox) Unseal(sealed []byte, org, table, id string) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(sealed), strings.Join([]string{b.key, org, table, id, ""}, "|"))
	if !ok {
		return nil, errors.New("another key")
	}
	return []byte(rest), nil
}

// mustUsed is a store in which there is something of everything that a backup has to hold: values of every type, edits, suggestions, a
// conflict, history with an undo, a plan, views, tokens' keys, and another organization's snapshot.
func mustUsed(t *testing.T) (*Store, kettles) {
	t.Helper()
	s := mustStore(t)
	s.box = keyedBox{"right"}
	k := kettlesIn(t, s, 30)
	ctx := t.Context()
	set := func(record int64, column, value string) CellEdit {
		return CellEdit{Record: record, Column: k.col(column), Value: core.TextValue(value)}
	}
	if _, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Sets: []CellEdit{set(2, "title", "tab\there, \\N and \"quotes\"\nÜ 🫖"), set(3, "title", ""), set(4, "title", "undone")}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ApplyChanges(ctx, k.by, k.t.Ref(), Changes{Deletes: []RecordOp{{Record: 7}}}, ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SuggestReplace(ctx, k.by, k.t.Ref(), Where{Filter: "true"}, Replace{Columns: []int{k.col("title")}, Find: "Kettle 2", With: "Pot 2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.MakePlan(ctx, k.by, k.t.Snapshot, nil, Where{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSigningKey(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(ctx, `/* every organization: the test ends the download */ update jobs set state = 'done', owner = '', lease_until = null, finished_at = now()`); err != nil {
		t.Fatal(err)
	}
	return s, k
}

// mustEmpty gives an empty database whose control tables are of the program's version.
func mustEmpty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := Connect(context.Background(), testdb.Migrated(t), 4, orgcheck.Tracer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func mustBackUp(t *testing.T, s *Store, snapshot string) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := Backup(t.Context(), s.pool, &file, snapshot); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestABackupRestoredIsTheSame(t *testing.T) {
	t.Parallel()
	s, k := mustUsed(t)
	before := content(t, s.pool)
	if n := len(strings.Split(before["rows of "+k.t.Schema+"._changes"], "\n")); n < 4 {
		t.Fatalf("the test's own snapshot has %d changes", n)
	}
	file := mustBackUp(t, s, "")
	pool := mustEmpty(t)
	done, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"right"}})
	if err != nil {
		t.Fatal(err)
	}
	if done.Snapshots != 1 || len(done.Unreadable) > 0 || done.Ended > 0 {
		t.Errorf("the restore says %+v", done)
	}
	mustSame(t, before, content(t, pool))

	again := New(Options{Pool: pool, Sealer: keyedBox{"right"}, Log: slog.New(slog.DiscardHandler)})
	if _, err := again.ApplyChanges(t.Context(), k.by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 5, Column: k.col("title"), Value: core.TextValue("goes on")}}}, ChangeOptions{}); err != nil {
		t.Errorf("an edit after the restore: %v", err)
	}
}

func TestAnAppInUseTakesNoBackupOfEverything(t *testing.T) {
	t.Parallel()
	s, _ := mustUsed(t)
	if err := Unused(t.Context(), s.pool); core.CodeOf(err) != core.Conflict {
		t.Errorf("an app in use says %v", err)
	}
	if err := Unused(t.Context(), mustEmpty(t)); err != nil {
		t.Errorf("an empty app says %v", err)
	}
	if err := Unused(t.Context(), testdb.New(t)); err != nil {
		t.Errorf("an empty database says %v", err)
	}
}

func TestARestoreWithAnotherKeySaysWhatItDoesNotOpen(t *testing.T) {
	t.Parallel()
	s, _ := mustUsed(t)
	file := mustBackUp(t, s, "")
	pool := mustEmpty(t)
	before := content(t, pool)
	_, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"wrong"}})
	if core.CodeOf(err) != core.Unavailable || !strings.Contains(core.SentenceOf(err), "does not open these: Shop") {
		t.Fatalf("another key gives %v", err)
	}
	mustSame(t, before, content(t, pool), "sequences")
	done, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"wrong"}, WithoutCredentials: true})
	if err != nil || len(done.Unreadable) != 2 {
		t.Fatalf("without credentials: %+v, %v", done, err)
	}
	var words string
	err = pool.QueryRow(t.Context(), `select health_words from connections where org_id = $1 and secrets is null`, core.LocalOrg).Scan(&words)
	if err != nil || !strings.Contains(words, "type them again") {
		t.Errorf("the connection says %q, %v", words, err)
	}
}

func TestHalfABackupRestoresNothing(t *testing.T) {
	t.Parallel()
	s, _ := mustUsed(t)
	file := mustBackUp(t, s, "")
	pool := mustEmpty(t)
	before := content(t, pool)
	for _, n := range []int{10, len(file) / 3, len(file) - 1} {
		if _, err := Restore(t.Context(), pool, bytes.NewReader(file[:n]), RestoreOptions{Box: keyedBox{"right"}}); core.CodeOf(err) != core.Invalid {
			t.Errorf("%d of %d bytes give %v", n, len(file), err)
		}
		mustSame(t, before, content(t, pool), "sequences")
	}
}

func TestARestoreTakesNoJobUp(t *testing.T) {
	t.Parallel()
	s, k := mustUsed(t)
	p, err := k.MakePlan(t.Context(), k.by, k.t.Snapshot, nil, Where{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartPublish(t.Context(), k.by, k.t.Snapshot, p.ID, true, 0); err != nil {
		t.Fatal(err)
	}
	file := mustBackUp(t, s, "")
	pool := mustEmpty(t)
	done, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"right"}})
	if err != nil || done.Ended != 1 {
		t.Fatalf("the restore says %+v, %v", done, err)
	}
	again := New(Options{Pool: pool, Sealer: keyedBox{"right"}, Log: slog.New(slog.DiscardHandler)})
	if due, err := again.DueJobs(t.Context(), 0); err != nil || len(due) > 0 {
		t.Errorf("%d jobs are due, %v", len(due), err)
	}
	var state string
	if err := pool.QueryRow(t.Context(), `select state from `+ident(k.t.Schema, "_plans")+` where id = $1`, dynamic, p.ID).Scan(&state); err != nil || state != "done" {
		t.Errorf("the plan is %q, %v", state, err)
	}
}

func TestOneSnapshotGoesIntoAnotherOrganization(t *testing.T) {
	t.Parallel()
	s, k := mustUsed(t)
	other := kettlesIn(t, s, 3) // must not be in the file
	file := mustBackUp(t, s, k.t.Snapshot)
	before := content(t, s.pool)
	pool := mustEmpty(t)
	if _, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"right"}, Organization: "org_none"}); core.CodeOf(err) != core.NotFound {
		t.Errorf("an organization that is not here gives %v", err)
	}
	if _, err := pool.Exec(t.Context(), `insert into organizations (id, name) values ('org_other', 'Other')`); err != nil {
		t.Fatal(err)
	}
	done, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"right"}, Organization: "org_other"})
	if err != nil || done.Snapshots != 1 {
		t.Fatalf("the restore says %+v, %v", done, err)
	}
	after := content(t, pool)
	for key, rows := range before {
		if strings.Contains(key, k.t.Schema) && after[key] != rows {
			t.Errorf("%s is not the same", key)
		}
		if strings.Contains(key, other.t.Schema) && after[key] != "" {
			t.Errorf("%s came along", key)
		}
	}
	by := core.Local()
	by.Org = "org_other"
	again := New(Options{Pool: pool, Sealer: keyedBox{"right"}, Log: slog.New(slog.DiscardHandler)})
	cons, err := again.Connections(t.Context(), by)
	if err != nil || len(cons) != 1 {
		t.Fatalf("%d connections, %v", len(cons), err)
	}
	if settings, err := again.ConnectionSettings(t.Context(), by, cons[0].ID); err != nil || settings["password"] != "pw-7f3" {
		t.Errorf("the credentials in the other organization: %v, %v", settings, err)
	}
	if _, err := again.ApplyChanges(t.Context(), by, k.t.Ref(), Changes{Sets: []CellEdit{{Record: 5, Column: k.col("title"), Value: core.TextValue("goes on")}}}, ChangeOptions{}); err != nil {
		t.Errorf("an edit after the restore: %v", err)
	}
	if _, err := Restore(t.Context(), pool, bytes.NewReader(file), RestoreOptions{Box: keyedBox{"right"}, Organization: "org_other"}); core.CodeOf(err) != core.Conflict {
		t.Errorf("the same once more gives %v", err)
	}
}

// TestEveryTableOfSnapshotsIsThoughtOf fails when a control table comes that belongs to snapshots: say in snapshotParts or notOfSnapshot
// whether a backup of one snapshot has it.
func TestEveryTableOfSnapshotsIsThoughtOf(t *testing.T) {
	t.Parallel()
	pool := mustEmpty(t)
	rows, err := pool.Query(t.Context(), `select table_name::text from information_schema.columns where table_schema = 'public' and column_name = 'snapshot_id'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if !slices.Contains(notOfSnapshot, n) && !slices.ContainsFunc(snapshotParts, func(p struct{ table, rows string }) bool { return p.table == n }) {
			t.Errorf("a backup of one snapshot has no %s", n)
		}
	}
}
