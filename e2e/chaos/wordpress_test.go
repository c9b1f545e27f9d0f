package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scratchpaper/connectors/misbehave"
	"scratchpaper/connectors/wordpress/wordpresstest"
)

// pressPosts is how many posts a site begins with; a round takes the longer the more there are.
const pressPosts = 30

// press is an app, a WordPress site behind a proxy that misbehaves, and a snapshot of its posts.
type press struct {
	ctx      context.Context
	house    *house
	api      *client
	site     *wordpresstest.Site
	proxy    *misbehave.Proxy
	con      string
	snapshot string
	table    string
	rand     *rand.Rand
	report   *report
	round    string
	faulted  []string
	serial   int
}

// TestChaosOnWordPress publishes to a real WordPress and downloads from it while the app is killed and the way between them misbehaves, and
// compares WordPress' own rows: nothing twice, nothing lost, everything unknown settled or shown. One round, or CHAOS_ROUNDS or CHAOS_TIME of
// them with CHAOS_SERVICE=wordpress; CHAOS_SEED repeats a run.
func TestChaosOnWordPress(t *testing.T) {
	rounds, limit := 1, time.Duration(0)
	if os.Getenv("CHAOS_SERVICE") == "wordpress" {
		rounds, _ = strconv.Atoi(os.Getenv("CHAOS_ROUNDS"))
		limit, _ = time.ParseDuration(os.Getenv("CHAOS_TIME"))
	} else if os.Getenv("CHAOS_ROUNDS")+os.Getenv("CHAOS_TIME") != "" {
		t.Skip("another service is asked for")
	}
	seed := uint64(20261126)
	if rounds != 1 {
		seed = uint64(time.Now().UnixNano())
	}
	if v, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64); err == nil {
		seed = v
	}
	rep := newReport()
	t.Cleanup(func() {
		fmt.Printf("chaos on WordPress, seed %d\n%s", seed, rep)
		if rep.count() > 0 {
			t.Fail()
		}
	})
	p := newPress(t, seed, rep)
	p.download()
	for n, began := 1, time.Now(); rep.count() == 0; n++ {
		if rounds > 0 && n > rounds || rounds == 0 && time.Since(began) > max(limit, time.Second) {
			break
		}
		p.round, p.faulted = fmt.Sprint(n), nil
		start := time.Now()
		if n%20 == 0 {
			p.download() // of a new snapshot
		}
		p.play()
		p.told()
		rep.endRound(0)
		if os.Getenv("CHAOS_VERBOSE") != "" {
			fmt.Printf("round %d in %s, %d differences: %s\n", n, time.Since(start).Round(10*time.Millisecond), rep.count(), strings.Join(p.faulted, "; "))
		}
	}
	if rep.count() > 0 {
		t.Logf("faults of the round: %v\n%s", p.faulted, p.house.logs())
	}
}

func newPress(t *testing.T, seed uint64, rep *report) *press {
	t.Helper()
	p := &press{ctx: t.Context(), site: wordpresstest.New(t), rand: rand.New(rand.NewPCG(seed, seed)), report: rep}
	p.proxy = misbehave.Start(t, p.site.Server(), p.site.Password)
	var posts []map[string]any
	for i := range pressPosts {
		posts = append(posts, map[string]any{"post_title": fmt.Sprint("Post ", i), "post_content": "<p>x</p>", "post_status": "publish"})
	}
	p.site.Insert(t, posts...)
	p.house = mustHouse(t, false, 50_000)
	p.api = &client{house: p.house, prefix: fmt.Sprint("press", seed)}
	settings := object{"site": strings.Replace(p.site.URL, p.site.Server(), p.proxy.URL, 1), "user": p.site.User, "password": p.site.Password}
	p.con = text(p.api.must(p.ctx, http.MethodPost, "/connections", object{"connector": "wordpress", "name": "Blog", "settings": settings}), "id")
	t.Cleanup(func() { p.proxy.Behave() })
	return p
}

func (p *press) differ(format string, args ...any) {
	p.report.differ(p.round, fmt.Sprintf(format, args...))
}

// told gathers what the client and the process found odd.
func (p *press) told() {
	p.api.mu.Lock()
	for _, o := range p.api.odd {
		p.differ("%s", o)
	}
	p.api.odd = nil
	p.api.mu.Unlock()
	for _, l := range p.house.failures() {
		p.differ("%s", l)
	}
}

// pressPoints are the points that a publish to a service of this kind comes to.
var pressPoints = append(slices.Clone(publishPoints), "publish.created.commit", "publish.created.committed", "publish.created")

// under runs fn while the proxy misbehaves, the app is killed, or both, and puts things right.
func (p *press) under(points []string, fn func()) {
	heal := none
	if p.rand.IntN(4) > 0 {
		f := p.fault()
		p.proxy.Do(f)
		when := map[bool]string{true: " after the service acted", false: ""}[f.After]
		p.noted("proxy: " + string(f.Act) + when)
	}
	switch p.rand.IntN(4) {
	case 0:
		at := fmt.Sprintf("%s:%d", pick(p.rand, points), 1+p.rand.IntN(2))
		p.noted("killed at a point")
		p.faulted = append(p.faulted, at)
		p.house.procs[0].startAnew(at)
	case 1:
		p.noted("killed at a random time")
		heal = later(time.Duration(p.rand.IntN(2500))*time.Millisecond, func() { p.house.procs[0].signal(syscall.SIGKILL) })
	}
	fn()
	heal()
	p.proxy.Behave()
	p.proxy.Settle()
}

func (p *press) noted(name string) {
	p.report.fault(name)
	p.faulted = append(p.faulted, name)
}

// fault is one way in which the way to the site misbehaves, to some request or to the writes only.
func (p *press) fault() misbehave.Fault {
	f := misbehave.Fault{Act: pick(p.rand, []misbehave.Act{misbehave.Cut, misbehave.Cut, misbehave.Cut, misbehave.ServerError, misbehave.BadGateway, misbehave.PageInstead,
		misbehave.Truncate, misbehave.TooMany, misbehave.Hold, misbehave.Notices}), Nth: 1 + p.rand.IntN(3), Times: 1 + p.rand.IntN(2), After: p.rand.IntN(2) == 0}
	if p.rand.IntN(2) == 0 {
		f.When = misbehave.Writing
	}
	switch f.Act {
	case misbehave.TooMany, misbehave.Hold:
		f.Wait = time.Second
	case misbehave.Truncate, misbehave.Notices:
		f.After = false
	}
	return f
}

// download takes a snapshot of the posts, whatever happens meanwhile.
func (p *press) download() {
	p.under(takePoints, func() {
		for range 5 { // the list of tables is asked for while the page waits: the proxy may have refused it
			status, made := p.api.ask(p.ctx, http.MethodPost, "/snapshots", object{"name": "Round " + p.round, "tables": []object{{"connection": p.con, "remote_table": "type/post"}}})
			if status == http.StatusCreated {
				p.snapshot = "/snapshots/" + text(made, "snapshot", "id")
				p.table = p.snapshot + "/tables/" + text(made, "snapshot", "tables", 0, "id")
				p.ended(text(made, "job", "id"))
				return
			}
		}
		p.differ("no snapshot can be taken")
	})
	p.refreshed()
}

// ended waits until a job has ended.
func (p *press) ended(id string) object {
	for deadline := time.Now().Add(patience); ; {
		j := p.api.must(p.ctx, http.MethodGet, "/jobs/"+id, nil)
		if s := text(j, "state"); s == "done" || s == "failed" || s == "cancelled" {
			return j
		}
		if time.Now().After(deadline) {
			p.differ("the job %s is stuck: %v", id, j)
			return j
		}
		time.Sleep(50 * time.Millisecond) // asks again until it has ended
	}
}

// refreshed refreshes until that succeeds, and compares every record with WordPress' own rows.
func (p *press) refreshed() {
	state := ""
	for range 6 {
		if state = text(p.ended(text(p.api.must(p.ctx, http.MethodPost, p.snapshot+"/refresh", object{}), "job", "id")), "state"); state == "done" {
			break
		}
	}
	if state != "done" {
		p.differ("the refresh is %s though nothing misbehaves", state)
		return
	}
	there, here := p.rows(), p.records()
	for id, title := range there {
		if here[id].title != title {
			p.differ("after the refresh the post %s is %q here, %q at the site", id, here[id].title, title)
		}
	}
	if len(here) != len(there) {
		p.differ("after the refresh %d posts are here, %d at the site", len(here), len(there))
	}
	p.report.compared("records after a refresh", len(there))
}

// pressRecord is a record as the app shows it.
type pressRecord struct {
	record int64
	title  string
}

// records gives the records of the snapshot by the number of their post.
func (p *press) records() map[string]pressRecord {
	out := map[string]pressRecord{}
	for _, it := range items(p.api.must(p.ctx, http.MethodGet, p.table+"/records?limit=1000", nil)) {
		if remote := text(it, "remote_id"); remote != "" {
			out[remote] = pressRecord{number(it, "id"), text(it, "values", "title")}
		}
	}
	return out
}

// rows gives the titles of the posts outside the trash, as WordPress' database holds them, by number.
func (p *press) rows() map[string]string {
	out := map[string]string{}
	for _, line := range p.site.SQL(p.house.t, "select id, post_title from wp_posts where post_type = 'post' and post_status not in ('trash', 'auto-draft')") {
		id, title, _ := strings.Cut(line, "\t")
		out[id] = title
	}
	return out
}

// pressWish is what a round wants of a record.
type pressWish struct {
	op, remote, title string
}

// wishes are some updates, creates and deletes, each with a title that is like no other.
func (p *press) wishes(here map[string]pressRecord) (wishes []pressWish, changes []object) {
	ids := slices.Sorted(maps.Keys(here))
	p.rand.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	title := func() string { p.serial++; return fmt.Sprintf("Round %s, %d", p.round, p.serial) }
	for _, id := range ids[:1+p.rand.IntN(5)] {
		w := pressWish{"update", id, title()}
		wishes = append(wishes, w)
		changes = append(changes, object{"op": "set", "record": here[id].record, "values": object{"title": w.title}})
	}
	for range 1 + p.rand.IntN(4) {
		w := pressWish{"create", "", title()}
		wishes = append(wishes, w)
		changes = append(changes, object{"op": "create", "values": object{"title": w.title, "status": pick(p.rand, []string{"publish", "draft"})}})
	}
	if len(ids) > pressPosts {
		for _, id := range ids[len(ids)-2:] {
			wishes = append(wishes, pressWish{"delete", id, here[id].title})
			changes = append(changes, object{"op": "delete", "record": here[id].record})
		}
	}
	return wishes, changes
}

// play is one round: changes, a publish under faults, settled, compared; then a refresh under faults, compared.
func (p *press) play() {
	before, here := p.rows(), p.records()
	wishes, changes := p.wishes(here)
	answer := p.api.must(p.ctx, http.MethodPost, p.table+"/changes", object{"changes": changes})
	if refused, _ := field(answer, "refused").([]any); len(refused) > 0 {
		p.differ("changes are refused: %v", refused)
		return
	}
	plan := p.snapshot + "/plans/" + text(p.api.must(p.ctx, http.MethodPost, p.snapshot+"/plans", object{}), "id")
	p.under(pressPoints, func() {
		status, answer := p.api.ask(p.ctx, http.MethodPost, plan+"/publish", object{"deletes": true})
		if status != http.StatusAccepted {
			p.differ("the publish answers %d: %v", status, answer)
			return
		}
		p.ended(text(answer, "job", "id"))
	})
	p.compare(before, wishes, p.settled(plan))
	p.under(refreshPoints, func() {
		p.ended(text(p.api.must(p.ctx, http.MethodPost, p.snapshot+"/refresh", object{}), "job", "id"))
	})
	p.refreshed()
}

// settled retries a plan until everything of it is published, and gives its items by title, of deletes by number.
func (p *press) settled(plan string) map[string]object {
	for try := 0; ; try++ {
		out, open := map[string]object{}, 0
		for _, raw := range items(p.api.must(p.ctx, http.MethodGet, plan+"/items?limit=1000", nil)) {
			it := raw.(object)
			key := text(it, "fields", "title", "value")
			if text(it, "op") == "delete" {
				key = text(it, "remote_id")
			}
			out[key] = it
			if text(it, "state") != "published" {
				open++
			}
		}
		if open == 0 || try == 6 {
			return out
		}
		p.report.did("retries of a plan")
		status, answer := p.api.ask(p.ctx, http.MethodPost, plan+"/retry", object{})
		if status != http.StatusAccepted {
			return out
		}
		p.ended(text(answer, "job", "id"))
	}
}

// compare holds WordPress' rows against what the items of the plan say.
func (p *press) compare(before map[string]string, wishes []pressWish, got map[string]object) {
	after := p.rows()
	want := maps.Clone(before)
	created := map[string]bool{}
	for _, w := range wishes {
		key := w.title
		if w.op == "delete" {
			key = w.remote
		}
		it := got[key]
		state := text(it, "state")
		p.report.did("items " + state)
		p.report.compared("wishes", 1)
		switch {
		case state != "published" && state != "unknown":
			p.differ("the %s of %q is %s: %v", w.op, w.title, state, it["reason"])
		case state == "unknown": // it is shown, and a person settles it
			delete(want, w.remote)
			delete(after, w.remote)
		case w.op == "update":
			want[w.remote] = w.title
		case w.op == "delete":
			delete(want, w.remote)
		default:
			created[w.title] = true
		}
	}
	times := map[string]int{}
	for id, title := range after {
		if _, old := before[id]; !old {
			times[title]++
			delete(after, id)
		}
	}
	for title := range created {
		if times[title] != 1 {
			p.differ("the post %q is there %d times", title, times[title])
		}
		delete(times, title)
	}
	if len(times) > 0 {
		p.differ("posts that nobody knows of are there: %v", times)
	}
	for id, title := range want {
		if after[id] != title {
			p.differ("the post %s is %q at the site, want %q", id, after[id], title)
		}
	}
	if len(after) != len(want) {
		p.differ("%d of the posts are at the site, want %d", len(after), len(want))
	}
	if left := p.site.SQL(p.house.t, "select id, post_name from wp_posts where post_name like 'scratchpaper-%'"); len(left) > 0 {
		p.differ("unfinished drafts are left: %v", left)
	}
	p.report.compared("rows of the site", len(want)+len(created))
}
