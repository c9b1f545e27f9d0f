package store

import (
	"slices"
	"testing"

	"scratchpaper/internal/core"
)

// download takes a page as a first download does.
func (k kettles) download(t *testing.T, repeats bool, recs ...RemoteRecord) MergeCounts {
	t.Helper()
	c, err := k.MergePage(t.Context(), k.job, PageMerge{Table: k.t, Columns: k.t.Columns, Records: recs, First: true, Repeats: repeats})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A service may give a record twice, in one page or in two: it is taken once, as it came first.
func TestARecordThatComesTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	for _, p := range []struct {
		recs    []RemoteRecord
		known   bool // a page before held some twice
		new     int64
		repeats bool
	}{
		{[]RemoteRecord{k.record(3, "first", "1"), k.record(4, "first", "1")}, false, 2, false},
		{[]RemoteRecord{k.record(5, "first", "1"), k.record(5, "second", "2"), k.record(6, "first", "1")}, false, 2, true},
		{[]RemoteRecord{k.record(4, "second", "2"), k.record(7, "first", "1"), k.record(0, "second", "2")}, false, 1, true},
		{[]RemoteRecord{k.record(7, "second", "2"), k.record(8, "first", "1")}, true, 1, false},
		{[]RemoteRecord{k.record(8, "second", "2")}, true, 0, false},
	} {
		if c := k.download(t, p.known, p.recs...); c.New != p.new || c.Repeats != p.repeats {
			t.Errorf("a page of %d gave %+v, want %d new, repeats: %t", len(p.recs), c, p.new, p.repeats)
		}
	}
	rows, err := k.FirstRows(t.Context(), k.by, k.t.Ref(), View{}, 100, RowOptions{})
	if err != nil || len(rows) != 9 {
		t.Fatalf("%d records: %v", len(rows), err)
	}
	title := slices.IndexFunc(k.t.Columns, func(c core.Column) bool { return c.Slug == "title" })
	for _, r := range rows[3:] {
		if r.Values[title].Text != "first" {
			t.Errorf("record %s is %q", r.RemoteID, r.Values[title].Text)
		}
	}
	tb, err := k.TableByID(t.Context(), k.by, k.t.Ref())
	if err != nil || *tb.Counts.Records != 9 {
		t.Errorf("%d records are counted: %v", *tb.Counts.Records, err)
	}
}

// Whatever a text holds, it comes as it is, however the page is brought in.
func TestADownloadKeepsEveryCharacter(t *testing.T) {
	t.Parallel()
	texts := []string{"", `\N`, `\.`, `\`, `a\tb`, "a\tb\nc\r\nd\\", "'\"{},", "{\"a\",NULL}", "NULL", "null", " ä 漢 🙂 \u2028\u00a0 ", "\v\f\b\x01\x7f", "~1"}
	for _, repeats := range []bool{false, true} {
		k := mustKettles(t, 0)
		var recs []RemoteRecord
		for i, text := range texts {
			r := k.record(i, text, "1")
			r.ID, r.Values[4] = "key "+text, core.ListValue([]string{text, "b", text})
			recs = append(recs, r)
		}
		k.download(t, repeats, recs...)
		rows, err := k.FirstRows(t.Context(), k.by, k.t.Ref(), View{}, 100, RowOptions{})
		if err != nil || len(rows) != len(texts) {
			t.Fatalf("%d records: %v", len(rows), err)
		}
		for i, r := range rows {
			if want := recs[i]; r.RemoteID != want.ID || !r.Values[1].Equal(want.Values[1]) || !r.Values[4].Equal(want.Values[4]) {
				t.Errorf("repeats %t: %q came as %q, %q, %q", repeats, texts[i], r.RemoteID, r.Values[1].Text, r.Values[4].List)
			}
		}
	}
}
