package wordpress

import (
	"net/http"
	"net/url"
	"testing"

	"scratchpaper/connectors"
)

func TestAnAddressIsTakenAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"example.org":                                  "https://example.org",
		" https://Example.org/ ":                       "https://example.org",
		"http://localhost:8080/blog/":                  "http://localhost:8080/blog",
		"https://example.org/wp-admin/profile.php?a=b": "https://example.org",
		"https://example.org/blog/wp-json/wp/v2/posts": "https://example.org/blog",
		"https://example.org/blog/wp-login.php":        "https://example.org/blog",
		"https://example.org/index.php?rest_route=/":   "https://example.org",
		"https://example.org/#top":                     "https://example.org",
	} {
		u, err := siteAddress(typed)
		if err != nil || u.String() != want {
			t.Errorf("%q is %v (%v), want %s", typed, u, err, want)
		}
	}
	for _, typed := range []string{"ftp://example.org", "https://", "https://ana:secret@example.org", "mailto:ana@example.org", "javascript://x", "https://exa mple.org"} {
		if u, err := siteAddress(typed); err == nil {
			t.Errorf("%q is taken as %v", typed, u)
		}
	}
}

func TestASettingThatDoesNotFitIsNamed(t *testing.T) {
	t.Parallel()
	good := connectors.Settings{"site": "example.org", "user": "ana", "password": "abcd efgh"}
	for key, value := range map[string]string{"site": "ftp://x", "user": "", "password": " ", "deletes": "never"} {
		given := connectors.Settings{}
		for k, v := range good {
			given[k] = v
		}
		given[key] = value
		_, err := New().Open(t.Context(), given, connectors.Environment{})
		f, ok := err.(*connectors.Fault)
		if !ok || f.Kind != connectors.RefusedValue || f.Field != key {
			t.Errorf("%s = %q: %v", key, value, err)
		}
	}
	if _, err := New().Open(t.Context(), good, connectors.Environment{}); err != nil {
		t.Error(err)
	}
}

func TestThePasswordGoesToTheGivenHostOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		given, other string
		same         bool
	}{
		{"https://example.org", "https://example.org/wp-json/", true},
		{"https://example.org", "https://www.example.org/wp-json/", true},
		{"https://www.example.org", "https://example.org/", true},
		{"http://example.org", "https://example.org/", true},
		{"https://example.org", "http://example.org/", false},
		{"https://example.org", "https://example.org.evil.test/", false},
		{"https://example.org", "https://blog.example.org/", false},
		{"https://example.org", "https://example.org:8443/", false},
		{"http://example.org:8080", "https://example.org/", true},
	} {
		given, _ := url.Parse(tt.given)
		other, _ := url.Parse(tt.other)
		if got := sameSite(given, other); got != tt.same {
			t.Errorf("%s and %s: %v", tt.given, tt.other, got)
		}
	}
}

func TestASiteNamesItsInterfaceInAHeaderOrInItsHead(t *testing.T) {
	t.Parallel()
	landed, _ := url.Parse("https://example.org/blog/")
	header := func(lines ...string) http.Header { return http.Header{"Link": lines} }
	for _, tt := range []struct {
		header http.Header
		page   string
		want   string
	}{
		{header(`<https://example.org/blog/wp-json/>; rel="https://api.w.org/"`), "", "https://example.org/blog/wp-json/"},
		{header(`<https://example.org/feed>; rel="alternate", <https://example.org/api/>; rel="https://api.w.org/"`), "", "https://example.org/api/"},
		{header(`</x>; rel=y`, `</index.php?rest_route=/>; rel="https://api.w.org/"`), "", "https://example.org/index.php?rest_route=/"},
		{nil, `<head><link href="/style.css" rel="stylesheet"><link rel='https://api.w.org/' href='https://example.org/?rest_route=/&amp;a=b' /></head>`, "https://example.org/?rest_route=/&a=b"},
		{nil, `<head></head>`, ""},
	} {
		got := ""
		if u := namedRoot(landed, tt.header, []byte(tt.page)); u != nil {
			got = u.String()
		}
		if got != tt.want {
			t.Errorf("%v %s: %q, want %q", tt.header, tt.page, got, tt.want)
		}
	}
}

func TestARouteGoesBehindThePathOrIntoTheQuery(t *testing.T) {
	t.Parallel()
	for root, want := range map[string]string{
		"https://example.org/wp-json/":               "https://example.org/wp-json/wp/v2/posts?page=2",
		"https://example.org/?rest_route=/":          "https://example.org/?page=2&rest_route=%2Fwp%2Fv2%2Fposts",
		"https://example.org/index.php?rest_route=/": "https://example.org/index.php?page=2&rest_route=%2Fwp%2Fv2%2Fposts",
	} {
		u, _ := url.Parse(root)
		if got := routed(u, "/wp/v2/posts", url.Values{"page": {"2"}}); got != want {
			t.Errorf("%s: %s, want %s", root, got, want)
		}
	}
}
