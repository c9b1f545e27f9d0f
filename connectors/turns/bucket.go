package turns

import (
	"math"
	"time"
)

// bucket is what one process knows of a connection's turns: what the scripts do, for when Redis is away.
type bucket struct {
	next, rest time.Time
	day        int64 // since 1970
	used       int
	strikes    int
	struck     time.Time
}

func dayOf(now time.Time) int64 { return now.Unix() / 86400 }

// take reserves the next turn.
func (b *bucket) take(now time.Time, gap time.Duration, daily int, most time.Duration) answer {
	if day := dayOf(now); b.day != day {
		b.day, b.used = day, 0
	}
	if daily > 0 && b.used >= daily {
		return answer{usedUp, time.Unix((b.day+1)*86400, 0).Sub(now)}
	}
	at := latest(now, b.next, b.rest)
	if at.Sub(now) > most {
		return answer{tooLate, at.Sub(now)}
	}
	b.next, b.used = at.Add(gap), b.used+1
	return answer{granted, at.Sub(now)}
}

// follow keeps in mind what Redis has answered.
func (b *bucket) follow(now time.Time, a answer, gap time.Duration) {
	if day := dayOf(now); b.day != day {
		b.day, b.used = day, 0
	}
	switch a.verdict {
	case granted:
		b.next, b.used = now.Add(a.wait).Add(gap), b.used+1
	case tooLate:
		b.rest = latest(b.rest, now.Add(a.wait))
	}
}

// pause rests for a while; 0 is twice as long as the last time.
func (b *bucket) pause(now time.Time, wait time.Duration) {
	if wait == 0 {
		if now.Sub(b.struck) > 2*time.Minute {
			b.strikes = 0
		}
		wait = time.Duration(math.Min(60, math.Exp2(float64(b.strikes))) * float64(time.Second))
		b.strikes, b.struck = min(b.strikes+1, 10), now
	}
	b.rest = latest(b.rest, now.Add(min(wait, 24*time.Hour)))
}

func latest(first time.Time, more ...time.Time) time.Time {
	for _, t := range more {
		if t.After(first) {
			first = t
		}
	}
	return first
}
