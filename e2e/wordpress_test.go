package e2e

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/connectors/wordpress/wordpresstest"
)

// wordpressSize is how large the site of the whole job is: small, or as WORDPRESS_POSTS and WORDPRESS_MEDIA say.
func wordpressSize() wordpresstest.Blog {
	size := wordpresstest.Blog{Posts: 150, Media: 6} // more than a page
	if n, err := strconv.Atoi(os.Getenv("WORDPRESS_POSTS")); err == nil {
		size.Posts, size.Media = n, n/25
	}
	if n, err := strconv.Atoi(os.Getenv("WORDPRESS_MEDIA")); err == nil {
		size.Media = n
	}
	return size
}

// eventually waits for a script to be true where more than a step is done.
func (b tab) eventually(what string, limit time.Duration, script string) {
	b.t.Helper()
	for until := time.Now().Add(limit); time.Now().Before(until); {
		if b.says(script) {
			return
		}
		time.Sleep(100 * time.Millisecond) // asks again until the condition holds
	}
	b.until(what, script)
}

// TestTheWholeJobOnWordPressInTheBrowser connects a real site as a person does, takes everything, changes a fifth of the posts by find and
// replace, creates and trashes some, publishes and reverts; WordPress' own database says that exactly what was approved differs, and then
// nothing. WORDPRESS_POSTS=5010 does it at that size, with 200 images and 1,002 changed posts, two of which are then among the ten that go.
func TestTheWholeJobOnWordPressInTheBrowser(t *testing.T) {
	t.Parallel()
	size := wordpressSize()
	site := wordpresstest.New(t)
	wordpresstest.Fill(t, site, size)
	site.Set(t, "wt_files", secureFiles(t, site))
	a := mustApp(t)
	b := mustTab(t, 1440, 900, chromedp.Flag("ignore-certificate-errors", true))
	limit := patience + time.Duration(size.Posts)*100*time.Millisecond
	began := time.Now()
	step := func(what string) {
		t.Logf("%s: %s", what, time.Since(began).Round(10*time.Millisecond))
		began = time.Now()
	}

	b.open(a.url)
	b.accessible("wordpress-form-empty", a.url+"/connections/new/wordpress")
	b.connectWordPress(a, site)
	b.accessibleAsItIs("wordpress-tables")
	b.until("the tables say how many records they have", fmt.Sprintf(`document.querySelector('[data-choose-table]').dataset.records === '%d'`, size.Posts))
	b.takeAllTables()
	b.eventually("the grid is shown", limit, `document.querySelector('`+firstRow+`')`)
	if tab := b.text(`document.querySelector('.tabs .tab[aria-current]')?.textContent`); !strings.Contains(tab, "Posts") {
		t.Errorf("the grid opens on %q", tab)
	}
	a.eventually("everything is downloaded", limit, func() bool { return len(field(a.call("GET", "/jobs?open=true", nil, 200), "items").([]any)) == 0 })
	b.eventually("the posts are counted", limit, counting("records", size.Posts))
	step("connected and downloaded")
	b.shot("wordpress-grid")
	b.tabTo("#grid", kb.F6)
	b.goTo(0, "Featured image")
	b.until("the featured images are pictures with titles", `[...document.querySelectorAll('#grid [role=gridcell] img.thumb')].some(i => i.naturalWidth > 0 && i.parentElement.textContent.includes('Picture'))`)
	b.shot("wordpress-featured")
	b.accessible("wordpress-posts", b.text("location.href"))
	before := site.Rows(t)

	changed := (size.Posts + 2) / 5
	b.replaceWhales(changed, limit)
	step("found, replaced and accepted")
	const created, trashed = 20, 10
	b.createPosts(created)
	b.trashPosts(trashed)
	step("created and deleted")

	b.publishWhole("wordpress", limit)
	step("published")
	wantWhales(t, site, before, changed, created, trashed)

	b.click("#revert")
	b.until("the inverse plan is shown", `document.querySelector('#publish') && document.readyState === 'complete'`)
	if b.says(`document.querySelector('#deletes')`) {
		b.click("#deletes")
	}
	b.accessibleAsItIs("wordpress-revert-plan")
	b.click("#publish")
	b.eventually("the revert is done", limit, `document.querySelector('#revert')`)
	step("reverted")
	b.accessibleAsItIs("wordpress-reverted")
	if d := before.Differing(site.Rows(t)); len(d) != 0 {
		t.Errorf("after the revert the site differs: %v", d)
	}
	if d := site.SQL(t, "select count(*) from wp_posts where post_name like 'scratchpaper-%'"); d[0] != "0" {
		t.Errorf("%s unfinished drafts are left", d[0])
	}
}

// secureFiles gives an https address at which the site's files are: pages load pictures from no other.
func secureFiles(t *testing.T, site *wordpresstest.Site) string {
	t.Helper()
	to, err := url.Parse(site.Server())
	if err != nil {
		t.Fatal(err)
	}
	files := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(files.Close)
	return files.URL
}

// counting is true when the page counts something so often.
func counting(name string, n int) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-count="%s"]')].some(e => e.textContent.replace(/,/g, '').trim() === '%d')`, name, n)
}

// connectWordPress goes the way from the gallery to a saved connection.
func (b tab) connectWordPress(a *app, site *wordpresstest.Site) {
	b.t.Helper()
	b.open(a.url + "/connections/new")
	b.shot("wordpress-gallery")
	b.click(`a[href="/connections/new/wordpress"]`)
	b.until("the form is shown", `document.querySelector('#connection-form [name=site]')`)
	for _, f := range [][2]string{{"name", "Blog"}, {"site", site.URL}, {"user", site.User}, {"password", site.Password}} {
		b.click(`#connection-form [name=` + f[0] + `]`)
		b.keys(f[1])
	}
	b.click(`#connection-form button[value=test]`)
	b.until("it works", `document.querySelector('#connection-form').innerText.includes('It works')`)
	b.accessibleAsItIs("wordpress-form")
	b.click(`#connection-form [name=password]`)
	b.press(kb.Enter) // saves, though the first button on the form leads to the site
	b.until("the tables are shown", `location.pathname === '/snapshots/new' && document.querySelector('[name=table]')`)
}

// takeAllTables takes what can be taken.
func (b tab) takeAllTables() {
	b.t.Helper()
	b.until("all can be chosen at once", `document.querySelector('[data-choose-all]:not([hidden])')`)
	b.click("[data-choose-all]")
	b.click(`form[data-choose] button:not([type=button])`)
}

// replaceWhales makes suggestions by find and replace in the contents, and accepts them all.
func (b tab) replaceWhales(changed int, limit time.Duration) {
	b.t.Helper()
	b.click(`[data-do=replace]`)
	b.until("the dialog is open", `document.querySelector('#replace').open && document.activeElement.name === 'what'`)
	b.keys("the whale" + kb.Tab + "the great whale & \"more\"")
	b.until("it says how many", fmt.Sprintf(`document.querySelector('#replace [data-submit]:not([disabled])')?.textContent.replace(/,/g, '') === 'Suggest %d'`, changed))
	b.shot("wordpress-replace")
	b.click(`#replace [data-submit]`)
	b.eventually("all are suggested", limit, counting("suggestions", changed))
	b.until("it goes to the first", `document.querySelector('#review:not([hidden])')`)
	b.shot("wordpress-suggestions")
	b.click(`#review [data-do=accept-all]`)
	b.eventually("all are accepted", limit, counting("edits", changed))
	b.shot("wordpress-accepted")
}

// createPosts pastes titles past the last row.
func (b tab) createPosts(n int) {
	b.t.Helper()
	b.tabTo("#grid", kb.F6)
	b.goTo(0, "Title")
	column := b.text(`document.querySelector('#grid-active').dataset.c`)
	b.press(kb.ArrowDown, chromedp.ModifierCtrl)
	b.until("it stands at the end", `!document.querySelector('#grid-active')?.closest('.r').nextElementSibling && document.querySelector('#grid-active').dataset.c === '`+column+`'`)
	last := b.text(`document.querySelector('#grid-active').textContent`)
	lines := last
	for i := range n {
		lines += fmt.Sprintf("\nThe same title %d", i%2) // a create cannot be told by what it holds
	}
	b.paste(lines)
	b.until("it offers to create", fmt.Sprintf(`/%d records more/.test(document.querySelector('#more-rows[open]')?.innerText)`, n))
	b.shot("wordpress-paste")
	b.click(`#more-rows button[value=create]`)
	b.until("they are created here", counting("created", n))
}

// trashPosts deletes the first records.
func (b tab) trashPosts(n int) {
	b.t.Helper()
	b.tabTo("#grid", kb.F6)
	b.goTo(0, "Title")
	b.press(" ", chromedp.ModifierShift)
	for range n - 1 {
		b.press(kb.ArrowDown, chromedp.ModifierShift)
	}
	item := `[...document.querySelectorAll('[role=menuitem]')].find(i => i.textContent.startsWith('Delete ` + fmt.Sprint(n) + ` records'))`
	b.until("the menu is open", item+` || (document.querySelector('#grid-active').dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true, clientX: 400, clientY: 200 })), `+item+`)`) // a scroll that goes on closes it
	b.text(item + `.click()`)
	b.until("they are deleted here", counting("deleted", n))
	b.shot("wordpress-edited")
}

// publishWhole makes a plan of everything, looks at its forecast, ticks its deletes and publishes it.
func (b tab) publishWhole(name string, limit time.Duration) {
	b.t.Helper()
	b.click(`form[action$="/plans"] button`)
	b.eventually("the plan is shown", limit, `location.pathname.includes('/plans/') && document.querySelector('#publish') && document.readyState === 'complete'`)
	b.until("it forecasts", `/requests?/.test(document.querySelector('#publish-form')?.innerText)`)
	b.until("it says what the deletes do", `document.querySelector('[data-effects]')?.innerText.includes('trash')`)
	b.click("#deletes")
	b.accessibleAsItIs(name + "-plan")
	b.click("#publish")
	b.until("the publish goes on", `document.querySelector('progress, #revert')`)
	b.shot(name + "-publishing")
	b.eventually("the publish is done", limit, `document.querySelector('#revert')`)
	b.accessibleAsItIs(name + "-published")
}

// wantWhales checks in WordPress' database that exactly what was approved differs.
func wantWhales(t *testing.T, site *wordpresstest.Site, before wordpresstest.Rows, changed, created, trashed int) {
	t.Helper()
	after := site.Rows(t)
	count := map[string]int{}
	for id, fields := range before.Differing(after) {
		count[fields]++
		was, now := before[id], after[id]
		if fields == "content" && now["content"] != strings.ReplaceAll(fmt.Sprint(was["content"]), "the whale", `the great whale & "more"`) {
			t.Errorf("the post %s holds %q", id, now["content"])
		}
		if fields == "new" && (now["type"] != "post" || now["status"] != "draft" || !strings.HasPrefix(fmt.Sprint(now["title"]), "The same title")) {
			t.Errorf("a created post is %v", now)
		}
	}
	gone := 0 // of those that were to be changed
	for id, row := range before {
		if _, there := after[id]; !there && strings.Contains(fmt.Sprint(row["content"]), "the whale") {
			gone++
		}
	}
	if count["content"] != changed-gone || count["new"] != created || count["gone"] != trashed || len(count) != 3 {
		t.Errorf("the site differs in %v; %d posts were changed, %d created, %d deleted", count, changed, created, trashed)
	}
	if n := site.SQL(t, "select count(*) from wp_posts where post_type = 'post' and post_status = 'trash'"); n[0] != strconv.Itoa(trashed) {
		t.Errorf("%s posts are in the trash, want %d", n[0], trashed)
	}
}
