package wordpress_test

import (
	"testing"

	"scratchpaper/connectors/wordpress/wordpresstest"
)

// Types ask for rights by names of their own: what an administrator may do to all of them is all.
func TestAnAdministratorMayDoAllThatTheSettingsAllow(t *testing.T) {
	t.Parallel()
	site := wordpresstest.Root(t)
	for _, tt := range []struct {
		deletes, table             string
		write, create, deleteThere bool
	}{
		{"", "type/post", true, true, true},
		{"", "type/page", true, true, true},
		{"", "type/wp_block", true, true, true},
		{"", "type/book", true, true, true},
		{"", "type/attachment", true, false, false},
		{"", "taxonomy/category", true, true, false},
		{"to the trash; for good where there is none", "taxonomy/post_tag", true, true, true},
		{"to the trash; for good where there is none", "type/attachment", true, false, true},
		{"", "users", true, false, false},
	} {
		settings := settingsOf(site)
		settings["deletes"] = tt.deletes
		table := tableOf(t, open(t, settings), tt.table)
		if table.Writable != tt.write || table.Creatable != tt.create || table.Deletable != tt.deleteThere {
			t.Errorf("%s: write %v (%s), create %v (%s), delete %v (%s)", tt.table, table.Writable, table.WhyNot, table.Creatable, table.WhyNoNew, table.Deletable, table.WhyNoDel)
		}
		if table.Creatable == (table.WhyNoNew != "") || table.Deletable == (table.WhyNoDel != "") {
			t.Errorf("%s: a right with a reason against it, or a refusal without one: %q, %q", tt.table, table.WhyNoNew, table.WhyNoDel)
		}
	}
}
