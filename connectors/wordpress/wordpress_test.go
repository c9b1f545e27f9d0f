package wordpress_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/connectortest"
	"scratchpaper/connectors/misbehave"
	"scratchpaper/connectors/wordpress"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/core"
)

func TestWordPressIsAConnector(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	var users atomic.Int64
	connectortest.Run(t, connectortest.Harness{
		Connector:  wordpress.New(),
		Settings:   settingsOf(site),
		Credential: "password",
		HTTP:       site.Server(),
		Writing: func(r *http.Request) bool {
			return misbehave.Writing(r) && !strings.HasSuffix(r.URL.Path, "/xmlrpc.php")
		},
		Patience: 3 * time.Second,
		Thin:     true, // a request of WordPress takes a tenth of a second of a processor
		Revocable: func(t *testing.T) (connectors.Settings, func()) {
			login := fmt.Sprint("editor", users.Add(1))
			editor := site.NewUser(t, login, "editor")
			return settingsOf(editor), func() { editor.Revoke(t) }
		},
		NewTable: func(t *testing.T, records int) connectortest.Fixture { return newThings(t, site, records) },
	})
	t.Cleanup(func() {
		if left := site.SQL(t, "select id, post_type from wp_posts where post_name like 'scratchpaper-%'"); len(left) > 0 {
			t.Errorf("unfinished drafts are left: %q", left)
		}
	})
}

func settingsOf(site *wordpresstest.Site) connectors.Settings {
	return connectors.Settings{"site": site.URL, "user": site.User, "password": site.Password}
}

func open(t testing.TB, settings connectors.Settings) connectors.Session {
	t.Helper()
	s, err := wordpress.New().Open(t.Context(), settings, connectors.Environment{Dial: (&net.Dialer{}).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func tableOf(t testing.TB, s connectors.Session, id string) connectors.Table {
	t.Helper()
	table, err := s.Table(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func faultOf(t testing.TB, err error) *connectors.Fault {
	t.Helper()
	var f *connectors.Fault
	if !errors.As(err, &f) {
		t.Fatalf("%v is not a Fault", err)
	}
	return f
}

// things is a custom type.
type things struct {
	site *wordpresstest.Site
	name string
}

func newThings(t *testing.T, site *wordpresstest.Site, records int) connectortest.Fixture {
	t.Helper()
	th := &things{site, site.NewType(t)}
	f := connectortest.Fixture{
		Table: "type/" + th.name, Text: "title", Other: "excerpt",
		Edges: edges(t, site), RefusedField: "status", RefusedValue: core.TextValue("nonsense"), RefusedWords: "is not one of publish",
		Normalised: []connectortest.Normalised{{Field: "slug", Sent: core.TextValue("Möbius Post!"), Stored: core.TextValue("mobius-post")}},
		New: func(n int) map[string]core.Value {
			return map[string]core.Value{"title": core.TextValue(fmt.Sprint("created ", n)), "content": core.TextValue("<p>x</p>"), "status": core.TextValue("publish"), "meta.isbn": core.TextValue("978")}
		},
		Service: th,
	}
	var posts []map[string]any
	for i := range records {
		posts = append(posts, th.post(fmt.Sprint("thing ", i)))
	}
	f.IDs = site.Insert(t, posts...)
	// What was saved a while ago has a version that stays.
	site.SQL(t, "update wp_posts set post_modified = '2026-01-02 03:04:05', post_modified_gmt = '2026-01-02 03:04:05' where post_type = "+wordpresstest.Quote(th.name))
	return f
}

func (th *things) post(title string) map[string]any {
	return map[string]any{"post_type": th.name, "post_title": title, "post_content": "<p>x</p>", "post_status": "publish"}
}

func edges(t *testing.T, site *wordpresstest.Site) map[string][]core.Value {
	t.Helper()
	values := func(texts ...string) []core.Value {
		var list []core.Value
		for _, v := range texts {
			list = append(list, core.TextValue(v))
		}
		return list
	}
	var ids struct{ Image, Parent, Novel, Poem string }
	site.JSON(t, `$ids = ['Image' => (string) wp_insert_attachment(['post_title' => 'image', 'post_mime_type' => 'image/png'], 'a.png')];
		foreach (['Novel', 'Poem'] as $name) { $term = term_exists($name, 'genre') ?: wp_insert_term($name, 'genre'); $ids[$name] = (string) $term['term_id']; }
		return $ids;`, &ids)
	return map[string][]core.Value{
		"title":          values("", "x", `"quotes" & 'more' \ \\ \n`, "<b>bold</b> & <i>x</i> &amp;", "é\u0301 🙂", "'; drop table x; --", strings.Repeat("long ", 200)+"end"), // WordPress takes no record whose texts are all empty
		"content":        values("", "  spaces \t\r\n", "<!-- wp:paragraph -->\n<p>a & b</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:unknown/block {\"a\":\"\\u003cb\\u003e\",\"n\":[1,2.50]} /-->\n", "<script>alert(1)</script>[gallery ids=\"1,2\"]", "\\ \\\\ %s"),
		"excerpt":        values("", "an <em>excerpt</em>", "two\nlines"),
		"status":         values("draft", "pending", "private", "publish"),
		"date":           values("2026-03-29T02:30:00", "1999-12-31T23:59:59", "2026-11-24T08:00:00"),
		"menu_order":     values("0", "-3", "12"),
		"featured_media": {core.TextValue(ids.Image), core.NullValue},
		"genres":         {core.ListValue([]string{ids.Novel, ids.Poem}), core.ListValue(nil)},
		"meta.isbn":      values("", "978-3", `"\ '`),
		"meta.pages":     values("0", "-1", "9007199254740993"),
		"meta.price":     values("0.1", "19.99", "-1.5", "0"),
		"meta.in_print":  values("true", "false"),
		"meta.editions":  values("[1,2,3]", "[]", "[7]"),
		"meta.size":      values(`{"height":2,"width":1.5}`),
		"slug":           values("a-slug", "another"),
	}
}

func (th *things) Add(t *testing.T, text string) string {
	t.Helper()
	return th.site.Insert(t, th.post(text))[0]
}

func (th *things) Set(t *testing.T, id, field, value string) {
	t.Helper()
	th.site.JSON(t, fmt.Sprintf("return wp_update_post(wp_slash(['ID' => %s, 'post_%s' => json_decode('%s')]));", id, field, jsonText(value)), new(int))
}

func jsonText(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(fmt.Sprintf("%q", s), `\`, `\\`), "'", `\'`)
}

func (th *things) Remove(t *testing.T, id string) {
	t.Helper()
	th.site.PHP(t, "wp_delete_post("+id+", true);")
}

func (th *things) Get(t *testing.T, id, field string) (string, bool) {
	t.Helper()
	got := th.site.SQL(t, fmt.Sprintf("select to_base64(post_%s) from wp_posts where id = %s and post_status <> 'trash' and post_name not like 'scratchpaper-%%'", field, id))
	if len(got) == 0 {
		return "", false
	}
	return decode(t, strings.Join(got, "")), true
}

func (th *things) Count(t *testing.T) int {
	t.Helper()
	return len(th.site.SQL(t, "select id from wp_posts where post_status <> 'trash' and post_name not like 'scratchpaper-%' and post_type = "+wordpresstest.Quote(th.name)))
}
