package config

import (
	"fmt"
	"slices"
	"strings"
)

// Misspelt gives a sentence for each name in environ ("NAME=value") that is no setting but reads like one that is not set. The
// environment has names of others too, so such a name is told and stops nothing; in a .env file it does.
func Misspelt(environ []string) []string {
	given := map[string]bool{}
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		given[name] = true
	}
	var out []string
	for name := range given {
		if meant := meantBy(name); meant != "" && !given[meant] {
			out = append(out, fmt.Sprintf("%s is no setting and does nothing. Did you mean %s?", name, meant))
		}
	}
	slices.Sort(out)
	return out
}

// meantBy gives the setting that a name is closest to; "" where it is one, or close to none.
func meantBy(name string) string {
	all := Names()
	if slices.Contains(all, name) {
		return ""
	}
	best, meant := 1<<10, ""
	for _, setting := range all {
		if d := slips(name, setting); d <= slipsIn(setting) && d < best {
			best, meant = d, setting
		}
	}
	return meant
}

// slipsIn is how many slips a name may have and still be taken for the setting: PORT is too short for any, as a POST may be anybody's,
// and TRUSTED_PROXY has three.
func slipsIn(setting string) int {
	switch n := len(setting); {
	case n < 7:
		return 0
	case n < 10:
		return 1
	case n < 14:
		return 2
	}
	return 3
}

// slips counts the letters that are missing, too many, wrong, or changed with their neighbour between two names.
func slips(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
