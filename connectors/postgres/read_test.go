package postgres_test

import (
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/internal/sample"
)

func TestWideRecordsMakeSmallPages(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table wide (id int primary key, x text)`, `insert into wide select g, repeat('x', 200000) from generate_series(1, 400) g`)
	table := d.table("public.wide")
	req := connectors.ReadRequest{Table: table, Fields: []string{"x"}}
	var sizes []int
	total := 0
	for last := false; !last; {
		page, err := d.session.Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Records))
		total += len(page.Records)
		req.Checkpoint, last = page.Checkpoint, page.Last
	}
	if total != 400 {
		t.Errorf("%d records in all, want 400", total)
	}
	for _, n := range sizes {
		if n > 130 {
			t.Errorf("a page holds %d records of 200 kB: %v", n, sizes)
		}
	}
}

// A digest is the sum over what Versions gives, whatever the key is made of.
func TestADigestSumsUpWhatVersionsGives(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, `create table one (id bigint primary key, x text)`, `insert into one select g, g::text from generate_series(1, 50) g`,
		`create table two (name text, day date, primary key (name, day))`, `insert into two select 'a "quoted" \ ' || chr(228 + g) || chr(10), date '2020-02-27' + g from generate_series(0, 5) g`,
		`create table none (id text primary key)`)
	s := d.session
	for name, records := range map[string]int64{"one": 50, "two": 6, "none": 0} {
		table := tableOf(t, s, "public."+name)
		page, err := s.(connectors.VersionReader).Versions(t.Context(), connectors.ReadRequest{Table: table})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, r := range page.Records {
			lines = append(lines, "('"+strings.ReplaceAll(r.ID+" "+r.Version, "'", "''")+"')")
		}
		want := connectors.Digest{Records: records, Sum: "0"}
		if records > 0 {
			want.Sum = d.query(`select sum(hashtextextended(line collate "C", 0))::text from (values ` + strings.Join(lines, ", ") + `) v(line)`)
		}
		got, err := s.(connectors.Digester).Digest(t.Context(), table)
		if err != nil || got != want {
			t.Errorf("the digest of %s is %+v, want %+v: %v", name, got, want, err)
		}
	}
}

func TestTheSampleCanBeReadAndPublishedTo(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	conn, err := d.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = sample.Load(t.Context(), conn.Conn())
	conn.Release()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range sample.Tables() {
		table := d.table(id)
		if !table.Readable || !table.Writable || !table.Creatable || !table.Deletable || !table.Versioned {
			t.Errorf("%s: %+v", id, table)
		}
	}
	places := d.table("public.places")
	wants := map[string]core.ColumnType{"name": core.Text, "country_code": core.Reference, "kind": core.Choice, "also_in": core.Choices, "geonames_url": core.URL, "updated_at": core.DateTime, "population": core.Number}
	for id, want := range wants {
		if f := field(t, places, id); f.Type != want {
			t.Errorf("%s is %s, want %s", id, f.Type, want)
		}
	}
	if n := len(read(t, d.session, places, "name", "kind")); n < 24_000 {
		t.Errorf("%d places read", n)
	}
	o := d.update(places, connectors.Write{ID: "2988507", Values: texts("name", "Paris (FR)")})[0]
	if o.Err != nil || o.Stored["updated_at"].Equal(o.Before["updated_at"]) || !strings.HasSuffix(o.Stored["updated_at"].Text, "+00:00") {
		t.Errorf("%v %v", o.Err, o.Stored["updated_at"])
	}
	restored := d.revive(places, "2988507")
	if restored.ID != "2988507" || restored.Stored["name"].Text != "Paris (FR)" {
		t.Errorf("restored as %s: %v", restored.ID, restored.Stored["name"])
	}
}

// revive deletes a record and creates it again as itself.
func (d *database) revive(table connectors.Table, id string) connectors.Outcome {
	d.t.Helper()
	gone, err := d.session.(connectors.Deleter).Delete(d.t.Context(), table, []connectors.Write{{ID: id}})
	if err != nil || gone[0].Err != nil {
		d.t.Fatal(err, gone)
	}
	values := map[string]core.Value{}
	for _, f := range table.Columns {
		if f.Writable || f.InsertOnly {
			values[f.ID] = gone[0].Before[f.ID]
		}
	}
	o := d.create(table, connectors.Write{ID: id, Values: values})[0]
	if o.Err != nil {
		d.t.Fatal(o.Err)
	}
	return o
}
