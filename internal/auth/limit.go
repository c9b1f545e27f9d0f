package auth

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
)

// Limit is how often something may be tried in a time.
type Limit struct {
	Name   string // of what is counted, as in "sign-in of a person"
	Tries  int
	Within time.Duration
	Words  string // what there were too many of, as the beginning of a sentence
}

// Limits counts tries in Redis, for all processes together; where that does not answer each process counts by itself.
type Limits struct {
	rdb  redis.UniversalClient
	mu   sync.Mutex
	here map[string]*tries
	gone atomic.Int64 // until when Redis is not asked, since it did not answer; in Unix milliseconds
}

const (
	// redisPatience is how long a count waits for Redis, which answers within a millisecond when it is well.
	redisPatience = 200 * time.Millisecond
	// redisRest is how long it is then left alone, so that not every request waits.
	redisRest = 5 * time.Second
)

type tries struct {
	n     int
	until time.Time
}

// maxHere bounds what a process counts by itself.
const maxHere = 100_000

// NewLimits counts in rdb; nil counts in this process.
func NewLimits(rdb redis.UniversalClient) *Limits {
	return &Limits{rdb: rdb, here: map[string]*tries{}}
}

// counted adds one to a key that lives for some milliseconds, and gives count and milliseconds left.
var counted = redis.NewScript(`local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {n, redis.call('PTTL', KEYS[1])}`)

// Take counts one try of somebody and refuses it when there were too many. who is not kept readable. Codes: TooMany.
func (l *Limits) Take(ctx context.Context, limit Limit, who string) error {
	n, left := l.count(ctx, key(limit, who), limit.Within)
	if n <= limit.Tries {
		return nil
	}
	seconds := max(1, int((left+time.Second-1)/time.Second))
	return &core.Error{Code: core.TooMany, RetryAfter: seconds, Sentence: limit.Words + " Try again in " + inWords(seconds) + "."}
}

// Forget lets somebody begin anew.
func (l *Limits) Forget(ctx context.Context, limit Limit, who string) {
	k := key(limit, who)
	if l.rdb != nil {
		_ = l.rdb.Del(ctx, k).Err() // what stays counts for a while longer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.here, k)
}

func key(limit Limit, who string) string {
	return "limit:" + limit.Name + ":" + hex.EncodeToString(HashOf(who)[:16])
}

func (l *Limits) count(ctx context.Context, key string, within time.Duration) (int, time.Duration) {
	if l.rdb != nil && time.Now().UnixMilli() >= l.gone.Load() {
		asking, cancel := context.WithTimeout(ctx, redisPatience)
		defer cancel()
		both, err := counted.Run(asking, l.rdb, []string{key}, within.Milliseconds()).Int64Slice()
		if err == nil && len(both) == 2 {
			return int(both[0]), time.Duration(both[1]) * time.Millisecond
		}
		if ctx.Err() == nil {
			l.gone.Store(time.Now().Add(redisRest).UnixMilli())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	t := l.here[key]
	if t == nil || now.After(t.until) {
		if len(l.here) >= maxHere {
			clear(l.here)
		}
		t = &tries{until: now.Add(within)}
		l.here[key] = t
	}
	t.n++
	return t.n, t.until.Sub(now)
}

func inWords(seconds int) string {
	if seconds < 100 {
		return strconv.Itoa(seconds) + " s"
	}
	return strconv.Itoa((seconds+59)/60) + " min"
}
