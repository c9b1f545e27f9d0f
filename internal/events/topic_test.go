package events

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"scratchpaper/internal/core"
)

func TestTopicsAreReadStrictly(t *testing.T) {
	t.Parallel()
	got, err := ParseTopics([]string{"snapshot:snp_1", "org-jobs", "job:job_2", "snapshot:snp_1"})
	want := []Topic{{Name: "snapshot:snp_1", Snapshot: "snp_1"}, {Name: "org-jobs"}, {Name: "job:job_2", Job: "job_2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "snapshot:", "snapshot:a\nb", "table:x", "job:a:b", "Snapshot:x"} {
		if _, err := ParseTopics([]string{bad}); core.CodeOf(err) != core.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
