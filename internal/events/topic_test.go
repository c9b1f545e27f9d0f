package events

import (
	"slices"
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

func TestWhatConcernsOnePersonGoesToThatPersonAlone(t *testing.T) {
	t.Parallel()
	h := core.Hint{Org: "o", Person: "ana", Kind: "decision"}
	if got := addresses(h); len(got) != 1 || got[0] != mineOf("o", "ana") {
		t.Errorf("it goes to %v", got)
	}
	mine := connection{Subscription: Subscription{Org: "o", Person: "ana", Topics: []string{TopicMine}}}
	other := connection{Subscription: Subscription{Org: "o", Person: "bo", Topics: []string{TopicMine, TopicJobs}}}
	if !slices.Contains(mine.addresses(), mineOf("o", "ana")) || slices.Contains(other.addresses(), mineOf("o", "ana")) {
		t.Errorf("ana hears %v, bo %v", mine.addresses(), other.addresses())
	}
	if _, err := ParseTopics([]string{"mine:ana"}); core.CodeOf(err) != core.Invalid {
		t.Errorf("somebody else's topic can be named: %v", err)
	}
}
