// Package worddiff compares two texts word by word, for people to read.
package worddiff

import (
	"strings"
	"time"
	"unicode"
)

// Op says what became of a part of a text.
type Op int

// The fates of a part.
const (
	Same Op = iota
	Deleted
	Inserted
)

// String gives the name for tests and logs.
func (o Op) String() string { return [...]string{"same", "deleted", "inserted"}[o] }

// Part is a stretch of text with one fate.
type Part struct {
	Op   Op
	Text string
}

const (
	// wordSteps bounds a comparison by words where no time limit does: some 100 ms.
	wordSteps = 10_000_000
	// lineSteps bounds the comparison by lines that follows when words took too long.
	lineSteps = 2_000_000
	// maxTokens bounds the memory of a comparison, some 50 bytes for each token.
	maxTokens = 1_000_000
	// wordBytes and lineBytes are the sizes of both texts together up to which words and lines
	// are compared; cutting larger ones would take longer than a person waits for a diff.
	wordBytes = 4 << 20
	lineBytes = 16 << 20
)

// Diff returns the parts of a and b in order. Same and Deleted parts together are a, Same and
// Inserted parts together are b, both byte for byte; no part is empty and no two neighbours have
// the same Op. In a change the deleted text comes before the inserted one.
//
// Words, runs of white space and other characters are compared as units. When that takes longer
// than limit (0 or less: no limit but a fixed number of steps, so that the result is always the
// same), whole lines are compared for as long again at most; when that fails too, the texts
// count as changed from the first line that differs to the last. Texts of megabytes are compared
// by lines from the beginning, larger ones by their ends only.
func Diff(a, b string, limit time.Duration) []Part {
	if a == b {
		return join(nil, Same, a)
	}
	if len(a)+len(b) <= wordBytes {
		if parts, ok := diffUnits(tokens(a), tokens(b), newBudget(wordSteps, limit)); ok {
			return readable(parts)
		}
	}
	if len(a)+len(b) <= lineBytes {
		if parts, ok := diffUnits(lines(a), lines(b), newBudget(lineSteps, limit)); ok {
			return parts
		}
	}
	return diffEnds(a, b)
}

func newBudget(steps int, limit time.Duration) *budget {
	b := &budget{steps: steps}
	if limit > 0 {
		b.deadline = time.Now().Add(limit)
	}
	return b
}

// diffUnits compares units; false means that the budget did not suffice.
func diffUnits(a, b []string, limit *budget) ([]Part, bool) {
	front, back := equalEnds(a, b)
	midA, midB := a[front:len(a)-back], b[front:len(b)-back]
	if len(midA)+len(midB) > maxTokens {
		return nil, false
	}
	numberA, numberB := number(midA, midB)
	d := newDiffer(numberA, numberB, limit)
	if !d.compare(0, len(midA), 0, len(midB)) {
		return nil, false
	}
	parts := join(nil, Same, strings.Join(a[:front], ""))
	parts = d.parts(parts, midA, midB)
	return join(parts, Same, strings.Join(a[len(a)-back:], "")), true
}

// diffEnds takes everything between the first and the last line that differ as changed.
func diffEnds(a, b string) []Part {
	front, back := equalLines(a, b)
	parts := join(nil, Same, a[:front])
	parts = join(parts, Deleted, a[front:len(a)-back])
	parts = join(parts, Inserted, b[front:len(b)-back])
	return join(parts, Same, a[len(a)-back:])
}

// equalLines measures the whole lines that are equal at the front and, of the rest, at the back.
func equalLines(a, b string) (front, back int) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	front = strings.LastIndexByte(a[:n], '\n') + 1
	n = 0
	for n < len(a)-front && n < len(b)-front && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	tail := a[len(a)-n:]
	if i := strings.IndexByte(tail, '\n'); i >= 0 {
		back = len(tail) - i - 1
	}
	return front, back
}

// equalEnds counts the equal units at the front and, of the rest, at the back.
func equalEnds(a, b []string) (front, back int) {
	for front < len(a) && front < len(b) && a[front] == b[front] {
		front++
	}
	for back < len(a)-front && back < len(b)-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	return front, back
}

// number gives equal units equal numbers, which compare faster.
func number(a, b []string) (numberA, numberB []int) {
	known := make(map[string]int, len(a))
	of := func(units []string) []int {
		out := make([]int, len(units))
		for i, u := range units {
			n, ok := known[u]
			if !ok {
				n = len(known)
				known[u] = n
			}
			out[i] = n
		}
		return out
	}
	return of(a), of(b)
}

// parts appends what compare has marked.
func (d *differ) parts(parts []Part, a, b []string) []Part {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		fromA, fromB := i, j
		for i < len(a) && d.gone[i] {
			i++
		}
		for j < len(b) && d.come[j] {
			j++
		}
		parts = join(parts, Deleted, strings.Join(a[fromA:i], ""))
		parts = join(parts, Inserted, strings.Join(b[fromB:j], ""))
		from := i
		for i < len(a) && j < len(b) && !d.gone[i] && !d.come[j] {
			i, j = i+1, j+1
		}
		parts = join(parts, Same, strings.Join(a[from:i], ""))
	}
	return parts
}

// join appends a part, to the last one if that has the same fate.
func join(parts []Part, op Op, text string) []Part {
	if text == "" {
		return parts
	}
	if n := len(parts); n > 0 && parts[n-1].Op == op {
		parts[n-1].Text += text
		return parts
	}
	return append(parts, Part{op, text})
}

// change is a deletion and an insertion at one place, either may be empty, and the equal text
// that follows.
type change struct{ deleted, inserted, same string }

// readable makes one change of replaced words with nothing but a space between them: "red pan" to
// "blue pot" is easier to read whole than word by word.
func readable(parts []Part) []Part {
	var lead string
	if len(parts) > 0 && parts[0].Op == Same {
		lead, parts = parts[0].Text, parts[1:]
	}
	out := join(nil, Same, lead)
	var deleted, inserted strings.Builder
	changes := changes(parts)
	for i, c := range changes {
		deleted.WriteString(c.deleted)
		inserted.WriteString(c.inserted)
		if i+1 < len(changes) && c.replaces() && changes[i+1].replaces() && isGap(c.same) {
			deleted.WriteString(c.same)
			inserted.WriteString(c.same)
			continue
		}
		out = join(out, Deleted, deleted.String())
		out = join(out, Inserted, inserted.String())
		out = join(out, Same, c.same)
		deleted.Reset()
		inserted.Reset()
	}
	return out
}

func (c change) replaces() bool { return c.deleted != "" && c.inserted != "" }

func changes(parts []Part) []change {
	var out []change
	open := false
	for _, p := range parts {
		if !open {
			out = append(out, change{})
			open = true
		}
		c := &out[len(out)-1]
		switch p.Op {
		case Deleted:
			c.deleted = p.Text
		case Inserted:
			c.inserted = p.Text
		case Same:
			c.same = p.Text
			open = false
		}
	}
	return out
}

func isGap(s string) bool {
	return strings.TrimFunc(s, unicode.IsSpace) == "" && !strings.Contains(s, "\n")
}

// Remainder returns what is left of a and b when equal words, spaces and characters at both ends
// are cut: "Red ketle big" and "Red kettle big" leave "ketle" and "kettle". Equal texts leave
// nothing. Changes with equal remainders are the same correction in different texts.
func Remainder(a, b string) (from, to string) {
	ta, tb := tokens(a), tokens(b)
	front, back := equalEnds(ta, tb)
	return strings.Join(ta[front:len(ta)-back], ""), strings.Join(tb[front:len(tb)-back], "")
}
