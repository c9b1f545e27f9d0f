package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

func TestCompositeKeysAreRecordIDs(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table pairs (b int, a text, x text, primary key (b, a))`,
		`insert into pairs select g % 3, 'k"' || g, 'x' || g from generate_series(1, 20) g`)
	table := d.table("public.pairs")
	all := read(t, d.session, table, "x")
	if len(all) != 20 || all[`[1,"k\"7"]`] != nil || all[`["1","k\"7"]`][0] != "x7" {
		t.Fatalf("read %v", all)
	}
	o := d.update(table, connectors.Write{ID: `["1","k\"7"]`, Values: texts("x", "new"), Base: texts("x", "x7")})[0]
	if o.Err != nil || o.Stored["x"].Text != "new" {
		t.Errorf("%+v", o)
	}
	made := d.create(table, connectors.Write{Values: texts("b", "007", "a", "n", "x", "1")}, connectors.Write{Values: texts("b", "7", "a", "n", "x", "2")}, connectors.Write{Values: texts("b", "7")}, connectors.Write{Values: texts("b", "seven", "a", "n")})
	if made[0].Err != nil || made[0].ID != `["7","n"]` {
		t.Errorf("%+v", made[0])
	}
	if made[1].Err == nil || made[2].Err == nil || made[2].Err.Field != "a" || made[3].Err == nil {
		t.Errorf("taken %v, incomplete %v, no number %v", made[1].Err, made[2].Err, made[3].Err)
	}
	if x := d.query(`select string_agg(x, ',') from pairs where a = 'n'`); x != "1" {
		t.Errorf("the record holds %q", x)
	}
}

func TestUUIDKeysAreOurs(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table docs (id uuid primary key default gen_random_uuid(), x text)`)
	table := d.table("public.docs")
	ids, err := d.session.(connectors.Creator).Reserve(t.Context(), table, 2)
	if err != nil || len(ids) != 2 || ids[0] == ids[1] {
		t.Fatalf("%v %v", ids, err)
	}
	w := connectors.Write{ID: ids[0], Values: texts("x", "a")}
	if o := d.create(table, w)[0]; o.Err != nil || o.ID != ids[0] {
		t.Fatalf("%+v", o)
	}
	mustExec(t, d.pool, `update docs set x = 'changed since'`)
	w.Repeat = true
	if o := d.create(table, w)[0]; o.Err != nil || !o.Existing || o.Stored["x"].Text != "changed since" {
		t.Errorf("%+v", o)
	}
}

func TestReservedNumbersAreOnlyGivenOnce(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table old (id serial primary key, x text)`, `insert into old (x) values ('a'), ('b')`)
	table := d.table("public.old")
	ids, err := d.session.(connectors.Creator).Reserve(t.Context(), table, 3)
	if err != nil || strings.Join(ids, ",") != "3,4,5" {
		t.Fatalf("%v %v", ids, err)
	}
	mustExec(t, d.pool, `insert into old (id, x) values (4, 'a stranger')`)
	outcomes := d.create(table, connectors.Write{ID: "3", Values: texts("x", "1")}, connectors.Write{ID: "4", Values: texts("x", "2")}, connectors.Write{ID: "5"})
	if outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[2].Err != nil {
		t.Errorf("%v %v %v", outcomes[0].Err, outcomes[1].Err, outcomes[2].Err)
	}
	if x := d.query(`select x from old where id = 4`); x != "a stranger" {
		t.Errorf("the stranger's record holds %q", x)
	}
}

func TestTriggersHaveTheLastWord(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table shouted (id int primary key, x text, seen int not null default 0)`,
		`create function shout() returns trigger language plpgsql as $$ begin
			if new.x = 'refuse' then raise exception 'not this one'; end if;
			if new.x = 'drop' then return null; end if;
			new.x := upper(trim(new.x)); return new; end $$`,
		`create trigger shout before insert or update on shouted for each row execute function shout()`,
		`create function note() returns trigger language plpgsql as $$ begin
			if new.seen = old.seen then update public.shouted set seen = seen + 1 where id = new.id; end if; return null; end $$`,
		`create trigger note after update on shouted for each row execute function note()`,
		`insert into shouted values (1, 'a'), (2, 'b'), (3, 'c')`)
	table := d.table("public.shouted")
	outcomes := d.update(table,
		connectors.Write{ID: "1", Values: texts("x", " one ")},
		connectors.Write{ID: "2", Values: texts("x", "refuse")},
		connectors.Write{ID: "3", Values: texts("x", "drop")})
	if o := outcomes[0]; o.Err != nil || o.Stored["x"].Text != "ONE" || o.Stored["seen"].Text != "1" || o.Version != d.query(`select xmin::text from shouted where id = 1`) {
		t.Errorf("%v stored %v version %s", o.Err, o.Stored, o.Version)
	}
	if f := outcomes[1].Err; f == nil || !strings.Contains(f.Words, "not this one") {
		t.Errorf("refused: %v", f)
	}
	if f := outcomes[2].Err; f == nil || f.Kind != connectors.RefusedRecord {
		t.Errorf("dropped: %v", f)
	}
	made := d.create(table, connectors.Write{Values: texts("id", "9", "x", " new")}, connectors.Write{Values: texts("id", "10", "x", "drop")})
	if made[0].Err != nil || made[0].Stored["x"].Text != "NEW" || made[1].Err == nil {
		t.Errorf("%+v %v", made[0], made[1].Err)
	}
}

func TestRefusalsNameTheirField(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table parents (id int primary key)`,
		`create table strict (id int primary key, must text not null default 'x', short varchar(3), code text unique, parent int references parents deferrable initially deferred,
			n int check (n > 0), day date, other text)`,
		`insert into strict (id, code) select g, 'c' || g from generate_series(1, 8) g`)
	table := d.table("public.strict")
	null := texts("other", "y")
	null["must"] = core.NullValue
	cases := []struct {
		field  string
		values map[string]core.Value
	}{
		{"must", null},
		{"short", texts("short", "long", "other", "y")},
		{"code", texts("code", "c8", "other", "y")},
		{"parent", texts("parent", "5", "other", "y")},
		{"n", texts("n", "0", "other", "y")},
		{"day", texts("day", "2026-02-30")},
	}
	var writes []connectors.Write
	for i, c := range cases {
		writes = append(writes, connectors.Write{ID: string(rune('1' + i)), Values: c.values})
	}
	writes = append(writes, connectors.Write{ID: "7", Values: texts("other", "fine")})
	outcomes := d.update(table, writes...)
	for i, c := range cases {
		if f := outcomes[i].Err; f == nil || f.Kind != connectors.RefusedValue || f.Field != c.field || f.Words == "" {
			t.Errorf("%s: %+v", c.field, f)
		}
	}
	if f := outcomes[2].Err; f != nil && !strings.HasSuffix(f.Words, `unique constraint "strict_code_key". Key (code)=(c8) already exists.`) {
		t.Errorf("the service's words are %q", f.Words)
	}
	if outcomes[6].Err != nil || d.query(`select string_agg(other, ',') from strict`) != "fine" {
		t.Errorf("the good one: %v", outcomes[6].Err)
	}
}

func TestRowSecurityHidesAndRefuses(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table tenants (id int primary key, owner text, x text)`,
		`insert into tenants values (1, 'me', 'a'), (2, 'you', 'b')`,
		`alter table tenants enable row level security`,
		`create policy mine on tenants using (owner = 'me')`)
	s := d.login("tenant", `grant select, update, insert, delete on tenants`)
	table := tableOf(t, s, "public.tenants")
	if got := read(t, s, table, "x"); len(got) != 1 {
		t.Errorf("read %v", got)
	}
	outcomes, err := s.Update(t.Context(), table, []connectors.Write{{ID: "1", Values: texts("x", "new")}, {ID: "2", Values: texts("x", "new")}, {ID: "1", Values: texts("owner", "you")}})
	if err != nil || outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[1].Err.Kind != connectors.Gone || outcomes[2].Err == nil || outcomes[2].Err.Kind != connectors.NotAllowed {
		t.Errorf("%v %+v", err, outcomes)
	}
	if x := d.query(`select string_agg(owner || x, ',' order by id) from tenants`); x != "menew,youb" {
		t.Errorf("the table holds %s", x)
	}
}

func TestDeleteSaysWhatGoesWithIt(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table posts (id int primary key)`,
		`create table comments (id int primary key, post int references posts on delete cascade)`,
		`create table likes (id int primary key, comment int references comments on delete cascade)`,
		`create table pins (id int primary key, post int references posts on delete set null)`,
		`create table invoices (id int primary key, post int references posts)`,
		`insert into posts values (1), (2), (3)`, `insert into comments values (1, 1), (2, 1), (3, 2)`,
		`insert into likes values (1, 1)`, `insert into pins values (1, 1)`, `insert into invoices values (1, 3)`)
	table := d.table("public.posts")
	if len(table.Effects) != 2 {
		t.Errorf("effects %q", table.Effects)
	}
	effects, err := d.session.(connectors.EffectsReader).DeleteEffects(t.Context(), table, []string{"1", "3"})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(effects, "\n")
	for _, want := range []string{"2 rows of public.comments are deleted with them.", "1 row of public.likes is deleted with them.", "1 row of public.pins has post emptied.", "1 row of public.invoices refers to them; the database refuses"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	outcomes, err := d.session.(connectors.Deleter).Delete(t.Context(), table, []connectors.Write{{ID: "1"}, {ID: "3"}, {ID: "2"}, {ID: "1"}})
	if err != nil || outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[2].Err != nil || outcomes[3].Err == nil {
		t.Errorf("%v %+v", err, outcomes)
	}
	if left := d.query(`select string_agg(id::text, ',') from posts`); left != "3" {
		t.Errorf("left: %s", left)
	}
}

func TestAWriterInBetweenIsSeen(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table things (id int primary key, x text)`, `insert into things values (1, 'a')`)
	table := d.table("public.things")
	tx, err := d.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `update things set x = 'theirs'`); err != nil {
		t.Fatal(err)
	}
	done := make(chan *connectors.Fault, 1)
	go func() {
		outcomes, err := d.session.Update(t.Context(), table, []connectors.Write{{ID: "1", Values: texts("x", "mine"), Base: texts("x", "a")}})
		if err != nil {
			done <- &connectors.Fault{Kind: connectors.Broken, Words: err.Error()}
			return
		}
		done <- outcomes[0].Err
	}()
	d.waitFor(`select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')::text`)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := <-done; f == nil || f.Kind != connectors.ConflictFault {
		t.Errorf("the outcome is %v, want a conflict", f)
	}
	if x := d.query(`select x from things`); x != "theirs" {
		t.Errorf("the record holds %q", x)
	}
}

func (d *database) waitFor(sql string) {
	d.t.Helper()
	for d.query(sql) != "true" {
		if d.t.Context().Err() != nil {
			d.t.Fatal("waited for nothing: " + sql)
		}
	}
}

func TestNullsAmongTheTextsOfAnArrayStayNulls(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table tagged (id int primary key, tags text[])`, `insert into tagged values (1, array['a', null, '␀', 'NULL', ''])`)
	table := d.table("public.tagged")
	was := core.ListValue([]string{"a", "␀", "␀␀", "NULL", ""})
	now := core.ListValue([]string{"a", "␀", "␀␀", "NULL", "", "z"})
	for _, step := range []struct{ base, value core.Value }{{was, now}, {now, was}} { // an edit, and its revert
		o := d.update(table, connectors.Write{ID: "1", Values: map[string]core.Value{"tags": step.value}, Base: map[string]core.Value{"tags": step.base}})[0]
		if o.Err != nil || !slices.Equal(o.Stored["tags"].List, step.value.List) {
			t.Errorf("%+v", o)
		}
	}
	if same := d.query(`select (tags is not distinct from array['a', null, '␀', 'NULL', ''])::text from tagged`); same != "true" {
		t.Errorf("the service holds %s", d.query(`select tags::text from tagged`))
	}
}
