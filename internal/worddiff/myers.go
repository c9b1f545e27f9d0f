package worddiff

import "time"

// budget bounds the work of one comparison, by steps and by time.
type budget struct {
	steps    int
	deadline time.Time // zero: no bound
}

// timeEvery is how many steps lie between two looks at the clock.
const timeEvery = 4096

// spend takes n steps and tells whether there was room for them.
func (b *budget) spend(n int) bool {
	before := b.steps / timeEvery
	b.steps -= n
	if b.steps < 0 {
		return false
	}
	if b.steps/timeEvery != before && !b.deadline.IsZero() && time.Now().After(b.deadline) {
		b.steps = -1
		return false
	}
	return true
}

// differ compares two sequences by Myers' algorithm in linear space (E. W. Myers, An O(ND)
// Difference Algorithm and Its Variations, 1986): it finds the middle of a shortest edit script
// from both ends and goes on in the two halves.
type differ struct {
	a, b              []int
	gone, come        []bool // which of a is deleted, which of b is inserted
	forward, backward []int
	budget            *budget
}

func newDiffer(a, b []int, limit *budget) *differ {
	size := 2*(len(a)+len(b)) + 3
	return &differ{
		a: a, b: b,
		gone: make([]bool, len(a)), come: make([]bool, len(b)),
		forward: make([]int, size), backward: make([]int, size),
		budget: limit,
	}
}

// compare marks what differs between a[a0:a1] and b[b0:b1]; false means that the budget is spent.
func (d *differ) compare(a0, a1, b0, b1 int) bool {
	for a0 < a1 && b0 < b1 && d.a[a0] == d.b[b0] {
		a0, b0 = a0+1, b0+1
	}
	for a0 < a1 && b0 < b1 && d.a[a1-1] == d.b[b1-1] {
		a1, b1 = a1-1, b1-1
	}
	if a0 == a1 || b0 == b1 {
		mark(d.gone[a0:a1])
		mark(d.come[b0:b1])
		return true
	}
	x, y, ok := d.middle(a0, a1, b0, b1)
	if !ok {
		return false
	}
	return d.compare(a0, x, b0, y) && d.compare(x, a1, y, b1)
}

func mark(s []bool) {
	for i := range s {
		s[i] = true
	}
}

// middle finds a point on a shortest way through the part, where the way from the front meets
// the way from the back. Neither half is the whole part, since its ends differ.
func (d *differ) middle(a0, a1, b0, b1 int) (x, y int, ok bool) {
	n, m := a1-a0, b1-b0
	delta, zero := n-m, len(d.forward)/2
	d.forward[zero+1], d.backward[zero+1] = 0, 0
	for cost := 0; cost <= (n+m+1)/2; cost++ {
		if !d.budget.spend(2*cost + 2) {
			return 0, 0, false
		}
		for k := -cost; k <= cost; k += 2 {
			x, moved := d.forwardTo(k, cost, a0, a1, b0, b1)
			if !d.budget.spend(moved) {
				return 0, 0, false
			}
			if back := delta - k; delta&1 != 0 && back > -cost && back < cost && x+d.backward[zero+back] >= n {
				return a0 + x, b0 + x - k, true
			}
		}
		for k := -cost; k <= cost; k += 2 {
			x, moved := d.backwardTo(k, cost, a0, a1, b0, b1)
			if !d.budget.spend(moved) {
				return 0, 0, false
			}
			if front := delta - k; delta&1 == 0 && front >= -cost && front <= cost && x+d.forward[zero+front] >= n {
				return a1 - x, b1 - (x - k), true
			}
		}
	}
	return 0, 0, false
}

// forwardTo goes as far as it can on diagonal k with so many edits, from the front.
func (d *differ) forwardTo(k, cost, a0, a1, b0, b1 int) (x, moved int) {
	x = start(d.forward, k, cost)
	y := x - k
	from := x
	for x < a1-a0 && y >= 0 && y < b1-b0 && d.a[a0+x] == d.b[b0+y] {
		x, y = x+1, y+1
	}
	d.forward[len(d.forward)/2+k] = x
	return x, x - from
}

// backwardTo does the same from the back; x counts from there.
func (d *differ) backwardTo(k, cost, a0, a1, b0, b1 int) (x, moved int) {
	x = start(d.backward, k, cost)
	y := x - k
	from := x
	for x < a1-a0 && y >= 0 && y < b1-b0 && d.a[a1-1-x] == d.b[b1-1-y] {
		x, y = x+1, y+1
	}
	d.backward[len(d.backward)/2+k] = x
	return x, x - from
}

// start is where diagonal k begins with one edit more than its neighbours have.
func start(v []int, k, cost int) int {
	zero := len(v) / 2
	if k == -cost || (k != cost && v[zero+k-1] < v[zero+k+1]) {
		return v[zero+k+1]
	}
	return v[zero+k-1] + 1
}
