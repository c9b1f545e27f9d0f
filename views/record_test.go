package views

import (
	"testing"

	"scratchpaper/internal/core"
)

func TestTheChoicesOfAConflictSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state        core.RecordState
		column       int
		mine, theirs string
	}{
		{core.Existing, 3, "Keep mine", "Take theirs"},
		{core.Existing, 0, "Create it again", "Delete it here too"}, // deleted there, edited here
		{core.Deleted, 0, "Delete it all the same", "Keep it, as changed there"},
	} {
		p := RecordPanel{Row: GridRow{State: c.state}}
		if mine, theirs := p.settleWords(c.column); mine != c.mine || theirs != c.theirs {
			t.Errorf("of a record in state %d, column %d: %q and %q", c.state, c.column, mine, theirs)
		}
	}
}
