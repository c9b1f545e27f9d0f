package wordpresstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Rows are posts of any type as WordPress' database holds them, by id.
type Rows map[string]map[string]any

// rowFields are the fields of a row that are compared.
var rowFields = []string{"title", "content", "excerpt", "slug", "status", "author", "date", "gmt", "parent", "order", "comments", "pings", "password", "type", "guid", "terms", "meta"}

// Rows gives all posts outside the trash, without what WordPress keeps for itself: when a post was saved, the date of drafts (which moves
// with each save until somebody sets it, and which the trash sets), and what it noted of a stay in the trash.
func (s *Site) Rows(t testing.TB) Rows {
	t.Helper()
	out := Rows{}
	for _, line := range s.SQL(t, `set session group_concat_max_len = 1000000;
		select json_object('id', id, 'title', post_title, 'content', post_content, 'excerpt', post_excerpt, 'slug', post_name, 'status', post_status,
		'author', post_author, 'date', if(post_status = 'draft', 'floating', post_date), 'gmt', if(post_status = 'draft', 'floating', post_date_gmt), 'parent', post_parent, 'order', menu_order, 'comments', comment_status,
		'pings', ping_status, 'password', post_password, 'type', post_type, 'guid', guid,
		'terms', (select group_concat(term_taxonomy_id order by 1) from wp_term_relationships where object_id = id),
		'meta', (select group_concat(concat(meta_key, '=', meta_value) order by meta_key, meta_id) from wp_postmeta where post_id = id and meta_key not like '\\_wp\\_trash\\_%' and meta_key not in ('_wp_old_slug', '_wp_desired_post_slug')))
		from wp_posts where post_type not in ('revision') and post_status not in ('trash', 'auto-draft')`) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out[fmt.Sprint(row["id"])] = row
	}
	return out
}

// Differing gives, by post, the fields in which b differs, with spaces between; "new" and "gone" for whole posts.
func (a Rows) Differing(b Rows) map[string]string {
	out := map[string]string{}
	for id, was := range a {
		now, there := b[id]
		if !there {
			out[id] = "gone"
			continue
		}
		var fields []string
		for _, f := range rowFields {
			if fmt.Sprint(was[f]) != fmt.Sprint(now[f]) {
				fields = append(fields, f)
			}
		}
		if fields != nil {
			out[id] = strings.Join(fields, " ")
		}
	}
	for id := range b {
		if _, there := a[id]; !there {
			out[id] = "new"
		}
	}
	return out
}
