package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// into sends a file into the table of a snapshot; titles name the columns that its columns go to, the first is the key, "" is left out.
func (l *library) into(t *testing.T, sn store.Snapshot, content string, change func(n *store.ImportInto), titles ...string) store.Job {
	t.Helper()
	u, err := l.SaveUpload(t.Context(), l.by, "more.csv", strings.NewReader(content), 100<<20)
	if err != nil {
		t.Fatal(err)
	}
	d := csvfile.DefaultDialect()
	d.Header = true
	n := store.ImportInto{Upload: u.ID, Dialect: d, IntoTable: store.IntoTable{Create: true}}
	tb := l.table(t, sn)
	for i, title := range titles {
		c, _ := tb.ColumnBySlug(title)
		n.Targets = append(n.Targets, c.Number)
		n.Columns = append(n.Columns, store.ImportColumn{})
		if i == 0 {
			n.Key = c.Number
		}
	}
	if change != nil {
		change(&n)
	}
	j, err := l.StartImportInto(t.Context(), l.by, tb.Ref(), n)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// priceList is a file of n books, the first of which are those of a shelf.
func priceList(n int) string {
	var b strings.Builder
	b.WriteString("title,price\n")
	for i := range n {
		fmt.Fprintf(&b, "Book %d,%d\n", i, i+1000)
	}
	return b.String()
}

func intoOf(t *testing.T, j store.Job) intoResult {
	t.Helper()
	var res intoResult
	if err := json.Unmarshal(j.Result, &res); err != nil {
		t.Fatalf("result %s: %v", j.Result, err)
	}
	return res
}

// stages counts the stages that are left in a snapshot's schema.
func (l *library) stages(t *testing.T, sn store.Snapshot) (n int) {
	t.Helper()
	err := l.Pool().QueryRow(t.Context(), `select count(*) from information_schema.tables t where t.table_schema = $1 and t.table_name like '\_import%'`, sn.Schema).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (l *library) open(t *testing.T, sn store.Snapshot) map[string]string {
	t.Helper()
	list, _, err := l.Suggestions(t.Context(), l.by, sn.Tables[0].Ref(), store.Where{}, 0, 100000)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range list {
		out[fmt.Sprintf("%d.%d", s.Record, s.Column)] = string(s.After)
	}
	return out
}

func TestAFileBecomesSuggestionsOfTheRecordsThatItsKeyFinds(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, newShelf(6))
	l.start(t)
	sn, j := l.snapshot(t)
	l.ends(t, j.ID, "done")
	ids := map[int]int64{}
	for i := range 6 {
		ids[i] = l.mustRow(t, sn, i).ID
	}
	l.setTitle(t, sn, 4, "Book 5") // two records have this title now
	l.deleteHere(t, sn, 3)
	price := l.table(t, sn).Columns[1].Number
	job := l.into(t, sn, "title,note,price\nBook 0,x,11\nBook 1,x,10.0\nBook 2,x,dear\nBook 3,x,5\nBook 5,x,5\nBook 0,x,12\n,x,3\nNew one,x,7\n", nil, "title", "", "price")
	end := l.ends(t, job.ID, "done")
	res := intoOf(t, end)
	if res.Records != 8 || res.Matched != 3 || res.Changed != 1 || res.New != 1 || res.Skipped != 4 || res.Cells != 2 || res.Misfits != 1 || res.Batch == nil {
		t.Errorf("the result is %s", end.Result)
	}
	if res.Why["several"] != 1 || res.Why["deleted"] != 1 || res.Why["twice"] != 1 || res.Why["no_key"] != 1 || len(res.FirstSkipped) != 4 || res.FirstSkipped[0].Line != 5 ||
		len(res.FirstMisfits) != 1 || res.FirstMisfits[0].Line != 4 || res.FirstMisfits[0].Column != "Price" {
		t.Errorf("the report is %s", end.Result)
	}
	open := l.open(t, sn)
	if len(open) != 2 || open[fmt.Sprintf("%d.%d", ids[0], price)] != "11" {
		t.Errorf("the suggestions are %v", open)
	}
	if r := l.mustRow(t, sn, 0); r.Values[1].Text != "10" {
		t.Errorf("an import edited a record: %+v", r)
	}
	if n := l.stages(t, sn); n != 0 {
		t.Errorf("%d stages are left", n)
	}
	again := intoOf(t, l.ends(t, l.into(t, sn, "title,price\nBook 0,11\nNew one,7\n", nil, "title", "price").ID, "done"))
	if again.Cells != 0 || again.Why["proposed"] != 1 || again.Batch != nil {
		t.Errorf("the same again is %+v", again)
	}
}

func TestAnImportIntoATableIsUndoneAsOne(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, newShelf(3))
	l.start(t)
	sn, j := l.snapshot(t)
	l.ends(t, j.ID, "done")
	l.ends(t, l.into(t, sn, "title,price\nBook 0,1\nBook 1,2\nNew,3\n", nil, "title", "price").ID, "done")
	wantCount(t, "suggestions", l.table(t, sn).Counts.Suggestions, 3)
	list, err := l.History(t.Context(), l.by, sn.ID, 0, 1)
	if err != nil || list[0].Kind != "import" || list[0].Suggested != 3 || list[0].Label != "Import of more.csv" {
		t.Fatalf("the history says %+v, %v", list, err)
	}
	if _, err := l.UndoBatch(t.Context(), l.by, sn.ID, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if open := l.open(t, sn); len(open) != 0 {
		t.Errorf("after the undo there is %v", open)
	}
}

func TestAnImportIntoATableCanPassOverBlanksAndNewRows(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, newShelf(3))
	l.start(t)
	sn, j := l.snapshot(t)
	l.ends(t, j.ID, "done")
	const file = "title,price\nBook 0,\nBook 1,\"\"\nNew,3\n"
	res := intoOf(t, l.ends(t, l.into(t, sn, file, func(n *store.ImportInto) { n.Create, n.SkipBlanks = false, true }, "title", "price").ID, "done"))
	if res.Matched != 2 || res.Cells != 0 || res.New != 0 || res.Why["new"] != 1 {
		t.Errorf("passing over it is %+v", res)
	}
	res = intoOf(t, l.ends(t, l.into(t, sn, file, nil, "title", "price").ID, "done"))
	if res.Changed != 2 || res.Cells != 3 || res.New != 1 {
		t.Errorf("taking it is %+v", res)
	}
	for at, after := range l.open(t, sn) {
		if !strings.HasSuffix(at, ".0") && after != "null" {
			t.Errorf("%s is to be %s", at, after)
		}
	}
}

func TestAnImportIntoATableGoesOnWhereItsWorkerDied(t *testing.T) {
	t.Parallel()
	for point, c := range map[string]struct{ nth, rows int }{"import.staged": {2, 6000}, "import.matching": {1, 200}, "import.suggested": {1, 200}} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			l := mustLibrary(t, newShelf(20))
			r := l.start(t)
			sn, j := l.snapshot(t)
			l.ends(t, j.ID, "done")
			r.Stop()
			dead, wake := l.startFrozen(t, point, c.nth)
			job := l.into(t, sn, priceList(c.rows), nil, "title", "price")
			<-dead
			l.start(t)
			res := intoOf(t, l.ends(t, job.ID, "done"))
			wake()
			if n := int64(c.rows); res.Records != n || res.Matched != 20 || res.Changed != 20 || res.New != n-20 || res.Cells != n {
				t.Errorf("the result is %+v", res)
			}
			wantCount(t, "suggestions", l.table(t, sn).Counts.Suggestions, int64(c.rows))
			if n, _ := l.batches(t, sn, "import"); n != 1 {
				t.Errorf("it is %d lines of the history", n)
			}
			if n := l.stages(t, sn); n != 0 {
				t.Errorf("%d stages are left", n)
			}
		})
	}
}

func TestACancelledImportIntoATableLeavesNothing(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, newShelf(3))
	r := l.start(t)
	sn, j := l.snapshot(t)
	l.ends(t, j.ID, "done")
	r.Stop()
	staged := make(chan struct{})
	goOn := make(chan struct{})
	l.options.Fault = func(at string) {
		if at == "import.staged" {
			select {
			case <-staged:
			default:
				close(staged)
				<-goOn
			}
		}
	}
	l.start(t)
	job := l.into(t, sn, priceList(12000), nil, "title", "price")
	<-staged
	if _, err := l.CancelJob(t.Context(), l.by, job.ID); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	l.ends(t, job.ID, "cancelled")
	if n := l.stages(t, sn); n != 0 || len(l.open(t, sn)) != 0 {
		t.Errorf("%d stages and %d suggestions are left", n, len(l.open(t, sn)))
	}
}

func TestEveryTypeComesThroughAnImportIntoATable(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.start(t)
	sn, j := l.startImport(t, l.file(t, "a.csv", "name,born,seen,height\nAda,,,\n", store.ImportColumn{Title: "name", Type: core.Text}, store.ImportColumn{Title: "born", Type: core.Date},
		store.ImportColumn{Title: "seen", Type: core.DateTime}, store.ImportColumn{Title: "height", Type: core.Number}))
	l.ends(t, j.ID, "done")
	schema := pgx.Identifier{sn.Schema, sn.Tables[0].Physical}.Sanitize()
	var extra []int
	for i, typ := range []core.ColumnType{core.Choices, core.JSON, core.LocalTime, core.Choice, core.Checkbox} {
		number := 100 + i
		physical := fmt.Sprintf("c%d", number)
		if _, err := l.Pool().Exec(t.Context(), `insert into columns (org_id, snapshot_id, table_id, number, slug, title, physical, type, source, position)
			values ($1, $2, $3, $4, $5, $5, $6, $7, 'file', $4)`, l.by.Org, sn.ID, sn.Tables[0].ID, number, string(typ), physical, typ); err != nil {
			t.Fatal(err)
		}
		kind := map[core.ColumnType]string{core.Choices: "text[]", core.JSON: "jsonb", core.LocalTime: "timestamp", core.Choice: "text", core.Checkbox: "boolean"}[typ]
		if _, err := l.Pool().Exec(t.Context(), "alter table "+schema+" add column "+physical+" "+kind); err != nil {
			t.Fatal(err)
		}
		extra = append(extra, number)
	}
	res := intoOf(t, l.ends(t, l.into(t, sn, "name,born,seen,height,choices,json,localtime,choice,checkbox\nAda,1815-12-10,2026-01-02 03:04,1.50,\"[\"\"a\"\",\"\"b,c\"\"]\",\"{\"\"a\"\": 1}\",2026-01-02T03:04,red,yes\n",
		nil, "name", "born", "seen", "height", "choices", "json", "localtime", "choice", "checkbox").ID, "done"))
	if res.Cells != 8 || res.Misfits != 0 {
		t.Errorf("the result is %+v", res)
	}
	open := l.open(t, sn)
	for number, want := range map[int]string{2: `"1815-12-10"`, 3: `"2026-01-02T03:04:00+00:00"`, 4: "1.50", extra[0]: `["a", "b,c"]`, extra[1]: `[{"a": 1}]`,
		extra[2]: `"2026-01-02T03:04:00"`, extra[3]: `"red"`, extra[4]: "true"} {
		if got := open[fmt.Sprintf("1.%d", number)]; got != want {
			t.Errorf("column %d is to be %s, want %s", number, got, want)
		}
	}
}
