package store

import (
	"fmt"
	"maps"
	"testing"
)

func TestAsFewReferencesAsCirclesTakeAreSentLater(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		waits []wait
		want  map[int64][]int
	}{
		"a chain":                         {[]wait{{2, 1, 5, false}, {3, 2, 5, false}}, nil},
		"two":                             {[]wait{{1, 2, 5, false}, {2, 1, 5, false}}, map[int64][]int{1: {5}}},
		"itself":                          {[]wait{{1, 1, 5, false}}, map[int64][]int{1: {5}}},
		"what leads to it and from it":    {[]wait{{9, 1, 5, false}, {1, 2, 5, false}, {2, 1, 5, false}, {2, 8, 6, false}}, map[int64][]int{1: {5}}},
		"one column of two":               {[]wait{{1, 2, 5, false}, {1, 3, 6, true}, {2, 1, 5, false}}, map[int64][]int{1: {5}}},
		"a required one":                  {[]wait{{1, 2, 5, true}, {2, 1, 6, false}}, map[int64][]int{2: {6}}},
		"only required ones":              {[]wait{{1, 2, 5, true}, {2, 1, 6, true}}, nil},
		"what waits for what is not here": {[]wait{{1, 2, 5, false}, {2, 1, 5, false}, {2, 0, 6, false}}, nil},
		"two circles":                     {[]wait{{1, 2, 5, false}, {2, 1, 5, false}, {3, 4, 5, false}, {4, 3, 5, false}}, map[int64][]int{1: {5}, 3: {5}}},
		"two circles that share one":      {[]wait{{1, 2, 5, false}, {2, 1, 5, false}, {2, 3, 6, false}, {3, 2, 5, false}}, map[int64][]int{1: {5}, 2: {6}}},
	} {
		if got := circleBreaks(test.waits); !maps.EqualFunc(got, test.want, func(a, b []int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestManyRecordsOfOneParentAndManyCirclesAreQuick(t *testing.T) {
	t.Parallel()
	const many = 30_000 // what grows with the square would take minutes
	var waits []wait
	for i := int64(1); i <= many; i++ {
		waits = append(waits, wait{1_000_000 + i, 1, 5, false}, wait{2_000_000 + i, 3_000_000 + i, 5, false}, wait{3_000_000 + i, 2_000_000 + i, 5, false})
	}
	if got := len(circleBreaks(waits)); got != many {
		t.Errorf("%d are sent later, want %d", got, many)
	}
	levels := deleteLevels(waits)
	if one, child, circle := levels[1], levels[1_000_001], levels[2_000_001]; one != 1 || child != 2 || circle != 3 {
		t.Errorf("the levels are %d, %d and %d", one, child, circle)
	}
}

func TestACircleOfDeletesSharesNoLevelWithWhatWaitsForNothing(t *testing.T) {
	t.Parallel()
	levels := deleteLevels([]wait{{5, 6, 1, false}, {6, 5, 1, false}}) // items that are not named are of level 1
	if levels[5] != 2 || levels[6] != 2 {
		t.Errorf("the levels are %v", levels)
	}
}
