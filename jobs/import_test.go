package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/csvfile"
	"scratchpaper/store"
)

// file keeps an upload and says how it is read.
func (l *library) file(t *testing.T, name, content string, columns ...store.ImportColumn) store.NewImport {
	t.Helper()
	u, err := l.SaveUpload(t.Context(), l.by, name, strings.NewReader(content), 100<<20)
	if err != nil {
		t.Fatal(err)
	}
	d := csvfile.DefaultDialect()
	d.Header = true
	return store.NewImport{Upload: u.ID, Dialect: d, Columns: columns}
}

func (l *library) startImport(t *testing.T, n store.NewImport) (store.Snapshot, store.Job) {
	t.Helper()
	sn, j, err := l.StartImport(t.Context(), l.by, n)
	if err != nil {
		t.Fatal(err)
	}
	return sn, j
}

func (l *library) rows(t *testing.T, sn store.Snapshot, limit int) []store.Row {
	t.Helper()
	rows, err := l.FirstRows(t.Context(), l.by, sn.Tables[0].Ref(), store.View{}, limit, store.RowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func resultOf(t *testing.T, j store.Job) importResult {
	t.Helper()
	var res importResult
	if err := json.Unmarshal(j.Result, &res); err != nil {
		t.Fatalf("result %s: %v", j.Result, err)
	}
	return res
}

func TestAFileBecomesATableWithTypesAndAReport(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.start(t)
	n := l.file(t, `C:\files\people.csv`, "name,age,skip,born,note\r\nAda,36,x,1815-12-10,\"two\r\nlines\"\r\nBob,old,x,,\"\"\r\nToo,1,x,2000-01-01,a,b,c\r\nEve,7\r\n",
		store.ImportColumn{Title: "name", Type: core.Text}, store.ImportColumn{Title: "age", Type: core.Number}, store.ImportColumn{Title: "skip", Skip: true},
		store.ImportColumn{Title: "born", Type: core.Date}, store.ImportColumn{Title: "note", Type: core.Text})
	sn, j := l.startImport(t, n)
	end := l.ends(t, j.ID, "done")
	if sn.Name != "people" || sn.Tables[0].Source != core.File || len(sn.Tables[0].Columns) != 4 || sn.Tables[0].Columns[0].Source != core.File {
		t.Errorf("the snapshot is %+v", sn)
	}
	rows := l.rows(t, sn, 10)
	if len(rows) != 3 {
		t.Fatalf("%d records", len(rows))
	}
	if v := rows[0].Values; v[0].Text != "Ada" || v[1].Text != "36" || v[2].Text != "1815-12-10" || v[3].Text != "two\r\nlines" {
		t.Errorf("the first record is %+v", v)
	}
	if v := rows[1].Values; !v[1].IsNull() || !v[2].IsNull() || v[3].IsNull() || v[3].Text != "" {
		t.Errorf("a misfit, an empty and a quoted empty field became %+v", v)
	}
	res := resultOf(t, end)
	if res.Records != 3 || res.Misfits != 1 || len(res.First) != 1 || res.First[0].Line != 4 || res.First[0].Column != "age" || !contains(res.First[0].Reason, "old") {
		t.Errorf("the result is %+v", res)
	}
	if res.Report.TooMany != 1 || res.Report.TooFew != 1 {
		t.Errorf("the report is %+v", res.Report)
	}
	if p := end.Progress; p.Done != 3 || p.Total == nil || *p.Total != 3 {
		t.Errorf("progress is %+v", p)
	}
	if _, err := l.UploadByID(t.Context(), l.by, n.Upload); core.CodeOf(err) != core.NotFound {
		t.Errorf("the upload is still kept: %v", err)
	}
}

func TestAnEditOfAFilesTableKeepsWhatWasImported(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.start(t)
	sn, j := l.startImport(t, l.file(t, "a.csv", "name\nAda\n", store.ImportColumn{Title: "name", Type: core.Text}))
	l.ends(t, j.ID, "done")
	tb := l.table(t, sn)
	col := tb.Columns[0].Number
	row := l.rows(t, sn, 1)[0]
	if _, err := l.ApplyChanges(t.Context(), l.by, tb.Ref(), store.Changes{Sets: []store.CellEdit{{Record: row.ID, Column: col, Value: core.TextValue("Eda")}}}, store.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := l.rows(t, sn, 1)[0]; got.Values[0].Text != "Eda" || got.Base[col].Text != "Ada" {
		t.Errorf("the record is %+v", got)
	}
	if _, err := l.RefreshSnapshot(t.Context(), l.by, sn.ID, nil); core.CodeOf(err) != core.Conflict {
		t.Errorf("a file was refreshed: %v", err)
	}
}

func TestAnImportGoesOnExactlyWhereItsWorkerDied(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"import.page", "import.complete", "import.ended", "import.dropped"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			l := mustLibrary(t, nil)
			var b strings.Builder
			b.WriteString("n,text\n")
			for i := range 5000 {
				fmt.Fprintf(&b, "%d,\"line\n%d\"\n", i, i)
			}
			n := l.file(t, "lines.csv", b.String(), store.ImportColumn{Title: "n", Type: core.Number}, store.ImportColumn{Title: "text", Type: core.LongText})
			dead, wake := l.startFrozen(t, point, 1)
			sn, j := l.startImport(t, n)
			<-dead
			l.start(t)
			end := l.ends(t, j.ID, "done")
			wake()
			wantCount(t, "records", l.table(t, sn).Counts.Records, 5000)
			rows := l.rows(t, sn, 6000)
			if len(rows) != 5000 {
				t.Fatalf("%d records", len(rows))
			}
			for i, r := range rows {
				if r.Values[0].Text != fmt.Sprint(i) || r.Values[1].Text != fmt.Sprintf("line\n%d", i) {
					t.Fatalf("record %d is %+v", i, r.Values)
				}
			}
			if res := resultOf(t, end); res.Records != 5000 || res.Report.Records != 5000 {
				t.Errorf("the result is %+v", res)
			}
			if batches, records := l.batches(t, sn, "download"); batches != 1 || records != 5000 {
				t.Errorf("the history has %d imports of %d records", batches, records)
			}
		})
	}
}

// Reading a large file up to where the slice before ended can take longer than a slice.
func TestAnImportGetsOnHoweverLongTheWayBackToItsPlaceTakes(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.options.Timings.Slice = 100 * time.Millisecond
	var slices atomic.Int64
	l.options.Fault = func(point string) {
		switch point {
		case "import.skipped":
			slices.Add(1)
			time.Sleep(2 * l.options.Timings.Slice) // a way that is long
		case "import.page":
			time.Sleep(l.options.Timings.Slice / 2)
		}
	}
	l.start(t)
	n := l.file(t, "lines.csv", "n\n"+strings.Repeat("1\n", 20*firstPage), store.ImportColumn{Title: "n", Type: core.Number})
	sn, j := l.startImport(t, n)
	l.ends(t, j.ID, "done")
	wantCount(t, "records", l.table(t, sn).Counts.Records, 20*firstPage)
	if slices.Load() < 2 {
		t.Errorf("it took %d slices, want several", slices.Load())
	}
}

func TestAnImportWhoseFileGoesAwayFails(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	n := l.file(t, "a.csv", "name\nAda\n", store.ImportColumn{Title: "name", Type: core.Text})
	_, j := l.startImport(t, n)
	if err := l.DeleteUpload(t.Context(), l.by, n.Upload); err != nil {
		t.Fatal(err)
	}
	l.start(t)
	if end := l.ends(t, j.ID, "failed"); !contains(end.Error.Sentence, "Choose it again") {
		t.Errorf("it says %+v", end.Error)
	}
}

func TestAFileThatCannotBeReadFurtherFailsWithTheLine(t *testing.T) {
	t.Parallel()
	l := mustLibrary(t, nil)
	l.start(t)
	_, j := l.startImport(t, l.file(t, "a.csv", "name\nAda\n\"Bob\n", store.ImportColumn{Title: "name", Type: core.Text}))
	if end := l.ends(t, j.ID, "failed"); !contains(end.Error.Sentence, "3") {
		t.Errorf("it says %+v", end.Error)
	}
}
