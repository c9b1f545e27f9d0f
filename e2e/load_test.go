package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// times are how long things took.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *times) add(d time.Duration) {
	l.mu.Lock()
	l.all = append(l.all, d)
	l.mu.Unlock()
}

// quantiles says in words how long it took: half of them, 95 and 99 of a hundred, the longest.
func (l *times) quantiles() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return "none"
	}
	slices.Sort(l.all)
	at := func(q float64) time.Duration {
		return l.all[min(len(l.all)-1, int(q*float64(len(l.all))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d: 50 %% within %v, 95 %% %v, 99 %% %v, all %v", len(l.all), at(.5), at(.95), at(.99), at(1))
}

// loadReport is what the people have seen.
type loadReport struct {
	windows                        times
	edits                          times // whose process lived and whose table was in no bulk work
	others                         times
	again, resent, reopened, hints atomic.Int64
	mu                             sync.Mutex
	held                           []acknowledged
	errors                         []string
	bulk                           [][2]time.Time
}

// acknowledged is an edit that the server said it has.
type acknowledged struct {
	loadEdit
	batch        int64
	began, ended time.Time
	first        bool // the first try was answered
}

func (r *loadReport) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *loadReport) acknowledged(e loadEdit, batch int64, began, ended time.Time, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, acknowledged{e, batch, began, ended, first})
}

// sort parts the edits: those that count are those that were answered at once while the table was in no bulk work.
func (r *loadReport) sort() {
	for _, a := range r.held {
		inBulk := slices.ContainsFunc(r.bulk, func(b [2]time.Time) bool { return a.ended.After(b[0]) && a.began.Before(b[1]) })
		if a.first && !inBulk {
			r.edits.add(a.ended.Sub(a.began))
		} else {
			r.others.add(a.ended.Sub(a.began))
		}
	}
}

// fromEnv is a number or a time of the environment, for a long run.
func fromEnv[T any](name string, parse func(string) (T, error), otherwise T) T {
	if v, err := parse(os.Getenv(name)); err == nil {
		return v
	}
	return otherwise
}

// TestNothingIsLostUnderLoad lets people edit and scroll one snapshot at two serve and two worker processes behind a proxy, and kills one of
// each with -9 over and over. Every acknowledged edit is there at the end, and nobody who asks again as the page does sees an error. make
// load is the long run: LOAD_PEOPLE, LOAD_TIME, LOAD_ROWS, LOAD_KILL (the time between two kills),
// LOAD_PACE (how many times as long everything takes that people do).
func TestNothingIsLostUnderLoad(t *testing.T) {
	long := os.Getenv("LOAD_PEOPLE") != ""
	if !long {
		t.Parallel()
	}
	people, rows := fromEnv("LOAD_PEOPLE", strconv.Atoi, 6), fromEnv("LOAD_ROWS", strconv.Atoi, 2000)
	lasts, every := fromEnv("LOAD_TIME", time.ParseDuration, 4*time.Second), fromEnv("LOAD_KILL", time.ParseDuration, time.Second)
	slow := 0.1
	if long {
		slow = fromEnv("LOAD_PACE", func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }, 1)
	}
	// A large change is one of a tenth of the records; the long run leaves the program's own limit.
	h := mustHostedOf(t, rows, "REQUESTS_PER_ADDRESS=0", "DATABASE_CONNECTIONS=16", fmt.Sprintf("BULK_CELLS=%d", min(rows/20, 50_000)))
	l := &load{hosted: h, report: &loadReport{}}
	l.mustOpen(people, rows, slow)
	began, busy, own, before := time.Now(), machineBusy(), ownTime(), loadAverage()

	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var work sync.WaitGroup
	for _, p := range l.people {
		work.Go(func() { p.works(ctx) })
	}
	var kills int
	work.Go(func() { kills = l.kills(ctx, every) })
	work.Go(func() { l.changesMany(ctx, lasts, rows) })
	work.Wait()

	took := time.Since(began)
	r := l.report
	r.sort()
	t.Logf("%d people for %v at %d records; %d times a serve and a worker were killed; load of the machine %s before, %s after", people, took.Round(time.Second), rows, kills, before, loadAverage())
	t.Logf("edits acknowledged: %d, %.1f a second; sent again %d times", len(r.held), float64(len(r.held))/took.Seconds(), r.resent.Load())
	t.Logf("edits whose process lived, with no bulk work: %s", r.edits.quantiles())
	t.Logf("the other edits: %s", r.others.quantiles())
	t.Logf("windows: %s; asked again %d times; streams opened again %d times; %d hints", r.windows.quantiles(), r.again.Load(), r.reopened.Load(), r.hints.Load())
	cores := float64(runtime.NumCPU()) * took.Seconds()
	t.Logf("of %d cores: people and proxy took %.0f %%, everything on the machine %.0f %%", runtime.NumCPU(), 100*(ownTime()-own).Seconds()/cores, 100*(machineBusy()-busy).Seconds()/cores)
	for _, words := range r.errors[:min(10, len(r.errors))] {
		t.Errorf("a person saw an error: %s", words)
	}
	if len(r.held) < people || kills == 0 && every < lasts {
		t.Errorf("%d edits and %d kills say nothing", len(r.held), kills)
	}
	l.mustHold()
}

// load is a run.
type load struct {
	*hosted
	report        *loadReport
	people        []*typist
	table, column string // where in Postgres what they edit lies
}

// mustOpen lets everybody sign in.
func (l *load) mustOpen(people, rows int, slow float64) {
	l.Helper()
	column := l.mustFindColumn()
	for n := range people {
		l.people = append(l.people, &typist{Person: l.fleet.MustJoin(l.ana, n, "editor"), n: n, grid: l.things, here: l.snapshot + "/here",
			topics: "topic=snapshot:" + strings.TrimPrefix(l.snapshot, "/snapshots/") + "&topic=org-jobs", column: column, slow: slow,
			random: rand.New(&chance{source: rand.NewPCG(1, uint64(n))}), outbox: make(chan loadEdit, 1000), report: l.report, rows: int64(rows)})
	}
}

// mustFindColumn gives the number of the column that people edit, and keeps where it lies.
func (l *load) mustFindColumn() (number int) {
	l.Helper()
	conn, err := pgx.Connect(l.Context(), l.database)
	if err != nil {
		l.Fatal(err)
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(l.Context(), `select c.number, c.physical, t.physical from columns c join tables t on t.id = c.table_id where t.id = $1 and c.slug = 'note'`,
		strings.TrimPrefix(l.things, l.snapshot+"/tables/")).Scan(&number, &l.column, &l.table)
	if err != nil {
		l.Fatal(err)
	}
	return number
}

// kills ends one serve and one worker with -9, in turn, and starts them again a moment later as a supervisor does.
func (l *load) kills(ctx context.Context, every time.Duration) (n int) {
	for {
		select {
		case <-ctx.Done():
			return n
		case <-time.After(every):
		}
		s, w := l.fleet.Serves[n%2], l.fleet.Workers[n%2]
		s.Kill()
		w.Kill()
		n++
		time.Sleep(every / 20) // a killed process stays away for a while, as on a machine that restarts it
		for _, err := range []error{s.Start(), w.Start()} {
			if err != nil {
				l.Error(err)
				return n
			}
		}
	}
}

// changesMany fills a column of a tenth of the records in the middle of the run, which is a job of the workers.
func (l *load) changesMany(ctx context.Context, lasts time.Duration, rows int) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(lasts / 2):
	}
	began := time.Now()
	defer func() {
		l.report.mu.Lock()
		l.report.bulk = append(l.report.bulk, [2]time.Time{began, time.Now()})
		l.report.mu.Unlock()
	}()
	body := object{"op": "set", "where": object{"filter": fmt.Sprintf("id <= %d", rows/10)}, "values": object{"name": "Many at once"}}
	for {
		status, out, err := l.ana.Ask(context.Background(), "POST", l.things+"/changes", body, "load-many")
		switch {
		case err == nil && status == 202:
			l.waitFor(text(out, "job", "id"))
			return
		case err == nil && !gone(status) && status != 409:
			l.Errorf("the large change is answered %d: %v", status, out)
			return
		}
		time.Sleep(200 * time.Millisecond) // as the page: until somebody answers
	}
}

// mustHold looks in Postgres for every acknowledged edit: in the history, and in the record whose last edit it is.
func (l *load) mustHold() {
	l.Helper()
	conn, err := pgx.Connect(l.Context(), l.database)
	if err != nil {
		l.Fatal(err)
	}
	defer conn.Close(context.Background())
	schema := strings.TrimPrefix(l.snapshot, "/snapshots/")
	rows, err := conn.Query(l.Context(), `select batch, row, after #>> '{}' from `+pgx.Identifier{schema, "_changes"}.Sanitize()+` where col = $1 order by batch`, l.people[0].column)
	if err != nil {
		l.Fatal(err)
	}
	history, last := map[string]int{}, map[int64]string{}
	var batch, row int64
	var after *string
	_, err = pgx.ForEachRow(rows, []any{&batch, &row, &after}, func() error {
		if after != nil {
			history[fmt.Sprint(batch, " ", row, " ", *after)]++
			last[row] = *after
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	lost := 0
	for _, a := range l.report.held {
		if n := history[fmt.Sprint(a.batch, " ", a.record, " ", a.text)]; n != 1 {
			if lost++; lost <= 5 {
				l.Errorf("%q in record %d was acknowledged as batch %d, and is there %d times", a.text, a.record, a.batch, n)
			}
		}
	}
	if lost > 0 {
		l.Errorf("%d of %d acknowledged edits are not there once", lost, len(l.report.held))
	}
	records := slices.Collect(maps.Keys(last))
	rows, err = conn.Query(l.Context(), `select _id, `+pgx.Identifier{l.column}.Sanitize()+` from `+pgx.Identifier{schema, l.table}.Sanitize()+` where _id = any($1)`, records)
	if err != nil {
		l.Fatal(err)
	}
	seen := 0
	_, err = pgx.ForEachRow(rows, []any{&row, &after}, func() error {
		if seen++; after == nil || *after != last[row] {
			l.Errorf("record %d does not hold %q, which is its last edit", row, last[row])
		}
		return nil
	})
	if err != nil || seen != len(last) {
		l.Errorf("%d of %d records were looked at, %v", seen, len(last), err)
	}
}

// ownTime is the processor time that this process took: people, proxy and test.
func ownTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineBusy is the processor time that everything on the machine took; 0 where nobody says.
func machineBusy() time.Duration {
	raw, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(raw), "\n")
	var ticks int64
	for i, f := range strings.Fields(line) {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i != 4 && i != 5 && i < 9 { // neither idle nor waiting
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a hundred a second on Linux
}

func loadAverage() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(raw) + " ?")[:1], "")
}
