package wordpress

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"scratchpaper/connectors"
)

func TestAPasswordIsTakenFromTheSiteThatWasAsked(t *testing.T) {
	t.Parallel()
	asked := connectors.Settings{siteKey: "https://example.org/blog"}
	good := url.Values{"site_url": {"http://www.example.org/blog"}, "user_login": {"ana"}, "password": {"abcdefghijklmnopqrstuvwx"}}
	if got, err := New().Authorized(asked, good); err != nil || got[userKey] != "ana" || got[passwordKey] != "abcdefghijklmnopqrstuvwx" {
		t.Errorf("%v: %v", got, err)
	}
	for name, change := range map[string][2]string{"another site": {"site_url", "https://evil.test"}, "no site": {"site_url", ""}, "no user": {"user_login", ""},
		"two lines": {"user_login", "ana\r\nX: y"}, "no password": {"password", "short"}, "a no": {"success", "false"}} {
		came := url.Values{}
		for k, v := range good {
			came[k] = v
		}
		came.Set(change[0], change[1])
		var f *connectors.Fault
		if got, err := New().Authorized(asked, came); !errors.As(err, &f) || got != nil {
			t.Errorf("%s: %v is taken", name, got)
		}
	}
}

// Nobody is sent to say yes at another host than the one that they gave, nor asked for an answer that WordPress would not send.
func TestAPersonIsSentToTheGivenSiteOnly(t *testing.T) {
	t.Parallel()
	page := ""
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"namespaces":["wp/v2"],"authentication":{"application-passwords":{"endpoints":{"authorization":"` + page + `"}}}}`))
	}))
	t.Cleanup(site.Close)
	env := connectors.Environment{Dial: (&net.Dialer{}).DialContext}
	given := connectors.Settings{siteKey: site.URL}
	for _, bad := range []string{"https://evil.test/wp-admin/authorize-application.php", "javascript:alert(1)", ""} {
		page = bad
		if a, err := New().Authorize(t.Context(), given, env, "https://app.test/back"); err == nil {
			t.Errorf("%q leads to %s", bad, a.Address)
		}
	}
	page = site.URL + "/wp-admin/authorize-application.php"
	a, err := New().Authorize(t.Context(), given, env, "http://127.0.0.1:3010/back?state=x&y")
	if err != nil || a.ByHand != "" || !strings.Contains(a.Address, "success_url=http%3A%2F%2F127.0.0.1%3A3010%2Fback%3Fstate%3Dx%26y") {
		t.Errorf("%+v: %v", a, err)
	}
	elsewhere, _ := url.Parse("https://example.org")
	if sendsBack(elsewhere, "http://127.0.0.1:3010/back") || !sendsBack(elsewhere, "https://app.test/back") {
		t.Error("WordPress sends browsers back to https addresses only")
	}
}
