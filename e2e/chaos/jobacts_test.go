package chaos

import (
	"fmt"
	"net/http"
	"strings"
)

// command asks for something that may become a job, and gives its answer, or what the job came to as if it were that.
func (w *world) command(c *client, path string, body object) (int, object) {
	status, answer := c.ask(w.ctx, http.MethodPost, path, body)
	if status != http.StatusAccepted {
		return status, answer
	}
	w.report.did("commands as jobs")
	return w.come(c, text(answer, "job", "id"))
}

// commanded is command for what has to succeed.
func (w *world) commanded(path string, body object) {
	if status, answer := w.command(w.api[0], path, body); status != http.StatusOK {
		w.differ("%s answers %d: %v", path, status, answer)
	}
}

// come waits for a job and gives what it came to.
func (w *world) come(c *client, id string) (int, object) {
	j := w.endedAt(c, id, "done", "failed")
	if text(j, "state") == "done" {
		result, _ := j["result"].(object)
		return http.StatusOK, result
	}
	failure, _ := j["error"].(object)
	if text(failure, "code") == "conflict" {
		return http.StatusConflict, object{"detail": failure["message"]}
	}
	return http.StatusInternalServerError, failure
}

// free gives records of a table, in the model, that have no open suggestion.
func (w *world) free(t remoteTable, n int) []*record {
	var out []*record
	list := w.model.of(t.name, "existing", "created")
	w.rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	for _, r := range list {
		if len(out) < n && len(w.model.suggested([]int64{r.id})) == 0 {
			out = append(out, r)
		}
	}
	return out
}

// transformSome finds and replaces in the texts of some records.
func (w *world) transformSome(c *client, t remoteTable) func() []done {
	list := w.free(t, 1+w.rand.IntN(30))
	if len(list) == 0 {
		return func() []done { return nil }
	}
	col := t.columns[0].name // a text in each of them
	find, with := pick(w.rand, []string{"o", "a", "1", "v"}), fmt.Sprintf("(%d)", w.serial)
	w.serial++
	var ids []int64
	var made []suggestion
	for _, r := range list {
		ids = append(ids, r.id)
		if before := r.cells[col]; strings.HasPrefix(before, `"`) && strings.Contains(plain(before), find) {
			made = append(made, suggestion{table: t.name, record: r.id, col: col, before: before, after: canonical(strings.ReplaceAll(plain(before), find, with))})
		}
	}
	return func() []done {
		status, answer := w.command(c, w.table(t.name)+"/transforms", object{"transform": "replace", "columns": []string{col}, "where": object{"records": ids},
			"options": object{"find": find, "replace": with, "match_case": true}})
		return w.suggested(c, "transform", status, answer, made)
	}
}

// importSome brings in a file that changes texts of some records, which are found by their key.
func (w *world) importSome(c *client, t remoteTable) func() []done {
	col := t.columns[0].name
	if len(t.key) > 1 {
		return func() []done { return nil } // one column finds a record
	}
	var made []suggestion
	var file strings.Builder
	fmt.Fprintf(&file, "%s;%s\n", t.key[0], col)
	for _, r := range w.free(t, 1+w.rand.IntN(30)) {
		key := r.cells[t.key[0]]
		if key == "null" {
			continue // it is not at the service yet, and has no id
		}
		s := suggestion{table: t.name, record: r.id, col: col, before: r.cells[col], after: w.value(t.columns[0])}
		if w.rand.IntN(4) == 0 {
			s.after = s.before
		}
		if s.after != s.before {
			made = append(made, s)
		}
		fmt.Fprintf(&file, "%s;\"%s\"\n", plain(key), strings.ReplaceAll(plain(s.after), `"`, `""`))
	}
	if len(made) == 0 {
		return func() []done { return nil }
	}
	return func() []done {
		status, answer := c.upload(w.ctx, w.table(t.name)+"/imports", file.String(), "key", t.key[0], "delimiter", ";", "header", "true", "create", "false")
		if status == http.StatusAccepted {
			status, answer = w.come(c, text(answer, "job", "id"))
		}
		return w.suggested(c, "import", status, answer, made)
	}
}

func (w *world) suggested(c *client, what string, status int, answer object, made []suggestion) []done {
	if status != http.StatusOK {
		c.note("the %s answers %d: %v", what, status, answer)
		return nil
	}
	w.report.did(what + "s")
	if n := number(answer, "cells"); n != int64(len(made)) {
		c.note("the %s suggests %d cells, want %d: %v", what, n, len(made), answer)
	}
	if len(made) == 0 {
		return nil
	}
	return []done{{batchOf(answer), fmt.Sprint(what, " ", made), func() {
		w.model.propose(made)
		w.model.acts = append(w.model.acts, &act{batch: text(answer, "batch"), table: made[0].table, made: made})
	}}}
}

// takeFile imports a file into a snapshot of its own, whatever happens meanwhile, and compares what is in it.
func (w *world) takeFile() {
	var file strings.Builder
	file.WriteString("name,n\n")
	n := 200 + w.rand.IntN(3000)
	for i := range n {
		fmt.Fprintf(&file, "%s row %d,%d\n", w.round, i, i)
	}
	_, made := w.api[0].upload(w.ctx, "/imports", file.String(), "name", "File "+w.round)
	w.ended(text(made, "job", "id"), "done")
	snapshot := "/snapshots/" + text(made, "snapshot", "id")
	tables := items(w.api[0].must(w.ctx, http.MethodGet, snapshot+"/tables", nil))
	if len(tables) != 1 {
		w.differ("the imported file has %d tables: %v", len(tables), made)
		return
	}
	at, seen := 0, ""
	for _, r := range w.api[0].records(w.ctx, snapshot+"/tables/"+text(tables[0], "id"), "") {
		if got, want := text(r, "values", "name"), fmt.Sprintf("%s row %d", w.round, at); got != want && seen == "" {
			seen = fmt.Sprintf("record %d of the file is %q, want %q", at, got, want)
		}
		at++
	}
	if at != n || seen != "" {
		w.differ("the file of %d records gave %d: %s", n, at, seen)
	}
	w.report.compared("records of a file", at)
	w.report.did("files imported")
	// Asked again because its answer was lost, it is not here any more.
	if status, answer := w.api[0].ask(w.ctx, http.MethodDelete, snapshot, nil); status != http.StatusNoContent && status != http.StatusOK && status != http.StatusNotFound {
		w.differ("the snapshot of the file is not deleted: %d %v", status, answer)
	}
}
