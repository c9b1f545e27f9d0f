package wordpress

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"scratchpaper/connectors"
)

// about is what the root of the REST interface says of the site.
type about struct {
	Name           string          `json:"name"`
	TimeZone       string          `json:"timezone_string"`
	Offset         json.RawMessage `json:"gmt_offset"`     // a number, or a text of one
	Authentication json.RawMessage `json:"authentication"` // an object, [] when there is no way to sign in
	Namespaces     []string        `json:"namespaces"`
}

// takesPasswords says whether the site offers application passwords.
func (a *about) takesPasswords() bool {
	return strings.Contains(string(a.Authentication), `"application-passwords"`)
}

// authorization is the page where a person lets an application in; "" when the site offers none.
func (a *about) authorization() string {
	var ways struct {
		Passwords struct {
			Endpoints struct {
				Authorization string `json:"authorization"`
			} `json:"endpoints"`
		} `json:"application-passwords"`
	}
	_ = json.Unmarshal(a.Authentication, &ways) // [] when there is no way to sign in
	return ways.Passwords.Endpoints.Authorization
}

// zone is the site's zone as a person reads it.
func (a *about) zone() string {
	if a.TimeZone != "" {
		return a.TimeZone
	}
	offset := strings.Trim(string(a.Offset), `"`)
	switch {
	case offset == "" || offset == "0" || offset == "null":
		return "UTC"
	case strings.HasPrefix(offset, "-"):
		return "UTC" + offset
	}
	return "UTC+" + offset
}

// apiRoot gives the address of the REST interface. The site itself says it; it is asked for without the password.
func (s *session) apiRoot(ctx context.Context) (*url.URL, error) {
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	if root != nil {
		return root, nil
	}
	root, a, err := s.discover(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.root, s.about = root, a
	s.mu.Unlock()
	return root, nil
}

// discover tries what the front page names, then where it usually is with pretty links, then with plain ones.
func (s *session) discover(ctx context.Context) (*url.URL, *about, error) {
	landed, named, err := s.frontPage(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !sameSite(s.site, landed) {
		return nil, nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Unsent: true,
			Words: s.words("The address leads to another one, " + landed.Scheme + "://" + landed.Host + ". If that is your site, give it as the site's address. The password was not sent.")}
	}
	base := *landed
	base.RawQuery, base.Path = "", strings.TrimRight(insidePattern.ReplaceAllString(landed.Path, ""), "/")
	pretty, ordinary := base, base
	pretty.Path += "/wp-json/"
	ordinary.Path, ordinary.RawQuery = ordinary.Path+"/index.php", "rest_route=/"
	var first error
	for _, root := range []*url.URL{named, &pretty, &ordinary} {
		if root != nil && root.Scheme == "http" && landed.Scheme == "https" {
			root.Scheme = "https" // a site that does not know that it is behind a proxy; the password goes encrypted
		}
		if root == nil || !sameSite(s.site, root) {
			continue
		}
		a, err := s.askAbout(ctx, root)
		if err == nil {
			return root, a, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, nil, s.noInterface(first, named != nil)
}

// noInterface says why nothing that was tried is the REST interface of a WordPress. named says that the site names one.
func (s *session) noInterface(err error, named bool) error {
	f, ok := err.(*connectors.Fault)
	if ok && (named && f.Kind != connectors.Gone || f.Kind != connectors.Gone && f.Kind != connectors.Broken) {
		f.Unsent = true
		return f
	}
	return &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Unsent: true,
		Words: "There is a site at " + s.site.String() + ", but no WordPress whose REST interface answers. Check the address, with the folder that WordPress is in; a security plug-in may have switched the interface off."}
}

// sameSite says whether an address is at the host that the person gave, with or without www, and not less safe.
func sameSite(given, other *url.URL) bool {
	if bareHost(given) != bareHost(other) || given.Scheme == "https" && other.Scheme != "https" {
		return false
	}
	return given.Port() == other.Port() || given.Scheme != other.Scheme && other.Port() == ""
}

func bareHost(u *url.URL) string { return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.") }

var linkPattern = regexp.MustCompile(`(?i)<link\b[^>]*\brel=["']https://api\.w\.org/["'][^>]*>`)
var hrefPattern = regexp.MustCompile(`(?i)\bhref=["']([^"']+)["']`)

// frontPage asks for the site's front page without the password. It gives where that was in the end, and the address of the REST
// interface that it names, or nil.
func (s *session) frontPage(ctx context.Context) (landed, named *url.URL, err error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, nil, &connectors.Fault{Kind: connectors.Unavailable, Words: "The session is closed.", Unsent: true}
	}
	req, err := s.httpRequest(ctx, request{method: http.MethodGet}, s.site.String()+"/", false)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "text/html, */*")
	if err := s.env.Take(ctx); err != nil {
		return nil, nil, err
	}
	client := &http.Client{Transport: s.sends, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return http.ErrUseLastResponse
		}
		return s.env.Take(next.Context())
	}}
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, s.unreachable(err, true)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, nil, s.unreachable(err, true)
	}
	if res.StatusCode == http.StatusTooManyRequests {
		return nil, nil, s.refused(request{method: http.MethodGet}, res, page)
	}
	landed = res.Request.URL
	return landed, namedRoot(landed, res.Header, page), nil
}

// namedRoot reads the address of the REST interface from a page's Link headers, else from its head.
func namedRoot(landed *url.URL, header http.Header, page []byte) *url.URL {
	for _, line := range header.Values("Link") {
		for link := range strings.SplitSeq(line, ",") {
			address, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
			if ok && strings.Contains(rest, `"https://api.w.org/"`) {
				if u, err := landed.Parse(address); err == nil {
					return u
				}
			}
		}
	}
	if m := hrefPattern.FindSubmatch(linkPattern.Find(page)); m != nil {
		if u, err := landed.Parse(strings.ReplaceAll(plain(string(m[1])), "&amp;", "&")); err == nil {
			return u
		}
	}
	return nil
}

// askAbout asks an address whether it is the root of a REST interface, without the password.
func (s *session) askAbout(ctx context.Context, root *url.URL) (*about, error) {
	r := request{method: http.MethodGet}
	got, err := s.send(ctx, r, routed(root, "/", map[string][]string{"_fields": {"name,timezone_string,gmt_offset,authentication,namespaces"}}), false)
	if err != nil {
		return nil, err
	}
	var a about
	if err := json.Unmarshal(got.body, &a); err != nil || a.Namespaces == nil {
		return nil, &connectors.Fault{Kind: connectors.Gone, Words: "No REST interface is there.", Cause: err}
	}
	return &a, nil
}
