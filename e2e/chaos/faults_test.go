package chaos

import (
	"fmt"
	"math"
	"syscall"
	"time"
)

// fault is one way to disturb the app. begin starts it; what it gives puts things right again, and is called in any case.
type fault struct {
	name   string
	begin  func(w *world) (heal func())
	alone  bool // needs the app's own database
	shared bool // needs several processes
}

func none() {}

var faults = []fault{
	{name: "killed at a random fault point", begin: func(w *world) func() {
		n := int(math.Exp(w.rand.Float64() * math.Log(120)))
		w.someProc().startAnew(fmt.Sprintf("any:%d", n))
		return none
	}},
	{name: "killed at a random time", begin: func(w *world) func() {
		p := w.someProc()
		return later(w.soon(1500), func() { p.signal(syscall.SIGKILL) })
	}},
	{name: "killed twice", begin: func(w *world) func() {
		p := w.someProc()
		one := later(w.soon(800), func() { p.signal(syscall.SIGKILL) })
		two := later(800*time.Millisecond+w.soon(2500), func() { p.signal(syscall.SIGKILL) })
		return func() { one(); two() }
	}},
	{name: "connection cut before the service acts", begin: cut(false)},
	{name: "connection cut after the service acted", begin: cut(true)},
	{name: "connection cut many times", begin: func(w *world) func() {
		stop, done := make(chan struct{}), make(chan struct{})
		n, after := 3+w.rand.IntN(20), w.rand.IntN(2) == 0
		go func() {
			defer close(done)
			for range 5 {
				w.service.line.cutAt(n, after)
				select {
				case <-stop:
					return
				case <-time.After(250 * time.Millisecond): // so that it is not cut all the time
				}
			}
		}()
		return func() { close(stop); <-done; w.service.line.cutAt(0, false) }
	}},
	{name: "service does not answer for a while", begin: func(w *world) func() {
		wait := w.soon(600)
		took := 500*time.Millisecond + w.soon(3000)
		release := make(chan func(), 1)
		begin := later(wait, func() { release <- w.service.line.holdAll() })
		end := later(wait+took, func() {
			select {
			case free := <-release:
				free()
			default:
			}
		})
		return func() { begin(); end() }
	}},
	{name: "service ends all connections", begin: func(w *world) func() {
		return later(w.soon(1200), func() {
			_, _ = w.service.pool.Exec(w.ctx, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name <> 'elsewhere'")
		})
	}},
	{name: "database killed", alone: true, begin: database(syscall.SIGKILL)},
	{name: "database restarted", alone: true, begin: database(syscall.SIGINT)},
	{name: "app and database killed", alone: true, begin: func(w *world) func() {
		p := w.someProc()
		return later(w.soon(1200), func() {
			if pid := w.house.postmaster(); pid > 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			p.signal(syscall.SIGKILL)
		})
	}},
	{name: "stopped past its lease", shared: true, begin: func(w *world) func() {
		p := w.someProc()
		wait, took := w.soon(1000), lease+w.soon(3000)
		stop := later(wait, func() { p.signal(syscall.SIGSTOP) })
		goOn := later(wait+took, func() { p.signal(syscall.SIGCONT) })
		return func() { stop(); goOn() }
	}},
	{name: "both killed", shared: true, begin: func(w *world) func() {
		return later(w.soon(1500), func() {
			for _, p := range w.house.procs {
				p.signal(syscall.SIGKILL)
			}
		})
	}},
	{name: "Redis emptied", shared: true, begin: func(w *world) func() {
		return later(w.soon(1000), w.house.redis.Flush)
	}},
	{name: "Redis gone for a while", shared: true, begin: func(w *world) func() {
		wait, took := w.soon(500), w.soon(5000)
		gone := later(wait, w.house.redis.Kill)
		back := later(wait+took, w.house.redis.Start)
		return func() { gone(); back() }
	}},
	{name: "connections of the database cut", shared: true, begin: func(w *world) func() {
		return later(w.soon(1200), w.cutDatabase)
	}},
}

// someProc is a process by chance.
func (w *world) someProc() *proc { return w.house.procs[w.rand.IntN(len(w.house.procs))] }

// soon is a time of at most some milliseconds, short ones more often.
func (w *world) soon(ms int) time.Duration {
	f := w.rand.Float64()
	return time.Duration(f * f * float64(ms) * float64(time.Millisecond))
}

// later runs f after a while; what it gives waits for that.
func later(after time.Duration, f func()) (wait func()) {
	done := make(chan struct{})
	time.AfterFunc(after, func() { defer close(done); f() })
	return func() { <-done }
}

func cut(after bool) func(w *world) func() {
	return func(w *world) func() {
		n := 1 + int(math.Exp(w.rand.Float64()*math.Log(80)))
		w.service.line.cutAt(n, after)
		return func() { w.service.line.cutAt(0, false) }
	}
}

func database(sig syscall.Signal) func(w *world) func() {
	return func(w *world) func() {
		return later(w.soon(1500), func() {
			if pid := w.house.postmaster(); pid > 1 {
				_ = syscall.Kill(pid, sig)
			}
		})
	}
}

// cutDatabase ends the app's connections to its database.
func (w *world) cutDatabase() {
	_, _ = w.service.pool.Exec(w.ctx, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'scratchpaper' and datname = $1", w.house.database)
}

// The points that a phase of a round comes to, as far as a process is killed there on purpose.
var (
	actPoints = []string{"edit.commit", "edit.committed", "accept.commit", "accept.committed", "undo.commit", "undo.committed", "reject.commit", "reject.committed",
		"accept.begun", "accept.applied", "undo.begun", "undo.applied", "reject.begun", "reject.applied", "transform.begun", "transform.applied", "transform.committed",
		"import.staged", "import.complete", "import.matching", "import.suggested", "import.ended", "import.dropped"}
	importPoints  = []string{"import.skipped", "import.page", "import.complete", "import.ended", "import.dropped", "snapshot.commit", "snapshot.committed", "job.take.committed"}
	takePoints    = []string{"snapshot.commit", "snapshot.committed", "download.ask", "download.read", "download.commit", "download.committed", "download.merged", "download.end.commit", "download.end.committed", "download.ended"}
	refreshPoints = []string{"refresh.start.committed", "refresh.ask", "refresh.versions", "refresh.look", "refresh.looked", "refresh.commit", "refresh.committed", "refresh.removed", "download.end.commit", "download.end.committed"}
	publishPoints = []string{"publish.start.commit", "publish.start.committed", "publish.taken", "publish.circles", "publish.circles.commit", "publish.circles.committed", "publish.order.committed", "publish.claim", "publish.claim.commit", "publish.claim.committed", "publish.sending", "publish.look", "publish.looked",
		"publish.reserve", "publish.reserved", "publish.leave.commit", "publish.leave.committed", "publish.leaving", "publish.acted", "publish.outcome.commit", "publish.outcome.committed", "publish.outcome",
		"publish.commit", "publish.committed", "publish.merged", "publish.unknown.committed", "publish.recognise", "publish.judged", "publish.settled", "publish.end.commit", "publish.end.committed"}
	revertPoints = []string{"revert.commit", "revert.committed"}
)

// killedAt ends a process at one of some points, the first time or a little later.
func killedAt(points []string) fault {
	return fault{name: "killed at a point of the phase", begin: func(w *world) func() {
		at := fmt.Sprintf("%s:%d", pick(w.rand, points), 1+w.rand.IntN(3)*w.rand.IntN(2))
		w.log("at %s", at)
		for _, p := range w.house.procs { // whichever comes to it
			if p.n == 0 || w.rand.IntN(2) == 0 {
				p.startAnew(at)
			}
		}
		return none
	}}
}

// under runs fn, which comes to some fault points, while some faults happen, and puts things right.
func (w *world) under(chance float64, points []string, fn func()) {
	var heal []func()
	for i := range 2 {
		if w.rand.Float64() >= chance {
			continue
		}
		f := pick(w.rand, faults)
		if i == 0 && w.rand.IntN(2) == 0 {
			f = killedAt(points)
		}
		if f.alone && w.house.redis != nil || f.shared && w.house.redis == nil {
			continue
		}
		w.report.fault(f.name)
		w.log("fault: %s", f.name)
		heal = append(heal, f.begin(w))
	}
	fn()
	for _, h := range heal {
		h()
	}
}
