// Package turns shares a connection's limits among all processes: whoever wants to send a request takes a turn. The turns lie in Redis;
// without it each process keeps to half of the limit by itself.
package turns

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/connectors"
)

const (
	// longestWait is how long a request waits for its turn; whoever would wait longer is told when to come back, so that no worker is held.
	longestWait = 10 * time.Second
	// askLimit is how long Redis may take for an answer, in a process that has other work to do.
	askLimit = 250 * time.Millisecond
	// awayFor is how long Redis is not asked again after it did not answer.
	awayFor = time.Second
)

// Turns gives out the turns of all connections.
type Turns struct {
	redis redis.UniversalClient
	log   *slog.Logger

	mu    sync.Mutex
	own   map[string]*bucket // by connection: what this process knows of it
	until time.Time          // Redis is away until then
}

// New makes turns that lie in Redis.
func New(r redis.UniversalClient, log *slog.Logger) *Turns {
	return &Turns{redis: r, log: log, own: map[string]*bucket{}}
}

// Lend gives a session's environment the turns of its connection, by the limits of its connector.
func (t *Turns) Lend(connection string, in connectors.Info, env connectors.Environment) connectors.Environment {
	env.Turn = func(ctx context.Context) error { return t.turn(ctx, connection, in) }
	env.Rest = func(until time.Time) { t.rest(connection, until) }
	return env
}

// answer is what became of asking for a turn.
type answer struct {
	verdict int64 // see the verdicts
	wait    time.Duration
}

// The verdicts of the script.
const (
	granted = 0 // after the wait
	tooLate = 1 // nothing is reserved; come back after the wait
	usedUp  = 2 // the day's requests are used up; come back after the wait
)

// turn waits until a request may leave. Errors are Faults with Unsent: Limited and QuotaUsed when that is too far away, Unavailable
// when nobody waits any more.
func (t *Turns) turn(ctx context.Context, connection string, in connectors.Info) error {
	most := longestWait
	if end, ok := ctx.Deadline(); ok {
		most = min(most, max(0, time.Until(end)*3/4)) // the rest is for the request itself
	}
	if err := ctx.Err(); err != nil {
		return left(err)
	}
	a := t.ask(ctx, connection, in.Limits, most)
	switch a.verdict {
	case tooLate:
		return &connectors.Fault{Kind: connectors.Limited, Unsent: true, Until: time.Now().Add(a.wait),
			Words: "The limit of " + in.Name + " is used up for now; it goes on in " + a.wait.Round(time.Second).String() + "."}
	case usedUp:
		return &connectors.Fault{Kind: connectors.QuotaUsed, Unsent: true, Until: time.Now().Add(a.wait),
			Words: fmt.Sprintf("The %d requests that %s takes a day are used up.", in.Limits.RequestsPerDay, in.Name)}
	}
	if a.wait <= 0 {
		return nil
	}
	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return left(ctx.Err())
	}
}

func left(cause error) error {
	return &connectors.Fault{Kind: connectors.Unavailable, Unsent: true, Words: "The request was given up while it waited for its turn.", Cause: cause}
}

// ask reserves a turn in Redis, or by what this process knows.
func (t *Turns) ask(ctx context.Context, connection string, l connectors.Limits, most time.Duration) answer {
	var got []int64
	gap := gapOf(l)
	err := t.run(ctx, func(ctx context.Context) (err error) {
		got, err = takeScript.Run(ctx, t.redis, []string{key(connection)}, gap.Microseconds(), l.RequestsPerDay, most.Microseconds()).Int64Slice()
		if err == nil && len(got) != 2 {
			err = fmt.Errorf("an answer of %d numbers", len(got))
		}
		return err
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(connection)
	if err != nil {
		return b.take(time.Now(), 2*gap, (l.RequestsPerDay+1)/2, most)
	}
	a := answer{got[0], time.Duration(got[1]) * time.Microsecond}
	b.follow(time.Now(), a, gap)
	return a
}

// gapOf is the time between two requests: they leave evenly, so that no second has more than the limit says.
func gapOf(l connectors.Limits) time.Duration {
	if l.RequestsPerSecond <= 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / l.RequestsPerSecond)
}

// run asks Redis, unless it was away just now.
func (t *Turns) run(ctx context.Context, ask func(ctx context.Context) error) error {
	t.mu.Lock()
	until := t.until
	t.mu.Unlock()
	if time.Now().Before(until) {
		return errAway
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer cancel()
	err := ask(ctx)
	if err == nil {
		return nil
	}
	t.mu.Lock()
	t.until = time.Now().Add(awayFor)
	t.mu.Unlock()
	t.log.WarnContext(ctx, "Redis gives no turns; this process keeps to half of each limit by itself", "error", err)
	return err
}

var errAway = fmt.Errorf("redis was away just now")

// rest keeps everybody from sending until then. Without a time each rest is twice as long as the one before, from one second to a minute.
func (t *Turns) rest(connection string, until time.Time) {
	wait := max(time.Duration(0), time.Until(until))
	if !until.IsZero() && wait == 0 {
		return // it is over already
	}
	_ = t.run(context.Background(), func(ctx context.Context) error {
		got, err := restScript.Run(ctx, t.redis, []string{key(connection)}, wait.Microseconds()).Int64()
		if err == nil {
			wait = time.Duration(got) * time.Microsecond
		}
		return err
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bucket(connection).pause(time.Now(), wait)
}

func (t *Turns) bucket(connection string) *bucket {
	b := t.own[connection]
	if b == nil {
		b = &bucket{}
		t.own[connection] = b
	}
	return b
}

func key(connection string) string { return "turns:" + connection }

// takeScript reserves the next free turn: KEYS[1] the connection; the gap in µs, requests a day (0 is any), the longest wait in µs. Times
// are Redis' own, so that the clocks of processes do not matter.
var takeScript = redis.NewScript(`
	local t = redis.call('TIME')
	local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
	local gap, daily, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
	local h = redis.call('HMGET', KEYS[1], 'next', 'rest', 'day', 'used')
	local day = math.floor(now / 86400000000)
	local used = tonumber(h[4]) or 0
	if tonumber(h[3]) ~= day then used = 0 end
	if daily > 0 and used >= daily then return {2, (day + 1) * 86400000000 - now} end
	local at = math.max(now, tonumber(h[1]) or 0, tonumber(h[2]) or 0)
	if at - now > most then return {1, at - now} end
	redis.call('HSET', KEYS[1], 'next', string.format('%.0f', at + gap), 'day', string.format('%.0f', day), 'used', string.format('%.0f', used + 1))
	redis.call('PEXPIRE', KEYS[1], 172800000)
	return {0, at - now}
`)

// restScript keeps the connection from sending: KEYS[1] the connection; how long in µs, 0 is twice as long as the last time. It gives how
// long from now on, at most a day.
var restScript = redis.NewScript(`
	local t = redis.call('TIME')
	local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
	local wait = math.min(tonumber(ARGV[1]), 86400000000)
	local h = redis.call('HMGET', KEYS[1], 'rest', 'strikes', 'struck')
	if wait == 0 then
		local strikes = tonumber(h[2]) or 0
		if now - (tonumber(h[3]) or 0) > 120000000 then strikes = 0 end
		wait = math.min(60, 2 ^ strikes) * 1000000
		redis.call('HSET', KEYS[1], 'strikes', string.format('%.0f', math.min(strikes + 1, 10)), 'struck', string.format('%.0f', now))
	end
	local rest = math.max(tonumber(h[1]) or 0, now + wait)
	redis.call('HSET', KEYS[1], 'rest', string.format('%.0f', rest))
	redis.call('PEXPIRE', KEYS[1], 172800000)
	return rest - now
`)
