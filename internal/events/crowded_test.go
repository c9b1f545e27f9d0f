package events

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"testing"
)

func TestGarbageIsCollectedMoreOftenWhileManyStreamsAreOpen(t *testing.T) {
	t.Setenv("GOGC", "")
	h := New(nil, slog.New(slog.DiscardHandler))
	usual := percent()
	for _, step := range []struct{ open, want int }{
		{manyStreams - 1, usual}, {manyStreams, crowdedPercent}, {manyStreams + 500, crowdedPercent},
		{manyStreams*3/4 + 1, crowdedPercent}, {manyStreams*3/4 - 1, usual}, {manyStreams - 1, usual}, {0, usual},
	} {
		clear(h.connections)
		for n := range step.open {
			h.connections[fmt.Sprint(n)] = nil
		}
		h.fit()
		if got := percent(); got != step.want {
			t.Errorf("with %d streams it is %d, want %d", step.open, got, step.want)
		}
	}
	t.Setenv("GOGC", "80")
	for n := range manyStreams {
		h.connections[fmt.Sprint(n)] = nil
	}
	if h.fit(); percent() != usual {
		t.Errorf("where GOGC is set it becomes %d", percent())
	}
}

// percent reads the setting, which can only be read by setting it.
func percent() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}
