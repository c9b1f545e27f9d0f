package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// held is what a process holds, as its metrics say.
type held struct{ goroutines, streams, connections, jobs int }

// holds reads the metrics of the app.
func (a *app) holds() (h held, err error) {
	req, err := http.NewRequest(http.MethodGet, a.url+"/metrics", nil)
	if err != nil {
		return h, err
	}
	req.Close = true // a connection that is kept is a goroutine there
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return h, fmt.Errorf("the metrics answer %s", resp.Status)
	}
	found := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch {
		case name == "go_goroutines":
			h.goroutines = int(n)
		case name == "scratchpaper_event_streams":
			h.streams = int(n)
		case name == `scratchpaper_database_connections{state="acquired"}`:
			h.connections = int(n)
		case strings.HasPrefix(name, "scratchpaper_jobs{"):
			h.jobs += int(n)
			continue
		default:
			continue
		}
		found++
	}
	if found != 3 {
		return h, fmt.Errorf("the metrics lack some of what is looked at: %+v", h)
	}
	return h, nil
}

// rest is what the app holds when it has come to rest: what it gives three times.
func (a *app) rest() (h held, err error) {
	for same := 0; same < 3; time.Sleep(50 * time.Millisecond) { // it may still be starting its workers
		now, err := a.holds()
		if err != nil {
			return h, err
		}
		if same++; now.goroutines != h.goroutines {
			same = 0
		}
		h = now
	}
	return h, nil
}

const (
	// goroutinesMore is how many goroutines more than at the start are no leak: connections that the pools of Redis and of asynq
	// open when they are first needed.
	goroutinesMore = 6
	// looking is how many connections are in use while the metrics are read: it counts the jobs.
	looking = 1
)

// nothingLeft checks that the app, when nobody uses it any more, holds no more than when it had started.
func (a *app) nothingLeft() {
	select {
	case <-a.dead:
		return // the test has ended it
	default:
	}
	if a.began.goroutines == 0 || a.t.Failed() {
		return
	}
	http.DefaultClient.CloseIdleConnections()
	var now held
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) { // browsers and jobs end in their own time
		now, err = a.holds()
		if err != nil {
			break
		}
		if now.jobs > 0 || now.goroutines <= a.began.goroutines+goroutinesMore && now.streams == 0 && now.connections <= looking {
			return // with jobs at work there is no rest to be had
		}
	}
	a.t.Errorf("nobody uses the app any more, and it holds %+v (%v); at its start %+v", now, err, a.began)
}
