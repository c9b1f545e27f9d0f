package wordpresstest_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"scratchpaper/connectors/wordpress/wordpresstest"
)

func TestEachSiteIsOfItsOwnAndAnswers(t *testing.T) {
	t.Parallel()
	one, two := wordpresstest.New(t), wordpresstest.New(t)
	one.Insert(t, map[string]any{"post_title": `It's "only" here \ there`, "post_content": "x", "post_status": "publish"})
	if got := one.SQL(t, "select post_title from wp_posts"); len(got) != 1 || got[0] != `It's "only" here \ there` {
		t.Errorf("the first site holds %q", got)
	}
	if got := two.SQL(t, "select post_title from wp_posts"); len(got) != 0 {
		t.Errorf("the second site holds %q", got)
	}
	author := one.NewUser(t, "ana", "author")
	for _, site := range []*wordpresstest.Site{one, two, author, wordpresstest.Root(t)} {
		if code := status(t, site, "/wp-json/wp/v2/users/me?context=edit"); code != http.StatusOK {
			t.Errorf("%s at %s: %d", site.User, site.URL, code)
		}
	}
	one.PlainLinks(t)
	if code := status(t, one, "/?rest_route=/wp/v2/users/me&context=edit"); code != http.StatusOK {
		t.Errorf("with plain links: %d", code)
	}
	author.Revoke(t)
	if code := status(t, author, "/?rest_route=/wp/v2/users/me&context=edit"); code != http.StatusUnauthorized {
		t.Errorf("with a revoked password: %d", code)
	}
	if code := status(t, two, "/wp-admin/css/login.min.css"); code != http.StatusOK {
		t.Errorf("a file: %d", code)
	}
}

func status(t *testing.T, site *wordpresstest.Site, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(site.User, site.Password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestASiteToLookAt keeps a site for as long as WORDPRESS_HOLD says, to try things by hand and in the browser.
func TestASiteToLookAt(t *testing.T) {
	hold, err := time.ParseDuration(os.Getenv("WORDPRESS_HOLD"))
	if err != nil {
		t.Skip("WORDPRESS_HOLD=1h keeps a site for an hour")
	}
	site := wordpresstest.New(t)
	fmt.Printf("site %s\nuser %s\npassword %s\n", site.URL, site.User, site.Password)
	time.Sleep(hold) // a person looks at it
}
