package expr

import "unicode/utf8"

// nearest gives the value of the name that is written most like word, the first in the alphabet of several, and "" when
// none is like it: up to a third of the letters may differ, two at most.
func nearest(word string, names map[string]string) string {
	if utf8.RuneCountInString(word) > 2*maxSlug {
		return ""
	}
	best, least := "", min(2, (utf8.RuneCountInString(word)+2)/3)+1
	for name, value := range names {
		if utf8.RuneCountInString(name) > 2*maxSlug {
			continue
		}
		if d := distance([]rune(name), []rune(word)); d < least || d == least && best != "" && value < best {
			best, least = value, d
		}
	}
	return best
}

// distance counts the letters that have to be put in, taken out or changed to make one word of the other.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = min(diagonal, row[j], row[j-1]) + 1
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
