package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Person is somebody who has signed in, with the cookies of a browser.
type Person struct {
	Client *http.Client
	Base   string
	t      testing.TB
}

// Password is everybody's in tests.
const Password = "a kettle boils beside nine boats"

// MustSetUp makes the first account of a fleet by the link that it printed, and gives its person.
func (f *Fleet) MustSetUp() *Person {
	f.t.Helper()
	p := f.Stranger()
	p.mustForm("/setup", url.Values{"code": {f.SetUpCode()}, "name": {"Ana Bo"}, "email": {"ana@example.org"}, "organization": {"Kettles Ltd"}, "password": {Password}})
	return p
}

// MustSignIn signs the first account in once more, as another browser.
func (f *Fleet) MustSignIn() *Person {
	f.t.Helper()
	p := f.Stranger()
	p.mustForm("/sign-in", url.Values{"email": {"ana@example.org"}, "password": {Password}})
	return p
}

// Stranger is a browser that nobody has signed in with.
func (f *Fleet) Stranger() *Person { return f.stranger(f.Proxy.Client()) }

// MustJoin is a browser of the n-th of many people: the first account invites them, and each has connections and an address of their own.
func (f *Fleet) MustJoin(by *Person, n int, role string) *Person {
	f.t.Helper()
	resp, err := by.Client.PostForm(by.Base+"/members/invitations", url.Values{"email": {fmt.Sprintf("person%d@example.org", n)}, "role": {role}})
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	link := invitationLink.FindSubmatch(raw)
	if link == nil {
		f.t.Fatalf("no invitation is shown: %d %.600s", resp.StatusCode, raw)
	}
	p := f.stranger(f.Proxy.clientOf(n))
	p.mustForm("/invitation/join", url.Values{"code": {string(link[1])}, "name": {fmt.Sprint("Person ", n)}, "password": {Password}})
	return p
}

var invitationLink = regexp.MustCompile(`/invitation#([A-Za-z0-9_-]+)`)

func (f *Fleet) stranger(client *http.Client) *Person {
	client.Jar, _ = cookiejar.New(nil) // without options it cannot fail
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Person{Client: client, Base: f.Proxy.URL, t: f.t}
}

func (p *Person) mustForm(path string, fields url.Values) {
	p.t.Helper()
	resp, err := p.Client.PostForm(p.Base+path, fields)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("%s answers %d: %.600s", path, resp.StatusCode, raw)
	}
}

// Cookie is the Cookie header of the person's requests.
func (p *Person) Cookie() string {
	u, _ := url.Parse(p.Base) // the proxy's own
	var all []string
	for _, c := range p.Client.Jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// Ask sends one request to the API, once. key is its Idempotency-Key; "" is none.
func (p *Person) Ask(ctx context.Context, method, path string, body any, key string) (int, Object, error) {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.Base+"/api/v1"+path, in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var out Object
	if len(raw) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &out); err != nil {
			return 0, nil, fmt.Errorf("%s %s: %w in %.300s", method, path, err, raw)
		}
	}
	return resp.StatusCode, out, nil
}

// MustAsk is Ask for an answer that has to have a status.
func (p *Person) MustAsk(method, path string, body any, status int) Object {
	p.t.Helper()
	got, out, err := p.Ask(context.Background(), method, path, body, "")
	if err != nil || got != status {
		p.t.Fatalf("%s %s answers %d, %v, want %d: %v", method, path, got, err, status, out)
	}
	return out
}
