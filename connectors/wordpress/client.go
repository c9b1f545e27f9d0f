package wordpress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scratchpaper/connectors"
)

const userAgent = "Scratchpaper"

// answer is what the site said to a request that it took: JSON.
type answer struct {
	header http.Header
	body   []byte
}

// number is a number that a header holds, -1 when none.
func (a *answer) number(header string) int {
	n, err := strconv.Atoi(a.header.Get(header))
	if err != nil {
		return -1
	}
	return n
}

// request is one request to the REST interface.
type request struct {
	method string
	route  string // as in "/wp/v2/posts"
	query  url.Values
	body   any  // nil: none
	writes bool // it may change something
}

// call sends a request as the user and reads JSON into out. Errors are Faults.
func (s *session) call(ctx context.Context, r request, out any) (*answer, error) {
	root, err := s.apiRoot(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.send(ctx, r, routed(root, r.route, r.query), true)
	if err != nil {
		return nil, err
	}
	if out == nil {
		return a, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		return nil, s.garbled(r, a.body, err)
	}
	return a, nil
}

// routed gives the address of a route: behind the root's path, or in its query where the site has plain links.
func routed(root *url.URL, route string, query url.Values) string {
	u := *root
	q := u.Query()
	if at := q.Get("rest_route"); at != "" {
		q.Set("rest_route", strings.TrimRight(at, "/")+route)
	} else {
		u.Path = strings.TrimRight(u.Path, "/") + route
	}
	for k, v := range query {
		q[k] = v
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// inTime refuses to write after the deadline that the app gave.
func (s *session) inTime() error {
	if s.env.Deadline == nil {
		return nil
	}
	if d := s.env.Deadline(); !d.IsZero() && time.Now().After(d) {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "The time to write was over before anything was sent.", Unsent: true}
	}
	return nil
}

// send sends a request; signed goes with the password, and only ever to the site's own host.
func (s *session) send(ctx context.Context, r request, address string, signed bool) (*answer, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, &connectors.Fault{Kind: connectors.Unavailable, Words: "The session is closed.", Unsent: true}
	}
	if err := s.env.Take(ctx); err != nil {
		return nil, err
	}
	if r.writes {
		if err := s.inTime(); err != nil {
			return nil, err
		}
	}
	reached := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }})
	req, err := s.httpRequest(ctx, r, address, signed)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: s.sends, CheckRedirect: s.redirects(r, signed)}
	res, err := client.Do(req)
	if err != nil {
		return nil, s.unreachable(err, !reached || !r.writes)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if err != nil {
		return nil, s.unreachable(err, !r.writes)
	}
	if err := s.refused(r, res, body); err != nil {
		return nil, err
	}
	return &answer{res.Header, body}, nil
}

func (s *session) httpRequest(ctx context.Context, r request, address string, signed bool) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return nil, &connectors.Fault{Kind: connectors.Broken, Words: "The values cannot be sent as JSON.", Cause: err}
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Words: "The address of the site cannot be used.", Unsent: true}
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = nil // a write is never sent twice by itself
	}
	if signed {
		req.SetBasicAuth(s.user, s.password)
	}
	return req, nil
}

// redirects follows only what stays at the host, and of a write nothing: the password goes nowhere else, and a POST that is
// redirected would arrive without what it says.
func (s *session) redirects(r request, signed bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		from := via[len(via)-1].URL
		switch {
		case len(via) > 5, r.writes:
			return http.ErrUseLastResponse
		case signed && (next.URL.Host != from.Host || next.URL.Scheme != from.Scheme):
			return http.ErrUseLastResponse
		}
		return s.env.Take(next.Context())
	}
}

// refused makes a Fault of an answer that is not JSON or not a success.
func (s *session) refused(r request, res *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return &connectors.Fault{Kind: connectors.Broken, Words: s.words("The site sends its own interface to another address, " + res.Header.Get("Location") + ". Give that address as the site's, if it is right.")}
	}
	if res.StatusCode == http.StatusTooManyRequests || res.Header.Get("Retry-After") != "" && res.StatusCode == http.StatusServiceUnavailable {
		s.env.Pause(retryAfter(res.Header))
	}
	if res.StatusCode == http.StatusTooManyRequests {
		return &connectors.Fault{Kind: connectors.Limited, Words: "The site takes no more requests for a while.", Until: retryAfter(res.Header), Unsent: true}
	}
	if isJSON && res.StatusCode >= 400 {
		var e restError
		if json.Unmarshal(body, &e) == nil && e.Code != "" {
			return s.restFault(e, res.StatusCode, nil)
		}
	}
	switch {
	case res.StatusCode >= 500:
		return &connectors.Fault{Kind: connectors.Unavailable, Words: s.words("The site answered " + res.Status + ". " + pageWords(body)), Unsent: !r.writes, Until: retryAfter(res.Header)}
	case res.StatusCode >= 400:
		kind := connectors.Broken
		if r.writes { // a firewall dislikes one of the texts: the app looks for the record
			kind = connectors.RefusedRecord
		}
		return &connectors.Fault{Kind: kind, Words: s.words("The site answered " + res.Status + " with a web page in place of data; a security plug-in or firewall stands in the way. " + pageWords(body))}
	case !isJSON || !json.Valid(body):
		return s.garbled(r, body, errors.New("no JSON"))
	}
	return nil
}

// garbled is the Fault of a success that is not JSON. After a write nobody knows what it did.
func (s *session) garbled(r request, body []byte, cause error) error {
	f := &connectors.Fault{Kind: connectors.Broken, Cause: cause}
	if r.writes {
		f.Kind = connectors.Unavailable
	}
	text := pageWords(body)
	if i := bytes.IndexAny(body, "[{"); i > 0 && json.Valid(bytes.TrimSpace(body[i:])) || bytes.Contains(body[:min(len(body), 2000)], []byte("<b>")) && bytes.IndexAny(body, "[{") > 0 {
		f.Words = s.words("The site prints messages before its data, so that the data cannot be read: “" + text + "” A plug-in or the theme is broken. Mend it or switch it off, or set WP_DEBUG_DISPLAY to false in wp-config.php.")
		return f
	}
	f.Words = s.words("The site answered with a web page in place of data. A cache, firewall or maintenance page stands in the way: “" + text + "”")
	return f
}

// retryAfter is the moment that a header names, else in a minute.
func retryAfter(h http.Header) time.Time {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Now().Add(min(time.Duration(n)*time.Second, time.Hour))
	}
	if t, err := http.ParseTime(v); err == nil {
		return t
	}
	return time.Now().Add(time.Minute)
}
