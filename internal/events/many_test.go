package events

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
	"scratchpaper/internal/redistest"
)

// The measurement of many streams: STREAM_COUNT=10000 STREAM_TIME=10m go test -run TestManyStreams -v -timeout 0 ./internal/events
const (
	streamServer = "STREAM_SERVER" // set in the process that serves: the address of its Redis
	snapshots    = 100
)

// TestManyStreams opens STREAM_COUNT streams at a process of their own and changes each of 100 snapshots once a second for STREAM_TIME. One
// more reader stops reading at once.
func TestManyStreams(t *testing.T) {
	if address := os.Getenv(streamServer); address != "" {
		serveStreams(t, address)
		return
	}
	count, _ := strconv.Atoi(os.Getenv("STREAM_COUNT"))
	if count == 0 {
		t.Skip("STREAM_COUNT says how many streams to measure")
	}
	lasts, err := time.ParseDuration(os.Getenv("STREAM_TIME"))
	if err != nil {
		lasts = time.Minute
	}
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Address()})
	t.Cleanup(func() { rdb.Close() })
	server := mustStreamServer(t, rdb.Options().Addr)
	before := server.state(t)

	var heard, lost atomic.Int64
	var late [5000]atomic.Int64 // how many hints came after so many milliseconds
	var conns []net.Conn
	for n := range count {
		c := server.mustListen(t, n)
		conns = append(conns, c)
		go func() {
			for lines := bufio.NewReaderSize(c, 1024); ; {
				line, err := lines.ReadString('\n')
				if err != nil {
					lost.Add(1)
					return
				}
				if at := strings.Index(line, `"sent":`); at >= 0 {
					sent, _ := strconv.ParseInt(strings.TrimRight(line[at+7:], "}\r\n"), 10, 64)
					ms := time.Since(time.UnixMicro(sent)).Milliseconds()
					late[max(0, min(ms, int64(len(late)-1)))].Add(1)
					heard.Add(1)
				}
			}
		}()
	}
	stalled := server.mustListen(t, count) // nobody reads it
	for deadline := time.Now().Add(time.Minute); server.state(t).Streams < count+1; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d streams are open", server.state(t).Streams, count)
		}
	}
	time.Sleep(2 * time.Second) // the garbage of opening them
	open := server.state(t)

	hub := New(rdb, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	go func() { _ = hub.Run(ctx) }()
	changes, end := 0, time.Now().Add(lasts)
	for tick := time.NewTicker(time.Second / snapshots); time.Now().Before(end); changes++ {
		<-tick.C
		hub.Notify(ctx, core.Hint{Org: "org", Snapshot: fmt.Sprint("s", changes%snapshots), Table: "t", Version: int64(changes), Kind: "change",
			Data: json.RawMessage(fmt.Sprintf(`{"sent":%d}`, time.Now().UnixMicro()))})
	}
	time.Sleep(3 * time.Second) // what is under way
	busy, gone := server.state(t), lost.Load()
	for _, c := range append(conns, stalled) {
		c.Close()
	}
	for deadline := time.Now().Add(time.Minute); server.state(t).Streams > 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
	}
	stop()
	hub.Stop()
	time.Sleep(time.Second)
	after := server.state(t)

	quantile := func(q float64) int {
		for ms, seen := 0, int64(0); ms < len(late); ms++ {
			if seen += late[ms].Load(); float64(seen) >= q*float64(heard.Load()) {
				return ms
			}
		}
		return len(late)
	}
	t.Logf("%d streams, %d changes in %s: %d of %d hints heard; ms from the change to the reader: 50 %% %d, 95 %% %d, 99 %% %d, where a change a second waits for no others", count, changes, lasts,
		heard.Load(), int64(changes)*int64(count/snapshots), quantile(.5), quantile(.95), quantile(.99))
	t.Logf("memory: %.1f kB a stream when open, %.1f kB while busy; goroutines %d before, %d open, %d after; streams lost %d", float64(open.Resident-before.Resident)/1000/float64(count),
		float64(busy.Resident-before.Resident)/1000/float64(count), before.Goroutines, open.Goroutines, after.Goroutines, gone)
	if after.Goroutines > before.Goroutines+5 || after.Streams > 0 {
		t.Errorf("%d goroutines and %d streams are left over", after.Goroutines-before.Goroutines, after.Streams)
	}
	if gone > 0 {
		t.Errorf("%d readers were cut off", gone)
	}
}

// streamState is what the serving process holds.
type streamState struct {
	Streams, Goroutines int
	Resident            int64 // bytes
}

type manyServer struct{ address string }

// serveStreams is the process that is measured.
func serveStreams(t *testing.T, redisAddress string) {
	rdb := redis.NewClient(&redis.Options{Addr: redisAddress})
	hub := New(rdb, slog.New(slog.DiscardHandler))
	go func() { _ = hub.Run(context.Background()) }()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		_ = hub.Stream(w, r, Subscription{Org: "org", Person: fmt.Sprint("p", n/10), Topics: []string{fmt.Sprint("snapshot:s", n%snapshots)}})
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		raw, _ := os.ReadFile("/proc/self/statm")
		pages, _ := strconv.ParseInt(strings.Fields(string(raw) + " 0 0")[1], 10, 64)
		_ = json.NewEncoder(w).Encode(streamState{hub.Streams(), runtime.NumGoroutine(), pages * int64(os.Getpagesize())})
	})
	server := httptest.NewServer(mux)
	fmt.Printf("streams at %s\n", server.Listener.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the measuring process is gone
}

func mustStreamServer(t *testing.T, redisAddress string) manyServer {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestManyStreams$")
	cmd.Env = append(os.Environ(), streamServer+"="+redisAddress)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "streams at ")
	if err != nil || !ok {
		t.Fatalf("the serving process says %q, %v", line, err)
	}
	return manyServer{address}
}

func (s manyServer) state(t *testing.T) (st streamState) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + s.address + "/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		t.Fatal(err)
	}
	return st
}

func (s manyServer) mustListen(t *testing.T, n int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /events?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", n); err != nil {
		t.Fatal(err)
	}
	return c
}
