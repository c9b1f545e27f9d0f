package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/e2e/program"
	"scratchpaper/internal/localdb/testdb"
)

// hosted is a fleet with an account, a service, and a snapshot of its things.
type hosted struct {
	*testing.T
	fleet    *program.Fleet
	database string // the app's own
	ana      *program.Person
	service  *pgxpool.Pool
	snapshot string // its address
	things   string // the table's address
	records  []int64
	jobs     time.Duration // the longest that a job may take
}

// howMany things the service has.
const howMany = 3000

// mustHosted starts two serve and two worker processes at the same moment, on a database that nobody has used, and takes a snapshot.
func mustHosted(t *testing.T) *hosted {
	t.Helper()
	h := mustHostedOf(t, howMany)
	h.mustListRecords()
	return h
}

// mustHostedOf is mustHosted with as many things as are wanted, and more settings.
func mustHostedOf(t *testing.T, things int, env ...string) *hosted {
	t.Helper()
	h := &hosted{T: t, database: testdb.URL(t), jobs: 90*time.Second + time.Duration(things)*time.Millisecond}
	h.fleet = program.MustFleet(t, h.database, 2, 2, append([]string{"SIGN_IN=passwords", "ALLOWED_ADDRESSES=127.0.0.1", "PASSWORD_MEMORY=64", "PASSWORD_ROUNDS=1",
		"DATABASE_CONNECTIONS=8", "LEASE=4s", "STOP_DELAY=400ms"}, env...)...)
	address := testdb.URL(t)
	h.service = testdb.Pool(t, address)
	for _, sql := range []string{`create table things (id int primary key, name text not null, note text not null default '')`,
		fmt.Sprintf(`insert into things select n, 'Thing ' || n from generate_series(1, %d) n`, things)} {
		if _, err := h.service.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	h.fleet.MustStart()
	h.ana = h.fleet.MustSetUp()
	u, err := url.Parse(testdb.TCP(t, address))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	con := h.ana.MustAsk("POST", "/connections", object{"connector": "postgres", "name": "Things", "settings": object{"host": u.Hostname(), "port": u.Port(), "database": strings.TrimPrefix(u.Path, "/"),
		"user": u.User.Username(), "password": password, "sslmode": "disable"}}, 201)
	made := h.ana.MustAsk("POST", "/snapshots", object{"name": "Things", "tables": []object{{"connection": text(con, "id"), "remote_table": "public.things"}}}, 201)
	h.waitFor(text(made, "job", "id"))
	h.snapshot = "/snapshots/" + text(made, "snapshot", "id")
	h.things = h.snapshot + "/tables/" + text(h.ana.MustAsk("GET", h.snapshot+"/tables", nil, 200), "items", 0, "id")
	return h
}

// mustListRecords finds out the ids of the things.
func (h *hosted) mustListRecords() {
	h.Helper()
	for cursor := ""; ; {
		page := h.ana.MustAsk("GET", h.things+"/records?limit=1000"+cursor, nil, 200)
		for _, r := range field(page, "items").([]any) {
			h.records = append(h.records, number(r, "id"))
		}
		next := text(page, "next")
		if next == "" {
			break
		}
		cursor = "&after=" + url.QueryEscape(next)
	}
	if len(h.records) != howMany {
		h.Fatalf("%d records, want %d", len(h.records), howMany)
	}
}

// waitFor waits until a job is done, whoever does it.
func (h *hosted) waitFor(job string) {
	h.Helper()
	for deadline := time.Now().Add(h.jobs); ; time.Sleep(50 * time.Millisecond) { // asks again until it has ended
		status, j, err := h.ana.Ask(h.Context(), "GET", "/jobs/"+job, nil, "")
		state := text(j, "state")
		switch {
		case err == nil && status == 200 && state == "done":
			return
		case state == "failed" || state == "cancelled" || time.Now().After(deadline):
			h.Fatalf("job %s: %v, %v", job, j, err)
		}
	}
}

// edit sets a thing's note as the page's outbox does: it is sent again with its key until it is answered, and wants the answer 200.
func (h *hosted) edit(ctx context.Context, record int64, note, key string) error {
	body := object{"changes": []object{{"op": "set", "record": record, "values": object{"note": note}}}}
	for {
		status, out, err := h.ana.Ask(ctx, "POST", h.things+"/changes", body, key)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status == http.StatusOK:
			return nil
		case err == nil && status != http.StatusConflict && status < 500:
			return fmt.Errorf("an edit answers %d: %v", status, out)
		}
		time.Sleep(100 * time.Millisecond) // as the outbox, which waits longer
	}
}

// TestSeveralProcessesAreOneApp runs two serve and two worker processes behind a proxy without sticky sessions: as people see them they
// are one, also while one is killed or all are replaced.
func TestSeveralProcessesAreOneApp(t *testing.T) {
	t.Parallel()
	h := mustHosted(t)
	for _, p := range h.fleet.All() {
		if strings.Contains(p.Log(), `"level":"ERROR"`) {
			t.Errorf("%s has logged an error at its start:\n%s", p.Name, p.Log())
		}
	}
	t.Run("each worker says how it is", h.workersAreWatched)
	t.Run("who signs in at one is known to the other", h.signInsHoldEverywhere)
	t.Run("an event of one reaches the streams of the other", h.eventsCross)
	t.Run("killed during edits and a publish", h.killedAtWork)
	t.Run("the keys of credentials change", h.keysChange)
	t.Run("replaced one after the other", h.replacedUnderABrowser)
}

func (h *hosted) workersAreWatched(t *testing.T) {
	for _, p := range h.fleet.Workers {
		for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "scratchpaper_jobs"} {
			resp, err := http.Get(p.Address() + path)
			if err != nil {
				t.Fatal(err)
			}
			var body strings.Builder
			_, _ = bufio.NewReader(resp.Body).WriteTo(&body)
			resp.Body.Close()
			if resp.StatusCode != 200 || path != "/metrics" && !strings.Contains(body.String(), want) {
				t.Errorf("%s%s answers %d: %.100s", p.Name, path, resp.StatusCode, body.String())
			}
		}
	}
}

// statusAt asks one process for the account page, with a person's cookies.
func statusAt(t *testing.T, p *program.Process, who *program.Person) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Address()+"/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", who.Cookie())
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (h *hosted) signInsHoldEverywhere(t *testing.T) {
	again := h.fleet.MustSignIn()
	for _, p := range h.fleet.Serves {
		if got := statusAt(t, p, again); got != 200 {
			t.Errorf("%s answers %d to who signed in", p.Name, got)
		}
	}
	resp, err := again.Client.PostForm(again.Base+"/sign-out", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, p := range h.fleet.Serves {
		if got := statusAt(t, p, again); got == 200 {
			t.Errorf("%s lets in who signed out a moment ago", p.Name)
		}
	}
	for n, served := range h.fleet.Proxy.Served() {
		if served == 0 {
			t.Errorf("process %d was asked nothing", n+1)
		}
	}
}

// eventsCross listens at every process and edits at every one.
func (h *hosted) eventsCross(t *testing.T) {
	for _, listens := range h.fleet.Serves {
		heard := make(chan string, 64)
		ctx, stop := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, listens.Address()+"/events?topic=snapshot:"+strings.TrimPrefix(h.snapshot, "/snapshots/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", h.ana.Cookie())
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("the stream of %s answers %v %v", listens.Name, resp, err)
		}
		go func() {
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				heard <- lines.Text()
			}
		}()
		until := func(want string) {
			t.Helper()
			for late := time.After(patience); ; {
				select {
				case line := <-heard:
					if strings.Contains(line, want) {
						return
					}
				case <-late:
					t.Fatalf("%s was not told of %s", listens.Name, want)
				}
			}
		}
		until(`"topics"`)
		for n := range 4 { // in turn at each process
			if err := h.edit(t.Context(), h.records[n], fmt.Sprint(listens.Name, " ", n), fmt.Sprint("cross-", listens.Name, n)); err != nil {
				t.Fatal(err)
			}
			until(fmt.Sprintf(`"rows":[%d]`, h.records[n]))
		}
		stop()
		resp.Body.Close()
	}
}

// killedAtWork kills one serve and one worker with -9 while two people edit and a publish runs; they are started again, as a supervisor
// would. Every acknowledged edit is in the snapshot or at the service.
func (h *hosted) killedAtWork(t *testing.T) {
	var changes []object
	for _, r := range h.records[1000:] {
		changes = append(changes, object{"op": "set", "record": r, "values": object{"name": fmt.Sprintf("Renamed %d", r)}})
	}
	h.ana.MustAsk("POST", h.things+"/changes", object{"changes": changes}, 200)
	plan := h.snapshot + "/plans/" + text(h.ana.MustAsk("POST", h.snapshot+"/plans", object{}, 201), "id")
	acknowledged := map[int64]string{}
	var mu sync.Mutex
	ctx, stop := context.WithCancel(t.Context())
	var people sync.WaitGroup
	for person := range 2 {
		people.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				record, note := h.records[10+person*400+n%400], fmt.Sprintf("Note %d of %d", n, person)
				if err := h.edit(ctx, record, note, fmt.Sprintf("edit-%d-%d", person, n)); err == nil {
					mu.Lock()
					acknowledged[record] = note
					mu.Unlock()
				} else if ctx.Err() == nil {
					t.Error(err)
					return
				} else {
					mu.Lock()
					delete(acknowledged, record) // sent, and nobody knows
					mu.Unlock()
				}
			}
		})
	}
	published := h.ana.MustAsk("POST", plan+"/publish", object{}, 202)
	time.Sleep(150 * time.Millisecond) // somewhere in the middle of it
	h.fleet.Workers[0].Kill()
	h.fleet.Serves[0].Kill()
	time.Sleep(time.Second) // a supervisor's pause
	for _, p := range []*program.Process{h.fleet.Serves[0], h.fleet.Workers[0]} {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	h.waitFor(text(published, "job", "id"))
	stop()
	people.Wait()
	if len(acknowledged) < 20 {
		t.Errorf("only %d records were edited meanwhile", len(acknowledged))
	}
	held := map[int64]string{}
	for cursor := ""; ; {
		page := h.ana.MustAsk("GET", h.things+"/records?limit=1000"+cursor, nil, 200)
		for _, r := range field(page, "items").([]any) {
			held[number(r, "id")] = text(r, "values", "note")
		}
		next := text(page, "next")
		if next == "" {
			break
		}
		cursor = "&after=" + url.QueryEscape(next)
	}
	for record, note := range acknowledged {
		if held[record] != note {
			t.Errorf("record %d holds %q, and %q was acknowledged", record, held[record], note)
		}
	}
	var renamed int
	if err := h.service.QueryRow(t.Context(), `select count(*) from things where name like 'Renamed %'`).Scan(&renamed); err != nil || renamed != len(changes) {
		t.Errorf("%d things were published, %v, want %d", renamed, err, len(changes))
	}
}

// keysChange rotates the keys of credentials while both processes use them, kills the rotation with -9 at each of its first points, and drops
// the old keys.
func (h *hosted) keysChange(t *testing.T) {
	list := field(h.ana.MustAsk("GET", "/connections", nil, 200), "items").([]any)
	connection := "/connections/" + text(list[0], "id")
	uses := func() { // the service is asked with the credentials, by each process in turn
		t.Helper()
		for range h.fleet.Serves {
			h.ana.MustAsk("GET", connection+"/tables", nil, 200)
		}
	}
	killed := func(point string) {
		t.Helper()
		if out, err := h.fleet.Run([]string{"FAULT=" + point}, "keys", "rotate"); err == nil || out != "" {
			t.Fatalf("the rotation was not killed at %s: %s, %v", point, out, err)
		}
		uses()
	}
	run := func(want string, args ...string) string {
		t.Helper()
		out, err := h.fleet.Run(nil, args...)
		if !strings.Contains(out, want) {
			t.Fatalf("%v says %q, %v, want %q", args, out, err, want)
		}
		return out
	}
	killed("keys.made")
	run("brought to its end", "keys", "rotate")
	uses()
	killed("keys.batch:3") // the two columns with the key there is, then the first of them with the new one
	run("", "keys", "rotate")
	run("are encrypted with a new key", "keys", "rotate")
	uses()
	run("stays: another took its place", "keys", "retire")
	control := testdb.Pool(t, h.database)
	if _, err := control.Exec(t.Context(), `update secret_keys set replaced_at = replaced_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	run("is dropped", "keys", "retire")
	uses()
	if out := run("encrypts", "keys", "list"); strings.Contains(out, "reads") {
		t.Errorf("a key is left: %s", out)
	}
	if out, err := h.fleet.Run([]string{"SECRETS_KEY_FILE=" + filepath.Join(t.TempDir(), "other.json")}, "keys", "rotate"); err == nil || !strings.Contains(out, "The key of the credentials is missing") {
		t.Errorf("without the key it says %q, %v", out, err)
	}
	if out, err := h.fleet.Run([]string{"SECRETS_KEY_FILE=", "SECRETS_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}, "keys", "rotate"); err == nil || !strings.Contains(out, "another one than this database's") {
		t.Errorf("with another key it says %q, %v", out, err)
	}
	uses()
}

// replacedUnderABrowser ends every process as an operator would, one after the other, and starts it again, while a person types into the
// grid and goes from page to page.
func (h *hosted) replacedUnderABrowser(t *testing.T) {
	b := mustTab(t, 1440, 900, chromedp.Flag("ignore-certificate-errors", true))
	b.open(h.ana.Base + "/sign-in")
	b.click("#field-email")
	b.keys("ana@example.org")
	b.click("#field-password")
	b.keys(program.Password + kb.Enter)
	b.until("the home page", `location.pathname === '/' && document.querySelector('#account')`)
	b.open(h.ana.Base + h.things)
	b.until("the grid is shown", `document.querySelector('#grid')?.dataset.ready && document.querySelector('`+firstRow+`')`)
	note := b.text(`[...document.querySelectorAll('#grid [role="columnheader"][data-c]')].find(h => h.innerText.trim() === 'note').dataset.c`)
	b.click(firstRow + ` [data-c="` + note + `"]`)

	var replaced atomic.Bool
	done := make(chan error, 1)
	failedBefore := h.fleet.Proxy.Failed()
	go func() {
		defer replaced.Store(true)
		for _, p := range h.fleet.All() {
			p.Stop()
			if err := p.Start(); err != nil {
				done <- err
				return
			}
			time.Sleep(300 * time.Millisecond) // until the proxy has seen that it is ready
		}
		done <- nil
	}()
	pages, typed := 0, 0
	for !replaced.Load() {
		b.keys(fmt.Sprintf("Typed %d", typed) + kb.Enter)
		typed++
		if text := b.text(`document.querySelector('#toasts').innerText`); text != "" {
			t.Fatalf("the page complains: %s", text)
		}
		for _, path := range []string{"/", "/jobs", "/connections"} { // another tab, as it were
			resp, err := h.ana.Client.Get(h.ana.Base + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Fatalf("%s answers %d while the app is replaced", path, resp.StatusCode)
			}
			pages++
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := h.fleet.Proxy.Failed() - failedBefore; n > 0 {
		t.Errorf("%d requests were answered by nobody", n)
	}
	b.keys("The last one" + kb.Enter)
	typed++
	last := fmt.Sprintf(`#grid [role="row"][data-pos="%d"] [data-c="%s"]`, typed-1, note)
	b.until("the last edit is shown", `document.querySelector('`+last+`')?.innerText.includes('The last one')`)
	h.eventuallyHolds(t, typed-1)
	h.fleet.Proxy.RefuseEveryOther(true)
	defer h.fleet.Proxy.RefuseEveryOther(false)
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.End, chromedp.KeyModifiers(kb.ModifierCtrl))); err != nil {
		t.Fatal(err)
	}
	b.until("the last row is shown, though every other answer is a 502", fmt.Sprintf(`document.querySelector('#grid [role="row"][data-pos="%d"]')?.innerText.includes('Renamed')`, howMany-1))
	if words := b.text(`document.querySelector('#toasts').innerText`); words != "" {
		t.Errorf("the page complains: %s", words)
	}
	t.Logf("%d edits and %d pages meanwhile", typed, pages)
}

// eventuallyHolds waits until the row at a position holds what was typed last, at the server.
func (h *hosted) eventuallyHolds(t *testing.T, position int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // asks again until it is there
		page := h.ana.MustAsk("GET", fmt.Sprintf("%s/records?limit=%d", h.things, position+1), nil, 200)
		if text(page, "items", position, "values", "note") == "The last one" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the last edit did not arrive: %v", field(page, "items", position))
		}
	}
}
