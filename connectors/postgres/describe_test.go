package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

func TestTypesAreRecognised(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create extension citext`,
		`create type mood as enum ('sad', 'ok', 'it''s fine')`,
		`create domain score as int check (value between 0 and 10)`,
		`create domain size as text not null check (value in ('S', 'M', 'L'))`,
		`create table people (id int primary key)`,
		`create table kinds (
			id int primary key, feeling mood, moods mood[], status text check (status in ('draft', 'it''s live')),
			state varchar(20) check (state = any (array['a', 'b'])), half text check (half in ('a') or half = 'zzzz'),
			size size, score score, person int references people, website text, logo_url text, email text, notes text,
			short_text varchar(40), big bigint, price numeric(8, 2), cash money, at timestamptz, local timestamp, day date,
			"time" time, doc json, tags text[], ids int[], raw bytea, place point, span int4range, name citext,
			double_id int generated always as (id * 2) stored, token uuid)`)
	table := d.table("public.kinds")
	types := map[string]core.ColumnType{
		"id": core.Number, "feeling": core.Choice, "moods": core.Choices, "status": core.Choice, "state": core.Choice, "half": core.Text,
		"size": core.Choice, "score": core.Number, "person": core.Reference, "website": core.URL, "logo_url": core.URL,
		"email": core.Email, "notes": core.LongText, "short_text": core.Text, "big": core.Number, "price": core.Number, "cash": core.Number,
		"at": core.DateTime, "local": core.LocalTime, "day": core.Date, "time": core.Text, "doc": core.JSON, "tags": core.Choices,
		"ids": core.JSON, "raw": core.Text, "place": core.Text, "span": core.Text, "name": core.Text, "double_id": core.Number, "token": core.Text,
	}
	got := map[string]core.ColumnType{}
	for _, f := range table.Columns {
		got[f.ID] = f.Type
	}
	if diff := cmp.Diff(types, got); diff != "" {
		t.Error(diff)
	}
	for id, choices := range map[string][]string{
		"feeling": {"sad", "ok", "it's fine"}, "moods": {"sad", "ok", "it's fine"}, "status": {"draft", "it's live"},
		"state": {"a", "b"}, "size": {"S", "M", "L"},
	} {
		if diff := cmp.Diff(choices, field(t, table, id).Options.Choices); diff != "" {
			t.Error(id, diff)
		}
	}
	for _, id := range []string{"cash", "raw", "place", "span", "double_id", "id"} {
		if f := field(t, table, id); f.Writable || f.WhyNot == "" {
			t.Errorf("%s is writable: %v %q", id, f.Writable, f.WhyNot)
		}
	}
	price := field(t, table, "price").Options
	if price.Precision != 8 || price.Scale == nil || *price.Scale != 2 || field(t, table, "short_text").Options.MaxLength != 40 {
		t.Errorf("precision, scale or length is lost: %+v", price)
	}
	if o := field(t, table, "person").Options; o.Target != "public.people" || !field(t, table, "size").Options.Required {
		t.Errorf("the reference points to %q", o.Target)
	}
}

func TestKeysAreFoundOrTheirLackIsExplained(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table pk (b int, a text, primary key (b, a))`,
		`create table ordered (a text, b int, x text, primary key (b, a))`,
		`create table uniq (code text not null unique, x text)`,
		`create table nullable (code text unique, x text)`,
		`create table partial (code text not null, x text)`, `create unique index on partial (code) where x is null`,
		`create table none (x text)`,
		`create table base (id int primary key, x text, n int)`, `insert into base values (1, 'a', 1), (2, 'b', 1)`,
		`create view simple as select id, x from base where n > 0`,
		`create view grouped as select id, count(*) as n from base group by id`,
		`create view keyless as select x from base`,
		`create view doubled as select id, x from base union all select id, x from base`,
		`create materialized view mat as select id, x from base`,
		`create table parts (id int primary key, x text) partition by range (id)`, `create table parts_1 partition of parts for values from (0) to (100)`)
	want := map[string]string{ // key, or the part of the sentence that says why there is none
		"public.pk": "b,a", "public.ordered": "b,a", "public.uniq": "code", "public.nullable": "!cannot be told apart",
		"public.partial": "!cannot be told apart", "public.none": "!no primary key", "public.base": "id", "public.simple": "id",
		"public.grouped": "id", "public.keyless": "!does not show the key", "public.doubled": "!does not tell records apart",
		"public.mat": "id", "public.parts": "id",
	}
	tables, err := d.session.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != len(want) {
		t.Errorf("%d tables, want %d", len(tables), len(want))
	}
	for _, table := range tables {
		w := want[table.ID]
		why, isReason := strings.CutPrefix(w, "!")
		switch {
		case isReason && (table.Readable || !strings.Contains(table.WhyNot, why)):
			t.Errorf("%s: readable %v, %q", table.ID, table.Readable, table.WhyNot)
		case !isReason && (!table.Readable || strings.Join(table.Key, ",") != w):
			t.Errorf("%s: key %v, %q", table.ID, table.Key, table.WhyNot)
		}
	}
	for id, writable := range map[string]bool{"public.simple": true, "public.grouped": false, "public.mat": false, "public.parts": true} {
		if table := d.table(id); table.Writable != writable || !writable && table.WhyNot == "" {
			t.Errorf("%s: writable %v, %q", id, table.Writable, table.WhyNot)
		}
	}
}

func TestNamesOfEveryKindAreRead(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create schema "odd.schema"`,
		`create table "odd.schema"."my ""table"".x" ("the key" int primary key, "sel;ect" text, "ünï" text)`,
		`insert into "odd.schema"."my ""table"".x" values (1, 'a', 'b')`)
	tables, err := d.session.Tables(t.Context())
	if err != nil || len(tables) != 1 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	table := d.table(tables[0].ID)
	if got := read(t, d.session, table, "ünï", "sel;ect"); len(got) != 1 || strings.Join(got["1"], "") != "ba" {
		t.Errorf("read %v", got)
	}
}

func TestPrivilegesAreLookedAtColumnByColumn(t *testing.T) {
	t.Parallel()
	d := newDatabase(t,
		`create table open (id int generated by default as identity primary key, a text, b text, secret text)`,
		`insert into open (a, b, secret) values ('a', 'b', 's')`,
		`create table hidden (id int primary key)`)
	s := d.login("columns", `grant select (id, a, b), update (a) on open`)
	table := tableOf(t, s, "public.open")
	if len(table.Columns) != 3 || table.Versioned || table.Creatable || table.Deletable {
		t.Errorf("columns %d, versioned %v, creatable %v, deletable %v", len(table.Columns), table.Versioned, table.Creatable, table.Deletable)
	}
	if !field(t, table, "a").Writable || field(t, table, "b").Writable {
		t.Error("a is to be writable and b is not")
	}
	outcomes, err := s.Update(t.Context(), table, []connectors.Write{{ID: "1", Values: texts("a", "new"), Base: texts("a", "a")}, {ID: "1", Values: texts("b", "no")}})
	if err != nil || outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[1].Err.Field != "b" {
		t.Errorf("%v %+v", err, outcomes)
	}
	if hidden := tableOf(t, s, "public.hidden"); hidden.Readable || !strings.Contains(hidden.WhyNot, "may not read") {
		t.Errorf("hidden: %v %q", hidden.Readable, hidden.WhyNot)
	}
}

func TestReadOnlyLoginsSaySo(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table things (id int primary key, x text)`, `insert into things values (1, 'a')`)
	s := d.login("reader", `grant select on things`)
	table := tableOf(t, s, "public.things")
	if !table.Readable || table.Writable || table.WhyNot == "" || table.WhyNoNew == "" || table.WhyNoDel == "" {
		t.Errorf("%+v", table)
	}
	_, err := s.Update(t.Context(), table, []connectors.Write{{ID: "1", Values: texts("x", "b")}})
	if f := faultOf(t, err); f.Kind != connectors.NotAllowed {
		t.Errorf("the fault is %s", f.Kind)
	}
}

func TestATableThatLostAColumnIsDescribedAnew(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table things (id int primary key, a text, b text)`, `insert into things values (1, 'a', 'b')`)
	table := d.table("public.things")
	read(t, d.session, table, "a", "b")
	mustExec(t, d.pool, `alter table things drop column b`)
	mustExec(t, d.pool, `alter table things alter column a type varchar(10)`)
	for range 2 { // the first may meet the old description, the second is told by name
		_, err := d.session.Read(t.Context(), connectors.ReadRequest{Table: table, Fields: []string{"a", "b"}})
		if f := faultOf(t, err); f.Kind != connectors.Gone {
			t.Errorf("the fault is %s: %s", f.Kind, f.Words)
		}
	}
	if got := read(t, d.session, d.table("public.things"), "a"); got["1"][0] != "a" {
		t.Errorf("read %v", got)
	}
}
