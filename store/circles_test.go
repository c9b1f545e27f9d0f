package store

import (
	"fmt"
	"maps"
	"slices"
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
	for i := int64(1); i < many; i++ { // one after the other
		waits = append(waits, wait{4_000_000 + i, 4_000_001 + i, 5, false})
	}
	levels, together := deleteLevels(waits, 100)
	if one, circle, child := levels[1], levels[2_000_001], levels[1_000_001]; one != 1 || circle != 2 || child != 1+many/50+1 || together[circle-1] != 100 || together[child-1] != 0 {
		t.Errorf("the levels are %d, %d and %d", one, circle, child)
	}
	if n := len(together); n != many+many/50 {
		t.Errorf("there are %d levels", n)
	}
}

func TestWhatGoesTogetherIsOfOneLevel(t *testing.T) {
	t.Parallel()
	pair := func(a, b int64) []wait { return []wait{{a, b, 1, false}, {b, a, 1, false}} }
	for name, test := range map[string]struct {
		waits    []wait
		levels   map[int64]int
		together []int
	}{
		"a circle, never with what waits for nothing": {pair(5, 6), map[int64]int{5: 2, 6: 2}, []int{0, 2}},
		"two circles in one request":                  {slices.Concat(pair(5, 6), pair(7, 8)), map[int64]int{5: 2, 6: 2, 7: 2, 8: 2}, []int{0, 4}},
		"a third is too much":                         {slices.Concat(pair(5, 6), pair(7, 8), pair(1, 2)), map[int64]int{1: 2, 2: 2, 5: 2, 6: 2, 7: 3, 8: 3}, []int{0, 4, 2}},
		"one that is too large by itself": {[]wait{{1, 2, 1, false}, {2, 3, 1, false}, {3, 4, 1, false}, {4, 5, 1, false}, {5, 1, 1, false}},
			map[int64]int{1: 2, 2: 2, 3: 2, 4: 2, 5: 2}, []int{0, 5}},
		"what waits for a circle, and what a circle waits for": {append(pair(5, 6), wait{1, 5, 1, false}, wait{6, 9, 1, false}),
			map[int64]int{9: 1, 5: 2, 6: 2, 1: 3}, []int{0, 2, 0}},
		"circles that share one": {append(pair(5, 6), pair(6, 7)...), map[int64]int{5: 2, 6: 2, 7: 2}, []int{0, 3}},
		"itself":                 {[]wait{{5, 5, 1, false}}, map[int64]int{5: 1}, []int{0}},
		"a chain":                {[]wait{{1, 2, 1, false}, {2, 3, 1, false}, {1, 3, 1, false}}, map[int64]int{3: 1, 2: 2, 1: 3}, []int{0, 0, 0}},
	} {
		levels, together := deleteLevels(test.waits, 4)
		if !maps.Equal(levels, test.levels) || !slices.Equal(together, test.together) {
			t.Errorf("%s: %v, %v, want %v, %v", name, levels, together, test.levels, test.together)
		}
	}
}
