package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"scratchpaper/e2e/program"
)

// The rhythm of a person: a few windows, some reading, an edit that takes its time to be typed. About an edit every seven seconds.
const (
	windowRows   = 48 // three blocks of static/js/grid/window.js
	mostWindows  = 3
	betweenRows  = 400 * time.Millisecond
	readsAtLeast = 2 * time.Second
	readsAtMost  = 6 * time.Second
	typesAtLeast = 2 * time.Second
	typesAtMost  = 4 * time.Second
	countsEvery  = 4 * time.Second  // static/js/grid/follow.js
	herePause    = 10 * time.Second // static/js/people.js
)

// typist is a person with the grid open in a browser, as far as the server can tell: a session, one event stream, windows, an outbox that
// sends each edit until it is acknowledged, and the other requests that the page's scripts make.
type typist struct {
	*program.Person
	n       int
	grid    string // the table's address
	here    string
	topics  string // of its event stream, as a query
	column  int
	slow    float64 // how many times as long everything takes; a short test is quicker
	random  *rand.Rand
	outbox  chan loadEdit
	report  *loadReport
	order   struct{ Order string }
	rows    int64
	mu      sync.Mutex
	shown   []int64 // records in the window
	counted time.Time
}

// chance is a source of random numbers for all that a person does at the same time.
type chance struct {
	mu     sync.Mutex
	source rand.Source
}

func (c *chance) Uint64() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source.Uint64()
}

// loadEdit is a cell that was typed.
type loadEdit struct {
	record    int64
	text, key string
}

// pause waits for about as long as a person does, between least and most.
func (p *typist) pause(ctx context.Context, least, most time.Duration) bool {
	d := time.Duration(p.slow * float64(least+time.Duration(p.random.Int64N(int64(most-least)+1))))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// works until ctx ends, and until the outbox is empty.
func (p *typist) works(ctx context.Context) {
	streams, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var parts sync.WaitGroup
	parts.Go(func() { p.listens(streams) })
	parts.Go(p.sends)
	parts.Go(func() {
		for p.pause(ctx, herePause, herePause) {
			p.tells(0)
		}
	})
	p.get(ctx, p.grid, nil)
	if raw, ok := p.get(ctx, p.grid+"/order", nil); ok {
		if err := json.Unmarshal(raw, &p.order); err != nil {
			p.report.wrong("the order is %.200s", raw)
		}
	}
	for n := 0; ctx.Err() == nil; n++ {
		for range 1 + p.random.IntN(mostWindows) {
			p.scrolls(ctx)
			p.pause(ctx, betweenRows, betweenRows)
		}
		if !p.pause(ctx, readsAtLeast, readsAtMost) {
			break
		}
		p.mu.Lock()
		shown := slices.Clone(p.shown)
		p.mu.Unlock()
		if len(shown) == 0 {
			continue
		}
		record := shown[p.random.IntN(len(shown))]
		p.tells(record)
		if !p.pause(ctx, typesAtLeast, typesAtMost) {
			break
		}
		p.outbox <- loadEdit{record, fmt.Sprintf("Person %d types %d", p.n, n), fmt.Sprintf("load-%d-%d", p.n, n)}
	}
	close(p.outbox)
	end()
	parts.Wait()
}

var rowID = regexp.MustCompile(`data-id="(\d+)"`)

// scrolls somewhere and looks at what is there.
func (p *typist) scrolls(ctx context.Context) {
	if p.order.Order == "" {
		return
	}
	from := p.random.Int64N(max(1, p.rows-windowRows))
	began := time.Now()
	raw, ok := p.get(ctx, p.grid+"/rows", url.Values{"order": {p.order.Order}, "from": {fmt.Sprint(from)}, "to": {fmt.Sprint(min(p.rows, from+windowRows))}})
	if !ok {
		return
	}
	p.report.windows.add(time.Since(began))
	var shown []int64
	for _, m := range rowID.FindAllSubmatch(raw, -1) {
		id, _ := strconv.ParseInt(string(m[1]), 10, 64)
		shown = append(shown, id)
	}
	if len(shown) == 0 {
		p.report.wrong("a window has no rows: %.300s", raw)
	}
	p.mu.Lock()
	p.shown = shown
	p.mu.Unlock()
}

// tells where the person is; what cannot be told is told with the next.
func (p *typist) tells(record int64) {
	body := object{"table": p.grid[strings.LastIndex(p.grid, "/")+1:]}
	if record != 0 {
		body["record"] = record
	}
	raw, _ := json.Marshal(body)
	resp, err := p.post(context.Background(), p.here, raw, "")
	if err == nil {
		resp.Body.Close()
	}
}

// get asks as static/js/patient.js does: again where nobody answered. It says whether there was an answer that is none of an error.
func (p *typist) get(ctx context.Context, path string, query url.Values) ([]byte, bool) {
	for tried, pause := 1, 200*time.Millisecond; ; tried, pause = tried+1, pause*2 {
		raw, status, err := p.ask(ctx, path, query)
		switch {
		case ctx.Err() != nil:
			return nil, false
		case err == nil && status == http.StatusOK:
			return raw, true
		case tried < 7 && (err != nil || gone(status)):
			p.report.again.Add(1)
		default:
			p.report.wrong("%s answers %d, %v after %d tries: %.300s", path, status, err, tried, raw)
			return nil, false
		}
		time.Sleep(time.Duration(float64(pause) * (0.75 + p.random.Float64()/2))) // as static/js/patient.js waits
	}
}

// gone says whether an answer is a proxy's or a starting process's.
func gone(status int) bool { return status >= 502 && status <= 504 }

func (p *typist) ask(ctx context.Context, path string, query url.Values) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Sec-Fetch-Dest", "empty")
	resp, err := p.Client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return raw, resp.StatusCode, err
}

func (p *typist) post(ctx context.Context, path string, body []byte, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Client", fmt.Sprint("tab", p.n))
	req.Header.Set("Idempotency-Key", key)
	if key == "" {
		req.Header.Del("Idempotency-Key")
	}
	return p.Client.Do(req)
}

// sends what was typed, one after the other, each until it is acknowledged: static/js/grid/outbox.js.
func (p *typist) sends() {
	for e := range p.outbox {
		body, _ := json.Marshal(object{"cells": []object{{"record": e.record, "column": p.column, "input": e.text}}, "label": "Edit of note"})
		delay, faults, began := 400*time.Millisecond, 0, time.Now()
		for first := true; ; first, delay = false, min(delay*2, 15*time.Second) {
			status, wait, batch, err := p.sendOnce(body, e.key)
			if err == nil && status == http.StatusOK {
				p.report.acknowledged(e, batch, began, time.Now(), first)
				p.counts()
				break
			}
			if faults++; err == nil && !gone(status) && status != http.StatusTooManyRequests && (status != http.StatusConflict || wait == 0) && (status < 500 || faults == 4) {
				p.report.wrong("an edit is answered %d", status)
				break
			}
			if wait == 0 {
				wait = time.Duration(float64(delay) * (0.75 + p.random.Float64()/2))
			}
			p.report.resent.Add(1)
			time.Sleep(wait) // as the outbox of the page waits
		}
	}
}

func (p *typist) sendOnce(body []byte, key string) (status int, wait time.Duration, batch int64, err error) {
	resp, err := p.post(context.Background(), p.grid+"/edits", body, key)
	if err != nil {
		return 0, 0, 0, err
	}
	defer resp.Body.Close()
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		wait = time.Duration(s) * time.Second
	}
	var answer struct {
		Batch   int64
		Refused []any
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	if err == nil && resp.StatusCode == http.StatusOK && len(answer.Refused) > 0 {
		err = fmt.Errorf("refused: %v", answer.Refused)
	}
	if resp.StatusCode != http.StatusOK && !errors.Is(err, context.Canceled) {
		err = nil // the page of a proxy is no JSON
	}
	return resp.StatusCode, wait, answer.Batch, err
}

// counts asks for the numbers of the status bar.
func (p *typist) counts() {
	p.mu.Lock()
	p.counted = time.Now()
	p.mu.Unlock()
	p.get(context.Background(), p.grid+"/counts", nil)
}

// listens to the event stream, and asks for what others changed as the page does.
func (p *typist) listens(ctx context.Context) {
	client := &http.Client{Transport: p.Client.Transport, Jar: p.Client.Jar}
	for failures := 0; ctx.Err() == nil; failures++ {
		if failures > 0 {
			p.report.reopened.Add(1)
			p.pause(ctx, 250*time.Millisecond, min(500*time.Millisecond<<min(failures, 6), 30*time.Second))
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"/events?"+p.topics, nil)
		if err != nil {
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		if resp.StatusCode == http.StatusOK {
			failures = 0
			p.follows(ctx, resp.Body)
		} else if ctx.Err() == nil && !gone(resp.StatusCode) {
			p.report.wrong("the stream answers %d", resp.StatusCode)
		}
		resp.Body.Close()
	}
}

// follows reads hints until the stream ends.
func (p *typist) follows(ctx context.Context, stream io.Reader) {
	var asking atomic.Bool
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		p.report.hints.Add(1)
		var hint struct {
			Kind string
			Rows []int64
			Many bool
		}
		if json.Unmarshal([]byte(data), &hint) != nil || hint.Kind != "change" || asking.Swap(true) {
			continue
		}
		go func() {
			defer asking.Store(false)
			if !p.pause(ctx, 400*time.Millisecond, 400*time.Millisecond) {
				return
			}
			p.mu.Lock()
			var seen []string
			for _, id := range hint.Rows {
				if slices.Contains(p.shown, id) {
					seen = append(seen, fmt.Sprint(id))
				}
			}
			due := time.Since(p.counted) > time.Duration(p.slow*float64(countsEvery))
			p.mu.Unlock()
			if len(seen) > 0 {
				p.get(ctx, p.grid+"/rows", url.Values{"ids": {strings.Join(seen, ",")}})
			}
			if due && ctx.Err() == nil {
				p.counts()
			}
		}()
	}
}
