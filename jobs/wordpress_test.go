package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors/wordpress"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// blog is an office with a WordPress site for its service.
type blog struct {
	*office
	site  *wordpresstest.Site
	sn    store.Snapshot
	posts store.Table
}

// patient are times for a service that takes a while for each answer.
func patient() Timings {
	t := quick()
	t.Lease, t.Renew, t.Margin, t.Request, t.Slice = 60*time.Second, 5*time.Second, 5*time.Second, 40*time.Second, 30*time.Second
	return t
}

// newBlog is of a filled site with so many posts.
func newBlog(t *testing.T, posts int, as func(*wordpresstest.Site) *wordpresstest.Site) *blog {
	t.Helper()
	site := wordpresstest.New(t)
	wordpresstest.Fill(t, site, wordpresstest.Blog{Posts: posts})
	user := as(site)
	n := store.NewConnection{Connector: "wordpress", Name: "Blog", Settings: map[string]string{"site": user.URL, "user": user.User}, Secrets: map[string]string{"password": user.Password}}
	b := &blog{office: officeFor(t, wordpress.New(), n, patient()), site: site}
	b.sn = b.snapshotOf(t, "type/post", "taxonomy/category")
	b.posts = b.sn.Tables[0]
	return b
}

func (b *blog) column(t *testing.T, slug string) int {
	t.Helper()
	c, ok := b.posts.ColumnBySlug(slug)
	if !ok {
		t.Fatalf("no column %s in %+v", slug, b.posts.Columns)
	}
	return c.Number
}

func (b *blog) apply(t *testing.T, ch store.Changes, opts store.ChangeOptions) store.BatchResult {
	t.Helper()
	res, err := b.ApplyChanges(t.Context(), b.by, b.posts.Ref(), ch, opts)
	if err != nil || len(res.Refused) > 0 {
		t.Fatalf("%+v %v", res.Refused, err)
	}
	return res
}

func (b *blog) wantPublished(t *testing.T, p store.Plan, want int64) {
	t.Helper()
	if c := p.Counts; c.Published != want || c.Failed+c.Conflict+c.Unknown != 0 {
		items, _, _ := b.Items(t.Context(), b.by, b.sn.ID, p.ID, store.ItemsFilter{})
		for i, it := range items {
			if it.State != "published" && i < 20 {
				t.Logf("%s %s: %s", it.Op, it.State, it.Reason)
			}
		}
		t.Fatalf("published %+v, want %d", c, want)
	}
}

// TestABlogIsDownloadedEditedPublishedAndReverted goes the whole way on a real WordPress whose zone is not UTC, and asks its own
// database. WORDPRESS_POSTS=5000 does it with as many posts and tells the times.
func TestABlogIsDownloadedEditedPublishedAndReverted(t *testing.T) {
	t.Parallel()
	posts, err := strconv.Atoi(os.Getenv("WORDPRESS_POSTS"))
	if err != nil {
		posts = 130 // more than a page
	}
	began := time.Now()
	b := newBlog(t, posts, func(s *wordpresstest.Site) *wordpresstest.Site { return s })
	if n := b.posts.Counts.Records; n == nil || *n != int64(posts) {
		t.Fatalf("%v records, want %d", n, posts)
	}
	t.Logf("filled and downloaded in %s", time.Since(began))
	large := os.Getenv("WORDPRESS_POSTS") != ""
	if large {
		b.compareDownload(t)
	}
	before := b.site.Rows(t)
	ids := b.records(t, b.posts)
	changed, created, trashed := posts/5, 20, 10
	title, content, category := b.column(t, "title"), b.column(t, "content"), b.column(t, "categories")
	var ch store.Changes
	for i, id := range ids[:changed] {
		set := store.CellEdit{Record: id, Column: title, Value: core.TextValue(fmt.Sprintf(`Title "%d" & <b>more</b> \ é`, i))}
		switch i % 3 {
		case 1:
			set.Column, set.Value = content, core.TextValue(fmt.Sprintf("<!-- wp:paragraph -->\n<p>New %d</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:acme/unknown {\"n\":%d,\"html\":\"\\u003cb\\u003e\"} /-->", i, i))
		case 2:
			set.Column, set.Value = category, core.ListValue([]string{"2", "4"})
		}
		ch.Sets = append(ch.Sets, set)
	}
	b.apply(t, ch, store.ChangeOptions{Suggest: true, Reason: "better"})
	if res, err := b.AcceptSuggestions(t.Context(), b.by, b.posts.Ref(), store.Where{Filter: "true"}); err != nil || res.Cells != int64(changed) {
		t.Fatalf("accepted %+v: %v", res, err)
	}
	ch = store.Changes{}
	for i := range created {
		values := map[int]core.Value{title: core.TextValue("The same title"), content: core.TextValue("<p>new</p>")} // a create cannot be told by what it holds
		if i%2 == 0 {
			values[b.column(t, "status")] = core.TextValue("publish")
			values[category] = core.ListValue([]string{"3"})
		}
		ch.Creates = append(ch.Creates, store.NewRecord{Values: values})
	}
	for _, id := range ids[changed : changed+trashed] {
		ch.Deletes = append(ch.Deletes, store.RecordOp{Record: id})
	}
	b.apply(t, ch, store.ChangeOptions{})

	began = time.Now()
	p := b.publishAll(t, b.sn)
	t.Logf("published %d in %s", p.Counts.Published, time.Since(began))
	b.wantPublished(t, p, int64(changed+created+trashed))
	b.wantChanges(t, before, changed, created, trashed)

	began = time.Now()
	rev, err := b.Revert(t.Context(), b.by, b.sn.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	back := b.publishPlan(t, b.sn, rev.Plan)
	t.Logf("reverted %d in %s", back.Counts.Published, time.Since(began))
	b.wantPublished(t, back, int64(changed+created+trashed))
	if d := before.Differing(b.site.Rows(t)); len(d) != 0 {
		t.Errorf("after the revert the site differs: %v", d)
	}
	if d := b.site.SQL(t, "select count(*) from wp_posts where post_name like 'scratchpaper-%'"); d[0] != "0" {
		t.Errorf("%s unfinished drafts are left", d[0])
	}
	if large {
		b.comparePublish(t, ids[:changed])
	}
}

// wantChanges checks that exactly what was approved differs: one field of each changed post, and whole posts.
func (b *blog) wantChanges(t *testing.T, before wordpresstest.Rows, changed, created, trashed int) {
	t.Helper()
	after := b.site.Rows(t)
	count := map[string]int{}
	for _, fields := range before.Differing(after) {
		count[fields]++
	}
	if count["new"] != created || count["gone"] != trashed || count["title"] != (changed+2)/3 || count["content"] != (changed+1)/3 || count["title"]+count["content"]+count["terms"] > changed || len(count) != 5 {
		t.Errorf("the site differs in %v; %d posts were changed, %d created, %d deleted", count, changed, created, trashed)
	}
	for id, row := range after {
		if _, old := before[id]; !old && (row["title"] != "The same title" || row["content"] != "<p>new</p>" || row["status"] == "draft" && row["slug"] != "" || row["status"] == "publish" && !strings.HasPrefix(fmt.Sprint(row["slug"]), "the-same-title")) {
			t.Errorf("a created post is %v", row)
		}
	}
	if n := b.site.SQL(t, "select count(*) from wp_posts where post_type = 'post' and post_status = 'trash'"); n[0] != strconv.Itoa(trashed) {
		t.Errorf("%s posts are in the trash, want %d", n[0], trashed)
	}
}

// An author gets their own posts only; nobody else's posts count as deleted, and what may not be published is said.
func TestAnAuthorWorksOnTheirOwnPosts(t *testing.T) {
	t.Parallel()
	b := newBlog(t, 130, func(s *wordpresstest.Site) *wordpresstest.Site { return s.As(t, "ana") })
	before := b.site.Rows(t)
	mine := 0
	for _, row := range before {
		if row["type"] == "post" && fmt.Sprint(row["author"]) == "2" {
			mine++
		}
	}
	ids := b.records(t, b.posts)
	if len(ids) != mine {
		t.Fatalf("%d records, want %d", len(ids), mine)
	}
	sent := `<p onclick="x()">Hi & bye<script>alert(1)</script></p>`
	b.apply(t, store.Changes{Sets: []store.CellEdit{{Record: ids[1], Column: b.column(t, "content"), Value: core.TextValue(sent)}}}, store.ChangeOptions{})
	b.wantPublished(t, b.publishAll(t, b.sn), 1)
	// WordPress takes out what an author may not write; that is what the record holds now, and nothing is edited any more.
	rows, err := b.Rows(t.Context(), b.by, b.posts.Ref(), ids[1:2], store.RowOptions{})
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	at := slices.IndexFunc(b.posts.Columns, func(c core.Column) bool { return c.Slug == "content" })
	if got := rows[0].Values[at].Text; got != "<p>Hi &amp; byealert(1)</p>" || len(rows[0].Base) != 0 {
		t.Errorf("the content is %q, edited %v", got, rows[0].Base)
	}
	// One who may not edit these posts any more is told so, and no record leaves the snapshot.
	b.site.PHP(t, "(new WP_User(2))->set_role('contributor');")
	j, err := b.RefreshSnapshot(t.Context(), b.by, b.sn.ID, []string{b.posts.ID})
	if err != nil {
		t.Fatal(err)
	}
	j = b.ended(t, j.ID)
	if j.State != "failed" || !strings.Contains(j.Error.Sentence, "may not edit them any more") {
		t.Errorf("the refresh is %s: %+v", j.State, j.Error)
	}
	if n := len(b.records(t, b.posts)); n != mine {
		t.Errorf("%d records are left of %d", n, mine)
	}
}

// A password that is taken back in the middle stops the work with a sentence, and nothing looks deleted.
func TestAPasswordThatIsTakenBackIsNoEmptySite(t *testing.T) {
	t.Parallel()
	b := newBlog(t, 130, func(s *wordpresstest.Site) *wordpresstest.Site { return s.NewUser(t, "editor", "editor") })
	ids := b.records(t, b.posts)
	b.apply(t, store.Changes{Sets: []store.CellEdit{{Record: ids[0], Column: b.column(t, "title"), Value: core.TextValue("Not sent")}}}, store.ChangeOptions{})
	b.site.As(t, "editor").Revoke(t)
	j, err := b.RefreshSnapshot(t.Context(), b.by, b.sn.ID, []string{b.posts.ID})
	if err != nil {
		t.Fatal(err)
	}
	if j = b.ended(t, j.ID); j.State != "failed" || !strings.Contains(j.Error.Sentence, "does not know this user name with this application password") {
		t.Errorf("the refresh is %s: %+v", j.State, j.Error)
	}
	p, err := b.MakePlan(t.Context(), b.by, b.sn.ID, nil, store.Where{})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = b.StartPublish(t.Context(), b.by, b.sn.ID, p.ID, true, 0); err != nil {
		t.Fatal(err)
	}
	if j = b.ended(t, j.ID); j.State != "failed" || !strings.Contains(j.Error.Sentence, "does not know this user name with this application password") {
		t.Errorf("the publish is %s: %+v", j.State, j.Error)
	}
	if n := len(b.records(t, b.posts)); n != len(ids) {
		t.Errorf("%d records are left of %d", n, len(ids))
	}
}

func (o *office) ended(t *testing.T, id string) store.Job {
	t.Helper()
	for deadline := time.Now().Add(20 * o.options.Timings.Lease); ; {
		j, err := o.JobByID(t.Context(), o.by, id)
		if err != nil {
			t.Fatal(err)
		}
		if j.Ended() {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job is %s", j.State)
		}
		time.Sleep(20 * time.Millisecond) // polls until the condition holds
	}
}

// bare sends one request as the site's administrator, with nothing around it, and reads the answer.
func (b *blog) bare(t *testing.T, method, path string, body any) http.Header {
	t.Helper()
	raw, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(t.Context(), method, b.site.URL+"/wp-json"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(b.site.User, b.site.Password)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v", method, path, res.Status, err)
	}
	return res.Header
}

// compareDownload measures a download and what a bare client takes to read the same pages, in turns.
func (b *blog) compareDownload(t *testing.T) {
	t.Helper()
	const fields = "id,title.raw,status,date,author,content.raw,excerpt.raw,slug,featured_media,comment_status,ping_status,format,template,sticky,link,modified,categories,tags,modified_gmt"
	for round := range 3 {
		chosen := b.choose(t, "type/post")
		began := time.Now()
		sn := b.take(t, chosen)
		ours := time.Since(began)
		began = time.Now()
		for page, pages := 1, 1; page <= pages; page++ {
			h := b.bare(t, http.MethodGet, fmt.Sprintf("/wp/v2/posts?context=edit&status=publish,future,draft,pending,private&orderby=id&order=asc&per_page=100&page=%d&_fields=%s", page, fields), nil)
			pages, _ = strconv.Atoi(h.Get("X-WP-TotalPages"))
		}
		bare := time.Since(began)
		n := float64(*sn.Tables[0].Counts.Records)
		t.Logf("download %d: %.0f records/s (%s), bare %.0f (%s): %.0f %%", round, n/ours.Seconds(), ours, n/bare.Seconds(), bare, 100*bare.Seconds()/ours.Seconds())
	}
}

// comparePublish measures a publish of titles and what a bare client takes for the same, in turns.
func (b *blog) comparePublish(t *testing.T, ids []int64) {
	t.Helper()
	rows, err := b.Rows(t.Context(), b.by, b.posts.Ref(), ids, store.RowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		var ch store.Changes
		for _, id := range ids {
			ch.Sets = append(ch.Sets, store.CellEdit{Record: id, Column: b.column(t, "title"), Value: core.TextValue(fmt.Sprint("Round ", round))})
		}
		b.apply(t, ch, store.ChangeOptions{})
		began := time.Now()
		p := b.publishAll(t, b.sn)
		ours := time.Since(began)
		b.wantPublished(t, p, int64(len(ids)))
		began = time.Now()
		for part := range slices.Chunk(rows, 25) {
			var requests []map[string]any
			for _, r := range part {
				requests = append(requests, map[string]any{"method": "POST", "path": "/wp/v2/posts/" + r.RemoteID + "?_fields=id,title.raw", "body": map[string]any{"title": fmt.Sprint("Bare ", round)}})
			}
			b.bare(t, http.MethodPost, "/batch/v1", map[string]any{"requests": requests})
		}
		bare := time.Since(began)
		n := float64(len(ids))
		t.Logf("publish %d: %.0f records/s (%s), bare %.0f (%s): %.0f %%", round, n/ours.Seconds(), ours, n/bare.Seconds(), bare, 100*bare.Seconds()/ours.Seconds())
		if j, err := b.RefreshSnapshot(t.Context(), b.by, b.sn.ID, []string{b.posts.ID}); err != nil {
			t.Fatal(err)
		} else {
			b.wait(t, j.ID, "done")
		}
	}
}
