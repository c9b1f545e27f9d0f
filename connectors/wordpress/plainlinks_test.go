package wordpress_test

import (
	"fmt"
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/misbehave"
	"scratchpaper/connectors/wordpress"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/core"
)

// writes makes writes of titles; creates have tokens.
func writes(ids []string, title string, token string) []connectors.Write {
	out := make([]connectors.Write, len(ids))
	for i, id := range ids {
		out[i] = connectors.Write{ID: id, Values: map[string]core.Value{"title": core.TextValue(fmt.Sprintf(`%s %d & "more"`, title, i))}}
		if token != "" {
			out[i].Token = fmt.Sprint(token, i)
		}
	}
	return out
}

func idsOf(t testing.TB, outcomes []connectors.Outcome, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(outcomes))
	for i, o := range outcomes {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		out[i] = o.ID
	}
	return out
}

// A site whose addresses have no names, only numbers, is written to in every way: together, one by one, created in two steps, deleted.
func TestASiteWithPlainLinksIsWrittenTo(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	site.PlainLinks(t)
	ids := site.Insert(t, map[string]any{"post_title": "a"}, map[string]any{"post_title": "b"}, map[string]any{"post_title": "c"})
	s := open(t, settingsOf(site))
	posts := tableOf(t, s, "type/post")

	outcomes, err := s.Update(t.Context(), posts, writes(ids[:2], "Together", ""))
	idsOf(t, outcomes, err)
	outcomes, err = s.Update(t.Context(), posts, writes(ids[2:], "Alone", ""))
	idsOf(t, outcomes, err)
	creates := writes(make([]string, 2), "New", "plain-")
	outcomes, err = s.(connectors.Creator).Create(t.Context(), posts, creates)
	for i, id := range idsOf(t, outcomes, err) {
		creates[i].ID = id
	}
	outcomes, err = s.(connectors.Finisher).Finish(t.Context(), posts, creates)
	idsOf(t, outcomes, err)
	outcomes, err = s.(connectors.Deleter).Delete(t.Context(), posts, []connectors.Write{{ID: ids[0]}})
	idsOf(t, outcomes, err)

	got := strings.Join(site.SQL(t, "select post_title, post_status, post_name from wp_posts where post_type = 'post' and post_status <> 'auto-draft' order by id"), "|")
	want := "Together 0 & \"more\"\ttrash\t__trashed|Together 1 & \"more\"\tdraft\t|Alone 0 & \"more\"\tdraft\t|New 0 & \"more\"\tdraft\t|New 1 & \"more\"\tdraft\t"
	if got != want {
		t.Errorf("the site holds %q, want %q", got, want)
	}
}

// Creates whose answers were lost are looked for together, and found.
func TestLostCreatesAreLookedForTogether(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	proxy := misbehave.Start(t, site.Server(), site.Password)
	s, err := wordpress.New().Open(t.Context(), settingsOf(site), connectors.Environment{Dial: proxy.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	posts := tableOf(t, s, "type/post")
	creates := writes(make([]string, 20), "Lost", "lost-")
	proxy.Do(misbehave.Fault{Act: misbehave.Cut, When: misbehave.Writing, After: true})
	if _, err := s.(connectors.Creator).Create(t.Context(), posts, creates); err == nil {
		t.Fatal("an answer that was cut is an answer")
	}
	proxy.Settle()
	proxy.Forget()
	for i := range creates {
		creates[i].Repeat = true
	}
	outcomes, err := s.(connectors.Creator).Create(t.Context(), posts, creates)
	ids := idsOf(t, outcomes, err)
	for _, o := range outcomes {
		if !o.Existing {
			t.Errorf("%s was made once more", o.ID)
		}
	}
	if n := len(proxy.Requests()); n != 1 {
		t.Errorf("%d requests looked for %d creates", n, len(ids))
	}
	if n := site.SQL(t, "select count(*) from wp_posts where post_type = 'post'"); n[0] != fmt.Sprint(len(creates)) {
		t.Errorf("%s posts are there", n[0])
	}
}
