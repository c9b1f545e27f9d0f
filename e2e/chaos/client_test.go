package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"scratchpaper/e2e/program"
)

type object = program.Object

// client asks the API as the page's outbox does: a write has an Idempotency-Key and is sent again until it is answered.
type client struct {
	house  *house
	n      int // which process it asks
	prefix string
	keys   atomic.Int64
	mu     sync.Mutex
	odd    []string // answers that should not be
	again  int      // requests that had to be sent again
}

// patience is how long an answer may take, restarts of the app included.
const patience = 2 * time.Minute

var web = &http.Client{Timeout: 20 * time.Second}

// ask sends a request until it has an answer that is not about the moment, and gives it.
func (c *client) ask(ctx context.Context, method, path string, body any) (int, object) {
	if body == nil {
		return c.send(ctx, method, path, "", nil)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		c.note("%s %s: %v", method, path, err)
		return 0, nil
	}
	return c.send(ctx, method, path, "application/json", raw)
}

// upload sends a file with fields, as pairs.
func (c *client) upload(ctx context.Context, path, file string, fields ...string) (int, object) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = form.WriteField(fields[i], fields[i+1]) // into memory
	}
	part, err := form.CreateFormFile("file", "chaos.csv")
	if err == nil {
		_, err = io.WriteString(part, file)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		c.note("upload to %s: %v", path, err)
		return 0, nil
	}
	return c.send(ctx, http.MethodPost, path, form.FormDataContentType(), body.Bytes())
}

func (c *client) send(ctx context.Context, method, path, kind string, body []byte) (int, object) {
	key := fmt.Sprintf("%s-%d", c.prefix, c.keys.Add(1))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		status, answer, err := c.once(ctx, method, path, kind, body, key)
		if err == nil && !passing(status, answer) {
			if status >= 500 {
				c.note("%s %s answers %d: %v", method, path, status, answer)
			}
			return status, answer
		}
		if ctx.Err() != nil {
			c.note("%s %s is not answered within %s: %d %v %v", method, path, patience, status, answer, err)
			return 0, nil
		}
		c.mu.Lock()
		c.again++
		c.mu.Unlock()
		time.Sleep(min(time.Duration(try+1)*20*time.Millisecond, 200*time.Millisecond)) // the app may be starting again
	}
}

// passing says whether an answer is about the moment: the app starts, its database is interrupted, somebody else is changing
// the table, the same request is being answered.
func passing(status int, answer object) bool {
	switch status {
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return true
	case http.StatusConflict:
		return answer["retry"] != nil
	}
	return false
}

func (c *client) once(ctx context.Context, method, path, kind string, body []byte, key string) (int, object, error) {
	base := c.house.address(c.n)
	if base == "" {
		return 0, nil, fmt.Errorf("no process")
	}
	req, err := http.NewRequestWithContext(ctx, method, base+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	if !strings.Contains(resp.Header.Get("Content-Type"), "json") {
		return http.StatusServiceUnavailable, nil, nil // the page that says that the app is starting
	}
	answer, _ := decode(raw).(object)
	if answer != nil && resp.Header.Get("Retry-After") != "" {
		answer["retry"] = resp.Header.Get("Retry-After")
	}
	return resp.StatusCode, answer, nil
}

func (c *client) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.odd = append(c.odd, fmt.Sprintf(format, args...))
}

// must is ask for what has to succeed.
func (c *client) must(ctx context.Context, method, path string, body any) object {
	status, answer := c.ask(ctx, method, path, body)
	if status < 200 || status > 299 {
		c.note("%s %s answers %d: %v", method, path, status, answer)
	}
	return answer
}

// records reads all records of a table, page by page. The order of the pages goes with a killed process, which the app says; then all is read anew.
func (c *client) records(ctx context.Context, table, filter string) []any {
	var out []any
	for after := ""; ; {
		status, page := c.ask(ctx, http.MethodGet, table+"/records?limit=1000"+filter+after, nil)
		if status == http.StatusConflict && after != "" {
			out, after = nil, ""
			continue
		}
		if status != http.StatusOK {
			c.note("the records of %s answer %d: %v", table, status, page)
		}
		out = append(out, items(page)...)
		next := text(page, "next")
		if next == "" {
			return out
		}
		after = "&after=" + next
	}
}

func field(o any, path ...any) any { return program.Field(o, path...) }

func text(o any, path ...any) string { return program.Text(o, path...) }

func number(o any, path ...any) int64 {
	n, _ := field(o, path...).(json.Number)
	i, _ := n.Int64()
	return i
}

func items(o any) []any {
	l, _ := field(o, "items").([]any)
	return l
}
