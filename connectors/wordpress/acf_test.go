package wordpress_test

import (
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/core"
)

// Custom fields as ACF's documentation describes them are columns by their types; a write sends what changed, with the required ones that
// ACF wants in each, and never in a batch.
func TestCustomFieldsOfACFAreReadAndWritten(t *testing.T) {
	t.Parallel()
	site := wordpresstest.New(t)
	site.Set(t, "wt_acf", "1")
	ids := site.Insert(t, map[string]any{"post_type": "book", "post_title": "One"}, map[string]any{"post_type": "book", "post_title": "Two"}, map[string]any{"post_title": "A post"})
	site.PHP(t, `foreach ([`+ids[0]+`, `+ids[1]+`] as $id) { foreach (['subtitle' => 'It\'s "first"', 'code' => 'C-1', 'rating' => 4.5, 'hero' => 12, 'promoted' => true, 'mood' => 'calm', 'shelf' => 'upper',
		'launch' => '20260102', 'related' => [3, 1]] as $k => $v) { update_post_meta($id, "acf_$k", wp_slash(json_encode($v))); } }`)
	s := open(t, settingsOf(site))
	books := tableOf(t, s, "type/book")
	fields := map[string]connectors.Field{}
	for _, f := range books.Columns {
		if strings.HasPrefix(f.ID, "acf.") {
			fields[f.ID] = f
		}
	}
	for id, want := range map[string]core.ColumnType{"acf.subtitle": core.Text, "acf.rating": core.Number, "acf.hero": core.Number, "acf.promoted": core.Checkbox, "acf.mood": core.Choice,
		"acf.shelf": core.Choice, "acf.launch": core.Text, "acf.site": core.URL, "acf.related": core.JSON} {
		if f := fields[id]; f.Type != want || !f.Writable || want == core.Choice && len(f.Options.Choices) != 2 {
			t.Errorf("%s is %+v, want a %s", id, f, want)
		}
	}
	asked := []string{"acf.subtitle", "acf.rating", "acf.promoted", "acf.mood", "acf.shelf", "acf.related", "acf.site"}
	held := func() string {
		records, err := s.(connectors.BatchReader).Current(t.Context(), books, asked, ids[:1])
		if err != nil || len(records) != 1 {
			t.Fatal(records, err)
		}
		var out []string
		for _, v := range records[0].Values {
			if v.IsNull() {
				out = append(out, "null")
			} else {
				out = append(out, v.Plain())
			}
		}
		return strings.Join(out, "|")
	}
	if got := held(); got != `It's "first"|4.5|true|calm|upper|[3,1]|null` {
		t.Errorf("the record holds %s", got)
	}
	outcomes, err := s.Update(t.Context(), books, []connectors.Write{
		{ID: ids[0], Values: map[string]core.Value{"acf.subtitle": core.TextValue(`\ "new" é`), "acf.rating": core.NullValue, "acf.mood": core.TextValue("bright"), "acf.shelf": core.NullValue}},
		{ID: ids[1], Values: map[string]core.Value{"title": core.TextValue("Two, changed")}},
	})
	idsOf(t, outcomes, err)
	if got := held(); got != `\ "new" é|null|true|bright|null|[3,1]|null` {
		t.Errorf("after the write the record holds %s", got)
	}
	came := site.SQL(t, "select post_id, meta_value from wp_postmeta where meta_key = 'acf_came' order by meta_id")
	if len(came) != 1 || !strings.HasPrefix(came[0], ids[0]+"\t") || len(strings.Fields(came[0])) != 6 || strings.Contains(came[0], "batch") || !strings.Contains(came[0], "code") {
		t.Errorf("what came with the writes: %q", came)
	}
	if code := site.SQL(t, "select meta_value from wp_postmeta where meta_key = 'acf_code' and post_id = "+ids[0]); len(code) != 1 || code[0] != `"C-1"` {
		t.Errorf("the required field is %q", code)
	}
	for _, f := range tableOf(t, s, "type/post").Columns {
		if strings.HasPrefix(f.ID, "acf") {
			t.Errorf("a type without a group has the column %s", f.ID)
		}
	}
}
