package postgres_test

import (
	"testing"

	"scratchpaper/connectors"
)

// BenchmarkRead reads 12 columns; the goal is 150,000 records a second.
func BenchmarkRead(b *testing.B) {
	d := newDatabase(b, `create table many (id bigint primary key, a text, b text, c text, n int, p numeric(10, 2), ok boolean, day date, at timestamptz, tags text[], f double precision, note text)`,
		`insert into many select g, 'title ' || g, 'b' || g % 100, md5(g::text), g % 1000, g / 100.0, g % 2 = 0, date '2020-01-01' + g % 1000, now() + g * interval '1 second', array['x', 'y' || g % 5], g / 7.0, repeat('lorem ipsum ', 3) from generate_series(1, 300000) g`,
		`analyze many`)
	table := d.table("public.many")
	var fields []string
	for _, f := range table.Columns {
		fields = append(fields, f.ID)
	}
	for _, mode := range []string{"records", "versions"} {
		b.Run(mode, func(b *testing.B) {
			total := 0
			for b.Loop() {
				req := connectors.ReadRequest{Table: table, Fields: fields, KeysOnly: mode == "versions"}
				for last := false; !last; {
					page, err := d.session.Read(b.Context(), req)
					if err != nil {
						b.Fatal(err)
					}
					total += len(page.Records)
					req.Checkpoint, last = page.Checkpoint, page.Last
				}
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkUpdate changes 1,000 records a round.
func BenchmarkUpdate(b *testing.B) {
	d := newDatabase(b, `create table many (id int primary key, a text, b text)`, `insert into many select g, 'a' || g, 'b' from generate_series(1, 100000) g`, `analyze many`)
	table := d.table("public.many")
	total := 0
	for b.Loop() {
		page, err := d.session.Read(b.Context(), connectors.ReadRequest{Table: table, Fields: []string{"a"}, Limit: 1000})
		if err != nil {
			b.Fatal(err)
		}
		writes := make([]connectors.Write, len(page.Records))
		for i, r := range page.Records {
			writes[i] = connectors.Write{ID: r.ID, Version: r.Version, Values: texts("a", r.Values[0].Text+"x")}
		}
		outcomes, err := d.session.Update(b.Context(), table, writes)
		if err != nil || outcomes[0].Err != nil {
			b.Fatal(err, outcomes)
		}
		total += len(outcomes)
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
}
