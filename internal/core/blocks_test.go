package core

import (
	"strings"
	"testing"
)

func TestAnEditThatBreaksABlockIsSaid(t *testing.T) {
	t.Parallel()
	const before = "<!-- wp:group {\"a\":{\"b\":1}} -->\n<div><!-- wp:paragraph -->\n<p>x</p>\n<!-- /wp:paragraph --></div>\n<!-- /wp:group -->\n<!-- wp:acme/unknown {\"html\":\"\\u003cb\\u003e\"} /-->"
	for _, tt := range []struct{ after, note string }{
		{before, ""},
		{strings.Replace(before, "<p>x</p>", "<p>other</p>", 1), ""},
		{before + "\n<!-- wp:more -->\n<!--more-->\n<!-- /wp:more -->", ""},
		{strings.Replace(before, "<!-- /wp:paragraph -->", "", 1), "The block paragraph of line 2 is not ended before group ends in line 5"},
		{strings.Replace(before, "<!-- /wp:group -->", "", 1), "The block group of line 1 is not ended"},
		{strings.Replace(before, "<!-- wp:paragraph -->", "", 1), "The block group of line 1 is not ended before paragraph ends in line 4"},
		{"<p>x</p>\n<!-- /wp:paragraph -->", "The block paragraph ends in line 2 and begins nowhere"},
		{strings.Replace(before, `{"a":{"b":1}}`, `{"a":{"b":1}`, 1), "The settings of the block group in line 1"},
		{before + "\n<!-- wp:paragraph ->\n<p>", "has no end"},
		{"<p>x</p>", "are all gone"},
		{"", "are all gone"},
	} {
		if got := FormatNote(FormatBlocks, before, tt.after); tt.note == "" && got != "" || !strings.Contains(got, tt.note) {
			t.Errorf("%q: %q, want %q", tt.after, got, tt.note)
		}
		if got := FormatNote(FormatHTML, before, tt.after); got != "" {
			t.Errorf("of a text without blocks it is said: %q", got)
		}
	}
	if got := FormatNote(FormatBlocks, "<!-- wp:a -->", "<!-- wp:a -->x"); got != "" {
		t.Errorf("what was broken before is no edit's fault: %q", got)
	}
}
