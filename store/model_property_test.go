package store

import (
	"flag"
	"maps"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"scratchpaper/internal/core"
)

// modelTime is how long the property test of the change model looks for a difference: 15 s, or what MODEL_TIME says ("2h").
func modelTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(orText(os.Getenv("MODEL_TIME"), "15s"))
	if err != nil {
		t.Fatalf("MODEL_TIME: %v", err)
	}
	return d
}

// Whatever people, suggestions, services and publishes do to each other, the store comes to what the model comes to.
func TestTheChangeModelAndPostgresAgree(t *testing.T) {
	s := mustStore(t)
	settings := map[string]string{"rapid.checks": "20000"} // the time is what bounds it
	if os.Getenv("MODEL_TIME") == "" {
		settings = map[string]string{"rapid.checks": "12", "rapid.seed": "20261126"} // the same cases in each run; make model looks for new ones
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	deadline, broken, cases, steps := time.Now().Add(modelTime(t)), atomic.Bool{}, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if !broken.Load() && time.Now().After(deadline) {
			return
		}
		w := newWorld(t, s, rt)
		defer w.close()
		defer func() {
			if rt.Failed() {
				broken.Store(true)
				rt.Logf("what was done:\n%s", strings.Join(w.done, "\n"))
			}
		}()
		rt.Repeat(w.acts(&steps))
		w.undoEverything()
		cases++
	})
	t.Logf("%d cases, %d acts", cases, steps)
}

func (w *world) acts(steps *int) map[string]func(*rapid.T) {
	all := map[string]func(){
		"edit": func() { w.edit(false) }, "edit more": func() { w.edit(false) }, "suggest": func() { w.edit(true) }, "suggest more": func() { w.edit(true) },
		"fill": w.fill, "delete": w.deleteChosen, "undelete": w.undelete, "accept": w.accept, "accept more": w.accept, "reject": w.reject,
		"undo": w.undoNewest, "redo": w.redoNewest, "undo old": w.undoOld, "refresh": w.refresh, "settle": w.settle, "draft": w.draft,
		"publish": w.publish, "publish on": w.publish, "publish further": w.publish, "revert": w.revert,
	}
	out := map[string]func(*rapid.T){}
	for name, act := range all {
		out[name] = func(rt *rapid.T) { w.T = rt; *steps++; act() }
	}
	return out
}

// undoEverything ends the publish and undoes every act, the newest first. Where nothing was in the way of an undo, every
// cell is back at what the service was last seen to hold; what is gone there is left out of this.
func (w *world) undoEverything() {
	for w.running != nil {
		w.send()
	}
	for list := w.firstActs(); len(list) > 0; list = w.firstActs() {
		w.undo(w.ana(), list[0])
	}
	if !w.clean || w.merged {
		return
	}
	for i, t := range w.model.tables {
		for _, r := range t.rows {
			there, known := w.seen[i][r.remote]
			anew := r.state == core.Created && w.model.lastValues(t, r.id) != nil
			if r.alive() && (known || r.remote == "" && !anew) && (len(r.base) > 0 || len(r.theirs) > 0 || !maps.EqualFunc(r.cells, there, same)) {
				w.Fatalf("everything is undone, and record %d of %s is not what was downloaded: %+v", r.id, t.Slug, r)
			}
		}
		if open := modelOpen(t); len(open) > 0 {
			w.Fatalf("everything is undone, and suggestions are open: %v", open)
		}
	}
}

func (w *world) firstActs() []*modelBatch {
	var out []*modelBatch
	for _, b := range w.model.undoable() {
		if b.undoes == nil {
			out = append(out, b)
		}
	}
	return out
}

func (w *world) close() {
	_, err := w.pool.Exec(w.test.Context(), "drop schema "+ident(w.snapshot.Schema)+" cascade")
	w.check(err)
	_, err = w.pool.Exec(w.test.Context(), "delete from jobs where org_id = $1 and snapshot_id = $2", core.LocalOrg, w.snapshot.ID)
	w.check(err)
	_, err = w.pool.Exec(w.test.Context(), "delete from snapshots where org_id = $1 and id = $2", core.LocalOrg, w.snapshot.ID)
	w.check(err)
}
