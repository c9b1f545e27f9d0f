package core

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What is recognised at a glance is what the patterns would have made of it, and what they make of it is recognised.
func TestWhatIsPlainIsKeptAsItIs(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	number := Column{Type: Number, Title: "n"}
	plain := map[string]int{}
	for range 30_000 {
		s := nearly(r, "-123.50", "0123456789-.e0")
		if isPlainNumber(s) {
			plain["number"]++
			if !numberPattern.MatchString(s) {
				t.Fatalf("%q is not a number", s)
			}
			bounded := number
			scale := 300
			bounded.Options.Scale, bounded.Options.Precision = &scale, 600 // takes the long way
			if v, err := checkNumber(bounded, s); err != nil || v.Text != s {
				t.Fatalf("%q becomes %q (%v)", s, v.Text, err)
			}
		}
		s = nearly(r, "2024-02-29", "0123456789-")
		day, clock, ok := readEra(s)
		if IsPlainDay(s) != (ok && !clock && canonicalDay(day) == s && day.Year() > 0 && day.Year() < 10_000) {
			t.Fatalf("day %q: plain %v, read %v", s, IsPlainDay(s), day)
		}
		if IsPlainDay(s) {
			plain["day"]++
		}
		s = nearly(r, "2024-02-29T10:59:30.125+00:00", "012345679:.+T-")
		for zone, zoned := range map[string]bool{"+00:00": true, "": false} {
			if zone == "" {
				s = nearly(r, "2024-02-29T10:59:30.125", "012345679:.+T-")
			}
			at, ok := readTime(s, zoned)
			if isPlainTime(s, zone) != (ok && held(at, lastTimeYear) && canonicalTime(at, zone) == s && at.Year() > 0 && at.Year() < 10_000) {
				t.Fatalf("time %q: plain %v, read %v", s, isPlainTime(s, zone), at)
			}
			if isPlainTime(s, zone) {
				plain["time"]++
			}
		}
	}
	for _, kind := range []string{"number", "day", "time"} {
		if plain[kind] < 100 {
			t.Errorf("only %d plain texts were tried as a %s", plain[kind], kind)
		}
	}
}

// nearly changes up to three bytes of a text, or takes some away.
func nearly(r *rand.Rand, s, alphabet string) string {
	b := []byte(s)
	for range r.IntN(4) {
		i := r.IntN(len(b))
		if r.IntN(4) == 0 && len(b) > 1 {
			b = append(b[:i], b[i+1:]...)
		} else {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
	}
	return string(b)
}
