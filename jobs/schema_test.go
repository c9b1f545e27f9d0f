package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
	"scratchpaper/internal/core"
	"scratchpaper/internal/localdb/testdb"
	"scratchpaper/store"
)

// bureau is a counter at a real Postgres, whose table a test alters.
type bureau struct {
	*counter
	there *pgxpool.Pool
	goods store.TableRef
}

const goodsTable = `create table goods (id bigint primary key, name text not null, price text, status text check (status in ('draft', 'live')), note text, code text);
	insert into goods select n, 'good ' || n, n || '.00', 'draft', 'note ' || n, 'c' || n from generate_series(1, 9) n`

func mustBureau(t *testing.T) *bureau {
	t.Helper()
	address := testdb.URL(t)
	u, err := url.Parse(testdb.TCP(t, address))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	settings := connectors.Settings{"host": u.Hostname(), "port": u.Port(), "database": u.Path[1:], "user": u.User.Username(), "password": password, "sslmode": "disable"}
	b := &bureau{there: testdb.Pool(t, address), counter: &counter{library: mustLibrary(t, nil), t: t}}
	b.alter(goodsTable)
	b.options.Dial = (&net.Dialer{}).DialContext
	b.options.Timings.Request, b.options.Timings.Lease = DefaultTimings().Request, DefaultTimings().Lease // a real service
	b.options.Settings = func(context.Context, core.Actor, string) (connectors.Connector, connectors.Settings, error) {
		return postgres.New(), settings, nil
	}
	session, err := postgres.New().Open(t.Context(), settings, connectors.Environment{Dial: b.options.Dial})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	remote, err := session.Table(t.Context(), "public.goods")
	if err != nil {
		t.Fatal(err)
	}
	con, err := b.CreateConnection(t.Context(), b.by, store.NewConnection{Connector: "postgres", Name: "Bureau"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := described(store.Table{Connection: con.ID}, remote)
	if err != nil {
		t.Fatal(err)
	}
	sn, job, err := b.CreateSnapshot(t.Context(), b.by, store.NewSnapshot{Name: "Bureau", Tables: []store.NewTable{n}})
	if err != nil {
		t.Fatal(err)
	}
	b.con, b.sn, b.goods = con, sn, sn.Tables[0].Ref()
	b.start(t)
	b.ends(t, job.ID, "done")
	return b
}

func (b *bureau) alter(sql string) {
	b.t.Helper()
	if _, err := b.there.Exec(b.t.Context(), sql); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bureau) says(sql, want string) {
	b.t.Helper()
	var got string
	if err := b.there.QueryRow(b.t.Context(), sql).Scan(&got); err != nil || got != want {
		b.t.Errorf("%s: the service says %q, want %q (%v)", sql, got, want, err)
	}
}

// edit edits a cell of a good and gives the batch.
func (b *bureau) edit(remote, slug, text string) int64 {
	b.t.Helper()
	b.set(b.goods, b.must(b.goods, remote).ID, slug, core.TextValue(text))
	act, err := b.NextUndo(b.t.Context(), b.by, b.sn.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return act.ID
}

// found refreshes and gives the changes that it found, as "kind column".
func (b *bureau) found() []string {
	b.t.Helper()
	job, err := b.RefreshSnapshot(b.t.Context(), b.by, b.sn.ID, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	ended := b.ends(b.t, job.ID, "done")
	changes, err := b.SchemaChanges(b.t.Context(), b.by, b.goods)
	if err != nil {
		b.t.Fatal(err)
	}
	var res struct{ Tables []struct{ Schema int } }
	if err := json.Unmarshal(ended.Result, &res); err != nil || len(changes) > 0 && (len(res.Tables) != 1 || res.Tables[0].Schema != len(changes)) {
		b.t.Errorf("the job tells of %+v, there are %d changes (%v)", res, len(changes), err)
	}
	var out []string
	for _, ch := range changes {
		out = append(out, string(ch.Kind)+" "+cmp.Or(ch.Column.Title, ch.Field.Title))
	}
	return out
}

func (b *bureau) apply(leave ...string) store.SchemaResult {
	b.t.Helper()
	res, err := b.ApplySchema(b.t.Context(), b.by, b.goods, leave)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.Job != nil {
		b.ends(b.t, res.Job.ID, "done")
	}
	if b.at(b.goods).SchemaFound {
		b.t.Error("changes are left after they were taken over")
	}
	return res
}

func (b *bureau) column(slug string) core.Column {
	b.t.Helper()
	c, ok := b.at(b.goods).ColumnBySlug(slug)
	if !ok {
		b.t.Fatalf("no column %s", slug)
	}
	return c
}

// cell checks a cell, and whether it is an edit.
func (b *bureau) cell(remote, slug, want string, edited bool) {
	b.t.Helper()
	r := b.must(b.goods, remote)
	if got := b.text(b.goods, r, slug); got != want {
		b.t.Errorf("%s of %s is %q, want %q", slug, remote, got, want)
	}
	if _, has := r.Base[b.column(slug).Number]; has != edited {
		b.t.Errorf("%s of %s is an edit: %v", slug, remote, has)
	}
}

func (b *bureau) same(what string, got, want []string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestARefreshWithoutChangesOfColumnsFindsNone(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.same("changes", b.found(), nil)
	if _, err := b.ApplySchema(t.Context(), b.by, b.goods, nil); core.CodeOf(err) != core.Conflict {
		t.Errorf("nothing is taken over: %v", err)
	}
}

func TestARenamedColumnKeepsItsEditsAndIsPublishedByItsNewName(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.edit("1", "name", "mine")
	b.edit("2", "code", "also mine")
	b.alter(`alter table goods rename column name to title; update goods set title = 'theirs' where id = 3; update goods set code = 'new' where id = 4`)
	b.same("changes", b.found(), []string{"renamed name"})
	b.cell("4", "code", "new", false) // what did not change is refreshed all the same
	b.apply()
	if c := b.column("name"); c.Title != "title" || c.RemoteID != "title" || !c.Writable {
		t.Errorf("the column is %+v", c)
	}
	b.cell("1", "name", "mine", true)
	b.cell("3", "name", "theirs", false)
	if p := b.published(); p.Counts.Published != 2 {
		t.Errorf("published: %+v", p.Counts)
	}
	b.says(`select title from goods where id = 1`, "mine")
	b.same("changes afterwards", b.found(), nil)
}

func TestTwoColumnsThatSwappedNamesAreToldApart(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.edit("1", "note", "mine")
	b.alter(`alter table goods rename column note to x; alter table goods rename column code to note; alter table goods rename column x to code`)
	b.same("changes", b.found(), []string{"renamed note", "renamed code"})
	b.apply()
	b.published()
	b.says(`select code || '/' || note from goods where id = 1`, "mine/c1")
	b.cell("2", "note", "note 2", false)
}

func TestARemovedColumnStaysLockedWithItsEdits(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.edit("1", "note", "mine")
	b.edit("2", "name", "mine")
	b.alter(`alter table goods drop column note`)
	b.same("changes", b.found(), []string{"removed note"})
	if res := b.apply(); res.Job != nil {
		t.Error("there is nothing to read")
	}
	c := b.column("note")
	if c.Writable || !c.Gone || !strings.Contains(c.WhyNot, "removed note") {
		t.Errorf("the column is %+v", c)
	}
	b.cell("1", "note", "mine", true)
	b.cell("2", "note", "note 2", false)
	sn, err := b.SnapshotByID(t.Context(), b.by, b.sn.ID)
	if err != nil {
		t.Fatal(err)
	}
	unsent, err := b.UnsentEdits(t.Context(), b.by, sn, []string{b.goods.Table})
	if err != nil || len(unsent) != 1 || unsent[0].Column.Title != "note" || unsent[0].Edits != 1 {
		t.Errorf("the edits that are not sent are %+v (%v)", unsent, err)
	}
	if p := b.published(); p.Counts.Published != 1 || p.Counts.Total != 1 {
		t.Errorf("published: %+v", p.Counts)
	}
	b.same("changes afterwards", b.found(), nil)
	b.cell("1", "note", "mine", true)

	b.alter(`alter table goods add column note text; update goods set note = 'back'`)
	b.same("changes when it is back", b.found(), []string{"returned note"})
	b.apply()
	b.cell("2", "note", "back", false)
	if r := b.must(b.goods, "1"); b.text(b.goods, r, "note") != "mine" || r.Conflicts[c.Number].Text != "back" {
		t.Errorf("the edit is %q, the conflict %+v", b.text(b.goods, r, "note"), r.Conflicts)
	}
	if c := b.column("note"); !c.Writable || c.Gone {
		t.Errorf("the column is %+v", c)
	}
}

func TestAnAddedColumnIsTakenUnlessItIsLeftOut(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.alter(`alter table goods add column stock int default 7, add column secret text default 's'`)
	b.same("changes", b.found(), []string{"added stock", "added secret"})
	b.apply("secret")
	b.cell("5", "stock", "7", false)
	if _, ok := b.at(b.goods).ColumnBySlug("secret"); ok {
		t.Error("what was left out is here")
	}
	b.same("changes afterwards", b.found(), nil)
}

func TestAChangeOfTypeLosesNoEdit(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	early := b.edit("5", "price", "early")
	b.edit("5", "price", "55.5")
	b.edit("1", "price", "12.5")
	b.edit("2", "price", "soon")
	b.edit("3", "name", "mine")
	b.alter(`alter table goods alter column price type numeric(10, 2) using price::numeric; update goods set price = 4.5 where id = 4`)
	b.same("changes", b.found(), []string{"retyped price"})
	b.cell("4", "price", "4.00", false)
	b.cell("2", "price", "soon", true)
	res := b.apply()
	if len(res.Kept) != 1 || res.Kept[0].Edits != 1 || res.Kept[0].Of != "price" {
		t.Errorf("kept: %+v", res.Kept)
	}
	if c := b.column("price"); c.Type != core.Number || !c.Writable || !c.Filled {
		t.Errorf("the column is %+v", c)
	}
	b.cell("1", "price", "12.5", true)
	b.cell("5", "price", "55.5", true)
	b.cell("2", "price", "2.00", false)
	b.cell("4", "price", "4.50", false)
	b.cell("3", "name", "mine", true)
	kept := b.column("price_before")
	if kept.Writable || kept.Type == core.Number || !strings.Contains(kept.WhyNot, "changed price from") {
		t.Errorf("the kept column is %+v", kept)
	}
	b.cell("2", "price_before", "soon", false)
	if n := b.at(b.goods).Counts.Edits; n == nil || *n != 3 {
		t.Errorf("the table counts %v edits, want 3", n)
	}
	if _, err := b.UndoBatch(t.Context(), b.by, b.sn.ID, early); err != nil {
		t.Errorf("undo of what was done before: %v", err)
	}
	b.cell("5", "price", "55.5", true)
	if p := b.published(); p.Counts.Published != 3 {
		t.Errorf("published: %+v", p.Counts)
	}
	b.says(`select price::text from goods where id = 1`, "12.50")
	b.says(`select price::text from goods where id = 2`, "2.00")
	b.same("changes afterwards", b.found(), nil)
}

// A record that is not published yet has no edits, only values: what does not fit of them is kept and told of as well.
func TestAChangeOfTypeLosesNothingOfANewRecord(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	id, name, price := b.column("id").Number, b.column("name").Number, b.column("price").Number
	ch := store.Changes{}
	for i, text := range []string{"12.5", "on request"} {
		ch.Creates = append(ch.Creates, store.NewRecord{Values: map[int]core.Value{
			id: core.TextValue(fmt.Sprint(100 + i)), name: core.TextValue("new"), price: core.TextValue(text)}})
	}
	made, err := b.ApplyChanges(t.Context(), b.by, b.goods, ch, store.ChangeOptions{})
	if err != nil || len(made.Created) != 2 {
		t.Fatalf("%+v %v", made, err)
	}
	b.alter(`alter table goods alter column price type numeric(10, 2) using price::numeric`)
	b.found()
	if res := b.apply(); len(res.Kept) != 1 || res.Kept[0].Edits != 1 {
		t.Errorf("kept: %+v", res.Kept)
	}
	rows, err := b.Rows(t.Context(), b.by, b.goods, made.Created, store.RowOptions{})
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	for i, want := range []map[string]string{{"price": "12.5", "price_before": "12.5"}, {"price": "", "price_before": "on request"}} {
		for slug, text := range want {
			if got := b.text(b.goods, rows[i], slug); got != text {
				t.Errorf("%s of the new record %d is %q, want %q", slug, i, got, text)
			}
		}
	}
}

func TestATypeThatHoldsEverythingKeepsEverything(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.alter(`alter table goods add column count int default 1`)
	b.found()
	b.apply()
	b.set(b.goods, b.must(b.goods, "1").ID, "count", core.TextValue("42"))
	b.alter(`alter table goods alter column count type text`)
	b.same("changes", b.found(), []string{"retyped count"})
	if res := b.apply(); len(res.Kept) != 1 || res.Kept[0].Edits != 0 {
		t.Errorf("kept: %+v", res.Kept)
	}
	b.cell("1", "count", "42", true)
	b.cell("2", "count", "1", false)
	b.published()
	b.says(`select count from goods where id = 1`, "42")
}

func TestOpenSuggestionsFollowAChangeOfType(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	price := b.column("price").Number
	for remote, text := range map[string]string{"1": "19.5", "2": "later"} {
		ch := store.Changes{Sets: []store.CellEdit{{Record: b.must(b.goods, remote).ID, Column: price, Value: core.TextValue(text)}}}
		if _, err := b.ApplyChanges(t.Context(), b.by, b.goods, ch, store.ChangeOptions{Suggest: true}); err != nil {
			t.Fatal(err)
		}
	}
	b.alter(`alter table goods alter column price type numeric(10, 2) using price::numeric`)
	b.found()
	b.apply()
	if n := b.at(b.goods).Counts.Suggestions; n == nil || *n != 1 {
		t.Errorf("the table counts %v suggestions, want 1", n)
	}
	if s := b.must(b.goods, "1").Suggestions[price]; len(s) != 1 || string(s[0].After) != "19.5" {
		t.Errorf("the suggestion that fits is %+v", s)
	}
}

func TestChangedChoicesAreTakenOver(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.alter(`alter table goods drop constraint goods_status_check, add check (status in ('draft', 'live', 'archived'))`)
	b.same("changes", b.found(), []string{"options status"})
	b.apply()
	if got := b.column("status").Options.Choices; !slices.Equal(got, []string{"draft", "live", "archived"}) {
		t.Errorf("the choices are %q", got)
	}
	b.edit("1", "status", "archived")
	b.published()
	b.says(`select status from goods where id = 1`, "archived")
}

func TestColumnsAreNotChangedUnderAJob(t *testing.T) {
	t.Parallel()
	b := mustBureau(t)
	b.alter(`alter table goods drop column note`)
	b.found()
	_, err := b.Pool().Exec(t.Context(), `update jobs set state = 'waiting', waiting_for = 'person' where org_id = $1 and kind = 'refresh'`, b.by.Org)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.ApplySchema(t.Context(), b.by, b.goods, nil); core.CodeOf(err) != core.Busy {
		t.Errorf("the error is %v", err)
	}
	if c := b.column("note"); c.Gone {
		t.Error("the column was changed all the same")
	}
}
