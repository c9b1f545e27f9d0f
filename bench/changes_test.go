package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// replaced is the result of the replacement that all later benchmarks begin with.
const find, with = "Item number", "Article no."

// Benchmark06Replace makes a suggestion for every row by find and replace. Bare: inserting the same by SQL.
func Benchmark06Replace(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	var res object
	took, memory := w.app.watched(func() {
		res = w.app.command(b, w.large.api("/transforms"), object{"transform": "replace", "columns": []string{"title"}, "where": object{"filter": "true"},
			"options": object{"find": find, "replace": with, "match_case": true}})
	})
	w.all(b, res)
	title := "r." + w.large.cols["title"]
	target := w.copyOf(b, "suggested", w.large.data("_suggestions"), false)
	bare := w.bare(b, fmt.Sprintf(`insert into %s (table_id, batch, row, col, before, after, reason, kind, edit)
		select '%s', 3, r._id, %d, to_jsonb(%s), to_jsonb(replace(%[4]s, '%s', '%s')), '', 'text', md5('%[5]s')
		from %[7]s r where r._state in (0, 1) and %[4]s like '%%%[5]s%%'`, target, w.large.id, w.large.number["title"], title, find, with, w.large.data()))
	w.drop(b, target)
	w.settle(b)
	compared(b, "a suggestion for every row by find and replace", took, bare, 2, memory-w.idle, "bare: inserting them by SQL")
}

// all fails unless a command was about every row.
func (w *world) all(b *testing.B, res object) {
	b.Helper()
	if n := number(res, "cells"); n != int64(rows()) {
		b.Fatalf("%d cells were changed, want %d: %v", n, rows(), res)
	}
}

// Benchmark07AcceptAndUndo accepts all of them, undoes it and redoes it. Bare: the INSERT, UPDATE and DELETE of the same rows and columns, on
// copies in the same state.
func Benchmark07AcceptAndUndo(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	data, sugg, changes := w.copyOf(b, "data", w.large.data(), true), w.copyOf(b, "sugg", w.large.data("_suggestions"), true), w.copyOf(b, "changes", w.large.data("_changes"), true)
	n, title := w.large.number["title"], w.large.cols["title"]
	accepting := func(batch int) time.Duration {
		return w.bare(b,
			fmt.Sprintf(`insert into %s (batch, row, col, before, after, base_after, source, reason, kind, edit) select %d, row, col, before, after, before, batch, reason, kind, edit from %s`, changes, batch, sugg),
			fmt.Sprintf(`update %s r set %s = ch.after #>> '{}', _base = jsonb_build_object('%d', ch.base_after) from %s ch where ch.batch = %d and ch.row = r._id`, data, title, n, changes, batch),
			"delete from "+sugg)
	}
	settled := func() {
		for _, t := range []string{data, sugg, changes} {
			must(b, w.own, "vacuum (analyze) "+t)
		}
		must(b, w.own, "checkpoint")
	}
	accept := accepting(1000004)
	settled()
	undo := w.bare(b,
		fmt.Sprintf(`insert into %s (batch, row, col, before, after, base_before) select 1000005, row, col, after, before, base_after from %[1]s where batch = 1000004`, changes),
		fmt.Sprintf(`update %s r set %s = ch.after #>> '{}', _base = null from %s ch where ch.batch = 1000005 and ch.row = r._id`, data, title, changes),
		fmt.Sprintf(`insert into %s (table_id, batch, row, col, before, after, reason, kind, edit) select '%s', source, row, col, before, after, reason, kind, edit from %s where batch = 1000004`,
			sugg, w.large.id, changes))
	settled()
	redo := accepting(1000006)
	w.drop(b, data, sugg, changes)
	w.settle(b)
	var res object
	took, memory := w.app.watched(func() {
		res = w.app.command(b, w.large.api("/suggestions/accept"), object{"where": object{"filter": "true"}})
	})
	w.all(b, res)
	w.settle(b)
	compared(b, "accept all of them", took, accept, 1.5, memory-w.idle, "bare: the UPDATE, INSERT and DELETE")
	took, memory = w.app.watched(func() { res = w.app.command(b, w.snapshot+"/batches/"+text(res, "batch")+"/undo", nil) })
	w.all(b, res)
	w.settle(b)
	compared(b, "undo it", took, undo, 1.5, memory-w.idle, "")
	took, memory = w.app.watched(func() { w.all(b, w.app.command(b, w.snapshot+"/batches/"+text(res, "batch")+"/redo", nil)) })
	w.settle(b)
	compared(b, "redo it", took, redo, 1.5, memory-w.idle, "bare: accepting them once more")
}

// Benchmark08Plan freezes a change of every row. Bare: the INSERT … SELECT.
func Benchmark08Plan(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	var p object
	took, memory := w.app.watched(func() { p = w.app.call(b, "POST", w.snapshot+"/plans", object{}) })
	if n := number(p, "counts", "updates"); n != int64(rows()) {
		b.Fatalf("%d updates are planned: %v", n, p)
	}
	target := w.copyOf(b, "items", w.large.data("_publish_items"), false)
	n, title := w.large.number["title"], w.large.cols["title"]
	bare := w.bare(b, fmt.Sprintf(`insert into %s (plan, table_id, record, remote_id, op, state, fields, version, title, token)
		select 'pln_bench', '%s', r._id, r._remote_id, 'update', 'planned', jsonb_build_object('%d', jsonb_build_array(r._base -> '%[3]d', to_jsonb(r.%s))),
			r._remote_version, left(r.%[4]s, 120), 'pln_bench-' || r._id from %s r where r._state = 0 and r._base is not null`, target, w.large.id, n, title, w.large.data()))
	w.drop(b, target)
	w.settle(b)
	compared(b, "plan of a change of every row", took, bare, 2, memory-w.idle, "bare: the INSERT … SELECT")
}

// Benchmark09Refresh refreshes when nothing has changed at the service. Bare: reading key and version there.
func Benchmark09Refresh(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	bare := time.Hour
	for range 3 {
		began := time.Now()
		w.read(b, w.source, "select id::text, xmin::text from items order by id")
		bare = min(bare, time.Since(began))
	}
	took, memory := w.app.watched(func() { w.app.command(b, w.snapshot+"/refresh", object{}) })
	compared(b, "refresh when nothing changed", took, bare, 1.5, memory-w.idle, "bare: reading key and version of the source")
}

// Benchmark10Export streams the table as CSV, and a view of it. Bare: COPY of the same records in the same order.
func Benchmark10Export(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	price, title, stock := "r."+w.large.cols["price"], "r."+w.large.cols["title"], "r."+w.large.cols["stock"]
	for _, e := range []struct{ name, query, where, order string }{
		{"export as CSV", "format=csv", "true", "r._id"},
		{"export as CSV, sorted and filtered", "format=csv&" + view, stock + " > 9", price + " desc nulls last, " + title + " collate natural_sort nulls last, r._id"},
	} {
		bare := time.Hour
		for range 3 {
			began := time.Now()
			if _, err := w.own.PgConn().CopyTo(b.Context(), io.Discard, "copy (select "+strings.Join(w.physical(), ", ")+" from "+w.large.data()+
				" r where _state in (0, 1) and "+e.where+" order by "+e.order+") to stdout (format csv, header)"); err != nil {
				b.Fatal(err)
			}
			bare = min(bare, time.Since(began))
		}
		took, memory := w.app.watched(func() {
			res, err := http.Get(w.app.url + w.large.api("/export?"+e.query))
			if err != nil || res.StatusCode != http.StatusOK {
				b.Fatalf("export: %v %v", res, err)
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Fatal(err)
			}
		})
		compared(b, e.name, took, bare, 1.5, memory-w.idle, "bare: COPY out of the same")
	}
}

// Benchmark11Step walks from suggestion to suggestion while a suggestion for every row is open.
func Benchmark11Step(b *testing.B) {
	w := mustWorld(b)
	w.downloaded(b)
	w.app.command(b, w.large.api("/transforms"), object{"transform": "replace", "columns": []string{"vendor"}, "where": object{"filter": "true"},
		"options": object{"find": "Vendor", "replace": "Maker", "match_case": true}})
	w.settle(b)
	for _, v := range []struct{ name, query string }{{"unfiltered", ""}, {"sorted and filtered", view}} {
		order, n := w.order(b, w.large, v.query)
		worst := time.Duration(0)
		_, memory := w.app.watched(func() {
			for i := range 50 {
				began := time.Now()
				w.app.send(b, "GET", fmt.Sprintf("%s?order=%s&pos=%d&col=%d&dir=1", w.large.page("/suggestions/next"), order, int64(i)*n/51, w.large.number["note"]), "", nil)
				worst = max(worst, time.Since(began))
			}
		})
		measured(b, "next suggestion of one in every row, "+v.name+", the slowest of 50", float64(worst.Milliseconds()), 100, "ms", memory-w.idle, "")
	}
	w.app.command(b, w.large.api("/suggestions/reject"), object{"where": object{"filter": "true"}})
}

// Benchmark12Idle starts the app on a database of its own that is initialised already.
func Benchmark12Idle(b *testing.B) {
	dir := filepath.Join(scratch, "first")
	a, err := startApp(dir)
	if err != nil {
		b.Fatal(err)
	}
	a.stop()
	began := time.Now()
	if a, err = startApp(dir); err != nil {
		b.Fatal(err)
	}
	defer a.stop()
	a.send(b, "GET", "/", "", nil)
	measured(b, "start to first page, once initialised", time.Since(began).Seconds(), 1, "s", 0, "")
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	<-ctx.Done() // it has come to rest
	measured(b, "idle memory of the app without its Postgres", a.memory(), 60, "MB", 0, "")
}
