package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// points are the requirements of ASVS 4.0.3 up to level 2, by section: those that were deleted or are of level 3 only are left out.
var points = map[string]string{
	"1.1": "1-7", "1.2": "1-4", "1.4": "1,4,5", "1.5": "1-4", "1.6": "1-4", "1.7": "1,2", "1.8": "1,2", "1.9": "1,2", "1.10": "1", "1.11": "1,2", "1.12": "2", "1.14": "1-6",
	"2.1": "1-12", "2.2": "1-3", "2.3": "1-3", "2.4": "1-6", "2.5": "1-7", "2.6": "1-3", "2.7": "1-6", "2.8": "1-7", "2.9": "1-3", "2.10": "1-4",
	"3.1": "1", "3.2": "1-4", "3.3": "1-4", "3.4": "1-5", "3.5": "1-3", "3.7": "1",
	"4.1": "1,2,3,5", "4.2": "1,2", "4.3": "1-3",
	"5.1": "1-5", "5.2": "1-8", "5.3": "1-10", "5.4": "1-3", "5.5": "1-4",
	"6.1": "1-3", "6.2": "1-6", "6.3": "1,2", "6.4": "1,2",
	"7.1": "1-4", "7.2": "1,2", "7.3": "1,3,4", "7.4": "1-3",
	"8.1": "1-4", "8.2": "1-3", "8.3": "1-8",
	"9.1": "1-3", "9.2": "1-4",
	"10.2": "1,2", "10.3": "1-3",
	"11.1": "1-8",
	"12.1": "1-3", "12.2": "1", "12.3": "1-6", "12.4": "1,2", "12.5": "1,2", "12.6": "1",
	"13.1": "1,3,4,5", "13.2": "1,2,3,5,6", "13.3": "1,2", "13.4": "1,2",
	"14.1": "1-4", "14.2": "1-6", "14.3": "2,3", "14.4": "1-7", "14.5": "1-4",
}

// numbersOf writes "1-3,5" out.
func numbersOf(list string) (out []int) {
	for part := range strings.SplitSeq(list, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 1 {
			to = from
		}
		for i := from; i <= to; i++ {
			out = append(out, i)
		}
	}
	return out
}

var (
	pointRow  = regexp.MustCompile(`(?m)^\| (\d+\.\d+\.\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$`)
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	namedPath = regexp.MustCompile("`((?:[a-z0-9_]+/)+[\\w.]+|[\\w]+\\.(?:go|md|sh|yaml|json|sum)|Makefile|Dockerfile)`")
)

// TestTheSecurityPageIsTrue holds docs/security.md against the standard's numbers, the tests and the files.
func TestTheSecurityPageIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	page, seen := string(raw), map[string]bool{}
	for _, row := range pointRow.FindAllStringSubmatch(page, -1) {
		if seen[row[1]] {
			t.Errorf("%s stands there twice", row[1])
		}
		seen[row[1]] = true
		if !slices.Contains([]string{"holds", "in part", "open", "not here"}, row[2]) {
			t.Errorf("%s is %q", row[1], row[2])
		}
	}
	want := 0
	for section, list := range points {
		for _, n := range numbersOf(list) {
			if want++; !seen[fmt.Sprintf("%s.%d", section, n)] {
				t.Errorf("%s.%d is not there", section, n)
			}
		}
	}
	if len(seen) != want {
		t.Errorf("there are %d points, and the standard has %d", len(seen), want)
	}
	tests := everyTest(t)
	for _, m := range namedTest.FindAllStringSubmatch(page, -1) {
		if !tests[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for _, m := range namedPath.FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("there is no file %s", m[1])
		}
	}
}

// everyTest gives the names of all tests and fuzz tests.
func everyTest(t *testing.T) map[string]bool {
	t.Helper()
	declared, all := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`), map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(raw), -1) {
			all[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
